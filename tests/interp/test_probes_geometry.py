"Geometry against planted truth: what was put into the latents is found, and what was not is not."
import json, subprocess, sys
from dataclasses import replace
import numpy as np, pandas as pd, pytest, torch
from hypothesis import given, settings, strategies as st
from test_session import FOUR, small
from trm_lab.views import plots
from trm_lab.interp.pca import Covariances, Moments
from trm_lab.interp.session import puzzle_batch
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.data.generate import generate_dataset
from trm_lab.core.errors import InputError
from trm_lab.interp.probes.base import (COLUMNS, Answers, Table, last_updates, halves, jackknife, read_table,
    fresh_puzzles, mean_interval, stream, untrained, compare_intervals, write_table)
from trm_lab.interp.probes.geometry import (
    Grams, captured, cka, effective_dimension, explained_by_kind, explained_by_step, geometry, kind_rows,
    noise_moments, outcomes, path_length, path_rows, random_axes, shuffled_time, straightness, unbiased)
from trm_lab.runs.templates import find_template
from trm_lab.runs.notebooks import run_notebook
from trm_lab.interp.trace import Site, run_with_trace
from trm_lab.models.variants import ARCHITECTURES

HERE = Site(1, 0, 0, "z_H")
PUZZLES = generate_dataset(FOUR, 1, 21, seed=5).test

def shown(collector, z, chunk=32, site=HERE):
    "Give a collector latents (N, P, D), a chunk at a time."
    for some in range(0, len(z), chunk):
        collector(site, z[some:some + chunk], np.arange(some, min(some + chunk, len(z))))
    return collector

def moments(vectors):
    m = Moments(vectors.shape[1]); m.add(vectors)
    return m

# ---- streaming

@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_streaming_shows_what_a_trace_records(arch):
    "Every site of every puzzle, once and in order, and the same answers."
    model, seen = small(arch), {}
    answers = stream(model, PUZZLES,
        lambda site, z, here: seen.setdefault(site, []).append((here, z)), steps=2, batch_size=7)
    for k, some in enumerate(torch.arange(21).split(7)): # in the same batch shape, so to the bit
        trace = run_with_trace(model, puzzle_batch(PUZZLES, FOUR).rows(some), 2)
        assert tuple(seen) == trace.sites
        for site, parts in seen.items():
            here, z = parts[k]
            assert (here.tolist() == some.tolist() and not z.requires_grad
                and torch.equal(z, trace.latent(site)))
        assert (np.array_equal(answers.q_halt[:, some], trace.q_halt)
            and np.array_equal(answers.tokens[:, some], trace.tokens))
    assert (answers.solved == (answers.tokens == answers.labels).all(-1)).all()
    last = [site for site in seen if last_updates(model)(site)]
    assert (len(last) == 2*len({u.name for u in model.schedule()})
        and all(site == [s for s in seen if (s.step, s.name) == (site.step, site.name)][-1] for site in last))

def test_chunks_do_not_matter():
    model, kept = small(), []
    for chunk in (7, 21):
        kept.append(Covariances())
        stream(model, PUZZLES, kept[-1], steps=2, batch_size=chunk)
    assert list(kept[0]) == list(kept[1])
    for site in kept[0]:
        for a, b in zip(kept[0][site], kept[1][site], strict=True):
            assert a.count == b.count and np.allclose(a.products, b.products, rtol=1e-4, atol=1e-3)

def test_halves_have_every_puzzle_once_and_keep_groups_together():
    first, second = halves(PUZZLES, 3)
    assert (sorted(map(bytes, PUZZLES.inputs)) == sorted(map(bytes, [*first.inputs, *second.inputs]))
        and abs(len(first) - len(second)) == 1)
    assert (not np.array_equal(first.inputs, halves(PUZZLES, 4)[0].inputs)
        and np.array_equal(first.inputs, halves(PUZZLES, 3)[0].inputs))
    grouped = replace(PUZZLES, group_indices=np.array([0, 7, 14, 21], np.int32))
    first, second = halves(grouped)
    assert {len(first), len(second)} == {7, 14}

