"""Two processes that share a run take the steps that one would take; the death of one ends both; what
they leave can be taken up."""
import json, os, signal, socket, subprocess, time
from pathlib import Path
import numpy as np, pytest, torch
from processes import COMMAND, Forked
from trm_lab.core.files import read_jsonl
from trm_lab.runs.notebooks import find_run
from trm_lab.training.states import load_state, saved_steps

HERE = Path(__file__).parents[1]
WORKER = f"""
import sys; sys.path[:0] = [{str(HERE)!r}, {str(HERE/'training')!r}]
import json, torch; torch.set_num_threads(1)
import numpy as np
from pathlib import Path
from trm_lab.models.checkpoints import load
from trm_lab.data.batches import Batch
from trm_lab.models.halting import HALTINGS
from trm_lab.core.distributed import join_process_group
from trm_lab.training.config import TrainConfig
from trm_lab.training.trainer import Trainer
case, out, accumulate, explores = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
late = json.loads(sys.argv[5])
found = np.load(case/"trajectory.npz")
names = ("inputs", "labels", "puzzle_identifiers")
batches = (Batch(*(torch.from_numpy(found[f"batches.{{n}}"][t]).long() for n in names)) for t in range(10))
loaded = load(case/"step_0", dtype=torch.float64)
process_group = join_process_group(torch.device("cpu"))
config = TrainConfig(train_steps=10, global_batch_size=8, lr_warmup_steps=3, loss="stablemax",
    dtype="float64", device="cpu", accumulate=accumulate, **late)
trainer = Trainer(config, None, batches, loaded.model.double(), HALTINGS[loaded.halting](4, explores),
    process_group)
told = []
for _ in range(10):
    m = trainer.step()
    told.append({{k: v.tolist() for k, v in m.items()}})
if process_group.is_main:
    torch.save({{"told": told, "weights": trainer.model.state_dict(), "ema": trainer.ema.shadow}}, out)
process_group.close()
import os; os._exit(0) # as the command line does
"""

def free_port():
    with socket.socket() as s: s.bind(("127.0.0.1", 0)); return s.getsockname()[1]

