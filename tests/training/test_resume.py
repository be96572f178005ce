"A run that is killed, warned or damaged ends exactly as one that was left alone."
import hashlib, json, os, random, shutil, signal, subprocess, time
from pathlib import Path
import numpy as np, pytest, torch
from processes import COMMAND, Forked, run_forked
from trm_lab.data.generate import generate_dataset
from trm_lab.data.datasets import write_dataset
from trm_lab.core.errors import InputError, RunFailed, build
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.core.run import Run
from trm_lab.core.files import read_jsonl
from trm_lab.training.states import TrainingState, load_state, save_state, saved_steps
from trm_lab.training.config import TrainConfig
from trm_lab.training.trainer import Trainer
from trm_lab.training.loop import fit

CLOCKS = ("seconds", "puzzle_steps_per_second") # what two runs need not share
TINY = {"name": "tiny", "puzzle": "sudoku-4x4", "train_steps": 20, "global_batch_size": 16, "log_every": 4,
    "eval_every": 8, "save_seconds": 0., "lr_warmup_steps": 5, "dtype": "float32", "halting": "q_learning",
    "halt_max_steps": 4, "model": {"hidden_size": 16, "num_heads": 2, "swiglu_multiple": 16, "H_cycles": 2,
        "L_cycles": 1, "mlp_t": True, "pos_encodings": "none", "puzzle_emb_len": 1}}

def tiny(**changes): return build(TrainConfig, {**TINY, **changes}, "tiny")

@pytest.fixture(scope="module")
def four(tmp_path_factory):
    dataset = generate_dataset(Sudoku(2, 2), 64, 16)
    write_dataset(dataset, folder := tmp_path_factory.mktemp("data")/"four")
    return dataset, folder

def look(model):
    "Stands for a user's evaluation, which draws from every generator there is."
    return {"exact": random.random()/4 + np.random.rand()/4 + torch.rand(1).item()/4}

def fingerprint(folder):
    "SHA-256 over weights, EMA, optimizer, random states, carry and metrics, clocks aside."
    state = load_state(folder/"checkpoints"/"states")
    digest = hashlib.sha256()
    for name in sorted(state.tensors):
        digest.update(name.encode() + state.tensors[name].reshape(-1).view(torch.uint8).numpy().tobytes())
    values = json.loads(json.dumps(dict(state.values)))
    for name in ("seconds", "metrics_bytes"): values["ledger"].pop(name)
    rows = [{k: v for k, v in row.items() if k not in CLOCKS} for row in read_jsonl(folder/"metrics.jsonl")]
    digest.update(json.dumps([state.step, values, rows], sort_keys=True).encode())
    return digest.hexdigest()

WORKER = f"""
import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})
import torch; torch.set_num_threads(1)
import test_resume as t
from pathlib import Path
from trm_lab.data.datasets import read_dataset
from trm_lab.core.errors import Interrupted
from trm_lab.core.run import Run
from trm_lab.training.states import *
folder, data, pace = Path(sys.argv[1]), Path(sys.argv[2]), float(sys.argv[3])
run = Run(folder); run.start("tiny", {{}})
trainer = t.Trainer(t.tiny(), read_dataset(data))
step = trainer.step
def slowly():
    t.time.sleep(pace)
    return step()
trainer.step = slowly
print("ready", flush=True)
try: t.fit(trainer, run, t.look)
except Interrupted as e: print(e, flush=True); sys.exit(75)
"""

def start(folder, data, pace=0.):
    "A process that trains, once it is ready to."
    process = Forked(WORKER, folder, data, pace)
    assert process.stdout.readline() == "ready\n", process.stderr.read()
    return process

@pytest.fixture(scope="module")
def undisturbed(four, tmp_path_factory):
    folder = tmp_path_factory.mktemp("runs")/"undisturbed"
    process = start(folder, four[1])
    assert process.wait(60) == 0, process.stderr.read()
    return fingerprint(folder)

def in_a_save(folder): return any((folder/"checkpoints"/"states").glob(".step-*"))

