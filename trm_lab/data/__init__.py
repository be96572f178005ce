"Datasets and batches."
