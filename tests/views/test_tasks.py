"""A maze's path and an ARC task's grids in pictures and on the page, and the edit of an identity; a real
browser walks one maze and one ARC task from the first key to the last, as a widget and from a file."""
import base64, json
from pathlib import Path
import numpy as np, pytest, torch
from trm_lab.core.errors import InputError
from trm_lab.data.batches import make_batch
from trm_lab.interp.interventions import Given, Identity, ZeroAblation
from trm_lab.interp.session import Session
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.puzzles.arc import Arc, parse_name, read_tasks, to_grid
from trm_lab.puzzles.base import Group
from trm_lab.puzzles.maze import PATH, Maze
from trm_lab.views.boards import BoardPainter, outcome, shown_part
from trm_lab.views.explorer import Explorer
from trm_lab.views.page import static_bundle, static_file
from trm_lab.views.serve import puzzles_of
from test_explorer import (choose, each_panel, explorer_on, keys, pictures, press, small, # noqa: F401
    told, until, walk_to_the_end)

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT/"tests"/"reference"/"arc"

@pytest.fixture(scope="module")
def maze(): return load_pretrained("maze-15x15")

@pytest.fixture(scope="module")
def arc(): return load_pretrained("arc-10x10")

@pytest.fixture(scope="module")
def groups(arc):
    "Real tasks, each with its demonstrations: one that was trained on, and two that were not."
    tasks = {task.id: task for task in read_tasks(REFERENCE).on_canvas(11).tasks}
    return [Group(t.demos, t.tests, np.array([parse_name(t.id)[1]]), [t.id])
        for t in (tasks[id] for id in ("05269061", "00576224", "0c786b71"))]

# ---- a path --------------------------------------------------------------------

def test_pieces_and_dead_ends_of_a_path():
    puzzle = Maze(3, 4)
    question = puzzle.parse("S  #" " #  " "   G")
    whole = puzzle.parse("Soo#" " #oo" "   G")
    drawn = puzzle.draw(question, whole)
    assert (set(drawn.links) == {(0, 1), (1, 2), (2, 6), (6, 7), (7, 11)}
        and drawn.broken == drawn.ends == () and drawn.solid[3] and not drawn.solid[0])
    torn = puzzle.draw(question, puzzle.parse("So #" " # o" "o  G"))
    assert (set(torn.links) == {(0, 1), (7, 11)} and torn.broken == (7, 8) and torn.ends == (1, 7, 8))
    assert puzzle.draw(question, question).ends == () # nothing is marked yet
    loop = puzzle.parse("Soo#" "o#oo" "ooo ")
    loop[11] = question[11]
    assert puzzle.draw(question, loop).broken == () and len(puzzle.draw(question, loop).links) == 11

def test_an_answer_in_words():
    puzzle = Maze(3, 4)
    question = puzzle.parse("S  #" " #  " "   G")
    label = puzzle.label(question[None])[0]
    other, short = puzzle.parse("Soo#" " #oo" "   G"), puzzle.parse("So #" " #  " "   G")
    assert outcome(puzzle, question, label, label) == "optimal, valid, exact"
    assert outcome(puzzle, question, other, label) == "optimal, valid, not exact"
    assert outcome(puzzle, question, short, label) == "not optimal, not valid, not exact"
    assert outcome(puzzle, question, other) == "optimal, valid"
    canvas = Arc(5)
    asked, right, frameless = canvas.parse("12"), canvas.parse("21"), canvas.parse("21")
    frameless[10] = 5 # a colour in another row, which the crop leaves out
    assert outcome(canvas, asked, right, right) == outcome(canvas, asked, frameless, right) == "exact"
    assert outcome(canvas, asked, asked, right) == "not exact"

def test_an_arc_picture_is_cropped_to_its_grid():
    canvas = Arc(6)
    question, answer = canvas.parse("12|34"), canvas.parse("123")
    moved = np.zeros((2, 36), np.uint8)
    for k, board in enumerate((question, answer)):
        moved[k].reshape(6, 6)[2:, 1:] = board.reshape(6, 6)[:4, :5]
    drawn = canvas.draw(*moved)
    assert drawn.window == shown_part(drawn) == (2, 1, 1, 3) and shown_part(drawn, whole=True) == (0, 0, 6, 6)
    assert canvas.draw(question, np.zeros(36, np.uint8)).window == (0, 0, 0, 0) # there is no grid
    painter, sizes = BoardPainter(canvas), set()
    for board in (question, answer, np.zeros(36, np.uint8)):
        sizes.add(painter(question, board, question, "a title").size)
    assert len(sizes) == 1 # frames of one animation

