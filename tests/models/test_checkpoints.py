"Checkpoints as they come: published ones of every kind, damaged ones, hostile ones, large ones."
import contextlib, itertools, json, os, pickle, random, re, signal, subprocess, sys, zipfile
from dataclasses import asdict
from pathlib import Path
import pytest, torch, yaml
from processes import run_forked
from safetensors.torch import save_file
from trm_lab.models.checkpoints import load, save_model, write_published
from trm_lab.core.errors import InputError
from trm_lab.models.halting import HALTINGS
from trm_lab.models.trm import TRM, TRMConfig
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.models.variants import ARCHITECTURES, build_model
from test_cli import trm_lab

REFERENCE = sorted((Path(__file__).parents[1]/"reference"/"models").iterdir())
CYCLES = {"H_cycles": 2, "L_cycles": 3}
SMALL = {"hidden_size": 8, "num_heads": 2, "swiglu_multiple": 8, "puzzle_emb_len": 2,
    "num_puzzle_identifiers": 6}

@pytest.fixture(scope="module")
def model():
    torch.manual_seed(0)
    model = build_model("trm", {"seq_len": 16, "vocab_size": 6, **SMALL, **CYCLES, "mlp_t": True,
        "pos_encodings": "none", "num_heads": 1}).eval()
    model.puzzle_emb.weights.normal_()
    return model

TOLD = {**CYCLES, "puzzle_emb_len": 2} # what its tensors do not show

def same(a, b): return a.keys() == b.keys() and all(torch.equal(t, b[name]) for name, t in a.items())

def refusal(*arguments, **keywords):
    "The one sentence with which something is refused."
    with pytest.raises(InputError) as caught: load(*arguments, **keywords)
    assert len(str(caught.value).splitlines()) == 1
    return str(caught.value)

# ---- round trips -------------------------------------------------------------

@pytest.mark.parametrize("folder", REFERENCE, ids=lambda p: p.name)
def test_reference_to_here_and_back(folder, tmp_path):
    "The same names in the same order with the same numbers and types, by way of our own format."
    theirs = torch.load(folder/"step_0", weights_only=True)
    loaded = load(folder)
    assert (loaded.unverified is None and loaded.puzzle is None and loaded.rows is None
        and loaded.history == {"file": "step_0", "weights": "model", "loss": "stablemax"})
    assert loaded.halting == ("q_learning" if folder.name in ("hrm", "direct_transformer") else "binary")
    save_model(tmp_path/"ours.safetensors", loaded.model, loaded.puzzle, loaded.history, loaded.halting)
    ours = load(tmp_path/"ours.safetensors")
    # also after the conversion it is known what its logits mean
    assert ours.policy(5) == loaded.policy(5) == HALTINGS[loaded.halting](5, loss="stablemax")
    assert (ours.halting == loaded.halting and ours.model.config == loaded.model.config
        and type(ours.model) is type(loaded.model))
    write_published(tmp_path/"step_7", ours.model)
    back = torch.load(tmp_path/"step_7", weights_only=True)
    assert (list(back) == list(theirs)
        and all(back[name].dtype == t.dtype and torch.equal(back[name], t) for name, t in theirs.items()))
    again = load(tmp_path) # by the all_config.yaml that was written
    assert (again.model.config == loaded.model.config
        and same(again.model.state_dict(), loaded.model.state_dict()))
    described, reference = (yaml.safe_load((tmp_path/"all_config.yaml").read_text())["arch"],
        json.loads((folder/"config.json").read_text())["arch"])
    assert described["name"] == reference["name"]
    # what the reference takes from the dataset may not stand in arch as well, and everything else has to
    assert (not described.keys() & {"seq_len", "vocab_size", "num_puzzle_identifiers", "batch_size"}
        and reference.keys() - described.keys() <= {"seq_len", "vocab_size",
            "num_puzzle_identifiers", "batch_size"})

def test_our_files(model, tmp_path):
    file = tmp_path/"m.safetensors"
    save_model(file, model, Sudoku(2, 2), {"seed": 1})
    loaded = load(file)
    assert (same(loaded.model.state_dict(), model.state_dict()) and loaded.unverified is None
        and loaded.history == {"seed": 1} and loaded.policy(5) == HALTINGS["binary"](5))
    assert not loaded.model.training and all(p.requires_grad for p in loaded.model.parameters())
    assert load(file, settings={"H_cycles": 5}).model.config.H_cycles == 5
    some = load(file, rows=[5, 0])
    assert (some.rows == (5, 0) and "2 rows" in some.unverified
        and torch.equal(some.model.puzzle_emb.weights, model.puzzle_emb.weights[[5, 0]]))

