"""A page that computes by itself: what it answers is compared with Python's session, array by array, and a
real browser goes on from a saved page, from a file and without a network."""
import base64, copy, json, re, time
from dataclasses import replace
import numpy as np, pytest, torch
from trm_lab.core.errors import InputError
from trm_lab.data.batches import make_batch
from trm_lab.interp.interventions import Given, Noise, ZeroAblation
from trm_lab.interp.session import Session
from trm_lab.models.checkpoints import Loaded, load_pretrained
from trm_lab.models.halting import BinaryHalting, QLearningHalting
from trm_lab.models.variants import ARCHITECTURES
from trm_lab.puzzles.arc import Arc
from trm_lab.puzzles.base import MovePuzzle
from trm_lab.puzzles.lights_out import LightsOut
from trm_lab.puzzles.lightup import LightUp
from trm_lab.puzzles.maze import Maze
from trm_lab.puzzles.nurikabe import Nurikabe
from trm_lab.puzzles.programs import FIRST, NONE, Programs, programs
from trm_lab.puzzles.queens import Queens
from trm_lab.puzzles.rush_hour import RushHour
from trm_lab.puzzles.sokoban import Sokoban
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.views.explorer import Explorer, _RequestHandler
from trm_lab.views.live import live_sides
from trm_lab.views import packs
from trm_lab.views.packs import SessionView, facts_of_cell
from trm_lab.views.page import MODULES, THREAD, page_header, static_bundle, static_file
from test_explorer import (arrays, check_flow, check_pace, choose, click_cell, keys, pictures, press, small, # noqa: F401
    told, until)
from test_tasks import watched

OPEN = """async ([code, header, models]) => {
    const { Answers } = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
    window.answers = new Answers(header, Uint8Array.from(atob(models), c => c.charCodeAt(0)));
    window.ask = (message) => {
        const { bytes = new Uint8Array(), ...content } = window.answers.answer(message);
        let text = "";
        for (const byte of bytes) text += String.fromCharCode(byte);
        return [content, btoa(text)];
    };
}"""

class Live:
    "What a page's own session answers, beside Python's."
    def __init__(self, page, *sessions):
        page.goto("about:blank")
        self.page = page
        views = [SessionView(session, "B:"*number) for number, session in enumerate(sessions)]
        self.python = _RequestHandler(views)
        sides, models = live_sides(views)
        header = json.loads(json.dumps({**page_header(views, kernel=True), "packs": [], "live": sides}))
        page.evaluate(OPEN, [static_bundle(THREAD[:-1]), header, base64.b64encode(models).decode()])

    def both(self, **message):
        "Two answers: [(what JSON holds, arrays)] of the page and of Python."
        content, text = self.page.evaluate("message => window.ask(message)", message)
        told, blobs = self.python({"id": 0, **message})
        assert "error" not in told, told
        told = json.loads(json.dumps({name: value for name, value in told.items() if name != "id"}))
        return [(content, read(content, base64.b64decode(text))), (told, read(told, b"".join(blobs)))]

    def compare(self, **message):
        (ours, mine), (theirs, yours) = self.both(**message)
        check_told(ours, theirs)
        assert list(mine) == list(yours)
        for name, values in yours.items(): check_array(name, mine[name], values)
        for name, scale in theirs.get("scale", {}).items():
            check_positions(name, mine, yours, ours["scale"][name], scale)
        return ours, mine

def read(told, blob): return arrays(told, blob) if "arrays" in told else {}

def check_told(ours, theirs):
    "What JSON holds is the same; numbers that were computed are near."
    assert set(ours) == set(theirs)
    for name, value in theirs.items():
        if name in ("scale", "explained"):
            near = lambda d: np.array([v for group in d.values()
                for v in np.ravel(list(group.values()) if isinstance(group, dict) else group)])
            assert np.allclose(near(ours[name]), near(value), atol=1e-3), name
        else: assert ours[name] == value, (name, ours[name], value)

# numbers that say how something moved are quotients of small differences
NEAR = {"turn": 2e-2, "toward": 1e-3, "path": 2e-3, "divergence": 2e-4, "channels": 2e-4}

def check_array(name, mine, yours):
    assert mine.shape == yours.shape and mine.dtype == yours.dtype, name
    if name in NEAR or mine.dtype == np.float32:
        assert np.allclose(mine, yours, atol=NEAR.get(name, 2e-4), equal_nan=True), (name, np.nanmax(
            np.abs(mine - yours)))
    elif name in ("confidence", "share"):
        assert np.abs(mine.astype(int) - yours).max() <= 1, name # rounded to 255ths
    elif name not in ("norm", "component"): assert (mine == yours).all(), name

def check_positions(name, mine, yours, scale, wanted):
    "What is kept in 255ths of a scale: all planes have one for the norm, and each latent one per component."
    planes = {latent: np.unique(yours["plane"][:, n]) for n, latent in enumerate(wanted)} \
        if isinstance(wanted, dict) else {None: slice(None)}
    for latent, which in planes.items():
        found, right = ((low + data[name][which]/255*(high - low), (high - low)/255) for data, (low, high) in
            ((mine, scale[latent] if latent else scale), (yours, wanted[latent] if latent else wanted)))
        assert np.abs(found[0] - right[0]).max() <= found[1]/2 + right[1]/2 + 5e-4, (name, latent)

