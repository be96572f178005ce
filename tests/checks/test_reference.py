"Our arithmetic against numbers that the reference implementation computed (tests/reference)."
import json, shutil
from pathlib import Path
import numpy as np, pytest, torch
from typer.testing import CliRunner
from trm_lab.cli import app
from trm_lab.data.batches import Batches
from trm_lab.data.datasets import read_dataset
from trm_lab.core.errors import InputError, RunFailed
from trm_lab.checks.parity import check_case, find_cases
from trm_lab.puzzles.arc import Arc

REFERENCE = Path(__file__).parents[1]/"reference"
CASES = find_cases(REFERENCE)

@pytest.mark.parametrize("path", CASES, ids=lambda p: f"{p.parent.parent.name}-{p.parent.name}")
def test_parity(path):
    "Each system: every latent at every supervision step, losses, gradients, or twenty steps of training."
    for check in check_case(path): assert check.ok, str(check)

def test_nothing_is_left_out():
    "Which systems there are numbers for, and what is compared."
    assert [f"{p.parent.parent.name}/{p.parent.name}" for p in CASES] == [
        *(f"models/{name}" for name in ("direct_transformer", "hrm", "trm_att",
            "trm_att_learned_pos", "trm_hier6", "trm_mlp", "trm_singlez")),
        *(f"trajectories/{name}" for name in ("hrm", "trm_att", "trm_mlp"))]
    compared = {p.parent.parent.name + "/" + p.parent.name: [c.what for c in check_case(p)]
        for p in CASES if p.parent.name == "hrm"}
    assert compared["models/hrm"] == ["logits", "q_halt", "q_continue", "z_H", "z_L",
        "halting decisions", "lm_loss", "q_halt_loss", "q_continue_loss", "loss",
        "gradients", "embedding gradient", "embedding update"]
    assert compared["trajectories/hrm"] == ["loss", "lm_loss", "q_halt_loss", "q_continue_loss",
        "halting decisions", "supervision steps", "final weights", "averaged weights"]

# array to change → the check that must notice
NOTICED = {"models/hrm": {"eval.logits": "logits", "eval.q_halt": "q_halt", "eval.q_continue": "q_continue",
    "eval.z_H": "z_H", "eval.z_L": "z_L", "train.loss": "loss",
        "train.lm_loss": "lm_loss", "train.q_halt_loss": "q_halt_loss",
        "train.q_continue_loss": "q_continue_loss", "train.grad.model.inner.q_head.bias": "gradients",
        "train.puzzle_emb_local_grad": "embedding gradient",
        "train.puzzle_emb_after_signsgd_lr1e-2_wd0.1": "embedding update"},
    "trajectories/hrm": {"traj.loss": "loss", "traj.q_continue_loss": "q_continue_loss",
        "traj.halted": "halting decisions", "traj.steps": "supervision steps",
        "final.model.inner.lm_head.weight": "final weights", "final.model.inner.puzzle_emb.weights":
            "final weights", "ema.model.inner.lm_head.weight": "averaged weights"}}

@pytest.mark.parametrize("case, array",
    [(case, array) for case, arrays in NOTICED.items() for array in arrays])
def test_parity_notices(case, array, tmp_path):
    "One number changed in the reference, and only its check fails."
    folder = Path(shutil.copytree(REFERENCE/case, tmp_path/"case"))
    path = find_cases(folder)[0]
    with np.load(path) as found: arrays = dict(found)
    changed = arrays[array].reshape(-1)
    changed[-1] = ~changed[-1] if changed.dtype == bool else changed[-1] + 1
    arrays[array] = changed.reshape(arrays[array].shape)
    np.savez(path, **arrays)
    failing = {c.what for c in check_case(path) if not c.ok}
    assert NOTICED[case][array] in failing and failing <= {NOTICED[case][array], "halting decisions"}

@pytest.mark.parametrize("name",
    ["direct_transformer", "trm_att", "trm_att_learned_pos", "trm_hier6", "trm_mlp", "trm_singlez"])
def test_parity_notices_a_wrong_weight(name, tmp_path):
    folder = Path(shutil.copytree(REFERENCE/"models"/name, tmp_path/"case"))
    weights = torch.load(folder/"step_0", weights_only=True)
    changed = next(n for n in weights if n.endswith("layers.1.mlp.down_proj.weight"))
    weights[changed] = weights[changed]*1.01
    torch.save(weights, folder/"step_0")
    failing = {c.what for c in check_case(folder/"reference.npz") if not c.ok}
    assert {"logits", "gradients"} <= failing

def test_the_command(tmp_path):
    "Exit code 0 only if everything is inside its limit; other precisions are reported and not judged."
    def run(*arguments): return CliRunner().invoke(app, ["parity", *map(str, arguments)])
    good = run(REFERENCE/"models")
    assert good.exit_code == 0 and "7 of 7 cases agree" in good.stdout, good.output
    folder = Path(shutil.copytree(REFERENCE/"models"/"trm_mlp", tmp_path/"case"))
    coarse = run(folder, "--dtype", "bfloat16")
    assert coarse.exit_code == 0 and "not judged" in coarse.stdout
    with np.load(folder/"reference.npz") as found: arrays = dict(found)
    arrays["eval.logits"] += 1; np.savez(folder/"reference.npz", **arrays)
    bad = run(tmp_path)
    assert (isinstance(bad.exception, RunFailed) and "0 of 1 cases agree" in bad.stdout
        and "logits" in str(bad.exception))
    (tmp_path/"empty").mkdir()
    assert isinstance(run(tmp_path/"empty").exception, InputError)
    described = json.loads((folder/"config.json").read_text())
    described["arch"]["name"] = "unheard.of@Model"; (folder/"config.json").write_text(json.dumps(described))
    assert "unheard" in str(run(folder).exception)

def test_a_dataset_of_the_reference_reads():
    "Several examples a puzzle, several puzzles a group, a learned identity each."
    dataset = read_dataset(REFERENCE/"arc", Arc())
    assert (len(dataset.train), dataset.train.groups, dataset.test.groups, len(dataset.identifiers)) == (203,
        8, 5, 57)
    batch = next(Batches(dataset.train, 16, seed=1))
    group_of = np.searchsorted(dataset.train.group_indices,
        batch.puzzle_identifiers.numpy() - 1, side="right")
    for group in set(group_of.tolist()): # one augmentation of a task a batch
        assert len(set(batch.puzzle_identifiers[torch.from_numpy(group_of == group)].tolist())) == 1
    assert (batch.labels[batch.inputs.new_tensor(0).eq(batch.labels)]).numel() == 0, (
        "padding must not count as a label")
