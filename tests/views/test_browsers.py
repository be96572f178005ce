"""What a page that thinks has to do in every browser, from a file and without a network: Debian's Chromium
and Firefox, against Python."""
import socket
import numpy as np, pytest, torch
from trm_lab.data.batches import make_batch
from trm_lab.interp.interventions import ZeroAblation
from trm_lab.interp.session import Session
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.models.variants import ARCHITECTURES
from trm_lab.solving.solve import solve_by_step
from trm_lab.views.explorer import Explorer, _RequestHandler
from trm_lab.views.packs import SessionView
from trm_lab.views.page import document, static_bundle
from trm_lab.views.solver import SolverKind, solver_page
from trm_lab.views.web import export_web
from test_engine import RUN, case, untrained
from test_live import Live, board_of, puzzles_of

# in Chromium the same is tested in test_live.py and test_engine.py, more widely
firefox_alone = pytest.mark.parametrize("page_offline", ["firefox"], indirect=True)

def asked(page):
    "What the page asked for outside of itself and of this machine's files."
    page.evaluate("() => new Promise((done) => setTimeout(done, 50))") # events that are on their way
    return [url for url in page.requests if url.split(":")[0] not in ("file", "blob", "data", "about")]

def open_file(page, path):
    page.goto(path.as_uri())
    assert page.evaluate("() => location.protocol") == "file:"

def test_a_request_would_be_noticed(page_offline):
    "And refused, even to this machine; a page's errors are heard as well."
    page = page_offline
    page.goto("about:blank")
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(0.2)
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        assert page.evaluate("async (url) => { try { await fetch(url, { mode: 'no-cors' }); return true; }"
            " catch { return false; } }", url) is False
        with pytest.raises(TimeoutError): server.accept()
    assert asked(page) == [url]
    page.evaluate("() => { setTimeout(() => { throw new Error('as a test'); }); }")
    asked(page)
    assert any("as a test" in said for said in page.wrong)

# ---- twenty puzzles ------------------------------------------------------------

# types each board into the address, presses Think, and goes through the steps
THINK = """async (boards) => {
  const solver = document.querySelector(".trm-solver"), found = [];
  const latest = performance.now() + 120000;
  const pause = () => new Promise((done, fail) => setTimeout(
    performance.now() < latest ? done : () => fail(new Error(JSON.stringify(solver.dataset))), 5));
  const press = (name) => [...solver.querySelectorAll("button")].find((b) => b.textContent === name).click();
  for (const { question, text } of boards) {
    location.hash = `#model=sudoku-9x9&board=${text}`;
    while (solver.dataset.question !== question || solver.dataset.steps !== "0") await pause();
    press("Think");
    while (solver.dataset.running !== "false" || solver.dataset.steps === "0") await pause();
    const milliseconds = Number(solver.dataset.milliseconds), steps = [];
    for (const step of solver.querySelectorAll(".trm-steps button")) {
      step.click();
      steps.push({ ...solver.dataset });
    }
    found.push({ steps, milliseconds });
  }
  return found;
}"""

@pytest.fixture(scope="module")
def twenty():
    "A 9×9 model, unseen puzzles with their labels, and what Python makes of them."
    loaded = load_pretrained("sudoku-9x9")
    questions, labels, _ = loaded.fresh(20, 77)
    return loaded, questions, labels, solve_by_step(loaded.model, make_batch(questions, labels), 16)

