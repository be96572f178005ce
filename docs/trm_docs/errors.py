"""Every sentence with which the library refuses or warns, read from its source: what is wrong, what to do,
and where it is raised."""
import ast
from collections.abc import Iterator
from dataclasses import dataclass
from .library import Item, Library, Module

ROOTS = ("InputError", "RunFailed") # all exceptions that derive from these
FINDINGS = ("Finding",) # classes that are not raised but listed: what a check of a dataset finds

@dataclass(frozen=True)
class Sentence:
    kind:str # InputError, warning, finding
    problem:str # what is wrong, placeholders in ⟨⟩
    remedy:str # what to do; "" where the sentence does not say it after a semicolon
    module:Module
    item:Item|None # the public name whose code raises it; None: a private one

# functions that change how a value looks, not what it is
SHOWING = ("shortened", "_quoted", "_shown", "str", "repr", "list", "tuple", "sorted", "int")

def _placeholder(node)->str:
    "How to call what a sentence fills in."
    match node:
        case ast.Constant(value=value): return str(value)
        case ast.Call(func=ast.Name(id="closest")): return "" # a hint, where there is one
        case ast.Call(func=ast.Name(id="getattr"), args=[_, name, *_]):
            return f"⟨value of {_inner(name)}⟩"
        case ast.Call(func=ast.Name(id="len"), args=[what]): return f"⟨number of {_inner(what)}⟩"
        case ast.Call(func=ast.Name(id=name), args=[what, *_]) if name in SHOWING: return _placeholder(what)
        case ast.Call(func=ast.Attribute(attr="join"), args=[what]): return f"⟨{_inner(what)}, …⟩"
        case ast.Call(func=ast.Name(id="error_line")): return "⟨reason⟩"
        case ast.JoinedStr(): return _text(node)[0]
        case ast.IfExp():
            either = (_placeholder(node.body), _placeholder(node.orelse))
            return " / ".join(dict.fromkeys(filter(None, either)))
        case ast.BoolOp(): return _placeholder(node.values[0])
        case ast.BinOp(op=ast.Mult(), left=ast.Constant(value="s")): return "s"
    return f"⟨{_inner(node)}⟩"

# words for names that only the code understands
SPOKEN = {"e": "reason", "n": "number", "i": "number", "c": "config", "f": "file", "u": "update"}
SPOKEN |= {"id": "task", "self": "object"}

def _inner(node)->str:
    "A word for an expression: its name, without what is done with it."
    match node:
        case ast.Name(id=name): return SPOKEN.get(name, name)
        case ast.Attribute(value=ast.Name(id="self"), attr=name): return name
        case ast.Attribute(attr="__name__", value=value): return _inner(value)
        case ast.Attribute(attr="strerror"): return "reason"
        case ast.Attribute(attr="shape" | "dtype" as attr, value=value): return f"{attr} of {_inner(value)}"
        case ast.Attribute(attr="name" | "folder" | "path", value=value): return _inner(value)
        case ast.Attribute(attr=name): return name
        case ast.Subscript(slice=ast.Constant(value=str() as key)): return key
        case ast.Subscript(value=value): return _inner(value)
        case ast.Starred(value=value): return _inner(value)
        case ast.Call(func=ast.Name(id="type"), args=[what]): return f"type of {_inner(what)}"
        case ast.Call(func=ast.Name(id="map"), args=[_, what, *_]): return _inner(what)
        case ast.Call(args=[what, *_]): return _inner(what)
        case ast.Call(func=func): return _inner(func)
        case ast.GeneratorExp(elt=elt) | ast.ListComp(elt=elt): return _inner(elt)
        case ast.BinOp(left=ast.Constant(), right=right): return _inner(right)
        case ast.BinOp(left=left): return _inner(left)
        case ast.JoinedStr(values=values):
            return next((_inner(v.value) for v in values if isinstance(v, ast.FormattedValue)), "…")
        case ast.Constant(value=value): return str(value)
        case ast.UnaryOp(operand=operand): return _inner(operand)
        case ast.IfExp(body=body): return _inner(body)
    return "…"

def _text(node)->list[str]:
    "The sentences that an expression may be."
    match node:
        case ast.Constant(value=str() as value): return [value]
        case ast.JoinedStr(values=values):
            parts = [v.value if isinstance(v, ast.Constant) else _placeholder(v.value) for v in values]
            return ["".join(map(str, parts))]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            return [a + b for a in _text(left) or [""] for b in _text(right) or [""]]
        case ast.IfExp(body=body, orelse=orelse): return [*_text(body), *_text(orelse)]
    return []

def _is_sentence(text:str)->bool:
    "Does it say something besides what it fills in?"
    return sum(word.isalpha() and "⟨" not in word for word in text.split()) >= 3

def split(text:str)->tuple[str, str]: # problem, remedy
    "At the first semicolon outside of placeholders and brackets."
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter in "⟨(") - (letter in "⟩)")
        if letter == ";" and not depth: return text[:i].strip(), text[i + 1:].strip()
    return text.strip(), ""

def exceptions(library:Library)->set[str]:
    "The names of all exceptions with which the library speaks to its user."
    nodes = [node for module in library.modules for node in ast.walk(module.tree)]
    bases = {node.name: set(map(ast.unparse, node.bases)) for node in nodes if isinstance(node, ast.ClassDef)}
    found = set(ROOTS)
    while more := {name for name in bases.keys() - found if found & bases[name]}: found |= more
    return found

def _calls(node, owner:Item|None, function, module:Module)->Iterator[tuple]:
    "Every call below a node, with the public name and the function in which it stands."
    for child in ast.iter_child_nodes(node):
        here, inside = owner, function
        if isinstance(child, ast.FunctionDef | ast.ClassDef):
            known = {id(item.node): item for top in module.items for item in (top, *top.members)}
            here = known.get(id(child), owner)
            if isinstance(child, ast.FunctionDef): inside = child
        if isinstance(child, ast.Call): yield child, here, inside
        yield from _calls(child, here, inside, module)

def _said(
    call:ast.Call,
    kinds:set[str], # names of exceptions
)->tuple[str, list]: # its kind, and the expressions that make the sentence
    "What a call says to the user, if it does."
    name = ast.unparse(call.func)
    if name in kinds and call.args: return name, call.args[:1]
    if name == "warnings.warn": return "warning", call.args[:1]
    if name in FINDINGS and len(call.args) == 3: return "finding", [call.args[0], call.args[2]]
    return "", []

def _assigned(name:str, function)->list:
    "What a function assigns to a name."
    assigned = [node for node in ast.walk(function) if isinstance(node, ast.Assign)] if function else []
    return [node.value for node in assigned if name in map(ast.unparse, node.targets)]

def sentences(library:Library)->list[Sentence]:
    "All of them, by module and then by what they say."
    kinds, found = exceptions(library), []
    for module in library.modules:
        for call, item, function in _calls(module.tree, None, None, module):
            kind, parts = _said(call, kinds)
            if not kind: continue
            if isinstance(parts[0], ast.Name): parts = _assigned(parts[0].id, function)[:1]
            texts = [_text(part) for part in parts]
            whole = sum(texts, [])
            if kind == "finding": whole = [": ".join(options[0] for options in texts if options)]
            for text in (" ".join(text.split()) for text in whole):
                if kind == "finding" or _is_sentence(text):
                    found.append(Sentence(kind, *split(text), module, item))
    unique = {(s.kind, s.problem, s.remedy, s.module.name): s for s in reversed(found)}
    return sorted(unique.values(), key=lambda s: (s.module.name, s.problem.lstrip("⟨-").casefold()))
