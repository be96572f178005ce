"""Processes for tests that need some of their own, forked from one that has imported torch and the library:
each costs milliseconds where a new Python takes three seconds. Where that start is part
of a test, use subprocess."""
import atexit, io, multiprocessing, os, signal, subprocess, sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(["numpy", "torch", "pytest", "trm_lab.cli", "trm_lab.runs.templates",
    "trm_lab.interp.trace"])

@atexit.register
def _end():
    "What a failed test has left would be waited for."
    for process in multiprocessing.active_children(): process.kill()

def _begin(code, arguments, streams, environment, folder, session):
    "In the new process: what `python -c CODE ARGUMENTS` would do."
    import numpy, torch
    if session: os.setsid()
    for number, pipe in zip((1, 2), streams): os.dup2(pipe.fileno(), number)
    for pipe in streams: pipe.close()
    os.environ.clear(); os.environ.update(environment)
    os.chdir(folder)
    torch.set_num_threads(int(environment.get("OMP_NUM_THREADS", 1)))
    numpy.random.seed() # else all of them would go on from the same numbers
    sys.argv = ["-c", *arguments]
    exec(compile(code, "<string>", "exec"), {"__name__": "__main__"})

class Forked:
    "What of `subprocess.Popen` the tests use, for `python -c CODE ARGUMENTS`."
    def __init__(self,
        code:str,
        *arguments, # sys.argv[1:]
        stderr=subprocess.PIPE, # or subprocess.STDOUT, or a file's descriptor
        env=os.environ,
        cwd=None, # None: this process's
        start_new_session=False,
    ):
        ours, theirs = _forks.Pipe(duplex=False)
        ends, self.stderr = [theirs], None
        if stderr == subprocess.PIPE:
            told, tells = _forks.Pipe(duplex=False)
            ends.append(tells); self.stderr = _text(told)
        elif stderr == subprocess.STDOUT: ends.append(theirs)
        else: ends.append(Connection(os.dup(stderr), readable=False))
        self.stdout = _text(ours)
        self.process = _forks.Process(target=_begin, args=(code, [*map(str, arguments)], ends, dict(env),
            cwd or os.getcwd(), start_new_session))
        self.process.start()
        self.pid = self.process.pid
        for end in ends:
            if not end.closed: end.close()

    def poll(self): return self.process.exitcode
    returncode = property(poll)

    def wait(self, timeout=None):
        self.process.join(timeout)
        if self.poll() is None: raise subprocess.TimeoutExpired("a forked process", timeout)
        return self.poll()

    def communicate(self, timeout=None):
        "What it says until it ends, on both streams."
        with ThreadPoolExecutor(2) as pool:
            read = [pool.submit(stream.read) if stream else None for stream in (self.stdout, self.stderr)]
            try: self.wait(timeout)
            except subprocess.TimeoutExpired: self.kill(); raise
            return tuple(r and r.result() for r in read)

    def send_signal(self, which):
        if self.poll() is None: os.kill(self.pid, which)
    def terminate(self): self.send_signal(signal.SIGTERM)
    def kill(self): self.send_signal(signal.SIGKILL)

def _text(pipe):
    "The readable end of a pipe, as a text file."
    file = io.TextIOWrapper(os.fdopen(os.dup(pipe.fileno()), "rb"))
    pipe.close()
    return file

COMMAND = "from trm_lab.cli import main; main()" # `trm-lab`

def run_forked(code, *arguments, **options):
    "As `subprocess.run` with text: (exit code, standard output, standard error)."
    process = Forked(code, *arguments, **options)
    out, err = process.communicate(600)
    return process.returncode, out, err
