"Dynamics against planted truth: known exponents, known motions, two wells; and what verdicts follow."
import json
import numpy as np, pandas as pd, pytest, torch
from test_session import FOUR, small
from trm_lab.core.errors import InputError
from trm_lab.data.batches import ordered_batches
from trm_lab.data.datasets import split_of
from trm_lab.data.generate import generate_dataset
from trm_lab.interp.probes.base import (
    NOISE, Table, noise_like, read_table, right_answers, stream, write_table)
from trm_lab.interp.probes.dynamics import (
    CYCLES, MEASURES, OWN_HALF, SETTLES, WANDERS, Depths, Residuals, StepMap, Subject, choose, distances,
    drift, dynamics_verdicts, expansion, follow, from_random_starts, held_out_rows, kicked, motion,
    noise_paths, places, plane_through, roll_out, separation_rows, study_model)
from trm_lab.interp.probes.verdicts import (
    ALL, claim_verdict, collect_verdicts, judge, over_models, over_models_rows, verdict_frame)
from trm_lab.interp.session import puzzle_batch
from trm_lab.interp.trace import run_with_trace
from trm_lab.models.trm import Output, RecursiveModel, State, Update
from trm_lab.runs.notebooks import run_notebook
from trm_lab.views import settling_plots as plots

PUZZLES = generate_dataset(FOUR, 1, 12, seed=5).test

# ---- maps of which everything is known

def test_a_linear_map_gives_its_exponent():
    "Not symmetric, and with a direction that it stretches at first."
    g = torch.Generator().manual_seed(0)
    turn = torch.linalg.qr(torch.randn(8, 8, generator=g, dtype=torch.float64))[0]
    triangle = torch.diag(torch.tensor([1.2, .9, .7, .5, .4, .3, .2, .1], dtype=torch.float64))
    triangle[0, 7] = 5.
    A = turn @ triangle @ turn.T
    path = follow(lambda v: v @ A.T, torch.zeros(3, 8, dtype=torch.float64), 120)
    assert np.allclose(path.exponent, np.log(1.2), atol=1e-3)
    largest, random = expansion(lambda v: v @ A.T, torch.zeros(3, 8, dtype=torch.float64), 40)
    assert np.allclose(largest, np.linalg.svd(A.numpy())[1][0], rtol=1e-4) and (random < largest).all()

def rotation(turns):
    a = 2*np.pi*turns
    return torch.tensor([[np.cos(a), -np.sin(a)], [np.sin(a), np.cos(a)]])

def logistic(v): return 4*v*(1 - v)

MAPS = {"a contraction": (lambda v: 0.7*v + 1, SETTLES),
    "a rotation": (lambda v: v @ rotation(0.2).T, CYCLES),
    "a rotation that never closes": (lambda v: v @ rotation((5**.5 - 1)/2).T, CYCLES),
    "a swap": (lambda v: v.flip(1), CYCLES), "chaos": (logistic, WANDERS),
    "a straight drift": (lambda v: v + 1., WANDERS),
    "a spiral": (lambda v: 0.8*v @ rotation(0.3).T + 2, SETTLES)}

@pytest.mark.parametrize("name", MAPS)
def test_settles_cycles_and_wanders(name):
    f, expected = MAPS[name]
    states = follow(f, torch.tensor([[.3, .42], [.2, .7]], dtype=torch.float64), 64).states
    assert motion(distances(states), near=0.02).tolist() == [expected]*2