@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_weights_in_bfloat16(arch, tmp_path):
    "Half the bytes; every way of loading gives float32 with the rounded values; a flipped bit is noticed."
    torch.manual_seed(0)
    model = build_model(arch, {"seq_len": 16, "vocab_size": 6, **SMALL, "hidden_size": 64})
    rounded = {name: t.bfloat16().float() for name, t in model.state_dict().items()}
    whole, half = tmp_path/"whole.safetensors", tmp_path/"half.safetensors"
    save_model(whole, model, Sudoku(2, 2)); save_model(half, model, Sudoku(2, 2), dtype=torch.bfloat16)
    assert half.stat().st_size < 0.6*whole.stat().st_size
    loaded = load(half)
    assert (loaded.unverified is None and same(loaded.model.state_dict(), rounded)
        and all(t.dtype == torch.float32 for t in loaded.model.state_dict().values()))
    assert same(load(half, dtype=torch.bfloat16).model.state_dict(), rounded)
    assert torch.equal(load(half, rows=[3]).model.puzzle_emb.weights, rounded["puzzle_emb.weights"][[3]])
    # nothing is rounded twice
    save_model(tmp_path/"again.safetensors", loaded.model, Sudoku(2, 2), dtype=torch.bfloat16)
    assert same(load(tmp_path/"again.safetensors").model.state_dict(), rounded)
    data = bytearray(half.read_bytes()); data[-100] ^= 1; half.write_bytes(data)
    assert "damaged after it was saved" in refusal(half)

def test_a_run_begins_with_rounded_weights(tmp_path):
    from trm_lab.data.generate import generate_dataset
    from trm_lab.training.config import TrainConfig
    from trm_lab.training.trainer import initial_model
    dataset, shape = generate_dataset(Sudoku(2, 2), 4, 1), {**SMALL, "num_puzzle_identifiers": 1}
    model = build_model("trm", {"seq_len": 16, "vocab_size": 6, **shape})
    save_model(tmp_path/"half.safetensors", model, Sudoku(2, 2), dtype=torch.bfloat16)
    begun = initial_model(TrainConfig(init_from=str(tmp_path/"half.safetensors")), dataset, torch.float32)
    assert same(begun.state_dict(), {name: t.bfloat16().float() for name, t in model.state_dict().items()})

def test_the_first_format_is_still_read(model, tmp_path):
    "Its checksum was of the tensors alone, and it did not say how to halt."
    from safetensors import safe_open
    from trm_lab.models.checkpoints import _digest
    save_model(tmp_path/"now.safetensors", model, Sudoku(2, 2), {"seed": 1})
    with safe_open(tmp_path/"now.safetensors", "pt") as f: strings = f.metadata()
    tensors = {name: t.contiguous() for name, t in model.state_dict().items()}
    del strings["halting"]
    save_file(tensors, tmp_path/"then.safetensors",
        {**strings, "format": "trm-lab 1", "sha256": _digest(tensors, {})})
    loaded = load(tmp_path/"then.safetensors")
    assert (loaded.unverified is None and loaded.halting == "binary" and loaded.puzzle == Sudoku(2, 2)
        and same(loaded.model.state_dict(), model.state_dict()))
    save_file(tensors, tmp_path/"then.safetensors",
        {**strings, "format": "trm-lab 1", "sha256": _digest(tensors, strings)})
    assert "damaged after it was saved" in refusal(tmp_path/"then.safetensors")

def test_loading_draws_no_random_numbers(model, tmp_path):
    save_model(tmp_path/"m.safetensors", model, None)
    torch.manual_seed(5); first = torch.rand(3)
    torch.manual_seed(5); load(tmp_path/"m.safetensors")
    assert torch.equal(torch.rand(3), first)

# an equivariant model's shapes do not tell how many digits there are
@pytest.mark.parametrize("arch", sorted(ARCHITECTURES.keys() - {"trm_equivariant"}))
def test_every_architecture_is_known_by_its_tensors(arch, tmp_path):
    torch.manual_seed(0)
    model = build_model(arch, {"seq_len": 16, "vocab_size": 6, **SMALL})
    torch.save(model.state_dict(), tmp_path/"step_1")
    told = {name: getattr(model.config, name)
        for name in ("num_heads", "H_cycles", "L_cycles", "rounds", "evaluations", "puzzle_emb_len")
        if hasattr(model.config, name)}
    loaded = load(tmp_path, settings={**told, "seq_len": 16},
        arch=arch if arch in ("trm_separate", "trm_swapped") else None) # these have the tensors of another
    assert type(loaded.model) is type(model) and same(loaded.model.state_dict(), model.state_dict())
    assert asdict(loaded.model.config) == {**asdict(model.config), "puzzle_emb_ndim": 8}

