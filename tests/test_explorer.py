"The Explorer: what is on the page, and that a real browser walks through it, from a file and in JupyterLab."
import json, os, shutil, socket, subprocess, sys, time, urllib.request
from pathlib import Path
from statistics import median, quantiles
import nbformat, numpy as np, pytest, torch
from trm_lab.checkpoints import load_pretrained
from trm_lab.data import make_batch
from trm_lab.explorer import VERDICTS, Explorer, explorer_data, save_html
from trm_lab.halting import BinaryHalting
from trm_lab.trace import run_with_trace

QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run"]
SIZE = {"width": 1280, "height": 800}

@pytest.fixture(scope="module")
def loaded(): return load_pretrained("sudoku-6x6")

@pytest.fixture(scope="module")
def solved(loaded):
    "A few fresh puzzles, the first one solved, and their recursion."
    generator = loaded.puzzle.generate(np.random.default_rng(5))
    examples = [next(generator) for _ in range(4)]
    batch = make_batch(*map(np.stack, zip(*examples)))
    trace = run_with_trace(loaded.model, batch, 16)
    order = (trace.tokens[-1] == batch.labels).all(1).int().argsort(descending=True, stable=True)
    trace = run_with_trace(loaded.model, batch.rows(order), 16)
    assert (trace.tokens[-1, 0] == trace.batch.labels[0]).all(), "none of four puzzles was solved: is this the shipped model?"
    return trace

def arrays(header, blob):
    "The page's arrays, read as the page reads them."
    return {a["name"]: np.frombuffer(blob, f"<{a['kind']}", int(np.prod(a["shape"])), a["offset"]).reshape(a["shape"]) for a in header["arrays"]}

# ---- what is on the page -----------------------------------------------------

def test_every_frame_is_what_the_trace_decodes(loaded, solved):
    header, blob = explorer_data(solved, loaded.puzzle)
    data = arrays(json.loads(json.dumps(header)) and header, blob)
    assert (data["tokens"][:, 0] == solved.batch.inputs.numpy()).all() and header["planes"][0] == 0
    for k, site in enumerate(solved.sites):
        for plane, name in ((k + 1, site.name), (header["planes"][k + 1], "z_H")):
            share, tokens = solved.decode(site, name).softmax(-1).max(-1)
            assert (data["tokens"][:, plane] == tokens.numpy()).all(), f"{name} at {site}"
            assert np.abs(data["confidence"][:, plane]/255 - share.numpy()).max() <= 0.5/255 + 1e-6
    for step in range(16): # after a supervision step, halting and answer are those of solving
        last = (step + 1)*len(solved.schedule)
        assert np.allclose(data["halting"][:, last - 1], torch.sigmoid(solved.q_halt[step]), atol=1e-5)
        assert (data["tokens"][:, header["planes"][last]] == solved.tokens[step].numpy()).all()
    assert (data["tokens"][0, header["planes"][-1]] == solved.batch.labels[0].numpy()).all()
    assert VERDICTS[data["verdict"][0, header["planes"][-1]]] == "solved"
    for i, question in enumerate(solved.batch.inputs.numpy()): # rules, at some places
        for plane in (0, 1, 7, 40, len(solved.sites)):
            drawing = loaded.puzzle.draw(question, data["tokens"][i, plane])
            assert tuple(np.unpackbits(data["wrong"][i, plane])[:36].astype(bool)) == drawing.wrong
    assert 0 < sum(header["explained"]["z_H"]) <= 1 and np.isfinite(data["path"]).all() and (data["change"] >= 0).all()

def test_puzzles_that_left_end_where_they_left(loaded, solved):
    trace = run_with_trace(loaded.model, solved.batch, 16, BinaryHalting())
    header, blob = explorer_data(trace, loaded.puzzle)
    data = arrays(header, blob)
    assert header["lengths"] == [int(s)*len(trace.schedule) for s in trace.steps] and min(header["lengths"]) < len(trace.sites)
    for i, length in enumerate(header["lengths"]):
        assert (data["tokens"][i, header["planes"][length]] == trace.tokens[-1, i].numpy()).all()
        assert np.isclose(data["halting"][i, length - 1], torch.sigmoid(trace.q_halt[-1, i]), atol=1e-5)

