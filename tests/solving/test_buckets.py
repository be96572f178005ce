"A batch that is filled up to few sizes is answered as it would be without that."
import numpy as np, pytest, torch
from torch import nn
from trm_lab.data.batches import ordered_batches
from trm_lab.data.generate import generate_dataset
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.models.trm import Network
from trm_lab.models.variants import ARCHITECTURES, build_model
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.solving import evaluate as scoring, solve as solving
from trm_lab.solving.evaluate import evaluate, solve_many
from trm_lab.solving.search import Search, solve_by_search
from trm_lab.solving.solve import BucketedSteps, SMALLEST, bucket, noise, recursion, solve, stepper_for
from trm_lab.training.capture import CaptureFailed

@pytest.fixture(scope="module")
def shipped(): return load_pretrained("sudoku-6x6", dtype=torch.float32)

@pytest.fixture(scope="module")
def unseen(): return generate_dataset(Sudoku(2, 3), 1, 70, seed=9).test

def sizes_of(model, monkeypatch):
    "Fills with the rows that each pass through a network has."
    seen, plain = [], Network.forward
    def watched(self, z, rope):
        seen.append(len(z))
        return plain(self, z, rope)
    monkeypatch.setattr(Network, "forward", watched)
    return seen

def test_sizes():
    sizes = [bucket(n) for n in (1, 15, 16, 17, 31, 32, 33, 255, 256, 257)]
    assert sizes == [16, 16, 16, 32, 32, 32, 64, 256, 256, 512]

@pytest.mark.parametrize("halts", [False, True], ids=["all steps", "halting"])
def test_answers_are_the_same(shipped, unseen, halts, monkeypatch):
    "Tokens and steps are equal; logits to the rounding of products of another size."
    batch, halting = next(ordered_batches(unseen, 70)), shipped.policy() if halts else None
    plain, steps = solve(shipped.model, batch, halting=halting), BucketedSteps(shipped.model)
    seen = sizes_of(shipped.model, monkeypatch)
    filled = solve(shipped.model, batch, halting=halting, stepper=steps)
    assert torch.equal(plain.tokens, filled.tokens) and torch.equal(plain.steps, filled.steps)
    assert plain.updates == filled.updates
    torch.testing.assert_close(plain.q_halt, filled.q_halt, rtol=1e-3, atol=1e-3)
    assert set(seen) == set(steps.sizes) and all(n >= SMALLEST and n & (n - 1) == 0 for n in seen)
    assert (set(seen) == {128}) is not halts and max(seen) == 128

@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture(arch):
    "In float64, a recursion in which one puzzle leaves after each step: every latent and output, to 1e-9."
    settings = {"seq_len": 16, "vocab_size": 6, "hidden_size": 32, "num_heads": 4, "swiglu_multiple": 32}
    torch.manual_seed(0)
    model = build_model(arch, settings, arch, torch.float64).double().eval()
    batch = next(ordered_batches(generate_dataset(Sudoku(2, 2), 1, 18).test, 18))
    x = model.embed(batch)
    leave = lambda now: now.here == now.here.max()
    def course(steps): return [*recursion(model, x, model.start(x), 4, leave, stepper=steps)]
    for plain, filled in zip(course(None), course(BucketedSteps(model)), strict=True):
        assert torch.equal(plain.here, filled.here) and plain.step == filled.step
        found = {**filled.state, **vars(filled.output)}
        for name, t in {**plain.state, **vars(plain.output)}.items():
            torch.testing.assert_close(found[name], t, rtol=1e-9, atol=1e-9)

def test_a_watch_sees_its_own_rows(shipped, unseen):
    "Where a watch changes latents, steps are taken on the puzzles alone."
    batch, rows = next(ordered_batches(unseen, 20)), set()
    def watch(u, state):
        rows.add(len(state["z_H"]))
        return noise(0.1, torch.Generator().manual_seed(u.substep))(u, state)
    plain = solve(shipped.model, batch, 2, watch=watch)
    filled = solve(shipped.model, batch, 2, watch=watch, stepper=(steps := BucketedSteps(shipped.model)))
    assert rows == {20} and torch.equal(plain.tokens, filled.tokens) and not steps.sizes

