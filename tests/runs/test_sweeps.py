"Many runs: each way to end is told from the others, and whatever happens, a run is committed once."
import contextlib, io, json, os, signal, subprocess, sys, time
from dataclasses import replace
from pathlib import Path
import psutil, pytest
from processes import COMMAND, Forked
from trm_lab.cli import main
from trm_lab.core.errors import InputError, RunFailed, build
from trm_lab.puzzles.base import find_puzzle
from trm_lab.core.run import Run, run_id
from trm_lab.runs.lease import attempts, take_lease
from trm_lab.runs.templates import experiments_folder, read_parameters, template_parameters
from trm_lab.runs.notebooks import find_run
from trm_lab.runs.grids import Grid, Resources, plan_sweep, read_grid, read_sweep
from trm_lab.runs.outcomes import status, statuses
from trm_lab.runs.engines import Local, slot_environments
from trm_lab.runs.sweeps import Screen, settings, run_trial, run_sweep
from trm_lab.training.config import TrainConfig
from trm_lab.models.variants import build_model

# ---- committed once ----------------------------------------------------------

RACER = """
import os, random, sys
from pathlib import Path
from trm_lab.core.errors import InputError
from trm_lab.core.run import Run
from trm_lab.runs.lease import take_lease
place, ids, rng = Path(sys.argv[1]), int(sys.argv[2]), random.Random(os.getpid())
for i in rng.sample(range(ids), ids):
    run = Run(place/f"run-{i}")
    if run.finished: continue
    try:
        with take_lease(run) as lease:
            if run.finished: continue
            lease.work.start("race", {"i": i}); lease.work.finish([], by=os.getpid())
            if lease.commit():
                with open(place/"winners", "a") as f: f.write(f"{i}\\n")
    except InputError as e: assert "another process is already running" in str(e), e
"""

def race(place, processes, ids):
    racers = [subprocess.Popen([sys.executable, "-c", RACER, str(place), str(ids)], stderr=subprocess.PIPE,
            text=True) for _ in range(processes)]
    for racer in racers: assert racer.wait(600) == 0, racer.stderr.read()
    # each committed, and none twice
    assert sorted(map(int, (place/"winners").read_text().split())) == [*range(ids)]
    assert all(Run(place/f"run-{i}").finished for i in range(ids))

def test_many_want_the_same_runs(tmp_path): race(tmp_path, 8, 20)

@pytest.mark.soak
def test_very_many_want_the_same_runs(tmp_path): race(tmp_path, 32, 100)

SLEEPER = """
import sys
from pathlib import Path
from trm_lab.core.run import Run
from trm_lab.runs.lease import take_lease
with take_lease(Run(Path(sys.argv[1])), lease=1.) as lease:
    lease.work.start("slept", {}); lease.work.finish([], by="sleeper")
    print("holds", flush=True)
    sys.stdin.readline() # it is stopped here
    if sys.argv[2] == "writes": # as its kernel does, which slept too
        lease.work.start("slept", {})
        lease.work.finish([], by="sleeper")
    print(lease.commit(), flush=True)
"""

@pytest.mark.parametrize("late", [False, True],
    ids=["woken while the other works", "woken after the other is done"])
@pytest.mark.parametrize("does", ["writes", "only wakes"])
def test_a_holder_that_slept_commits_nothing(does, late, tmp_path):
    "SIGSTOP, another takes over when the lease is over, SIGCONT."
    run = Run(tmp_path/"slept")
    sleeper = subprocess.Popen([sys.executable, "-c", SLEEPER, str(run.folder), does], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True)
    assert sleeper.stdout.readline() == "holds\n"
    with pytest.raises(InputError, match="another process is already running this run"):
        with take_lease(run): pass
    sleeper.send_signal(signal.SIGSTOP)
    def woken():
        sleeper.send_signal(signal.SIGCONT)
        said, _ = sleeper.communicate("\n", timeout=60)
        assert sleeper.returncode == 0 and said == "False\n"
    with take_lease(run, patience=60.) as lease:
        assert lease.work.info["by"] == "sleeper" # it goes on with what is there
        lease.work.start("slept", {}); lease.work.finish([], by="other")
        if not late: woken()
        assert lease.commit()
    if late: woken()
    assert run.finished and run.info["by"] == "other" and not attempts(run)

