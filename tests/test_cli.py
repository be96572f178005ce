"The command line as a user meets it: real files, real processes, exit codes and sentences."
import csv, itertools, json, re, subprocess, sys
from pathlib import Path
import numpy as np, pytest
from trm_lab import cli
from trm_lab.data.datasets import dataset_of, write_dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.models.checkpoints import pretrained_file
from trm_lab.puzzles.maze import FREE, GOAL, START, WALL, Maze
from trm_lab.puzzles.sudoku import Sudoku
from trm_lab.core.run import Run
from trm_lab.core.settings import read_json
from trm_lab.runs.notebooks import find_run
from trm_lab.runs.templates import find_config, read_parameters

PRETRAINED = Path(cli.__file__).parent/"pretrained"/"sudoku-6x6.safetensors"
TINY = ["-p", "train_steps", "40", "-p", "train_puzzles", "100", "-p", "test_puzzles", "30", "-p",
    "eval_every", "20", "-p", "log_every", "10"]

def trm_lab(*arguments, monkeypatch, capsys):
    "Run the command line in this process: exit code, output, errors."
    monkeypatch.setattr(sys, "argv", ["trm-lab", *map(str, arguments)])
    with pytest.raises(SystemExit) as stop: cli.main()
    printed = capsys.readouterr()
    return stop.value.code or 0, printed.out, printed.err

@pytest.fixture
def cli_run(monkeypatch, capsys):
    return lambda *arguments: trm_lab(*arguments, monkeypatch=monkeypatch, capsys=capsys)

@pytest.fixture(scope="module")
def puzzles():
    six = Sudoku(2, 3)
    dataset = generate_dataset(six, 30, 1, seed=99)
    return six, [(six.print(q), six.print(a)) for q, a in zip(dataset.train.inputs, dataset.train.labels)]

@pytest.fixture
def csv_file(tmp_path, puzzles):
    def write(rows=None, header=("source", "question", "answer", "rating")):
        path = tmp_path/"puzzles.csv"
        with open(path, "w", newline="") as f:
            out = csv.writer(f); out.writerow(header)
            for row in rows or [("here", q, a, 0) for q, a in puzzles[1]]: out.writerow(row)
        return path
    return write

def test_solve_prints_board_verdict_steps_and_probability(cli_run, puzzles):
    six, pairs = puzzles
    code, out, _ = cli_run("solve", pairs[0][0])
    assert code == 0 and "solved: " in out and "supervision steps: " in out and "halting probability" in out
    answers = [cli_run("solve", q)[1] for q, _ in pairs[:6]]
    assert sum(a in out for (_, a), out in zip(pairs, answers)) >= 4

def test_solve_saves_a_page_to_walk_through(cli_run, puzzles, tmp_path):
    page = tmp_path/"walk.html"
    for option, live in ((), True), (("--replay",), False):
        code, out, _ = cli_run("solve", puzzles[1][0][0], "--html", page, "--steps", "4", *option)
        text = page.read_text(encoding="utf-8")
        assert code == 0 and str(page) in out and "<html" in text
        assert ("model is inside" in out) == ('id="trm-models"' in text) == live

def test_a_model_is_exported_as_a_page(cli_run, tmp_path):
    "As a folder, as one file; what does not go together is said, and nothing is left behind."
    web = ("--format", "web")
    code, out, _ = cli_run("export", "sudoku-4x4", tmp_path/"four", *web)
    assert code == 0 and "index.html (" in out and "or put the folder on a web server" in out
    assert {p.name for p in (tmp_path/"four").iterdir()} == {"index.html", "page.css", "page.js", "models.js"}
    index = (tmp_path/"four"/"index.html").read_text(encoding="utf-8")
    assert "script-src 'self' 'wasm-unsafe-eval'" in index and "unsafe-inline" not in index
    code, out, _ = cli_run("export", "sudoku-4x4", tmp_path/"four.html", *web, "--single")
    assert code == 0 and "four.html (" in out and "<script defer" not in (tmp_path/"four.html").read_text()
    for words, why in (((tmp_path/"four", *web), "already exists"),
            ((tmp_path/"x", *web, "--single"), "does not end in .html"),
            ((tmp_path/"x", *web, "--weights", "int8"), "--format onnx"),
            ((tmp_path/"x", "--single"), "--format web"), ((tmp_path/"x", "--format", "coreml"), "onnx")):
        code, _, err = cli_run("export", "sudoku-4x4", *words)
        assert code == 2 and why in err and len(err.strip().splitlines()) == 1, err
    assert {p.name for p in tmp_path.iterdir()} == {"four", "four.html"}

