"Checkpoints as people keep them: under other names, in wrappers, in parts; and what only looks like one."
import argparse, gzip, io, json, os, subprocess, sys, tarfile, zipfile
import numpy as np, pytest, torch
from processes import run_forked
from safetensors.torch import save_file
from torch import nn
from trm_lab.models.checkpoints import load, load_weights, save_model, write_published
from trm_lab.interp.session import Session
from trm_lab.data.generate import generate_dataset
from trm_lab.data.batches import ordered_batches
from trm_lab.data.datasets import read_dataset, write_dataset
from trm_lab.core.errors import InputError
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.solving.evaluate import evaluate
from trm_lab.solving.solve import solve, solve_by_step
from trm_lab.interp.trace import run_with_trace
from trm_lab.models.variants import architecture, build_model, unwrapped
from test_checkpoints import TOLD, model, refusal, same # noqa: F401 (model is a fixture)
from test_cli import trm_lab

FOUR = {"seq_len": 16, "vocab_size": 6, "hidden_size": 32, "num_heads": 4}

def raised(call, *arguments, **keywords):
    "The one sentence with which a call is refused."
    with pytest.raises(InputError) as caught: call(*arguments, **keywords)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)

def moved(weights, by=1.): return {name: t + by for name, t in weights.items()}

def kept(file, found, **options):
    torch.save(found, file)
    return load(file, settings=TOLD, **options)

# ---- an average beside the weights ---------------------------------------------

NAMES = ["state_dict_ema", "model_ema", "ema", "ema_state_dict", "ema_model", "ema_model_state_dict",
    "averaged_model", "params_ema", "ema_weights",
    "swa_model", "model_averaged", "ema_helper", "shadow"]

@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("plain", ["state_dict", "model", "params"])
def test_an_average_under_any_of_its_usual_names(name, plain, model, tmp_path):
    raw = model.state_dict()
    file = tmp_path/"last.ckpt"
    loaded = kept(file, {plain: {f"module.{n}": t for n, t in raw.items()}, name: moved(raw), "epoch": 3,
        "optimizer": {"state": {}, "param_groups": []}})
    assert same(loaded.model.state_dict(), moved(raw)) and loaded.history["weights"] == "ema"
    assert loaded.weights == loaded.history["read"] == ("ema" if name == "ema" else f"ema ({name})")
    assert same(load(file, settings=TOLD, weights="ema").model.state_dict(), moved(raw))
    only = load(file, settings=TOLD, weights="model")
    assert same(only.model.state_dict(), raw)
    assert only.weights.startswith("model")
    assert only.history["weights"] == "model"

def test_averages_by_prefix_and_in_callbacks(model, tmp_path):
    "ema_pytorch, Lightning's modules and callbacks, LitEma without dots, a nameless list, exchanged ones."
    raw, file = model.state_dict(), tmp_path/"last.ckpt"
    prefixed = lambda prefix, weights: {f"{prefix}{name}": t for name, t in weights.items()}
    parameters = {name: p.detach() + 1 for name, p in model.named_parameters()}
    averaged = {**raw, **parameters}
    cases = {
        "ema (ema_model)": {**prefixed("online_model.", raw), **prefixed("ema_model.", averaged),
            "initted": torch.Tensor([True]), "step": torch.tensor([5])},
        "ema (state_dict.ema_model)": {"state_dict": {**prefixed("model.", raw),
            **prefixed("ema_model.module.", averaged), "ema_model.n_averaged": torch.tensor(7)},
            "hyper_parameters": {"lr": 1.}},
        "ema (state_dict.model_ema)": {"state_dict": {**prefixed("model.", raw),
            **{f"model_ema.{n.replace('.', '')}": t for n, t in parameters.items()},
            "model_ema.decay": torch.tensor(0.999), "model_ema.num_updates": torch.tensor(3)}},
        "ema (callbacks.EMACallback{'decay': 0.9}.weights)": {"state_dict": prefixed("model.", raw),
            "callbacks": {"EMACallback{'decay': 0.9}": {"weights": averaged}, "Checkpoint": {"best": 1.}}},
        "ema (callbacks.StochasticWeightAveraging.average_model_state)": {"state_dict": prefixed("net.", raw),
            "callbacks": {"StochasticWeightAveraging": {"n_averaged": 3, "average_model_state": averaged}}},
        "ema (ema.shadow_params)": {"model": raw, "ema": {"decay": 0.999, "num_updates": 3,
            "shadow_params": list(parameters.values()), "collected_params": None}},
        "ema (state_dict)": {"state_dict": averaged, "current_model_state": raw,
            "averaging_state": {"n_averaged": torch.tensor(2)}}}
    for said, found in cases.items():
        loaded = kept(file, found)
        assert loaded.weights == said and same(loaded.model.state_dict(), averaged), said
        assert same(load(file, settings=TOLD, weights="model").model.state_dict(), raw), said
    # Exchanged when it is saved.
    mm = {"meta": {}, "message_hub": {}, "state_dict": averaged, "ema_state_dict": raw}
    assert same(kept(file, mm).model.state_dict(), averaged)
    assert same(load(file, settings=TOLD, weights="model").model.state_dict(), raw)
    torch.save({"model": raw, "ema": {"shadow_params": list(parameters.values())[1:]}}, file)
    assert "list of tensors without names" in refusal(file, settings=TOLD)

