"Who sees a progress bar: a terminal, a notebook, and nobody else."
import fcntl, json, os, pty, re, signal, struct, subprocess, sys, termios
import nbformat, pytest
from nbclient import NotebookClient
from processes import COMMAND, Forked, run_forked
from trm_lab.data.generate import generate_dataset
from trm_lab.puzzles.sudoku import Sudoku

WORK = """from trm_lab.core.progress import progress
import time
with progress(3, "scoring", delay=0.) as bar:
    for _ in range(3):
        time.sleep(0.6)
        bar.set_postfix_str("solved 92 %", refresh=False)
        bar.update(1)
"""

def test_a_terminal_shows_it_and_is_left_clean():
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 120, 0, 0)) # rows, columns
    process = Forked(WORK, stderr=theirs)
    os.close(theirs)
    process.wait(60)
    written = b""
    try:
        while part := os.read(mine, 4096): written += part
    except OSError: pass # the other end is closed
    os.close(mine)
    lines = written.decode().split("\r")
    assert any("2/3" in line and "solved 92 %" in line and "puzzles/s" in line for line in lines)
    assert not lines[-1].strip()

def test_a_pipe_and_a_file_show_nothing(tmp_path):
    piped = subprocess.run([sys.executable, "-c", WORK], capture_output=True, check=True)
    assert piped.stdout + piped.stderr == b""
    with open(tmp_path/"log", "wb") as log:
        subprocess.run([sys.executable, "-c", WORK], stderr=log, check=True)
    assert (tmp_path/"log").read_bytes() == b""

def shown_by(source):
    "What a notebook's cell displays, as it stands in the end."
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, allow_errors=True, kernel_name="python3").execute()
    return [o["data"]["text/plain"] for o in notebook.cells[0].outputs if o.output_type == "display_data"]

def test_a_notebook_shows_one_line_that_is_replaced():
    assert shown_by(WORK) == [""] # done: the line is empty again
    # also after an error
    assert shown_by(WORK.replace("bar.update(1)", "bar.update(1); bar.missing()")) == [""]
    unfinished = "from trm_lab.core.progress import progress\nbar = progress(3, 'scoring', delay=0.)\n" \
        "import time; time.sleep(0.6); bar.set_postfix_str('solved 92 %', refresh=False); bar.update(1)"
    shown, = shown_by(unfinished)
    assert "1/3" in shown and "solved 92 %" in shown

# ---- commands that take minutes ---------------------------------------------------

AT_ONCE = """import trm_lab.core.progress
bar = trm_lab.core.progress.tqdm
trm_lab.core.progress.tqdm = lambda **options: bar(**{**options, "delay": 0., "mininterval": 0.})
""" # every bar is drawn at once and with every update, so that little work is enough to see it move

def in_terminal(*arguments, stop_when=None, before=""):
    """Run trm-lab where standard error is a terminal: exit code, output, what the terminal was told.
    Ctrl+C once it is told that."""
    mine, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 140, 0, 0))
    process = Forked(before + COMMAND, *arguments, stderr=theirs)
    os.close(theirs)
    written = b""
    try:
        while part := os.read(mine, 4096):
            written += part
            if stop_when and re.search(stop_when, written.decode(errors="replace")):
                process.send_signal(signal.SIGINT)
                stop_when = None
    except OSError: pass # the other end is closed
    os.close(mine)
    out, _ = process.communicate(60)
    return process.returncode, out, written.decode()

def counts(written, what): return [int(n) for n in re.findall(rf"{what}.*?\| *(\d+)/\d+ ", written)]

@pytest.fixture(scope="module")
def boards(tmp_path_factory):
    "Six hundred puzzles, many times over: minutes of work."
    puzzle = Sudoku(2, 3)
    made = generate_dataset(puzzle, 1, 600, seed=3).test
    path = tmp_path_factory.mktemp("boards")/"many.csv"
    rows = [f"here,{puzzle.print(q)},{puzzle.print(a)},0\n" for q, a in zip(made.inputs, made.labels)]
    path.write_text("source,question,answer,rating\n" + "".join(rows*10))
    return path

