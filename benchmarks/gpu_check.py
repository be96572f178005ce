"""What has to be seen on a GPU before it is believed: parity, resume, and the rates of a training step.

PYTHONPATH=. python3 benchmarks/gpu_check.py [--seconds 340] [--out FILE] [--reference CHECKOUT] [--only A,B]
    [--rows A,B] [--ways A,B]

Sections print as they end, and every finding is a line of JSON in `--out`. A section that fails prints why,
and the next one runs. Where the time is short, later rows are left out and named. On a machine without a GPU
it runs small sizes on the processor, which shows that the script works, and nothing else.
"""
import argparse, contextlib, gc, json, math, os, statistics, subprocess, sys, tempfile, time, traceback
import warnings
from dataclasses import dataclass, fields, replace
from itertools import cycle, repeat
from pathlib import Path
import numpy as np, torch
from against_reference import case_of, stand_ins, their_step
import trm_lab
from trm_lab.checks.bench import SolveCase, matmul_peak, step_flops
from trm_lab.training.capture import compile_all
from trm_lab.data.batches import Batch, Batches
from trm_lab.data.datasets import dataset_of
from trm_lab.data.generate import generate_dataset
from trm_lab.puzzles.base import find_puzzle
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.core.settings import read_yaml
from trm_lab.training.states import load_state, save_state
from trm_lab.training.trainer import NotFinite, Trainer
from trm_lab.training.config import TrainConfig
from trm_lab.models import layers
from trm_lab.models.trm import RecursiveModel
from trm_lab.models.variants import ARCHITECTURES, build_model
from trm_lab.solving.solve import BucketedSteps, solve

CUDA = torch.cuda.is_available()
DEVICE = torch.device("cuda" if CUDA else "cpu")
BEGUN = time.perf_counter()
TINY = {"seq_len": 16, "vocab_size": 6, "hidden_size": 64, "num_heads": 4, "swiglu_multiple": 32,
    "num_puzzle_identifiers": 9}
SMALL = {"hidden_size": 32, "num_heads": 4, "swiglu_multiple": 32, "H_cycles": 1,
    "L_cycles": 1} # for a processor
STRATEGIES = {"eager": (False, False), "captured": (True, False), "compiled": (False, True),
    "captured+compiled": (True, True)}

class Report:
    "What was found, on the screen and as lines of JSON."
    def __init__(self, path:str|None, seconds:float): self.path, self.seconds = path, seconds
    def left(self)->float: return self.seconds - (time.perf_counter() - BEGUN)
    def say(self, text:str): print(text, flush=True)

    def row(self, section:str, text:str, **found):
        self.say(f"  {text}")
        if self.path:
            with open(self.path, "a") as f:
                print(json.dumps({"section": section, "at": round(time.perf_counter() - BEGUN, 1), **found}),
                    file=f)

def synchronize():
    if CUDA: torch.cuda.synchronize()

def free():
    "Give back what the last row held; compiled code of other rows is not needed any more."
    torch._dynamo.reset()
    gc.collect()
    if CUDA: torch.cuda.empty_cache(); torch.cuda.reset_peak_memory_stats()

# ---- facts -----------------------------------------------------------------------------

def facts(r:Report):
    about = {"torch": torch.__version__, "python": sys.version.split()[0], "device": "cpu"}
    if CUDA:
        p = torch.cuda.get_device_properties(0)
        about |= {"device": p.name, "memory_gib": p.total_memory/2**30, "processors": p.multi_processor_count,
            "capability": f"{p.major}.{p.minor}", "cuda": torch.version.cuda,
            "cudnn": torch.backends.cudnn.version()}
        with contextlib.suppress(ImportError):
            import triton
            about["triton"] = triton.__version__
        big = torch.empty(2**29, dtype=torch.float32, device=DEVICE)
        other = torch.empty_like(big)
        about["copy_gb_per_s"] = 2*big.numel()*4/timed(lambda: other.copy_(big), 5)/1e9
    about["tflops"] = {str(d)[6:]: matmul_peak(d, DEVICE)/1e12 for d in (torch.bfloat16, torch.float32)}
    r.row("facts",
        "  ".join(f"{k} {v:.4g}" if isinstance(v, float) else f"{k} {v}" for k, v in about.items()), **about)
    return about["tflops"]["bfloat16"]*1e12

