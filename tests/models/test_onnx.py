"""Exported models in onnxruntime, beside the models that they were made of, and their hosts: Python without
torch, and JavaScript in a browser and, where onnxruntime-web is installed, in node."""
import base64, copy, json, os, shutil, subprocess, sys
from dataclasses import replace
import numpy as np, pytest, torch

if os.environ.get("CI") != "true": # where changes are judged, nothing may be left out
    for package in ("onnx", "onnxruntime", "onnxscript"): pytest.importorskip(package)

import onnx, onnxruntime
from trm_lab import cli
from trm_lab.checks.exported import _Paths, _cost, compare_export, rounding_costs
from trm_lab.core.errors import InputError
from trm_lab.core.files import sha256
from trm_lab.core.settings import read_json
from trm_lab.data.batches import make_batch
from trm_lab.models.checkpoints import Loaded, load_pretrained, pretrained_models
from trm_lab.models.halting import QLearningHalting
from trm_lab.models.host import Host, board_text, board_tokens, host_solve, host_steps
from trm_lab.models.onnx import (LAYER_KINDS, _eliminate, _least_confidence, export_onnx, in_float32,
    layer_kind, rounded)
from trm_lab.models.trm import Output, TRM, TRMConfig
from trm_lab.models.variants import ARCHITECTURES, build_model
from trm_lab.puzzles.base import IGNORE
from trm_lab.solving.solve import recursion, solve

GRAPHS = ("embed", "step", "read")

def tiny(arch, positions="rope", mlp=False, **changes):
    "An untrained model whose halting head and puzzle embedding say something."
    few = {"H_cycles": 2, "L_cycles": 2, "L_layers": 1, "H_layers": 1, "rounds": 1, "evaluations": 3}
    few = {name: n for name, n in few.items() if hasattr(ARCHITECTURES[arch].Config, name)}
    torch.manual_seed(1)
    model = build_model(arch, {"seq_len": 12, "vocab_size": 7, "hidden_size": 24, "num_heads": 2,
        "swiglu_multiple": 8, "puzzle_emb_len": 2, "num_puzzle_identifiers": 3, "grid": "3x4",
        "mlp_t": mlp, "pos_encodings": positions, **few, **changes})
    with torch.no_grad():
        model.q_head.weight.normal_(); model.puzzle_emb.weights.normal_()
        for name, weight in model.named_parameters():
            if ".bias" in name: weight.normal_()
    return model.eval()

def questions(model, count):
    rng = np.random.default_rng(0)
    tokens = rng.integers(0, model.config.vocab_size, (count, model.config.seq_len)).astype(np.uint8)
    return make_batch(tokens, tokens, rng.integers(0, 3, count).astype(np.int32))

# every architecture, every kind of positions, both losses and both ways to halt
SYSTEMS = {"trm": ("none", True, {}, "binary"), "trm_separate": ("rope", False, {}, "binary"),
    "hrm": ("rope_2d+pair_bias", False, {"loss": "stablemax"}, "q_learning"),
    "trm_singlez": ("learned", False, {}, "binary"), "trm_swapped": ("row_col", False, {}, "binary"),
    "trm_hier6": ("rope_2d+local_bias+row_col", False, {"loss": "stablemax"}, "binary"),
    "direct_transformer": ("none", False, {}, "q_learning"), "fixed_point": ("rope", False, {}, "binary")}

@pytest.mark.parametrize("arch", [name for name in ARCHITECTURES if name != "trm_equivariant"])
def test_an_architecture_steps_as_in_torch(tmp_path, arch):
    """Each step from torch's latents: the recursion of random weights amplifies the last bit over several.
    Tokens and decisions agree over the first two."""
    positions, mlp, history, halting = SYSTEMS[arch]
    loaded = Loaded(tiny(arch, positions, mlp), None, history, halting)
    about = export_onnx(loaded, tmp_path/"out")
    found = compare_export(loaded, Host(tmp_path/"out"), questions(loaded.model, 5), 2)
    assert found.alone < 2e-5 and not found.tokens and not found.stops, found
    assert about["architecture"] == arch and about["puzzle"] is None and set(about["start"]) == set(
        loaded.model.latents)

