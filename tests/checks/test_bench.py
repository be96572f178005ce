"Counting and reporting; no timing is judged here, for a machine may be busy."
import json
import pytest
import torch
from trm_lab.checks.bench import (
    GROWING_SIZES, PUZZLES, TABLES, DrawCase, GenerateCase, LoadCase, Plan, Result, Sample, SolveCase,
    TraceCase, TrainCase, bench, matmul_peak, measure, show, step_flops)
from trm_lab.core.errors import InputError
from trm_lab.models.variants import ARCHITECTURES, build_model
from test_cli import trm_lab

D, L, P = 64, 36, 16
S = L + P
inner = lambda n: -(-round(n*8/3)//256)*256 # SwiGLU's
MLP = 2*S*3*D*inner(D)
OVER_POSITIONS = 2*D*3*S*inner(S)
ATTENTION = 2*S*4*D*D + 4*S*S*D # q, k, v and output; scores and their use

def model(arch="trm", dtype=torch.float32, **settings):
    return build_model(arch,
        {"seq_len": L, "vocab_size": 8, "hidden_size": D, "puzzle_emb_len": P, **settings}, dtype=dtype)

# passes through a layer, forward and with the backward pass
@pytest.mark.parametrize("arch, settings, layer, passes, learning", [
    ("trm", {"mlp_t": True, "pos_encodings": "none"}, OVER_POSITIONS + MLP, 2*21, 2*(21 + 2*7)),
    ("trm", {}, ATTENTION + MLP, 2*21, 2*(21 + 2*7)),
    ("trm", {"H_cycles": 2, "L_cycles": 3, "L_layers": 3, "gradient": "update"},
        ATTENTION + MLP, 3*8, 3*(8 + 2*2)),
    ("hrm", {}, ATTENTION + MLP, 4*6, 4*(6 + 2*2)), # 1-step gradient: the last thought and the answer
    ("hrm", {"H_layers": 1}, ATTENTION + MLP, 4*4 + 2, 4*4 + 2 + 2*(4 + 1)), # the networks differ in depth
    ("trm_hier6", {}, ATTENTION + MLP, 2*21, 2*(21 + 2*7)),
    ("direct_transformer", {}, ATTENTION + MLP, 8, 3*8),
])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_operations_are_those_of_the_schedule(arch, settings, layer, passes, learning, dtype):
    counted = model(arch, dtype, **settings)
    assert (step_flops(counted), step_flops(counted, learning=True)) == (passes*layer, learning*layer)

@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture_is_counted_and_left_as_it_was(arch):
    counted = model(arch, hidden_size=96) # 96 can be divided among six digits
    before = {name: t.clone() for name, t in counted.state_dict().items()}
    assert 0 < step_flops(counted) < step_flops(counted, learning=True) <= 3*step_flops(counted)
    assert all(torch.equal(t, before[name]) for name, t in counted.state_dict().items()) and counted.training

def test_amounts_are_of_what_was_done():
    train = TrainCase(hidden=32, batch=3, tokens=9, dtype="float32")
    assert train.prepare()() == {"puzzle_steps": 3, "flops": 3*step_flops(train.model(), learning=True)}
    fixed, adaptive = (
        SolveCase(model="sudoku-6x6", puzzles=4, adaptive=adaptive, dtype="float32").prepare()()
        for adaptive in (False, True))
    assert (fixed["puzzles"] == adaptive["puzzles"] == 4 and fixed["puzzle_steps"] == 64
        and 8 <= adaptive["puzzle_steps"] < 64)
    assert adaptive["flops"]*64 == fixed["flops"]*adaptive["puzzle_steps"]
    plain, recorded = (TraceCase(model="sudoku-6x6", puzzles=2, record=record, dtype="float32").prepare()()
        for record in (False, True))
    assert recorded.pop("bytes") > 2**20 and plain == recorded

def test_a_step_waits_for_its_puzzles():
    "Of a size that Sudokus have, they are drawn for every step."
    case = TrainCase(hidden=32, batch=3, tokens=16, dtype="float32")
    amounts = case.prepare()()
    assert amounts.keys() == {"puzzle_steps", "flops", "waited"} and 0 < amounts["waited"] < 10
    row = Result(case, 9., [Sample(1., {**amounts, "waited": 0.0025}, 1e12)]*3, None).row()
    titles, line = show([row]).splitlines()[1:3]
    assert titles.endswith("waits ms") and line.endswith(" 2.50")

def test_rows_on_a_gpu(monkeypatch):
    "Eager, captured, and where it is asked for captured and compiled, in training and in solving."
    plan = Plan(dtype="float32", model="sudoku-6x6")
    def hows(table, plan): return list(dict.fromkeys(case.how for case in plan.cases(table)))
    assert hows("train", plan) == [""] and hows("solve", plan) == ["16 steps", "adaptive"]
    monkeypatch.setattr("trm_lab.checks.bench._on_gpu", lambda plan: True)
    assert hows("train", plan) == ["", "captured"]
    assert hows("solve", plan) == ["16 steps", "16 steps, captured", "adaptive", "adaptive, captured"]
    monkeypatch.setattr("trm_lab.checks.bench._find_compiler", lambda: None)
    plan = Plan(dtype="float32", model="sudoku-6x6", compile=True)
    assert hows("train", plan) == ["", "captured", "captured, compiled"]
    assert hows("solve", plan)[2:4] == ["16 steps, captured, compiled", "adaptive"]

@pytest.mark.parametrize("puzzle", [name.replace("30x30", "6x6") if name.startswith("maze") else name
    for name in PUZZLES]) # large mazes take seconds to find
def test_boards_are_drawn_and_read(puzzle):
    assert DrawCase(puzzle=puzzle, batch=6).prepare()() == {"boards": 6, "batches": 1}
    assert LoadCase(puzzle=puzzle, batch=6).prepare()()["boards"] >= 6
    if puzzle[:3] != "arc": assert GenerateCase(puzzle=puzzle, batch=2).prepare()() == {"boards": 2}

class Told(TrainCase):
    "A case that writes down when its turn came."
    turns = []
    def prepare(self):
        return lambda: self.turns.append(self.batch) or {"puzzle_steps": self.batch, "flops": 1}

def test_cases_take_turns(monkeypatch):
    monkeypatch.setattr("trm_lab.checks.bench.matmul_peak",
        lambda dtype, device: Told.turns.append("peak") or 1.)
    results = measure([Told(hidden=1, batch=b, dtype="float32") for b in (1, 2)], repeats=2,
        seconds=0., memory=False)
    assert Told.turns == [1, 2, *["peak", 1, "peak", 2]*2] # the first call of each only warms up
    assert [len(r.samples) for r in results] == [2, 2]

def test_a_row_says_medians_and_shares():
    case = TrainCase(hidden=128, batch=2, dtype="float32")
    row = Result(case, 9., [Sample(s, {"puzzle_steps": 2, "flops": 100}, peak) for s, peak in (
            (1., 200.), (2., 100.), (4., 50.))], {"idle_bytes": 2**20, "peak_bytes": 2**22}).row()
    assert (row["seconds"] == {"median": 2., "low": 1.5, "high": 3.}
        and row["per_second"]["puzzle_steps"]["median"] == 1.)
    assert row["share_of_peak"] == {"median": 0.5, "low": 0.5, "high": 0.5} # of the peak beside each call
    text = show([row])
    assert ("128x2x81 fp32" in text and "2.00 s ±38%" in text and "50 (50–50)" in text
        and text.splitlines()[2].endswith(" 4") and "1 MiB of it are the imports" in text)

SPREAD = {"median", "low", "high"}

def check(rows):
    "Every row has every field, and positive ones."
    for row in rows:
        assert {"table", "what", "how", "dtype", "device", "calls", "first_seconds", "seconds", "per_call",
            "per_second", "memory"} <= row.keys()
        assert (row["per_call"].keys() == row["per_second"].keys() and row["calls"] > 0
            and row["first_seconds"] > 0)
        spreads = [row["seconds"], *row["per_second"].values(),
            *([row["peak_flops_per_second"], row["share_of_peak"]] if row["dtype"] else [])]
        for each in spreads:
            assert each.keys() == SPREAD and 0 < each["low"] <= each["median"] <= each["high"]
        assert all(amount > 0 for amount in row["per_call"].values())

def test_the_command_prints_json_and_tables(monkeypatch, capsys):
    peaks = []
    monkeypatch.setattr("trm_lab.checks.bench.matmul_peak",
        lambda dtype, device: peaks.append(dtype) or matmul_peak(dtype, device, (64,)))
    code, out, err = trm_lab("bench", "train", "--size", "32x2x9", "--dtype", "float32", "--repeats", 2,
        "--json", monkeypatch=monkeypatch, capsys=capsys)
    found = json.loads(out)
    assert (code == 0 and {"date", "device", "threads", "repeats", "versions"} <= found["machine"].keys()
        and found["machine"]["threads"] > 0 and "round 2 of 2" in err)
    check(found["rows"])
    row, = found["rows"]
    assert (row["hidden"], row["batch"], row["tokens"]) == (32, 2, 9) and set(peaks) == {torch.float32}
    if row["memory"]: # None where the system does not tell
        assert 0 < row["memory"]["idle_bytes"] < row["memory"]["peak_bytes"]
    for table in ("solve", "trace"):
        code, out, _ = trm_lab("bench", table, "--size", 2, "--model", "sudoku-6x6", "--dtype", "float32",
            "--repeats", 1, "--no-memory", monkeypatch=monkeypatch, capsys=capsys)
        lines = out.strip().splitlines()
        assert (code == 0 and lines[-1].startswith("peak of matrix products: float32") and len(lines) == 9
            and lines[2] == "no CUDA device: there are no rows for captured steps"
            and max(map(len, lines)) <= 120), out

@pytest.mark.soak # three quarters of a minute
def test_a_whole_bench(monkeypatch):
    "All tables, in one call, small."
    monkeypatch.setattr("trm_lab.checks.bench.matmul_peak", lambda dtype, device: 1e12)
    monkeypatch.setattr("trm_lab.checks.bench.REFERENCE_SIZES", ((32, 2, 9),))
    monkeypatch.setattr("trm_lab.checks.bench.PUZZLES", ("sudoku-4x4", "arc-30x30"))
    monkeypatch.setattr("trm_lab.checks.bench._counts", lambda plan, usual: [3])
    told = []
    found = bench(Plan(dtype="float32", repeats=1, seconds=0., memory=False), told.append)
    assert (list(dict.fromkeys(row["table"] for row in json.loads(json.dumps(found))["rows"])) == list(TABLES)
        and len(told) == 5)
    assert max(map(len, "\n".join(told).splitlines())) <= 120
    check(found["rows"])

def test_growth_varies_one_thing_at_a_time():
    hidden, batch, tokens = ({size[i] for size in GROWING_SIZES} for i in range(3))
    assert hidden == {64, 128, 256, 512} and tokens == {36, 81, 900} and len(batch) >= 3
    cases = Plan(("train",), grow=True, dtype="float32").cases("train")
    assert [(c.hidden, c.batch, c.tokens) for c in cases] == list(GROWING_SIZES)

def test_both_precisions_are_measured_where_nobody_chooses(monkeypatch):
    for able, expected in ((True, ["bfloat16", "float32"]), (False, ["float32"])):
        monkeypatch.setattr("trm_lab.core.device.has_fast_bfloat16", lambda device: able)
        assert [case.dtype for case in Plan(("trace",), ("1",), model="sudoku-6x6").cases("trace")] == [
            dtype for dtype in expected for _ in range(2)]
    assert Plan(dtype="bfloat16").dtypes() == ["bfloat16"]

@pytest.mark.parametrize("arguments, sentence", [
    (["trian"], "bench: table 'trian' is not known (did you mean 'train'?)"),
    (["train", "--size", "128"],
        "size '128' is not understood; write HIDDENxBATCH or HIDDENxBATCHxTOKENS, like 128x32 or 128x32x81"),
    (["train", "--size", "128x0"], "size '128x0' is not understood"),
    (["train", "--size", "128xtwo"], "size '128xtwo' is not understood"),
    (["train", "--size", "100x2"], "hidden_size 100 should be a multiple of num_heads 8"),
    (["solve", "--size", "8x8"], "size '8x8' is not understood; write how many puzzles at once, like 32"),
    (["--size", "8"], "--size means something else in each table; name the table"),
    (["solve", "--grow"], "--grow chooses the sizes itself"),
    (["train", "--grow", "--size", "64x2"], "leave out --size"),
    (["train", "--arch", "hrn"], "bench: arch 'hrn' is not known (did you mean 'hrm'?)"),
    (["train", "--dtype", "int8"], "dtype 'int8' is not known"),
    (["train", "--device", "tpu"], "device 'tpu' is not known"),
    (["solve", "--model", "sudoku-6x7"], "there is no such file or model (did you mean 'sudoku-6x6'?)"),
], ids=lambda v: " ".join(v) if isinstance(v, list) else "")
def test_bad_wishes_are_one_sentence(monkeypatch, capsys, arguments, sentence):
    code, out, err = trm_lab("bench", *arguments, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2 and sentence in err.splitlines()[-1] and "Traceback" not in err, err

def test_compiling_needs_a_compiler(monkeypatch):
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(InputError, match="needs a C\\+\\+ compiler"): Plan(compile=True)
    monkeypatch.setattr("shutil.which", lambda name: "/usr/bin/c++")
    assert ([case.how for case in Plan(("train",), ("32x2",), dtype="float32", compile=True).cases("train")]
        == ["", "compiled"])
