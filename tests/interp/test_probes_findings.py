"""What probes find of one puzzle: the numbers of the study of many, planted truths, and what is refused."""
from dataclasses import replace
import numpy as np, pytest, torch
from test_probes_patching import LATENTS, Planted, planted_pairs
from trm_lab.core.errors import InputError
from trm_lab.data.generate import generate_dataset
from trm_lab.interp.probes.base import Table
from trm_lab.interp.probes.findings import (
    as_split, cell_effects_by_step, findings_of, partner, site_effects, study_findings)
from trm_lab.interp.probes.patching import cell_effects, last_sites, leaning, patched, record, run_on
from trm_lab.interp.probes.verdicts import over_models_rows
from trm_lab.interp.session import Session
from trm_lab.interp.trace import run_with_trace
from trm_lab.models.checkpoints import load_pretrained

STEPS = 4

def recorded(model, pair):
    return [record(model, split, STEPS + 1, lambda site: site.step <= STEPS)
        for split in (pair.mine, pair.other)]

@pytest.fixture(scope="module")
def loaded(): return load_pretrained("sudoku-4x4")

@pytest.fixture(scope="module")
def session(loaded):
    return Session(loaded, generate_dataset(loaded.puzzle, 1, 4, seed=7).test, max_steps=STEPS)

def test_what_is_read_is_found_in_every_step_and_a_decoy_is_not():
    pair, model = planted_pairs(1), Planted().eval()
    runs = recorded(model, pair)
    at_site, random = site_effects(model, *runs, pair)
    by_name = dict(zip(LATENTS, at_site.reshape(STEPS, len(LATENTS)).T))
    assert np.allclose(by_name["thought"], 1) and not by_name["decoy"].any() and not by_name["said"].any()
    assert np.abs(random).max() < 0.9
    cells = cell_effects_by_step(model, *runs, pair)
    assert np.allclose(cells["thought"], np.arange(6) == 0) and not cells["decoy"].any()

def test_all_steps_at_once_are_each_step_by_itself(loaded, session):
    "The numbers of the functions that a study uses, a place at a time."
    model, found = loaded.model, findings_of(session, 0, long=8)
    ours, theirs = recorded(model, found.pair)
    for site in last_sites(model, 3):
        effects = cell_effects(model, ours, theirs, found.pair, site)
        alone = effects.moved[0].sum(1)/effects.whole[0].sum()
        assert np.allclose(found.at_cell[2, session.names.index(site.name)], alone, atol=1e-4)
    sites = list(ours.states)
    for site in sites[2::5]:
        state = patched(ours.states[site], theirs.states[site], site.name)
        lean = leaning(run_on(model, ours.x, state, site, 1)[-1], found.pair)
        before, end = (leaning(run.logits[site.step], found.pair) for run in (ours, theirs))
        assert np.isclose(found.at_site[sites.index(site)], ((lean - before)/(end - before))[0], atol=1e-4)
    root = session.root(0)
    for f in (len(session.schedule) + 1, root.length): # an update's residual is its change over the size
        site = root.place(f)
        z, before = (root.latent(place, site.name) for place in (site, root.place(f - 1)))
        assert np.isclose(found.residual[f - 1], (z - before).norm()/z.norm(), atol=1e-4)

def test_a_puzzle_that_is_not_solved_has_no_partner(loaded, session):
    before = findings_of(session, 1, long=8)
    broken = load_pretrained("sudoku-4x4")
    with torch.no_grad(): broken.model.lm_head.weight.neg_()
    found = findings_of(Session(broken, session.batch, max_steps=STEPS), 1, long=8)
    assert before.pair and found.pair is None and found.at_cell is None and np.isnan(found.at_site).all()
    assert np.isfinite(found.residual[2:]).all() and len(found.path.motion) == 1

def test_text_without_an_answer_gets_it_from_the_rules(loaded, session):
    text = session.puzzle.print(session.batch.inputs[0].numpy().astype(np.uint8))
    typed = Session(loaded, text, max_steps=STEPS)
    assert not typed.labelled
    found, known = (findings_of(each, 0, long=8) for each in (typed, session))
    assert np.allclose(found.at_site, known.at_site, atol=1e-5)

def test_what_cannot_be_asked_is_said(loaded, session):
    trace = replace(run_with_trace(loaded.model, session.batch, STEPS), model=None)
    with pytest.raises(InputError, match="this recording has no model"):
        findings_of(Session(trace, puzzle=loaded.puzzle))
    half = load_pretrained("sudoku-4x4", dtype=torch.bfloat16)
    with pytest.raises(InputError, match="computes in bfloat16"): findings_of(Session(half, session.batch))

def test_means_of_a_study(session):
    table, u = Table("patching"), session.schedule[0]
    at = {"step": 2, "cycle": u.cycle, "substep": u.substep}
    for pairs, value in (("one given", 0.5), ("a symmetry", 0.9)):
        for after in (0, 1):
            table.rows.append({"study": "patching", "measure": "effect", "latent": u.name, "control": "",
                **at, "after": after, "pairs": pairs, "value": value + after/10, "low": 0., "high": 1.,
                "n": 9, "model": "one"})
    over_models_rows(table)
    found = study_findings(table.frame, session)
    [i] = np.flatnonzero(np.isfinite(found.at_site))
    assert i == len(session.schedule) and np.isclose(found.at_site[i], 0.6) and "patching" in found.source
    with pytest.raises(InputError, match="no effect and no residual"):
        study_findings(table.frame.assign(step=STEPS + 1), session)

def test_a_partner_is_one_that_the_model_solves(loaded, session):
    split = as_split(session.batch)
    for i in range(len(split)):
        pair = partner(loaded.model, loaded.puzzle, split.only(np.array([i])), STEPS)
        if pair is None: continue
        assert len(pair) == 1 and pair.decision.any()
        run = record(loaded.model, pair.other, STEPS)
        assert (run.logits[-1, 0].argmax(-1).numpy() == pair.other.labels[0]).all()
