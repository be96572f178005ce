"""Datasets from every source, and every fault that `data check` is to find, on copies
that were broken on purpose."""
import csv, json, os, shutil, zipfile
from dataclasses import replace
from pathlib import Path
import numpy as np, pytest
from processes import COMMAND, run_forked
from trm_lab.data import generate
from trm_lab.data.generate import generate_dataset
from trm_lab.data.datasets import read_dataset, write_dataset
from trm_lab.data.check import DatasetCheck
from trm_lab.data.compare import duplicate_keys
from trm_lab.data.build import from_csv, with_images
from trm_lab.core.errors import InputError
from trm_lab.puzzles.base import find_puzzle
from trm_lab.puzzles.lights_out import LightsOut
from trm_lab.puzzles.maze import PATH, WALL, Maze
from trm_lab.puzzles.sudoku import Sudoku
from test_cli import trm_lab

REFERENCE = Path(__file__).parents[1]/"reference"/"arc"
six = Sudoku(2, 3)

@pytest.fixture
def cli_run(monkeypatch, capsys):
    return lambda *arguments: trm_lab(*arguments, monkeypatch=monkeypatch, capsys=capsys)

def write_csv(path, puzzle, pairs, ratings=None, change=lambda rows: rows):
    rows = [["here", puzzle.print(q), puzzle.print(a), ratings[i] if ratings else i]
        for i, (q, a) in enumerate(pairs)]
    with open(path, "w", newline="") as f:
        csv.writer(f).writerows([["source", "question", "answer", "rating"], *change(rows)])
    return path

def pairs_of(split): return list(zip(np.asarray(split.inputs), np.asarray(split.labels)))

def image(puzzle, pair, seed=0):
    return tuple(board[0]
        for board in puzzle.symmetries(np.random.default_rng(seed), 1)(*(b[None] for b in pair)))

@pytest.fixture(scope="module")
def sudokus(): return generate_dataset(six, 40, 20, seed=7)

@pytest.fixture(scope="module")
def pairs(sudokus): return pairs_of(sudokus.train)

# ---- building ----------------------------------------------------------------------------------------------

def test_from_a_csv_to_a_dataset_that_is_read(cli_run, tmp_path, pairs):
    repeated = [*pairs, pairs[3], image(six, pairs[5])]
    file = write_csv(tmp_path/"p.csv", six, repeated)
    code, out, err = cli_run("data", "build", "sudoku-6x6", tmp_path/"set", "--csv", file,
        "--train", 25, "--seed", 3)
    assert (code == 0 and "left out   2 for repeating another row or being an image of one" in out
        and f"Next: trm-lab data check {tmp_path/'set'}" in out), err
    assert ("train      25 groups" in out and "test       15 groups" in out
        and "no two puzzles have the same canonical form" in out)
    code, out, err = cli_run("data", "check", tmp_path/"set")
    assert (code == 0 and len(out.splitlines()) == 1
        and "no puzzle in both splits, images included" in out), out + err
    dataset = read_dataset(tmp_path/"set")
    forms = [six.canonical(*pair) for split in (dataset.train, dataset.test) for pair in pairs_of(split)]
    assert (len(set(forms)) == 40 and str(tmp_path) not in json.dumps(dataset.metadata.origin)
        and "p.csv, 25 for training by seed 3" == dataset.metadata.origin)
    assert (read_dataset(tmp_path/"set").fingerprint == from_csv(six, file, train=25, seed=3).fingerprint
        != from_csv(six, file, train=25).fingerprint)
    code, _, err = cli_run("data", "build", "sudoku-6x6", tmp_path/"set", "--csv", file)
    assert code == 2 and "is there already" in err

