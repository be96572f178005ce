"""The order of the course. This is the only list of folders in `docs/`: within a folder the numbers in file
names decide, and a folder that is not named here comes last under its own name."""

SECTIONS = { # folder of nbs/: heading on the course page
    "puzzles": "Puzzles",
    "data": "Datasets and batches",
    "models": "Models",
    "training": "Training",
    "solving": "Solving",
    "interp": "Looking inside",
    "views": "Figures and the Explorer",
    "runs": "Runs and sweeps",
    "checks": "Checks and measurements",
    "": "The command line",
    "core": "Appendix: errors, files, devices, processes",
}
NOT_LESSONS = ("tutorials", "experiments") # folders of nbs/ with pages of their own
