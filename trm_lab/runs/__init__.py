"Notebooks as batches, sweeps, cards."