def test_a_set_that_comes_divided_stays_as_it_is(cli_run, tmp_path, pairs):
    train, test = (write_csv(tmp_path/"a.csv", six, pairs[:20]),
        write_csv(tmp_path/"b.csv", six, [*pairs[20:], image(six, pairs[2])]))
    code, out, _ = cli_run("data", "build", "sudoku", tmp_path/"set", "--size", "6x6", "--csv",
        train, "--test-csv", test)
    assert (code == 0 and "1 of the 21 test puzzles are training puzzles or images of them" in out
        and "unseen     not promised" in out)
    code, out, err = cli_run("data", "check", tmp_path/"set")
    assert (code == 1
        and out == "image in both splits: test, puzzle 20: it is an image of training puzzle 2\n"
        and "1 finding" in err)
    clean = from_csv(six, train, write_csv(tmp_path/"c.csv", six, pairs[20:]), train=5)
    assert (len(clean.train) == 5 and len(clean.test) == 20
        and clean.metadata.unseen == "no test puzzle has the canonical form of a training puzzle")

def test_by_rating(tmp_path, pairs):
    told = []
    dataset = from_csv(six, write_csv(tmp_path/"p.csv", six, pairs), min_rating=30, on_message=told.append)
    assert (len(dataset.train) + len(dataset.test) == 10
        and told == ["left out   30 rows of p.csv rated below 30"]
        and "rated 30 or more" in dataset.metadata.origin)
    with pytest.raises(InputError, match="no puzzles in it; 40 are rated below 100"):
        from_csv(six, tmp_path/"p.csv", min_rating=100)

def spoil(rows):
    for i in (16, 20): rows[i][2] = rows[i + 1][2]
    rows[30][1] = rows[30][1][:-1]
    return rows

def test_row_17_is_named_and_nothing_written(cli_run, tmp_path, pairs):
    file = write_csv(tmp_path/"p.csv", six, pairs, change=spoil)
    code, _, err = cli_run("data", "build", "sudoku-6x6", tmp_path/"set", "--csv", file)
    assert (code == 2 and f"{file}, row 17 (line 18): the answer does not solve the puzzle" in err
        and [p.name for p in tmp_path.iterdir()] == ["p.csv"])
    code, out, _ = cli_run("data", "build", "sudoku-6x6", tmp_path/"set", "--csv", file, "--skip-bad")
    assert (code == 0 and "skipped    3 wrong rows of p.csv" in out
        and "row 31 (line 32): a 6×6 Sudoku has 36 cells" in out)
    assert "3 wrong rows left out" in read_dataset(tmp_path/"set").metadata.origin
    every = write_csv(tmp_path/"q.csv", six, pairs, change=lambda rows:
        [[s, q, rows[0][2] if i else a, r] for i, (s, q, a, r) in enumerate(rows)] + rows[1:3])
    told = []
    from_csv(six, every, write_csv(tmp_path/"t.csv", six, pairs[-2:]), skip_bad=True, on_message=told.append)
    assert (told[0] == "skipped    39 wrong rows of q.csv"
        and told[10].startswith("           row 11 (line 12): ") and told[11:] == ["           and 29 more"])

def test_mazes_and_other_types(cli_run, tmp_path):
    file = write_csv(tmp_path/"m.csv", Maze(6, 6), pairs_of(generate_dataset(Maze(6, 6, 12), 12, 1).train))
    for name, options in (("maze", ["--size", "6", "--csv", file]),
            ("maze", ["--size", "6", "--generate", "10", "--min-path", "12"]),
            ("lights_out-4x4", ["--generate", "10"]),
            ("sudoku-6x6", ["--generate", "6", "--difficulty", "easy"])):
        for images in ([], ["--write-augmented", "3"]):
            place = tmp_path/f"{name}{len(list(tmp_path.iterdir()))}"
            code, out, err = cli_run("data", "build", name, place, *options, *images)
            assert code == 0, err
            code, out, err = cli_run("data", "check", place)
            assert code == 0, out + err
            dataset = read_dataset(place)
            assert (len(dataset.train) > dataset.train.groups if images
                else len(dataset.train) == dataset.train.groups)
    assert "easy, seed 0" in dataset.metadata.origin and (np.diff(dataset.train.group_indices) == 4).all()

