"""n queens: the table of solutions and the rules against trying all placements, labels and other right
answers, symmetries, and generated questions."""
import itertools
import numpy as np, pytest
from hypothesis import given, settings, strategies as st
from trm_lab.core.errors import InputError
from trm_lab.data.check import DatasetCheck
from trm_lab.data.datasets import write_dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.puzzles.base import dihedral, find_puzzle, puzzle_from
from trm_lab.puzzles.queens import EMPTY, OPEN, QUEEN, Queens

five, eight = Queens(5), Queens(8)
levels, seeds = st.sampled_from(["several", "single"]), st.integers(0, 2**32)

def drawn(board, seed, level="several", count=1):
    return list(itertools.islice(board.generate(np.random.default_rng(seed), level), count))

def peaceful(squares, side):
    "No two of these squares are on a line: by comparing each pair."
    pairs = itertools.combinations([divmod(s, side) for s in squares], 2)
    return all(r != s and c != d and abs(r - s) != abs(c - d) for (r, c), (s, d) in pairs)

def test_every_placement_of_five_queens():
    "Of all 53,130 placements on 5×5 the rules accept those without an attack, and the table has no others."
    placements = list(itertools.combinations(range(25), 5))
    boards = np.full((len(placements), 25), EMPTY, np.uint8)
    np.put_along_axis(boards, np.array(placements), QUEEN, 1)
    right = np.array([peaceful(squares, 5) for squares in placements])
    questions = np.full_like(boards, OPEN)
    assert right.sum() == 10 and (five.solved(questions, boards) == right).all()
    for board in (*boards[right], *boards[::500]):
        assert five.check(questions[0], board).solved == five.solved(questions[:1], board[None])[0]
    first = min(boards[right].tolist(), key=lambda board: [-t for t in board]) # earliest queens
    assert five.label(questions[:1])[0].tolist() == first
    assert five.measures(questions[:1])["solutions"][0] == 10

@pytest.mark.parametrize("side, count", [(6, 4), (7, 40), (8, 92), (9, 352), (10, 724)]) # OEIS A000170
def test_the_known_numbers_of_solutions(side, count):
    assert Queens(side).measures(np.full((1, side*side), OPEN))["solutions"][0] == count

@given(seeds)
@settings(deadline=None, max_examples=40)
def test_answers_at_random_are_judged_alike(seed):
    "One board at a time and many at once agree on answers with a few changed squares."
    rng = np.random.default_rng(seed)
    questions, answers = map(np.stack, zip(*drawn(eight, seed, count=16)))
    changed = rng.random(answers.shape) < 0.03
    answers = np.where(changed, rng.integers(OPEN, QUEEN + 1, size=answers.shape), answers).astype(np.uint8)
    each = [eight.check(*pair).solved for pair in zip(questions, answers)]
    assert each == eight.solved(questions, answers).tolist()
    assert each == eight.score_boards(questions, answers)["right"].tolist()

@given(levels, seeds)
@settings(deadline=None, max_examples=40)
def test_generated_questions(level, seed):
    question, label = drawn(eight, seed, level)[0]
    shown, left = (question != OPEN).sum(), eight.measures(question[None])["solutions"][0]
    assert 8 <= shown <= 16 and (left == 1 if level == "single" else left > 1)
    assert eight.check(question, label).solved and eight.label_problem(question, label) is None
    assert str(eight.check(question, question)) == "legal so far, not complete"
    _, fits, sound = eight.deduce(question[None]) # which leaves out no solution
    for answer in np.unique(eight.label(np.repeat(question[None], 50, 0), np.random.default_rng(0)), axis=0):
        assert sound[0] and fits[0][np.arange(64), answer].all()

def test_every_solution_is_drawn_about_as_often():
    "The boards behind single questions of 6×6, which has four solutions."
    labels = np.stack([label for _, label in drawn(Queens(6), 0, "single", 800)])
    assert np.unique(labels, axis=0, return_counts=True)[1].min() > 120

@pytest.mark.parametrize("seed", range(4))
def test_other_right_answers(seed):
    "Random labels reach every solution about equally, and the nearest is the most probable of them."
    question, rng = drawn(eight, seed)[0][0], np.random.default_rng(seed)
    left = int(eight.measures(question[None])["solutions"][0])
    many = np.repeat(question[None], 200*left, 0)
    found, times = np.unique(eight.label(many, rng), axis=0, return_counts=True)
    assert len(found) == left and times.min() > 120 and eight.solved(many[:left], found).all()
    log_probabilities = np.log(rng.dirichlet(np.ones(4), (1, 64)))
    total = [log_probabilities[0, np.arange(64), answer].sum() for answer in found]
    assert (eight.nearest_label(question[None], log_probabilities)[0] == found[np.argmax(total)]).all()

