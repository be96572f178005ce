"Plain text into reStructuredText, in which the generated pages are written."
import re
from .library import Item, Library, Module, UnknownName

def _escaped(text:str)->str: return re.sub(r"([\\*`|_\[\]<>])", r"\\\1", text)

def plain(text:str)->str:
    "Text that means itself; options of commands are code."
    parts = re.split(r"(?<![^\s(\[])(--[a-z][\w-]*|-[a-z])(?=[\s,;.:)\]]|$)", text)
    return "".join(_escaped(part) if i % 2 == 0 else code(part) for i, part in enumerate(parts))

def code(text:str)->str: return f"``{text.strip()}``" if text.strip() else ""

def target(item:Item, shown:str|None=None)->str:
    "A link to where a name is described."
    return f":py:obj:`{shown or item.name} <{item.full}>`"

def name_or_code(text:str, library:Library, module:Module|None)->str:
    "A link where the text is a name of the library, otherwise code."
    try: return target(library.find(text.removesuffix("()"), module), text)
    except UnknownName: return code(text)

def prose(text:str, library:Library, module:Module|None=None)->str:
    "A docstring or a comment: what stands in backticks becomes a link or code, the rest means itself."
    parts = re.split(r"`([^`\n]+)`", text)
    made = [name_or_code(part, library, module) if i % 2 else plain(part) for i, part in enumerate(parts)]
    joined = made[0]
    for i, part in enumerate(made[1:], 1): # inline markup has to stand apart from letters
        glued = joined[-1:].isalnum() or (i % 2 == 0 and part[:1].isalnum())
        joined += ("\\ " if glued else "") + part
    return joined

def indented(text:str, by:int)->str:
    return "\n".join(" "*by + line if line else "" for line in text.split("\n"))

def label_of(kind:str, name:str)->str:
    "The label of a command, a configuration or a grid: kind is cmd, config or sweep."
    return re.sub(r"[ /_.]+", "-", f"{kind}-{name}".lower())

def heading(text:str, mark:str="=")->str: return f"{text}\n{mark*max(4, len(text)*2)}\n"

def list_table(rows:list[list[str]], widths:str, header:bool=True, classes:str="")->str:
    "A table whose cells are reStructuredText."
    lines = [".. list-table::", f"   :widths: {widths}", *(["   :header-rows: 1"] if header else []),
        *([f"   :class: {classes}"] if classes else []), ""]
    for row in rows:
        for i, cell in enumerate(row):
            first, *rest = (cell or "").split("\n")
            lines.append(f"   {'* -' if i == 0 else '  -'} {first}".rstrip())
            lines += [f"       {line}" if line else "" for line in rest]
    return "\n".join(lines) + "\n"
