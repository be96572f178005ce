"Notebooks as pages: what a reader sees of them, in the order in which they are read."
import json, re
from dataclasses import dataclass
from pathlib import Path
from sections import NOT_LESSONS, SECTIONS
from .rst import label_of

DIRECTIVE = re.compile(r"^#\|\s*([a-z_]+)[^\n]*\n?", re.M)
# what a page would have to load a script for; a picture or text stands beside it
LIVE = ("application/javascript", "application/vnd.jupyter.widget-view+json",
    "application/vnd.plotly.v1+json")

@dataclass(frozen=True, eq=False)
class Notebook:
    path:Path
    page:str # place on the site, without ending: tutorials/think_longer
    title:str
    subtitle:str # the line quoted below the title; ""
    cells:tuple[dict, ...]

    @property
    def section(self)->str:
        "The folder of nbs/ that it is in."
        return self.page.partition("/")[0] if "/" in self.page else ""

def read_notebook(path:Path, root:Path)->Notebook:
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    first = next((source(c) for c in cells if c["cell_type"] == "markdown"), "")
    title = re.search(r"^# +(.+)$", first, re.M)
    quoted = re.search(r"^> *(.+)$", first, re.M)
    page = path.relative_to(root).with_suffix("").as_posix()
    title, subtitle = title[1].strip() if title else path.stem, quoted[1].strip() if quoted else ""
    return Notebook(path, page, title, subtitle, tuple(cells))

def source(cell:dict)->str: return "".join(cell["source"])

def _visible_output(output:dict)->dict|None:
    "An output without what would need a script, or None."
    data = output.get("data")
    if data is None: return output
    kept = {kind: value for kind, value in data.items() if kind not in LIVE}
    if "<script" in "".join(kept.get("text/html", "")): kept.pop("text/html")
    if "text/markdown" in kept: kept["text/markdown"] = _site_links(kept["text/markdown"])
    return {**output, "data": kept} if kept else None

def _site_links(value):
    "Links to files of settings lead to the page that shows them."
    if isinstance(value, list): return [_site_links(line) for line in value]
    rewrite = lambda found: f"](#{label_of(found[1][:-1], found[2])})"
    return re.sub(r"\]\([./]*(?:nbs/)?(?:experiments/)?(configs|sweeps)/([\w./-]+)\.yaml\)", rewrite, value)

def visible_cell(cell:dict)->dict|None:
    "A cell as a reader sees it: no hidden ones, no directives; what is exported is marked."
    text = source(cell)
    if cell["cell_type"] != "code": return {**cell, "source": _site_links(text)}
    directives = set(DIRECTIVE.findall(text)) if text.lstrip().startswith("#|") else set()
    if "hide" in directives: return None
    text = DIRECTIVE.sub("", text) if directives else text
    if not text.strip(): return None
    tags = list(cell["metadata"].get("tags", []))
    if directives & {"export", "exporti", "exports"}: tags.append("exported")
    outputs = [kept for output in cell["outputs"] if (kept := _visible_output(output))]
    return {**cell, "source": text, "outputs": outputs, "metadata": {"tags": tags} if tags else {}}

def as_page(
    notebook:Notebook,
    modules:tuple[str, ...]=(), # names of the modules that it exports, if their pages are there
)->str:
    "The notebook that the site shows, with a line below its introduction that says where it is."
    cells = [seen for cell in notebook.cells if (seen := visible_cell(cell))]
    text = f"This page is the notebook `nbs/{notebook.page}.ipynb`."
    if modules: text += f" It exports {', '.join(f'{{doc}}`trm_lab.{m} </api/{m}>`' for m in modules)}."
    where = {"cell_type": "markdown", "id": "where", "metadata": {}, "source": text}
    cells.insert(next((i for i, c in enumerate(cells) if c["cell_type"] == "markdown"), 0) + 1, where)
    kernel = {"display_name": "Python 3", "language": "python", "name": "python3"}
    metadata = {"language_info": {"name": "python"}, "kernelspec": kernel}
    made = {"cells": cells, "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    return json.dumps(made, ensure_ascii=False, indent=1)

class Course:
    "All notebooks, sorted."
    def __init__(self, nbs:Path):
        self.nbs = nbs
        visible = lambda path: not any(part.startswith(".") for part in path.relative_to(nbs).parts)
        found = [read_notebook(path, nbs) for path in sorted(nbs.rglob("*.ipynb")) if visible(path)]
        self.index = next(n for n in found if n.page == "index")
        said = "".join(source(c) for c in self.index.cells)
        place = lambda n: said.find(f"{n.page}.ipynb") if f"{n.page}.ipynb" in said else len(said)
        of = lambda section: [n for n in found if n.section == section]
        # tutorials in the order of the start page
        self.tutorials = sorted(of("tutorials"), key=lambda n: (place(n), n.page))
        self.experiments = sorted(of("experiments"), key=lambda n: (n.page.count("/"), n.page))
        lessons = [n for n in found if n.section not in NOT_LESSONS and n is not self.index]
        known = list(SECTIONS)
        rank = lambda s: known.index(s) if s in known else len(known)
        self.lessons = sorted(lessons, key=lambda n: (rank(n.section), n.page))
        # the main path: the lessons that the start page names, in its order
        self.path = sorted((n for n in lessons if f"{n.page}.ipynb" in said), key=place)

    @property
    def all(self)->list[Notebook]: return [*self.tutorials, *self.lessons, *self.experiments]

    def sections(self)->list[tuple[str, list[Notebook]]]:
        "The lessons by section; a single section needs no heading."
        found = {}
        for n in self.lessons: found.setdefault(n.section, []).append(n)
        if len(found) == 1: return [("", list(found.values())[0])]
        title = lambda name: SECTIONS.get(name, name.replace("_", " ").capitalize())
        return [(title(name), members) for name, members in found.items()]
