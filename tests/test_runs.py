"A notebook counts as run only when it really ran."
import re
import nbformat, pytest
from trm_lab.errors import RunFailed
from trm_lab.records import write_json
from trm_lab.runs import FINISHED, run_notebook, write_report

HEAD = "name = 'tried'\nrun_folder = None"
START = "from pathlib import Path\nfrom trm_lab.records import Run, write_json\nrun = Run(Path(run_folder)); run.start(name, {})\nwrite_json(run.folder/'sum.json', 3)"
END = f"run.finish(['sum.json'])\nprint('{FINISHED}', run.folder.name)"

@pytest.fixture
def template(tmp_path):
    def write(*sources):
        notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(s) for s in (HEAD, START, *sources)],
            metadata={"kernelspec": {"name": "python3", "display_name": "python3", "language": "python"}})
        notebook.cells[0].metadata["tags"] = ["parameters"]
        nbformat.write(notebook, tmp_path/"tried.ipynb")
        return str(tmp_path/"tried.ipynb")
    return write

@pytest.mark.parametrize("sources, problem", [
    (("1/0", END), "ZeroDivisionError"),
    (("import sys; sys.exit(0)", END), "its last cell was not reached"), # papermill calls this a success
    ((END.replace("print", "(run.folder/'sum.json').write_text('5')\nprint"),), "its artifacts do not match"),
], ids=["error", "exit", "changed artifact"])
def test_what_did_not_run_to_its_end_is_no_finished_run(template, tmp_path, sources, problem):
    path = template(*sources)
    with pytest.raises(RunFailed, match=problem): run_notebook(path, {}, tmp_path/"reports")
    folder, = (tmp_path/"reports").iterdir()
    assert (folder/"tried.failed.ipynb").exists() and not (folder/"tried.ipynb").exists()

def test_a_failed_run_is_tried_again_and_a_finished_one_found(template, tmp_path):
    with pytest.raises(RunFailed): run_notebook(template("1/0"), {}, tmp_path/"reports")
    run, executed = run_notebook(template(END), {}, tmp_path/"reports")
    assert executed and run.finished and not (run.folder/"tried.failed.ipynb").exists()
    assert run_notebook(template(END), {}, tmp_path/"reports") == (run, False)
    assert run_notebook(template(END), {}, tmp_path/"reports", fresh=True)[1]
    write_json(run.folder/"sum.json", 4) # an artifact that was changed later
    assert not run.finished

def test_a_page_loads_nothing_from_the_network(template, tmp_path):
    run, _ = run_notebook(template("print('<b>said</b>')", END), {}, tmp_path/"reports")
    text = write_report(run).read_text(encoding="utf-8")
    assert "&lt;b&gt;said&lt;/b&gt;" in text and not re.search(r"(src|href)=.?(https?:)?//|import\(.?http|url\(.?http", text)