# ---- names and nesting -------------------------------------------------------

def test_any_combination_of_prefixes(model, tmp_path):
    wrappers = ("_orig_mod.", "module.", "model.", "inner.")
    for count in range(5):
        for prefixes in itertools.permutations(wrappers, count):
            torch.save({"".join(prefixes) + name: t for name, t in model.state_dict().items()},
                tmp_path/"step_1")
            assert same(load(tmp_path, settings=TOLD).model.state_dict(), model.state_dict()), prefixes
    torch.save({**{f"model.{name}": t for name, t in model.state_dict().items()},
            "module.H_init": torch.zeros(8)}, tmp_path/"step_1")
    assert "H_init occurs twice" in refusal(tmp_path, settings=TOLD)

def test_nested_weights_and_their_average(model, tmp_path):
    weights = {f"_orig_mod.model.inner.{name}": t for name, t in model.state_dict().items()}
    average = {f"module.{name}": p.detach() + 1 for name, p in model.named_parameters()} # parameters only
    extra = {"step": 3, "optimizers": [{"state": {}}],
        "_orig_mod.model.inner.puzzle_emb.local_weights": torch.zeros(4, 8)}
    expected = {name: t + 1 if name in dict(model.named_parameters()) else t
        for name, t in model.state_dict().items()}
    for ema in ({"ema": average}, {"ema": {"mu": 0.999, "shadow": average}}, {"ema_helper": average}):
        torch.save({"model": {**weights, "puzzle_emb.local_ids": torch.zeros(4, dtype=torch.int32)}, **ema,
                **extra}, tmp_path/"step_1")
        loaded = load(tmp_path, settings=TOLD)
        assert same(loaded.model.state_dict(), expected) and loaded.history["weights"] == "ema"
        assert same(load(tmp_path, settings=TOLD, weights="ema").model.state_dict(), expected)
        assert same(load(tmp_path, settings=TOLD, weights="model").model.state_dict(), model.state_dict())
    for name in ("model_state_dict", "state_dict"):
        torch.save({name: weights, "step": torch.tensor(3)}, tmp_path/"step_1")
        assert same(load(tmp_path, settings=TOLD).model.state_dict(), model.state_dict())
        assert "no average" in refusal(tmp_path, settings=TOLD, weights="ema")
    torch.save({"nothing": {}, "of": 3}, tmp_path/"step_1")
    assert "it holds no weights, only the entries nothing, of" in refusal(tmp_path)

def test_other_files(model, tmp_path):
    """Foreign safetensors, the old pickle format, half precision, tensors that are views, and the
    highest of several steps."""
    save_file({f"model.{name}": t.clone() for name, t in model.state_dict().items()},
        tmp_path/"theirs.safetensors")
    loaded = load(tmp_path/"theirs.safetensors", settings=TOLD)
    assert same(loaded.model.state_dict(), model.state_dict()) and "no checksum" in loaded.unverified
    assert torch.equal(load(tmp_path/"theirs.safetensors", settings=TOLD, rows=[3]).model.puzzle_emb.weights,
        model.puzzle_emb.weights[[3]])
    torch.save(model.state_dict(), tmp_path/"step_2", _use_new_zipfile_serialization=False)
    loaded = load(tmp_path/"step_2", settings=TOLD, rows=[3])
    assert (torch.equal(loaded.model.puzzle_emb.weights, model.puzzle_emb.weights[[3]])
        and "no checksum" in loaded.unverified)
    torch.save({name: t.bfloat16() for name, t in model.state_dict().items()}, tmp_path/"step_10")
    loaded = load(tmp_path, settings=TOLD)
    assert (loaded.history["file"] == "step_10"
        and torch.equal(loaded.model.lm_head.weight, model.lm_head.weight.bfloat16().float()))
    wide = torch.randn(6, 20)
    torch.save({**model.state_dict(), "puzzle_emb.weights": wide[:, 3:11], "lm_head.weight": wide.T[:8].T,
            "H_init": wide[0, :8]}, tmp_path/"step_11")
    loaded, some = load(tmp_path, settings=TOLD).model, load(tmp_path, settings=TOLD, rows=[5, 2]).model
    assert (torch.equal(loaded.puzzle_emb.weights, wide[:, 3:11])
        and torch.equal(loaded.lm_head.weight, wide[:, :8])
        and torch.equal(some.puzzle_emb.weights, wide[[5, 2], 3:11]))