def killed_then_resumed(folder, data, rng, inside_save=False, twice=False, damage=None):
    """Kill at a random moment, damage the newest state if asked to, and let it run to its end.
    Gives back how many states were damaged."""
    for _ in range(1 + twice):
        process = start(folder, data, pace=0.02)
        time.sleep(rng.uniform(0.05, 0.5))
        while damage and not saved_steps(folder/"checkpoints"/"states"):
            time.sleep(0.01) # on a busy machine the first takes longer
        if inside_save:
            until = time.monotonic() + 10
            while not in_a_save(folder) and process.poll() is None and time.monotonic() < until: pass
        process.kill(); process.wait()
    damaged = 0
    if damage and (steps := saved_steps(folder/"checkpoints"/"states")):
        file = folder/"checkpoints"/"states"/f"step-{steps[-1]:09}"/rng.choice(
            ["tensors.safetensors", "values.json", "manifest.json"])
        content = bytearray(file.read_bytes())
        if damage == "cut": content = content[:rng.randrange(len(content))]
        else: content[rng.randrange(len(content))] ^= 1 << rng.randrange(8)
        file.write_bytes(content); damaged = 1
    process = start(folder, data)
    assert process.wait(60) == 0, process.stderr.read()
    said = process.stderr.read()
    return damaged and "damaged" in said

@pytest.mark.parametrize("seed", range(6))
def test_killed_and_resumed_ends_alike(seed, four, undisturbed, tmp_path):
    rng = random.Random(seed)
    noticed = killed_then_resumed(tmp_path/"run", four[1], rng, inside_save=seed % 2 == 1, twice=seed == 2,
        damage={3: "cut", 4: "flip"}.get(seed))
    assert fingerprint(tmp_path/"run") == undisturbed
    if seed in (3, 4): assert noticed, "a damaged state went unnoticed"

@pytest.mark.soak
def test_killed_many_times(four, undisturbed, tmp_path):
    """30 runs killed, ten of them inside a save, some twice; 10 more with the newest state damaged; 20
    with a scheduler's warning."""
    rng, same, inside, twice, damaged, noticed = random.Random(0), 0, 0, 0, 0, 0
    for k in range(30):
        killed_then_resumed(tmp_path/f"k{k}", four[1], rng, inside_save=k % 3 == 0, twice=k % 5 == 0)
        same += fingerprint(tmp_path/f"k{k}") == undisturbed; inside += k % 3 == 0; twice += k % 5 == 0
    for k in range(10):
        noticed += bool(killed_then_resumed(tmp_path/f"d{k}", four[1], rng, damage=("cut", "flip")[k % 2]))
        damaged += fingerprint(tmp_path/f"d{k}") == undisturbed
    warned = sum(warned_then_resumed(tmp_path/f"w{k}", four[1], (signal.SIGTERM, signal.SIGUSR2)[k % 2],
            rng) == undisturbed for k in range(20))
    print(f"\nkilled with SIGKILL: {same} of 30 ended bit-equal ({inside} killed inside a save, "
        f"{twice} killed twice); newest state damaged: {damaged} of 10 bit-equal, {noticed} noticed; "
        f"SIGTERM and SIGUSR2: {warned} of 20 bit-equal, no completed step lost")
    assert (same, damaged, warned) == (30, 10, 20)

def warned_then_resumed(folder, data, which, rng):
    "A signal: the step in progress ends, everything is saved, and the exit code says so."
    process = start(folder, data, pace=0.02)
    time.sleep(rng.uniform(0.05, 0.4))
    process.send_signal(which); process.send_signal(which) # a second one does no harm
    code, said = process.wait(60), process.stdout.read()
    if code == 75: # not so if it was at its end already
        last = saved_steps(folder/"checkpoints"/"states")[-1]
        assert f"after step {last} of {TINY['train_steps']}" in said, "a completed step was lost"
    else: assert code == 0
    process = start(folder, data)
    assert process.wait(60) == 0, process.stderr.read()
    return fingerprint(folder)

@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGUSR1, signal.SIGUSR2], ids=lambda s: s.name)
def test_a_warning_saves_and_leaves(which, four, undisturbed, tmp_path):
    assert warned_then_resumed(tmp_path/"run", four[1], which, random.Random(int(which))) == undisturbed

# ---- the comparison is worth something: whatever is left out of the state shows ----

PARTS = {"weights": "model.", "moving average": "ema.", "optimizer": "optimizer.",
    "carry": "carry.", "torch's generator": "random.torch", "numpy's generator": "random.numpy",
    "Python's generator": "random.python", "exploration's generator": "random.exploration"}
