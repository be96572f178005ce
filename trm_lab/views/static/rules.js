// What the rules of a puzzle type say of a board, as `trm_lab.puzzles` says it, for pages without Python.
// A board is an array of tokens, row by row. A class here knows the question's givens, judges an answer
// ({complete, legal, wrong: cells, why: a sentence or ""}, or null where the question has no answer at all),
// marks what is drawn besides cells, reads and writes text, and draws symmetries.

import { shuffled } from "./chance.js";

const PAD = 0;
const DIGITS = "123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
export const range = (n) => Array.from({ length: n }, (_, i) => i);
const where = (cell, cols) => `row ${Math.floor(cell / cols) + 1}, column ${(cell % cols) + 1}`;

export function packBits(flags) { // eight in a byte, the first one highest, as numpy packs them
  const bytes = new Uint8Array(Math.ceil(flags.length / 8));
  flags.forEach((flag, i) => { if (flag) bytes[i >> 3] |= 128 >> (i & 7); });
  return bytes;
}

export const inOrder = (cells) => [...new Set(cells)].sort((a, b) => a - b);
export const cellsWhere = (board, test) => range(board.length).filter((i) => test(board[i], i));

// What a type without rules here says; the others override it.
export class Rules {
  constructor(spec, header) { // spec: as `Puzzle.spec` gives it
    Object.assign(this, { ...spec, rows: header.rows, cols: header.cols, decides: header.decides,
      cells: header.rows * header.cols, names: header.vocab, symbols: header.symbols });
  }

  at(cell) { return where(cell, this.cols); }
  given() { return new Uint8Array(this.cells); } // which cells of a question are given
  check() { return null; }
  marks() { return {}; } // by name, bytes
  noLines() { // the marks of a type with walls where no line joins cells
    const none = (flags) => packBits(new Uint8Array(flags));
    return { links: none(2 * this.cells), broken: none(this.cells), ends: none(this.cells) };
  }
  scores() { return {}; } // by name, whether it holds; beyond solved or not
  candidates() { return null; } // the tokens that the givens leave to a cell
  cellFacts() { return []; } // [name, true or a number that is not negative]
  problem() { return ""; } // why a question can have no answer, as far as that is seen at once
  matches(_, answer, label) { return label.every((token, i) => token < 0 || token === answer[i]); }

  facts(question, label, cell) { // what the rules and the question say of a cell, in words
    const left = this.given(question)[cell] ? null : this.candidates(question, cell);
    const found = left ? [`the givens leave ${left.map((t) => this.names[t]).join(", ") || "no token"}`] : [];
    if (!label && !this.decides) return found;
    const facts = this.cellFacts(question, label, cell).filter(([, value]) => value !== false && value >= 0);
    return [...found, ...facts.map(([name, value]) => (value === true ? name : `${name}: ${value}`))];
  }

  judge(question, answer, label) { // {wrong, verdict: an index, as `packs.VERDICTS` counts them}
    const found = this.check(question, answer);
    if (!found) return { wrong: [], verdict: 3 };
    const solved = this.decides ? found.legal && found.complete
      : Boolean(label) && this.matches(question, answer, label);
    return { wrong: found.wrong, verdict: solved ? 2 : Number(found.legal) };
  }

  // [tokens by the character that stands for them, what is passed over, what a board is called]
  notation() { // the padding is no part of a board
    return [new Map((this.symbols ?? []).map((c, token) => [c, token]).slice(PAD + 1)), /\s/g, "board"];
  }

  parse(text) { // tokens; throws an error that says what is wrong
    const [tokens, passed, name] = this.notation(), found = [...text.replace(passed, "")];
    if (found.length !== this.cells)
      throw new Error(`This ${name} has ${this.cells} cells, but ${found.length} were given; write one `
        + `character a cell.`);
    return found.map((c, i) => {
      if (tokens.has(c)) return tokens.get(c);
      throw new Error(`“${c}” in ${this.at(i)} is not understood; use ${[...tokens.keys()].join(" ")}`);
    });
  }

  print(tokens) { return tokens.map((token) => this.symbols?.[token] ?? "?").join(""); }
}

// A type whose boards can be turned and mirrored.
export class TurnedRules extends Rules {
  around(cell) { // down, left, right, up
    const { rows, cols } = this, r = Math.floor(cell / cols), c = cell % cols;
    return [r + 1 < rows ? cell + cols : -1, c ? cell - 1 : -1, c + 1 < cols ? cell + 1 : -1,
      r ? cell - cols : -1].filter((i) => i >= 0);
  }

