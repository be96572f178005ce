"""A step reads no number back from the device, leaves everything where it is in memory, and what was wrong
is found at the next look."""
import contextlib
from dataclasses import replace
import pytest, torch
from torch.utils._python_dispatch import TorchDispatchMode
from test_not_finite import CASES, CONFIG, LAST, everything, noisy, same, strict
from trm_lab.data.generate import generate_dataset
from trm_lab.models.halting import BinaryHalting
from trm_lab.models.trm import Network
from trm_lab.training.capture import LONG
from trm_lab.training.optimizers import OPTIMIZERS
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.core.run import Run
from trm_lab.training.states import load_state, not_finite
from trm_lab.training.trainer import NotFinite, Trainer
from trm_lab.training.loop import fit
from trm_lab.models.variants import ARCHITECTURES

@pytest.fixture(scope="module")
def four(): return generate_dataset(Sudoku(2, 2), 64, 16)

# ---- nothing is read ------------------------------------------------------------------

READS = {"_local_scalar_dense", "item", "is_nonzero", "equal",
    "nonzero", "nonzero_static", "masked_select", "_unique", "_unique2",
    "unique_dim", "unique_consecutive", "repeat_interleave", "_linalg_check_errors", "_assert_async"}
# what asks a tensor for its values
METHODS = ("item", "tolist", "cpu", "__bool__", "__int__", "__float__", "__index__")

class Waits(AssertionError): "On a GPU, this would have waited for it."

class NoReads(TorchDispatchMode):
    """Fails on every operation whose result, or whose result's shape, depends on numbers
    that only the device has."""
    def __torch_dispatch__(self, func, kinds, args=(), kwargs=None):
        name = func.overloadpacket.__name__
        masks = (name.startswith("index")
            and any(t is not None and t.dtype in (torch.bool, torch.uint8) for given in args
                if isinstance(given, list | tuple) for t in given if isinstance(t, torch.Tensor)))
        if name in READS or masks: raise Waits(f"{func}")
        return func(*args, **(kwargs or {}))

@contextlib.contextmanager
def unread(monkeypatch):
    "While this is open, nobody learns a tensor's values."
    def refuse(name):
        def asked(self, *given): raise Waits(f"Tensor.{name}")
        return asked
    with monkeypatch.context() as m, NoReads():
        for name in METHODS: m.setattr(torch.Tensor, name, refuse(name))
        yield

BLOCKS = {"trm with an MLP": {},
    "trm with attention": {"model": {**CONFIG.model, "mlp_t": False, "pos_encodings": "rope"}},
    "parts": {"accumulate": 2}, "q_learning": {"halting": "q_learning"}, "no average": {"ema": False},
    "no ramp": {"ema_ramp": False},
    "stablemax in bfloat16": {"loss": "stablemax", "dtype": "bfloat16"},
    "no embedding": {"model": {**CONFIG.model, "puzzle_emb_ndim": 0}},
    "late slots": {"late_share": 0.25, "late_steps": 8, "late_stride": 2, "accumulate": 2},
    "random latents": {"random_start_share": 0.5, "latent_noise": 0.1},
    "all for depth": {"late_share": 0.25, "random_start_share": 0.5, "latent_noise": 0.1, "L_cycles_start": 1,
        "model": {**CONFIG.model, "L_cycles": 2, "relaxation": 0.9, "relaxation_learned": True}},
    **{name: {"optimizer": name} for name in OPTIMIZERS},
    **{name: {"arch": name, "model": {k: v for k, v in CONFIG.model.items()
        if k in {f for f in ARCHITECTURES[name].Config.__dataclass_fields__}}}
        for name in ARCHITECTURES}}

@pytest.mark.parametrize("what", BLOCKS)
def test_a_step_reads_nothing(what, four, monkeypatch):
    """The first step, which fills every slot, and those that halt and go on; then the look,
    which is where one waits."""
    trainer = Trainer(replace(CONFIG, **BLOCKS[what]), four)
    trainer.look_every = 100
    with unread(monkeypatch):
        for _ in range(5): trainer.step()
    with pytest.raises(Waits), unread(monkeypatch): trainer.look()
    trainer.pasts.clear()
    assert trainer.steps_done == 5 and not_finite(trainer.state().tensors) is None

@pytest.mark.parametrize("ask", [lambda q: q.max().item(), lambda q: q[q > 0], lambda q: bool(q.any()),
        lambda q: q.unique(), lambda q: q.sum().tolist(), lambda q: q.nonzero(), lambda q: q.cpu()],
    ids=["item", "mask", "bool", "unique", "list", "nonzero", "cpu"])
def test_whoever_reads_is_noticed(ask, four, monkeypatch):
    class Asks(BinaryHalting):
        def done(self, output):
            ask(output.q_halt)
            return super().done(output)
    trainer = Trainer(CONFIG, four, halting=Asks(3))
    with pytest.raises(Waits), unread(monkeypatch): trainer.step()

