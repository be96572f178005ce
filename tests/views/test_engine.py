"The model in the page, in a real browser: every update is compared with what Python computes."
import base64, numpy as np, pytest, torch
from trm_lab.core.errors import InputError
from trm_lab.data.batches import make_batch
from trm_lab.models.checkpoints import load_pretrained, pretrained_models
from trm_lab.models.export import describe
from trm_lab.models.trm import TRM
from trm_lab.models.variants import ARCHITECTURES, build_model
from trm_lab.views.page import static_bundle

POSITIONS = {"mlp": ("none", True), "none": ("none", False), "rope": ("rope", False),
    "learned": ("learned", False), "pairs": ("rope_2d+pair_bias", False),
    "offsets": ("rope_2d+local_bias+row_col", False)}

# runs each case in the page: every update from Python's state, and all steps from its own
RUN = """async ([code, cases]) => {
  const { Engine, Kernel } = await import(URL.createObjectURL(new Blob([code], { type: "text/javascript" })));
  const bytes = (text) => Uint8Array.from(atob(text), (c) => c.charCodeAt(0));
  const floats = (text) => new Float32Array(bytes(text).buffer);
  const far = (a, b) => a.reduce((most, value, i) => Math.max(most, Math.abs(value - b[i])), 0);
  return cases.map(({ header, data, tokens, identity, x, updates, outputs, plain }) => {
    const engine = new Engine(header, bytes(data), new Kernel(plain));
    const question = engine.embed(tokens, identity);
    let alone = far(question, floats(x)), along = 0, state = engine.start(), exact = { ...state };
    let k = 0, same = true;
    for (const { logits, q } of outputs) {
      state = engine.step(question, state, (u) => {
        const wanted = floats(updates[k++]);
        alone = Math.max(alone, far(engine.update(question, exact, u)[u.name], wanted));
        exact = { ...exact, [u.name]: wanted };
      });
      const read = engine.read(state), wanted = floats(logits), V = header.vocab_size;
      along = Math.max(along, far(read.logits, wanted), far([read.q_halt, read.q_continue], q));
      const best = (logits, i) =>
        logits.subarray(i * V, (i + 1) * V).reduce((b, v, j, row) => v > row[b] ? j : b, 0);
      for (let i = 0; i < tokens.length; i++) same = same && best(read.logits, i) === best(wanted, i);
    }
    return { alone, along, same, fast: engine.kernel.fast };
  });
}"""

def text(t): return base64.b64encode(np.ascontiguousarray(t.numpy(), "<f4").tobytes()).decode()

@torch.no_grad()
def case(model, tokens, identity=0, steps=2, plain=False):
    "What Python computes for a puzzle, in float32, after every update."
    model.dtype = torch.float32
    header, data = describe(model.float().eval())
    batch, updates, outputs = make_batch(tokens[None], tokens[None], np.array([identity], np.int32)), [], []
    x = model.embed(batch)
    state = model.start(x)
    for _ in range(steps):
        state = model.step(x, state, lambda u, state: updates.append(text(state[u.name][0])))
        read = model.read(state)
        outputs.append({"logits": text(read.logits[0]), "q": [float(read.q_halt), float(read.q_continue)]})
    return {"header": header, "data": base64.b64encode(data).decode(), "tokens": tokens.tolist(),
        "identity": identity, "x": text(x[0]), "updates": updates, "outputs": outputs, "plain": plain}

def a_question(loaded): # tokens, and the row of its identity
    questions, _, rows = loaded.fresh(1, 7)
    return np.asarray(questions[0], np.uint8), int(rows[0])

def untrained(arch, positions, **changes):
    encodings, mlp = POSITIONS[positions]
    few = {"H_cycles": 2, "L_cycles": 2, "H_layers": 2, "rounds": 2, "evaluations": 3}
    few = {name: n for name, n in few.items() if hasattr(ARCHITECTURES[arch].Config, name)}
    torch.manual_seed(1)
    model = build_model(arch, {"seq_len": 12, "vocab_size": 7, "hidden_size": 24, "num_heads": 2,
        "swiglu_multiple": 8, "puzzle_emb_len": 2, "num_puzzle_identifiers": 3, "grid": "3x4", "mlp_t": mlp,
        "pos_encodings": encodings, **few, **changes})
    with torch.no_grad():
        model.q_head.weight.normal_(); model.puzzle_emb.weights.normal_()
        for name, weight in model.named_parameters():
            if ".bias" in name: weight.normal_()
    return model

@pytest.fixture
def run(open_page):
    page = open_page()
    page.goto("about:blank")
    code = static_bundle(("kernel", "engine")) + "\nexport { Kernel };"
    return lambda *cases: page.evaluate(RUN, [code, list(cases)])

@pytest.mark.parametrize("arch", sorted(ARCHITECTURES.keys() - {"trm_equivariant"})) # which says no formula
def test_each_update_is_what_python_computes(run, arch):
    """For every kind of positions. Random weights amplify the last bit over steps, so updates are
    compared one by one."""
    tokens = np.random.default_rng(0).integers(0, 7, 12).astype(np.uint8)
    cases = [case(untrained(arch, positions), tokens, identity=2) for positions in POSITIONS]
    for positions, found in zip(POSITIONS, run(*cases)):
        assert found["alone"] < 2e-5 and found["fast"], (positions, found)

def test_damped_updates_are_what_python_computes(run):
    tokens = np.random.default_rng(0).integers(0, 7, 12).astype(np.uint8)
    damped = [untrained(arch, "mlp", relaxation=0.3, relaxation_learned=learned)
        for arch in ("trm", "fixed_point") for learned in (False, True)]
    for found in run(*(case(model, tokens) for model in damped)): assert found["alone"] < 2e-5, found

@pytest.mark.parametrize("name", pretrained_models())
def test_a_trained_model_solves_in_the_page_as_in_python(run, name):
    "Sixteen steps: the same answers after each, and logits within 1e-4, on large boards 5e-4."
    loaded = load_pretrained(name)
    question, identity = a_question(loaded)
    found, = run(case(loaded.model, question, identity, steps=16))
    # attention, and boards of 81 cells and more, gather more rounding on the way
    small = loaded.model.config.mlp_t and loaded.model.config.seq_len < 81
    assert found["same"] and found["along"] < (1e-4 if small else 5e-4), found

def test_without_simd_the_sums_are_the_same(run):
    loaded = load_pretrained("sudoku-4x4")
    question, _ = a_question(loaded)
    fast, plain = run(*(case(loaded.model, question, plain=plain) for plain in (False, True)))
    assert fast["fast"] and not plain["fast"] and fast["along"] == plain["along"], (fast, plain)

def test_a_model_that_cannot_say_its_updates_is_refused(monkeypatch):
    class Own(TRM):
        def formula(self, u): return super(TRM, self).formula(u)
    monkeypatch.setitem(ARCHITECTURES, "own", Own)
    model = Own(untrained("trm", "mlp").config)
    with pytest.raises(InputError, match="give it a method `formula`"): describe(model)