def test_a_dead_holder_is_followed_at_once(tmp_path):
    run = Run(tmp_path/"died")
    holder = subprocess.Popen(
        [sys.executable, "-c", SLEEPER.replace("lease=1.", "lease=1000."), str(run.folder), ""],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert holder.stdout.readline() == "holds\n"
    holder.kill(); holder.wait()
    with take_lease(run) as lease: assert lease.place.name == "2" and lease.work.info["by"] == "sleeper"
    assert [p.name for p in attempts(run)] == ["1.over", "2.over"]

# ---- ways to end -------------------------------------------------------------

def sweep_of(folder, notebook, ways, slots=2, **more):
    "A sweep over ways to end, as far as it comes: what is told, and what became of each."
    sweep = plan_sweep(
        Grid("ways", notebook, axes={"way": [*ways]}, retries=0, score="solved", **more), folder)
    out = io.StringIO()
    try: run_sweep(sweep, Local(sweep, slots), Screen(out).show)
    except RunFailed as e: out.write(str(e))
    return {m.at["way"]: status(m.run) for m in sweep.trials}, out.getvalue(), sweep

STRATEGIES = {"success": ("finished", ""), "exception": ("failed", "ZeroDivisionError"),
    "exit": ("failed", "its last cell was not reached"), "kernel killed": ("failed", "its kernel died"),
    "os._exit": ("failed", "its kernel died"), "papermill warned": ("interrupted", "SIGTERM"),
    "papermill killed": ("failed", "SIGKILL"), "memory": ("failed", "more than 1.5 GB of memory")}

def check_ways(folder, notebook):
    found, said, sweep = sweep_of(folder, notebook, STRATEGIES, needs=Resources(memory=1.5),
        parameters={"listed": [1, "a"], "mapped": {"b": [2.5, None]}})
    for way, (state, problem) in STRATEGIES.items():
        assert found[way].state == state and problem in found[way].problem, (way, found[way])
    assert "7 of 8 runs failed" in said
    # the last output is kept
    assert {way for way, s in found.items() if s.last_line.startswith("at work")} >= {
        "papermill killed", "memory"}
    assert not [p for p in (sweep.folder/"attempts").glob("*/output.txt")
        if b"Invalid Signature" in p.read_bytes()] # kernels that started together hear only their own run
    parameters = found["success"].run.info["parameters"]
    assert parameters["listed"] == [1, "a"] and parameters["mapped"] == {"b": [2.5, None]}
    assert not [p for p in psutil.process_iter(["cmdline"])
        if str(sweep.folder) in " ".join(p.info["cmdline"] or [])] # nobody works on

def check_hang(folder, notebook):
    found, *_ = sweep_of(folder, notebook, ["hang"], needs=Resources(hours=0.0025))
    assert found["hang"].state == "failed" and "longer than 0.0025 hours" in found["hang"].problem

def check_missing_kernel(folder, notebook, monkeypatch):
    (folder/"kernels"/"python3").mkdir(parents=True)
    (folder/"kernels"/"python3"/"kernel.json").write_text(json.dumps({"argv":
        ["/nowhere/python", "-f", "{connection_file}"], "display_name": "python3", "language": "python"}))
    monkeypatch.setenv("JUPYTER_PATH", str(folder)); monkeypatch.setenv("JUPYTER_PREFER_ENV_PATH", "0")
    found, *_ = sweep_of(folder/"reports", notebook, ["success"])
    assert (found["success"].state == "failed"
        and "its kernel could not be started" in found["success"].problem)

def check_full_disk(folder, notebook):
    "The disk is full: the run is told as failed, the sweep comes to its end, and with room again it goes on."
    small = folder/"small"; small.mkdir()
    if os.geteuid() != 0 or subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", str(small)],
            capture_output=True).returncode:
        pytest.skip("only root can make a small file system")
    try:
        marker = {"parameters": {"marker": str(folder/"room")}}
        found, said, _ = sweep_of(small, notebook, ["full"], **marker)
        # which cannot be written down
        assert found["full"].state != "finished" and "No space left on device" in said, said
        (small/"filler").unlink(); (folder/"room").write_text("")
        found, *_ = sweep_of(small, notebook, ["full"], **marker)
        assert found["full"].state == "finished"
    finally: subprocess.run(["umount", "-l", str(small)], check=True)

