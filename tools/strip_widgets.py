"""Remove from notebooks what only a live widget needs: nbdev_clean keeps it, and a picture
stands beside each widget."""
import json, sys
from pathlib import Path

VIEW = "application/vnd.jupyter.widget-view+json"

for path in map(Path, sys.argv[1:]):
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    held = notebook["metadata"].pop("widgets", None) is not None
    for cell in notebook["cells"]:
        for output in cell.get("outputs", []): held |= output.get("data", {}).pop(VIEW, None) is not None
    if held:
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n",
            encoding="utf-8")
