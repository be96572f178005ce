"""What a reader meets, counted: long lines, long cells, lessons without a picture, modules
without a package, old names.

    python tools/readability.py [ROOT]      prints the counts; with --where, the places too
"""
import ast, json, re, statistics, sys
from pathlib import Path

WIDTH, HEIGHT = 110, 40
# Names which the field calls otherwise; none of them may be defined in the library.
OLD_NAMES = """
choose until way turn hold whole_file whole_folder tell Course Found Moment say Disguised kept_back
_Times widened Mean Patch Walk Zero told Team add_up_ in_turn Member Needs Point Watched _Ledger see
disguised settled disguised_dataset disguises settle Rearranged seen_from resampled random_place file_of
""".split()

def cells_of(notebook:Path)->list[dict]: return json.loads(notebook.read_text(encoding="utf-8"))["cells"]
def source(cell:dict)->str: return "".join(cell["source"])
def is_exported(cell:dict)->bool: return bool(re.match(r"#\| *exporti?\b", source(cell)))

def notebooks(root:Path)->list[Path]:
    return sorted(p for p in (root/"nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)

def lessons(root:Path)->list[Path]:
    "Notebooks that a module is made of."
    return [p for p in notebooks(root) if any(source(c).startswith("#| default_exp") for c in cells_of(p))]

def code_lines(root:Path):
    "Every line of Python and JavaScript that somebody wrote, with its place."
    for path in notebooks(root):
        for cell in cells_of(path):
            if cell["cell_type"] != "code": continue
            for number, line in enumerate(source(cell).splitlines(), 1):
                yield f"{path.relative_to(root)} {cell['id']}:{number}", line
    for folder, kind in (("tests", "*.py"), ("tools", "*.py"), ("docs", "*.py"), ("trm_lab", "*.js"),
            ("docs", "*.js"), ("benchmarks", "*.py")):
        for path in sorted((root/folder).rglob(kind)):
            for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
                yield f"{path.relative_to(root)}:{number}", line

def shows_a_picture(path:Path)->bool:
    outputs = [o for c in cells_of(path) for o in c.get("outputs", [])]
    return any("image/png" in o.get("data", {}) or "image/svg+xml" in o.get("data", {}) for o in outputs)

def defined_names(root:Path)->dict[str, str]:
    "Functions, classes, methods and parameters of the library, each with one place."
    found = {}
    for path in sorted((root/"trm_lab").rglob("*.py")):
        if path.name == "_modidx.py": continue
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.FunctionDef | ast.ClassDef):
                found.setdefault(node.name, f"{path.relative_to(root)}:{node.lineno}")
            if isinstance(node, ast.arg):
                found.setdefault(node.arg, f"{path.relative_to(root)}:{node.lineno}")
    return found

def main(root:Path, where:bool):
    lines = list(code_lines(root))
    wide = [(place, len(line)) for place, line in lines if len(line) > WIDTH]
    exported = [(f"{p.relative_to(root)} {c['id']}", len(source(c).splitlines()) - 1)
                for p in lessons(root) for c in cells_of(p) if c["cell_type"] == "code" and is_exported(c)]
    tall = [item for item in exported if item[1] > HEIGHT]
    no_picture = [str(p.relative_to(root)) for p in lessons(root) if not shows_a_picture(p)]
    homeless = [p.name for p in (root/"trm_lab").glob("*.py")
        if p.name not in ("__init__.py", "_modidx.py", "cli.py")]
    names = defined_names(root)
    old = [f"{name} ({names[name]})" for name in OLD_NAMES if name in names]
    sizes = [size for _, size in exported]
    print(
        f"lines over {WIDTH}: {len(wide):,} of {len(lines):,}, longest {max(len(line) for _, line in lines)}")
    print(f"exported cells over {HEIGHT} lines: {len(tall)} of {len(exported)}, longest {max(sizes)}, "
          f"median {statistics.median(sizes):g}")
    print(f"lessons without a picture: {len(no_picture)} of {len(lessons(root))}")
    print(f"modules without a package: {len(homeless)}")
    print(f"old names still defined: {len(old)} of {len(OLD_NAMES)}")
    if where:
        for title, items in (("lines", [f"{p} ({n})" for p, n in wide]),
                ("cells", [f"{p} ({n} lines)" for p, n in tall]),
                ("lessons", no_picture), ("modules", homeless), ("names", old)):
            print(f"\n{title}:\n  " + "\n  ".join(items))

if __name__ == "__main__":
    arguments = [a for a in sys.argv[1:] if a != "--where"]
    main(Path(arguments[0] if arguments else ".").resolve(), "--where" in sys.argv)
