"Findings of several probes: each beside its own control, and a study that reads them in place of runs."
import math
import pandas as pd, pytest
from trm_lab.core.errors import InputError
from trm_lab.interp.probes.base import Table, read_table, write_table
from trm_lab.interp.probes.verdicts import FAILS, FILE, HOLDS, UNDECIDED, claim_verdict, verdict_frame
from trm_lab.runs.kept import (
    ARCHITECTURE, FINDINGS, SIZE, TASK, Finding, found_in, kept_findings, kept_tables, task_of, whose)
from trm_lab.runs.studies import (
    all_studies, complete_table, plan_study, run_study, study_state)
from trm_lab.runs.templates import find_template, read_template

def reading(value, control, step=4):
    "A table of the probe `reading` with one number and its control, over the last two of some steps."
    table = Table("reading")
    for at in (step - 1, step): # of an earlier step nothing counts
        for name, middle in (("", value), ("untrained", control)):
            middle = middle if at == step else 1 - middle
            table.add("cell's value", "z_H", name, value=middle, low=middle - 0.02, high=middle + 0.02, n=50,
                step=at, cycle=0, substep=1)
    return table.frame

@pytest.mark.parametrize("value, control, margin, lower, word", [
    (0.9, 0.5, 0, False, HOLDS), (0.5, 0.9, 0, False, FAILS), (0.5, 0.51, 0, False, UNDECIDED),
    (0.5, 0.9, 0, True, HOLDS), (0.9, 0.5, 0.3, False, HOLDS), (0.9, 0.5, 0.5, False, FAILS),
    (0.9, 0.5, 0.4, False, UNDECIDED)])
def test_a_finding_is_judged_by_its_control_and_its_margin(value, control, margin, lower, word):
    rows = FINDINGS[0].measured, FINDINGS[0].control
    finding = Finding("it is", "reading", *rows, "untrained", margin, lower)
    found = found_in(finding, reading(value, control), "sudoku-4x4")
    assert found.verdict == word and found.value == value and found.n == 50
    assert found.effect == pytest.approx(value - control)

def test_what_a_table_lacks_cannot_be_told():
    found = found_in(FINDINGS[3], reading(0.9, 0.5), "sudoku-4x4")
    assert found.verdict == UNDECIDED and math.isnan(found.value)

@pytest.mark.parametrize("words, owner", [
    ({"sudoku-6x6": HOLDS, "maze-9x9": HOLDS}, ARCHITECTURE),
    ({"sudoku-6x6": FAILS, "arc-10x10": FAILS}, ARCHITECTURE),
    ({"sudoku-6x6": HOLDS, "maze-9x9": FAILS}, TASK), ({"sudoku-6x6": HOLDS, "sudoku-9x9": FAILS}, SIZE),
    ({"sudoku-6x6": HOLDS, "sudoku-9x9": HOLDS}, UNDECIDED), ({"maze-9x9": UNDECIDED}, UNDECIDED),
    ({"sudoku-6x6": HOLDS, "sudoku-9x9": FAILS, "maze-9x9": HOLDS}, TASK)])
def test_a_finding_is_the_architectures_if_two_tasks_agree(words, owner):
    rows = pd.DataFrame({"verdict": words.values(), "task": [task_of(puzzle) for puzzle in words]})
    assert whose(rows) == owner

def gallery_of(folder, value=0.9):
    "Two kept pages: one with a number, and one with a verdict."
    moves = {"value": 0.9, "low": 0.8, "high": 1.0, "n": 20}
    rests = {"value": 0.1, "low": 0.0, "high": 0.2}
    one = claim_verdict("it moves", "nobody", "motion", "", moves, "still", rests,
        {"models": "maze-5x5", "puzzle": "maze-5x5", "study": "dynamics"})
    for place, frame in (("reading-sudoku-4x4/reading.parquet", reading(value, 0.5)),
            (f"dynamics-maze-5x5/{FILE}", verdict_frame([one]))):
        (folder/place).parent.mkdir(parents=True, exist_ok=True)
        write_table(folder/place, frame, {})
    return folder

def test_all_kept_tables_make_one(tmp_path):
    assert not kept_tables(tmp_path)
    with pytest.raises(InputError, match="no tables of probes are kept here"): kept_findings(tmp_path)
    found = kept_findings(gallery_of(tmp_path))
    assert [*found.task] == ["maze", *["Sudoku"]*sum(f.probe == "reading" for f in FINDINGS)]
    assert not found.duplicated(["claim", "puzzle"]).any()
    assert {*found.page} == {"dynamics-maze-5x5", "reading-sudoku-4x4"}

def test_the_study_needs_no_run_and_follows_its_tables(tmp_path):
    study = next(each for each in all_studies() if each.kept)
    assert "no table" in str(study_state(study, reports=tmp_path)) # listing it needs no gallery
    gallery_of(tmp_path/"gallery")
    def engine(sweep): raise AssertionError("nothing is to be run")
    table = run_study(study, engine, report=False, reports=tmp_path)
    assert complete_table(study, plan_study(study, "", tmp_path)) == table
    assert "0 of 0 runs, table, no report" in str(study_state(study, reports=tmp_path))
    assert read_table(table).attrs["question"] == study.question
    gallery_of(tmp_path/"gallery", 0.8)
    assert complete_table(study, plan_study(study, "", tmp_path)) is None
    with pytest.raises(InputError, match="has one size; leave out --full"):
        plan_study(study, "full", tmp_path)
    with pytest.raises(InputError, match="has one size; leave out --full and --smoke$"):
        plan_study(study, "full-smoke", tmp_path)
    assert read_template(find_template(f"studies/{study.name}")).parameters == {"table": None}