def test_an_average_alone_and_none_at_all(model, tmp_path):
    raw, file = model.state_dict(), tmp_path/"last.ckpt"
    loaded = kept(file, {"ema": raw, "epoch": 3})
    assert loaded.weights == "ema" and same(loaded.model.state_dict(), raw)
    assert "an average of weights alone (ema)" in refusal(file, settings=TOLD, weights="model")
    assert kept(file, {"state_dict": raw}).weights is None
    assert "no average of the weights in it" in refusal(file, settings=TOLD, weights="ema")

def test_several_sets_are_not_guessed_between(model, tmp_path):
    raw, file = model.state_dict(), tmp_path/"last.ckpt"
    torch.save({"student": raw, "teacher": moved(raw)}, file)
    assert "several sets of weights (student, teacher)" in refusal(file, settings=TOLD)
    loaded = load(file, settings=TOLD, weights="teacher")
    assert same(loaded.model.state_dict(), moved(raw)) and loaded.weights == "model (teacher)"
    assert "weights 'techer' is not known (did you mean 'teacher'?)" in refusal(file, settings=TOLD,
        weights="techer")
    torch.save({"ema_0.99": raw, "ema_0.9999": moved(raw), "model": raw}, file) # two averages
    assert "several sets of weights (ema_0.99, ema_0.9999)" in refusal(file, settings=TOLD)
    assert same(load(file, settings=TOLD, weights="ema_0.9999").model.state_dict(), moved(raw))
    both = {f"{prefix}.{n}": t.clone() for prefix in "ab" for n, t in raw.items()}
    save_file(both, tmp_path/"two.safetensors")
    assert "several sets of weights (a, b)" in refusal(tmp_path/"two.safetensors", settings=TOLD)

def test_the_average_in_safetensors_and_npz(model, tmp_path):
    raw = model.state_dict()
    sets = {"model": 0, "ema_model": 1}
    both = {f"{prefix}.{n}": t + by for prefix, by in sets.items() for n, t in raw.items()}
    save_file(both, tmp_path/"a.safetensors")
    np.savez(tmp_path/"b.npz", **{n: t.numpy() for n, t in both.items()})
    np.savez_compressed(tmp_path/"c.npz", **{n: t.numpy() for n, t in both.items()})
    for file in ("a.safetensors", "b.npz", "c.npz"):
        assert same(load(tmp_path/file, settings=TOLD).model.state_dict(), moved(raw)), file
        some = load(tmp_path/file, settings=TOLD, weights="model", rows=[4, 0])
        assert torch.equal(some.model.puzzle_emb.weights, raw["puzzle_emb.weights"][[4, 0]]), file
    np.savez(tmp_path/"d.npz", a=np.array([{}], dtype=object))
    assert "not a whole file of arrays" in refusal(tmp_path/"d.npz")
    (tmp_path/"b.npz").write_bytes((tmp_path/"b.npz").read_bytes()[:-300])
    assert "b.npz" in refusal(tmp_path/"b.npz")

