"""Exchanged latents and transformed puzzles against planted truths: what is written and read is found, a
decoy that nobody reads is not; a symmetric model is equivariant, and a broken one is not."""
import numpy as np, pytest, torch
from trm_lab.core.errors import InputError
from trm_lab.data.datasets import split_of
from trm_lab.data.generate import generate_dataset
from trm_lab.interp.probes.base import Table
from trm_lab.interp.probes.patching import (
    DECISION, DIRECTION, FROZEN, ONCE, STRANGER, Amounts, Pairs, MEASURES, cell_effects, cell_rows,
    effect_interval, identity_rows, last_sites, noise_rows, pairs_by_given, pairs_by_symmetry,
    patching_verdicts, random_pairs, record, removal_rows, site_rows, smallest_sets, solved_without,
    steps_to_recover, study_patching, with_unknown)
from trm_lab.interp.probes.symmetry import (
    AFTER, ANOTHER, BEFORE, MISMATCHED, ROTATED, STARTS, CellStates, equivariance_rows, freed_rows,
    order_of, procrustes, transfer_rows, transformations)
from trm_lab.interp.probes.verdicts import over_models_rows
from trm_lab.interp.trace import Site
from trm_lab.models.checkpoints import Loaded, load_pretrained
from trm_lab.models.trm import Output, RecursiveModel, State, Update
from trm_lab.models.variants import build_model
from trm_lab.puzzles.base import Permutation, find_puzzle
from trm_lab.views import patching_plots as plots

CELLS, DIGITS, WIDTH = 6, 4, 16
LATENTS = "decoy", "thought", "said"

class Planted(RecursiveModel):
    """Writes each cell's token into a decoy and a thought once, at the start; only the thought is read.
    Tokens are from 1; token 1 is an empty cell, whose answer is its left neighbour's token."""
    dtype, puzzle_positions = torch.float32, 0
    def __init__(self, broken:bool=False):
        super().__init__()
        self.broken = broken # another answer in the first cell
        axes = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(0)))[0]
        self.tokens = torch.nn.Parameter(axes[:DIGITS + 2], requires_grad=False) # (V, D)
    def embed(self, batch): return self.tokens[batch.inputs]
    def start(self, x, generator=None): return State({name: torch.zeros_like(x) for name in LATENTS})
    def schedule(self): return tuple(Update(0, i, name, False) for i, name in enumerate(LATENTS))
    def update(self, x, state, u):
        if u.name == "said":
            here = state["thought"]
            empty = ((here @ self.tokens.T).argmax(-1) == 1)[..., None]
            said = torch.where(empty, here.roll(1, 1), here)
            if self.broken: said = torch.cat([self.tokens[2].expand_as(said[:, :1]), said[:, 1:]], 1)
            return state.replace(said=said)
        written = state[u.name].abs().sum((1, 2), keepdim=True) > 0
        return state.replace(**{u.name: torch.where(written, state[u.name], x)})
    def decode(self, z): return 9*(z @ self.tokens.T)
    def read(self, state):
        none = torch.zeros(len(state["said"]))
        return Output(self.decode(state["said"]), none, none)

def planted_pairs(N:int)->Pairs:
    "Two boards with an empty second cell, whose answer is in the first; the first differs."
    rng = np.random.default_rng(0)
    boards = rng.integers(2, DIGITS + 2, (2, N, CELLS)).astype(np.uint8)
    boards[1] = boards[0]
    boards[1, :, 0] = (boards[0, :, 0] - 1) % DIGITS + 2
    boards[:, :, 1] = 1
    answers = boards.copy()
    answers[:, :, 1] = boards[:, :, 0]
    return Pairs("one given", *(split_of(zip(q, a)) for q, a in zip(boards, answers)))

@pytest.fixture(scope="module")
def pairs(): return planted_pairs(24)

def value(table, measure, control="", **where):
    rows = table.frame
    rows = rows[(rows.measure == measure) & (rows.control == control)]
    for name, wanted in where.items(): rows = rows[rows[name] == wanted]
    assert len(rows) == 1, (measure, where, len(rows))
    return rows.iloc[0]

def test_the_pairs_decide_where_they_should(pairs):
    assert (pairs.changed.sum(1) == 1).all() and (pairs.decision == (np.arange(CELLS) == 1)).all()

def test_what_is_read_is_found_and_a_decoy_is_not(pairs):
    table = Table("patching")
    site_rows(table, Planted().eval(), pairs, (1, 2), model="planted")
    for step in (1, 2):
        at = {"step": step, "after": 1, "latent": "thought"}
        assert value(table, "effect", **at).low > 0.99 and value(table, "as the partner", **at).value == 1
        assert value(table, "still solved", **at).value == 0
        assert value(table, "as the partner", STRANGER, **at).value < 0.5
        at["latent"] = "decoy"
        assert value(table, "effect", **at).value == 0 and value(table, "still solved", **at).value == 1
    forgotten = {"step": 1, "latent": "said"} # it is made anew from the thought
    assert value(table, "effect", after=0, **forgotten).value == pytest.approx(1)
    assert value(table, "effect", after=1, **forgotten).value == 0
    assert value(table, "effect", DIRECTION, step=1, after=0, latent="said").value < 0.6