def test_ways_to_end(tmp_path, notebook): check_ways(tmp_path, notebook)
def test_a_run_that_hangs(tmp_path, notebook): check_hang(tmp_path, notebook)
def test_a_kernel_that_is_not_there(tmp_path, notebook, monkeypatch):
    check_missing_kernel(tmp_path, notebook, monkeypatch)
def test_a_full_disk(tmp_path, notebook): check_full_disk(tmp_path, notebook)

# ---- a sweep as a process ----------------------------------------------------

def grid_file(folder, notebook, **more):
    (folder/"waits.yaml").write_text(
        json.dumps({"notebook": notebook, "parameters": {"way": "wait", "marker": str(folder/"go")},
            "axes": {"listed": [[1], [1, 2]]}, "seeds": 2, "score": "solved", **more}))
    return folder/"waits.yaml"

def started(folder, grid, *options):
    return Forked(COMMAND, "sweep", grid, "--slots", 2, *options, stderr=subprocess.STDOUT,
        env={**os.environ, "TRM_LAB_HOME": str(folder), "OMP_NUM_THREADS": "1"})

def until(condition, seconds=180):
    begun = time.monotonic()
    while not condition():
        assert time.monotonic() - begun < seconds, "it never came to that"
        time.sleep(0.1)

def at_work(folder):
    "Runs whose cells have said something, while they go on."
    return ([s for s in statuses(folder).values() if s.state == "running" and s.last_line == "at work"]
        if (folder/"sweep.json").exists() else [])

def family(process): return psutil.Process(process.pid).children(recursive=True)

def check_interrupted_sweep(tmp_path, notebook, which, again=1, **grid):
    """SIGTERM: runs are warned, and the sweep says that it can go on. SIGKILL: all of them die with it.
    Started again, so many times at once, it finishes, and none is committed twice."""
    grid, folder = grid_file(tmp_path, notebook, **grid), tmp_path/"reports"/"waits"
    first = started(tmp_path, grid)
    until(lambda: len(at_work(folder)) == 2) # what a cell prints appears while it runs
    begun = family(first)
    assert len([p for p in begun if "ipykernel_launcher" in " ".join(p.cmdline())]) == 2
    first.send_signal(which)
    said, _ = first.communicate(timeout=120)
    if which == signal.SIGTERM: assert first.returncode == 75 and "start the same sweep again" in said, said
    until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in begun), 20)
    # the threads of a killed process let go of its lock one after the other
    until(lambda: {s.state for s in statuses(folder).values()} == {"interrupted", "waiting"}, 20)
    sweeps = [started(tmp_path, grid) for _ in range(again)]
    until(lambda: len(at_work(folder)) >= 2)
    (tmp_path/"go").write_text("")
    for sweep in sweeps: # each leaves to the others what they hold
        said, _ = sweep.communicate(timeout=300)
        assert sweep.returncode == 0 and f"finished: {len(statuses(folder))} runs" in said, said
    assert {s.state for s in statuses(folder).values()} == {"finished"}
    first, second, *others = [m.run.info["attempt"] for m in read_sweep(folder).trials]
    assert first == second == 2 and {*others} == {1}

@pytest.fixture(scope="module")
def finished_sweep(tmp_path_factory, notebook):
    "Stopped, started again, and finished."
    folder = tmp_path_factory.mktemp("sweep")
    check_interrupted_sweep(folder, notebook, signal.SIGTERM)
    return folder

