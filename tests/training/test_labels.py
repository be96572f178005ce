"Which of several right answers a model is asked for: what it sees, and that a resumed run is the same run."
from dataclasses import replace
import numpy as np, pytest, torch
from test_not_finite import CONFIG, everything, same
from trm_lab.core.errors import InputError
from trm_lab.data.datasets import Dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.models.losses import board_loss, TOKEN_LOSSES
from trm_lab.puzzles.maze import Maze
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.training.trainer import NearestLabels, Trainer

@pytest.fixture(scope="module")
def mazes()->Dataset: return generate_dataset(Maze(5, 5), 64, 16, difficulty="path6")

def config(choice:str, **changes): return replace(CONFIG, puzzle="maze-5x5", label_choice=choice, **changes)

def trained(choice, mazes, steps, **changes)->Trainer:
    trainer = Trainer(config(choice, **changes), mazes)
    for _ in range(steps): trainer.step()
    return trainer

@pytest.mark.parametrize("loss", ["softmax", "stablemax"])
def test_no_right_answer_has_less_loss_than_the_nearest(mazes, loss):
    trainer = trained("data", mazes, 1)
    batch = trainer.carry.batch
    logits = torch.randn(len(batch), 25, 6, generator=torch.Generator().manual_seed(0))
    def losses(labels): return board_loss(TOKEN_LOSSES[loss](logits, labels), labels)
    nearest = NearestLabels(mazes.puzzle, loss)(batch, logits)
    questions, rng = batch.inputs.numpy().astype(np.uint8), np.random.default_rng(0)
    assert mazes.puzzle.solved(questions, nearest.numpy()).all()
    assert not torch.equal(nearest, batch.labels)
    for _ in range(20):
        other = torch.from_numpy(mazes.puzzle.label(questions, rng)).to(nearest)
        assert (losses(nearest) <= losses(other) + 1e-6).all()

def test_cells_that_do_not_count_stay_so(mazes):
    trainer = trained("data", mazes, 1)
    batch = replace(trainer.carry.batch, labels=trainer.carry.batch.labels.clone())
    batch.labels[:, 3] = -100
    labels = NearestLabels(mazes.puzzle, "softmax")(batch, torch.zeros(len(batch), 25, 6))
    assert (labels[:, 3] == -100).all() and (labels[:, :3] != -100).all()

@pytest.mark.parametrize("choice", ["random", "nearest"])
def test_a_resumed_run_is_the_same_run_and_another_one_than_with_the_label(mazes, choice):
    whole, again = trained(choice, mazes, 6, accumulate=2), Trainer(config(choice, accumulate=2), mazes)
    again.restore(trained(choice, mazes, 3, accumulate=2).state())
    for _ in range(3): again.step()
    same(everything(again), everything(whole))
    plain = trained("data", mazes, 6, accumulate=2)
    assert any(not torch.equal(ours, theirs) for ours, theirs in
        zip(whole.model.state_dict().values(), plain.model.state_dict().values()))

def test_random_labels_are_right(mazes):
    batch = trained("random", mazes, 1).carry.batch
    questions, labels = batch.inputs.numpy().astype(np.uint8), batch.labels.numpy()
    assert mazes.puzzle.solved(questions, labels).all() and (labels != mazes.puzzle.label(questions)).any()

@pytest.mark.parametrize("choice", ["random", "nearest"])
def test_a_type_with_one_right_answer_has_no_choice(choice):
    four = generate_dataset(Sudoku(2, 2), 64, 16)
    with pytest.raises(InputError, match=f"label_choice '{choice}' needs a puzzle type .* choose 'data'"):
        Trainer(replace(CONFIG, label_choice=choice), four)

def test_an_unknown_choice_is_refused():
    with pytest.raises(InputError, match="label_choice"): replace(CONFIG, label_choice="any")
