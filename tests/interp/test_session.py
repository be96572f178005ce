"""Branches against the runs that they continue: equal to the bit where nothing was changed, different
only by what was asked for."""
from dataclasses import replace
import numpy as np, pytest, torch
from trm_lab.interp.interventions import (INTERVENTIONS, Given, MeanAblation, Noise,
    ActivationPatch, ZeroAblation)
from trm_lab.interp.pca import Moments
from trm_lab.interp.survey import Survey
from trm_lab.interp.session import Session, puzzle_batch, rebuild
from trm_lab.interp.divergence import divergence
from trm_lab.models.checkpoints import load, load_pretrained, save_model
from trm_lab.data.generate import generate_dataset
from trm_lab.data.batches import make_batch
from trm_lab.core.errors import InputError
from trm_lab.models.halting import BinaryHalting, QLearningHalting
from trm_lab.puzzles.arc import Arc
from trm_lab.puzzles.base import Drawing, Puzzle, Permutation, Verdict, _registered, register
from trm_lab.puzzles.lights_out import LightsOut
from trm_lab.puzzles.maze import Maze
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.solving.solve import solve_by_step
from trm_lab.interp.trace import read_trace, run_with_trace
from trm_lab.models.variants import ARCHITECTURES, build_model

FOUR = Sudoku(2, 2)
TEXT = "\n".join(FOUR.print(q) for q in generate_dataset(FOUR, 1, 5, seed=3).test.inputs)

def small(arch="trm", puzzle=FOUR, dtype=torch.float32, **settings):
    "An untrained model with opinions about halting that differ between puzzles."
    torch.manual_seed(1)
    few = {"H_cycles": 2, "L_cycles": 2, "L_layers": 2, "H_layers": 2, "rounds": 2, "evaluations": 3}
    few = {name: n for name, n in few.items() if hasattr(ARCHITECTURES[arch].Config, name)}
    model = build_model(arch, {"seq_len": puzzle.seq_len, "vocab_size": puzzle.vocab_size, "hidden_size": 16,
            "num_heads": 2, "swiglu_multiple": 16, "puzzle_emb_len": 1, **few, **settings}, dtype=dtype)
    with torch.no_grad(): model.q_head.weight.normal_(); model.q_head.bias.fill_(0.)
    return model.eval()

def some_leave(model):
    "A rule by which two of the five puzzles leave after their first step; fewer where bfloat16 ties them."
    beliefs = run_with_trace(model, puzzle_batch(TEXT, FOUR), 1).q_halt[0].float().sigmoid().unique()
    middle = (len(beliefs) + 1)//2
    return BinaryHalting(certain=0., threshold=float(beliefs[middle - 1:middle + 1].mean()))

def latents(run):
    return {(str(site), name): run.latent(site, name)
        for site in (None, *map(run.place, range(1, run.length + 1))) for name in run.session.names}

def assert_same(a, b, kept=None):
    "`kept`: the latents of `b`, if they were read before."
    assert a.steps == b.steps and torch.equal(a.logits, b.logits)
    assert_alike(latents(a), kept or latents(b))

def assert_alike(ours, others):
    assert ours.keys() == others.keys() and all(torch.equal(ours[k], others[k]) for k in ours)

@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
@pytest.mark.parametrize("arch", ARCHITECTURES)
def test_nothing_changed_is_nothing_changed(arch, dtype):
    "At every site and from the start, alone and in a recorded batch, with runs that end when they are done."
    model = small(arch, dtype=dtype)
    rule = some_leave(model)
    recorded = run_with_trace(model, puzzle_batch(TEXT, FOUR), 2, rule)
    early, late = int(recorded.steps.argmin()), int(recorded.steps.argmax())
    assert recorded.steps[[early, late]].tolist() == [1, 2]
    for session, puzzles in ((Session(model, TEXT, 2, FOUR), (late,)),
            (Session(model, TEXT, 2, FOUR, QLearningHalting(certain=0.)), (early, late)),
            (Session(recorded, puzzle=FOUR, halting=rule), (early, late))):
        for puzzle in puzzles:
            root = session.root(puzzle)
            before = latents(root)
            for site in map(root.place, range(root.length + 1)):
                branch = root.branch(site)
                assert_same(branch, root, before)
                assert (branch.identical and branch.key == f"{puzzle}.{branch.number}"
                    and session.rollout(branch.key) is branch)
                apart = divergence(root, branch)
                assert apart.step is None and not any(d.any() for d in apart.latents.values())
            assert_alike(latents(root), before) # no branch changed it

