"What makes the documentation site out of the notebooks, the source and a few pages written by hand."
