"Halting against planted truth: heads of known calibration, features that know, rules of known cost."
import numpy as np, pytest
from test_session import FOUR, small
from trm_lab.core.errors import InputError
from trm_lab.data.generate import generate_dataset
from trm_lab.interp.probes.base import Table, last_updates, read_table, stream
from trm_lab.interp.probes.halting import (
    BOTH, BY_BOTH, BY_DRIFT, BY_HEAD, BY_OTHERS, CALIBRATED, CHANNELS, DRIFT, END, FIXED, HEAD, KINDS,
    LATER, NOW, PLANE, Seen, StepEnds, MEASURES, calibration_error, calibration_rows, features,
    halting_verdicts, kinds_of_stops, predicted, prediction_rows, rules, stopping_step, study_halting,
    targets, threshold_rows, watch_steps)
from trm_lab.interp.probes.scores import auc
from trm_lab.interp.probes.tasks import SHUFFLED
from trm_lab.interp.session import puzzle_batch
from trm_lab.interp.probes.verdicts import over_models_rows
from trm_lab.interp.trace import run_with_trace
from trm_lab.runs.notebooks import run_notebook
from trm_lab.views import settling_plots as plots

PUZZLES = generate_dataset(FOUR, 1, 40, seed=5).test

def errors(p, right, seed=0):
    table = Table("halting")
    calibration_rows(table, p, right, np.random.default_rng(seed))
    return table.frame.set_index("control")

def test_a_calibrated_head_has_an_error_near_zero_and_a_shuffled_one_does_not():
    rng = np.random.default_rng(0)
    p = rng.random(4000)
    right = rng.random(4000) < p
    calibrated, shuffled, sure = errors(p, right), errors(rng.permutation(p), right), errors(p**0.3, right)
    assert calibrated.value[""] < 0.03 and calibrated.low[""] < calibrated.high[CALIBRATED]
    assert shuffled.low[""] > 0.2 > shuffled.high[CALIBRATED] and sure.low[""] > sure.high[CALIBRATED]
    assert calibrated.value[SHUFFLED] > 0.2

def test_the_control_says_where_zero_lies_with_few_puzzles():
    "Of 60 calibrated heads on 50 puzzles, nearly all are within what is drawn; none has an error of zero."
    rng, within = np.random.default_rng(1), 0
    for _ in range(60):
        p = rng.random(50)
        right = rng.random(50) < p
        drawn = calibration_error(p, rng.random((200, 50)) < p)
        low, high = np.quantile(drawn, (0.025, 0.975))
        within += low <= calibration_error(p, right) <= high
        assert calibration_error(p, right) > 0.02
    assert within >= 52

def test_calibration_error_by_hand():
    p, right = np.array([.25, .25, .95]), np.array([True, False, True])
    assert np.isclose(calibration_error(p, right), (0.5 + 0.05)/3)
    twice = np.array([[1, 1, 1], [2, 2, 2], [1, 1, 0]])
    assert np.allclose(calibration_error(p, right, twice), [0.55/3, 0.55/3, 0.25])

def test_in_time_too_early_and_too_late():
    above = np.array([[0, 1, 0, 0, 0, 0], [1, 1, 1, 0, 0, 1], [1, 1, 1, 0, 1, 1]], bool)
    right = np.array([[0, 0, 1, 1, 0, 0], [1, 0, 1, 1, 0, 0], [1, 1, 1, 1, 1, 0]], bool)
    kinds = kinds_of_stops(above, right)
    assert kinds.tolist() == ["in time", "too early", "too late", "never stops", "in time", "wrong for good"]
    assert stopping_step(above).tolist() == [1, 0, 1, 2, 2, 1] and set(kinds) <= set(KINDS)

