"""What the library says of itself: names, signatures, comments of parameters, docstrings. Read from the
source with `ast`; nothing is imported, so this works without torch."""
import ast, bisect, io, re, tokenize
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path

PACKAGE = "trm_lab"

@dataclass
class Parameter:
    name:str
    type:str # as annotated; "" where it is not
    default:str|None # as written; None: it has to be given
    comment:str # from where it is declared

@dataclass
class Item:
    "A function, class, value, or a member of a class."
    kind:str # function, class, data, method, classmethod, staticmethod, property, attribute
    name:str # BinaryHalting, or BinaryHalting.stop
    module:"Module"
    doc:str = ""
    signature:str = "" # (a: int = 1) -> str
    parameters:list[Parameter] = field(default_factory=list)
    type:str = "" # of a value; what a function returns
    value:str = "" # of a value, as written
    comment:str = "" # of a value; of what a function returns
    bases:list[str] = field(default_factory=list)
    members:list["Item"] = field(default_factory=list)
    node:ast.AST|None = None

    @property
    def full(self)->str: return f"{self.module.full}.{self.name}"

@dataclass
class Module:
    "A module of the library."
    path:Path
    name:str # halting, puzzles.base
    doc:str = ""
    lesson:Path|None = None # the notebook that exports it
    items:list[Item] = field(default_factory=list)
    imports:dict[str, str] = field(default_factory=dict) # full names of what other modules gave
    tree:ast.Module|None = None

    @property
    def full(self)->str: return f"{PACKAGE}.{self.name}" if self.name else PACKAGE

class Comments:
    "The comments of a source file by line, and where headers of functions end."
    def __init__(self, source:str):
        self.by_line, self.tokens = {}, []
        for token in tokenize.generate_tokens(io.StringIO(source).readline):
            if token.type == tokenize.COMMENT:
                self.by_line[token.start[0]] = token.string.lstrip("# ").strip()
            elif token.type == tokenize.OP and token.string in "()[]{}:": self.tokens.append(token)
        self.starts = [token.start for token in self.tokens]

    def at(self, line:int)->str: return self.by_line.get(line, "")

    def header_end(self, node)->int:
        "The line of the colon that ends a function's header."
        depth = 0
        for token in self.tokens[bisect.bisect(self.starts, (node.lineno, node.col_offset)):]:
            depth += (token.string in "([{") - (token.string in ")]}")
            if token.string == ":" and depth == 0: return token.start[0]
        return node.lineno

def _source(node, default:str="")->str: return default if node is None else ast.unparse(node)

def _decorators(node)->list[str]: return [ast.unparse(d) for d in node.decorator_list]

def is_dataclass(node)->bool: return any(d.split("(")[0].endswith("dataclass") for d in _decorators(node))

def _is_command(node)->bool: return any(".command" in d or ".callback" in d for d in _decorators(node))

def _function(node, kind:str, name:str, module:Module, comments:Comments)->Item:
    "A function with what stands beside its parameters."
    a, bound = node.args, kind in ("method", "classmethod", "property")
    defaults = dict(zip(reversed([*a.posonlyargs, *a.args]), reversed(a.defaults)))
    defaults |= {arg: value for arg, value in zip(a.kwonlyargs, a.kw_defaults) if value is not None}
    ordered = list(filter(None, [*a.posonlyargs, *a.args, a.vararg, *a.kwonlyargs, a.kwarg]))
    end, parameters = comments.header_end(node), []
    ends = {arg: (defaults.get(arg) or arg).end_lineno for arg in ordered}
    last_on_line = {line: arg for arg, line in ends.items()} # to which a comment on that line belongs
    for arg in ordered[bound:]:
        beside = ends[arg] != end and last_on_line[ends[arg]] is arg
        stars = "*"*(arg is a.vararg) + "**"*(arg is a.kwarg)
        default = _source(defaults[arg]) if arg in defaults else None
        comment = comments.at(ends[arg]) if beside else ""
        parameters.append(Parameter(stars + arg.arg, _source(arg.annotation), default, comment))
    shown = ast.parse(f"def f({ast.unparse(a)}): pass").body[0].args
    if bound: (shown.posonlyargs or shown.args).pop(0)
    signature = f"({ast.unparse(shown)})" + (f" -> {ast.unparse(node.returns)}" if node.returns else "")
    doc = ast.get_docstring(node) or ""
    return Item(kind, name, module, doc, signature, parameters, _source(node.returns),
        comment=comments.at(end), node=node)

def _value(node, kind:str, prefix:str, module:Module, comments:Comments)->list[Item]:
    "The values that an assignment names."
    targets = node.targets if isinstance(node, ast.Assign) else [node.target]
    single = [n for t in targets for n in (t.elts if isinstance(t, ast.Tuple) else [t])]
    names = [n.id for n in single if isinstance(n, ast.Name)]
    value = _source(node.value) if len(names) == 1 else ""
    return [Item(kind, prefix + name, module, type=_source(getattr(node, "annotation", None)), value=value,
        comment=comments.at(node.end_lineno), node=node) for name in names]

USED_BY_SYNTAX = ("__call__", "__len__", "__getitem__", "__iter__")

def _members(node:ast.ClassDef, module:Module, comments:Comments)->list[Item]:
    "Fields and methods that a user may touch."
    found = []
    for child in node.body:
        if isinstance(child, ast.AnnAssign | ast.Assign):
            found += _value(child, "attribute", f"{node.name}.", module, comments)
        elif isinstance(child, ast.FunctionDef) and child.name != "__init__":
            marks = " ".join(_decorators(child))
            kinds = ("property", "classmethod", "staticmethod")
            kind = next((k for k in kinds if k in marks), "method")
            found.append(_function(child, kind, f"{node.name}.{child.name}", module, comments))
    names = [item.name.rpartition(".")[2] for item in found]
    return [item for item, name in zip(found, names) if not name.startswith("_") or name in USED_BY_SYNTAX]

