"A puzzle embedding's rows belong to names: they travel with the model, and datasets are matched by them."
import json, warnings
from dataclasses import replace
import numpy as np, pytest, torch
from trm_lab.interp.session import Session
from trm_lab.models.checkpoints import identities_of, load, matched, save_model, write_published
from trm_lab.data.datasets import Dataset, Split, read_dataset, write_dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.core.errors import InputError
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.solving.evaluate import evaluate
from trm_lab.training.config import TrainConfig
from trm_lab.training.trainer import Trainer
from trm_lab.models.variants import build_model
from test_cli import trm_lab

PLAIN = generate_dataset(Sudoku(2, 2), 12, 1)
TASKS = [f"task {letter}" for letter in "abcdefghijkl"]
SHAPE = {"hidden_size": 32, "num_heads": 4, "swiglu_multiple": 32, "H_cycles": 1, "L_cycles": 1,
    "puzzle_emb_len": 2}

def data(names, asked):
    "Puzzles with an identity each, of which some are asked again; a name always has the same board."
    of = lambda some: [TASKS.index(name.partition("|||")[0]) if name.partition("|||")[0] in TASKS else 0
        for name in some]
    def split(some):
        count = np.arange(len(some) + 1, dtype=np.int32)
        return Split(PLAIN.train.inputs[of(some)], PLAIN.train.labels[of(some)],
            np.array([1 + names.index(n) for n in some], np.int32), count, count)
    meta = replace(PLAIN.metadata, num_puzzle_identifiers=len(names) + 1, total_groups=len(names),
        total_puzzles=len(names))
    return Dataset(PLAIN.puzzle, split(names), split(asked), meta, ["<blank>", *names])

FULL, ASKED = data(TASKS, TASKS[4:8]), TASKS[4:8]

@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = build_model("trm", {"seq_len": 16, "vocab_size": 6, "num_puzzle_identifiers": 13, **SHAPE}).eval()
    model.puzzle_emb.weights.normal_()
    return model

@pytest.fixture
def saved(model, tmp_path):
    save_model(tmp_path/"m.safetensors", model, Sudoku(2, 2), identities=identities_of(FULL))
    return tmp_path/"m.safetensors"

def answers(loaded, dataset):
    return evaluate(loaded.model, dataset.puzzle, matched(loaded, dataset, "data")[0], 2).tokens

def raised(call, *arguments, **keywords):
    with pytest.raises(InputError) as caught: call(*arguments, **keywords)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)

OTHERS = {"one fewer": TASKS[1:], "one more in front": ["new", *TASKS], "the other way round": TASKS[::-1],
    "as many, another among them": ["new", *TASKS[:-1]]}

@pytest.mark.parametrize("what", OTHERS)
def test_the_same_tasks_in_another_order_get_the_same_answers(what, saved):
    loaded, other = load(saved), data(OTHERS[what], ASKED)
    split, reason = matched(loaded, other, "data")
    assert reason is None and split.puzzle_identifiers.dtype == other.test.puzzle_identifiers.dtype
    assert [loaded.identities[i] for i in split.puzzle_identifiers] == ASKED
    assert (answers(loaded, other) == answers(loaded, FULL)).all()
    wrong = evaluate(loaded.model, other.puzzle, replace(other.test,
        puzzle_identifiers=other.test.puzzle_identifiers % 13), 2).tokens
    assert (wrong != answers(loaded, FULL)).any() # by number they are others' rows