def test_it_is_said_which_weights_were_read(model, tmp_path, monkeypatch, capsys):
    run = lambda *arguments: trm_lab(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    torch.save({"state_dict": model.state_dict(), "state_dict_ema": moved(model.state_dict())},
        tmp_path/"last.ckpt")
    told = [word for name, value in TOLD.items() for word in ("--arch", f"{name}={value}")]
    code, out, _ = run("convert", tmp_path/"last.ckpt", tmp_path/"a.safetensors", *told, "--puzzle",
        "sudoku-4x4")
    assert code == 0
    assert "; weights: ema (state_dict_ema)" in out
    assert load(tmp_path/"a.safetensors").history["read"] == "ema (state_dict_ema)"
    code, out, _ = run("convert", tmp_path/"last.ckpt", tmp_path/"b.safetensors", *told, "--puzzle",
        "sudoku-4x4", "--weights", "model")
    assert code == 0
    assert "; weights: model (state_dict)" in out
    assert same(load(tmp_path/"b.safetensors").model.state_dict(), model.state_dict())
    (tmp_path/"config.json").write_text(json.dumps({"arch": {"seq_len": 16, "num_heads": 1, **TOLD}}))
    code, _, err = run("solve", "1..." + "."*12, "--model", tmp_path/"last.ckpt", "--puzzle", "sudoku-4x4",
        "--steps", "1")
    assert code == 0 and "weights: ema (state_dict_ema)\n" in err

# ---- wrappers ------------------------------------------------------------------

class Lightning(nn.Module): # as pytorch-lightning's modules are: the network in an attribute
    def __init__(self, model):
        super().__init__()
        self.net, self.again, self.loss = model, model, nn.CrossEntropyLoss()

class Pair(nn.Module): # as ema_pytorch has it
    def __init__(self, model):
        super().__init__()
        self.online_model, self.ema_model = model, build_model("trm", FOUR)

class Adapted(nn.Module):
    def __init__(self, model): super().__init__(); self.model, self.adapter = model, nn.Linear(4, 4)

average = torch.optim.swa_utils.AveragedModel
compiled = lambda m: torch.compile(m, backend="eager")
WRAPPED = {"compiled": compiled, "parallel": nn.DataParallel, "average": average, "lightning": Lightning,
    "average of parallel of compiled": lambda m: average(nn.DataParallel(compiled(m))),
    "lightning of compiled": lambda m: Lightning(compiled(m))}

@pytest.mark.parametrize("how", WRAPPED)
def test_what_wraps_a_model_is_taken_off_when_it_is_saved(how, tmp_path):
    torch.manual_seed(0)
    model = build_model("trm", FOUR)
    wrapped = WRAPPED[how](model)
    save_model(tmp_path/"m.safetensors", wrapped, Sudoku(2, 2))
    save_model(tmp_path/"plain.safetensors", model, Sudoku(2, 2))
    write_published(tmp_path/"step_1", wrapped)
    assert same(load(tmp_path/"m.safetensors").model.state_dict(), model.state_dict())
    assert same(load(tmp_path/"step_1").model.state_dict(), model.state_dict())
    assert (tmp_path/"m.safetensors").read_bytes() == (tmp_path/"plain.safetensors").read_bytes()
    assert architecture(wrapped) == "trm"
    torch.save(wrapped.state_dict(), tmp_path/"theirs.pt") # and what such a wrapper itself writes is read
    assert same(load(tmp_path/"theirs.pt", settings={"num_heads": 4, "seq_len": 16, "H_cycles": 3,
        "L_cycles": 6, "puzzle_emb_len": 16}).model.state_dict(), model.state_dict())

def test_distributed_data_parallel(tmp_path):
    "A process group of one."
    import torch.distributed as dist
    model = build_model("trm", FOUR)
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    try:
        wrapped = nn.parallel.DistributedDataParallel(model)
        save_model(tmp_path/"m.safetensors", average(wrapped), None)
    finally: dist.destroy_process_group()
    assert same(load(tmp_path/"m.safetensors").model.state_dict(), model.state_dict())

def test_a_part_that_was_compiled(tmp_path):
    model = build_model("trm", FOUR)
    expected = {name: t.clone() for name, t in model.state_dict().items()}
    model.L_level = torch.compile(model.L_level, backend="eager")
    assert any("_orig_mod" in name for name in model.state_dict())
    save_model(tmp_path/"m.safetensors", model, None)
    assert same(load(tmp_path/"m.safetensors").model.state_dict(), expected)

@pytest.mark.parametrize("how", WRAPPED)
def test_a_wrapped_model_solves(how):
    "Whatever it is wrapped in: the same answers."
    torch.manual_seed(0)
    model, data = build_model("trm", FOUR).eval(), generate_dataset(Sudoku(2, 2), 1, 4)
    wrapped, batch = WRAPPED[how](model).eval(), next(ordered_batches(data.test, 4))
    expected = solve(model, batch, 2).tokens
    for tokens in (solve(wrapped, batch, 2).tokens, solve_by_step(wrapped, batch, 2).tokens[-1],
            torch.from_numpy(evaluate(wrapped, data.puzzle, data.test, 2).tokens).long(),
            run_with_trace(wrapped, batch, 2).tokens[-1]):
        assert torch.equal(tokens, expected)
    assert Session(wrapped, batch, 2, data.puzzle).model is unwrapped(wrapped)
    assert "Linear is not a model of trm-lab" in raised(solve, nn.Linear(2, 2), batch, 2)

def test_what_cannot_be_saved_is_said(tmp_path):
    model, changed = build_model("trm", FOUR), build_model("trm", FOUR)
    changed.lm_head = nn.Linear(32, 7)
    class Mine(type(model)): pass
    for what, sentence in (
            (nn.Linear(2, 2), "Linear is not a model of trm-lab"),
            (Pair(model),
                "several models (online_model, ema_model); pass one of them, as in .online"),
            (Adapted(model), "weights besides its model (adapter.weight, adapter.bias)"),
            ({"a": 1}, "expected a model of trm-lab, found dict"), (None, "found NoneType"),
            (changed, "this model cannot be saved: the tensor lm_head.bias (7,) has no place"),
            (Mine(model.config), "Mine is not among the architectures")):
        for save in (lambda: save_model(tmp_path/"m.safetensors", what, None),
                lambda: write_published(tmp_path/"step_1", what)):
            assert sentence in raised(save)
    assert not list(tmp_path.iterdir())
    assert unwrapped(nn.DataParallel(model)) is model and unwrapped(model) is model

# ---- numbers that are none -------------------------------------------------------

@pytest.mark.parametrize("bad", [float("nan"), float("inf"), -float("inf")])
def test_numbers_that_are_not_finite(bad, model, tmp_path):
    for name, t in (("puzzle_emb.weights", None), ("q_head.bias", torch.bfloat16),
            ("L_level.layers.0.mlp.down_proj.weight", torch.float16), ("H_init", torch.float64)):
        weights = {n: v.clone() for n, v in model.state_dict().items()}
        weights[name] = weights[name].to(t or torch.float32); weights[name].view(-1)[-1] = bad
        said = f"the tensor {name} {tuple(weights[name].shape)} holds 1 number that is not finite"
        torch.save(weights, tmp_path/"step_1")
        save_file(weights, tmp_path/"m.safetensors")
        torch.save({"model": model.state_dict(), "ema": weights}, tmp_path/"last.ckpt")
        for file in ("step_1", "m.safetensors", "last.ckpt"):
            assert said in refusal(tmp_path/file, settings=TOLD)
        assert said in raised(load_weights, model, weights, "here")
        assert all(v.isfinite().all() for v in model.state_dict().values())
    load(tmp_path/"last.ckpt", settings=TOLD, weights="model") # what is whole can be had
    poisoned = build_model("trm", FOUR)
    with torch.no_grad(): poisoned.q_head.bias[1] = bad
    for save in (lambda: save_model(tmp_path/"new"/"m.safetensors", poisoned, None),
            lambda: write_published(tmp_path/"new"/"step_1", nn.DataParallel(poisoned))):
        assert "the tensor q_head.bias (2,) holds 1 number that is not finite" in raised(save)
    assert not (tmp_path/"new").exists()

def test_our_own_file_with_a_number_that_is_not_finite(model, tmp_path, monkeypatch):
    "As an older version may have saved it, checksum and all; and numbers too large for their new type."
    from trm_lab.models import checkpoints
    weights = build_model("trm", FOUR)
    with torch.no_grad(): weights.lm_head.weight[0, :2] = torch.nan
    with monkeypatch.context() as patch:
        patch.setattr(checkpoints, "_finite", lambda *_: None)
        save_model(tmp_path/"old.safetensors", weights, Sudoku(2, 2))
        save_model(tmp_path/"half.safetensors", weights, Sudoku(2, 2), dtype=torch.bfloat16)
    for file in ("old.safetensors", "half.safetensors"):
        assert "lm_head.weight (6, 32) holds 2 numbers that are not finite" in refusal(tmp_path/file)
    double = {**model.state_dict(), "q_head.bias": torch.tensor([1e300, 0.], dtype=torch.float64)}
    torch.save(double, tmp_path/"step_1")
    assert "1 number that is not finite" in refusal(tmp_path/"step_1", settings=TOLD)
    large = build_model("trm", FOUR)
    with torch.no_grad(): large.q_head.bias[0] = torch.finfo(torch.float32).max # bfloat16 rounds it up
    save_model(tmp_path/"whole.safetensors", large, None)
    assert "q_head.bias" in raised(save_model, tmp_path/"rounded.safetensors", large, None,
        dtype=torch.bfloat16)

# ---- in parts --------------------------------------------------------------------

def in_parts(folder, weights, kind, index=True):
    "Two files and what says where everything is."
    folder.mkdir(exist_ok=True)
    stem, end, write = ("model", ".safetensors", save_file) if kind == "safetensors" else ("pytorch_model",
        ".bin", torch.save)
    files = [f"{stem}-0000{i}-of-00002{end}" for i in (1, 2)]
    placed = {name: files[i % 2] for i, name in enumerate(sorted(weights))}
    for file in files:
        write({name: weights[name].clone() for name in placed if placed[name] == file}, folder/file)
    if index:
        (folder/f"{stem}{end}.index.json").write_text(json.dumps({"metadata": {"total_size": 1},
            "weight_map": placed}))
    return [folder/file for file in files], folder/f"{stem}{end}.index.json"

@pytest.mark.parametrize("kind", ["safetensors", "bin"])
def test_a_checkpoint_in_parts(kind, model, tmp_path):
    weights = {f"model.{name}": t for name, t in model.state_dict().items()}
    parts, index = in_parts(tmp_path/"a", weights, kind)
    for source in (tmp_path/"a", *parts, index): # any of them stands for all
        loaded = load(source, settings=TOLD)
        assert same(loaded.model.state_dict(), model.state_dict()) and loaded.history["file"] == index.name
        assert torch.equal(load(source, settings=TOLD, rows=[3]).model.puzzle_emb.weights,
            model.puzzle_emb.weights[[3]])
    index.unlink()
    assert load(tmp_path/"a", settings=TOLD).history["file"] == f"{parts[0].name} and 1 more"
    parts[0].unlink()
    assert f"a checkpoint in 2 parts, and {parts[0].name} is not beside it" in refusal(parts[1],
        settings=TOLD)
    parts, index = in_parts(tmp_path/"b", weights, kind)
    parts[0].write_bytes(parts[1].read_bytes())
    assert "is in" in refusal(index, settings=TOLD) and "another part too" in refusal(index, settings=TOLD)
    placed = json.loads(index.read_text())
    in_parts(tmp_path/"b", weights, kind)
    index.write_text(json.dumps({"weight_map": {**placed["weight_map"], "more": parts[0].name}}))
    assert f"the index places the tensor more in {parts[0].name}, which does not have it" in refusal(index,
        settings=TOLD)
    for wrong in ({"weight_map": {"a": "../../etc/passwd"}}, {"weight_map": []}, [],
            {"weight_map": {"a": 3}}):
        index.write_text(json.dumps(wrong))
        assert "weight_map" in refusal(index)
    parts[1].write_bytes(parts[1].read_bytes()[:50])
    in_parts(tmp_path/"c", weights, kind)[0][1].write_bytes(b"version "
        b"https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 3\n")
    assert "git lfs pull" in refusal(tmp_path/"c")

def test_parts_on_the_hub(model, tmp_path):
    "From its cache, without a network: the index brings its parts and the config."
    snapshot = tmp_path/"hub"/"models--someone--parts"/"snapshots"/("a"*40)
    snapshot.mkdir(parents=True); (snapshot.parents[1]/"refs").mkdir()
    (snapshot.parents[1]/"refs"/"main").write_text("a"*40)
    in_parts(snapshot, model.state_dict(), "safetensors")
    (snapshot/"config.json").write_text(json.dumps({"arch": {"seq_len": 16, "num_heads": 1, **TOLD}}))
    script = """
from trm_lab.models.checkpoints import load
loaded = load("hf://someone/parts/model.safetensors.index.json")
print(loaded.history["file"], loaded.model.config.H_cycles, loaded.described.rpartition("/")[2])
"""
    _, out, err = run_forked(script,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path/"hub")})
    assert out == "model.safetensors.index.json 2 config.json\n", err

