"Properties of Sudoku that hold for every board, tried on many."
import hashlib, itertools
import numpy as np, pytest
from hypothesis import given, settings, strategies as st
from trm_lab.data.generate import generate_dataset
from trm_lab.core.errors import InputError
from trm_lab.puzzles.base import Constraints, find_puzzle
from trm_lab.puzzles.sudoku import BLANK, Sudoku
from trm_lab.training.config import TrainConfig

SIZES = [(2, 2), (2, 3), (3, 2), (2, 4), (3, 3), (2, 5), (3, 4), (4, 4)]
sizes, seeds = st.sampled_from(SIZES), st.integers(0, 2**32)

@given(sizes, seeds)
@settings(deadline=None, max_examples=60)
def test_printed_boards_parse_back(size, seed):
    sudoku, rng = Sudoku(*size), np.random.default_rng(seed)
    board = rng.integers(BLANK, sudoku.vocab_size, sudoku.seq_len).astype(np.uint8)
    for text in (sudoku.print(board), sudoku.text(board), sudoku.print(board).lower().replace(".", "0")):
        assert (sudoku.parse(text) == board).all()

@given(st.sampled_from(SIZES[:5]), seeds)
@settings(deadline=None, max_examples=40)
def test_disguises_stay_right_and_keep_their_canonical_form(size, seed):
    sudoku, rng = Sudoku(*size), np.random.default_rng(seed)
    question, answer = next(sudoku.generate(rng))
    questions, answers = sudoku.symmetries(rng, 3)(np.stack([question]*3), np.stack([answer]*3))
    for q, a in zip(questions, answers):
        assert sudoku.check(q, a).solved and (q > BLANK).sum() == (question > BLANK).sum()
        assert sudoku.canonical(q, a) == sudoku.canonical(question, answer)

@given(st.sampled_from(SIZES[:5]), seeds)
@settings(deadline=None, max_examples=40)
def test_a_changed_cell_is_noticed(size, seed):
    sudoku, rng = Sudoku(*size), np.random.default_rng(seed)
    question, answer = next(sudoku.generate(rng))
    cell = int(rng.integers(sudoku.seq_len))
    broken = answer.copy(); broken[cell] = 2 + (broken[cell] - 1) % sudoku.n
    verdict = sudoku.check(question, broken)
    assert not verdict.legal and cell in verdict.cells

def brute_force(sudoku, board):
    "All solutions, by trying; the other way to know."
    blanks = np.flatnonzero(board == BLANK)
    if not len(blanks): return 1
    total = 0
    for digit in range(2, sudoku.vocab_size):
        tried = board.copy(); tried[blanks[0]] = digit
        if sudoku.check(tried, tried).legal: total += brute_force(sudoku, tried)
        if total > 1: break
    return total

def test_uniqueness_agrees_with_trying_everything():
    sudoku, rng = Sudoku(2, 2), np.random.default_rng(0)
    seen = set()
    for _ in range(60):
        question, _ = next(sudoku.generate(rng))
        if rng.random() < 0.5: question[rng.choice(np.flatnonzero(question > BLANK))] = BLANK
        seen.add(expected := brute_force(sudoku, question) == 1)
        assert sudoku.unique(question) == expected
    assert seen == {True, False}

def test_solutions_are_right_different_and_as_many_as_there_are():
    sudoku, rng, seen = Sudoku(2, 2), np.random.default_rng(3), set()
    for _ in range(150):
        board = next(sudoku.generate(rng))[0]
        board[rng.choice(16, 2)] = rng.integers(BLANK, 6, 2) # may leave many solutions, or none
        found = sudoku.solutions(board, 300)
        assert (all(sudoku.check(board, answer).solved for answer in found)
            and len({a.tobytes() for a in found}) == len(found))
        assert len(sudoku.solutions(board)) == min(len(found), 2) == min(brute_force(sudoku, board), 2)
        seen.add(min(len(found), 3))
    assert seen == {0, 1, 2, 3}

def test_canonical_form_is_the_smallest_of_all_images():
    "Every symmetry of 4×4, tried one by one: equal forms exactly where one board is an image of the other."
    sudoku, rng = Sudoku(2, 2), np.random.default_rng(1)
    pairs = [next(sudoku.generate(rng)) for _ in range(12)]
    images = []
    for question, answer in pairs: # 4000 random symmetries reach nearly all of the 3072 images
        q, a = sudoku.symmetries(rng, 40_000)(np.repeat(question[None], 40_000, 0),
            np.repeat(answer[None], 40_000, 0))
        images.append({row.tobytes() for row in np.concatenate([q, a], 1)})
    for i, (q, a) in enumerate(pairs):
        for j in range(len(pairs)):
            assert (np.concatenate([q, a]).tobytes() in images[j]) == (
                sudoku.canonical(q, a) == sudoku.canonical(*pairs[j]))

