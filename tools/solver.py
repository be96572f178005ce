"""Make reports/gallery/solver.html again: `python tools/solver.py`, some seconds.

Its examples were found once among generated puzzles, by `solve_by_step` over 16 steps: one whose answer is
right after the first step, one whose answer stays wrong for long and then becomes right at once, and one
that is never solved and whose answer still changes at the end. A test solves them in the page."""
from pathlib import Path
from trm_lab.core.files import write_text
from trm_lab.models.checkpoints import load_pretrained
from trm_lab.views.solver import SolverKind, solver_page

PAGE = Path(__file__).parents[1]/"reports"/"gallery"/"solver.html"
ONCE, LATE, NEVER = "solved at once", "a late jump", "never settles"
EXAMPLES = {
    "sudoku-9x9": {
        ONCE: ".38..4....7..6....1.43.92758..5..1....5.1..4.6.14.73...83.5..2..1..9..83......9..",
        LATE: ".3....5..1...4..7...71.64...8.7.......9...63...1...2..3.6.1.72.8..46...........4.",
        NEVER: ".51.3..........48.....65.7.9.....5.4.25.1.....7....6......2....6..1..2...8.7...63"},
    "sudoku-6x6": {
        ONCE: "43.2...6...........2..1..1...32....4",
        LATE: "....21...6..6...4..5....4.......1..3",
        NEVER: "...1..1.......5.6..3...2..3..5.2...."},
    "maze-15x15": {
        ONCE: """
            ......#.#.###.#
            .##....#..##..#
            ###.G#.....#...
            #####..........
            #.#.#.##.......
            .#..#####.....#
            .....#...#.#...
            ..##.##..#..#..
            .S##.#.#...#.#.
            ###..##..##..##
            ....#.##..##.##
            ....#..##...#.#
            .##...#.###....
            #.#..#..##....#
            .#.........#...""",
        LATE: """
            .......#.#.#.#.
            ######..#..##..
            .#.#.##....#.#.
            ....S#..#......
            ......###......
            ....##.#..#...#
            ..#.##.........
            ...#..#.#.#....
            ..#.##....##...
            .........#.G...
            .....##.#.#..##
            ...#.#...##....
            .#..........#..
            ##..###......#.
            ###.###..#..#..""",
        NEVER: """
            ..#..#..#...##.
            #.....#....##G.
            ##.##..##......
            ...#...##......
            .#.##......##.#
            ...#.##..#.#...
            #...#.#........
            S#..#.#..##....
            ..#...#........
            #..#...##...##.
            #..#.........#.
            ..#..#....##.#.
            #.......##..#..
            ..#....####.###
            .#.###........."""}}

def kinds()->list[SolverKind]:
    "The models that the page has."
    one_line = lambda board: "".join(board.split())
    lined = lambda examples: {says: one_line(board) for says, board in examples.items()}
    return [SolverKind(name, load_pretrained(name), lined(examples)) for name, examples in EXAMPLES.items()]

if __name__ == "__main__":
    write_text(PAGE, solver_page(kinds()))
    print(f"{PAGE.relative_to(PAGE.parents[2])}: {PAGE.stat().st_size/1e6:.1f} MB")
