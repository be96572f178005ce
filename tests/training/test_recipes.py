"""The published recipes: that they say what was published, and that each trains, on real data
of its kind, a few steps."""
import json, shlex
from dataclasses import replace
from pathlib import Path
import pytest, torch
import test_cli
from trm_lab.data.datasets import dataset_of, augmented_dataset, read_dataset, write_dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.core.errors import InputError, build
from trm_lab.puzzles.arc import Arc, read_tasks, score_predictions
from trm_lab.cli import _DEMOS
from trm_lab.puzzles.base import find_puzzle, puzzle_types
from trm_lab.puzzles.text import read_rows
from trm_lab.puzzles.maze import Maze
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.core.settings import read_yaml
from trm_lab.runs.training import dataset_for, given_away, train_run
from trm_lab.runs.templates import experiments_folder, find_config, read_parameters
from trm_lab.training.config import TrainConfig
from trm_lab.models.variants import build_model

REFERENCE = Path(__file__).parents[1]/"reference"
CONFIGS = experiments_folder()/"configs"
RECIPES = ["sudoku-extreme-mlp", "sudoku-extreme-att", "maze-hard", "arc-agi-1",
    "arc-agi-2", "hrm-sudoku-extreme"]

cli_run = test_cli.cli_run # the command line in this process, as a fixture

def recipe(name, smoke=False): return build(TrainConfig, read_parameters(find_config(name), smoke), name)

# ---- what was published ------------------------------------------------------------------------------------

ALL = dict(loss="stablemax", optimizer="adam_atan2", lr_warmup_steps=2000,
    lr_min_ratio=1., beta1=0.9, beta2=0.95, halt_max_steps=16, halt_exploration_prob=0.1,
    halt_loss_weight=0.5, holdout=0., augment=True, init_from=None, freeze=None)
TRM = {**ALL, "arch": "trm", "halting": "binary", "global_batch_size": 768, "lr": 1e-4, "ema": True,
    "ema_rate": 0.999, "ema_ramp": False}
BOARDS = {**TRM, "train_steps": 50_000*1000//768, "weight_decay": 1., "puzzle_emb_lr": 1e-4,
    "puzzle_emb_weight_decay": 1.}
ARC = {**TRM, "puzzle": "arc-30x30", "weight_decay": 0.1, "puzzle_emb_lr": 1e-2,
    "puzzle_emb_weight_decay": 0.1}
SHAPE = dict(hidden_size=512, num_heads=8, expansion=4., L_layers=2, H_cycles=3, puzzle_emb_len=16)
PUBLISHED = { # configuration, model, parameters without the puzzle embedding
    "sudoku-extreme-mlp": ({**BOARDS, "puzzle": "sudoku-9x9"},
        {**SHAPE, "L_cycles": 6, "mlp_t": True, "pos_encodings": "none"}, 5_028_866),
    "sudoku-extreme-att": ({**BOARDS, "puzzle": "sudoku-9x9"},
        {**SHAPE, "L_cycles": 6, "mlp_t": False, "pos_encodings": "rope"}, 6_828_034),
    "maze-hard": ({**BOARDS, "puzzle": "maze-30x30"},
        {**SHAPE, "L_cycles": 4, "mlp_t": False, "pos_encodings": "rope"}, 6_822_914),
    "arc-agi-1": ({**ARC, "train_steps": 518_226},
        {**SHAPE, "L_cycles": 4, "mlp_t": False, "pos_encodings": "rope"}, 6_829_058),
    "arc-agi-2": ({**ARC, "train_steps": 722_239},
        {**SHAPE, "L_cycles": 4, "mlp_t": False, "pos_encodings": "rope"}, 6_829_058),
    "hrm-sudoku-extreme": ({**ALL, "arch": "hrm", "puzzle": "sudoku-9x9", "halting": "q_learning",
        "global_batch_size": 384, "train_steps": 20_000*1000//384, "lr": 7e-5, "weight_decay": 1.,
        "puzzle_emb_lr": 7e-5, "puzzle_emb_weight_decay": 1., "ema": False},
        dict(hidden_size=512, num_heads=8, expansion=4., H_layers=4, L_layers=4, H_cycles=2, L_cycles=2,
            pos_encodings="rope", puzzle_emb_len=0), 27_275_266)}