def test_no_test_puzzle_is_a_training_puzzle_in_disguise():
    for size in ((2, 3), (3, 3)):
        dataset = generate_dataset(Sudoku(*size), 60, 30, seed=5)
        forms = [[dataset.puzzle.canonical(q, a) for q, a in zip(s.inputs, s.labels)]
            for s in (dataset.train, dataset.test)]
        assert dataset.metadata.unseen and not set(forms[0]) & set(forms[1])

@pytest.mark.parametrize("text, what",
    [("1" * 37, "37 were given"), ("x" + "." * 35, "'x' in row 1, column 1"), ("", "0 were given")])
def test_bad_boards_are_refused(text, what):
    with pytest.raises(InputError, match=what): Sudoku(2, 3).parse(text)

def search(sudoku, question):
    "Our rating as its definition reads, one board at a time: the digits that are tried."
    n, row, column = sudoku.n, *np.divmod(np.arange(sudoku.seq_len), sudoku.n)
    boxes = row//sudoku.box_rows*sudoku.box_rows + column//sudoku.box_cols
    units = [np.flatnonzero(home == i) for home in (row, column, boxes) for i in range(n)]
    def tries(left):
        while True: # fill in what is forced
            before = [set(digits) for digits in left]
            for unit in units:
                for cell in unit:
                    if len(left[cell]) == 1:
                        for other in unit:
                            if other != cell: left[other] -= left[cell]
                for digit in range(n):
                    places = [cell for cell in unit if digit in left[cell]]
                    if not places: return 0
                    if len(places) == 1: left[places[0]] = {digit}
            if not all(left): return 0
            if left == before: break
        open_cells = [cell for cell in range(len(left)) if len(left[cell]) > 1]
        if not open_cells: return 0
        cell = min(open_cells, key=lambda c: len(left[c]))
        return sum(1 + tries([{digit} if c == cell else set(digits) for c, digits in enumerate(left)])
            for digit in left[cell])
    return tries([{int(t) - 2} if t > BLANK else set(range(n)) for t in question])

