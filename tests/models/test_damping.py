"Damped updates: every architecture goes α of the way; α = 1 costs nothing; a learned α is a weight."
from dataclasses import replace
import numpy as np, pytest, torch
from torch.utils._python_dispatch import TorchDispatchMode
from trm_lab.core.errors import InputError
from trm_lab.data.batches import make_batch
from trm_lab.models.checkpoints import load, save_model, write_published
from trm_lab.models.export import describe
from trm_lab.models.layers import cast_once
from trm_lab.models.variants import ARCHITECTURES, build_model
from trm_lab.puzzles.sudoku import Sudoku

SMALL = {"seq_len": 16, "vocab_size": 6, "hidden_size": 32, "num_heads": 4, "swiglu_multiple": 32}
TOKENS = np.random.default_rng(0).integers(1, 6, (3, 16)).astype(np.uint8)

def built(arch="trm", **changes):
    torch.manual_seed(0)
    model = build_model(arch, {**SMALL, **changes})
    return model, model.embed(make_batch(TOKENS, TOKENS))

@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_each_update_goes_part_of_the_way(arch):
    model, x = built(arch, relaxation=0.3)
    with torch.no_grad():
        seen = [before := model.start(x)]
        model.step(x, before, lambda u, state: seen.append(state))
        for u, z, here in zip(model.schedule(), seen, seen[1:]):
            whole = model.update(x, z, u)[u.name]
            assert torch.allclose(here[u.name], z[u.name] + 0.3*(whole - z[u.name]), atol=1e-6)
            assert not torch.allclose(here[u.name], whole, atol=1e-2)

class Counted(TorchDispatchMode):
    count = 0
    def __torch_dispatch__(self, func, kinds, args=(), kwargs=None):
        self.count += 1
        return func(*args, **(kwargs or {}))

def test_without_damping_not_one_operation_is_added():
    model, x = built()
    state = model.start(x)
    with torch.no_grad(), Counted() as step: model.step(x, state)
    with torch.no_grad(), cast_once(), Counted() as updates:
        for u in model.schedule(): state = model.update(x, state, u)
    with torch.no_grad(), Counted() as damped:
        model.config = replace(model.config, relaxation=0.5)
        model.step(x, state)
    assert step.count == updates.count < damped.count == step.count + len(model.schedule())

@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_learned_factor_is_a_weight(dtype, tmp_path):
    model, x = built(relaxation=0.8, relaxation_learned=True)
    plain, _ = built(relaxation=0.8)
    model.dtype = plain.dtype = dtype
    for net in (model, plain): net.q_head.weight.data.normal_(generator=torch.Generator().manual_seed(1))
    x = model.embed(make_batch(TOKENS, TOKENS))
    one, other = (net.read(net.step(x, net.start(x))) for net in (model, plain))
    near = 0.1 if dtype == torch.bfloat16 else 1e-5 # an α of 8 bits
    assert torch.allclose(one.logits.float(), other.logits.float(), atol=near)
    one.logits.float().square().sum().backward()
    assert model.relaxation_logits.shape == (2,) and (model.relaxation_logits.grad != 0).all()
    with torch.no_grad(): model.relaxation_logits += torch.tensor([1., -2.])
    save_model(tmp_path/"damped.safetensors", model, Sudoku(2, 2))
    again = load(tmp_path/"damped.safetensors").model
    assert torch.equal(again.relaxation_logits, model.relaxation_logits)
    found = {u["name"]: u["relaxation"] for u in describe(again)[0]["schedule"]}
    assert found == pytest.approx({"z_H": 0.91579, "z_L": 0.35123}, abs=1e-4)

def test_who_cannot_say_it_refuses(tmp_path):
    model, _ = built(relaxation=0.5, hidden_size=64, swiglu_multiple=256)
    with pytest.raises(InputError, match="the reference does not damp updates"):
        write_published(tmp_path/"step_1", model)
    assert {u["relaxation"] for u in describe(model)[0]["schedule"]} == {0.5}
    assert not any("relaxation" in u for u in describe(built()[0])[0]["schedule"])

@pytest.mark.parametrize("settings, what", [({"relaxation": 0.}, "relaxation"),
    ({"relaxation": 1.5}, "relaxation"),
    ({"relaxation_learned": True}, "has to be below 1")])
def test_what_cannot_be(settings, what):
    with pytest.raises(InputError, match=what): build_model("trm", {**SMALL, **settings})
