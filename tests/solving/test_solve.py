"Search: more than one try a puzzle. What it claims, what it counts, and that nobody's neighbours matter."
from collections import Counter
from dataclasses import replace
import numpy as np, pytest, torch
from hypothesis import given, settings, strategies as st
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.data.generate import generate_dataset
from trm_lab.data.batches import make_batch
from trm_lab.data.datasets import split_of
from trm_lab.core.errors import InputError
from trm_lab.models.halting import BinaryHalting
from trm_lab.models.trm import RecursiveModel, Output, State, Update
from trm_lab.puzzles.arc import Arc, to_tokens
from trm_lab.puzzles.base import Permutation
from trm_lab.puzzles.lights_out import LightsOut
from trm_lab.puzzles.maze import FREE, GOAL, PATH, START, WALL, Maze, _judged
from trm_lab.puzzles.sudoku import BLANK, Sudoku, _shuffled
from trm_lab.solving.search import ASSUMED_STEPS, SELECTORS, Search, Stopped, solve_by_search
from trm_lab.solving.evaluate import evaluate
from trm_lab.solving.solve import solve

BOXES = [(2, 2), (2, 3), (3, 2), (2, 4), (3, 3), (2, 5), (3, 4), (4, 4), (5, 5)]
SIX = Sudoku(2, 3)

def drawn(puzzle, count, seed=0):
    puzzles = puzzle.generate(np.random.default_rng(seed))
    return tuple(map(np.stack, zip(*(next(puzzles) for _ in range(count)))))

# ---- rules and symmetries ------------------------------------------------------

@pytest.mark.parametrize("box", BOXES, ids=str)
def test_legal_is_the_verdict_of_check(box):
    "On right, corrupted, incomplete and random boards, and where only a given was changed."
    sudoku, rng = Sudoku(*box), np.random.default_rng(0)
    solutions = np.stack([_shuffled(sudoku.box, rng) for _ in range(300)])
    questions = np.where(rng.random(solutions.shape) < 0.4, solutions, BLANK).astype(np.uint8)
    answers, cells = solutions.copy(), rng.integers(sudoku.seq_len, size=300)
    some = np.arange(300)
    # may be padding, blank, or the right digit
    answers[some[:100], cells[:100]] = rng.integers(0, sudoku.vocab_size, 100)
    swapped = np.arange(sudoku.vocab_size); swapped[[2, 3]] = swapped[[3, 2]]
    answers[100:150] = swapped[answers[100:150]] # keeps the units right, but not the givens
    answers[150:200] = rng.integers(BLANK, sudoku.vocab_size, (50, sudoku.seq_len))
    expected = [sudoku.check(q, a).solved for q, a in zip(questions, answers)]
    found = sudoku.solved(questions, answers)
    assert (found.dtype == bool and found.tolist() == expected and 0 < sum(expected) < 300
        and not found[150:200].any() and found[200:].all())
    assert sudoku.solved(questions[:0], answers[:0]).shape == (0,)

@pytest.mark.parametrize("puzzle", [Maze(6, 6, min_path=5), LightsOut(3, 4), SIX], ids=lambda p: p.name)
def test_legal_is_what_scores_call_legal(puzzle):
    questions, labels = drawn(puzzle, 20)
    answers = np.concatenate([labels, np.roll(labels, 1, 0)])
    questions = np.concatenate([questions]*2)
    expected = [puzzle.scores(q, a)["solved"] for q, a in zip(questions, answers)]
    assert puzzle.solved(questions, answers).tolist() == expected and all(expected[:20]) and not all(expected)

def spoiled(rng, questions, labels, vocabulary):
    "Right answers, wrong ones, and nonsense."
    labels = np.concatenate([labels]*4)
    some = np.arange(len(labels))
    n = len(questions)
    slips = labels.copy()
    slips[some, rng.integers(labels.shape[1], size=len(some))] = rng.integers(0, vocabulary, len(some))
    noise = rng.integers(0, vocabulary, labels.shape).astype(labels.dtype)
    return (np.concatenate([questions]*4),
        np.concatenate([labels[:n], slips[n:2*n], np.roll(labels, 1, 0)[2*n:3*n], noise[3*n:]]))