def timed(work, repeats:int)->float:
    "Seconds a call, the middle of some."
    work(); synchronize()
    spent = []
    for _ in range(repeats):
        begun = time.perf_counter()
        work(); synchronize()
        spent.append(time.perf_counter() - begun)
    return statistics.median(spent)

# ---- parity ----------------------------------------------------------------------------

def boards(count:int, batch:int, tokens:int, vocabulary:int, identities:int, seed:int=0)->list[Batch]:
    "Random boards, of which some cells have no label."
    g = torch.Generator().manual_seed(seed)
    def some():
        inputs, labels = torch.randint(1, vocabulary, (2, batch, tokens), generator=g)
        labels[torch.rand(labels.shape, generator=g) < 0.2] = -100
        return Batch(inputs, labels, torch.randint(0, identities, (batch,), generator=g))
    return [some() for _ in range(count)]

def trainer_of(way:str, device:torch.device, dtype:str, arch:str="trm", model:dict={}, **changes)->Trainer:
    "A trainer of a small model whose weights do not depend on where and how it computes."
    capture, compiled = STRATEGIES[way]
    settings = {"name": "check", "arch": arch, "global_batch_size": 32, "lr_warmup_steps": 4, "lr": 3e-4,
        "loss": "stablemax", "halt_max_steps": 3, "train_steps": 1000, "log_every": 5, **changes}
    # weights are made in float32 on the processor; a model in float64 has the same ones
    torch.manual_seed(0)
    built = build_model(arch, {**TINY, **model}, "check", getattr(torch, dtype))
    config = TrainConfig(**settings, device=device.type, dtype=dtype, compile=compiled,
        capture=capture and device.type == "cuda")
    stream = cycle(boards(7, config.global_batch_size, TINY["seq_len"], TINY["vocab_size"],
        TINY["num_puzzle_identifiers"]))
    with torch.no_grad(): built.puzzle_emb.weights.normal_() if hasattr(built, "puzzle_emb") else None
    return Trainer(config, None, stream, built)

def weights_after(trainer:Trainer, steps:int)->dict[str, torch.Tensor]:
    "All weights, the table and the average, on the processor, in float64."
    for _ in range(steps): trainer.step()
    trainer.look()
    average = {f"ema.{name}": t for name, t in trainer.ema.shadow.items()} if trainer.ema else {}
    return {name: t.detach().double().cpu() for name, t in {**trainer.model.state_dict(), **average}.items()}

def apart(ours:dict, theirs:dict)->tuple[float, str]:
    "‖difference‖/‖weights‖ of everything together, and the tensor that has most of it."
    each = {name: (ours[name] - t).norm().item() for name, t in theirs.items()}
    where = max(each, key=lambda name: math.inf if math.isnan(each[name]) else each[name])
    whole = math.sqrt(sum(t.square().sum().item() for t in theirs.values()))
    return math.sqrt(sum(d*d for d in each.values()))/whole, where

PARITY = { # what is trained: (changes, ways that are compiled too)
    "MLP, AdamATan2": ({"model": {"mlp_t": True, "pos_encodings": "none"}, "optimizer": "adam_atan2"}, True),
    "attention, AdamW, Q-learning, two parts": ({"halting": "q_learning", "accumulate": 2}, True),
    "HRM": ({"arch": "hrm", "model": {"H_layers": 2, "L_layers": 2}, "halting": "q_learning"}, False)}
# An untrained recursion enlarges a rounding error severalfold in every step. On a processor in float64,
# weights that differ in their last bit are 3e-13 apart after five steps, 2e-9 to 3e-6 after ten and 1e-2
# after twenty, when a row of the embedding has moved by another sign. So five steps are compared; there
# float32 is 3e-4 to 6e-4 away by then and bfloat16 4e-3. Float64 is what shows an error.
ALLOWED = {"float64": (5, 1e-9), "float32": (5, 3e-3),
    "bfloat16": (5, 3e-2)} # steps, and share of the weights' norm

def parity(r:Report):
    if CUDA: torch.set_num_threads(8) # the processor computes what is compared with
    for what, (changes, compiles) in PARITY.items():
        for dtype, (steps, _) in ALLOWED.items():
            wanted, got = (
                weights_after(trainer_of("eager", torch.device("cpu"), "float64", **changes), steps), {})
            for way in STRATEGIES:
                if way == "compiled" or (way == "captured+compiled" and not compiles): continue
                if "compiled" in way and (dtype == "bfloat16" or r.left() < 60): continue
                try: one_parity(r, what, changes, dtype, way, wanted, got)
                except Exception as e:
                    r.row("parity", f"{what}: {dtype} {way}: FAILED: {type(e).__name__}: {str(e)[:300]}",
                        what=what, dtype=dtype, way=way, ok=False, failed=str(e)[:1000])

