"For all tests."
import os, shutil
from pathlib import Path
import nbformat, pytest, torch

# nothing but this machine can be reached from a page
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update",
    "--disable-sync", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
SIZE = {"width": 1280, "height": 800}
PATIENCE = 300_000 # milliseconds: a busy machine is no failure

LONGEST = ["test_sweeps", "test_clusters", "test_explorer", "test_variants", "test_resume",
    "test_distributed", "test_docs", "test_serve", "test_bench", "test_recipes", "test_progress",
    "test_pretrained", "test_trainer"]

def pytest_collection_modifyitems(items):
    "The longest files first, so that no worker of several ends alone."
    items.sort(key=lambda item: LONGEST.index(item.path.stem) if item.path.stem in LONGEST else len(LONGEST))

@pytest.fixture(scope="session", autouse=True)
def one_thread():
    "Several test processes share the cores, and one thread adds up in one order only."
    torch.set_num_threads(1)

@pytest.fixture(scope="module")
def chromium():
    "A headless Chromium."
    # where changes are judged, nothing may be left out
    missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    try: from playwright.sync_api import sync_playwright
    except ImportError:
        missing("playwright is not installed, so nothing was tried in a browser: pip install -e '.[dev]'")
    path = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    with sync_playwright() as p:
        if path is None and Path(p.chromium.executable_path).exists(): path = p.chromium.executable_path
        if path is None:
            missing("no Chromium was found, so nothing was tried in a browser; "
                "install Debian's `chromium`, or run `playwright install chromium`")
        browser = p.chromium.launch(executable_path=path, args=QUIET, timeout=PATIENCE)
        yield browser
        browser.close()

@pytest.fixture(scope="session")
def firefox(tmp_path_factory):
    "A headless Firefox."
    missing = pytest.fail if os.environ.get("CI") == "true" else pytest.skip
    try: from firefox import Firefox
    except ImportError:
        missing("websockets is not installed, so nothing was tried in Firefox: pip install -e '.[dev]'")
    path = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
    if path is None:
        missing("no Firefox was found, so nothing was tried in it; install Debian's `firefox-esr`")
    browser = Firefox(path, tmp_path_factory.mktemp("firefox"), PATIENCE/1000)
    yield browser
    browser.close()

@pytest.fixture(params=["chromium", "firefox"])
def page_offline(request):
    "A page without a network in each browser, with `wrong`, what went wrong, and `requests`, which it tried."
    browser = request.getfixturevalue(request.param)
    if request.param == "firefox": page = browser.new_page(**SIZE)
    else:
        page = browser.new_page(viewport=SIZE, offline=True)
        page.set_default_timeout(PATIENCE)
        page.wrong, page.requests = [], []
        page.on("console", lambda said: page.wrong.append(said.text))
        page.on("pageerror", lambda error: page.wrong.append(str(error)))
        page.on("request", lambda asked: page.requests.append(asked.url))
    yield page
    page.close()

@pytest.fixture
def open_page(chromium):
    "Opens pages that are closed after the test."
    pages = []
    def open_page(**options):
        pages.append(chromium.new_page(viewport=SIZE, **options))
        pages[-1].set_default_timeout(PATIENCE)
        return pages[-1]
    yield open_page
    for page in pages: page.close()

# ---- for sweeps --------------------------------------------------------------

# a notebook that ends in many ways
_CELLS = ["name = 'way'\nway = 'success'\nseed = 0\nlisted = []\nmapped = {}\nmarker = ''\nrun_folder = None",
"""import os, signal, sys, time
from pathlib import Path
from trm_lab.core.run import Run
from trm_lab.core.files import write_json
run = Run(Path(run_folder)); run.start(name, {"way": way, "listed": listed, "mapped": mapped})
for step in range(3): run.log("train", step=step, lm_loss=1/(step + 1), exact=step/3)""",
"""print("at work", flush=True); time.sleep(1) # until it is heard
if way == "exception": 1/0
if way == "exit": sys.exit(0)
if way == "kernel killed": os.kill(os.getpid(), signal.SIGKILL)
if way == "os._exit": os._exit(0)
if way == "papermill warned": os.kill(os.getppid(), signal.SIGTERM); time.sleep(300)
if way == "papermill killed": os.kill(os.getppid(), signal.SIGKILL); time.sleep(300)
if way == "memory": hoard = [(b"x"*100_000_000, time.sleep(0.1)) for _ in range(30)]; time.sleep(300)
if way == "hang": time.sleep(300)
if way == "full" and not Path(marker).exists(): (run.folder.parents[4]/"filler").write_bytes(b"x"*10_000_000)
while way == "wait" and not Path(marker).exists(): time.sleep(0.1)""",
"""write_json(run.folder/"sum.json", seed)
run.finish(["sum.json"], solved=0.5 + 0.1*seed, puzzle_steps=100, updates=700, training_seconds=5.,
    parameter_count=10)
print("trm-lab: finished", run.folder.name)"""]

@pytest.fixture(scope="session")
def notebook(tmp_path_factory):
    made = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in _CELLS],
        metadata={"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}})
    made.cells[0].metadata["tags"] = ["parameters"]
    path = tmp_path_factory.mktemp("notebook")/"way.ipynb"
    nbformat.write(made, path)
    return str(path)