def test_a_sweep_is_stopped_and_started_again(finished_sweep, notebook):
    code, out, _ = trm_lab(finished_sweep, "sweep", grid_file(finished_sweep, notebook))
    assert code == 0 and out.startswith("waits: 4 of 4 runs done"), out

def test_a_sweep_is_killed_and_two_are_started_by_mistake(tmp_path, notebook):
    check_interrupted_sweep(tmp_path, notebook, signal.SIGKILL, again=2, seeds=[0],
        axes={"listed": [[1], [1, 2], [2]]})

@pytest.mark.soak
def test_two_sweeps_begin_at_once(tmp_path, notebook):
    "On one folder, in which nothing is yet: each run is executed by one of them, and committed once."
    (tmp_path/"go").write_text("")
    sweeps = [started(tmp_path, grid_file(tmp_path, notebook)) for _ in range(2)]
    for sweep in sweeps:
        said, _ = sweep.communicate(timeout=300)
        assert sweep.returncode == 0 and "finished: 4 runs" in said, said
    folder = tmp_path/"reports"/"waits"
    assert ([s.state for s in statuses(folder).values()] == ["finished"]*4
        and [m.run.info["attempt"] for m in read_sweep(folder).trials] == [1]*4)

@pytest.mark.soak
@pytest.mark.parametrize("round", range(3))
def test_twelve_ways_to_end(round, tmp_path, notebook, monkeypatch):
    for check, name in ((check_ways, "ways"), (check_hang, "hang"), (check_full_disk, "full")):
        (tmp_path/name).mkdir()
        check(tmp_path/name, notebook)
    for which in (signal.SIGTERM, signal.SIGKILL):
        (tmp_path/which.name).mkdir()
        check_interrupted_sweep(tmp_path/which.name, notebook, which)
    (tmp_path/"kernel").mkdir(); check_missing_kernel(tmp_path/"kernel", notebook, monkeypatch)

# ---- the commands ------------------------------------------------------------

def trm_lab(folder, *arguments):
    out, err = io.StringIO(), io.StringIO()
    with (pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err)):
        patch.setenv("TRM_LAB_HOME", str(folder))
        patch.setattr(sys, "argv", ["trm-lab", *map(str, arguments)])
        with pytest.raises(SystemExit) as left: main()
    return left.value.code, out.getvalue(), err.getvalue()

def test_retries_are_bounded_and_a_changed_result_is_no_result(tmp_path, notebook):
    sweep = plan_sweep(Grid("again", notebook, parameters={"way": "exception"}, retries=1), tmp_path)
    with pytest.raises(RunFailed,
            match="1 of 1 runs failed, the first because .*ZeroDivisionError"):
        run_sweep(sweep, Local(sweep, 1))
    run = sweep.trials[0].run
    assert ([p.name for p in attempts(run)] == ["1.over", "2.over"]
        and (attempts(run)[-1]/run.folder.name/"way.failed.ipynb").exists())
    good, _ = run_trial(notebook, {}, tmp_path/"again")
    assert good.finished and run_trial(notebook, {}, tmp_path/"again") == (good, False)
    (good.folder/"sum.json").write_text("7")
    assert status(good).state == "failed"
    with pytest.raises(RunFailed, match="sum.json was changed.; remove the folder to run it again"):
        run_trial(notebook, {}, tmp_path/"again")

def test_a_dry_run_starts_nothing(tmp_path, notebook):
    code, out, _ = trm_lab(tmp_path, "sweep", grid_file(tmp_path, notebook), "--dry-run")
    assert (code == 0 and out.count("waiting") == 4 and "nothing was started" in out
        and not (tmp_path/"reports").exists())

def test_a_sweep_ends_in_a_report(finished_sweep):
    folder = finished_sweep/"reports"/"waits"
    code, out, _ = trm_lab(finished_sweep, "runs", folder, "--json")
    rows = json.loads(out)
    assert (code == 0 and {r["state"] for r in rows} == {"finished"}
        and sorted(r["metrics"]["solved"] for r in rows) == [0.5, 0.5, 0.6, 0.6])
    assert "4 runs: 4 finished" in trm_lab(finished_sweep, "runs")[1]
    assert [(p.mean, p.missing) for p in settings(read_sweep(folder))] == [(pytest.approx(0.55), 0)]*2
    code, out, err = trm_lab(finished_sweep, "report", folder)
    assert code == 0, err
    page = (folder/"report.html").read_text(encoding="utf-8")
    for words in ("Scores", "listed [1, 2]", "55.0%", "each seed", "latent updates",
            "None: every run is finished", "data:image/png"):
        assert words in page, words

