"""Every number of a configuration has a kind and a range, and one outside is refused in one sentence,
before any folder is made."""
import datetime, math
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Annotated
import numpy as np, pytest, torch
from trm_lab.checks.bench import Plan
from trm_lab.data.batches import Batches, validation_split, ordered_batches
from trm_lab.data.generate import generate_dataset
from trm_lab.core.device import seed_everything
from trm_lab.core.errors import (
    Amount, Count, InputError, Name, Natural, Positive, Probability, Range, Share, build, check, given)
from trm_lab.models.halting import BinaryHalting, QLearningHalting
from trm_lab.models.trm import TRMConfig
from trm_lab.training.optimizers import EMA, AdamATan2
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.solving.search import Search
from trm_lab.solving.evaluate import evaluate, wilson
from trm_lab.solving.solve import noise, solve, solve_by_step
from trm_lab.training.config import TrainConfig
from trm_lab.models.variants import ARCHITECTURES, build_model

def refused(make):
    "The sentence with which something is refused."
    with pytest.raises(InputError) as said: make()
    text = str(said.value)
    assert "\n" not in text and len(text) < 600, text
    return text

REFUSED = [({"seed": -1}, "'seed' cannot be negative, found -1"),
    ({"data_seed": -3}, "'data_seed' cannot be negative"),
    ({"seed": 2**64}, "64 bits"), ({"lr": math.nan}, "'lr' should be a finite number, found float nan"),
    ({"lr": "nan"}, "'lr' should be"),
    ({"lr": math.inf}, "finite"), ({"lr": "1e999"}, "finite"), ({"lr": 1e39}, "single precision"),
    ({"lr": 10**400}, "single precision"),
    ({"lr": 0}, "'lr' should be greater than 0, found 0"),
    ({"lr": True}, "'lr' should be float, found bool True"),
    ({"train_steps": 2.5}, "'train_steps' should be int, found float 2.5"),
    ({"train_steps": math.inf}, "'train_steps' should be int"),
    ({"train_steps": "0x10"}, "'train_steps' should be int"),
    ({"train_steps": "9"*5000}, "'train_steps' should be int"),
    ({"train_steps": "٣"}, "'train_steps' should be int"),
    ({"train_steps": np.array([3])}, "'train_steps' should be int"),
    ({"halt_exploration_prob": 3}, "from 0 to 1"), ({"halt_exploration_prob": -0.1}, "from 0 to 1"),
    ({"lr_min_ratio": -5}, "from 0 to 1"),
    ({"beta1": 1}, "'beta1' should be from 0 to below 1"),
    ({"beta2": -0.1}, "'beta2' should be from 0 to below 1"), ({"ema_rate": 1.}, "below 1"),
    ({"holdout": 1}, "below 1"), ({"weight_decay": -1e-9}, "cannot be negative"),
    ({"puzzle_emb_lr": -1}, "cannot be negative"),
    ({"puzzle_emb_weight_decay": math.nan}, "finite"), ({"halt_loss_weight": -0.5}, "cannot be negative"),
    ({"save_seconds": math.inf}, "finite"),
    ({"score_groups": 0}, "greater than 0"), ({"accumulate": 0}, "greater than 0"),
    ({"eval_every": -1}, "cannot be negative"),
    ({"augment": 1}, "'augment' should be bool | str, found 1; write true or false"),
    ({"ema": "true"}, "should be bool"),
    ({"name": datetime.date(2026, 11, 26)}, "'name' should be str.*write it in quotes"),
    ({"name": 7}, "write it in quotes"), ({"name": None}, "'name' should be str"),
    ({"name": ""}, "'name' should be a name"), ({"name": "  "}, "'name' should be a name"),
    ({"name": "../x"}, "without a path"), ({"name": ".."}, "without a path"),
    ({"name": "a\\b"}, "without a path"), ({"name": "a\nb"}, "without a path"),
    ({"name": "é"*80}, "at most 150 bytes"), ({"name": Path("a/b")}, "without a path"),
    ({"device": "tpu"}, "device 'tpu' is not known"), ({"device": "cuda:first"}, "not understood"),
    ({"device": "auto:1"}, "not understood"),
    ({"dtype": "float8"}, "dtype 'float8' is not known"),
    ({"tracker": "tensorbord"}, "did you mean 'tensorboard'"),
    ({"model": {"hidden_size": -1}}, "model: 'hidden_size' should be greater than 0"),
    ({"model": {"hidden_size": 64.5}}, "should be int"),
    ({"model": {"rope_theta": math.inf}}, "finite"), ({"model": {"rms_norm_eps": 0}}, "greater than 0"),
    ({"model": {"expansion": math.nan}}, "finite"),
    ({"model": {"puzzle_emb_len": -1}}, "cannot be negative"), ({"model": {"mlp_t": 1}}, "bool"),
    ({"model": {"hidden_size": 100}}, "should be a multiple of num_heads 8"),
    ({"model": {"hiden_size": 64}}, "did you mean 'hidden_size'"),
    ({"model": {"H_layers": 2}}, "unknown key 'H_layers'"), ({"model": [64]}, "'model' should be dict"),
    ({"arch": "hrm", "model": {"H_layers": True}}, "should be int, found bool"),
    ({"arch": "fixed_point", "model": {"rounds": 0}}, "greater than 0")]