def by_hand(puzzle, question, answer):
    "What one board says, asked for alone."
    solved = puzzle.check(question, answer).solved
    if not isinstance(puzzle, Maze): return {"solved": solved}
    valid = _judged(question, answer, puzzle.rows, puzzle.cols)[0].solved
    return {"solved": solved, "optimal": solved, "valid": valid}

@pytest.mark.parametrize("puzzle", [SIX, Sudoku(2, 2), Maze(6, 6, min_path=5), Maze(3, 7, min_path=3),
        LightsOut(3, 4), Arc()], ids=lambda p: p.name)
def test_many_boards_are_scored_as_each_alone(puzzle):
    rng = np.random.default_rng(3)
    if isinstance(puzzle, Arc):
        grids = [[to_tokens(rng.integers(0, 10, rng.integers(1, 30, 2)).tolist()) for _ in range(2)]
            for _ in range(40)]
        questions, labels = map(np.stack, zip(*grids))
        questions, labels = puzzle.symmetries(rng, len(labels))(questions, labels)
    else: questions, labels = drawn(puzzle, 200 if isinstance(puzzle, Maze) else 50)
    if isinstance(puzzle, Maze): # most of what may be marked on a maze: detours, loops, forks, gaps
        free = (questions == FREE) & (rng.random(questions.shape) < rng.uniform(0, 1, (len(questions), 1)))
        questions, labels = (np.concatenate([questions]*2),
            np.concatenate([labels, np.where(free, PATH, questions)]))
    questions, answers = spoiled(rng, questions, labels, puzzle.vocab_size)
    expected = [by_hand(puzzle, q, a) for q, a in zip(questions, answers)]
    found = puzzle.score_boards(questions, answers)
    assert list(found) == list(expected[0]) and all(values.dtype == bool for values in found.values())
    for name in found:
        assert (found[name].tolist() == [scores[name] for scores in expected]
            and 0 < found[name].sum() < len(answers)), name
    assert puzzle.solved(questions, answers).tolist() == found["solved"].tolist()
    assert [puzzle.scores(q, a) for q, a in zip(questions[:9], answers[:9])] == expected[:9]
    assert all(len(values) == 0 for values in puzzle.score_boards(questions[:0], answers[:0]).values())

def test_every_way_to_walk_a_small_maze_is_judged_alike():
    "All that can be marked on an open 3×4 board: every path, loop, fork and stray cell."
    maze, free = Maze(3, 4, min_path=1), np.delete(np.arange(12), [0, 3])
    question = np.full(12, FREE, np.uint8); question[[0, 3]] = START, GOAL
    answers = np.repeat(question[None], 2**10, 0)
    answers[:, free] = np.where(np.arange(2**10)[:, None] >> np.arange(10) & 1, PATH, FREE)
    found = maze.score_boards(np.repeat(question[None], 2**10, 0), answers)
    expected = [by_hand(maze, question, answer) for answer in answers]
    for name in ("valid", "optimal"): assert found[name].tolist() == [scores[name] for scores in expected]
    assert found["valid"].sum() > found["optimal"].sum() == 1
    with pytest.raises(InputError, match="no path from S to G"):
        walled = np.array([[START, WALL, GOAL]], np.uint8)
        Maze(1, 3, min_path=2).score_boards(walled, walled)

def test_a_type_may_still_score_board_by_board():
    "A type of one's own from before: it says `scores` of one board, and evaluate asks it."
    class Corners(LightsOut):
        def scores(self, question, answer):
            return {"solved": self.check(question, answer).solved, "corner": bool(answer[0] == 4)}
    puzzle, plain = Corners(3, 3), LightsOut(3, 3)
    questions, labels = drawn(plain, 20)
    found = puzzle.score_boards(questions, labels)
    assert (found["solved"].all() and (found["corner"] == (labels[:, 0] == 4)).all()
        and 0 < found["corner"].sum() < 20)

@given(st.sampled_from([*(Sudoku(*box) for box in BOXES), Maze(4, 4, min_path=3), Maze(3, 5, min_path=3),
        LightsOut(3, 3), LightsOut(2, 4)]), st.integers(0, 2**32))