# ---- looks that come late -----------------------------------------------------------------

@pytest.mark.parametrize("spoil", CASES, ids=lambda f: f.__name__)
def test_what_is_found_late_is_found_as_it_was(spoil, four, tmp_path):
    """Looked at every fourth step, a number that is not finite in the sixth: the sixth is named, and nothing
    after the fifth has happened."""
    config = replace(CONFIG, accumulate=2) if spoil.__name__ == "second_part" else CONFIG
    whole, run = noisy(Trainer(config, four)), Run(tmp_path/"run")
    fit(whole, Run(tmp_path/"whole"))
    end, rows = everything(whole), strict(tmp_path/"whole"/"metrics.jsonl")
    trainer = noisy(Trainer(config, four))
    trainer.look_every = 4
    spoil(trainer)
    with pytest.raises(NotFinite, match=f"stopped at step {LAST}: .*{CASES[spoil]}"): fit(trainer, run)
    assert trainer.steps_done == LAST - 1 and len(strict(run.folder/"metrics.jsonl")) == 1
    state = load_state(run.folder/"checkpoints"/"states")
    assert state.step == LAST - 1 and not_finite(state.tensors) is None
    again = noisy(Trainer(config, four))
    again.look_every = 3
    fit(again, run)
    same(everything(again), end)
    assert strict(run.folder/"metrics.jsonl") == rows

def test_the_very_first_step(four):
    "Before it there is no carry, and after it was found there is none either."
    trainer = Trainer(replace(CONFIG, lr_warmup_steps=0), four)
    trainer.look_every, before = 5, {name: t.clone() for name, t in trainer.model.state_dict().items()}
    handle = trainer.model.lm_head.weight.register_hook(lambda g: g*torch.inf)
    for _ in range(4): trainer.step()
    with pytest.raises(NotFinite, match="stopped at step 1: .* the gradient of lm_head.weight"):
        trainer.step()
    assert trainer.carry is None and trainer.steps_done == 0 and trainer.source.batches.drawn == 0
    for name, t in trainer.model.state_dict().items(): assert torch.equal(t, before[name]), name
    handle.remove()
    trainer.step()
    assert trainer.steps_done == 1

# ---- compiled where it pays ------------------------------------------------------------------

@pytest.mark.parametrize("asked, steps, able, expected", [(None, LONG, True, True),
    (None, LONG - 1, True, False), (None, LONG, False, False), (True, 1, False, True),
    (False, LONG, True, False)])
def test_a_long_run_compiles_and_says_so(asked, steps, able, expected, four, monkeypatch):
    "Where a GPU could, unless the configuration decides; what it decided is printed before the first step."
    monkeypatch.setattr("trm_lab.training.capture.can_compile", lambda device: able)
    trainer = Trainer(replace(CONFIG, compile=asked, train_steps=steps), four)
    networks = [m for m in trainer.model.modules() if isinstance(m, Network)]
    assert networks and {m._compiled_call_impl is not None for m in networks} == {expected}
    assert trainer.manner == "the networks are compiled, so the first steps take a minute"*expected

# ---- in place -----------------------------------------------------------------------------

class InPlace:
    """What a replayed graph does, kernel by kernel: inputs at fixed places, and a
    carry that stays where it is."""
    def __init__(self, trainer): self.trainer, self.of, self.given = trainer, trainer.model.config, None
    def __call__(self, given):
        if self.given is None: self.given = [t.clone() for t in given]
        for mine, new in zip(self.given, given): mine.copy_(new)
        return {name: t.clone() for name, t in self.trainer._in_place(*self.given).items()}

def places(trainer):
    "Where everything is that lasts from step to step."
    moments = [t for o in trainer.optimizers for kept in o.state.values() for t in kept.values()]
    return [t.data_ptr() for t in (*trainer.model.state_dict().values(),
        *trainer.ema.shadow.values(), trainer.ema.count, *moments, *trainer.carry.tensors(),
        *trainer.undo.copies, trainer.finite.alive, trainer.finite.good, trainer.finite.found)]

@pytest.mark.parametrize("changes", [*({"optimizer": name} for name in OPTIMIZERS), BLOCKS["late slots"],
        BLOCKS["random latents"]], ids=[*OPTIMIZERS, "late slots", "random latents"])
def test_a_step_in_place_is_the_same_step(changes, four):
    config = replace(CONFIG, **{"halting": "q_learning", "accumulate": 2, **changes})
    plain, fixed = (Trainer(config, four) for _ in range(2))
    fixed.captured = InPlace(fixed)
    for step in range(8):
        random = torch.get_rng_state()
        one, other = plain.step(), (torch.set_rng_state(random), fixed.step())[1]
        for name, t in one.items(): assert torch.equal(t, other[name]), f"{name} at step {step + 1}"
        if not step: before = places(fixed)
    assert places(fixed) == before
    same((plain.state().tensors, {}), (fixed.state().tensors, {}))
