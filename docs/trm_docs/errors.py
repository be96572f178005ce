"""Every sentence with which the library refuses or warns, read from its source: what is wrong, what to do,
and where it is raised."""
import ast
import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from .library import Item, Library, Module

ROOTS = ("InputError", "RunFailed") # all exceptions that derive from these
FINDINGS = ("Finding",) # classes that are not raised but listed: what a check of a dataset finds
# what to do where a sentence itself need not say it
USUAL = {"finding": "correct the file or puzzle that it names, or build the dataset again",
    "Interrupted": "start it again"}

@dataclass(frozen=True)
class Sentence:
    kind:str # InputError, warning, finding
    problem:str # what is wrong, placeholders in ⟨⟩
    remedy:str # what to do, from what follows a semicolon, or from what it "should" be; "" if it says neither
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

# what a sentence says should be, without what was found in its place
WANTED = re.compile(r"\b(should (?:both )?be|should|expected) (.+?)(?:,? (?:not|found) .*)?$")

def _wanted(problem:str)->str:
    "What to do where a sentence only says what should be."
    found = WANTED.search(problem)
    if not found: return ""
    return f"it should {found[2]}" if found[1] == "should" else f"give {found[2]}"

def split(text:str)->tuple[str, str]: # problem, remedy
    "At the first semicolon outside of placeholders and brackets; else by what should be."
    depth = 0
    for i, letter in enumerate(text):
        depth += (letter in "⟨(") - (letter in "⟩)")
        if letter == ";" and not depth: return text[:i].strip(), text[i + 1:].strip()
    return text.strip(), _wanted(text)

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

def _texts(
    node, # an expression
    call:ast.Call, # for which it is used
    function, # that holds the call, or None
)->list[str]:
    "The sentences that an expression may be; a name is what was last assigned to it before the call."
    match node:
        case ast.Name(id=name):
            assigned = [n for n in ast.walk(function) if isinstance(n, ast.Assign)] if function else []
            before = [n for n in assigned if name in map(ast.unparse, n.targets) and n.lineno < call.lineno]
            if not before: return []
            value = max(before, key=lambda n: n.lineno).value
            if not isinstance(value, ast.IfExp): return _text(value)
            sides = (value.body, value.orelse)
            return [text for side in sides for text in _text(side) or [_placeholder(side)]]
        case ast.JoinedStr(values=values):
            parts = [[str(v.value)] if isinstance(v, ast.Constant) else _filled(v.value, call, function)
                for v in values]
            return ["".join(some) for some in product(*parts)]
        case ast.BinOp(op=ast.Add(), left=left, right=right):
            both = (_texts(side, call, function) or [""] for side in (left, right))
            return [a + b for a, b in product(*both)]
    return _text(node)

def _filled(node, call:ast.Call, function)->list[str]:
    "What a sentence fills in: the words of a part that was written before it, or a placeholder."
    words = _texts(node, call, function) if isinstance(node, ast.Name) else []
    return words if any(len(text.split()) > 2 for text in words) else [_placeholder(node)]

def _said_by(parts:list, call:ast.Call, function)->list[str]:
    "What an exception or a warning says."
    return _texts(parts[0], call, function)

def _finding(parts:list, call:ast.Call, function)->list[str]:
    "What a finding says: its name, and what was found."
    names, details = (_texts(part, call, function) for part in parts)
    return [f"{name}: {detail}" for name, detail in product(names, details or ["⟨reason⟩"])]

def sentences(library:Library)->list[Sentence]:
    "All of them, by module and then by what they say."
    kinds, found = exceptions(library), []
    for module in library.modules:
        for call, item, function in _calls(module.tree, None, None, module):
            kind, parts = _said(call, kinds)
            if not kind: continue
            texts = (_finding if kind == "finding" else _said_by)(parts, call, function)
            for text in (" ".join(text.split()) for text in texts):
                if kind != "finding" and not _is_sentence(text): continue
                problem, remedy = split(text)
                found.append(Sentence(kind, problem, remedy or USUAL.get(kind, ""), module, item))
    unique = {(s.kind, s.problem, s.remedy, s.module.name): s for s in reversed(found)}
    return sorted(unique.values(), key=lambda s: (s.module.name, s.problem.lstrip("⟨-").casefold()))
