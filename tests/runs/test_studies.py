"Studies: stopped and started again they end with one table, and their sentences claim what the table allows."
import contextlib, io, multiprocessing, os, re, signal, subprocess, sys, threading, time
from pathlib import Path
import nbformat, numpy as np, pandas as pd, pytest, yaml
from processes import COMMAND, Forked
from trm_lab.cli import main
from trm_lab.core.errors import InputError, Interrupted, RunFailed
from trm_lab.core.run import Run
from trm_lab.core.settings import read_yaml
from trm_lab.interp.probes.base import read_table, write_table
from trm_lab.runs import studies as module
from trm_lab.runs.comparisons import (
    ALIKE, HIGHER, LOWER, UNTOLD, Difference, beside, confidence, difference, in_short, least_told,
    number_text, order, over_seeds, passport_line, points_text, share_text, values_of, verdict)
from trm_lab.runs.grids import SIZES, TRUNCATED, read_grid
from trm_lab.runs.measures import (
    MEASURES, FinishedRun, measure_run, passport, truncated_measures)
from trm_lab.runs.notebooks import execute
from trm_lab.runs.outcomes import Outcome
from trm_lab.runs.studies import (
    all_studies, complete_table, find_study, measure_sweep, plan_study, run_study, study_state, tables)
from trm_lab.runs.templates import find_template, read_template
from trm_lab.runs.training import train_run
from trm_lab.solving.evaluate import evaluate
from trm_lab.solving.rollouts import play_model

ROOT = Path(__file__).parents[2]
SMALL = {"config": "sudoku-4x4", "parameters": {"train_steps": 3, "train_puzzles": 40, "test_puzzles": 20,
        "global_batch_size": 16, "eval_every": 1, "dtype": "float32"},
    "axes": {"ema": [True, False]}, "seeds": 2, "retries": 0,
    "study": {"question": "Does it?", "expected": "No.", "minutes": 1,
        "measures": {"depth": {"steps": [1, 4]}, "stability": None, "cost": {}}}}

@pytest.fixture(scope="module", autouse=True)
def own_home(tmp_path_factory):
    "Puzzles are generated once for all tests."
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRM_LAB_HOME", str(tmp_path_factory.mktemp("home")))
        yield

def study_of(folder, **changes):
    (folder/"01_small.yaml").write_text(yaml.safe_dump({**SMALL, **changes}))
    return find_study(folder/"01_small.yaml")

class Here:
    "An engine that trains in this process, and may be stopped, or have runs that fail."
    slots = 1
    def __init__(self, sweep, most=99, fails=lambda trial: False):
        self.sweep, self.most, self.fails, self.over, self.trained = sweep, most, fails, [], []

    def submit(self, trials):
        for trial in trials:
            if self.fails(trial): self.over.append((trial, Outcome("failed", "it diverged")))
            else:
                if len(self.trained) == self.most: raise KeyboardInterrupt
                train_run(trial.parameters, self.sweep.folder)
                self.trained.append(trial)
                self.over.append((trial, Outcome("finished")))

    def ended(self):
        over, self.over = self.over, []
        return over

    def stop(self): pass

def ran(study, reports, say=lambda line: None, again=False, **how):
    "Run a study here; the engine, and the rows of its table without what depends on the machine."
    made = []
    def engine(sweep):
        made.append(Here(sweep, **how))
        return made[-1]
    try: table = run_study(study, engine, report=False, reports=reports, say=say, again=again)
    except (Interrupted, RunFailed) as e: return made[-1], e
    return made[-1] if made else None, read_table(table).drop(columns="seconds")

@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    "A study that nothing has stopped."
    folder = tmp_path_factory.mktemp("undisturbed")
    study = study_of(folder)
    return study, folder/"reports", ran(study, folder/"reports")[1]