def test_what_is_wrong_is_said_before_anything_begins(tmp_path, notebook):
    for more, sentence in (({"axes": {"wya": ["x"]}}, "unknown key 'wya' (did you mean 'way'?)"),
            ({"needs": {"gpus": 99}}, "a run needs 99 GPUs, and this machine has"),
            ({"seed": 3}, "unknown key 'seed' (did you mean 'seeds'?)")):
        code, _, err = trm_lab(tmp_path, "sweep", grid_file(tmp_path, notebook, **more))
        assert code == 2 and sentence in err and len(err.strip().splitlines()) == 1, err
    code, _, err = trm_lab(tmp_path, "sweep", grid_file(tmp_path, notebook), "--on", "slrum")
    assert code == 2 and "--on 'slrum' is not known" in err
    assert not (tmp_path/"reports").exists()

TRAINS = "config: sudoku-4x4\n"

@pytest.mark.parametrize("text, sentence", [
    ("axes: {lr: [0.001, 1e-3]}", "are the same run (two spellings of a value are one value)"),
    ("axes: {lr: [1, 1.0]}", "are the same run"), ("axes: {train_steps: [1000, 1e3]}", "are the same run"),
    ("axes: {weight_decay: [0, 0.0, .0]}", "are the same run"),
    ("seeds: [1, 1.0]", "{'seed': 1} and {'seed': 1} are the same run"),
    ("seeds: [8, 08]", "are the same run"), ("seeds: [1, '1']", "are the same run"),
    ("axes: [{lr: 1e-3}, {lr: 0.001, seed: 0}]", "are the same run"),
    ("axes: {model.H_cycles: [1, 01]}", "are the same run"),
    ("axes: {device: [cpu, cuda]}",
    "{'device': 'cuda'} and {'device': 'cpu'} are the same run (they differ in nothing that changes the "
    "result)"), ("axes: {log_every: [1, 2]}", "nothing that changes the result"),
    ("axes: {lr: [0.001, fast]}", "sweep 'g', lr fast: 'lr' should be float"),
    ("axes: {train_steps: [10, 0]}\nseeds: 2",
    "sweep 'g', train_steps 0, seed 0: 'train_steps' should be greater than 0"),
    ("axes: {model.hidden_size: [64, banana]}", "sweep 'g', model.hidden_size banana: run"),
    ("axes: {puzzle: [sudoku-4x4, sudoku-5x5]}", "sweep 'g', puzzle sudoku-5x5"),
    ("axes: {lr: [.nan]}", "sweep 'g', lr nan"), ("axes: {lr: [12e456]}",
    "g.yaml, line 2: 12e456 is not a number, or is too large"), ("axes: {lr: [1e-3, 2026-11-26]}",
    "found str '2026-11-26'"), ("axes: {augment: [yes]}", "augment 'yes' is not a kind of symmetry"),
    ("axes: {name: [fine, a/b]}",
        "sweep 'g', name a/b: 'name' should be the name of a folder, found str 'a/b'"),
    ("axes: [{lr: 1, lr: 2}]", "the key 'lr' is there twice"),
    ("axes: {lr: []}", "the axis 'lr' has no values"), ("axes: {seed: [1]}\nseeds: 2",
    "'seed' is an axis and 'seeds' is given as well"),
    ("seeds: 0", "at least 1; found 0"), ("seeds: -1", "at least 1; found -1"),
    ("seeds: []", "at least 1; found []"), ("parameters: {model: {H_cycles: 1}, model.H_cycles: 2}",
    "'model.H_cycles' is given twice"),
    ("name: a/b", "g.yaml: the name should be the name of a folder, found str 'a/b'"),
    ("name: 5", "'name' should be str"),
    ("needs: {hours: .nan}", "'hours' should be a finite number, found float nan"),
    ("needs: {memory: -1}", "'memory' should be greater than 0"),
    ("needs: {gpus: 0.3}", "g.yaml: needs: 'gpus' should be a whole number, or one GPU divided by"),
    ("needs: {gpus: 1.5}", "'gpus' should be a whole number"), ("needs: {gpus: -0.5}", "cannot be negative"),
    ("needs: {gpus: half}", "'gpus' should be int | float, found str 'half'"),
    ("needs: {gpus: 0.001}", "that share it, 100 at most (0.5, 0.25, 0.2), found 0.001"),
], ids=lambda v: v[:30])
@pytest.mark.parametrize("dry", [False, True], ids=["for real", "dry"])
def test_every_setting_is_looked_at_before_anything_begins(text, sentence, dry, tmp_path):
    (tmp_path/"g.yaml").write_text(TRAINS + text + "\n")
    code, _, err = trm_lab(tmp_path, "sweep", tmp_path/"g.yaml", *["--dry-run"]*dry)
    assert code == 2 and sentence in err and len(err.strip().splitlines()) == 1, err
    assert not (tmp_path/"reports").exists()