# ---- what has to be told -----------------------------------------------------

def test_what_is_missing_is_named(tmp_path):
    model = TRM(TRMConfig(16, 6, **SMALL))
    torch.save(model.state_dict(), tmp_path/"step_1")
    assert ("num_heads, H_cycles, L_cycles, seq_len, "
        "puzzle_emb_len can be neither read beside the file nor worked out" in refusal(tmp_path))
    assert "seq_len can be" in refusal(tmp_path, settings={**TOLD, "num_heads": 2})
    assert load(tmp_path, settings={**TOLD, "num_heads": 2}, puzzle="sudoku-4x4").model.config.seq_len == 16
    assert "unknown key 'num_head' (did you mean 'num_heads'?)" in refusal(tmp_path,
        settings={"num_head": 2, **TOLD, "num_heads": 2, "seq_len": 16})
    # 36 cells and 8 tokens, this has 6
    assert "9 cells" not in refusal(tmp_path, settings={**TOLD, "num_heads": 2}, puzzle="sudoku-6x6")
    assert "8 should be a multiple of num_heads 3" in refusal(tmp_path,
        settings={**TOLD, "num_heads": 3, "seq_len": 16})
    assert "architecture 'trn' is not known (did you mean 'trm'?)" in refusal(tmp_path, arch="trn")
    assert "more than any board has" in refusal(tmp_path,
        settings={**TOLD, "num_heads": 2, "seq_len": 10**12})
    assert "L_layers is 1000000" in refusal(tmp_path,
        settings={**TOLD, "num_heads": 2, "seq_len": 16, "L_layers": 10**6})
    for rows, sentence in (([9], "no row 9; choose rows from 0 to 5"), ([-1], "no row -1"),
            ([], "should be a list"), (["1"], "should be a list")):
        assert sentence in refusal(tmp_path, settings={**TOLD, "num_heads": 2, "seq_len": 16}, rows=rows)

def test_learned_positions_show_the_length(tmp_path):
    model = build_model("trm", {"seq_len": 16, "vocab_size": 6, **SMALL, "pos_encodings": "learned"})
    torch.save(model.state_dict(), tmp_path/"step_1")
    assert "seq_len or puzzle_emb_len (which make 18 together)" in refusal(tmp_path,
        settings={**CYCLES, "num_heads": 2})
    for told in ({"seq_len": 16}, {"puzzle_emb_len": 2}):
        config = load(tmp_path, settings={**CYCLES, "num_heads": 2, **told}).model.config
        assert (config.seq_len, config.puzzle_emb_len, config.pos_encodings) == (16, 2, "learned")

def test_missing_extra_and_misshapen_tensors_are_named(model, tmp_path):
    def saved(**changes):
        torch.save({name: t for name, t in {**model.state_dict(), **changes}.items() if t is not None},
            tmp_path/"step_1")
        return refusal(tmp_path, settings=TOLD)
    assert "the tensor q_head.bias (2,) is missing" in saved(**{"q_head.bias": None})
    assert "the tensor q_head.bios (2,) has no place in this model (did you mean 'q_head.bias'?)" in saved(
        **{"q_head.bios": torch.zeros(2)})
    assert "the tensor q_head.bias has shape (3,), but this model needs (2,)" in saved(
        **{"q_head.bias": torch.zeros(3)})
    assert saved(**{f"more.{i}": torch.zeros(1) for i in range(9)}).endswith(
        "and 6 more; give weights and settings that belong together")
    assert "holds torch.int64" in saved(**{"q_head.bias": torch.zeros(2, dtype=torch.int64)})
    assert "claims more numbers than the file has" in saved(
        **{"puzzle_emb.weights": torch.zeros(1, 8).expand(10**12, 8)})
    assert "embed_tokens.embedding_weight is missing" in saved(**{"embed_tokens.embedding_weight": None})