def test_its_table_is_tidy(undisturbed):
    "One row a number, with the run's place in the grid and the conditions of its training."
    _, _, table = undisturbed
    assert [*table.columns[:3]] == ["run", "ema", "seed"]
    assert [*table.columns[-4:]] == ["measure", "condition", "value", "n"]
    assert not table.duplicated(["run", "measure", "condition"]).any() and table.run.nunique() == 4
    assert table.groupby(["ema", "seed"]).size().eq(6 + 2 + 4).all()
    assert {*table.precision} == {"float32"} and {*table.train_puzzles} == {40} and {*table.updates} == {2}

def test_stopped_while_training_and_while_measuring_it_ends_with_the_same_table(undisturbed, tmp_path):
    _, _, whole = undisturbed
    study, reports = study_of(tmp_path), tmp_path/"reports"
    first, why = ran(study, reports, most=2)
    assert isinstance(why, Interrupted) and len(first.trained) == 2
    assert not tables(plan_study(study, "", reports))
    def stop(line):
        if "1 of 4 runs measured" in line: os.kill(os.getpid(), signal.SIGTERM)
    second, why = ran(study, reports, say=stop)
    assert isinstance(why, Interrupted) and "while runs were measured" in str(why)
    assert len(second.trained) == 2
    measured = [*reports.glob("studies/*/*/measures/depth-*.json")]
    assert len(measured) == 1 # and it is not measured again
    before = measured[0].stat().st_mtime_ns
    third, table = ran(study, reports)
    assert not third.trained and measured[0].stat().st_mtime_ns == before
    pd.testing.assert_frame_equal(table, whole, check_exact=True)

@pytest.mark.parametrize("workers, seconds", [(1, 1), (2, 6)])
def test_a_measure_that_takes_long_is_stopped_at_once(undisturbed, workers, seconds):
    "In this process or in others, which do not go on: what they had measured is written."
    study, reports, _ = undisturbed
    sweep, begun = plan_study(study, "", reports), time.perf_counter()
    before = {*multiprocessing.active_children()}
    threading.Timer(seconds, os.kill, (os.getpid(), signal.SIGTERM)).start()
    with pytest.raises(Interrupted, match="stopped by SIGTERM while runs were measured; start the same"):
        measure_sweep(sweep, {"cost": {}, "depth": {"steps": [10**6]}}, workers)
    while {*multiprocessing.active_children()} - before: # killed, but not over yet
        assert time.perf_counter() - begun < 30
        time.sleep(0.1)
    assert time.perf_counter() - begun < 30
    assert not [*reports.rglob("measures/.*")], "half a file is left"

def test_a_study_is_run_again_whatever_tables_are_kept(undisturbed):
    "In a folder of its own; stopped, it goes on there; on the same machine its numbers are the same."
    study, reports, whole = undisturbed
    first, why = ran(study, reports, again=True, most=3)
    assert isinstance(why, Interrupted) and len(first.trained) == 3
    second, table = ran(study, reports, again=True)
    assert len(second.trained) == 1 and (reports/"studies"/"01_small-again"/"runs.parquet").exists()
    pd.testing.assert_frame_equal(table, whole, check_exact=True)

def test_a_complete_table_starts_nothing_and_another_question_does(undisturbed, tmp_path):
    study, reports, whole = undisturbed
    engine, again = ran(study, reports)
    assert engine is None and str(study_state(study, reports=reports)) == "4 of 4 runs, table, no report"
    pd.testing.assert_frame_equal(again, whole)
    for changes in ({"seeds": 3}, {"parameters": {**SMALL["parameters"], "train_steps": 4}},
            {"study": {**SMALL["study"], "measures": {"cost": {}}}}):
        other = study_of(tmp_path, **changes)
        assert complete_table(other, plan_study(other, "", reports)) is None

def test_without_runs_the_table_of_the_gallery_counts(undisturbed, tmp_path):
    study, reports, whole = undisturbed
    kept = tmp_path/"gallery"/"studies"/"01_small"/"runs.parquet"
    kept.parent.mkdir(parents=True)
    kept.write_bytes((reports/"studies"/"01_small"/"runs.parquet").read_bytes())
    engine, table = ran(study, tmp_path)
    assert engine is None and "4 of 4 runs, table in the gallery" in str(study_state(study, reports=tmp_path))
    pd.testing.assert_frame_equal(table, whole)

