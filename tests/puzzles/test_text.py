"""Puzzles as people keep them: every form reads as the same boards, and what could be read in two ways is
refused in one sentence."""
import csv, gzip, inspect, io, json
from pathlib import Path
import numpy as np, pytest, torch
from trm_lab.interp.session import puzzle_batch
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.data.generate import generate_dataset
from trm_lab.data.batches import make_batch
from trm_lab.data.datasets import read_dataset, write_dataset
from trm_lab.data.build import from_csv
from trm_lab.core.errors import InputError, shortened
from trm_lab.puzzles.arc import Arc
from trm_lab.puzzles.base import Verdict, puzzle_types
from trm_lab.puzzles.lights_out import LightsOut
from trm_lab.puzzles.maze import Maze
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.puzzles.text import count_solutions, likely_type, read_rows
from trm_lab.views.serve import puzzles_of
from trm_lab.solving.search import Search, solve_by_search
from test_cli import trm_lab

FOUR, SIX, NINE = Sudoku(2, 2), Sudoku(2, 3), Sudoku(3, 3)
# has a row and a column that begin blank
LINE = "....91..77.1.5..8998.37...5..264..3.6.4.....2.18.27.....976824...3...79....9..1.8"
ROWS = [LINE[i:i + 9] for i in range(0, 81, 9)]
SOLVED = NINE.print(NINE.solve(NINE.parse(LINE)))
SEVERAL, NONE = ("."*72 + "257693481",
    "2.4.7.........91..9.1.6......3...24..........7..8425....9...6.3.3...7....5.6..4.1")
DIGITS = [[0 if c == "." else int(c) for c in row] for row in ROWS]

@pytest.fixture
def cli_run(monkeypatch, capsys):
    return lambda *arguments: trm_lab(*arguments, monkeypatch=monkeypatch, capsys=capsys)

def read(source, puzzle=NINE, **options): return read_rows(source, puzzle, **{"answers": False, **options})
def printed(rows, puzzle=NINE): return [puzzle.print(question) for question in rows.questions]

def refusal(act):
    with pytest.raises(InputError) as refused: act()
    sentence = str(refused.value)
    assert len(sentence) <= 400 and "\n" not in sentence, sentence
    return sentence

# ---- one board ---------------------------------------------------------------------------------------------

RULED = NINE.text(NINE.parse(LINE))
TIGHT = RULED.replace(" ", "")
SPACED = [row.replace(".", " ") for row in ROWS]
BOARDS = {
    **{f"blank {c!r}": LINE.replace(".", c) for c in "0_*-?xX·□"},
    **{f"rows, blank {c!r}": "\n".join(ROWS).replace(".", c) for c in "0_*-?xX"},
    "spaces": "\n".join(SPACED), "spaces stripped": "\n".join(row.rstrip() for row in SPACED),
    "spaces on one line": LINE.replace(".", " "),
    "spaces and rulings": "\n".join("|".join(row[i:i + 3] for i in (0, 3, 6)) + "\n---+---+---"*(r in (2, 5))
        for r, row in enumerate(SPACED)),
    "cells apart": " ".join(LINE), "rows apart": "\n".join(map(" ".join, ROWS)), "ruled": RULED,
    "ruled, dashes blank": RULED.replace(".", "-"),
    "ruled tightly, dashes blank": TIGHT.replace(".", "-"),
    "drawn": RULED.translate(str.maketrans("-|+", "─│┼")),
    "bands": "\n\n".join("\n".join(ROWS[i:i + 3]) for i in (0, 3, 6)),
    "commas": "\n".join(map(",".join, ROWS)),
    "question marks and commas": "\n".join(map(",".join, ROWS)).replace(".", "?"),
    "empty fields": "\n".join(",".join(c.strip(".") for c in row) for row in ROWS),
    "empty fields on a line": ",".join(c.strip(".") for c in LINE),
    "empty fields, tabs": "\n".join("\t".join(c.strip(".") for c in row) for row in ROWS), "lists":
        str(DIGITS), "lists by rows": str(DIGITS).replace("], ", "],\n "), "numpy": str(np.array(DIGITS)),
    "JSON with null": json.dumps([[d or None for d in row] for row in DIGITS]), "JSON rows": json.dumps(ROWS),
    "flat JSON": json.dumps(sum(DIGITS, [])),
    "full width": LINE.translate({ord(str(d)): chr(0xff10 + d) for d in range(10)}),
    "Arabic digits": LINE.translate({ord(str(d)): chr(0x660 + d) for d in range(10)}),
    "ellipses": LINE.replace("...", "…"), "long dashes": LINE.replace(".", "–"),
    "no-break spaces": "\n".join(SPACED).replace(" ", "\u00a0"),
    "byte-order mark": "\ufeff" + LINE, "Windows": "\r\n".join(ROWS) + "\r\n",
    "old Mac": "\r".join(ROWS), "quoted": f'"{LINE}"',
}

