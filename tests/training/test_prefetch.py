"Batches that a thread draws ahead are the same batches, and a run goes on from the one that was used."
import gc, os, signal, threading, time
from dataclasses import replace
from pathlib import Path
import numpy as np, pytest, torch
from processes import Forked
from test_not_finite import CONFIG, everything, same
from test_resume import four, tiny # noqa: F401 (a fixture)
from trm_lab.core.errors import InputError, Interrupted
from trm_lab.core.run import Run
from trm_lab.data.batches import Batches, Prefetched
from trm_lab.data.datasets import split_of
from trm_lab.data.generate import generate_dataset
from trm_lab.puzzles.base import find_puzzle
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.training.loop import estimate_seconds, fit
from trm_lab.training.trainer import Trainer

@pytest.fixture(scope="module")
def small(): return generate_dataset(Sudoku(2, 2), 64, 16)

def stream(dataset, **given): return Batches(dataset.train, 16, 3, dataset.puzzle, **given)

def drawing(): return [t for t in threading.enumerate() if t.name == "batches"]

def equal(one, other): return all(map(torch.equal, vars(one).values(), vars(other).values()))

def settled(ahead):
    "Waits until the thread has drawn all it may."
    until = time.monotonic() + 20
    while ahead._drawing.found.qsize() < ahead.ahead and time.monotonic() < until: time.sleep(0.001)
    assert ahead._drawing.found.qsize() == ahead.ahead

# ---- the same stream ---------------------------------------------------------------------

@pytest.mark.parametrize("count", [1, 2, 7])
def test_it_is_the_same_stream(small, count):
    "Batch by batch; the place is that of what was used, also while more is drawn."
    plain, ahead = stream(small), Prefetched(stream(small), count)
    for i in range(20):
        assert equal(next(plain), next(ahead)) and ahead.state() == plain.state()
        if i % 5 == 0:
            settled(ahead)
            assert ahead.stream.state()["drawn"] == plain.state()["drawn"] + count
            assert ahead.state() == plain.state()
        if i == 11: ahead.close() # what was drawn and not used is drawn again
    ahead.close()
    assert not drawing()

def test_going_back_and_forth(small):
    plain, ahead = stream(small), Prefetched(stream(small))
    first, places = [], []
    for _ in range(9): places.append(ahead.state()); first.append(next(ahead))
    for i in (4, 0, 8, 7): # forwards and backwards
        ahead.restore(places[i])
        assert ahead.state() == places[i] and equal(next(ahead), first[i])
    plain.restore(ahead.state())
    assert equal(next(plain), next(ahead))
    ahead.close()

def test_the_thread_ends_with_its_user(small):
    ahead = Prefetched(stream(small))
    next(ahead)
    assert len(drawing()) == 1
    del ahead
    gc.collect()
    assert not drawing()

class Breaks:
    "A stream that fails at its fifth batch, always."
    def __init__(self, stream): self.stream, self.left = stream, 4
    def state(self): return self.stream.state()
    def restore(self, state): self.stream.restore(state); self.left = 4 - state["drawn"]
    def __next__(self):
        self.left -= 1
        if self.left < 0: raise InputError("puzzle 71 cannot be read; build the dataset again")
        return next(self.stream)

def test_an_error_comes_where_its_batch_would_be_used(small):
    "Not earlier, with the same sentence, and again when it is tried again."
    ahead = Prefetched(Breaks(stream(small)), 3)
    for _ in range(4): next(ahead)
    for _ in range(2):
        with pytest.raises(InputError, match="^puzzle 71 cannot be read; build the dataset again$"):
            next(ahead)
        assert ahead.state()["drawn"] == 4 and not drawing()

# ---- shares ------------------------------------------------------------------------------

@pytest.mark.parametrize("name", ["sudoku-4x4", "maze-8x8", "lights_out-3x4", "arc-10x10"])
def test_a_process_draws_its_share(name):
    "The shares of four processes are the whole batch, whatever augments it."
    puzzle, rng = find_puzzle(name), np.random.default_rng(0)
    if name.startswith("arc"):
        from trm_lab.puzzles.arc import to_tokens
        boards = np.stack([to_tokens(rng.integers(10, size=(3, 4)).tolist(), side=10) for _ in range(24)])
        pairs = [*zip(boards, boards[::-1])]
    else: pairs = [pair for pair, _ in zip(puzzle.generate(rng), range(24))]
    split = split_of(pairs)
    whole = Batches(split, 16, 1, puzzle)
    shares = [Batches(split, 16, 1, puzzle, share=slice(4*i, 4*i + 4)) for i in range(4)]
    for _ in range(5):
        batch, parts = next(whole), [next(each) for each in shares]
        for field, t in vars(batch).items():
            assert torch.equal(t, torch.cat([getattr(part, field) for part in parts])), field