VALUES = {"data position": "batches", "the average's counter": "ema_updates", "the loop's sums": "ledger",
    "step, and with it the learning rate's schedule": "step"}

@pytest.fixture(scope="module")
def half(four, tmp_path_factory):
    "A run that was left after step 12."
    class Stop(Exception): pass
    def stop(progress):
        if progress.step == 12: raise Stop
    run = Run(tmp_path_factory.mktemp("half")/"run")
    with pytest.raises(Stop): fit(Trainer(tiny(), four[0]), run, look, stop)
    return run.folder

def second_half(dataset, half, folder, leave_out=None):
    "Let another trainer go on from the state without one part, and fingerprint the end."
    shutil.rmtree(folder, ignore_errors=True); shutil.copytree(half, folder)
    states, fresh = folder/"checkpoints"/"states", Trainer(tiny(), dataset)
    state = load_state(states)
    if leave_out: # as a new trainer has it, which is what a state without this part would leave
        begin = fresh.state()
        tensors, values, step = dict(state.tensors), {**state.values}, state.step
        if leave_out in PARTS:
            of = PARTS[leave_out]
            for name in [n for n in tensors if n.startswith(of)]: del tensors[name]
            tensors |= {n: t for n, t in begin.tensors.items() if n.startswith(of)}
        elif VALUES[leave_out] == "step": step = 0
        elif VALUES[leave_out] == "ledger":
            values["ledger"] = {"metrics_bytes": values["ledger"]["metrics_bytes"]}
        else: values[VALUES[leave_out]] = begin.values[VALUES[leave_out]]
        shutil.rmtree(states); save_state(states, TrainingState(step, tensors, values))
    fit(Trainer(tiny(), dataset), Run(folder), look)
    return fingerprint(folder)

def test_the_comparison_notices_each_part(four, half, tmp_path):
    dataset, _ = four
    whole = second_half(dataset, half, tmp_path/"whole")
    assert second_half(dataset, half, tmp_path/"again") == whole
    for part in PARTS | VALUES:
        assert second_half(dataset, half, tmp_path/"part", part) != whole, ("nobody would notice if "
            f"the state lacked: {part}")

# ---- faults ------------------------------------------------------------------

def test_a_state_of_another_configuration_is_refused(four, tmp_path):
    run = Run(tmp_path/"run")
    fit(Trainer(tiny(train_steps=8), four[0]), run)
    with pytest.raises(InputError, match="other parameters .train_steps, lr.; choose another folder"):
        fit(Trainer(tiny(train_steps=9, lr=1e-4), four[0]), run)

def test_a_full_disk_keeps_the_last_state(four, tmp_path):
    """A very small file system: the sentence names path and cause, and the run goes on
    where there is room again."""
    small = tmp_path/"small"; small.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)],
            capture_output=True).returncode:
        pytest.skip("only root can make a small file system")
    try:
        def fill(progress):
            if progress.step == 12:
                (small/"filler").write_bytes(b"x"*max(0, shutil.disk_usage(small).free - 20_000))
        with pytest.raises(RunFailed, match=r"step-0000000\d\d: the training state could not be saved .*No "
                r"space left on device.*; the last good one is of step 1\d"):
            fit(Trainer(tiny(model={**TINY["model"], "hidden_size": 8}, global_batch_size=8), four[0]),
                Run(small/"run"), on_progress=fill)
        kept = saved_steps(small/"run"/"checkpoints"/"states")
        (small/"filler").unlink()
        fit(Trainer(tiny(model={**TINY["model"], "hidden_size": 8}, global_batch_size=8), four[0]),
            Run(small/"run"))
        assert kept and saved_steps(small/"run"/"checkpoints"/"states")[-1] == TINY["train_steps"]
    finally: subprocess.run(["umount", "-l", str(small)], check=True)

def test_metrics_that_cannot_be_written_are_named(four, tmp_path):
    def block(progress):
        if progress.step == 8:
            (tmp_path/"run"/"metrics.jsonl").unlink()
            (tmp_path/"run"/"metrics.jsonl").mkdir()
    with pytest.raises(RunFailed, match=r"metrics.jsonl: step \d+ could not be logged .Is a directory.; "
            r"the last saved state is intact"):
        fit(Trainer(tiny(), four[0]), Run(tmp_path/"run"), on_progress=block)
    assert saved_steps(tmp_path/"run"/"checkpoints"/"states")[-1] >= 7

