"Files that the library writes: permissions, threads, names, and equal bytes."
import json, math, os, stat, subprocess, sys, threading
from pathlib import Path
import numpy as np, pytest, torch
from processes import run_forked
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from trm_lab.core.errors import InputError, RunFailed
from trm_lab.core.files import (
    append_jsonl, read_jsonl, sha256, atomic_file, atomic_folder, write_json, write_safetensors, write_text)
from trm_lab.training.states import TrainingState, load_state, save_state, save_tensors

EVERYTHING = """
import sys, os, stat
from pathlib import Path
mask, place = int(sys.argv[1], 8), Path(sys.argv[2])
os.umask(mask)
import numpy as np, torch
from trm_lab.models.checkpoints import save_model, load
from trm_lab.data.generate import generate_dataset
from trm_lab.data.batches import ordered_batches
from trm_lab.data.datasets import write_dataset, write_augmented
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.core.run import Run
from trm_lab.runs.lease import take_lease
from trm_lab.core.files import write_json, write_text
from trm_lab.interp.trace import run_with_trace
from trm_lab.training.config import TrainConfig
from trm_lab.training.trainer import Trainer
from trm_lab.training.loop import fit
def never(mask): raise AssertionError("the umask of the process was set")
os.umask = never
data = generate_dataset(Sudoku(2, 2), 40, 8)
write_dataset(data, place/"data"/"plain"); write_augmented(data, place/"data"/"augmented")
run = Run(place/"reports"/"run")
model = {"hidden_size": 16, "num_heads": 2, "swiglu_multiple": 16, "H_cycles": 1, "L_cycles": 1}
config = TrainConfig(puzzle="sudoku-4x4", train_steps=3, global_batch_size=8, device="cpu", model=model)
trainer = Trainer(config, data)
run.start("run", {})
fit(trainer, run, lambda m: {"exact": 0.5})
averaged = trainer.averaged()
save_model(run.folder/"checkpoints"/"model.safetensors", averaged, data.puzzle)
run.finish(["metrics.jsonl"])
run_with_trace(averaged, next(ordered_batches(data.test, 4)), 2, to=place/"trace")
with take_lease(Run(place/"reports"/"held")) as held:
    held.work.start("held", {}); write_text(held.work.folder/"report.html", "<p>")
    wrong = [(p, oct(stat.S_IMODE(p.stat().st_mode))) for p in place.rglob("*")
        if stat.S_IMODE(p.stat().st_mode) != (0o777 if p.is_dir() else 0o666) & ~mask]
    assert not wrong, wrong
    assert len([p for p in place.rglob("*") if p.is_file()]) > 25
"""

@pytest.mark.parametrize("mask", ["002", "027", "077"])
def test_permissions_are_the_users(mask, tmp_path):
    "Datasets, states, models, a run and one that is held: as the umask says, and nobody sets it."
    code, _, err = run_forked(EVERYTHING, mask, tmp_path)
    assert code == 0, err[-2000:]

def mode(path): return stat.S_IMODE(path.stat().st_mode)

def test_a_writer_that_keeps_its_files_private(tmp_path):
    """safetensors does, and so does whatever makes a temporary file; a file and a folder of
    files come out as usual."""
    (tmp_path/"usual").touch(); (tmp_path/"folder").mkdir()
    def private(path):
        path.unlink(missing_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600))
    with atomic_file(tmp_path/"file") as temporary: private(temporary)
    with atomic_folder(tmp_path/"made") as temporary:
        (temporary/"inner").mkdir(0o700)
        for path in (temporary/"a", temporary/"inner"/"b"): private(path)
        save_file({"x": torch.ones(2)}, temporary/"inner"/"c.safetensors")
    for path in (tmp_path/"file", *(p for p in (tmp_path/"made").rglob("*") if p.is_file())):
        assert mode(path) == mode(tmp_path/"usual"), path
    for path in (tmp_path/"made", tmp_path/"made"/"inner"): assert mode(path) == mode(tmp_path/"folder"), path

@pytest.mark.skipif(sys.platform != "linux", reason="folders pass on their group on Linux")
def test_a_folder_that_passes_on_its_group(tmp_path):
    (tmp_path/"shared").mkdir(); (tmp_path/"shared").chmod(0o2775)
    with atomic_folder(tmp_path/"shared"/"made") as temporary: (temporary/"a").write_text("x")
    assert (mode(tmp_path/"shared"/"made") & stat.S_ISGID
        and (tmp_path/"shared"/"made"/"a").stat().st_gid == (tmp_path/"shared").stat().st_gid)

