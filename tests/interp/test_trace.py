"Traces against the recursion that they recorded: the same answers, any site to the bit, nothing left behind."
from dataclasses import replace
import numpy as np, pytest, torch
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.data.batches import make_batch
from trm_lab.core.errors import InputError
from trm_lab.models.halting import BinaryHalting
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.solving.solve import solve
from trm_lab.models.variants import ARCHITECTURES, build_model
from trm_lab.interp.trace import Site, compose, read_trace, resume, run_with_trace, trace_bytes

SURE = BinaryHalting(threshold=0.9)

def draw(count, seed=0):
    puzzles = Sudoku(2, 3).generate(np.random.default_rng(seed))
    return make_batch(*map(np.stack, zip(*(next(puzzles) for _ in range(count)))))

def small(dtype=torch.float32, arch="trm", **settings):
    """An untrained model with puzzle positions, two identities, and opinions about halting
    that differ between puzzles."""
    torch.manual_seed(1)
    # small counts, of which each system has some
    few = {"H_cycles": 2, "L_cycles": 2, "H_layers": 2, "rounds": 2, "evaluations": 3}
    few = {name: n for name, n in few.items() if hasattr(ARCHITECTURES[arch].Config, name)}
    model = build_model(arch, {"seq_len": 36, "vocab_size": 8, "num_puzzle_identifiers": 4,
            "hidden_size": 48 if arch == "trm_equivariant" else 32, "num_heads": 4, "swiglu_multiple": 16,
            "puzzle_emb_len": 2, **few, **settings}, dtype=dtype)
    with torch.no_grad():
        model.q_head.weight.normal_(); model.q_head.bias.fill_(0.)
        model.puzzle_emb.weights.normal_()
    return model.eval()

class Leave:
    "Stop each puzzle at a step of its own; begins anywhere."
    def __init__(self, at, step=1, here=None):
        self.at, self.now, self.here = (torch.tensor(at), step - 1,
            torch.arange(len(at)) if here is None else here)
    def stop(self, output, before):
        self.now += 1
        gone = self.at[self.here] <= self.now
        self.here = self.here[~gone]
        return gone

def assert_same(a, b):
    assert a.sites == b.sites and torch.equal(a.steps, b.steps)
    for name in ("logits", "tokens", "q_halt", "q_continue"):
        assert torch.equal(getattr(a, name), getattr(b, name)), name
    for site in a.sites:
        assert torch.equal(a.here(site), b.here(site))
        for name in a.names:
            assert torch.equal(a.latent(site, name), b.latent(site, name)), f"{name} at {site}"

MODELS = {
    "pretrained": lambda dtype: load_pretrained("sudoku-6x6", dtype=dtype).model,
    "attention": small,
    "mlp": lambda dtype: small(dtype, mlp_t=True, pos_encodings="none"),
    **{arch: lambda dtype, arch=arch: small(dtype, arch) for arch in ARCHITECTURES if arch != "trm"}}

@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("name", MODELS)
def test_same_answers_and_resumed_at_every_site(name, dtype):
    "At every site where puzzles leave one after the other; by the other rules, in each step once."
    model, leaving = MODELS[name](dtype), [3, 1, 3, 2, 3, 2]
    batch = replace(draw(6), puzzle_identifiers=torch.arange(6) % 4) if name != "pretrained" else draw(6)
    for halting in (lambda **now: None, lambda **now: SURE, lambda **now: Leave(leaving, **now)):
        trace, alone = run_with_trace(model, batch, 3, halting()), solve(model, batch, 3, halting())
        assert (torch.equal(trace.tokens[-1], alone.tokens) and torch.equal(trace.steps, alone.steps)
            and torch.equal(trace.q_halt[-1], alone.q_halt))
        assert sum(int(trace.here(site).sum()) for site in trace.sites) == alone.updates
        each = 1 if isinstance(halting(), Leave) else len(model.schedule()) + 1 # another one in each step
        for site in trace.sites[::each]:
            assert_same(trace,
                resume(trace, site, 3, halting(step=site.step, here=trace.here(site).nonzero()[:, 0])))
        for step in range(1, len(trace.logits) + 1): # the logit lens on the last answer is what `read` said
            last = trace.at(step=step)[-1]
            assert torch.equal(trace.decode(last), trace.logits[step - 1][trace.here(last)].float())

def test_recording_alone_says_where_a_latent_was():
    "Every latent against a plain run that keeps every state."
    model, batch, states = small(), draw(3), []
    trace = run_with_trace(model, batch, 2)
    with torch.no_grad():
        x = model.embed(batch); state = model.start(x)
        for _ in range(2): state = model.step(x, state, lambda u, s: states.append(s) or s)
    for site, state in zip(trace.sites, states, strict=True):
        for name in state: assert torch.equal(trace.latent(site, name), state[name])
        assert torch.equal(trace.decode(site, "z_L", [1])[0], model.decode(state["z_L"])[1])

def test_rows_that_left():
    trace = run_with_trace(small(), draw(4), 4, Leave([3, 1, 4, 2]))
    assert (trace.steps.tolist() == [3, 1, 4, 2]
        and [int(trace.here(s[-1]).sum()) for s in (trace.at(step=t) for t in range(1, 5))] == [4, 3, 2, 1])
    site = trace.at(step=3)[1]
    assert (torch.equal(trace.latent(site, rows=[2, 0]), trace.latent(site)[[1, 0]])
        and torch.equal(trace.decode(site, rows=[2]), trace.decode(site)[1:]))
    assert torch.equal(trace.tokens[-1, 1], trace.tokens[0, 1]) and trace.state(site)["z_H"].shape[0] == 2
    with pytest.raises(InputError, match="puzzle 3 left the batch after supervision step 2"):
        trace.latent(site, rows=[0, 3])
    with pytest.raises(InputError, match="there is no puzzle 4"): trace.decode(site, rows=[4])

