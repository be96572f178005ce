"""A sweep on a real Slurm and on a real Ray cluster of this machine: jobs and a node are killed, and
every run is committed once."""
import contextlib, os, shutil, socket, subprocess, sys, tempfile, time
import pandas as pd, psutil, pytest
from test_studies import ran, study_of
from test_sweeps import until
from trm_lab.runs.clusters import ENGINES
from trm_lab.core.errors import InputError, Interrupted
from trm_lab.core.files import write_text
from trm_lab.runs.grids import Grid, Resources, plan_sweep
from trm_lab.interp.probes.base import read_table
from trm_lab.runs.outcomes import status
from trm_lab.runs.studies import plan_study, run_study, tables
from trm_lab.runs.sweeps import run_sweep

def missing(sentence):
    if os.environ.get("CI") == "true":
        pytest.fail(sentence) # where changes are judged, nothing may be left out
    pytest.skip(sentence)

def free_port():
    with socket.socket() as s: s.bind(("127.0.0.1", 0)); return s.getsockname()[1]

def study(folder, notebook, runs=4, **needs):
    "Small runs that wait until they may go on."
    return plan_sweep(Grid("some", notebook, parameters={"way": "wait", "marker": str(folder/"go")},
            seeds=runs, needs=Resources(**{"cores": 1, "hours": 1, **needs}), retries=2, score="solved"),
        folder/"reports")

def committed_once(sweep, attempts):
    "All are finished; so many attempts they needed in all."
    runs = [m.run for m in sweep.trials]
    assert [status(run).state for run in runs] == ["finished"]*len(runs)
    assert sum(run.info["attempt"] for run in runs) == attempts
    assert sorted(run.info["solved"] for run in runs) == pytest.approx(
        [0.5 + 0.1*seed for seed in range(len(runs))])

def nobody_works(sweep):
    "Has every process of a sweep ended?"
    return not [p for p in psutil.process_iter(["cmdline"])
        if str(sweep.folder) in " ".join(p.info["cmdline"] or [])]

class Disturbed:
    "Waits until something can be done to a sweep on its way."
    def __init__(self, act): self.act, self.done, self.begun = act, False, time.monotonic()
    def __call__(self, course):
        assert time.monotonic() - self.begun < 300, "it never came to its end: " + " / ".join(course.lines())
        self.done = (self.done or self.act(
            [s for s in course.states.values() if s.state == "running" and s.last_line == "at work"]))

def check_interrupted(on, folder, notebook):
    """A run sees the GPU that the scheduler chose, and as many threads as it asked for cores.
    Ctrl+C: it is warned, saves, and nobody works on."""
    sweep = study(folder, notebook, runs=1, gpus=1, cores=2)
    def stop(working):
        if not working: return False
        seen = next(p.environ() for p in psutil.process_iter(["cmdline"])
            if str(sweep.folder) in (p.info["cmdline"] or []))
        assert (seen["CUDA_VISIBLE_DEVICES"], seen["OMP_NUM_THREADS"]) == ("0", "2")
        raise KeyboardInterrupt
    with pytest.raises(Interrupted, match="start the same sweep again"):
        run_sweep(sweep, ENGINES[on](sweep), Disturbed(stop))
    now = status(sweep.trials[0].run)
    assert now.state == "interrupted" and "start the same run again" in now.problem, now
    until(lambda: nobody_works(sweep), 20)

def check_shared(on, folder, notebook):
    "Two runs with half a GPU each see the same one at the same time."
    sweep, seen = study(folder, notebook, runs=2, gpus=0.5), {}
    def look(working):
        if len(working) < 2: return False
        for p in psutil.process_iter(["cmdline"]):
            above = " ".join(word for parent in p.parents() for word in parent.cmdline())
            if "ipykernel_launcher" in " ".join(p.info["cmdline"] or []) and str(sweep.folder) in above:
                seen[p.pid] = p.environ()["CUDA_VISIBLE_DEVICES"]
        (folder/"go").write_text("")
        return True
    run_sweep(sweep, ENGINES[on](sweep), disturbed := Disturbed(look))
    assert disturbed.done and [*seen.values()] == ["0", "0"]
    committed_once(sweep, 2)

# ---- what is refused ---------------------------------------------------------

def test_what_is_missing_is_said(tmp_path, notebook, monkeypatch):
    sweep = study(tmp_path, notebook)
    monkeypatch.setenv("RAY_ADDRESS", "127.0.0.1:1")
    with pytest.raises(InputError, match="there is no Ray cluster at RAY_ADDRESS=127.0.0.1:1; start one"):
        ENGINES["ray"](sweep)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(InputError, match="the command sbatch was not found"): ENGINES["slurm"](sweep)
    for on, package in (("slurm", "submitit"), ("ray", "ray")):
        monkeypatch.setitem(sys.modules, package, None)
        with pytest.raises(InputError, match=f"this engine needs {package}; install it with"):
            ENGINES[on](sweep)