@settings(deadline=None, max_examples=100)
def test_a_disguise_can_be_taken_off(puzzle, seed):
    "Any board comes back as it was, right or not."
    rng = np.random.default_rng(seed)
    boards, augmentation = (rng.integers(0, puzzle.vocab_size, (5, puzzle.seq_len)).astype(np.uint8),
        puzzle.symmetries(rng, 5))
    image = augmentation.apply(boards)
    assert ((augmentation.invert(image) == boards).all()
        and (augmentation.apply(augmentation.invert(boards)) == boards).all() and image.dtype == boards.dtype)

@pytest.mark.parametrize("puzzle",
    [SIX, Sudoku(3, 3), Maze(6, 6, min_path=5), LightsOut(3, 3)], ids=lambda p: p.name)
def test_an_answer_to_the_disguise_answers_the_puzzle(puzzle):
    questions, labels = drawn(puzzle, 12)
    augmentation = puzzle.symmetries(np.random.default_rng(1), 12)
    images, answers = augmentation(questions, labels)
    assert ((augmentation.apply(questions) == images).all()
        and (augmentation.invert(images) == questions).all() and (images != questions).any())
    assert (puzzle.solved(images, answers).all()
        and puzzle.solved(questions, augmentation.invert(answers)).all())
    if not isinstance(puzzle, (Maze, LightsOut)):
        assert (augmentation.invert(answers) == labels).all() # those label anew

# ---- a model -------------------------------------------------------------------

@pytest.fixture(scope="module")
def shipped(): return load_pretrained("sudoku-6x6")

@pytest.fixture(scope="module")
def puzzles():
    "With three that the model fails at first."
    return generate_dataset(SIX, 1, 100, seed=9).test

def some(puzzles, numbers): return make_batch(puzzles.inputs[numbers], puzzles.labels[numbers])

def assert_same(a, b, names=("tokens", "steps", "tries", "spent", "answers", "q_halt")):
    for name in names:
        one, other = getattr(a, name), getattr(b, name)
        assert torch.allclose(one, other, atol=1e-3) if name == "q_halt" else torch.equal(one, other), name

@pytest.mark.parametrize("halting", [None, BinaryHalting(4)], ids=["fixed", "adaptive"])
@pytest.mark.parametrize("strategy", ["symmetries", "latents"])
def test_without_restarts_it_is_solve_to_the_bit(shipped, puzzles, halting, strategy):
    batch = some(puzzles, np.arange(24))
    found, plain = (solve_by_search(shipped.model, SIX, batch, Search(0, strategy, noise=1.), 4, halting),
        solve(shipped.model, batch, 4, halting))
    for name in ("tokens", "steps", "q_halt"): assert torch.equal(getattr(found, name), getattr(plain, name))
    assert found.updates == plain.updates and found.waves == (1,) and found.solved is None
    assert ((found.tries == 1).all() and torch.equal(found.spent[0], plain.steps)
        and torch.equal(found.answers[0].long(), plain.tokens))
    a, b = (evaluate(shipped.model, SIX, puzzles.first(24), 4, halting, search=search)
        for search in (None, Search(0, strategy)))
    assert (replace(a.scores, puzzles_per_second=0.) == replace(b.scores, puzzles_per_second=0.)
        and (a.tokens == b.tokens).all() and a.after == b.after)

@pytest.mark.parametrize("search", [Search(5, noise=0.3, select="residual"),
        Search(5, "latents", select="vote", noise=0.3), Search(5, "plain", noise=0.5),
        Search(5, stop_when="solved"), Search(5, "latents", stop_when="solved", noise=0.3),
        Search(5, "assume"), Search(5, "assume", stop_when="solved", cells=2),
        Search(5, "branch", stop_when="solved")],
    ids=lambda s: f"{s.strategy}-{s.stop_when or s.select}")