def test_bytes_are_stated_and_kept():
    model, batch, said = small(), draw(4), []
    needed = trace_bytes(model, 4, 3)
    trace = run_with_trace(model, batch, 3, report=said.append, limit_bytes=needed)
    taken = sum(z.nbytes
        for z in (*trace.kept.values(), *trace.start.values(), trace.logits, trace.q_halt, trace.q_continue))
    assert taken == needed and f"{needed:,} bytes" in said[0]
    with pytest.raises(InputError,
            match=rf"{needed:,} bytes .* in memory, but limit_bytes is {needed - 1:,}; record fewer sites"):
        run_with_trace(model, batch, 3, limit_bytes=needed - 1)
    assert trace_bytes(model, 4, 3, dtype=torch.bfloat16) < needed/1.8
    few = run_with_trace(model, batch, 3, sites=lambda s: s.name == "z_H", dtype=torch.bfloat16)
    assert (len(few.sites) == 6 and few.latent(0).dtype == torch.bfloat16
        and few.decode(5).dtype == torch.float32)
    with pytest.raises(InputError, match="cannot hold"): resume(few, 0, 3)
    # a watch that exchanges latents out of turn takes more than was foreseen, and is stopped at the bound
    with pytest.raises(InputError, match="do not fit into limit_bytes"):
        run_with_trace(model, batch, 3, limit_bytes=needed, watch=lambda u, s: s.map(torch.clone))

@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_file(tmp_path, dtype):
    model, batch, turns = (small(dtype), draw(4),
        lambda u, s: s.map(lambda z: z.transpose(1, 2).contiguous().transpose(1, 2)))
    for watch in (None, turns): # latents may lie in memory in any order
        where = tmp_path/f"{watch is None}"
        trace = run_with_trace(model, batch, 3, Leave([3, 1, 2, 3]), watch=watch)
        assert_same(trace, run_with_trace(model, batch, 3, Leave([3, 1, 2, 3]), watch=watch, to=where))
        back = read_trace(where, model)
        assert all(back.latent(s).stride() == trace.latent(s).stride() for s in trace.sites)
        site = trace.sites[8]
        assert_same(trace,
            resume(back, site, 3, Leave([3, 1, 2, 3], site.step, trace.here(site).nonzero()[:, 0]), watch))
    alone = read_trace(where)
    assert torch.equal(alone.latent(3), trace.latent(3)) and torch.equal(alone.batch.labels, batch.labels)
    with pytest.raises(InputError, match="decoding needs the model"): alone.decode(3)
    with pytest.raises(InputError, match="another schedule"):
        read_trace(where, load_pretrained("sudoku-6x6").model)
    with pytest.raises(InputError, match="not an empty folder"): run_with_trace(model, batch, 3, to=where)
    with open(where/"latents.bin", "ab") as f: f.write(b"x")
    with pytest.raises(InputError, match="latents.bin should have"): read_trace(where, model)
    (where/"answers.safetensors").write_bytes(b"")
    with pytest.raises(InputError, match="record the trace again"): read_trace(where, model)

def test_nothing_is_left_behind(tmp_path):
    """A watch that fails half-way leaves no hook, no file and no gradient mode, and
    the model solves as before."""
    model, batch, count = small(), draw(4), 0
    before = solve(model, batch, 3)
    def fail(u, state):
        nonlocal count
        count += 1
        if count == 9: raise RuntimeError("on purpose")
        return state
    attributes = set(vars(model))
    for to in (None, tmp_path/"half"):
        count = 0
        with pytest.raises(RuntimeError, match="on purpose"):
            run_with_trace(model, batch, 3, watch=fail, to=to)
    assert list(tmp_path.iterdir()) == [] and set(vars(model)) == attributes and torch.is_grad_enabled()
    assert not any(m._forward_hooks or m._forward_pre_hooks for m in model.modules())
    assert torch.equal(solve(model, batch, 3).tokens, before.tokens)
    with torch.no_grad():
        run_with_trace(model, batch, 1)
        assert not torch.is_grad_enabled()
    trace = run_with_trace(model, batch, 1)
    assert torch.is_grad_enabled() and not any(trace.latent(s).requires_grad for s in trace.sites)

def test_watches_compose():
    "In order; the recorder sees what the recursion goes on with, also latents changed out of turn."
    order = []
    def double(u, state):
        order.append("double")
        return state.replace(z_L=2*state["z_L"]) if u.name == "z_H" else state
    def add(u, state):
        order.append("add")
        return state.replace(z_L=state["z_L"] + 1) if u.name == "z_H" else state
    model, batch = small(), draw(2)
    plain, edited = (run_with_trace(model, batch, 1),
        run_with_trace(model, batch, 1, watch=compose(double, None, add)))
    assert order == ["double", "add"]*len(model.schedule())
    first = plain.at(name="z_H")[0]
    assert (torch.equal(edited.latent(first), plain.latent(first))
        and torch.equal(edited.latent(first, "z_L"), 2*plain.latent(first, "z_L") + 1))
    assert not torch.equal(edited.latent(-1), plain.latent(-1))
    child = resume(plain, first, 1, watch=compose(double, add)) # the site itself is past: not edited
    assert (torch.equal(child.latent(first, "z_L"), plain.latent(first, "z_L"))
        and not torch.equal(child.latent(-1, "z_L"), plain.latent(-1, "z_L")))
    assert Site(1, 0, 0, "z_L") < first < plain.sites[-1]