@pytest.mark.parametrize("form", BOARDS)
def test_one_board_in_every_form(form, tmp_path):
    "As text and from a file."
    file = tmp_path/"board.txt"
    file.write_bytes(BOARDS[form].encode())
    assert printed(read(file)) == [LINE]
    if "\r" not in BOARDS[form]: assert printed(read(BOARDS[form])) == [LINE] 

@pytest.mark.parametrize("text, puzzle, what", [
    (LINE.replace("9", "q", 1), NINE, "'q' in row 1, column 5 is not a digit of a 9×9 Sudoku"),
    (LINE[:-1], NINE, "a 9×9 Sudoku has 81 cells, but 80 were given"),
    ("\n".join([*ROWS[:4], ROWS[4][:-1], *ROWS[5:]]), NINE,
        "80 were given; write one character a cell, '.' for blank; its line 5 has 8 in place of 9"),
    ("\n".join(ROWS[:8]), NINE, "81 cells, but 72 were given"),
    ("q"*5000, NINE, "5000 were given"), ("", NINE, "no puzzles"), ("  \n\t\n", NINE, "no puzzles"),
    ("# only\n; comments\n", NINE, "no puzzles"),
    # the short row is not filled up: dots are the blanks here
    ("12.4\n34.2\n.143\n4.2", Sudoku(2, 2), "16 cells, but 15 were given"),
    ("S  \n # \n  +", Maze(3, 3), "'+' in row 3, column 3 is not a cell of a maze"),
    ("*.\n.q", LightsOut(2, 2), "'q' in row 2, column 2"),
    (Sudoku(4, 4).print(Sudoku(4, 4).parse("1." + "."*254)).replace("1", "0", 1), Sudoku(4, 4),
        "'.' and '0' both stand in this"),
    (f"{LINE} {LINE} {LINE}", NINE, "3 boards stand on one line")])
def test_what_is_wrong_with_a_board(text, puzzle, what): assert what in refusal(lambda: read(text, puzzle))

def test_larger_boards_have_letters_or_numbers():
    big = Sudoku(4, 4)
    question = next(big.generate(np.random.default_rng(0)))[0]
    numbers = question.astype(int).reshape(16, 16) - 1
    for text in (big.print(question).lower(), big.text(question), str(numbers.tolist()),
            "\n".join(" ".join(str(n or ".") for n in row) for row in numbers),
            "\n".join(",".join(str(n or "") for n in row) for row in numbers)):
        assert printed(read(text, big), big) == [big.print(question)]

# ---- lists, several boards, JSON ---------------------------------------------------------------------------

def write(place, text, **options):
    if isinstance(text, bytes): place.write_bytes(text)
    else: place.write_text(text, **options)
    return place