# ---- identities ------------------------------------------------------------------

def test_the_identity_is_an_edit(arc, groups):
    session = Session(arc, groups, max_steps=3)
    root, names, rows = session.root(0), arc.identities, arc.model.puzzle_emb.weights
    assert session.identity_name(root.identity) == "05269061" and len(session.demonstrations("05269061")) == 3
    turned_name = "05269061|||t1|||0123456789"
    blank, mean, other, turned = (root.branch(None, Identity(*edit))
        for edit in (("<blank>",), ("<mean>",), ("00576224",), (turned_name, True)))
    # the same as asking the model itself
    def asked(identity, question, table=None):
        batch = make_batch(question[None], question[None], np.array([identity]))
        kept = rows.clone()
        if table is not None: rows[0] = table
        try: return Session(arc, batch, max_steps=3).root(0).logits
        finally: rows.copy_(kept)
    assert torch.equal(blank.logits, asked(0, root.question))
    assert torch.equal(other.logits, asked(names.index("00576224"), root.question))
    assert torch.allclose(mean.logits, asked(0, root.question, rows[1:].mean(0)), atol=1e-5)
    grid = np.rot90(to_grid(root.question))
    assert (to_grid(turned.question) == grid).all()
    right, moved = (to_grid(run.label.clamp(min=0).numpy()) for run in (root, turned))
    assert (moved == np.rot90(right)).all()
    assert torch.equal(turned.logits, asked(names.index(turned_name), turned.question))
    # what comes after it keeps it, and it can be changed back
    deeper = mean.branch(mean.trace.sites[4], ZeroAblation("z_L"))
    assert deeper.identity is None and torch.equal(deeper.logits[:1], mean.logits[:1])
    back = mean.branch(None, Identity("05269061"))
    assert torch.equal(back.logits, root.logits)
    assert "identity set to the mean of all" in mean.sentence and "a quarter turn left" in turned.sentence
    space = {}
    exec(turned.code(), space)
    assert torch.equal(space["rollout"].logits, turned.logits)

def test_an_identity_that_is_none_is_refused(arc, groups, maze):
    root = Session(arc, groups, max_steps=1).root(0)
    for edit, sentence in ((Identity("05269062"), "no identity of that name.*05269061"),
            (Identity(9999), "no such row; this model has 2298"),
            (Identity(True), "no identity of that name"),
            (Identity("00576224", turn=True), "another augmentation of the same task"),
            (Identity("<blank>", turn=True), "another augmentation of the same task")):
        with pytest.raises(InputError, match=sentence): root.branch(None, edit)
    board = next(maze.puzzle.generate(np.random.default_rng(0), "path9"))[0]
    with pytest.raises(InputError, match="no puzzle embedding"):
        Session(maze, make_batch(board[None], board[None]), 1).root(0).branch(None, Identity("<blank>"))
    unknown = Group(groups[0].train, groups[0].test, groups[0].codes, ["nothing"])
    with pytest.raises(InputError, match="task nothing: the model never learned it"): Session(arc, [unknown])

def test_tasks_from_a_file_and_from_a_dataset(arc, tmp_path):
    "A task as ARC's repository has it, without its answer; and a dataset's folder."
    content = json.loads((REFERENCE/"arc-agi_evaluation_challenges.json").read_text())["00576224"]
    (tmp_path/"00576224.json").write_text(json.dumps(content))
    session = Session(arc, tmp_path/"00576224.json", max_steps=1)
    assert len(session.demonstrations("00576224")) == 2 and len(session) == 1 and not session.labelled
    told = Explorer(session).header["packs"][0]
    assert told["task"]["identity"] == "00576224" and not told["scores"]
    found = puzzles_of(Arc(), str(REFERENCE), 3)
    known = json.loads((REFERENCE/"arc-agi_evaluation_challenges.json").read_text())
    for group in found: # as the files say, whatever augmentation and place the dataset shows them in
        pairs = [[to_grid(board).tolist() for board in pair] for pair in group.train]
        assert sorted(pairs) == sorted([p["input"], p["output"]] for p in known[group.names[0]]["train"])
        assert len(group.test) == len(known[group.names[0]]["test"])

# ---- in a browser ----------------------------------------------------------------

