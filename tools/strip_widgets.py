"""Remove from notebooks what nbdev_clean keeps: what only a live widget needs (a picture stands beside each),
what a progress bar leaves, and the error stream, whose warnings name folders of a machine."""
import json, sys
from pathlib import Path

VIEW = "application/vnd.jupyter.widget-view+json"

def is_empty(output:dict)->bool:
    "Is there nothing that a reader would see?"
    return "data" in output and not any("".join(text).strip() for text in output["data"].values())

for path in map(Path, sys.argv[1:]):
    text = path.read_text(encoding="utf-8")
    notebook = json.loads(text)
    held = notebook["metadata"].pop("widgets", None) is not None
    for cell in notebook["cells"]:
        outputs = cell.get("outputs", [])
        for output in outputs: held |= output.get("data", {}).pop(VIEW, None) is not None
        kept = [output for output in outputs if not is_empty(output) and output.get("name") != "stderr"]
        held |= len(kept) < len(outputs)
        if outputs: cell["outputs"] = kept
    if held:
        path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False, sort_keys=True) + "\n",
            encoding="utf-8")