def one_parity(r:Report, what:str, changes:dict, dtype:str, way:str, wanted:dict, got:dict):
    free()
    trainer = trainer_of(way, DEVICE, dtype, **changes)
    steps, allowed = ALLOWED[dtype]
    if trainer.captured: trainer.captured.left = 1 # of the few steps, most are replays
    got[way] = weights_after(trainer, steps)
    # a row of the embedding moves by the sign of its gradient, which only float64 decides alike
    compared = {k: v for k, v in got[way].items() if dtype == "float64" or "puzzle_emb" not in k}
    differs, where = apart(compared, {k: wanted[k] for k in compared})
    ok = differs <= allowed
    captured = trainer.captured is not None and trainer.captured.graph is not None
    same = all(torch.equal(t, got["eager"][k]) for k, t in got[way].items())
    notes = "" if way == "eager" else f", {'bit-equal to' if same else 'not bit-equal to'} eager"
    notes += ", one graph" if captured else ", NOT CAPTURED" if "captured" in way and CUDA else ""
    r.row("parity",
        f"{what}: {dtype} {way}: {differs:.1e} of {allowed:.0e} {'ok' if ok else 'TOO FAR'} ({where}){notes}",
        what=what, dtype=dtype, way=way, differs=differs, where=where, ok=ok,
        bit_equal=same, captured=captured)

def every_kind(r:Report):
    "Each architecture and optimizer: captured and eager steps on the device are the same to the last bit."
    cases = {name: {"arch": name} for name in ARCHITECTURES}
    cases["fixed_point"] = cases.pop("fixed_point") # the last: its equations may be what cannot be captured
    cases["hrm"] = {"arch": "hrm", "model": {"H_layers": 1, "L_layers": 1}, "halting": "q_learning"}
    others = {"trm, MLP": {"model": {"mlp_t": True, "pos_encodings": "none"}}, "muon": {"optimizer": "muon"},
        "no average": {"ema": False}, "no embedding": {"model": {"puzzle_emb_ndim": 0}},
        "frozen": {"freeze": "weights"}}
    cases = {**others, **cases}
    for what, changes in cases.items():
        if r.left() < 60: r.say(f"  {what} and later ones: no time"); return
        try:
            trainers = [trainer_of(way, DEVICE, "float32", **changes) for way in ("eager", "captured")]
            with warnings.catch_warnings(record=True) as said:
                warnings.simplefilter("always")
                eager, captured = (weights_after(t, 9) for t in trainers)
            differs, where = apart(captured, eager)
            same = all(torch.equal(t, eager[k]) for k, t in captured.items())
            if not same: # does the device repeat itself at all?
                again = weights_after(trainer_of("eager", DEVICE, "float32", **changes), 9)
                where += f"; eager twice differs by {apart(again, eager)[0]:.1e}"
            graph = trainers[1].captured is not None and trainers[1].captured.graph is not None
            heard = "; ".join(str(w.message) for w in said if "captur" in str(w.message))
            r.row("every_kind", f"{what}: {'bit-equal' if same else f'differs by {differs:.1e} at {where}'}"
                f"{', one graph' if graph else ', NOT CAPTURED'} {heard}",
                what=what, bit_equal=same, differs=differs, captured=graph)
        except Exception as e:
            r.row("every_kind", f"{what}: FAILED: {type(e).__name__}: {str(e)[:300]}",
                what=what, failed=str(e)[:1000])

# ---- resume, and numbers that are not finite ---------------------------------------------

def run_of(way:str, dataset, **changes)->Trainer:
    "A trainer with batches that can go on from any place."
    model = {"hidden_size": 64, "num_heads": 4, "swiglu_multiple": 32, "H_cycles": 2, "L_cycles": 2,
        "mlp_t": True, "pos_encodings": "none", "puzzle_emb_len": 1}
    capture, compiled = STRATEGIES[way]
    return Trainer(TrainConfig("resume", puzzle="sudoku-4x4", train_steps=20, global_batch_size=16,
            halt_max_steps=3, lr_warmup_steps=5, model=model, device=DEVICE.type, dtype="float32",
            compile=compiled, capture=capture and CUDA, log_every=7, **changes), dataset)

