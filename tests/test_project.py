"That the parts agree: library and notebooks, templates and configs, README and index."
import ast, functools, json, re, subprocess, sys
from dataclasses import asdict, fields
from pathlib import Path
import pytest, torch
from trm_lab.core.errors import build
from trm_lab.models.variants import build_model
from trm_lab.runs.templates import PLACES, experiments_folder, read_parameters, template_parameters
from trm_lab.training.config import TrainConfig

ROOT = Path(__file__).parents[1]
CONFIGS = sorted((experiments_folder()/"configs").glob("*.yaml"))

def test_the_templates_parameters_are_the_configuration():
    """`train.ipynb` takes its parameters from `TrainConfig`: what is read of its first cell without running
    it is what the cell sets when it runs, and equals the configuration's defaults."""
    path = experiments_folder()/"train.ipynb"
    first = next(c for c in json.loads(path.read_text(encoding="utf-8"))["cells"] if c["cell_type"] == "code")
    ran = {}
    exec("".join(first["source"]), ran)
    read = template_parameters(path)
    assert {name: ran[name] for name in read} == read
    assert {name: value for name, value in read.items() if name not in PLACES} == asdict(TrainConfig())

@pytest.mark.parametrize("path", CONFIGS, ids=lambda p: p.stem)
def test_configs_build(path):
    from trm_lab.puzzles.base import find_puzzle
    config = build(TrainConfig, read_parameters(path), path.name)
    puzzle = find_puzzle(config.puzzle)
    with torch.device("meta"): # shapes without numbers
        model = build_model(config.arch,
            {"seq_len": puzzle.seq_len, "vocab_size": puzzle.vocab_size, **config.model})
    assert config.name == path.stem
    if config.data is None: # what generates its own puzzles runs on a laptop
        assert sum(p.numel() for p in model.parameters()) < 1e6

ABLATIONS = sorted((experiments_folder()/"configs"/"ablation").glob("*.yaml"))

@pytest.mark.parametrize("path", ABLATIONS, ids=lambda p: p.stem)
def test_a_row_of_the_ablation_changes_one_thing(path):
    "Against TRM itself. HRM is another recipe altogether."
    base, row = (build(TrainConfig, read_parameters(p), p.name) for p in (path.with_name("trm.yaml"), path))
    assert row.name == f"ablation-{path.stem}"
    changed = ({f.name for f in fields(TrainConfig) if getattr(row, f.name) != getattr(base, f.name)}
        - {"name"})
    if path.stem != "hrm": assert len(changed) == (path.stem != "trm"), changed

def test_the_first_code_cell_of_a_template_has_its_parameters():
    for path in experiments_folder().rglob("*.ipynb"):
        if ".ipynb_checkpoints" in path.parts: continue
        first = next(c for c in json.loads(path.read_text(encoding="utf-8"))["cells"]
            if c["cell_type"] == "code")
        assert "parameters" in first["metadata"].get("tags", []), f"{path.name} lost its parameters tag"

def test_models_import_without_jupyter():
    "Training on a server needs no notebook packages, and no compiler if nothing is compiled."
    code = ("import sys, trm_lab.solving.solve, trm_lab.training.trainer, trm_lab.models.checkpoints, torch; "
        "from trm_lab.training.optimizers import AdamW; weight = torch.ones(2, requires_grad=True); "
        "adam = AdamW([weight]); weight.sum().backward(); adam.step(); adam.zero_grad(); "
        "adam.load_state_dict(adam.state_dict()); "
        "print([m for m in ('IPython', 'ipywidgets', 'matplotlib', 'papermill', 'nbdev', "
        "'fastcore', 'torch._dynamo') if m in sys.modules])")
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
        check=True).stdout.strip() == "[]"

def test_no_notebook_holds_a_widgets_state():
    "A live widget means nothing to who reads the notebook later; the picture beside it does."
    for path in (ROOT/"nbs").rglob("*.ipynb"):
        if ".ipynb_checkpoints" in path.parts: continue
        text = path.read_text(encoding="utf-8")
        assert "vnd.jupyter.widget-" not in text, f"{path.name} holds a widget's state; run `make export`"