MANY = {
    "list": f"# 3 boards\n\n{LINE}\n; more\n{LINE}\n// and\n{LINE}\n",
    "notes": f"{LINE} 17 hard one\n{LINE}   # mine\n{LINE},4.5\n",
    "names first": f"a: {LINE}\nb: {LINE}\nc: {LINE}\n",
    "Project Euler": "".join(f"Grid {i:02d}\n" + "\n".join(ROWS).replace(".", "0") + "\n" for i in range(3)),
    "blank lines": "\n\n".join(["\n".join(ROWS)]*3), "nothing between": "\n".join(ROWS*3),
    "ruled": "\n\n".join([RULED]*3),
    "titles and bands": "".join(f"Puzzle #{i}:\n" + BOARDS["bands"] + "\n\n" for i in range(3)),
    "sdk": "#A me\n[Puzzle]\n" + "\n".join(ROWS) + "\n[Other]\n" + "\n".join(ROWS) + "\n[Other]\n"
        + "\n".join(ROWS),
    "JSON strings": json.dumps([LINE]*3), "JSON boards": json.dumps([DIGITS]*3), "JSON flat boards":
        json.dumps([sum(DIGITS, [])]*3), "JSON objects": json.dumps([{"id": 1, "Puzzle": LINE}]*3, indent=1),
    "JSON columns": json.dumps({"quizzes": [LINE]*3, "id": [1, 2, 3]}),
    "JSON lines": "\n".join([json.dumps({"puzzle": LINE})]*3), "JSON lines of lists":
        "\n".join([json.dumps({"grid": DIGITS})]*3), "a list a line": "\n".join([str(sum(DIGITS, []))]*3),
    "quoted": f'"{LINE}"\n'*3, "one column": f"puzzle\n{LINE}\n{LINE}\n{LINE}\n",
    "spaces as blanks": "\n\n".join(["\n".join(SPACED)]*3), "UTF-16": "\n".join([LINE]*3).encode("utf-16"),
    "gzip": gzip.compress(f"{LINE}\n".encode()*3),
    "gzip of UTF-16": gzip.compress("\r\n".join([LINE]*3).encode("utf-16")),
}

@pytest.mark.parametrize("form", MANY)
def test_several_boards_in_every_form(form, tmp_path):
    assert printed(read(write(tmp_path/"boards.txt", MANY[form]))) == [LINE]*3
    if isinstance(MANY[form], str): assert printed(read(MANY[form])) == [LINE]*3

def test_lines_are_counted_in_the_file(tmp_path):
    assert read(write(tmp_path/"l.txt", MANY["list"])).lines.tolist() == [3, 5, 7]
    assert read(write(tmp_path/"e.txt", MANY["Project Euler"])).lines.tolist() == [2, 12, 22]
    short = MANY["Project Euler"].replace("Grid 02", "Grid 02\n\n").replace("\n".join(ROWS).replace(".", "0"),
        "\n".join(ROWS[:8]), 2).replace("\n".join(ROWS[:8]), "\n".join(ROWS), 1)
    assert "e.txt, puzzle 2 (lines 12 to 19): a 9×9 Sudoku has 81 cells, but 72" in refusal(
        lambda: read(write(tmp_path/"e.txt", short)))
    assert "puzzle 2 (line 3)" in refusal(lambda: read(f"{LINE}\n\n{LINE[:-1]}\n{LINE}"))
    # the next board does not lend its first row
    missing = "\n\n".join(["\n".join(ROWS), "\n".join(ROWS[:8]), "\n".join(ROWS)])
    assert "puzzle 2 (lines 11 to 18)" in refusal(lambda: read(missing))

@pytest.mark.parametrize("content, what", [(b"\x00\x01\x02"*10, "not a text file"),
    (b"\xe4" + LINE.encode(), "save it as UTF-8"), (b"PK\x03\x04xx", "ZIP archive or a spreadsheet"),
    (b"\x1f\x8b\x08\x00junk", "not a text file"), (b'{"puzzle": "1', "but is not JSON"),
    (b'{"step": 1}\n{"step": 2}\n', "the column 'question' is missing"), (b"", "no puzzles")])
def test_what_is_no_file_of_puzzles(content, what, tmp_path):
    assert what in refusal(lambda: read(write(tmp_path/"f.txt", content)))

# ---- tables ------------------------------------------------------------------------------------------------

def table(separator, *rows): return "\n".join(separator.join(row) for row in rows) + "\n"

@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
@pytest.mark.parametrize("header", [("question", "answer"), ("puzzle", "solution"), ("quizzes", "solutions"),
    ("Grid", "Solution"), ("BOARD", "SOLVED"), (" sudoku", '"solution"'), ("inputs", "labels")])