def test_what_is_kept_of_each_step_is_what_a_trace_shows():
    model = small("trm")
    ends = StepEnds(40, 3, last_updates(model))
    stream(model, PUZZLES, ends, steps=3, batch_size=11)
    trace = run_with_trace(model, puzzle_batch(PUZZLES, FOUR), 3)
    last = {(site.step, site.name): trace.latent(site) for site in trace.sites} # later ones replace
    for t in (1, 2):
        moved = sum((last[t + 1, z] - last[t, z]).square().sum((1, 2)) for z in ("z_H", "z_L"))
        size = sum(last[t + 1, z].square().sum((1, 2)) for z in ("z_H", "z_L"))
        assert np.allclose(ends.drift[t], (moved/size).sqrt(), rtol=1e-3)
    assert np.isnan(ends.drift[0]).all()
    assert np.allclose(ends.means["z_H"][2], last[3, "z_H"].mean(1), atol=1e-5)

# ---- what predicts success

def planted(N, seed, head=0., drift=0., geometry=0.):
    "Three steps, in the last of which some are right. Features know it by so much, in units of their noise."
    rng = np.random.default_rng(seed)
    good = rng.random(N) < 0.5
    sign = np.where(good, 1., -1.)
    logit, late = head*sign + rng.normal(size=(3, N)), -drift*sign + rng.normal(size=(3, N))
    means = rng.normal(size=(3, N, 6))
    means[:, :, 2] += geometry*sign
    right = np.stack([np.zeros(N, bool), np.zeros(N, bool), good])
    drifts = np.exp(0.3*late - 3)
    drifts[0] = np.nan
    return Seen(1/(1 + np.exp(-logit)), right, drifts, {"z": means})

def predictions(**known):
    table = Table("halting")
    fit, show = planted(600, 0, **known), planted(600, 1, **known)
    prediction_rows(table, fit, show, 1, model="m")
    prediction_rows(table, fit, show, 2, model="m")
    for row in list(table.rows): table.rows.append({**row, "model": "all models"})
    frame = table.frame
    return frame, {(row["features"], row["control"], row["target"]): row
        for row in frame[(frame.measure == "AUC") & (frame.step == 2)].to_dict("records")}

@pytest.mark.parametrize("known, knows", [({"head": 1.}, {HEAD, BOTH}), ({"drift": 1.}, {DRIFT, BOTH}),
    ({"geometry": 1.}, {PLANE, CHANNELS}), ({}, set())], ids=["head", "drift", "geometry", "nothing"])
def test_what_knows_the_end_is_found_and_what_does_not_is_not(known, knows):
    frame, by = predictions(**known)
    for kind in (HEAD, DRIFT, BOTH, PLANE, CHANNELS):
        found, chance = by[kind, "", LATER], by[kind, SHUFFLED, LATER]
        assert (found["low"] > 0.75) == (kind in knows) == (found["value"] > chance["high"] + 0.1)
    assert (NOW not in set(frame[frame.step == 2].target)) # nobody is right now, so nothing can tell
    verdicts = halting_verdicts(frame, {"models": "", "puzzle": "", "study": ""})
    words = {one.claim: one.verdict for one in verdicts}
    as_good = words["after step 2, drift and halting head tell what is right in the end as well as geometry"]
    assert as_good == {frozenset((HEAD, BOTH)): "holds", frozenset((DRIFT, BOTH)): "holds",
        frozenset((PLANE, CHANNELS)): "does not hold", frozenset(): "cannot be told"}[frozenset(knows)]

def test_a_classifier_chooses_its_penalty_where_channels_outnumber_puzzles():
    rng = np.random.default_rng(0)
    y, z = rng.random(60) < 0.5, rng.random(400) < 0.5
    X, Z = rng.normal(size=(60, 200)), rng.normal(size=(400, 200))
    X[:, 0] += 3*y
    Z[:, 0] += 3*z
    assert auc(predicted(X, y, Z), z)[0] > 0.6
    assert abs(auc(predicted(X[:, 1:], y, Z[:, 1:]), z)[0] - 0.5) < 0.12 # without the one that knows

