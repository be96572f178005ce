"A setting's former name, in recipes, commands, grids, runs and models that are older than its name of today."
import hashlib, json, shutil
from dataclasses import asdict
import pytest, torch
from trm_lab.core.errors import InputError, Interrupted
from trm_lab.core.files import read_jsonl, write_json
from trm_lab.core.run import Run
from trm_lab.core.settings import yaml_text
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.runs.cards import _with_recipe, card_text
from trm_lab.runs.grids import Grid, trials
from trm_lab.runs.notebooks import find_run, resolve_parameters
from trm_lab.runs.templates import find_template, read_parameters, read_template
from trm_lab.runs.training import train_run
from trm_lab.training.config import TrainConfig
from trm_lab.training.states import TrainingState, load_state, save_state
from trm_lab.training.trainer import Trainer
from test_cli import cli_run # noqa: F401 (a fixture)

TINY = """
name: tiny
puzzle: sudoku-4x4
train_puzzles: 64
test_puzzles: 16
global_batch_size: 16
log_every: 2
eval_every: 6
lr_warmup_steps: 5
dtype: float32
device: cpu
halt_max_steps: 4
solve_max_steps: 2
model: {hidden_size: 16, num_heads: 2, swiglu_multiple: 16, L_cycles: 1, mlp_t: true, pos_encodings: none}
"""

@pytest.fixture
def home(tmp_path, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path)); monkeypatch.chdir(tmp_path)
    return tmp_path

def recipe(home, more):
    (home/"mine.yaml").write_text(TINY + more)
    return read_parameters(home/"mine.yaml")

CLOCKS = ("seconds", "puzzle_steps_per_second", "puzzles_per_second") # what two runs need not share

def rows(run):
    return [{k: v for k, v in row.items() if k not in CLOCKS}
        for row in read_jsonl(run.folder/"metrics.jsonl")]

def test_an_old_recipe_trains(home):
    old, new = (recipe(home, f"{name}: 4\n") for name in ("steps", "train_steps"))
    assert old == new and list(old)[-1] == "train_steps"
    run, trained = train_run(old)
    assert trained and run.info["parameters"]["train_steps"] == 4 and "steps" not in run.info["parameters"]
    assert [row["step"] for row in run.metrics("train")] == [2, 4]
    assert train_run(new) == (run, False)
    unread = {"steps" if name == "train_steps" else name: value for name, value in old.items()}
    assert train_run(unread) == (run, False)

def test_the_command_takes_it(cli_run, home): # noqa: F811
    "Over a recipe of either kind, and its section `smoke`."
    recipe(home, "steps: 1000\nsmoke: {steps: 6}\n")
    code, out, err = cli_run("train", "mine.yaml", "-p", "steps", "4")
    assert code == 0, err
    folder, = (home/"reports").iterdir()
    assert Run(folder).info["parameters"]["train_steps"] == 4
    assert cli_run("train", "mine.yaml", "-p", "train_steps=4")[1].startswith("found the finished run")
    assert read_parameters(home/"mine.yaml", smoke=True)["train_steps"] == 6
    code, _, err = cli_run("train", "mine.yaml", "-p", "steps", "4", "-p", "train_steps", "5")
    assert code == 2 and err.strip().endswith("-p train_steps: it is given twice; leave one out")

@pytest.mark.parametrize("finished", [True, False])
def test_an_old_run_is_found_and_goes_on(finished, home, monkeypatch, capsys):
    "Bit for bit, in the folder that an earlier version named."
    new = recipe(home, "train_steps: 12\nsave_seconds: 0\n")
    whole = train_run(new, home/"whole")[0]
    if not finished: # stopped after seven steps
        step = Trainer.step
        def stop(trainer):
            if trainer.steps_done == 7: raise Interrupted("stopped")
            return step(trainer)
        monkeypatch.setattr(Trainer, "step", stop)
        with pytest.raises(Interrupted): train_run(new, home/"reports")
        monkeypatch.undo()
        monkeypatch.setenv("TRM_LAB_HOME", str(home)); monkeypatch.chdir(home)
    else: train_run(new, home/"reports")
    made, = (home/"reports").iterdir()
    older = made.rename(made.with_name(f"tiny-{hashlib.sha256(b'older').hexdigest()[:12]}"))
    def as_then(values): return {"steps" if name == "train_steps" else name: v for name, v in values.items()}
    info, states = Run(older).info, older/"checkpoints"/"states"
    write_json(older/"run.json", {**info, "parameters": as_then(info["parameters"])})
    state = load_state(states) # the newest, which is the one that is taken
    assert state.step == (12 if finished else 7)
    values = {**state.values, "config": as_then(state.values["config"])}
    save_state(states, TrainingState(state.step, state.tensors, values))
    shutil.copytree(older, home/"other"/older.name) # the same, asked for by the former name
    capsys.readouterr()
    run, trained = train_run(new, home/"reports")
    assert run.folder == older and trained is not finished
    assert ("goes on after step 7" in capsys.readouterr().out) is not finished
    assert rows(run) == rows(whole)
    a, b = (load_state(each.folder/"checkpoints"/"states") for each in (run, whole))
    assert a.step == b.step == 12 and all(torch.equal(a.tensors[name], t) for name, t in b.tensors.items())
    former = as_then(new)
    assert find_run("train", former, home/"other")[0].folder == home/"other"/older.name
    assert find_run("train", {**former, "steps": 13}, home/"other")[0].folder != home/"other"/older.name