@pytest.mark.parametrize("before", ["", "by-an-older-notebook-"])
def test_more_seeds_run_what_no_table_has(undisturbed, tmp_path, before):
    """The runs of a kept table count as done if the measures are the same, whatever the notebook's code made
    of their names, and the table gets the others."""
    _, reports, whole = undisturbed
    more = study_of(tmp_path, seeds=3)
    kept = tmp_path/"gallery"/"studies"/"01_small"/"runs.parquet"
    kept.parent.mkdir(parents=True)
    origin = read_table(reports/"studies"/"01_small"/"runs.parquet")
    write_table(kept, origin.assign(run=before + origin.run), origin.attrs)
    assert "4 of 6 runs, no table" in str(study_state(more, reports=tmp_path))
    said = []
    engine, table = ran(more, tmp_path, said.append)
    assert [trial.at["seed"] for trial in engine.trained] == [2, 2]
    assert said[0] == "01_small: 4 of 6 runs are in a table" and table.run.nunique() == 6
    old = table[table.seed < 2].reset_index(drop=True)
    pd.testing.assert_frame_equal(old, whole, check_exact=True)
    assert complete_table(more, plan_study(more, "", tmp_path)) and not table.attrs["excluded"]
    axes = [{"ema": True}, {"ema": False}, {"ema": True, "lr": 0.01}] # an axis that the table does not have
    wider = study_of(tmp_path, axes=axes)
    assert "4 of 6 runs, no table" in str(study_state(wider, reports=tmp_path))
    engine, table = ran(wider, tmp_path)
    rate = read_yaml(module.experiments_folder()/"configs"/"sudoku-4x4.yaml")["lr"]
    assert len(engine.trained) == 2 and table.drop_duplicates("run").lr.tolist() == [rate]*4 + [0.01]*2
    other = study_of(tmp_path, seeds=3, study={**SMALL["study"], "measures": {"cost": {}}})
    assert "2 of 6 runs" in str(study_state(other, reports=tmp_path)) # those that are there themselves

def test_a_run_that_fails_is_left_out_and_named(tmp_path):
    study, reports = study_of(tmp_path), tmp_path/"reports"
    fails = lambda trial: trial.at == {"ema": False, "seed": 1}
    _, why = ran(study, reports, fails=fails)
    assert isinstance(why, RunFailed) and "1 of 4 runs failed" in str(why)
    [path] = tables(plan_study(study, "", reports))
    table = read_table(path)
    assert table.run.nunique() == 3 and len(table.attrs["excluded"]) == 1
    assert complete_table(study, plan_study(study, "", reports)) is None
    _, table = ran(study, reports)
    assert table.run.nunique() == 4

def started(home):
    return Forked(COMMAND, "study", home/"01_small.yaml", "--slots", 2, "--no-report",
        stderr=subprocess.STDOUT, env={**os.environ, "TRM_LAB_HOME": str(home), "OMP_NUM_THREADS": "1"})

@pytest.mark.soak
@pytest.mark.parametrize("which", [signal.SIGTERM, signal.SIGKILL], ids=lambda s: s.name)
def test_a_study_that_is_killed_ends_with_the_same_table(which, tmp_path):
    "As a process, with kernels for its runs: killed after the first run, and not killed."
    found = []
    for name, kill in (("whole", False), ("killed", True)):
        home, folder = tmp_path/name, tmp_path/name/"reports"/"studies"/"01_small"
        home.mkdir()
        study_of(home)
        if kill:
            first = started(home)
            while not any(folder.glob("*/run.json")):
                assert first.poll() is None, first.communicate()
                time.sleep(0.2)
            first.send_signal(which)
            first.communicate(timeout=120)
            assert not (folder/"runs.parquet").exists()
        last = started(home)
        said, _ = last.communicate(timeout=600)
        assert last.returncode == 0, said
        found.append(read_table(folder/"runs.parquet").drop(columns="seconds"))
    pd.testing.assert_frame_equal(*found, check_exact=True)

