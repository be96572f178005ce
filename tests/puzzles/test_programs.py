"""Programs from examples: instructions against plain Python, the search against running each program alone,
the rules on right, lucky and wrong programs, and generated questions."""
import itertools
import numpy as np, pytest
from hypothesis import given, settings, strategies as st
from trm_lab.core.errors import InputError
from trm_lab.data.check import DatasetCheck
from trm_lab.data.datasets import write_dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.puzzles.base import find_puzzle, puzzle_from
from trm_lab.puzzles.programs import (
    ABSENT, FAILED, INSTRUCTIONS, OPEN, WIDTH, Programs, programs, run_all, run_program)

five, letters = Programs(5, 3), list(INSTRUCTIONS)
lists = st.lists(st.integers(0, 9), max_size=WIDTH)
levels, seeds = st.sampled_from(["mixed", "one", "two", "three"]), st.integers(0, 2**32)

PLAIN = { # each instruction, as one would write it for a single list
    "I": lambda x: [n + 1 for n in x], "D": lambda x: [n - 1 for n in x], "T": lambda x: [2*n for n in x],
    "H": lambda x: [n//2 for n in x], "E": lambda x: [n for n in x if n % 2 == 0],
    "O": lambda x: [n for n in x if n % 2], "S": lambda x: [n for n in x if n < 5],
    "L": lambda x: [n for n in x if n >= 5], "F": lambda x: x[:2], "B": lambda x: x[1:],
    "R": lambda x: x[::-1], "A": sorted, "U": lambda x: list(dict.fromkeys(x)),
    "P": lambda x: list(itertools.accumulate(x)), "M": lambda x: list(itertools.accumulate(x, max)),
    "G": lambda x: [abs(a - b) for a, b in itertools.pairwise(x)]}

def plain(program, x):
    "What a program makes of one list; None where a number leaves 0 to 9."
    for letter in program:
        x = PLAIN[letter](x)
        if any(not 0 <= n <= 9 for n in x): return None
    return x

def packed(*some): return np.array([[*x, *[ABSENT]*(WIDTH - len(x))] for x in some], np.int8)

def unpacked(row): return None if row[0] == FAILED else [n for n in row.tolist() if n != ABSENT]

def drawn(seed, level="mixed", board=five): return next(board.generate(np.random.default_rng(seed), level))

def answer_with(question, program):
    _, before, after = five.read(question)
    numbers = [letters.index(letter) for letter in program]
    return np.where(question == OPEN, five.write(before, after, numbers), question).astype(np.uint8)

@given(st.lists(lists, min_size=1, max_size=4), st.lists(st.sampled_from(letters), min_size=1, max_size=3))
@settings(deadline=None, max_examples=200)
def test_instructions_against_plain_python(some, program):
    made = run_program([letters.index(letter) for letter in program], packed(*some))
    assert [unpacked(row) for row in made] == [plain(program, x) for x in some]

def test_the_search_runs_every_program():
    "In the order of `programs`: each on its own gives what the search has for it."
    some = packed([3, 1, 4, 2], [0, 0, 9], [])
    assert len(programs(3)) == 16 + 16**2 + 16**3 and len(set(programs(3))) == 4368
    every = run_all(some, 3)
    for number in range(0, 4368, 37):
        assert (every[number] == run_program(programs(3)[number], some)).all()

@given(levels, seeds)
@settings(deadline=None, max_examples=15)
def test_generated_questions(level, seed):
    question, label = drawn(seed, level)
    _, before, after = five.read(question)
    program, fitting = five.program(label), [p for p in programs(3) if all(unpacked(b) is not None
        and plain([letters[i] for i in p], unpacked(b)) == unpacked(a) for b, a in zip(before, after))]
    assert 3 <= len(before) <= 5 and five.check(question, label).solved
    assert program == fitting[0] and five.measures([question])["programs that fit"] == [len(fitting)]
    if level != "mixed": assert len(program) == five.difficulties.index(level)
    assert five.label_problem(question, label) is None
    assert str(five.check(question, question)) == "legal so far, not complete"
    assert [a.tolist() for a in five.solutions(question)] == [label.tolist()]

@given(levels, seeds)
@settings(deadline=None, max_examples=15)
def test_the_order_of_examples_does_not_matter(level, seed):
    question, label = drawn(seed, level)
    ways = five.symmetries(np.random.default_rng(seed), 4)
    for image, answer in zip(*ways(np.stack([question]*4), np.stack([label]*4))):
        assert five.check(image, answer).solved and five.label_problem(image, answer) is None
        assert five.canonical(image, answer) == five.canonical(question, label)
        assert (five.truth(image).before == five.truth(question).before).all()
    for tokens in (question, label):
        assert (five.parse(five.text(tokens)) == tokens).all()
        assert (five.parse(five.print(tokens)) == tokens).all()
    assert find_puzzle(five.name) == five == puzzle_from(five.spec())

SORTED = five.parse("1333_13___" "132030123_" "11___1____" "22331123__" "00___0____" "...___" "____")

@pytest.mark.parametrize("program, verdict, fits", [
    ("AU", "solved", True), ("UA", "solved", True), ("RAU", "solved", True),
    ("AUS", "it fits the examples, but of [4 1 0 6] it makes [0 1 4], not [0 1 4 6], as the first", True),
    ("A", "of [1 3 3 3] the program makes [1 3 3 3], not [1 3]; of [1 3 2 0 3] the program makes", False),
    ("UAT", "of [1 3 3 3] the program makes [2 6], not [1 3]; of [1 3 2 0 3] the program makes", False)])
def test_the_rules_on_programs(program, verdict, fits):
    answer = answer_with(SORTED, program)
    assert str(five.check(SORTED, answer)).startswith(verdict)
    right = verdict == "solved"
    assert five.scores(SORTED, answer) == {"solved": right, "right": right, "fits": fits}
    assert bool(five.label_problem(SORTED, answer)) == (program != "AU")

@pytest.mark.parametrize("cells, verdict", [
    ("A_U", "these tokens are not a program"), ("___", "these tokens are not a program"),
    ("A3_", "these tokens are not a program"), ("AU.", "legal so far, not complete")])
def test_answers_that_are_no_program(cells, verdict):
    answer = SORTED.copy(); answer[five.place] = five.parse(cells.ljust(60, "_"))[:3]
    assert str(five.check(SORTED, answer)) == verdict and not five.scores(SORTED, answer)["fits"]

def test_a_question_that_no_program_explains():
    question = five.parse("12___98___" "3____7____" "45___66___" + "_"*20 + "..._______")
    assert five.truth(question) is None and five.solutions(question) == []
    assert not five.check(question, answer_with(question, "A")).legal
    changed = answer_with(SORTED, "AU"); changed[0] = five.parse("7"*60)[0]
    assert str(five.check(SORTED, changed)) == "the question was changed in row 1, column 1"

@pytest.mark.parametrize("act, what", [
    (lambda: five.parse("."*59), "has 60 cells, but 59 were given"),
    (lambda: five.parse("."*59 + "?"), "'?' in row 6, column 10"),
    (lambda: Programs(2, 3), "not supported"), (lambda: Programs(5, 4), "not supported"),
    (lambda: find_puzzle("programs-5"), "write it like 5x3"),
    (lambda: next(Programs(5, 1).generate(None, "two")), "choose from mixed, one")])
def test_bad_input_is_refused(act, what):
    with pytest.raises(InputError, match=what.replace("?", r"\?")): act()

def test_datasets_pass_the_check(tmp_path):
    write_dataset(generate_dataset(five, 40, 10, difficulty="mixed"), tmp_path/"set")
    check = DatasetCheck(tmp_path/"set")
    assert list(check) == [] and "no images of one another within a split" in check.looked_at
