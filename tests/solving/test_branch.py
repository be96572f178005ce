"Branching: no case is forgotten, and each verdict is true."
import numpy as np, pytest
from trm_lab.data.batches import make_batch
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.puzzles.sudoku import BLANK, Sudoku
from trm_lab.solving.branch import Branches, Cases, split
from trm_lab.solving.search import Search, solve_by_search

FOUR, SIX, NINE = Sudoku(2, 2), Sudoku(2, 3), Sudoku(3, 3)

def seeds(count, of=0): return [np.random.SeedSequence([of, k]) for k in range(count)]

def questions_with(puzzle, counts, seed=0):
    "Questions with so many solutions each; 2 means several."
    rng, found = np.random.default_rng(seed), []
    for count in counts:
        while True:
            question, answer = next(puzzle.generate(rng))
            blank = rng.permutation(np.flatnonzero(question > BLANK))[:3]
            if count == 2: question[blank] = BLANK
            if count == 0: # a wrong digit that no rule forbids at once
                cell = rng.choice(np.flatnonzero(question == BLANK))
                fits = puzzle.candidates(question[None])[0, cell]
                fits[answer[cell]] = False
                if not fits.any(): continue
                question[cell] = rng.choice(np.flatnonzero(fits))
            if len(puzzle.solutions(question, 2)) == count: break
        found.append(question)
    return np.stack(found)

def every_solution(puzzle, cases):
    return {full.tobytes() for board in cases.boards for full in puzzle.solutions(board, 3000)}

@pytest.mark.parametrize("puzzle", [FOUR, SIX], ids=lambda p: p.name)
def test_cases_share_out_the_solutions(puzzle):
    "Each solution is in exactly one of the cases, and their probabilities add up to at most one."
    for number, question in enumerate(questions_with(puzzle, [2]*4 + [1]*2)):
        if puzzle is FOUR: question[:4] = BLANK # many solutions
        cases, sound = Cases.of(puzzle, question[None], np.zeros(1))
        everything, rng = every_solution(puzzle, cases), np.random.default_rng(number)
        assert sound.all()
        for _ in range(3):
            cases, parent = split(puzzle, cases, rng.random(len(cases)))
            held = [every_solution(puzzle, cases[[i]]) for i in range(len(cases))]
            assert set().union(*held) == everything and sum(map(len, held)) == len(everything)
            assert np.exp(-cases.surprise).sum() <= 1 + 1e-9 and (np.diff(parent) >= 0).all()
            assert cases.decided.tolist() == [(board > BLANK).all() for board in cases.boards]

def exhaust(branches, puzzle, questions, K=4):
    "Ask until no case is open, with a model that never solves what is open."
    solved = np.zeros(len(questions), bool)
    for wave in range(300):
        going = np.flatnonzero(~branches.exhausted & ~solved)
        if not len(going): return wave
        places = np.repeat(going, K)
        rows, asked = branches.draw(places, seeds(len(places), wave))
        assert len(rows) == len(asked) <= len(places) and (np.diff(rows) > 0).all()
        right = puzzle.solved(questions[places[rows]], asked)
        branches.learn(places[rows], asked, right)
        solved[places[rows][right]] = True
    raise AssertionError("cases are still open")

@pytest.mark.parametrize("puzzle, cells", [(SIX, 1), (SIX, 3), (NINE, 2)], ids=str)
def test_without_a_model_the_rules_alone_come_to_the_same_verdicts(puzzle, cells):
    expected = [0, 1, 2, 1, 0, 2]
    questions = questions_with(puzzle, expected, seed=cells)
    branches = Branches(puzzle, questions, cells)
    exhaust(branches, puzzle, questions)
    assert branches.count_solutions().tolist() == expected
    for question, solutions in zip(questions, branches.solutions):
        for full in solutions: assert puzzle.check(question, np.frombuffer(full, np.uint8)).solved

def test_what_is_still_open_is_not_known():
    question, empty = questions_with(SIX, [1])[0], np.full(36, BLANK, np.uint8)
    branches = Branches(SIX, np.stack([question, empty]), 2)
    assert branches.count_solutions().tolist() == [-1, -1] and not branches.exhausted.any()

# ---- with a model ----------------------------------------------------------------

@pytest.fixture(scope="module")
def shipped(): return load_pretrained("sudoku-6x6")

def untrained(shipped): return type(shipped.model)(shipped.model.config).eval()

def test_verdicts_are_true_whatever_the_model_says(shipped):
    "With a trained model and an untrained one, which solves nothing; the work that it takes is bounded."
    expected = [0, 1, 2, 1, 0, 2, 0, 0]
    questions = questions_with(SIX, expected, seed=5)
    search = Search(200, "branch", stop_when="solved", steps=2)
    for model in (shipped.model, untrained(shipped)):
        found = solve_by_search(model, SIX, make_batch(questions, questions), search, 2)
        assert found.solutions.tolist() == expected
        assert found.solved.tolist() == [count > 0 for count in expected]
        for question, answer, solved in zip(questions, found.tokens.numpy(), found.solved):
            assert SIX.check(question, answer).solved == bool(solved)
        assert (found.spent[-1] <= 2*found.tries).all() and (found.tries <= 201).all()

def test_a_search_that_ends_too_early_abstains(shipped):
    question = SIX.parse("1...2.....6.5..4...1....4....5.5.2..")
    none = question.copy(); none[1] = 4 # a wrong digit that no rule forbids at once
    questions = np.stack([question, none])
    for restarts, expected in ((0, [-1, -1]), (1, [-1, 0]), (200, [1, 0])):
        search = Search(restarts, "branch", stop_when="solved", steps=1)
        found = solve_by_search(untrained(shipped), SIX, make_batch(questions, questions), search, 1)
        assert found.solutions.tolist() == expected and found.solved.tolist() == [restarts == 200, False]

def test_the_sat_solver_is_not_asked(shipped, monkeypatch):
    "A branching search finds out for itself that there is no solution."
    questions = questions_with(SIX, [0, 1], seed=3)
    monkeypatch.setattr(Sudoku, "solutions", lambda *args: pytest.fail("the solver was asked"))
    found = solve_by_search(shipped.model, SIX, make_batch(questions, questions),
        Search(100, "branch", stop_when="solved"), 4)
    assert found.solutions.tolist() == [0, 1]

def test_other_searches_know_what_the_solver_knows(shipped):
    questions = questions_with(SIX, [0, 1], seed=3)
    search = Search(1, stop_when="solved")
    found = solve_by_search(shipped.model, SIX, make_batch(questions, questions), search, 16)
    assert found.solutions.tolist() == [0, -1] and found.tries[0] == 1
