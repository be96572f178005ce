"Search: more than one try a puzzle. What it claims, what it counts, and that nobody's neighbours matter."
from collections import Counter
from dataclasses import replace
import numpy as np, pytest, torch
from hypothesis import given, settings, strategies as st
from trm_lab.checkpoints import load_pretrained
from trm_lab.data import generate_dataset, make_batch, split_of
from trm_lab.errors import InputError
from trm_lab.halting import BinaryHalting
from trm_lab.model import RecursiveModel, Output, State, Update
from trm_lab.puzzles.arc import Arc, to_tokens
from trm_lab.puzzles.base import Rearranged
from trm_lab.puzzles.lights_out import LightsOut
from trm_lab.puzzles.maze import Maze
from trm_lab.puzzles.sudoku import BLANK, Sudoku
from trm_lab.solve import CHOICES, Search, evaluate, solve, solve_by_search

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
    solutions = np.stack([sudoku._shuffled(rng) for _ in range(300)])
    questions = np.where(rng.random(solutions.shape) < 0.4, solutions, BLANK).astype(np.uint8)
    answers, cells = solutions.copy(), rng.integers(sudoku.seq_len, size=300)
    some = np.arange(300)
    answers[some[:100], cells[:100]] = rng.integers(0, sudoku.vocab_size, 100) # may be padding, blank, or the right digit
    swapped = np.arange(sudoku.vocab_size); swapped[[2, 3]] = swapped[[3, 2]]
    answers[100:150] = swapped[answers[100:150]] # keeps the units right, but not the givens
    answers[150:200] = rng.integers(BLANK, sudoku.vocab_size, (50, sudoku.seq_len))
    expected = [sudoku.check(q, a).solved for q, a in zip(questions, answers)]
    found = sudoku.legal(questions, answers)
    assert found.dtype == bool and found.tolist() == expected and 0 < sum(expected) < 300 and not found[150:200].any() and found[200:].all()
    assert sudoku.legal(questions[:0], answers[:0]).shape == (0,)

@pytest.mark.parametrize("puzzle", [Maze(6, 6, min_path=5), LightsOut(3, 4), SIX], ids=lambda p: p.name)
def test_legal_is_what_scores_call_legal(puzzle):
    questions, labels = drawn(puzzle, 20)
    answers = np.concatenate([labels, np.roll(labels, 1, 0)])
    questions = np.concatenate([questions]*2)
    expected = [puzzle.scores(q, a)["legal"] for q, a in zip(questions, answers)]
    assert puzzle.legal(questions, answers).tolist() == expected and all(expected[:20]) and not all(expected)

@given(st.sampled_from([*(Sudoku(*box) for box in BOXES), Maze(4, 4, min_path=3), Maze(3, 5, min_path=3), LightsOut(3, 3), LightsOut(2, 4)]), st.integers(0, 2**32))
@settings(deadline=None, max_examples=100)
def test_a_disguise_can_be_taken_off(puzzle, seed):
    "Any board comes back as it was, right or not."
    rng = np.random.default_rng(seed)
    boards, disguise = rng.integers(0, puzzle.vocab_size, (5, puzzle.seq_len)).astype(np.uint8), puzzle.symmetries(rng, 5)
    image = disguise.image(boards)
    assert (disguise.undo(image) == boards).all() and (disguise.image(disguise.undo(boards)) == boards).all() and image.dtype == boards.dtype