def together(count, work):
    "What several threads raise that do the same at the same time."
    errors, ready = [], threading.Barrier(count)
    def go(n):
        ready.wait()
        try: work(n)
        except Exception as e: errors.append(e)
    threads = [threading.Thread(target=go, args=(n,)) for n in range(count)]
    for t in threads: t.start()
    for t in threads: t.join()
    return errors

def test_threads_write_one_path(tmp_path):
    "A reader always finds one whole text, and nothing is left over."
    def write(n):
        for _ in range(30):
            write_json(tmp_path/"x.json", {"n": n, "text": str(n)*20_000})
            found = json.loads((tmp_path/"x.json").read_text())
            assert set(found["text"]) == {str(found["n"])}
            write_safetensors(tmp_path/"x.safetensors", {"w": torch.full((5_000,), float(n))})
            assert load_file(tmp_path/"x.safetensors")["w"].unique().numel() == 1
    assert together(4, write) == [] and sorted(os.listdir(tmp_path)) == ["x.json", "x.safetensors"]

def test_threads_make_one_folder(tmp_path):
    "One of them has it; the others hear that it is taken."
    def make(n):
        with atomic_folder(tmp_path/"made") as temporary: (temporary/"who").write_text(str(n))
    errors = together(6, make)
    assert len(errors) == 5 and all(isinstance(e, InputError) and "already exists" in str(e) for e in errors)
    assert os.listdir(tmp_path) == ["made"] and os.listdir(tmp_path/"made") == ["who"]

def test_lines_of_threads_stay_lines(tmp_path):
    assert together(4,
        lambda n: [append_jsonl(tmp_path/"m.jsonl", {"n": n, "text": "x"*9_000}) for _ in range(20)]) == []
    rows = read_jsonl(tmp_path/"m.jsonl")
    assert len(rows) == 80 and {len(row["text"]) for row in rows} == {9_000}

def test_what_a_killed_writer_left_is_never_taken_for_whole(tmp_path):
    """The process dies inside the block; what is there stays as it was, and the state that
    was half written is none."""
    write_text(tmp_path/"x.txt", "whole")
    save_state(tmp_path/"states", TrainingState(1, {"a": torch.ones(1)}, {}))
    code = ("import os, sys; from pathlib import Path; from trm_lab.core.files import *; "
        "from trm_lab.core.settings import *; from trm_lab.core.run import *; "
        "from trm_lab.runs.lease import *; place = Path(sys.argv[1])\n"
        "with atomic_file(place/'x.txt') as f, atomic_folder(place/'states'/'step-000000002') as g: "
        "f.write_text('half'); (g/'tensors.safetensors').write_text('half'); os._exit(9)")
    assert subprocess.run([sys.executable, "-c", code, str(tmp_path)]).returncode == 9
    assert (tmp_path/"x.txt").read_text() == "whole" and len(os.listdir(tmp_path)) == 3
    assert load_state(tmp_path/"states").step == 1 and os.listdir(tmp_path/"states") == ["step-000000001"]
    write_text(tmp_path/"x.txt", "new")
    assert (tmp_path/"x.txt").read_text() == "new"

@pytest.mark.parametrize("name, reason", [("folder", "is a folder; give the name of a file"),
    ("file/x", "a file stands where a folder is needed"), ("x"*256, "File name too long"),
    ("é"*128, "File name too long"), ("fifo", "is not an ordinary file")])
def test_a_place_that_cannot_be_written(name, reason, tmp_path):
    "One sentence, before anything is done that would be lost."
    (tmp_path/"folder").mkdir(); (tmp_path/"file").touch(); os.mkfifo(tmp_path/"fifo")
    before = sorted(os.listdir(tmp_path))
    begun = []
    for way in ((atomic_file, atomic_folder)
            if "ordinary" not in reason and "folder;" not in reason else (atomic_file,)):
        with pytest.raises(InputError, match=reason):
            with way(tmp_path/name): begun.append(way)
    assert begun == [] and sorted(os.listdir(tmp_path)) == before
    with pytest.raises((InputError, RunFailed), match=reason):
        save_tensors(tmp_path/name, {"a": torch.ones(1)}, {})

@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0 and not Path("/proc/self").exists(),
    reason="needs a folder that nobody can write")
def test_a_folder_that_nobody_can_write(tmp_path):
    place = tmp_path
    if os.geteuid() == 0: place = Path("/proc/self") # permissions do not stop root
    else: tmp_path.chmod(0o500)
    for way in (atomic_file, atomic_folder):
        with pytest.raises(InputError, match="cannot be written .*; "
                "allow writing there, free some space, or choose another name or place") as said:
            with way(place/"x"): pass
        assert isinstance(said.value, OSError) and said.value.strerror

