"""Cards say what was measured: counts that can be counted again, on test puzzles whose likeness to
training puzzles is counted too."""
import csv, json, re, shutil
from pathlib import Path
import numpy as np, pytest
import test_cli
from trm_lab.runs.cards import (_asked, _shown, _Tests, STEPS, DEFAULT_STEPS, answers_by_step, puzzle_set,
    card_text, make_card, rounding, shipped, shipped_table, WORK)
from trm_lab.models.checkpoints import load, load_pretrained, pretrained_file, pretrained_models, save_model
from trm_lab.data.generate import generate_dataset
from trm_lab.data.datasets import augmented_dataset, read_dataset, split_of, write_dataset
from trm_lab.data.build import seen_in_training
from trm_lab.core.device import pick_device, pick_dtype
from trm_lab.core.errors import InputError
from trm_lab.puzzles.arc import Arc, read_tasks
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.core.run import Run, home
from trm_lab.core.settings import read_yaml
from trm_lab.runs.training import train_run
from trm_lab.solving.evaluate import wilson
from trm_lab.solving.votes import vote

REFERENCE = Path(__file__).parents[1]/"reference"
six = Sudoku(2, 3)
cli_run = test_cli.cli_run # the command line in this process, as a fixture
TINY = {"name": "tiny", "puzzle": "sudoku-6x6", "train_puzzles": 24, "test_puzzles": 2,
    "difficulty": "easy+minimal", "train_steps": 6, "global_batch_size": 8, "log_every": 2, "eval_every": 3,
    "model": {"hidden_size": 16, "num_heads": 1, "swiglu_multiple": 16, "H_cycles": 1, "L_cycles": 1,
        "mlp_t": True, "pos_encodings": "none", "puzzle_emb_ndim": 0}}

@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    "A folder for data and reports, with one finished run that learned next to nothing."
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TRM_LAB_HOME", str(tmp_path_factory.mktemp("lab")))
        yield train_run(TINY)[0]

@pytest.fixture(scope="module")
def trained_on(lab): return read_dataset(home()/"data"/"sudoku-6x6-easy+minimal-24+2-seed0")

def write_csv(path, pairs):
    with open(path, "w", newline="") as f:
        csv.writer(f).writerows([["source", "question", "answer", "rating"],
            *(["here", six.print(q), six.print(a), 0] for q, a in pairs)])
    return path

def augmented(split, count, seed=0):
    questions, answers = (np.asarray(boards[:count]) for boards in (split.inputs, split.labels))
    return list(zip(*six.symmetries(np.random.default_rng(seed), count)(questions, answers)))

# ---- the test puzzles --------------------------------------------------------------------------------------

def test_images_of_training_puzzles_are_counted_or_left_out(trained_on, tmp_path):
    fresh = generate_dataset(six, 1, 7, seed=77).test
    mixed = augmented(trained_on.train, 4) + list(zip(fresh.inputs, fresh.labels))
    assert seen_in_training(six, trained_on.train, split_of(mixed)).tolist() == [True]*4 + [False]*7
    found = puzzle_set(trained_on, str(write_csv(tmp_path/"p.csv", mixed)), 100, 1) # a file stays as it is
    assert (len(found.split), found.images, found.left_out, found.name) == (11, 4, 0, "p")
    # the training puzzles' own mixture and seed, of which it had 26
    made = puzzle_set(trained_on, "easy+minimal", 40, 0)
    # the first is no test puzzle, and two were the run's own
    assert (len(made.split), made.images, made.left_out) == (17, 0, 23)

def test_a_seed_that_gives_the_training_puzzles_is_refused(trained_on):
    with pytest.raises(InputError, match="all test puzzles of seed 0 are training puzzles; choose another"):
        puzzle_set(trained_on, "easy+minimal", 10, 0)

def test_where_there_are_too_few_puzzles_they_are_asked_and_counted():
    four = generate_dataset(Sudoku(2, 2), 200, 1)
    found = puzzle_set(four, "usual", 20, 1)
    assert len(found.split) == 20 and found.images > 10 and not found.left_out

def test_larger_boards_cannot_be_compared():
    twelve = generate_dataset(Sudoku(3, 4), 1, 1)
    assert puzzle_set(twelve, "usual", 1, 1).images is None

def test_data_check_counts_images_in_a_file(trained_on, lab, tmp_path, cli_run):
    file = write_csv(tmp_path/"p.csv",
        augmented(trained_on.train, 3) + augmented(generate_dataset(six, 1, 5, seed=77).test, 5))
    code, out, err = cli_run("data", "check",
        home()/"data"/"sudoku-6x6-easy+minimal-24+2-seed0", "--csv", file)
    assert code == 0 and f"{file}: 3 of 8 puzzles are training puzzles or images of them" in out, out + err