def test_eval_reads_csv_and_folder(cli_run, csv_file, tmp_path, puzzles):
    code, out, _ = cli_run("eval", "sudoku-6x6", "--data", csv_file(), "--json")
    scores = json.loads(out)
    assert code == 0 and scores["n"] == 30 and scores["exact"] > 0.8
    assert ({"n", "cell_accuracy", "exact", "solved", "mean_steps", "halting_accuracy", "puzzles_per_second"}
        <= scores.keys())
    six, pairs = puzzles
    tokens = [(six.parse(q), six.parse(a)) for q, a in pairs]
    write_dataset(dataset_of(six, tokens[:5], tokens), tmp_path/"folder")
    code, out, _ = cli_run("eval", PRETRAINED, "--data", tmp_path/"folder", "--json", "--fixed")
    assert json.loads(out)["exact"] >= scores["exact"] - 0.05 and json.loads(out)["mean_steps"] == 16
    described = tmp_path/"folder"/"train"/"dataset.json" # as the reference writes it, without our field
    described.write_text(json.dumps({k: v for k, v in read_json(described).items() if k != "puzzle"}))
    assert cli_run("eval", PRETRAINED, "--data", tmp_path/"folder")[0] == 0
    four = Sudoku(2, 2)
    write_dataset(generate_dataset(four, 3, 3), tmp_path/"four")
    code, _, err = cli_run("eval", PRETRAINED, "--data", tmp_path/"four")
    assert code == 2 and "these are sudoku-4x4 puzzles, but sudoku-6x6 is needed" in err

CUT = "cut.safetensors"