def test_the_shipped_model_is_continued_to_the_bit():
    six = load_pretrained("sudoku-6x6")
    root = Session(six, generate_dataset(six.puzzle, 1, 2, seed=4).test).root(1)
    before = latents(root)
    for frame in (0, 1, 4, 13, 32): assert_same(root.branch(root.place(frame)), root, before)
    assert_alike(latents(root), before)

# ---- what edits do ------------------------------------------------------------

@pytest.fixture
def session(): return Session(small("trm", num_puzzle_identifiers=1), TEXT, 3, FOUR)

def others_stay(branch, site, name, cells):
    """Only the latent `name`, and of it only the cells, differ from the parent at the
    site; before it, nothing."""
    for n in branch.session.names:
        was, now = branch.parent.latent(site, n), branch.latent(site, n)
        differs = (was != now).any(1)
        if n != name: assert not differs.any()
        elif cells is not None:
            assert differs.nonzero()[:, 0].tolist() == [1 + c for c in cells] # behind one puzzle position
        else: assert differs.all()
    for f in range(1, branch.fork):
        for n in branch.session.names:
            assert torch.equal(branch.latent(branch.place(f), n), branch.parent.latent(branch.place(f), n))

@pytest.mark.parametrize("cells", [None, (2, 7)], ids=str)
@pytest.mark.parametrize("name", ["z_H", "z_L"])
# the start; after a thought; after an answer; in the middle; the very last
@pytest.mark.parametrize("frame", [0, 2, 3, 9, 18])
def test_latents_become_what_was_asked(session, frame, name, cells):
    root, other = session.root(0), session.root(2)
    site = root.place(frame)
    where = slice(None) if cells is None else torch.tensor(cells) + 1
    mean = torch.stack([session.root(i).latent(site, name) for i in range(5)]).double().mean(0)
    deeper = other.branch(other.place(1), ZeroAblation("z_L"))
    wanted = {ZeroAblation(name, cells): torch.zeros(17, 16),
        Noise(name, 0.5, 7, cells): 0.5*torch.randn(17, 16, generator=torch.Generator().manual_seed(7)),
        ActivationPatch(name, other, cells): other.latent(site, name), MeanAblation(name, cells): mean,
        ActivationPatch(name, deeper, cells): deeper.latent(site, name)}
    for edit, expected in wanted.items():
        # until it is first renewed a latent is the same in all puzzles
        alike = isinstance(edit, (ActivationPatch, MeanAblation)) and (
            frame == 0 or name == "z_H" and frame < 3)
        branch = root.branch(site, edit)
        assert torch.allclose(branch.latent(site, name)[where].double(), expected[where].double(),
            atol=1e-6 if isinstance(edit, MeanAblation) else 0, rtol=0), edit
        if not alike: others_stay(branch, site, name, cells)
        assert branch.identical == alike
        apart = divergence(root, branch)
        assert not any(d[:branch.fork].any() for d in apart.latents.values())
        assert torch.isclose(apart.latents[name][branch.fork],
            (branch.latent(site, name) - root.latent(site, name)).square().mean().sqrt())
        first = next((t for t in range(3) if not torch.equal(branch.tokens[t], root.tokens[t])), None)
        assert apart.step == (None if first is None else first + 1)
        assert edit.sentence(session) in branch.sentence and repr(edit).startswith(type(edit).__name__)

