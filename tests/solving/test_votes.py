"ARC on small canvases, and votes over disguises and places."
import json, re, time
from dataclasses import replace
import numpy as np, pytest, torch
from trm_lab.models.checkpoints import Loaded, identities_of, load, matched, save_model, with_identities
from trm_lab.data.datasets import augmented_dataset, read_dataset, write_dataset
from trm_lab.data.batches import ordered_batches
from trm_lab.core.errors import InputError
from trm_lab.models.trm import TRM, TRMConfig
from trm_lab.puzzles.arc import (
    Arc, Task, Tasks, Votes, crop, augmentations, parse_name, read_task_file, shift_to, shift_to_origin)
from trm_lab.puzzles.arc import to_grid, to_tokens
from trm_lab.puzzles.base import find_puzzle
from trm_lab.solving.evaluate import evaluate
from trm_lab.solving.votes import Learning, answer_task, learn_task, vote
from test_cli import cli_run # noqa: F401 (a fixture)

canvas = Arc(7)
def pair(question, answer): return canvas.parse(question), canvas.parse(answer)
TASKS = [Task("mirror", [pair("120|003", "021|300"), pair("33|40", "33|04")],
        [pair("500|060", "005|060"), pair("7", "7")], True),
    Task("grow", [pair("12", "1212"), pair("3", "33")], [pair("45|54", "4545|5454")], True),
    Task("known", [pair("12", "21")], [pair("45", "54")], False)]

@pytest.fixture(scope="module")
def dataset(): return augmented_dataset(canvas, Tasks(TASKS, "made here").groups(11, dihedral_first=True))

@pytest.fixture(scope="module")
def model(dataset):
    torch.manual_seed(0)
    config = TRMConfig(49, 12, num_puzzle_identifiers=len(dataset.identifiers), hidden_size=32, num_heads=2,
        swiglu_multiple=32, H_cycles=1, L_cycles=1, pos_encodings="rope_2d+local_bias", puzzle_emb_len=2)
    model = TRM(config).eval()
    model.puzzle_emb.weights.normal_()
    return model

# ---- the canvas --------------------------------------------------------------------------------------------

def test_a_canvas_of_another_size():
    assert (find_puzzle("arc-7x7") == canvas != Arc() and canvas.spec() == {"type": "arc", "side": 7}
        and Arc().spec() == {"type": "arc"})
    board = canvas.parse("12|34")
    assert (len(board) == 49 and canvas.print(board) == "12|34"
        and board.reshape(7, 7)[:3, :3].tolist() == [[3, 4, 1], [5, 6, 1], [1, 1, 0]])
    with pytest.raises(InputError, match="1 to 7 rows"): canvas.parse("0"*8)
    big = Arc(40) # which holds grids up to 30×30, as ARC has them
    with pytest.raises(InputError, match="1 to 30 rows"): big.parse("0"*31)
    assert to_grid(to_tokens([[1]*30]*30, side=40)).shape == (30, 30)
    for side in (0, 61): # a sentence in place of a canvas
        with pytest.raises(InputError, match="a canvas should have 1 to 60 rows"): Arc(side)

def test_a_place_of_its_own_and_back():
    rng, boards = (np.random.default_rng(0),
        np.stack([canvas.parse(text) for text in ("12|34", "7", "0000000", "123|456|789")]))
    room = 8 - crop(boards)[1]
    for _ in range(20):
        corner = (rng.random((4, 2))*room).astype(int)
        moved = shift_to(boards, corner)
        assert (crop(shift_to_origin(moved, corner))[0] == boards).all()
        for board, (row, column) in zip(moved, corner): assert board.reshape(7, 7)[row, column] > 1

def test_tasks_come_to_a_canvas_that_they_fit():
    large = [Task("large", [(to_tokens([[1]*9]), to_tokens([[2]]))],
        [(to_tokens([[1]]), to_tokens([[1]]))], False)]
    small = [task.on_canvas(30) for task in TASKS]
    tasks = Tasks([*small, *large], "here")
    assert [t.largest for t in tasks.tasks] == [3, 4, 2, 9]
    with pytest.raises(InputError, match="task large: a grid has 9 rows or columns, and the canvas only 7"):
        tasks.on_canvas(7)
    kept = tasks.on_canvas(7, 4)
    assert kept.origin == "here; of these 1 and 2 have no grid over 4×4"
    for one, other in zip(kept.tasks, TASKS, strict=True):
        for a, b in zip(one.demos + one.tests, other.demos + other.tests, strict=True):
            assert (np.stack(a) == np.stack(b)).all()
    with pytest.raises(InputError, match="no task has only grids of up to 1×1"): tasks.on_canvas(7, 1)

