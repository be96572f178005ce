"Assumed cells: what is drawn, what is never asked, and what is claimed."
import numpy as np, pytest
from trm_lab.data.batches import make_batch
from trm_lab.data.generate import generate_dataset
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.puzzles.sudoku import BLANK, Sudoku
from trm_lab.solving.assume import Assumptions, assume, fewest, pick
from trm_lab.solving.evaluate import evaluate
from trm_lab.solving.search import ASSUMED_STEPS, Search, solve_by_search

NINE, SIX = Sudoku(3, 3), Sudoku(2, 3)

@pytest.fixture(scope="module")
def hard():
    "Questions in which nothing is forced, with their answers."
    puzzles, found = NINE.generate(np.random.default_rng(1), "fiendish"), []
    while len(found) < 6:
        question, answer = next(puzzles)
        if (NINE.deduce(question[None])[0][0] == BLANK).sum() > 40: found.append((question, answer))
    return tuple(map(np.stack, zip(*found)))

def seeds(count, of=0): return [np.random.SeedSequence([of, k]) for k in range(count)]

def test_picks_are_in_proportion_to_weights():
    weights, draws = np.array([[0, 1, 3, 0], [5, 0, 0, 0]]), np.linspace(0, 1, 1000, endpoint=False)
    found = [pick(np.repeat(row[None], 1000, 0), draws) for row in weights]
    assert np.bincount(found[0], minlength=4).tolist() == [0, 250, 750, 0] and (found[1] == 0).all()

def test_the_fewest_candidates_are_those_of_undecided_cells():
    fits = np.zeros((2, 4, 5), bool)
    fits[0, 0, :1], fits[0, 1, :3], fits[0, 2, :2], fits[0, 3, 2:4] = True, True, True, True
    fits[1, :, 0] = True # all decided
    assert fewest(fits).tolist() == [[False, False, True, True], [False]*4]

def test_assumed_questions_keep_the_givens_and_do_not_contradict_the_rules(hard):
    questions, answers = hard
    drawing, puzzles = Assumptions(NINE, questions, 3), np.repeat(np.arange(len(questions)), 50)
    asked = drawing.draw(puzzles, seeds(300))[1]
    assert ((asked == questions[puzzles]) | (questions[puzzles] == BLANK)).all() and asked.dtype == np.uint8
    assert NINE.deduce(asked)[2].all() and all(NINE.check(board, board).legal for board in asked)
    more = (asked > BLANK).sum(1) - (drawing.filled[puzzles] > BLANK).sum(1)
    assert 0.1 < (more == 0).mean() < 0.4 and (more[more > 0] >= 3).all()
    assert (drawing.draw(puzzles[:20], seeds(20))[1] == asked[:20]).all() # alone as in company
    assert (drawing.draw(puzzles, seeds(300, 1))[1] != asked).any()

def test_votes_decide_what_is_assumed(hard):
    questions, answers = hard
    puzzles, right = np.repeat(np.arange(len(questions)), 50), []
    drawing = Assumptions(NINE, questions, 3)
    for _ in range(2):
        asked = drawing.draw(puzzles, seeds(300))[1]
        right.append(((asked == answers[puzzles]) | (asked == BLANK)).all(1).mean())
        drawing.learn(np.arange(len(questions)), answers)
        drawing.learn(np.arange(len(questions)), answers)
    assert right[0] < 0.6 and right[1] > right[0] + 0.2

def test_a_contradiction_ends_the_assumptions_of_its_row():
    question = SIX.parse("1..........." + "."*24)
    filled, fits, _ = SIX.deduce(np.stack([question]*2))
    impossible = fits.copy(); impossible[:] = False; impossible[:, 1, [2, 3]] = True # a second 1, or a 2
    weights = np.zeros(fits.shape); weights[0, :, 2], weights[1, :, 3] = 1, 1
    found, sound = assume(SIX, filled, impossible, weights, np.full(2, 1), np.zeros((2, 1, 2)))
    assert sound.tolist() == [False, True] and found[1, 1] == 3

# ---- in a search -----------------------------------------------------------------

@pytest.fixture(scope="module")
def shipped(): return load_pretrained("sudoku-6x6")

def test_what_the_assumptions_decide_needs_no_model(shipped, monkeypatch):
    "Where the rules alone fill in a board, that board is the answer, whatever the model says of it."
    easy = generate_dataset(SIX, 1, 20, seed=3, difficulty="easy").test
    model = type(shipped.model)(shipped.model.config).eval() # untrained: it solves nothing
    batch = make_batch(easy.inputs[:], easy.labels[:])
    found = solve_by_search(model, SIX, batch, Search(3, "assume", stop_when="solved"), 2)
    forced = (SIX.deduce(easy.inputs[:])[0] == easy.labels).all(1)
    assert forced.sum() > 10 and found.solved.numpy()[forced].all() and (found.tries[forced] == 2).all()
    assert SIX.solved(easy.inputs[:], found.tokens.numpy().astype(np.uint8)).tolist() == found.solved.tolist()

def test_later_tries_take_fewer_steps(shipped):
    assert Search(1).later_steps(16) == 16 and Search(1, steps=5).later_steps(16) == 5
    assert [Search(1, "assume").later_steps(first) for first in (4, 64)] == [4, ASSUMED_STEPS]
    puzzles = generate_dataset(SIX, 1, 8, seed=9).test
    batch = make_batch(puzzles.inputs[:], puzzles.labels[:])
    found = solve_by_search(shipped.model, SIX, batch, Search(3, steps=1), 3)
    assert found.spent[:, 0].tolist() == [3, 4, 6]

def test_assumptions_help_a_weak_model(shipped):
    "One supervision step a try: as much work as symmetries alone, and more puzzles are solved."
    puzzles = generate_dataset(SIX, 1, 100, seed=9).test
    searches = [Search(7, strategy, stop_when="solved") for strategy in ("symmetries", "assume")]
    solved = [evaluate(shipped.model, SIX, puzzles, 1, search=search).scores.solved for search in searches]
    assert solved[1] > solved[0]