# ---- what the page's session answers -----------------------------------------

def refused(page, message): # what an error says
    return page.evaluate("""message => { try { window.ask(message); }
        catch (error) { return error.message; } }""", message)

def puzzles_of(loaded, count=3, seed=5): return make_batch(*loaded.fresh(count, seed))

def try_everything(live, session):
    "All kinds of requests and edits; the branches continue each other."
    name, other = session.names[-1], session.names[0]
    frame = len(session.schedule) + 1
    live.compare(ask="run", run="0")
    given = int(np.flatnonzero(session.batch.inputs[0].numpy() > 1)[0])
    token = next(t for t in session.askable if t != int(session.batch.inputs[0, given]))
    chains = [("0", frame, []), ("0", 0, [dict(kind="Given", cell=given, token=token)]),
        ("0", frame, [dict(kind="ZeroAblation", name=name, cells=None)]),
        ("0.3", frame + 1, [dict(kind="Noise", name=other, size=0.5, seed=3, cells=[1, 2]),
            dict(kind="Given", cell=given, token=token)]),
        ("0", len(session.schedule), [dict(kind="Noise", name=name, size=1., seed=2**31 + 7, cells=None)]),
        ("0.4", frame + 2, [dict(kind="ActivationPatch", name=other, of="1", cells=None),
            dict(kind="MeanAblation", name=name, cells=[0])])]
    for run, at, edits in chains: live.compare(ask="branch", run=run, frame=at, edits=edits)
    live.compare(ask="tree")
    live.compare(ask="latents", run="0.4", frame=frame + 3, name=name)
    blank = int(np.flatnonzero(session.batch.inputs[0].numpy() != session.batch.inputs[0, given].item())[0])
    for cell in (given, blank): live.compare(ask="cell", run="0.3", cell=cell)
    for run, at in (("0", 1), ("0", frame), ("0.4", frame + 1), ("0.4", frame + 2), ("0.2", 1)):
        live.compare(ask="stages", run=run, frame=at, cell=blank)
    for a, b in (("0", "0.3"), ("0.4", "1"), ("0.6", "0.4"), ("0", "0.1")):
        live.compare(ask="divergence", a=a, b=b)
    again = """() => { // from nothing, after what was remembered is dropped
        const packs = () => ["0", "0.4", "0.6"].map(run => window.ask({ ask: "run", run })[1]).join();
        const before = packs();
        window.answers.sides[0].traces.clear();
        return packs() === before;
    }"""
    assert live.page.evaluate(again), "computed twice, a rollout should be the same to the bit"

@pytest.mark.parametrize("name", ["sudoku-6x6", "maze-15x15", "arc-10x10"])
def test_the_page_answers_as_python_does(open_page, name):
    "Trained models: boards are equal, latents within 1e-4."
    loaded = load_pretrained(name)
    session = Session(loaded, puzzles_of(loaded, 2), max_steps=3)
    live = Live(open_page(), session)
    try_everything(live, session)

@pytest.mark.parametrize("arch", [name for name in ARCHITECTURES if name != "trm_equivariant"])
def test_every_system_answers_alike(open_page, arch):
    "One latent or seven, one update a supervision step or many; one step, which amplifies no rounding."
    four = Sudoku(2, 2)
    session = Session(small(four, arch), "1" + "."*15 + "\n" + "."*15 + "2", 1, four)
    live = Live(open_page(), session)
    live.compare(ask="run", run="1")
    for frame in range(1, len(session.schedule) + 1): # every update of a step, taken apart
        ask = dict(ask="stages", run="1", frame=frame, cell=frame % 16)
        if "error" not in (told := live.python({"id": 0, **ask})[0]): live.compare(**ask)
        else:
            assert arch == "fixed_point" and frame < len(session.schedule)
            assert refused(live.page, ask)[4:-1] in told["error"] # the same sentence
    for name in session.names:
        told, _ = live.compare(ask="branch", run="0", frame=1,
            edits=[dict(kind="ZeroAblation", name=name, cells=None)])
        live.compare(ask="cell", run=told["run"], cell=2)

TYPES = [(LightsOut(3, 2), "*....*"), (LightsOut(1, 1), "*"), (Maze(5, 3), "S  ##     ##  G"),
    (Maze(2, 3), "S#G ##"), (Sudoku(2, 3), "11" + "."*34), (Arc(5), "012|345"),
    (RushHour(4, 5), "ooBBoooCooAACooooCDD"), (RushHour(4, 5), "oooxoooCxoAACxoooCDD"),
    (RushHour(4, 5), "oooooAABBooooooCCooo"), (RushHour(4, 5), "BBoooooCooooCooooDDo"),
    (Queens(5), "Q...." + "."*10 + "-"*10), (Queens(6), ".Q...." + "."*30),
    (LightUp(4, 3), "..1...#..0.."), (LightUp(3, 3), ".2..#...."), (LightUp(2, 3), "*....*"),
    (Nurikabe(3, 4), "2.....1...3."), (Nurikabe(3, 3), "2...~...4"),
    (Sokoban(6, 6), "#######@--.##-$--##--$-##.---#######"),
    (Sokoban(5, 7), "########-@$-.##-$---##.----########"),
    (Sokoban(5, 6), "#######+--$##----##----#######"), (Sokoban(5, 5), "######@$.##---##---######"),
    (Programs(3, 2), "51________5854_84___573_______..________"),
    (Programs(3, 1), "12___21___12___12________._________".ljust(40, "_")),
    (Programs(3, 1), "_"*30 + "." + "_"*9)]