@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_is_the_published_one(name):
    config, (settings, shape, parameters) = recipe(name), PUBLISHED[name]
    assert (config.name == name and {key: getattr(config, key) for key in settings} == settings
        and config.model == shape)
    puzzle = find_puzzle(config.puzzle)
    with torch.device("meta"): # shapes without numbers
        model = build_model(config.arch,
            {"seq_len": puzzle.seq_len, "vocab_size": puzzle.vocab_size, **config.model})
    assert sum(p.numel() for p in model.parameters()) == parameters
    assert (model.puzzle_emb.weights.shape == (1, 512)
        and model.puzzle_positions == (1 if config.arch == "hrm" else 16))

@pytest.mark.parametrize("name, groups, mean, identities",
    [("arc-agi-1", 960, 4.145814, 876_409), ("arc-agi-2", 1280, 4.333438, 1_191_730)])
def test_arcs_steps_follow_from_its_counts(name, groups, mean, identities):
    """Epochs · groups · mean examples of an identity / batch.
    The counts are our builder's with ConceptARC, whose file is not here."""
    text = find_config(name).read_text(encoding="utf-8")
    assert (f"100,000 epochs · {groups:,} groups (tasks) · {mean} examples / 768" in text
        and f"{identities:,} identities" in text)
    assert recipe(name).train_steps == int(100_000*groups*(mean + 5e-7)/768)

@pytest.mark.parametrize("path", sorted(CONFIGS.rglob("*.yaml")), ids=lambda p: p.stem)
def test_what_a_config_reads_can_be_built(path):
    "Every folder that a config names is one that a recipe says how to make."
    values = read_yaml(path)
    if not values.get("data"): return
    with pytest.raises(InputError,
            match=f"{values['data']}: there is no such dataset folder; build it with  trm-lab data build "):
        dataset_for(build(TrainConfig, read_parameters(path), path.name))
    if "build" in values:
        assert shlex.split(values["build"])[:5] == ["trm-lab", "data", "build",
            values["puzzle"].partition("-")[0], values["data"]]

# ---- what they do ------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    "A small dataset of each kind: official mazes, tasks of ARC, generated Sudoku."
    place = tmp_path_factory.mktemp("data")
    maze = Maze(30, 30)
    mazes = read_rows(REFERENCE/"maze_hard.csv", maze).pairs(slice(None))
    write_dataset(dataset_of(maze, mazes[:2], mazes[2:]), place/"maze")
    tasks = read_tasks(REFERENCE/"arc")
    write_dataset(augmented_dataset(Arc(), tasks.groups(4), origin=tasks.origin), place/"arc")
    write_dataset(generate_dataset(Sudoku(3, 3), 4, 3), place/"sudoku")
    return place

