"The pages of the library: one a module, from its docstrings and from the comments beside its parameters."
import ast
from .errors import Sentence
from .library import Item, Library, Module, Parameter, is_dataclass
from .rst import heading, indented, prose, target

DIRECTIVES = {kind: kind for kind in ("data", "function", "class", "property", "attribute", "method")}
DIRECTIVES |= {"classmethod": "method", "staticmethod": "method"}
LONG_VALUE = 120 # letters; what is longer is not shown

class Writer:
    "Writes the pages; knows everything that they link to."
    def __init__(self, library:Library, sentences:list[Sentence], lesson_of):
        self.library, self.sentences, self.lesson_of = library, sentences, lesson_of

    def page(self, module:Module)->str:
        "The page of a module."
        lesson = self.lesson_of(module)
        parts = [heading(module.full), prose(module.doc.rstrip("."), self.library, module) + ".\n"]
        if lesson: parts.append(f"Lesson: :doc:`{lesson.title} </{lesson.page}>`\n")
        if any(s.module is module for s in self.sentences):
            parts.append(f":ref:`What it refuses, and what to do <errors-{module.name}>`\n")
        parts.append(f".. py:module:: {module.full}\n")
        parts += [self.entry(item) for item in module.items]
        return "\n".join(parts)

    def entry(self, item:Item)->str:
        "The entry of a name, with those of its members."
        name, options = item.name, []
        if item.kind in ("classmethod", "staticmethod"): options.append(f":{item.kind}:")
        if item.kind in ("data", "attribute"): options += self._value_options(item)
        if item.kind == "property" and item.type: options.append(f":type: {item.type}")
        shown = "" if item.kind in ("data", "attribute", "property") else item.signature
        first = f".. py:{DIRECTIVES[item.kind]}:: {name.rpartition('.')[2]}{shown}"
        lines = [first, *(f"   {option}" for option in options), ""]
        body = [*self.body(item), *(self.entry(member) for member in item.members)]
        return "\n".join(lines) + "\n" + indented("\n".join(body), 3) + "\n"

    def _value_options(self, item:Item)->list[str]:
        value = " ".join(item.value.split())
        made = [f":type: {item.type}"] if item.type else []
        return made + ([f":value: {value}"] if value and len(value) <= LONG_VALUE else [])

    def body(self, item:Item)->list[str]:
        "What an entry says."
        says = lambda text: prose(text, self.library, item.module)
        parts = []
        paragraphs = item.doc.split("\n\n") if item.doc else []
        parts += [says(paragraph.replace("\n", " ")) + "\n" for paragraph in paragraphs]
        inherits = not item.doc and item.kind in ("method", "property")
        if inherits and (base := self.library.method_of_base(item)):
            parts.append(f"{says(base.doc)} (From {target(base)}.)\n")
        if item.kind == "class": parts += self._kind_of_class(item)
        # types and defaults stand in the signature
        fields = [self._parameter(p, item) for p in item.parameters if p.comment]
        if item.kind in ("data", "attribute"):
            if item.comment: parts.append(says(item.comment) + "\n")
        elif item.comment:
            if item.type: fields.append(f":returns: {says(item.comment)}")
            else: parts.append(says(item.comment) + "\n")
        fields += [f":raises {s.kind}: {self._sentence(s)}" for s in self.sentences
            if s.item is item and s.kind not in ("warning", "finding")]
        return [*parts, *fields, ""]

    def _kind_of_class(self, item:Item)->list[str]:
        "What kind of class it is, and what it derives from."
        frozen = any("frozen=True" in ast.unparse(d) for d in item.node.decorator_list)
        said = [f"A dataclass{', frozen' if frozen else ''}"] if is_dataclass(item.node) else []
        bases = [base for base in item.bases if base not in ("ABC", "Protocol", "object")]
        bases = [prose(f"`{base}`", self.library, item.module) for base in bases]
        if bases: said.append(f"{'derives' if said else 'Derives'} from {', '.join(bases)}")
        return [f"{'; '.join(said)}.\n"] if said else []

    def _parameter(self, p:Parameter, item:Item)->str:
        name = p.name.replace("*", "\\*")
        return f":param {name}: {prose(p.comment, self.library, item.module)}"

    def _sentence(self, s:Sentence)->str:
        return prose(f"{s.problem}; {s.remedy}" if s.remedy else s.problem, self.library, s.module)

def index(modules:list[Module], sections:list[tuple[str, list[Module]]], library:Library)->str:
    "The page that leads to all modules."
    lines = [heading("Library reference"),
        "One page a module, in the order of the lessons that export them. Every parameter is explained where",
        "it is declared; these pages collect what stands there.\n"]
    for title, members in sections:
        if title: lines.append(heading(title, "-"))
        for module in members:
            summary = module.doc.split("\n")[0].rstrip(".")
            lines += [f"* :doc:`{module.full} </api/{module.name}>`: {prose(summary, library, module)}."]
        lines.append("")
    lines += [".. toctree::", "   :hidden:", "", *(f"   {m.name} </api/{m.name}>" for m in modules), ""]
    return "\n".join(lines)
