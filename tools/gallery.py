"""Make reports/gallery again: what the templates find, as pages that open from disk, and an index of them.

`python tools/gallery.py` takes about an hour on two cores, `python tools/gallery.py NAME …` makes single
pieces; `python tools/gallery.py --index` writes only the index again, from what is kept;
`python tools/gallery.py --studies` draws the reports of studies again from their tables, and runs nothing;
`--studies 3 beyond` draws those two.
Runs that are finished are not run again: remove their folders in reports/ where the code has changed.
The index shows what cells tagged `headline` put out: pictures, and of a text the first paragraph. Of a study,
the page *Ten questions* shows the first picture and the last text, which is its answer."""
import json, shlex, shutil, subprocess, sys
from pathlib import Path
import nbformat
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
from trm_lab.core.run import Run
from trm_lab.core.files import write_text
from trm_lab.runs.pages import executed_notebook, page, write_report
from trm_lab.runs.studies import TABLE, Study, all_studies, complete_table, plan_study, report_study

ROOT = Path(__file__).parents[1]
GALLERY = ROOT/"reports"/"gallery"
SEEDS = "trm-lab sweep sudoku-6x6-seeds" # three models, in reports/sudoku-6x6-seeds
PIECES = { # folder in the gallery: what a reader of the index sees first, and the lines that make it
    "training-sudoku-6x6": ("a model of 188,162 parameters learns Sudoku 6×6",
        ["trm-lab run train -f sudoku-6x6"]),
    "training-queens-8x8": ("a model of 222,466 parameters learns n queens with several right answers",
        ["trm-lab run train -f queens-8x8 -p seed 2"]),
    "training-lightup-7x7": ("a model of 84,682 parameters learns Light Up 7×7",
        ["trm-lab run train -f lightup-7x7 -p train_steps 10000 -p halt_max_steps 6 -p eval_every 2000"]),
    "training-nurikabe-5x5": ("a model of 84,362 parameters learns Nurikabe 5×5", ["trm-lab run train "
        "-f nurikabe-5x5 -p train_steps 16000 -p halt_max_steps 4 -p train_puzzles 8000 -p eval_every 2000"]),
    "training-programs-5x3": ("a model of 225,794 parameters learns programs from examples",
        ["trm-lab run train -f programs-5x3 -p train_steps 4500 -p halt_max_steps 3 -p eval_every 750"]),
    "training-rush-hour": ("a model of 312,266 parameters learns to plan in Rush Hour",
        ["trm-lab run train -f rush-hour -p train_steps 7000 -p halt_max_steps 3 -p eval_every 1000"]),
    "training-sokoban-7x7": ("a model of 86,346 parameters learns to push boxes in Sokoban 7×7",
        ["trm-lab run train -f sokoban-7x7 -p train_steps 9000 -p eval_every 1500"]),
    "geometry-sudoku-6x6": ("Sudoku 6×6", ["trm-lab run probes/geometry -p model sudoku-6x6"]),
    "geometry-sudoku-9x9": ("Sudoku 9×9", ["trm-lab run probes/geometry -p model sudoku-9x9-laptop"]),
    "geometry-maze-9x9": ("mazes 9×9",
        ["trm-lab run probes/geometry -p model maze-9x9 -p puzzles 400 -p steps 8"]),
    "geometry-arc-10x10": ("tasks of ARC with grids up to 10×10",
        ["trm-lab run probes/geometry -p model arc-10x10 -p steps 4"]),
    "reading-sudoku-6x6": ("Sudoku 6×6", ["trm-lab run probes/reading -p model sudoku-6x6"]),
    "reading-sudoku-9x9": ("Sudoku 9×9", ["trm-lab run probes/reading -p model sudoku-9x9-laptop "
        "-p puzzles 300 -p looks '[1,2,4,8,16]' -p removed_from 32 -p draws 3"]),
    "reading-maze-9x9": ("mazes 9×9", ["trm-lab run probes/reading -p model maze-9x9 "
        "-p puzzles 200 -p steps 8 -p looks '[1,2,4,8]' -p removed_from 32 -p draws 3"]),
    "reading-arc-10x10": ("tasks of ARC with grids up to 10×10",
        ["trm-lab run probes/reading -p model arc-10x10 -p steps 4 -p draws 3"]),
    "dynamics-sudoku-6x6": ("Sudoku 6×6, three trainings", [SEEDS,
        f"trm-lab run probes/dynamics -p models '[reports/{SEEDS.split()[-1]}]' -p puzzles 2000"]),
    "dynamics-sudoku-9x9": ("fiendish Sudoku 9×9",
        ["trm-lab run probes/dynamics -p models '[sudoku-9x9]' -p difficulty fiendish"]),
    "dynamics-maze-9x9": ("mazes 9×9", ["trm-lab run probes/dynamics -p models '[maze-9x9]' "
        "-p puzzles 1000 -p studied 20 -p starts 2 -p kicks '[0.3,3.0]'"]),
    "halting-sudoku-6x6": ("Sudoku 6×6, three trainings", [SEEDS,
        f"trm-lab run probes/halting -p models '[reports/{SEEDS.split()[-1]}]' -p puzzles 3000"]),
    "halting-sudoku-9x9": ("fiendish Sudoku 9×9",
        ["trm-lab run probes/halting -p models '[sudoku-9x9]' -p difficulty fiendish"]),
    "halting-maze-9x9": ("mazes 9×9", ["trm-lab run probes/halting -p models '[maze-9x9]' -p puzzles 2000"]),
    "patching-sudoku-6x6": ("Sudoku 6×6, three trainings", [SEEDS,
        f"trm-lab run probes/patching -p models '[reports/{SEEDS.split()[-1]}]'"]),
    "patching-sudoku-9x9": ("Sudoku 9×9", ["trm-lab run probes/patching -p models '[sudoku-9x9]'"]),
    "patching-maze-9x9": ("mazes 9×9", ["trm-lab run probes/patching -p models '[maze-9x9]' -p pairs 24 "
        "-p by_cell 6 -p sets 4 -p most 6 -p whole 40"]),
    "symmetry-sudoku-6x6": ("Sudoku 6×6, three trainings", [SEEDS,
        f"trm-lab run probes/symmetry -p models '[reports/{SEEDS.split()[-1]}]' -p puzzles 2000"]),
    "symmetry-maze-9x9": ("mazes 9×9", ["trm-lab run probes/symmetry -p models '[maze-9x9]' -p puzzles 400 "
        "-p some 100 -p cells 60"]),
    "symmetry-sudoku-9x9": ("Sudoku 9×9", ["trm-lab run probes/symmetry -p models '[sudoku-9x9]'"]),
    "ablation-smoke": ("eleven rows of the paper's ablations, too small and too brief to rank as the "
        "paper's do", ["trm-lab sweep ablation --smoke --slots 2", "trm-lab report reports/ablation-smoke"]),
}
# of a run's folder: its page, and what that leads to
KEPT = ("report.html", "explorer.html", "geometry.parquet", "reading.parquet", "dynamics.parquet",
    "halting.parquet", "patching.parquet", "symmetry.parquet", "verdicts.parquet")
