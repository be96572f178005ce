"Nothing that is not finite reaches weights or a saved state, and what came once is as if it had never come."
import json, math
from dataclasses import replace
import numpy as np, pytest, torch
from trm_lab.data.generate import generate_dataset
from trm_lab.core.errors import InputError, RunFailed
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.core.run import Run
from trm_lab.core.files import write_manifest, write_safetensors
from trm_lab.training.states import TrainingState, load_state, not_finite, save_state, saved_steps
from trm_lab.training.trainer import NotFinite, Trainer
from trm_lab.training.config import TrainConfig
from trm_lab.training.loop import fit

MODEL = {"hidden_size": 16, "num_heads": 2, "swiglu_multiple": 16, "H_cycles": 1, "L_cycles": 1,
    "mlp_t": True, "pos_encodings": "none", "puzzle_emb_len": 1}
CONFIG = TrainConfig(puzzle="sudoku-4x4", train_steps=10, halt_max_steps=3, global_batch_size=16,
    lr_warmup_steps=2, holdout=0., log_every=4, eval_every=0, dtype="float32", device="cpu", model=MODEL)
LAST = 6 # the step in which it happens

@pytest.fixture(scope="module")
def four(): return generate_dataset(Sudoku(2, 2), 64, 16)

def noisy(trainer):
    "A model that draws from torch's own generator in every step, as one with dropout does."
    trainer.model.embed_tokens.register_forward_hook(
        lambda module, given, out: torch.nn.functional.dropout(out, 0.1))
    return trainer

def at(call, change):
    "`change` what passes at one call, and leave it alone at all others."
    count = 0
    def hook(*given):
        nonlocal count
        count += 1
        return change(given[-1]) if count == call else given[-1]
    return hook

def infinite(t): return t*math.inf
def no_number(t): return torch.full_like(t, math.nan)

def weight(t): t.model.lm_head.weight.register_hook(at(LAST, infinite))
def one_number(t):
    t.model.q_head.bias.register_hook(at(LAST, lambda g: g.index_fill(0, torch.tensor([1]), -math.inf)))
def second_part(t): t.model.lm_head.weight.register_hook(at(2*LAST, no_number)) # of two
def rows(t):
    spoil = at(LAST, infinite)
    def watch(module, given, out):
        if not out.requires_grad: return out
        out = out.clone() # a gradient that is spoilt here is so before the table gets it
        out.register_hook(spoil)
        return out
    t.model.puzzle_emb.register_forward_hook(watch)
def halting(t):
    change = at(LAST, lambda q: q.index_fill(1, torch.tensor([0]), math.nan))
    t.model.q_head.register_forward_hook(lambda module, given, out: change(out))
def latent(t): # one that is not read in this step
    step, change = t.model.step, at(LAST, lambda state: state.replace(z_L=infinite(state["z_L"])))
    t.model.step = lambda *given, **named: change(step(*given, **named))
def update(t):
    step, spoil = t.optimizers[0].step, at(LAST, lambda p: p.mul_(1e38).mul_(1e38))
    def further():
        step()
        with torch.no_grad(): spoil(t.model.lm_head.weight)
    t.optimizers[0].step = further
def moment(t):
    step, spoil = t.optimizers[0].step, at(LAST, lambda s: s["exp_avg_sq"].fill_(math.nan))
    def further(): step(); spoil(t.optimizers[0].state[t.model.q_head.bias])
    t.optimizers[0].step = further
def table(t):
    forget, spoil = t.model.puzzle_emb.forget, at(LAST, lambda w: w.fill_(math.inf))
    def further(): forget(); spoil(t.model.puzzle_emb.weights) # in `sign_step`, before it writes the rows
    t.model.puzzle_emb.forget = further
def average(t):
    done, spoil = t.ema.update, at(LAST, lambda w: w.fill_(math.nan))
    def further(model): done(model); spoil(t.ema.shadow["lm_head.weight"])
    t.ema.update = further

CASES = {weight: "the gradient of lm_head.weight is not", one_number: "the gradient of q_head.bias is not",
    rows: "the gradient of rows of the puzzle embedding", halting: "the loss is nan",
    latent: "the latent z_L is not", second_part: "the gradient of lm_head.weight is not",
    update: "the update would make the weights lm_head.weight", moment: "a moment of the optimizer",
    table: "the update would make the weights puzzle_emb.weights", average: "the average"}