def test_any_usual_header(header, separator, tmp_path):
    for rows in ([header, (LINE, SOLVED)], [("id", *header, "clues"), ("7", LINE, SOLVED, "32")],
            [(*header[::-1], "note"), (SOLVED, LINE, "it's mine")]):
        for name in ("t.csv", "t.txt"):
            found = read(write(tmp_path/name, table(separator, *rows)), answers=True)
            assert printed(found) == [LINE] and NINE.print(found.answers[0]) == SOLVED and found.supplied == 0

@pytest.mark.parametrize("text", [f"{LINE},{SOLVED}\n", f"{LINE};{SOLVED}\n", f"{LINE}\t{SOLVED}\t3.5\n",
    f'"{LINE}","{SOLVED}"\n', f"{LINE} {SOLVED}\n"])
def test_two_boards_on_a_line_are_a_puzzle_and_its_answer(text, tmp_path):
    for name in ("t.csv", "t.txt"): assert NINE.print(read(write(tmp_path/name, text)).answers[0]) == SOLVED

@pytest.mark.parametrize("text, what", [
    (table(",", ("a", "b"), ("1", "2")), "the column 'question' is missing; the first line should name the "
        "columns"), (table(",", ("solution", "id"), (SOLVED, "1")), "the column 'question' is missing; "),
    (table(",", ("qestion", "answer"), (LINE, SOLVED)), "did you mean 'qestion'?"),
    (table(",", ("puzzle", "board"), (LINE, LINE)), "'puzzle' and 'board' may each be the question"),
    (table(",", ("question", "answer"), (SOLVED, LINE)), "row 1 (line 2): question and answer are exchanged"),
    (table(",", (SOLVED, LINE)), "question and answer are exchanged"),
    (table(",", ("puzzle", "solution"), (LINE,)),
        "row 1 (line 2): the row is too short; it needs puzzle,solution"),
    (table(",", ("question", "answer"), ("."*36, "1"*36)), "81 cells, but 36 were given"),
    (table(",", ("question", "answer"), (LINE, LINE.replace(".", "1"))),
        "the answer does not solve the puzzle: the digit 1 stands")])
def test_what_is_wrong_with_a_table(text, what, tmp_path):
    sentence = refusal(lambda: read(write(tmp_path/"t.csv", text)))
    assert what in sentence and "did you mean 'solution'" not in sentence

def test_a_verdict_names_three_reasons():
    assert (str(Verdict(True, (), tuple(f"reason {i}" for i in range(17)))) == "reason 0; reason 1; "
        "reason 2; and 14 more" and str(Verdict(True, (), ("a", "b", "c"))) == "a; b; c")
    assert (len(str(NINE.check(NINE.parse(SOLVED), NINE.parse("1"*81)))) < 400
        and len(shortened("x"*5000)) == 400)

# ---- ratings -----------------------------------------------------------------------------------------------

@pytest.mark.parametrize("rating", ["nan", "NaN", "inf", "-inf", "-1", "3,5", "hard", ""])
def test_a_rating_that_cannot_be_compared(rating, tmp_path, cli_run):
    other = generate_dataset(NINE, 3, 1, difficulty="easy").train.inputs
    file = write(tmp_path/"r.csv",
        table(";", ("puzzle", "rating"), *((NINE.print(q), "7") for q in other), (LINE, rating)))
    assert f"row 4 (line 5): the rating {rating!r} should be a number of 0 or more" in refusal(
        lambda: read(file, min_rating=5))
    rows = read(file, min_rating=5, skip_bad=True)
    assert len(rows) == 3 and [where for where, _ in rows.skipped] == ["row 4 (line 5)"]
    code, out, _ = cli_run("data", "build", "sudoku", tmp_path/"d", "--csv", file, "--min-rating", "5",
        "--skip-bad", "--train", "2")
    assert (code == 0 and "skipped    1 wrong rows of r.csv" in out
        and "3 answers supplied by the solver" in read_dataset(tmp_path/"d").metadata.origin)

@pytest.mark.parametrize("lowest", ["nan", "inf"])
def test_the_lowest_rating_is_a_number(lowest, tmp_path, cli_run):
    code, _, err = cli_run("data", "build", "sudoku", tmp_path/"d", "--csv",
        write(tmp_path/"r.csv", table(",", ("puzzle", "rating"), (LINE, "1"))), "--min-rating", lowest)
    assert (code == 2 and f"the lowest rating should be a number, found {lowest}" in err
        and not (tmp_path/"d").exists())