@pytest.mark.parametrize("puzzle", [SIX, Sudoku(3, 3), Maze(6, 6, min_path=5), LightsOut(3, 3)], ids=lambda p: p.name)
def test_an_answer_to_the_disguise_answers_the_puzzle(puzzle):
    questions, labels = drawn(puzzle, 12)
    disguise = puzzle.symmetries(np.random.default_rng(1), 12)
    images, answers = disguise(questions, labels)
    assert (disguise.image(questions) == images).all() and (disguise.undo(images) == questions).all() and (images != questions).any()
    assert puzzle.legal(images, answers).all() and puzzle.legal(questions, disguise.undo(answers)).all()
    if not isinstance(puzzle, (Maze, LightsOut)): assert (disguise.undo(answers) == labels).all() # those label anew

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
@pytest.mark.parametrize("way", ["symmetries", "latents"])
def test_without_restarts_it_is_solve_to_the_bit(shipped, puzzles, halting, way):
    batch = some(puzzles, np.arange(24))
    found, plain = solve_by_search(shipped.model, SIX, batch, Search(0, way, noise=1.), 4, halting), solve(shipped.model, batch, 4, halting)
    for name in ("tokens", "steps", "q_halt"): assert torch.equal(getattr(found, name), getattr(plain, name))
    assert found.updates == plain.updates and found.waves == (1,) and found.legal is None
    assert (found.tries == 1).all() and torch.equal(found.spent[0], plain.steps) and torch.equal(found.answers[0].long(), plain.tokens)
    a, b = (evaluate(shipped.model, SIX, puzzles.first(24), 4, halting, search=search) for search in (None, Search(0, way)))
    assert replace(a.scores, puzzles_per_second=0.) == replace(b.scores, puzzles_per_second=0.) and (a.tokens == b.tokens).all() and a.after == b.after

@pytest.mark.parametrize("search", [Search(5, noise=0.3, choose="residual"), Search(5, "latents", choose="vote", noise=0.3), Search(5, "plain", noise=0.5), Search(5, until="legal"), Search(5, "latents", until="legal", noise=0.3)],
    ids=lambda s: f"{s.way}-{s.until or s.choose}")
def test_a_puzzle_has_the_same_fate_alone(shipped, puzzles, search):
    "Whatever the size of a batch, and whoever is in it, as long as its number is the same."
    numbers, steps = np.array([3, 50, 7, 66, 90, 12]), 2
    whole = solve_by_search(shipped.model, SIX, some(puzzles, numbers), search, steps, numbers=numbers)
    few = solve_by_search(shipped.model, SIX, some(puzzles, numbers), search, steps, rows=2, numbers=numbers)
    assert_same(whole, few)
    for i, number in enumerate(numbers[:3]):
        alone = solve_by_search(shipped.model, SIX, some(puzzles, [number]), search, steps, numbers=np.array([number]))
        assert torch.equal(alone.tokens[0], whole.tokens[i]) and torch.equal(alone.spent[:, 0], whole.spent[:, i]) and alone.tries[0] == whole.tries[i]
    a, b = (evaluate(shipped.model, SIX, puzzles.first(16), steps, search=search, batch_size=size) for size in (64, 3))
    assert (a.tokens == b.tokens).all() and (a.spent == b.spent).all() and (a.tries == b.tries).all() and a.after == b.after

@pytest.mark.parametrize("way", ["symmetries", "latents", "plain"])
def test_another_seed_or_number_is_another_try(shipped, puzzles, way):
    batch = some(puzzles, np.arange(12))
    run = lambda seed, numbers=None: solve_by_search(shipped.model, SIX, batch, Search(1, way, "halting", seed=seed, noise=0.05), 1, numbers=numbers).q_halt
    assert torch.equal(run(0), run(0)) and not torch.equal(run(0), run(1)) and not torch.equal(run(0), run(0, np.arange(12) + 12))