@given(levels, seeds)
@settings(deadline=None, max_examples=40)
def test_images_are_labelled_anew_and_boards_parse_back(level, seed):
    question, label = drawn(eight, seed, level)[0]
    ways = eight.symmetries(np.random.default_rng(seed), 4)
    for image, answer in zip(*ways(np.stack([question]*4), np.stack([label]*4))):
        assert eight.check(image, answer).solved and eight.label_problem(image, answer) is None
        assert eight.canonical(image, answer) == eight.canonical(question, label)
    for tokens in (question, label):
        assert (eight.parse(eight.text(tokens)) == tokens).all()
        assert (eight.parse(eight.print(tokens)) == tokens).all()
    assert find_puzzle(eight.name) == eight == puzzle_from(eight.spec())

def test_a_turned_solution_is_a_solution():
    empty = np.full((8, 64), OPEN, np.uint8)
    for label in eight.label(np.repeat(empty, 4, 0), np.random.default_rng(0)):
        assert eight.solved(empty, label[dihedral(8, 8)]).all()

QUESTION = "Q...." "....." "....-" "....." "....."
RIGHT = "Q----" "--Q--" "----Q" "-Q---" "---Q-"

@pytest.mark.parametrize("question, answer, verdict", [
    ("."*25, RIGHT, "solved"), ("Q" + "."*24, RIGHT, "solved"),
    (QUESTION, RIGHT, "the empty square that is shown in row 3, column 5 was changed"),
    (QUESTION, QUESTION, "legal so far, not complete"),
    ("."*25, "Q----" "--Q--" + "."*15, "legal so far, not complete"),
    ("."*25, "Q----" "-----" + "."*15, "no queen stands in row 2"),
    ("."*25, "Q----" ".Q..." + "."*15,
        r"2 queens stand on one diagonal (row 1, column 1 and row 2, column 2)"),
    ("Q" + "."*24, "."*25, "the queen that is shown in row 1, column 1 was changed"),
    ("."*25, "Q..Q." + "."*20, "2 queens stand on row 1 (row 1, column 1 and row 1, column 4)")])
def test_the_rules_on_answers(question, answer, verdict):
    assert str(five.check(five.parse(question), five.parse(answer))) == verdict

@pytest.mark.parametrize("question, filled, sound", [
    ("Q....", "Q----" "--..." "-.-.." "-..-." "-...-", True),
    ("Q....--.--", RIGHT, True), # the second row has one square left, which decides all others
    ("Q----" "--Q--", RIGHT, True), ("-----", None, False), ("QQ...", None, False)])
def test_deduction_by_example(question, filled, sound):
    found, _, possible = five.deduce(five.parse(question.ljust(25, "."))[None])
    assert possible[0] == sound and (not sound or five.print(found[0]) == filled)

def test_a_question_without_an_answer():
    question = five.parse("QQ" + "."*23)
    assert five.solutions(question) == [] and not five.check(question, five.label(question[None])[0]).solved
    assert len(five.solutions(five.parse(QUESTION))) == 1

@pytest.mark.parametrize("act, what", [
    (lambda: five.parse("."*24), "has 25 squares, but 24 were given"),
    (lambda: five.parse("."*24 + "o"), "'o' in row 5, column 5"),
    (lambda: Queens(4), "4×4 is not supported"), (lambda: Queens(13), "not supported"),
    (lambda: find_puzzle("queens-8"), "write it like 8x8"),
    (lambda: find_puzzle("queens-8x9"), "not a square"),
    (lambda: next(five.generate(None, "hard")), "choose from several, single")])
def test_bad_input_is_refused(act, what):
    with pytest.raises(InputError, match=what): act()

@pytest.mark.parametrize("level", ["several", "single"])
def test_datasets_pass_the_check(level, tmp_path):
    write_dataset(generate_dataset(eight, 60, 20, difficulty=level), tmp_path/"set")
    check = DatasetCheck(tmp_path/"set")
    assert list(check) == [] and "no images of one another within a split" in check.looked_at