def test_ways_come_first():
    codes = augmentations(TASKS[0], 20, dihedral_first=True)
    assert (codes[:8, 0].tolist() == list(range(8))
        and (codes[:8, 1:] == np.arange(1, 10)).all() and len(codes) == 21)
    assert (len(augmentations(TASKS[0], 7, dihedral_first=True)) == 8
        and len(augmentations(TASKS[0], 2, dihedral_first=True)) == 3)
    square = Task("square", [pair("1", "2")], [pair("3", "4")], True) # looks the same in all eight
    assert len(augmentations(square, 7, dihedral_first=True)) == 1

def test_data_build_leaves_out_what_does_not_fit(cli_run, tmp_path):
    def content(text): return [[int(c) for c in row] for row in text.split("|")]
    def task(*texts):
        return {"train": [{"input": content(texts[0]), "output": content(texts[1])}],
            "test": [{"input": content(texts[2]), "output": content(texts[3])}]}
    for subset, tasks in {"training": {"a": task("12", "21", "34", "43"), "b": task("1"*9, "2", "1", "2")},
            "evaluation": {"c": task("12|34", "43|21", "5", "6")}}.items():
        (tmp_path/f"arc-agi_{subset}_challenges.json").write_text(json.dumps(tasks))
    code, out, err = cli_run("data", "build", "arc", tmp_path/"small", "--version", tmp_path,
        "--max-grid", "4", "--augment", "9")
    assert code == 0 and "built      arc-5x5" in out and "of these 1 and 1 have no grid over 4×4" in out, err
    found = read_dataset(tmp_path/"small")
    assert found.puzzle == Arc(5) and [parse_name(n)[1].tolist()[0] for n in found.identifiers[1:3]] == [0, 1]
    assert cli_run("data", "check", tmp_path/"small")[0] == 0
    code, out, err = cli_run("data", "build", "arc-8x8", tmp_path/"named", "--version", tmp_path)
    assert code == 2 and "task b: a grid has 9 rows or columns, and the canvas only 8" in err
    assert cli_run("data", "build", "arc-12x12", tmp_path/"named", "--version", tmp_path,
        "--augment", "0")[0] == 0
    assert read_dataset(tmp_path/"named").puzzle == Arc(12)

# ---- votes -------------------------------------------------------------------------------------------------

def keys(votes): return {task: [given for _, given in pairs] for task, pairs in votes.pairs.items()}

def test_the_first_round_is_what_evaluate_tallies(model, dataset):
    votes, tally = vote(model, dataset, max_steps=2, batch_size=5), Votes(dataset)
    evaluate(model, canvas, dataset.test, 2, tally=tally, batch_size=5)
    assert (keys(votes) == keys(tally) and votes.predictions == len(dataset.test)
        and votes.scores() == tally.scores())

def test_labels_are_not_looked_at(model, dataset):
    hidden = replace(dataset,
        test=replace(dataset.test, labels=np.repeat(canvas.placeholder[None], len(dataset.test), 0)))
    assert keys(vote(model, hidden, 4, max_steps=1)) == keys(vote(model, dataset, 4, max_steps=1))

def test_rounds_follow_from_the_seed_and_end_in_time(model, dataset):
    votes = [vote(model, dataset, rounds, seed, max_steps=1) for rounds, seed in ((3, 0), (3, 0), (3, 1))]
    assert keys(votes[0]) == keys(votes[1]) != keys(votes[2])
    told = []
    some = vote(model, dataset, 3, max_steps=1, deadline=time.monotonic(),
        on_round=lambda done, votes: told.append(done))
    assert some.predictions == len(dataset.test) and told == [1] # every question is answered once
    with pytest.raises(InputError, match="vote: rounds"): vote(model, dataset, 0)

