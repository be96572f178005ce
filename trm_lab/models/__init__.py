"Models and their files."
