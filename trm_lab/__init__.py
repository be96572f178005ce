"A workbench for Tiny Recursive Models. What a first cell needs is imported from here; everything else from its package."
from importlib import import_module

__version__ = "0.1.0"

# Imported when they are first asked for (PEP 562), so that `import trm_lab` takes no time and needs neither torch nor Jupyter.
_FIRST_CELL = {
    "load_pretrained": "models.checkpoints", "load": "models.checkpoints", "find_puzzle": "puzzles.base",
    "read_rows": "puzzles.text", "read_dataset": "data.datasets", "solve": "solving.solve", "evaluate": "solving.evaluate",
    "run_with_trace": "interp.trace", "Session": "interp.session", "Explorer": "views.explorer",
}
__all__ = [*_FIRST_CELL]

def __getattr__(name:str):
    "PEP 562: import the module which has this name."
    if name not in _FIRST_CELL: raise AttributeError(f"module 'trm_lab' has no attribute {name!r}")
    value = getattr(import_module(f"trm_lab.{_FIRST_CELL[name]}"), name)
    globals()[name] = value # found at once the next time
    return value

def __dir__(): return sorted([*globals(), *_FIRST_CELL])