@pytest.mark.parametrize("name", RECIPES)
def test_a_smoke_run_trains_scores_and_is_found_again(name, folders, tmp_path, cli_run, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    kind = recipe(name).puzzle.partition("-")[0]
    arguments = "train", name, "--smoke", "-p", "data", folders/kind
    code, out, err = cli_run(*arguments)
    assert code == 0, err
    run = json.loads(next((tmp_path/"reports").rglob("run.json")).read_text(encoding="utf-8"))
    assert (run["parameters"]["name"] == f"{name}-smoke" and run["status"] == "finished"
        and run["parameters"]["train_steps"] == 4)
    scores, further = run["fixed"], {"sudoku": set(), "maze": {"valid", "optimal"},
        "arc": {f"ARC/pass@{k}" for k in (1, 2, 5, 10, 100, 1000)}}[kind]
    assert (set(scores["further"]) == further
        and set(scores["intervals"]) == {"exact", "solved", "halting_accuracy", *further})
    assert scores["n"] == {"sudoku": 2, "maze": 1, "arc": sum(len(g.test)*len(g.codes)
        for g in list(g for g in read_tasks(REFERENCE/"arc").groups(4) if g.test)[:2])}[kind]
    assert "found the finished run" in cli_run(*arguments)[1]

def test_smoke_is_asked_for_by_name(cli_run, tmp_path):
    code, _, err = cli_run("run", "train", "--smoke")
    assert code == 2 and "--smoke reads the section 'smoke' of a config" in err
    code, _, err = cli_run("train", "maze-hard", "--smoke")
    assert code == 2 and "build it with  trm-lab data build maze data/maze-hard --hub" in err

def test_a_recipe_without_a_section_for_it_has_a_smoke_run_of_its_own_model(cli_run, tmp_path, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    code, out, err = cli_run("train", "queens-8x8", "--smoke")
    assert code == 0, err
    run = json.loads(next((tmp_path/"reports").rglob("run.json")).read_text(encoding="utf-8"))
    assert run["parameters"]["name"] == "queens-8x8-smoke" and run["status"] == "finished"
    assert run["parameters"]["model"]["hidden_size"] == 128 and run["parameters"]["train_steps"] == 20
    code, _, err = cli_run("run", "probes/halting", "-f", "sudoku-6x6", "--smoke")
    assert code == 2 and "it has no section 'smoke'" in err

def test_every_type_that_a_laptop_learns_has_a_demo():
    assert {recipe(name).puzzle.partition("-")[0] for name in _DEMOS.values()} == set(_DEMOS)
    assert set(puzzle_types()) - set(_DEMOS) == {"arc", "lights_out"} # one needs a GPU, one is the lesson's

# ---- scores of a model -------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def arc_model(folders, tmp_path_factory):
    "A model trained on the small ARC dataset."
    values = {**read_parameters(find_config("arc-agi-1"), smoke=True),
        "data": str(folders/"arc"), "score_groups": None}
    return train_run(values, tmp_path_factory.mktemp("reports"))[0].folder/"checkpoints"/"model.safetensors"

def test_eval_of_arc_is_the_vote(cli_run, arc_model, folders, tmp_path):
    "pass@k as it comes batch by batch, and as the same answers in a file give it."
    import numpy as np
    from trm_lab.models.checkpoints import load
    from trm_lab.core.device import pick_device, pick_dtype
    from trm_lab.solving.evaluate import evaluate
    code, out, err = cli_run("eval", arc_model, "--data", folders/"arc", "--fixed", "--steps", 2,
        "--json", "--batch-size", 7)
    said, dataset = json.loads(out), read_dataset(folders/"arc")
    assert code == 0 and said["overlap"] is None and said["n"] == len(dataset.test)
    device = pick_device()
    whole = evaluate(load(arc_model, device, pick_dtype(device)).model, dataset.puzzle,
        dataset.test, 2, batch_size=7)
    np.savez(tmp_path/"predictions.npz", preds=whole.tokens, q_halt_logits=whole.q_halt,
        puzzle_identifiers=dataset.test.identifiers)
    assert said["further"] == score_predictions(tmp_path/"predictions.npz", dataset).scores()
    code, out, _ = cli_run("eval", arc_model, "--data", folders/"arc", "--fixed", "--steps", 2)
    assert code == 0 and "ARC/pass@2" in out and out.count("(95 %: ") == 12

def test_what_was_trained_on_is_not_scored(cli_run, arc_model, tmp_path):
    """The model's training tasks as another dataset's scored ones, as ARC-AGI-1's are in ARC-AGI-2: refused,
    by the run that begins with it too."""
    arc, tasks = Arc(), read_tasks(REFERENCE/"arc", subsets=["evaluation", "training"], score="training")
    write_dataset(augmented_dataset(arc, tasks.groups(4), origin=tasks.origin), tmp_path/"turned")
    code, _, err = cli_run("eval", arc_model, "--data", tmp_path/"turned")
    assert code == 2 and "3 of 3 scored tasks" in err and "are training tasks too" in err
    code, out, _ = cli_run("eval", arc_model, "--data", tmp_path/"turned",
        "--allow-overlap", "--json", "--steps", 1)
    assert code == 0 and "explicitly allowed" in json.loads(out)["overlap"]
    values = {**read_parameters(find_config("arc-agi-1"), smoke=True), "data": str(tmp_path/"turned"),
        "init_from": str(arc_model), "name": "turned"}
    with pytest.raises(InputError, match="are training tasks too"): train_run(values, tmp_path/"reports")
    run, _ = train_run({**values, "allow_overlap": True}, tmp_path/"reports")
    assert "explicitly allowed" in run.info["overlap"]
    config = build(TrainConfig, {**values, "init_from": None}, "turned")
    dataset = read_dataset(tmp_path/"turned")
    assert given_away(config, dataset) == (sorted(t.id for t in tasks.tasks if not t.scored), None)
    mixed = replace(dataset, metadata=replace(dataset.metadata, overlap="allowed when it was built"))
    assert given_away(config, mixed) == (sorted(t.id for t in tasks.tasks), "allowed when it was built")
