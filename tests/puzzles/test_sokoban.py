"""Sokoban: rules, labels and deadlocks against a search that is written again here, one step of the player at
a time; games that never leave the rules; boards of the stated distribution."""
import json
from collections import Counter, deque
from itertools import combinations, product
import numpy as np, pytest
from hypothesis import given, settings, strategies as st
from trm_lab.core.errors import InputError
from trm_lab.data.check import DatasetCheck
from trm_lab.data.datasets import write_dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.models.checkpoints import save_model
from trm_lab.models.variants import build_model
from trm_lab.puzzles.base import dihedral, find_puzzle, puzzle_from, smallest_image
from trm_lab.puzzles.sokoban import (
    BOX, BOX_ON_GOAL, DEADLOCKS, FLOOR, GOAL, MARKED, PLAYER, PLAYER_ON_GOAL, WALL, Sokoban,
    _Room, _deadlock, _search)
from trm_lab.puzzles.text import examples, read_board
from trm_lab.runs.cards import _games
from trm_lab.solving.rollouts import play
from test_cli import trm_lab

seven, six, five = Sokoban(7, 7), Sokoban(6, 6), Sokoban(5, 5)
seeds = st.integers(0, 2**32)

# ---- the game once more, on text, one step of the player at a time -----------------------------------------

STEPS = {"left": (0, -1), "right": (0, 1), "up": (-1, 0), "down": (1, 0)}

class Game:
    "A room as text; a position is the player's cell and the boxes' cells, each as (row, column)."
    def __init__(self, text, cols):
        lines = [text[i:i + cols] for i in range(0, len(text), cols)]
        cells = {(r, c): sign for r, line in enumerate(lines) for c, sign in enumerate(line)}
        self.floor = {at for at, sign in cells.items() if sign != "#"}
        self.goals = {at for at, sign in cells.items() if sign in ".+*"}
        self.start = (next(at for at, sign in cells.items() if sign in "@+"),
            frozenset(at for at, sign in cells.items() if sign in "$*"))

    def steps(self, position):
        "What one step leads to: the direction, the position after it, and the box that it pushed, or None."
        player, boxes = position
        for name, (down, right) in STEPS.items():
            to, beyond = ((player[0] + n*down, player[1] + n*right) for n in (1, 2))
            if to not in self.floor: continue
            if to not in boxes: yield name, (to, boxes), None
            elif beyond in self.floor - boxes: yield name, (to, boxes - {to} | {beyond}), to

    def walked(self, position):
        "All positions that need no push."
        found = [position]
        for each in found:
            found += [after for _, after, box in self.steps(each) if box is None and after not in found]
        return found

    def pushes(self, position):
        "Every push after any walk, by box and direction: the position after it."
        return {(box, name): after for each in self.walked(position)
            for name, after, box in self.steps(each) if box is not None}

    def distance(self, position):
        "The fewest pushes to the aim; None: there is no way. A walk costs nothing."
        reached, todo = {position: 0}, deque([position])
        while todo:
            now = todo.popleft()
            if now[1] == self.goals: return reached[now]
            for _, after, box in self.steps(now):
                cost = reached[now] + (box is not None)
                if cost >= reached.get(after, 10**9): continue
                reached[after] = cost
                if box is None: todo.appendleft(after)
                else: todo.append(after)

    def text(self, position, rows, cols):
        player, boxes = position
        def sign(at):
            if at not in self.floor: return "#"
            return ("-@$" if at not in self.goals else ".+*")[1*(at == player) + 2*(at in boxes)]
        return "".join(sign((r, c)) for r in range(rows) for c in range(cols))

