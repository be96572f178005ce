"Odd names and specifications of puzzles: each is refused with one sentence, whoever reads it."
import json
import numpy as np, pytest
from trm_lab.core.errors import InputError
from trm_lab.puzzles.base import find_puzzle, puzzle_from, puzzle_types
from trm_lab.puzzles.lights_out import LightsOut
from trm_lab.puzzles.maze import Maze
from trm_lab.puzzles.sudoku import Sudoku
from test_cli import trm_lab

NAMES = ["sudoku-²x²", "sudoku-٦x٦", "sudoku-06x06", "sudoku-6x9", "sudoku--6x-6", "sudoku-6", "sudoku-6X6",
    "sudoku-6x6x6", "sudoku-1e1x1e1",
    "sudoku-0x0", "sudoku-1x1", "sudoku-7x7", "sudoku-40x40", "sudoku-999999999x999999999",
    "sudoku-" + "9"*5000 + "x" + "9"*5000, "sudoku",
    "maze", "maze-0x0", "maze-1x1", "maze-030x30", "maze-²x³", "maze-999999x999999", "maze- 3x3",
    "lights_out-100000x100000", "lights_out-0x5",
    "queens-4x4", "queens-8x9", "queens-8", "lightup-0x5", "lightup-100x100", "programs-5", "programs-2x3",
    "programs-5x4", "nurikabe-1x5", "nurikabe-5", "sokoban-4x9", "sokoban-11x11",
    "lights_out-5", "arc", "arc-10x11", "", "-", "../x", "Sudoku-6x6", "base", None, 6, b"sudoku-6x6",
    ["sudoku-6x6"]]

@pytest.mark.parametrize("name", NAMES, ids=lambda name: str(name)[:30])
def test_odd_names(name):
    with pytest.raises(InputError) as refused: find_puzzle(name)
    assert len(str(refused.value)) < 250 and "\n" not in str(refused.value)

SPECS = [({"type": "sudoku", "box": 3}, "sudoku: the argument 'box' is not known.*box_rows, box_cols"),
    ({"box": 3}, "has no 'type'"), ({}, "has no 'type'"), (None,
        "names with values.*not None"), ("sudoku-6x6", "not 'sudoku-6x6'"),
    ([["type", "sudoku"]], "names with values"), ({"type": None},
        "a name like 'sudoku', not None"), ({"type": ["sudoku"]}, "a name like"),
    ({"type": "sudokku"}, "did you mean 'sudoku'"), ({"type": "sudoku", "box_rows": 3},
        "'box_cols' is missing"),
    ({"type": "sudoku", "box_rows": "three", "box_cols": 3},
        "sudoku: 'box_rows' should be int, found str 'three'"),
    ({"type": "sudoku", "box_rows": True, "box_cols": 3},
        "found bool True"), ({"type": "sudoku", "box_rows": 2.5, "box_cols": 3}, "found float 2.5"),
    ({"type": "sudoku", "box_rows": None, "box_cols": 3}, "should be int, found None"),
    ({"type": "sudoku", "box_rows": -3, "box_cols": -3},
        "not supported"), ({"type": "sudoku", "box_rows": 10**30, "box_cols": 2}, "64 bits"),
    ({"type": "sudoku", "box_rows": 10**9, "box_cols": 2}, "not supported"),
    ({"type": "maze", "rows": [3], "cols": 3},
        "maze: 'rows' should be int, found list"), ({"type": "maze", "rows": 3}, "'cols' is missing"),
    ({"type": "maze", "rows": 3, "cols": 3, "min_path": "long"},
        "maze: 'min_path' should be int"), ({"type": "maze", "rows": 3, "cols": 3, "min_path": 9},
        "does not fit"),
    ({"type": "maze", "rows": 0, "cols": 0},
        "not supported"), ({"type": "maze", "rows": 10**9, "cols": 10**9}, "not supported"),
    ({"type": "lights_out", "rows": float("nan"), "cols": 5},
        "found float nan"), ({"type": "lights_out", "row": 5, "cols": 5}, "did you mean 'rows'"),
    ({"type": "lights_out", "rows": 100_000, "cols": 100_000}, "not supported"), ({"type": "arc", "rows": 30},
        "it takes side")]

@pytest.mark.parametrize("spec, sentence", SPECS, ids=lambda v: str(v)[:40])
def test_odd_specifications(spec, sentence):
    with pytest.raises(InputError, match=sentence): puzzle_from(spec)