def test_slurm_needs_a_limit(tmp_path, notebook, monkeypatch):
    (tmp_path/"sbatch").touch(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(InputError, match="set `hours`"):
        ENGINES["slurm"](study(tmp_path, notebook, hours=None))

# ---- Slurm -------------------------------------------------------------------

def asked(*command): return subprocess.run(command, capture_output=True, text=True).stdout

CONF = """ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld}
SlurmdPort={slurmd}
CommunicationParameters=NoInAddrAny
AuthType=auth/munge
AuthInfo=cred_expire=5,socket={place}/munge.socket
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SlurmUser=root
SlurmdUser=root
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
StateSaveLocation={place}/state
SlurmdSpoolDir={place}/spool
SlurmctldPidFile={place}/slurmctld.pid
SlurmdPidFile={place}/slurmd.pid
SlurmctldLogFile={place}/slurmctld.log
SlurmdLogFile={place}/slurmd.log
SlurmdParameters=config_overrides
ReturnToService=2
JobRequeue=1
KillWait=20
GresTypes=gpu,shard
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 Gres=gpu:1,shard:4 State=UNKNOWN
PartitionName=tests Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    "A cluster of one node, this one."
    if absent := [name for name in ("munged", "slurmctld", "slurmd", "sbatch", "srun")
            if not shutil.which(name)]:
        missing(f"{', '.join(absent)} not found, so no Slurm was tried; install Debian's slurm-wlm and munge")
    if os.geteuid() != 0: missing("only root can start a Slurm")
    place, host, now = tmp_path_factory.mktemp("slurm"), socket.gethostname().split(".")[0], time.time()
    for name in ("state", "spool"): (place/name).mkdir()
    (place/"key").touch(0o600); (place/"key").write_bytes(os.urandom(128))
    write_text(place/"slurm.conf", CONF.format(host=host, place=place, ctld=free_port(), slurmd=free_port()))
    # the device that every machine has
    write_text(place/"gres.conf", "Name=gpu File=/dev/null\nName=shard Count=4\n")
    daemons = (
        ["munged", "--foreground", "--force", f"--key-file={place}/key", f"--socket={place}/munge.socket",
            f"--pid-file={place}/munged.pid", f"--log-file={place}/munged.log", f"--seed-file={place}/seed"],
        ["slurmctld", "-D", "-c"], ["slurmd", "-D"])
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SLURM_CONF", str(place/"slurm.conf"))
        began = [subprocess.Popen(daemon, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            for daemon in daemons]
        try:
            until(lambda: "idle" in asked("sinfo", "-h", "-o", "%T"), 60)
            yield place
        finally:
            asked("scancel", "--me")
            with contextlib.suppress(AssertionError): until(lambda: not asked("squeue", "-h"), 40)
            began += [p for p in psutil.process_iter() if p.name() == "slurmstepd" and p.create_time() > now]
            for process in reversed(began): # a daemon that does not go is ended
                with contextlib.suppress(psutil.NoSuchProcess):
                    process.terminate()
                    try: process.wait(10)
                    except (psutil.TimeoutExpired, subprocess.TimeoutExpired): process.kill()

def test_a_sweep_on_slurm_is_interrupted(slurm, tmp_path, notebook):
    check_interrupted("slurm", tmp_path, notebook)
    until(lambda: not asked("squeue", "-h"), 40)
    with pytest.raises(InputError, match="Slurm refuses such a job .*not available"):
        ENGINES["slurm"](study(tmp_path, notebook, cores=99))

def test_slurm_shares_a_gpu(slurm, tmp_path, notebook, monkeypatch):
    "A run has two of four shards, as the variable says; without it, nobody knows what half a GPU is."
    with pytest.raises(InputError, match="say how many a run gets: SBATCH_GRES=shard:1"):
        ENGINES["slurm"](study(tmp_path, notebook, gpus=0.5))
    monkeypatch.setenv("SBATCH_GRES", "shard:9")
    with pytest.raises(InputError, match=r"Slurm refuses such a job \(.*\); change"):
        ENGINES["slurm"](study(tmp_path, notebook, gpus=0.5))
    monkeypatch.setenv("SBATCH_GRES", "shard:2")
    check_shared("slurm", tmp_path, notebook)

@pytest.mark.parametrize("runs", [4, pytest.param(6, marks=pytest.mark.soak)])
def test_slurm(slurm, tmp_path, notebook, runs):
    """One job is killed, and another is warned, as before its time is over, so that it
    goes back into the queue."""
    sweep = study(tmp_path, notebook, runs)
    engine = ENGINES["slurm"](sweep, 2)
    engine.jobs.pause = 0.5
    def disturb(working):
        if len(working) < 2: return False
        numbers = dict(line.split() for line in asked("squeue", "-h", "-r", "-o", "%i %A").splitlines())
        killed, warned = (numbers[engine.jobs.by_run[s.run.folder.name][1].job_id] for s in working)
        asked("scancel", "--signal=USR2", f"{warned}.0")
        for p in psutil.process_iter(["cmdline"]): # scancel asks a job to end, also when it is told to kill
            if ("python" in p.name() and "submitit.core._submit" in (p.info["cmdline"] or [])
                    and p.environ().get("SLURM_JOB_ID") == killed):
                p.kill()
        (tmp_path/"go").write_text("")
        return True
    run_sweep(sweep, engine, disturbed := Disturbed(disturb))
    assert disturbed.done
    committed_once(sweep, runs + 2)

# ---- Ray ---------------------------------------------------------------------

@pytest.fixture(scope="module")
def cluster():
    """Two nodes, both of them this machine. Nothing is reported to anybody, and only
    this machine can reach them."""
    import ray
    from ray._private import ray_constants
    from ray.cluster_utils import Cluster
    each = {"object_store_memory": 80_000_000, "include_dashboard": False, "no_monitor": True,
        "node_ip_address": "127.0.0.1"}
    def start():
        made = Cluster(initialize_head=True, head_node_args={"num_cpus": 2, "num_gpus": 1, **each})
        try: made.other = made.add_node(num_cpus=1, **each)
        except Exception: made.shutdown(); raise
        return made
    with pytest.MonkeyPatch.context() as patch, tempfile.TemporaryDirectory(prefix="ray-", dir="/tmp",
            ignore_cleanup_errors=True) as place: # sockets' names have to be short
        # else 127.0.0.1 is taken for an address that others reach too
        patch.setattr(ray_constants, "ENABLE_RAY_CLUSTER", False)
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_TMPDIR", place)
        try: made = start()
        except Exception:
            made = start() # Ray gives its own parts fifteen seconds, which a busy machine exceeds
        try:
            patch.setenv("RAY_ADDRESS", made.address)
            yield made
        finally:
            ray.shutdown()
            made.shutdown()

def test_a_sweep_on_ray_is_interrupted(cluster, tmp_path, notebook):
    check_interrupted("ray", tmp_path, notebook)
    with pytest.raises(InputError,
            match="a run needs 3 cores, 0 GPUs and 0 GB of memory, which no node of this Ray cluster has"):
        ENGINES["ray"](study(tmp_path, notebook, cores=3))

@pytest.mark.soak
def test_a_study_on_ray_is_interrupted_and_ends_with_the_same_table(cluster, tmp_path, monkeypatch):
    "After the first of its runs; the table of another engine is that of all."
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    asked, reports = study_of(tmp_path), tmp_path/"ray"
    def stop(progress):
        if any(s.state == "finished" for s in progress.states.values()): raise KeyboardInterrupt
    with pytest.raises(Interrupted):
        run_study(asked, ENGINES["ray"], show=stop, report=False, reports=reports)
    assert not tables(plan_study(asked, "", reports))
    table = read_table(run_study(asked, ENGINES["ray"], report=False, reports=reports))
    pd.testing.assert_frame_equal(table.drop(columns="seconds"), ran(asked, tmp_path/"here")[1])

def test_ray_shares_a_gpu(cluster, tmp_path, notebook):
    check_shared("ray", tmp_path, notebook)

def test_ray(cluster, tmp_path, notebook):
    "A node is killed in the middle: its processes die with it, and its run is taken up on the other."
    sweep = study(tmp_path, notebook)
    def kill(working):
        if len(working) < 3: return False
        node = psutil.Process(cluster.other.all_processes["raylet"][0].process.pid)
        theirs = node.children(recursive=True)
        assert [p for p in theirs if "ipykernel_launcher" in " ".join(p.cmdline())]
        cluster.remove_node(cluster.other, allow_graceful=False)
        until(lambda: not any(p.is_running() and p.status() != psutil.STATUS_ZOMBIE for p in theirs), 20)
        (tmp_path/"go").write_text("")
        return True
    run_sweep(sweep, ENGINES["ray"](sweep), disturbed := Disturbed(kill))
    assert disturbed.done
    committed_once(sweep, 5)