def test_the_recursion_goes_on_from_what_was_put_there(session):
    "The first update after the fork, done by hand."
    root, model = session.root(1), session.model
    site = root.place(7)
    branch = root.branch(site, ZeroAblation("z_H", (3,)), Noise("z_L", 2., 5))
    with torch.no_grad():
        x = model.embed(session.batch.rows([1]))
        state = model.start(x).replace(**{n: branch.latent(site, n)[None] for n in session.names})
        following = model.step(x, state, since=1) # frame 7 is the first update of the second supervision step
    end = branch.place(12)
    for n in session.names: assert torch.equal(following[n][0], branch.latent(end, n))
    assert torch.equal(model.read(following).logits[0], branch.logits[1])

def test_a_given_changes_the_question_from_there_on(session):
    root, model = session.root(0), session.model
    site = root.place(8)
    blank = int((session.batch.inputs[0] == 1).nonzero()[0])
    branch = root.branch(site, Given(cell=blank, token=4))
    assert (branch.question[blank] == 4
        and (np.delete(branch.question, blank) == np.delete(root.question, blank)).all()
        and root.question[blank] == 1)
    assert (all(torch.equal(branch.latent(site, n), root.latent(site, n)) for n in session.names)
        and not branch.identical)
    with torch.no_grad():
        x = model.embed(make_batch(branch.question[None], branch.question[None]))
        state = model.start(x).replace(**{n: root.latent(site, n)[None] for n in session.names})
        end = model.step(x, state, since=2)
    assert torch.equal(model.read(end).logits[0], branch.logits[1])
    deeper = branch.branch(branch.place(12), Given(cell=blank, token=1)) # and back
    assert deeper.question[blank] == 1 and "set to ." in deeper.sentence
    assert root.branch(None, Given(blank, 4)).logits[0].ne(root.logits[0]).any()

def test_up_to_its_fork_a_branch_is_its_parent(session):
    root = session.root(0)
    first = root.branch(root.place(9), ZeroAblation("z_L"))
    before, after, there = (first.branch(first.place(4), ZeroAblation("z_H")),
        first.branch(first.place(11), ZeroAblation("z_H")), first.branch(first.place(9), ZeroAblation("z_H")))
    assert before.parent is root and after.parent is first and there.parent is first
    assert not there.latent(there.site, "z_L").any() and not there.latent(there.site, "z_H").any()
    assert_same(before, root.branch(root.place(4), ZeroAblation("z_H")))

def test_traces_that_made_room_are_computed_again(session):
    whole = Session(session.model, TEXT, 3, FOUR)
    room = 2*sum(z.nbytes for z in whole.root(0).trace.kept.values())
    tight = Session(session.model, TEXT, 3, FOUR, limit_bytes=room)
    def runs(session):
        roots = [session.root(i) for i in range(5)]
        branches = [r.branch(r.place(5), ZeroAblation("z_L")) for r in roots]
        return (roots + branches
            + [b.branch(b.place(9), MeanAblation("z_H"), ActivationPatch("z_L", roots[2])) for b in branches])
    for a, b in zip(runs(whole), runs(tight)): assert_same(a, b)
    assert len(whole._traces) == 15 and len(tight._traces) < 5