MOUNT = """async ([code, css, header, blob]) => {
    const bytes = text => Uint8Array.from(atob(text), c => c.charCodeAt(0)), ears = {};
    const values = { header, blob: bytes(blob) }, place = document.createElement("div");
    const heard = ([content, blobs]) => (ears["msg:custom"] ?? []).forEach(
        ear => ear(content, blobs.map(b => new DataView(bytes(b).buffer))));
    const model = { get: name => values[name], off: () => {},
        on: (name, ear) => (ears[name] ??= []).push(ear),
        send: question => { window.askPython(question).then(heard); } };
    document.head.append(Object.assign(document.createElement("style"), { textContent: css }));
    document.body.append(place);
    const url = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    (await import(url)).default.render({ model, el: place });
}"""

def open_widget(page, explorer):
    "The widget as a notebook mounts it, with this process for a kernel."
    def answer(question):
        content, blobs = explorer._answers(question)
        return [json.loads(json.dumps(content)), [base64.b64encode(blob).decode() for blob in blobs]]
    page.expose_function("askPython", answer)
    page.goto("about:blank")
    header = json.loads(json.dumps(explorer.header))
    page.evaluate(MOUNT, [static_bundle(), static_file("explorer.css"), header,
        base64.b64encode(explorer.blob).decode()])
    page.wait_for_selector(".trm-explorer[data-frame]")

def every_key(page):
    "Each key of the page's own list, and what it did."
    keys(page, "Home", " "); page.wait_for_timeout(400); page.keyboard.press(" ")
    assert int(told(page)["frame"]) > 0
    before = told(page)["reading"]
    keys(page, "v"); assert told(page)["reading"] != before
    keys(page, "v", "v", "m", "?"); assert page.locator(".trm-help").is_visible()
    page.keyboard.press("Escape"); assert page.locator(".trm-help").is_hidden()
    keys(page, "Home", "Shift+ArrowRight"); assert told(page)["site"].endswith("z_H")
    keys(page, "Shift+ArrowLeft"); assert told(page)["frame"] == "0"
    keys(page, "]"); until(page, puzzle="1", busy="")
    keys(page, "["); until(page, puzzle="0", busy="")
    page.locator(".trm-board").first.focus()
    for key in ("Enter", "ArrowDown", "ArrowRight", "Escape"): page.keyboard.press(key)
    assert told(page)["cell"] and told(page)["frame"] == "0"
    keys(page, "End"); assert told(page)["frame"] == told(page)["frames"]

def has_colour(page, *rgb):
    "Is a colour on the board?"
    return page.locator(".trm-board").first.evaluate("""(canvas, [r, g, b]) => {
        const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
        for (let i = 0; i < data.length; i += 4)
            if (data[i] === r && data[i + 1] === g && data[i + 2] === b) return true;
        return false;
    }""", list(rgb))

def site_text(site): return f"{site.step}.{site.cycle}.{site.substep}.{site.name}"

def watched(page):
    "What goes wrong on a page; the browser's advice on speed, for the readback above, is no mistake."
    wrong = []
    page.on("console", lambda m: wrong.append(m.text) if "willReadFrequently" not in m.text else None)
    page.on("pageerror", lambda e: wrong.append(str(e)))
    return wrong

BLUE, ORANGE = (0, 114, 178), (213, 94, 0)

def check_maze(page, run):
    "At every step the page says and draws what Python says."
    puzzle, label = run.session.puzzle, run.label.numpy()
    said = walk_to_the_end(page)
    assert [s["site"] for s in said] == ["question", *map(site_text, run.trace.sites)]
    every = len(run.session.schedule)
    for step, tokens in enumerate(run.tokens.numpy().astype(np.uint8), 1):
        now = said[step*every]
        assert now["board"] == puzzle.print(tokens)
        assert ", ".join(now["scores"].split(",")) == outcome(puzzle, run.question, tokens, label)
        keys(page, "Home", *["Shift+ArrowRight"]*step)
        drawn = puzzle.draw(run.question, tokens)
        assert has_colour(page, *BLUE) == any(not set(link) & set(drawn.broken) for link in drawn.links)
        assert has_colour(page, *ORANGE) == bool(drawn.broken or drawn.ends or any(drawn.wrong))
    keys(page, "Home"); assert told(page)["scores"] == "" and not has_colour(page, *BLUE)

