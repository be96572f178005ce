"Counts that take minutes: `make soak`."
import pytest
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