@pytest.mark.parametrize("gpus, slots, seen", [(0, 2, ["", ""]), (1, 3, ["0", "1", "2"]), (2, 1, ["0,1"]),
    (0.5, 6, ["0", "1", "2"]*2), (0.5, 2, ["0", "1"]), (0.2, 15, ["0", "1", "2"]*5),
    (0.33, 9, ["0", "1", "2"]*3)])
def test_slots_divide_the_gpus(gpus, slots, seen, monkeypatch):
    "Whole ones are a run's own; shared ones are spread. One run more does not fit."
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "0,1,2")
    found = slot_environments(Resources(gpus=gpus), slots)
    assert [each["CUDA_VISIBLE_DEVICES"] for each in found] == seen
    monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(64), raising=False)
    if not gpus: return
    most = slot_environments(Resources(gpus=gpus))
    assert slots == 2 or [each["CUDA_VISIBLE_DEVICES"] for each in most] == seen
    with pytest.raises(InputError, match="and this machine has 3; leave out --slots, or choose at most"):
        slot_environments(Resources(gpus=gpus), 16)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    with pytest.raises(InputError, match=f"a run needs {gpus:g} GPUs, and this machine has 0"):
        slot_environments(Resources(gpus=gpus))

def test_threads_that_wait_do_not_hold_their_cores(monkeypatch):
    "Unless the user has chosen how they wait."
    for name in ("OMP_WAIT_POLICY", "GOMP_SPINCOUNT"): monkeypatch.delenv(name, raising=False)
    found, = slot_environments(Resources(), 1)
    assert found["GOMP_SPINCOUNT"] == "1000" and found["OMP_NUM_THREADS"] == found["MKL_NUM_THREADS"]
    monkeypatch.setenv("OMP_WAIT_POLICY", "PASSIVE")
    assert "GOMP_SPINCOUNT" not in slot_environments(Resources(), 1)[0]

