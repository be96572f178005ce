"""Every system through the protocol alone: it learns, solves with puzzles leaving, is walked in the Explorer,
and nobody above asks which one it is."""
import ast
from pathlib import Path
import numpy as np, pytest, torch
from trm_lab.models.checkpoints import Loaded
from trm_lab.data.generate import generate_dataset
from trm_lab.data.batches import ordered_batches
from trm_lab.core.errors import build
from trm_lab.views.explorer import Explorer, save_html
from trm_lab.models.halting import HALTINGS
from trm_lab.models.losses import TOKEN_LOSSES
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.runs.templates import find_config, read_parameters
from trm_lab.solving.evaluate import evaluate
from trm_lab.solving.solve import noise, solve, solve_by_step
from trm_lab.interp.trace import run_with_trace
from trm_lab.training.config import TrainConfig
from trm_lab.training.trainer import Trainer
from trm_lab.training.loop import fit
from trm_lab.models.variants import ARCHITECTURES

# what each system is trained with on 4×4 boards: changes to the config sudoku-4x4
NO_CYCLES = {"H_cycles": None, "L_cycles": None}
# what the laptop recipe hurries too much: puzzles stay for longer, and the rate does not fall
SLOW = {"halt_max_steps": 16, "lr_min_ratio": 1.}
WIDE = {"expansion": 4., "swiglu_multiple": 64}
RECIPES = {"trm": {}, "trm_equivariant": {}, "trm_separate": {}, "trm_singlez": {},
    "trm_swapped": {"model": {"L_cycles": 2}}, "trm_hier6": {**SLOW,
        "model": {**WIDE, "L_cycles": 6}, "lr": 2e-3, "train_steps": 3000, "halt_exploration_prob": 0.4},
    "hrm": {"halting": "q_learning"},
    "direct_transformer": {"model": NO_CYCLES}, "fixed_point": {"model": NO_CYCLES}}

def recipe(arch, **changes):
    "A configuration for one system; the model's entries are merged, None removes one."
    base, own = read_parameters(find_config("sudoku-4x4")), RECIPES[arch]
    model = {**base["model"], **own.get("model", {}), **changes.pop("model", {})}
    values = {**base, "eval_every": 0, "arch": arch, **own, **changes,
        "model": {k: v for k, v in model.items() if v is not None}}
    return build(TrainConfig, values, arch)

@pytest.fixture(scope="module")
def four(): return generate_dataset(Sudoku(2, 2), 500, 200)

def test_every_system_has_a_recipe(): assert RECIPES.keys() == ARCHITECTURES.keys()

@pytest.mark.parametrize("arch", ["trm", pytest.param("trm_singlez", marks=pytest.mark.soak)])
def test_reaches_95_percent(arch, four):
    "In half of the recipe's steps."
    trainer = Trainer(recipe(arch, train_steps=400), four)
    averaged = fit(trainer)
    scores = evaluate(averaged, four.puzzle, four.test).scores
    adaptive = evaluate(averaged, four.puzzle, four.test, halting=trainer.halting).scores
    assert scores.exact >= 0.95 and adaptive.exact >= 0.95 and adaptive.mean_steps < 8

# each way to halt with one of the losses: neither knows of the other
@pytest.mark.parametrize("halting, loss", list(zip(HALTINGS, TOKEN_LOSSES, strict=True)))
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_twenty_steps_of_training(arch, halting, loss, four):
    "The loss falls, with either way to halt and for each of the two losses."
    trainer = Trainer(recipe(arch, train_steps=20, lr_warmup_steps=2, halting=halting, loss=loss,
            global_batch_size=32, model={"hidden_size": 32}), four)
    losses = [float(trainer.step()["lm_loss"]) for _ in range(20)]
    assert np.mean(losses[-4:]) < 0.93*np.mean(losses[:4]), losses

# TRM's own switches, for the soak. Rotary positions are relative: without positions in front of the grid no
# cell could tell where it is.
SWITCHES = {"trm, attention": ("trm", {**SLOW, "model": {**WIDE, "H_cycles": 2, "L_cycles": 2,
            "mlp_t": False, "pos_encodings": "learned"}, "lr": 1e-3, "train_steps": 3000}),
    "trm, q-learning": ("trm", {"halting": "q_learning", "train_steps": 1000}),
    "trm, 1-step gradient": ("trm", {"model": {"gradient": "update"}, "train_steps": 1500}),
    "trm, gradient through all cycles": ("trm", {"model": {"H_cycles": 2, "gradient": "step"}}),
    "trm, no EMA": ("trm", {"ema": False}), "trm, AdamATan2": ("trm", {"optimizer": "adam_atan2"}),
    "fixed point, 1-step gradient": ("fixed_point", {"model": {"gradient": "update"}})}