def test_a_damped_model_steps_as_in_torch(tmp_path):
    model = tiny("trm", "none", True, relaxation=0.7, relaxation_learned=True)
    with torch.no_grad(): model.relaxation_logits += torch.tensor([1., -2.])
    loaded = Loaded(model, None, {}, "binary")
    export_onnx(loaded, tmp_path/"out")
    found = compare_export(loaded, Host(tmp_path/"out"), questions(model, 5), 2)
    assert found.alone < 2e-5 and not found.tokens, found

def test_an_architecture_without_a_formula_is_refused(tmp_path):
    sizes = {"seq_len": 16, "vocab_size": 6, "hidden_size": 32, "num_heads": 4}
    model = build_model("trm_equivariant", sizes)
    with pytest.raises(InputError, match="cannot be exported; export another architecture"):
        export_onnx(Loaded(model, None, {}, "binary"), tmp_path/"out")
    assert not (tmp_path/"out").exists()

@pytest.fixture(scope="module")
def four(): return load_pretrained("sudoku-4x4")

@pytest.fixture(scope="module")
def exported(four, tmp_path_factory):
    "A shipped model, with both kinds of weights."
    place = tmp_path_factory.mktemp("exported")
    for weights in ("float32", "int8"): export_onnx(four, place/weights, weights)
    return place

def test_a_shipped_model_solves_as_in_torch(four, exported):
    "Over sixteen steps, whatever the size of the batch, and with the same number of steps until it stops."
    batch, host = make_batch(*four.fresh(25, 3)), Host(exported/"float32")
    found = compare_export(four, host, batch)
    assert found.alone < 1e-4 and found.along < 1e-4 and not found.tokens and not found.stops, found
    ours = solve(four.model, batch, 16, four.policy())
    tokens = batch.inputs.numpy().astype(np.int32)
    for rows in (slice(0, 1), slice(1, 25)):
        answers, taken = host_solve(host, tokens[rows])
        assert (answers == ours.tokens[rows].numpy()).all() and (taken == ours.steps[rows].numpy()).all()

def test_graphs_are_valid_and_say_what_model_json_says(four, exported):
    about = read_json(exported/"float32"/"model.json")
    assert about["fingerprint"] and about["opset"] == 18 and about["axes"]["batch"] is None
    for name in GRAPHS:
        file = exported/"float32"/f"{name}.onnx"
        assert about["graphs"][name]["sha256"] == sha256(file)
        onnx.checker.check_model(file, full_check=True)
        model = onnx.load(file)
        assert [(o.domain, o.version) for o in model.opset_import] == [("", 18)] and model.ir_version == 8
        for which, values in (("inputs", model.graph.input), ("outputs", model.graph.output)):
            ports = about["graphs"][name][which]
            assert [value.name for value in values] == list(ports)
            for value, port in zip(values, ports.values()):
                kind = onnx.helper.tensor_dtype_to_np_dtype(value.type.tensor_type.elem_type)
                dims = value.type.tensor_type.shape.dim
                assert kind == port["type"] and [d.denotation for d in dims] == port["axes"]
                assert [d.dim_value or d.dim_param for d in dims] == [
                    about["axes"][axis] or axis for axis in port["axes"]]
    names = {weight.name for weight in onnx.load(exported/"float32"/"step.onnx").graph.initializer}
    assert {name for name in four.model.state_dict() if name.startswith("L_level.")} <= names

def test_eight_bits_are_what_rounded_weights_compute(four, exported):
    batch, halved = make_batch(*four.fresh(10, 3)), replace(four, model=rounded(four.model))
    found = compare_export(halved, Host(exported/"int8"), batch)
    assert found.alone < 1e-4 and not found.tokens and not found.stops, found
    far = compare_export(four, Host(exported/"int8"), batch)
    assert far.alone > 1e-3, far # they are not the full weights
    size = lambda weights: (exported/weights/"step.onnx").stat().st_size
    assert size("int8") < 0.35*size("float32")
    graph = onnx.load(exported/"int8"/"step.onnx").graph
    whole = {weight.name for weight in graph.initializer if weight.data_type == onnx.TensorProto.INT8}
    assert whole == {f"{name}.int8" for name in four.model.state_dict() if name.startswith("L_level.")}