  get views() { return this.rows === this.cols ? 8 : 4; }
  symmetry(_, view) { // the first four work on any board
    const { rows, cols } = this, [up, left, turned] = [1, 2, 4].map((bit) => Boolean(view & bit));
    const cells = range(this.cells).map((i) => {
      const [r, c] = turned ? [i % cols, Math.floor(i / cols)]
        : [Math.floor(i / cols), i % cols];
      return (up ? rows - 1 - r : r) * cols + (left ? cols - 1 - c : c);
    });
    return { cells, tokens: null };
  }
}

// ---- Sudoku ------------------------------------------------------------------

const BLANK = 1;

export class SudokuRules extends Rules {
  constructor(spec, header) {
    super(spec, header);
    const { box_rows: high, box_cols: wide } = this, n = this.n = high * wide, all = range(n);
    const box = (b, i) => (Math.floor(b / high) * high + Math.floor(i / wide)) * n
      + (b % high) * wide + (i % wide);
    const kinds = { row: (u, i) => u * n + i, column: (u, i) => i * n + u, box };
    this.units = Object.entries(kinds).flatMap(([kind, cell]) =>
      all.map((u) => ({ name: `${kind} ${u + 1}`, cells: all.map((i) => cell(u, i)) })));
    this.homes = range(n * n).map((cell) => this.units.filter(({ cells }) => cells.includes(cell)));
  }

  given(question) { return Uint8Array.from(question, (token) => Number(token > BLANK)); }

  check(question, answer) { // each digit at most once in a row, column or box, and no given changed
    const wrong = new Set(cellsWhere(question, (token, i) => token > BLANK && token !== answer[i]));
    let why = wrong.size ? `a given in ${this.at([...wrong][0])} was changed` : "";
    for (const { name, cells } of this.units) {
      const found = new Map();
      for (const i of cells)
        if (answer[i] > BLANK) found.set(answer[i], [...(found.get(answer[i]) ?? []), i]);
      for (const [token, twice] of found) if (twice.length > 1) {
        twice.forEach((i) => wrong.add(i));
        why ||= `the digit ${DIGITS[token - 2]} stands ${twice.length === 2 ? "twice"
          : `${twice.length} times`} in ${name}`;
      }
    }
    return { complete: answer.every((token) => token > BLANK), legal: !wrong.size,
      wrong: [...wrong].sort((a, b) => a - b), why };
  }

  candidates(question, cell) {
    const seen = new Set(this.homes[cell].flatMap(({ cells }) => cells.map((i) => question[i])));
    return range(this.n).map((d) => d + 2).filter((token) => !seen.has(token));
  }

  problem(question) {
    const { why } = this.check(question, question), none = (i) =>
      question[i] === BLANK && !this.candidates(question, i).length;
    const cell = range(this.cells).find(none);
    return why || (cell === undefined ? "" : `no digit is left for ${this.at(cell)}`);
  }

  notation() {
    const digits = range(this.n).flatMap((d) => [[DIGITS[d], d + 2], [DIGITS[d].toLowerCase(), d + 2]]);
    return [new Map([[".", BLANK], ["0", BLANK], ["_", BLANK], ["*", BLANK], ...digits]), /[|+\-\s]/g,
      `${this.n}×${this.n} Sudoku`];
  }
  print(tokens) { return tokens.map((token) => (token > BLANK ? DIGITS[token - 2] : ".")).join(""); }

  symmetry(random) { // digits, bands, rows in a band, stacks, columns in a stack; transposed in square boxes
    const { n, box_rows: high, box_cols: wide } = this;
    const lines = (bands, size) => shuffled(range(bands), random)
      .flatMap((band) => shuffled(range(size), random).map((i) => band * size + i));
    const rows = lines(wide, high), cols = lines(high, wide), turned = high === wide && random() < 0.5;
    const cells = range(n * n).map((i) => {
      const [r, c] = turned ? [i % n, Math.floor(i / n)] : [Math.floor(i / n), i % n];
      return rows[r] * n + cols[c];
    });
    return { cells, tokens: [PAD, BLANK, ...shuffled(range(n).map((d) => d + 2), random)] };
  }
}

// ---- mazes -------------------------------------------------------------------

const [WALL, FREE, START, GOAL, PATH] = [1, 2, 3, 4, 5];

export class MazeRules extends TurnedRules {
  given(question) { return Uint8Array.from(question, (token) => Number(token !== FREE)); }