@pytest.mark.parametrize("arguments, sentence", [
    (["solve", "123"], "a 4×4 Sudoku has 16 cells, but 3 were given"),
    (["solve", "8" + "."*35], "'8' in row 1, column 1 is not a digit of a 6×6 Sudoku"),
    (["solve", "11" + "."*34], "the digit 1 stands twice in row 1 (column 1 and column 2)"),
    (["solve", "."*81, "--model", "sudoku-6x6"], "a 6×6 Sudoku has 36 cells, but 81 were given; "
        "write one character a cell, '.' for blank (the model sudoku-6x6 was trained on sudoku-6x6)"),
    (["solve", "."*36, "--model", "sudoku-6x7"],
        "there is no such file or model (did you mean 'sudoku-6x6'?)"),
    (["solve", "."*36, "--device", "tpu"], "device 'tpu' is not known"),
    (["solve", "."*36, "--model", CUT], "not a whole safetensors file"),
    (["eval", "sudoku-6x6", "--data", "none.csv"], "none.csv: cannot be read"),
    (["run", "train", "-f", "sudoku-6x6", "-p", "train_stepps", "3"],
        "unknown key 'train_stepps' (did you mean 'train_steps'?)"),
    (["run", "train", "-f", "sudoku-6x7"], "there is no config 'sudoku-6x7' (did you mean 'sudoku-6x6'?)"),
    (["run", "trian"], "there is no notebook 'trian' (did you mean 'train'?)"),
    (["run", "train", "-p", "train_steps"], "the value is missing"),
], ids=lambda v: " ".join(v)[:40] if isinstance(v, list) else "")
def test_bad_input_is_one_sentence_and_exit_code_2(cli_run, tmp_path, monkeypatch, arguments, sentence):
    monkeypatch.chdir(tmp_path)
    Path(CUT).write_bytes(PRETRAINED.read_bytes()[:PRETRAINED.stat().st_size//2])
    code, out, err = cli_run(*arguments)
    assert code == 2 and sentence in err and len(err.strip().splitlines()) == 1, (code, out, err)

def test_bad_csv_files(cli_run, csv_file, puzzles):
    rows = [("here", q, a, 0) for q, a in puzzles[1]]
    code, _, err = cli_run("eval", "sudoku-6x6", "--data",
        csv_file([(s, a, r) for s, q, a, r in rows], header=("source", "answer", "rating")))
    assert code == 2 and "the column 'question' is missing" in err
    wrong = list(rows); wrong[16] = ("here", rows[16][1], rows[17][2], 0)
    code, _, err = cli_run("eval", "sudoku-6x6", "--data", csv_file(wrong))
    assert code == 2 and "row 17" in err and "the answer does not solve the puzzle" in err
    code, _, err = cli_run("eval", "sudoku-6x6", "--data", csv_file([("here", "."*81, "1"*81, 0)]))
    assert code == 2 and "row 1" in err and "36 cells, but 81 were given" in err

def test_a_config_with_an_unknown_or_wrong_key(cli_run, tmp_path):
    config = tmp_path/"mine.yaml"
    for text, sentence in (("puzzle: sudoku-4x4\nmodel: {hiden_size: 3}\n",
                "unknown key 'hiden_size' (did you mean 'hidden_size'?)"),
            ("train_steps: [1, 2]\n", "'train_steps' should be int, found list"),
            ("lr: fast\n", "'lr' should be float"),
            ("train_steps: {\n", "this is not YAML"),
            ("puzzle: sudoku-7x7\n", "is not a product of two numbers")):
        config.write_text(text)
        code, _, err = cli_run("run", "train", "-f", config)
        assert code == 2 and sentence in err, err

def test_a_demo_says_what_the_rules_say_and_how_games_end(cli_run, tmp_path, monkeypatch):
    "A trained model goes on for one step: several moves are right, and few answers are the label."
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    values = {**read_parameters(find_config("rush-hour")), "init_from": str(pretrained_file("rush-hour")),
        "train_steps": 1, "lr": 1e-6, "global_batch_size": 16, "train_puzzles": 60, "test_puzzles": 40,
        "holdout": 0.2, "eval_every": 1}
    (tmp_path/"rush.yaml").write_text(json.dumps(values)) # which is YAML too
    code, out, err = cli_run("demo", "-f", tmp_path/"rush.yaml")
    assert code == 0, err
    run = Run(next(tmp_path.glob("reports/*/run.json")).parent)
    fixed, adaptive, played = (run.info[name] for name in ("fixed", "adaptive", "rollouts"))
    assert fixed["exact"] < fixed["solved"] == run.info["solved_after_max"] and 0 < played["solved"] < 1
    for said in (f"solved after 16 supervision steps   {fixed['solved']:6.1%}",
            f"stopping when the model halts       {adaptive['solved']:6.1%} solved",
            f"games played to their aim           {played['solved']:6.1%}, {played['optimal']:.1%} in the"):
        assert said in out, out
    page = (run.folder/"report.html").read_text(encoding="utf-8")
    for said in (f"{fixed['solved']:.1%} (", "A puzzle is solved by any optimal moves.",
            f"{played['solved']:.1%} of the games reach their aim", "test puzzles are not solved"):
        assert said in page, said

def test_a_run_from_config_to_evaluation(cli_run, tmp_path, monkeypatch):
    """The real thing, small: papermill, the notebook, its folder; found again; another seed is another
    run; the report; the model."""
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    code, out, err = cli_run("run", "train", "-f", "sudoku-4x4", *TINY)
    assert code == 0, err
    folder = Path(out.strip().splitlines()[-1].removeprefix("finished: "))
    assert {"run.json", "metrics.jsonl", "manifest.json", "train.ipynb", "explorer.html", "checkpoints"} <= {
        p.name for p in folder.iterdir()}
    run = Run(folder)
    assert run.finished and run.info["unseen"] is None and run.info["parameters"]["train_steps"] == 40
    assert [r["step"] for r in run.metrics("eval")] == [20, 40] and run.metrics("train")[-1]["step"] == 40
    assert "estimate" in out and "training  step" in out and "left" in out
    code, out, _ = cli_run("run", "train", "-f", "sudoku-4x4", *TINY)
    assert code == 0 and out.startswith("found the finished run: ")
    model = folder/"checkpoints"/"model.safetensors"
    code, out, _ = cli_run("eval", model, "--data", tmp_path/run.info["data"], "--json", "--fixed")
    assert code == 0 and abs(json.loads(out)["exact"] - run.info["fixed"]["exact"]) < 1e-9
    code, _, err = cli_run("eval", model, "--data", folder/"metrics.jsonl")
    assert code == 2 and "column 'question' is missing" in err
    asked = run.info["parameters"]
    same, other = (find_run("train", {**asked, "seed": asked["seed"] + more}, folder.parent)[0]
        for more in (0, 1))
    assert same == run and other.folder.name != folder.name and not other.folder.exists()
    # a damaged artifact is no finished run
    model.write_bytes(model.read_bytes()[:-1] + b"x")
    assert not run.finished

def test_a_run_whose_loss_explodes_says_where(cli_run, tmp_path, monkeypatch):
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path))
    code, _, err = cli_run("run", "train", "-f", "sudoku-4x4", *TINY, "-p", "lr", "1e30",
        "-p", "lr_warmup_steps", "0")
    assert code == 1 and "training stopped at step" in err and "lower lr" in err
    failed = next((tmp_path/"reports").rglob("train.failed.ipynb"))
    assert read_json(failed.parent/"run.json")["status"] == "failed"