def test_a_puzzle_has_the_same_fate_alone(shipped, puzzles, search):
    "Whatever the size of a batch, and whoever is in it, as long as its number is the same."
    numbers, steps = np.array([3, 50, 7, 66, 90, 12]), 2
    whole = solve_by_search(shipped.model, SIX, some(puzzles, numbers), search, steps, numbers=numbers)
    few = solve_by_search(shipped.model, SIX, some(puzzles, numbers), search, steps, rows=2, numbers=numbers)
    assert_same(whole, few)
    for i, number in enumerate(numbers[:3]):
        alone = solve_by_search(shipped.model, SIX, some(puzzles, [number]), search, steps,
            numbers=np.array([number]))
        assert (torch.equal(alone.tokens[0], whole.tokens[i])
            and torch.equal(alone.spent[:, 0], whole.spent[:, i]) and alone.tries[0] == whole.tries[i])
    a, b = (evaluate(shipped.model, SIX, puzzles.first(16), steps, search=search, batch_size=size)
        for size in (64, 3))
    assert ((a.tokens == b.tokens).all() and (a.spent == b.spent).all()
        and (a.tries == b.tries).all() and a.after == b.after)

@pytest.mark.parametrize("strategy", ["symmetries", "latents", "plain"])
def test_another_seed_or_number_is_another_try(shipped, puzzles, strategy):
    batch = some(puzzles, np.arange(12))
    run = lambda seed, numbers=None: solve_by_search(shipped.model, SIX, batch,
        Search(1, strategy, "halting", seed=seed, noise=0.05), 1, numbers=numbers).q_halt
    assert (torch.equal(run(0), run(0)) and not torch.equal(run(0), run(1))
        and not torch.equal(run(0), run(0, np.arange(12) + 12)))

def test_until_legal_ends_a_puzzle_and_counts_the_work(shipped, puzzles):
    batch = some(puzzles, np.arange(100))
    course = [solve(shipped.model, batch, t).tokens.numpy() for t in (1, 2, 3, 4)]
    # 1 where it never is
    first = np.stack([SIX.solved(puzzles.inputs, tokens) for tokens in course]).argmax(0) + 1
    ever = np.stack([SIX.solved(puzzles.inputs, tokens) for tokens in course]).any(0)
    found = solve_by_search(shipped.model, SIX, batch, Search(7, stop_when="solved"), 4)
    steps, tries, spent = (getattr(found, name).numpy() for name in ("steps", "tries", "spent"))
    assert 0.5 < ever.mean() < 1
    assert ((steps[ever] == first[ever]).all() and (tries[ever] == 1).all()
        and (spent[:, ever] == first[ever]).all())
    assert ((tries[~ever] > 1).all() and set(tries) <= set(found.waves) == {1, 2, 4, 8}
        and (spent[0, ~ever] == 4).all() and (spent[1:, ~ever] >= 5).all())
    assert ((np.diff(spent, axis=0) >= 0).all()
        and found.updates == spent[-1].sum()*len(shipped.model.schedule()))
    assert (spent[-1] <= 4*tries).all() and found.solved.float().mean() > ever.mean()
    for wave, until in enumerate(found.waves): # who is done, and nobody else, has spent nothing since
        assert ((spent[-1] == spent[wave]) == (tries <= until)).all()

def legal_claims_hold(puzzle, questions, found):
    "Every claim against the rules one by one, also that no given was changed."
    verdicts = [puzzle.check(q, a).solved for q, a in zip(questions, found.tokens.numpy())]
    assert found.solved.tolist() == verdicts
    return sum(verdicts)

class Guesses(RecursiveModel):
    """A stand-in that solves what it is asked, but for a share of the cells, drawn anew with every
    step, where it says anything."""
    dtype, puzzle_positions = torch.float32, 0
    def __init__(self, share=0.):
        super().__init__()
        self.share, self.rng, self.weight = (share, np.random.default_rng(0),
            torch.nn.Parameter(torch.zeros(1)))
    def embed(self, batch): return torch.nn.functional.one_hot(batch.inputs, SIX.vocab_size).float()
    def start(self, x, generator=None): return State(z_H=x)
    def schedule(self): return (Update(0, 0, "z_H", False),)
    def update(self, x, state, u): return state.replace(z_H=x)
    def decode(self, z): return z
    def read(self, state):
        answers = self.given(state["z_H"].argmax(-1).numpy().astype(np.uint8))
        return Output(torch.nn.functional.one_hot(torch.from_numpy(answers).long(), SIX.vocab_size).float(),
            torch.from_numpy(self.rng.normal(size=len(answers))), torch.zeros(len(answers)))
    def given(self, questions):
        answers = np.stack([SIX.solve(q) for q in questions])
        wrong = self.rng.random(answers.shape) < self.share
        return np.where(wrong, self.rng.integers(0, SIX.vocab_size, answers.shape), answers)

