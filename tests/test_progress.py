"Who sees a progress bar: a terminal, a notebook, and nobody else."
import fcntl, os, pty, struct, subprocess, sys, termios
import nbformat
from nbclient import NotebookClient

WORK = """from trm_lab.progress import progress
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
    process = subprocess.Popen([sys.executable, "-c", WORK], stderr=theirs)
    process.wait(60)
    os.close(theirs)
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
    with open(tmp_path/"log", "wb") as log: subprocess.run([sys.executable, "-c", WORK], stderr=log, check=True)
    assert (tmp_path/"log").read_bytes() == b""

def shown_by(source):
    "What a notebook's cell displays, as it stands in the end."
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(source)])
    NotebookClient(notebook, allow_errors=True, kernel_name="python3").execute()
    return [o["data"]["text/plain"] for o in notebook.cells[0].outputs if o.output_type == "display_data"]

def test_a_notebook_shows_one_line_that_is_replaced():
    assert shown_by(WORK) == [""] # done: the line is empty again
    assert shown_by(WORK.replace("bar.update(1)", "bar.update(1); bar.missing()")) == [""] # also after an error
    unfinished = "from trm_lab.progress import progress\nbar = progress(3, 'scoring', delay=0.)\n" \
        "import time; time.sleep(0.6); bar.set_postfix_str('solved 92 %', refresh=False); bar.update(1)"
    shown, = shown_by(unfinished)
    assert "1/3" in shown and "solved 92 %" in shown
