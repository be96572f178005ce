"What somebody hands in, keeps or changes meanwhile: nothing of it may change a result without a word."
import copy, gc, json, pickle, threading
from dataclasses import replace
from types import SimpleNamespace
import numpy as np, pytest, torch
from torch import nn
from trm_lab.models import layers
from trm_lab.interp.interventions import (Given, LatentIntervention, MeanAblation, Noise,
    ActivationPatch, ZeroAblation)
from trm_lab.interp.survey import Survey
from trm_lab.interp.session import Session
from trm_lab.interp.divergence import divergence
from trm_lab.data.batches import make_batch, as_indices
from trm_lab.data.datasets import split_of
from trm_lab.core.errors import InputError
from trm_lab.models.layers import SparseEmbedding
from trm_lab.training.optimizers import sign_step
from trm_lab.models.trm import fingerprint, same_bits
from trm_lab.interp.probes.base import stream
from trm_lab.interp.probes.geometry import Grams, cka, path_rows
from trm_lab.interp.probes.ridge import Fitting
from trm_lab.interp.probes.tasks import Place, tasks_for
from trm_lab.interp.probes.scores import auc
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.solving.solve import recursion, solve
from trm_lab.interp.trace import compose, read_trace, resume, run_with_trace
from trm_lab.models.variants import ARCHITECTURES, build_model

SIX, HALF = Sudoku(2, 3), torch.bfloat16

def draw(count, seed=0):
    puzzles = SIX.generate(np.random.default_rng(seed))
    return make_batch(*map(np.stack, zip(*(next(puzzles) for _ in range(count)))))

def small(dtype=torch.float32, arch="trm", seed=1, **settings):
    "An untrained model; by default an MLP, whose weights are packed where activations are bfloat16."
    torch.manual_seed(seed)
    few = {"H_cycles": 2, "L_cycles": 2, "H_layers": 2, "rounds": 2, "evaluations": 3}
    few = {name: n for name, n in few.items() if hasattr(ARCHITECTURES[arch].Config, name)}
    own = {"mlp_t": True, "pos_encodings": "none", "num_puzzle_identifiers": 4, **few, **settings}
    size = {"seq_len": 36, "vocab_size": 8, "hidden_size": 32, "num_heads": 4,
        "swiglu_multiple": 16, "puzzle_emb_len": 2}
    model = build_model(arch, {**size, **own}, dtype=dtype)
    with torch.no_grad():
        model.q_head.weight.normal_(); model.q_head.bias.fill_(0.); model.puzzle_emb.weights.normal_()
    return model.eval()

def asked(model, count=3):
    with torch.no_grad(): x = model.embed(draw(count))
    return x, model.start(x)

def assert_same_state(a, b):
    for name in b: assert same_bits(a[name], b[name]), name

# ---- weights that change while a recursion is going on -------------------------

def _swap_rows(model): # the same numbers in another order: sums and norms stay
    weight = model.L_level.layers[0].mlp.gate_up_proj.weight
    weight.data = weight.data.flip(0)

def _optimizer(model):
    for p in model.parameters(): p.grad = torch.ones_like(p)
    torch.optim.SGD(model.parameters(), 0.05).step()

def _numpy(model): model.L_level.layers[1].mlp_t.down_proj.weight.detach().numpy()[0] += 1

CHANGES = {
    "optimizer": _optimizer,
    "other weights loaded": lambda m: m.load_state_dict(small(m.dtype, seed=2).state_dict()),
    "average copied in": lambda m: torch._foreach_lerp_([p.data for p in m.parameters()],
        [torch.ones_like(p) for p in m.parameters()], 0.1),
    "in place through data": lambda m: m.L_level.layers[0].mlp.down_proj.weight.data.mul_(-1),
    "another tensor as data": _swap_rows,
    "through a NumPy view": _numpy,
    "one number": lambda m: m.L_level.layers[0].mlp.gate_up_proj.weight.data[3, 4].add_(0.5),
    "the output head": lambda m: m.lm_head.weight.data.neg_(),
    "float64": lambda m: (m.double(), m.L_level.layers[0].mlp.down_proj.weight.data.mul_(2))}