def test_a_task_is_solved_by_its_share():
    data = augmented_dataset(canvas, Tasks(TASKS, "made here").groups(0))
    votes, labels = Votes(data), data.test.labels[:].copy()
    labels[1] = canvas.parse("8") # the second pair of the first task is wrong once
    votes.add(np.arange(3), labels, np.zeros(3))
    assert (votes.by_task()["mirror"][2] == 0.5 and votes.by_task()["grow"][1] == 1
        and votes.scores()["ARC/pass@1"] == 0.75)
    nothing = np.zeros((3, 49), int) # votes for the empty grid are no attempts
    for _ in range(2): votes.add(np.arange(3), nothing, np.zeros(3))
    assert (votes.submission()["mirror"][1] == {"attempt_1": [[8]], "attempt_2": [[8]]}
        and votes.by_task()["grow"][1] == 0)
    # level with the wrong one, and less sure
    votes.add(np.array([1]), data.test.labels[:][1:2], np.array([-1.]))
    assert votes.by_task()["mirror"] == {1: 0, 2: 0.5, 5: 1, 10: 1, 100: 1, 1000: 1}

def test_arc_score_on_a_small_canvas(cli_run, model, dataset, tmp_path):
    write_dataset(dataset, tmp_path/"data")
    done = evaluate(model, canvas, dataset.test, 1)
    np.savez(tmp_path/"p.npz", preds=done.tokens, q_halt_logits=done.q_halt, inputs=dataset.test.inputs[:],
        puzzle_identifiers=dataset.test.identifiers)
    code, out, err = cli_run("arc-score", tmp_path/"p.npz", "--data", tmp_path/"data", "--json")
    assert code == 0 and json.loads(out) == {"tasks": 2, "predictions": len(dataset.test),
        **vote(model, dataset, max_steps=1).scores()}, err

# ---- what ships --------------------------------------------------------------------------------------------

def test_some_identities_of_a_model(model, dataset, tmp_path):
    names = identities_of(dataset)
    ways = ["<blank>", *(n for n in names[1:] if (parse_name(n)[1][1:] == np.arange(1, 10)).all())]
    small = with_identities(model, names, ways)
    save_model(tmp_path/"small.safetensors", small, canvas, identities=ways)
    asked = augmented_dataset(canvas, Tasks(TASKS, "made here").groups(7, dihedral_first=True))
    loaded = load(tmp_path/"small.safetensors")
    test, _ = matched(loaded, asked, "here")
    again = vote(loaded.model, replace(asked, test=test, identifiers=list(loaded.identities)), max_steps=2)
    whole, _ = matched(replace(loaded, model=model, identities=names), asked, "here")
    assert keys(again) == keys(vote(model, replace(asked, test=whole, identifiers=list(names)), max_steps=2))
    with pytest.raises(InputError, match="'other' is not an ident"): with_identities(model, names, ["other"])
    with pytest.raises(InputError, match="different names, one for each row"):
        with_identities(model, names[1:], ways)

# ---- a task that nobody trained on -------------------------------------------------------------------------

NEW = {"train": [{"input": [[1, 2], [3, 0]], "output": [[3, 0], [1, 2]]},
        {"input": [[4], [5]], "output": [[5], [4]]}], "test": [{"input": [[6, 6], [0, 7]]}]}
QUICK = Learning(augment=3, train_steps=4, rounds=2, max_steps=1)

@pytest.fixture
def loaded(model, dataset): return Loaded(model, canvas, {}, identities=identities_of(dataset))

def task_file(tmp_path, content, name="new.json"):
    (tmp_path/name).write_text(json.dumps(content))
    return tmp_path/name

def test_a_new_task_is_learned_and_the_model_stays(loaded, tmp_path):
    task, = read_task_file(task_file(tmp_path, NEW))
    assert task.id == "new" and task.hidden == 1 and task.scored
    before = {name: t.clone() for name, t in loaded.model.state_dict().items()}
    rows, data, steps = learn_task(loaded, task, QUICK)
    assert steps == 4 and len(rows.puzzle_emb.weights) == len(data.identifiers) == 5
    for name, t in loaded.model.state_dict().items(): assert torch.equal(t, before[name]), name
    def changed(model):
        return {name for name, t in model.state_dict().items()
            if name in before and t.shape == before[name].shape and not torch.equal(t, before[name])}
    mean = before["puzzle_emb.weights"][1:].mean(0)
    assert not changed(rows) and not torch.isclose(rows.puzzle_emb.weights[1:], mean).all(1).any()
    assert torch.equal(rows.puzzle_emb.weights[0], mean) # the blank one, which nothing asks for
    tuned, _, _ = learn_task(loaded, task, replace(QUICK, tune="weights"))
    assert "lm_head.weight" in changed(tuned)