# ---- what is measured --------------------------------------------------------

@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    "A run that solves some of its test puzzles and not others."
    recipe = {**read_yaml(module.experiments_folder()/"configs"/"sudoku-4x4.yaml"), "train_steps": 150,
        "eval_every": 0, "test_puzzles": 60, "dtype": "float32"}
    return FinishedRun(train_run(recipe, tmp_path_factory.mktemp("trained"))[0])

def test_measures_agree_with_an_evaluation(trained):
    "Of the same model on the same puzzles, after so many steps for all, and by its own rule."
    loaded, split = trained.loaded, trained.test()
    of = {(row["measure"], row["condition"]): row["value"] for name in ("depth", "halting")
        for row in MEASURES[name](trained)}
    for steps in (2, 4, 16):
        scores = evaluate(loaded.model, loaded.puzzle, split, steps, keep=False).scores
        solved = scores.solved
        assert of["solved", f"steps={steps}"] == of["solved when stopped", f"rule=fixed {steps}"] == solved
        assert of["cell accuracy", f"steps={steps}"] == pytest.approx(scores.cell_accuracy)
    [recorded] = MEASURES["scores"](trained) # after 16 steps too
    assert recorded["condition"] == "steps=16" and recorded["value"] == solved
    own = evaluate(loaded.model, loaded.puzzle, split, 16, loaded.policy(16), keep=False).scores
    assert of["solved when stopped", "rule=head and settled"] == own.solved
    assert of["steps taken", "rule=head and settled"] == pytest.approx(own.mean_steps)
    stopped = {row["measure"]: row["value"] for row in MEASURES["stopped"](trained)} # by the same rule
    assert stopped == {"solved when stopped": own.solved, "steps taken": pytest.approx(own.mean_steps)}
    assert 0 < of["solved", "steps=16"] < 1 and of["lost", "steps=1"] == 0
    assert of["solved when stopped", "rule=verified"] >= of["solved", "steps=16"] # it stops at what is right

def test_stability_tells_a_trend_from_wobbling(trained, tmp_path):
    def measured(scores):
        run = Run(tmp_path/"-".join(map(str, scores)))
        run.folder.mkdir()
        for score in scores: run.log("eval", solved=score, n=50)
        rows = MEASURES["stability"](FinishedRun(run))
        return {row["measure"]: row["value"] for row in rows}
    assert measured([0.1, 0.2, 0.3, 0.4, 0.5]) == pytest.approx({"wobble": 0, "fall": 0})
    up_and_down = measured([0.5, 0.9, 0.5, 0.9, 0.5])
    assert up_and_down["wobble"] > 0.2 and up_and_down["fall"] == pytest.approx(0.4)
    with pytest.raises(InputError, match="needs three evaluations, found 2"): measured([0.1, 0.2])

def test_the_exact_solver_is_measured_beside_the_network(trained):
    exact, network = MEASURES["solver"](trained, puzzles=20)
    assert (exact["condition"], exact["value"], exact["n"]) == ("by=solver", 1, 19) # the first warms up
    [solved] = MEASURES["depth"](trained, steps=[16], puzzles=20)[:1]
    assert network["condition"] == "by=network, steps=16" and network["value"] == solved["value"]
    assert exact["seconds"] > 0 and network["seconds"] > 0
    with pytest.raises(InputError, match="found 1 puzzle; give it"):
        MEASURES["solver"](trained, puzzles=1)

def test_a_type_without_a_solver_is_answered_by_the_network_alone(tmp_path, monkeypatch):
    "ARC: what it is trained on are known tasks, whose number the passport gives."
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    small = {"hidden_size": 16, "num_heads": 2, "swiglu_multiple": 16, "H_cycles": 1, "L_cycles": 1,
        "puzzle_emb_len": 1}
    made = FinishedRun(train_run({"name": "arc", "puzzle": "arc-4x4", "train_puzzles": 3, "test_puzzles": 1,
        "model": small, "train_steps": 2, "global_batch_size": 4, "halt_max_steps": 1, "solve_max_steps": 2,
        "holdout": 0.0}, tmp_path)[0])
    [network] = MEASURES["solver"](made, puzzles=1)
    assert network["condition"] == "by=network, steps=2" and network["seconds"] > 0
    assert passport(made)["train_puzzles"] == len(made.dataset.train) > 3

