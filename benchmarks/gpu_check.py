"""What has to be seen on a GPU before it is believed: parity, resume, and the rates of a training step.

PYTHONPATH=. python3 benchmarks/gpu_check.py [--seconds 340] [--out FILE] [--reference CHECKOUT] [--only A,B]

Sections print as they end, and every finding is a line of JSON in `--out`. A section that fails prints why,
and the next one runs. Where the time is short, later rows are left out and named. On a machine without a GPU
it runs small sizes on the processor, which shows that the script works, and nothing else.
"""
import argparse, contextlib, gc, json, math, statistics, subprocess, sys, tempfile, time, traceback, types
import warnings
from dataclasses import fields
from itertools import cycle, repeat
from pathlib import Path
import numpy as np, torch
import trm_lab
from trm_lab.checks.bench import SolveCase, TrainCase, matmul_peak, step_flops
from trm_lab.training.capture import CapturedStep
from trm_lab.data.batches import Batch, Batches
from trm_lab.data.datasets import dataset_of
from trm_lab.data.generate import generate_dataset
from trm_lab.training.optimizers import EMA, AdamATan2
from trm_lab.puzzles.base import find_puzzle
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.core.settings import read_yaml
from trm_lab.training.states import load_state, save_state
from trm_lab.training.trainer import NotFinite, Trainer
from trm_lab.training.config import TrainConfig
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
# after twenty, when a row of the embedding has moved by another sign. So five steps are compared; float32 on
# a processor is 3e-4 away by then.
ALLOWED = {"float64": (5, 1e-9), "float32": (5, 1e-3),
    "bfloat16": (5, 1e-2)} # steps, and share of the weights' norm

def parity(r:Report):
    torch.set_num_threads(8)
    for what, (changes, compiles) in PARITY.items():
        for dtype, (steps, _) in ALLOWED.items():
            wanted, got = (
                weights_after(trainer_of("eager", torch.device("cpu"), "float64", **changes), steps), {})
            for way in STRATEGIES:
                if "compiled" in way and (not compiles or dtype == "bfloat16" or r.left() < 60): continue
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
    "The model and the settings of sudoku-9x9."
    found = read_yaml(Path(trm_lab.__file__).parent/"pretrained"/"sudoku-9x9.yaml")
    known = {f.name for f in fields(TrainConfig)} - {"model", "data", "device", "dtype",
        "compile", "capture", "name"}
    return found["model"], {k: v for k, v in found.items() if k in known}

def sized(what:str)->tuple[dict, dict]: # model, settings
    "A size of `trm-lab bench`: HIDDENxBATCHxTOKENS, with `a` in front for attention."
    hidden, batch, tokens = map(int, what.lstrip("a").split("x"))
    case = TrainCase(hidden=hidden, batch=batch, tokens=tokens, attention=what[0] == "a", dtype="bfloat16")
    model = {**vars(case.model().config)}
    return model, {"global_batch_size": batch, "loss": "stablemax", "optimizer": "adam_atan2", "lr": 1e-4}