def test_text_becomes_puzzles(loaded, solved):
    one, two = (loaded.puzzle.print(q) for q in solved.batch.inputs[:2].numpy())
    for text, count in ((one, 1), (f"{one}\n{two}\n", 2), ("\n".join(one[i:i + 6] for i in range(0, 36, 6)), 1)):
        explorer = Explorer(loaded, text, max_steps=1)
        assert len(explorer.trace.batch) == count
        explorer.close()
        assert explorer.blob == b"" and explorer.trace is None

# ---- in a browser ------------------------------------------------------------

@pytest.fixture(scope="module")
def chromium():
    "A headless Chromium."
    missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip # where changes are judged, nothing may be left out
    try: from playwright.sync_api import sync_playwright
    except ImportError: missing("playwright is not installed, so nothing was tried in a browser: pip install -e '.[dev]'")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as p:
        if path is None and Path(p.chromium.executable_path).exists(): path = p.chromium.executable_path
        if path is None: missing("no Chromium was found, so nothing was tried in a browser; install Debian's `chromium`, or run `playwright install chromium`")
        browser = p.chromium.launch(executable_path=path, args=QUIET)
        yield browser
        browser.close()

@pytest.fixture
def open_page(chromium):
    "Opens pages that are closed after the test."
    pages = []
    def open_page(**options):
        pages.append(chromium.new_page(viewport=SIZE, **options))
        pages[-1].set_default_timeout(20_000)
        return pages[-1]
    yield open_page
    for page in pages: page.close()