INTRO = """# What the notebooks find

Each page is a notebook as it was executed, without its code; the line below its title makes it again. Pages
with a table (`.parquet`) draw every figure from it. Nothing here is loaded from the network.

[A tiny network that thinks](solver.html): type a Sudoku or draw a maze, and models solve it in your
browser, step by step. The page has them inside (`python tools/solver.py`).

[Ten questions](studies/index.html): what the paper and its readers leave open, and what trainings of a minute
say about it, each answer with its figure and how sure it is.

[What we think we know](what_we_think_we_know.html): claims about why such models succeed and fail, each
with the verdict of the probes below, for Sudoku and for mazes."""
KNOWN = """# What we think we know

Papers and their readers make claims about why recursive models succeed and fail. The probes judge them for
models that ship with trm-lab, or that anyone trains in a minute: each claim with the number that decides
it, a control that could have made that number too, and a 95 % interval over puzzles and, for Sudoku 6×6,
over three trainings.

A claim *holds* if its number lies above its control, and above the level that the claim itself names, and
the intervals do not touch. It is *not supported* if its control passes too. It *does not hold* if the
number lies below. Everything else *cannot be told* with so many puzzles; where few puzzles are failed at
all, that is often so. The models are small. Of the published ones, nothing here says the same or the
opposite.

Each word leads to its figure. `python tools/gallery.py` makes the pages again, and this one from their
tables, by the rules that hold today; a page that was made before a rule changed may say another word.

"""