def test_the_rules_of_every_type(open_page):
    "Boards that break them in all ways: random answers to questions, some of which have no answer at all."
    rng, page = np.random.default_rng(0), open_page()
    for puzzle, text in TYPES:
        live = Live(page, Session(small(puzzle), text, 1, puzzle))
        side, question = live.python.sides[0], live.python.sides[0].session.batch.inputs[0].numpy()
        asked = question.astype(np.uint8)
        answers = [asked, *(np.where(rng.random(len(asked)) < share, rng.integers(puzzle.vocab_size,
            size=len(asked)), asked).astype(np.uint8) for share in (0.05, 0.1, 0.2, 0.5) for _ in range(40))]
        try: solved = puzzle.solutions(asked)
        except InputError: solved = []
        answers += solved or []
        if solved and isinstance(puzzle, MovePuzzle): answers += puzzle.moves(asked)
        if isinstance(puzzle, Programs): # every program; some are wrong on held-out lists only
            for program in programs(puzzle.length):
                end = np.array([*program, *[NONE - FIRST]*(puzzle.length - len(program))]) + FIRST
                answers.append(np.concatenate([asked[:puzzle.place.start], end, asked[puzzle.place.stop:]]))
        for answer in solved or []: # right but for a cell or two, and not finished
            for _ in range(20):
                some, others = rng.random((2, len(asked)))
                any_tokens = rng.integers(puzzle.vocab_size, size=len(asked))
                answers += [np.where(change, tokens, answer).astype(np.uint8)
                    for change, tokens in ((some < 0.1, any_tokens), (others < 0.2, asked))]
        found = page.evaluate("""([question, answers]) => answers.map(answer => {
            const { rules } = window.answers.sides[0];
            const { wrong, verdict } = rules.judge(question, answer, null);
            const bytes = marks => Object.fromEntries(Object.entries(marks).map(([k, v]) => [k, [...v]]));
            return { wrong, verdict, marks: verdict === 3 ? {} : bytes(rules.marks(question, answer)),
                scores: rules.scores(question, answer) ?? {}, printed: rules.print(answer) };
        })""", [asked.tolist(), [a.tolist() for a in answers]])
        for answer, ours in zip(answers, found):
            wrong, verdict = side.judge(asked, answer, None)
            marks = {name: v.tolist() for name, v in side.judge.marks(asked, answer, None).items()}
            right = np.flatnonzero(np.unpackbits(wrong)[:len(answer)]).tolist()
            assert (ours["wrong"], ours["verdict"], ours["marks"]) == (right, verdict, marks), answer
            try: scores = {n: v for n, v in puzzle.scores(asked, answer).items() if n != "solved"}
            except InputError: scores = {}
            assert ours["scores"] == scores
            if (answer > 1).all() or puzzle.type != "arc" and answer.all():
                assert ours["printed"] == puzzle.print(answer)

LATER = [(puzzle, text) for puzzle, text in TYPES
    if isinstance(puzzle, Queens | LightUp | Nurikabe | Sokoban | Programs)]

def test_what_the_givens_say_of_a_cell(open_page):
    page = open_page()
    for puzzle, text in LATER:
        session = Session(small(puzzle), text, 1, puzzle)
        rollout, _ = session.root(0), Live(page, session)
        facts = page.evaluate("""([question, label]) => question.map((_, cell) =>
            window.answers.sides[0].rules.facts(question, label, cell))""",
            [rollout.question.tolist(), known_answer(rollout)])
        for cell, found in enumerate(facts): assert found == facts_of_cell(rollout, cell), (puzzle.name, cell)

def known_answer(rollout):
    "The label that the facts of a cell are told from; None: there is none."
    label = packs._known_answer(rollout, rollout.question.astype(np.uint8))
    return None if label is None else label.tolist()

def test_symmetries_of_the_page_keep_answers_right(open_page):
    page = open_page()
    for puzzle, text in LATER:
        Live(page, Session(small(puzzle), text, 1, puzzle))
        question = puzzle.parse(text)
        if not (answers := puzzle.solutions(question)): continue
        images = page.evaluate("""([question, answer]) => {
            const { rules } = window.answers.sides[0], images = [];
            for (let view = 0; view < (rules.views ?? 8); view++) {
                const { cells, tokens } = rules.symmetry(Math.random, view);
                const turned = (board) => cells.map((i) => tokens ? tokens[board[i]] : board[i]);
                images.push([turned(question), turned(answer)]);
            }
            return images;
        }""", [question.tolist(), answers[0].tolist()])
        assert len(images) == (8 if puzzle.rows == puzzle.cols or puzzle.type == "programs" else 4)
        for image in np.array(images, np.uint8): assert puzzle.check(*image).solved, (puzzle.name, image)
        assert len({image[0].tobytes() for image in np.array(images, np.uint8)}) > 1