class ChangesGivens(Guesses):
    "Its answers are flawless boards, with two digits exchanged everywhere."
    def given(self, questions):
        other = np.arange(SIX.vocab_size); other[[4, 5]] = other[[5, 4]]
        return other[np.stack([SIX.solve(q) for q in questions])]

@pytest.mark.parametrize("strategy", ["symmetries", "latents"])
def test_legal_is_never_claimed_wrongly(strategy):
    questions, labels = drawn(SIX, 60)
    batch, search = make_batch(questions, labels), Search(6, strategy, stop_when="solved")
    for share in (0.02, 0.1, 1.):
        right = legal_claims_hold(SIX, questions, solve_by_search(Guesses(share), SIX, batch, search, 2))
        assert right == 0 if share == 1. else right > 10
    found = solve_by_search(ChangesGivens(), SIX, batch, search, 2)
    assert (legal_claims_hold(SIX, questions, found) == sum(not np.isin(q, (4, 5)).any() for q in questions)
        and (found.tries[~found.solved] == 7).all())

# ---- whose answer counts -------------------------------------------------------

@given(st.integers(1, 6), st.integers(0, 2**32))
@settings(deadline=None, max_examples=100)
def test_choices_against_plain_recomputation(K, seed):
    rng = np.random.default_rng(seed)
    tokens, q_halt, change = rng.integers(0, 2, (8, K, 2)), rng.normal(size=(8, K)), rng.random((8, K))
    for row in range(8):
        answers = [tuple(t) for t in tokens[row]]
        votes = Counter(answers)
        best = max(range(K), key=lambda k: (votes[answers[k]], q_halt[row, k]))
        expected = {"halting": max(range(K), key=lambda k: q_halt[row, k]),
            "residual": min(range(K), key=lambda k: change[row, k]), "vote": best}
        assert ({name: int(select(tokens, q_halt, change)[row])
            for name, select in SELECTORS.items()} == expected)

def test_tries_and_choices_against_runs_one_by_one(shipped, puzzles):
    "Every try made again with plain means; then each choice among them, after each wave."
    model, number, steps, K = shipped.model, 3, 2, 4
    question = puzzles.inputs[[number]]
    answers, q_halt, change = [], [], []
    for k in range(K):
        augmentation = (SIX.symmetries(np.random.default_rng(np.random.SeedSequence([5, number, k])), 1) if k
            else Permutation(np.arange(36)[None]))
        batch, states = make_batch(augmentation.apply(question), question), []
        done = solve(model, batch, steps, watch=lambda u, state: states.append(state) or state)
        z, before = states[-1]["z_H"], states[-1 - len(model.schedule())]["z_H"]
        answers.append(augmentation.invert(done.tokens.numpy().astype(np.uint8))[0])
        q_halt.append(float(done.q_halt))
        change.append(float((z - before).norm()/z.norm()))
    for select, pick in SELECTORS.items():
        found = solve_by_search(model, SIX, some(puzzles, [number]), Search(K - 1, select=select, seed=5),
            steps, numbers=np.array([number]))
        for wave, tries in enumerate(found.waves):
            expected = int(pick(np.stack(answers[:tries])[None], np.array([q_halt[:tries]]),
                np.array([change[:tries]]))[0])
            assert (found.answers[wave, 0].numpy() == answers[expected]).all(), (select, tries)
        assert (abs(float(found.q_halt) - q_halt[expected]) < 1e-3
            and found.spent[:, 0].tolist() == [steps*tries for tries in found.waves])

@pytest.mark.parametrize("stop_when", [None, "solved"])
def test_selecting_among_the_same_tries_is_the_search_that_selects_so(stop_when, shipped, puzzles):
    "In every wave, also of puzzles that left early because the rules accepted an answer."
    batch = some(puzzles, range(24))
    searches = {select: Search(5, select=select, stop_when=stop_when) for select in SELECTORS}
    results = {select: solve_by_search(shipped.model, SIX, batch, search, 2)
        for select, search in searches.items()}
    assert stop_when is None or 0 < results["halting"].solved.sum() < 24
    for select, found in results.items():
        again = results["residual" if select != "residual" else "vote"]
        if select == "residual":
            with pytest.raises(InputError, match="were not computed; search with select='residual'"):
                again.select(select)
            continue
        again = again.select(select)
        assert torch.equal(again.answers, found.answers) and torch.equal(again.tokens, found.tokens)
        assert torch.equal(again.steps, found.steps) and torch.equal(again.q_halt, found.q_halt)
    with pytest.raises(InputError, match="search: select 'votes' is not known .did you mean 'vote'"):
        found.select("votes")

