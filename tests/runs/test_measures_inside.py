"Measures that look inside trained models, and rows of studies that only differ in what they should."
import pytest
from trm_lab.core.settings import read_yaml
from trm_lab.models.variants import build_model
from trm_lab.runs.comparisons import rank_agreement
from trm_lab.runs.measures import MEASURES, FinishedRun
from trm_lab.runs.studies import find_study, plan_study
from trm_lab.runs.templates import find_config
from trm_lab.runs.training import train_run
from test_studies import shares

RECIPE = {**read_yaml(find_config("sudoku-4x4")), "train_steps": 100, "eval_every": 0, "test_puzzles": 60,
    "dtype": "float32"}

def finished(folder, arch="trm", **model):
    return FinishedRun(train_run({**RECIPE, "arch": arch, "train_steps": 2, "train_puzzles": 80,
            "model": {**RECIPE["model"], "hidden_size": 32, **model}}, folder)[0])

@pytest.fixture(scope="module")
def trained(tmp_path_factory): return FinishedRun(train_run(RECIPE, tmp_path_factory.mktemp("trained"))[0])

def test_memory_grows_with_updates_that_carry_gradient(tmp_path):
    "With n, with the gradient through all cycles, and not with T."
    recorded = {}
    for name, model in {"n=1": {}, "n=3": {"L_cycles": 3}, "T=3": {"H_cycles": 3},
            "all of T=3": {"H_cycles": 3, "gradient": "step"}}.items():
        [row] = MEASURES["memory"](finished(tmp_path/name, **model), puzzles=8)
        recorded[name] = row["value"]
    assert recorded["T=3"] == recorded["n=1"] and row["n"] == 8
    assert recorded["n=3"] > 1.5*recorded["n=1"] and recorded["all of T=3"] > 2*recorded["T=3"]

def test_a_state_that_is_damped_to_a_halt_rests(trained, tmp_path):
    found = MEASURES["rest"](trained, steps=16, looks=(4, 16), puzzles=12)
    of = {(row["measure"], row["condition"]): row["value"] for row in found}
    kinds = [of[kind, "steps=16"] for kind in ("settles", "cycles", "wanders")]
    assert sum(kinds) == pytest.approx(1) and of["residual", "steps=4"] > 0
    counts = {row["condition"]: row["n"] for row in found}
    assert counts["steps=16"] == 12 == counts.get("steps=16, solved", 0) + counts.get("steps=16, failed", 0)
    still = MEASURES["rest"](finished(tmp_path, relaxation=1e-4), steps=16, looks=(16,), puzzles=4)
    of = {(row["measure"], row["condition"]): row["value"] for row in still}
    assert of["settles", "steps=16"] == 1 and of["residual", "steps=16"] < 1e-3

def test_reading_finds_more_than_its_control(trained):
    "Where each latent is renewed for the last time, and in the question alone."
    found = MEASURES["reading"](trained, steps=(2, 16), puzzles=60)
    of = {(row["measure"], row["condition"]): row["value"] for row in found}
    assert len(of) == len(found)
    value, shuffled = (of["reads cell's value", f"latent=z_H, steps=16{control}"]
        for control in ("", ", shuffled labels"))
    assert value > shuffled + 0.2
    assert {"reads candidates"} < {measure for measure, _ in of}
    assert ("reads candidates", "latent=x, steps=16, input embedding") in of

def test_a_rank_correlation_has_an_interval_over_seeds():
    table = shares(a=[0.9, 0.9, 0.9], b=[0.7, 0.7, 0.7], c=[0.5, 0.5, 0.5], d=[0.3, 0.3, 0.3])
    def agreement(**theirs): return rank_agreement(table, "solved", "steps=16", "arm", theirs)
    same, turned = agreement(a=4, b=3, c=2, d=1), agreement(a=1, b=2, c=3, d=4)
    assert same["value"] == same["low"] == 1 and turned["value"] == turned["high"] == -1
    noisy = shares(a=[0.9, 0.1, 0.6], b=[0.8, 0.2, 0.5], c=[0.4, 0.9, 0.1], d=[0.3, 0.7, 0.1])
    found = rank_agreement(noisy, "solved", "steps=16", "arm", {"a": 4, "b": 3, "c": 2, "d": 1})
    assert found["low"] < 0 < found["value"] == 1 and found["settings"] == 4 # the means agree by chance

# ---- what the grids of these studies hold equal -----------------------------------

def models(number):
    "Parameters of each setting's training, its model, by its name or place."
    trials = [trial for trial in plan_study(find_study(number)).trials if trial.at["seed"] == 0]
    size = {"seq_len": 36, "vocab_size": 8}
    return {trial.at.get("name", i): (trial.parameters,
        build_model(trial.parameters.get("arch", "trm"), {**size, **trial.parameters["model"]}))
        for i, trial in enumerate(trials)}

def parameters(model): return sum(p.numel() for p in model.parameters())

def test_depths_are_compared_at_equal_steps_and_at_equal_updates():
    made = [(p["puzzle"], p["train_steps"], p["train_steps"]*len(model.schedule()), p["halt_max_steps"])
        for p, model in models(1).values()]
    expected = ("sudoku-6x6", 480, 6, 1920, 4), ("maze-5x5", 600, 4, 2400, 4), ("sudoku-9x9", 320, 2, 1920, 2)
    for puzzle, steps, alike, updates, paid in expected:
        some = [row[1:] for row in made if row[0] == puzzle]
        assert some[0][0] == steps and sum(row[0] == steps for row in some) == alike
        assert sum(row[1:] == (updates, 4) for row in some) == paid

def test_latents_are_compared_at_equal_parameters_and_updates():
    made = {name: model for name, (_, model) in models(6).items()}
    usual = made["two-latents"]
    for name in ("one-latent", "seven-latents", "swapped-roles", "two-small-networks"):
        assert parameters(made[name]) == parameters(usual) and len(made[name].schedule()) == 7
    assert parameters(made["two-networks"]) > 1.9*parameters(usual)
    assert [u.name for u in made["swapped-roles"].schedule()] == ["z_L"] + 6*["z_H"]

def test_gradients_are_compared_at_equal_evaluations():
    made = {name: model for name, (_, model) in models(9).items()}
    fixed = made.pop("fixed-point-one-step"), made.pop("fixed-point-implicit")
    assert all(len(model.schedule()) == 8 for model in made.values())
    assert all(model.config.rounds*model.config.evaluations + 1 == 8 for model in fixed)
    kinds = "one-step", "last-cycle", "all-cycles"
    flows = {name: sum(u.grad for u in made[name].schedule()) for name in kinds}
    assert flows == {"one-step": 2, "last-cycle": 4, "all-cycles": 8}