def _class(node:ast.ClassDef, module:Module, comments:Comments)->Item:
    bases = list(map(ast.unparse, node.bases))
    item = Item("class", node.name, module, ast.get_docstring(node) or "", bases=bases, node=node)
    item.members = _members(node, module, comments)
    init = next((c for c in node.body if isinstance(c, ast.FunctionDef) and c.name == "__init__"), None)
    if init:
        made = _function(init, "method", node.name, module, comments)
        item.signature, item.parameters = made.signature, made.parameters
    return item

def _take_over(module:Module):
    "A class that grows over several cells has private bases in its module: what they have, it has."
    private = {}
    classes = [item for item in module.items if item.kind == "class"]
    for item in classes: # a base stands above what derives from it
        bases, item.bases = item.bases, []
        for base in bases:
            if base not in private: item.bases.append(base); continue
            own = {member.name.rpartition(".")[2] for member in item.members}
            item.members += [replace(member, name=f"{item.name}.{short}") for member in private[base].members
                if (short := member.name.rpartition(".")[2]) not in own]
            item.bases += private[base].bases
            if not item.parameters and not item.signature:
                item.signature, item.parameters = private[base].signature, private[base].parameters
        if item.name.startswith("_"): private[item.name] = item

def _imports(tree:ast.Module, module:Module)->dict[str, str]:
    "Which names came from other modules of the library."
    found, parts = {}, module.full.split(".")
    for node in ast.walk(tree):
        if not isinstance(node, ast.ImportFrom): continue
        base = parts[:len(parts) - node.level] if node.level else []
        source = ".".join([*base, *(node.module.split(".") if node.module else [])])
        if source.split(".")[0] == PACKAGE:
            found |= {alias.asname or alias.name: f"{source}.{alias.name}" for alias in node.names}
    return found

def _public(tree:ast.Module):
    "Which names a module offers: those of `__all__`, where it has one; no options of commands."
    assigned = [node for node in tree.body if isinstance(node, ast.Assign)]
    lists = [node.value for node in assigned if _source(node.targets[0]) == "__all__"]
    offered = set(ast.literal_eval(lists[0])) if lists else None
    def public(item:Item)->bool:
        if item.name.startswith("_") or "typer." in item.value: return False
        return offered is None or item.name in offered
    return public

def read_module(path:Path, root:Path)->Module:
    "A module as its file says it; `root` is the folder of the package."
    source = path.read_text(encoding="utf-8")
    tree, comments = ast.parse(source), Comments(source)
    name = ".".join(path.relative_to(root).with_suffix("").parts)
    module = Module(path, name, ast.get_docstring(tree) or "", tree=tree)
    if made := re.search(r"File to edit: (\S+\.ipynb)", source):
        module.lesson = (path.parent/made[1]).resolve()
    module.imports = _imports(tree, module)
    for node in tree.body:
        if isinstance(node, ast.FunctionDef) and not _is_command(node):
            module.items.append(_function(node, "function", node.name, module, comments))
        elif isinstance(node, ast.ClassDef): module.items.append(_class(node, module, comments))
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            module.items += _value(node, "data", "", module, comments)
    _take_over(module)
    public = _public(tree)
    module.items = [item for item in module.items if public(item)]
    return module

class UnknownName(ValueError):
    "A page names something that the library does not have, or has twice."

class Library:
    "All modules, and the one way to find a name in them."
    def __init__(self, root:Path):
        self.root = root
        paths = sorted(p for p in (root/PACKAGE).rglob("*.py") if not p.name.startswith("_"))
        self.modules = [read_module(path, root/PACKAGE) for path in paths]

    @cached_property
    def by_full_name(self)->dict[str, Item]:
        items = [item for module in self.modules for item in module.items]
        return {item.full: item for item in [*items, *(member for item in items for member in item.members)]}

    def candidates(self, text:str)->list[Item]:
        "What `text` may mean: a name at the top of a module; with dots, Class.member or module.name."
        if "." not in text: return [item for item in self.by_full_name.values() if item.name == text]
        return [item for full, item in self.by_full_name.items() if full == text or full.endswith(f".{text}")]

    def find(self,
        text:str, # BinaryHalting, BinaryHalting.stop, solve.solve
        within:Module|None=None, # where it is said: what this module defines or imports goes first
    )->Item:
        "The one thing that is meant. Raises `UnknownName`."
        if within:
            first, _, rest = text.partition(".")
            here = f"{within.imports.get(first, f'{within.full}.{first}')}{'.'*bool(rest)}{rest}"
            if here in self.by_full_name: return self.by_full_name[here]
        found = self.candidates(text)
        if len(found) == 1: return found[0]
        if not found:
            raise UnknownName(f"{text!r} is not a public name of the library; correct the page that uses it")
        several = " or ".join(item.full for item in found)
        raise UnknownName(f"{text!r} may be {several}; write more of the name")

    def method_of_base(self, item:Item)->Item|None:
        "The member that a member without a docstring overrides, where the library has it."
        class_name, _, name = item.name.partition(".")
        queue, seen = [(item.module, class_name)], set()
        while queue:
            module, name_of_class = queue.pop(0)
            try: cls = self.find(name_of_class, module)
            except UnknownName: continue
            if cls.full in seen: continue
            seen.add(cls.full)
            for member in cls.members:
                if member.name.endswith(f".{name}") and member.doc: return member
            queue += [(cls.module, base.split("[")[0]) for base in cls.bases]
        return None