# ---- what only looks like a checkpoint ---------------------------------------------

def zipped(names):
    data = io.BytesIO()
    with zipfile.ZipFile(data, "w") as z:
        for name in names: z.writestr(name, b"x")
    return data.getvalue()

def tarred():
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as t: t.addfile(tarfile.TarInfo("step_1"), io.BytesIO())
    return data.getvalue()

LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 116000\n"
LOOKALIKES = {
    "pointer": (LFS, "git lfs pull"),
    "page": (b"<!DOCTYPE html>\n<html><title>Log in", "it is a web page"),
    "old page": (b"\n <HTML><head>", "it is a web page"),
    "denied": (b'<?xml version="1.0"?><Error><Code>AccessDenied', "it is a web page"),
    "nothing": (b"", "it is empty"),
    "gguf": (b"GGUF\3\0\0\0" + bytes(30), "a GGUF file"),
    "keras": (b"\x89HDF\r\n\x1a\n" + bytes(30), "an HDF5 file"),
    "array": (b"\x93NUMPY\1\0v\0{'descr'", "a single array"),
    "gzip": (gzip.compress(b"x"), "compressed archive; unpack it"),
    "zstd": (b"\x28\xb5\x2f\xfd" + bytes(20), "compressed archive"),
    "tar": (tarred(), "a tar archive"),
    "zip": (zipped(["run/step_1", "run/all_config.yaml"]), "zip archive of run/step_1, run/all_config.yaml"),
    "script": (zipped(["m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"]), "TorchScript"),
    "json": (b'{"arch": {"H_cycles": 3}}', "it is text that begins with '{\"arch\""),
    "yaml": (b"arch:\n  H_cycles: 3\n", "it is text that begins"),
    "error": ("Fehler: nicht gefunden – é".encode(), "it is text that begins"),
    "noise": (bytes(range(200, 256))*9, "this is not a checkpoint")}

