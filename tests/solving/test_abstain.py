"When a model gives no answer, and that solved, wrong and abstained add up."
import numpy as np, pytest, torch
from hypothesis import given, settings, strategies as st
from trm_lab.core.errors import InputError
from trm_lab.data.batches import make_batch
from trm_lab.data.datasets import split_of
from trm_lab.data.generate import generate_dataset
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.models.trm import Output, RecursiveModel, State, Update
from trm_lab.puzzles.arc import Arc, to_tokens
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.solving.abstain import Outcomes, answered, choose_threshold, confidence
from trm_lab.solving.evaluate import evaluate, solve_many
from trm_lab.solving.search import Search, solve_by_search

SIX = Sudoku(2, 3)

@given(st.integers(1, 40), st.floats(0, 1), st.integers(0, 2**32))
@settings(deadline=None, max_examples=100)
def test_the_threshold_is_the_lowest_that_holds(n, most_wrong, seed):
    rng = np.random.default_rng(seed)
    sure, right = rng.integers(0, 8, n)/7, rng.random(n) < 0.7
    found = choose_threshold(sure, right, most_wrong)
    def wrong(threshold): return (~right[sure >= threshold]).sum() <= most_wrong*(sure >= threshold).sum()
    lower = [level for level in np.unique(sure) if level < found]
    assert wrong(found) and not any(map(wrong, lower)) and (found in sure or (sure < found).all())

def test_without_a_validation_split_there_is_no_threshold():
    with pytest.raises(InputError, match="the validation split is empty"): choose_threshold(np.zeros(0), [])
    with pytest.raises(InputError, match="most_wrong should be"): choose_threshold(np.ones(1), [True], 2.)

def test_confidence_is_halting_probability_and_agreement():
    assert np.allclose(confidence(np.array([0., 100., -100.])), [0.5, 1, 0])
    assert np.allclose(confidence(np.array([0., 100.]), np.array([0.5, 0.25])), [0.25, 0.25])

def test_the_rules_decide_whatever_the_model_believes():
    puzzles = generate_dataset(SIX, 1, 3, seed=1).test
    answers = np.array(puzzles.labels[:]); answers[1, 0] = 2 + (answers[1, 0] - 1) % 6
    for sure in (np.zeros(3), np.ones(3)):
        assert answered(SIX, puzzles.inputs[:], answers, sure).tolist() == [True, False, True]

class Recites(RecursiveModel):
    "Gives the same boards whatever is asked, with halting logits of its own."
    dtype, puzzle_positions = torch.float32, 0
    def __init__(self, boards, vocab, q_halt):
        super().__init__()
        self.boards, self.q_halt = torch.nn.functional.one_hot(torch.from_numpy(boards).long(), vocab), q_halt
        self.weight = torch.nn.Parameter(torch.zeros(1))
    def embed(self, batch): return batch.inputs[:, :1, None].float()
    def start(self, x, generator=None): return State(z_H=x)
    def schedule(self): return (Update(0, 0, "z_H", False),)
    def update(self, x, state, u): return state
    def decode(self, z): return z
    def read(self, state):
        which = state["z_H"][:, 0, 0].long() - 2
        return Output(self.boards[which].float(), self.q_halt[which], None)

@pytest.fixture
def tasks():
    "Four boards whose first cell is their number; answers to the first two are right."
    arc = Arc()
    labels = np.stack([to_tokens([[k, 5], [5, k]]) for k in range(4)])
    answers = labels.copy(); answers[2:, 1] = 9
    model = Recites(answers, arc.vocab_size, torch.tensor([3., -1., 2., -3.]))
    return arc, model, split_of(zip(labels, labels))

@pytest.mark.parametrize("threshold, expected", [(0.5, (1, 1, 2)), (0.9, (1, 0, 3)), (0., (2, 2, 0)),
    (1.5, (0, 0, 4))])
def test_where_no_rules_judge_confidence_decides(threshold, expected, tasks):
    arc, model, split = tasks
    done = evaluate(model, arc, split, 2, threshold=threshold)
    assert done.outcomes == Outcomes(*expected) and done.outcomes.n == 4
    rows = next(solve_many(model, arc, split, None, 2, threshold=threshold))
    assert rows.given.tolist() == (done.confidence >= threshold).tolist()
    assert [row["abstained"] for row in rows.rows(arc, split.inputs)] == (~rows.given).tolist()
    chosen = choose_threshold(done.confidence, done.exact, 0.)
    assert evaluate(model, arc, split, 2, threshold=chosen).outcomes.wrong == 0

def test_tries_that_disagree_make_a_model_less_sure(tasks):
    arc, model, split = tasks
    model.start = lambda x, generator=None: State(z_H=x if generator is None else (x - 1) % 4 + 2)
    found = solve_by_search(model, arc, make_batch(split.inputs, split.labels), Search(1, "latents"), 1)
    assert found.agreement.tolist() == [0.5]*4
    again = evaluate(model, arc, split, 1, search=Search(1, "latents"))
    assert (again.confidence <= 0.5).all()

def test_of_a_puzzle_with_rules_no_answer_is_wrong():
    loaded, puzzles = load_pretrained("sudoku-6x6"), generate_dataset(SIX, 1, 40, seed=9).test
    for search in (None, Search(2, stop_when="solved"), Search(2, "assume")):
        done = evaluate(loaded.model, SIX, puzzles, 1, search=search)
        assert done.outcomes.wrong == 0 and done.outcomes.n == 40
        assert 0 < done.outcomes.abstained < 40 or search is not None
        assert done.outcomes.solved == round(40*done.scores.solved)