QUESTIONS = """# Ten questions

Tiny Recursive Models solve Sudokus and mazes with less than a ten-thousandth of the parameters of large
language models: a small network looks at its own answer again and again, and improves it. The paper that
proposed them (Jolicoeur-Martineau 2025, arXiv 2510.04871) and its readers leave ten questions open. Here
each of them is asked with many small trainings, which a laptop repeats in half an hour.

Below each question stand one figure, the answer, and how sure it is. Every training is repeated with several
seeds, that is, with other random numbers; where a difference may be chance, it *cannot be told*. The small
models here say nothing certain about large ones. Behind each link are the design, what had been expected
before, all numbers, and what would change the answer. `trm-lab study NUMBER` runs a study again. The last
study has no number and is not for a laptop: its trainings are as long as their recipes say, and longer. A GPU
did them in twelve minutes."""

def write_page(file:Path, cells:list, title:str):
    "Write a page of its own; the same cells give the same page, to the byte."
    for number, cell in enumerate(cells): cell.id = f"cell-{number}"
    write_text(file, page(new_notebook(cells=cells), title))

def made(lines:list[str])->Path:
    "Run the lines; the folder that the last one names."
    for line in lines:
        print(f"$ {line}", flush=True)
        shell = subprocess.Popen([Path(sys.executable).parent/"trm-lab", *shlex.split(line)[1:]], cwd=ROOT,
            stdout=subprocess.PIPE, text=True)
        for said in shell.stdout: print(said, end="", flush=True)
        if shell.wait(): sys.exit(f"gallery: {line} ended with exit code {shell.returncode}")
    named = ROOT/said.strip().partition(": ")[2]
    return named if named.is_dir() else named.parent

def keep(name:str, folder:Path):
    "Put what a stranger reads of a run into the gallery."
    from plotly.offline import get_plotlyjs
    write_report(Run(folder))
    shutil.rmtree(GALLERY/name, ignore_errors=True)
    (GALLERY/name).mkdir(parents=True)
    for file in KEPT:
        if (folder/file).exists(): shutil.copy(folder/file, GALLERY/name)
    text, script = (GALLERY/name/"report.html").read_text(encoding="utf-8"), get_plotlyjs()
    if script in text: # once for all pages
        write_text(GALLERY/"plotly.min.js", script)
        write_text(GALLERY/name/"report.html",
            text.replace(f"<script>{script}</script>", '<script src="../plotly.min.js"></script>'))
    write_headline(executed_notebook(Run(folder)), GALLERY/name, lambda text: text.split("\n\n")[0])

def write_headline(executed, folder:Path, short=lambda text: text):
    "Keep what the cells tagged `headline` of an executed notebook put out; `short` is applied to texts."
    shown = [output for cell in executed.cells if "headline" in cell.metadata.get("tags", [])
        for output in cell.get("outputs", [])
        if {"image/png", "text/markdown"} & output.get("data", {}).keys()]
    for output in shown:
        if "text/markdown" in output.data:
            output.data = {"text/markdown": short(output.data["text/markdown"])}
    write_text(folder/"headline.json",
        json.dumps({"title": executed.cells[0].source.splitlines()[0].removeprefix("# "), "outputs": shown}))

def keep_study(study:Study):
    "Draw a study's report from its table, and put both into the gallery."
    sweep, folder = plan_study(study), GALLERY/"studies"/study.name
    if (table := complete_table(study, sweep)) is None: return
    rows, report = table.read_bytes(), report_study(study, sweep, table)
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder/TABLE).write_bytes(rows)
    shutil.copy(report, folder)
    write_headline(nbformat.read(report.with_suffix(".ipynb"), 4), folder)

