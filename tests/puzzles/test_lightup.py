"""Light Up: rules, deduction and solver against trying all lamps of small boards, symmetries, and generated
boards."""
import itertools
import numpy as np, pytest
from hypothesis import given, settings, strategies as st
from trm_lab.core.errors import InputError
from trm_lab.data.check import DatasetCheck
from trm_lab.data.datasets import write_dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.puzzles.base import find_puzzle, puzzle_from
from trm_lab.puzzles.lightup import DARK, LAMP, OPEN, WALL, LightUp

seven = LightUp(7, 7)
levels, seeds = st.sampled_from(["minimal", "numbered"]), st.integers(0, 2**32)

def drawn(board, seed, level="minimal"): return next(board.generate(np.random.default_rng(seed), level))

def seen_from(cell, question, rows, cols):
    "The white cells that a lamp lights, by walking in four directions."
    found = {cell}
    for down, right in ((0, 1), (0, -1), (1, 0), (-1, 0)):
        r, c = divmod(cell, cols)
        while 0 <= (r := r + down) < rows and 0 <= (c := c + right) < cols and question[r*cols + c] < WALL:
            found.add(r*cols + c)
    return found

def right(question, lamps, rows, cols):
    "Do these lamps solve a board? By walking and counting."
    lit = {cell: seen_from(cell, question, rows, cols) for cell in lamps}
    if any(other in lit[cell] for cell, other in itertools.permutations(lamps, 2)): return False
    if set().union(*lit.values()) != {i for i in range(rows*cols) if question[i] < WALL}: return False
    for wall in (i for i in range(rows*cols) if question[i] > WALL):
        beside = sum(abs(wall//cols - i//cols) + abs(wall % cols - i % cols) == 1 for i in lamps)
        if beside != question[wall] - WALL - 1: return False
    return True

def random_board(seed, rows=3, cols=3):
    "Walls and numbers at random: usually without a solution."
    rng = np.random.default_rng(seed)
    walls = WALL + rng.integers(0, 4, rows*cols)
    return np.where(rng.random(rows*cols) < 0.3, walls, OPEN).astype(np.uint8)

@given(seeds, st.booleans())
@settings(deadline=None, max_examples=60)
def test_all_lamps_of_small_boards(seed, sound):
    """The rules and the solver against trying all lamps of 3×3 boards, with one solution or drawn at random.
    Deduction leaves out no solution."""
    board = LightUp(3, 3)
    question = drawn(board, seed)[0] if sound else random_board(seed)
    white = np.flatnonzero(question == OPEN)
    answers = np.array([np.where(question == OPEN, DARK, question)]*2**len(white), np.uint8)
    every = list(itertools.product((DARK, LAMP), repeat=len(white)))
    if len(white): answers[:, white] = every
    truth = [right(question, white[np.array(some, int) == LAMP].tolist(), 3, 3) for some in every]
    many = np.repeat(question[None], len(answers), 0)
    assert board.solved(many, answers).tolist() == truth
    for answer, holds in list(zip(answers, truth))[::7]: assert board.check(question, answer).solved == holds
    found = board.solutions(question, 600)
    assert {a.tobytes() for a in found} == {a.tobytes() for a, holds in zip(answers, truth) if holds}
    _, fits, possible = board.deduce(question[None])
    for answer in found: assert possible[0] and fits[0][np.arange(9), answer].all()

@given(levels, seeds)
@settings(deadline=None, max_examples=20)
def test_generated_boards(level, seed):
    question, label = drawn(seven, seed, level)
    assert seven.check(question, label).solved
    assert [a.tolist() for a in seven.solutions(question)] == [label.tolist()]
    assert str(seven.check(question, question)) == "legal so far, not complete"
    numbers = np.flatnonzero(question > WALL)
    if level == "numbered": return
    for wall in numbers: # each number of a minimal board is needed
        fewer = question.copy(); fewer[wall] = WALL
        assert len(seven.solutions(fewer)) == 2

@given(levels, seeds)
@settings(deadline=None, max_examples=20)
def test_one_changed_cell_is_noticed(level, seed):
    question, label = drawn(seven, seed, level)
    white = np.flatnonzero(question == OPEN)
    cell = int(np.random.default_rng(seed).choice(white))
    other = label.copy(); other[cell] = DARK + LAMP - other[cell]
    verdict = seven.check(question, other)
    assert verdict.complete and not verdict.legal and not seven.solved(question[None], other[None])[0]
    unfinished = label.copy(); unfinished[cell] = OPEN
    assert str(seven.check(question, unfinished)) == "legal so far, not complete"

@given(levels, seeds)
@settings(deadline=None, max_examples=20)
def test_images_and_text(level, seed):
    board = LightUp(4, 6)
    question, label = drawn(board, seed, level)
    ways = board.symmetries(np.random.default_rng(seed), 4)
    for image, answer in zip(*ways(np.stack([question]*4), np.stack([label]*4))):
        assert board.check(image, answer).solved
        assert board.canonical(image, answer) == board.canonical(question, label)
    for tokens in (question, label):
        assert (board.parse(board.text(tokens)) == tokens).all()
        assert (board.parse(board.print(tokens)) == tokens).all()
    assert find_puzzle(board.name) == board == puzzle_from(board.spec())

@pytest.mark.parametrize("question, answer, verdict", [
    (".1.", "*1-", "no lamp lights row 1, column 3"), (".1.", "*1.", "legal so far, not complete"),
    (".#.", "*#*", "solved"), (".2.", "*2*", "solved"),
    (".1.", "*1*", "the wall in row 1, column 2 has 2 lamps, not 1"),
    ("...", "-*-", "solved"), ("...", "*.*", "the lamp in row 1, column 1 sees the one in row 1, column 3; "
        "the lamp in row 1, column 3 sees the one in row 1, column 1"),
    (".0.", "*0.", "the wall in row 1, column 2 has 1 lamp, not 0"),
    (".#.", "*-*", "the question was changed in row 1, column 2")])
def test_the_rules_on_answers(question, answer, verdict):
    board = LightUp(1, 3)
    assert str(board.check(board.parse(question), board.parse(answer))) == verdict

@pytest.mark.parametrize("question, filled", [
    (".3.......", "*3*-*----"), # all three cells beside the wall hold lamps, and those light the rest
    (".2.#.....", "*2.#....."), # the first cell sees no other
    (".2.......", ".2.......")]) # several solutions
def test_deduction_by_example(question, filled):
    board = LightUp(3, 3)
    assert board.print(board.deduce(board.parse(question)[None])[0][0]) == filled

def test_a_board_without_an_answer():
    board, question = LightUp(3, 3), LightUp(3, 3).parse("#4.......") # no room for four lamps
    assert not board.deduce(question[None])[2][0] and board.solutions(question) == []

def test_the_number_of_classes_of_small_boards():
    "As rough as it says: counted, within a factor of three."
    for rows, cols in ((2, 2), (2, 3)):
        board = LightUp(rows, cols)
        pairs = itertools.islice(board.generate(np.random.default_rng(0)), 1500)
        assert 1/3 < len({board.canonical(*pair) for pair in pairs})/board.classes() < 3

@pytest.mark.parametrize("act, what", [
    (lambda: seven.parse("."*48), "has 49 cells, but 48 were given"),
    (lambda: seven.parse("."*48 + "5"), "'5' in row 7, column 7"),
    (lambda: LightUp(0, 2), "not supported"), (lambda: LightUp(40, 40), "not supported"),
    (lambda: find_puzzle("lightup-7"), "write it like 7x7"),
    (lambda: next(seven.generate(None, "hard")), "choose from minimal, numbered")])
def test_bad_input_is_refused(act, what):
    with pytest.raises(InputError, match=what): act()

def test_datasets_pass_the_check(tmp_path):
    write_dataset(generate_dataset(seven, 40, 10, difficulty="minimal"), tmp_path/"set")
    check = DatasetCheck(tmp_path/"set")
    assert list(check) == [] and "exactly one solution" in check.looked_at[1]