def random_board(seed, puzzle):
    "Walls, goals, boxes and a player thrown into a room in no particular way."
    rng = np.random.default_rng(seed)
    board = np.full((puzzle.rows, puzzle.cols), WALL)
    inside = board[1:-1, 1:-1]
    inside[:] = np.where(rng.random(inside.shape) < rng.choice([0, 0.1, 0.25]), WALL, FLOOR)
    free = np.flatnonzero(board == FLOOR)
    count = min(rng.integers(1, 4), (len(free) - 1)//2)
    board.flat[rng.choice(free, count, replace=False)] = GOAL
    boxes_and_player = rng.choice(free, count + 1, replace=False)
    tokens = [(PLAYER, PLAYER_ON_GOAL)] + [(BOX, BOX_ON_GOAL)]*count
    for cell, (plain, on_goal) in zip(boxes_and_player, tokens):
        board.flat[cell] = on_goal if board.flat[cell] == GOAL else plain
    return puzzle.print(board.ravel())

@pytest.mark.parametrize("seed", range(60))
def test_rules_and_labels_against_a_search_of_single_steps(seed):
    "Every mark of every box: which of its pushes can be made, leave a way, and are one push nearer."
    puzzle = Sokoban(5, 6) if seed % 2 else six
    text = random_board(seed, puzzle)
    game, question = Game(text, puzzle.cols), puzzle.parse(text)
    fewest, after = game.distance(game.start), game.pushes(game.start)
    left = {push: game.distance(position) for push, position in after.items()}
    assert puzzle.fewest_moves([question]).tolist() == [-1 if fewest is None else fewest]
    assert puzzle.arrived(question) == (fewest == 0) and len(puzzle.moves(question)) == len(after)
    label = question.copy()
    for box in game.start[1]:
        cell = box[0]*puzzle.cols + box[1]
        for ways in range(1, 16):
            pushes = [(box, name) for bit, name in enumerate(STEPS) if ways >> bit & 1]
            answer = question.copy()
            answer[cell] = MARKED + ways
            valid = all(push in after for push in pushes)
            safe = valid and all(left[push] is not None for push in pushes)
            optimal = safe and bool(fewest) and all(left[push] == fewest - 1 for push in pushes)
            scores = puzzle.scores(question, answer)
            assert scores == {"solved": optimal, "optimal": optimal, "safe": safe, "valid": valid}
            assert puzzle.check(question, answer).solved == optimal
            advanced = puzzle.advance(question, answer)
            if not valid: assert advanced is None
            else: assert puzzle.print(advanced) == game.text(after[pushes[0]], puzzle.rows, puzzle.cols)
            if optimal: label[cell] = max(label[cell], MARKED + ways) # the largest set is that of all
    assert (puzzle.label(question[None])[0] == label).all()
    assert puzzle.label_problem(question, label) is None and len(puzzle.solutions(question)) == bool(fewest)
    if fewest: assert puzzle.check(question, label).solved and puzzle.label_problem(question, question)

def test_every_position_of_a_room():
    "Two boxes in a small room, wherever they and the player stand."
    game = Game("######" "#----#" "#.-#-#" "#.---#" "#@-$$#" "######", 6)
    cells = sorted(game.floor)
    positions = [(player, frozenset(boxes)) for boxes in combinations(cells, 2)
        for player in cells if player not in boxes]
    moves = {position: [(after, box is not None) for _, after, box in game.steps(position)]
        for position in positions}
    far = {position: 0 if position[1] == game.goals else np.inf for position in positions}
    for _ in range(100): # until no step makes any distance smaller
        nearer = {position: min([far[position], *(far[after] + push for after, push in moves[position])])
            for position in positions}
        if nearer == far: break
        far = nearer
    boards = [six.parse(game.text(position, 6, 6)) for position in positions]
    expected = [-1 if np.isinf(far[position]) else far[position] for position in positions]
    assert six.fewest_moves(boards).tolist() == expected and max(expected) == 6 and expected.count(-1) > 200
    for board, fewest in zip(boards, expected): assert (six.deadlock(board) is None) == (fewest >= 0)

# ---- deadlocks ---------------------------------------------------------------------------------------------

def test_what_the_rules_call_a_deadlock_is_one():
    "In thirty rooms, wherever three boxes stand: what is named cannot be solved, and most of that is named."
    rng, counts = np.random.default_rng(1), Counter()
    for room in filter(None, (six._room(rng, 3) for _ in range(30))):
        solvable = {boxes for boxes, _ in _search(room).pushes}
        cells = [1 << cell for cell in range(16) if room.floor >> cell & 1]
        for boxes in map(sum, combinations(cells, 3)):
            kind = _deadlock(room, boxes)
            assert not kind or boxes not in solvable
            if boxes not in solvable: counts[kind] += 1
    assert set(counts) == {None, "corner", "wall", "frozen"} and counts.total() > 3000
    assert counts[None] < 0.2*counts.total() and counts["frozen"] > 50

@pytest.mark.parametrize("text, kind", [
    ("####### #$----# #-----# #--@--# #-----# #----.# #######", "corner"),
    ("####### #*----# #-----# #--@--# #--$--# #----.# #######", None), # the one in the corner is home
    ("####### #--$--# #-----# #--@--# #--.--# #-----# #######", "wall"),
    ("####### #--$-.# #-----# #--@--# #-----# #-----# #######", None), # a goal along the wall
    ("####### #-$$-.# #-----# #--@--# #--.--# #-----# #######", "wall"), # two boxes, one goal there
    ("####### #--$--# #-#---# #--@--# #--.--# ##-#-## #######", "wall"),
    ("####### #-----# #-$$--# #-$$@-# #-....# #-----# #######", "frozen"),
    ("####### #-----# #-**--# #-**@-# #---$-# #----.# #######", None), # all four are home
    ("####### #-.---# #-$$-## #--#@-# #---.-# #-----# #######", None),
    ("####### #--#--# #--$$-# #---#-# #@-.-.# #-----# #######", "frozen"), # a wall above one, below the other
])
def test_deadlocks_by_name(text, kind):
    board = "".join(text.split())
    puzzle = Sokoban(len(board)//7, 7)
    room, boxes, _ = puzzle._position(puzzle.parse(board))
    assert _deadlock(room, boxes) == kind
    assert kind is None or puzzle.deadlock(puzzle.parse(board)) == kind

def test_dead_cells_are_those_from_which_one_box_is_lost():
    game = Game("######" "#-.--#" "#----#" "#-#$-#" "#@---#" "######", 6)
    question = six.parse(game.text(game.start, 6, 6))
    facts = six.cell_facts(question[None], six.label(question[None]))
    cells, expected = sorted(game.floor), np.zeros(36, bool)
    for box in cells:
        ways = (game.distance((player, frozenset([box]))) for player in cells if player != box)
        expected[box[0]*6 + box[1]] = all(way is None for way in ways)
    assert (facts["dead for a box"][0] == expected).all() and expected.sum() > 3
    assert facts["where the player can go"].sum() == len(game.walked(game.start))
    assert facts["of a box that can begin an optimal plan"].sum() == 1

# ---- generated boards --------------------------------------------------------------------------------------

def generated(puzzle, seed, count, difficulty=None):
    stream = puzzle.generate(np.random.default_rng(seed), difficulty)
    return (np.stack(boards) for boards in zip(*(next(stream) for _ in range(count))))

def test_rooms_give_one_board_of_each_length():
    questions, labels = generated(seven, 3, 120)
    lengths = seven.fewest_moves(questions)
    starts = np.flatnonzero(lengths == 1)
    for start, end in zip(starts, starts[1:]):
        assert lengths[start:end].tolist() == list(range(1, end - start + 1)) and end - start >= 5
        rooms = {seven._position(question).room for question in questions[start:end]}
        assert len(rooms) == 1 and len(rooms.pop().regions(0)) == 1 # connected
    assert {*np.isin(questions, (BOX, BOX_ON_GOAL)).sum(1)} == {1, 2, 3}
    assert seven.solved(questions, labels).all() and len(starts) > 8

@pytest.mark.parametrize("boxes", (1, 2, 3))
def test_difficulties_by_boxes(boxes):
    questions, _ = generated(Sokoban(8, 9), 1, 40, f"boxes{boxes}")
    assert (np.isin(questions, (BOX, BOX_ON_GOAL)).sum(1) == boxes).all()

@given(seeds, st.sampled_from([seven, Sokoban(6, 8)]))
@settings(deadline=None, max_examples=15)
def test_turned_and_mirrored_a_board_keeps_its_plans(seed, puzzle):
    questions, labels = generated(puzzle, seed, 8)
    drawn = puzzle.symmetries(np.random.default_rng(seed), 8)
    images, answers = drawn(questions, labels)
    assert (puzzle.label(images) == answers).all()
    assert (puzzle.fewest_moves(images) == puzzle.fewest_moves(questions)).all()
    for question, label, image, answer in zip(questions, labels, images, answers):
        assert puzzle.canonical(image, answer) == puzzle.canonical(question, label)
        for board in (image, answer): assert (puzzle.parse(puzzle.print(board)) == board).all()
    assert (drawn.invert(drawn.apply(labels)) == labels).all()

def test_all_images_of_an_asymmetric_board_differ_and_share_one_form():
    question = seven.parse("####### #---### #-$---# #-#.--# #-@#--# #-----# #######")
    same = Sokoban(7, 7).symmetries(np.random.default_rng(0), 200).apply(np.repeat(question[None], 200, 0))
    images = np.unique(same, axis=0)
    assert len(images) == 8 and len({seven.canonical(image, image) for image in images}) == 1

def test_how_many_boards_there_are():
    "All boards of 5×5 cells with a connected room: with fewer than are asked for, copies have to do."
    turns, forms = dihedral(3, 3), set()
    for floor in {smallest_image(np.array(floor), turns) for floor in product((0, 1), repeat=9)}:
        cells = [1 << cell for cell in range(9) if floor[cell]]
        if len(_Room(3, sum(cells), 0).regions(0)) != 1: continue
        for goals in (sum(some) for count in (1, 2, 3) for some in combinations(cells, count)):
            room = _Room(3, sum(cells), goals)
            for boxes, reached in (position for level in _search(room).levels[1:] for position in level):
                forms.add(five.canonical(five._board_of(room, boxes, five._cells(reached)[0]), None))
    assert five.classes() == len(forms) and seven.classes() is None
    dataset = generate_dataset(five, 40, 10, difficulty="pushes1", processes=1)
    assert dataset.metadata.unseen
    assert generate_dataset(five, 400, 10, difficulty="pushes1", processes=1).metadata.unseen is None

def test_where_the_player_stands_does_not_matter_to_what_a_puzzle_is():
    "As long as no box is in between."
    texts = ("####### #@-$--# ###-### #--.--# #-----# #-----# #######",
        "####### #-@$--# ###-### #--.--# #-----# #-----# #######",
        "####### #--$--# ###-### #--+--# #-----# #-----# #######")
    left, also_left, below = (seven.canonical(seven.parse(text), None) for text in texts)
    assert left == also_left != below

def test_a_dataset_of_boards(tmp_path):
    "No test board is an image of a training board, wherever the player stands."
    dataset = generate_dataset(seven, 60, 30, difficulty="pushes5+boxes2", processes=1)
    write_dataset(dataset, tmp_path/"set")
    assert list(DatasetCheck(tmp_path/"set")) == [] and dataset.metadata.unseen
    train, test = ({seven.canonical(*pair) for pair in zip(split.inputs, split.labels)}
        for split in (dataset.train, dataset.test))
    assert len(train) == 60 and len(test) == 30 and not train & test

def test_other_right_answers():
    "Any optimal push alone is right, each is drawn, and the nearest answer marks what a model prefers."
    questions, labels = generated(seven, 8, 60)
    ways = [sum(int(mark - MARKED).bit_count() for mark in label[label > MARKED]) for label in labels]
    rng, number = np.random.default_rng(0), int(np.argmax(ways))
    many = np.repeat(questions[number][None], 90, 0)
    drawn = np.unique(seven.label(many, rng), axis=0)
    assert seven.solved(many[:len(drawn)], drawn).all() and len(drawn) == ways[number] > 2
    for wanted in [*drawn, labels[number]]: # a model that is sure of one of them
        log_probabilities = np.where(np.arange(seven.vocab_size) == wanted[:, None], 0., -9.)
        assert (seven.nearest_label(many[:1], log_probabilities[None])[0] == wanted).all()

# ---- games -------------------------------------------------------------------------------------------------

@given(seeds, st.floats(0, 0.2))
@settings(deadline=None, max_examples=40)
def test_games_never_leave_the_rules(seed, noise):
    "Whatever is answered: each next board is one push away, and anything else ends the game."
    rng, (questions, _) = np.random.default_rng(seed), generated(six, seed, 4, "pushes2")
    def answers(boards):
        found = np.stack([six.moves(board)[rng.integers(len(six.moves(board)))] for board in boards])
        broken = rng.random(found.shape) < noise/10
        return np.where(broken, rng.integers(six.vocab_size, size=found.shape), found).astype(np.uint8)
    games = play(six, questions, answers, most_moves=12)
    for end, moves, boards, refused, kind in zip(
            games.ends, games.moves, games.boards, games.answer, games.deadlocks):
        for before, after in zip(boards, boards[1:]):
            game = Game(six.print(before), 6)
            legal = {game.text(position, 6, 6) for position in game.pushes(game.start).values()}
            assert six.print(after) in legal
        assert len(boards) == moves + 1 and (refused is not None) == (end == "illegal")
        if end == "illegal": assert not six.scores(boards[-1], refused)["valid"]
        last = Game(six.print(boards[-1]), 6)
        assert (last.distance(last.start) is None) == (end == "deadlock") == (kind in DEADLOCKS)
        assert six.arrived(boards[-1]) == (end == "solved")
        assert (len({board.tobytes() for board in boards}) == len(boards)) == (end != "circle")
        if end == "limit": assert moves == 12

def test_how_games_are_counted():
    questions, _ = generated(seven, 5, 24)
    best, silent = play(seven, questions, seven.label), play(seven, questions, lambda boards: boards)
    assert (best.moves == best.fewest).all() and best.scores()["optimal"] == best.scores()["solved"] == 1
    assert silent.scores()["illegal"] == 1 and silent.scores()["deadlocks"] == {}
    def worst(boards): # any push that leads to a deadlock, where there is one
        return np.stack([max(seven.moves(board), key=lambda move: loses(board, move)) for board in boards])
    def loses(board, move): return bool(seven.deadlock(seven.advance(board, move)))
    lost = play(seven, questions, worst)
    shares = lost.scores()
    assert shares["deadlock"] > 0.8 and sum(shares["deadlocks"].values()) == pytest.approx(shares["deadlock"])
    assert set(shares["deadlocks"]) <= set(DEADLOCKS) and (lost.moves[lost.ends == "deadlock"] > 0).all()

def test_eval_and_cards_say_how_games_end(tmp_path, monkeypatch, capsys):
    dataset = generate_dataset(six, 2, 6)
    write_dataset(dataset, tmp_path/"set")
    model = build_model("trm", {"seq_len": 36, "vocab_size": six.vocab_size, "hidden_size": 16,
        "num_heads": 1, "swiglu_multiple": 16, "puzzle_emb_ndim": 0, "H_cycles": 1, "L_cycles": 1})
    save_model(tmp_path/"m.safetensors", model.eval(), six, {})
    asked = ("eval", tmp_path/"m.safetensors", "--data", tmp_path/"set", "--steps", 2)
    _, out, _ = trm_lab(*asked, monkeypatch=monkeypatch, capsys=capsys)
    assert "played to the end" in out and "illegal 1, deadlock 0, circle 0, limit 0" in out
    _, out, _ = trm_lab(*asked, "--json", monkeypatch=monkeypatch, capsys=capsys)
    found = json.loads(out)["rollouts"]
    assert found["n"] == 6 and found["illegal"] == 1 and found["deadlocks"] == {}
    lost = {**found, "deadlock": 0.5, "deadlocks": {"corner": 0.25, "wall": 0.25}}
    page = _games([{"name": "pushes5", "rollouts": lost}])
    assert "| illegal | deadlock | circle | limit |" in page
    assert "by kind: corner 25.0%, wall 25.0% of all games" in page

def test_what_cannot_be_played():
    stuck, there = (six.parse(f"###### {row} #----# #-@--# #---{goal}# ######")
        for row, goal in (("#$---#", "."), ("#*---#", "-")))
    for board, why in ((stuck, "no moves lead to the aim"), (there, "the aim is reached already")):
        with pytest.raises(InputError, match=f"puzzle 1 cannot be played: {why}"):
            play(six, [board], six.label)
        assert six.solutions(board) == [] and (six.label(board[None])[0] == board).all()

# ---- answers and input that are wrong ----------------------------------------------------------------------

QUESTION = "####### #-----# #-$.--# #-@-$-# #---.-# #-----# #######"

@pytest.mark.parametrize("answer, verdict", [
    (QUESTION, "legal so far, not complete"),
    (QUESTION.replace("$.", "2."), "solved"),
    (QUESTION.replace("$-#", "8-#"), "solved"),
    (QUESTION.replace("$.", "1."),
        "the box in row 3, column 3 pushed left leaves more boxes than goals along a wall"),
    (QUESTION.replace("$-#", "1-#"),
        "the box in row 4, column 5 pushed left begins a plan of 4 pushes; the fewest are 2"),
    (QUESTION.replace("@-$", "3-$"), "row 4, column 3 was changed, where no box is pushed"),
    (QUESTION.replace("@-$", "#-#"),
        "row 4, column 3 and 1 other cells were changed, where no box is pushed")])
def test_the_rules_on_answers(answer, verdict):
    assert str(seven.check(seven.parse(QUESTION), seven.parse(answer))) == verdict

def test_pushes_that_cannot_be_made():
    question = seven.parse("####### #-----# ##$#--# #-@---# #----.# #-----# #######")
    for ways, names in ((2, ["right"]), (13, ["left"]), (3, ["left", "right"]), (12, [])):
        answer = question.copy()
        answer[16] = MARKED + ways
        verdict = seven.check(question, answer)
        assert [f"the box in row 3, column 3 cannot be pushed {name}" for name in names] == [
            reason for reason in verdict.reasons if "cannot" in reason]
        assert (seven.advance(question, answer) is None) == bool(names)

def judged(text):
    question = seven.parse(text)
    return seven.check(question, question)

@pytest.mark.parametrize("act, what", [
    (lambda: seven.parse("-"*48), "has 49 cells, but 48 were given"),
    (lambda: seven.parse("g" + "-"*48), "'g' in row 1, column 1 is not understood; use - floor, # wall"),
    (lambda: judged("-" + "#"*48), "row 1, column 1 is no wall"),
    (lambda: judged(QUESTION.replace("@", "5")), "row 4, column 3 is no part of a question"),
    (lambda: judged(QUESTION.replace("@", "-")), "has one player, this one none"),
    (lambda: judged(QUESTION.replace("@-", "@+")), "has one player, this one 2"),
    (lambda: judged(QUESTION.replace("@-$", "@--")), "this one has 1 and 2: add"),
    (lambda: judged("#"*24 + "@" + "#"*24), "this one has 0 and 0"),
    (lambda: find_puzzle("sokoban-4x6"), "choose one of 5×5 to 100 cells"),
    (lambda: find_puzzle("sokoban-11x10"), "choose one of 5×5 to 100 cells"),
    (lambda: next(seven.generate(None, "pushes0")), "difficulty 'pushes0' is not known")])
def test_bad_input_is_refused(act, what):
    with pytest.raises(InputError, match=what): act()

def test_a_difficulty_that_no_room_has_is_refused(monkeypatch):
    monkeypatch.setattr("trm_lab.puzzles.sokoban._TRIES", 40)
    with pytest.raises(InputError, match="none of 40 random 5×5 rooms has a board of pushes9; ask for less"):
        next(five.generate(np.random.default_rng(0), "pushes9"))

def test_names_and_sizes():
    for name in ("sokoban-7x7", "sokoban-5x20", "sokoban-10x10"):
        assert find_puzzle(name).name == name and puzzle_from(find_puzzle(name).spec()) == find_puzzle(name)
    assert find_puzzle("sokoban-7x7") == seven and seven.vocab_size == MARKED + 16

def test_a_room_with_too_many_positions_is_refused(monkeypatch):
    monkeypatch.setattr("trm_lab.puzzles.sokoban.MOST_POSITIONS", 10)
    with pytest.raises(InputError, match="more than 10 positions of this room can be solved"):
        seven.fewest_moves([seven.parse("####### #@----# #-$-$-# #--.--# ##.---# ##-#--# #######")])

@pytest.mark.parametrize("floor", "- _")
def test_level_files_have_several_signs_for_floor(floor, tmp_path):
    level = "\n".join(QUESTION.split()).replace("-", floor)
    (tmp_path/"levels.txt").write_text(f"{level}\n\n{level}\n")
    assert (read_board(level, seven) == seven.parse(QUESTION)).all()
    found = [example.question for example in examples(tmp_path/"levels.txt", seven)]
    assert len(found) == 2 and (found == seven.parse(QUESTION)).all()
