"Counts that take minutes: `make soak`."
import pytest
from test_checkpoints import large_checkpoint, open_rows
from trm_lab.runs import find_config, read_parameters, run_notebook

@pytest.mark.soak
@pytest.mark.parametrize("seed", [1, 2, 3])
def test_the_demos_recipe_works_with_other_seeds(seed, tmp_path, monkeypatch):
    "Other weights, other puzzles: 95 % of 500 unseen puzzles, at most half a point lost and half the work done by halting."
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    run, _ = run_notebook("train", {**read_parameters(find_config("sudoku-6x6")), "seed": seed, "data_seed": seed})
    fixed, adaptive = run.info["fixed"], run.info["adaptive"]
    print(f"seed {seed}: trained {run.info['training_seconds']:.0f} s; solved after 1 step {run.info['solved_after_1']:.1%}, after 16 {fixed['exact']:.1%}, "
          f"adaptive {adaptive['exact']:.1%} with {adaptive['mean_steps']:.2f} steps, halting accuracy {adaptive['halting_accuracy']:.1%}")
    assert fixed["n"] == 500 and fixed["exact"] >= 0.95
    assert adaptive["exact"] >= fixed["exact"] - 0.005 and adaptive["updates"] <= fixed["updates"]/2

@pytest.mark.soak
def test_rows_of_the_largest_published_kind_of_checkpoint(tmp_path):
    "876,406 puzzle identities, 1.8 GB: a few rows in seconds, and in a process that never holds 300 MB."
    large_checkpoint(tmp_path/"step_1", 876_406, 512)
    for rows in ([0, 5, 876_405], [*range(0, 876_406, 876)]):
        seconds, before, most = open_rows(tmp_path/"step_1", rows)
        print(f"{len(rows)} rows of {(tmp_path/'step_1').stat().st_size/1e9:.2f} GB: {seconds:.2f} s; {before:.0f} MB after the imports, {most:.0f} MB at most")
        assert seconds < 5 and most < 300