# ---- training ----------------------------------------------------------------------------

def test_a_training_is_the_same(small):
    plain, ahead = Trainer(CONFIG, small), Trainer(CONFIG, small, ahead=3)
    for _ in range(12): plain.step(); ahead.step()
    assert ahead.source.batches.stream.drawn >= 12 and plain.source.batches.drawn == 12
    same(everything(plain), everything(ahead))
    assert ahead.source.waited > 0
    ahead.source.close()

def test_resumed_in_the_middle(small):
    "A state that was taken while three batches wait, and a trainer without a thread that goes on from it."
    whole, first = Trainer(CONFIG, small), Trainer(CONFIG, small, ahead=3)
    for _ in range(12): whole.step()
    for _ in range(5): first.step()
    settled(first.source.batches)
    state = first.state()
    assert state.values["batches"]["drawn"] == 5 and first.source.batches.stream.drawn == 8
    for ahead in (0, 2):
        second = Trainer(CONFIG, small, ahead=ahead)
        second.restore(state)
        for _ in range(7): second.step()
        same(everything(second), everything(whole))
        second.source.close()
    for _ in range(7): first.step() # and itself
    same(everything(first), everything(whole))
    first.source.close()

def test_a_step_that_fails_is_drawn_again(small):
    whole, trainer = Trainer(CONFIG, small), Trainer(CONFIG, small, ahead=2)
    for _ in range(6): whole.step()
    for _ in range(3): trainer.step()
    handle = trainer.model.lm_head.register_forward_hook(lambda *given: 1/0)
    with pytest.raises(ZeroDivisionError): trainer.step()
    handle.remove()
    for _ in range(3): trainer.step()
    same(everything(trainer), everything(whole))
    trainer.source.close()

def test_fit_ends_the_thread(small, tmp_path):
    config = replace(CONFIG, train_steps=6)
    fit(Trainer(config, small, ahead=2), Run(tmp_path/"run"))
    assert not drawing()
    broken = Trainer(config, small, ahead=2)
    broken.source.batches = Prefetched(Breaks(stream(small)), 2)
    with pytest.raises(InputError, match="^puzzle 71 cannot be read"): fit(broken, Run(tmp_path/"broken"))
    assert broken.steps_done == 4 and not drawing()
    estimate_seconds(config, small)
    assert not drawing()

def test_a_signal_saves_what_was_used(small, tmp_path):
    "SIGTERM while batches wait: the run stops, saves, and ends as one that was left alone."
    config, run = replace(CONFIG, train_steps=12), Run(tmp_path/"run")
    fit(whole := Trainer(config, small), Run(tmp_path/"whole"))
    trainer = Trainer(config, small, ahead=3)
    step = trainer.step
    def stopped():
        if trainer.steps_done == 4: settled(trainer.source.batches); os.kill(os.getpid(), signal.SIGTERM)
        return step()
    trainer.step = stopped
    with pytest.raises(Interrupted, match="stopped after step 5 of 12"): fit(trainer, run)
    assert not drawing()
    fit(again := Trainer(config, small, ahead=2), run)
    same(everything(again), everything(whole))

WORKER = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch; torch.set_num_threads(1)
import test_resume as t
from trm_lab.data.datasets import read_dataset
from trm_lab.core.run import Run
trainer = t.Trainer(t.tiny(train_steps=100_000, save_seconds=1e9), read_dataset(sys.argv[1]), ahead=2)
for _ in range(3): trainer.step()
print("ready", flush=True)
t.fit(trainer)
"""

def test_ctrl_c_leaves_nothing_hanging(four): # noqa: F811
    process = Forked(WORKER, four[1])
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    time.sleep(0.3)
    process.send_signal(signal.SIGINT)
    began = time.monotonic()
    assert process.wait(30) != 0 and time.monotonic() - began < 20
    assert "KeyboardInterrupt" in process.stderr.read()
