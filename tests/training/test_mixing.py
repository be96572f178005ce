"Positions mixed in another layout, as on a GPU: the same numbers and the same gradients, compiled as well."
from dataclasses import replace
import pytest, torch
from test_capture import unread
from test_not_finite import CONFIG
from trm_lab.core.errors import InputError
from trm_lab.data.batches import Batch
from trm_lab.data.generate import generate_dataset
from trm_lab.models.layers import MIXINGS, cast_once, mixing
from trm_lab.models.variants import build_model
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.solving.solve import BucketedSteps, solve
from trm_lab.training.trainer import Trainer

SMALL = {"seq_len": 9, "vocab_size": 6, "hidden_size": 16, "num_heads": 4, "swiglu_multiple": 8,
    "puzzle_emb_len": 2, "mlp_t": True, "pos_encodings": "none"} # 11 positions

def small(arch="trm", dtype=torch.float64, **changes):
    torch.manual_seed(0)
    model = build_model(arch, {**SMALL, **changes}, "mixing", dtype)
    return model.double() if dtype == torch.float64 else model

def asked(cells=9):
    boards = torch.randint(1, 6, (2, 5, cells), generator=torch.Generator().manual_seed(1))
    return Batch(*boards, torch.zeros(5, dtype=torch.long))

def learned(model, way):
    "Logits, and the gradients of all weights and of the question."
    x = model.embed(asked(model.config.seq_len)).detach().requires_grad_()
    model.zero_grad()
    with mixing(way):
        logits = model.read(model.step(x, model.start(x))).logits
        (logits*torch.linspace(-1, 1, logits.numel()).to(logits).view_as(logits)).sum().backward()
    return {"logits": logits.detach(), "x": x.grad.clone(),
        **{name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}}

@pytest.mark.parametrize("cells", [9, 14]) # with the embedding 11 positions, and 16, which need no padding
@pytest.mark.parametrize("arch", ["trm", "hrm", "fixed_point"])
def test_every_way_is_the_same(arch, cells):
    model = small(arch, seq_len=cells)
    exact = 1e-9 if arch != "fixed_point" else 1e-6 # its equations are solved only so far
    wanted = learned(model, "transposed")
    for way in ("left", "padded"):
        found = learned(model, way)
        assert found.keys() == wanted.keys() and any("mlp_t" in name for name in found)
        for name, t in wanted.items():
            assert torch.allclose(found[name], t, rtol=exact, atol=exact), (way, name)
            assert found[name].shape == t.shape and t.abs().max() > 0

@pytest.mark.parametrize("way", ["left", "padded"])
def test_in_bfloat16_it_is_as_exact(way):
    exact, model = learned(small(), "transposed"), small(dtype=torch.bfloat16)
    plain, found = learned(model, "transposed"), learned(model, way)
    for name in ("logits", "L_level.layers.0.mlp_t.gate_up_proj.weight",
            "L_level.layers.1.mlp_t.down_proj.weight"):
        def apart(t): return ((t.double() - exact[name]).norm()/exact[name].norm()).item()
        assert found[name].dtype == plain[name].dtype and apart(found[name]) < 1.5*apart(plain[name]) + 1e-3

@pytest.mark.parametrize("way", MIXINGS)
def test_compiled_it_is_the_same(way):
    "Traced with its backward pass, in one piece. torch compiles it to the end in benchmarks/gpu_check.py."
    torch.compiler.reset()
    model, compiled = small(), small()
    compiled.L_level.compile(backend="aot_eager", fullgraph=True)
    wanted, found = learned(model, "transposed"), learned(compiled, way)
    for name, t in wanted.items(): assert torch.allclose(found[name], t, rtol=1e-9, atol=1e-11), name
    with torch.no_grad(), mixing(way):
        x = model.embed(asked())
        assert torch.allclose(compiled.step(x, model.start(x))["z_H"], model.step(x, model.start(x))["z_H"])

@pytest.mark.parametrize("way", ["left", "padded"])
def test_training_and_solving(way, monkeypatch):
    "Steps read nothing, weights become the same as in the fused way, and solving in few sizes gives them."
    data, config = generate_dataset(Sudoku(2, 2), 64, 16), replace(CONFIG, dtype="float64")
    plain, other = Trainer(config, data), Trainer(config, data)
    other.look_every = 100
    for _ in range(4): plain.step()
    with mixing(way), unread(monkeypatch):
        for _ in range(4): other.step()
    other.look()
    theirs = other.model.state_dict()
    for name, t in plain.model.state_dict().items():
        assert theirs[name].shape == t.shape and torch.allclose(theirs[name], t, rtol=1e-6, atol=1e-8), name
    model, batch = plain.averaged(), next(iter(Trainer(config, data).source.batches))
    wanted = solve(model, batch, 3)
    with mixing(way): found = solve(model, batch, 3, stepper=BucketedSteps(model))
    assert torch.equal(found.tokens, wanted.tokens) and torch.allclose(found.q_halt, wanted.q_halt)

def test_a_weight_that_was_changed_counts_at_once():
    model = small()
    with torch.no_grad(), cast_once(), mixing("left"):
        x = model.embed(asked())
        before = model.step(x, model.start(x))["z_H"]
        model.L_level.layers[0].mlp_t.down_proj.weight.mul_(2)
        assert not torch.equal(model.step(x, model.start(x))["z_H"], before)

def test_unknown_ways_are_refused():
    with pytest.raises(InputError, match="mixing"), mixing("right"): pass