@pytest.mark.parametrize("dtype", [HALF, torch.float32], ids=str)
@pytest.mark.parametrize("change", CHANGES)
def test_a_kept_iterator_never_uses_old_weights(change, dtype):
    "Neither itself, nor anybody else who uses the model meanwhile."
    model, batch = small(dtype), draw(3)
    x, start = asked(model)
    session = recursion(model, x, start, 3)
    first = next(session)
    CHANGES[change](model)
    fresh = copy.deepcopy(model)
    other = solve(model, batch, 2)
    assert torch.equal(other.q_halt, solve(fresh, batch, 2).q_halt), "solving while the iterator is kept"
    second = next(session)
    with torch.no_grad():
        state = fresh.step(x, first.state)
        assert_same_state(second.state, state)
        assert same_bits(second.output.logits, fresh.read(state).logits)

@pytest.mark.parametrize("dtype", [HALF, torch.float32], ids=str)
@pytest.mark.parametrize("change", CHANGES)
def test_a_watch_may_change_weights_in_the_middle_of_a_step(change, dtype):
    model = small(dtype)
    (x, start), after = asked(model), 2 # updates done with the old weights
    old, seen = copy.deepcopy(model), []
    def watch(u, state):
        seen.append(u)
        if len(seen) == after: CHANGES[change](model)
    with torch.no_grad():
        found, middle = model.step(x, start, watch), start
        for u in old.schedule()[:after]: middle = old.update(x, middle, u)
        assert_same_state(found, model.step(x, middle, since=after))

def test_iterators_side_by_side():
    "The one that was begun first ends first."
    model = small(HALF)
    (x, start) = asked(model)
    one, two = (recursion(model, x, start, 3) for _ in range(2))
    next(one); first = next(two); one.close()
    CHANGES["in place through data"](model)
    with torch.no_grad(): assert_same_state(next(two).state, copy.deepcopy(model).step(x, first.state))

def test_threads_do_not_share_what_was_made_of_weights():
    "One waits in the middle of a step while the other changes the weights and solves."
    model, batch, waiting, go = small(HALF), draw(3), threading.Event(), threading.Event()
    def watch(u, state): waiting.set(); go.wait(60)
    thread = threading.Thread(target=solve, args=(model, batch, 1), kwargs={"watch": watch})
    thread.start(); assert waiting.wait(60)
    try:
        CHANGES["in place through data"](model)
        assert torch.equal(solve(model, batch, 1).q_halt, solve(copy.deepcopy(model), batch, 1).q_halt)
    finally: go.set(); thread.join()

@pytest.mark.parametrize("how", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))],
    ids=["deepcopy", "pickle"])
def test_a_copy_made_in_the_middle_of_a_step_is_a_model_of_its_own(how):
    model, batch, copies = small(HALF), draw(3), []
    def watch(u, state):
        if not copies: copies.append(how(model))
    solve(model, batch, 1, watch=watch)
    CHANGES["in place through data"](copies[0]); CHANGES["in place through data"](model)
    assert torch.equal(solve(copies[0], batch, 2).q_halt, solve(model, batch, 2).q_halt)
    assert not torch.equal(solve(copies[0], batch, 2).q_halt, solve(small(HALF), batch, 2).q_halt)

def test_training_in_a_watch_and_errors_in_one():
    model, batch = small(HALF), draw(3)
    def fail(u, state): CHANGES["optimizer"](model); raise RuntimeError("on purpose")
    with pytest.raises(RuntimeError, match="on purpose"): solve(model, batch, 2, watch=fail)
    assert not hasattr(layers._here, "casts") or layers._here.casts is None
    assert torch.equal(solve(model, batch, 2).q_halt, solve(copy.deepcopy(model), batch, 2).q_halt)

def test_weights_are_converted_once(monkeypatch):
    """In all steps of a recursion together; again where they changed; and in float32
    they are not copied at all."""
    made, both = [], layers._both
    monkeypatch.setattr(layers, "_both", lambda *given: made.append(given) or both(*given))
    for dtype in (HALF, torch.float32):
        model = small(dtype)
        x, start = asked(model)
        made.clear()
        for now in recursion(model, x, start, 5):
            if now.step == 3: model.L_level.layers[0].mlp.down_proj.weight.data.mul_(1.5)
        assert len(made) == (5 if dtype == HALF else 4), "four SwiGLUs, and one of them again"
        if dtype == torch.float32: assert layers._both(*made[0]).down.data_ptr() == made[0][1].data_ptr()