def test_where_ratings_are_asked_for_they_must_be_there(tmp_path):
    assert "no column 'rating'" in refusal(lambda:
        read(write(tmp_path/"a.csv", table(",", ("puzzle", "solution"), (LINE, SOLVED))), min_rating=1))
    assert "rating" in refusal(lambda: read(write(tmp_path/"a.txt", LINE), min_rating=1))
    difficulty = write(tmp_path/"b.csv", table(",", ("puzzle", "difficulty"), (LINE, "easy")))
    assert len(read(difficulty)) == 1 and "the rating 'easy'" in refusal(
        lambda: read(difficulty, min_rating=1)) # words need not be numbers, unless they are asked for
    assert len(read(write(tmp_path/"c.csv", table(",", ("puzzle", "rating"), (LINE, ""))))) == 1

# ---- answers that are missing ------------------------------------------------------------------------------

def test_the_solver_supplies_answers_and_names_what_has_not_exactly_one(tmp_path, cli_run):
    file = write(tmp_path/"l.txt", f"{LINE}\n{SEVERAL}\n{NONE}\n{SEVERAL}\n")
    sentence = refusal(lambda: read(file, answers=True))
    assert ("2 of 4 puzzles have several solutions (lines 2, 4), "
        "1 of 4 puzzles has no solution (line 3)" in sentence and "--skip-bad" in sentence)
    rows = read(file, answers=True, skip_bad=True)
    assert (rows.supplied == 1 and NINE.print(rows.answers[0]) == SOLVED
        and [where for where, _ in rows.skipped] == ["puzzle 2 (line 2)",
            "puzzle 3 (line 3)", "puzzle 4 (line 4)"])
    assert (count_solutions(NINE, read(file).questions).tolist() == [1, 2, 0, 2]
        and count_solutions(Arc(), np.zeros((1, 900), np.uint8)) is None)
    code, out, err = cli_run("eval", "sudoku-9x9-laptop", "--data", file, "--skip-bad")
    assert code == 0 and "answers    1 supplied by the solver" in err and "n                    1" in out
    assert "no solver" in refusal(lambda: read("12|34", Arc(), answers=True))

def test_a_dataset_from_a_list_without_answers(tmp_path, cli_run):
    boards = generate_dataset(SIX, 12, 1).train
    file = write(tmp_path/"list.txt",
        "; six\n" + "".join(f"{SIX.print(q)} {i}\n" for i, q in enumerate(boards.inputs)))
    code, out, err = cli_run("data", "build", "sudoku-6x6", tmp_path/"d", "--csv", file)
    assert code == 0 and "answers    12 supplied by the solver" in out, err
    kept = read_dataset(tmp_path/"d")
    assert SIX.solved(kept.train.inputs, kept.train.labels).all() and len(kept.train) + len(kept.test) == 12
    told = []
    mazes = generate_dataset(Maze(6, 6, 12), 6, 1).train
    made = from_csv(Maze(6, 6),
        write(tmp_path/"m.txt", "\n\n".join(Maze(6, 6).text(q) for q in mazes.inputs)),
        on_message=told.append)
    assert told == ["answers    6 supplied by the solver"] and {bytes(a)
        for a in np.concatenate([made.train.labels, made.test.labels])} == {bytes(a) for a in mazes.labels}

# ---- other types -------------------------------------------------------------------------------------------

MAZE = "S      \n ## ## \n      #\n ##  # \n      G"

@pytest.mark.parametrize("text, boards",
    [(MAZE, 1), ("\n".join(line.rstrip() for line in MAZE.split("\n")), 1),
        (MAZE.replace(" ", "."), 1), (MAZE.replace("\n", ""), 1), (f"{MAZE}\n\n{MAZE}\n", 2),
        (f"# two of them\n{MAZE}\n# the second\n{MAZE}", 2), ((MAZE.replace("\n", "") + "\n")*3, 3),
        (MAZE.replace("#", "█"), 1), (f"question,answer\n{MAZE.replace(chr(10), '')},\n", 1)])
