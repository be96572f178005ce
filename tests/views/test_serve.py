"`trm-lab explore`: a real server, a real browser, and nothing left when it has ended."
import csv, os, signal, subprocess, sys, threading, urllib.error, urllib.request
from types import SimpleNamespace
from urllib.parse import urlsplit
import nbformat, psutil, pytest
from conftest import SIZE
from trm_lab import cli
from trm_lab.data.generate import generate_dataset
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.views.serve import explorer_cells, puzzles_of

ODD = """it's "odd" \\ {x}'); raise SystemExit #.csv"""
SIX = Sudoku(2, 3)
PATIENCE = 600_000 # milliseconds; on a free machine a page with its kernel is there in a few seconds

@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """`trm-lab explore` on a CSV whose name would do harm as code: its process, its address, and the folder
    in which it keeps temporary files."""
    folder, scratch = tmp_path_factory.mktemp("boards"), tmp_path_factory.mktemp("scratch")
    puzzles = generate_dataset(SIX, 1, 3, seed=31).test
    with open(folder/ODD, "w", newline="") as f:
        rows = csv.writer(f); rows.writerow(("source", "question", "answer", "rating"))
        for question, answer in zip(puzzles.inputs, puzzles.labels):
            rows.writerow(("here", SIX.print(question), SIX.print(answer), 0))
    with open(folder/"log", "w") as log:
        process = subprocess.Popen([sys.executable, "-c", "from trm_lab.cli import main; main()",
                "explore", "sudoku-6x6", ODD, "--count", "2", "--steps", "4", "--no-browser"],
            cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True, start_new_session=True,
            env={**os.environ, "TMPDIR": str(scratch), "OMP_NUM_THREADS": "1"})
    # a server that says nothing would be waited for without end
    patience = threading.Timer(PATIENCE/1000, process.kill)
    patience.start()
    try:
        address = process.stdout.readline().strip()
        assert address.startswith("http://127.0.0.1:"), (folder/"log").read_text()
        patience.cancel()
        yield SimpleNamespace(process=process, address=address, scratch=scratch, log=folder/"log",
            boards=[SIX.print(question) for question in puzzles.inputs])
    finally:
        patience.cancel()
        process.kill(); process.wait()

def answer(url):
    "Status and text of an address."
    try:
        with urllib.request.urlopen(url, timeout=60) as reply: return reply.status, reply.read().decode()
    except urllib.error.HTTPError as e: return e.code, e.read().decode()

def test_without_the_token_there_is_nothing(server):
    place = server.address.partition("?")[0]
    for url in (place, f"{place}?token=", f"{place}?token=guessed", f"{server.address}x"):
        status, text = answer(url)
        assert status == 403 or "login" in text and "jupyter-config-data" not in text, (url,
            status, text[:300])
    for path in ("api/kernels/00000000-0000-0000-0000-000000000000",
            "api/kernels/00000000-0000-0000-0000-000000000000/channels",
            "voila/files/explore.ipynb", "explore.ipynb"):
        status, text = answer(place + path)
        assert status in (403, 404) or "login" in text, (path, status)
        assert "trm_lab" not in text and "puzzles_of" not in text
    assert not psutil.Process(server.process.pid).children(recursive=True), ("somebody without the "
        "token started a kernel")

def test_only_this_machine_can_ask(server):
    catch_signals = {c.laddr.ip for c in psutil.Process(server.process.pid).net_connections("inet")
        if c.status == psutil.CONN_LISTEN}
    assert catch_signals == {"127.0.0.1"}

@pytest.fixture(scope="module")
def drawn(server, chromium):
    "The page once the Explorer is drawn, the addresses it asked for, those it was refused, and errors."
    page, asked, forbidden, wrong = chromium.new_page(viewport=SIZE), [], [], []
    page.on("request", lambda r: asked.append(r.url))
    page.on("requestfailed", lambda r: forbidden.append(r.url) if r.failure == "csp" else None)
    page.on("pageerror", lambda e: wrong.append(str(e)))
    page.goto(server.address, timeout=PATIENCE)
    page.wait_for_selector(".trm-explorer[data-frame]", timeout=PATIENCE)
    yield page, asked, forbidden, wrong
    page.close()

