// Which class knows the rules of a puzzle type.

import { ArcRules, LightsOutRules, MazeRules, Rules, SudokuRules } from "./rules.js";
import { LightUpRules, NurikabeRules, QueensRules } from "./pencil.js";
import { RushHourRules, SokobanRules } from "./planning.js";
import { ProgramRules } from "./programs.js";

const TYPES = { sudoku: SudokuRules, maze: MazeRules, lights_out: LightsOutRules, arc: ArcRules,
  queens: QueensRules, lightup: LightUpRules, nurikabe: NurikabeRules, rush_hour: RushHourRules,
  sokoban: SokobanRules, programs: ProgramRules };

export const rulesOf = (spec, header) => new (TYPES[spec.type] ?? Rules)(spec, header);
