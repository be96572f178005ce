"Properties of Sudoku that hold for every board, tried on many."
import numpy as np, pytest
from hypothesis import given, settings, strategies as st
from trm_lab.data import generate_dataset
from trm_lab.errors import InputError
from trm_lab.puzzles.sudoku import BLANK, Sudoku

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

def test_canonical_form_is_the_smallest_of_all_images():
    "Every symmetry of 4×4, tried one by one: equal forms exactly where one board is an image of the other."
    sudoku, rng = Sudoku(2, 2), np.random.default_rng(1)
    pairs = [next(sudoku.generate(rng)) for _ in range(12)]
    images = []
    for question, answer in pairs: # 4000 random symmetries reach nearly all of the 3072 images
        q, a = sudoku.symmetries(rng, 40_000)(np.repeat(question[None], 40_000, 0), np.repeat(answer[None], 40_000, 0))
        images.append({row.tobytes() for row in np.concatenate([q, a], 1)})
    for i, (q, a) in enumerate(pairs):
        for j in range(len(pairs)):
            assert (np.concatenate([q, a]).tobytes() in images[j]) == (sudoku.canonical(q, a) == sudoku.canonical(*pairs[j]))

def test_no_test_puzzle_is_a_training_puzzle_in_disguise():
    for size in ((2, 3), (3, 3)):
        dataset = generate_dataset(Sudoku(*size), 60, 30, seed=5)
        forms = [[dataset.puzzle.canonical(q, a) for q, a in zip(s.inputs, s.labels)] for s in (dataset.train, dataset.test)]
        assert dataset.metadata.unseen and not set(forms[0]) & set(forms[1])

@pytest.mark.parametrize("text, what", [("1" * 37, "37 were given"), ("x" + "." * 35, "'x' in row 1, column 1"), ("", "0 were given")])
def test_bad_boards_are_refused(text, what):
    with pytest.raises(InputError, match=what): Sudoku(2, 3).parse(text)