def test_weights_without_a_version_and_weights_that_are_computed():
    "A model of inference mode; and one whose weight is a function of another."
    with torch.inference_mode():
        model, batch = small(HALF), draw(2)
        CHANGES["in place through data"](model)
        found = solve(model, batch, 2)
    normal = small(HALF); CHANGES["in place through data"](normal)
    assert torch.equal(found.q_halt, solve(normal, batch, 2).q_halt)
    class Scaled(nn.Module):
        factor = 1.
        def forward(self, weight): return self.factor*weight
    scaled = Scaled()
    torch.nn.utils.parametrize.register_parametrization(
        normal.L_level.layers[0].mlp.down_proj, "weight", scaled)
    x, start = asked(normal, 2)
    session = recursion(normal, x, start, 2)
    first = next(session); scaled.factor = 3.
    with torch.no_grad(): assert_same_state(next(session).state, copy.deepcopy(normal).step(x, first.state))

def test_grad_mode_is_the_callers_between_steps():
    model = small()
    x, start = asked(model)
    for now in recursion(model, x, start, 3):
        assert torch.is_grad_enabled() and not now.state["z_H"].requires_grad
    with torch.no_grad(): kept = recursion(model, x, start, 3); next(kept)
    assert torch.is_grad_enabled()
    next(kept); assert torch.is_grad_enabled()

def test_gradients_of_weights_that_changed_before_the_backward_pass_are_refused():
    "As torch refuses it everywhere: the fused layer once went on with new weights."
    model = small()
    x, start = asked(model)
    loss = model.read(model.step(x, start)).logits.square().mean()
    with torch.no_grad(): model.L_level.layers[1].mlp.down_proj.weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"): loss.backward()

@pytest.mark.parametrize("arch, more",
    [("trm", {"H_cycles": 3}), ("fixed_point", {"rounds": 4}), ("hrm", {"L_cycles": 3})])
def test_a_changed_configuration_changes_the_schedule(arch, more):
    "Cycles that grow, or more of them for a trained model."
    model = small(arch=arch)
    before = model.schedule()
    assert model.schedule() is before
    model.config = replace(model.config, **more)
    assert model.schedule() == small(arch=arch, **more).schedule() != before

# ---- watches and edits ----------------------------------------------------------

IN_PLACE = {"operation": lambda z: z.zero_(), "data": lambda z: z.data.zero_(),
    "NumPy": lambda z: z.detach().numpy().fill(0)}

@pytest.mark.parametrize("back", [lambda s: s, lambda s: None, dict], ids=["state", "nothing", "dict"])
@pytest.mark.parametrize("way", IN_PLACE)
def test_in_place_is_recorded_and_reaches_nothing_else(way, back):
    model, batch = small(), draw(2)
    before = copy.deepcopy(model.state_dict())
    def watch(u, state):
        if u.name == "z_L": IN_PLACE[way](state["z_H"]) # one that is not renewed here
        return back(state)
    def replaced(u, state):
        return state.replace(z_H=torch.zeros_like(state["z_H"])) if u.name == "z_L" else state
    found, wanted = (run_with_trace(model, batch, 2, watch=w) for w in (watch, replaced))
    assert all(same_bits(t, before[name]) for name, t in model.state_dict().items())
    assert (torch.equal(found.logits, wanted.logits)
        and torch.equal(found.start["z_H"], run_with_trace(model, batch, 1).start["z_H"]))
    for site in found.sites:
        for name in found.names:
            assert torch.equal(found.latent(site, name), wanted.latent(site, name)), (site, name)
    assert not found.latent(found.at(name="z_L")[0], "z_H").any()

@pytest.mark.parametrize("way", IN_PLACE)
def test_an_edit_in_place(way):
    model, batch = small(), draw(2)
    trace = run_with_trace(model, batch, 2)
    start, kept = copy.deepcopy(trace.start), trace.latent(3, "z_H")
    for site in (None, trace.sites[3]):
        found = resume(trace, site, 2, edit=lambda s: (IN_PLACE[way](s["z_H"]), None)[1])
        wanted = resume(trace, site, 2, edit=lambda s: s.replace(z_H=torch.zeros_like(s["z_H"])))
        assert (torch.equal(found.logits, wanted.logits)
            and not (found.start["z_H"] if site is None else found.latent(site, "z_H")).any())
    assert_same_state(trace.start, start); assert torch.equal(trace.latent(3, "z_H"), kept)

