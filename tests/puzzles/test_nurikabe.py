"""Nurikabe: rules and solver against trying every sea of small boards, unfinished answers, symmetries, and
generated boards."""
import itertools
import numpy as np, pytest
from hypothesis import given, settings, strategies as st
from trm_lab.core.errors import InputError
from trm_lab.data.check import DatasetCheck
from trm_lab.data.datasets import write_dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.puzzles.base import find_puzzle, puzzle_from
from trm_lab.puzzles.nurikabe import LAND, OPEN, SEA, Nurikabe

five = Nurikabe(5, 5)
levels, seeds = st.sampled_from(["mixed", "large"]), st.integers(0, 2**32)

def drawn(board, seed, level="mixed"): return next(board.generate(np.random.default_rng(seed), level))

def connected(cells):
    "Is this set of (row, column) one region? By removing what is next to what was removed."
    left = set(cells)
    todo = [left.pop()] if left else []
    while todo:
        r, c = todo.pop()
        near = {(r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1)} & left
        left -= near
        todo += near
    return not left

def islands(land):
    "The regions of a set of (row, column), by joining neighbours' names until nothing changes."
    name = {cell: cell for cell in land}
    while True:
        joined = {(r, c): min(name[n] for n in ((r, c), (r + 1, c), (r - 1, c), (r, c + 1), (r, c - 1))
            if n in name) for r, c in land}
        if joined == name: break
        name = joined
    return [[cell for cell in land if name[cell] == one] for one in set(name.values())]

def right(question, sea, rows, cols):
    "Do these cells of sea solve a board?"
    wet = {divmod(i, cols) for i in range(rows*cols) if sea[i]}
    dry = {divmod(i, cols) for i in range(rows*cols) if not sea[i]}
    number = {divmod(i, cols): int(question[i]) - LAND for i in range(rows*cols) if question[i] > LAND}
    if wet & set(number) or not connected(wet): return False
    if any({(r, c), (r + 1, c), (r, c + 1), (r + 1, c + 1)} <= wet for r, c in wet): return False
    numbers = [[number[cell] for cell in island if cell in number] for island in islands(dry)]
    return numbers == [[len(island)] for island in islands(dry)]

def random_board(seed, rows, cols):
    "One or two numbers anywhere: seldom with one solution."
    rng = np.random.default_rng(seed)
    question = np.full(rows*cols, OPEN, np.uint8)
    question[rng.permutation(rows*cols)[:rng.integers(1, 4)]] = LAND + rng.integers(1, 6)
    return question

@given(seeds, st.booleans())
@settings(deadline=None, max_examples=12)
def test_every_sea_of_small_boards(seed, sound):
    "The rules and the solver against all 512 ways to fill 3×3, with one solution or with random numbers."
    board = Nurikabe(3, 3)
    question = drawn(board, seed)[0] if sound else random_board(seed, 3, 3)
    seas = np.array(list(itertools.product((False, True), repeat=9)))
    seas = seas[~seas[:, question > LAND].any(1)]
    truth = [right(question, sea, 3, 3) for sea in seas]
    answers = np.where(question > OPEN, question, np.where(seas, SEA, LAND)).astype(np.uint8)
    assert [board.check(question, answer).solved for answer in answers] == truth
    found = board.solutions(question, 512)
    assert {a.tobytes() for a in found} == {a.tobytes() for a, holds in zip(answers, truth) if holds}
    if sound: assert len(found) == 1

@pytest.mark.parametrize("seed", range(3))
def test_every_sea_of_a_larger_board(seed):
    board, question = Nurikabe(3, 4), random_board(seed, 3, 4)
    truth = {tuple(sea) for sea in itertools.product((False, True), repeat=12) if right(question, sea, 3, 4)}
    assert {tuple((a == SEA).tolist()) for a in board.solutions(question, 5000)} == truth

@given(seeds, st.booleans())
@settings(deadline=None, max_examples=12)
def test_unfinished_answers_are_wrong_only_where_nothing_mends_them(seed, spoilt):
    "A part of the solution breaks no rule."
    rng = np.random.default_rng(seed)
    question, label = drawn(five, seed)
    part = np.where((question == OPEN) & (rng.random(25) < 0.5), OPEN, label).astype(np.uint8)
    assert five.check(question, part).legal and five.check(question, part).complete == (part != OPEN).all()
    cell = int(rng.choice(np.flatnonzero(question == OPEN)))
    other = label.copy(); other[cell] = SEA + LAND - other[cell]
    assert not five.check(question, other).legal

@given(levels, seeds)
@settings(deadline=None, max_examples=8)
def test_generated_boards_their_images_and_text(level, seed):
    question, label = drawn(five, seed, level)
    assert five.check(question, label).solved
    assert [a.tolist() for a in five.solutions(question)] == [label.tolist()]
    assert (question > LAND).any() and (level == "mixed" or question.max() >= LAND + 4)
    ways = five.symmetries(np.random.default_rng(seed), 4)
    for image, answer in zip(*ways(np.stack([question]*4), np.stack([label]*4))):
        assert five.check(image, answer).solved
        assert five.canonical(image, answer) == five.canonical(question, label)
    for tokens in (question, label):
        assert (five.parse(five.text(tokens)) == tokens).all()
        assert (five.parse(five.print(tokens)) == tokens).all()
    assert find_puzzle(five.name) == five == puzzle_from(five.spec())

@pytest.mark.parametrize("question, answer, verdict", [
    ("1..1", "1~~1", "the sea at row 1, column 2 is cut off"), ("1...", "1~~~", "solved"),
    ("....", "~~~~", "the sea fills a square at row 1, column 1"), ("2...", "2o~~", "solved"),
    ("2...", "2.~.", "legal so far, not complete"),
    ("3...", "3~~.", "the island at row 1, column 1 has 1 cell, not 3"),
    ("1...", "1o.~", "the island at row 1, column 1 has 2 cells, not 1"),
    ("1.1.", "1~1~", "the island at row 1, column 1 has 2 numbers"),
    ("1...", "1~~o", "the island at row 2, column 2 has no number"),
    ("2...", "~o~~", "the question was changed in row 1, column 1")])
def test_the_rules_on_answers(question, answer, verdict):
    board = Nurikabe(2, 2)
    assert str(board.check(board.parse(question), board.parse(answer))).startswith(verdict)

@pytest.mark.parametrize("act, what", [
    (lambda: five.parse("."*24), "has 25 cells, but 24 were given"),
    (lambda: five.parse("."*24 + "0"), "'0' in row 5, column 5"),
    (lambda: Nurikabe(1, 5), "not supported"), (lambda: Nurikabe(40, 40), "not supported"),
    (lambda: find_puzzle("nurikabe-5"), "write it like 5x5"),
    (lambda: next(five.generate(None, "hard")), "choose from mixed, large")])
def test_bad_input_is_refused(act, what):
    with pytest.raises(InputError, match=what): act()

def test_datasets_pass_the_check(tmp_path):
    write_dataset(generate_dataset(five, 40, 10, difficulty="mixed"), tmp_path/"set")
    check = DatasetCheck(tmp_path/"set")
    assert list(check) == [] and "exactly one solution" in check.looked_at[1]