@pytest.mark.parametrize("kind", LOOKALIKES)
@pytest.mark.parametrize("name", ["step_10", "model.safetensors", "last.ckpt", "pytorch_model.bin"])
def test_what_is_no_checkpoint_is_called_what_it_is(kind, name, tmp_path):
    data, sentence = LOOKALIKES[kind]
    (tmp_path/name).write_bytes(data)
    if name != "model.safetensors" or kind not in ("json", "yaml", "error", "noise"):
        assert sentence in refusal(tmp_path/name)
    else: assert "not a whole safetensors file" in refusal(tmp_path/name)

def test_other_things_that_torch_saves(model, tmp_path):
    optimizer = torch.optim.AdamW(model.parameters())
    torch.save(optimizer.state_dict(), tmp_path/"optimizer.pt")
    assert "the state of an optimizer and no weights" in refusal(tmp_path/"optimizer.pt")
    torch.save(model, tmp_path/"whole.pt")
    assert "reading it would run code: it asks for trm_lab.models.trm.TRM" in refusal(tmp_path/"whole.pt")
    torch.save({f"base_model.model.L_level.layers.0.mlp.down_proj.lora_{x}.weight": torch.zeros(2, 2)
        for x in "AB"}, tmp_path/"adapter_model.bin")
    assert "it is an adapter (LoRA" in refusal(tmp_path/"adapter_model.bin")
    torch.save([model.state_dict()], tmp_path/"list.pt")
    assert "it holds list, not tensors by name" in refusal(tmp_path/"list.pt")
    torch.save({"conv1.weight": torch.zeros(3, 3)}, tmp_path/"resnet.pt")
    assert "its tensors (conv1) do not tell the architecture" in refusal(tmp_path/"resnet.pt")
    loop = {"epoch": 1}; loop["self"] = loop
    torch.save(loop, tmp_path/"loop.pt")
    assert "it holds no weights" in refusal(tmp_path/"loop.pt")
    torch.jit.save(torch.jit.trace(nn.Linear(2, 2), torch.zeros(1, 2)), tmp_path/"script.pt")
    assert "TorchScript" in refusal(tmp_path/"script.pt")
    (tmp_path/"step_5.onnx").write_bytes(b"\x08\x08\x12\x07pytorch")
    assert "an ONNX program" in refusal(tmp_path/"step_5.onnx")
    torch.save(model.state_dict(), tmp_path/"cut.pt")
    (tmp_path/"cut.pt").write_bytes((tmp_path/"cut.pt").read_bytes()[:-900])
    assert "cut.pt: " in refusal(tmp_path/"cut.pt")
    torch.save(model.state_dict(), tmp_path/"named.safetensors") # by what is in it, not by its name
    assert same(load(tmp_path/"named.safetensors", settings=TOLD).model.state_dict(), model.state_dict())
    save_file({name: t.clone() for name, t in model.state_dict().items()}, tmp_path/"named.bin")
    assert same(load(tmp_path/"named.bin", settings=TOLD).model.state_dict(), model.state_dict())