def test_a_loss_that_is_no_number_is_kept(four, tmp_path):
    """The network gives NaN once; what was saved is finite, and the run goes on from there.
    tests/test_not_finite.py has the other ways."""
    trainer, run = Trainer(tiny(), four[0]), Run(tmp_path/"run")
    trainer.model.lm_head.register_forward_hook(
        lambda module, given, out: out*float("nan") if trainer.steps_done == 5 else out)
    with pytest.raises(RunFailed,
            match="stopped at step 6: the loss is nan .*; the state before it and the batch are kept in"):
        fit(trainer, run)
    assert ((tmp_path/"run"/"checkpoints"/"not-finite-step-000000006.safetensors").exists()
        and saved_steps(tmp_path/"run"/"checkpoints"/"states")[-1] == 5)
    assert all(t.isfinite().all() for t in load_state(tmp_path/"run"/"checkpoints"/"states").tensors.values())
    fit(Trainer(tiny(), four[0]), run)
    assert saved_steps(tmp_path/"run"/"checkpoints"/"states")[-1] == TINY["train_steps"]

def test_nobody_else_in_the_folder(four, tmp_path):
    with Run(tmp_path/"run").lock("training"):
        code = (f"import sys; sys.path.insert(0, {str(Path(__file__).parent)!r})\n"
            "import test_resume as t; from trm_lab.core.run import Run; from pathlib import Path\n"
            f"with Run(Path({str(tmp_path/'run')!r})).lock('training', patience=0.2): pass")
        status, _, err = run_forked(code)
        assert status and "another process is already training this run" in err

def test_a_read_only_place_is_named(four, tmp_path):
    "As the run begins: the folder, the cause, what to do."
    place = tmp_path/"place"; place.mkdir()
    if os.geteuid() == 0: # permissions do not stop root; a file where a folder belongs does
        (place/"run").write_text("")
        with pytest.raises(InputError, match="run: the run's folder cannot be written"):
            Run(place/"run").start("tiny", {})
        with pytest.raises(InputError, match="run: the run's folder cannot be written"):
            fit(Trainer(tiny(), four[0]), Run(place/"run"))
    else:
        place.chmod(0o500)
        with pytest.raises(InputError, match="Permission denied"): Run(place/"run").start("tiny", {})

# ---- the executed notebook ----------------------------------------------------

NOTEBOOK = ["run", "train", "-f", "sudoku-4x4", "-p", "train_puzzles", "60", "-p", "test_puzzles",
    "20", "-p", "train_steps", "150", "-p", "global_batch_size", "16", "-p", "log_every", "10",
    "-p", "eval_every", "0", "-p", "save_seconds", "0", "-p", "model.hidden_size", "16"]

def notebook(home):
    return Forked(COMMAND, *NOTEBOOK, stderr=subprocess.STDOUT,
        env={**os.environ, "TRM_LAB_HOME": str(home), "OMP_NUM_THREADS": "1"})

def newest(home):
    "The last step that a training in a notebook has saved; 0 before there is one."
    return max((step for states in home.glob("reports/*/checkpoints/states") for step in saved_steps(states)),
        default=0)

def test_a_notebook_that_was_stopped_goes_on(tmp_path):
    """Stopped twice. SIGTERM to the command reaches the kernel that trains: 75 and everything saved.
    After SIGKILL the next start waits for the old kernel to end."""
    for which in (signal.SIGTERM, signal.SIGKILL):
        process, before, until = notebook(tmp_path), newest(tmp_path), time.monotonic() + 300
        while time.monotonic() < until and newest(tmp_path) < before + 5: time.sleep(0.02)
        process.send_signal(which)
        said, _ = process.communicate(timeout=120)
        folder, = (tmp_path/"reports").iterdir()
        if which == signal.SIGTERM:
            assert process.returncode == 75 and "training stopped after step" in said, said
            assert Run(folder).info["status"] == "interrupted"
        else: assert process.returncode == -which and Run(folder).info["status"] == "running"
        assert before < newest(tmp_path) < 150
    process = notebook(tmp_path)
    said, _ = process.communicate(timeout=300)
    assert process.returncode == 0 and "goes on after step" in said, said
    run = Run(folder)
    assert (run.finished and run.info["attempt"] == 3
        and [r["step"] for r in run.metrics("train")] == [*range(10, 151, 10)])