def test_bad_edits_are_refused_in_a_sentence(session):
    root, site = session.root(0), session.root(0).place(2)
    other = Session(small("trm", hidden_size=32), TEXT, 3, FOUR).root(0)
    short = Session(session.model, TEXT, 1, FOUR).root(0)
    for edit, what in [(ZeroAblation("z_Q"), "no latent 'z_Q'; this model has z_H, z_L"),
            (ZeroAblation("z_L", (16,)), "there is no cell 16; sudoku-4x4 has cells 0 to 15"),
            (ZeroAblation("z_L", ("x",)), "there is no cell 'x'"), (Given(-1, 2), "there is no cell -1"),
            (Given(0, 0), "does not hold the token 0; it holds 1, 2, 3, 4, 5"),
            (Given(0, 6), "does not hold the token 6"),
            (ActivationPatch("z_L", other), "no z_L of the same shape"),
            (ActivationPatch("z_L", "3"), "of should be a rollout"),
            (Noise("z_L", float("nan")), "standard deviation"),
            (Noise("z_L", 1., -1), "seed"), (None, "is not an intervention")]:
        with pytest.raises(InputError, match=what): root.branch(site, edit)
    with pytest.raises(InputError, match="did not reach step 3"):
        root.branch(root.place(18), ActivationPatch("z_L", short))
    assert session.branches == []
    with pytest.raises(InputError, match="identities up to 5, but the model has 1"):
        Session(session.model,
            replace(session.batch, puzzle_identifiers=torch.full((len(session),), 5)), 3, FOUR)
    session.model.train()
    with pytest.raises(InputError, match="training mode"): Session(session.model, TEXT, 3, FOUR)

# ---- as Python -----------------------------------------------------------------

def rebuilt(*runs, **given):
    space = dict(given)
    exec(rebuild(*runs), space)
    for name, run in zip(("rollout", "other"), runs):
        assert_same(space[name], run)
        assert space[name].sentence == run.sentence or run.parent
    return space

def tree(session):
    "Branches of every kind, and of each other."
    one, two = session.root(0), session.root(1)
    a = one.branch(one.place(3), Noise("z_L", 0.5, 9, (1, 2)), Given(4, int(session.askable[-1])))
    b = two.branch(None, ActivationPatch("z_H", a), ZeroAblation("z_L"))
    c = a.branch(a.place(min(7, a.length)), ActivationPatch("z_L", b, (0, 5)), MeanAblation("z_H"))
    return [one, a, b, c, c.branch(c.place(c.length))]

def test_code_makes_the_same_run(tmp_path):
    six = load_pretrained("sudoku-6x6")
    for run in tree(Session(six, generate_dataset(six.puzzle, 1, 3, seed=8).test, 4)): rebuilt(run)
    half = load_pretrained("sudoku-6x6", dtype=torch.bfloat16)
    for run in tree(Session(half, generate_dataset(six.puzzle, 1, 2, seed=8).test, 4,
            halting=BinaryHalting(certain=0., threshold=0.25))):
        rebuilt(run)
    save_model(tmp_path/"it's <b>.safetensors", small("hrm", puzzle=FOUR), FOUR, halting="q_learning")
    own = Session(load(tmp_path/"it's <b>.safetensors"), TEXT, 3)
    assert isinstance(own.policy, QLearningHalting)
    for run in tree(own): rebuilt(run)
    rows = "".join(f"x,{FOUR.print(q)},{FOUR.print(a)},1\n"
        for q, a in zip(*(getattr(generate_dataset(FOUR, 1, 3).test, side) for side in ("inputs", "labels"))))
    (tmp_path/"four.csv").write_text(f"source,question,answer,rating\n{rows}")
    csv = Session(load(tmp_path/"it's <b>.safetensors"), str(tmp_path/"four.csv"), 3)
    assert csv.labelled and str(tmp_path/"four.csv") in rebuild(csv.root(0))
    for run in tree(csv): rebuilt(run)

def test_code_asks_for_what_nobody_can_know(session):
    for run in tree(session): rebuilt(run, model=session.model)
    assert "# model: the model of this session" in rebuild(session.root(0))
    recorded = run_with_trace(session.model, puzzle_batch(TEXT, FOUR), 3)
    for run in tree(Session(recorded, puzzle=FOUR)): rebuilt(run, trace=recorded)
    class Own(BinaryHalting): pass
    code = rebuild(Session(session.model, TEXT, 3, FOUR, Own()).root(0))
    assert ("# halting: your rule to stop by, a Own" in code
        and "max_steps=3, halting=halting, puzzle=" in code)
    a, b = session.root(0), Session(small("hrm"), TEXT, 3, FOUR).root(0)
    rebuilt(a, b, model_1=a.session.model, model_2=b.session.model)