def test_the_installed_command_answers():
    "Once through the real entry point."
    done = subprocess.run([Path(sys.executable).parent/"trm-lab", "solve", "8" + "."*35],
        capture_output=True, text=True)
    assert (done.returncode == 2 and done.stderr.startswith("trm-lab: '8' in row 1")
        and "Traceback" not in done.stderr)

def test_eval_and_solve_search(cli_run, csv_file, puzzles):
    "Tries are counted, the rules end a search, and the numbers after 1, 2, 4 tries belong together."
    code, out, _ = cli_run("eval", "sudoku-6x6", "--data", csv_file(), "--steps", "2", "--restarts", "3",
        "--until", "legal", "--json")
    scores = json.loads(out)
    assert (code == 0 and scores["search"]["stop_when"] == "solved"
        and scores["search"]["strategy"] == "symmetries"
        and [a["tries"] for a in scores["after"]] == [1, 2, 4])
    exact = [a["exact"] for a in scores["after"]]
    assert (exact == sorted(exact) and exact[-1] == scores["exact"] and scores["puzzle_steps"] <= 30*2*4
        and 1 <= scores["mean_tries"] <= 4)
    assert abs(scores["after"][-1]["spent"]*30 - scores["puzzle_steps"]) < 1e-6
    code, out, _ = cli_run("eval", "sudoku-6x6", "--data", csv_file(), "--steps", "1", "--restarts", "2",
        "--way", "latents", "--choose", "vote", "--noise", "0.1", "--seed", "4")
    assert (code == 0 and "after   2 tries" in out and "mean_tries           3" in out
        and "puzzle_steps         90" in out)
    code, out, _ = cli_run("solve", puzzles[1][0][0], "--restarts", "3", "--stop-when", "solved")
    assert code == 0 and "solved: yes" in out and "of at most 4" in out
    for wrong, sentence in ((["--way", "symetries"], "did you mean 'symmetries'?"),
            (["--until", "right"], "search: stop_when 'right' is not known"),
            (["--way", "plain", "--restarts", "2"], "would repeat the first try")):
        for command in (["eval", "sudoku-6x6", "--data", csv_file()], ["solve", puzzles[1][0][0]]):
            code, _, err = cli_run(*command, *wrong)
            assert code == 2 and sentence in err and len(err.strip().splitlines()) == 1, err