def test_the_logistic_map_has_the_exponent_of_the_book():
    start = torch.rand(16, 1, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    assert abs(follow(logistic, start, 400).exponent.mean() - np.log(2)) < 0.03
    turning = follow(lambda v: v @ rotation(0.2).T, torch.ones(1, 2, dtype=torch.float64), 50)
    assert abs(turning.exponent[0]) < 1e-6

def test_distances_and_drift_of_a_known_path():
    states = torch.tensor([0., 1, 3, 3.5, 4, 4, 4, 4, 4])[:, None, None]
    apart = distances(states)[0]
    assert np.allclose(apart*4, (states[:, 0] - states[:, 0].T).abs().numpy()) and drift(apart[None])[0] == 0
    with pytest.raises(InputError, match="too short"): motion(apart[None, :5, :5])

# ---- two wells, of which the model's own start leads into the wrong one

class TwoWells(RecursiveModel):
    "All cells together run to +1 (right) or to −1 (wrong), whichever is nearer."
    dtype, puzzle_positions = torch.float32, 0
    def __init__(self):
        super().__init__()
        self.slope = torch.nn.Parameter(torch.tensor(3.))
    def embed(self, batch): return batch.inputs[..., None].float()
    def start(self, x, generator=None):
        if generator is None: return State(z=torch.full_like(x, -0.4))
        random = torch.randn(len(x), x.shape[1] + 1, 1, generator=generator)
        return State(z=random[:, 1:] + random[:, :1])
    def schedule(self): return (Update(0, 0, "z", True),)
    def update(self, x, state, u):
        middle = state["z"].mean(1, keepdim=True)
        return state.replace(z=0.3*state["z"] + 0.7*torch.tanh(self.slope*middle))
    def decode(self, z): return torch.cat([-z, z], -1)
    def read(self, state): return Output(self.decode(state["z"]), *torch.zeros(2, len(state["z"])))

WELLS = split_of((np.full(6, i % 2, np.uint8), np.ones(6, np.uint8)) for i in range(20))

def test_failures_that_rest_in_a_wrong_well_are_found_there():
    subject = Subject(TwoWells())
    rollouts = roll_out(subject, WELLS, 32)
    assert set(rollouts.motion) == {SETTLES} and not rollouts.solved.any()
    assert (rollouts.exponent < -0.5).all()
    ends = from_random_starts(subject, WELLS, 8, 4, 32)
    share = np.mean([end.solved for end in ends])
    rest, said = places(ends)
    assert 0.3 < share < 0.7 and all(end.rests.all() for end in ends)
    assert rest.max() == 2 and (rest == said).all() and rest.mean() > 1.8 # two wells, two answers
    small_kick, large_kick = (kicked(subject, WELLS, size, 4, 32, rollouts.ends) for size in (0.2, 4.))
    assert not small_kick.solved.any() and 0 < large_kick.solved.mean() < 1
    assert np.allclose(small_kick.states, rollouts.ends, atol=1e-3)

def test_the_plane_shows_both_wells():
    f = StepMap(TwoWells(), next(ordered_batches(WELLS, 1)))
    with torch.no_grad():
        wrong, right = (follow(f, sign*f.start(), 40).states[-1, 0] for sign in (1, -1))
    three = torch.stack([wrong, right, torch.linspace(0, 1, 6)])
    plane = plane_through(f, three, grid=41)
    def at(mark):
        row, column = (np.abs(axis - m).argmin() for axis, m in zip((plane.y, plane.x), mark[::-1]))
        return plane.residual[row, column]
    assert at(plane.marks[0]) < 0.1 and at(plane.marks[1]) < 0.1 < 0.3 < plane.residual.max()
    assert np.isclose(np.linalg.norm(plane.marks[1]), 2, atol=1e-3) # in units of the first state's size

def test_noise_has_the_covariance_and_no_path():
    rng = np.random.default_rng(0)
    states = rng.normal(size=(60, 3)) @ np.array([[2., 1., 0.], [0., .5, .5], [0., 0., .1]]) + 7
    noise = noise_like(states, rng, 20_000)
    assert np.allclose(np.cov(noise.T), np.cov(states.T), atol=0.15)
    assert np.allclose(noise.mean(0), states.mean(0), atol=0.1)
    assert noise_like(states.reshape(60, 3, 1).astype(np.float32), rng, 2).shape == (2, 3, 1)
    path = follow(lambda v: 0.7*v + 1, torch.tensor([[30., 40.]]*8), 64)
    apart = distances(path.states)
    assert set(motion(apart)) == {SETTLES} and SETTLES not in motion(noise_paths(apart))
    # from distances alone: of noise the mean square is twice the variance, up to the one size that both have
    spread = lambda d: np.square(d).sum()/(d.shape[1]*(d.shape[1] - 1))/2
    many = distances(torch.from_numpy(rng.normal(size=(40, 1, 30))))
    null = np.mean([spread(noise_paths(many, seed)) for seed in range(300)])
    assert np.isclose(null, spread(many), rtol=0.05)

def test_a_threshold_is_tested_on_the_other_half():
    solved, rng = np.arange(40) < 20, np.random.default_rng(1)
    def told(values, control, group):
        table = Table("dynamics")
        held_out_rows(table, values, solved, "x", 0, model="m")
        rows = table.frame
        return float(rows[(rows.control == control) & (rows.group == group)].value.iloc[0])
    knows = np.where(solved, -1, 1) + 0.3*rng.normal(size=40)
    assert told(knows, "", "failed") > 0.9 and told(knows, "", "solved") > 0.9
    nothing = [[told(rng.normal(size=40), control, group) for group in ("failed", "solved")]
        for control in ("", OWN_HALF) for _ in range(30)]
    assert abs(np.mean(nothing[:30]) - 0.5) < 0.06 < 0.1 < np.mean(nothing[30:]) - 0.5
    few = Table("dynamics")
    held_out_rows(few, knows[:24], solved[:24], "x", 0)
    assert not few.rows

# ---- models

@pytest.mark.parametrize("arch", ["trm", "trm_singlez", "hrm", "trm_hier6", "trm_equivariant"])
def test_the_map_is_a_supervision_step_with_derivatives(arch):
    model = small(arch)
    f = StepMap(model, puzzle_batch(PUZZLES, FOUR))
    v = f.start()
    with torch.no_grad(): plain = model.step(f.x, f.unpack(v))
    assert torch.allclose(f(v).detach(), f.pack(plain), atol=1e-4)
    u = torch.randn(v.shape, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        along = torch.func.jvp(f, (v,), (u,))[1]
        apart = (f(v + 1e-2*u) - f(v - 1e-2*u))/2e-2
    assert (along - apart).norm() < 0.05*along.norm()
    back = torch.func.vjp(f, v)[1](along)[0] # ⟨Ju, Ju⟩ = ⟨u, JᵀJu⟩
    assert torch.isclose((u*back).sum(), along.square().sum(), rtol=1e-3)

def test_residuals_are_what_a_trace_shows():
    model, seen = small("trm"), Residuals(len(PUZZLES))
    stream(model, PUZZLES, seen, steps=3, batch_size=5)
    trace = run_with_trace(model, puzzle_batch(PUZZLES, FOUR), 3)
    for name in ("z_H", "z_L"):
        sites = [site for site in trace.sites if site.name == name]
        for before, site in zip(sites, sites[1:]):
            a, b = (trace.latent(s).flatten(1) for s in (before, site))
            assert np.allclose(seen.kept[site], (b - a).norm(dim=1)/b.norm(dim=1), rtol=1e-3)
        assert sites[0] not in seen.kept # of the first renewal nothing came before

def test_another_shortest_path_is_right():
    "By the rules; of tasks, and where no type is known, only the label counts."
    class Rules:
        decides = True
        def solved(self, questions, answers): return answers.sum(-1) == questions.sum(-1)
    questions, labels = np.array([[1, 2], [1, 2]], np.uint8), np.array([[1, 2], [1, 2]], np.uint8)
    tokens = np.array([[[1, 2], [2, 1]], [[1, 1], [1, 2]]], np.uint8)
    assert right_answers(Rules(), questions, tokens, labels).tolist() == [[True, True], [False, True]]
    assert right_answers(None, questions, tokens, labels).tolist() == [[True, False], [False, True]]

@pytest.mark.parametrize("steps, long", [(1, 16), (2, 7), (16, 8)])
def test_paths_that_are_too_short_are_refused(steps, long):
    with pytest.raises(InputError, match="at least"): Depths(steps=steps, long=long)

def test_as_many_of_each_outcome_are_followed():
    solved = np.arange(40) < 35
    chosen = choose(solved, 8)
    assert solved[chosen].sum() == 8 and (~solved[chosen]).sum() == 5 and (np.diff(chosen) > 0).all()

def test_the_study_runs_and_its_figures_are_drawn_from_the_table(tmp_path):
    table = Table("dynamics")
    depths = Depths(steps=2, long=8, studied=2, starts=2, kicks=(1.,), batch_size=3)
    for name, arch in (("a", "trm"), ("b", "trm_singlez")):
        study_model(table, Subject(small(arch), FOUR), PUZZLES, name, depths, progress=False)
    over_models_rows(table, MEASURES)
    frame = table.frame
    assert {"", "untrained", "random change", NOISE} <= set(frame.control)
    both = frame[(frame.measure == "motion") & (frame.model == ALL) & (frame.group == "failed")]
    assert len(both) == 9 and (both.models == 2).all() # three motions, of three kinds of paths
    assert (both.groupby("control").value.sum().round(6) == 1).all() # settles, cycles, wanders
    for draw in (plots.motion_counts, plots.changes_by_step, plots.exponents, plots.kicks, plots.planes_of,
            plots.recurrences, plots.residuals_by_site, plots.starts):
        draw(frame).savefig(tmp_path/"figure.png")
    again = Table("dynamics")
    study_model(again, Subject(small("trm"), FOUR), PUZZLES, "a", depths, progress=False)
    one = frame[frame.model == "a"].dropna(axis=1, how="all").reset_index(drop=True)
    kept = ["measure", "control", "value"]
    pd.testing.assert_frame_equal(one[kept], again.frame[kept]) # seeded throughout

def test_what_separates_is_measured_beside_shuffled_labels_where_there_are_enough_paths():
    "Five of each outcome at least; a perfect separation of fewer says nothing."
    solved = np.arange(24) < 12
    table = Table("dynamics")
    separation_rows(table, np.where(solved, 0., 1.), solved, "AUC", seed=0)
    measured, shuffled = (table.frame[table.frame.control == control].value.item()
        for control in ("", "shuffled labels"))
    assert measured == 1 and 0.2 < shuffled < 0.8
    few = Table("dynamics")
    separation_rows(few, np.where(solved, 0., 1.)[8:14], solved[8:14], "AUC", seed=0)
    assert np.isnan(few.frame.value.item()) and few.frame.control.tolist() == [""]

# ---- verdicts

def row(value, half=0.1, n=20): return {"value": value, "low": value - half, "high": value + half, "n": n}

def test_a_claim_whose_control_passes_is_not_supported():
    most = [judge(row(value), row(control), 0.5)
        for value, control in ((.9, .1), (.9, .85), (.2, .1), (.55, .1), (.9, np.nan))]
    assert most == ["holds", "not supported", "does not hold", "cannot be told", "cannot be told"]
    assert (judge(row(.9), row(.1)), judge(row(.1), row(.9))) == ("holds", "does not hold")

def test_the_scatter_of_seeds_widens_an_interval():
    alike, apart = over_models([row(.5)]*3), over_models([row(.3), row(.5), row(.7)])
    assert alike["value"] == apart["value"] == 0.5 and alike["n"] == 60 and alike["models"] == 3
    assert np.isclose(alike["high"] - .5, .1/3**.5) # of puzzles alone
    assert np.isclose(apart["high"] - .5, 4.302653*.2/3**.5) # Student's t with two degrees of freedom
    assert over_models([row(.9), row(.9)], (0, 1))["high"] <= 1
    assert over_models([row(.5), row(np.nan, n=0)])["models"] == 1

def planted(failures, exponents, freed, lucky=0.1):
    "The verdicts on shares of failures that settle and wander, exponents of failed and solved, and shares."
    table = Table("dynamics")
    def add(measure, value, control="", half=0.05, **more):
        table.add(measure, "", control, **row(value, half), model=ALL, **more)
    for group, shares in (("failed", failures), ("solved", (1., 0.))):
        for kind, share in zip((SETTLES, WANDERS), shares): add("motion", share, group=group, motion=kind)
    add("motion", 0., "untrained", group="failed", motion=SETTLES)
    for group, value in zip(("failed", "solved"), exponents): add("exponent", value, group=group)
    for control, value in (("", 0.95), ("shuffled labels", 0.5), ("untrained", 0.5)):
        add("AUC of exponent", value, control)
    add("freed by more steps", freed)
    add("freed by another start", lucky)
    return dynamics_verdicts(table.frame, {"models": "m", "puzzle": "p", "study": "dynamics"})

def test_verdicts_follow_from_the_table():
    trapped = [one.verdict for one in planted((.9, .1), (-.3, -.4), .1)]
    wandering = [one.verdict for one in planted((.1, .9), (.2, -.3), .9)]
    assert trapped == ["holds", "does not hold", "does not hold", "holds", "does not hold"]
    assert wandering == ["does not hold", "holds", "holds", "holds", "holds"]
    lucky = planted((.1, .9), (.2, -.3), .9, lucky=.9)[-1]
    assert lucky.verdict == "not supported" and abs(lucky.effect) < 1e-9 < lucky.effect_high

def test_verdicts_of_many_runs_are_read_together(tmp_path):
    about = {"models": "m", "puzzle": "p", "study": "x"}
    one = claim_verdict("c", "s", "m", "f", row(.9), "chance", row(.1), about, level=0.5)
    for name in ("a", "b"):
        (tmp_path/name).mkdir()
        write_table(tmp_path/name/"verdicts.parquet", verdict_frame([one]), {"model": name})
    found = collect_verdicts(tmp_path)
    assert found.page.tolist() == ["a", "b"] and found.verdict.tolist() == ["holds"]*2
    with pytest.raises(InputError, match="no run here"): collect_verdicts(tmp_path/"a")

def test_the_template_runs_and_judges(tmp_path, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    run, _ = run_notebook("probes/dynamics", {"models": ["sudoku-4x4"], "puzzles": 16, "steps": 2, "long": 8,
        "studied": 2, "starts": 2, "kicks": [1.0]})
    table, verdicts = (read_table(run.folder/f"{name}.parquet") for name in ("dynamics", "verdicts"))
    assert table.attrs["model"] == "sudoku-4x4" and len(verdicts) == 5 and run.info["peak_bytes"] > 1e8
    assert dict(zip(verdicts.claim, verdicts.verdict)) == run.info["verdicts"]
    cells = json.loads((run.folder/"dynamics.ipynb").read_text())["cells"]
    assert any("headline" in cell["metadata"].get("tags", []) for cell in cells)