def test_eval_shows_how_far_it_is_and_says_what_it_scored_when_it_is_stopped(boards):
    code, out, written = in_terminal("eval", "sudoku-6x6", "--data", boards, "--fixed", "--batch-size", 64,
        stop_when=r"scoring.*solved \d")
    scored, total = (int(n.replace(",", "")) for n in re.search(
        r"stopped after ([\d,]+) of ([\d,]+) puzzles; the scores are of these", out).groups())
    assert code == 130 and total == 6_000 and 0 < scored < total and scored % 64 == 0
    assert re.search(rf"^n +{scored}$", out, re.M) and "95 %" in out and "Traceback" not in written
    # rate, and time left
    assert "puzzles/s" in written and re.search(r"solved \d", written) and "<" in written

def test_a_search_that_is_stopped_says_how_many_tries_its_puzzles_had(boards):
    "One batch holds 1,024 puzzles; the bar moves inside of it, and what counts is whole waves of tries."
    code, out, written = in_terminal("eval", "sudoku-6x6", "--data", boards, "--steps", 1, "--restarts", 31,
        "--until", "legal", "--batch-size", 16, "--json", stop_when=r"up to (4|8|16) tries")
    said = json.loads(out)
    waves = [after["tries"] for after in said["after"]]
    assert (code == 130 and said["stopped"] and said["n"] == 64*16
        and waves == [1, 2, 4, 8, 16, 32][:len(waves)] and 1 < len(waves) < 6)
    assert (1 < said["mean_tries"] < waves[-1] and 0 < said["exact"] < 1
        and said["after"][-1]["exact"] == said["exact"])
    moved = counts(written, "scoring")
    assert len({n for n in moved if n < 64*16}) > 1 and moved == sorted(moved)

def test_what_nobody_watches_prints_nothing_else(boards, tmp_path):
    few = tmp_path/"few.csv"
    few.write_text("".join(boards.read_text().splitlines(keepends=True)[:129]))
    code, out, err = run_forked(AT_ONCE + COMMAND, "eval", "sudoku-6x6", "--data", few, "--fixed", "--json")
    assert (code, err) == (0, "") and len(out.splitlines()) == 1 and json.loads(out)["stopped"] is False

def test_a_card_in_the_making_shows_how_far_it_is(tmp_path, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    code, out, written = in_terminal("card", "sudoku-4x4", tmp_path/"out", "--count", 100,
        "--restarts", 0, before=AT_ONCE)
    assert code == 0 and "all of them images of training puzzles after 16 steps" in out
    moved = counts(written, "minimal, step by step")
    assert (moved == sorted(moved) and len(set(moved)) > 1
        and "puzzle-steps/s" in written and "solved" in written)

def test_a_study_of_latents_prints_nothing_into_a_pipe():
    "Its bars were shown to everybody."
    work = """from trm_lab.models.checkpoints import load_pretrained
from trm_lab.interp.probes.base import fresh_puzzles, stream, with_progress
four = load_pretrained("sudoku-4x4")
stream(four.model, fresh_puzzles(four, 64).test, steps=2, batch_size=8, progress="looking")
assert list(with_progress([1, 2, 3], "removing", "removals")) == [1, 2, 3]
"""
    assert run_forked(work) == (0, "", "")

def test_in_a_notebook_scoring_shows_one_line_and_leaves_none(boards):
    work = AT_ONCE + f"""from trm_lab.models.checkpoints import load_pretrained
from trm_lab.data.datasets import split_of
from itertools import islice
from trm_lab.puzzles.text import examples
from trm_lab.solving.evaluate import evaluate
six = load_pretrained("sudoku-6x6")
split = split_of((e.question, e.answer) for e in islice(examples({str(boards)!r}, six.puzzle), 128))
from IPython import get_ipython
done = evaluate(six.model, six.puzzle, split, batch_size=64).scores.n
"""
    shown = shown_by(work + "assert done == 128")
    assert shown == [""]