@pytest.mark.parametrize("size, count", [((2, 2), 20), ((2, 3), 40), ((2, 4), 10), ((3, 3), 8)])
def test_guesses_are_counted_as_defined(size, count):
    "Hundreds of boards at once, with one solution or several, give what a search of each alone gives."
    sudoku, rng = Sudoku(*size), np.random.default_rng(0)
    questions = np.stack([q for q, _ in itertools.islice(sudoku.generate(rng), count)])
    for question in questions[:count//4]: question[rng.choice(np.flatnonzero(question > BLANK))] = BLANK
    assert sudoku.guesses(questions).tolist() == [search(sudoku, question) for question in questions]

def test_an_empty_board_ends_the_count(): assert Sudoku(3, 3).guesses(np.full((1, 81), BLANK))[0] >= 10_000

def test_difficulties():
    "Easy boards have clues to spare; the search finds harder ones than it began with; all have one solution."
    nine, six = Sudoku(3, 3), Sudoku(2, 3)
    made = {level:
        np.stack([q for q, _ in itertools.islice(nine.generate(np.random.default_rng(0), level), count)])
        for level, count in (("easy", 20), ("minimal", 20), ("hard", 2), ("extreme", 1), ("fiendish", 8))}
    assert (((made["easy"] > BLANK).sum(1) == 32).all()
        and nine.guesses(made["easy"]).mean() < nine.guesses(made["minimal"]).mean())
    assert nine.guesses(made["extreme"])[0] > nine.guesses(made["minimal"]).max()
    assert (nine.guesses(made["hard"]) >= 40).all() and (nine.guesses(made["fiendish"]) >= 100).all()
    assert len({question.tobytes() for question in made["fiendish"]}) == 8
    # no 6×6 board needs a hundred guesses, and the walk would never begin
    assert "fiendish" not in six.difficulties
    assert all(nine.unique(question) for questions in made.values() for question in questions)
    question, answer = next(six.generate(np.random.default_rng(0), "extreme"))
    assert six.check(question, answer).solved and six.unique(question)

def test_what_a_seed_gives_has_not_changed():
    "Shipped models name the data that they were trained on by its seed."
    digest = hashlib.sha256()
    for size in ((2, 2), (2, 3), (3, 3), (3, 4)):
        for question, answer in itertools.islice(Sudoku(*size).generate(np.random.default_rng(3)), 5):
            digest.update(question.tobytes() + answer.tobytes())
    assert digest.hexdigest()[:16] == "99c26e6184aec3b1"

@pytest.mark.parametrize("sudoku, level, what",
    [(Sudoku(3, 3), "extrem", "sudoku-9x9: difficulty 'extrem' is not known .did you mean 'extreme'"),
        (Sudoku(4, 4), "easy", "sudoku-16x16 has no difficulties to choose from")])
def test_an_unknown_difficulty_is_refused(sudoku, level, what):
    with pytest.raises(InputError, match=what): sudoku.generate(np.random.default_rng(0), level)

@given(st.sampled_from(SIZES[:5]), seeds)
@settings(deadline=None, max_examples=40)
def test_what_is_deduced_holds_in_every_solution(size, seed):
    "Of questions with one solution, with several, and with givens that contradict each other."
    sudoku, rng = Sudoku(*size), np.random.default_rng(seed)
    question, answer = next(sudoku.generate(rng))
    questions = np.stack([question, question, np.where(rng.random(len(answer)) < 0.3, answer, BLANK)])
    cell = rng.choice(np.flatnonzero(question == BLANK))
    questions[1, cell] = 2 + (answer[cell] - 1) % sudoku.n # a wrong digit
    filled, fits, sound = sudoku.deduce(questions)
    assert filled.dtype == questions.dtype and sound[[0, 2]].all()
    for one, more, left, holds in zip(questions, filled, fits, sound):
        solutions = sudoku.solutions(one, 20)
        assert ((more == one) | (one == BLANK)).all()
        if not holds: assert solutions == [] and (more == one).all(); continue
        assert (left.sum(-1) > 0).all() and (left[np.arange(len(more)), more] | (more == BLANK)).all()
        assert (sudoku.candidates(more[None])[0] == left).all()
        for full in solutions:
            assert ((more == full) | (more == BLANK)).all() and left[np.arange(len(full)), full].all()

def test_deducing_goes_on_until_nothing_more_is_forced():
    "Also by the way that every type has which knows candidates: a single one is filled in."
    sudoku = Sudoku(3, 3)
    question, answer = next(sudoku.generate(np.random.default_rng(0), "easy"))
    by_cells = Constraints.deduce(sudoku, question[None])[0][0]
    assert (sudoku.deduce(question[None])[0][0] == answer).all()
    assert (by_cells > BLANK).sum() > (question > BLANK).sum()
    assert ((by_cells == answer) | (by_cells == BLANK)).all()
    assert sudoku.deduce(np.zeros((0, 81), np.uint8))[0].shape == (0, 81)
    cell, contradicted = np.flatnonzero(question == BLANK)[0], question.copy()
    contradicted[cell] = np.flatnonzero(~sudoku.candidates(question[None])[0, cell])[-1]
    assert not sudoku.deduce(contradicted[None])[2][0]

@pytest.mark.parametrize("name", ["sudoku-6x6", "sudoku-9x9"])
def test_kinds_of_symmetries_can_be_drawn_alone(name):
    "Digits move no cell, rows change no digit and no column; all kinds together are the symmetries."
    puzzle = find_puzzle(name)
    n, drawn = puzzle.n, lambda *kinds: puzzle.symmetries_of(kinds, np.random.default_rng(3), 4)
    still, same = np.arange(n*n), np.arange(n + 2)
    assert ("transposition" in puzzle.symmetry_kinds) == (puzzle.box_rows == puzzle.box_cols)
    assert (drawn("digits").cells == still).all() and (drawn("digits").tokens != same).any()
    for kind, stays in (("rows", still % n), ("columns", still//n)):
        one = drawn(kind)
        moved = {"rows": one.cells % n, "columns": one.cells//n}[kind]
        assert (one.tokens == same).all() and (moved == stays).all() and (one.cells != still).any()
    whole = puzzle.symmetries(np.random.default_rng(3), 4)
    every = drawn(*puzzle.symmetry_kinds)
    assert (every.cells == whole.cells).all() and (every.tokens == whole.tokens).all()

def test_a_training_refuses_kinds_that_its_puzzle_has_not():
    for puzzle, augment, says in (("sudoku-6x6", "digitz", "or some of digits, rows, columns, joined by [+]"),
            ("sudoku-6x6", "digits+yes", "'digits.yes' is not a kind"), ("maze-5x5", "rows", "or false$")):
        with pytest.raises(InputError, match=says): TrainConfig(puzzle=puzzle, augment=augment)
    assert TrainConfig(augment="digits+rows").augment == "digits+rows"