def test_what_a_watch_keeps_may_be_changed_later():
    "A running sum in the first tensor that was seen; a buffer that is used again and again."
    model, batch, kept = small(), draw(2), {}
    def total(u, state):
        for name, z in state.items():
            if name in kept: kept[name] += z
            else: kept[name] = z
        return state
    plain = run_with_trace(model, batch, 2)
    assert torch.equal(run_with_trace(model, batch, 2, watch=total).logits, plain.logits)
    buffer = torch.empty_like(plain.start["z_H"])
    def reused(u, state): return state.replace(**{u.name: buffer.copy_(state[u.name]).mul_(0.5)})
    def own(u, state): return state.replace(**{u.name: state[u.name]*0.5})
    assert torch.equal(run_with_trace(model, batch, 2, watch=reused).logits,
        run_with_trace(model, batch, 2, watch=own).logits)

def test_the_state_itself_may_be_written_to():
    model, batch = small(), draw(2)
    def write(u, state):
        state["z_L"] = torch.zeros_like(state["z_L"])
    wanted = run_with_trace(model, batch, 1, watch=lambda u, s: s.replace(z_L=torch.zeros_like(s["z_L"])))
    assert torch.equal(run_with_trace(model, batch, 1, watch=write).logits, wanted.logits)

WRONG = {
    "one puzzle for all": (lambda u, s: s.replace(z_L=s["z_L"][:1]), r"the latent z_L should be of shape "
        r"\(2, 38, 32\) in float32 on cpu, found one of shape \(1, 38, 32\)"),
    "another precision": (lambda u, s: s.replace(z_L=s["z_L"].double()), "found one .* in float64"),
    "half the precision": (lambda u, s: s.replace(z_L=s["z_L"].half()), "found one .* in float16"),
    "another device": (lambda u, s: s.replace(z_L=s["z_L"].to("meta")), "found one .* on meta"),
    "NumPy": (lambda u, s: s.replace(z_L=s["z_L"].numpy()), "should be a tensor .*, found ndarray"),
    "a number": (lambda u, s: s.replace(z_L=0.), "found float"),
    "a typing error": (lambda u, s: s.replace(zL=s["z_L"]),
        r"there is no latent 'zL' \(did you mean 'z_L'\?\); this model has z_H, z_L"),
    "one latent alone": (lambda u, s: {u.name: s[u.name]}, "the latent z_H is missing"),
    "one deleted": (lambda u, s: (s.pop("z_H"), None)[1], "the latent z_H is missing"),
    "a tensor": (lambda u, s: s["z_L"],
        "the function should return a State with z_H, z_L, or None, found Tensor"),
    "a tuple": (lambda u, s: (s["z_H"], s["z_L"]), "found tuple"),
    "true": (lambda u, s: True, "found bool")}

@pytest.mark.parametrize("wrong", WRONG)
def test_what_cannot_be_gone_on_with_is_refused(wrong):
    "With its place, wherever it is handed in; and the model answers as before."
    model, batch = small(), draw(2)
    watch, sentence = WRONG[wrong]
    plain = solve(model, batch, 1)
    x, start = asked(model, 2)
    place = r"watch after step 1, cycle 1, substep 1 \(z_L\): .*"
    for run in (lambda: solve(model, batch, 1, watch=watch),
            lambda: run_with_trace(model, batch, 1, watch=watch),
            lambda: solve(model, batch, 1, watch=compose(lambda u, s: s, watch)),
            lambda: next(recursion(model, x, start, 1, bind=lambda step, here: watch))):
        with pytest.raises(InputError, match=place + sentence): run()
    with pytest.raises(InputError, match=r"watch after cycle 1, substep 1 \(z_L\): .*" + sentence):
        model.step(x, start, watch)
    trace = run_with_trace(model, batch, 1)
    u = SimpleNamespace(name="z_L")
    with pytest.raises(InputError, match=r"edit after step 1, cycle 1, substep 2 \(z_L\): .*" + sentence):
        resume(trace, 1, 1, edit=lambda s: watch(u, s))
    assert torch.equal(solve(model, batch, 1).q_halt, plain.q_halt)

