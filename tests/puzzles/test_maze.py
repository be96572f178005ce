"""Mazes: the rules on wrong answers, labels against the search as one would write it, and the
distribution of what is generated."""
import itertools
from collections import deque
from pathlib import Path
import numpy as np, pytest
from hypothesis import given, settings, strategies as st
from trm_lab.data.batches import Batches
from trm_lab.data.generate import generate_dataset
from trm_lab.core.errors import InputError
from trm_lab.puzzles.base import dihedral, find_puzzle, puzzle_from
from trm_lab.puzzles.text import examples, read_rows
from trm_lab.puzzles.maze import FREE, GOAL, PATH, START, WALL, Maze, _draw

sizes, seeds = st.tuples(st.integers(1, 9), st.integers(2, 9)), st.integers(0, 2**32)

def plain(question, rows, cols):
    """Breadth-first from S, first in first out; down, left, right, up; the first parent wins.
    The label and its steps, or None."""
    goal, start = int((question == GOAL).argmax()), int((question == START).argmax())
    parents, queue = {start: None}, deque([start])
    while queue:
        r, c = divmod(here := queue.popleft(), cols)
        for y, x in ((r + 1, c), (r, c - 1), (r, c + 1), (r - 1, c)):
            there = y*cols + x
            if 0 <= y < rows and 0 <= x < cols and question[there] != WALL and there not in parents:
                parents[there] = here; queue.append(there)
    if goal not in parents: return None
    answer, here, steps = question.copy(), parents[goal], 1
    while parents[here] is not None: answer[here], here, steps = PATH, parents[here], steps + 1
    return answer, steps

def random_maze(rng, rows, cols, walls=0.35):
    "Any board with an S and a G."
    board = np.where(rng.random(rows*cols) < walls, WALL, FREE).astype(np.uint8)
    board[rng.choice(rows*cols, 2, replace=False)] = START, GOAL
    return board

def solvable(rng, rows, cols, count, walls=0.35):
    boards = (random_maze(rng, rows, cols, walls) for _ in itertools.count())
    return np.stack(list(itertools.islice((b for b in boards if plain(b, rows, cols)), count)))

@pytest.mark.parametrize("rows, cols, count",
    [(1, 6, 50), (7, 1, 50), (3, 3, 1000), (6, 9, 1500), (15, 15, 400), (30, 30, 60)])