def test_boards_are_read_as_python_reads_them(open_page):
    page = open_page()
    for puzzle, texts in ((Sudoku(2, 3), ["12....\n......\n"*3, "1_0*2|. - "]),
            (Maze(2, 3), ["S#G\n. o", "S#"]), (LightsOut(2, 2), ["*0 .1", "**"]),
            (RushHour(4, 4), ["oBoo oB.x AAoo CCCo", "kpoo kqoo AAoo oooo", "o"*15, "?" + "o"*15,
                "BooB" + "o"*12, "AooA" + "o"*12, "ABoo ABoo oooo oooo"]),
            (Queens(5), ["Q-..." + "."*20, "Q"*24, "q" + "."*24]), (LightUp(2, 2), [".#4*", ".-", "..5."]),
            (Nurikabe(2, 2), [".~o9", "..", "..0."]),
            (Programs(3, 1), ["12___21___"*3 + "R" + "_"*9, "Z" + "_"*39, "_"*30 + "." + "_"*8]),
            (Sokoban(5, 5), ["#"*6 + "@$.##-- -##c--" + "#"*6, "?" + "#"*24]),
            (Arc(5), ["01|23", "012\n345", "01|2", "1"*40])):
        Live(page, Session(small(puzzle), TEXTS[puzzle.type], 1, puzzle))
        for text in texts:
            found = page.evaluate("""text => { try { return window.answers.sides[0].rules.parse(text); }
                catch (error) { return error.message; } }""", text)
            for sign, plain in SPELLINGS.get(puzzle.type, {}).items(): text = text.replace(sign, plain)
            try: right = puzzle.parse(text).tolist()
            except InputError: right = None
            assert found == right if right else isinstance(found, str) and len(found) > 20, (text, found)

SPELLINGS = {"sudoku": {"_": ".", "*": "."}, "maze": {".": " "}, "lights_out": {"0": ".", "1": "*"}}
TEXTS = {"sudoku": "."*36, "maze": "S  #G ", "lights_out": "*...", "arc": "12", "rush_hour": "AAoo" + "o"*12,
    "queens": "."*25, "lightup": "....", "nurikabe": "1...", "sokoban": "######@$.##---##---######",
    "programs": "_"*30 + "." + "_"*9}

def test_an_identity_is_an_edit_in_the_page(open_page):
    loaded = load_pretrained("arc-10x10")
    session = Session(loaded, puzzles_of(loaded, 1), max_steps=2)
    task = session.identity_name(session.root(0).identity)
    others = [name for name in loaded.identities if name.startswith(f"{task}|||")]
    stranger = next(name for name in loaded.identities[1:] if not name.startswith(task))
    live = Live(open_page(), session)
    for identity, turn in (("<mean>", False), ("<blank>", False), (stranger, False), (others[0], True),
            (others[-1], True)):
        told, _ = live.compare(ask="branch", run="0", frame=0,
            edits=[dict(kind="Identity", identity=identity, turn=turn)])
    assert told["task"]["demonstrations"] and "and the question with it" in told["sentence"]
    back = dict(kind="Identity", identity=task, turn=True)
    live.compare(ask="branch", run=told["run"], frame=3, edits=[back])

def test_code_from_the_page_makes_the_same_tensors(open_page):
    "Of what Python's session has and of puzzles that were typed: the same boards, latents within 1e-4."
    for name, text, edit in (("sudoku-6x6", "..3.......5.4....1.1.......2...6...4",
            dict(kind="ActivationPatch", name="z_L", of="1", cells=[7])), ("maze-15x15", None,
            dict(kind="ZeroAblation", name="z_H", cells=None)), ("arc-10x10", "012|345",
            dict(kind="Identity", identity="<blank>", turn=False))):
        loaded = load_pretrained(name)
        session = Session(loaded, puzzles_of(loaded, 2, 4), 2, halting=loaded.policy(2))
        live, run = Live(open_page(), session), "1"
        ask = lambda **message: live.page.evaluate("m => window.ask(m)", message)
        if text:
            identity = session.identity_name(session.root(0).identity) if session.identities else None
            run = str(ask(ask="puzzle", text=text, identity=identity)[0]["puzzle"])
        noise = dict(kind="Noise", name="z_L", size=0.5, seed=9, cells=[1, 2])
        first = ask(ask="branch", run=run, frame=2, edits=[noise])[0]["run"]
        second = ask(ask="branch", run=first, frame=4, edits=[edit])[0]["run"]
        code = ask(ask="code", run=second, beside=run, frame=3, reading="renewed")[0]["text"]
        space = {}
        exec(code, space)
        for key, rollout in ((second, space["rollout"]), (run, space["other"])):
            for latent in session.names:
                told, blob = ask(ask="latents", run=key, frame=rollout.length, name=latent)
                mine = read(told, base64.b64decode(blob))["channels"]
                apart = np.abs(mine - rollout.latent(rollout.trace.sites[-1], latent).numpy()).max()
                assert apart < 1e-4, (name, key, latent, apart)