# ---- every system, every type ----------------------------------------------------

@pytest.mark.parametrize("arch, settings",
    [("direct_transformer", {}), ("trm_hier6", {"L_cycles": 6}), ("trm_singlez", {}), ("fixed_point", {}),
        ("trm", {"H_cycles": 1, "L_cycles": 1, "puzzle_emb_ndim": 0})], ids=str)
def test_every_system(arch, settings):
    "One latent or seven, one update or many, no puzzle positions."
    session = Session(small(arch, **settings), TEXT, 2, FOUR)
    root = session.root(0)
    assert (session.names[0] == session.answer
        and len(session.names) == {"trm_hier6": 7, "trm": 2}.get(arch, 1))
    for name in session.names:
        branch = root.branch(root.place(1), ZeroAblation(name, (0,)))
        assert not branch.latent(branch.site, name)[session.positions - 16].any() and not branch.identical
        rebuilt(branch, model=session.model)
    with pytest.raises(InputError, match="no latents in common"):
        divergence(root, Session(small("hrm", L_cycles=1, H_cycles=3), TEXT, 2, FOUR).root(0))

class Ribbons(Puzzle):
    "A type that the library has never seen; its text has quotes, and two characters a cell."
    type, vocab_size, rows, cols = "ribbons", 4, 2, 3
    @classmethod
    def named(cls, size): return cls()
    name = "ribbons-2x3"
    def spec(self): return {"type": "ribbons"}
    def parse(self, text):
        cells = str(text).split()
        if len(cells) != 6 or set(cells) - {"'a", '"b', "\\c"}: raise InputError("ribbons have six cells")
        return np.array([1 + ["'a", '"b', "\\c"].index(c) for c in cells], np.uint8)
    def print(self, tokens): return " ".join(["--", "'a", '"b', "\\c"][t] for t in tokens)
    def check(self, question, answer):
        return Verdict(True, tuple(int(i) for i in np.flatnonzero(question == answer)),
            ("some are as they were",)*bool((question == answer).any()))
    def symmetries(self, rng, count): return Permutation(np.tile(np.arange(6)[::-1], (count, 1)))
    def draw(self, question, answer):
        return Drawing(2, 3, tuple("?xyz"[t] for t in answer), (False,)*6,
            tuple(question == answer), (None,)*6)
    def generate(self, rng, difficulty=None):
        while True: q = rng.integers(1, 4, 6).astype(np.uint8); yield q, (q % 3 + 1).astype(np.uint8)

def boards(puzzle, count=3):
    if isinstance(puzzle, Arc):
        return np.stack([puzzle.parse("012|345"), puzzle.parse("99|88|77"), puzzle.parse("0")])[:count]
    generator = puzzle.generate(np.random.default_rng(0))
    return np.stack([next(generator)[0] for _ in range(count)])

TYPES = [Sudoku(2, 2), Sudoku(2, 3), Sudoku(3, 2), Maze(5, 7), LightsOut(1, 1),
    LightsOut(3, 2), Arc(), Ribbons()]

@pytest.mark.parametrize("puzzle", TYPES, ids=lambda p: f"{p.name} {getattr(p, 'box_rows', '')}")
def test_every_type(puzzle):
    if puzzle.type == "ribbons": register(Ribbons)
    try:
        questions = boards(puzzle)
        session = Session(small(puzzle=puzzle), make_batch(questions, questions), 2, puzzle)
        root = session.root(0)
        token = next((t for t in session.askable if t != questions[0, 0]), int(questions[0, 0]))
        branch = root.branch(root.place(2), Given(0, int(token)), ZeroAblation("z_H", (0,)))
        assert (branch.question[0] == token and "row 1, column 1" in branch.sentence
            and len(session.vocabulary) == len(set(session.vocabulary)) == puzzle.vocab_size)
        rebuilt(branch, model=session.model)
        seen = session.overview(torch.arange(len(questions)))
        assert seen.halt.shape == (len(questions), 2) and (seen.solved is None) == (not puzzle.decides)
    finally: _registered.pop("ribbons", None)