def test_a_puzzle_that_stays_for_one_step_is_drawn_in_every_step(trained, tmp_path):
    recipe = {**trained.run.info["parameters"], "train_steps": 40, "halt_max_steps": 1, "train_puzzles": 64,
        "global_batch_size": 32}
    once = FinishedRun(train_run(recipe, tmp_path)[0])
    assert [row["value"] for row in MEASURES["exposure"](once)] == [40*32/64]
    [longer] = MEASURES["exposure"](trained)
    c = trained.config
    all_new = c.train_steps*c.global_batch_size/c.train_puzzles
    assert 0.99*all_new/c.halt_max_steps < longer["value"] < all_new and longer["n"] == c.train_steps

def test_games_are_measured_where_answers_are_moves(trained, tmp_path):
    assert MEASURES["games"](trained) == []
    recipe = {**read_yaml(module.experiments_folder()/"configs"/"rush-hour.yaml"), "train_steps": 10,
        "eval_every": 0, "train_puzzles": 40, "test_puzzles": 12, "global_batch_size": 16,
        "dtype": "float32"}
    planner = FinishedRun(train_run(recipe, tmp_path)[0])
    rows = {row["condition"]: row for row in MEASURES["games"](planner) if row["measure"] == "games"}
    ends = "solved", "illegal", "deadlock", "circle", "limit"
    assert sum(rows[end]["value"] for end in ends) == pytest.approx(1)
    assert all(row["n"] == 12 for row in rows.values())
    assert rows["optimal"]["value"] <= rows["solved"]["value"]
    loaded = planner.loaded
    played = play_model(loaded.model, loaded.puzzle, np.asarray(planner.test().inputs), 16, loaded.policy(16))
    assert rows["illegal"]["value"] == (played.ends == "illegal").mean()
    planner.run.update(rollouts={**played.summary(), "illegal": 0.25}) # what a notebook has recorded is taken
    assert {row["value"] for row in MEASURES["games"](planner) if row["condition"] == "illegal"} == {0.25}

def test_a_measure_is_kept_by_its_arguments(trained):
    few, many = (measure_run(trained.run, {"depth": {"steps": steps}}) for steps in ([1], [1, 4]))
    assert len(few) == 3 and len(many) == 6 and many[:3] == few
    with pytest.raises(InputError, match="no measure 'dept' .did you mean 'depth'"):
        module.known_measures({"dept": {}}, "a study")

# ---- what follows ------------------------------------------------------------

def shares(**settings):
    "A table of shares that are solved: of each setting a value for each seed."
    return pd.DataFrame([{"run": f"{name}{seed}", "arm": name, "seed": seed, "measure": "solved",
        "condition": "steps=16", "value": value, "n": 500}
        for name, values in settings.items() for seed, value in enumerate(values)])

def test_differences_are_paired_by_seed():
    "Seeds differ by more than settings do; in pairs it can be told all the same."
    table = shares(a=[0.90, 0.70, 0.50], b=[0.85, 0.645, 0.455])
    assert difference(table, "solved", "steps=16", "arm", "a", "b").word() == HIGHER
    turned = table.assign(seed=[0, 1, 2, 1, 2, 0]) # the same values under other seeds
    assert difference(turned, "solved", "steps=16", "arm", "a", "b").word() == UNTOLD

@pytest.mark.parametrize("b, word, says", [
    ([0.70, 0.72, 0.71], HIGHER, "More puzzles are solved with a than with b (+19.3 points"),
    ([0.98, 0.97, 0.99], LOWER, "Fewer puzzles"), ([0.901, 0.909, 0.902], ALIKE, "As many puzzles"),
    ([0.95, 0.80, 0.90], UNTOLD, "It cannot be told whether more puzzles")], ids=lambda v: str(v)[:12])