def test_more_tries_solve_more(shipped, puzzles):
    "Two steps a try, so that there is something to gain."
    found = evaluate(shipped.model, SIX, puzzles, 2, search=Search(15, stop_when="solved"))
    exact = [after.exact for after in found.after]
    assert (exact == sorted(exact) and exact[-1] >= exact[0] + 0.1
        and exact[-1] == found.scores.exact == found.scores.solved)
    assert (found.after[-1].spent == found.spent.mean()
        and [after.tries for after in found.after] == [1, 2, 4, 8, 16])
    long = solve(shipped.model, some(puzzles, np.arange(4)), 64)
    assert (long.steps == 64).all()

# ---- sentences -----------------------------------------------------------------

@pytest.mark.parametrize("settings, sentence",
    [({"restarts": -1}, "'restarts' cannot be negative"),
        ({"strategy": "symmetry"}, "did you mean 'symmetries'?"),
        ({"select": "best"}, "search: select 'best' is not known"),
        ({"stop_when": "sovled"}, "did you mean 'solved'?"),
        ({"strategy": "assume", "cells": 0}, "'cells' should be"),
        ({"strategy": "assume", "steps": 0}, "'steps' should be"),
        ({"cells": 2}, "assumes no cells; leave out cells"),
        ({"strategy": "branch"}, "give stop_when 'solved'"),
        ({"noise": float("nan")}, "'noise' should be a finite "
            "number"), ({"strategy": "plain"}, "would repeat the first try")], ids=str)
def test_settings_that_make_no_sense(settings, sentence):
    with pytest.raises(InputError) as error: Search(**settings)
    assert sentence in str(error.value)

def test_what_cannot_be_searched_is_said():
    arc, board = Arc(), to_tokens([[1, 2]])
    model, batch = Guesses(), make_batch(board[None], board[None])
    with pytest.raises(InputError, match="the rules of arc-30x30 cannot tell whether an answer is right"):
        solve_by_search(model, arc, batch, Search(1, "latents", stop_when="solved"))
    for act in ("apply", "invert"):
        with pytest.raises(InputError, match="start from random latents"):
            getattr(arc.symmetries(np.random.default_rng(0), 1), act)(board[None])
    questions, labels = drawn(SIX, 1)
    with pytest.raises(InputError, match="leave out watch and generator"):
        evaluate(model, SIX, split_of(zip(questions, labels)), search=Search(1), generator=torch.Generator())

    with pytest.raises(InputError, match="lights_out-3x3 cannot tell what its givens leave to a cell, so no"):
        solve_by_search(model, LightsOut(3, 3), make_batch(*drawn(LightsOut(3, 3), 1)), Search(1, "assume"))

def test_work_decides_how_many_tries_there_are():
    assert Search(0).for_work(1024, 16).restarts == 63
    assert Search(0, steps=4).for_work(64, 16).restarts == 12
    assert Search(0, "assume").for_work(1024, 16).restarts == 1008//ASSUMED_STEPS
    assert Search(9).for_work(16, 16).restarts == 0
    with pytest.raises(InputError, match="the first try alone may take 16 supervision steps, but only 8 are"):
        Search(0).for_work(8, 16)

def test_waves_double_up_to_sixteen_tries():
    assert [Search(k).waves for k in (0, 1, 2, 7, 23, 63)] == [(1,), (1, 2), (1, 2, 3), (1, 2, 4, 8),
        (1, 2, 4, 8, 16, 24), (1, 2, 4, 8, 16, 32, 48, 64)]

# ---- Ctrl+C --------------------------------------------------------------------