# ---- the card ----------------------------------------------------------------------------------------------

@pytest.fixture(scope="module")
def card(lab, trained_on, tmp_path_factory):
    out = tmp_path_factory.mktemp("out")
    file = write_csv(out/"seen.csv", augmented(trained_on.train, 6))
    return make_card(lab.folder, out, "small", ["easy", str(file)], count=20, restarts=2), out

def test_what_a_card_is_made_of(card, lab):
    made, out = card
    assert sorted(p.name for p in out.iterdir()) == ["seen.csv", "small.md",
        "small.safetensors", "small.yaml"]
    loaded = load(out/"small.safetensors")
    assert (loaded.history["card"] == json.loads(json.dumps(made))
        and loaded.history["run"] == lab.folder.name and loaded.policy(4))
    assert (read_yaml(out/"small.yaml") == made["recipe"] == {**lab.info["parameters"], "name": "small"}
        and made["seconds"] > 0
        and made["machine"] == lab.info["device"])
    assert ([row["step"] for row in made["curve"]] == [2, 4, 6] and made["curve"][0]["held_out"] is None
        and made["curve"][1]["held_out"] is not None)
    easy, file = made["sets"]
    assert (easy["n"] <= 20 and (file["n"], file["images_of_training_puzzles"]) == (6, 6)
        and made["headline"] == {"set": "easy", "steps": DEFAULT_STEPS,
            **{k: easy["steps"]["16"][k] for k in ("solved", "n", "share", "interval")}})

def test_the_scores_are_those_of_the_file(card, trained_on):
    "Solved again with what was saved, one budget at a time."
    from trm_lab.solving.evaluate import evaluate
    made, out = card
    loaded = load(out/"small.safetensors", dtype=pick_dtype(pick_device()))
    split = puzzle_set(trained_on, "easy", 20, 1000).split
    for steps in STEPS:
        exact = int(evaluate(loaded.model, six, split, steps).exact.sum())
        assert made["sets"][0]["steps"][str(steps)] | {"legal": None} == {"solved": exact, "n": len(split),
            "share": exact/len(split), "interval": wilson(exact, len(split)), "legal": None}
    assert list(made["sets"][0]["tries"]) == ["1", "2", "3"]

def test_a_branching_search_has_its_rows(card, trained_on):
    "With intervals, the steps that it took, and what it abstained from; more work is another row."
    made, out = card
    split, found = puzzle_set(trained_on, "easy", 20, 1000).split, made["sets"][0]["branching"]
    page = (out/"small.md").read_text(encoding="utf-8")
    assert list(found) == [str(work) for work in WORK] and "In rows with *branching* some" in page
    for work, each in zip(WORK, found.values()):
        assert each["n"] == len(split) and each["interval"] == wilson(each["solved"], each["n"])
        assert each["mean_steps"] <= work and sum(each["outcomes"].values()) == len(split)
        [row] = [line for line in page.splitlines() if line.startswith(f"| branching, {work:,} steps")]
        assert f"{each['mean_steps']:.1f} steps" in row
    few, many = found.values()
    assert few["solved"] <= many["solved"] and few["mean_steps"] <= many["mean_steps"]

def test_the_page_says_what_the_numbers_say(card):
    made, out = card
    page = (out/"small.md").read_text(encoding="utf-8")
    assert ("6 of 6 are images of training puzzles" in page
        and f"| parameters | {made['parameters']:,} |" in page
        and f"{(out/'small.safetensors').stat().st_size:,} bytes" in page)
    for s in made["sets"]:
        for failure in s["failures"]: assert failure["question"] in page and failure["answer"] in page
    failure = made["sets"][0]["failures"][0]
    marks = page.split(failure["answer"])[1].splitlines()[1].removeprefix("wrong     ")
    assert [i for i, mark in enumerate(marks) if mark == "^"] == failure["wrong"] and len(failure["wrong"])
    assert str(out) not in page and str(home()) not in page

def test_a_card_of_a_file_has_no_curve(card, lab, tmp_path):
    again = make_card(card[1]/"small.safetensors", tmp_path, count=4, restarts=0)
    assert (again["name"] == "tiny" and again["curve"] == [] and again["sets"][0]["name"] == "minimal"
        and again["sets"][0]["tries"] == {})
    assert "It was not kept with this model." in (tmp_path/"tiny.md").read_text(encoding="utf-8")

