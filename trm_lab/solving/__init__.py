"Solving and scoring."
