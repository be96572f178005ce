"""Rush Hour: rules, solver and labels against a search that is written again here, cell by cell; games that
never leave the rules; boards of the stated distribution."""
import json
from collections import deque
import numpy as np, pytest
from hypothesis import given, settings, strategies as st
from trm_lab.core.errors import InputError
from trm_lab.data.check import DatasetCheck
from trm_lab.data.datasets import write_dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.puzzles.base import find_puzzle, puzzle_from
from trm_lab.puzzles.lights_out import LightsOut
from trm_lab.models.checkpoints import save_model
from trm_lab.models.variants import build_model
from trm_lab.puzzles.rush_hour import EMPTY, MOVES, WALL, RushHour
from trm_lab.runs.cards import _games
from trm_lab.solving.rollouts import ENDS, play
from test_cli import trm_lab

six, five = RushHour(6, 6), RushHour(5, 5)
seeds = st.integers(0, 2**32)

# ---- the game once more, on text, one cell at a time -------------------------------------------------------

def cells_of(text):
    found = {}
    for cell, letter in enumerate(text):
        if letter.isupper(): found.setdefault(letter, []).append(cell)
    return found

def moves_of(text, cols):
    "Every legal move of a board of letters: the car, its signed squares, the board after it."
    rows = len(text)//cols
    for letter, cells in cells_of(text).items():
        step = cells[1] - cells[0]
        for way in (-1, 1):
            board, at = text, cells
            for squares in range(1, max(rows, cols)):
                at = [cell + way*step for cell in at]
                front = at[0] if way < 0 else at[-1]
                same_line = step != 1 or front//cols == cells[0]//cols
                if not (0 <= front < len(text) and same_line and board[front] == "o"): break
                board = "".join(letter if i in at else "o" if c == letter else c for i, c in enumerate(board))
                yield letter, way*squares, board

def distance(text, cols, known):
    "Fewest moves to the exit; None: no way leads there."
    if text in known: return known[text]
    reached, todo = {text: 0}, deque([text])
    while todo:
        board = todo.popleft()
        if board.rindex("A") % cols == cols - 1:
            known[text] = reached[board]
            return reached[board]
        for _, _, after in moves_of(board, cols):
            if after not in reached: reached[after] = reached[board] + 1; todo.append(after)
    known[text] = None

def random_board(seed, puzzle, most=7):
    "Cars thrown on a board in no particular way, as letters."
    rng, size = np.random.default_rng(seed), (puzzle.rows, puzzle.cols)
    board, letters = np.full(size, "o"), iter("ABCDEFGHIJ")
    row, col = rng.integers(puzzle.rows), rng.integers(puzzle.cols - 1)
    board[row, col:col + 2] = next(letters)
    for _ in range(rng.integers(1, most)):
        lines = board.T if rng.random() < 0.6 else board
        length = rng.integers(2, 4)
        line, at = rng.integers(len(lines)), rng.integers(lines.shape[1] - length + 1)
        if (lines[line, at:at + length] == "o").all(): lines[line, at:at + length] = next(letters)
    free = np.flatnonzero(board == "o")
    if len(free) and rng.random() < 0.5: board.flat[rng.choice(free)] = "x"
    return "".join(board.ravel())

def mark(puzzle, text, letter, squares):
    "The answer that moves one car."
    question, cells = puzzle.parse(text), cells_of(text)[letter]
    direction = 2*(cells[1] - cells[0] != 1) + (squares > 0)
    question[cells] = puzzle.move_token(direction, abs(squares))
    return question