def test_runs_of_a_sweep_share_a_gpu(tmp_path, notebook, monkeypatch):
    "Two runs beside each other see the one device of a machine, as far as it says that it has one."
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "GPU-7")
    waits = {"way": "wait", "marker": str(tmp_path/"go")}
    needs = Resources(gpus=0.25)
    sweep = plan_sweep(Grid("shared", notebook, parameters=waits, seeds=2, needs=needs), tmp_path)
    engine, seen = Local(sweep, 2), []
    def look(course):
        working = [s for s in course.states.values() if s.state == "running" and s.last_line == "at work"]
        if len(working) < 2 or seen: return
        for _, child, _ in engine.busy.values():
            environment = psutil.Process(child.process.pid).environ()
            seen.append((environment["CUDA_VISIBLE_DEVICES"], int(environment["OMP_NUM_THREADS"])))
        (tmp_path/"go").write_text("")
    run_sweep(sweep, engine, look)
    cores = len(os.sched_getaffinity(0))
    assert seen == [("GPU-7", max(1, cores//2))]*2 # and half of the cores each

def test_numbers_in_a_grid_are_what_their_parameters_hold(tmp_path):
    (tmp_path/"g.yaml").write_text(TRAINS
        + "axes: [{lr: 1, train_steps: 10}, {lr: 1.0, train_steps: 2e1}]\nseeds: [010]\nname: 2026-11-26\n")
    sweep = plan_sweep(read_grid(tmp_path/"g.yaml"), tmp_path)
    assert sweep.folder.name == "2026-11-26" and [m.at for m in sweep.trials] == [
        {"lr": 1., "train_steps": 10, "seed": 10}, {"lr": 1., "train_steps": 20, "seed": 10}]
    sweep.write() # and what an engine's process reads is the same run
    for m in sweep.trials:
        assert find_run("train", read_parameters(sweep.parameters(m)), sweep.folder)[0] == m.run

def test_a_notebook_that_is_edited_while_its_sweep_goes_on(tmp_path, notebook):
    mine = tmp_path/"way.ipynb"
    mine.write_text(Path(notebook).read_text())
    sweep = plan_sweep(Grid("edited", str(mine), parameters={"way": "success"}, seeds=1), tmp_path)
    sweep.write()
    mine.write_text(mine.read_text().replace("0.1*seed", "0.2*seed"))
    with pytest.raises(InputError,
        match="it was changed since the sweep in .* was planned, .* start the sweep again"):
        run_trial(str(mine), sweep.trials[0].parameters, sweep.folder)
    assert plan_sweep(sweep.grid, tmp_path).trials[0].run != sweep.trials[0].run

def test_a_configuration_is_named_by_a_text(tmp_path):
    with pytest.raises(InputError, match="'config' should be str, found list .'a'."):
        plan_sweep(Grid("lists", axes={"config": [["a"], ["b"]]}), tmp_path)

def test_a_sweep_of_an_earlier_version_goes_on(tmp_path, notebook):
    "Its runs are found under the names that they had, finished ones and attempts, and committed there."
    sweep = plan_sweep(Grid("old", notebook, parameters={"way": "success"}, seeds=2), tmp_path)
    def old(m):
        return m.run.folder.with_name(run_id("way", {"template": "way",
            **{k: v for k, v in {**template_parameters(Path(notebook)), **m.parameters}.items()
            if k != "run_folder"}}))
    done, begun = sweep.trials
    run_trial(notebook, done.parameters, sweep.folder)
    done.run.folder.rename(old(done))
    left = sweep.folder/"attempts"/old(begun).name/"1.over"/old(begun).name # one that was ended in the middle
    Run(left).start("way", {}); Run(left).log("train", step=7)
    again = plan_sweep(sweep.grid, tmp_path)
    assert [m.run.folder for m in again.trials] == [old(done), old(begun)] and [status(m.run).state
        for m in again.trials] == ["finished", "interrupted"]
    assert run_trial(notebook, begun.parameters, sweep.folder) == (Run(old(begun)),
        True) and not attempts(Run(old(begun)))
    assert [m.run.info["attempt"] for m in again.trials] == [1, 2]

def test_the_ablation_grid():
    "33 runs, at both sizes; what differs between rows does so at smoke size too."
    path = experiments_folder()/"sweeps"/"ablation.yaml"
    for size in ("", "smoke"):
        found = plan_sweep(read_grid(path, size), Path("reports")).trials
        assert len(found) == 33
        rows = {m.at["config"]: build(TrainConfig, m.parameters, m.at["config"]) for m in found}
        assert len({repr(replace(row, name="same")) for row in rows.values()}) == 11
        if size:
            for row in rows.values():
                puzzle = find_puzzle(row.puzzle)
                assert sum(p.numel() for p in build_model(row.arch, {"seq_len": puzzle.seq_len,
                    "vocab_size": puzzle.vocab_size, **row.model}).parameters()) < 1e6