@pytest.mark.parametrize("zipped", [True, False])
def test_what_training_scripts_keep_beside_the_weights(zipped, model, tmp_path):
    "timm keeps its command line, others a score of NumPy: neither runs code."
    beside = {"args": argparse.Namespace(lr=1e-3, model="trm"), "best": np.float64(0.5), "step": np.int64(3),
        "amp_scaler": {"scale": 2.}}
    whole = {"state_dict": model.state_dict(), **beside}
    torch.save(whole, tmp_path/"last.pth", _use_new_zipfile_serialization=zipped)
    assert same(load(tmp_path/"last.pth", settings=TOLD).model.state_dict(), model.state_dict())

def test_a_distributed_checkpoint_is_called_one(model, tmp_path):
    import torch.distributed.checkpoint as dcp
    dcp.save({"model": model.state_dict()}, checkpoint_id=tmp_path/"sharded", no_dist=True)
    assert "a distributed checkpoint" in refusal(tmp_path/"sharded")
    assert "dcp_to_torch" in refusal(tmp_path/"sharded")
    assert "part of a distributed checkpoint" in refusal(tmp_path/"sharded"/"__0_0.distcp")
    from torch.distributed.checkpoint.format_utils import dcp_to_torch_save # what the sentence says works
    dcp_to_torch_save(tmp_path/"sharded", tmp_path/"weights.pt")
    assert same(load(tmp_path/"weights.pt", settings=TOLD).model.state_dict(), model.state_dict())