@pytest.mark.parametrize("seed", range(60))
def test_rules_and_labels_against_a_search_of_single_cells(seed):
    "Every mark of a car: valid where the car can move so, right where the board after it is one move nearer."
    text, known = random_board(seed, five), {}
    question, fewest = five.parse(text), distance(text, 5, known)
    assert five.fewest_moves([question]).tolist() == [-1 if fewest is None else fewest]
    assert five.arrived(question) == (fewest == 0)
    after, marks, best = {(car, by): board for car, by, board in moves_of(text, 5)}, {}, {}
    for letter in cells_of(text):
        for squares in {*range(-3, 4)} - {0}:
            answer = mark(five, text, letter, squares)
            scores, legal = five.scores(question, answer), (letter, squares) in after
            nearer = legal and bool(fewest) and distance(after[letter, squares], 5, known) == fewest - 1
            assert (scores["valid"], scores["optimal"], scores["solved"]) == (legal, nearer, nearer)
            assert five.check(question, answer).solved == nearer
            advanced = five.advance(question, answer)
            if legal: assert (advanced == five.parse(after[letter, squares])).all()
            else: assert advanced is None
            if nearer: best[letter] = min(best.get(letter, 9), abs(squares))
    label = five.label(question[None])[0]
    for letter, cells in cells_of(text).items():
        if label[cells[0]] >= MOVES: marks[letter] = five.move_of(label[cells[0]])[1]
    assert marks == best and len(five.solutions(question)) == bool(best)
    assert five.label_problem(question, label) is None and len(five.moves(question)) == len(after)
    if best: assert five.check(question, label).solved

BOARDS = [ # in the usual notation; sliding over several squares is one move
    ("oooooo oooooo AAoooo oooooo oooooo oooooo", 1),
    ("oooooo ooBooo AABooo oooooo oooooo oooooo", 2),
    ("ooBooo ooBooo AABooo oooooo oooooo oooooo", 2),
    ("ooBxoo ooBooo AABooo oooooo oooooo ooCCoo", 3),
    ("ooBoCo ooBoCo AABoCo oooooo oooooo ooDDoo", 4),
    ("ooBoCo ooBoCo AABoCo oooooo oooooo ooDDDo", -1),
    ("oxBooo ooBooo AABooo ooxooo oooooo oooooo", -1)]

@pytest.mark.parametrize("text, fewest", BOARDS)
def test_boards_in_the_usual_notation(text, fewest):
    board = six.parse(text)
    assert six.fewest_moves([board])[0] == fewest == (distance(text.replace(" ", ""), 6, {}) or -1)
    assert six.print(board) == text.replace(" ", "") and (six.parse(six.text(board)) == board).all()

# ---- generated boards --------------------------------------------------------------------------------------

def generated(puzzle, seed, count, difficulty=None):
    stream = puzzle.generate(np.random.default_rng(seed), difficulty)
    return (np.stack(boards) for boards in zip(*(next(stream) for _ in range(count))))

def test_groups_give_one_board_of_each_length():
    questions, labels = generated(six, 3, 60, "moves6")
    lengths = six.fewest_moves(questions)
    starts = np.flatnonzero(lengths == 1)
    for start, end in zip(starts, starts[1:]):
        assert lengths[start:end].tolist() == list(range(1, end - start + 1)) and end - start >= 6
    cars = np.isin(questions, (3, 5, 7, 10, 12)).sum(1)
    assert cars.min() >= 4 and cars.max() <= 13 and (questions == WALL).sum(1).max() <= 2
    assert (questions[:, 12:18] == 3).any(1).all() # the red car stands in the third row
    assert six.solved(questions, labels).all()

@given(seeds)
@settings(deadline=None, max_examples=15)
def test_upside_down_a_board_keeps_its_plans(seed):
    questions, labels = generated(six, seed, 6)
    images, answers = six.symmetries(np.random.default_rng(seed), 6)(questions, labels)
    for question, label, image, answer in zip(questions, labels, images, answers):
        assert six.fewest_moves([image])[0] == six.fewest_moves([question])[0]
        assert six.check(image, answer).solved and six.label_problem(image, answer) is None
        assert six.canonical(image, answer) == six.canonical(question, label)
        for board in (image, answer): assert (six.parse(six.print(board)) == board).all()
    assert len({six.canonical(*pair) for pair in zip(questions, labels)}) == 6
    turned = six.symmetries(np.random.default_rng(seed), 6)
    assert (turned.invert(turned.apply(questions)) == questions).all()