@pytest.mark.parametrize("how",
    [Learning(augment=3, train_steps=60), Learning("weights", augment=3, train_steps=60, lr=3e-3)],
    ids=lambda how: how.tune)
def test_demonstrations_are_learned(loaded, how):
    "The loss on a task's demonstrations falls, also where the rows alone are learned."
    task = Task("new", [pair("12|30", "30|12"), pair("4|5", "5|4")], [pair("6", "6")], True)
    def loss(model, data):
        batch = next(ordered_batches(data.train, 64))
        with torch.no_grad():
            x = model.embed(batch)
            logits = model.read(model.step(x, model.start(x))).logits
        return torch.nn.functional.cross_entropy(logits.transpose(1, 2), batch.labels).item()
    few, many = (loss(*learn_task(loaded, task, replace(how, train_steps=steps))[:2]) for steps in (1, 60))
    assert many < (0.98 if how.tune == "rows" else 0.9)*few

def test_the_answer_in_the_file_changes_nothing(loaded, tmp_path):
    answers = []
    for number, answer in enumerate(([[0, 7], [6, 6]], [[5]])):
        content = {**NEW, "test": [{**NEW["test"][0], "output": answer}]}
        task, = read_task_file(task_file(tmp_path, {"t": content}, f"{number}.json"))
        answers.append(answer_task(loaded, task, QUICK)[0].submission())
    assert answers[0] == answers[1]

def test_arc_solve(cli_run, loaded, tmp_path):
    save_model(tmp_path/"m.safetensors", loaded.model, canvas, identities=loaded.identities)
    options = ("--model", tmp_path/"m.safetensors", "--augment", "1", "--rounds", "1",
        "--learning-steps", "2", "--steps", "1")
    path = task_file(tmp_path,
        {"a": NEW, "b": {**NEW, "test": [{"input": [[1]], "output": [[2]]}]*2}}, "two.json")
    code, out, err = cli_run("arc", "solve", path, *options)
    assert (code == 0 and "a: 2 steps of learning (rows), 2 votes\n" in err
        and "b: 2 steps of learning (rows), 4 votes, 0% of" in err), err
    said = json.loads(out)
    assert ({name: len(pairs) for name, pairs in said.items()} == {"a": 1, "b": 2}
        and said["a"][0].keys() == {"attempt_1", "attempt_2"})
    assert (cli_run("arc", "solve", path, *options, "--out", tmp_path/"out.json")[0] == 0
        and json.loads((tmp_path/"out.json").read_text()) == said)
    for content, sentence in (({"test": NEW["test"]}, "it should have a list 'train' with at least one pair"),
            ({**NEW, "train": []}, "it should have a list 'train'"), ({}, "there is no task in it"),
            ({**NEW, "train": [{"input": [[1]*8], "output": [[1]]}]}, "task new: "
                "a grid has 8 rows or columns, and the canvas only 7"), ({**NEW, "train": [{"input": [[1]]}]},
                "train pair 1: an 'input' and an 'output'|should have an 'input'|answer is missing")):
        code, out, err = cli_run("arc", "solve", task_file(tmp_path, content), *options)
        assert code == 2 and not out and re.search(sentence, err), err
    assert "tune 'all' is not known" in cli_run("arc", "solve", path, *options, "--tune", "all")[2]

def test_time_is_up_before_the_steps_are(loaded):
    task = replace(TASKS[0], id="late")
    model, _, steps = learn_task(loaded, task, replace(QUICK, minutes=0))
    assert steps == 0 and torch.isfinite(model.puzzle_emb.weights).all()
    with pytest.raises(InputError, match="give a model that was trained on ARC tasks"):
        learn_task(replace(loaded, puzzle=find_puzzle("sudoku-4x4")), task)