def test_other_puzzles_than_those_it_was_trained_on_are_noticed(card, lab, tmp_path):
    loaded = load(card[1]/"small.safetensors")
    history = {**loaded.history, "recipe": {**loaded.history["recipe"], "data_seed": 1}}
    save_model(tmp_path/"other.safetensors", loaded.model, six, history)
    with pytest.raises(InputError, match="are not those that it was trained on"):
        make_card(tmp_path/"other.safetensors", tmp_path, count=2)

def test_rounding_is_refused_where_it_costs(monkeypatch):
    "Models that solve what they are told to: as they are, in bfloat16, in eight bits of what a file holds."
    from trm_lab.runs import cards
    split, model = split_of([(np.full(36, 2), np.full(36, 2))]*40), load_pretrained("sudoku-4x4").model
    def told(before, after, eight=0):
        answers = iter([before, after, eight])
        monkeypatch.setattr(cards, "answers_by_step", lambda model, split, steps:
            np.where(np.arange(40)[:, None] < next(answers), 2, 3)[None].repeat(36, 2))
        return rounding(model, [split])
    assert told(30, 30)["costs_nothing"] and told(30, 28)["costs_nothing"] and told(20, 30)["costs_nothing"]
    assert told(30, 20, 31) == {"n": 40, "both": 20, "only_float32": 10, "only_bfloat16": 0,
        "costs_nothing": False, "int8": {"both": 30, "only_without": 0, "only_with": 1}}
    assert told(30, 29, 25)["int8"] == {"both": 25, "only_without": 4, "only_with": 0}

def test_only_finished_runs(lab, tmp_path):
    lab.update(status="interrupted")
    try:
        with pytest.raises(InputError, match="this run is not finished"): make_card(lab.folder, tmp_path)
    finally: lab.update(status="finished")

# ---- mazes and tasks ---------------------------------------------------------------------------------------

MAZES = {**TINY, "name": "mazes", "puzzle": "maze-5x5", "difficulty": "path6", "train_puzzles": 40,
    "model": {**TINY["model"], "mlp_t": False, "pos_encodings": "rope_2d+local_bias", "num_heads": 2}}

@pytest.fixture(scope="module")
def maze_run(lab): return train_run(MAZES)[0]

def test_a_maze_is_scored_by_the_label_by_any_shortest_path_and_by_any_path(maze_run, tmp_path):
    "Each counted again from the answers of the file, by budget and by the length of the shortest path."
    made = make_card(maze_run.folder, tmp_path, "maze", ["path6"], count=12, restarts=1, steps=(1, 16))
    one, loaded = made["sets"][0], load(tmp_path/"maze.safetensors", dtype=pick_dtype(pick_device()))
    found = puzzle_set(read_dataset(home()/"data"/"maze-5x5-path6-40+2-seed0"), "path6", 12, 1000)
    answers = answers_by_step(loaded.model, found.split, (1, 16))
    assert list(one["steps"]) == ["1", "16"] and list(one["tries"]) == ["1", "2"]
    for said, tokens in zip(one["steps"].values(), answers):
        rules = loaded.puzzle.score_boards(found.split.inputs, tokens)
        assert (said["solved"] == (tokens == found.split.labels).all(1).sum()
            and said["legal"]["solved"] == said["further"]["optimal"]["solved"] == rules["optimal"].sum()
            and said["further"]["valid"]["solved"] == rules["valid"].sum())
    shortest = loaded.puzzle.measures(found.split.inputs)["steps of the shortest path"]
    quarters = one["by"]["steps of the shortest path"]
    assert (quarters[0]["from"] == shortest.min() >= 6 and quarters[-1]["to"] == shortest.max()
        and sum(q["n"] for q in quarters) == len(found.split) and set(quarters[0]["further"])
        == {"exact", "optimal", "valid"})
    assert made["headline"]["solved"] == one["steps"]["16"]["legal"]["solved"] == one["n"] - sum(
        q["n"] - q["solved"] for q in quarters)
    page = (tmp_path/"maze.md").read_text(encoding="utf-8")
    assert ("| optimal: any shortest path |" in page and "A puzzle is solved by any shortest path." in page
        and "| steps of the shortest path | puzzles | exact | optimal | valid |" in page)
    assert one["failures"][0]["answer"] in page and "cols" not in one["failures"][0]