def test_other_right_answers():
    "Any optimal move alone is right, each is drawn, and the nearest answer marks what a model prefers."
    questions, _ = generated(six, 8, 12)
    rng, question = np.random.default_rng(0), max(questions, key=lambda q: len(six._optimal(q)))
    many = np.repeat(question[None], 60, 0)
    drawn = np.unique(six.label(many, rng), axis=0)
    assert six.solved(many[:len(drawn)], drawn).all()
    assert len(drawn) == sum(len(some) for _, some in six._optimal(question)) > 1
    for wanted in drawn: # a model that is sure of one of them
        log_probabilities = np.where(np.arange(six.vocab_size) == wanted[:, None], 0., -9.)
        assert (six.nearest_label(question[None], log_probabilities[None])[0] == wanted).all()

def test_a_dataset_of_boards(tmp_path):
    dataset = generate_dataset(six, 40, 12, difficulty="moves5", processes=1)
    write_dataset(dataset, tmp_path/"set")
    assert list(DatasetCheck(tmp_path/"set")) == [] and dataset.metadata.unseen

# ---- games -------------------------------------------------------------------------------------------------

@given(seeds, st.floats(0, 0.2))
@settings(deadline=None, max_examples=40)
def test_games_never_leave_the_rules(seed, noise):
    "Whatever is answered: each next board is one legal move away, and anything else ends the game."
    rng, (questions, _) = np.random.default_rng(seed), generated(five, seed, 4, "moves2")
    def answers(boards):
        found = np.stack([five.moves(board)[rng.integers(len(five.moves(board)))] for board in boards])
        broken = rng.random(found.shape) < noise/10
        return np.where(broken, rng.integers(five.vocab_size, size=found.shape), found).astype(np.uint8)
    games = play(five, questions, answers, most_moves=12)
    for end, moves, boards, refused in zip(games.ends, games.moves, games.boards, games.answer):
        texts, first = [five.print(board) for board in boards], five.print(boards[0])
        for before, after in zip(boards, boards[1:]):
            legal = {five.parse(board).tobytes() for _, _, board in moves_of(five.print(before), 5)}
            assert after.tobytes() in legal
        assert len(boards) == moves + 1 and (refused is not None) == (end == "illegal") and first == texts[0]
        if end == "illegal": assert not five.scores(boards[-1], refused)["valid"]
        assert five.arrived(boards[-1]) == (end == "solved")
        assert (len({board.tobytes() for board in boards}) == len(boards)) == (end != "circle")
        if end == "limit": assert moves == 12

def test_how_games_are_counted():
    questions, _ = generated(six, 5, 14)
    best, silent = play(six, questions, six.label), play(six, questions, lambda boards: boards)
    assert (best.moves == best.fewest).all() and best.scores()["optimal"] == best.scores()["solved"] == 1
    assert best.scores()["moves_over_fewest"] == 0 and silent.scores()["illegal"] == 1
    assert silent.scores()["moves_over_fewest"] is None and (silent.moves == 0).all()
    groups = best.by_length((1, 3, 5))
    assert sum(group["n"] for group in groups) == 14 and groups[0]["to"] < groups[1]["from"]
    short = play(six, questions, six.label, most_moves=1)
    assert (short.ends[best.fewest > 1] == "limit").all() and set(short.ends) <= set(ENDS)

def test_eval_and_cards_say_how_games_end(tmp_path, monkeypatch, capsys):
    dataset = generate_dataset(five, 2, 6)
    write_dataset(dataset, tmp_path/"set")
    model = build_model("trm", {"seq_len": 25, "vocab_size": five.vocab_size, "hidden_size": 16,
        "num_heads": 1, "swiglu_multiple": 16, "puzzle_emb_ndim": 0, "H_cycles": 1, "L_cycles": 1})
    save_model(tmp_path/"m.safetensors", model.eval(), five, {})
    asked = ("eval", tmp_path/"m.safetensors", "--data", tmp_path/"set", "--steps", 2)
    _, out, _ = trm_lab(*asked, monkeypatch=monkeypatch, capsys=capsys)
    assert "played to the end" in out and "  fewest 5 to 7" in out and "illegal 1" in out
    _, out, _ = trm_lab(*asked, "--json", monkeypatch=monkeypatch, capsys=capsys)
    found = json.loads(out)["rollouts"]
    assert found["n"] == 6 and found["illegal"] == 1 and sum(g["n"] for g in found["by_length"]) == 6
    page = _games([{"name": "moves5", "rollouts": found}, {"name": "of a type without moves"}])
    assert "| all | 6 | 0.0% (0.0%–39.0%) | 0.0% | – | 100.0% | 0.0% | 0.0% | 0.0% |" in page
    assert _games([{"name": "of a type without moves"}]) == ""