def test_the_cell_that_carries_the_decision_is_found(pairs):
    model, table = Planted().eval(), Table("patching")
    sites = last_sites(model, 1)
    ours, theirs = (record(model, split, 2, sites.__contains__) for split in (pairs.mine, pairs.other))
    thought, decoy = (next(site for site in sites if site.name == name) for name in ("thought", "decoy"))
    effects = cell_effects(model, ours, theirs, pairs, thought)
    per_cell = effects.moved.sum(2).mean(0)/effects.whole.sum(1).mean()
    assert np.allclose(per_cell, np.eye(CELLS)[0], atol=1e-5) # the given to the left, and nothing else
    cell_rows(table, effects, pairs, thought, model="planted")
    assert value(table, "effect of a cell", kind=DECISION, where="itself").value == pytest.approx(0, abs=1e-6)
    found = smallest_sets(model, ours, theirs, pairs, thought)
    assert found.carried.all() and (found.cells == (np.arange(CELLS) == 0)).all()
    assert not smallest_sets(model, ours, theirs, pairs, decoy, most=3).carried.any()

def test_freezing_what_is_read_loses_the_answer_and_freezing_a_decoy_does_not(pairs):
    model, table = Planted().eval(), Table("patching")
    removal_rows(table, model, pairs.mine, (1, 2), 3, model="planted")
    frozen = {name: value(table, "lost", latent=name, step=1, removed=FROZEN).value for name in
        ("decoy", "thought", "said")}
    assert frozen == {"decoy": 0, "thought": 1, "said": 1}
    assert value(table, "lost", latent="thought", step=2, removed=FROZEN).value == 0 # it was written once
    assert value(table, "lost", ONCE, latent="thought", step=1, removed=FROZEN).value == 0
    assert solved_without(model, pairs.mine, 2, lambda step, u: step == 2)[-1].all()

def test_noise_on_a_decoy_is_not_noticed(pairs):
    table = Table("patching")
    noise_rows(table, Planted().eval(), pairs.mine, (1,), (5.,), 3, model="planted")
    assert value(table, "solved after noise", latent="decoy").value == 1
    assert value(table, "steps to recover", latent="decoy").value == 0
    assert value(table, "solved after noise", latent="thought").value < 0.5

def test_effects_and_recovery_by_hand():
    assert effect_interval(np.array([1., 0, 3, np.nan]), np.array([2., 1, 5, 1]))["value"] == 0.5
    assert np.isnan(effect_interval(np.zeros(0), np.zeros(0))["value"])
    same = np.array([[0, 1, 0, 1], [1, 1, 0, 0], [1, 1, 0, 1]], bool)
    assert steps_to_recover(same).tolist() == [1, 0, 3, 2]

@pytest.mark.parametrize("name", ["sudoku-4x4", "maze-8x8", "lights_out-3x3"])
def test_pairs_of_every_type(name):
    puzzle = find_puzzle(name)
    split, rng = generate_dataset(puzzle, 1, 12, seed=3).test, np.random.default_rng(0)
    by_given, by_symmetry = pairs_by_given(puzzle, split, rng), pairs_by_symmetry(puzzle, split, rng)
    for pairs in (by_given, by_symmetry, random_pairs(split, rng)):
        assert len(pairs) > 3 and pairs.decision.any(1).all()
        assert puzzle.solved(np.asarray(pairs.other.inputs), np.asarray(pairs.other.labels)).all()
    assert (by_given.changed.sum(1) == 1).all()
    easy = with_unknown(split, 1, rng)
    assert ((easy.inputs != easy.labels).sum(1) <= 1).all()

def test_a_study_from_end_to_end():
    four, table = load_pretrained("sudoku-4x4"), Table("patching")
    few = Amounts(3, (1, 2), 3, 2, 2, 2, 6, (1.,), (1,))
    split = generate_dataset(four.puzzle, 1, 12, seed=3).test
    study_patching(table, four, split, "sudoku-4x4", few, progress=False)
    over_models_rows(table, MEASURES)
    found = patching_verdicts(table.frame, {"models": "4×4", "puzzle": "sudoku-4x4", "study": "test"})
    assert all(np.isfinite(one.value) for one in found if "freezing" not in one.claim)
    for draw in (plots.effects_by_site, plots.controls_of_patching, plots.maps_of_an_example, plots.left_out,
            plots.cells_by_kind, plots.sets_of_cells, plots.noise_and_recovery, plots.unknown_cells):
        draw(table.frame).canvas.draw()

