"""Lights Out: labels against trying all presses, the rules on wrong and unfinished answers, and that
one module is all it takes."""
import itertools
import numpy as np, pytest
from hypothesis import given, settings, strategies as st
from trm_lab.data.generate import generate_dataset
from trm_lab.data.batches import make_batch
from trm_lab.core.errors import InputError
from trm_lab.views.explorer import Explorer
from trm_lab.puzzles.base import find_puzzle, puzzle_from, puzzle_types
from trm_lab.puzzles.lights_out import LEAVE, OFF, ON, PRESS, LightsOut
from trm_lab.puzzles.maze import Maze
from trm_lab.interp.trace import run_with_trace
from trm_lab.models.variants import build_model

sizes, seeds = st.tuples(st.integers(1, 6), st.integers(1, 6)), st.integers(0, 2**32)

@pytest.mark.parametrize("rows, cols", [(1, 2), (2, 3), (5, 5)])
def test_other_right_answers(rows, cols):
    "Every solution is drawn about as often as any other, and the nearest is the most probable of them."
    board, rng = LightsOut(rows, cols), np.random.default_rng(0)
    question = next(board.generate(rng))[0]
    many = np.repeat(question[None], 400, 0)
    drawn, times = np.unique(board.label(many, rng), axis=0, return_counts=True)
    assert board.solved(many[:len(drawn)], drawn).all() and len(drawn) > 1
    assert times.min() > 0.6*times.mean() and (board.label(many) == board.label(question[None])).all()
    log_probabilities = np.log(rng.dirichlet(np.ones(5), (1, rows*cols)))
    total = [log_probabilities[0, np.arange(rows*cols), answer].sum() for answer in drawn]
    assert (board.nearest_label(question[None], log_probabilities)[0] == drawn[np.argmax(total)]).all()

def test_too_many_solutions_to_compare():
    assert LightsOut(19, 19).nearest_label(np.full((1, 361), OFF, np.uint8), np.zeros((1, 361, 5))) is None

@pytest.mark.parametrize("rows, cols", [(1, 1), (1, 5), (2, 2), (2, 3), (3, 3), (4, 3)])
def test_the_label_is_the_smallest_of_all_solutions(rows, cols):
    """All presses of small boards, in reading order: the first that reaches a board is its label, and
    none reaches the others."""
    board, first = LightsOut(rows, cols), {}
    near = [[j for j in range(rows*cols) if abs(i//cols - j//cols) + abs(i % cols - j % cols) <= 1]
        for i in range(rows*cols)]
    for presses in itertools.product((0, 1), repeat=rows*cols):
        lights = tuple(sum(presses[j] for j in cells) % 2 for cells in near)
        first.setdefault(lights, presses)
    questions = np.array(list(itertools.product((OFF, ON), repeat=rows*cols)), np.uint8)
    for question, label in zip(questions, board.label(questions)):
        smallest = first.get(tuple((question == ON).astype(int)))
        assert board.check(question, label).solved == (smallest is not None)
        if smallest:
            assert ((label == LEAVE + np.array(smallest)).all()
                and board.label_problem(question, label) is None)

@given(sizes, seeds)
@settings(deadline=None, max_examples=60)
def test_images_are_labelled_anew_and_boards_parse_back(size, seed):
    board, rng = LightsOut(*size), np.random.default_rng(seed)
    question, label = next(board.generate(rng))
    for image, answer in zip(*board.symmetries(rng, 4)(np.stack([question]*4), np.stack([label]*4))):
        assert board.check(image, answer).solved and board.label_problem(image, answer) is None
        assert board.canonical(image, answer) == board.canonical(question, label)
    for tokens in (question, label):
        assert ((board.parse(board.text(tokens)) == tokens).all()
            and (board.parse(board.print(tokens)) == tokens).all())
    assert find_puzzle(board.name) == board == puzzle_from(board.spec())

@given(sizes, seeds)
@settings(deadline=None, max_examples=60)
def test_one_press_more_or_less_is_noticed(size, seed):
    board, rng = LightsOut(*size), np.random.default_rng(seed)
    question, label = next(board.generate(rng))
    cell = int(rng.integers(board.seq_len))
    other = label.copy(); other[cell] = LEAVE + PRESS - other[cell]
    verdict = board.check(question, other)
    assert verdict.complete and not verdict.legal and cell in verdict.cells
    unfinished = label.copy(); unfinished[cell] = 0
    assert board.check(question, unfinished).legal and not board.check(question, unfinished).complete

@pytest.mark.parametrize("question, answer, verdict", [
    ("***", "-x-", "solved"), ("***", "...", "legal so far, not complete"),
    ("***", "?x-", "legal so far, not complete"),
    ("**.", "x--", "solved"), ("..*", "xx-", "solved"),
    ("***", "--.", "the light in row 1, column 1 stays on"), # the third cell has no say in it
    ("**.", "xx-", "the light in row 1, column 1 stays on; the light in row 1, column 2 stays on; "
        "the light in row 1, column 3 comes on")])
def test_the_rules_on_answers(question, answer, verdict):
    board = LightsOut(1, 3)
    assert str(board.check(board.parse(question), np.array(["?.*-x".index(c) for c in answer]))) == verdict

@pytest.mark.parametrize("act, what", [
    (lambda: LightsOut(2, 2).parse("..*"), "has 4 cells, but 3 were given"),
    (lambda: LightsOut(2, 2).parse("..*o"), "'o' in row 2, column 2"),
    (lambda: LightsOut(0, 2), "not supported"), (lambda: find_puzzle("lights_out-5"), "write it like 5x5"),
    (lambda: next(LightsOut(2, 2).generate(None, "hard")), "has no difficulties")])
def test_bad_input_is_refused(act, what):
    with pytest.raises(InputError, match=what): act()

@pytest.mark.parametrize("puzzle", [LightsOut(3, 3), Maze(4, 4)], ids=lambda p: p.name)
def test_one_module_is_all_it_takes(puzzle):
    "Names, datasets, models and the Explorer know the type without a word about it."
    assert puzzle.type in puzzle_types()
    data = generate_dataset(puzzle, 6, 2)
    model = build_model("trm", {"seq_len": puzzle.seq_len, "vocab_size": puzzle.vocab_size, "hidden_size": 32,
        "num_heads": 4, "swiglu_multiple": 16, "puzzle_emb_len": 1, "H_cycles": 1, "L_cycles": 1})
    header = Explorer(run_with_trace(model.eval(), make_batch(data.test.inputs, data.test.labels),
            max_steps=2), puzzle=puzzle).header
    assert header["title"] == puzzle.name and len(header["symbols"]) == puzzle.vocab_size