@pytest.mark.parametrize("values, sentence", REFUSED, ids=lambda v: repr(v)[:40])
def test_a_run_is_refused(values, sentence):
    "From a mapping and from Python alike."
    for make in (lambda: build(TrainConfig, values, "my.yaml"), lambda: TrainConfig(**values)):
        with pytest.raises(InputError, match=sentence): make()
    assert refused(lambda: build(TrainConfig, values, "my.yaml")).startswith("my.yaml: ")

@pytest.mark.skipif(torch.backends.mps.is_available(), reason="this machine has an mps device")
def test_a_device_that_there_cannot_be():
    assert "device 'mps' is not available on this machine" in refused(lambda: TrainConfig(device="mps"))
    for name in ("auto", "cpu", "cuda", "cuda:0", "cuda:7"):
        assert TrainConfig(device=name).device == name # a login node plans for others

@pytest.mark.parametrize("values, taken",
    [({"train_steps": 1e3}, 1000), ({"train_steps": "1e3"}, 1000), ({"train_steps": "008"}, 8),
        ({"train_steps": np.int64(5)}, 5),
        ({"train_steps": np.float32(6)}, 6), ({"train_steps": torch.tensor(7)}, 7), ({"lr": "2e-3"}, 0.002),
        ({"lr": 1}, 1.), ({"lr": np.float64(0.5)}, 0.5), ({"lr": "1_0.5"}, 10.5), ({"lr": " 3e-4 "}, 3e-4),
        ({"ema": np.bool_(False)}, False), ({"data": Path("a")/"b"}, str(Path("a/b"))),
        ({"model": {"hidden_size": 64., "expansion": "4"}}, {"hidden_size": 64, "expansion": 4.})], ids=repr)
def test_equal_values_are_equal(values, taken):
    """Whatever kind a number comes as, a configuration holds Python's own, so that
    equal runs are the same run."""
    (name, _), = values.items()
    for config in (build(TrainConfig, values, "x"), TrainConfig(**values)):
        found = getattr(config, name)
        assert (found == taken and type(found) is type(taken)
            and asdict(config) == asdict(TrainConfig(**{name: taken})))
        if name == "model": assert [type(v) for v in found.values()] == [int, float]

def test_no_number_is_without_a_range():
    "A field that somebody adds has to say where its numbers may lie."
    for cls in (TrainConfig, Search, BinaryHalting, QLearningHalting,
            *(arch.Config for arch in ARCHITECTURES.values())):
        for field in fields(cls):
            assert field.type not in (int, float, int|None, float|None), f"{cls.__name__}.{field.name}"

def test_a_checkpoints_config_fills_in_the_rest():
    """With `init_from`, entries of `model` are looked at one by one: whether they agree shows
    with the checkpoint's own."""
    assert TrainConfig(init_from="x", model={"hidden_size": 100}).model == {"hidden_size": 100}
    assert "'hidden_size' should be int" in refused(
        lambda: TrainConfig(init_from="x", model={"hidden_size": "wide"}))

@pytest.mark.parametrize("make, sentence",
    [(lambda: Search(noise=math.inf), "search: 'noise' should be a finite number"),
        (lambda: Search(restarts=2.5), "'restarts' should be int"),
    (lambda: Search(restarts=True), "'restarts' should be int"),
    (lambda: Search(seed=-1), "'seed' cannot be negative"),
    (lambda: BinaryHalting(max_steps=1.5), "'max_steps' should be int"),
    (lambda: BinaryHalting(exploration=math.nan), "finite"),
    (lambda: QLearningHalting(certain=-1), "from 0 to 1"),
    (lambda: BinaryHalting(threshold=0), "greater than 0 and below 1"),
    (lambda: QLearningHalting(continue_loss=1), "should be bool"),
    (lambda: TRMConfig(16, 6, rope_theta=-1), "'rope_theta' should be greater than 0"),
    (lambda: TRMConfig(16.5, 6), "'seq_len' should be int"),
    (lambda: build_model("trm", {"seq_len": 16, "vocab_size": 6, "num_heads": 0}), "greater than 0"),
    (lambda: EMA(torch.nn.Linear(1, 1), 1.5, ramp=False), "EMA: rate should be from 0 to below 1"),
    (lambda: AdamATan2([torch.nn.Parameter(torch.ones(1))], betas=(0.9, 1)), "below 1"),
    (lambda: AdamATan2([torch.nn.Parameter(torch.ones(1))], lr=math.nan), "finite")])