def test_a_verdict_has_four_forms(b, word, says):
    found = difference(shares(a=[0.90, 0.91, 0.90], b=b), "solved", "steps=16", "arm", "a", "b")
    assert found.word(0.015) == word and verdict(found, "with a", "with b", margin=0.015).startswith(says)

@pytest.mark.parametrize("words, said", [
    ([HIGHER], "higher"), ([HIGHER, ALIKE, UNTOLD], "higher"), ([LOWER, UNTOLD], "lower"),
    ([HIGHER, LOWER], "both"), ([ALIKE, ALIKE], "alike"), ([ALIKE, UNTOLD], "untold"),
    ([UNTOLD], "untold")], ids=str)
def test_what_is_alike_is_told(words, said):
    "That settings do as well as each other is an answer, and no lack of one."
    ends = {HIGHER: (0.1, 0.2), LOWER: (-0.2, -0.1), ALIKE: (-0.005, 0.005), UNTOLD: (-0.3, 0.3)}
    found = [Difference(sum(ends[word])/2, *ends[word], 1., 3) for word in words]
    assert in_short(found, "higher", "lower", "alike", "untold", "both") == said

def test_a_single_seed_tells_nothing():
    table = shares(a=[0.9], b=[0.1])
    found = difference(table, "solved", "steps=16", "arm", "a", "b")
    assert found.word(0.01) == UNTOLD and np.isnan(found.low)
    row = next(over_seeds(table, "solved", "steps=16", arm="a").itertuples())
    assert np.isnan(over_seeds(table, "solved", "steps=16", ["arm"]).low).all()
    said = [verdict(found, "with a", "with b"), beside({"a": found}, "b"), confidence([found]),
        points_text(found), share_text(row), number_text(row, 1, sign=True)]
    assert said[0].endswith("(+80.0 points, one seed).") and said[3:] == ["+80.0", "90.0%", "+0.9"]
    assert not any("nan" in each or "1 seeds" in each for each in said), said

def test_where_machines_differed_each_seed_says_its_precision():
    table = shares(a=[0.5, 0.6, 0.7]).assign(arch="trm", parameters=1, updates=2, puzzle="p", train_puzzles=1,
        train_steps=1, global_batch_size=1, halt_max_steps=1, precision=["bfloat16", "bfloat16", "float32"])
    assert "; bfloat16 (seeds 0 or 1) and float32 (seed 2); seeds 0, 1 or 2." in passport_line(table)
    assert "; float32; seeds" in passport_line(table.assign(precision="float32"))
    many = pd.concat([table.assign(run=f"r{i}", parameters=1000 + i) for i in range(9)])
    assert "with 1,000 to 1,008 parameters" in passport_line(many)

def test_an_order_and_what_could_be_told():
    table = shares(a=[0.50, 0.52, 0.51], b=[0.90, 0.92, 0.91], c=[0.90, 0.93, 0.92])
    assert order(table, "solved", "steps=16", "arm") == "c ≈ b > a"
    assert 0.01 < least_told(table, "solved", "steps=16", ["arm"]) < 0.06
    with pytest.raises(InputError, match="no number 'solved' under 'steps=4'"):
        values_of(table, "solved", "steps=4")

# ---- the studies that come with trm-lab ------------------------------------------

NUMBERED = [study for study in all_studies() if study.number and not study.kept] # of laptop size