def rated(r:Report, what:str, model:dict, settings:dict, peak:float, ways=tuple(STRATEGIES),
        seconds:float=2., note:str=""):
    "Milliseconds a step in each way; compiled networks are compiled once."
    made = {"seq_len": 81, "vocab_size": 11, **model}
    for compiled in (False, True):
        ours = [way for way in ways if STRATEGIES[way][1] == compiled]
        if not ours: continue
        if r.left() < (70 if compiled else 25):
            r.say(f"  {what}{note}, {' and '.join(ours)}: no time")
            continue
        free()
        try:
            torch.manual_seed(0)
            network = build_model("trm", made, what, torch.bfloat16 if CUDA else torch.float32)
            config = TrainConfig(what, device=DEVICE.type, dtype="bfloat16" if CUDA else "float32",
                compile=compiled, capture=False, **settings)
            batch = boards(1, config.global_batch_size, made["seq_len"], made["vocab_size"], 1)[0]
            trainer = Trainer(config, None, repeat(batch), network)
            flops = config.global_batch_size*step_flops(network, learning=True)
            for way in ours:
                begun = time.perf_counter()
                if CUDA: torch.cuda.reset_peak_memory_stats()
                if STRATEGIES[way][0]:
                    if not CUDA: continue
                    trainer.captured = CapturedStep(trainer._in_place, network.config)
                for _ in range(5): trainer.step()
                trainer.look(); synchronize()
                first, spent, begun = time.perf_counter() - begun, [], time.perf_counter()
                while time.perf_counter() - begun < seconds and len(spent) < 200:
                    since = time.perf_counter()
                    for _ in range(3): trainer.step()
                    synchronize()
                    spent.append((time.perf_counter() - since)/3)
                trainer.look()
                each = statistics.median(spent)
                memory = torch.cuda.max_memory_allocated()/2**30 if CUDA else 0.
                lost = ("" if not STRATEGIES[way][0] or trainer.captured and trainer.captured.graph
                    else ", NOT CAPTURED")
                r.row("rates", f"{what:14}{note} {way:18} {1e3*each:8.2f} ms  {100*flops/each/peak:5.1f} "
                    f"% of peak  {memory:5.1f} GiB  first steps {first:.0f} s{lost}",
                    what=what, note=note, way=way, ms=1e3*each,
                    share=flops/each/peak, gib=memory, first=first, tflops=flops/each/1e12)
            del trainer, network
        except Exception as e:
            r.row("rates",
                f"{what}{note} {'compiled' if compiled else ''}: FAILED: {type(e).__name__}: {str(e)[:300]}",
                what=what, failed=str(e)[:1000])

def rates(r:Report, peak:float):
    if not CUDA: return rated(r, "16x4x81", *sized("16x4x81"), peak, ("eager",), 0.2)
    model, settings = recipe()
    rated(r, "sudoku-9x9", model, settings, peak)
    rated(r, "128x32x81", *sized("128x32x81"), peak)
    rated(r, "512x768x81", *sized("512x768x81"), peak)
    rated(r, "a512x96x900", *sized("a512x96x900"), peak)

def parts(r:Report, peak:float):
    "A batch in parts whose activations stay in the cache of the device."
    if not CUDA: return
    model, settings = sized("512x768x81")
    for count in (8, 24):
        rated(r, "512x768x81", model, {**settings, "accumulate": count}, peak,
            ("captured+compiled",), note=f" /{count}")

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
    model, settings = recipe() if CUDA else (SMALL, {})
    puzzle = find_puzzle("sudoku-9x9" if CUDA else "sudoku-4x4")
    some = [pair for pair, _ in zip(puzzle.generate(np.random.default_rng(0)), range(16))]
    for batch in (64, 768) if CUDA else (16,):
        settings = {**settings, "global_batch_size": batch, "holdout": 0., "train_steps": 10_000}
        dataset, left = dataset_of(puzzle, [some[i % 16] for i in range(batch)], some), {}
        for ahead in (0, 2):
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
            left[ahead] = {k: t.detach().cpu() for k, t in trainer.model.state_dict().items()}
            trainer.source.close()
            r.row("waiting", f"batch {batch}, {ahead} drawn ahead: {1e3*each:.2f} ms a step, "
                f"of which it waits {1e3*waited:.3f} ms",
                batch=batch, ahead=ahead, ms=1e3*each, waited=1e3*waited)
        if len(left) == 2:
            same = all(torch.equal(t, left[0][k]) for k, t in left[2].items())
            r.row("waiting", f"batch {batch}: weights are {'bit-equal' if same else 'NOT EQUAL'}", ok=same)

def small_run():
    "The body of a process of `sharing`: a training that goes on for as many seconds as it is told."
    model, settings = recipe() if CUDA else (SMALL, {"global_batch_size": 8})
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
    runs = [subprocess.Popen([sys.executable, __file__, "--small-run"], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, text=True) for _ in range(count)]
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
        for run in runs: run.kill()

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