def test_rounding_changes_only_the_kind_of_layer_that_is_asked_for(four):
    full = four.model.state_dict()
    for kind in LAYER_KINDS:
        changed = {name for name, t in rounded(four.model, [kind]).state_dict().items()
            if not torch.equal(t, full[name])}
        assert changed == {name for name in full if layer_kind(name) == kind and full[name].dim() == 2}, kind
    costs = rounding_costs(four, make_batch(*four.fresh(20, 3)), 4)
    assert [c.layers for c in costs] == ["none", "MLP over positions", "MLP over channels", "heads",
        "embeddings", "all"]
    assert costs[0].left == costs[0].stops == 0 and costs[0].at is None and costs[-1].solved == 1

def test_cells_that_do_not_count_are_no_difference():
    "Outside of a task's grid a model may say anything."
    labels = torch.tensor([[3, IGNORE], [3, 4]])
    full = _Paths(torch.tensor([[[3, 2], [3, 4]]]), torch.tensor([1, 1]))
    other = replace(full, tokens=torch.tensor([[[3, 5], [3, 5]]]))
    cost = _cost("all", other, full, labels, np.array([True, False]))
    assert (cost.solved, cost.left, cost.at, cost.stops) == (0.5, 0.5, 1, 0)

def test_elimination_and_certainty_are_those_of_the_library():
    rng = torch.Generator().manual_seed(0)
    r = torch.randn(7, 5, 40, generator=rng, dtype=torch.float64)
    a, b = r @ r.mT + 1e-6*torch.eye(5), torch.randn(7, 5, generator=rng, dtype=torch.float64)
    assert torch.allclose(_eliminate(a, b), torch.linalg.solve(a, b), rtol=1e-8)
    logits = 5*torch.randn(9, 12, 7, generator=rng)
    output = Output(logits, torch.zeros(9), torch.zeros(9))
    for loss in ("softmax", "stablemax"):
        ours = QLearningHalting(loss=loss).signals(output).least_confidence
        assert torch.allclose(_least_confidence(logits, loss), ours, atol=1e-6), loss

def test_the_host_in_python_needs_no_torch(four, exported):
    question, answer, _ = four.fresh(1, 3)
    board = four.puzzle.print(question[0])
    code = ("import runpy, sys; sys.argv = sys.argv[1:]; runpy.run_path(sys.argv[0], run_name='__main__'); "
        "print(sorted({'torch', 'trm_lab', 'onnx'} & set(sys.modules)))")
    ran = subprocess.run([sys.executable, "-c", code, exported/"float32"/"host.py", board], check=True,
        capture_output=True, text=True, cwd=exported)
    host = Host(exported/"float32")
    assert ran.stdout.startswith(board_text(host, answer[0]) + "\nafter ") and ran.stdout.endswith("\n[]\n")
    assert board_text(host, board_tokens(host, board)).replace("\n", "") == board

# ---- JavaScript ---------------------------------------------------------------

# what the loop yields for a board, as plain values
SOLVE = """async (host, ort, read, board, identity) => {
  const model = await host.loadModel(ort, read), found = [];
  const asked = host.boardTokens(model, board);
  for await (const { step, tokens, halt, stop } of host.hostSteps(model, asked, identity))
    found.push({ step, board: host.boardText(model, tokens), halt, stop });
  return found;
}"""

def expected(host, board):
    "The same in Python."
    found = []
    for step, read in zip(range(1, 17), host_steps(host, board_tokens(host, board)[None])):
        found.append({"step": step, "board": board_text(host, read["tokens"][0]),
            "halt": read["halt"][0].item(), "stop": bool(read["stop"][0])})
        if read["stop"][0]: return found
    return found

def assert_same(found, host, board):
    wanted = expected(host, board)
    assert [{**each, "halt": None} for each in found] == [{**each, "halt": None} for each in wanted]
    assert np.allclose([e["halt"] for e in found], [e["halt"] for e in wanted], atol=1e-4)