# ---- halting, all puzzles, two models ------------------------------------------

RULES = {"usual": None, "strict": BinaryHalting(threshold=0.9, certain=1.),
    "q": QLearningHalting(certain=0.95), "eager": BinaryHalting(threshold=0.125, certain=0.)}

def test_rollouts_end_where_pythons_end(open_page):
    "Whatever the rule; and the overview goes on to the last step."
    page, loaded = open_page(), load_pretrained("sudoku-4x4")
    model = copy.deepcopy(loaded.model)
    with torch.no_grad(): model.q_head.weight[1] = 0.3*model.q_head.weight[0] # a second action
    batch = puzzles_of(loaded, 8, 2)
    for name, rule in RULES.items():
        session = Session(replace(loaded, model=model), batch, 8, halting=rule)
        live = Live(page, session)
        steps = [live.compare(ask="run", run=str(i))[0]["steps"] for i in range(8)]
        assert steps == [session.root(i).steps for i in range(8)]
        assert (set(steps) == {8}) == (rule is None), name
        rows = [live.page.evaluate("m => window.ask(m)", {"ask": "overview", "from": i}) for i in range(8)]
        seen = [read(content, base64.b64decode(text)) for content, text in rows]
        told, blob = live.python.sides[0].overview_pack(0)
        for column, values in arrays(told, blob).items():
            check_array(column, np.concatenate([part[column] for part in seen]), values)

def test_two_models_in_one_page(open_page):
    loaded, text = load_pretrained("sudoku-6x6"), "..3... ....5. 4....1 .1.... ...2.. .6...4"
    other = Loaded(small(loaded.puzzle, "hrm"), loaded.puzzle, {}, "q_learning")
    live = Live(open_page(), Session(loaded, text, 1), Session(other, text, 1))
    live.compare(ask="run", run="B:0")
    live.compare(ask="branch", run="B:0", frame=2, edits=[dict(kind="ZeroAblation", name="z_L", cells=None)])
    live.compare(ask="divergence", a="B:0", b="B:0.1")
    live.compare(ask="tree")
    said = live.page.evaluate("""() => { try { return window.ask({ ask: "divergence", a: "0", b: "B:0" }); }
        catch (error) { return error.message; } }""")
    assert "no latents in common" in said

class Own(BinaryHalting):
    "A rule of one's own."
    def stop(self, output, before=None): return output.q_halt > 4

def test_what_cannot_be_live_is_refused(tmp_path):
    six = load_pretrained("sudoku-6x6")
    for session, why in ((Session(six, "."*36, 1, halting=Own()), "Own is your own Python code"),
            (Session(load_pretrained("sudoku-4x4", dtype=torch.bfloat16), "."*16, 1), "dtype=torch.float32")):
        with pytest.raises(InputError, match=why):
            Explorer(session).save_html(tmp_path/"page.html", live=True)
    assert not list(tmp_path.iterdir())

NAMES = re.compile(r"^(?:export )?(?:async )?(?:function\*?|class|const|let) "
    r"(\{[^}]*\}|\[[^\]]*\]|\w+)", re.M)

def test_no_name_stands_at_the_top_of_two_modules():
    for modules in (MODULES, THREAD, (*MODULES, "solver")):
        owners = {}
        for module in modules:
            for declared in NAMES.findall(static_file(f"{module}.js")):
                for name in re.findall(r"\w+", declared):
                    assert owners.setdefault(name, module) == module, name

# ---- a saved page, without Python and network ------------------------------------

def open_live(open_page, explorer, path, **options):
    "A live page from a file, without a network: the page, and what went wrong or was asked for."
    explorer.save_html(path, live=True)
    page, asked = open_page(offline=True, **options), []
    wrong = watched(page)
    page.on("request", lambda r: asked.append(r.url) if not r.url.startswith(("file:", "blob:")) else None)
    page.goto(path.as_uri())
    page.wait_for_selector(".trm-explorer[data-frame]")
    return page, wrong, asked

def board_of(run, step=-1): return run.session.puzzle.print(run.tokens[step].numpy().astype(np.uint8))

def change_given(page, cell, token):
    click_cell(page, cell)
    choose(page, "what to change", "Given"); choose(page, "token", str(token)); press(page, "Add")