def mixing(r:Report):
    """SwiGLU over 97 positions in two ways: on transposed boards, or with the weight on the left of the
    board as it lies in memory."""
    if not CUDA: return
    B, S, D, M, dtype = 768, 97, 512, 512, torch.bfloat16
    def made(*shape): return (torch.randn(*shape, device=DEVICE)/shape[-1]**0.5).to(dtype)
    gate_up, down, x = (made(2*M, S).requires_grad_(), made(S, M).requires_grad_(),
        made(B, S, D).requires_grad_())
    wide = {"gate_up": torch.nn.functional.pad(gate_up.detach(), (0, 7)),
        "x": torch.nn.functional.pad(x.detach(), (0, 0, 0, 7))}
    def normed(v, axis):
        return (v.float()*(v.float().square().mean(axis, keepdim=True) + 1e-5).rsqrt()).to(v.dtype)
    def transposed(x):
        y = x.transpose(1, 2)
        gate, up = torch.nn.functional.linear(y, gate_up).chunk(2, -1)
        return normed(y + torch.nn.functional.linear(torch.nn.functional.silu(gate)*up, down), -1).transpose(
            1, 2)
    def left(weight, x): return torch.bmm(weight.expand(len(x), -1, -1), x)
    def across(x):
        along = gate_up.t().contiguous().t() # rows of 97 numbers are not aligned, columns of 1024 are
        gate, up = left(along, x).chunk(2, 1)
        return normed(x + left(down, torch.nn.functional.silu(gate)*up), 1)
    def both(f):
        def run():
            for t in (gate_up, down, x): t.grad = None
            f(x).backward(made_once)
        return run
    made_once, answers = made(B, S, D), {}
    for name, f in {"transposed": transposed, "left": across}.items():
        for how in (lambda f: f, torch.compile):
            g = how(f)
            with torch.no_grad(): answers[name], forward = g(x), timed(lambda: g(x), 10)
            whole = timed(both(g), 10)
            compiled = "" if how(f) is f else ", compiled"
            r.row("mixing",
                f"{name}{compiled}: forward {1e3*forward:.2f} ms, with backward {1e3*whole:.2f} ms",
                name=name, compiled=bool(compiled), forward=forward, whole=whole)
    differs = (answers["left"] - answers["transposed"]).float().norm()/answers["left"].float().norm()
    r.row("mixing", f"they differ by {differs.item():.1e} of their norm", differs=differs.item())
    rows = x.detach().transpose(1, 2).reshape(B*D, S)
    for name, work in {"linear over 97": lambda: torch.nn.functional.linear(rows, gate_up.detach()),
            "linear over 104":
                lambda: torch.nn.functional.linear(torch.nn.functional.pad(rows, (0, 7)), wide["gate_up"]),
            "left over 97": lambda: left(gate_up.detach(), x.detach()),
            "left over 97, columns": lambda: left(gate_up.detach().t().contiguous().t(), x.detach()),
            "left over 104": lambda: left(wide["gate_up"], wide["x"])}.items():
        each = timed(work, 10)
        r.row("mixing",
            f"{name}: {1e3*each:.2f} ms, {2*B*S*D*2*M/each/1e12:.0f} TFLOP/s", name=name, ms=1e3*each)

def profile(r:Report):
    "The kernels of a step, for who makes it faster."
    if not CUDA: return
    from torch.profiler import ProfilerActivity, profile as profiler
    for what, compiled in (("512x768x81", True), ("sudoku-9x9", False)):
        if r.left() < 60: r.say(f"  {what}: no time"); continue
        free()
        model, settings = recipe() if what == "sudoku-9x9" else sized(what)
        made = {"seq_len": 81, "vocab_size": 11, **model}
        config = TrainConfig(what, device="cuda", dtype="bfloat16", compile=compiled,
            capture=True, **settings)
        batch = boards(1, config.global_batch_size, 81, 11, 1)[0]
        trainer = Trainer(config, None, repeat(batch), build_model("trm", made, what, torch.bfloat16))
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

def _plain_settings():
    "A stand-in for pydantic where it is not installed: the reference only keeps its settings in it."
    class BaseModel:
        def __init__(self, **given):
            for name, value in given.items(): setattr(self, name, value)
    module = types.ModuleType("pydantic")
    module.BaseModel = BaseModel
    sys.modules["pydantic"] = module