def test_an_untrained_twin_has_the_shape_and_not_the_weights():
    four = load_pretrained("sudoku-4x4").model
    before = torch.random.get_rng_state()
    twin, again = untrained(four, 1), untrained(four, 1)
    assert torch.equal(before, torch.random.get_rng_state()) and not twin.training
    for (name, a), b, c in zip(twin.state_dict().items(), again.state_dict().values(),
            four.state_dict().values(), strict=True):
        assert torch.equal(a, b) and a.shape == c.shape and (
            not name.endswith("mlp.down_proj.weight") or not torch.equal(a, c))

# ---- spread

def test_intervals_hold_what_they_promise():
    "Of 200 samples about 190 intervals hold the truth."
    rng, hit = np.random.default_rng(0), np.zeros(3)
    for trial in range(200):
        values = rng.normal(2, 1, 60)
        boot, share = mean_interval(values, seed=trial), mean_interval(rng.random(60) < 0.9)
        _, low, high = jackknife([np.array([b.sum(), len(b)]) for b in np.array_split(values, 10)],
            lambda s: s[0]/s[1])
        hit += boot["low"] < 2 < boot["high"], share["low"] < 0.9 < share["high"], low < 2 < high
    assert (hit >= 180).all() and (hit < 200).all(), hit

def test_a_verdict_needs_two_intervals_that_do_not_touch():
    row = lambda low, high: {"value": (low + high)/2, "low": low, "high": high}
    assert (compare_intervals(row(2, 3), row(0, 1)) == "holds"
        and compare_intervals(row(0, 1), row(2, 3)) == "does not hold")
    assert (compare_intervals(row(0, 2), row(1, 3)) == compare_intervals(row(0, 1), row(1, 2))
        == compare_intervals(row(np.nan, np.nan), row(0, 1)) == "cannot be told")