def test_made_in_python(make, sentence): assert sentence in refused(make)

@pytest.fixture(scope="module")
def four(): return generate_dataset(Sudoku(2, 2), 24, 8)

@pytest.mark.parametrize("make, sentence", [
    (lambda m, d: solve(m, next(ordered_batches(d.test, 4)), 0), "solve: max_steps should be greater than 0"),
    (lambda m, d: solve_by_step(m, next(ordered_batches(d.test, 4)), -1), "solve: steps should be"),
    (lambda m, d: evaluate(m, d.puzzle, d.test, 2.5), "max_steps should be int"),
    (lambda m, d: evaluate(m, d.puzzle, d.test, batch_size=0), "batch_size should be greater than 0"),
    (lambda m, d: next(ordered_batches(d.test, -4)), "batch_size should be"),
    (lambda m, d: noise(math.nan, torch.Generator()), "noise: std should be a finite number"),
    (lambda m, d: noise(-1, torch.Generator()), "noise: std cannot be negative"),
    (lambda m, d: wilson(math.nan, 5), "finite"), (lambda m, d: wilson(1, 2.5), "wilson: n should be int"),
    (lambda m, d: validation_split(d.train, 1.), "share should be from 0 to below 1"),
    (lambda m, d: validation_split(d.train, math.nan), "finite"),
    (lambda m, d: Batches(d.train, 0), "batch_size should be greater than 0"),
    (lambda m, d: Batches(d.train, 4, seed=-1), "seed cannot be negative"),
    (lambda m, d: generate_dataset(d.puzzle, 2.5, 1), "train should be int"),
    (lambda m, d: generate_dataset(d.puzzle, 5, 1, seed=-1), "seed cannot be negative"),
    (lambda m, d: seed_everything(2.5), "seed should be int"),
    (lambda m, d: Plan(seconds=math.nan), "bench: 'seconds' should be a finite number"),
    (lambda m, d: Plan(repeats=0), "greater than 0")])
def test_arguments_of_functions(make, sentence, four):
    "Without a check these gave empty answers, no end, or a traceback of another library."
    model = build_model("trm", {"seq_len": 16, "vocab_size": 6, "hidden_size": 16, "num_heads": 2,
        "swiglu_multiple": 16, "H_cycles": 1, "L_cycles": 1}).eval()
    assert sentence in refused(lambda: make(model, four))

def test_a_range_and_a_single_value():
    "What the sentences say, and that both ends are where they should be."
    for kind, good, bad in ((Count, (1, 2**63 - 1), (0, -1)), (Natural, (0,), (-1,)),
            (Positive, (1e-30,), (0., -1.)), (Amount, (0.,), (-1e-30,)),
            (Probability, (0, 1), (-0.001, 1.001)), (Share, (0, 0.999), (1, -1)),
            (Annotated[float, Range(-1, 1)], (-1, 1), (1.1,)),
            (Annotated[int, Range(most=3)], (3, -9), (4,))):
        for value in good: assert given(value, kind, "x") == value
        for value in bad: assert refused(lambda: given(value, kind, "x")).startswith("x ")
    assert given("a-b_c.d e", Name, "x") == "a-b_c.d e"
    assert len(refused(lambda: given([0]*10_000, Count, "x"))) < 100

def test_a_dataclass_of_ones_own():
    "Tuples by entry, alternatives, nothing, and a frozen one that was made in Python."
    @dataclass(frozen=True)
    class Mine:
        sizes:tuple[Count, ...] = ()
        pair:tuple[Share, Share] = (0., 0.)
        either:Count|list|None = None
        def __post_init__(self): check(self, "mine")
    assert (Mine([1, 2.]).sizes == (1, 2) and build(Mine, {"pair": ["0.5", 0]}, "x").pair == (0.5, 0.)
        and Mine(either=[1]).either == [1])
    for wrong in ({"sizes": [1, 0]}, {"pair": (0.5,)}, {"pair": (0.5, math.nan)},
            {"either": 0}, {"either": "x"}):
        assert refused(lambda: Mine(**wrong)).startswith("mine: ")