def test_the_config_beside(model, tmp_path):
    torch.save(model.state_dict(), tmp_path/"step_1")
    def described(text, name="all_config.yaml"):
        for old in ("all_config.yaml", "config.json"): (tmp_path/old).unlink(missing_ok=True)
        (tmp_path/name).write_text(text if isinstance(text, str) else json.dumps(text))
    good = {"name": "hrm.trm@X", "loss": {"name": "x"}, "seq_len": 16, "H_layers": 0, "expansion": 4,
        "halt_max_steps": 16, "causal": False, **TOLD}
    for name in ("all_config.yaml", "config.json"):
        described({"arch": good, "lr": 1}, name)
        assert same(load(tmp_path).model.state_dict(), model.state_dict())
    described({"arch": {**good, "H_cycle": 3}})
    assert "the key 'H_cycle' is not known for trm (did you mean 'H_cycles'?)" in refusal(tmp_path)
    described({"arch": {**good, "name": "eqr@EqRModel"}})
    assert "the architecture 'eqr@EqRModel' is not known here" in refusal(tmp_path)
    assert load(tmp_path, arch="trm").model.config.H_cycles == 2
    described({"arch": {**good, "hidden_size": 16}})
    assert "H_init has shape (8,), but this model needs (16,)" in refusal(tmp_path)
    described({"arch": {**good, "L_layers": 10**9}})
    assert "L_layers is 1000000000" in refusal(tmp_path)
    for huge, sentence in ((1e300, "'expansion' should be a number that single precision can hold"),
            (1e30, "no model can have these settings")):
        described({"arch": {**good, "expansion": huge}})
        assert sentence in refusal(tmp_path)
    described({"arch": {**good, "expansion": "wide"}})
    assert "'expansion' should be float" in refusal(tmp_path)
    described({"lr": 1})
    assert "it has no mapping 'arch'" in refusal(tmp_path)
    described({"model_type": "other"}, "config.json")
    assert same(load(tmp_path, settings=TOLD).model.state_dict(), model.state_dict())
    described("arch: {")
    assert "this is not YAML" in refusal(tmp_path)

def test_what_the_reference_cannot_be(model, tmp_path):
    for it, sentence in ((build_model("trm", {"seq_len": 16, "vocab_size": 6, "hidden_size": 32,
                    "swiglu_multiple": 64}), "multiple of 256"), (build_model("fixed_point",
                    {"seq_len": 16, "vocab_size": 6, "hidden_size": 32}), "no class for fixed_point"),
            (build_model("hrm", {"seq_len": 16, "vocab_size": 6, "hidden_size": 32, "mlp_t": True}),
                "neither mlp_t nor puzzle_emb_len")):
        with pytest.raises(InputError, match=sentence): write_published(tmp_path/"step_1", it)
    assert not list(tmp_path.iterdir())
    write_published(tmp_path/"step_1",
        build_model("trm", {"seq_len": 16, "vocab_size": 6, "hidden_size": 32}))
    with pytest.raises(InputError, match="already describes another model"):
        write_published(tmp_path/"step_2",
            build_model("trm", {"seq_len": 17, "vocab_size": 6, "hidden_size": 32}))
    write_published(tmp_path/"step_2",
        build_model("trm", {"seq_len": 16, "vocab_size": 6, "hidden_size": 32}))
    assert sorted(p.name for p in tmp_path.iterdir()) == ["all_config.yaml", "step_1", "step_2"]
    # the reference keeps where the latents begin in forward_dtype
    half = build_model("trm", {"seq_len": 16, "vocab_size": 6, "hidden_size": 32}, dtype=torch.bfloat16)
    write_published(tmp_path/"half"/"step_1", half)
    assert {name: t.dtype for name, t in torch.load(tmp_path/"half"/"step_1", weights_only=True).items()
        if t.dtype != torch.float32} == {f"_orig_mod.model.inner.{z}_init": torch.bfloat16 for z in "HL"}

# ---- hostile and damaged files -----------------------------------------------

class Runs:
    def __init__(self, function, *arguments): self.call = function, arguments
    def __reduce__(self): return self.call

@pytest.mark.parametrize("function, arguments, name", [(os.system, ("touch {}",), "posix.system"),
        (eval, ("open('{}', 'w')",), "eval"), (torch.hub.load, ("{}", "x"), "torch.hub.load"),
        (torch.nn.Linear, (2, 2), "torch.nn.modules.linear.Linear")],
    ids=lambda v: getattr(v, "__name__", ""))
def test_a_pickle_that_wants_to_run_code_is_refused(function, arguments, name, model, tmp_path):
    trace = tmp_path/"it_ran"
    hostile = {**model.state_dict(),
        "x": Runs(function, *(a.format(trace) if isinstance(a, str) else a for a in arguments))}
    torch.save(hostile, tmp_path/"step_1")
    torch.save(hostile, tmp_path/"step_2", _use_new_zipfile_serialization=False)
    for protocol in (2, 4):
        (tmp_path/f"step_{protocol + 3}").write_bytes(pickle.dumps({"x": hostile["x"]}, protocol=protocol))
    for file in sorted(tmp_path.glob("step_*")):
        sentence = refusal(file, settings=TOLD)
        assert "would run code" in sentence and re.search(rf"it asks for (builtins\.)?{name};", sentence), (
            file.name, sentence)
    assert not trace.exists()