def everything(trainer:Trainer)->dict[str, torch.Tensor]:
    return {name: t.detach().cpu().clone() for name, t in trainer.state().tensors.items()}

def resume(r:Report):
    dataset = generate_dataset(Sudoku(2, 2), 64, 16)
    for way in ("eager", "captured"):
        whole = run_of(way, dataset)
        for _ in range(20): whole.step()
        end, first = everything(whole), run_of(way, dataset)
        for _ in range(10): first.step()
        with tempfile.TemporaryDirectory() as place:
            save_state(place, first.state())
            second = run_of(way, dataset)
            second.restore(load_state(place))
        for _ in range(10): second.step()
        again = everything(second)
        differing = [name for name, t in end.items() if not torch.equal(t, again[name])]
        r.row("resume",
            f"{way}: {'bit-equal' if not differing else f'DIFFERS in {differing[:5]}'} ({len(end)} tensors)",
            way=way, ok=not differing, differing=differing)

def guarded(r:Report):
    "A latent that becomes infinite between two steps: named with its step at the next look; no weight moves."
    for way in ("eager", "captured"):
        trainer = run_of(way, generate_dataset(Sudoku(2, 2), 64, 16), halt_exploration_prob=0.)
        trainer.look_every = 20
        for _ in range(7): trainer.step()
        trainer.look()
        before = {k: t.clone() for k, t in trainer.model.state_dict().items()}
        trainer.carry.halted.fill_(False)
        trainer.carry.state["z_L"].fill_(math.inf)
        try:
            for _ in range(5): trainer.step()
            trainer.look()
            said = "NOBODY NOTICED"
        except NotFinite as e: said = str(e)
        still = all(torch.equal(t, before[k]) for k, t in trainer.model.state_dict().items())
        finite = all(torch.isfinite(t).all().item() for t in everything_but_carry(trainer))
        ok = "stopped at step 8" in said and still and finite and trainer.steps_done == 7
        r.row("guarded", f"{way}: {'ok' if ok else 'WRONG'}: {said[:150]}", way=way, ok=ok, said=said)

def everything_but_carry(trainer:Trainer):
    yield from trainer.model.state_dict().values()
    yield from trainer.ema.shadow.values()
    for optimizer in trainer.optimizers:
        for kept in optimizer.state.values(): yield from kept.values()

# ---- rates -----------------------------------------------------------------------------

def recipe()->tuple[dict, dict]:
    "The model and the settings of sudoku-9x9; on a processor a smaller model and batch."
    found = read_yaml(Path(trm_lab.__file__).parent/"pretrained"/"sudoku-9x9-laptop.yaml")
    known = {f.name for f in fields(TrainConfig)} - {"model", "data", "device", "dtype",
        "compile", "capture", "name", "puzzle"}
    settings = {k: v for k, v in found.items() if k in known}
    if CUDA: return found["model"], settings
    return {**found["model"], **SMALL}, {**settings, "global_batch_size": 8}

@dataclass(frozen=True)
class Row:
    "A training step that is measured."
    size:str # HIDDENxBATCHxTOKENS, with `a` in front for attention; or the recipe sudoku-9x9
    ways:tuple[str, ...] = ("captured+compiled",) # of `STRATEGIES`
    mixing:str|None = None # one of `layers.MIXINGS`; None: what is usual on the device
    bias:str|None = None # of attention's scores
    parts:int = 1 # in which the batch is taken
    autotune:bool = False # let torch try kernels of its own for products

    def made(self)->tuple[RecursiveModel, dict]: # and settings
        dtype = "bfloat16" if CUDA else "float32"
        if self.size == "sudoku-9x9": model, settings = recipe()
        else:
            case = case_of(self.size, dtype=dtype)
            model = vars(case.model().config)
            settings = {"global_batch_size": case.batch, "loss": "stablemax", "optimizer": "adam_atan2",
                "lr": 1e-4}
        if self.bias: model = {**model, "pos_encodings": f"rope+{self.bias}"}
        torch.manual_seed(0)
        network = build_model("trm", {"seq_len": 81, "vocab_size": 11, **model}, self.size,
            getattr(torch, dtype))
        return network, {**settings, "dtype": dtype, "device": DEVICE.type, "accumulate": self.parts}