def strict(path):
    "The rows of a JSON lines file, as a reader that knows no NaN reads it; clocks aside."
    def refuse(word): raise ValueError(word)
    lines = [json.loads(line, parse_constant=refuse) for line in path.read_text().splitlines()]
    return [{k: v for k, v in row.items() if k not in ("seconds", "puzzle_steps_per_second")}
        for row in lines]

def everything(trainer):
    "All that a run has in its hands."
    state = trainer.state()
    return state.tensors, {name: state.values[name] for name in ("batches", "random", "ema_updates")}

def same(one, other):
    (tensors, values), (theirs, theirs_values) = one, other
    assert tensors.keys() == theirs.keys() and values == theirs_values
    for name, t in tensors.items(): assert torch.equal(t, theirs[name]), name

@pytest.fixture(scope="module")
def undisturbed(four, tmp_path_factory):
    "Ends of runs to which nothing happened, by configuration."
    ends = {}
    def end(config):
        key = repr(config)
        if key not in ends:
            trainer, run = noisy(Trainer(config, four)), Run(tmp_path_factory.mktemp("whole")/"run")
            fit(trainer, run)
            ends[key] = everything(trainer), strict(run.folder/"metrics.jsonl")
        return ends[key]
    return end

@pytest.mark.parametrize("spoil", CASES, ids=lambda f: f.__name__)
def test_what_came_once_is_as_if_it_had_never_come(spoil, four, undisturbed, tmp_path):
    """The run stops and says what it was; the state is that before the step; run again, or stepped again, it
    ends alike in every bit."""
    config = replace(CONFIG, accumulate=2) if spoil is second_part else CONFIG
    trainer, run = noisy(Trainer(config, four)), Run(tmp_path/"run")
    spoil(trainer)
    with pytest.raises(NotFinite, match=f"stopped at step {LAST}: .*{CASES[spoil]}") as said:
        fit(trainer, run)
    assert ("start the same run again" in str(said.value)
        and f"kept in {run.folder/'checkpoints'}" in str(said.value))
    assert (run.folder/"checkpoints"/f"not-finite-step-{LAST:09}.safetensors").exists()
    state = load_state(run.folder/"checkpoints"/"states")
    assert state.step == LAST - 1 and not_finite(state.tensors) is None
    assert (all(p.grad is None for p in trainer.model.parameters())
        and not len(trainer.model.puzzle_emb.pending))
    end, rows = undisturbed(config)
    again = noisy(Trainer(config, four))
    fit(again, run)
    same(everything(again), end)
    assert strict(run.folder/"metrics.jsonl") == rows
    trainer.restore(state) # the generators are the process's, and another run used them meanwhile
    fit(trainer) # the very trainer that met it goes on as well
    same(everything(trainer), end)

@pytest.mark.parametrize("optimizer", ["adamw", "adam_atan2", "muon"])
@pytest.mark.parametrize("changes", [{"lr": 1e38}, {"lr": 1e20, "weight_decay": 1e38}],
    ids=["long steps", "decay"])
def test_an_update_that_overflows(optimizer, changes, four):
    """Finite gradients, and a rate at which a weight cannot stay a number: every optimizer stops,
    with weights as they were."""
    trainer = Trainer(
        replace(CONFIG, optimizer=optimizer, lr_warmup_steps=0, puzzle_emb_lr=3e38, **changes), four)
    with pytest.raises(NotFinite, match="stopped at step"):
        for _ in range(4):
            before = everything(trainer)
            trainer.step()
    same(everything(trainer), before)
    assert not_finite(trainer.state().tensors) is None

@pytest.mark.parametrize("error", [KeyboardInterrupt, torch.OutOfMemoryError], ids=lambda e: e.__name__)
def test_a_step_that_breaks_off_in_the_middle(error, four, undisturbed):
    """Ctrl+C, or memory that is short for the second part of a batch: the step was not
    taken, and can be taken again."""
    def stop(g): raise error
    trainer = noisy(Trainer(replace(CONFIG, accumulate=2), four))
    trainer.model.lm_head.weight.register_hook(at(2*LAST, stop))
    with pytest.raises(error): fit(trainer)
    fit(trainer)
    same(everything(trainer), undisturbed(replace(CONFIG, accumulate=2))[0])