@pytest.mark.parametrize("number", [float("nan"), float("inf")])
def test_numbers_that_are_not_finite_are_the_experiment(number):
    "They are let in, recorded as they are, and what is equal is called equal."
    model, batch = small(), draw(2)
    def watch(u, state): state["z_L"][0, 3] = number
    trace = run_with_trace(model, batch, 2, watch=watch)
    assert same_bits(trace.latent(0)[0, 3], torch.full((32,), number)) and trace.latent(0)[1].isfinite().all()
    assert len(trace.kept) == len(trace.sites), "a latent that was not touched is not kept once more"
    class Put(LatentIntervention):
        cells = None
        def value(self, z, run, site): return torch.full_like(z, number)
        def words(self, session): return "put"
    root = Session(model, batch, 2, SIX).root(0)
    there = root.branch(root.place(1), Put("z_L"))
    again = there.branch(there.place(there.length - 1))
    assert again.identical and not any(d.any() for d in divergence(there, again).latents.values())

def test_who_leaves_is_said_with_truth_values():
    model = small()
    x, start = asked(model)
    for gone in ([0, 2], torch.tensor([0, 1, 0]), np.zeros(2, bool), torch.zeros(3), True):
        with pytest.raises(InputError, match="leave after step 1 should return 3 truth values"):
            list(recursion(model, x, start, 2, lambda now: gone))
    assert [len(now.here)
        for now in recursion(model, x, start, 2, lambda now: [True] + [False]*(len(now.here) - 1))] == [3, 2]
    with pytest.raises(InputError, match="expected a function of an update and a state, found State"):
        list(recursion(model, x, start, 1, bind=lambda step, here: start))

def test_what_is_handed_out_is_the_callers():
    "Moments, starts, states, boards: writing into them changes nothing else."
    model, batch = small(), draw(3)
    x, start = asked(model)
    init = model.H_init.clone()
    model.start(x)["z_H"].zero_()
    assert torch.equal(model.H_init, init)
    plain = [now.output.logits for now in recursion(model, x, start, 3)]
    for now, logits in zip(
            recursion(model, x, start, 3, bind=lambda step, here: (here.zero_(), None)[1]), plain):
        assert torch.equal(now.output.logits, logits) and now.here.tolist() == [0, 1, 2]
        now.state["z_H"].zero_(); now.state["z_L"] = None; now.tokens.zero_(); now.here.fill_(9)
    asked_for = replace(batch, inputs=batch.inputs.clone())
    trace, session = run_with_trace(model, asked_for, 2), Session(model, asked_for, 2, SIX)
    asked_for.inputs.fill_(1)
    assert (torch.equal(trace.batch.inputs, batch.inputs)
        and (session.root(0).question == batch.inputs[0].numpy()).all())
    trace.state(None)["z_H"].zero_(); trace.state(0)["z_L"].zero_(); trace.latent(0).zero_()
    assert torch.equal(resume(trace, None, 2).logits, run_with_trace(model, batch, 2).logits)
    root = session.root(0)
    root.question[:] = 0; root.logits.zero_(); root.tokens.zero_()
    assert (root.question == batch.inputs[0].numpy()).all() and root.logits.any() and root.tokens.any()
    def demean(site, z, here): z -= z.mean(0); here[:] = 0
    split = split_of(zip(batch.inputs.numpy(), batch.labels.numpy()))
    assert (
        (stream(model, split, demean, demean, steps=2).tokens == stream(model, split, steps=2).tokens).all())

def test_gradients_flow_through_a_watch():
    "The same as without one, where it changes nothing; and through what it put in."
    def gradients(watch):
        model = small()
        x, start = asked(model)
        model.read(model.step(x, start, watch)).logits.square().mean().backward()
        return [p.grad for p in model.parameters() if p.grad is not None]
    plain, seen, halved = (gradients(w) for w in (None, lambda u, s: None, lambda u, s: s.map(lambda z: z/2)))
    assert (all(map(torch.equal, plain, seen)) and len(plain) == len(halved)
        and not all(map(torch.equal, plain, halved)))

# ---- rows and cells ---------------------------------------------------------------

@pytest.mark.parametrize("as_mask", [list, np.array, torch.tensor, lambda m: tuple(map(np.bool_, m))],
    ids=["list", "NumPy", "tensor", "NumPy's own"])