  steps(question, token) { // to each cell from the one that holds the token; −1 where no way leads
    const found = new Int32Array(this.cells).fill(-1), todo = cellsWhere(question, (t) => t === token);
    todo.forEach((i) => { found[i] = 0; });
    for (const i of todo) for (const j of this.around(i))
      if (question[j] !== WALL && found[j] < 0) { found[j] = found[i] + 1; todo.push(j); }
    return found;
  }

  shortest(question) { // steps from S to G, or −1 if this is no maze that can be solved
    const key = question.join();
    if (this.asked !== key) {
      const count = (token) => question.reduce((n, t) => n + Number(t === token), 0);
      const maze = count(START) === 1 && count(GOAL) === 1
        && question.every((token) => token >= WALL && token <= GOAL);
      Object.assign(this, { asked: key,
        length: maze ? this.steps(question, GOAL)[question.indexOf(START)] : -1 });
    }
    return this.length;
  }

  marked(question, answer) {
    return question.map((token, i) => answer[i] === PATH || token === START || token === GOAL);
  }

  walk(question, answer) { // from S as long as there is one way to go: the path, and the ways at its end
    const marked = this.marked(question, answer), path = [question.indexOf(START)];
    const onward = () => this.around(path.at(-1)).filter((i) => marked[i] && !path.slice(-2).includes(i));
    while (question[path.at(-1)] !== GOAL && onward().length === 1) path.push(...onward());
    return { marked, path, ways: onward().length };
  }

  check(question, answer) {
    const shortest = this.shortest(question);
    if (shortest < 0) return null;
    const wrong = new Set(cellsWhere(question, (token, i) => token >= WALL && token <= GOAL
      && answer[i] !== token && !(token === FREE && answer[i] === PATH)));
    let why = wrong.size ? `the question was changed in ${this.at([...wrong][0])}` : "", legal = !wrong.size;
    const broken = (cells, sentence) => {
      cells.forEach((i) => wrong.add(i));
      legal = false; why ||= sentence;
    };
    const { marked, path, ways } = this.walk(question, answer), last = path.at(-1),
      complete = question[last] === GOAL, on = new Set(path),
      apart = cellsWhere(marked, (mark, i) => mark && !on.has(i));
    if (ways > Number(!complete)) broken([last], `the path branches or closes a loop at ${this.at(last)}`);
    else if (complete && apart.length) broken(apart, "marked cells are not on the path");
    else if (!complete && answer.includes(PATH)) broken([last], `the path stops at ${this.at(last)}`);
    if (legal && complete && path.length - 1 !== shortest)
      broken([], `the path has ${path.length - 1} steps, the shortest has ${shortest}`);
    return { complete, legal, wrong: [...wrong].sort((a, b) => a - b), why };
  }

  problem(question) {
    return this.shortest(question) < 0 ? "a maze should have one S, one G, and a way between them" : "";
  }

  cellFacts(question, label, cell) {
    const open = question[cell] !== WALL, beside = this.around(cell).filter((i) => question[i] !== WALL);
    return [["on the path", label?.[cell] === PATH], ["dead end", open && beside.length === 1],
      ["steps to S", this.steps(question, START)[cell]], ["steps to G", this.steps(question, GOAL)[cell]]];
  }

  route(question, answer) { // steps of the one path that is marked, if nothing else is changed; else −1
    const kept = question.every((token, i) => answer[i] === token || (token === FREE && answer[i] === PATH)),
      { marked, path } = this.walk(question, answer), on = new Set(path);
    const single = marked.every((mark, i) => !mark || (on.has(i)
      && this.around(i).filter((j) => marked[j]).length === 2 - Number([START, GOAL].includes(question[i]))));
    return kept && single && question[path.at(-1)] === GOAL ? path.length - 1 : -1;
  }

  scores(question, answer) {
    const shortest = this.shortest(question);
    if (shortest < 0) return null;
    const steps = this.route(question, answer);
    return { optimal: steps === shortest, valid: steps > 0 };
  }

  marks(question, answer) { // the steps of a path, and what of it is broken
    const marked = this.marked(question, answer), { cells, cols } = this, links = new Uint8Array(2 * cells),
      beside = range(cells).map(() => []);
    const link = (i, j, k) => { if (marked[i] && marked[j]) {
      links[k] = 1; beside[i].push(j); beside[j].push(i);
    } };
    for (let i = 0; i < cells; i++) {
      if ((i + 1) % cols) link(i, i + 1, i);
      if (i + cols < cells) link(i, i + cols, i + cells);
    }
    const todo = cellsWhere(question, (token) => token === START), reached = new Set(todo);
    for (const i of todo) for (const j of beside[i]) if (!reached.has(j)) { reached.add(j); todo.push(j); }
    const path = (i) => answer[i] === PATH && question[i] !== START && question[i] !== GOAL;
    const flags = (test) => packBits(range(cells).map((i) => path(i) && test(i)));
    return { links: packBits([...links]), broken: flags((i) => !reached.has(i)),
      ends: flags((i) => beside[i].length < 2) };
  }