def test_mazes(text, boards, tmp_path):
    maze = Maze(5, 7)
    assert (printed(read(text, maze), maze) == printed(read(write(tmp_path/"m.txt", text), maze), maze)
        == [MAZE.replace("\n", "")]*boards)
    assert all(maze.label_problem(*pair) is None
        for pair in read(text, maze, answers=True).pairs(slice(None)))

def test_a_maze_whose_lines_begin_with_walls():
    "They are no comments; and a way that is not there is said."
    text, maze = "#######\n#S   G#\n#     #\n#  #  #\n#######", Maze(5, 7)
    assert printed(read(text, maze), maze) == [text.replace("\n", "")]
    assert "no solution" in refusal(
        lambda: read(text.replace("S   G", "S # G").replace("#     #", "#  #  #"), maze, answers=True))

@pytest.mark.parametrize("text, boards", [("*.*\n.*.\n*.*", 1), ("[[1,0,1],[0,1,0],[1,0,1]]", 1),
    ("101010101\n*.*.*.*.*\n", 2), ("1 0 1\n0 1 0\n1 0 1\n\n1 0 1\n0 1 0\n1 0 1", 2)])
def test_lights(text, boards):
    assert printed(read(text, LightsOut(3, 3)), LightsOut(3, 3)) == ["*.*.*.*.*"]*boards

def test_grids_of_any_size_and_what_is_no_type():
    assert (len(read("12|34\n5|6\n", Arc())) == 2 and len(read("[[1, 2], [3, 4]]", Arc())) == 1
        and len(read("[[[1, 2]], [[3]]]", Arc())) == 2)
    assert "text" not in puzzle_types() and "sudoku" in puzzle_types()

def test_solutions_are_labels():
    board = LightsOut(5, 5)
    question, label = next(board.generate(np.random.default_rng(0)))
    assert ([a.tolist() for a in board.solutions(question)] == [label.tolist()]
        and board.solutions(board.parse("*" + "."*24)) == [])
    maze = Maze(2, 3)
    assert (maze.solutions(maze.parse("S#G ##")) == []
        and [maze.print(a) for a in maze.solutions(maze.parse("S G  #"))] == ["SoG  #"]
        and Arc().solutions(np.zeros(900)) is None)

# ---- the same reader everywhere ----------------------------------------------------------------------------

def test_the_explorer_and_python_read_what_the_command_line_reads(tmp_path):
    file, solved = (write(tmp_path/"list.txt", MANY["list"]),
        write(tmp_path/"t.csv", table(";", ("Puzzle", "Solution"), (LINE, SOLVED))))
    for source in (file, str(file), MANY["list"], MANY["JSON lines"]):
        assert len(puzzle_batch(source, NINE)) == 3 and len(puzzles_of(NINE, str(source), 2)) == 2
    assert NINE.print(puzzle_batch(solved, NINE).labels[0].numpy()) == SOLVED and NINE.print(
        puzzle_batch(dashes := BOARDS["ruled, dashes blank"], NINE).inputs[0].numpy()) == LINE, dashes
    dataset = generate_dataset(FOUR, 2, 3)
    write_dataset(dataset, tmp_path/"set")
    assert (puzzle_batch(tmp_path/"set", FOUR).inputs.numpy() == dataset.test.inputs).all()

def test_a_word_is_a_board_or_a_file(tmp_path, monkeypatch, cli_run):
    monkeypatch.chdir(tmp_path)
    for word in ("nothere.txt", "some/where", "boards.csv.gz", "./x.sdk"):
        expected = f"{word}: cannot be read (there is no such file); check the path"
        assert refusal(lambda: read(word)) == expected
        code, _, err = cli_run("solve", word)
        assert code == 2 and err == f"trm-lab: {expected}\n"
    Path("1"*16).write_text("1" + "."*15)
    assert ("is a board and the name of a file" in refusal(lambda: read("1"*16, FOUR))
        and printed(read("./" + "1"*16, FOUR), FOUR) == ["1" + "."*15])
    assert "'puzzels' is not a file, a folder or a board" in refusal(lambda: puzzles_of(FOUR, "puzzels"))

def test_a_board_that_begins_with_a_dash_is_no_option(cli_run):
    dashes = SIX.print(generate_dataset(SIX, 1, 1, seed=5).test.inputs[0]).replace(".", "-")
    code, out, err = cli_run("solve", "-"*6 + dashes[6:], "--steps", "2")
    assert code == 0 and "of at most 2" in out, err