def test_questions_and_features_have_the_puzzles_that_they_should():
    fit, show = planted(50, 0), planted(30, 1)
    asked = targets(show, 2)
    assert asked[LATER][1].sum() == (~show.right[2]).sum() and (asked[NOW][0] == asked[END][0]).all()
    made = features(fit, show, 2)
    assert {kind: (len(a), len(b)) for kind, (a, b) in made.items()} == dict.fromkeys(made, (50, 30))
    assert made[BOTH][0].shape[1] == 3 and made[CHANNELS][0].shape[1] == 6 + 3

# ---- thresholds

def test_a_threshold_that_was_chosen_on_one_half_holds_on_the_other():
    "Each puzzle is right from a step of its own on; the head knows, and drift does not."
    def run(seed):
        rng = np.random.default_rng(seed)
        since = rng.integers(0, 8, 800)
        right = np.arange(8)[:, None] >= since
        belief = np.where(right, rng.uniform(0.6, 1, right.shape), rng.uniform(0, 0.55, right.shape))
        drift = rng.uniform(0.1, 1, right.shape)
        drift[0] = np.nan
        return Seen(belief, right, drift, {})
    table = Table("halting")
    threshold_rows(table, run(0), run(1), model="m")
    by = {(row["measure"], row["rule"]): row["value"] for row in table.rows if row["measure"] != "trade-off"}
    assert by["chosen: lost", BY_HEAD] < 0.01 and by["chosen: steps", BY_HEAD] < 5.5
    assert by["chosen: steps", FIXED] == 8 and by["chosen: steps", BY_DRIFT] > 7.5
    assert by["chosen: steps", BY_BOTH] <= by["chosen: steps", BY_HEAD] + 0.5
    assert by["chosen: steps", BY_OTHERS] > 7.5 # of other puzzles, the head is worth nothing
    assert all(above.shape == (8, 800) for settings in rules(run(0)).values() for _, above in settings)

# ---- the study

def test_the_study_runs_on_any_latents_and_draws_from_its_table(tmp_path):
    table = Table("halting")
    for name, arch in (("a", "trm_singlez"), ("b", "hrm")):
        study_halting(table, small(arch), FOUR, PUZZLES, name, 3, (1, 3), batch_size=9, progress=False)
    over_models_rows(table, MEASURES)
    frame = table.frame
    assert {"", "untrained", SHUFFLED, CALIBRATED} <= set(frame.control)
    over = frame[(frame.measure == "right") & (frame.model == "all models")]
    assert over.step.tolist() == [1, 2, 3] and (over.n == 40).all() and (over.models == 2).all()
    stops = frame[(frame.measure == "stops") & (frame.model == "a")]
    assert (stops.groupby("control").value.sum().round(6) == 1).all()
    for draw in (plots.reliability, plots.calibration_by_step, plots.predictions, plots.stops,
            plots.trade_offs):
        draw(frame).savefig(tmp_path/"figure.png")
    seen = watch_steps(small("hrm"), FOUR, PUZZLES, 3)
    assert seen.part(np.arange(40) < 5).means["z_H"].shape[:2] == (3, 5)
    with pytest.raises(InputError, match="from 1 to 3"):
        study_halting(table, small("trm"), FOUR, PUZZLES, "a", 3, (4,))

def test_the_template_runs_and_judges(tmp_path, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    run, _ = run_notebook("probes/halting", {"models": ["sudoku-4x4"], "puzzles": 64, "steps": 3,
        "looks": [1, 2, 3]})
    table, verdicts = (read_table(run.folder/f"{name}.parquet") for name in ("halting", "verdicts"))
    assert table.attrs["model"] == "sudoku-4x4" and len(verdicts) == 6 and run.info["peak_bytes"] > 1e8
    assert dict(zip(verdicts.claim, verdicts.verdict)) == run.info["verdicts"]
    with pytest.raises(InputError, match="was trained on"):
        run_notebook("probes/halting", {"models": ["sudoku-4x4"], "puzzle_seed": 0, "puzzles": 8})