def questions():
    "The page with the questions of all studies and their answers."
    cells, waiting = [new_markdown_cell(QUESTIONS)], []
    for study in all_studies():
        folder = GALLERY/"studies"/study.name
        if not folder.exists():
            waiting.append(f"- Study {study.name}: {study.question}") # a numbered list would count anew
            continue
        headline = json.loads((folder/"headline.json").read_text(encoding="utf-8"))
        pictures, texts = ([o for o in headline["outputs"] if kind in o["data"]]
            for kind in ("image/png", "text/markdown"))
        number = f"{study.number}. "*(study.number is not None)
        cells += [new_markdown_cell(f"## {number}{headline['title']}"),
            new_code_cell(outputs=[nbformat.from_dict(o) for o in (*pictures[:1], *texts[-1:])]),
            new_markdown_cell(f"[Design, numbers, and what would change this]({study.name}/report.html) · "
                f"[table]({study.name}/{TABLE})")]
    if waiting: cells.append(new_markdown_cell("## Not answered yet\n\n" + "\n".join(waiting)))
    write_page(GALLERY/"studies"/"index.html", cells, "trm-lab: ten questions")

def reworded(name:str, outputs:list[dict])->list[dict]:
    "The outputs of a headline; what was found by probes is written anew from their table."
    from trm_lab.interp.probes.base import read_table
    from trm_lab.interp.probes.reading import findings
    table = GALLERY/name/"reading.parquet"
    if not table.exists(): return outputs
    text = {"text/markdown": findings(read_table(table)).split("\n\n")[0]}
    return [{**o, "data": text} if "text/markdown" in o["data"] else o for o in outputs]

def judged():
    "The verdicts of all pages, from their tables, as the library judges them today: a DataFrame."
    import pandas as pd
    from trm_lab.interp.probes import dynamics, halting, patching, reading, symmetry
    from trm_lab.interp.probes.base import read_table
    from trm_lab.interp.probes.verdicts import FILE, verdict_frame
    judges = {"dynamics": dynamics.dynamics_verdicts, "halting": halting.halting_verdicts,
        "patching": patching.patching_verdicts, "symmetry": symmetry.symmetry_verdicts,
        "reading": reading.reading_verdicts}
    parts = []
    for file in sorted(GALLERY.glob(f"*/{FILE}")):
        about = read_table(file)[["models", "puzzle", "study"]].iloc[0].to_dict()
        table = read_table(file.with_name(f"{about['study']}.parquet"))
        parts.append(verdict_frame(judges[about["study"]](table, about)).assign(page=file.parent.name))
    return pd.concat(parts, ignore_index=True)

def known():
    "The page with the verdicts of all others."
    from trm_lab.interp.probes.verdicts import overview
    write_page(GALLERY/"what_we_think_we_know.html", [new_markdown_cell(KNOWN + overview(judged()))],
        "trm-lab: what we think we know")

def index():
    "The page that leads to all others, and the page with their verdicts."
    known()
    questions()
    cells = [new_markdown_cell(INTRO)]
    for name, (about, lines) in PIECES.items():
        if not (GALLERY/name).exists(): continue
        headline = json.loads((GALLERY/name/"headline.json").read_text(encoding="utf-8"))
        more = [f"[{file}]({name}/{file})" for file in KEPT[1:] if (GALLERY/name/file).exists()]
        cells += [new_markdown_cell(f"## [{headline['title']}: {about}]({name}/report.html)\n\n"
                + "; ".join(f"`{line}`" for line in lines) + (f" · {', '.join(more)}" if more else "")),
            new_code_cell(outputs=[nbformat.from_dict(o) for o in reworded(name, headline["outputs"])])]
    write_page(GALLERY/"index.html", cells, "trm-lab: what the notebooks find")

def main(asked:list[str]):
    if asked == ["--index"]: return index()
    if asked[:1] == ["--studies"]: # and perhaps their numbers
        for study in all_studies():
            if len(asked) == 1 or {str(study.number), study.name} & {*asked}: keep_study(study)
        return index()
    if wrong := [name for name in asked if name not in PIECES]:
        sys.exit(f"gallery: {wrong[0]!r} is none of {', '.join(PIECES)}")
    for name in asked or PIECES:
        keep(name, made(PIECES[name][1]))
        index()

if __name__ == "__main__": main(sys.argv[1:])