  print(tokens) { return tokens.map((token) => "?# SGo"[token]).join(""); }
  notation() {
    const signs = [["#", WALL], ["█", WALL], [" ", FREE], [".", FREE], ["S", START], ["G", GOAL],
      ["o", PATH]];
    return [new Map(signs), /[\r\n]/g, `${this.rows}×${this.cols} maze`];
  }

}

// ---- Lights Out --------------------------------------------------------------

const [ON, LEAVE, PRESS] = [2, 3, 4];

export class LightsOutRules extends Rules {
  switched(cell) { // the cells whose presses switch its light
    const r = Math.floor(cell / this.cols), c = cell % this.cols;
    return range(this.cells).filter((i) =>
      Math.abs(Math.floor(i / this.cols) - r) + Math.abs(i % this.cols - c) <= 1);
  }

  check(question, answer) { // a light that is on is wrong once all cells that switch it have been answered
    this.switches ??= range(this.cells).map((i) => this.switched(i));
    const answered = answer.map((token) => token === LEAVE || token === PRESS);
    const wrong = cellsWhere(question, (token, i) => {
      const presses = this.switches[i].filter((j) => answer[j] === PRESS).length;
      return this.switches[i].every((j) => answered[j]) && (token === ON) !== (presses % 2 === 1);
    });
    return { complete: answered.every(Boolean), legal: !wrong.length, wrong,
      why: wrong.length ? `the light in ${this.at(wrong[0])} stays on` : "" };
  }

  print(tokens) { return tokens.map((token) => "?.*-x"[token]).join(""); }
  notation() {
    const signs = [...[..."?.*-x"].entries()].map(([token, sign]) => [sign, token]).slice(1);
    return [new Map([...signs, ["0", 1], ["1", ON]]), /\s/g, `${this.rows}×${this.cols} board of lights`];
  }
}

// ---- ARC ---------------------------------------------------------------------

const END_MARK = 1, COLOURS = 10; // the end marker's token; colours, whose tokens are colour + 2
// transposed, rows reversed, columns reversed; and which of them undoes each
const TURNS = [[0, 0, 0], [1, 1, 0], [0, 1, 1], [1, 0, 1], [0, 0, 1], [0, 1, 0], [1, 0, 0], [1, 1, 1]];
const UNTURNS = [0, 3, 2, 1, 4, 5, 6, 7];
const TURNS_IN_WORDS = ["", "a quarter turn left", "half a turn", "a quarter turn right",
  "mirrored left and right", "mirrored up and down", "mirrored at the diagonal",
  "mirrored at the other diagonal"];
const isColour = (token) => token >= 2 && token < COLOURS + 2;

export class ArcRules extends Rules {
  find(board) { // first row and column with a colour, and how many rows and columns have one
    const { rows: side } = this, lines = (of) => range(side)
      .filter((line) => range(side).some((i) => isColour(board[of(line, i)])));
    const rows = lines((r, c) => r * side + c), cols = lines((c, r) => r * side + c);
    return [rows[0] ?? 0, cols[0] ?? 0, rows.length, cols.length];
  }

  crop(board, [row, col]) { // the grid that begins there: its rows and columns, 0 where there is none
    const { rows: side } = this;
    let width = side, best = [0, 0];
    for (let r = 0; row + r < side && width; r++) {
      let run = 0;
      while (col + run < side && isColour(board[(row + r) * side + col + run])) run++;
      width = Math.min(width, run);
      if (width * (r + 1) > best[0] * best[1]) best = [r + 1, width];
    }
    return best;
  }

  cut(board, [row, col, rows, cols]) { // the tokens of a part
    return range(rows * cols).map((i) =>
      board[(row + Math.floor(i / cols)) * this.cols + col + i % cols]);
  }

  put(tokens, rows, cols) { // a grid at the top left of a canvas, with its end markers
    const board = new Array(this.cells).fill(PAD);
    tokens.forEach((token, i) => { board[Math.floor(i / cols) * this.cols + i % cols] = token; });
    for (const i of this.frame([0, 0, rows, cols])) board[i] = END_MARK;
    return board;
  }