def test_the_explorer_is_drawn_and_asks_nobody_else(server, drawn):
    page, asked, forbidden, wrong = drawn
    shown = page.locator(".trm-explorer")
    assert (shown.count() == 1
        and shown.get_attribute("data-board") == server.boards[0]), server.log.read_text()
    shown.focus()
    page.keyboard.press("End")
    assert shown.get_attribute("data-frame") == shown.get_attribute("data-frames") != "0"
    page.keyboard.press("Home")
    puzzles = page.get_by_role("combobox", name="puzzle", exact=True)
    assert puzzles.locator("option").count() == 2 and page.title() == "sudoku-6x6: the Explorer"
    puzzles.select_option("1") # which the page must ask its kernel for
    page.wait_for_selector(f".trm-explorer[data-puzzle='1'][data-board='{server.boards[1]}']",
        timeout=PATIENCE)
    assert "raise SystemExit" not in page.content() # sources are not shown, and a name is nowhere markup
    elsewhere = [url for url in asked if urlsplit(url).scheme not in ("blob", "data")
        and urlsplit(url).hostname != "127.0.0.1" and url not in forbidden]
    assert not elsewhere and not wrong, (elsewhere, wrong)

def test_an_interrupt_ends_everything(server, drawn):
    "While a page is open, whose kernel goes too."
    family = [psutil.Process(server.process.pid),
        *psutil.Process(server.process.pid).children(recursive=True)]
    assert (len(family) > 1
        and [p.name.startswith("trm-lab-") for p in server.scratch.iterdir()].count(True) == 1)
    server.process.send_signal(signal.SIGINT)
    assert server.process.wait(PATIENCE/1000) == 0, server.log.read_text()
    _, alive = psutil.wait_procs(family, timeout=60)
    assert not alive and not [*server.scratch.glob("trm-lab-*")]
    with pytest.raises(urllib.error.URLError): urllib.request.urlopen(server.address, timeout=5)
    assert "Traceback" not in server.log.read_text(), server.log.read_text()

# ---- refusals, and names as data -----------------------------------------------

@pytest.mark.parametrize("arguments, sentence", [
    (["sudoku-6x7"], "there is no such file or model (did you mean 'sudoku-6x6'?)"),
    (["broken.safetensors"], "broken.safetensors"),
    (["sudoku-6x6", "none.csv"], "none.csv: cannot be read (there is no such file); check the path"),
    (["sudoku-6x6", "123"], "a 6×6 Sudoku has 36 cells, but 3 were given"),
    (["sudoku-6x6", "broken.csv"], "the column 'question' is missing"),
    (["sudoku-6x6", "empty"], "dataset.json"),
    (["sudoku-6x6", "--device", "tpu"], "device 'tpu' is not known"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_what_is_wrong_is_said_before_anything_is_served(monkeypatch, capsys, tmp_path, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("trm_lab.views.serve.serve", lambda *_: pytest.fail("the server was started"))
    (tmp_path/"broken.safetensors").write_bytes(b"no model")
    (tmp_path/"broken.csv").write_text("a,b\n1,2\n")
    (tmp_path/"empty").mkdir()
    monkeypatch.setattr(sys, "argv", ["trm-lab", "explore", *arguments])
    with pytest.raises(SystemExit) as stop: cli.main()
    said = capsys.readouterr().err
    assert stop.value.code == 2 and sentence in said and len(said.strip().splitlines()) == 1, said

@pytest.mark.parametrize("name", [ODD, "two\nlines", "'''\"\"\"", "\udcff.csv", "$(date) `date` %d {0}"])
def test_a_name_is_data_in_the_notebook(tmp_path, monkeypatch, name):
    "What the cells say is what was asked for, whatever it is called, and nothing else."
    import torch
    monkeypatch.chdir(tmp_path)
    (tmp_path/name).write_text("")
    load, show = explorer_cells(name, name, 3, 4, 5, "cpu", torch.bfloat16, name)
    notebook = nbformat.reads(
        nbformat.writes(nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(load)])), 4)
    called = []
    space = {"load": lambda *words, **named: called.append((*words, named)) or SimpleNamespace(puzzle="p"),
        "puzzles_of": lambda *words: called.append(words), "torch": torch}
    exec("\n".join(line for line in notebook.cells[0].source.splitlines()
            if not line.startswith(("import", "from"))), space)
    absolute = str(tmp_path/name)
    assert (called == [(absolute, "cpu", torch.bfloat16, {"puzzle": name}),
            ("p", absolute, 3, 4, SimpleNamespace(puzzle="p"))]
        and show == "Explorer(loaded, puzzles, max_steps=5)")

def test_fresh_puzzles_are_the_same_in_both_processes():
    first, again = (puzzles_of(SIX, None, 2, 7) for _ in range(2))
    assert (first.inputs == again.inputs).all() and (first.inputs != puzzles_of(SIX, None, 2, 8).inputs).any()