def test_a_maze_is_walked_to_the_last_key(maze, open_page, pictures, tmp_path): # noqa: F811
    "From the first key to the last."
    made = maze.puzzle.generate(np.random.default_rng(1), "path36")
    pairs = zip(*(next(made) for _ in range(2)))
    explorer = Explorer(maze, make_batch(*map(np.stack, pairs)), max_steps=4)
    run = explorer.session.root(0)
    torn = [bool(maze.puzzle.draw(run.question, t).broken) for t in run.tokens.numpy().astype(np.uint8)]
    assert torn[0] and not torn[-1], "the first answer should be broken, and the last whole"
    page = open_page()
    wrong = watched(page)
    open_widget(page, explorer)
    check_maze(page, run)
    every_key(page)
    each_panel(page, pictures, "maze")
    # a wall on the path, and what the model makes of it
    step = next(i for i in np.flatnonzero(run.tokens[-1].numpy() == PATH))
    root_question = run.question
    explorer.session.root(0).branch(None, Given(int(step), 1))
    explorer.save_html(tmp_path/"maze.html")
    assert not wrong, wrong
    page, wrong = open_saved(open_page, tmp_path/"maze.html")
    check_maze(page, run)
    keys(page, "End", "5"); press(page, "B: show branch 1"); until(page, beside="0.1")
    page.screenshot(path=pictures/"maze-beside.png")
    assert (run.question == root_question).all() and not wrong, wrong

def open_saved(open_page, file):
    "A saved page without a network, and the list of what goes wrong in it."
    page = open_page(offline=True)
    wrong = watched(page)
    page.goto(file.as_uri())
    page.wait_for_selector(".trm-explorer[data-frame]")
    return page, wrong

def resume(page, branch):
    press(page, "Add"); press(page, "Resume from here"); until(page, beside=branch, busy="")

def test_an_arc_task_is_walked_to_the_last_key(arc, groups, open_page, pictures, tmp_path): # noqa: F811
    "From the first key to the last, and through the edits of its identity."
    explorer = Explorer(arc, groups, max_steps=4)
    run, puzzle = explorer.session.root(0), arc.puzzle
    page = open_page()
    wrong = watched(page)
    open_widget(page, explorer)
    said, every = walk_to_the_end(page), len(explorer.session.schedule)
    assert [s["site"] for s in said] == ["question", *map(site_text, run.trace.sites)]
    assert {(s["identity"], s["demonstrations"], s["question"]) for s in said} == {
        ("05269061", "3", puzzle.print(run.question))}
    assert said[0]["grid"] == "" # there is no answer yet
    for step, tokens in enumerate(run.tokens.numpy().astype(np.uint8), 1):
        grid = "|".join("".join(map(str, row)) for row in to_grid(tokens).tolist())
        assert (said[step*every]["grid"], said[step*every]["canvas"]) == (grid, "grids")
        assert said[step*every]["scores"] == outcome(puzzle, run.question, tokens, run.label.numpy())
    every_key(page)
    keys(page, "c"); assert told(page)["canvas"] == "whole"
    page.screenshot(path=pictures/"arc-canvas.png")
    keys(page, "c"); assert told(page)["canvas"] == "grids"
    each_panel(page, pictures, "arc")
    # the identity: blank, a mean, another task's, an augmentation's with the question; one left out again
    keys(page, "Home", "5"); choose(page, "what to change", "Identity")
    choose(page, "which task", "<mean>"); press(page, "Add")
    page.get_by_role("button", name="leave out: identity becomes the mean of all").click()
    assert page.locator(".trm-edits li").count() == 0
    choose(page, "which task", "<blank>"); resume(page, "0.1")
    assert told(page)["identityBeside"] == "<blank>"
    choose(page, "which task", "<mean>"); resume(page, "0.2")
    assert told(page)["identityBeside"] == "<mean>"
    choose(page, "which task", "00576224"); resume(page, "0.3")
    assert told(page)["identityBeside"] == "00576224"
    turned = "05269061|||t1|||0123456789"
    choose(page, "which task", "05269061"); choose(page, "in which augmentation", turned)
    page.get_by_role("checkbox", name="turn the question").check(); resume(page, "0.4")
    keys(page, "End")
    branches = explorer.session.branches
    assert told(page)["identityBeside"] == turned == arc.identities[branches[3].identity]
    assert told(page)["gridBeside"] == "|".join("".join(map(str, row))
        for row in to_grid(branches[3].tokens[-1].numpy()).tolist())
    assert [branch.sentence for branch in branches] == [s.inner_text().split(": ", 1)[1].split(" · ")[0]
        for s in page.locator(".trm-tree li > span").all()[1:]]
    page.screenshot(path=pictures/"arc-turned.png")
    explorer.save_html(tmp_path/"arc.html")
    assert not wrong, wrong
    page, wrong = open_saved(open_page, tmp_path/"arc.html")
    assert told(page)["demonstrations"] == "3"
    keys(page, "End", "5")
    assert "need a kernel" in page.locator(".trm-editor").inner_text()
    press(page, "B: show branch 3"); until(page, beside="0.3", identityBeside="00576224")
    page.screenshot(path=pictures/"arc-beside.png")
    assert not wrong, wrong