def test_what_cannot_be_played():
    stuck, there = six.parse(BOARDS[-2][0]), six.parse("oooooo"*2 + "ooooAA" + "oooooo"*3)
    for board, why in ((stuck, "no moves lead to the aim"), (there, "the aim is reached already")):
        with pytest.raises(InputError, match=f"puzzle 1 cannot be played: {why}"):
            play(six, [board], six.label)
        assert not six.check(board, six.moves(board)[0]).solved and six.solutions(board) == []
    with pytest.raises(InputError, match="an answer to lights_out-3x3 is no move"):
        play(LightsOut(3, 3), np.ones((1, 9)), lambda boards: boards)

# ---- answers and input that are wrong ----------------------------------------------------------------------

QUESTION = "ooBooo ooBooo AABooo oooooo oooooo ooCCoo"

@pytest.mark.parametrize("answer, verdict", [
    ("ooBooo ooBooo AABooo oooooo oooooo ooCCoo", "legal so far, not complete"),
    ("oosooo oosooo AAsooo oooooo oooooo ooCCoo",
        "the car in row 1, column 3 cannot move down by 3"),
    ("ooqooo ooBooo AABooo oooooo oooooo ooCCoo",
        "the car in row 1, column 3 is not marked alike on all of its cells"),
    ("ooaooo ooaooo AAaooo oooooo oooooo ooCCoo",
        "the car in row 1, column 3 cannot move left by 1"),
    ("ooqooo ooqooo AAqooo oooooo oooooo ooCCoo",
        "the car in row 1, column 3 begins a plan of 4 moves; the fewest are 3"),
    ("ooBooo ooBooo AABooo oooooo oooooo oobboo", "solved")])
def test_the_rules_on_answers(answer, verdict):
    question = six.parse(QUESTION)
    tokens = question.copy()
    for cell, letter in enumerate(answer.replace(" ", "")):
        if letter.islower() and letter not in "ox": tokens[cell] = six.parse("o"*35 + letter)[35]
    assert str(six.check(question, tokens)) == verdict

def test_other_cells_have_to_stay():
    question = six.parse(QUESTION)
    label = six.label(question[None])[0]
    label[0] = WALL
    assert str(six.check(question, label)) == "row 1, column 1 was changed, where no car is marked"
    assert six.advance(question, label) is None
    label[1] = MOVES
    assert "and 1 other cells were changed" in str(six.check(question, label))

@pytest.mark.parametrize("act, what", [
    (lambda: six.parse("o"*35), "has 36 cells, but 35 were given"),
    (lambda: six.parse("A?" + "o"*34), "'\\?' in row 1, column 2 is not understood"),
    (lambda: six.parse("BoB" + "o"*33), "cells of B, from row 1, column 1 on, are no car; a car has"),
    (lambda: six.parse("AAA" + "o"*33), "the red car has two in a row"),
    (lambda: six.parse("oooooB" + "Booooo" + "o"*24), "are no car"),
    (lambda: six.check(np.full(36, EMPTY), np.full(36, EMPTY)), "has one red car, this one none"),
    (lambda: six.check([4] + [EMPTY]*35, [EMPTY]*36), "column 1 holds a part of a car without the others"),
    (lambda: six.check([3] + [EMPTY]*35, [EMPTY]*36), "the car in row 1, column 1 lacks a part"),
    (lambda: find_puzzle("rush_hour-3x6"), "choose sides of 4 to 7 cells"),
    (lambda: find_puzzle("rush_hour-6"), "write it like 6x6"),
    (lambda: six.generate(None, "moves0").__next__(), "difficulty 'moves0' is not known")])
def test_bad_input_is_refused(act, what):
    with pytest.raises(InputError, match=what): act()

def test_names_and_sizes():
    for name in ("rush_hour-6x6", "rush_hour-4x7"):
        assert find_puzzle(name).name == name and puzzle_from(find_puzzle(name).spec()) == find_puzzle(name)
    assert six.vocab_size == MOVES + 16 and len(six.parse("AA" + "o"*34)) == 36