@pytest.mark.parametrize("strategy", ["assume", "branch"])
def test_eval_and_solve_with_assumed_cells(strategy, cli_run, csv_file, puzzles, tmp_path):
    "The work is bounded as it was asked, and what is not solved is abstained from."
    options = ["--steps", "2", "--strategy", strategy, "--stop-when", "solved", "--try-steps", "2"]
    code, out, err = cli_run("eval", "sudoku-6x6", "--data", csv_file(), *options, "--work", "12", "--json")
    scores = json.loads(out)
    assert code == 0 and scores["search"]["strategy"] == strategy, err
    assert scores["search"]["restarts"] == 5 and scores["puzzle_steps"] <= 30*12
    assert scores["outcomes"]["wrong"] == 0 and scores["threshold"] is None
    assert scores["outcomes"]["solved"] + scores["outcomes"]["abstained"] == scores["n"] == 30
    assert scores["solved"] >= scores["after"][0]["solved"] and scores["solved"] > 0.9
    code, out, _ = cli_run("eval", "sudoku-6x6", "--data", csv_file(), "--steps", "1", "--strategy", strategy,
        "--cells", "1", "--work", "6")
    assert code == 0 and re.search(r"abstained +[\d.]+  .*, \d+ of 30", out) and "seconds_per_puzzle" in out
    code, out, _ = cli_run("solve", puzzles[1][0][0], "--strategy", strategy)
    assert code == 0 and "solved: yes" in out
    assert ("solutions: one, every other" in out) == (strategy == "branch")

def test_a_branching_search_says_how_many_solutions_there_are(cli_run, tmp_path, monkeypatch):
    "Without the solver of the type, which other ways to solve ask."
    monkeypatch.setattr(Sudoku, "solutions", lambda *args: pytest.fail("the solver was asked"))
    one, several = "..264.4...2.....6...523..16.........", "1" + "."*35
    none, clash = "12345......6" + "."*24, "11" + "."*34
    file = tmp_path/"boards.txt"
    file.write_text("\n".join((one, several, none, clash)))
    code, out, err = cli_run("solve", file, "--strategy", "branch", "--out", tmp_path/"answers.jsonl")
    rows = [json.loads(line) for line in (tmp_path/"answers.jsonl").read_text().splitlines()]
    assert code == 0 and [row["solutions"] for row in rows] == ["one", "several", "none", "none"], err
    assert [row["solved"] for row in rows] == [True, True, False, False] and "abstained  2" in out
    assert "several    1 has several solutions (line 2)" in out
    assert "none       2 have no solution (lines 3" in out
    code, out, err = cli_run("solve", none, "--strategy", "branch")
    assert code == 2 and not out and "every case contradicts the rules (16 supervision steps)" in err
    code, out, err = cli_run("solve", clash, "--strategy", "branch")
    assert code == 2 and not out and "no solution: the digit 1 stands twice in row 1" in err
    assert "solutions: several" in cli_run("solve", several, "--strategy", "branch")[1]

@pytest.mark.parametrize("strategy", ["symmetries", "assume", "branch"])
def test_a_search_that_finds_no_answer_says_that_it_abstains(strategy, cli_run):
    "With the work that it was allowed, and without a guess at how many solutions there are."
    hard = "98.7..6..75..6......6..9...8..4...3..3......2..7.9.8..1..2....9..8.7.5.......1.4."
    code, out, err = cli_run("solve", hard, "--model", "sudoku-9x9-laptop", "--steps", "1", "--strategy",
        strategy, "--try-steps", "1", "--work", "3", "--stop-when", "solved")
    assert code == 0 and "solved: no, " in out and "abstained: the rules accept no answer" in out, err
    assert "tries: 3 of at most 3; supervision steps of all of them: 3" in out
    assert ("solutions: not known, some cases are still open" in out) == (strategy == "branch")

def test_options_of_a_search_that_make_no_sense(cli_run, csv_file, mazes):
    maze = mazes[0].print(mazes[1][0])
    for wrong, sentence in ((["--restarts", "2", "--work", "64"], "--restarts and --work both limit"),
            (["--work", "8"], "the first try alone may take 16 supervision steps, but only 8 are allowed"),
            (["--cells", "2"], "strategy 'symmetries' assumes no cells"),
            (["--strategy", "branches"], "did you mean 'branch'?"),
            (["--threshold", "0.5"], "the rules of sudoku-6x6 judge every answer, so no confidence")):
        for command in (["eval", "sudoku-6x6", "--data", csv_file()], ["solve", "..264." + "."*30]):
            code, out, err = cli_run(*command, *wrong)
            assert code == 2 and not out and sentence in err and len(err.strip().splitlines()) == 1, err
    for strategy in ("assume", "branch"):
        code, _, err = cli_run("solve", maze, "--model", "maze-15x15", "--strategy", strategy)
        assert code == 2 and "maze-15x15 cannot tell what its givens leave to a cell" in err
    code, _, err = cli_run("eval", "sudoku-6x6", "--data", csv_file(), "--validation", csv_file())
    assert code == 2 and "judge every answer" in err