def reference(r:Report, path:str, peak:float):
    """Its training step: model and loss head as they are, compiled as a whole, as it does by default;
    AdamATan2 and average are ours."""
    sys.path.insert(0, str(Path(path).resolve()))
    try: import pydantic # noqa: F401
    except ImportError: _plain_settings()
    from models.losses import ACTLossHead
    from models.recursive_reasoning.trm import TinyRecursiveReasoningModel_ACTV1
    from models.sparse_embedding import CastedSparseEmbeddingSignSGD_Distributed
    for what in ("512x768x81", "128x32x81", "a512x96x900") if CUDA else ("16x4x9", "a16x4x9"):
        if r.left() < 45: r.say(f"  {what}: no time"); continue
        free()
        hidden, batch, tokens = map(int, what.lstrip("a").split("x"))
        mlp = what[0] != "a"
        asked = {"batch_size": batch, "seq_len": tokens, "puzzle_emb_ndim": hidden,
            "num_puzzle_identifiers": 1, "vocab_size": 11, "H_cycles": 3, "L_cycles": 6,
            "H_layers": 0, "L_layers": 2, "hidden_size": hidden, "expansion": 4., "num_heads": 8,
            "pos_encodings": "none" if mlp else "rope", "halt_max_steps": 16, "halt_exploration_prob": 0.1,
            "mlp_t": mlp, "puzzle_emb_len": 16, "no_ACT_continue": True, "forward_dtype": "bfloat16",
            "rms_norm_eps": 1e-5, "rope_theta": 10000.}
        try:
            torch.manual_seed(0)
            with torch.device(DEVICE):
                head = ACTLossHead(TinyRecursiveReasoningModel_ACTV1(asked), "stablemax_cross_entropy")
            head.train()
            model = torch.compile(head) if CUDA else head
            rows = CastedSparseEmbeddingSignSGD_Distributed(head.model.puzzle_emb.buffers(), world_size=1,
                lr=1e-4, weight_decay=1.)
            weights, average = AdamATan2(head.parameters(), 1e-4, (0.9, 0.95), 1.), EMA(head, 0.999, False)
            given = boards(1, batch, tokens, 11, 1)[0].to(DEVICE)
            given = {f.name: getattr(given, f.name).int() for f in fields(Batch)}
            with torch.device(DEVICE): state = [head.initial_carry(given)]
            def step():
                state[0], loss, metrics, _, _ = model(carry=state[0], batch=given, return_keys=[])
                (loss/batch).backward()
                for optimizer in (rows, weights): optimizer.step(); optimizer.zero_grad()
                average.update(head)
                return torch.stack([v.float() for v in metrics.values()]).cpu() # it reads them in every step
            begun = time.perf_counter()
            for _ in range(3): step()
            synchronize()
            first, each = time.perf_counter() - begun, timed(step, 8)
            _, settings = sized(what)
            flops = batch*step_flops(TrainCase(hidden=hidden, batch=batch, tokens=tokens, attention=not mlp,
                    dtype="bfloat16").model(), True)
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
    parser.add_argument("--small-run", action="store_true", help=argparse.SUPPRESS) # a process of `sharing`
    given = parser.parse_args()
    if given.small_run: return small_run()
    r, peak = Report(given.out, given.seconds), 1e12
    torch.backends.cuda.matmul.allow_tf32 = False
    torch.backends.cudnn.allow_tf32 = False
    # what is certain and quick first; then what was asked for first; then what helps to go on
    todo = {"facts": lambda: facts(r), "resume": lambda: resume(r), "guarded": lambda: guarded(r),
        "parity": lambda: parity(r), "every_kind": lambda: every_kind(r), "rates": lambda: rates(r, peak),
        "waiting": lambda: waiting(r), "sharing": lambda: sharing(r), "solving": lambda: solving(r),
        "reference": lambda: reference(r, given.reference, peak), "drawing": lambda: drawing(r),
        "mixing": lambda: mixing(r), "profile": lambda: profile(r), "parts": lambda: parts(r, peak)}
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
