"Scores after many steps."
from dataclasses import replace
import numpy as np, pytest, torch
from trm_lab.data.batches import ordered_batches
from trm_lab.data.generate import generate_dataset
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.models.losses import agreement
from trm_lab.puzzles.queens import Queens
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.solving.evaluate import evaluate, score_by_depth
from trm_lab.solving.search import Search
from trm_lab.solving.solve import solve_by_step

def test_what_was_right_and_became_wrong_is_lost():
    "The labels of half of the puzzles are the model's own second answers, most of which it leaves."
    model, split = load_pretrained("sudoku-6x6").model, generate_dataset(Sudoku(2, 3), 1, 20, seed=5).test
    answers = solve_by_step(model, next(ordered_batches(split, 20)), 12).tokens
    labels = np.array(split.labels)
    labels[::2] = answers[1, ::2].numpy()
    found = score_by_depth(model, replace(split, labels=labels), (1, 2, 12), batch_size=7)
    right = agreement(answers, torch.from_numpy(labels.astype(np.int64)))[1]
    for step, exact, lost in zip(found.steps, found.exact, found.lost):
        assert exact == pytest.approx(right[step - 1].float().mean().item())
        assert lost == pytest.approx((right[:step - 1].any(0) & ~right[step - 1]).float().mean().item())
    assert found.n == 20 and found.exact[1] > 0.5 and found.lost[-1] > 0

def test_an_evaluation_counts_after_every_step_as_step_by_step_does():
    "A puzzle that has left counts on as it left; of a search nothing is counted."
    loaded, split = load_pretrained("sudoku-6x6"), generate_dataset(Sudoku(2, 3), 1, 20, seed=5).test
    course = solve_by_step(loaded.model, batch := next(ordered_batches(split, 20)), 12)
    each = agreement(course.tokens, batch.labels)[1], course.q_halt > 0
    def scored(**how): return evaluate(loaded.model, loaded.puzzle, split, 12, batch_size=7, **how)
    fixed, leaves = scored(), scored(halting=loaded.policy(12))
    assert 0 < fixed.by_step[0, 0] < fixed.by_step[0, -1] == fixed.scores.exact
    assert np.allclose(fixed.by_step, [flags.float().mean(1) for flags in each])
    assert leaves.scores.mean_steps < 12 and leaves.by_step.shape == (2, 12)
    assert leaves.by_step[:, -1].tolist() == [leaves.scores.exact, (leaves.q_halt > 0).mean()]
    last = leaves.steps - 1 # a puzzle's flags, after each step, with those of the last it took
    for flags, found in zip(each, leaves.by_step):
        held = [flags[np.minimum(t, last), range(20)].float().mean() for t in range(12)]
        assert np.allclose(found, held)
    assert scored(search=Search(1)).by_step is None

def test_of_several_right_answers_any_is_counted_after_every_step():
    "The rules judge each answer that is not the label, of a puzzle that goes on and of one that has left."
    loaded = load_pretrained("queens-8x8")
    split = generate_dataset(Queens(8), 1, 30, seed=1000, difficulty="several").test
    course = solve_by_step(loaded.model, next(ordered_batches(split, 30)), 6).tokens.numpy()
    fixed, leaves = (evaluate(loaded.model, loaded.puzzle, split, 6, how, batch_size=11)
        for how in (None, loaded.policy(6)))
    by_rules = [loaded.puzzle.solved(split.inputs, tokens.astype(np.uint8)).mean() for tokens in course]
    assert np.allclose(fixed.by_step[0], by_rules)
    assert fixed.scores.exact == (course[-1] == split.labels).all(1).mean() < 0.6 < fixed.by_step[0, -1]
    for found in (fixed, leaves):
        assert found.by_step[0, -1] == found.right.mean() == found.scores.solved
        assert found.scores.halting_accuracy == ((found.q_halt > 0) == found.right).mean() > 0.6