@pytest.mark.parametrize("name", pretrained_models())
def test_the_page_of_a_card_follows_from_its_file(name):
    "No page was written by an older rule; a search shows what the rules accept, whatever the type calls it."
    card, file = load_pretrained(name).history["card"], pretrained_file(name)
    page = file.with_suffix(".md").read_text(encoding="utf-8")
    assert page == card_text(card, file.stat().st_size)
    for k, each in enumerate(card.get("sets", [])): # a table each
        for tries, share in each["tries"].items() if "further" in each.get("adaptive", {}) else ():
            row = [line for line in page.splitlines() if line.startswith(f"| {tries} tr")][k]
            assert f"{share['legal']['share']:.1%} (" in row

def test_a_card_says_what_was_trained_before():
    "Or a reader takes five minutes of training for all there was."
    card = load_pretrained("sudoku-9x9").history["card"]
    assert card["recipe"]["freeze"] == "answer"
    page = card_text(card, 1)
    assert (f"| began with | the weights of `{card['recipe']['init_from']}`" in page
        and "only the halting head went on to learn |" in page)
    assert "began with" not in card_text(load_pretrained("sudoku-6x6").history["card"], 1)

def test_large_boards_are_shown_row_by_row():
    shown = _shown({"question": "S# #  #G ", "answer": "S# #oo#G ", "wrong": [4, 5], "cols": 3})
    assert shown == "question   answer   wrong\nS#    S#\n#     #oo    ^^\n#G    #G"

def test_a_card_has_what_lies_beside_a_models_file(maze_run, tmp_path):
    "The record of its own run, and not that of another."
    beside = tmp_path/"kept"
    beside.mkdir()
    for name in ("run.json", "metrics.jsonl"): shutil.copy(maze_run.folder/name, beside)
    shutil.copy(maze_run.folder/"checkpoints"/"model.safetensors", beside/"model.safetensors")
    few = dict(tests=["path6"], count=2, restarts=0, steps=(16,))
    made = make_card(beside/"model.safetensors", tmp_path/"out", **few)
    assert (made["machine"] == maze_run.info["device"] and [row["step"] for row in made["curve"]] == [2, 4, 6]
        and made["name"] == "mazes")
    Run(beside).update(run_id="another")
    assert make_card(beside/"model.safetensors", tmp_path/"out", **few)["curve"] == []
    with pytest.raises(InputError, match="let 16 be among the steps"):
        make_card(beside/"model.safetensors", tmp_path/"out", **{**few, "steps": (1, 4)})

@pytest.fixture(scope="module")
def arc_run(lab):
    "A model of three tasks that learned next to nothing."
    tasks = read_tasks(REFERENCE/"arc").on_canvas(11, 10)
    write_dataset(augmented_dataset(Arc(11), tasks.groups(3, dihedral_first=True), origin=tasks.origin),
        home()/"data"/"tasks")
    return train_run({**TINY, "name": "tasks", "puzzle": "arc-11x11", "data": str(home()/"data"/"tasks"),
        "holdout": 0., "halt_max_steps": 2, "difficulty": None, "eval_every": 0,
        "model": {**TINY["model"], "mlp_t": False, "pos_encodings": "rope_2d", "puzzle_emb_ndim": 16}})[0]

def test_tasks_vote_with_the_identities_that_ship(arc_run, tmp_path):
    "The file holds two of the four identities of each task, and its votes give the card's scores again."
    made = make_card(arc_run.folder, tmp_path, "few", rounds=2, identities=2)
    one, loaded = made["sets"][0], load(tmp_path/"few.safetensors", dtype=pick_dtype(pick_device()))
    dataset = read_dataset(home()/"data"/"tasks")
    assert (one["identities"] == len(loaded.identities) == 1 + 2*len({name.partition("|||")[0]
            for name in dataset.identifiers[1:]})
        and all(name in dataset.identifiers for name in loaded.identities))
    asked = _asked(dataset, loaded.identities)
    assert [asked.identifiers[i] for i in asked.test.puzzle_identifiers] == [
        name for name in (dataset.identifiers[i] for i in dataset.test.puzzle_identifiers)
        if name in loaded.identities]
    votes = vote(loaded.model, asked, 2, 1000, max_steps=2)
    assert one["tasks"] == {task: {str(k): shares[k] for k in (1, 2, 10)}
        for task, shares in votes.by_task().items()}
    assert [row["rounds"] for row in one["passes"]] == [1, 2] and one["n"] == len(votes)
    assert made["headline"]["share"] == pytest.approx(votes.scores()["ARC/pass@2"])
    page = (tmp_path/"few.md").read_text(encoding="utf-8")
    assert (f"| identities | {one['identities']}, the blank one" in page and "within two attempts" in page
        and f"{one['images_of_training_puzzles']} of its {one['pairs']} test pairs are images" in page
        and "trm-lab arc solve TASK.json --model few" in page)

