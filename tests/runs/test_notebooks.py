"A notebook counts as run only when it really ran; a run is found by what determines its result."
import json, os, re, sys
from dataclasses import asdict, fields
from pathlib import Path
import nbformat, pytest
from trm_lab.cli import _value, main
from trm_lab.core.errors import InputError, RunFailed
from trm_lab.core.run import Run, run_id, versions
from trm_lab.core.settings import read_json
from trm_lab.core.files import write_json
from trm_lab.runs.notebooks import FINISHED, find_run, remarks, run_notebook
from trm_lab.runs.templates import find_template, read_parameters, read_template, template_parameters
from trm_lab.runs.pages import page, write_report
from trm_lab.runs.training import train_run
from trm_lab.training.config import OBSERVATION_ONLY, TrainConfig

HEAD = "name = 'tried'\nrun_folder = None"
START = ("from pathlib import Path\nfrom trm_lab.core.run import Run; from trm_lab.core.files import "
    "write_json\nrun = Run(Path(run_folder)); run.start(name, {})\nwrite_json(run.folder/'sum.json', 3)")
END = f"run.finish(['sum.json'])\nprint('{FINISHED}', run.folder.name)"

@pytest.fixture
def template(tmp_path):
    def write(*sources):
        notebook = nbformat.v4.new_notebook(
            cells=[nbformat.v4.new_code_cell(s) for s in (HEAD, START, *sources)],
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
    assert ("&lt;b&gt;said&lt;/b&gt;" in text
        and not re.search(r"(src|href)=.?(https?:)?//|import\(.?http|url\(.?http", text))

# ---- what a run is known by --------------------------------------------------

def name_of(template, parameters, place): return find_run(template, parameters, place)[0].folder.name

def test_spellings_of_one_recipe_are_one_run(tmp_path, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    def name(text):
        (tmp_path/"c.yaml").write_text(text); return name_of("train", read_parameters(tmp_path/"c.yaml"),
            tmp_path)
    recipe = name("puzzle: sudoku-4x4\nlr: 2e-3\nsteps: 1000\nseed: 8\n")
    assert recipe == name("train_steps: 1e3\nseed: 08\nlr: 0.002\npuzzle: 'sudoku-4x4'\n") == name("puzzle: "
        "sudoku-4x4\nsteps: 1000.0\nlr: '2e-3'\nseed: '8'\nsolve_max_steps: 16\n")
    assert recipe == name_of("train", {"puzzle": "sudoku-4x4",
        **{key: _value(text) for key, text in (("lr", "2e-3"), ("seed", "8"))}}, tmp_path)
    for line in ("device: cpu", "log_every: 1", "save_seconds: 5", "tracker: trackio",
        "model: {hidden_size: 512}", "model: {}"):
        assert name(f"puzzle: sudoku-4x4\nlr: 2e-3\nseed: 8\n{line}\n") == recipe, line
    for line in ("eval_every: 1", "holdout: 0.1", "dtype: float32", "accumulate: 2", "compile: true",
        "weight_decay: 0.2", "model: {hidden_size: 64}", "name: other"):
        assert name(f"puzzle: sudoku-4x4\nlr: 2e-3\nseed: 8\n{line}\n") != recipe, line

def test_the_template_and_the_trainer_agree_on_what_only_watches():
    assert (read_template(find_template("train")).aside == OBSERVATION_ONLY | {"run_folder"}
        and OBSERVATION_ONLY <= {f.name for f in fields(TrainConfig)})

def changed(path, change):
    notebook = json.loads(Path(path).read_text())
    change(notebook["cells"])
    Path(path).write_text(json.dumps(notebook))

def test_an_edited_notebook_is_another_run(template, tmp_path):
    path = template(END)
    run, _ = run_notebook(path, {}, tmp_path/"reports")
    for change in (lambda cells: cells[1].update(source=[*cells[1]["source"], "\n", "\n"]),
        lambda cells: cells.insert(1, {"cell_type": "markdown", "id": "m", "metadata": {}, "source": "why"}),
            lambda cells: cells[-1].update(execution_count=7,
            outputs=[{"output_type": "stream", "name": "stdout", "text": "said"}],
            metadata={"collapsed": True}), lambda cells: cells.append({**cells[-1], "id": "e",
            "source": " "})):
        changed(path, change)
        assert run_notebook(path, {}, tmp_path/"reports") == (run, False)
    changed(path, lambda cells: cells[2].update(source="".join(cells[2]["source"]).replace("'sum.json', 3",
        "'sum.json', 3000")))
    again, executed = run_notebook(path, {}, tmp_path/"reports")
    assert executed and again != run and read_json(again.folder/"sum.json") == 3000
    changed(path, lambda cells: cells[0].update(source=HEAD + "\nnew = 1")) # a default counts as well
    assert find_run(path, {}, tmp_path/"reports")[0] not in (run, again)
    assert find_run(path, {"new": 1.0}, tmp_path/"reports") == find_run(path, {}, tmp_path/"reports")

def test_a_notebook_says_which_of_its_parameters_only_watch(template, tmp_path):
    path = template(END)
    changed(path, lambda cells: cells[0].update(source=HEAD
        + "\nspeed = 1\nx = 1.5\n# not part of a run's identity: speed"))
    assert name_of(path, {"speed": 3}, tmp_path) == name_of(path, {}, tmp_path) != name_of(path, {"x": 2},
        tmp_path)
    changed(path, lambda cells: cells[0].update(source=HEAD
        + "\nspeed = 1\n# not part of a run's identity: sped"))
    with pytest.raises(InputError,
        match="under 'not part of a run's identity', but is not a parameter .did you mean 'speed'?"):
        find_run(path, {}, tmp_path)

@pytest.mark.parametrize("parameters, sentence", [({"n": "many"}, "'n' should be int, found str 'many'"),
    ({"n": 1.5}, "'n' should be int"), ({"flag": "yes"}, "'flag' should be bool"),
    ({"text": 3}, "'text' should be str"),
    ({"listed": 3}, "'listed' should be list"), ({"any": float("nan")}, "'any' is not a number"),
    ({"any": Path("x")}, "'any' should be a number, text"),
    ({"name": "a/b"}, "should be the name of a folder"),
    ({"run_folder": "x"}, "unknown key 'run_folder'"), ({"m": 1}, "unknown key 'm'")])
def test_parameters_of_any_notebook_have_their_defaults_kinds(template, tmp_path, parameters, sentence):
    path = template(END)
    changed(path, lambda cells: cells[0].update(source=HEAD
        + "\nn = 3\nflag = False\ntext = ''\nlisted = []\nany = None"))
    with pytest.raises(InputError, match=f"mine.yaml: .*{re.escape(sentence)}"):
        run_notebook(path, parameters, tmp_path/"reports", "mine.yaml")
    assert not (tmp_path/"reports").exists()

# ---- runs of earlier versions ------------------------------------------------

def as_before(run, template, parameters):
    "Call a run's folder as earlier versions did: by all parameters, as they were typed."
    old = run.folder.with_name(run_id("tried", {"template": "tried",
        **{k: v for k, v in {**template_parameters(Path(template)), **parameters}.items()
        if k != "run_folder"}}))
    run.folder.rename(old)
    return Run(old)

def test_a_run_of_an_earlier_version_is_found(template, tmp_path):
    path = template("print(x)", END)
    changed(path, lambda cells: cells[0].update(source=HEAD + "\nx = 2.0"))
    run, _ = run_notebook(path, {"x": 0.002}, tmp_path/"reports")
    old = as_before(run, path, {"x": 0.002})
    assert run_notebook(path, {"x": 0.002}, tmp_path/"reports") == (old, False)
    old = as_before(old, path, {"x": "2e-3"}) # YAML 1.1 took it for a text
    assert run_notebook(path, {"x": 0.002}, tmp_path/"reports") == (old, False)
    assert find_run(path, {"x": 0.003}, tmp_path/"reports")[0] != old
    # but not if it was made by other code
    changed(path, lambda cells: cells[-1].update(source="pass\n" + END))
    assert not find_run(path, {"x": 0.002}, tmp_path/"reports")[0].folder.exists()

def test_what_another_version_made_is_told(template, tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    path = template(END)
    changed(path, lambda cells: cells[0].update(source=HEAD
        + "\nspeed = 1\ndata = None\n# not part of a run's identity: speed"))
    (tmp_path/"puzzles.csv").write_text("x"); os.utime(tmp_path/"puzzles.csv", (1, 1))
    given = {"data": str(tmp_path/"puzzles.csv")}
    run, _ = run_notebook(path, given)
    assert remarks(run, path, given) == ""
    run.update(versions={**versions(), "trm-lab": "0.0.9", "torch": "1.0"}, parameters={"speed": 1})
    monkeypatch.setattr(sys, "argv", ["trm-lab", "run", path, "-p", "data", given["data"], "-p", "speed",
        "2"])
    (tmp_path/"puzzles.csv").write_text("y")
    with pytest.raises(SystemExit): main()
    printed = capsys.readouterr()
    assert printed.out.strip().endswith(f"found the finished run: {run.folder}")
    here = f"trm-lab {versions()['trm-lab']}, torch {versions()['torch']}"
    assert printed.err.strip() == (f"it was made with trm-lab 0.0.9, torch 1.0, and this is {here}; "
        f"it ran with speed 1; {given['data']} was changed since; --fresh runs it again")

def test_training_that_is_refused_leaves_no_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    for wrong, sentence in (({"data": "nowhere"}, "nowhere"),
        ({"train_puzzles": 5, "test_puzzles": 2, "puzzle": "sudoku-4x4"}, "do not fill one batch"),
        ({"model": {"hidden_size": "banana"}}, "'hidden_size' should be int"),
        ({"puzzle": "sudoku-7x7"}, "product")):
        with pytest.raises(InputError, match=sentence): train_run(wrong)
        assert not [*(tmp_path/"reports").glob("*")] if (tmp_path/"reports").exists() else True

# ---- notebooks as people have them -------------------------------------------

def cell(source, *tags, kind="code"):
    return {"cell_type": kind, "id": "c", "metadata": {"tags": [*tags]}, "source": source,
        **({"outputs": [], "execution_count": None} if kind == "code" else {})}
def book(*cells, **more):
    return json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [*cells], **more},
        indent=1)
def with_parameters(source):
    return book(cell("1"), cell(f"run_folder = None\n{source}", "parameters"), cell("2"))

WRONG = {
    "empty": ("", "the file is empty"), "blank": (" \n", "the file is empty"),
    "no JSON": ("{\n oops", "line 2"), "a list": ("[1]", "not a notebook, because it has no list of cells"),
    "other JSON": ('{"a": 1}', "not a notebook, because it has no list of cells"),
    "text": ("# a script\nx = 1\n", "not JSON"),
    "conflict": (book(cell("1")).replace(' "cells"', '<<<<<<< HEAD\n "cells"', 1),
    "line 5: a merge conflict was not resolved (<<<<<<< HEAD)"),
    "conflict's end": (book() + "\n>>>>>>> theirs\n", ">>>>>>> theirs"),
    "nbformat 3": ('{"nbformat": 3, "worksheets": [{"cells": []}]}', "old format (nbformat 3)"),
    "nbformat 5": (book(nbformat=5), "should be 4, found 5"), "no nbformat": ('{"cells": []}',
    "should be 4, found None"),
    "damaged": (book({"cell_type": "code"}), "cell 1 is damaged"),
    "twice": (book().replace('"nbformat": 4', '"nbformat": 4, "nbformat": 4'),
    'the key "nbformat" is there twice'),
    "R": (book(cell("x <- 1"), metadata={"kernelspec": {"name": "ir", "language": "R"}}), "written in R"),
    "Julia": (book(metadata={"language_info": {"name": "julia"}}), "written in julia"),
    "no parameters": (book(cell("x = 1"), cell("", "parameters", kind="markdown")),
    "the tag 'parameters', found 0"), "two": (book(cell("x = 1", "parameters"), cell("x = 1", "parameters")),
    "found 2 (code cells 1, 2)"),
    "magic": (with_parameters("%matplotlib inline"),
    "code cell 2, line 2: %matplotlib inline is a command for Jupyter"),
    "shell": (with_parameters("!pip install x"), "line 2: !pip install x is a command for Jupyter"),
    "cell magic": (book(cell("%%time\nx = 1", "parameters")), "line 1: %%time is a command"),
    "import": (with_parameters("import not_there_at_all"), "line 2: there is no module 'not_there_at_all'"),
    "from": (with_parameters("from not_there.at_all import x"), "no module 'not_there'"),
    "Path": (with_parameters("from pathlib import Path\ndata = Path('a')"),
    "line 3: Path('a') is not a plain value"),
    "call": (with_parameters("x = open('y').read()"), "line 2: open('y').read() is not a plain value"),
    "slow": (with_parameters("import time\ntime.sleep(1000)"),
    "line 3: `time.sleep(1000)` sets no parameter"), "print": (with_parameters("print('hello')"),
    "sets no parameter"), "raises": (with_parameters("x = 1/0"), "line 2: division by zero"),
    "raise": (with_parameters("raise SystemExit"), "`raise SystemExit` sets no parameter"),
    "undefined": (with_parameters("x = y"), "line 2: `y` is not defined"),
    "derived": (with_parameters("x = 2\ny = 2*x"), "line 3: it is computed from 'x', which a run may set"),
    "set twice": (with_parameters("x = 1\nx = 2"), "line 3: 'x' is set twice"),
    "loop": (with_parameters("for x in range(3): pass"), "sets no parameter"),
    "set": (with_parameters("x = {1, 2}"), "{1, 2} is not a plain value"),
    "lambda": (with_parameters("x = lambda: 1"), "is not a plain value"),
    "unpacked": (with_parameters("a, b = 1, 2"), "sets no parameter"),
    "not Python": (with_parameters("x = = 1"),
    "code cell 2, line 2: this is not Python (invalid syntax), correct it: x = = 1"),
    "huge": (with_parameters("x = 9**9**9"), "the exponent is too large"),
    "NaN": (with_parameters("x = 1e999 - 1e999"), "'x' is not a number"),
    "no run_folder": (book(cell("x = 1", "parameters")), "sets no `run_folder`"),
    "bad cell": (book(cell("run_folder = None", "parameters"), cell("%matplotlib inline\nawait x"),
    cell("ok = 1\nif ok\n  2")), "code cell 3, line 2: this is not Python"),
}

@pytest.mark.parametrize("case", WRONG)
@pytest.mark.parametrize("command", ["run", "sweep"])
def test_a_notebook_that_cannot_be_run_is_called_what_it_is(case, command, tmp_path, monkeypatch, capsys):
    text, sentence = WRONG[case]
    (tmp_path/"mine.ipynb").write_text(text)
    refused(tmp_path, sentence, command, monkeypatch, capsys)

def refused(place, sentence, command, monkeypatch, capsys):
    "One sentence that names the notebook, exit code 2, and no folder left behind."
    (place/"grid.yaml").write_text(f"notebook: {place/'mine.ipynb'}\nseeds: 2\n")
    monkeypatch.setenv("TRM_LAB_HOME", str(place)); monkeypatch.chdir(place)
    monkeypatch.setattr(sys, "argv", ["trm-lab", command, str(place/("mine.ipynb" if command == "run"
        else "grid.yaml"))])
    with pytest.raises(SystemExit) as stop: main()
    said = capsys.readouterr().err.strip()
    assert stop.value.code == 2 and "mine.ipynb" in said and sentence in said and len(
        said.splitlines()) == 1, said
    assert not (place/"reports").exists()

@pytest.mark.parametrize("data, sentence", [(book().encode("utf-16"), "the file is UTF-16"),
    ('{"a": "é"}'.encode("latin-1"), "not UTF-8 text"), (None, "is a folder")])
def test_a_file_that_is_no_text(data, sentence, tmp_path, monkeypatch, capsys):
    (tmp_path/"mine.ipynb").mkdir() if data is None else (tmp_path/"mine.ipynb").write_bytes(data)
    refused(tmp_path, sentence, "run", monkeypatch, capsys)

def test_what_may_stand_in_a_parameters_cell(tmp_path):
    (tmp_path/"mine.ipynb").write_text(with_parameters("'What it is for.'\nimport os, json\na = b = "
        "-10**3\nc: float = 1/4\nd = ['x', (1, 2), {'k': None}]\ne = 'x'*2 + 'y'\n"), encoding="utf-8-sig")
    assert template_parameters(tmp_path/"mine.ipynb") == {"run_folder": None, "a": -1000, "b": -1000,
        "c": 0.25, "d": ["x", (1, 2), {"k": None}], "e": "xxy"}

def test_a_parameters_cell_takes_over_a_configuration(tmp_path):
    "Each field is a parameter, lines below set other defaults, and what only watches is known."
    take = "from dataclasses import asdict\nfrom trm_lab.training.config import TrainConfig\n"
    take += "globals().update(asdict(TrainConfig()))\n"
    path = tmp_path/"mine.ipynb"
    path.write_text(with_parameters(take + "lr = 3e-3\nextra = 1\n"))
    read = read_template(path)
    assert read.parameters == {**asdict(TrainConfig()), "lr": 3e-3, "extra": 1, "run_folder": None}
    assert read.aside == OBSERVATION_ONLY | {"run_folder"}
    for source, sentence in ((take + "lr = 1\nlr = 2", "line 6: 'lr' is set twice"),
        (take.replace("TrainConfig()", "TrainConfigs()"), "did you mean 'TrainConfig'?"),
        (take + "half = lr/2", "line 5: it is computed from 'lr'")):
        path.write_text(with_parameters(source))
        with pytest.raises(InputError, match=re.escape(sentence)): read_template(path)

def test_papermill_overrides_single_parameters_of_the_training_template(tmp_path):
    "Without `trm-lab run`: the notebook's own cell gives the others their defaults."
    import papermill
    notebook = nbformat.read(find_template("train"), as_version=4)
    first = next(c for c in notebook.cells if c.cell_type == "code")
    notebook.cells = [first, nbformat.v4.new_code_cell("lr, train_steps, puzzle")]
    nbformat.write(notebook, tmp_path/"first.ipynb")
    ran = papermill.execute_notebook(str(tmp_path/"first.ipynb"), str(tmp_path/"ran.ipynb"), {"lr": 0.5},
        progress_bar=False, kernel_name="python3")
    default = TrainConfig()
    assert ran.cells[-1].outputs[0]["data"]["text/plain"] == repr((0.5, default.train_steps, default.puzzle))

def test_a_notebook_that_ran_through_without_a_word_is_told_what_is_missing(template, tmp_path):
    with pytest.raises(RunFailed,
        match=r"its last cell ran, but did not end the run; let it end with  run.finish"):
        run_notebook(template("1 + 1"), {}, tmp_path/"reports")

# ---- a page of what a notebook shows -----------------------------------------

def display(**data):
    return {"output_type": "display_data", "metadata": {}, "data": {name.replace("__", "/"): value for name,
        value in data.items()}}

PIXEL = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
VIEW, STATE = "application/vnd.jupyter.widget-view+json", "application/vnd.jupyter.widget-state+json"
MODELS = {"box": {"model_name": "HBoxModel", "state": {"children": ["IPY_MODEL_text", "IPY_MODEL_bar",
    "IPY_MODEL_out"]}}, "text": {"model_name": "HTMLModel", "state": {"value": "<b>doing</b> 100%"}},
    "bar": {"model_name": "FloatProgressModel", "state": {"value": 3.0}},
    "out": {"model_name": "OutputModel", "state": {"outputs": [{"output_type": "stream", "name": "stdout",
    "text": "inside the widget"}]}}}

def shown():
    "A notebook with what reports used to lose, or to ask others for."
    outputs = [{VIEW: {"model_id": "explorer"}, "image/png": PIXEL, "text/plain": "Explorer()"},
        {VIEW: {"model_id": "box"}, "text/plain": "0%| | 0/3"},
        {VIEW: {"model_id": "gone"}, "text/plain": "Slider(3)"}, {VIEW: {"model_id": "gone"}},
        {"application/vnd.plotly.v1+json": {"data": [{"type": "scatter", "y": [1, 3, 2]}], "layout": {}}},
        {"text/html": '<script charset="utf-8" src="https://cdn.plot.ly/plotly-3.0.0.min.js"></script><div '
        'id="two"></div><script>Plotly.newPlot("two", [{y: [1, 2]}])</script>'},
        {"text/html": "<iframe src='https://www.youtube.com/embed/x'></iframe>",
        "text/plain": "YouTubeVideo"}, {"text/html": "<img src=//example.org/a.png>"},
        {"text/html": "<img src='http://example.org/b.png'>", "image/png": PIXEL},
        {"text/html": "<link rel='stylesheet' href='https://example.org/c.css'>styled"},
        {"application/javascript": "document.body.append(Object.assign(document.createElement('img'), {src: "
        "'https://example.org/d.png'}))"},
        {"text/html": "<style>body {background: url(https://example.org/e.png)}</style>"},
        {"text/markdown": "![f](https://example.org/f.png)"}]
    cells = [nbformat.v4.new_code_cell("", outputs=[nbformat.from_dict({"output_type": "display_data",
        "metadata": {}, "data": data}) for data in outputs]),
        nbformat.v4.new_markdown_cell("![g](https://example.org/g.png) and [a link](https://example.org)")]
    return nbformat.v4.new_notebook(cells=cells, metadata={"widgets": {STATE: {"state": MODELS,
        "version_major": 2, "version_minor": 0}}})

def test_a_page_has_beginning_and_end_of_a_long_text():
    "As papermill keeps it, in many outputs; the notebook is not changed, and pictures stay where they were."
    def lines(first, last, name="stdout"):
        return [nbformat.v4.new_output("stream", name=name, text=f"line {n} of it\n")
            for n in range(first, last)]
    picture = nbformat.v4.new_output("display_data", data={"image/png": PIXEL})
    bar = nbformat.v4.new_output("display_data", data={"text/plain": ""}) # that has gone
    cell = nbformat.v4.new_code_cell("", outputs=[*lines(0, 100), bar, *lines(100, 300), picture,
        *lines(300, 341), *lines(341, 343, "stderr")])
    notebook = nbformat.v4.new_notebook(cells=[cell])
    before = json.dumps(notebook)
    text = page(notebook, "long")
    assert json.dumps(notebook) == before
    shown = [int(n) for n in re.findall(r"line (\d+) of it", text)]
    assert shown == [*range(20), *range(280, 300), *range(300, 343)] # 41 lines are no long text
    assert text.count("lines are left out here") == 1 and "(260 lines are left out here" in text
    assert text.index("line 299") < text.index(PIXEL) < text.index("line 300 ")

def test_a_report_shows_what_widgets_showed_and_asks_nobody(open_page, tmp_path):
    notebook = shown()
    before = json.dumps(notebook)
    (tmp_path/"report.html").write_text(page(notebook, "report"), encoding="utf-8")
    assert json.dumps(notebook) == before # only the page is without them
    text = (tmp_path/"report.html").read_text(encoding="utf-8")
    assert "unpkg" not in text and not re.search(r"<(script|img|iframe|link)[^>]*(src|href)=.?(https?:)?//",
        re.sub(r"<script>/\*[\s\S]*?</script>", "", text))
    tab, answered, plots = open_page(), [], ".js-plotly-plot .main-svg"
    tab.on("response", lambda response: answered.append(response.url))
    tab.on("requestfailed", lambda request: answered.append(request.url) if request.failure != "csp"
        else None)
    tab.goto((tmp_path/"report.html").as_uri())
    tab.wait_for_selector(plots)
    assert [url for url in answered if url.startswith("http")] == []
    said = tab.inner_text("body")
    for words in ("doing 100%", "inside the widget", "Slider(3)", "only JupyterLab shows this",
        "not loaded from the network: https://www.youtube.com/embed/x", "styled", "a link"):
        assert words in said, words
    assert "0%|" not in said and "YouTubeVideo" not in said
    assert tab.evaluate("[...document.images].filter(i => i.src.startsWith('data:image/png') && i.complete "
        "&& i.naturalWidth).length") == 2
    assert tab.evaluate("document.querySelectorAll('.js-plotly-plot').length") == 2