MUTANTS = 40 # of each file by each operation

def mutate(data, operation, rng):
    "A damaged copy: it differs from the original."
    at = lambda: rng.choice((rng.randrange(len(data)), rng.randrange(min(2000, len(data))),
        len(data) - 1 - rng.randrange(min(2000, len(data)))))
    while True:
        changed = bytearray(data)
        if operation == "cut": del changed[at():]
        elif operation == "flip": changed[at()] ^= 1 << rng.randrange(8)
        elif operation == "swap":
            size, a, b = rng.randrange(1, 64), at(), at()
            changed[a:a + size], changed[b:b + size] = data[b:b + size], data[a:a + size]
        else:
            start = at()
            changed[start:] = bytes(len(data) - start)
        if changed != data: return bytes(changed)

@pytest.mark.parametrize("kind", ["zip", "legacy", "foreign", "ours", "yaml"])
def test_damaged_files_are_refused_or_harmless(kind, model, tmp_path):
    """Each mutant is refused in a sentence; or says that it could not be checked; or only
    lost bytes that say nothing."""
    torch.manual_seed(0)
    model = build_model("trm", {"seq_len": 6, "vocab_size": 4, "hidden_size": 4, "num_heads": 2,
        "swiglu_multiple": 256 if kind == "yaml" else 4, **TOLD})
    tensors, file = (model.state_dict(),
        tmp_path/("m.safetensors" if kind in ("foreign", "ours") else "step_1"))
    if kind == "ours": save_model(file, model, None)
    elif kind == "foreign": save_file({name: t.clone() for name, t in tensors.items()}, file)
    elif kind == "yaml": write_published(file, model)
    else: torch.save(tensors, file, _use_new_zipfile_serialization=kind == "zip")
    damaged = file.with_name("all_config.yaml") if kind == "yaml" else file
    if kind not in ("ours", "yaml"):
        (tmp_path/"config.json").write_text(json.dumps({"arch": {"seq_len": 6, "num_heads": 2, **TOLD}}))
    data, told, rng, outcomes = (damaged.read_bytes(), load(file), random.Random(7),
        {"refused": 0, "unverified": 0, "harmless": 0})
    assert same(told.model.state_dict(), tensors)
    def too_long(*_): raise TimeoutError("loading takes too long")
    signal.signal(signal.SIGALRM, too_long)
    for operation in ("cut", "flip", "swap", "zero"):
        for number in range(MUTANTS):
            damaged.write_bytes(mutate(data, operation, rng))
            signal.alarm(10)
            try: loaded = load(file)
            except InputError as e:
                assert len(str(e).splitlines()) == 1
                outcomes["refused"] += 1
                continue
            finally: signal.alarm(0)
            if loaded.unverified: outcomes["unverified"] += 1
            else: # the settings in a YAML have no checksum; the weights have
                assert same(loaded.model.state_dict(), tensors) and (
                    kind == "yaml" or loaded.model.config == told.model.config), (operation, number)
                outcomes["harmless"] += 1
    print(kind, outcomes)
    assert sum(outcomes.values()) == 4*MUTANTS and outcomes["refused"] > MUTANTS
    if kind in ("zip", "ours"): assert not outcomes["unverified"]

def test_zips_that_torch_would_not_write(model, tmp_path):
    torch.save(model.state_dict(), tmp_path/"good")
    with zipfile.ZipFile(tmp_path/"good") as z: parts = [(m.filename, z.read(m)) for m in z.infolist()]
    def written(parts, **options):
        with (pytest.warns(UserWarning) if len({name for name, _ in parts}) < len(parts)
                else contextlib.nullcontext(),
                zipfile.ZipFile(tmp_path/"step_1", "w", **options) as z):
            for name, data in parts: z.writestr(name, data)
        return tmp_path/"step_1"
    # packed again by some other program
    assert same(load(written(parts), settings=TOLD).model.state_dict(), model.state_dict())
    assert torch.equal(load(tmp_path/"step_1", settings=TOLD, rows=[4, 1]).model.puzzle_emb.weights,
        model.puzzle_emb.weights[[4, 1]])
    assert "is compressed" in refusal(written(parts, compression=zipfile.ZIP_DEFLATED), settings=TOLD)
    assert "occurs twice or overlaps" in refusal(written([*parts, parts[3]]), settings=TOLD)
    assert "another byte order" in refusal(written(
            [(name, b"big" if name.endswith("byteorder") else data) for name, data in parts]), settings=TOLD)
    whole = (tmp_path/"good").read_bytes()
    middle = len(whole)//2
    (tmp_path/"good").write_bytes(whole[:middle] + bytes([whole[middle] ^ 1]) + whole[middle + 1:])
    assert re.search(r"its member good/data/\d+ is damaged ", refusal(tmp_path/"good", settings=TOLD))