@pytest.fixture(scope="module")
def pictures(tmp_path_factory):
    "Where screenshots go."
    folder = Path(os.environ.get("TRM_LAB_SCREENSHOTS") or tmp_path_factory.mktemp("screenshots"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder

def walk(page):
    "Press the right arrow from the question to the end; what the page said at each frame."
    page.locator(".trm-explorer").focus()
    page.keyboard.press("Home")
    said = [page.locator(".trm-explorer").evaluate("e => ({...e.dataset})")]
    for _ in range(int(said[0]["frames"])):
        page.keyboard.press("ArrowRight")
        said.append(page.locator(".trm-explorer").evaluate("e => ({...e.dataset})"))
    return said

def pace(page):
    "Milliseconds from a key to the frame that the browser paints after it, and those of them in which the page worked, for each step."
    return page.locator(".trm-explorer").evaluate("""async root => {
        const key = name => root.dispatchEvent(new KeyboardEvent("keydown", { key: name, bubbles: true }));
        const frames = [], work = [];
        key("Home");
        while (root.dataset.frame !== root.dataset.frames) {
            const start = performance.now();
            key("ArrowRight"); work.push(performance.now() - start);
            await new Promise(requestAnimationFrame); frames.push(performance.now() - start);
        }
        return [frames, work];
    }""")

def check_walk(said, trace, puzzle):
    "Every update was shown, in order, and the last board is the solution."
    assert [s["site"] for s in said] == ["question", *(f"{s.step}.{s.cycle}.{s.substep}.{s.name}" for s in trace.sites)]
    assert said[0]["board"] == puzzle.print(trace.batch.inputs[0].numpy())
    for step in range(1, 17): assert said[step*len(trace.schedule)]["board"] == puzzle.print(trace.tokens[step - 1, 0].numpy())
    assert said[-1]["board"] == puzzle.print(trace.batch.labels[0].numpy()) and said[-1]["verdict"] == "solved"

def check_pace(where, page):
    frames, work = pace(page)
    print(f"\n{where}: {len(frames)} steps, median {median(frames):.1f} ms from key to frame, 95th percentile {quantiles(frames, n=20)[-1]:.1f} ms; {median(work):.1f} ms of it handling and drawing")
    assert median(frames) < 50

def test_the_page_walks_from_a_file(loaded, solved, open_page, pictures, tmp_path):
    path = tmp_path/"walk <b>.html"
    save_html(solved, loaded.puzzle, path)
    for theme in ("light", "dark"):
        page, asked, said = open_page(color_scheme=theme), [], []
        page.on("request", lambda r: asked.append(r.url)); page.on("console", lambda m: said.append(m.text)); page.on("pageerror", lambda e: said.append(str(e)))
        page.goto(path.as_uri())
        page.wait_for_selector(".trm-explorer[data-frame]")
        if theme == "light":
            check_walk(walk(page), solved, loaded.puzzle)
            check_pace("HTML page", page)
        state = lambda: page.locator(".trm-explorer").evaluate("e => ({...e.dataset})")
        inner = len(solved.schedule)
        for key, frame in (("Home", 0), ("Shift+ArrowRight", inner), ("ArrowRight", inner + 1), ("Shift+ArrowRight", 2*inner), ("Shift+ArrowLeft", inner), ("ArrowLeft", inner - 1), ("End", 16*inner), ("ArrowRight", 16*inner)):
            page.keyboard.press(key)
            assert state()["frame"] == str(frame), key
        page.keyboard.press("Home"); page.keyboard.press(" ") # play, and pause
        page.wait_for_timeout(500)
        page.keyboard.press(" ")
        paused = state()["frame"]; page.wait_for_timeout(300)
        assert 0 < int(paused) < 16*inner and state()["frame"] == paused
        page.get_by_role("combobox", name="puzzle").select_option("1")
        assert state()["puzzle"] == "1"
        page.keyboard.press("?"); assert page.locator(".trm-help").is_visible()
        page.keyboard.press("Escape"); assert page.locator(".trm-help").is_hidden()
        page.get_by_role("combobox", name="puzzle").select_option("0")
        page.keyboard.press("Home")
        for _ in range(inner + 3): page.keyboard.press("ArrowRight")
        page.screenshot(path=pictures/f"page-{theme}.png")
        page.keyboard.press("v")
        assert state()["view"] == "renewed" and state()["board"] == loaded.puzzle.print(solved.decode(solved.sites[inner + 2])[0].argmax(-1).numpy())
        page.screenshot(path=pictures/f"page-{theme}-latent.png")
        assert asked == [path.as_uri()] and said == [], (asked, said)

# ---- in JupyterLab -----------------------------------------------------------

@pytest.fixture(scope="module")
def lab(tmp_path_factory, solved, loaded):
    "A JupyterLab with a notebook that opens an Explorer; gives its address."
    folder, settings = tmp_path_factory.mktemp("lab"), tmp_path_factory.mktemp("settings")
    (settings/"@jupyterlab"/"apputils-extension").mkdir(parents=True)
    (settings/"@jupyterlab"/"apputils-extension"/"notification.jupyterlab-settings").write_text('{"fetchNews": "false", "checkForUpdates": false}')
    boards = "\n".join(loaded.puzzle.print(q) for q in solved.batch.inputs.numpy())
    cells = [f"import torch; torch.set_num_threads(1)\nfrom trm_lab.checkpoints import load_pretrained\nfrom trm_lab.explorer import Explorer\nloaded, boards = load_pretrained('sudoku-6x6'), '''{boards}'''",
        "Explorer(loaded, boards)",
        "import gc; gc.collect()\nfrom ipywidgets.widgets.widget import _instances\nprint('live', sum(isinstance(w, Explorer) for w in _instances.values()), 'bytes', int(open('/proc/self/statm').read().split()[1])*4096 if __import__('os').path.exists('/proc/self/statm') else 0)"]
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells], metadata={"kernelspec": {"name": "python3", "display_name": "python3"}})
    nbformat.write(notebook, folder/"walk.ipynb")
    with socket.socket() as s: s.bind(("127.0.0.1", 0)); port = s.getsockname()[1]
    with open(folder/"lab.log", "w") as log:
        server = subprocess.Popen([sys.executable, "-m", "jupyter", "lab", "--no-browser", "--allow-root", "--ip=127.0.0.1", f"--port={port}", "--ServerApp.port_retries=0", "--ServerApp.token=", "--IdentityProvider.token=",
            f"--ServerApp.root_dir={folder}", "--expose-app-in-browser", "--LabApp.check_for_updates_class=jupyterlab.NeverCheckForUpdate"], stdout=log, stderr=log,
            env={**os.environ, "JUPYTERLAB_SETTINGS_DIR": str(settings), "JUPYTERLAB_WORKSPACES_DIR": str(settings/"workspaces"), "JUPYTER_CONFIG_DIR": str(settings), "OMP_NUM_THREADS": "1"})
    try:
        address = f"http://127.0.0.1:{port}"
        for _ in range(240):
            try: urllib.request.urlopen(f"{address}/api", timeout=1); break
            except OSError:
                assert server.poll() is None, (folder/"lab.log").read_text()
                time.sleep(0.25)
        yield address
    finally:
        server.terminate()
        try: server.wait(10)
        except subprocess.TimeoutExpired: server.kill()