def test_masks_choose_what_they_mask(as_mask):
    trace = run_with_trace(small(), draw(4), 2)
    mask, chosen = as_mask([False, False, True, True]), [2, 3]
    assert (torch.equal(trace.latent(1, rows=mask), trace.latent(1, rows=chosen))
        and torch.equal(trace.decode(1, rows=mask), trace.decode(1, rows=chosen)))
    assert torch.equal(trace.change(1, rows=mask), trace.change(1, rows=chosen))
    assert torch.equal(trace.batch.rows(mask).inputs, trace.batch.inputs[2:])
    session = Session(small(), draw(4), 2, SIX)
    assert session.overview(mask).puzzles.tolist() == chosen
    assert trace.latent(1, rows=as_mask([False]*4)).shape == (0, 38, 32)

@pytest.mark.parametrize("rows, sentence", [([True, False], "a mask of 2"),
        ([1., 2.], "found float32"), ("12", "found str"), ([True, 2, 0, 1], "found both"),
        (np.zeros((4, 4), bool), "a mask of 16"), ([-1], "no puzzle -1"), (4, "no puzzle 4"),
        ([None], "found list"), (1.5, "found float32"), (slice(2), "found slice")], ids=str)
def test_rows_that_are_none_are_refused(rows, sentence):
    trace, session = run_with_trace(small(), draw(4), 1), Session(small(), draw(4), 1, SIX)
    survey = Survey(session)
    for use in (lambda: trace.latent(0, rows=rows), lambda: trace.decode(0, rows=rows),
            lambda: trace.change(0, rows=rows), lambda: session.overview(rows),
            lambda: survey.add_trace(trace, rows)):
        with pytest.raises(InputError, match=sentence): use()
    if not isinstance(rows, slice):
        with pytest.raises(InputError, match=sentence): trace.batch.rows(rows)

def test_numbers_in_every_form():
    wanted = [2, 0, 2]
    for which in (wanted, tuple(wanted), np.array(wanted, np.uint8), torch.tensor(wanted, dtype=torch.int32),
            np.array(wanted, np.uint64)):
        assert as_indices(which, 3, "puzzle", "here").tolist() == wanted
    assert (as_indices(range(2), 3, "puzzle", "here").tolist() == [0, 1]
        and as_indices([], 3, "puzzle", "here").tolist() == [])

def test_cells_and_places_that_are_truth_values_or_no_numbers():
    session = Session(small(), draw(2), 2, SIX)
    root = session.root(0)
    mask = np.arange(36) % 5 == 0
    for make in (ZeroAblation, MeanAblation, lambda name, cells: Noise(name, cells=cells),
            lambda name, cells: ActivationPatch(name, session.root(1), cells)):
        for cells in (mask, mask.tolist(), torch.from_numpy(mask), (True, False)):
            with pytest.raises(InputError, match="found a mask; give cells=np.flatnonzero"):
                make("z_H", cells=cells)
    wanted = root.branch(None, ZeroAblation("z_H", (0, 5, 10)))
    for cells in ([0, 5, 10], np.array([0, 5, 10]), torch.tensor([0, 5, 10]), range(0, 11, 5), (0, 5, 0, 10)):
        branch = root.branch(None, ZeroAblation("z_H", cells))
        assert (torch.equal(branch.logits, wanted.logits)
            and repr(branch.interventions[0]) == "ZeroAblation('z_H', cells=(0, 5, 10))"
            and "in 3 cells" in branch.sentence)
    assert repr(ZeroAblation("z_H", 5)) == "ZeroAblation('z_H', cells=(5,))"
    for wrong, sentence in ((lambda: root.branch(None, ZeroAblation("z_H", (1.5,))), "no cell 1.5"),
            (lambda: ZeroAblation("z_H", [[1]]), "cells should be numbers"),
            (lambda: root.branch(None, Given(True, 2)), "no cell True"),
            (lambda: root.branch(None, Given(0, True)), "token True"),
            (lambda: root.branch(None, Given(0, 2.)), "token 2.0"),
            (lambda: session.root(True), "no puzzle True"), (lambda: root.place(True), "no frame True"),
            (lambda: root.place(1.), "no frame 1.0"), (lambda: root.trace.latent(True), "no site True"),
            (lambda: root.trace.latent(1.5), "no site 1.5"), (lambda: root.trace.latent(99), "no site 99"),
            (lambda: root.branch(None, Noise("z_H", 1., 1.5)), "seed")):
        with pytest.raises(InputError, match=sentence): wrong()