# ---- folders ----------------------------------------------------------------------

def test_the_checkpoint_in_a_folder(model, tmp_path):
    def folder(name, *files):
        (tmp_path/name).mkdir()
        for file in files: torch.save(model.state_dict(), tmp_path/name/file)
        return tmp_path/name
    for name, files, read in (("hf", ["pytorch_model.bin"], "pytorch_model.bin"),
            ("one", ["epoch=3.ckpt"], "epoch=3.ckpt"), ("steps", ["step_9", "step_10"], "step_10"),
            ("both", ["model.safetensors", "pytorch_model.bin", "optimizer.bin"], "model.safetensors")):
        assert load(folder(name, *files), settings=TOLD).history["file"] == read
    assert "several checkpoints in this folder (epoch=1.ckpt, last.ckpt)" in refusal(folder("lightning",
        "last.ckpt", "epoch=1.ckpt"))
    assert "several checkpoints in this folder (step_3, model.safetensors)" in refusal(folder("mixed",
        "step_3", "model.safetensors"))
    assert "no checkpoint in this folder (no file named step_N" in refusal(folder("none"))
    (folder("adapter")/"adapter_config.json").write_text("{}")
    assert "it is an adapter (LoRA)" in refusal(tmp_path/"adapter")
    (folder("deep")/"zero_to_fp32.py").write_text("")
    assert "DeepSpeed" in refusal(tmp_path/"deep")

