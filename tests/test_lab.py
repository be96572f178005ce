"JupyterLab as `make lab` starts it: what it opens and reaches, and where the links of every notebook lead."
import html, json, os, re, shlex, subprocess, sys, time
import urllib.error, urllib.request
from pathlib import Path, PurePosixPath
from urllib.parse import quote, unquote, urlsplit
import pytest

ROOT = Path(__file__).parents[1]
NOTEBOOKS = sorted(p for p in (ROOT/"nbs").rglob("*.ipynb") if ".ipynb_checkpoints" not in p.parts)

def command()->list[str]:
    "What `make lab` runs, with this Python in place of the checkout's."
    recipe = re.search(r"^lab:.*\n\t@\$\(BIN\)/jupyter (.*)$", (ROOT/"Makefile").read_text(encoding="utf-8"),
        re.MULTILINE)[1]
    return [sys.executable, "-m", "jupyter", *shlex.split(recipe.replace("$(CURDIR)", str(ROOT)))]

@pytest.fixture(scope="module")
def lab(tmp_path_factory):
    "Asks the server: gives the address that it ends at, and what it answers; None if there is no such thing."
    place = tmp_path_factory.mktemp("jupyter")
    quiet = {name: str(place) for name in ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR",
        "JUPYTERLAB_SETTINGS_DIR", "JUPYTERLAB_WORKSPACES_DIR")}
    options = ["--no-browser", "--ip=127.0.0.1", "--port=0", "--IdentityProvider.token=", "--allow-root"]
    server = subprocess.Popen([*command(), *options], cwd=ROOT, env={**os.environ, **quiet},
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not (told := sorted(place.glob("jpserver-*.json"))):
        assert server.poll() is None and time.monotonic() < deadline, "JupyterLab did not start"
        time.sleep(0.2)
    while True: # the file is there a moment before the server answers
        try:
            address = json.loads(told[0].read_text())["url"]; urllib.request.urlopen(f"{address}api",
                timeout=10); break
        except (ValueError, OSError):
            assert server.poll() is None and time.monotonic() < deadline, "JupyterLab does not answer"
            time.sleep(0.2)
    def ask(path:str):
        try:
            with urllib.request.urlopen(address + path, timeout=60) as answer:
                return answer.url.removeprefix(address), answer.read()
        except urllib.error.HTTPError: return None
    yield ask
    server.terminate()
    assert server.wait(60) is not None

def test_it_opens_the_first_tutorial_and_reaches_the_lessons(lab):
    opened, _ = lab("")
    assert opened == "lab/tree/nbs/tutorials/step_the_recursion.ipynb"
    assert lab(f"api/contents/{opened.removeprefix('lab/tree/')}?content=0")
    listed = {entry["name"] for entry in json.loads(lab("api/contents/nbs")[1])["content"]}
    assert {path.name for path in NOTEBOOKS if path.parent == ROOT/"nbs"} | {"tutorials",
        "experiments"} <= listed

def texts(notebook:dict):
    "The Markdown of a notebook, without what only looks like a link, and what its outputs say in Markdown."
    for cell in notebook["cells"]:
        if cell["cell_type"] == "markdown":
            yield re.sub(r"(`{3,}|~{3,})[\s\S]*?\1|`[^`\n]*`", "", "".join(cell["source"]))
        for output in cell.get("outputs", []): yield "".join(output.get("data", {}).get("text/markdown", []))

LINKS = [r"\]\(\s*<?([^)\s>]+)", r"^\s*\[[^\]]+\]:\s*<?([^\s>]+)",
    r"<(?:a|img|video|source)\b[^>]*?(?:href|src)\s*=\s*[\"']([^\"']+)"]

def links(path:Path)->list[str]:
    said = "\n\n".join(texts(json.loads(path.read_text(encoding="utf-8"))))
    return [html.unescape(link) for pattern in LINKS for link in re.findall(pattern, said, re.MULTILINE)]

def headings(notebook:dict)->set[str]:
    "What JupyterLab calls the headings of a notebook: their text, with dashes for spaces."
    lines = [line for text in texts(notebook) for line in text.splitlines()]
    found = [re.sub(r"[*_`]|\[([^\]]*)\]\([^)]*\)", r"\1", m[1]).strip() for line in lines
        if (m := re.match(r"#{1,6}\s+(.*)", line))]
    return {text.replace(" ", "-") for text in found}

def test_links_are_found():
    "What the test below looks at, in all the ways in which a link is written."
    cells = [{"cell_type": "markdown", "source": ["# One *thing*\n",
        "[a](b.ipynb#One-thing) ![p](images/p.png)\n", "[r]: c.ipynb\n", "<img src='d.png'> `[no](e)`\n",
        "```\n[no](f)\n```"]}]
    said = "\n".join(texts({"cells": cells}))
    assert [found for pattern in LINKS for found in re.findall(pattern, said,
        re.MULTILINE)] == ["b.ipynb#One-thing", "images/p.png", "c.ipynb", "d.png"]
    assert headings({"cells": cells}) == {"One-thing"}

@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(lab, path):
    "JupyterLab looks a link up from the notebook's folder, in what its server can reach."
    for link in links(path):
        parts = urlsplit(link)
        if parts.scheme in ("http", "https", "mailto", "data"): continue
        assert not parts.scheme and not parts.netloc and not link.startswith(
            "/"), f"{link}: is no path from this notebook"
        place = path.relative_to(ROOT)
        if parts.path:
            steps = []
            for step in PurePosixPath(place.parent, unquote(parts.path)).parts:
                if step == "..": assert steps, f"{link}: leads out of the checkout"; steps.pop()
                elif step != ".": steps.append(step)
            place = Path(*steps)
        found = lab(f"api/contents/{quote(place.as_posix())}?content=0")
        assert found, f"{link}: JupyterLab has no {place}"
        assert (ROOT/place).name in os.listdir(
            (ROOT/place).parent), f"{link}: is written otherwise on the disk"
        if parts.fragment and place.suffix == ".ipynb":
            assert unquote(parts.fragment) in headings(
                json.loads((ROOT/place).read_text(encoding="utf-8"))), f"{link}: there is no such heading"