def test_a_saved_page_goes_on_by_itself(open_page, tmp_path):
    "Givens, latents, a cell, channels: as Python's session goes on, and twice the same to the bit."
    loaded = load_pretrained("sudoku-6x6")
    explorer, here = Explorer(loaded, puzzles_of(loaded, 3)), tmp_path/"live.html"
    root = explorer.session.root(0)
    root.branch(root.place(7), Noise("z_L", 0.5, 3)) # one that was made before
    page, wrong, asked = open_live(open_page, explorer, here)
    assert here.stat().st_size < 3e6
    given = int(np.flatnonzero(root.question > 1)[0])
    token = int(root.question[given]) % 6 + 2
    keys(page, "5"); change_given(page, given, token)
    press(page, "Resume from here"); until(page, beside="0.2"); keys(page, "End")
    changed = root.branch(None, Given(given, token))
    assert told(page)["boardBeside"] == board_of(changed) and told(page)["board"] == board_of(root)
    keys(page, "Home", *["ArrowRight"]*9)
    choose(page, "what to change", "ZeroAblation"); choose(page, "latent", "z_L"); press(page, "Add")
    start = time.monotonic(); press(page, "Resume from here"); until(page, beside="0.3")
    print(f"\na branch of sudoku-6x6 from update 9: {time.monotonic() - start:.2f} s")
    without = root.branch(root.place(9), ZeroAblation("z_L"))
    assert page.locator(".trm-tree li > span").all()[-1].inner_text().split(": ", 1)[1].startswith(
        without.sentence)
    keys(page, "End"); assert told(page)["boardBeside"] == board_of(without)
    press(page, "A: show branch 1"); until(page, run="0.1") # what Python made is continued
    keys(page, "Home", *["ArrowRight"]*11, "5"); press(page, "Resume from here"); until(page, beside="0.4")
    assert told(page)["identical"] == "true" and told(page)["differs"] == "never"
    # the chart of two branches, a cell's distribution, and a latent's channels
    press(page, "A: show branch 3"); until(page, run="0.3")
    page.wait_for_function("() => document.querySelector('.trm-explorer').dataset.divergence")
    keys(page, "4"); click_cell(page, given)
    says = page.locator(".trm-panel:visible .trm-says")
    page.wait_for_function("() => !document.querySelector('.trm-panel:not([hidden]) .trm-says').textContent"
        ".includes('asking')")
    assert "known" not in says.inner_text()
    keys(page, "3"); press(page, "channels")
    page.get_by_role("spinbutton", name="channel").wait_for()
    choose(page, "puzzle", "2"); until(page, puzzle="2", run="2", busy="")
    keys(page, "End"); assert told(page)["board"] == board_of(explorer.session.root(2))
    check_pace("live page", page)
    assert not wrong and not asked, (wrong, asked)

@pytest.mark.parametrize("name", ["sudoku-6x6", "sudoku-6x6-hrm", "maze-9x9",
    *(pytest.param(f"sudoku-6x6-{other}", marks=pytest.mark.soak) for other in ("attention", "single-z"))])
def test_one_update_down_to_a_number(open_page, pictures, tmp_path, name): # noqa: F811
    "The cell's vectors at every stage, whom it listens to; by mouse and keyboard, and on a phone."
    loaded = load_pretrained(name)
    explorer = Explorer(loaded, puzzles_of(loaded, 1), max_steps=2)
    root = explorer.session.root(0)
    root.branch(root.place(1), ZeroAblation(root.session.names[-1]))
    page, wrong, asked = open_live(open_page, explorer, tmp_path/"live.html")
    keys(page, "6", "Home")
    assert "before any update" in page.locator(".trm-flow").inner_text()
    keys(page, "ArrowRight")
    free = int(np.flatnonzero(~np.array(loaded.puzzle.draw(root.question, root.question).given))[0])
    check_flow(page, root, free, 3) # the first cell that is not given
    keys(page, "Shift+ArrowRight"); check_flow(page, root, free, 60)
    box = page.locator(".trm-whole .trm-map").first.bounding_box() # the cell in the middle
    page.mouse.click(box["x"] + box["width"]/2 + 2, box["y"] + box["height"]/2 + 2)
    rows, cols = loaded.puzzle.rows, loaded.puzzle.cols
    cell = rows//2*cols + cols//2
    until(page, cell=str(cell)); check_flow(page, root, cell, 0)
    branch = explorer.session.branches[0]
    keys(page, "5"); press(page, "A: show branch 1"); until(page, run="0.1")
    keys(page, "6", "Home", "ArrowRight"); check_flow(page, branch, cell, 1) # the update before the change
    assert "update before its change" in page.locator(".trm-flow").inner_text()
    keys(page, "ArrowRight"); check_flow(page, branch, cell, 1)
    page.screenshot(path=pictures/f"flow-{name}.png", full_page=True)
    page.set_viewport_size({"width": 390, "height": 844})
    page.wait_for_timeout(200)
    assert page.evaluate("() => document.documentElement.scrollWidth") <= 390
    page.screenshot(path=pictures/f"flow-{name}-phone.png", full_page=True)
    assert not wrong and not asked, (wrong, asked)

