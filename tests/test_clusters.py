"A sweep on a real Slurm and on a real Ray cluster of this machine: jobs and a node are killed, and every run is committed once."
import contextlib, os, shutil, signal, socket, subprocess, sys, time
import psutil, pytest
from test_sweeps import until
from trm_lab.clusters import ENGINES, job_of
from trm_lab.errors import InputError, Interrupted
from trm_lab.records import write_text
from trm_lab.sweeps import Grid, Needs, plan_sweep, run_sweep, status

def missing(sentence):
    if os.environ.get("CI") == "true": pytest.fail(sentence) # where changes are judged, nothing may be left out
    pytest.skip(sentence)

def free_port():
    with socket.socket() as s: s.bind(("127.0.0.1", 0)); return s.getsockname()[1]

def study(folder, notebook, runs=6, **needs):
    "Small runs that wait until they may go on."
    return plan_sweep(Grid("six", notebook, parameters={"way": "wait", "marker": str(folder/"go")}, seeds=runs, needs=Needs(**{"cores": 1, "hours": 1, **needs}), retries=2, score="solved"), folder/"reports")

def committed_once(sweep, attempts):
    "All are finished; so many attempts they needed in all."
    assert [status(m.run).state for m in sweep.members] == ["finished"]*6
    assert sum(m.run.info["attempt"] for m in sweep.members) == attempts and sorted(m.run.info["solved"] for m in sweep.members) == pytest.approx([0.5 + 0.1*seed for seed in range(6)])

def nobody_works(sweep):
    "Has every process of a sweep ended?"
    return not [p for p in psutil.process_iter(["cmdline"]) if str(sweep.folder) in " ".join(p.info["cmdline"] or [])]

class Disturbed:
    "Shows how far a sweep is, and does something to it on the way."
    def __init__(self, *acts): self.acts, self.begun = [*acts], time.monotonic()
    def __call__(self, course):
        print(f"{time.monotonic() - self.begun:.1f}", " / ".join(course.lines()), flush=True)
        assert time.monotonic() - self.begun < 300, "it never came to its end: " + " / ".join(course.lines())
        working = [s for s in course.states.values() if s.state == "running" and s.says == "at work"]
        if self.acts and self.acts[0](working): self.acts.pop(0)

# ---- Slurm -------------------------------------------------------------------

def asked(*command): return subprocess.run(command, capture_output=True, text=True).stdout

CONF = """ClusterName=tests
SlurmctldHost={host}(127.0.0.1)
SlurmctldPort={ctld}
SlurmdPort={slurmd}
AuthType=auth/munge
AuthInfo=cred_expire=5
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
NodeName={host} NodeAddr=127.0.0.1 CPUs=2 State=UNKNOWN
PartitionName=tests Nodes=ALL Default=YES MaxTime=INFINITE State=UP
"""

@pytest.fixture(scope="module")
def slurm(tmp_path_factory):
    "A cluster of one node, this one."
    if absent := [name for name in ("munged", "slurmctld", "slurmd", "sbatch", "srun") if not shutil.which(name)]: missing(f"{', '.join(absent)} not found, so no Slurm was tried; install Debian's slurm-wlm and munge")
    if os.geteuid() != 0: missing("only root can start a Slurm")
    place = tmp_path_factory.mktemp("slurm")
    for name in ("state", "spool"): (place/name).mkdir()
    write_text(place/"slurm.conf", CONF.format(host=socket.gethostname(), place=place, ctld=free_port(), slurmd=free_port()))
    before = os.environ.get("SLURM_CONF")
    os.environ["SLURM_CONF"] = str(place/"slurm.conf")
    began, now = [], time.time()
    if not any(p.name() == "munged" for p in psutil.process_iter()):
        for folder in ("/run/munge", "/var/log/munge", "/var/lib/munge"): os.makedirs(folder, exist_ok=True); shutil.chown(folder, "munge", "munge")
        subprocess.run(["runuser", "-u", "munge", "--", "munged"], check=True)
        began += [p for p in psutil.process_iter() if p.name() == "munged"]
    began += [subprocess.Popen([name, "-D", *more], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) for name, more in (("slurmctld", ["-c"]), ("slurmd", []))]
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
        if before is None: del os.environ["SLURM_CONF"]
        else: os.environ["SLURM_CONF"] = before

def test_slurm(slurm, tmp_path, notebook):
    "Six runs; the processes of one are killed, and another is warned, as before its time is over, so that it goes back into the queue."
    sweep, told = study(tmp_path, notebook), []
    engine = ENGINES["slurm"](sweep, 2)
    engine.pause = 0.5
    def disturb(number, working):
        name = next((s.run.folder.name for s in working if s.run.folder.name not in told), None)
        if len(working) < 2 or not name: return False
        told.append(name)
        jobs = dict(line.split() for line in asked("squeue", "-h", "-r", "-o", "%i %A").splitlines())
        job = jobs[engine.jobs[name][1].job_id]
        print(number, name, job)
        if number == signal.SIGKILL:
            print(asked("scontrol", "listpids", job))
        r = subprocess.run(["scancel", "--signal", number.name, job], capture_output=True, text=True); print(r)
        return True
    def go_on(working): (tmp_path/"go").write_text(""); return True
    run_sweep(sweep, engine, Disturbed(lambda working: disturb(signal.SIGKILL, working), lambda working: disturb(signal.SIGUSR2, working), go_on))
    committed_once(sweep, 8)