def test_labels_equal_the_plain_search(rows, cols, count):
    "Many at once, more than fit into one block of boards, walls of every density."
    rng = np.random.default_rng(rows*cols)
    mazes = np.concatenate([solvable(rng, rows, cols, count//2, walls) for walls in (0.1, 0.35)])
    expected = np.stack([plain(maze, rows, cols)[0] for maze in mazes])
    assert (Maze(rows, cols).label(mazes) == expected).all()

def test_the_published_labels():
    "Three rows of Maze-Hard's training set; of all thousand the labels were compared once, and are equal."
    maze = find_puzzle("maze-30x30")
    for example in examples(Path(__file__).parents[1]/"reference"/"maze_hard.csv", maze):
        assert (maze.check(example.question, example.answer).solved
            and maze.label_problem(example.question, example.answer) is None)
        assert (example.answer == PATH).sum() + 1 == example.rating >= maze.min_path

@given(sizes, seeds)
@settings(deadline=None, max_examples=60)
def test_printed_boards_parse_back(size, seed):
    maze, rng = Maze(*size), np.random.default_rng(seed)
    board = rng.integers(WALL, maze.vocab_size, maze.seq_len).astype(np.uint8)
    for text in (maze.print(board), maze.text(board), maze.text(board).replace("\n", "\r\n") + "\n"):
        assert (maze.parse(text) == board).all()
    assert find_puzzle(maze.name) == maze == puzzle_from(maze.spec())

@given(sizes, seeds)
@settings(deadline=None, max_examples=60)
def test_images_are_labelled_anew(size, seed):
    maze, rng = Maze(*size), np.random.default_rng(seed)
    questions = solvable(rng, *size, 5, walls=0.2)
    labels = maze.label(questions)
    images, answers = maze.symmetries(rng, 5)(questions, labels)
    for question, label, image, answer in zip(questions, labels, images, answers):
        assert maze.check(image, answer).solved and maze.label_problem(image, answer) is None
        assert (answer == PATH).sum() == (label == PATH).sum()
        assert maze.canonical(image, answer) == maze.canonical(question, label)

def test_a_mirrored_label_is_right_and_not_the_label():
    maze, rng = Maze(9, 9), np.random.default_rng(0)
    questions = solvable(rng, 9, 9, 50, walls=0.2)
    over = dihedral(9, 9)[1]
    problems = [maze.label_problem(q[over], a[over]) for q, a in zip(questions, maze.label(questions))]
    assert all(maze.check(q[over], a[over]).solved for q, a in zip(questions, maze.label(questions)))
    assert (any(problems)
        and all(p is None or p.startswith("the path is not the canonical one") for p in problems))

@given(sizes, seeds)
@settings(deadline=None, max_examples=100)
def test_any_answer_gets_a_verdict(size, seed):
    """Solved exactly where the answer is the question with one shortest path marked; whatever a
    network may say is judged."""
    maze, rng = Maze(*size), np.random.default_rng(seed)
    question = solvable(rng, *size, 1, walls=0.2)[0]
    label, steps = plain(question, *size)
    changed = label.copy(); changed[rng.integers(maze.seq_len)] = rng.integers(0, 6)
    for answer in (question, label, changed, rng.integers(0, 6, maze.seq_len).astype(np.uint8)):
        verdict, marks = maze.check(question, answer), answer == PATH
        same = (np.where(marks, question, answer) == question).all() and (question[marks] == FREE).all()
        as_walls = np.where((question == FREE) & ~marks, WALL, question) # only marked cells may be walked on
        found = plain(as_walls, *size)
        assert verdict.solved == bool(same and found and found[1] == steps and marks.sum() == steps - 1)
        assert verdict.complete or not maze.scores(question, answer)["valid"]
        assert set(maze.scores(question, answer)) == {"solved", "valid", "optimal"}
        assert maze.draw(question, answer).wrong == tuple(i in verdict.cells for i in range(maze.seq_len))

BOARD = """\
S    
 ### 
     
 ### 
    G"""

@pytest.mark.parametrize("answer, reasons, valid", [
    ("S    /o### /o    /o### /ooooG", [], True),
    ("Soooo/ ###o/    o/ ###o/    G", [], True),
    ("S    / ### /     / ### /    G", [], False), # nothing answered yet
    ("S    /o### /ooooo/ ###o/    G", [], True),
    ("Soooo/ ###o/ooooo/o### /ooooG", ["the path has 16 steps, the shortest has 8"], True),
    ("S    /o### /o    /o### /oo oG", ["the path stops at row 5, column 2"], False),
    ("S    /o### /     / ### /    G", ["the path stops at row 2, column 1"], False),
    ("S    / ### /     / ###o/    G", ["the path stops at row 1, column 1"], False),
    ("So   /o### /o    /o### /ooooG", ["the path branches or closes a loop at row 1, column 1"], False),
    ("S    /o### /ooooo/o###o/ooooG", ["the path branches or closes a loop at row 3, column 1"], False),
    ("S    /o### /o    /o###o/ooooG", ["the path branches or closes a loop at row 5, column 5"], False),
    ("S  oo/o### /o    /o### /ooooG",
        ["2 marked cells are not on the path, the first at row 1, column 4"], False),
    ("S    /o### /o  o /o### /ooooG",
        ["1 marked cell is not on the path, the first at row 3, column 4"], False),
    ("S    /o##o /o    /o### /ooooG", ["the wall in row 2, column 4 was replaced by 'o'",
            "1 marked cell is not on the path, the first at row 2, column 4"], False),
    ("S    /o    /o    /o### /ooooG", ["3 walls were replaced, the first in row 2, column 2 by ' '"], False),
    ("S   #/o### /o    /o### /ooooG", ["the free cell in row 1, column 5 was replaced by '#'"], False),
    ("     /o### /o    /o### /ooooG", ["the S in row 1, column 1 was replaced by ' '"], False),
    ("S    /o### /o    /o### /oooo?", ["the G in row 5, column 5 was replaced by '?'"], False)])
def test_the_rules_on_answers(answer, reasons, valid):
    maze = Maze(5, 5)
    question, tokens = (maze.parse(BOARD),
        np.array(["?# SGo".index(c) for c in answer.replace("/", "")], np.uint8))
    verdict = maze.check(question, tokens)
    assert list(verdict.reasons) == reasons
    assert maze.scores(question, tokens) == {"solved": verdict.solved, "valid": valid,
        "optimal": verdict.solved}
    assert bool(verdict.cells) == bool(reasons and "the shortest" not in reasons[0])

def test_any_shortest_path_is_drawn():
    "Each of the three of 2×3 cells and nothing else, the canonical one among them."
    maze = Maze(2, 3)
    question = maze.parse("S    G")
    drawn = maze.label(np.repeat(question[None], 200, 0), np.random.default_rng(0))
    paths, times = np.unique(drawn, axis=0, return_counts=True)
    assert sorted(map(maze.print, paths)) == ["S  ooG", "So  oG", "Soo  G"] and times.min() > 20
    assert maze.print(maze.label(question[None])[0]) in map(maze.print, paths)
    again = maze.label(np.repeat(question[None], 200, 0), np.random.default_rng(0))
    assert (again == drawn).all()

@settings(max_examples=30, deadline=None)
@given(seeds)
def test_a_drawn_path_is_right(seed):
    maze, rng = Maze(6, 7), np.random.default_rng(seed)
    questions, _ = map(np.stack, zip(*itertools.islice(maze.generate(rng, "path8"), 20)))
    assert maze.solved(questions, maze.label(questions, rng)).all()
    assert (maze.measures(questions)["steps of the shortest path"]
        == (maze.label(questions) == PATH).sum(1) + 1).all()

def all_shortest(question, rows, cols):
    "Every shortest path of a small maze, as one would list them."
    goal, paths = int((question == GOAL).argmax()), [[int((question == START).argmax())]]
    while not any(path[-1] == goal for path in paths):
        longer = []
        for path in paths:
            r, c = divmod(path[-1], cols)
            for y, x in ((r + 1, c), (r, c - 1), (r, c + 1), (r - 1, c)):
                there = y*cols + x
                if 0 <= y < rows and 0 <= x < cols and question[there] != WALL and there not in path:
                    longer.append([*path, there])
        paths = longer
    return [path[1:-1] for path in paths if path[-1] == goal]

@settings(max_examples=60, deadline=None)
@given(seeds)
def test_the_nearest_label_is_the_most_probable_shortest_path(seed):
    "Against all shortest paths of mazes with few walls, which have many."
    rng = np.random.default_rng(seed)
    questions = solvable(rng, 4, 5, 6, walls=0.15)
    log_probabilities = np.log(rng.dirichlet(np.ones(6), (6, 20)))
    found = Maze(4, 5).nearest_label(questions, log_probabilities)
    gain = log_probabilities[..., PATH] - log_probabilities[..., FREE]
    for question, answer, each in zip(questions, found, gain):
        paths = all_shortest(question, 4, 5)
        best = max(paths, key=lambda path: each[path].sum())
        assert np.flatnonzero(answer == PATH).tolist() == sorted(best)
        assert (answer[answer != PATH] == question[answer != PATH]).all()

def test_batches_with_labels_drawn_anew():
    "Whatever is drawn follows from the seed and the place in the stream, so that a training can be resumed."
    maze = Maze(5, 5)
    split = generate_dataset(maze, 16, 1, difficulty="path5").train
    def batches(): return Batches(split, 16, 3, maze, relabel=maze.label)
    stream, other = batches(), batches()
    first, second = next(stream), next(stream)
    questions, labels = (boards.numpy().astype(np.uint8) for boards in (second.inputs, second.labels))
    assert maze.solved(questions, labels).all() and (labels != maze.label(questions)).any()
    next(other)
    resumed = batches()
    resumed.restore(other.state())
    assert (next(resumed).labels == second.labels).all() and (first.labels != second.labels).any()

def test_S_beside_G_needs_no_mark():
    maze = Maze(1, 3); question = maze.parse("SG ")
    assert maze.check(question, question).solved and (maze.label(question[None])[0] == question).all()

@pytest.mark.parametrize("act, what", [
    (lambda: Maze(3, 3).parse("x" + " "*8), "'x' in row 1, column 1 is not a cell of a maze"),
    (lambda: Maze(3, 3).parse("S G"), "a 3×3 maze has 9 cells, but 3 were given"),
    (lambda: Maze(1, 3).check(*[Maze(1, 3).parse("S#G")]*2), "no path from S to G"),
    (lambda: Maze(1, 3).check(*[Maze(1, 3).parse("SSG")]*2),
        "one S and one G, found 2 and 1; the second S is in row 1, column 2"),
    (lambda: Maze(1, 4).check(*[Maze(1, 4).parse("SG G")]*2),
        "found 1 and 2; the second G is in row 1, column 4"),
    (lambda: Maze(1, 3).check(*[Maze(1, 3).parse("S  ")]*2), "found 1 and 0$"),
    (lambda: Maze(1, 3).check(*[Maze(1, 3).parse("SoG")]*2),
        "cannot have 'o', found in row 1, column 2"),
    (lambda: Maze(1, 3).label(Maze(1, 3).parse("S#G")[None]), "no label"),
    (lambda: Maze(0, 3), "a board of 2 to 10,000 cells"), (lambda: Maze(3, 3, 9), "does not fit on 3×3"),
    (lambda: Maze(3, 3, 0), "does not fit"),
    (lambda: find_puzzle("maze-9"), "write it like 30x30"),
    (lambda: Maze(3, 3).generate(None, "hard"), "maze-3x3 has no difficulties")])
def test_bad_input_is_refused(act, what):
    with pytest.raises(InputError, match=what): act()

def test_a_file_of_mazes(tmp_path):
    "A right label of another kind is read; a wrong one is named, or left out and listed."
    maze, file = Maze(5, 5), tmp_path/"maze.csv"
    question = BOARD.replace("\n", "")
    rows = [question + ",S    o### o    o### ooooG", question + ",Soooo ###o    o ###o    G",
        question + ",S    o### o    o### oo oG"]
    file.write_text("question,answer\n" + "\n".join(rows) + "\n")
    with pytest.raises(InputError, match="maze.csv, row 3 .line 4.: the answer does not solve the puzzle: "
            "the path stops at row 5, column 2"):
        read_rows(file, maze)
    found = read_rows(file, maze, skip_bad=True)
    assert ([where for where, _ in found.skipped] == ["row 3 (line 4)"]
        and "stops at row 5, column 2" in found.skipped[0][1])
    assert [maze.label_problem(*pair) is None for pair in found.pairs(slice(None))] == [True, False]

def test_generated_mazes_have_the_distribution_of_plain_rejection():
    """Draw everything, keep what is long enough: the same walls, lengths and places of S and G
    as the faster way gives."""
    rows, cols, least, rng, plainly = 6, 5, 9, np.random.default_rng(0), []
    cells = rng.random((60_000, rows*cols)) >= rng.uniform(0.3, 0.5, (60_000, 1))
    ends = np.where(cells, rng.random(cells.shape), 2).argsort(1)[:, :2] # two different free cells
    for board, (s, g) in zip(cells, ends):
        if not board[g]: continue # fewer than two free cells
        maze = np.where(board, FREE, WALL).astype(np.uint8); maze[s], maze[g] = START, GOAL
        if (found := plain(maze, rows, cols)) and found[1] >= least: plainly.append((maze, found[1]))
    faster = []
    while len(faster) < 3*len(plainly):
        mazes = _draw(rng, 4096, rows, cols, least)
        if len(mazes):
            faster += [(maze, 1 + (label == PATH).sum())
                for maze, label in zip(mazes, Maze(rows, cols).label(mazes))]
    assert len(plainly) > 300 and min(steps for _, steps in faster) == least
    measures = {"walls": lambda m, steps: (m == WALL).sum(), "steps": lambda m, steps: steps,
        "S": lambda m, steps: (m == START).argmax()//cols, "G": lambda m, steps: (m == GOAL).argmax() % cols}
    for name, measure in measures.items():
        a, b = (np.array([measure(*pair) for pair in pairs], float) for pairs in (plainly, faster))
        edge = np.sort(np.concatenate([a, b]))
        distance = abs(np.searchsorted(np.sort(a), edge, "right")/len(a)
            - np.searchsorted(np.sort(b), edge, "right")/len(b)).max()
        # Kolmogorov–Smirnov at one in a thousand
        assert distance < 1.95*(1/len(a) + 1/len(b))**0.5, f"{name}: {distance:.3f}"

def test_a_stream_of_mazes():
    "Long enough, labelled, the same for the same seed; a length that no board has ends in a sentence."
    maze = Maze(8, 8)
    made, again = (list(itertools.islice(maze.generate(np.random.default_rng(3)), 20)) for _ in range(2))
    assert all((a[0] == b[0]).all() and (a[1] == b[1]).all() for a, b in zip(made, again))
    for question, answer in made:
        found, steps = plain(question, 8, 8)
        assert steps >= maze.min_path == 24 and (answer == found).all()
    with pytest.raises(InputError,
            match="none of two million random 2×2 boards has a shortest path of 3 steps"):
        next(Maze(2, 2, 3).generate(np.random.default_rng(0)))

def test_no_test_maze_is_a_training_maze_turned():
    dataset = generate_dataset(Maze(6, 6, 12), 60, 30, seed=5)
    forms = [{dataset.puzzle.canonical(q, a) for q, a in zip(s.inputs, s.labels)}
        for s in (dataset.train, dataset.test)]
    assert dataset.metadata.unseen and not forms[0] & forms[1]
    assert generate_dataset(Maze(3, 3), 4, 2).metadata.unseen is None # too few to promise anything

def test_facts_of_cells_are_those_of_a_plain_search():
    maze = Maze(6, 5)
    made = list(itertools.islice(maze.generate(np.random.default_rng(3), "path8"), 20))
    questions, labels = map(np.stack, zip(*made))
    facts = maze.cell_facts(questions, labels)
    assert set(facts) == {"on the path", "dead end", "steps to S", "steps to G"}
    def around(i):
        beside = (i - 5, i >= 5), (i + 5, i < 25), (i - 1, i % 5 > 0), (i + 1, i % 5 < 4)
        return [j for j, there in beside if there]
    for n, question in enumerate(questions):
        for name, token in (("S", START), ("G", GOAL)):
            far = {int((question == token).argmax()): 0}
            queue = list(far)
            for i in queue:
                fresh = [j for j in around(i) if question[j] != WALL and j not in far]
                far |= {j: far[i] + 1 for j in fresh}
                queue += fresh
            assert facts[f"steps to {name}"][n].tolist() == [far.get(i, -1) for i in range(30)]
        ways = [sum(question[j] != WALL for j in around(i)) for i in range(30)]
        alone = [question[i] != WALL and ways[i] == 1 for i in range(30)]
        assert facts["dead end"][n].tolist() == alone
        assert (facts["on the path"][n] == (labels[n] == PATH)).all()