  frame([row, col, rows, cols]) { // the cells of its end markers, row by row
    const { rows: side } = this, below = row + rows < side, beside = col + cols < side;
    return [...(beside ? range(rows).map((r) => (row + r) * side + col + cols) : []),
      ...(below ? range(cols).map((c) => (row + rows) * side + col + c) : [])].sort((a, b) => a - b);
  }

  window(question, answer) {
    const corner = this.find(question).slice(0, 2);
    return [...corner, ...this.crop(answer, corner)];
  }

  check(question, answer) { // without a label: is there a grid, and is it framed?
    const window = this.window(question, answer), [row, col, rows] = window;
    if (!rows) return { complete: false, legal: false, wrong: [row * this.cols + col],
      why: `there is no grid: ${this.at(row * this.cols + col)} holds no colour` };
    const wrong = this.frame(window).filter((i) => answer[i] !== END_MARK);
    return { complete: true, legal: !wrong.length, wrong,
      why: wrong.length ? `the end marker is missing in ${this.at(wrong[0])}` : "" };
  }

  marks(question, answer) { return { window: Uint8Array.from(this.window(question, answer)) }; }

  matches(question, answer, label) { // only the grids count
    const [one, other] = [answer, label].map((board) => {
      const window = this.window(question, board);
      return [window[2], window[3], ...this.cut(board, window)];
    });
    return one.length === other.length && one.every((value, i) => value === other[i]);
  }

  cellFacts(question, label, cell) { return [["copied from the input", question[cell] === label[cell]]]; }

  grid(board) { // {rows, cols, tokens} of what the board shows
    const [row, col, rows, cols] = this.window(board, board);
    const window = rows ? [row, col, rows, cols] : [0, 0, this.rows, this.cols];
    return { rows: window[2], cols: window[3], tokens: this.cut(board, window) };
  }

  identity(name) { // the task and the augmentation, ten numbers, that a name stands for
    const [task, turn, colours] = name.split("|||");
    return [task, turn ? [turn[1], ...colours.slice(1)].map(Number) : range(COLOURS)];
  }
  inWords([turn, ...colours]) {
    const same = colours.every((colour, i) => colour === i + 1);
    return [TURNS_IN_WORDS[turn], same ? "" : "in other colours"].filter(Boolean).join(", ");
  }

  turned(board, [turn, ...colours]) { // a grid turned and recoloured, at the top left of the canvas
    const window = this.find(board), tokens = this.cut(board, window), [, , rows, cols] = window,
      [across, up, left] = TURNS[turn], [high, wide] = across ? [cols, rows] : [rows, cols];
    const become = (token) => (token > 2 ? colours[token - 3] + 2 : token);
    return this.put(range(high * wide).map((i) => {
      const r = Math.floor(i / wide), c = i % wide, [y, x] = [up ? high - 1 - r : r, left ? wide - 1 - c : c];
      return become(across ? tokens[x * cols + y] : tokens[y * cols + x]);
    }), high, wide);
  }
  restored(board, [turn, ...colours]) {
    return this.turned(board, [UNTURNS[turn], ...colours.map((_, i) => colours.indexOf(i + 1) + 1)]);
  }

  parse(text) { // rows of digits, with | or line breaks between them
    const rows = text.trim().split(/\s*[|\n]\s*/), wide = rows[0].length, most = Math.min(30, this.rows);
    if (!wide || rows.some((row) => !/^[0-9]+$/.test(row) || row.length !== wide))
      throw new Error("Write rows of digits 0 to 9, equally long, with | or line breaks between them.");
    if (rows.length > most || wide > most)
      throw new Error(`This grid has ${rows.length} rows and ${wide} columns; at most ${most} of each fit.`);
    return this.put([...rows.join("")].map((digit) => Number(digit) + 2), rows.length, wide);
  }
  print(tokens) {
    const { cols, tokens: grid } = this.grid(tokens);
    const text = grid.map((token) => ".#0123456789"[token]).join("");
    return text.match(new RegExp(`.{1,${cols}}`, "g")).join("|");
  }
}

// ---- symmetries -------------------------------------------------------------

// which old cell comes to each place, and which token each becomes
export const applied = ({ cells, tokens }, board) =>
  cells.map((i) => (tokens ? tokens[board[i]] : board[i]));
export function undone({ cells, tokens }, board) {
  const plain = new Array(board.length);
  cells.forEach((i, place) => { plain[i] = tokens ? tokens.indexOf(board[place]) : board[place]; });
  return plain;
}
