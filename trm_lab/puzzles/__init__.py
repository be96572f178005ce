"Puzzle types, and puzzles from any file."