def test_what_is_not_odd():
    for name in ("sudoku-4x4", "sudoku-16x16", "maze-1x9", "maze-100x100", "lights_out-20x20",
            "queens-12x12", "lightup-32x32", "programs-9x3", "nurikabe-20x20", "sokoban-10x10",
            "arc-30x30", "arc-11x11"):
        assert puzzle_from(json.loads(json.dumps(find_puzzle(name).spec()))) == find_puzzle(name)
        assert find_puzzle(name).name == name
    assert Sudoku(np.int64(2), np.int32(3)).spec() == {"type": "sudoku", "box_rows": 2,
        "box_cols": 3} and json.dumps(Sudoku(np.int64(2), 3).spec())
    for three in ("3", 3., np.int64(3)): # as a file may have it
        assert puzzle_from({"type": "sudoku", "box_rows": three, "box_cols": 3}) == Sudoku(3, 3)
    assert Maze(np.int64(5), 5) == Maze(5, 5) and LightsOut(np.uint8(5), 5) == LightsOut(5,
        5) and "arc" in puzzle_types()

SAID = {"lights_out-2x2": "a 2×2 board has 4 cells|write one character a cell|. off, * on, - leave, x press",
    "lightup-2x2": "a 2×2 board has 4 cells|write one character a cell"
        "|. open, - dark, * lamp, # wall, or a number from 0 to 4",
    "nurikabe-2x3": "a 2×3 board has 6 cells|write one character a cell"
        "|. open, ~ sea, o land, or a number from 1 to 9",
    "sokoban-5x5": "a 5×5 board has 25 cells|write one character a cell"
        "|- floor, # wall, . goal, @ player, $ box, + and * for these two on a goal, and for a pushed box "
        "1 left, 2 right, 4 up, 8 down, or their sum as a hexadecimal digit",
    "queens-5x5": "a 5×5 board has 25 squares|write one character a square|. open, - empty, Q queen",
    "programs-3x1": "a board of programs-3x1 has 40 cells|write one character a cell"
        "|a digit, a letter of an instruction, _ for nothing, . for open"}

@pytest.mark.parametrize("name", SAID)
def test_boards_of_characters(name):
    puzzle, (board, write, legend) = find_puzzle(name), SAID[name].split("|")
    every = np.arange(puzzle.seq_len) % (puzzle.vocab_size - 1) + 1
    assert (puzzle.parse("\n ".join(puzzle.print(every))) == every).all()
    assert puzzle.print([0, puzzle.vocab_size - 1]) == "?" + puzzle.characters[-1]
    with pytest.raises(InputError) as refused: puzzle.parse(".")
    assert str(refused.value) == f"{board}, but 1 were given; {write}"
    with pytest.raises(InputError) as refused: puzzle.parse("."*(puzzle.seq_len - 1) + "?")
    place = f"row {puzzle.rows}, column {puzzle.cols}"
    assert str(refused.value) == f"'?' in {place} is not understood; use {legend}"

@pytest.mark.parametrize("type, least, most, choose", [("lights_out", 1, 400, "a board of 1 to 400 cells"),
    ("lightup", 1, 1024, "a board of 1 to 1,024 cells"), ("nurikabe", 2, 400, "one of 2×2 to 400 cells"),
    ("sokoban", 5, 100, "one of 5×5 to 100 cells")])
def test_limits_of_rectangular_boards(type, least, most, choose):
    for rows, cols in ((least - 1, 9), (9, least - 1), (most//2 + 1, 2)):
        with pytest.raises(InputError) as refused: find_puzzle(f"{type}-{rows}x{cols}")
        assert str(refused.value) == f"{type}: {rows}×{cols} is not supported; choose {choose}"
    assert find_puzzle(f"{type}-{least}x{least}").seq_len == least**2
    side = max(least, 2)
    assert find_puzzle(f"{type}-{side}x{most//side}").seq_len == side*(most//side)

@pytest.mark.parametrize("arguments",
    [["data", "check", "SET", "--puzzle", "sudoku-²x²"],
    ["data", "build", "maze-²x²", "OUT", "--generate", "5"],
    ["data", "build", "maze", "OUT", "--size", "٣", "--generate", "5"], ["data", "build", "sudoku", "OUT",
        "--size", "06", "--generate", "5"],
    ["data", "build", "maze-8x8", "OUT", "--generate", "5", "--min-path", "64"]], ids=" ".join)
def test_odd_names_on_the_command_line(arguments, tmp_path, monkeypatch, capsys):
    from trm_lab.data.generate import generate_dataset
    from trm_lab.data.datasets import write_dataset
    write_dataset(generate_dataset(Sudoku(2, 2), 4, 2), tmp_path/"set")
    places = {"SET": tmp_path/"set", "OUT": tmp_path/"out"}
    code, _, err = trm_lab(*(places.get(a, a) for a in arguments), monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2 and len(err.strip().splitlines()) == 1 and not (tmp_path/"out").exists(), err