# ---- large files -------------------------------------------------------------

OPEN_ROWS = r"""
import re, sys, time
from pathlib import Path
# ru_maxrss would remember the process that started this one
peak = lambda: int(re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())[1])/1024
from trm_lab.models.checkpoints import load
imported, began = peak(), time.time()
loaded = load(sys.argv[1], rows=[int(row) for row in sys.argv[2].split(",")],
    settings={"num_heads": 8, "seq_len": 900, "puzzle_emb_len": 16, "H_cycles": 3, "L_cycles": 4})
print(time.time() - began, imported, peak(), *loaded.model.puzzle_emb.weights[:, 0].int().tolist())
"""

def large_checkpoint(path, rows, width):
    "A TRM-Att whose puzzle embedding has its row's number in front."
    model = TRM(TRMConfig(900, 12, num_puzzle_identifiers=rows, hidden_size=width, num_heads=8))
    model.puzzle_emb.weights[:, 0] = torch.arange(rows)
    torch.save({f"_orig_mod.model.inner.{name}": t for name, t in model.state_dict().items()}, path)

def open_rows(path, rows):
    "Seconds, and MB before and at most, of a process that opens only these rows."
    done = subprocess.run([sys.executable, "-c", OPEN_ROWS, path, ",".join(map(str, rows))],
        capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    seconds, before, most, *first = map(float, done.stdout.split())
    assert first == rows
    return seconds, before, most

@pytest.mark.skipif(not Path("/proc/self/status").exists(),
    reason="the system does not say how much memory a process has held")
def test_rows_of_a_large_table(tmp_path):
    large_checkpoint(tmp_path/"step_1", 200_000, 128)
    assert (tmp_path/"step_1").stat().st_size > 100e6
    _, before, most = open_rows(tmp_path/"step_1", [*range(0, 200_000, 400), 199_999])
    assert most - before < 25, f"{most - before:.0f} MB for 501 of 200,000 rows"
    loaded = load(tmp_path, settings={"num_heads": 8, "seq_len": 900, "puzzle_emb_len": 16, "H_cycles": 3,
            "L_cycles": 4}, rows=[7, 7, 3])
    assert (loaded.rows == (7, 7, 3) and loaded.model.config.num_puzzle_identifiers == 3
        and "only 3 rows" in loaded.unverified)
    with open(tmp_path/"step_1", "r+b") as f: f.seek(-60_000, 2); f.write(b"damaged") # in a small member
    assert "is damaged" in refusal(tmp_path, settings={"num_heads": 8, "seq_len": 900,
            "puzzle_emb_len": 16, "H_cycles": 3, "L_cycles": 4}, rows=[7])

# ---- the hub -----------------------------------------------------------------

def test_from_the_hubs_cache(model, tmp_path, monkeypatch):
    """Without a network: a file with its config, by branch and by revision; and a sentence
    for all that is not there."""
    def publish(revision, branch, H_cycles):
        folder = tmp_path/"hub"/"models--someone--tiny"
        place = folder/"snapshots"/revision/"deep"
        write = tmp_path/branch/"step_5"
        torch.manual_seed(0)
        write_published(write,
            build_model("trm", {"seq_len": 16, "vocab_size": 6, "hidden_size": 32, "H_cycles": H_cycles}))
        for directory in (place, folder/"blobs", folder/"refs"): directory.mkdir(parents=True, exist_ok=True)
        for file in (write, write.with_name("all_config.yaml")):
            blob = folder/"blobs"/f"{revision}{file.name}"
            blob.write_bytes(file.read_bytes())
            (place/file.name).symlink_to(blob)
        (folder/"refs"/branch).write_text(revision)
    publish("a"*40, "main", 2); publish("b"*40, "v2", 4)
    script = """
from trm_lab.models.checkpoints import load
for source in ("hf://someone/tiny/deep/step_5", "hf://someone/tiny/deep/step_5@v2",
        "hf://someone/tiny/deep/step_5@" + "a"*40, "hf://someone/tiny/deep/step_6",
        "hf://someone/none/step_5", "hf://someone/tiny/deep/step_5@v9"):
    try: loaded = load(source); print(loaded.model.config.H_cycles, loaded.history["file"], loaded.unverified)
    except Exception as e: print(type(e).__name__, e)
"""
    _, out, err = run_forked(script,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "HF_HUB_CACHE": str(tmp_path/"hub")})
    lines = out.splitlines()
    assert lines[:3] == ["2 step_5 None", "4 step_5 None", "2 step_5 None"], out + err
    assert len(lines) == 6 and all(re.fullmatch(r"InputError hf://\S+: it is not in the cache, "
            r"and the hub could not be reached; .*", line) for line in lines[3:]), lines
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    assert "pip install 'trm-lab[hub]'" in refusal("hf://someone/tiny/deep/step_5")
    assert "write hf://owner/repository/path" in refusal("hf://someone/tiny")