def test_what_was_never_learned_is_refused_by_name(saved, tmp_path, monkeypatch, capsys):
    other = data([*TASKS[:6], "x|||t1|||0123456789", "y|||t2|||0123456789", "y|||t3|||0123456789"],
        ["task b", "x|||t1|||0123456789", "y|||t2|||0123456789", "y|||t3|||0123456789"])
    sentence = raised(matched, load(saved), other, "data")
    assert "3 of the 4 identities of its test puzzles (x, y) are not among those that this model" in sentence
    write_dataset(other, tmp_path/"other"); write_dataset(data(TASKS[1:], ASKED), tmp_path/"fewer")
    run = lambda *arguments: trm_lab(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    code, _, err = run("eval", saved, "--data", tmp_path/"other", "--steps", "2")
    assert code == 2 and "3 of the 4 identities" in err
    code, out, err = run("eval", saved, "--data", tmp_path/"fewer", "--steps", "2")
    assert code == 0 and "n                    4" in out and not err
    from trm_lab.views.serve import puzzles_of
    assert puzzles_of(Sudoku(2, 2), str(tmp_path/"fewer"),
        loaded=load(saved)).puzzle_identifiers.tolist() == [5, 6, 7, 8]
    session = Session(load(saved), str(tmp_path/"fewer"), 2)
    assert session.batch.puzzle_identifiers.tolist() == [5, 6, 7, 8]
    fewer = tmp_path/"fewer"
    for command in (["solve", fewer, "--model", saved], ["eval", saved, "--data", fewer]):
        assert run(*command, "--steps", "2")[0] == 0
    code, _, err = run("solve", tmp_path/"other", "--model", saved, "--steps", "2")
    assert code == 2 and "3 of the 4 identities" in err
    assert "3 of the 4 identities" in raised(Session, load(saved), str(tmp_path/"other"), 2)
    assert "3 of the 4 identities" in raised(puzzles_of, Sudoku(2, 2), str(tmp_path/"other"),
        loaded=load(saved))

def test_a_file_without_names(model, tmp_path, monkeypatch, capsys):
    "As many are taken to be the same, and it is said; others are refused; a list beside it helps."
    save_model(tmp_path/"m.safetensors", model, Sudoku(2, 2))
    loaded, fewer = load(tmp_path/"m.safetensors"), data(TASKS[1:], ASKED)
    assert loaded.identities is None and "does not name its identities" in matched(loaded, FULL, "data")[1]
    assert "it has 12 identities and the model's puzzle embedding 13" in raised(matched, loaded, fewer,
        "data")
    write_dataset(FULL, tmp_path/"full")
    run = lambda *arguments: trm_lab(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    code, _, err = run("eval", tmp_path/"m.safetensors", "--data", tmp_path/"full", "--steps", "2")
    assert code == 0 and "not verified: the file of the model does not name its identities" in err
    (tmp_path/"identifiers.json").write_text(json.dumps(FULL.identifiers))
    loaded = load(tmp_path/"m.safetensors")
    assert loaded.identities == tuple(FULL.identifiers)
    assert (answers(loaded, fewer) == answers(loaded, FULL)).all()
    for wrong, sentence in ((FULL.identifiers[:-1], "it names 12 identities, but the puzzle embedding has "
            "13 rows"), (["a"]*13, "different names"), ({"a": 1}, "different names")):
        (tmp_path/"identifiers.json").write_text(json.dumps(wrong))
        assert sentence in raised(load, tmp_path/"m.safetensors")
    save_model(tmp_path/"m.safetensors", model, Sudoku(2, 2), identities=FULL.identifiers)
    (tmp_path/"identifiers.json").write_text(json.dumps(FULL.identifiers[::-1]))
    assert "identifiers.json beside it names other identities than the file itself" in raised(load,
        tmp_path/"m.safetensors")

def test_a_dataset_without_names(saved, tmp_path):
    write_dataset(FULL, tmp_path/"full"); (tmp_path/"full"/"identifiers.json").unlink()
    unnamed = read_dataset(tmp_path/"full")
    assert identities_of(unnamed) is None
    assert "data does not name its identities" in matched(load(saved), unnamed, "data")[1]
    short = replace(unnamed, metadata=replace(unnamed.metadata, num_puzzle_identifiers=9),
        test=replace(unnamed.test, puzzle_identifiers=unnamed.test.puzzle_identifiers - 4))
    assert "it has 9 identities" in raised(matched, load(saved), short, "data")

def test_one_identity_needs_no_name(tmp_path):
    dataset = generate_dataset(Sudoku(2, 2), 4, 2)
    model = build_model("trm", {"seq_len": 16, "vocab_size": 6, **SHAPE})
    assert identities_of(dataset) is None
    save_model(tmp_path/"m.safetensors", model, Sudoku(2, 2), identities=identities_of(dataset))
    assert load(tmp_path/"m.safetensors").identities is None
    assert matched(load(tmp_path/"m.safetensors"), dataset, "data") == (dataset.test, None)
    (tmp_path/"identifiers.json").write_text('["<blank>", "of another dataset"]') # does not concern it
    assert load(tmp_path/"m.safetensors").identities is None

def test_names_go_through_every_format(saved, model, tmp_path, monkeypatch, capsys):
    run = lambda *arguments: trm_lab(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    names = ["<blank>", *TASKS]
    assert list(load(saved).identities) == names
    assert load(saved).unverified is None
    assert "task a" not in repr(load(saved))
    assert load(saved, rows=[7, 2]).identities == ("task g", "task b")
    assert run("convert", saved, tmp_path/"some.safetensors", "--rows", "7,2,6")[0] == 0
    some = load(tmp_path/"some.safetensors")
    assert some.identities == ("task g", "task b", "task f")
    assert torch.equal(some.model.puzzle_emb.weights, model.puzzle_emb.weights[[7, 2, 6]])
    two = data(TASKS[1:], ["task f", "task g"])
    assert (answers(some, two) == answers(load(saved), two)).all()
    wide = build_model("trm", {"seq_len": 16, "vocab_size": 6, "num_puzzle_identifiers": 13, **SHAPE,
        "swiglu_multiple": 256}).eval()
    save_model(tmp_path/"wide.safetensors", wide, Sudoku(2, 2), identities=names)
    code, out, _ = run("convert", tmp_path/"wide.safetensors", tmp_path/"pub"/"step_1")
    assert code == 0
    assert out.endswith("identifiers.json\n")
    assert json.loads((tmp_path/"pub"/"identifiers.json").read_text()) == names
    assert list(load(tmp_path/"pub").identities) == names
    assert load(tmp_path/"pub", rows=[12]).identities == ("task l",)
    with pytest.raises(InputError, match="identifiers.json already describes another model"):
        write_published(tmp_path/"pub"/"step_2", wide, names[::-1])
    # In the names.
    data_ = bytearray(saved.read_bytes())
    at = data_.index(b"x\x9c")
    data_[at + 20] ^= 1
    saved.write_bytes(data_)
    assert "damaged after it was saved" in raised(load, saved)

def test_names_that_cannot_be_the_rows(model, tmp_path):
    for names in (["a"]*13, ["a", "b"], [f"{i}" for i in range(14)], list(range(13))):
        assert "identities should be 13 different names" in raised(save_model,
            tmp_path/"m.safetensors", model, None, identities=names)
    odd = [f"ü\ud800 {i}\n" for i in range(13)] # whatever JSON can hold is a name
    save_model(tmp_path/"m.safetensors", model, None, identities=odd)
    assert list(load(tmp_path/"m.safetensors").identities) == odd

def test_a_bomb_of_names(model, tmp_path, monkeypatch):
    import zlib
    from trm_lab.models import checkpoints
    monkeypatch.setattr(checkpoints, "_packed", lambda names: torch.frombuffer(bytearray(zlib.compress(b" "
        b""*1000 + b"[1]")), dtype=torch.uint8))
    save_model(tmp_path/"m.safetensors", model, None, identities=[f"{i}" for i in range(13)])
    assert "not a list of different names" in raised(load, tmp_path/"m.safetensors")

def tiny(**changes):
    return TrainConfig(**{"name": "tiny", "puzzle": "sudoku-4x4", "train_steps": 3, "global_batch_size": 8,
        "halt_max_steps": 2, "solve_max_steps": 2, "device": "cpu", "dtype": "float32",
        "eval_every": 0, "holdout": 0., **changes})

def test_training_begins_with_the_rows_that_bear_the_names(saved, model, tmp_path):
    rows, other = model.puzzle_emb.weights, data(["new", *TASKS[::-1]], ASKED)
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        begun = Trainer(tiny(init_from=str(saved)), other).model
    assert torch.equal(begun.puzzle_emb.weights[[0, *range(2, 14)]], rows[[0, *range(12, 0, -1)]])
    assert torch.allclose(begun.puzzle_emb.weights[1], rows.mean(0), atol=1e-6)
    (tmp_path/"other.json").write_text(json.dumps(FULL.identifiers[::-1]))
    assert "names other identities than" in raised(Trainer, tiny(init_from=str(saved),
        init_identifiers=str(tmp_path/"other.json")), other)
    save_model(tmp_path/"unnamed.safetensors", model, Sudoku(2, 2))
    with pytest.warns(UserWarning, match="does not name its 13 identities; those of the data are taken to "
            "be the same in the same order"):
        Trainer(tiny(init_from=str(tmp_path/"unnamed.safetensors")), FULL)
    with pytest.warns(UserWarning, match="all of the data's begin at their mean"):
        Trainer(tiny(init_from=str(tmp_path/"unnamed.safetensors")), other)

def test_a_run_keeps_its_datasets_names(tmp_path, monkeypatch):
    "Trained, and then scored on the same tasks built again with one fewer."
    from trm_lab.runs.training import train_run
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    write_dataset(FULL, tmp_path/"full")
    run, _ = train_run({"name": "names", "puzzle": "sudoku-4x4", "data": str(tmp_path/"full"),
        "train_steps": 3, "global_batch_size": 8, "halt_max_steps": 2, "solve_max_steps": 2,
        "holdout": 0., "eval_every": 0, "augment": False, "device": "cpu", "dtype": "float32",
        "model": SHAPE}, tmp_path/"reports")
    loaded = load(run.folder)
    assert list(loaded.identities) == FULL.identifiers
    assert (answers(loaded, data(TASKS[1:], ASKED)) == answers(loaded, FULL)).all()