def test_a_table_comes_back_as_it_was(tmp_path):
    table = Table("x")
    table.add("a", HERE, value=1, low=0, high=2, n=3, other="y", puzzle=4)
    table.add("b", "z_L", "noise", value=2, n=3)
    write_table(tmp_path/"t.parquet", table.frame, {"model": "m", "seed": 1})
    back = read_table(tmp_path/"t.parquet")
    pd.testing.assert_frame_equal(back, table.frame)
    assert (tuple(back)[:len(COLUMNS)] == COLUMNS and back.attrs == {"model": "m", "seed": 1}
        and back.other.tolist() == ["y", ""] and pd.isna(back.step[1]))
    whole = (tmp_path/"t.parquet").read_bytes()
    for cut in (0, 4, len(whole)//2, len(whole) - 1):
        (tmp_path/"torn.parquet").write_bytes(whole[:cut])
        with pytest.raises(InputError, match="not a whole Parquet file"): read_table(tmp_path/"torn.parquet")

# ---- planes

def test_principal_components_are_scikit_learns():
    "Streamed in chunks of 7; PCA on all at once and IncrementalPCA with all components say the same."
    from sklearn.decomposition import PCA, IncrementalPCA # takes more than a second
    rng = np.random.default_rng(0)
    z = rng.normal(size=(140, 4, 6))*[5, 3, 2, 1, 1, 0.3] @ np.linalg.qr(rng.normal(size=(6, 6)))[0] + 20
    kept = shown(Covariances(blocks=1), torch.tensor(z), 7)
    found, flat = kept[HERE][0].components(4), z.reshape(-1, 6)
    for theirs in (PCA(4).fit(flat), IncrementalPCA(6, batch_size=28).fit(flat)):
        assert (np.allclose(found.explained, theirs.explained_variance_ratio_[:4], atol=1e-4)
            and np.allclose(found.mean, theirs.mean_, atol=1e-4))
        assert np.allclose(np.abs(found.axes[:3] @ theirs.components_[:3].T), np.eye(3), atol=1e-2)
        assert np.allclose(np.abs(found(flat)[:, :3]),
            np.abs((flat - theirs.mean_) @ theirs.components_[:3].T), atol=0.05)
    assert np.allclose(captured(kept[HERE][0], found.axes), np.cumsum(found.explained), atol=1e-5)

def test_a_random_plane_captures_its_part():
    rng = np.random.default_rng(0)
    ball = moments(rng.normal(size=(20_000, 10)))
    axes = random_axes(10, 3, rng)
    assert (np.allclose(axes @ axes.T, np.eye(3))
        and np.allclose(captured(ball, axes), [0.1, 0.2, 0.3], atol=0.02))
    line = moments(rng.normal(size=(500, 1))*np.eye(10)[0])
    assert abs(np.mean([captured(line, random_axes(10, 3, rng))[-1] for _ in range(400)]) - 0.3) < 0.05

def test_pooled_points_are_means_over_positions():
    z = torch.randn(40, 5, 3, generator=torch.Generator().manual_seed(0))
    kept = shown(Covariances(pooled=True), z, 7)
    assert len(kept[HERE]) == 10 and sum(part.count for part in kept[HERE]) == 40
    assert np.allclose(sum(kept[HERE][1:], kept[HERE][0]).covariance,
        np.cov(z.mean(1).T.numpy(), ddof=0), atol=1e-5)

# ---- effective dimension

@settings(max_examples=20, deadline=None)
@given(st.lists(st.floats(0.1, 10), min_size=2, max_size=8), st.integers(0, 2**31))
def test_effective_dimension_of_a_known_covariance(scales, seed):
    rng, variances = np.random.default_rng(seed), np.square(scales)
    turn = np.linalg.qr(rng.normal(size=(len(scales),)*2))[0]
    # uncorrelated exactly, variance 1
    signs = np.array(np.meshgrid(*[[-1., 1.]]*len(scales))).reshape(len(scales), -1).T
    assert np.isclose(effective_dimension(moments(signs*scales @ turn + 3)),
        variances.sum()**2/np.square(variances).sum(), rtol=1e-6)

def test_noise_has_nearly_all_dimensions_and_a_line_has_one():
    rng = np.random.default_rng(0)
    parts = noise_moments(9_000, 30, rng)
    assert sum(part.count for part in parts) == 9_000 and len(parts) == 10
    value, low, high = jackknife(parts, effective_dimension)
    assert low < value < high and 29.5 < value < 30 and len(noise_moments(3, 5, rng)) == 3
    assert (np.isclose(effective_dimension(moments(np.outer(np.arange(9.), [1, 2, 2]))), 1)
        and effective_dimension(moments(np.ones((4, 3)))) == 0)

# ---- paths

def test_shuffled_time_tells_a_drift_from_noise():
    """A planted drift loses its order; noise that is exchangeable in time has none to lose, but for
    a few in a hundred tries."""
    found = {True: [], False: []}
    for seed in range(25):
        rng = np.random.default_rng(seed)
        noise = rng.normal(size=(60, 12, 2))
        for points, ordered in ((noise + 2*np.arange(12)[None, :, None], True), (noise, False)):
            mixed = shuffled_time(points, rng)
            assert np.allclose(np.sort(mixed, 1), np.sort(points, 1)) # the same points
            assert (explained_by_step(points) > 5*explained_by_step(mixed) + 0.2) == ordered
            found[ordered] += [
                compare_intervals(mean_interval(of(points), draws=200), mean_interval(of(mixed), draws=200))
                for of in (straightness, lambda p: -path_length(p))]
    assert set(found[True]) == {"holds"} and found[False].count("cannot be told") >= 47

def test_measures_of_a_path():
    square = np.array([[[0, 0], [1, 0], [1, 1], [0, 1.]]])
    assert (path_length(square) == 3 and np.isclose(straightness(square), 1/3)
        and straightness(np.zeros((1, 4, 2))) == 0)
    same = np.repeat(np.arange(5.)[None, :, None], 3, 0)
    assert (np.isclose(explained_by_step(same), 1)
        and explained_by_step(np.repeat(np.arange(3.)[:, None, None], 5, 1)) == 0)

def test_every_puzzle_has_one_outcome():
    solved = np.array([[True, True, False, False], [True, False, True, False]])
    groups = outcomes(Answers(None, None, None, solved, None))
    assert {name: mask.tolist() for name, mask in groups.items()} == {"solved after one step": [True, False,
            False, False], "solved later": [False, False, True, False], "failed": [False, True, False, True]}

# ---- similarity

def grams(z, chunk=32): return shown(Grams(lambda site: True), z, chunk)

def test_a_rotated_copy_is_alike_and_noise_is_not():
    "Far more channels than puzzles: the plain formula would call noise alike."
    g = torch.Generator().manual_seed(0)
    z, noise = (torch.randn(128, 6, 40, generator=g) for _ in range(2))
    turned = 3*z @ torch.linalg.qr(torch.randn(40, 40, generator=g))[0] + 1
    assert (np.allclose(cka(grams(z), grams(turned))[0], 1, atol=1e-5)
        and np.allclose(cka(grams(z), grams(z))[0], 1))
    value, low, high = cka(grams(z), grams(noise))
    level = np.array([cka(grams(z), grams(noise), np.random.default_rng(i))[0] for i in range(20)])
    assert low < 0 < high and abs(value) < 0.1 and level.min() - 0.05 < value < level.max() + 0.05
    assert abs(np.mean([cka(grams(z), grams(turned), np.random.default_rng(i))[0] for i in range(20)])) < 0.05
    flat, other = z[:32].flatten(1).double(), noise[:32].flatten(1).double()
    plain = [(a - a.mean(0)) @ (a - a.mean(0)).T for a in (flat, other)]
    assert (plain[0]*plain[1]).sum()/plain[0].norm()/plain[1].norm() > 0.8 # what the bias would do

def test_what_is_shared_in_part_is_alike_in_part():
    g = torch.Generator().manual_seed(1)
    common, a, b = (torch.randn(256, 1, 20, generator=g) for _ in range(3))
    value, low, high = cka(grams(torch.cat([common, a], -1)), grams(torch.cat([common, b], -1)))
    assert low < 0.5 < high and high - low < 0.3

def test_centring_without_bias():
    "Rows sum to zero, a constant changes nothing, and the products are Song's estimator."
    rng = np.random.default_rng(0)
    K, L = (x @ x.T for x in rng.normal(size=(2, 9, 5)))
    a, b, n = unbiased(K), unbiased(L), 9
    assert np.allclose(a.sum(0), 0) and np.allclose(np.diag(a), 0) and np.allclose(unbiased(K + 7), a)
    k, l = (m*(1 - np.eye(n)) for m in (K, L))
    hsic = (np.trace(k @ l) + k.sum()*l.sum()/((n - 1)*(n - 2)) - 2*(k @ l).sum()/(n - 2))/(n*(n - 3))
    assert np.isclose((a*b).sum()/(n*(n - 3)), hsic)
    with pytest.raises(InputError, match="at least four puzzles"): unbiased(np.eye(3))

def test_similarity_needs_the_same_puzzles():
    z = torch.randn(64, 2, 3)
    with pytest.raises(InputError, match="same chunks"): cka(grams(z, 32), grams(z[:48], 24))
    assert len(grams(z[:34]).chunks) == 1 # two puzzles say nothing

# ---- the study

@pytest.mark.parametrize("arch, dtype", [("trm_singlez", torch.float32), ("hrm", torch.bfloat16),
    ("trm_hier6", torch.float32), ("direct_transformer", torch.float32), ("fixed_point", torch.float32)])
def test_the_study_runs_on_any_latents_and_draws_from_its_table(arch, dtype, tmp_path):
    model = small(arch, dtype=dtype)
    frame = geometry(model, PUZZLES, {"another": small("trm")}, steps=3, batch_size=5,
        components=4, progress=False)
    write_table(tmp_path/"g.parquet", frame, {})
    table = read_table(tmp_path/"g.parquet")
    latents = dict.fromkeys(u.name for u in model.schedule())
    assert list(dict.fromkeys(table[table.measure == "effective dimension"].latent)) == list(latents)
    for control in ("random projection", "shuffled time", "noise", "untrained", "permutation"):
        assert (table.control == control).any()
    assert set(table[table.measure == "similarity"].other) == {"itself", "untrained", "another"}
    measured = table[~table.measure.isin(["coordinate", "puzzles", "distance from where solved ones end"])
        & (table.n > 1)]
    assert measured[["value", "low", "high"]].notna().all(axis=None)
    for draw in (plots.captured_variance, plots.mean_paths, plots.path_measures,
            plots.dimension_by_site, plots.similarity_maps):
        draw(table).savefig(tmp_path/"figure.png")
    assert plots.mean_paths_in_space(table, next(iter(latents))).to_json()
    again = geometry(model, PUZZLES, {"another": small("trm")}, steps=3, batch_size=5,
        components=4, progress=False)
    pd.testing.assert_frame_equal(frame, again) # seeded throughout

def test_of_few_puzzles_similarity_still_has_an_interval():
    "In two chunks of 32 puzzles it went from −1 to 2; similarity itself lies between 0 and 1."
    few = generate_dataset(FOUR, 1, 72).test
    table = geometry(small("trm"), few, steps=2, components=4, progress=False)
    rows = table[(table.measure == "similarity") & (table.control == "")]
    assert (rows.low >= np.minimum(rows.value, 0)).all() and (rows.high <= np.maximum(rows.value, 1)).all()
    assert (rows[rows.other == "itself"].high - rows[rows.other == "itself"].low).max() < 0.8

def test_failed_boards_that_stay_behind_are_found():
    "Planted: solved ones walk from 10 to 0, failed ones stop at 6."
    table, rng, failed = Table("geometry"), np.random.default_rng(0), np.arange(60) >= 40
    points = np.where(failed[:, None], np.maximum(6, np.linspace(10, 0, 6)),
        np.linspace(10, 0, 6))[..., None]*[1., 0, 0] + rng.normal(0, 0.1, (60, 6, 3))
    path_rows(table, points, "z_H", {"solved later": ~failed, "failed": failed}, rng)
    far = table.frame[table.frame.measure == "distance from where solved ones end"].set_index("group")
    assert (far.loc["failed", "low"] > 5 > 1 > far.loc["solved later", "high"]
        and far.n.to_dict() == {"solved later": 40, "failed": 20})

def test_kinds_of_cells_are_found_where_they_were_put():
    "Planted: cells stand by their distance; by their colour they do not, and a third of them do not count."
    table, rng = Table("geometry"), np.random.default_rng(0)
    distance, colour = rng.integers(0, 5, (60, 12)), rng.integers(0, 4, (60, 12))
    distance[:, ::3] = -1
    points = np.stack([distance, np.zeros_like(distance)], -1)[:, None] + rng.normal(0, 0.5, (60, 2, 12, 2))
    points[:, :, ::3] = 1e6 # of cells that do not count
    kind_rows(table, points, "z_H", {"distance": distance, "colour": np.where(distance < 0, -1, colour)}, rng)
    found = table.frame[(table.frame.measure == "explained by kind") & (table.frame.step == 2)]
    found = found.set_index(["kind", "control"])
    assert found.loc[("distance", ""), "low"] > 0.75 and found.loc[("colour", ""), "high"] < 0.05
    assert found.loc[("distance", "another puzzle's"), "high"] < 0.05
    one = points[:, 0][distance >= 0]
    kinds = distance[distance >= 0]
    within = sum(np.square(one[kinds == k] - one[kinds == k].mean(0)).sum() for k in range(5))
    assert np.isclose(explained_by_kind(one, kinds), 1 - within/np.square(one - one.mean(0)).sum())
    places = table.frame[(table.frame.measure == "place of kind") & (table.frame.component == 1)
        & (table.frame.kind == "distance")]
    assert places.of.tolist() == [0, 1, 2, 3, 4] and np.allclose(places.value, places.of, atol=0.2)
    assert [ax.get_title() for ax in plots.kinds_by_step(table.frame).axes] == ["distance", "colour"]
    said = {text.get_text() for text in plots.places_of_kinds(table.frame).axes[0].texts}
    assert said == {"0", "1", "2", "3", "4"}

def test_figures_say_how_few_failed():
    "A mean of three would look like a finding."
    table, rng = Table("geometry"), np.random.default_rng(0)
    for i in range(3):
        table.add("variance captured", "z_H", unit="boards", component=i + 1, value=0.3*(i + 1), n=53)
    path_rows(table, rng.normal(size=(53, 4, 3)), "z_H",
        {"solved later": np.arange(53) < 50, "failed": np.arange(53) >= 50}, rng)
    figure = plots.mean_paths(table.frame)
    said = [text.get_text() for text in figure.legends[0].get_texts()]
    assert ("failed: 3 puzzles, too few for a mean" in said
        and "solved later: 50 puzzles, mean and 95 % interval" in said)
    assert "30% of the variance" in figure.axes[0].get_xlabel() and len(figure.axes[0].containers) == 1
    assert "failed (3), too few for a mean" in {trace.name
        for trace in plots.mean_paths_in_space(table.frame, "z_H").data}

def test_the_template_runs_and_computes_its_findings(tmp_path, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    assert find_template("probes/geometry").name == "geometry.ipynb"
    run, _ = run_notebook("probes/geometry",
        {"model": "sudoku-4x4", "puzzles": 48, "steps": 3, "batch_size": 8})
    table = read_table(run.folder/"geometry.parquet")
    assert (table.attrs["model"] == "sudoku-4x4" and len(table.attrs["sha256"]) == 64
        and table.attrs["puzzle_seed"] == 2000)
    assert (set(run.info["verdicts"].values()) <= {"holds", "does not hold", "cannot be told"}
        and run.info["solved"] > 0.9)
    assert all(word == "cannot be told"
        for text, word in run.info["verdicts"].items() if text.startswith("Failed"))
    text = "".join("".join(o.get("text", []) or o.get("data", {}).get("text/markdown", []))
        for c in json.loads((run.folder/"geometry.ipynb").read_text())["cells"] for o in c.get("outputs", []))
    assert "too few" in text and "| claim | verdict |" in text
    with pytest.raises(InputError, match="was trained on"): # test_probes_halting.py refuses it in a notebook
        fresh_puzzles(load_pretrained("sudoku-4x4"), 8, 0)

@pytest.mark.soak # the templates run on Sudoku in every test; on other types here
def test_the_template_sorts_a_mazes_cells(tmp_path, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    run, _ = run_notebook("probes/geometry",
        {"model": "maze-9x9", "puzzles": 32, "steps": 2, "batch_size": 8})
    table = read_table(run.folder/"geometry.parquet")
    assert set(table.kind) == {"", "on the path", "dead end", "steps to S", "steps to G"}
    last = table[(table.measure == "explained by kind") & (table.latent == "z_H") & (table.step == 2)
        & (table.kind == "on the path")].set_index("control")
    assert last.loc["", "low"] > last.loc["another puzzle's", "high"]

_SOAK = """
import json, resource, time
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.interp.probes.base import fresh_puzzles
from trm_lab.interp.probes.geometry import geometry
loaded = load_pretrained("sudoku-9x9-laptop")
split, begun = fresh_puzzles(loaded, 2000).test, time.perf_counter()
frame = geometry(loaded.model, split, steps=16)
sites = frame[(frame.measure == "effective dimension") & (frame.control == "")]
print(json.dumps({"seconds": time.perf_counter() - begun, "rows": len(frame), "sites": len(sites),
    "bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss*1024}))
"""

@pytest.mark.soak
def test_two_thousand_puzzles_at_every_site_stay_under_four_gigabytes(tmp_path, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    said = subprocess.run([sys.executable, "-c", _SOAK], capture_output=True, text=True, check=True).stdout
    found = json.loads(said.splitlines()[-1])
    print(f"2,000 puzzles at {found['sites']} sites: {found['bytes']/1e9:.2f} GB at most, "
        f"{found['seconds']:.0f} s, {found['rows']:,} measurements")
    updates = load_pretrained("sudoku-9x9-laptop").model.schedule()
    assert found["sites"] == 16*len(updates) and found["bytes"] < 4e9