def check_tour(page, wipes):
    "From the first step to the last by keyboard alone; what each brings to the page."
    explorer = page.locator(".trm-explorer")
    explorer.focus(); page.keyboard.press("t")
    panels = ["path", "latents", "latents", "path", "path", "halting", "branches", "flow"]
    for step, (panel, forth) in enumerate(zip(panels, ["ArrowRight", "PageDown"]*4), 1):
        until(page, tour=str(step), panel=panel)
        assert page.locator(".trm-pointed").count() == 1 and page.locator(".trm-tour p").inner_text()
        assert page.locator(".trm-count").inner_text() == f"{step} of 8"
        assert page.evaluate("() => document.documentElement.scrollWidth <= innerWidth")
        if step == 3: # and back
            page.keyboard.press("ArrowLeft"); until(page, tour="2"); page.keyboard.press("PageDown")
            until(page, tour="3")
        wipe = page.get_by_role("button", name="Wipe and go on")
        assert wipe.is_visible() == (step == 7)
        if step == 7 and wipes:
            wipe.focus(); page.keyboard.press("Enter"); page.wait_for_function(
                "() => document.querySelector('.trm-tour p').textContent.includes('went on without')")
            assert told(page)["beside"]
        page.keyboard.press(forth)
    until(page, tour="")
    assert page.locator(".trm-tour").is_hidden() and page.locator(".trm-pointed").count() == 0
    page.keyboard.press("t"); until(page, tour="1"); page.keyboard.press("Escape"); until(page, tour="")
    keys(page, "End"); assert told(page)["frame"] == told(page)["frames"] # the keys are the page's again

@pytest.mark.parametrize("name", ["sudoku-6x6", pytest.param("sudoku-6x6-single-z", marks=pytest.mark.soak)])
def test_the_tour_by_keyboard(open_page, pictures, tmp_path, name): # noqa: F811
    "In a live page, on a phone, and in a page that only replays."
    loaded = load_pretrained(name)
    explorer = Explorer(loaded, puzzles_of(loaded, 1), max_steps=4)
    page, wrong, asked = open_live(open_page, explorer, tmp_path/"live.html")
    check_tour(page, wipes=True)
    phone, lost, more = open_live(open_page, explorer, tmp_path/"phone.html", color_scheme="dark")
    phone.set_viewport_size({"width": 390, "height": 844})
    check_tour(phone, wipes=False)
    keys(phone, "t"); phone.screenshot(path=pictures/f"tour-{name}-phone.png")
    explorer.save_html(tmp_path/"replay.html")
    phone.goto((tmp_path/"replay.html").as_uri()); phone.wait_for_selector(".trm-explorer[data-frame]")
    check_tour(phone, wipes=False)
    assert not (wrong or asked or lost or more), (wrong, asked, lost, more)

def explorer_fits(page): # nothing reaches over its right edge
    return page.locator(".trm-explorer").evaluate("e => e.scrollWidth <= e.clientWidth")

def panel_text(page): return page.locator(".trm-panel:visible").inner_text()

def test_every_panel_follows_a_or_b(open_page, pictures, tmp_path): # noqa: F811
    "Two models whose steps have different numbers of updates, and a branch of the second one."
    loaded = load_pretrained("sudoku-6x6")
    explorer = Explorer.compare(loaded, load_pretrained("sudoku-6x6-hrm"), puzzles_of(loaded, 1), max_steps=2)
    first, second = (side.session.root(0) for side in explorer._answers.sides)
    page, wrong, _ = open_live(open_page, explorer, tmp_path/"two.html")
    until(page, beside="B:0", overview="1/1")
    keys(page, "Home", *["ArrowRight"]*3, "4")
    page.locator(".trm-board").first.focus(); page.keyboard.press("Enter"); page.keyboard.press("ArrowDown")
    cell = int(told(page)["cell"]); assert cell == 6
    keys(page, "6"); check_flow(page, first, cell, 2)
    keys(page, "b"); until(page, follows="B")
    check_flow(page, second, cell, 2, frame=9) # after 3 updates of 2 in a step: 9 of 6
    for number, panel in enumerate(("path", "halting", "latents", "cell", "branches"), 1):
        keys(page, str(number)); assert panel_text(page)
        assert explorer_fits(page)
        if panel == "halting": assert panel_text(page).split("puzzle 1")[0].endswith("second model, ")
    page.screenshot(path=pictures/"follows-b.png", full_page=True)
    page.wait_for_function("() => location.hash.includes('follows=B')")
    choose(page, "what to change", "ZeroAblation"); press(page, "Add")
    press(page, "Resume from here"); until(page, run="B:0", beside="B:0.1", follows="A", frame="9")
    branch = second.branch(second.place(9), ZeroAblation("z_H"))
    assert branch.sentence in panel_text(page) and "cycle 1, substep 3 (z_H)" in branch.sentence
    assert "cycle 1, substep 3" in page.locator(".trm-where").first.inner_text() # counted as steps are
    # the address brings somebody else there
    page.wait_for_function("() => location.hash.includes('ZeroAblation')")
    other = open_page(offline=True)
    lost = watched(other)
    other.goto(page.evaluate("() => location.href"))
    until(other, run="B:0", beside="B:0.1", frame="9", panel="branches", cell="6")
    assert told(other)["boardBeside"] == told(page)["boardBeside"]
    assert not wrong and not lost, (wrong, lost)

