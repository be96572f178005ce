"Shifts change what they say and nothing else, and the measure asks about the same answers as others do."
import itertools
import pytest
from trm_lab.core.errors import InputError
from trm_lab.core.settings import read_yaml
from trm_lab.models.trm import RecursiveModel
from trm_lab.puzzles.base import find_puzzle
from trm_lab.puzzles.maze import WALL
from trm_lab.puzzles.sudoku import BLANK
from trm_lab.runs import shifts as module
from trm_lab.runs.measures import MEASURES, FinishedRun
from trm_lab.runs.shifts import SHIFTS, on_board, shifted
from trm_lab.runs.templates import experiments_folder
from trm_lab.runs.training import train_run

@pytest.fixture(scope="module", autouse=True)
def own_home(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRM_LAB_HOME", str(tmp_path_factory.mktemp("home")))
        yield

def run_of(tmp_path_factory, row, **changes):
    "A run of the smallest size of study 10, on one of its puzzles."
    grid = read_yaml(experiments_folder()/"sweeps"/"10_shift.yaml")["smoke"]["axes"][row]
    config = grid.pop("config", None)
    base = read_yaml(experiments_folder()/"configs"/f"{config}.yaml") if config else {}
    return FinishedRun(train_run({**base, **grid, **changes}, tmp_path_factory.mktemp("runs"))[0])

@pytest.fixture(scope="module")
def sudoku(tmp_path_factory): return run_of(tmp_path_factory, 0, train_steps=60)

@pytest.fixture(scope="module")
def maze(tmp_path_factory): return run_of(tmp_path_factory, 1, train_steps=3)

def test_givens_come_from_the_solution_and_go(sudoku):
    test = sudoku.test(20)
    more, fewer = (shifted(sudoku, test, f"{which} givens=2").split for which in ("more", "fewer"))
    givens = (test.inputs > BLANK).sum(1)
    assert ((more.inputs > BLANK).sum(1) == givens + 2).all()
    assert ((more.inputs == more.labels) | (more.inputs == BLANK)).all()
    assert ((fewer.inputs > BLANK).sum(1) == givens - 2).all() and (fewer.labels == test.labels).all()

@pytest.mark.parametrize("kind", ["visible", "hidden"])
def test_a_contradiction_leaves_no_solution(sudoku, kind):
    asked = shifted(sudoku, sudoku.test(20), f"contradiction={kind}")
    assert not asked.answerable and len(asked.split) > 3
    for question in asked.split.inputs:
        assert asked.puzzle.check(question, question).legal == (kind == "hidden")
        assert not asked.puzzle.solutions(question, 1)

def test_a_transposed_board_has_other_boxes(tmp_path_factory):
    made = run_of(tmp_path_factory, 0, puzzle="sudoku-6x6", train_steps=2)
    asked = shifted(made, made.test(10), "transposed")
    assert asked.puzzle.solved(asked.split.inputs, asked.split.labels).all()
    assert not made.loaded.puzzle.solved(asked.split.inputs, asked.split.labels).any()

def test_new_puzzles_are_no_copies_of_training_puzzles(maze):
    puzzle, train = maze.loaded.puzzle, maze.dataset.train
    seen = {puzzle.canonical(*pair) for pair in zip(train.inputs, train.labels)}
    for text in ("difficulty=path6", "walls=0.2"):
        split = shifted(maze, maze.test(20), text).split
        assert puzzle.solved(split.inputs, split.labels).all()
        assert not seen & {puzzle.canonical(*pair) for pair in zip(split.inputs, split.labels)}

def test_mazes_have_the_walls_and_the_size_that_are_asked_for(maze):
    few, many = (shifted(maze, maze.test(), f"walls={share}").split.inputs for share in (0.1, 0.5))
    assert (few == WALL).mean() < (many == WALL).mean()
    smaller = shifted(maze, maze.test(10), "smaller board=4")
    boards = smaller.split.inputs.reshape(-1, 5, 5)
    assert (boards[:, 4] == WALL).all() and (boards[:, :, 4] == WALL).all()
    assert maze.loaded.puzzle.solved(smaller.split.inputs, smaller.split.labels).all()
    closed = shifted(maze, maze.test(10), "no way")
    assert not any(maze.loaded.puzzle.solutions(question) for question in closed.split.inputs)

def test_mazes_that_there_are_not_are_not_sought_for_ever(maze, monkeypatch):
    "A path of 8 steps where almost all is wall, or on a board too small for it; or only copies of training."
    few = shifted(maze, maze.test(5), "walls=0.1/path6").split
    assert len(few) == 5 and maze.loaded.puzzle.solved(few.inputs, few.labels).all()
    with pytest.raises(InputError, match="walls on 95% of the cells had none with a shortest path"):
        shifted(maze, maze.test(5), "walls=0.95")
    with pytest.raises(InputError, match="maze-2x2: .* had none with a shortest path"):
        shifted(maze, maze.test(5), "larger board=2")
    copies = zip(maze.dataset.train.inputs, maze.dataset.train.labels)
    monkeypatch.setattr(module, "_mazes", lambda *asked: itertools.cycle(copies))
    with pytest.raises(InputError, match="were all copies of training puzzles; change them more"):
        shifted(maze, maze.test(5), "walls=0.2")

@pytest.mark.parametrize("text", ["walls=many", "walls=0.2/pathlong", "larger board=", "smaller board=x"])
def test_an_argument_that_is_no_number_is_refused(maze, text):
    with pytest.raises(InputError, match="of a shift should be a number; write it like"):
        shifted(maze, maze.test(2), text)

def test_a_model_on_a_larger_board_has_the_weights_that_it_was_trained_with(maze, sudoku):
    larger, own = on_board(maze, find_puzzle("maze-7x7")), maze.loaded.model
    assert on_board(maze, maze.loaded.puzzle) is own and isinstance(larger, RecursiveModel)
    same = dict(larger.named_parameters())
    for name, w in own.named_parameters():
        inside = same[name] if w.shape == same[name].shape else same[name][:, 2:-2, 2:-2]
        assert (inside == w).all(), name
    # on a board that is walled in, the larger model sees farther, and answers about another board
    asked = shifted(maze, maze.test(5), "larger board=7")
    assert asked.puzzle.name == "maze-7x7" and asked.split.inputs.shape == (5, 49)
    with pytest.raises(InputError, match="has weights for each cell"):
        on_board(sudoku, find_puzzle("sudoku-6x6"))

def test_the_measure_agrees_with_depth(sudoku, maze):
    of = {(row["measure"], row["condition"]): row["value"] for row in MEASURES["shift"](
        sudoku, {"sudoku": ["a symmetry", "contradiction=visible"]}, [4], 8, 30)}
    for row in MEASURES["depth"](sudoku, [4, 8], 30):
        if row["measure"] == "solved":
            assert of["solved", f"shift=none, {row['condition']}"] == row["value"]
    assert of["solved", "shift=contradiction=visible, steps=4"] == 0
    assert ("solved", "shift=a symmetry, steps=8") not in of and len(of) == 6*4
    rows = MEASURES["shift"](sudoku, {}, [2, 4], 3, 5) # each step once, and further than the longest
    assert [*dict.fromkeys(row["condition"] for row in rows)] == [f"shift=none, steps={k}" for k in (2, 4, 3)]
    shifts = {"maze": ["walls=0.2", "larger board=6", "no way"]}
    assert len(MEASURES["shift"](maze, shifts, [2], 2, 8)) == 6*4

def test_an_unknown_shift_or_one_for_another_type_is_refused(sudoku):
    with pytest.raises(InputError, match="there is no shift 'wall' .did you mean 'walls'"):
        shifted(sudoku, sudoku.test(2), "wall=0.2")
    with pytest.raises(InputError, match="'walls' is for Maze only, not for sudoku-4x4"):
        shifted(sudoku, sudoku.test(2), "walls=0.2")
    assert all(name == name.strip() for name in SHIFTS)
