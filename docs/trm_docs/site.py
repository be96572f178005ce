"Stages the site: everything that Sphinx reads, in one folder, written only where it changed."
import re
from collections.abc import Callable
from pathlib import Path
from . import api, pages
from .errors import sentences
from .library import Library, Module
from .notebooks import Course, Notebook, as_page, source

ROOT = Path(__file__).parents[2]
DOCS = ROOT/"docs"
INTRO = {
    "tutorials": "Each tutorial reads from top to bottom, uses the models that ship with "
        "trm-lab, and runs on a laptop.",
    "course": "The library is written as lessons. Cells with a blue line at the left are exported: together "
        "they are the library. Cells with a green line use what was just defined. If you have one evening, "
        "read the main path; below it all lessons follow, in the order in which the library is built.",
    "experiments": "Studies with what they found, and templates that ``trm-lab run`` fills with parameters.",
}
GROUPS = ("course", "reference") # what can be staged alone, so that a test need not build everything

class Stage:
    "The folder that Sphinx reads."
    def __init__(self, folder:Path):
        self.folder, self.written = folder, set()

    def write(self, name:str, text:str|bytes):
        "A file, left alone where it already says the same: Sphinx then does not read it again."
        path, data = self.folder/name, text.encode() if isinstance(text, str) else text
        self.written.add(path)
        if path.exists() and path.read_bytes() == data: return
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)

    def finish(self):
        "Remove what an earlier build left."
        for path in self.folder.rglob("*"):
            if path.is_file() and path not in self.written: path.unlink()

class Site:
    "The library, the notebooks, and how they hang together."
    def __init__(self, root:Path=ROOT):
        self.root = root
        self.library, self.course = Library(root), Course(root/"nbs")
        by_path = {n.path.resolve(): n for n in self.course.all}
        self.lesson_of:Callable[[Module], Notebook|None] = lambda module: by_path.get(module.lesson)
        self.modules = self._sorted()
        self.sentences = sentences(self.library)

    def _sorted(self)->list[Module]:
        "Modules in the order of their lessons."
        order = {n: i for i, n in enumerate(self.course.lessons)}
        return sorted(self.library.modules, key=lambda m: (order.get(self.lesson_of(m), len(order)), m.name))

    def module_sections(self)->list[tuple[str, list[Module]]]:
        "Modules under the headings of their lessons."
        of = {n: title for title, members in self.course.sections() for n in members}
        found = {}
        for m in self.modules: found.setdefault(of.get(self.lesson_of(m), "Others"), []).append(m)
        return list(found.items())

    # ---- pages ---------------------------------------------------------------
    def stage(self, folder:Path, groups:tuple[str, ...]=GROUPS):
        "Write everything that Sphinx reads."
        stage = Stage(folder)
        self._by_hand(stage, groups)
        if "course" in groups: self._course(stage, groups)
        without = lambda module: None # a link to a lesson needs the lesson
        if "reference" in groups: self._reference(stage, self.lesson_of if "course" in groups else without)
        stage.write("index.md", self._start(groups))
        stage.finish()

    def _by_hand(self, stage:Stage, groups:tuple[str, ...]):
        pages = [*sorted((DOCS/"pages").glob("*.md")), self.root/"CHANGELOG.md", self.root/"CONTRIBUTING.md"]
        for path in pages:
            text = path.read_text(encoding="utf-8").replace("](../../nbs/images/", "](images/")
            if "course" not in groups: # then links would lead to notebooks that are not built
                text = re.sub(r"!\[([^\]]*)\]\(images/[^)]*\)", r"\1", text)
                text = re.sub(r"\{doc\}`(?:([^`<]*?) *<)?((?:tutorials|experiments)/[^`>]*)>?`",
                    lambda m: m[1] or m[2], text)
            stage.write(path.name.lower(), text)

    def _course(self, stage:Stage, groups:tuple[str, ...]):
        c = self.course
        described = self.modules if "reference" in groups else []
        for n in c.all:
            exported = tuple(m.name for m in described if self.lesson_of(m) is n)
            stage.write(f"{n.page}.ipynb", as_page(n, exported))
        for path in sorted((c.nbs/"images").glob("*")): stage.write(f"images/{path.name}", path.read_bytes())
        sections = {"Tutorials": [("", c.tutorials)], "Course": c.sections()}
        sections["Experiments"] = [("", c.experiments)]
        for title, notebooks in sections.items():
            name = title.lower()
            path = c.path if title == "Course" else []
            stage.write(f"{name}.rst", pages.contents(title, INTRO[name], notebooks, self.library, path))

    def _reference(self, stage:Stage, lesson_of):
        writer = api.Writer(self.library, self.sentences, lesson_of)
        for module in self.modules: stage.write(f"api/{module.name}.rst", writer.page(module))
        stage.write("api.rst", api.index(self.modules, self.module_sections(), self.library))
        stage.write("errors.rst", pages.errors(self.modules, self.sentences, self.library))
        from trm_lab.cli import app
        stage.write("commands.rst", pages.commands(app))
        stage.write("configs.rst", pages.configurations(self.root/"nbs"/"experiments", self.library))

    def _start(self, groups:tuple[str, ...])->str:
        "The start page: what the README says, and where everything is."
        text = "\n\n".join(source(c) for c in self.course.index.cells if c["cell_type"] == "markdown")
        if "course" not in groups: # then links would lead to what is not built
            text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
        learn = ["tutorials", "course", "experiments"] if "course" in groups else []
        generated = ["commands", "configs", "errors", "api"] if "reference" in groups else []
        trees = {"Learn": ["start", *learn],
            "Look up": [*generated, "models", "devices", "servers", "paper", "glossary"]}
        trees["More"] = ["gallery", "changelog", "contributing"]
        for caption, names in trees.items():
            listed = "\n".join(names)
            if names: text += f"\n\n```{{toctree}}\n:hidden:\n:caption: {caption}\n\n{listed}\n```"
        return text + "\n"

    def llms(self)->str:
        "The map of the site for machines."
        start = "\n\n".join(source(c) for c in self.course.index.cells if c["cell_type"] == "markdown")
        about = next(p for p in start.split("\n\n") if p[:1].isalpha()).replace("\n", " ")
        listed = lambda notebooks: [(n.title, n.page, n.subtitle) for n in notebooks]
        first = lambda doc: doc.split("\n")[0]
        def by_hand(path): # its title, and its first sentence
            title, _, text = path.read_text(encoding="utf-8").partition("\n")
            paragraph = " ".join(text.strip().split("\n\n")[0].split())
            return title.lstrip("# "), path.stem, paragraph.split(". ")[0].rstrip(".")
        others = [("Commands", "commands", "every command with its options"),
            ("Configurations", "configs", "the settings of every published and shipped run"),
            ("Error sentences", "errors", "what each means and what to do"),
            *map(by_hand, sorted((DOCS/"pages").glob("*.md"))),
            ("Changelog", "changelog", "what changes for users"),
            ("Contributing", "contributing", "how a change is made")]
        modules = [(m.full, f"api/{m.name}", first(m.doc)) for m in self.modules]
        return pages.llms("trm-lab", about, [("Tutorials", listed(self.course.tutorials)),
            ("Course", listed(self.course.lessons)), ("Experiments", listed(self.course.experiments)),
            ("Look up", others), ("Library", modules)])