class Interrupts:
    "Nobody leaves, and at some step there is a Ctrl+C."
    def __init__(self, steps): self.left = steps
    def stop(self, output, before):
        self.left -= 1
        if self.left < 0: raise KeyboardInterrupt
        return torch.zeros(len(output.q_halt), dtype=torch.bool)

def test_scores_until_ctrl_c_are_those_of_the_batches_that_were_done(shipped, puzzles):
    with pytest.raises(Stopped, match="^stopped after 48 of 100 puzzles$") as stop:
        evaluate(shipped.model, SIX, puzzles, 4, Interrupts(3*4 + 2), batch_size=16)
    first = split_of(zip(puzzles.inputs[:48], puzzles.labels[:48]))
    whole = evaluate(shipped.model, SIX, first, 4, batch_size=16)
    kept, told = stop.value.so_far, lambda scores: replace(scores, puzzles_per_second=0)
    assert (told(kept.scores) == told(whole.scores) and (kept.tokens == whole.tokens).all()
        and kept.after == whole.after)
    with pytest.raises(Stopped, match="^stopped before any of 100 puzzles was scored$") as stop:
        evaluate(shipped.model, SIX, puzzles, 4, Interrupts(2))
    assert stop.value.so_far is None
    with pytest.raises(KeyboardInterrupt):
        evaluate(shipped.model, SIX, puzzles, 4, Interrupts(2)) # as any other loop is stopped

def test_a_stopped_search_counts_whole_waves(shipped, puzzles):
    """Those that are solved already are no fair sample: the waves that are over count, of the first one
    the puzzles that had it."""
    batch, search = some(puzzles, slice(0, 40)), Search(7, stop_when="solved")
    whole = solve_by_search(shipped.model, SIX, batch, search, 1, rows=10)
    told, steps = [], lambda calls: Interrupts(calls)
    def until(calls):
        with pytest.raises(Stopped) as stop:
            solve_by_search(shipped.model, SIX, batch, search, 1, steps(calls), rows=10,
                on_progress=lambda *what: told.append(what))
        return stop.value.so_far
    assert until(0) is None
    part = until(2) # of four times ten puzzles with a try each
    assert (len(part.tokens) == 20 and part.waves == (1,)
        and torch.equal(part.tokens, whole.answers[0, :20].long()) and part.tries.tolist() == [1]*20)
    assert torch.equal(part.solved,
        torch.from_numpy(SIX.solved(puzzles.inputs[:20], part.tokens.numpy().astype(np.uint8))))
    part, waves = until(5), 0 # in the second wave, or a later one
    waves = len(part.waves)
    assert (len(part.tokens) == 40 and 1 <= waves < 4 and torch.equal(part.answers, whole.answers[:waves])
        and torch.equal(part.spent, whole.spent[:waves]))
    assert (part.updates == int(part.spent[-1].sum())*len(shipped.model.schedule())
        and int(part.tries.max()) == part.waves[-1])
    assert ([done for tries, done, solved in told if tries == 1][:2] != [0, 0]
        and all(0 <= done <= 40 for _, done, _ in told))

def test_the_second_lot_of_a_search_is_left_out_when_it_was_not_finished(shipped, puzzles):
    """Batches of one are searched 64 at a time; a lot that is not through would mix
    puzzles of few and many tries."""
    class SearchScores(Interrupts):
        def stop(self, output, before): return super().stop(output, before) | True
    with pytest.raises(Stopped, match="^stopped after 64 of 100 puzzles$") as stop:
        evaluate(shipped.model, SIX, puzzles, 2, SearchScores(64 + 64 + 5), batch_size=1,
            search=Search(1, "latents"))
    assert stop.value.so_far.scores.n == 64 and [after.tries for after in stop.value.so_far.after] == [1, 2]

def test_no_puzzles_is_one_sentence(shipped, puzzles):
    empty = split_of([(q, a) for q, a in zip(puzzles.inputs[:1], puzzles.labels[:1])])
    empty = replace(empty, inputs=empty.inputs[:0], labels=empty.labels[:0],
        puzzle_identifiers=empty.puzzle_identifiers[:0],
        puzzle_indices=empty.puzzle_indices[:1], group_indices=empty.group_indices[:1])
    with pytest.raises(InputError, match="^there are no puzzles to score, because the split is empty"):
        evaluate(shipped.model, SIX, empty)
