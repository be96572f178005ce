"""The solver page in a real browser, from a file, without a network: what it answers is what Python answers,
and a keyboard alone gets through it."""
import importlib.util, json
from pathlib import Path
import numpy as np, pytest
from trm_lab.data.batches import make_batch
from trm_lab.interp.session import Session
from trm_lab.models.checkpoints import Loaded, load_pretrained
from trm_lab.puzzles.base import Permutation
from trm_lab.puzzles.lightup import LightUp
from trm_lab.puzzles.nurikabe import Nurikabe
from trm_lab.puzzles.queens import Queens
from trm_lab.solving.solve import solve_by_step
from trm_lab.views.page import MODULES, THREAD, static_bundle, static_file
from trm_lab.views.solver import SolverKind, solver_page
from test_explorer import pictures, small # noqa: F401
from test_live import Live, until_says
from test_tasks import watched

ROOT = Path(__file__).parents[2]
GALLERY = ROOT/"reports"/"gallery"/"solver.html"

def of_the_gallery():
    "The kinds of puzzles in the gallery's page."
    spec = importlib.util.spec_from_file_location("gallery_solver", ROOT/"tools"/"solver.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.kinds()

def test_another_symmetry_is_the_same_puzzle(open_page):
    "What is thought in other digits or of a turned board is answered about the puzzle as it was asked."
    for name, views in (("sudoku-6x6", (1, 2, 3)), ("maze-15x15", (1, 4, 7))):
        loaded = load_pretrained(name)
        questions, labels, _ = loaded.fresh(1, 3)
        live, puzzle = Live(open_page(), Session(loaded, make_batch(questions, labels), 1)), loaded.puzzle
        for view in views:
            steps, symmetry = live.page.evaluate("""([question, view]) => {
                const found = [];
                window.answers.answer({ ask: "think", question, view });
                for (let t = 0; t < 3; t++) found.push(window.answers.answer({ ask: "step" }));
                return [found, window.answers.thought.symmetry];
            }""", [questions[0].tolist(), view])
            cells, tokens = np.array(symmetry["cells"]), symmetry["tokens"] or range(puzzle.vocab_size)
            there = Permutation(cells[None], np.array(tokens, np.uint8)[None])
            asked = there.apply(questions)
            assert puzzle.solved(asked, there.apply(labels)).all() # a symmetry keeps right answers right
            answers = solve_by_step(loaded.model, make_batch(asked, asked), 3).tokens.numpy().astype(np.uint8)
            for answer, right in zip(steps, answers):
                back = there.invert(right)[0]
                assert answer["tokens"] == back.tolist()
                assert answer["solved"] == puzzle.check(questions[0], back).solved

def until(page, **said):
    page.wait_for_function("""said => { const d = document.querySelector(".trm-solver")?.dataset;
        return d && Object.entries(said).every(([k, v]) => d[k] === v); }""", arg=said)

def told(page): return page.locator(".trm-solver").evaluate("e => ({...e.dataset})")

def act(page, name): page.get_by_role("button", name=name).first.click()

def think(page):
    act(page, "Think")
    page.wait_for_function("""() => { const d = document.querySelector(".trm-solver").dataset;
        return d.running === "false" && Number(d.steps) > 0; }""")
    return told(page)

def open_solver(open_page, path, **options):
    page = open_page(offline=True, **options)
    wrong = watched(page)
    page.goto(path.as_uri() if isinstance(path, Path) else path)
    page.wait_for_function("() => location.hash.includes('board')")
    return page, wrong

def test_the_examples_of_the_gallery_do_what_they_say(open_page, tmp_path):
    "Of each kind: solved after the first step; late; never. The page in the gallery is what the tool makes."
    kinds = of_the_gallery()
    text = solver_page(kinds)
    (tmp_path/"solver.html").write_text(text)
    assert len(text.encode()) < 3e6
    kept, scripts = GALLERY.read_text(encoding="utf-8"), (THREAD, (*MODULES, "solver"))
    boards = [board for kind in kinds for board in (*kind.examples.values(), json.dumps(kind.about))]
    assert all(part in kept for part in (*map(static_bundle, scripts), static_file("solver.css"), *boards)), \
        "the gallery's page is not up to date; run  python tools/solver.py"
    page, wrong = open_solver(open_page, tmp_path/"solver.html")
    for kind in kinds:
        act(page, kind.title); until(page, kind=kind.name)
        for says, board in kind.examples.items():
            act(page, says)
            until(page, question=" ".join(map(str, kind.loaded.puzzle.parse(board.replace(".", " ")
                if kind.loaded.puzzle.type == "maze" else board).tolist())), running="false")
            said = think(page)
            steps, solved = int(said["steps"]), said["solved"] == "true"
            assert {"solved at once": solved and steps == 1, "a late jump": solved and steps > 5,
                "never settles": not solved}[says], (kind.name, says, said)
    assert not wrong, wrong

@pytest.fixture
def small_page(tmp_path):
    "A page with one small model."
    four = load_pretrained("sudoku-6x6")
    kind = SolverKind("sudoku-6x6", four, {"solved at once": "43.2...6...........2..1..1...32....4",
        "never settles": "...1..1.......5.6..3...2..3..5.2...."})
    (tmp_path/"solver.html").write_text(solver_page([kind]))
    return tmp_path/"solver.html", four.puzzle

def test_the_solver_by_keyboard_and_for_a_screen_reader(open_page, small_page, pictures): # noqa: F811
    "Typed, wrong, corrected, solved, other symmetries, looked inside; every cell says what it holds."
    path, puzzle = small_page
    page, wrong = open_solver(open_page, path)
    act(page, "empty")
    grid = page.get_by_role("grid")
    assert grid.get_by_role("row").count() == 6 and grid.get_by_role("gridcell").count() == 36
    grid.get_by_role("gridcell").first.focus()
    text = "..3.......5.4....1.1.......2...6...4"
    for i, sign in enumerate(text):
        page.keyboard.press("Backspace" if sign == "." else sign)
        if i % 6 < 5: page.keyboard.press("ArrowRight")
        else: page.keyboard.press("Home"); page.keyboard.press("ArrowDown")
    assert told(page)["question"] == " ".join(map(str, puzzle.parse(text).tolist()))
    page.keyboard.press("4"); until_says(page, ".trm-problem", "stands twice") # beside the 4 of that row
    page.keyboard.press("Delete")
    page.wait_for_function("() => !document.querySelector('.trm-problem').textContent")
    page.get_by_role("button", name="Think").first.focus(); page.keyboard.press("Enter")
    until(page, solved="true", running="false")
    assert page.get_by_role("status").filter(has_text="Solved after step").count() == 1
    labels = [cell.get_attribute("aria-label") for cell in grid.get_by_role("gridcell").all()]
    assert labels[2] == "row 1, column 3: 3, given" and labels[0].startswith("row 1, column 1: 6, ")
    # a step is shown again
    page.get_by_role("list", name="supervision steps").get_by_role("button").first.press("Enter")
    until(page, shown="1", solved="false")
    act(page, "never settles"); assert think(page)["solved"] == "false"
    act(page, "Try other symmetries")
    page.wait_for_function("""() => { const d = document.querySelector(".trm-solver").dataset;
        return d.running === "false" && (d.solved === "true" || d.tries === "32"); }""")
    said = told(page)
    assert said["solved"] == "true" and int(said["tries"]) > 1
    answer, question = (np.array(said[name].split(), np.uint8) for name in ("board", "question"))
    assert puzzle.check(question, answer).solved
    act(page, "Look inside")
    page.wait_for_selector(".trm-explorer[data-frame]")
    inside = page.locator(".trm-explorer")
    inside.focus(); page.keyboard.press("End")
    page.wait_for_function("() => document.querySelector('.trm-explorer').dataset.frame === '32'")
    page.screenshot(path=pictures/"solver-inside.png", full_page=True)
    assert not wrong, wrong

def test_boards_of_pencil_puzzles_are_typed(open_page, tmp_path):
    "With the characters that these types are written in; the rules judge what was typed, and the answer."
    boards = {Queens(5): "Q..-." + "."*20, LightUp(3, 3): "..0.#1...", Nurikabe(3, 3): "2.......1"}
    loaded = [Loaded(small(puzzle), puzzle, {}) for puzzle in boards]
    kinds = [SolverKind(of.puzzle.name, of, {"an example": text})
        for of, text in zip(loaded, boards.values())]
    (tmp_path/"page.html").write_text(solver_page(kinds))
    page, wrong = open_solver(open_page, tmp_path/"page.html")
    for kind in kinds:
        puzzle, text = kind.loaded.puzzle, kind.examples["an example"]
        tokens = puzzle.parse(text).tolist()
        act(page, kind.title); until(page, kind=kind.name, question=" ".join(map(str, tokens)))
        act(page, "empty"); until(page, question=" ".join("1" for _ in text))
        page.get_by_role("gridcell").first.focus()
        for i, sign in enumerate(text):
            page.keyboard.press(sign.lower())
            if (i + 1) % puzzle.cols: page.keyboard.press("ArrowRight")
            else: page.keyboard.press("Home"); page.keyboard.press("ArrowDown")
        until(page, question=" ".join(map(str, tokens)))
        assert not page.locator(".trm-problem").first.text_content()
        assert think(page)["solved"] == "false" # the models are not trained
        assert page.get_by_role("status").filter(has_text="not solved").count() == 1
    act(page, kinds[0].title); until(page, kind=kinds[0].name, question="3 1 1 2" + " 1"*21)
    page.get_by_role("gridcell").nth(6).click(); page.keyboard.press("q")
    until_says(page, ".trm-problem", "2 queens stand on one diagonal")
    assert not wrong, wrong

def test_a_moment_is_sent_and_the_tour_begins_here(open_page, small_page, pictures): # noqa: F811
    "The step that is shown, in which symmetry, where the Explorer below stands; an old address still opens."
    path, puzzle = small_page
    page, wrong = open_solver(open_page, path)
    act(page, "never settles"); think(page)
    page.get_by_role("list", name="supervision steps").get_by_role("button").nth(2).click()
    page.wait_for_function("() => location.hash.includes('step=3')")
    other, lost = open_solver(open_page, page.url)
    until(other, steps="3", shown="3", running="false")
    assert told(other)["board"] == told(page)["board"]
    act(page, "Try other symmetries")
    page.wait_for_function("() => document.querySelector('.trm-solver').dataset.running === 'false'")
    page.wait_for_function("() => location.hash.includes('view=')")
    third, worse = open_solver(open_page, page.url)
    until(third, **{name: told(page)[name] for name in ("steps", "view", "board", "solved")})
    act(page, "Guided tour")
    page.wait_for_function("() => document.querySelector('.trm-explorer')?.dataset.tour === '1'")
    for step in range(2, 9):
        page.keyboard.press("PageDown")
        page.wait_for_function("n => document.querySelector('.trm-explorer').dataset.tour === n",
            arg=str(step))
    page.wait_for_function("() => document.querySelector('.trm-explorer').dataset.stages")
    page.screenshot(path=pictures/"solver-tour.png", full_page=True)
    page.wait_for_function("() => location.hash.includes('tour=8')")
    last, worst = open_solver(open_page, page.url)
    last.wait_for_function("() => document.querySelector('.trm-explorer')?.dataset.panel === 'flow'")
    assert last.locator(".trm-explorer").get_attribute("data-frame") == page.locator(
        ".trm-explorer").get_attribute("data-frame")
    page.keyboard.press("PageDown")
    assert page.locator(".trm-tour").is_hidden()
    old, bad = open_solver(open_page, page.url.split("#")[0] + "#kind=sudoku-6x6&board=" + "."*36)
    assert told(old)["question"] == " ".join(["1"]*36)
    nowhere, _ = open_solver(open_page, page.url.split("#")[0] + "#model=elsewhere&board=" + "."*36)
    until_says(nowhere, ".trm-problem", "has no model elsewhere; it has sudoku-6x6")
    assert not (wrong or lost or worse or worst or bad)

def test_a_puzzle_is_pasted_and_sent(open_page, small_page, pictures): # noqa: F811
    "In any form; what cannot be read is said, and the address opens the same puzzle on a phone."
    path, puzzle = small_page
    page, wrong = open_solver(open_page, path)
    page.locator("summary").click()
    field = page.get_by_role("textbox", name="a puzzle as text")
    field.fill("..3 ..."); act(page, "Use it")
    page.get_by_role("alert").filter(has_text="36 cells, but 6 were given").wait_for()
    field.fill("..3|...\n...|5.4\n---+---\n...|.1.\n1..|...\n...|2..\n.6.|..4"); act(page, "Use it")
    page.wait_for_function("() => location.hash.includes('..3......5.4')")
    phone, lost = open_solver(open_page, page.url, color_scheme="dark")
    phone.set_viewport_size({"width": 390, "height": 844})
    assert told(phone)["question"] == told(page)["question"]
    wide = phone.evaluate("() => document.documentElement.scrollWidth")
    assert wide <= 390, "something is wider than the screen"
    phone.screenshot(path=pictures/"solver-phone.png", full_page=True)
    assert not wrong and not lost, (wrong, lost)