def test_until_legal_ends_a_puzzle_and_counts_the_work(shipped, puzzles):
    batch = some(puzzles, np.arange(100))
    course = [solve(shipped.model, batch, t).tokens.numpy() for t in (1, 2, 3, 4)]
    first = np.stack([SIX.legal(puzzles.inputs, tokens) for tokens in course]).argmax(0) + 1 # 1 where it never is
    ever = np.stack([SIX.legal(puzzles.inputs, tokens) for tokens in course]).any(0)
    found = solve_by_search(shipped.model, SIX, batch, Search(7, until="legal"), 4)
    steps, tries, spent = (getattr(found, name).numpy() for name in ("steps", "tries", "spent"))
    assert 0.5 < ever.mean() < 1
    assert (steps[ever] == first[ever]).all() and (tries[ever] == 1).all() and (spent[:, ever] == first[ever]).all()
    assert (tries[~ever] > 1).all() and set(tries) <= set(found.waves) == {1, 2, 4, 8} and (spent[0, ~ever] == 4).all() and (spent[1:, ~ever] >= 5).all()
    assert (np.diff(spent, axis=0) >= 0).all() and found.updates == spent[-1].sum()*len(shipped.model.schedule())
    assert (spent[-1] <= 4*tries).all() and found.legal.float().mean() > ever.mean()
    for wave, until in enumerate(found.waves): # who is done, and nobody else, has spent nothing since
        assert ((spent[-1] == spent[wave]) == (tries <= until)).all()

def legal_claims_hold(puzzle, questions, found):
    "Every claim against the rules one by one, also that no given was changed."
    verdicts = [puzzle.check(q, a).solved for q, a in zip(questions, found.tokens.numpy())]
    assert found.legal.tolist() == verdicts
    return sum(verdicts)

class Guesses(RecursiveModel):
    "A stand-in that solves what it is asked, but for a share of the cells, drawn anew with every step, where it says anything."
    dtype, puzzle_positions = torch.float32, 0
    def __init__(self, share=0.):
        super().__init__()
        self.share, self.rng, self.weight = share, np.random.default_rng(0), torch.nn.Parameter(torch.zeros(1))
    def embed(self, batch): return torch.nn.functional.one_hot(batch.inputs, SIX.vocab_size).float()
    def start(self, x, generator=None): return State(z_H=x)
    def schedule(self): return (Update(0, 0, "z_H", False),)
    def update(self, x, state, u): return state.replace(z_H=x)
    def decode(self, z): return z
    def read(self, state):
        answers = self.given(state["z_H"].argmax(-1).numpy().astype(np.uint8))
        return Output(torch.nn.functional.one_hot(torch.from_numpy(answers).long(), SIX.vocab_size).float(), torch.from_numpy(self.rng.normal(size=len(answers))), torch.zeros(len(answers)))
    def given(self, questions):
        answers = np.stack([SIX.solve(q) for q in questions])
        wrong = self.rng.random(answers.shape) < self.share
        return np.where(wrong, self.rng.integers(0, SIX.vocab_size, answers.shape), answers)

class ChangesGivens(Guesses):
    "Its answers are flawless boards, with two digits exchanged everywhere."
    def given(self, questions):
        other = np.arange(SIX.vocab_size); other[[4, 5]] = other[[5, 4]]
        return other[np.stack([SIX.solve(q) for q in questions])]

@pytest.mark.parametrize("way", ["symmetries", "latents"])
def test_legal_is_never_claimed_wrongly(way):
    questions, labels = drawn(SIX, 60)
    batch, search = make_batch(questions, labels), Search(6, way, until="legal")
    for share in (0.02, 0.1, 1.):
        right = legal_claims_hold(SIX, questions, solve_by_search(Guesses(share), SIX, batch, search, 2))
        assert right == 0 if share == 1. else right > 10
    found = solve_by_search(ChangesGivens(), SIX, batch, search, 2)
    assert legal_claims_hold(SIX, questions, found) == sum(not np.isin(q, (4, 5)).any() for q in questions) and (found.tries[~found.legal] == 7).all()

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
        expected = {"halting": max(range(K), key=lambda k: q_halt[row, k]), "residual": min(range(K), key=lambda k: change[row, k]), "vote": best}
        assert {name: int(choose(tokens, q_halt, change)[row]) for name, choose in CHOICES.items()} == expected