def test_an_address_of_another_model_is_refused(open_page, tmp_path):
    "In a sentence; and a slow page loses nothing of an address before it was read."
    loaded = load_pretrained("sudoku-4x4")
    page, wrong, _ = open_live(open_page, Explorer(loaded, puzzles_of(loaded, 2), max_steps=2),
        tmp_path/"live.html")
    keys(page, "2"); press(page, "threshold")
    page.get_by_role("slider", name="threshold").fill("0.3")
    page.wait_for_function("() => location.hash.includes('threshold=0.3')")
    address = page.evaluate("() => location.href")
    assert "model=sudoku-4x4&" in address and "policy=threshold" in address
    other = open_page(offline=True)
    other.goto(address); until(other, panel="halting", policy="threshold", threshold="0.3")
    strange = open_page(offline=True)
    strange.goto(address.replace("sudoku-4x4", "<b>other"))
    until(strange, notice="This address is about <b>other, and this page has sudoku-4x4; open the page that "
        "it came from.")
    assert not wrong, wrong

def test_the_page_may_do_only_what_it_needs(open_page, tmp_path):
    "WebAssembly is compiled, text is not; a thread starts from inside, and from nowhere else."
    four = load_pretrained("sudoku-4x4")
    page, _, _ = open_live(open_page, Explorer(four, "."*16, max_steps=1), tmp_path/"live.html")
    page.evaluate("() => document.addEventListener('securitypolicyviolation', "
        "e => { (window.refused ??= []).push(e.effectiveDirective); })")
    page.evaluate("""() => setTimeout(() => { // later, because a debugger's own code may do more
        try { window.eval("window.hit = 1"); } catch {}
        try { new Worker("data:text/javascript,1"); } catch {}
        fetch("https://example.org").catch(() => {});
    })""")
    page.wait_for_function("() => window.refused?.length >= 3")
    assert {"script-src", "worker-src", "connect-src"} <= set(page.evaluate("() => window.refused"))
    assert page.evaluate("() => window.hit") is None
    assert "'unsafe-eval'" not in (tmp_path/"live.html").read_text()

def typed(page, text):
    "Type a puzzle of one's own."
    press(page, "New puzzle")
    page.locator(".trm-typing textarea").fill(text)
    page.locator(".trm-typing").get_by_role("button", name="Solve it").click()

def until_says(page, where, words):
    page.wait_for_function("([where, words]) => document.querySelector(where).textContent.includes(words)",
        arg=[where, words])

def test_a_puzzle_is_typed_and_sent_to_somebody(open_page, pictures, tmp_path):
    "A board of one's own; the view as an address, as code, and as a page that somebody else goes on with."
    loaded = load_pretrained("sudoku-6x6")
    explorer = Explorer(loaded, puzzles_of(loaded, 2), max_steps=8)
    page, wrong, asked = open_live(open_page, explorer, tmp_path/"live.html")
    text = "..3.......5.4....1.1.......2...6...4"
    until(page, overview="2/2")
    typed(page, text[:-1])
    until_says(page, ".trm-typing .trm-wrong", "35 were given")
    page.keyboard.press("Escape"); assert page.locator(".trm-typing").is_hidden()
    typed(page, "1......1".ljust(36, "."))
    until(page, puzzle="2", busy=""); until_says(page, ".trm-notice", "digit 1 stands twice in box 1")
    typed(page, "\n".join(text[i:i + 6] for i in range(0, 36, 6)))
    until(page, puzzle="3", run="3", overview="4/4", busy="")
    here = Session(loaded, text, 8)
    assert told(page)["board"] == board_of(here.root(0)) and told(page)["frame"] == told(page)["frames"]
    keys(page, "Home", *["ArrowRight"]*5, "5")
    choose(page, "what to change", "Noise"); choose(page, "latent", "z_H"); press(page, "Add")
    press(page, "Resume from here"); until(page, beside="3.1")
    keys(page, "4"); click_cell(page, 0)
    # as code: the same board, latents within 1e-4
    press(page, "Export"); page.get_by_role("menuitem", name="Copy as code").click()
    page.wait_for_selector(".trm-code:not([hidden])")
    space = {}
    exec(page.locator(".trm-code pre").inner_text(), space)
    page.keyboard.press("Escape")
    keys(page, "End"); assert told(page)["boardBeside"] == board_of(space["other"])
    # as an address, in a page that never saw the puzzle
    keys(page, "Home", *["ArrowRight"]*6)
    page.wait_for_function("() => location.hash.includes('step=3')")
    address = page.evaluate("() => location.href")
    assert f"board={text}" in address and "Noise" in address
    other = open_page(offline=True)
    lost = watched(other)
    other.goto(address)
    until(other, puzzle="2", run="2", beside="2.1", frame="6", panel="cell", cell="0", busy="")
    assert [told(other)[name] for name in ("board", "boardBeside")] == [
        told(page)[name] for name in ("board", "boardBeside")]
    # as a page with everything that was tried
    press(page, "Export")
    with page.expect_download() as saved: page.get_by_role("menuitem", name="Page (HTML)").click()
    saved.value.save_as(tmp_path/"again.html")
    other.goto((tmp_path/"again.html").as_uri())
    until(other, run="3", beside="3.1", frame="6", panel="cell", overview="4/4")
    assert other.locator("option", has_text="typed").count() == 2
    keys(other, "5"); press(other, "A: show branch 1"); until(other, run="3.1")
    press(other, "Resume from here"); until(other, beside="3.2")
    assert told(other)["identical"] == "true"
    assert not (wrong or lost or asked), (wrong, lost, asked)