def test_both_names_are_refused(home):
    said = "'steps' is called 'train_steps' now, and both are given; give only 'train_steps'"
    def refused(call, where):
        with pytest.raises(InputError) as caught: call()
        assert str(caught.value) == f"{where}: {said}"
    refused(lambda: recipe(home, "steps: 4\ntrain_steps: 5\n"), home/"mine.yaml")
    recipe(home, "smoke: {steps: 4, train_steps: 5}\n")
    refused(lambda: read_parameters(home/"mine.yaml", smoke=True), f"{home/'mine.yaml'}: smoke")
    refused(lambda: train_run({"steps": 4, "train_steps": 5}, home), "parameters")
    refused(lambda: trials(Grid("g", axes={"steps": [4], "train_steps": [5]}), home), "sweep 'g'")
    template = json.loads(find_template("train").read_text(encoding="utf-8"))
    cell = next(c for c in template["cells"] if "parameters" in c["metadata"].get("tags", []))
    cell["source"] = [*cell["source"], "\nsteps = 400"] # a copy of the template that is older
    (home/"mine.ipynb").write_text(json.dumps(template))
    number = [c["id"] for c in template["cells"] if c["cell_type"] == "code"].index(cell["id"]) + 1
    refused(lambda: read_template(home/"mine.ipynb"), f"{home/'mine.ipynb'}, code cell {number}")

def test_a_grid_may_be_old(home):
    "Its axes override a recipe of either kind, and its runs are those of the names of today."
    for written in ("steps: 9", "train_steps: 9"):
        recipe(home, written)
        found = [trials(Grid("g", config=str(home/"mine.yaml"), axes={name: [4, 5]}), home)
            for name in ("steps", "train_steps")]
        assert found[0] == found[1] and [t.at for t in found[0]] == [{"train_steps": 4}, {"train_steps": 5}]

def test_a_template_with_steps_of_its_own_keeps_them():
    "There they are supervision steps."
    values, _ = resolve_parameters(read_template(find_template("probes/geometry")), {"steps": 8})
    assert values["steps"] == 8 and "train_steps" not in values
    with pytest.raises(InputError, match="unknown key 'train_steps'"):
        resolve_parameters(read_template(find_template("probes/geometry")), {"train_steps": 8})

def test_a_shipped_model_may_be_older():
    loaded = load_pretrained("sudoku-4x4")
    assert "steps" in loaded.history["recipe"] # the file is as it was
    known = _with_recipe("sudoku-4x4", torch.device("cpu"))[2].history["recipe"]
    assert known["train_steps"] == loaded.history["recipe"]["steps"] and "steps" not in known
    assert list(known) == ["train_steps" if name == "steps" else name for name in loaded.history["recipe"]]
    card = loaded.history["card"]
    newer = {**card, "recipe": known}
    assert card_text(newer, 1) == card_text(card, 1) and "800 steps of 64 puzzles" in card_text(newer, 1)

# ---- auto, which was null ----------------------------------------------------------------------------------

def test_auto_is_what_null_was(home, cli_run): # noqa: F811
    "In a recipe, in a command and in Python; the run is the same one, and its name as it was."
    asked = recipe(home, "train_steps: 4\n")
    plain = find_run("train", asked, home/"reports")[0].folder
    for spelled in (None, "auto"):
        same = find_run("train", {**asked, "compile": spelled, "capture": spelled}, home/"reports")
        assert same[0].folder == plain and same[1]["compile"] == same[1]["capture"] == "auto"
        assert TrainConfig(compile=spelled, capture=spelled) == TrainConfig()
    assert "\ncompile: auto\ncapture: auto\n" in yaml_text(asdict(TrainConfig()))
    assert find_run("train", {**asked, "compile": True}, home/"reports")[0].folder != plain
    counts = resolve_parameters(read_template(find_template("train")), asked)[1]
    assert counts["compile"] is None # as in the names of all runs before
    code, out, err = cli_run("train", "mine.yaml", "-p", "compile", "auto", "-p", "capture", "null")
    assert code == 0 and [folder.name for folder in (home/"reports").iterdir()] == [plain.name], err
    state = load_state(plain/"checkpoints"/"states")
    assert state.values["config"]["compile"] == "auto"
    write_json(plain/"run.json", {**Run(plain).info, "parameters": {**Run(plain).info["parameters"],
        "compile": None, "capture": None}}) # as an earlier version has written them
    former = {**state.values, "config": {**state.values["config"], "compile": None, "capture": None}}
    save_state(plain/"checkpoints"/"states", TrainingState(state.step, state.tensors, former))
    assert train_run(asked) == (Run(plain), False)
    assert cli_run("train", "mine.yaml", "-p", "capture", "auto")[1].startswith("found the finished run")

@pytest.mark.parametrize("wrong", ["yes", 1, "Auto", 0.5, []])
def test_other_words_are_refused(wrong):
    with pytest.raises(InputError, match="'compile' should be true, false or auto, found"):
        TrainConfig(compile=wrong)