@pytest.mark.parametrize("study", NUMBERED, ids=lambda study: study.name)
def test_a_study_can_be_run_in_every_size(study, tmp_path):
    "At least three seeds, an expectation, a report that takes the table; small runs are few."
    sizes = {size: plan_study(study, size, tmp_path) for size in SIZES}
    assert [sweep.grid.name for sweep in sizes.values()] == [study.name,
        *(f"{study.name}-{size}" for size in ("smoke", "full", "full-smoke"))]
    short = [(trial.at, trial.parameters) for trial in sizes["full-smoke"].trials]
    assert all(parameters["train_steps"] == 3 and parameters["data"] is None for _, parameters in short)
    if "stability" in study.measures: # which needs three evaluations
        assert all(parameters["eval_every"] == 1 and parameters["holdout"] > 0 for _, parameters in short)
    rows = [{**trial.parameters, **TRUNCATED} for trial in sizes["full"].trials if not trial.at.get("seed")]
    assert all(row in [parameters for _, parameters in short] for row in rows), "a row is lost"
    assert len({trial.at.get("seed") for trial in sizes[""].trials}) >= 3 and len(sizes["smoke"].trials) <= 12
    assert study.question.endswith("?") and len(study.expected) > 100 and study.minutes <= 40
    assert read_template(find_template(f"studies/{study.name}")).parameters == {"table": None}

@pytest.mark.soak
@pytest.mark.parametrize("study", NUMBERED, ids=lambda study: study.name)
def test_every_row_of_the_published_size_can_be_trained(study, tmp_path):
    "Three steps of each of its models, measured as the whole would be: half a minute a row on two cores."
    process = Forked(COMMAND, "study", study.number, "--full", "--smoke",
        stderr=subprocess.STDOUT, env={**os.environ, "TRM_LAB_HOME": str(tmp_path)})
    said, _ = process.communicate(timeout=3600)
    assert process.returncode == 0 and "every row can be trained and measured" in said, said
    table = read_table(tmp_path/"reports"/"studies"/f"{study.name}-full-smoke"/"runs.parquet")
    assert table.run.nunique() == len(plan_study(study, "full-smoke", tmp_path).trials)

CHANGES = {"one seed": lambda t: t[t.seed == t.seed.min()],
    "a run less": lambda t: t[t.run != t.run.iloc[-1]],
    "all as good": lambda t: t.assign(value=t.value.where(~t.value.between(0, 1), 0.5)),
    "turned over": lambda t: t.assign(value=t.value.where(~t.value.between(0, 1), 1 - t.value))}

@pytest.mark.soak
@pytest.mark.parametrize("change", CHANGES)
@pytest.mark.parametrize("study", [s for s in all_studies() if not s.kept], ids=lambda study: study.name)
def test_a_report_can_be_drawn_of_any_table(study, change, tmp_path):
    "Of the kept one with other numbers or fewer runs: it is executed to its end, and shows no NaN."
    kept = ROOT/"reports"/"gallery"/"studies"/study.name/"runs.parquet"
    if not kept.exists(): pytest.skip("the gallery has no table of this study yet")
    table = read_table(kept)
    changed = CHANGES[change](table)
    write_table(tmp_path/"runs.parquet", changed, table.attrs)
    execute(find_template(f"studies/{study.name}"), tmp_path/"report.ipynb",
        {"table": str(tmp_path/"runs.parquet")})
    cells = nbformat.read(tmp_path/"report.ipynb", 4).cells
    said = [each.data["text/markdown"] for cell in cells if cell.cell_type == "code"
        for each in cell.outputs if "text/markdown" in each.get("data", {})]
    assert len(said) > 4 and not any(re.search(r"\bnan\b", each) for each in said)

def test_measures_of_a_trial_are_short():
    "Few supervision steps of two puzzles, also where an argument is left to its default; nothing is lost."
    asked = {"depth": {}, "rest": {"steps": 64, "looks": [16, 64]}, "halting": {"puzzles": None}, "cost": {},
        "shift": {"shifts": {"sudoku": ["a symmetry"]}}, "stability": {"last": 6}}
    assert truncated_measures(asked) == {"depth": {"steps": [1, 2], "puzzles": 2},
        "rest": {"steps": 8, "looks": [8], "puzzles": 2}, "halting": {"steps": 8, "puzzles": 2}, "cost": {},
        "shift": {"shifts": {"sudoku": ["a symmetry"]}, "steps": [2], "longest": 2, "puzzles": 2},
        "stability": {"last": 6}}
    study = find_study(10) # whose mazes of 30×30 are shifted in another way
    usual, full = (study.of_size(size).measures for size in ("", "full"))
    assert {**full, "shift": usual["shift"]} == usual == study.measures and full["shift"] != usual["shift"]
    assert study.of_size("full-smoke").measures["shift"] == {**full["shift"], "steps": [2], "longest": 2,
        "puzzles": 2}

