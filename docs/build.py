"""Build the documentation: `python docs/build.py [OUT]`. Offline, warnings taken for errors, links checked.

What Sphinx reads is staged in `build/docs`; what it remembers between builds lies there too."""
import argparse, hashlib, importlib.metadata, shutil, sys, time
from pathlib import Path
DOCS = Path(__file__).parent
WORK = DOCS.parent/"build"/"docs"
sys.path[:0] = [str(DOCS), str(DOCS.parent)]
READ = ("docs", "nbs", "trm_lab", "reports/gallery", "CHANGELOG.md", "CONTRIBUTING.md", "README.md")
BUILDERS = ("sphinx", "myst-nb", "furo", "pygments", "typer", "click")

def inputs()->str:
    "A digest of every file that a build of the whole site may read, and of the versions of what builds it."
    digest = hashlib.sha256()
    for name in BUILDERS: digest.update(f"{name} {importlib.metadata.version(name)}\n".encode())
    for place in (DOCS.parent/name for name in READ):
        for path in sorted(place.rglob("*")) if place.is_dir() else [place]:
            if path.is_dir() or {"__pycache__", ".ipynb_checkpoints"} & set(path.parts): continue
            data = path.read_bytes()
            digest.update(f"{path.relative_to(DOCS.parent)} {len(data)}\n".encode() + data)
    return digest.hexdigest()

def building(work:Path=WORK): # a context
    "Held while a site is built with this folder: to take it is to wait for that build."
    from trm_lab.core.files import locked
    work.parent.mkdir(parents=True, exist_ok=True)
    return locked(work.with_name(f"{work.name}.lock"))

def up_to_date(out:Path)->bool:
    "Whether the whole site is there, as a build would make it now."
    built = out/".inputs"
    return built.exists() and built.read_text() == inputs()

def build(
    out:Path, # gets the pages
    work:Path, # staged sources and what Sphinx remembers
    groups:tuple[str, ...]|None=None, # parts of the site; None: all
)->int: # exit code
    "Stage, build, add what Sphinx does not know, and check every link."
    from sphinx.cmd.build import main as sphinx
    from trm_docs import roles
    from trm_docs.check import problems
    from trm_docs.site import GROUPS, ROOT, Site
    read = inputs()
    (out/".inputs").unlink(missing_ok=True)
    site = roles.SITE = Site()
    site.stage(work/"source", groups or GROUPS)
    options = ["-q", "-W", "--keep-going", "-b", "html", "-c", DOCS, "-d", work/"doctrees"]
    if code := sphinx(list(map(str, [*options, work/"source", out]))):
        # else the next build, which reads only what has changed, would be silent
        shutil.rmtree(work/"doctrees")
        return code
    (out/"llms.txt").write_text(site.llms(), encoding="utf-8")
    shutil.copytree(ROOT/"reports"/"gallery", out/"gallery", dirs_exist_ok=True)
    (out/".nojekyll").touch() # GitHub Pages would leave out folders that begin with _
    found = problems(out, whole=groups is None)
    for problem in found: print(problem, file=sys.stderr)
    if groups is None and not found: (out/".inputs").write_text(read)
    return bool(found)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=DOCS.parent/"_docs")
    parser.add_argument("--work", type=Path, default=WORK)
    arguments, begun = parser.parse_args(), time.monotonic()
    with building(arguments.work): code = build(arguments.out, arguments.work)
    if not code: print(f"docs: {arguments.out}/index.html ({time.monotonic() - begun:.0f} s)")
    sys.exit(code)