BOTH = ("captured", "captured+compiled")
ROWS = { # the first five are the goals
    "512x768x81": Row("512x768x81"), "512x768x81-transposed": Row("512x768x81", mixing="transposed"),
    "a512x96x900": Row("a512x96x900"), "sudoku-9x9": Row("sudoku-9x9", BOTH),
    "128x32x81": Row("128x32x81", BOTH),
    "512x768x81-padded": Row("512x768x81", mixing="padded"),
    "a128x512x81-pair_bias": Row("a128x512x81", bias="pair_bias"),
    "512x768x81-parts": Row("512x768x81", parts=24), # whose activations stay in the device's cache
    "a512x96x900-local_bias": Row("a512x96x900", bias="local_bias"),
    "sudoku-9x9-transposed": Row("sudoku-9x9", BOTH, mixing="transposed"),
    "512x768x81-autotuned": Row("512x768x81", autotune=True)}

def one_way(r:Report, name:str, way:str, trainer:Trainer, peak:float, seconds:float=2.):
    "Milliseconds of a step."
    capture, _ = STRATEGIES[way]
    trainer.captured = trainer._capture() if capture and CUDA else None
    begun = time.perf_counter()
    if CUDA: torch.cuda.reset_peak_memory_stats()
    for _ in range(5): trainer.step() # those before a capture, and the first replays
    trainer.look(); synchronize()
    first, spent, begun = time.perf_counter() - begun, [], time.perf_counter()
    while not spent or (time.perf_counter() - begun < seconds and len(spent) < 200):
        since = time.perf_counter()
        for _ in range(3): trainer.step()
        synchronize()
        spent.append((time.perf_counter() - since)/3)
    trainer.look()
    each = statistics.median(spent)
    share = trainer.config.global_batch_size*step_flops(trainer.model, learning=True)/each/peak
    memory = torch.cuda.max_memory_allocated()/2**30 if CUDA else 0.
    lost = ", NOT CAPTURED" if capture and not (trainer.captured and trainer.captured.graph) else ""
    r.row("rates", f"{name:22} {way:18} {1e3*each:8.2f} ms  {100*share:5.1f} % of peak  {memory:5.1f} GiB  "
        f"first steps {first:.0f} s{lost}",
        what=name, way=way, ms=1e3*each, share=share, gib=memory, first=first)

def rated(r:Report, name:str, row:Row, ways, peak:float, seconds:float):
    "A row in each of some ways; its networks are compiled once."
    for compiled in (False, True):
        ours = [way for way in ways if STRATEGIES[way][1] == compiled]
        if not ours: continue
        if r.left() < (40 if compiled else 20):
            r.say(f"  {name}, {' and '.join(ours)}: no time")
            continue
        free()
        try:
            network, settings = row.made()
            mode = "max-autotune-no-cudagraphs" if row.autotune else None
            if compiled: compile_all(network, mode=mode)
            config = TrainConfig(name, compile=False, capture=False, **settings)
            shape = network.config.seq_len, network.config.vocab_size
            batch = boards(1, config.global_batch_size, *shape, 1)[0]
            trainer = Trainer(config, None, repeat(batch), network)
            with layers.mixing(row.mixing) if row.mixing else contextlib.nullcontext():
                for way in ours: one_way(r, name, way, trainer, peak, seconds)
            del trainer, network
        except Exception as e:
            r.row("rates", f"{name} {' and '.join(ours)}: FAILED: {type(e).__name__}: {str(e)[:300]}",
                what=name, failed=traceback.format_exc()[-3000:])

def rates(r:Report, peak:float, rows:list[str], ways:list[str]):
    "On a processor, small sizes stand for the rows."
    for name in rows:
        row = ROWS[name]
        if not CUDA:
            row = replace(row, size={"a": "a16x24x9", "s": "sudoku-9x9"}.get(row.size[0], "16x24x9"))
        rated(r, name, row, ways or (row.ways if CUDA else ("eager",)), peak, 2. if CUDA else 0.)

# ---- solving, waiting for batches, and several runs on one device ------------------------------

