"""Build the documentation: `python docs/build.py [OUT]`. Offline, warnings taken for errors, links checked.

What Sphinx reads is staged in `build/docs`; what it remembers between builds lies there too."""
import argparse, shutil, sys, time
from pathlib import Path
DOCS = Path(__file__).parent
sys.path[:0] = [str(DOCS), str(DOCS.parent)]

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
    return bool(found)

if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("out", nargs="?", type=Path, default=DOCS.parent/"_docs")
    parser.add_argument("--work", type=Path, default=DOCS.parent/"build"/"docs")
    arguments, begun = parser.parse_args(), time.monotonic()
    code = build(arguments.out, arguments.work)
    if not code: print(f"docs: {arguments.out}/index.html ({time.monotonic() - begun:.0f} s)")
    sys.exit(code)