def test_an_edit_of_ones_own_gives_a_whole_latent():
    class Own(LatentIntervention):
        cells = (0,)
        def __init__(self, what):
            object.__setattr__(self, "name", "z_L")
            object.__setattr__(self, "what", what)
        def __repr__(self): return "Own()"
        def value(self, z, run, site): z.zero_(); return self.what(z)
        def words(self, session): return "put"
    root = Session(small(), draw(2), 2, SIX).root(0)
    for what in (lambda z: z[0], lambda z: None, lambda z: z[:1]):
        with pytest.raises(InputError, match=r"Own\(\): "
                r"the new z_L should be a tensor of shape \(38, 32\), found"):
            root.branch(root.place(1), Own(what))
    branch = root.branch(root.place(1), Own(lambda z: z))
    was, now = (run.latent(root.place(1), "z_L") for run in (root, branch))
    assert (was != now).any(1).nonzero()[:, 0].tolist() == [2], "only the cell that was asked for"

# ---- the same model, the same puzzles -----------------------------------------------

def test_a_trace_is_read_with_the_model_it_is_from(tmp_path):
    model, batch = small(), draw(2)
    run_with_trace(model, batch, 2, to=tmp_path/"a")
    for other in (small(seed=2), small(num_heads=2), small(rms_norm_eps=1e-6)):
        with pytest.raises(InputError, match="a: this was recorded with other weights than the model has"):
            read_trace(tmp_path/"a", other)
    assert "not known" not in repr(read_trace(tmp_path/"a", small()))
    for same in (small(HALF), small().double(), copy.deepcopy(model)): read_trace(tmp_path/"a", same)
    rows = small()
    rows.puzzle_emb.weights[3] += 1 # no puzzle of this trace
    read_trace(tmp_path/"a", rows)
    rows.puzzle_emb.weights[0] += 1
    with pytest.raises(InputError, match="other weights"): read_trace(tmp_path/"a", rows)
    told = json.loads((tmp_path/"a"/"trace.json").read_text())
    assert told.pop("weights") == fingerprint(model, batch.puzzle_identifiers)
    (tmp_path/"a"/"trace.json").write_text(json.dumps(told)) # as it was written once
    old = read_trace(tmp_path/"a", small(seed=2))
    assert "from weights that are not known" in repr(old) and len(resume(old, 3, 2).logits) == 2

@pytest.mark.parametrize("change", sorted(set(CHANGES) - {"float64"}))
def test_a_trace_in_memory_is_not_gone_on_with_after_training(change):
    model, batch = small(), draw(2)
    trace, before = run_with_trace(model, batch, 2), copy.deepcopy(model.state_dict())
    session = Session(model, batch, 2, SIX)
    root = session.root(0); root.trace
    CHANGES[change](model)
    with pytest.raises(InputError, match="the model's weights differ from those that were traced"):
        resume(trace, 3, 2)
    with pytest.raises(InputError,
            match="session: the model's weights were changed after this session began"):
        session.root(1).trace
    with pytest.raises(InputError, match="the model's weights were changed"): root.branch(root.place(2))
    with pytest.raises(InputError, match="the model's weights were changed"): session.overview([0])
    with pytest.raises(InputError, match="the model's weights differ"): Session(trace, puzzle=SIX)
    if change in ("optimizer", "other weights loaded", "another tensor as data"):
        with pytest.raises(InputError, match="differ from those that were traced"): trace.decode(1)
    assert len(resume(replace(trace, weights=None), 3, 2).logits) == 2, "asked for, it goes on with them"
    model.load_state_dict(before)
    assert (torch.equal(resume(trace, 3, 2).logits, trace.logits)
        and torch.equal(trace.decode(-1), trace.logits[-1]))

def test_other_questions_for_a_trace():
    model, batch = small(), draw(3)
    trace = run_with_trace(model, batch, 2)
    for other, sentence in (
            (draw(2), r"batch should have the 3 puzzles of 36 cells that were traced, found shape \(2, 36\)"),
            (batch.inputs, "batch should be a Batch, found Tensor"),
            (replace(batch, puzzle_identifiers=torch.tensor([0, 0, 7])),
                "identities up to 7, but the model has 4"),
            (replace(batch, puzzle_identifiers=torch.tensor([0])), "as many labels and identities")):
        with pytest.raises(InputError, match=sentence): resume(trace, 2, 2, batch=other)
    with pytest.raises(InputError, match="identities up to 9"):
        run_with_trace(model, replace(batch, puzzle_identifiers=torch.tensor([9, 0, 0])), 1)
    other = resume(trace, 2, 2, batch=replace(batch, puzzle_identifiers=torch.tensor([1, 2, 3])))
    resume(other, 4, 2) # its fingerprint is that of the rows that it uses now