def test_twenty_unseen_puzzles_are_answered_as_in_python(page_offline, twenty, tmp_path):
    "9×9: every board after every step until it is solved or the model stops, and how sure the model is."
    page, (loaded, questions, labels, wanted) = page_offline, twenty
    (tmp_path/"solver.html").write_text( # it opens with the last one, so that every address changes the board
        solver_page([SolverKind("sudoku-9x9", loaded, {"easy": loaded.puzzle.print(questions[-1])})]))
    open_file(page, tmp_path/"solver.html")
    page.wait_for_function("() => location.hash.includes('board')")
    in_words = lambda tokens: " ".join(map(str, tokens))
    found = page.evaluate(THINK, [{"question": in_words(question), "text": loaded.puzzle.print(question)}
        for question in questions])
    solved = 0
    for i, answer in enumerate(found):
        for t, step in enumerate(answer["steps"]):
            assert step["board"] == in_words(wanted.tokens[t, i].tolist()), (i, t)
            assert abs(float(step["halt"]) - torch.sigmoid(wanted.q_halt[t, i])) < 1e-3, (i, t)
        assert (step["solved"] == "true") == (step["board"] == in_words(labels[i]))
        solved += step["solved"] == "true"
    each = [answer["milliseconds"]/len(answer["steps"]) for answer in found]
    print(f"\nof 20 unseen 9×9 puzzles {solved} are solved, in the page as in Python; a step takes "
        f"{np.median(each):.0f} ms")
    assert solved >= 12 and not asked(page) and not page.wrong, (asked(page), page.wrong)

def test_an_exported_folder_solves_from_disk(page_offline, tmp_path):
    "Nothing in its index is run: scripts, styles and the model are files. A board, and the Explorer on it."
    page = page_offline
    export_web(load_pretrained("sudoku-4x4"), tmp_path/"four", 'a "<b>" name')
    open_file(page, tmp_path/"four"/"index.html")
    page.wait_for_function("() => location.hash.includes('board')")
    press(page, "Think")
    page.wait_for_function("() => document.querySelector('.trm-solver').dataset.solved === 'true'")
    press(page, "Look inside")
    page.wait_for_function(f"() => {SAID}?.frame !== undefined")
    keys(page, "End"); until(page, frame=page.evaluate(f"() => {SAID}.frames"))
    assert page.evaluate("() => document.querySelector('.trm-about').textContent.includes('<b>')")
    assert not asked(page) and not page.wrong, page.wrong

SAID = "document.querySelector('.trm-explorer')?.dataset" # what an Explorer says that it shows

# ---- edits ---------------------------------------------------------------------

# the session's thread, started as the page starts it, from what the page holds
OPEN = """async () => {
  const text = (id) => document.getElementById(id).textContent.trim();
  const code = new Blob([text("trm-thread")], { type: "text/javascript" });
  const worker = new Worker(URL.createObjectURL(code));
  worker.postMessage({ header: JSON.parse(text("trm-header")),
    bytes: Uint8Array.from(atob(text("trm-models")), (c) => c.charCodeAt(0)) });
  window.ask = (message) => new Promise((done) => {
    worker.onmessage = ({ data: [{ id, ...content }, buffers] }) => {
      let bytes = "";
      for (const byte of buffers[0] ?? []) bytes += String.fromCharCode(byte);
      done([content, btoa(bytes)]);
    };
    worker.postMessage(message);
  });
}"""
AGAIN = """async () => { // from nothing: another thread
  const first = (await window.ask({ ask: "run", run: "0" }))[1];
  await (%s)();
  return first === (await window.ask({ ask: "run", run: "0" }))[1];
}""" % OPEN

class SavedPage(Live):
    "What the thread of a saved page answers, beside Python's session."
    def __init__(self, page, session, path):
        views = [SessionView(session)]
        path.write_text(document(views, live=True))
        self.page, self.python = page, _RequestHandler(views)
        open_file(page, path)
        page.wait_for_function(f"() => {SAID}?.frame !== undefined")
        page.evaluate(OPEN)

@firefox_alone
def test_edits_are_answered_as_by_the_kernel(page_offline, tmp_path):
    "A saved page, from a file: latents and givens are changed and the recursion resumed, array by array."
    loaded = load_pretrained("sudoku-6x6")
    session = Session(loaded, puzzles_of(loaded, 2), max_steps=3)
    live = SavedPage(page_offline, session, tmp_path/"live.html")
    latent, given = session.names[-1], int(np.flatnonzero(session.root(0).question > 1)[0])
    live.compare(ask="run", run="0")
    for run, frame, edit in (("0", 0, dict(kind="Given", cell=given, token=3)),
            ("0", 3, dict(kind="ZeroAblation", name=latent, cells=None)),
            ("0.2", 4, dict(kind="Noise", name=latent, size=0.5, seed=3, cells=[1, 2]))):
        live.compare(ask="branch", run=run, frame=frame, edits=[edit])
    live.compare(ask="latents", run="0.3", frame=5, name=latent)
    live.compare(ask="cell", run="0.3", cell=given)
    live.compare(ask="divergence", a="0", b="0.3")
    assert page_offline.evaluate(AGAIN), "a second thread should compute the same bits"
    assert not asked(page_offline) and not page_offline.wrong, page_offline.wrong