def test_the_readme_fits_a_screen_or_two_and_its_links_lead_somewhere():
    readme = (ROOT/"README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) < 80, ("the README says what it is and where to read on; "
        "the rest belongs to docs/pages")
    links = re.findall(r"\]\(([^)#:]+)\)", readme)
    assert links and [link for link in links if not (ROOT/link).exists()] == []
    commands = re.findall(r"`(?:\.venv/bin/)?trm-lab ([a-z-]+)", readme)
    from trm_lab.cli import app
    import typer
    assert commands and set(commands) <= set(typer.main.get_command(app).commands)

def test_the_gallery_stands_alone():
    "Its links lead somewhere, its pages load nothing from the network, and nobody's folders are in them."
    gallery = ROOT/"reports"/"gallery"
    pages = {page: page.read_text(encoding="utf-8") for page in gallery.rglob("*.html")}
    assert {page.parent for page in pages} == {gallery, *(p for p in gallery.rglob("*") if p.is_dir())}
    for page, text in pages.items():
        for link in re.findall(r'(?:href|src)="([^"#]+)"', text):
            if not link.startswith("data:"):
                assert not re.match(r"(https?:)?//", link) and (page.parent/link).exists(), (
                    f"{page.name}: {link}")
        assert not re.search(r"/(home|root|Users|tmp|work)/", text), page
    for name in ("geometry", "reading", "dynamics", "halting", "training", "ablation"):
        assert f'href="{name}' in pages[gallery/"index.html"]

PACKAGES = ["core", "puzzles", "data", "models", "training", "solving", "interp",
    "views", "runs", "checks", "cli"] # lowest first
PACKAGE = ROOT/"trm_lab"

@functools.cache
def modules()->list[str]:
    """Every module, lowest first: packages in their order, modules in the order of their notebooks'
    numbers, subpackages last."""
    places = {}
    for path in (ROOT/"nbs").rglob("*.ipynb"):
        if ".ipynb_checkpoints" in path.parts: continue
        for cell in json.loads(path.read_text(encoding="utf-8"))["cells"]:
            if made := re.match(r"#\| *default_exp (\S+)", "".join(cell["source"])):
                folder = path.parent.relative_to(ROOT/"nbs").parts
                places[made[1]] = (PACKAGES.index(made[1].split(".")[0]), len(folder), folder, path.name)
    return sorted(places, key=places.get)

@functools.cache
def imported(module:str)->set[str]:
    "The modules of this library that it imports, wherever in its code."
    path = PACKAGE/f"{module.replace('.', '/')}.py"
    parents, known, found = module.split(".")[:-1], modules(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not isinstance(node, ast.ImportFrom): continue
        base = parents[:len(parents) - node.level + 1] if node.level else []
        target = ([*base, *(node.module or "").split(".")] if node.level
            else (node.module or "").split(".")[1:])
        target = [part for part in target if part]
        if not node.level and not (node.module or "").startswith("trm_lab"): continue
        found |= {name for name in (".".join(target), *(".".join([*target, a.name]) for a in node.names))
            if name in known}
    return found

def test_every_module_has_a_notebook_and_a_package():
    files = {".".join(p.relative_to(PACKAGE).with_suffix("").parts)
        for p in PACKAGE.rglob("*.py") if not p.name.startswith("_")}
    assert files == set(modules())
    assert [name for name in files if "." not in name] == ["cli"]

def test_modules_import_only_from_those_below():
    order = modules()
    for place, module in enumerate(order):
        for target in imported(module):
            assert order.index(target) < place, f"{module} imports {target}, which stands above it"

def house()->str:
    "The table of packages as the code has it."
    rows = ["| package | modules, in order | imports from |", "|---|---|---|"]
    for package in PACKAGES:
        mine = [name for name in modules() if name.split(".")[0] == package]
        below = {target.split(".")[0] for name in mine for target in imported(name)} - {package}
        names = ", ".join(f"`{name.removeprefix(package + '.')}`" for name in mine)
        rows.append(f"| `{package}` | {names} | {', '.join(sorted(below, key=PACKAGES.index)) or '–'} |")
    return "\n".join(rows)

def test_contributing_has_the_table_of_packages():
    "Drawn from the code: copy what the failing assertion shows."
    assert house() in (ROOT/"CONTRIBUTING.md").read_text(encoding="utf-8"), ("CONTRIBUTING.md lacks "
        f"this table:\n{house()}")