def test_a_runs_folder_and_its_states(tmp_path, monkeypatch):
    from trm_lab.runs.training import train_run
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    run, _ = train_run(RUN, tmp_path/"reports")
    loaded = load(run.folder)
    assert loaded.unverified is None and loaded.history["run"] == run.folder.name
    state, = (run.folder/"checkpoints"/"states").glob("step-*")
    for source in (state, state/"tensors.safetensors"): assert "it is a training state" in refusal(source)
    (run.folder/"checkpoints"/"model.safetensors").unlink()
    assert "this run has no finished model" in refusal(run.folder)

def test_two_configs_that_contradict_each_other(model, tmp_path):
    torch.save(model.state_dict(), tmp_path/"step_1")
    (tmp_path/"all_config.yaml").write_text(json.dumps({"arch": {"seq_len": 16, "num_heads": 1, **TOLD}}))
    (tmp_path/"config.json").write_text(json.dumps({"arch": {"seq_len": 16, "num_heads": 1, **TOLD,
        "H_cycles": 7}}))
    assert "all_config.yaml says H_cycles is 2, and config.json says 7" in refusal(tmp_path)
    (tmp_path/"config.json").write_text(json.dumps({"arch": {"num_heads": 1, **TOLD}}))
    assert load(tmp_path).described == f"{tmp_path/'all_config.yaml'} and {tmp_path/'config.json'}"

# ---- equal bytes --------------------------------------------------------------------

RUN = {"name": "equal", "puzzle": "sudoku-4x4", "train_puzzles": 30, "test_puzzles": 10, "train_steps": 3,
    "global_batch_size": 8, "halt_max_steps": 2, "solve_max_steps": 2, "holdout": 0.1,
    "eval_every": 2, "log_every": 1, "device": "cpu", "dtype": "float32", "model": {"hidden_size": 16,
        "num_heads": 2, "swiglu_multiple": 16, "H_cycles": 1, "L_cycles": 1}}

EQUAL = """
import hashlib, json, sys
from pathlib import Path
from trm_lab.models.checkpoints import load, write_published
from trm_lab.runs.training import train_run
from trm_lab.models.variants import build_model
import torch
run, _ = train_run(json.loads(sys.argv[2]), Path(sys.argv[1])/"reports")
torch.manual_seed(0)
write_published(Path(sys.argv[1])/"pub"/sys.argv[3], build_model("hrm", {"seq_len": 16, "vocab_size": 6,
    "hidden_size": 32, "num_heads": 4}))
for path in (*sorted((run.folder/"checkpoints").glob("*.safetensors")), Path(sys.argv[1])/"pub"/sys.argv[3]):
    print(hashlib.sha256(path.read_bytes()).hexdigest())
"""

def test_equal_runs_write_equal_bytes(tmp_path):
    "With other hashes, in other places, at other times, under other names of the file."
    told = []
    for seed in ("1", "2"):
        place = tmp_path/("somewhere" + seed*3); place.mkdir()
        done = subprocess.run([sys.executable, "-c", EQUAL, place, json.dumps(RUN), f"step_{seed}"],
            capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "TRM_LAB_HOME": str(place)})
        assert done.returncode == 0, done.stderr
        told.append(done.stdout.splitlines()[-3:])
    assert told[0] == told[1] and len(set(told[0])) == 3

# ---- datasets ------------------------------------------------------------------------

@pytest.mark.parametrize("data, sentence", [(LFS, "git lfs pull"), (b"", "it is empty"),
    (b"<html>", "it is a web page")])
def test_an_array_of_a_dataset_that_was_not_downloaded(data, sentence, tmp_path):
    write_dataset(generate_dataset(Sudoku(2, 2), 4, 2), tmp_path/"set")
    (tmp_path/"set"/"train"/"all__labels.npy").write_bytes(data)
    assert sentence in raised(read_dataset, tmp_path/"set")
    assert "all__labels.npy" in raised(read_dataset, tmp_path/"set")