def test_tokens_that_a_question_may_hold():
    one = lambda puzzle, text: Session(small(puzzle=puzzle), text, 1, puzzle).askable
    assert one(FOUR, "1" + "."*15) == (1, 2, 3, 4, 5) # digits stand for each other
    assert one(Maze(2, 3), "S   G ") == (1, 2, 3, 4) # but no path
    assert one(LightsOut(2, 2), "....") == (1, 2) and one(Arc(), "12") == tuple(range(12))

# ---- recorded recursions -----------------------------------------------------------

def test_a_recorded_recursion_is_resumed_in_its_batch(session):
    "One row is changed, and only that one."
    batch = puzzle_batch(TEXT, FOUR)
    trace = run_with_trace(session.model, batch, 3)
    recorded = Session(trace, puzzle=FOUR)
    branch = recorded.root(2).branch(trace.sites[4], ZeroAblation("z_L"), Given(0, 3))
    others = [0, 1, 3, 4]
    assert (torch.equal(branch.trace.logits[:, others], trace.logits[:, others])
        and not torch.equal(branch.logits, recorded.root(2).logits))
    assert recorded.root(2).trace is trace and torch.equal(recorded.root(2).logits, trace.logits[:, 2])
    assert torch.allclose(recorded.mean(trace.sites[4], "z_L"), trace.latent(4).double().mean(0).float())

def test_what_cannot_be_resumed_is_walked(session, tmp_path):
    batch = puzzle_batch(TEXT, FOUR)
    run_with_trace(session.model, batch, 2, to=tmp_path/"kept")
    alone = Session(read_trace(tmp_path/"kept"), puzzle=FOUR)
    root = alone.root(1)
    assert root.latent(root.place(3)).shape == (17, 16) and len(alone.names) == 2
    with pytest.raises(InputError, match="this trace has no model"): root.branch(root.place(3))
    with pytest.raises(InputError, match="decoding needs the model"): root.decode(root.place(3))
    assert_same(
        Session(read_trace(tmp_path/"kept", session.model), puzzle=FOUR).root(1).branch(root.place(3)), root)
    left = run_with_trace(session.model, batch, 3, some_leave(session.model))
    assert (left.steps < 3).any()
    with pytest.raises(InputError, match="the halting rule"): Session(left, puzzle=FOUR).root(0).branch(0)
    gone = Session(left, puzzle=FOUR, halting=some_leave(session.model)).root(int(left.steps.argmin()))
    with pytest.raises(InputError, match="did not reach step 2"): gone.branch(left.at(step=2)[0])
    with pytest.raises(InputError, match="cannot hold"):
        Session(run_with_trace(session.model, batch, 1, dtype=torch.bfloat16), puzzle=FOUR).root(0).branch(0)
    with pytest.raises(InputError, match="record all of them"):
        Session(run_with_trace(session.model, batch, 1, sites=lambda s: s.name == "z_H"), puzzle=FOUR)
    with pytest.raises(InputError, match="sudoku-6x6 has 36"): Session(left, puzzle=Sudoku(2, 3))

# ---- all puzzles ---------------------------------------------------------------------

@pytest.mark.parametrize("rule", [BinaryHalting(), QLearningHalting(loss="stablemax")],
    ids=lambda r: type(r).__name__)