# whatever these reach is stated
HONEST = {"direct_transformer", "fixed_point", "fixed point, 1-step gradient"}

@pytest.mark.soak
@pytest.mark.parametrize("name", [*ARCHITECTURES, *SWITCHES])
def test_what_each_system_reaches(name, four):
    arch, changes = SWITCHES.get(name, (name, {}))
    trainer = Trainer(recipe(arch, **changes), four)
    averaged = fit(trainer)
    once, scores, adaptive = (evaluate(averaged, four.puzzle, four.test, **how).scores
        for how in ({"max_steps": 1}, {}, {"halting": trainer.halting}))
    print(f"\n{name}: {sum(p.numel() for p in averaged.parameters()):,} parameters, "
        f"{trainer.config.train_steps} steps; solved after 1 supervision step {once.exact:.1%}, "
        f"after 16 {scores.exact:.1%}, adaptive {adaptive.exact:.1%} with {adaptive.mean_steps:.2f} steps")
    if name not in HONEST: assert scores.exact >= 0.95

def small(arch, seed=0):
    "An untrained model."
    torch.manual_seed(seed)
    trainer = Trainer(recipe(arch, dtype="float32", model={"hidden_size": 32}),
        generate_dataset(Sudoku(2, 2), 80, 4))
    return trainer.model.eval()

class Leave:
    "Stop each puzzle at a step of its own."
    def __init__(self, at): self.at, self.now, self.here = torch.tensor(at), 0, torch.arange(len(at))
    def stop(self, output, before):
        self.now += 1
        gone = self.at[self.here] <= self.now
        self.here = self.here[~gone]
        return gone

@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_puzzles_leave_undisturbed(arch, four):
    "Adaptive solving: who leaves has the answer of that step, and does not change those who stay."
    model, batch = small(arch), next(ordered_batches(four.test.first(4), 4))
    some, course = solve(model, batch, 5, Leave([2, 5, 1, 3])), solve_by_step(model, batch, 5)
    assert some.steps.tolist() == [2, 5, 1, 3] and some.updates == 11*len(model.schedule())
    for i, step in enumerate(some.steps): assert torch.equal(some.tokens[i], course.tokens[step - 1, i])

@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_noise_and_random_starts(arch, four):
    model, batch = small(arch), next(ordered_batches(four.test.first(4), 4))
    def q(start, along):
        seeded = torch.Generator().manual_seed
        return (solve(model, batch, 2, watch=noise(along, seeded(1)), generator=seeded(start)).q_halt if start
            else solve(model, batch, 2, watch=noise(along, seeded(1))).q_halt)
    with torch.no_grad(): model.q_head.weight.normal_()
    assert torch.equal(q(1, 0.5), q(1, 0.5)), "the same seeds give the same path"
    assert len({tuple(q(*how).tolist()) for how in ((0, 0.), (1, 0.), (2, 0.), (0, 0.5), (1, 0.5))}) == 5, (
        "every start and every noise leads elsewhere")

@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_the_explorer_walks_it(arch, four, tmp_path):
    "Frames for every update of every latent, and a page."
    model, batch = small(arch), next(ordered_batches(four.test.first(3), 3))
    trace = run_with_trace(model, batch, 3)
    explorer = Explorer(trace, puzzle=four.puzzle)
    (told,), side = explorer.header["packs"], explorer.header["sides"][0]
    assert (set(side["names"]) == set(trace.names)
        and side["answer"] == side["names"][0] == model.schedule()[-1].name
        and told["length"] == 3*len(model.schedule()))
    tokens, plane = (np.frombuffer(explorer.blob, f"<{a['kind']}", int(np.prod(a["shape"])), a["offset"])
        .reshape(a["shape"]) for name in ("tokens", "plane") for a in told["arrays"] if a["name"] == name)
    for step in range(3):
        assert (tokens[plane[(step + 1)*len(model.schedule()), 0]] == trace.tokens[step, 0].numpy()).all()
    save_html(trace, four.puzzle, tmp_path/"walk.html")
    explorer = Explorer(Loaded(model, four.puzzle, {}),
        four.puzzle.print(batch.inputs[0].numpy()), max_steps=2)
    assert explorer.session.root(0).length == 2*len(model.schedule())

def test_nobody_asks_which_system_it_is():
    "No isinstance on an architecture, and no name of one, outside `variants` and `checkpoints`."
    package = Path(__file__).parents[2]/"trm_lab"
    classes = {cls.__name__ for cls in ARCHITECTURES.values()} | {"BoardModel"}
    for path in package.rglob("*.py"):
        if path.name in ("variants.py", "checkpoints.py", "published.py", "trm.py", "_modidx.py"): continue
        used = {node.id for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.Name)} & classes
        assert not used, f"{path.name} asks for {', '.join(used)}"