@pytest.mark.parametrize("name", ["x"*255, "é"*127, "x", ".hidden"])
def test_names_as_long_as_a_file_system_allows(name, tmp_path):
    write_text(tmp_path/name, "x")
    with atomic_folder(tmp_path/"folder"/name) as temporary: (temporary/"a").write_text("x")
    assert (tmp_path/name).read_text() == "x" and os.listdir(tmp_path/"folder") == [name]

def test_equal_tensors_are_equal_bytes(tmp_path):
    "In another process, from another order, from other strides; safetensors reads them back."
    kinds = ("float64 float32 float16 bfloat16 int64 int32 int16 int8 uint8 bool uint16 "
        "uint32 float8_e4m3fn".split())
    tensors = ({kind: torch.arange(6).to(getattr(torch, kind)).view(2, 3) for kind in kinds}
        | {"nothing": torch.empty(0, 3), "one": torch.tensor(2.5), "é\"": torch.ones(1, requires_grad=True)})
    texts = {name: name*3 for name in "versions config arch halting sha256 puzzle".split()} | {"odd": 'ü\n"'}
    write_safetensors(tmp_path/"one.safetensors", tensors, texts)
    strided = {name: t.T.contiguous().T if t.ndim == 2 else t for name, t in reversed(tensors.items())}
    write_safetensors(tmp_path/"two.safetensors", strided, dict(reversed(texts.items())))
    code = ("import sys, torch; from safetensors import safe_open; "
        "from safetensors.torch import load_file; from trm_lab.core.files import write_safetensors\n"
        "write_safetensors(sys.argv[2], load_file(sys.argv[1]), safe_open(sys.argv[1], 'pt').metadata())")
    subprocess.run([sys.executable, "-c", code, str(tmp_path/"one.safetensors"),
            str(tmp_path/"three.safetensors")], check=True)
    assert len({sha256(tmp_path/f"{name}.safetensors") for name in ("one", "two", "three")}) == 1
    with safe_open(tmp_path/"one.safetensors", "pt") as file: assert file.metadata() == texts
    for name, t in load_file(tmp_path/"one.safetensors").items():
        assert (t.dtype == tensors[name].dtype and t.shape == tensors[name].shape
            and torch.equal(t.double(), tensors[name].detach().double())), name
    assert len({(save_tensors(tmp_path/name, tensors, {"step": 3, "what": "x"}), sha256(tmp_path/name))[1]
        for name in ("a", "b")}) == 1
    with pytest.raises(InputError, match="the tensor z holds complex64 numbers"):
        write_safetensors(tmp_path/"x", {"z": torch.ones(1, dtype=torch.complex64)})
    assert not (tmp_path/"x").exists()

def test_large_tensors_are_written_one_at_a_time(tmp_path):
    """Half a gigabyte, half of it from a view that has to be copied: the process needs no
    second copy of all of it."""
    code = """
import resource, sys, torch
from trm_lab.core.files import write_safetensors
tensors = {f"t{i}": torch.ones(32 << 20, dtype=torch.uint8).view(2, -1).T for i in range(16)}
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
write_safetensors(sys.argv[1], tensors)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""
    grown = int(subprocess.run([sys.executable, "-c", code, str(tmp_path/"x.safetensors")],
        capture_output=True, text=True, check=True).stdout)
    assert (tmp_path/"x.safetensors").stat().st_size > 512 << 20 and grown < 200 << 10, (
        f"{grown/1024:.0f} MB more")

def test_json_has_no_number_that_is_not_finite(tmp_path):
    "null stands for it, deep inside too; numpy's and torch's numbers are numbers."
    value = {"a": math.nan, "b": [1., -math.inf, {"c": (np.float32("nan"), np.int64(3))}],
        "d": torch.tensor(0.5), "e": np.float64(0.25)}
    write_json(tmp_path/"x.json", value); append_jsonl(tmp_path/"x.jsonl", value)
    def refuse(word): raise AssertionError(word)
    for text in ((tmp_path/"x.json").read_text(), (tmp_path/"x.jsonl").read_text()):
        assert json.loads(text, parse_constant=refuse) == {"a": None,
            "b": [1., None, {"c": [None, 3]}], "d": 0.5, "e": 0.25}
    with pytest.raises(TypeError): write_json(tmp_path/"y.json", {"a": {1, 2}})
    assert not (tmp_path/"y.json").exists()