# ---- the command line --------------------------------------------------------

def test_convert(tmp_path, monkeypatch, capsys):
    run = lambda *arguments: trm_lab(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    source, ours, theirs = REFERENCE[0].parent/"trm_att", tmp_path/"a"/"m.safetensors", tmp_path/"b"/"step_9"
    code, out, _ = run("convert", source, ours)
    assert (code == 0
        and "step_0: trm, 58,018 numbers, 5 puzzle identities; checksums agree" in out and str(ours) in out)
    assert run("convert", ours, theirs)[0] == 0
    assert same(torch.load(theirs, weights_only=True), torch.load(source/"step_0", weights_only=True))
    for target in (ours, theirs, source/"step_0"):
        code, _, err = run("convert", ours, target)
        assert code == 2 and "is there already; choose another name or remove it first" in err
    (tmp_path/"bare").mkdir()
    (tmp_path/"bare"/"step_3").write_bytes(theirs.read_bytes())
    code, _, err = run("convert", tmp_path/"bare", tmp_path/"c.safetensors", "--arch", "trm", "--arch",
        "num_heads=4", "--arch", "H_cycles=3", "--arch", "L_cycles=4", "--arch", "puzzle_emb_len=4")
    assert code == 2 and "seq_len can be neither read" in err and "--arch seq_len=…" in err
    code, out, _ = run("convert", tmp_path/"bare", tmp_path/"c.safetensors", "--arch", "num_heads=4",
        "--arch", "H_cycles=3", "--arch", "L_cycles=4", "--arch", "puzzle_emb_len=4", "--puzzle",
        "sudoku-4x4", "--rows", "4,0")
    assert code == 0 and "2 puzzle identities (rows 4,0); not verified: only 2 rows" in out
    loaded = load(tmp_path/"c.safetensors")
    assert (loaded.puzzle == Sudoku(2, 2) and loaded.history["rows"] == [4, 0]
        and loaded.model.config.num_puzzle_identifiers == 2)
    for wrong, sentence in ((["--rows", "a"], "write whole numbers"),
            (["--arch", "trm", "--arch", "hrm"], "two architectures")):
        code, _, err = run("convert", ours, tmp_path/"d", *wrong)
        assert code == 2 and sentence in err

def test_solve_and_eval_need_to_know_the_puzzle(tmp_path, monkeypatch, capsys):
    run = lambda *arguments: trm_lab(*arguments, monkeypatch=monkeypatch, capsys=capsys)
    source = REFERENCE[0].parent/"trm_att"
    code, _, err = run("solve", "1..." + "."*12, "--model", source)
    assert code == 2 and "was trained on; name the puzzle type, as in --puzzle" in err
    code, out, err = run("solve", "1..." + "."*12, "--model", source, "--puzzle",
        "sudoku-4x4", "--steps", "2")
    assert code == 0 and "solved: " in out and not err
    code, _, err = run("eval", source, "--data", "none.csv")
    assert code == 2 and "--puzzle" in err
    code, _, err = run("eval", source, "--data", "none.csv", "--puzzle", "sudoku-6x6")
    assert code == 2 and "sudoku-6x6 has 36 cells and 8 tokens, but this model has 16 and 6" in err
    torch.save(torch.load(source/"step_0", weights_only=True), tmp_path/"step_1",
        _use_new_zipfile_serialization=False)
    (tmp_path/"config.json").write_text((source/"config.json").read_text())
    code, _, err = run("solve", "1..." + "."*12, "--model", tmp_path, "--puzzle",
        "sudoku-4x4", "--steps", "2")
    assert code == 0 and err == "not verified: a pickle of the old kind, which has no checksum\n"