def steps_of(case, out, size, accumulate=1, explores=0.5, late={}):
    "Ten training steps by `size` processes."
    port = str(free_port())
    given = (case, out, accumulate, explores, json.dumps(late))
    def environment(rank):
        shared = {"RANK": str(rank), "WORLD_SIZE": str(size), "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
        return {**os.environ, "OMP_NUM_THREADS": "1", **(shared if size > 1 else {})}
    process_group = [Forked(WORKER, *given, env=environment(rank)) for rank in range(size)]
    for process in process_group: assert process.wait(120) == 0, process.stderr.read()
    return torch.load(out, weights_only=True)

LATE = {"late_share": 0.25, "late_steps": 6, "late_stride": 1} # one slot of each process

@pytest.mark.parametrize("name, late", [("trm_att", {}), ("hrm", {}), ("trm_att", LATE)])
def test_two_processes_and_parts_of_a_batch_are_one(name, late, tmp_path):
    """In float64: losses, decisions, weights, and embedding rows that both processes touch.
    The batch in two parts as well."""
    case = HERE/"reference"/"trajectories"/name
    one = steps_of(case, tmp_path/"one", 1, late=late)
    shared = np.load(case/"trajectory.npz")["batches.puzzle_identifiers"]
    assert any(set(row[:4]) & set(row[4:]) for row in shared), ("no embedding row is touched by both: "
        "the case shows nothing")
    for what, other in (("two processes", steps_of(case, tmp_path/"two", 2, late=late)),
            ("two parts", steps_of(case, tmp_path/"parts", 1, accumulate=2, late=late))):
        for step, (a, b) in enumerate(zip(one["told"], other["told"])):
            for key in a:
                if key in ("steps", "halted"): assert a[key] == b[key], f"{what}: {key} at step {step + 1}"
                else:
                    assert abs(a[key] - b[key]) <= 1e-5, (f"{what}: {key} at step {step + 1}: "
                        f"{a[key]} and {b[key]}")
        for of in ("weights", "ema"):
            for key, t in one[of].items():
                assert (t - other[of][key]).abs().max() <= 1e-9, f"{what}: {of} {key}"

# ---- the command -------------------------------------------------------------

# Float64, short carries and a low rate: an untrained recursion doubles or triples each
# rounding error at every step.
CONFIG = {"name": "shared", "puzzle": "sudoku-4x4", "train_puzzles": 64, "test_puzzles": 16,
    "train_steps": 60, "global_batch_size": 16, "log_every": 5, "eval_every": 20, "save_seconds": 0.,
    "lr_warmup_steps": 5, "dtype": "float64", "device": "cpu", "lr": 1e-4, "halt_max_steps": 2,
    "model": {"hidden_size": 16, "num_heads": 2, "swiglu_multiple": 16, "H_cycles": 2, "L_cycles": 2,
        "mlp_t": True, "pos_encodings": "none",
        "puzzle_emb_ndim": 0}} # no embedding: a sign of almost nothing is decided by rounding

def trained(home, nproc, wait=True):
    "`trm-lab train`, as a user starts it."
    (home/"config.yaml").write_text(json.dumps(CONFIG))
    process = Forked(COMMAND, "train", home/"config.yaml",
        *(["--nproc", nproc] if nproc > 1 else []), stderr=subprocess.STDOUT, start_new_session=True,
        env={**os.environ, "TRM_LAB_HOME": str(home), "OMP_NUM_THREADS": "1"})
    if wait: said, _ = process.communicate(timeout=180); return process.returncode, said
    return process

def joined(home, size):
    "The same as a scheduler starts it, which tells each process its rank: exit codes, and all that was said."
    (home/"config.yaml").write_text(json.dumps(CONFIG))
    together = {"TRM_LAB_HOME": str(home), "OMP_NUM_THREADS": "1", "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(free_port())}
    process_group = [Forked(COMMAND, "train", home/"config.yaml", stderr=subprocess.STDOUT, env={**os.environ,
            **together, "RANK": str(rank), "LOCAL_RANK": str(rank)}) for rank in range(size)]
    said = [process.communicate(180)[0] for process in process_group]
    return [process.returncode for process in process_group], "".join(said)

def the_run(home): return find_run("train", CONFIG, home/"reports")[0]
def metrics(run):
    return [{k: v for k, v in row.items()
            if k not in ("seconds", "puzzle_steps_per_second", "puzzles_per_second", "intervals", "further")}
        for row in read_jsonl(run.folder/"metrics.jsonl")]

def until(condition, seconds=60):
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, "it never came to that"
        time.sleep(0.02)

@pytest.fixture(scope="module")
def alone(tmp_path_factory):
    home = tmp_path_factory.mktemp("alone")
    code, said = trained(home, 1)
    assert code == 0 and "test puzzles solved" in said, said
    assert trained(home, 1)[1].startswith("found the finished run")
    return the_run(home)

def alike(run, other):
    for a, b in zip(metrics(run), metrics(other), strict=True):
        assert a.keys() == b.keys()
        for key in a: assert a[key] == pytest.approx(b[key], abs=1e-7), f"{key} at step {a['step']}"

def test_one_of_two_dies_and_both_are_taken_up(alone, tmp_path):
    """Killed rank 1: the other ends too, and the exit code says that it failed.
    Two go on; the end is that of one undisturbed process."""
    process, run = trained(tmp_path, 2, wait=False), the_run(tmp_path)
    until(lambda: (run.folder/"checkpoints"/"states").is_dir()
        and any(s >= 10 for s in saved_steps(run.folder/"checkpoints"/"states")))
    family = (
        subprocess.run(["ps", "-eo", "pid,ppid,args"], capture_output=True, text=True).stdout.splitlines())
    leader = str(run.info["process"])
    parent = next(line.split()[1] for line in family if line.split()[0] == leader)
    other = next(line.split()[0]
        for line in family if line.split()[1] == parent and line.split()[0] != leader)
    os.kill(int(other), signal.SIGKILL)
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 1 and "one of 2 processes failed" in said, said
    assert not Path(f"/proc/{leader}").exists() and not run.finished
    codes, said = joined(tmp_path, 2)
    assert codes == [0, 0] and "goes on after step" in said and run.info["processes"] == 2, said
    alike(run, alone)

def test_a_warned_team_leaves_with_its_code_and_one_goes_on(alone, tmp_path):
    """SIGTERM to the command: 75. Resuming with another number of processes draws the same
    puzzles in the same order."""
    process, run = trained(tmp_path, 2, wait=False), the_run(tmp_path)
    until(lambda: (run.folder/"checkpoints"/"states").is_dir()
        and saved_steps(run.folder/"checkpoints"/"states"))
    process.terminate()
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 75 and run.info["status"] == "interrupted", said
    stopped, kept = run.info["problem"], saved_steps(run.folder/"checkpoints"/"states")[-1]
    assert f"after step {kept} of 60" in stopped
    code, said = trained(tmp_path, 1)
    assert code == 0, said
    alike(run, alone)
    assert (load_state(run.folder/"checkpoints"/"states").values["batches"]
        == load_state(alone.folder/"checkpoints"/"states").values["batches"])

def test_a_batch_that_cannot_be_shared(tmp_path):
    codes, said = joined(tmp_path, 3)
    assert (codes == [2]*3
        and said.count("a batch of 16 cannot be divided evenly among 3 processes") == 3), said

# ---- a number that is not finite, in one process only -------------------------

SPOILT = f"""
import sys; sys.path[:0] = [{str(HERE)!r}, {str(HERE/'training')!r}]
import torch; torch.set_num_threads(1)
from dataclasses import replace
from pathlib import Path
import test_not_finite as t
from trm_lab.core.distributed import join_process_group
which, folder = sys.argv[1], Path(sys.argv[2])
process_group, data = join_process_group(torch.device("cpu")), t.generate_dataset(t.Sudoku(2, 2), 64, 16)
run = t.Run(folder/"run")
trainer = t.Trainer(t.CONFIG, data, process_group=process_group)
if which != "none" and process_group.rank == 1: getattr(t, which)(trainer)
try: t.fit(trainer, run)
except t.NotFinite as e: (folder/f"said{{process_group.rank}}").write_text(str(e))
if which != "none":
    saved = process_group.main_first(lambda: t.load_state(run.folder/"checkpoints"/"states"))
    assert saved.step == t.LAST - 1 and t.not_finite(saved.tensors) is None
    trainer = t.Trainer(t.CONFIG, data, process_group=process_group)
    t.fit(trainer, run)
if process_group.is_main: torch.save(trainer.model.state_dict(), folder/"end")
process_group.close()
import os; os._exit(0)
"""

def spoilt(which, folder):
    "Where two processes end, of which the second meets something at step 6."
    env = {**os.environ, "OMP_NUM_THREADS": "1", "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(free_port())}
    both = [Forked(SPOILT, which, folder, env={**env, "RANK": str(rank)}) for rank in range(2)]
    for process in both: assert process.wait(120) == 0, process.stderr.read()
    return torch.load(folder/"end", weights_only=True)

@pytest.fixture(scope="module")
def unspoilt(tmp_path_factory): return spoilt("none", tmp_path_factory.mktemp("unspoilt"))

@pytest.mark.parametrize("which", ["weight", "rows", "latent"])
def test_one_process_meets_a_number_that_is_not_finite(which, unspoilt, tmp_path):
    """All stop at that step and say so, the state is that before it, and when both go on they end
    as if it had never come."""
    end = spoilt(which, tmp_path)
    for rank in range(2): assert "stopped at step 6" in (tmp_path/f"said{rank}").read_text()
    for name, t in unspoilt.items(): assert torch.equal(t, end[name]), name