def test_images_are_images_and_differ(sudokus):
    some = with_images(sudokus, 5, seed=1)
    assert ((np.diff(some.train.group_indices) == 6).all() and not some.train.puzzle_identifiers.any()
        and some.metadata.total_puzzles == 240)
    for group in range(0, 40, 8):
        members = pairs_of(some.train)[6*group:6*group + 6]
        assert ((members[0][0] == sudokus.train.inputs[group]).all()
            and len({q.tobytes() for q, _ in members}) == 6)
        assert {six.canonical(*pair) for pair in members} == {six.canonical(*pairs_of(sudokus.train)[group])}
    assert (with_images(sudokus, 5, seed=1).fingerprint == some.fingerprint
        != with_images(sudokus, 5, seed=2).fingerprint)
    few = with_images(generate_dataset(LightsOut(2, 3), 2, 1), 50).train
    assert len(few) <= 2*8

@pytest.mark.parametrize("puzzle",
    [six, Sudoku(3, 3), Sudoku(2, 4), Maze(5, 5), LightsOut(4, 4)], ids=lambda p: p.name)
def test_alike_is_what_canonical_says(puzzle):
    made = pairs_of(generate_dataset(puzzle, 8, 1).train)
    mixed = [image(puzzle, made[i % 8], seed=i) for i in range(24)]
    numbers, = duplicate_keys(puzzle, tuple(map(np.stack, zip(*mixed))))
    assert all((numbers[i] == numbers[j]) == (i % 8 == j % 8) for i in range(24) for j in range(24))
    left, right = duplicate_keys(puzzle,
        *(tuple(map(np.stack, zip(*part))) for part in (made[:5], mixed[3:6])))
    assert (np.isin(right, left).tolist() == [True, True, False]
        and np.isin(left, right).tolist() == [False, False, False, True, True])

def test_arc(cli_run, tmp_path):
    for options in ([], ["--write-augmented"]):
        place = tmp_path/f"arc{len(options)}"
        code, out, err = cli_run("data", "build", "arc", place, "--version", REFERENCE,
            "--augment", "4", *options)
        assert code == 0 and "train      8 groups, 40 puzzles" in out, err
        assert (place/"train/all__codes.npy").exists() == (not options)
        code, out, err = cli_run("data", "check", place, "--sample", "10")
        assert code == 0 and "10 of " in out, out + err
    # that of the reference's builder
    code, out, err = cli_run("data", "check", REFERENCE, "--puzzle", "arc-30x30")
    assert code == 0, out + err

def test_from_the_hubs_cache(tmp_path, pairs):
    "Without a network: the default repository, another one, and a sentence for what is not there."
    def publish(repository):
        folder = tmp_path/"hub"/f"datasets--{repository.replace('/', '--')}"
        place = folder/"snapshots"/("a"*40)
        place.mkdir(parents=True); (folder/"refs").mkdir()
        write_csv(place/"train.csv", six, pairs[:30]); write_csv(place/"test.csv", six, pairs[30:])
        (folder/"refs"/"main").write_text("a"*40)
    publish("sapientinc/sudoku-extreme"); publish("someone/small")
    # which is read as the hub's package is imported
    offline = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path/"hub")}
    def run(*arguments): return run_forked(COMMAND, "data", "build", *arguments, cwd=tmp_path, env=offline)
    code, out, err = run("sudoku", "one", "--size", "6x6", "--hub", "--train", 20)
    assert code == 0 and "sapientinc/sudoku-extreme on the hub, 20 for training by seed 0" in out, err
    dataset = read_dataset(tmp_path/"one")
    assert (len(dataset.train) == 20
        and [q.tobytes() for q in dataset.test.inputs] == [q.tobytes() for q, _ in pairs[30:]])
    code, out, err = run("sudoku-6x6", "two", "--hub", "someone/small")
    assert code == 0 and "train      30 groups" in out, err
    code, _, err = run("maze", "three", "--hub")
    assert (code == 2 and "trm-lab: hf://datasets/sapientinc/maze-30x30-hard-1k/train.csv: "
        "it is not in the cache, and the hub could not be reached" in err.splitlines()[-1])
    code, _, err = run("lights_out-5x5", "four", "--hub")
    assert code == 2 and "no repository on the hub is known for this type" in err