def test_a_patch_says_that_it_is_from_another_model():
    batch = draw(2)
    one, same, other = (Session(m, batch, 2, SIX) for m in (small(), small(), small(seed=2)))
    said = [one.root(0).branch(None, ActivationPatch("z_H", session.root(1))).sentence
        for session in (one, same, other)]
    assert (said[0] == said[1] and "taken from puzzle 2 of a model with other weights" in said[2]
        and "other weights" not in said[0])

def test_probes_meet_only_over_the_same_puzzles():
    def split(seed): batch = draw(8, seed); return split_of(zip(batch.inputs.numpy(), batch.labels.numpy()))
    model, (a, b) = small(), (split(0), split(1))
    def grams(split, into=None):
        into = into or Grams(lambda site: site.step == 1)
        stream(model, split, into, steps=1)
        return into
    one, again, other = grams(a), grams(a), grams(b)
    assert np.isfinite(cka(one, again)[0]).all()
    with pytest.raises(InputError, match="the same puzzles in the same order on both sides"): cka(one, other)
    with pytest.raises(InputError, match="hold sums over other puzzles already"): grams(b, one)
    tasks = tasks_for(SIX, stream(model, a, steps=1), 38)
    stream(model, a, Fitting(tasks), steps=1)
    with pytest.raises(InputError, match="is about other puzzles than these latents are of"):
        stream(model, b, Fitting(tasks), steps=1)

def test_numbers_are_no_masks():
    truth = np.array([0, 1, 1])
    with pytest.raises(InputError, match="auc: truth should be truth values, found int64"):
        auc(np.arange(3.), truth)
    with pytest.raises(InputError, match="place 'x': rows should be truth values"):
        Place("x", np.ones((2, 3)))
    with pytest.raises(InputError, match="group 'failed' should be truth values"):
        path_rows(None, np.zeros((3, 2, 2)), "z_H", {"failed": truth}, np.random.default_rng(0))

# ---- the puzzle embedding ---------------------------------------------------------------

def test_a_loop_of_ones_own_keeps_nothing():
    """With an optimizer that knows nothing of the table; without any backward pass; with
    two passes for one loss."""
    def alive():
        gc.collect()
        # isinstance would ask each object for its class
        return sum(issubclass(type(o), torch.Tensor) for o in gc.get_objects())
    table, index = SparseEmbedding(5, 8).train(), torch.tensor([0, 3, 3])
    counts = []
    for _ in range(6):
        table(index, HALF) # a forward pass alone, as for a look at the loss
        table(index, torch.float32).square().sum().backward()
        counts.append(alive())
    assert counts[-1] == counts[2] and table.pending.tolist() == [0, 3] and table.gradient.shape == (2, 8)

def test_gradients_of_several_passes_add_up():
    "Two passes and one loss, one loss after the other, the same graph twice; moved once, then forgotten."
    def moved(learn):
        table = SparseEmbedding(4, 1).train()
        with torch.no_grad(): table.weights.fill_(1.)
        learn(table)
        sign_step(table, 0.5, 0.)
        once = table.weights.clone()
        sign_step(table, 0.5, 0.)
        assert torch.equal(table.weights, once) and not len(table.pending)
        return once[:, 0].tolist()
    one, two = torch.tensor([0, 1]), torch.tensor([1, 2])
    def together(table): (table(one, torch.float32).sum() - 3*table(two, torch.float32).sum()).backward()
    def apart(table): table(one, torch.float32).sum().backward(); (-3*table(two, HALF)).sum().backward()
    def again(table):
        loss = table(one, torch.float32).sum()
        loss.backward(retain_graph=True); (-3*table(two, torch.float32)).sum().backward(); loss.backward()
    assert moved(together) == moved(apart) == moved(again) == [0.5, 1.5, 1.5, 1.]
    assert moved(lambda table: table(one, torch.float32)) == [1.]*4