def test_the_nearest_size_is_what_is_spoken_of(cli_run):
    types = [FOUR, SIX, NINE]
    for text, puzzle in ((LINE[:-1], NINE), (LINE + "..", NINE), (LINE.replace("9", "?"), NINE),
            ("\n".join(ROWS).replace("1", "q"), NINE), ("."*30, SIX), ("1234", FOUR),
            (BOARDS["ruled, dashes blank"], NINE)):
        assert likely_type(text, types) == puzzle
    for text, what in ((LINE.replace("9", "q", 1), "'q' in row 1, column 5 is not a digit of a 9×9 Sudoku"),
            (LINE[:-2], "a 9×9 Sudoku has 81 cells, but 79 were given"),
            ("12", "a 4×4 Sudoku has 16 cells, but 2 were given")):
        code, _, err = cli_run("solve", text)
        assert code == 2 and what in err and "6×6" not in err and len(err.splitlines()) == 1

# ---- solving files -----------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def six_list(tmp_path_factory):
    boards = generate_dataset(SIX, 1, 12, seed=5).test
    lines = ["# a list", *(SIX.print(q) for q in boards.inputs), "1" + "."*35, "12345......6" + "."*24]
    return write(tmp_path_factory.mktemp("lists")/"six.txt", "\n".join(lines) + "\n"), boards

@pytest.mark.parametrize("search", [[], ["--until", "legal", "--restarts", "6"]], ids=["one try", "search"])
@pytest.mark.parametrize("form", ["csv", "jsonl"])
def test_a_file_is_answered_into_a_table(form, search, six_list, tmp_path, cli_run):
    file, boards = six_list
    code, out, err = cli_run("solve", file, "--out", tmp_path/f"a.{form}", *search)
    assert code == 0, err
    assert ("several    1 has several solutions (line 14)" in out
        and "none       1 has no solution (line 15)" in out and "puzzles    14, " in out)
    text = (tmp_path/f"a.{form}").read_text()
    rows = (list(csv.DictReader(io.StringIO(text))) if form == "csv"
        else [json.loads(line) for line in text.splitlines()])
    assert [int(row["line"]) for row in rows] == list(range(2, 16)) and list(rows[0]) == ["line", "question",
        "answer", "solved", "steps", "halting_probability", "tries", "abstained", "solutions"]
    assert [row["solutions"] for row in rows] == ["one"]*12 + ["several", "none"]
    for row in rows: assert (row["abstained"] in ("yes", True)) != (row["solved"] in ("yes", True))
    yes = [row["solved"] in ("yes", True) for row in rows]
    for row, solved in zip(rows[:-1], yes):
        assert SIX.check(SIX.parse(row["question"]), SIX.parse(row["answer"])).solved == solved
    assert (f"solved     {sum(yes)} by the rules" in out and sum(yes[:12]) >= 8 and not yes[-1]
        and rows[-1]["answer"] == "" and int(rows[-1]["tries"]) == 0)
    if search: assert int(rows[0]["tries"]) >= 1 and max(int(row["tries"]) for row in rows) <= 7

def test_without_out_the_table_goes_to_standard_output(six_list, cli_run, monkeypatch):
    code, out, err = cli_run("solve", six_list[0])
    assert code == 0 and len(list(csv.DictReader(io.StringIO(out)))) == 14 and "solved     " in err
    monkeypatch.setattr("sys.stdin", io.StringIO(six_list[0].read_text()))
    assert cli_run("solve", "-")[1] == out
    monkeypatch.setattr("sys.stdin", io.StringIO(SIX.text(six_list[1].inputs[0])))
    assert "halting probability" in cli_run("solve", "-")[1]