def test_the_overview_is_what_solving_says(rule):
    data = generate_dataset(FOUR, 1, 5, seed=3).test
    model = small()
    session = Session(model, data, 4, FOUR, rule)
    session.positions = 1000 # two puzzles at a time
    parts = [session.overview(some) for some in session.portions()]
    assert [p.puzzles.tolist() for p in parts] == [[0, 1], [2, 3], [4]]
    batch, course = session.batch, solve_by_step(model, session.batch, 4)
    whole = lambda name: torch.cat([getattr(p, name) for p in parts])
    trace = run_with_trace(model, batch, 4)
    belief = trace.q_halt if isinstance(rule, BinaryHalting) else trace.q_halt - trace.q_continue
    assert torch.allclose(whole("halt"), belief.sigmoid().T, atol=1e-6)
    assert (torch.equal(whole("same")[:, 1:], (course.tokens[1:] == course.tokens[:-1]).all(-1).T)
        and not whole("same")[:, 0].any())
    assert torch.equal(whole("solved"), (course.tokens == batch.labels).all(-1).T)
    for i in range(5):
        for t in range(4):
            assert (whole("accepted")[i, t]
                == FOUR.check(batch.inputs[i].numpy(), course.tokens[t, i].numpy()).solved)
    share = (trace.logits.softmax(-1).amax(-1) if rule.loss == "softmax"
        else (s := torch.where(trace.logits < 0, 1/(1 - trace.logits), trace.logits + 1)).amax(-1)/s.sum(-1))
    assert torch.allclose(whole("least_confidence"), share.amin(-1).T, atol=1e-5)
    # where the recorded one left, it stays with its last answer
    left = Session(run_with_trace(model, batch, 4, some_leave(model)), puzzle=FOUR)
    assert left.recorded.steps.min() < 4
    seen = left.overview(torch.arange(5))
    assert torch.equal(seen.halt.T, left.recorded.q_halt.sigmoid())

def test_a_right_answer_counts_as_solved():
    """By its label; without one by the rules; a maze without a way is never solved,
    and ARC's rules cannot say."""
    class Recites:
        "A recursion that was recorded, with answers put into it."
    data = generate_dataset(FOUR, 1, 2, seed=3).test
    trace = run_with_trace(small(), make_batch(data.inputs, data.labels), 2)
    right = torch.nn.functional.one_hot(
        torch.from_numpy(data.labels[:].astype(np.int64)), FOUR.vocab_size).float()
    logits = torch.stack([right, right.flip(0)]) # right at first, then each other's
    for batch in (trace.batch, replace(trace.batch, labels=trace.batch.inputs)):
        seen = Session(replace(trace, logits=logits, batch=batch), puzzle=FOUR).overview(torch.arange(2))
        assert seen.solved.tolist() == [[True, False]]*2 and seen.accepted.tolist() == [[True, False]]*2
    maze = Session(small(puzzle=Maze(2, 3)), "S#G## \nS G   ", 2, Maze(2, 3)) # the first has none
    assert not maze.overview(torch.arange(2)).solved[0].any()
    assert Session(small(puzzle=Arc()), "12|21", 1, Arc()).overview(torch.arange(1)).solved is None

def test_components_are_those_of_all_vectors(session):
    rng, moments = np.random.default_rng(0), Moments(6)
    vectors = (rng.normal(size=(500, 6))*[5, 3, 1, 1, 1, 0.1] + 100).astype(np.float32)
    for part in np.array_split(vectors, 7): moments.add(part)
    u, s, axes = np.linalg.svd(vectors - vectors.mean(0), full_matrices=False)
    found = moments.components(3)
    assert (np.allclose(np.abs(found.axes @ axes[:3].T), np.eye(3), atol=1e-3)
        and np.allclose(found.explained, (s**2/(s**2).sum())[:3], atol=1e-5))
    assert np.allclose(found(vectors).mean(0), 0, atol=1e-3)
    survey = Survey(session)
    for some in session.portions(): session.overview(some, survey)
    everything = np.concatenate([session.root(i).latent(s).mean(0, keepdim=True).numpy() for i in range(5)
        for s in session.root(i).trace.at(name="z_H")])
    pooled = survey.components()[0]["z_H"]
    assert np.allclose(pooled.mean, everything.mean(0), atol=1e-5) and survey.count == 5
    assert set(INTERVENTIONS) == {"ZeroAblation", "Noise", "ActivationPatch", "MeanAblation", "Given",
        "Identity"}