def test_a_search(shipped, unseen):
    batch = next(ordered_batches(unseen, 40))
    search = Search(5, stop_when="solved")
    def found(steps):
        return solve_by_search(shipped.model, shipped.puzzle, batch, search, 2, shipped.policy(),
            stepper=steps)
    plain, filled = found(None), found(BucketedSteps(shipped.model))
    for name in ("tokens", "steps", "tries", "solved", "answers", "spent"):
        assert torch.equal(getattr(plain, name), getattr(filled, name)), name

class Replays:
    "Stands where a captured graph does: takes the same places in memory every time."
    made:list = []
    def __init__(self, step, of): self.step, self.given = step, None; Replays.made.append(self)
    def __call__(self, given):
        if self.given is None: self.given = [t.clone() for t in given]
        for mine, new in zip(self.given, given, strict=True): mine.copy_(new) # fails if the shape has changed
        return {name: t.clone() for name, t in self.step(*self.given).items()}

def test_one_graph_a_size(shipped, unseen, monkeypatch):
    "A whole evaluation, with halting, needs one graph for each size."
    plain = evaluate(shipped.model, shipped.puzzle, unseen, 16, shipped.policy(), batch_size=32)
    monkeypatch.setattr(solving, "CapturedStep", Replays)
    monkeypatch.setattr(Replays, "made", [])
    steps = BucketedSteps(shipped.model, capture=True)
    monkeypatch.setattr(scoring, "stepper_for", lambda *given: steps)
    filled = evaluate(shipped.model, shipped.puzzle, unseen, 16, shipped.policy(), batch_size=32)
    assert len(Replays.made) == len(steps.sizes) == 2 and set(steps.sizes) == {16, 32}
    assert np.array_equal(plain.tokens, filled.tokens) and np.array_equal(plain.steps, filled.steps)
    many = np.concatenate([some.tokens for some in solve_many(shipped.model, shipped.puzzle, unseen, None, 16,
        shipped.policy(), rows=32)])
    assert len(Replays.made) == 2 and np.array_equal(many, plain.tokens)

def test_what_cannot_be_captured_is_computed(shipped, unseen, monkeypatch):
    class Refuses:
        def __init__(self, step, of): pass
        def __call__(self, given): raise CaptureFailed("the step could not be captured")
    monkeypatch.setattr(solving, "CapturedStep", Refuses)
    batch = next(ordered_batches(unseen, 20))
    steps = BucketedSteps(shipped.model, capture=True)
    with pytest.warns(UserWarning, match="solving: the step could not be captured; kernels are started one"):
        found = solve(shipped.model, batch, stepper=steps)
    assert torch.equal(found.tokens, solve(shipped.model, batch).tokens) and not steps.capture

def test_nothing_is_compiled_again(shipped, unseen, monkeypatch):
    "Once for each size and no more, in a second evaluation not at all; the model itself stays as it was."
    from torch._dynamo.testing import CompileCounter # takes a second, which other tests need not wait for
    counter, plain = CompileCounter(), nn.Module.compile
    monkeypatch.setattr(nn.Module, "compile", lambda self, **given: plain(self, backend=counter, **given))
    torch._dynamo.reset()
    def scored(compiled):
        return evaluate(shipped.model, shipped.puzzle, unseen, 16, shipped.policy(), batch_size=64,
            compiled=compiled)
    eager, compiled = scored(None), scored(True)
    once = counter.frame_count
    assert once == 3 # 64, 32 and 16 rows through one network
    assert np.array_equal(eager.tokens, compiled.tokens) and np.array_equal(eager.steps, compiled.steps)
    scored(True)
    assert counter.frame_count == once
    assert all(m._compiled_call_impl is None for m in shipped.model.modules())
    torch._dynamo.reset()

def test_what_is_decided_by_itself(shipped, monkeypatch):
    assert stepper_for(shipped.model, 10**15) is None # a processor
    monkeypatch.setattr(solving, "can_compile", lambda device: True)
    few, many = (stepper_for(shipped.model, count) for count in (1000, 10**12))
    assert few is None and many.compiled and not many.capture
    assert stepper_for(shipped.model, 10**12, compiled=False) is None