def run_cell(page, number):
    "Run a cell as Shift+Enter would, and wait until the kernel is idle."
    ran = page.evaluate("""async number => {
        const panel = window.jupyterapp.shell.currentWidget, notebook = panel.content;
        await panel.sessionContext.ready; // the indicator says idle a moment before
        await panel.sessionContext.session.kernel.info;
        notebook.activeCellIndex = number;
        await window.jupyterapp.commands.execute("notebook:run-cell");
        return { count: notebook.activeCell.model.executionCount, outputs: notebook.activeCell.model.outputs.toJSON().map(o => o.ename || o.output_type) };
    }""", number)
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]")
    assert ran["count"], f"cell {number} was not executed: {ran}"

def live(page):
    "Live Explorers in the kernel, and its memory in bytes."
    run_cell(page, 2)
    words = page.locator(".jp-Cell").nth(2).locator(".jp-OutputArea-output").inner_text().split()
    return int(words[1]), int(words[3])

def test_the_widget_walks_in_jupyterlab(loaded, solved, open_page, pictures, lab):
    page, wrong = open_page(), []
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto(f"{lab}/lab/workspaces/walk/tree/walk.ipynb")
    page.wait_for_selector(".jp-Notebook-ExecutionIndicator[data-status=idle]", timeout=60_000)
    page.evaluate("window.jupyterapp.commands.execute('application:toggle-left-area')") # the file browser takes a quarter of the width
    run_cell(page, 0); run_cell(page, 1)
    page.wait_for_selector(".trm-explorer[data-frame]")
    check_walk(walk(page), solved, loaded.puzzle)
    assert page.evaluate("window.jupyterapp.shell.currentWidget.content.activeCellIndex") == 1 # the notebook took none of the keys
    check_pace("JupyterLab", page)
    page.keyboard.press("Home")
    for _ in range(len(solved.schedule) + 3): page.keyboard.press("ArrowRight")
    for theme in ("Light", "Dark"):
        page.evaluate("name => window.jupyterapp.commands.execute('apputils:change-theme', { theme: `JupyterLab ${name}` })", theme)
        page.wait_for_selector(f".trm-explorer[data-theme={theme.lower()}]")
        page.locator(".trm-explorer").scroll_into_view_if_needed()
        page.wait_for_timeout(400) # the theme's own style sheet
        page.screenshot(path=pictures/f"lab-{theme.lower()}.png")
    for _ in range(4): run_cell(page, 1)
    count, before = live(page)
    assert count == 1
    for _ in range(16): run_cell(page, 1)
    count, after = live(page)
    page.wait_for_selector(".trm-explorer[data-frame]")
    one = 4*len(solved.sites)*37*128*4 # the latents of four puzzles
    print(f"\n21 runs of the cell: {count} live widget, kernel grew by {(after - before)/2**20:.1f} MiB since the 5th; each trace takes {one/2**20:.1f} MiB")
    assert count == 1 and page.locator(".trm-explorer").count() == 1
    assert after - before < 4*one, "sixteen more runs should not keep what four of them held"
    assert not wrong, wrong
