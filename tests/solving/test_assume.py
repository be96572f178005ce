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

def test_each_choice_is_as_likely_as_the_others():
    choices = np.array([[0, 1, 1, 0, 1], [0, 0, 0, 0, 0]], bool)
    draws = np.linspace(0, 1, 999, endpoint=False)
    found = [pick(np.repeat(row[None], 999, 0), draws) for row in choices]
    assert np.bincount(found[0], minlength=5).tolist() == [0, 333, 333, 0, 333] and (found[1] == 0).all()

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
    assert (more > 0).mean() > 0.75 and (more[more > 0] >= 3).all()
    assert (drawing.draw(puzzles[:20], seeds(20))[1] == asked[:20]).all() # alone as in company
    assert (drawing.draw(puzzles, seeds(300, 1))[1] != asked).any()

def test_every_cell_and_digit_is_as_likely_as_the_others():
    empty = np.full((1, 36), BLANK, np.uint8)
    asked = Assumptions(SIX, empty, 1).draw(np.zeros(3600, int), seeds(3600))[1]
    assert ((asked > BLANK).sum(1) == 1).all() # one digit forces nothing on an empty board
    cells, digits = (asked > BLANK).sum(0), np.bincount(asked[asked > BLANK], minlength=8)[2:]
    assert (abs(cells - 100) < 50).all() and (abs(digits - 600) < 120).all()

def test_a_contradiction_ends_the_assumptions_of_its_row():
    question = SIX.parse("1..........." + "."*24)
    filled, fits, _ = SIX.deduce(np.stack([question]*2))
    impossible = fits.copy(); impossible[:] = False; impossible[:, 1, [2, 3]] = True # a second 1, or a 2
    draws = np.zeros((2, 1, 2)); draws[1, 0, 1] = 0.5 # the first candidate, and the second
    found, sound = assume(SIX, filled, impossible, draws)
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