@pytest.fixture(scope="module")
def mazes():
    "Of the kind on which the model that ships was trained, with their labels."
    kind = Maze(15, 15)
    some = list(itertools.islice(kind.generate(np.random.default_rng(5), "path36"), 8))
    return kind, *map(np.stack, zip(*some))

def test_a_maze_is_solved_as_it_is_written(cli_run, mazes, tmp_path):
    "With spaces or with dots, on one line or over several, the shipped model is found and answers alike."
    kind, questions, labels = mazes
    forms, answers = (kind.print(questions[0]), kind.text(questions[0])), set()
    for text in (*forms, *(form.replace(" ", ".") for form in forms)):
        (tmp_path/"maze.txt").write_text(text + "\n")
        for source in (text, tmp_path/"maze.txt"):
            code, out, err = cli_run("solve", source)
            assert code == 0 and "solved: " in out, err
            answers.add(out)
    assert len(answers) == 1 and kind.solved(questions[:1],
        kind.parse(answers.pop()[:16*15].replace("\n", ""))[None])[0]

def test_mazes_are_scored_by_label_and_by_rules(cli_run, mazes, tmp_path):
    "A search that the rules end accepts any shortest path, so that it solves more than the labels know."
    kind, questions, labels = mazes
    file = tmp_path/"mazes.csv"
    file.write_text("question,answer\n" + "".join(f"{kind.print(q)},{kind.print(a)}\n"
        for q, a in zip(questions, labels)))
    code, out, err = cli_run("eval", "maze-15x15", "--data", file, "--json")
    scores = json.loads(out)
    assert (code == 0 and scores["exact"] <= scores["further"]["optimal"] == scores["solved"]
        <= scores["further"]["valid"] <= 1 and scores["solved"] >= 0.5), err
    code, out, err = cli_run("eval", "maze-15x15", "--data", file, "--json", "--restarts", "7",
        "--stop-when", "solved")
    searched = json.loads(out)
    assert code == 0 and scores["solved"] <= searched["solved"] >= 0.75, err
    code, out, err = cli_run("solve", file, "--model", "maze-15x15", "--out", tmp_path/"answers.csv")
    with open(tmp_path/"answers.csv", newline="") as f: rows = list(csv.DictReader(f))
    answers = np.stack([kind.parse(row["answer"]) for row in rows])
    assert (code == 0 and [row["solved"] == "yes" for row in rows]
        == kind.solved(questions, answers).tolist() and f"{scores['solved']*8:.0f} by the rules" in out + err)