def solving(r:Report):
    """Puzzles a second one kernel at a time, in few sizes, captured, and captured and compiled; and how many
    are answered alike, few sizes beside eager, and captured ones beside few sizes."""
    name, count = ("sudoku-9x9", 256) if CUDA else ("sudoku-4x4", 20)
    for dtype in ("bfloat16", "float32"):
        loaded, batches = SolveCase(model=name, puzzles=count, adaptive=True, dtype=dtype,
            device=DEVICE.type).ready()
        batch, halting, answers = next(batches), loaded.policy(16), {}
        for way in ("eager", "few sizes", "captured", "captured+compiled"):
            capture, compiled = STRATEGIES.get(way, (False, False))
            if (capture and not CUDA) or (compiled and (dtype == "float32" or r.left() < 90)): continue
            free()
            try:
                steps = None if way == "eager" else BucketedSteps(loaded.model, capture, compiled)
                begun = time.perf_counter()
                for _ in range(5): found = solve(loaded.model, batch, 16, halting, stepper=steps)
                synchronize()
                first, each = time.perf_counter() - begun, timed(
                    lambda: solve(loaded.model, batch, 16, halting, stepper=steps), 10 if CUDA else 1)
                answers[way] = found
                like = answers["few sizes" if "captured" in way else "eager"]
                same = (found.tokens == like.tokens).all(1).float().mean().item()
                memory = torch.cuda.max_memory_allocated()/2**30 if CUDA else 0.
                graphs = sum(bool(s and s.graph) for s in steps.sizes.values()) if steps else 0
                taken = found.steps.float().mean().item()
                r.row("solving", f"{name} x{count} {dtype} {way:18} {1e3*each:8.2f} ms  {count/each:8.0f} "
                    f"puzzles/s  {taken:.1f} steps  {same:.1%} answered alike  {graphs} graphs  "
                    f"{memory:.1f} GiB  first {first:.0f} s", what=name, dtype=dtype, way=way,
                    ms=1e3*each, steps=taken, alike=same, graphs=graphs, gib=memory, first=first,
                    sizes=sorted(steps.sizes) if steps else None,
                    bit_equal=bool(torch.equal(found.q_halt, like.q_halt)))
            except Exception as e:
                r.row("solving", f"{name} {dtype} {way}: FAILED: {type(e).__name__}: {str(e)[:300]}",
                    what=name, way=way, failed=str(e)[:1000])

def waiting(r:Report):
    "What a captured step waits for its batch, drawn when it is needed or ahead in a thread."
    model, settings = recipe()
    puzzle = find_puzzle("sudoku-9x9" if CUDA else "sudoku-4x4")
    some = [pair for pair, _ in zip(puzzle.generate(np.random.default_rng(0)), range(16))]
    for batch in (64, 768) if CUDA else (16,):
        settings = {**settings, "global_batch_size": batch, "holdout": 0., "train_steps": 10_000}
        dataset, left = dataset_of(puzzle, [some[i % 16] for i in range(batch)], some), []
        for ahead in (0, 2, 0): # the last: does the device repeat itself?
            if r.left() < 30: r.say(f"  batch {batch}: no time"); continue
            free()
            config = TrainConfig("waiting", puzzle=puzzle.name, device=DEVICE.type, capture=CUDA,
                compile=False, dtype="bfloat16" if CUDA else "float32", model=model, **settings)
            trainer = Trainer(config, dataset, ahead=ahead)
            for _ in range(8): trainer.step()
            trainer.look(); synchronize()
            trainer.source.waited, begun, count = 0., time.perf_counter(), 200 if CUDA else 5
            for _ in range(count): trainer.step()
            trainer.look(); synchronize()
            each, waited = (time.perf_counter() - begun)/count, trainer.source.waited/count
            left.append({k: t.detach().cpu() for k, t in trainer.model.state_dict().items()})
            trainer.source.close()
            r.row("waiting", f"batch {batch}, {ahead} drawn ahead: {1e3*each:.2f} ms a step, "
                f"of which it waits {1e3*waited:.3f} ms",
                batch=batch, ahead=ahead, ms=1e3*each, waited=1e3*waited)
        if len(left) == 3:
            ahead, again = (all(torch.equal(t, left[0][k]) for k, t in other.items()) for other in left[1:])
            said = ["bit-equal" if same else "NOT EQUAL" for same in (ahead, again)]
            r.row("waiting", f"batch {batch}: weights are {said[0]} where batches are drawn ahead, "
                f"{said[1]} where the same is done again", ok=ahead or not again, repeats=again)