# onnxruntime-web's functions, each run of a graph in Python's onnxruntime
BRIDGE = """const numbers = { float32: Float32Array, int32: Int32Array };
class Tensor { constructor(type, data, dims) { Object.assign(this, { type, data, dims }); } }
const text = (bytes) => btoa(Array.from(new Uint8Array(bytes), (b) => String.fromCharCode(b)).join(""));
const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0)).buffer;
const InferenceSession = { create: async (file) => {
  const session = await loadGraph(text(file.buffer));
  return { run: async (feeds) => {
    const given = Object.entries(feeds).map(
      ([name, t]) => [name, t.type, t.dims, text(t.data.slice().buffer)]);
    return Object.fromEntries((await runGraph(session, given)).map(
      ([name, type, dims, data]) => [name, new Tensor(type, new numbers[type](bytes(data)), dims)]));
  } };
} };
const ort = { Tensor, InferenceSession };"""

class Bridge:
    "Runs graphs for a page."
    def __init__(self): self.sessions = []

    def load(self, file):
        self.sessions.append(onnxruntime.InferenceSession(base64.b64decode(file)))
        return len(self.sessions) - 1

    def run(self, session, given):
        feeds = {name: np.frombuffer(base64.b64decode(data), type).reshape(dims)
            for name, type, dims, data in given}
        found, names = self.sessions[session].run(None, feeds), self.sessions[session].get_outputs()
        return [[o.name, str(t.dtype), t.shape, base64.b64encode(t.tobytes()).decode()]
            for o, t in zip(names, found)]

def test_the_host_in_javascript_thinks_as_in_python(open_page, four, exported):
    "In a browser, from the exported files; the graphs run in Python's onnxruntime."
    page, bridge = open_page(), Bridge()
    page.expose_function("loadGraph", bridge.load)
    page.expose_function("runGraph", bridge.run)
    page.goto("about:blank")
    files = {p.name: base64.b64encode(p.read_bytes()).decode() for p in (exported/"float32").iterdir()}
    call = f"""async ([files, board]) => {{ {BRIDGE}
      const file = (name) => new Uint8Array(bytes(files[name]));
      const script = new Blob([file("host.mjs")], {{ type: "text/javascript" }});
      const host = await import(URL.createObjectURL(script));
      return await ({SOLVE})(host, ort, async (name) => file(name), board, 0);
    }}"""
    for question in four.fresh(3, 3)[0]:
        board = four.puzzle.print(question)
        assert_same(page.evaluate(call, [files, board]), Host(exported/"float32"), board)

NODE = f"""const ort = require(process.argv[2]), fs = require("fs"), folder = process.argv[3];
if (ort.env.wasm) ort.env.wasm.numThreads = 1;
import("file://" + folder + "/host.mjs").then(async (host) => {{
  const read = async (name) => new Uint8Array(fs.readFileSync(folder + "/" + name));
  console.log(JSON.stringify(await ({SOLVE})(host, ort, read, process.argv[4], 0)));
}});"""

@pytest.mark.parametrize("weights", ["float32", "int8"])
def test_onnxruntime_for_javascript_computes_the_same(tmp_path, four, exported, weights):
    "In node, where one of the libraries is installed: `npm install onnxruntime-web`, and NODE_PATH names it."
    def has(library):
        asked = ["node", "-e", f"require.resolve('{library}')"]
        return not subprocess.run(asked, capture_output=True).returncode
    library = shutil.which("node") and next(filter(has, ("onnxruntime-node", "onnxruntime-web")), None)
    if not library: pytest.skip("node finds neither onnxruntime-node nor onnxruntime-web")
    (tmp_path/"run.cjs").write_text(NODE)
    board = four.puzzle.print(four.fresh(1, 3)[0][0])
    ran = subprocess.run(["node", tmp_path/"run.cjs", library, exported/weights, board], capture_output=True,
        text=True, check=True)
    assert_same(json.loads(ran.stdout), Host(exported/weights), board)

# ---- the command, and what it refuses -----------------------------------------

def trm_lab(*words, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["trm-lab", *map(str, words)])
    with pytest.raises(SystemExit) as stop: cli.main()
    printed = capsys.readouterr()
    return stop.value.code or 0, printed.out, printed.err

