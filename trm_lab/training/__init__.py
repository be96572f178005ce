"Training."