def test_answers_are_written_whole_or_as_far_as_ctrl_c_let_them(six_list, tmp_path, cli_run, monkeypatch):
    file = six_list[0]
    for out, what in (("a.txt", "choose a name that ends in .csv or .jsonl"),):
        code, _, err = cli_run("solve", file, "--out", tmp_path/out)
        assert code == 2 and what in err and not (tmp_path/out).exists()
    listed = write(tmp_path/"same.csv", file.read_text())
    code, _, err = cli_run("solve", listed, "--out", listed)
    assert code == 2 and "would replace the puzzles" in err and listed.read_text() == file.read_text()
    bad = write(tmp_path/"bad.txt", file.read_text() + "12\n")
    code, _, err = cli_run("solve", bad, "--out", tmp_path/"b.csv")
    assert (code == 2 and "bad.txt, puzzle 15 (line 16): a 6×6 Sudoku has 36 cells, but 2 were given" in err
        and not (tmp_path/"b.csv").exists())
    assert cli_run("solve", bad, "--out", tmp_path/"b.csv", "--skip-bad")[0] == 0
    import trm_lab.solving.evaluate
    real, calls = trm_lab.solving.evaluate.solve, []
    def interrupted(*arguments, **named):
        calls.append(1)
        if len(calls) > 1: raise KeyboardInterrupt
        return real(*arguments, **named)
    monkeypatch.setattr(trm_lab.solving.evaluate, "solve", interrupted)
    many = trm_lab.solving.evaluate.solve_many
    given = [p for p in inspect.signature(many).parameters.values() if p.default is not p.empty]
    monkeypatch.setattr(many, "__defaults__",
        tuple(5 if p.name == "rows" else p.default for p in given)) # five at a time
    code, out, _ = cli_run("solve", file, "--out", tmp_path/"c.csv")
    assert code == 130 and f"stopped    after 5 of 14 puzzles; {tmp_path/'c.csv'} has their answers" in out
    assert (len((tmp_path/"c.csv").read_text().splitlines()) == 6
        and not [p for p in tmp_path.iterdir() if p.name.startswith(".")])

def test_a_dataset_folder_is_answered(tmp_path, cli_run):
    write_dataset(generate_dataset(FOUR, 2, 5), tmp_path/"set")
    code, out, err = cli_run("solve", tmp_path/"set", "--out", tmp_path/"a.csv")
    assert code == 0 and "puzzles    5, " in out, err
    write_dataset(generate_dataset(LightsOut(3, 3), 2, 2), tmp_path/"lights")
    assert "no model that ships was trained on lights_out-3x3" in cli_run("solve", tmp_path/"lights")[2]

# ---- none, several -----------------------------------------------------------------------------------------

@pytest.mark.parametrize("text, what", [
    (NONE, "this board has no solution: it breaks no rule so far, but it cannot be completed"),
    ("11" + "."*14, "this board has no solution: the digit 1 stands twice in row 1 (column 1 and column 2)")])
def test_a_board_without_a_solution_is_not_tried(text, what, cli_run, monkeypatch):
    monkeypatch.setattr("trm_lab.solving.evaluate.solve_by_search",
        lambda *_, **__: pytest.fail("it was tried"))
    code, out, err = cli_run("solve", text, "--until", "legal", "--restarts", "64")
    assert code == 2 and what in err and out == ""

def test_a_board_with_several_solutions_says_so(cli_run):
    code, out, _ = cli_run("solve", "1" + "."*15)
    assert code == 0 and "solutions: several; two of them differ in " in out
    assert "several" not in cli_run("solve", FOUR.print(next(FOUR.generate(np.random.default_rng(0)))[0]))[1]

def test_a_search_gives_up_at_once_what_has_no_solution():
    loaded = load_pretrained("sudoku-6x6")
    fine = generate_dataset(SIX, 1, 1, seed=5).test.inputs[0]
    questions = np.stack([fine, SIX.parse("12345......6" + "."*24), SIX.parse("11" + "."*34)])
    found = solve_by_search(loaded.model, SIX, make_batch(questions, questions),
        Search(16, stop_when="solved"), 4)
    assert (found.tries[1:].tolist() == [1, 1] and not found.solved[1:].any()
        and found.steps[1:].tolist() == [4, 4])
    class Silent(Sudoku):
        "Its solver says nothing."
        def solutions(self, question, limit=2): return None
    again = solve_by_search(loaded.model, Silent(2, 3), make_batch(questions, questions),
        Search(4, stop_when="solved"), 4)
    assert again.tries[1:].tolist() == [5, 5] and torch.equal(again.tokens[0], found.tokens[0])
