"What holds for the boards of every type."
import itertools
import numpy as np, pytest
from trm_lab.core.errors import InputError
from trm_lab.puzzles import nurikabe, rush_hour
from trm_lab.puzzles.base import MovePuzzle, Rules, find_puzzle, puzzle_types

BOARDS = ["sudoku-6x6", "sudoku-9x9", "maze-9x9", "arc-10x10", "lights_out-5x5", "queens-8x8", "lightup-7x7",
    "programs-5x3", "nurikabe-5x5", "rush_hour-6x6", "sokoban-7x7"]

def test_no_type_is_left_out():
    assert {name.partition("-")[0] for name in BOARDS} == set(puzzle_types())

@pytest.mark.parametrize("name", BOARDS)
def test_no_boards_are_answered_with_none(name):
    "A search may have nothing left to ask: after its last case, or where all answers are right."
    puzzle = find_puzzle(name)
    none, each = np.zeros((0, puzzle.seq_len), np.uint8), (0, puzzle.seq_len)
    assert puzzle.solved(none, none).shape == (0,)
    assert all(holds.shape == (0,) for holds in puzzle.score_boards(none, none).values())
    rng, even = np.random.default_rng(0), np.zeros((*each, puzzle.vocab_size), np.float32)
    for label in (puzzle.label(none), puzzle.label(none, rng), puzzle.nearest_label(none, even)):
        assert label is None or label.shape == each
    if (candidates := puzzle.candidates(none)) is not None: assert candidates.shape == even.shape
    if (found := puzzle.deduce(none)) is not None:
        assert [part.shape for part in found] == [each, even.shape, (0,)]
    if (symmetries := puzzle.symmetries(rng, 0)) is not None:
        assert [boards.shape for boards in symmetries(none, none)] == [each, each]
    assert all(len(values) == 0 for values in puzzle.measures(none).values())
    assert all(len(facts) == 0 for facts in puzzle.cell_facts(none, none).values())
    if isinstance(puzzle, MovePuzzle): assert puzzle.fewest_moves(none).shape == (0,)

@pytest.mark.parametrize("name", BOARDS)
def test_a_type_says_in_words_what_it_is_and_how_it_is_solved(name):
    "For the tables of studies, and the solver's page: Light Up 7×7, by a SAT solver."
    puzzle, size = find_puzzle(name), name.partition("-")[2]
    assert puzzle.title.endswith(f" {size.replace('x', '×')}") and "_" not in puzzle.title
    assert (puzzle.solver_in_words is None) == (type(puzzle).solutions is Rules.solutions)

@pytest.mark.parametrize("module, usual, none", [
    (nurikabe, "nurikabe-5x5", [("nurikabe-2x2", "mixed"), ("nurikabe-2x3", "large")]),
    (rush_hour, "rush_hour-6x6", [("rush_hour-4x4", "moves20")])], ids=["nurikabe", "rush_hour"])
def test_boards_that_there_are_not_are_not_sought_for_ever(module, usual, none, monkeypatch):
    "The first board may be long in coming, and so may each after it."
    monkeypatch.setattr(module, "_MOST_MISSED", 50)
    for name, level in none:
        with pytest.raises(InputError, match="none of 50 random .*; ask for"):
            next(find_puzzle(name).generate(np.random.default_rng(0), level))
    made = find_puzzle(usual).generate(np.random.default_rng(0))
    assert len([*itertools.islice(made, 60)]) == 60