@pytest.mark.soak
def test_a_symmetry_that_only_the_published_size_has_is_reported(tmp_path):
    "Boards of 9×9 can be transposed, those of 6×6 in the kept table of study 5 cannot."
    table = read_table(ROOT/"reports"/"gallery"/"studies"/"05_augmentation"/"runs.parquet")
    rows = table[table.augment == "rows"]
    more = rows.assign(augment="transposition", run=rows.run + "-transposed")
    write_table(tmp_path/"runs.parquet", pd.concat([table, more], ignore_index=True), table.attrs)
    execute(find_template("studies/05_augmentation"), tmp_path/"report.ipynb",
        {"table": str(tmp_path/"runs.parquet")})
    assert "transposed" in (tmp_path/"report.ipynb").read_text()

def test_a_study_without_a_number_is_found_by_its_name(tmp_path):
    "And has what the others have: three seeds, small runs, its table and its report."
    study = find_study("beyond")
    assert study.number is None and study == all_studies()[-1] # after those with numbers
    sweep = plan_study(study, "", tmp_path)
    assert {trial.at["seed"] for trial in sweep.trials} == {0, 1, 2}
    assert len(plan_study(study, "smoke", tmp_path).trials) <= 12
    assert read_template(find_template("studies/beyond")).parameters == {"table": None}
    kept = read_table(ROOT/"reports"/"gallery"/"studies"/"beyond"/"runs.parquet")
    assert kept.attrs["plan"]["runs"] == [trial.parameters for trial in sweep.trials]

def test_the_published_size_has_parameters_of_its_own(tmp_path):
    (tmp_path/"g.yaml").write_text("config: sudoku-4x4\nparameters: {train_steps: 5, lr: 1.0e-2}\n"
        "smoke: {parameters: {lr: 1.0e-3}}\nfull: {parameters: {lr: 1.0e-4}}\n")
    assert read_grid(tmp_path/"g.yaml", "smoke").parameters == {"train_steps": 5, "lr": 1e-3}
    assert read_grid(tmp_path/"g.yaml", "full").parameters == {"lr": 1e-4}
    with pytest.raises(InputError, match="the size .* is not known"): read_grid(tmp_path/"g.yaml", "fulll")

def trm_lab(*arguments):
    out, err = io.StringIO(), io.StringIO()
    with (pytest.MonkeyPatch.context() as patch, contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err)):
        patch.setattr(sys, "argv", ["trm-lab", *map(str, arguments)])
        with pytest.raises(SystemExit) as left: main()
    return left.value.code, out.getvalue(), err.getvalue()

def test_the_command_lists_and_plans():
    code, out, _ = trm_lab("study")
    lines = [f"{study.number or study.name:>2}  {study.question}" for study in all_studies()]
    assert code == 0 and all(line in out for line in lines) and lines[-1].startswith("beyond  What does")
    assert "0 of" in out and "minutes on two cores" in out
    code, out, _ = trm_lab("study", 3, "--full", "--dry-run")
    assert code == 0 and "03_ema-full; nothing was started" in out
    code, out, _ = trm_lab("study", 7, "--again", "--dry-run")
    assert code == 0 and "studies/07_width_and_backbone-again; nothing was started" in out
    code, out, _ = trm_lab("study", "beyond", "--smoke", "--dry-run") # it has no number
    assert code == 0 and "beyond-smoke; nothing was started" in out
    code, _, err = trm_lab("study", "13", "--dry-run")
    assert code == 2 and "there is no study '13'; choose from 01_n_and_T, " in err and ", beyond" in err