# ---- the command line --------------------------------------------------------------------------------------

def test_the_commands(cli_run, lab, tmp_path):
    code, out, err = cli_run("card", lab.folder, tmp_path/"here", "--test", "minimal",
        "--count", 3, "--restarts", 0)
    assert code == 0 and f"card: {tmp_path/'here'/'tiny.md'}" in out, err
    code, out, _ = cli_run("models")
    assert (code == 0 and len(out.splitlines()) == 1 + len(pretrained_models())
        and all(name in out for name in pretrained_models()))
    code, out, _ = cli_run("models", "--json")
    assert code == 0 and [row["name"] for row in json.loads(out)] == pretrained_models()
    code, _, err = cli_run("models", "sudoku-7x7")
    assert code == 2 and "no model 'sudoku-7x7' ships with trm-lab" in err

def test_a_card_asks_puzzles_like_those_of_the_training(monkeypatch):
    "Of Light Up the usual ones are minimal; the model that ships was trained on boards with all numbers."
    class Asked(Exception): pass
    def ask(dataset, test, count, seed): raise Asked(test)
    monkeypatch.setattr("trm_lab.runs.cards.puzzle_set", ask)
    for tests, name, expected in (((), "lightup-7x7", "numbered"), ((), "sudoku-6x6", "usual"),
            (("minimal",), "lightup-7x7", "minimal")):
        loaded = load_pretrained(name)
        with pytest.raises(Asked, match=f"^{expected}$"):
            _Tests(tests, 10, 0, 0, 0, None).measure(loaded, None, loaded.model)

# ---- what is said of the models that ship ------------------------------------------------------------------

def test_the_page_of_models_says_what_the_cards_measured():
    """Each share in its table is one of the card, and no puzzle is called unseen that is an
    image of a training puzzle."""
    page = (Path(__file__).parents[2]/"docs"/"pages"/"models.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `([\w-]+)` \| .*? \| (.*?) \|$", page, re.M))
    assert sorted(rows) == pretrained_models() and "unseen" not in page
    for row in shipped():
        said, first = rows[row["name"]], row["says"]["sets"][0]
        if "passes" in first: shares = [row["pass"]["2"] for row in first["passes"]]
        elif "further" in first["adaptive"]: # a maze may have several right answers
            shares = [first["steps"][str(DEFAULT_STEPS)]["legal"], first["adaptive"]["legal"]]
        else: shares = [first["steps"][str(DEFAULT_STEPS)], *first["tries"].values()]
        measured = {"none" if not share["solved"] else f"{100*share['share']:.3g} %" for share in shares}
        assert said.split(";")[0].split(",")[0].split(". ")[0] in measured, row["name"]
        assert (f"{row['parameters']:,} parameters" in page
            or row["name"] in ("sudoku-6x6-hrm", "sudoku-6x6-single-z"))
        assert ("images of training puzzles" in said) == (first["images_of_training_puzzles"] == first["n"])

def test_a_card_says_first_whether_its_puzzles_were_new_to_the_model():
    four, six = (load_pretrained(name).history["card"] for name in ("sudoku-4x4", "sudoku-6x6"))
    assert ("puzzles, all of them images of training puzzles.\n" in card_text(four, 1)
        and "only 36 different puzzles of this kind" in card_text(four, 1))
    assert ("puzzles, none of them an image of a training puzzle.\n" in card_text(six, 1)
        and "different puzzles of this kind" not in card_text(six, 1))
    unknown, some = ({**six, "sets": [{**six["sets"][0], "images_of_training_puzzles": images}]}
        for images in (None, 3))
    assert ("this type cannot tell.\n" in card_text(unknown, 1)
        and ", 3 of them images of training puzzles.\n" in card_text(some, 1))
    for text in (card_text(four, 1), card_text(six, 1)):
        assert "none of which was trained on" not in text and "one training with one seed" in text
    assert "100.0% (99.2%–100.0%) of 500 minimal, all images of training puzzles" in shipped_table()

def test_there_are_36_minimal_puzzles_on_4x4_and_training_saw_all():
    four = Sudoku(2, 2)
    split = generate_dataset(four, 500, 1, seed=0).train # what the shipped model was trained on
    fresh = generate_dataset(four, 1, 2000, seed=7).test
    forms = [{four.canonical(*pair) for pair in zip(boards.inputs, boards.labels)}
        for boards in (split, fresh)]
    assert four.classes() == 36 == len(forms[0] | forms[1]) and forms[0] >= forms[1]