def test_weights_that_were_spoilt_from_outside_are_not_saved(four, tmp_path):
    "What is not finite between two steps is named, and the good state stays the newest."
    trainer, run = Trainer(replace(CONFIG, save_seconds=0.), four), Run(tmp_path/"run")
    def poison(progress):
        with torch.no_grad(): trainer.model.lm_head.weight[0, 0] = math.nan
    with pytest.raises(RunFailed, match="step-000000004: "
            ".*the tensor model.lm_head.weight holds .* not finite.; the last good one is of step 3"):
        fit(trainer, run, on_progress=poison)
    assert load_state(run.folder/"checkpoints"/"states").step == 3
    with pytest.raises(NotFinite,
            match="the weights lm_head.weight hold a number that is not finite already"):
        trainer.step()
    with pytest.raises(InputError, match="the initial weights hold .* lm_head.weight"):
        Trainer(CONFIG, four, model=trainer.model)

@pytest.mark.parametrize("name, number",
    [("ema.lm_head.weight", math.nan), ("optimizer.0.exp_avg_sq.q_head.bias", math.inf),
        ("carry.z_L", -math.inf), ("model.puzzle_emb.weights", math.nan)])
def test_a_state_that_holds_one_is_passed_over(name, number, four, undisturbed, tmp_path):
    """As earlier versions saved it, with a manifest that agrees: it is set aside by name, and the
    state before it is taken."""
    class Stop(Exception): pass
    def stop(progress):
        if progress.step == 8: raise Stop
    run = Run(tmp_path/"run")
    states = run.folder/"checkpoints"/"states"
    with pytest.raises(Stop):
        fit(noisy(Trainer(replace(CONFIG, save_seconds=0.), four)), run, on_progress=stop)
    assert saved_steps(states) == [6, 7]
    state = load_state(states)
    state.tensors[name].view(-1)[0] = number
    trainer = noisy(Trainer(replace(CONFIG, save_seconds=0.), four))
    with pytest.raises(InputError,
            match=f"the saved state holds a number that is not finite, in the tensor {name}"):
        trainer.restore(state)
    with pytest.raises(RunFailed,
            match=f"the tensor {name} holds a number that is not finite.; the last good one is of step 7"):
        save_state(states, state)
    write_safetensors(states/"step-000000007"/"tensors.safetensors", state.tensors)
    write_manifest(states/"step-000000007", ["tensors.safetensors", "values.json"])
    with pytest.warns(UserWarning, match=f"step-000000007.*the tensor {name} holds a number that is not "
            "finite; it was set aside as damaged-step-000000007"):
        fit(trainer, run)
    tensors, values = undisturbed(replace(CONFIG, save_seconds=0.))[0]
    same(everything(trainer), (tensors, values))

def test_an_evaluation_that_gives_no_number(four, tmp_path):
    "It is no score: nothing is chosen by it, and metrics and state stay JSON that every program reads."
    looks, kept, run = iter([math.nan, 0.25, math.inf, 0.125, math.nan]), [], Run(tmp_path/"run")
    config = replace(CONFIG, eval_every=2)
    with pytest.warns(UserWarning, match="evaluation after step 2 gave nan for exact, which is not a score"):
        fit(Trainer(config, four), run, lambda model: {"exact": np.float32(next(looks))},
            keep=lambda model, scores: kept.append(scores["step"]))
    assert kept == [4]
    assert [row["exact"] for row in strict(run.folder/"metrics.jsonl") if row["kind"] == "eval"] == [None,
        0.25, None, 0.125, None]
    assert load_state(run.folder/"checkpoints"/"states").values["ledger"]["best"] == 0.25

def test_states_replace_their_own_step_only_when_whole(tmp_path):
    "A state of the same step stays until the new one is there."
    save_state(tmp_path, TrainingState(3, {"a": torch.zeros(2)}, {"x": 1}))
    with pytest.raises(RunFailed):
        save_state(tmp_path, TrainingState(3, {"a": torch.tensor([math.nan])}, {"x": 2}))
    assert load_state(tmp_path).values == {"x": 1}
    save_state(tmp_path, TrainingState(3, {"a": torch.ones(2)}, {"x": 2}))
    assert load_state(tmp_path).values == {"x": 2} and saved_steps(tmp_path) == [3]
