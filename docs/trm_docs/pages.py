"The generated pages: the course, commands, configurations, sentences of errors, and the map for machines."
from pathlib import Path
from .errors import Sentence
from .library import Library, Module
from .notebooks import Notebook
from .rst import code, heading, label_of, list_table, plain, prose, target

# ---- the course --------------------------------------------------------------
def _entries(notebooks:list[Notebook], library:Library)->list[str]:
    def about(n):
        said = prose(n.subtitle.rstrip("."), library)
        return f": {said}" + "."*(not said.endswith("?")) if said else ""
    return [f"* :doc:`{n.title} </{n.page}>`{about(n)}" for n in notebooks]

def _toctree(pages:list[str])->list[str]:
    return ["", ".. toctree::", "   :hidden:", "", *(f"   /{page}" for page in pages), ""]

def contents(title:str, intro:str, sections:list[tuple[str, list[Notebook]]], library:Library,
        path:list[Notebook]=())->str:
    "A page that leads to notebooks; those of `path` come first, and again in their sections."
    lines = [heading(title), intro, ""]
    for name, notebooks in [("The main path", path)]*bool(path) + sections:
        lines += [heading(name, "-") if name else "", *_entries(notebooks, library), ""]
    return "\n".join([*lines, *_toctree([n.page for _, notebooks in sections for n in notebooks])])

# ---- errors ------------------------------------------------------------------
KINDS = {"finding": "found by a check of a dataset", "warning": "a warning"} # what is no exception

def errors(modules:list[Module], sentences:list[Sentence], library:Library)->str:
    "The index of sentences."
    lines = [heading("Error sentences and what to do"),
        "Whatever trm-lab cannot use it refuses with one sentence: what is wrong, where, and what to do.",
        "This page lists these sentences as they stand in the source. Words in ⟨brackets⟩ are filled in.\n",
        "Type a few words of the sentence that you saw:\n", ".. raw:: html\n",
        '   <input id="filter-sentences" type="search" placeholder="for example: is not known"',
        '     aria-label="filter the sentences">',
        '   <p id="filter-count" aria-live="polite"></p>\n']
    for module in modules:
        rows = [["What is wrong", "What to do", "Where"]]
        for s in (s for s in sentences if s.module is module):
            where = target(s.item) if s.item else f":doc:`{module.name} </api/{module.name}>`"
            kind = KINDS.get(s.kind, "" if s.kind == "InputError" else prose(f"`{s.kind}`", library, module))
            rows.append([plain(s.problem), plain(s.remedy), where + (f", {kind}" if kind else "")])
        if len(rows) > 1:
            lines += [f".. _errors-{module.name}:\n", heading(module.full, "-")]
            lines.append(list_table(rows, "46 34 20", classes="sentences"))
    return "\n".join(lines)

# ---- commands ----------------------------------------------------------------
def _command(name:str, command, depth:str)->list[str]:
    "A command with its options, and the commands below it."
    label = label_of("cmd", name.removeprefix("trm-lab").strip() or "top")
    lines = [f".. _{label}:\n", heading(name, depth), plain(" ".join((command.help or "").split())) + "\n"]
    if hasattr(command, "commands"):
        below = [(sub, c) for sub, c in command.commands.items() if not c.hidden]
        for sub, c in below: lines += _command(f"{name} {sub}", c, "-" if depth == "=" else "~")
        return lines
    context = command.make_context(name, [], resilient_parsing=True)
    records = [p.get_help_record(context) for p in command.params if not getattr(p, "hidden", False)]
    rows = [[code(shown), plain(" ".join(said.split()))] for shown, said in filter(None, records)]
    lines += [".. code-block:: text\n", f"   {' '.join([name, *command.collect_usage_pieces(context)])}\n"]
    return lines + ([list_table(rows, "30 70", header=False, classes="options")] if rows else [])

def commands(app)->str:
    "The reference of the command line, from the commands themselves."
    import typer
    made = "\n".join(_command("trm-lab", typer.main.get_command(app), "="))
    return made.replace(heading("trm-lab"), heading("Commands"), 1)

# ---- configurations ----------------------------------------------------------
def configurations(experiments:Path, library:Library)->str:
    "All configurations and grids, with what they say of themselves."
    lines = [heading("Configurations"),
        "What :ref:`trm-lab train NAME <cmd-train>` and :ref:`trm-lab run -f NAME <cmd-run>` read. Every key",
        f"is a field of {target(library.find('TrainConfig'))}.\n"]
    for kind, label in (("configs", "config"), ("sweeps", "sweep")):
        if kind == "sweeps":
            lines += [heading("Grids of sweeps", "-"), "What :ref:`trm-lab sweep NAME <cmd-sweep>` reads.\n"]
        for path in sorted((experiments/kind).rglob("*.yaml"), key=lambda p: (len(p.parts), p)):
            name = path.relative_to(experiments/kind).with_suffix("").as_posix()
            text = path.read_text(encoding="utf-8").rstrip()
            lines += [f".. _{label_of(label, name)}:\n", heading(name, "~" if kind == "sweeps" else "-")]
            lines += [".. code-block:: yaml\n", *(f"   {line}".rstrip() for line in text.split("\n")), ""]
    return "\n".join(lines)

# ---- for machines ------------------------------------------------------------
def llms(title:str, about:str, sections:list[tuple[str, list[tuple[str, str, str]]]])->str:
    "The map of the site, one line a page (llmstxt.org)."
    lines = [f"# {title}\n", f"> {about}\n"]
    for name, pages in sections:
        listed = [f"- [{shown}]({page}.html): {said}".rstrip(": ") for shown, page, said in pages]
        lines += [f"## {name}\n", *listed, ""]
    return "\n".join(lines)