@pytest.mark.parametrize("arguments, sentence", [
    (["sudoku", "out"], "no source of puzzles was given; choose one of"),
    (["sudoku", "out", "--generate", "5", "--csv", "x.csv"],
        "several sources of puzzles were given: --csv, --generate"),
    (["sudoku", "out", "--csv", "none.csv"], "none.csv: cannot be read"),
    (["sudoku", "out", "--csv", "x.csv", "--difficulty", "easy"], "--difficulty has no effect with --csv"),
    (["sudoku", "out", "--generate", "5", "--skip-bad"], "--skip-bad has no effect with --generate"),
    (["sudoku", "out", "--generate", "5", "--min-path", "9"], "--min-path is for mazes"),
    (["sudoku-4x4", "out", "--size", "9x9", "--generate", "5"],
        "sudoku-4x4 contains a size already; leave out --size 9x9"),
    (["sudoku", "out", "--generate", "5", "--difficulty", "harder"], "difficulty 'harder' is not known"),
    (["maze", "out", "--generate", "5", "--difficulty", "hard"], "has no difficulties"),
    (["maze", "out", "--size", "8", "--generate", "5", "--train", "5"],
        "at least one training and one test puzzle, not 5 and 0"),
    (["sudokku", "out", "--generate", "5"], "did you mean 'sudoku'?"),
    (["lights_out", "out", "--generate", "5"], "lights_out size '' is not understood"),
    (["sudoku", "out", "--generate", "5", "--write-augmented"],
        "--write-augmented should say how many images"),
    (["sudoku-4x4", "out", "--generate", "5", "--write-augmented", "0"], "should be 1 or more"),
    (["arc", "out", "--generate", "5"], "arc cannot be built with --generate"),
    (["sudoku", "out", "--version", "arcagi"], "sudoku cannot be built with --version"),
    (["arc", "out", "--version", "arcagi3"], "arcagi3"),
    (["arc", "out", "--version", "arcagi", "--size", "9x9"], "--size has no effect with --version"),
], ids=lambda v: " ".join(v)[:50] if isinstance(v, list) else "")
def test_options_that_do_not_fit(cli_run, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    code, _, err = cli_run("data", "build", *arguments)
    assert (code == 2 and sentence in err and len(err.strip().splitlines()) == 1
        and not list(tmp_path.iterdir())), (code, err)

# ---- mixtures ----------------------------------------------------------------------------------------------

def test_a_mixture_is_the_same_however_it_is_made(tmp_path):
    "By one process or two, at once or after a stop, and as the beginning of a larger one."
    whole = generate_dataset(six, 30, 6, 3, difficulty="easy+2minimal", processes=1)
    assert [(q > 1).sum() >= 14 for q in whole.train.inputs[:9]] == [True, False, False]*3
    assert whole.metadata.unseen and whole.metadata.origin == "generated by sudoku-6x6, easy+2minimal, seed 3"
    made = []
    def stop(done, wanted):
        made.append(done)
        if done == 20: raise KeyboardInterrupt
    with pytest.raises(KeyboardInterrupt): generate_dataset(six, 30, 6, 3, stop, "easy+2minimal", 1, tmp_path)
    kept, = tmp_path.iterdir()
    assert len(np.load(kept)) == 16 # whole waves
    for processes in (1, 2):
        assert (generate_dataset(six, 30, 6, 3, None, "easy+2minimal", processes, tmp_path).fingerprint
            == whole.fingerprint)
    np.save(kept, np.load(kept)[::-1]) # what is kept is not made again
    assert (generate_dataset(six, 1, 1, 3, None, "easy+2minimal", 1,
            tmp_path).train.inputs == np.load(kept)[0, 0]).all()
    larger = generate_dataset(six, 40, 6, 3, difficulty="easy+2minimal", processes=2)
    assert (larger.train.inputs[:36] == np.concatenate([whole.train.inputs, whole.test.inputs])).all()

def test_a_mixture_with_bunches(tmp_path, monkeypatch):
    """Streams that give several puzzles are used up in order, by one process or two, and after a
    stop in the middle of one."""
    monkeypatch.setattr(Sudoku, "stream_length", lambda self, difficulty: 7 if difficulty == "minimal" else 1)
    puzzle = Sudoku(2, 3)
    whole = generate_dataset(puzzle, 40, 8, 3, difficulty="easy+2minimal", processes=1, keep=tmp_path)
    minimal = [q for n, q in enumerate(whole.train.inputs) if n % 3]
    level = puzzle.difficulties.index("minimal")
    for stream in range(3):
        fresh = puzzle.generate(np.random.default_rng([3, level, stream]), "minimal")
        assert all((a == next(fresh)[0]).all() for a in minimal[7*stream:7*stream + 7])
    kept, = tmp_path.iterdir()
    np.save(kept, np.load(kept)[:25]) # ends within a stream of both kinds
    for processes in (1, 2):
        assert (generate_dataset(puzzle, 40, 8, 3, None, "easy+2minimal", processes, tmp_path).fingerprint
            == whole.fingerprint)

def test_a_config_names_a_mixture(tmp_path, monkeypatch):
    from trm_lab.runs.training import dataset_for
    from trm_lab.training.config import TrainConfig
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    config = TrainConfig(puzzle="sudoku-4x4", train_puzzles=4, test_puzzles=2, difficulty="easy+minimal")
    dataset, where = dataset_for(config)
    assert (where == tmp_path/"data"/"sudoku-4x4-easy+minimal-4+2-seed0"
        and "easy+minimal" in dataset.metadata.origin)

def test_a_config_of_arc_takes_tasks_that_fit(tmp_path, monkeypatch):
    "No folder is named, and nobody generates tasks: those of ARC-AGI-1, in as many ways as are asked for."
    from trm_lab.runs.training import dataset_for
    from trm_lab.training.config import TrainConfig
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    config = TrainConfig(puzzle="arc-6x6", train_puzzles=5, test_puzzles=2)
    said = []
    dataset, where = dataset_for(config, said.append)
    assert where == tmp_path/"data"/"arc-6x6-5+2-seed0"
    assert said == ["data      tasks of ARC-AGI-1 that fit, up to 5 + 2"]
    assert (dataset.train.groups, dataset.test.groups) == (7, 2) # all demonstrations are trained on
    assert dataset.metadata.unseen and len(dataset.identifiers) == 1 + 7
    every = dataset_for(replace(config, train_puzzles=200, test_puzzles=500, data_seed=1))[0]
    assert (every.train.groups, every.test.groups) == (31, 6) # 25 to train on
    assert 1 + 31*7 < len(every.identifiers) <= 1 + 31*8 # a task may look the same in two ways
    most = dataset_for(replace(config, train_puzzles=4000, test_puzzles=1))[0]
    assert 1 + 26*31 < len(most.identifiers) <= 1 + 26*32
    with pytest.raises(InputError, match="has no difficulties to choose from"):
        dataset_for(replace(config, difficulty="hard"))
    with pytest.raises(InputError, match="no task has only grids of up to 2×2"):
        dataset_for(replace(config, puzzle="arc-3x3"))

# ---- checking ----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def whole(tmp_path_factory, sudokus):
    place = tmp_path_factory.mktemp("whole")
    write_dataset(sudokus, place/"sudoku")
    write_dataset(generate_dataset(Maze(6, 6, 12), 20, 5), place/"maze")
    from trm_lab.data.build import from_tasks
    write_dataset(from_tasks(str(REFERENCE), augment=3), place/"arc")
    return place

@pytest.fixture
def broken(whole, tmp_path):
    def copy(name, **arrays): # "train_labels" → change in place, or a new array
        place = tmp_path/f"{name}{len(list(tmp_path.iterdir()))}"
        shutil.copytree(whole/name, place)
        for where, change in arrays.items():
            path = place/where.partition("_")[0]/f"{where.partition('_')[2]}.npy"
            array = np.load(path)
            changed = change(array)
            np.save(path, array if changed is None else changed)
        return place
    return copy

def put(index, value):
    def change(array): array[index] = value
    return change

def found(place, puzzle=None): return [str(f) for f in DatasetCheck(place, puzzle)]

def test_nothing_is_wrong_with_what_is_whole(whole):
    for name in ("sudoku", "maze", "arc"): assert found(whole/name) == []

def test_a_wrong_answer(broken, sudokus, cli_run):
    label = sudokus.train.labels[4]
    place = broken("sudoku", train_all__labels=put((4, 0), label[1]))
    code, out, err = cli_run("data", "check", place)
    assert (code == 1 and out.startswith("wrong answer: train, example 4: ")
        and f"the digit {six.print([label[1]])} stands twice in row 1" in out
        and len(out.splitlines()) == 1 and "1 finding" in err)

MAZE = "S  # #" "# #   " "   # #" " #   #" "   #  " "# #  G" # many shortest paths

def test_three_ways_for_a_maze_to_be_wrong(broken):
    maze = Maze(6, 6)
    question = maze.parse(MAZE)
    canonical = maze.label(question[None])[0]
    def path(*cells):
        answer = question.copy(); answer[[r*6 + c for r, c in cells]] = PATH
        return answer
    def swap(answer): return lambda labels: put(3, answer)(labels)
    questions = put(3, question)
    assert not found(broken("maze", train_all__inputs=questions, train_all__labels=put(3, canonical)))
    other = path((0, 1), (1, 1), (2, 1), (2, 2), (3, 2), (3, 3), (3, 4), (4, 4), (4, 5))
    longer = path((0, 1), (1, 1), (2, 1), (2, 0), (3, 0), (4, 0), (4, 1), (4, 2), (3, 2),
        (3, 3), (3, 4), (4, 4), (5, 4))
    stops = path((0, 1), (1, 1))
    for answer in (other, longer, stops): assert (answer != canonical).any()
    for answer, sentence in (
            (other, "not the canonical label: train, example 3: the path is not the canonical one"),
            (longer, "not optimal: train, example 3: the path has 14 steps, the shortest has 10"),
            (stops, "wrong answer: train, example 3: the path stops at row 2, column 2")):
        lines = found(broken("maze", train_all__inputs=questions, train_all__labels=put(3, answer)))
        assert len(lines) == 1 and lines[0].startswith(sentence), (sentence, lines)
    walled = question.copy(); walled[[28, 34, 29]] = WALL
    assert found(broken("maze", train_all__inputs=put(3, walled)))[0].startswith(
        "wrong question: train, example 3: the maze has no path from S to G")

def test_repetitions(broken, sudokus, cli_run):
    twin = pairs_of(sudokus.train)[7]
    both = lambda i, pair, split: {f"{split}_all__{name}": put(i, board)
        for name, board in zip(("inputs", "labels"), pair)}
    assert found(broken("sudoku", **both(5, twin, "test"))) == [
        "in both splits: test, puzzle 5: it is training puzzle 7"]
    assert found(broken("sudoku", **both(5, image(six, twin), "test"))) == [
        "image in both splits: test, puzzle 5: it is an image of training puzzle 7"]
    flood = {f"test_all__{name}": (lambda board: lambda array: np.repeat(board[None], len(array), 0))(board)
        for name, board in zip(("inputs", "labels"), twin)}
    code, out, err = cli_run("data", "check", broken("sudoku", **flood))
    assert code == 1 and len(out.splitlines()) == 20 + 19 and "39 findings" in err
    assert found(broken("sudoku", **both(9, twin, "train"))) == [
        "duplicate: train, puzzle 9: it repeats puzzle 7"]

@pytest.mark.parametrize("array, change, lines", [
    ("train_all__puzzle_identifiers", put(3, 1),
        ["identifier out of range: train, puzzle 3: its identifier is 1, but there are 1, counted from 0"]),
    ("test_all__puzzle_identifiers", put(3, -1),
        ["identifier out of range: test, puzzle 3: its identifier is -1, but there are 1, counted from 0"]),
    ("train_all__inputs", put((2, 4), 8), ["token outside the vocabulary: train/all__inputs.npy, row 2: "
        "8 in cell 4, but tokens are 0 to 7"]),
    ("train_all__puzzle_indices", put(3, 4),
        ["indices do not rise: train, puzzle_indices: entry 4 is 4, after 4"]),
    ("train_all__group_indices", put(-1, 90), ["indices do not fit: train, group_indices: "
        "they should run from 0 to the number of puzzles, 40, not from 0 to 90"]),
    ("train_all__labels", lambda a: a[:-1],
        ["shapes differ: train: inputs (40, 36) and labels (39, 36) should have the same shape"]),
    ("train_all__inputs", lambda a: a.astype(np.float32), ["broken array: train/all__inputs.npy: "
        "it should hold whole numbers in 2 dimensions, not float32 (40, 36)"]),
    ("train_all__puzzle_indices", lambda a: np.array([0, 40]),
        ["indices do not fit: train, puzzle_indices: 40 puzzles have 41 boundaries, not 2"]),
], ids=lambda v: "")
def test_arrays_that_do_not_fit(broken, array, change, lines):
    assert found(broken("sudoku", **{array: change})) == lines

@pytest.mark.parametrize("key, value, sentence", [("seq_len", 81, "seq_len is 81, but there are 36"),
    ("vocab_size", 11, "vocab_size is 11, but sudoku-6x6 has 8"),
    ("total_groups", 7, "total_groups is 7, but there are 40"), ("total_puzzles", 7, "total_puzzles is 7"),
    ("mean_puzzle_examples", 2., "mean_puzzle_examples is 2, but it is 1"),
    ("num_puzzle_identifiers", 4, "num_puzzle_identifiers is 4, but there are 1")])
def test_promises(broken, key, value, sentence):
    place = broken("sudoku")
    path = place/"train/dataset.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    lines = found(place)
    assert (lines[0].startswith("wrong metadata: train/dataset.json: ")
        and any(sentence in line for line in lines))

def test_files_that_are_torn_missing_or_something_else(broken, tmp_path):
    def torn(path): path.write_bytes(path.read_bytes()[:-20])
    def archive(path):
        with zipfile.ZipFile(path, "w") as f: f.writestr("x.npy", b"")
    def pickled(path): np.save(path, np.array([{}, open]), allow_pickle=True)
    def huge(path):
        path.write_bytes(path.read_bytes().replace(b"(40, 36)", b"(9999999999999, 36)"[:8].ljust(8)))
    for spoil in (torn, archive, pickled, huge, lambda path: path.unlink(),
            lambda path: path.write_bytes(b""),
            lambda path: path.write_bytes(b"\x93NUMPY\x01\x00v\x00" + b"{"*118)):
        place = broken("sudoku")
        spoil(place/"train/all__labels.npy")
        lines = found(place)
        assert len(lines) == 1 and lines[0].startswith("broken array: train/all__labels.npy: "), lines
        with pytest.raises(InputError, match="all__labels.npy"): read_dataset(place)
    for text in ("{", "[]", '{"seq_len": "many"}', "["*100_000):
        place = broken("sudoku"); (place/"test/dataset.json").write_text(text)
        assert [line.partition(":")[0] for line in found(place)] == ["unusable dataset.json"]
    for text in ("{", "{}", "[]", "[1]", '["a", "a"]'):
        place = broken("sudoku"); (place/"identifiers.json").write_text(text)
        assert found(place)[0].startswith("wrong names: identifiers.json: ")
    place = broken("sudoku"); (place/"identifiers.json").write_text('["<blank>", "more"]')
    assert found(place) == [f"wrong metadata: {s}/dataset.json: num_puzzle_identifiers is 1, but there are 2"
        for s in ("train", "test")]

def test_no_dataset_at_all(cli_run, broken, tmp_path):
    (tmp_path/"empty").mkdir(); (tmp_path/"file").write_text("")
    for name in ("empty", "file", "none"):
        code, _, err = cli_run("data", "check", tmp_path/name)
        assert code == 2 and "this is not a dataset" in err
    place = broken("sudoku")
    for spec in (None, 3, {"type": "../x"}, {"type": "sudoku", "rows": 3},
            {"type": "sudoku", "box_rows": "a", "box_cols": 2}):
        for split in ("train", "test"):
            path = place/split/"dataset.json"
            path.write_text(json.dumps({**json.loads(path.read_text()), "puzzle": spec}))
        code, _, err = cli_run("data", "check", place)
        assert code == 2 and "--puzzle" in err, spec
    shutil.rmtree(place/"test")
    code, out, _ = cli_run("data", "check", place, "--puzzle", "sudoku-6x6")
    assert code == 1 and "unusable dataset.json: test" in out

def test_what_only_arc_can_have(broken, cli_run, tmp_path):
    place = broken("arc")
    path = place/"test_puzzles.json"
    tasks = json.loads(path.read_text())
    gone = sorted(tasks)[1]
    path.write_text(json.dumps({name: task for name, task in tasks.items() if name != gone}))
    assert found(place) == [f"wrong file: test_puzzles.json: 1 of 5 entries are missing: {gone}"]
    path.unlink()
    assert found(place) == ["wrong file: test_puzzles.json: there is no such file; check the path"]
    assert found(broken("arc", train_all__codes=lambda codes: np.full_like(codes, 9)))[0].startswith(
        "wrong augmentation: train/all__codes.npy: ")
    assert found(broken("arc", test_base__labels=put(0, 0)))[0].startswith(
        "wrong answer: test, original 0: there is no grid")
    names = broken("arc"); listed = json.loads((names/"identifiers.json").read_text()); listed[2] += "|||t9"
    (names/"identifiers.json").write_text(json.dumps(listed))
    assert found(names)[0].startswith("wrong name: both splits: the identifier")
    # a task that is trained on with its answers and scored all the same
    kaggle = tmp_path/"kaggle"
    shutil.copytree(REFERENCE, kaggle,
        ignore=lambda _, names: [n for n in names if not n.startswith("arc-agi")])
    for part in ("challenges", "solutions"):
        training, evaluation = (json.loads((kaggle/f"arc-agi_{s}_{part}.json").read_text())
            for s in ("training", "evaluation"))
        shared = sorted(evaluation)[0]
        (kaggle/f"arc-agi_training_{part}.json").write_text(
            json.dumps({**training, shared: evaluation[shared]}))
    options = ("data", "build", "arc", tmp_path/"leaky", "--version", kaggle, "--augment", 2)
    code, _, err = cli_run(*options)
    assert code == 2 and "1 of 5 scored tasks" in err
    code, out, _ = cli_run(*options, "--allow-overlap")
    assert code == 0 and "overlap    1 of 5 scored tasks" in out
    code, out, _ = cli_run("data", "check", tmp_path/"leaky")
    assert code == 1 and out.startswith("trained on what is scored: both splits: 1 of 5 scored tasks")

# ---- looking -----------------------------------------------------------------------------------------------

def test_show(cli_run, whole, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("sudoku", "maze", "arc"):
        code, out, err = cli_run("data", "show", whole/name, "--count", 2)
        assert (code == 0 and out == f"{name}.png\n"
            and (tmp_path/f"{name}.png").read_bytes().startswith(b"\x89PNG")), err
    code, out, _ = cli_run("data", "show", whole/"sudoku", "--out", tmp_path/"deep"/"x.png", "--count", 1)
    assert code == 0 and (tmp_path/"deep/x.png").exists()
    assert cli_run("data", "show", whole/"sudoku", "--out", "x.pdf")[0] == 2
    assert cli_run("data", "show", tmp_path/"none")[0] == 2

def test_a_board_with_too_few_puzzles_is_refused_not_searched_for_ever(monkeypatch):
    monkeypatch.setattr(generate, "MOST_REPEATS", 60)
    with pytest.raises(InputError, match="after 1[0-4] the last 60 were all copies of them"):
        generate_dataset(find_puzzle("nurikabe-3x3"), 40, 10)