def test_tries_and_choices_against_runs_one_by_one(shipped, puzzles):
    "Every try made again with plain means; then each choice among them, after each wave."
    model, number, steps, K = shipped.model, 3, 2, 4
    question = puzzles.inputs[[number]]
    answers, q_halt, change = [], [], []
    for k in range(K):
        disguise = SIX.symmetries(np.random.default_rng(np.random.SeedSequence([5, number, k])), 1) if k else Rearranged(np.arange(36)[None])
        batch, states = make_batch(disguise.image(question), question), []
        done = solve(model, batch, steps, watch=lambda u, state: states.append(state) or state)
        z, before = states[-1]["z_H"], states[-1 - len(model.schedule())]["z_H"]
        answers.append(disguise.undo(done.tokens.numpy().astype(np.uint8))[0]); q_halt.append(float(done.q_halt)); change.append(float((z - before).norm()/z.norm()))
    for choose, pick in CHOICES.items():
        found = solve_by_search(model, SIX, some(puzzles, [number]), Search(K - 1, choose=choose, seed=5), steps, numbers=np.array([number]))
        for wave, tries in enumerate(found.waves):
            expected = int(pick(np.stack(answers[:tries])[None], np.array([q_halt[:tries]]), np.array([change[:tries]]))[0])
            assert (found.answers[wave, 0].numpy() == answers[expected]).all(), (choose, tries)
        assert abs(float(found.q_halt) - q_halt[expected]) < 1e-3 and found.spent[:, 0].tolist() == [steps*tries for tries in found.waves]

def test_more_tries_solve_more(shipped, puzzles):
    "Two steps a try, so that there is something to gain."
    found = evaluate(shipped.model, SIX, puzzles, 2, search=Search(15, until="legal"))
    exact = [after.exact for after in found.after]
    assert exact == sorted(exact) and exact[-1] >= exact[0] + 0.1 and exact[-1] == found.scores.exact == found.scores.legal
    assert found.after[-1].spent == found.spent.mean() and [after.tries for after in found.after] == [1, 2, 4, 8, 16]
    long = solve(shipped.model, some(puzzles, np.arange(4)), 64)
    assert (long.steps == 64).all()

# ---- sentences -----------------------------------------------------------------

@pytest.mark.parametrize("settings, sentence", [({"restarts": -1}, "'restarts' cannot be negative"), ({"way": "symmetry"}, "did you mean 'symmetries'?"), ({"choose": "best"}, "search: choose 'best' is not known"),
    ({"until": "leagl"}, "did you mean 'legal'?"), ({"noise": float("nan")}, "'noise' should be a finite number"), ({"way": "plain"}, "would repeat the first try")], ids=str)
def test_settings_that_make_no_sense(settings, sentence):
    with pytest.raises(InputError) as error: Search(**settings)
    assert sentence in str(error.value)

def test_what_cannot_be_searched_is_said():
    arc, board = Arc(), to_tokens([[1, 2]])
    model, batch = Guesses(), make_batch(board[None], board[None])
    with pytest.raises(InputError, match="the rules of arc-30x30 cannot tell whether an answer is right"): solve_by_search(model, arc, batch, Search(1, "latents", until="legal"))
    for act in ("image", "undo"):
        with pytest.raises(InputError, match="start from random latents"): getattr(arc.symmetries(np.random.default_rng(0), 1), act)(board[None])
    questions, labels = drawn(SIX, 1)
    with pytest.raises(InputError, match="leave watch and generator away"):
        evaluate(model, SIX, split_of(zip(questions, labels)), search=Search(1), generator=torch.Generator())

def test_waves_double_up_to_sixteen_tries():
    assert [Search(k).waves for k in (0, 1, 2, 7, 23, 63)] == [(1,), (1, 2), (1, 2, 3), (1, 2, 4, 8), (1, 2, 4, 8, 16, 24), (1, 2, 4, 8, 16, 32, 48, 64)]
