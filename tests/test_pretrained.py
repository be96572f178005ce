"What ships must keep what the documentation says of it."
from pathlib import Path
import pytest
from trm_lab.checkpoints import load_pretrained, pretrained_models
from trm_lab.data import generate_dataset
from trm_lab.device import pick_device, pick_dtype
from trm_lab.halting import BinaryHalting
from trm_lab.solve import evaluate

@pytest.fixture(scope="module")
def six():
    loaded = load_pretrained("sudoku-6x6", dtype=pick_dtype(pick_device("cpu")))
    recipe = loaded.history["recipe"] # its own test puzzles are made again from the seed, so that they are unseen
    dataset = generate_dataset(loaded.puzzle, recipe["train_puzzles"], recipe["test_puzzles"], recipe["data_seed"])
    assert dataset.metadata.unseen and dataset.fingerprint == loaded.history["scores"]["data_fingerprint"]
    return loaded, dataset

def test_it_is_small():
    import trm_lab
    for name in pretrained_models(): assert (Path(trm_lab.__file__).parent/"pretrained"/f"{name}.safetensors").stat().st_size < 2_000_000

def test_it_solves_unseen_puzzles_and_knows_when_to_stop(six):
    "95 % after 16 steps; adaptive: at most half a point lost, at most half the work."
    loaded, dataset = six
    fixed = evaluate(loaded.model, loaded.puzzle, dataset.test).scores
    adaptive = evaluate(loaded.model, loaded.puzzle, dataset.test, halting=BinaryHalting()).scores
    assert fixed.n == 500 and fixed.exact >= 0.95
    assert abs(fixed.exact - loaded.history["scores"]["fixed"]["exact"]) <= 0.01
    assert adaptive.exact >= fixed.exact - 0.005
    assert adaptive.updates <= fixed.updates/2
    assert adaptive.legal >= adaptive.exact and adaptive.halting_accuracy > 0.9