def test_a_maze_that_is_none_gets_a_sentence(cli_run, mazes, tmp_path):
    kind, questions, labels = mazes
    question, label = questions[0], labels[0]
    walled, second, none = question.copy(), question.copy(), question.copy()
    goal = int((question == GOAL).argmax())
    around = [cell for cell in (goal - 15, goal + 15, goal - 1, goal + 1)
        if 0 <= cell < 225 and (cell//15 == goal//15 or cell % 15 == goal % 15)]
    walled[around] = WALL
    second[np.flatnonzero(question == FREE)[0]] = START
    none[question == GOAL] = FREE
    for board, sentence in ((walled, "the maze has no path from S to G; remove a wall"),
            (second, "a maze should have one S and one G, found 2 and 1; the second S is in row"),
            (none, "a maze should have one S and one G, found 1 and 0"),
            (label, "an unsolved maze cannot have 'o', found in row")):
        code, out, err = cli_run("solve", kind.print(board), "--model", "maze-15x15")
        assert code == 2 and not out and sentence in err and len(err.strip().splitlines()) == 1, err
        (tmp_path/"bad.csv").write_text(
            f"question,answer\n{kind.print(questions[1])},{kind.print(labels[1])}\n{kind.print(board)},\n")
        code, out, err = cli_run("eval", "maze-15x15", "--data", tmp_path/"bad.csv")
        assert code == 2 and "bad.csv" in err and "line 3" in err and not out, err
    for text in (kind.text(question)[:-16], "S  #G"):
        code, out, err = cli_run("solve", text, "--model", "maze-15x15")
        assert (code == 2 and "a 15×15 maze has 225 cells, but " in err
            and "(the model maze-15x15 was trained on maze-15x15)" in err), err
    code, out, err = cli_run("eval", "sudoku-6x6", "--data", tmp_path/"bad.csv")
    assert code == 2 and "36 cells" in err, err

def test_former_names_of_options_work_and_are_not_shown(cli_run, csv_file):
    "What was --way, --choose and --until, also with an equals sign, gives the same scores under both names."
    def scores(*options):
        code, out, err = cli_run("eval", "sudoku-6x6", "--data", csv_file(), "--steps", "1",
            "--restarts", "2", *options, "--json")
        assert code == 0, err
        return {name: value for name, value in json.loads(out).items() if name != "puzzles_per_second"}
    now = scores("--strategy", "latents", "--select", "vote", "--stop-when", "solved")
    assert now == scores("--way", "latents", "--choose=vote", "--until", "legal")
    assert now == scores("--way=latents", "--choose", "vote", "--until=solved")
    assert now["search"] != scores()["search"]
    for command in ("solve", "eval"):
        code, out, _ = cli_run(command, "--help")
        assert code == 0 and all(option in out for option in ("--strategy", "--select", "--stop-when"))
        assert not any(option in out for option in ("--way", "--choose", "--until"))

def test_settings_on_the_command_line_are_refused_before_there_is_a_folder(cli_run, tmp_path, monkeypatch):
    "The same sentences from `run` and `train`; what both mean by the same words is one run."
    monkeypatch.setenv("TRM_LAB_HOME", str(tmp_path)); monkeypatch.chdir(tmp_path)
    (tmp_path/"mine.yaml").write_text("puzzle: sudoku-4x4\nlr: 1e-3\n\nlr: 2e-3\n")
    for command in (["run", "train", "-f"], ["train"]):
        for arguments, sentence in ((["sudoku-4x4", "-p", "lr", "12e456"],
            "-p lr: 12e456 is not a number, or is too large for one"),
            (["sudoku-4x4", "-p", "lr", "1", "-p", "lr=2"], "-p lr: it is given twice"),
            (["sudoku-4x4", "-p", "name", "../up"],
                "'name' should be the name of a folder, found str '../up'"),
                (["sudoku-4x4", "-p", "train_steps", "0x10"],
                "'train_steps' should be int, found str '0x10'"),
                (["sudoku-4x4", "-p", "seed", "true"], "'seed' should be int, found bool True"),
                (["sudoku-4x4", "-p", "model", "[1, 2"], "-p model: this is not YAML"),
                (["mine.yaml"], "mine.yaml, line 4: the key 'lr' is there twice, first in line 2"),
                (["sudoku-4x4", "-p", "lr="], "'lr' should be float, found None"),
                (["sudoku-4x4", "-p", "train_steps", "2026-11-26"],
                "'train_steps' should be int, found str '2026-11-26'")):
            code, _, err = cli_run(*command, *arguments)
            assert code == 2 and sentence in err and len(err.strip().splitlines()) == 1, err
    assert not (tmp_path/"reports").exists()
    tiny = ["-p", "train_steps", "4", "-p", "global_batch_size", "010", "-p", "train_puzzles", "20", "-p",
        "test_puzzles", "1e1", "-p", "eval_every", "0"]
    assert cli_run("train", "sudoku-4x4", *tiny, "-p", "lr", "2e-3")[0] == 0
    folder, = (tmp_path/"reports").iterdir()
    code, out, _ = cli_run("train", "sudoku-4x4", *tiny, "-p", "lr", "0.002", "-p", "log_every", "1", "-p",
        "device", "cpu")
    assert code == 0 and out.startswith(f"found the finished run: {folder}")
    assert find_run("train", Run(folder).info["parameters"])[0].folder == folder # its recipe is the same run
    assert Run(folder).info["parameters"][
        "global_batch_size"] == 10 and Run(folder).info["parameters"]["test_puzzles"] == 10