def tiny(identities:int)->Loaded:
    "An untrained model of 4×4 with some identities."
    torch.manual_seed(0)
    puzzle = find_puzzle("sudoku-4x4")
    shape = {"seq_len": 16, "vocab_size": puzzle.vocab_size, "hidden_size": 16, "num_heads": 2,
        "swiglu_multiple": 16, "H_cycles": 2, "L_cycles": 1, "puzzle_emb_len": 1}
    model = build_model("trm", {**shape, "num_puzzle_identifiers": identities})
    return Loaded(model.eval(), puzzle, {}, source="tiny")

def test_identities_are_swapped_where_there_are_several():
    split = generate_dataset(tiny(4).puzzle, 1, 6, seed=3).test
    for identities, kinds in ((4, {"own", "another task's", "blank"}), (1, set())):
        table = Table("patching")
        identity_rows(table, tiny(identities).model, split, 2, model="tiny")
        assert {row["identity"] for row in table.rows} == kinds

def test_a_model_that_solves_nothing_is_refused():
    split = generate_dataset(tiny(1).puzzle, 1, 6, seed=3).test
    with pytest.raises(InputError, match="of no pair does tiny solve both puzzles"):
        study_patching(Table("patching"), tiny(1), split, "tiny", Amounts(2, (1,), 2), progress=False)

# ---- symmetry

class Shifts:
    "A type of puzzle whose boards may be turned round in a ring, and their tokens renamed."
    seq_len, rows, cols = CELLS, 1, CELLS
    decides = False # the labels say what is right
    def symmetries(self, rng, count):
        cells = (np.arange(CELLS) + rng.integers(1, CELLS, count)[:, None]) % CELLS
        names = rng.random((count, DIGITS)).argsort(1) + 2
        return Permutation(cells, np.concatenate([np.tile([0, 1], (count, 1)), names], 1).astype(np.uint8))

def test_a_symmetric_model_is_equivariant_and_a_broken_one_is_not(pairs):
    for broken in (False, True):
        table = Table("symmetry")
        equivariance_rows(table, Planted(broken).eval(), Shifts(), pairs.mine, 2, model="planted")
        moved, renamed = (value(table, "cells as transformed", kind=kind, step=2)
            for kind in ("cells moved", "tokens renamed"))
        chance = value(table, "cells as transformed", ANOTHER, kind="cells moved", step=2)
        if not broken: assert moved.value == renamed.value == 1 and chance.value < 0.6
        else: assert value(table, "both solved or neither", kind="cells moved", step=2).value < 1

def test_a_copy_frees_what_fails_in_one_place_only(pairs):
    "The broken model is wrong in the first cell; a turned copy puts another one there, a start does not."
    shown = pairs.mine.only(np.flatnonzero(pairs.mine.labels[:, 0] != 2))
    table = Table("symmetry")
    freed_rows(table, Planted(True).eval(), Shifts(), shown, 6, 2, model="planted")
    assert value(table, "freed", tries=6).value > 0.5
    assert value(table, "freed", STARTS, tries=6).value == 0

def test_kinds_of_transformations():
    rng = np.random.default_rng(0)
    for name, count in (("sudoku-4x4", 3), ("maze-8x8", 7), ("lights_out-3x3", 7)):
        puzzle = find_puzzle(name)
        split = generate_dataset(puzzle, 1, 4, seed=3).test
        kinds = transformations(puzzle, 4, rng)
        assert len(kinds) == count
        for symmetry in kinds.values():
            assert puzzle.solved(*symmetry(np.asarray(split.inputs), np.asarray(split.labels))).all()

def states_of(x:torch.Tensor, values:np.ndarray)->CellStates:
    return CellStates({Site(1, 0, 0, "z"): x}, values, np.arange(len(x))//4, len(x)//4)

def test_a_rotated_model_is_told_by_the_best_rotation_and_only_by_that():
    rng, generator = np.random.default_rng(0), torch.Generator().manual_seed(0)
    values = rng.integers(0, 5, 240)
    x = torch.eye(12)[values]*3 + 0.3*torch.randn(240, 12, generator=generator)
    turn = torch.linalg.qr(torch.randn(12, 12, generator=generator))[0]
    assert torch.allclose(procrustes(x @ turn, x)(x @ turn), x, atol=1e-4)
    noise = torch.randn(240, 12, generator=generator)
    def both(z): return states_of(z[:120], values[:120]), states_of(z[120:], values[120:])
    table = Table("symmetry")
    models = {"one": both(x), "other": both(x @ turn), "bare": both(noise)}
    transfer_rows(table, models, np.arange(5), bare="bare")
    found = {way: value(table, "value transferred", way, model="one").value
        for way in ("own", BEFORE, AFTER, ROTATED, MISMATCHED, "untrained")}
    assert found["own"] > 0.95 and found[AFTER] > 0.95
    assert max(found[way] for way in (BEFORE, ROTATED, MISMATCHED, "untrained")) < 0.7

def test_order_is_found_where_it_is():
    line = np.arange(6)[:, None]*np.ones((6, 3))
    assert order_of(line) == pytest.approx(1)
    assert abs(order_of(np.eye(6) + 1e-3*np.random.default_rng(0).normal(size=(6, 6)))) < 0.6
