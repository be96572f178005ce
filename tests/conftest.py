"For all tests."
import os, shutil
from pathlib import Path
import pytest, torch

# nothing but this machine can be reached from a page
QUIET = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-first-run", "--host-resolver-rules=MAP * ~NOTFOUND , EXCLUDE 127.0.0.1"]
SIZE = {"width": 1280, "height": 800}
PATIENCE = 300_000 # milliseconds: a busy machine is no failure

@pytest.fixture(scope="session", autouse=True)
def one_thread():
    "Several test processes share the cores, and one thread adds up in one order only."
    torch.set_num_threads(1)

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
        browser = p.chromium.launch(executable_path=path, args=QUIET, timeout=PATIENCE)
        yield browser
        browser.close()

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