def test_the_command_writes_the_same_files_each_time(exported, tmp_path, monkeypatch, capsys):
    words = ["export", "sudoku-4x4", tmp_path/"four"]
    code, out, err = trm_lab(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 0 and "step.onnx" in out and "host.py" in out and not err
    made = {p.name: p.read_bytes() for p in (tmp_path/"four").iterdir()}
    assert set(made) == {"embed.onnx", "step.onnx", "read.onnx", "model.json", "host.py", "host.mjs"}
    assert made == {p.name: p.read_bytes() for p in (exported/"float32").iterdir()}
    code, out, err = trm_lab(*words, monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2 and "already exists" in err
    code, _, err = trm_lab(*words, "--format", "coreml", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2 and "--format" in err and "onnx" in err
    code, _, err = trm_lab("export", "sudoku-4x4", tmp_path/"x", "--weights", "int4", monkeypatch=monkeypatch,
        capsys=capsys)
    assert code == 2 and "int8" in err and not (tmp_path/"x").exists()

def test_without_the_packages_it_says_what_to_install(four, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "onnxscript", None)
    code, _, err = trm_lab("export", "sudoku-4x4", tmp_path/"x", monkeypatch=monkeypatch, capsys=capsys)
    assert code == 2 and "needs onnxscript" in err and "pip install 'trm-lab[export]'" in err
    with pytest.raises(InputError, match=r"pip install 'trm-lab\[export\]'"): export_onnx(four, tmp_path/"x")

def test_what_fits_into_no_onnx_file_is_refused(tmp_path):
    with torch.device("meta"):
        large = TRM(TRMConfig(16, 6, num_puzzle_identifiers=2_000_000, hidden_size=512, num_heads=8))
    with pytest.raises(InputError, match="4.1 GB in float32.*--rows"):
        export_onnx(Loaded(large, None, {}), tmp_path/"x")
    assert not any(tmp_path.iterdir())

# ---- the long counts ----------------------------------------------------------

@torch.no_grad()
def rounding_along(loaded, batch, T=16):
    "How far the model's logits in float32 are from those in float64, each along its own way."
    single = in_float32(loaded.model)
    double, far = copy.deepcopy(single).double(), []
    double.dtype = torch.float64
    models = [(model, model.embed(batch)) for model in (single, double)]
    for here, there in zip(*(recursion(model, x, model.start(x), T) for model, x in models)):
        far.append((here.output.logits - there.output.logits).abs().max().item())
    return max(far)

def as_row(*cells): return f"| {' | '.join(cells)} |"

def in_words(cost):
    "How many puzzles left the full model's path, and where, for the page on other devices."
    return "0 %" if cost.at is None else f"{cost.left:.0%}, step {cost.at:.0f}".replace("%", " %")

@pytest.mark.soak
@pytest.mark.parametrize("name", pretrained_models())
def test_every_shipped_model_is_the_same_in_onnxruntime(name, tmp_path):
    """50 puzzles, 16 steps; then what eight bits cost, of fewer puzzles the larger the board is. Prints the
    rows of the two tables in docs/pages/devices.md."""
    loaded = load_pretrained(name)
    export_onnx(loaded, tmp_path/"out")
    batch = make_batch(*loaded.fresh(50, 5))
    found = compare_export(loaded, Host(tmp_path/"out"), batch)
    in_torch = rounding_along(loaded, batch.rows(slice(0, 10)))
    numbers = (f"{value:.0e}" for value in (found.alone, found.along, in_torch))
    print("", as_row(f"`{name}`", *numbers, str(found.tokens), str(found.stops)), sep="\n", flush=True)
    cells = loaded.model.config.seq_len
    count = 200 if cells < 81 else 50 if cells < 100 else 20
    costs = {cost.layers: cost for cost in rounding_costs(loaded, make_batch(*loaded.fresh(count, 5)))}
    solved = (f"{costs[layers].solved:.1%}".replace("%", " %") for layers in ("none", "all"))
    kinds = (in_words(costs[kind]) if kind in costs else "" for kind in (*LAYER_KINDS, "all"))
    stops = f"{costs['all'].stops:.0%}".replace("%", " %")
    print(as_row(f"`{name}`", str(count), *solved, *kinds, stops), flush=True)
    # on large boards the last bit grows along the way, in torch as well, so that a token may tip
    assert found.alone < 1e-4 and found.tokens <= (0 if cells < 64 else 10) and not found.stops, found