def small_run():
    "The body of a process of `sharing`: a training that goes on for as many seconds as it is told."
    model, settings = recipe()
    config = TrainConfig("sharing", device=DEVICE.type, compile=False, capture=CUDA,
        dtype="bfloat16" if CUDA else "float32", **settings)
    network = build_model("trm", {"seq_len": 81, "vocab_size": 11, **model}, "sharing",
        torch.bfloat16 if CUDA else torch.float32)
    trainer = Trainer(config, None, repeat(boards(1, config.global_batch_size, 81, 11, 1)[0]), network)
    for _ in range(6 if CUDA else 1): trainer.step()
    trainer.look(); synchronize()
    print("ready", flush=True)
    for line in sys.stdin:
        begun, count = time.perf_counter(), 0
        while time.perf_counter() - begun < float(line): trainer.step(); count += 1
        trainer.look(); synchronize()
        memory = torch.cuda.max_memory_reserved()/2**30 if CUDA else 0.
        print(json.dumps([count/(time.perf_counter() - begun), memory]), flush=True)

def sharing(r:Report):
    "Four runs of the recipe of sudoku-9x9 beside each other on this device, and one of them alone."
    if r.left() < 60: r.say("  no time"); return
    count, seconds = (4, 4.) if CUDA else (2, 0.2)
    paths = [str(Path(trm_lab.__file__).parents[1]), os.environ.get("PYTHONPATH", "")]
    found = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}
    runs = [subprocess.Popen([sys.executable, __file__, "--small-run"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True, env=found) for _ in range(count)]
    try:
        for run in runs: assert run.stdout.readline() == "ready\n", "a run did not come up"
        def rates(some):
            for run in some: print(seconds, file=run.stdin, flush=True)
            return [json.loads(run.stdout.readline()) for run in some]
        (alone, memory), = rates(runs[:1])
        together = [rate for rate, _ in rates(runs)]
        each = ", ".join(f"{rate:.0f}" for rate in together)
        r.row("sharing", f"one run {alone:.0f} steps/s ({memory:.1f} GiB); {count} beside each other {each}: "
            f"{sum(together)/alone:.2f} times as many in all", alone=alone, together=together, gib=memory)
    finally:
        for run in runs: run.kill(); run.wait()

def drawing(r:Report):
    "What the host needs for a batch, beside the device."
    puzzle = find_puzzle("sudoku-9x9")
    some = [pair for pair, _ in zip(puzzle.generate(np.random.default_rng(0)), range(16))]
    for batch in (64, 768):
        stream = Batches(dataset_of(puzzle, [some[i % 16] for i in range(batch)], some).train,
            batch, 0, puzzle, 0)
        r.row("drawing",
            f"a batch of {batch} boards: {1e3*timed(lambda: next(stream), 10):.2f} ms", batch=batch)

# ---- what a step spends its time with -----------------------------------------------------

def products(r:Report):
    "The products of SwiGLU over 97 positions, and over 104, in the layouts that they may have."
    if not CUDA: return
    B, D, M = 768, 512, 1024 # of the published size; gate and up together
    for S in (97, 104):
        def made(*shape): return torch.randn(*shape, device=DEVICE, dtype=torch.bfloat16)
        weight, x, dy = made(M, S), made(B, S, D), made(B, M, D)
        rows, columns = x.mT.reshape(B*D, S), weight.t().contiguous().t()
        def left(weight, x): return torch.bmm(weight.expand(len(x), -1, -1), x)
        for name, work in {"rows": lambda: torch.nn.functional.linear(rows, weight),
                "left": lambda: left(weight, x), "left, columns": lambda: left(columns, x),
                "gradient of x": lambda: left(columns.t(), dy),
                "gradient of weight": lambda: torch.bmm(dy, x.mT).sum(0, dtype=torch.float32),
                "gradient of weight, columns": lambda: torch.bmm(x, dy.mT).sum(0, dtype=torch.float32)
            }.items():
            each = timed(work, 10)
            r.row("products", f"{name} over {S}: {1e3*each:.2f} ms, {2*B*S*D*M/each/1e12:.0f} TFLOP/s",
                name=name, positions=S, ms=1e3*each)

def profile(r:Report):
    "The kernels of a step, for who makes it faster."
    if not CUDA: return
    from torch.profiler import ProfilerActivity, profile as profiler
    for what, compiled in (("512x768x81", True), ("sudoku-9x9", False)):
        if r.left() < 60: r.say(f"  {what}: no time"); continue
        free()
        network, settings = Row(what).made()
        config = TrainConfig(what, compile=compiled, capture=True, **settings)
        batch = boards(1, config.global_batch_size, 81, 11, 1)[0]
        trainer = Trainer(config, None, repeat(batch), network)
        for _ in range(6): trainer.step()
        trainer.look(); synchronize()
        with profiler(activities=[ProfilerActivity.CUDA]) as seen:
            for _ in range(2): trainer.step()
            synchronize()
        kernels = sorted(seen.key_averages(), key=lambda k: -k.self_device_time_total)
        total = sum(k.self_device_time_total for k in kernels)
        r.row("profile", f"{what}: {total/2e3:.2f} ms of kernels a step, "
            f"{sum(k.count for k in kernels)//2} of them", what=what)
        for k in kernels[:14]:
            r.row("profile", f"  {k.self_device_time_total/2e3:8.3f} ms {k.count//2:5} × {k.key[:90]}",
                what=what, kernel=k.key, ms=k.self_device_time_total/2e3, count=k.count/2)

# ---- the reference implementation ---------------------------------------------------------

def reference(r:Report, path:str, peak:float):
    """Its training step: model and loss head as they are, compiled as a whole, as it does by default;
    AdamATan2 and average are ours."""
    sys.path.insert(0, str(Path(path).resolve()))
    stand_ins()
    for what in ("512x768x81", "128x32x81", "a512x96x900") if CUDA else ("16x4x9", "a16x4x9"):
        if r.left() < 45: r.say(f"  {what}: no time"); continue
        free()
        case = case_of(what, DEVICE.type)
        try:
            torch.manual_seed(0)
            begun, taken = time.perf_counter(), their_step(case, compiled=CUDA)
            def step(): # it reads its metrics in every step
                return torch.stack([v.float() for v in taken().values()]).cpu()
            for _ in range(3): step()
            first, each = time.perf_counter() - begun, timed(step, 8)
            flops = case.batch*step_flops(case.model(), True)
            r.row("reference", f"{what:14} compiled {1e3*each:8.2f} "
                f"ms  {100*flops/each/peak:5.1f} % of peak  first steps {first:.0f} s",
                what=what, ms=1e3*each, share=flops/each/peak, first=first)
        except Exception as e:
            r.row("reference", f"{what}: FAILED: {type(e).__name__}: {str(e)[:300]}",
                what=what, failed=str(e)[:1000])

# ------------------------------------------------------------------------------------------

def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=340.)
    parser.add_argument("--out", help="a file for lines of JSON")
    parser.add_argument("--reference", help="a checkout of the reference implementation")
    parser.add_argument("--only", help="sections, with commas between them")
    parser.add_argument("--rows", default=",".join(ROWS), help="of the section rates, in their order")
    parser.add_argument("--ways", help=f"of these rows, in place of their own: {', '.join(STRATEGIES)}")
    parser.add_argument("--small-run", action="store_true", help=argparse.SUPPRESS) # a process of `sharing`
    given = parser.parse_args()
    if given.small_run: return small_run()
    r, peak = Report(given.out, given.seconds), 1e12
    rows, ways = given.rows.split(","), given.ways.split(",") if given.ways else []
    for name in rows + ways:
        if name not in ROWS and name not in STRATEGIES: parser.error(f"there is no {name}")
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # what is certain and quick first; then what was asked for first; then what helps to go on
    todo = {"facts": lambda: facts(r), "resume": lambda: resume(r), "guarded": lambda: guarded(r),
        "parity": lambda: parity(r), "every_kind": lambda: every_kind(r),
        "rates": lambda: rates(r, peak, rows, ways),
        "waiting": lambda: waiting(r), "sharing": lambda: sharing(r), "solving": lambda: solving(r),
        "reference": lambda: reference(r, given.reference, peak), "drawing": lambda: drawing(r),
        "products": lambda: products(r), "profile": lambda: profile(r)}
    if not given.reference: del todo["reference"]
    for name, work in todo.items():
        if given.only and name not in given.only.split(",") and name != "facts": continue
        r.say(f"{name} ({r.left():.0f} s left)")
        try: found = work()
        except Exception as e:
            r.row(name, f"FAILED: {type(e).__name__}: {str(e)[:500]}", failed=traceback.format_exc())
            traceback.print_exc()
        else:
            if name == "facts": peak = found
    r.say(f"done after {time.perf_counter() - BEGUN:.0f} s")

if __name__ == "__main__": main()