def press(page, name):
    "A button that can be seen."
    page.evaluate("""(name) => [...document.querySelectorAll("button")].find((b) =>
        b.offsetParent && (b.textContent || b.title) === name).click()""", name)

def choose(page, name, value):
    page.evaluate("""([name, value]) => {
        const list = document.querySelector(`select[aria-label="${name}"]`);
        list.value = value; list.dispatchEvent(new Event("change", { bubbles: true }));
    }""", [name, value])

def until(page, **said):
    page.wait_for_function(f"said => Object.entries(said).every(([k, v]) => {SAID}[k] === v)", arg=said)

def keys(page, *names):
    page.evaluate("() => document.querySelector('.trm-explorer').focus()")
    for name in names: page.keyboard.press(name)

@firefox_alone
def test_a_person_edits_and_resumes(page_offline, tmp_path):
    "By keys and buttons, to the same boards as in Python."
    page, loaded = page_offline, load_pretrained("sudoku-6x6")
    explorer = Explorer(loaded, puzzles_of(loaded, 2))
    explorer.save_html(tmp_path/"live.html", live=True)
    open_file(page, tmp_path/"live.html")
    page.wait_for_function(f"() => {SAID}?.frame !== undefined")
    root = explorer.session.root(0)
    keys(page, "5", *["ArrowRight"]*9); until(page, frame="9")
    choose(page, "what to change", "ZeroAblation"); choose(page, "latent", "z_L"); press(page, "Add")
    press(page, "Resume from here"); until(page, beside="0.1"); keys(page, "End"); until(page, frame="32")
    without = root.branch(root.place(9), ZeroAblation("z_L"))
    said = page.evaluate(f"() => ({{ ...{SAID} }})")
    assert (said["board"], said["boardBeside"]) == (board_of(root), board_of(without))
    assert not asked(page) and not page.wrong, page.wrong

# ---- every system, every kind of puzzle ------------------------------------------

KINDS = {"trm": "mlp", "trm_separate": "rope", "hrm": "pairs", "trm_singlez": "learned",
    "trm_hier6": "offsets", "trm_swapped": "mlp", "direct_transformer": "none", "fixed_point": "rope"}

@firefox_alone
def test_each_update_of_each_system_is_what_python_computes(page_offline):
    page, tokens = page_offline, np.random.default_rng(0).integers(0, 7, 12).astype(np.uint8)
    assert set(KINDS) == ARCHITECTURES.keys() - {"trm_equivariant"} # which says no formula
    page.goto("about:blank")
    code = static_bundle(("kernel", "engine")) + "\nexport { Kernel };"
    cases = [case(untrained(*kind), tokens, identity=2) for kind in KINDS.items()]
    for kind, found in zip(KINDS.items(), page.evaluate(RUN, [code, cases])):
        assert found["alone"] < 2e-5 and found["fast"], (kind, found)

@firefox_alone
@pytest.mark.parametrize("name", ["maze-9x9", pytest.param("arc-10x10", marks=pytest.mark.soak)])
def test_mazes_and_tasks_are_thought_about_in_a_page(page_offline, tmp_path, name):
    "A saved page of each, from a file: a branch that the page computes is Python's."
    page, loaded = page_offline, load_pretrained(name)
    session, path = Session(loaded, puzzles_of(loaded, 1), max_steps=1), tmp_path/"live.html"
    live, latent = SavedPage(page, session, path), session.names[-1]
    assert path.stat().st_size < 3e6
    live.compare(ask="branch", run="0", frame=1, edits=[dict(kind="ZeroAblation", name=latent, cells=None)])
    assert not asked(page) and not page.wrong, page.wrong
