// The rules of puzzles that are played, whose answers are the next move: as `trm_lab.puzzles` says it.

import { Rules, TurnedRules, cellsWhere, inOrder, packBits, range } from "./rules.js";

// ---- Rush Hour ---------------------------------------------------------------

const MOVES = 15, DIRECTIONS = ["left", "right", "up", "down"], LETTERS = "abcdefghijklmnpqrstu";
// the token of a car's first cell: its length, and whether it stands upright; 3 is the red one
const CARS = new Map([[3, [2, false]], [5, [2, false]], [7, [3, false]], [10, [2, true]], [12, [3, true]]]);

export class RushHourRules extends Rules {
  get reach() { return Math.max(this.rows, this.cols) - 2; } // squares that a move has at most

  car(board, first) { // whose first cell this is; null: it lacks a part
    const { rows, cols } = this, [length, upright] = CARS.get(board[first]), column = first % cols;
    const track = range(upright ? rows : cols).map((i) => (upright ? i * cols + column : first - column + i));
    const at = track.indexOf(first), cells = track.slice(at, at + length);
    const whole = cells.length === length && cells.every((cell, part) => board[cell] === board[first] + part);
    return whole ? { token: board[first], upright, length, track, at, cells } : null;
  }

  board(question) { // its cars and walls, or null where a car is not whole or there is not one red car
    const key = question.join();
    if (this.asked === key) return this.asks;
    const cars = cellsWhere(question, (token) => CARS.has(token)).map((cell) => this.car(question, cell));
    const covered = new Set(cars.flatMap((car) => car?.cells ?? []));
    const good = cars.every(Boolean) && cars.filter(({ token }) => token === 3).length === 1
      && question.every((token, i) => covered.has(i) || token === 1 || token === 2);
    Object.assign(this, { asked: key, asks: good ? { cars, covered, known: new Map(),
      walls: new Set(cellsWhere(question, (token) => token === 2)) } : null });
    return this.asks;
  }

  moved(places, car, squares) { return places.map((at, i) => at + (i === car ? squares : 0)); }

  slides({ cars, walls }, places) { // every move from a position: [car, signed squares]
    const taken = new Set(walls), found = [];
    cars.forEach(({ track, length }, i) => {
      for (let k = 0; k < length; k++) taken.add(track[places[i] + k]);
    });
    cars.forEach(({ track, length }, i) => {
      for (const way of [-1, 1]) for (let squares = way; ; squares += way) {
        const front = track[places[i] + squares + (way > 0 ? length - 1 : 0)];
        if (front === undefined || taken.has(front)) break;
        found.push([i, squares]);
      }
    });
    return found;
  }

  fewest(board, start) { // moves to the exit from a position; −1 where no way leads there
    const key = String.fromCharCode(...start), red = board.cars.findIndex(({ token }) => token === 3);
    if (board.known.has(key)) return board.known.get(key);
    const out = board.cars[red].track.length - 2, seen = new Set([key]);
    let now = [start], moves = 0, found = start[red] === out ? 0 : -1;
    for (; found < 0 && now.length; moves++) {
      const next = [];
      for (const places of now) for (const [i, squares] of this.slides(board, places)) {
        const after = this.moved(places, i, squares), name = String.fromCharCode(...after);
        if (seen.has(name)) continue;
        seen.add(name); next.push(after);
        if (after[red] === out) found = moves + 1;
      }
      now = next;
    }
    board.known.set(key, found);
    return found;
  }

  marked(board, question, answer) { // what is wrong, and the moves that are marked well
    const changed = cellsWhere(question, (token, i) => token !== answer[i]
      && (answer[i] < MOVES || !board.covered.has(i))), wrong = new Set(changed), moves = [];
    let why = changed.length ? `${this.at(changed[0])} was changed, where no car is marked` : "";
    const places = board.cars.map(({ at }) => at),
      allowed = new Set(this.slides(board, places).map(String));
    board.cars.forEach(({ cells, upright }, i) => {
      const marks = cells.map((cell) => answer[cell]), mark = Math.max(...marks) - MOVES;
      if (mark < 0) return;
      const way = Math.floor(mark / this.reach), squares = (mark % this.reach + 1) * (way % 2 ? 1 : -1),
        alike = marks.every((token) => token === marks[0]);
      if (alike && way > 1 === upright && allowed.has(`${i},${squares}`)) moves.push([i, squares]);
      else {
        cells.forEach((cell) => wrong.add(cell));
        why ||= `the car in ${this.at(cells[0])} ${alike ? `cannot move ${DIRECTIONS[way]} by `
          + Math.abs(squares) : "is not marked alike on all of its cells"}`;
      }
    });
    return { wrong, why, moves, places };
  }

  check(question, answer) { // each marked car can move so, and begins a plan with the fewest moves
    const board = this.board(question);
    if (!board) return null;
    const { wrong, moves, places, ...found } = this.marked(board, question, answer);
    let { why } = found;
    if (!wrong.size && moves.length) {
      const fewest = this.fewest(board, places);
      if (fewest < 1) why = fewest ? "no moves lead to the exit" : "the red car is at the exit already";
      else for (const [i, squares] of moves) {
        if (this.fewest(board, this.moved(places, i, squares)) === fewest - 1) continue;
        const { cells } = board.cars[i];
        cells.forEach((cell) => wrong.add(cell));
        why ||= `the car in ${this.at(cells[0])} begins a longer plan; the fewest moves are ${fewest}`;
      }
    }
    return { complete: moves.length > 0, legal: !why, wrong: [...wrong].sort((a, b) => a - b), why };
  }

  scores(question, answer) {
    const board = this.board(question);
    if (!board) return null;
    const { wrong, moves } = this.marked(board, question, answer), valid = !wrong.size && moves.length > 0;
    const { legal, complete } = this.check(question, answer);
    return { optimal: legal && complete, valid };
  }

  problem(question) { return this.board(question) ? "" : "a board should have whole cars, and one red one"; }
  given(question) { return Uint8Array.from(question, (token) => Number(token === 2)); }
  cellFacts(question, label, cell) {
    return [["of a car that can begin an optimal plan", (label?.[cell] ?? 0) >= MOVES]];
  }

  marks(question) { // a line along each car
    const { cells, cols } = this, links = new Uint8Array(2 * cells);
    for (const car of this.board(question)?.cars ?? [])
      for (const [k, cell] of car.cells.slice(1).entries())
        links[car.cells[k] + (cell - car.cells[k] > 1 || cols === 1 ? cells : 0)] = 1;
    return { ...this.noLines(), links: packBits(links) };
  }

  parse(text) {
    const numbers = text.split(".");
    if (numbers.length === this.cells && numbers.every((n) => /^\d+$/.test(n)))
      return numbers.map(Number); // as an address has it
    const found = [...text.replace(/\s/g, "")];
    if (found.length !== this.cells)
      throw new Error(`This board has ${this.cells} cells, but ${found.length} were given; write one `
        + `character a cell.`);
    const tokens = found.map((c, i) => {
      const move = LETTERS.indexOf(c), less = move % 5;
      if (c === "o" || c === "." || (c >= "A" && c <= "Z")) return 1;
      if (c === "x") return 2;
      if (move >= 0 && less < this.reach) return MOVES + Math.floor(move / 5) * this.reach + less;
      throw new Error(`“${c}” in ${this.at(i)} is not understood; use a capital for each car, A for `
        + "the red one, o for an empty cell, x for a wall");
    });
    for (const c of new Set(found.filter((sign) => sign >= "A" && sign <= "Z"))) {
      const cells = cellsWhere(found, (sign) => sign === c), step = cells[1] - cells[0];
      const [first, last] = [cells[0], cells.at(-1)].map((cell) => Math.floor(cell / this.cols));
      const flat = step === 1 && first === last;
      const line = (flat || step === this.cols) && cells.every((cell, k) => cell === cells[0] + k * step);
      if (!line || cells.length > (c === "A" ? 2 : 3) || (c === "A" && !flat))
        throw new Error(`The cells of ${c}, from ${this.at(cells[0])} on, are no car: two or three in a `
          + "line, and A, the red one, two in a row.");
      const token = c === "A" ? 3 : (flat ? 5 : 10) + (cells.length === 3 ? 2 : 0);
      cells.forEach((cell, part) => { tokens[cell] = token + part; });
    }
    return tokens;
  }

  print(tokens) {
    const letters = [..."BCDEFGHIJKLMNOPQRSTUVWXYZ"], { reach } = this, signs = tokens.map((token) => {
      const move = token - MOVES;
      return move < 0 ? "?ox"[token] ?? "?" : LETTERS[5 * Math.floor(move / reach) + (move % reach)];
    });
    for (const cell of cellsWhere(tokens, (token) => CARS.has(token))) {
      const car = this.car(tokens, cell);
      if (!car) continue;
      const letter = car.token === 3 ? "A" : letters.shift();
      car.cells.forEach((i) => { signs[i] = letter; });
    }
    return signs.join("");
  }

  get views() { return 2; }
  symmetry(_, view) { // upside down, or as it is
    const { rows, cols, reach } = this, up = MOVES + 2 * reach, down = up + reach;
    if (!(view & 1)) return { cells: range(this.cells), tokens: null };
    const turned = (t) => (t >= down ? t - reach : t >= up ? t + reach
      : t === 10 || t === 11 ? 21 - t : t >= 12 && t <= 14 ? 26 - t : t);
    return { cells: range(this.cells).map((i) => (rows - 1 - Math.floor(i / cols)) * cols + (i % cols)),
      tokens: range(down + reach).map(turned) };
  }
}

// ---- Sokoban -----------------------------------------------------------------

const GROUND = { floor: 1, wall: 2, goal: 3, player: 4, playerOnGoal: 5, box: 6, boxOnGoal: 7 };
const PUSHED = 7; // a box that is pushed is PUSHED + the sum of its directions' bits: 1, 2, 4 and 8
const MOST_POSITIONS = 200_000; // of a room, to tell what is optimal
const isBox = (token) => token === GROUND.box || token === GROUND.boxOnGoal;
const isGoal = (token) => [GROUND.goal, GROUND.playerOnGoal, GROUND.boxOnGoal].includes(token);
const isPlayer = (token) => token === GROUND.player || token === GROUND.playerOnGoal;
const DEADLOCKS = { corner: "leaves a box in a corner that is no goal",
  wall: "leaves more boxes than goals along a wall", frozen: "leaves boxes that block one another for ever",
  unsolvable: "leaves no way to bring all boxes onto goals" }; // what a push does that leads there

export class SokobanRules extends TurnedRules {
  constructor(spec, header) {
    super(spec, header);
    this.steps = [-1, 1, -this.cols, this.cols]; // to the next cell, by direction
  }

  given(question) { return Uint8Array.from(question, (token) => Number(token !== GROUND.floor)); }
  marks() { return this.noLines(); }

  problem(question) {
    const { rows, cols } = this, edge = (i) => i % cols === 0 || i % cols === cols - 1 || i < cols
      || i >= (rows - 1) * cols;
    const count = (test) => cellsWhere(question, test).length, open = cellsWhere(question, (token, i) =>
      edge(i) && token !== GROUND.wall)[0];
    if (open !== undefined) return `${this.at(open)} is no wall; a board has walls all round`;
    const mark = cellsWhere(question, (token) => token < 1 || token > PUSHED)[0];
    if (mark !== undefined) return `${this.at(mark)} is no part of a question`;
    if (count(isPlayer) !== 1) return `a board has one player, this one ${count(isPlayer) || "none"}`;
    return count(isBox) === count(isGoal) && count(isBox) ? ""
      : `a board has as many boxes as goals, this one ${count(isBox)} and ${count(isGoal)}`;
  }

  // ---- positions: boxes as a sorted list of cells, and where the player can go

  reach(room, boxes, player) { // {can: by cell, first: the first such cell}
    const can = new Uint8Array(this.cells), taken = new Set(boxes), todo = [player];
    can[player] = 1;
    for (const cell of todo) for (const step of this.steps) {
      const next = cell + step;
      if (room.floor[next] && !can[next] && !taken.has(next)) { can[next] = 1; todo.push(next); }
    }
    return { can, first: can.indexOf(1) };
  }

  key(boxes, first) { return String.fromCharCode(...boxes, first); }
  shifted(boxes, from, to) { return boxes.map((box) => (box === from ? to : box)).sort((a, b) => a - b); }

  board(question) { // its room, its boxes, and where the player can go; null where it is none
    const key = question.join();
    if (this.asked === key) return this.asks;
    Object.assign(this, { asked: key, asks: null });
    if (this.problem(question)) return null;
    const room = { floor: Uint8Array.from(question, (token) => Number(token !== GROUND.wall)),
      goals: cellsWhere(question, isGoal) };
    const boxes = cellsWhere(question, isBox), fewest = this.search(room);
    if (!fewest) return null;
    return this.asks = { room, boxes, fewest,
      ...this.reach(room, boxes, question.findIndex(isPlayer)) };
  }

  search(room) { // the fewest pushes of each position that can be solved, backwards from the goals
    const key = `${room.floor}/${room.goals}`;
    if (this.searched === key) return this.found;
    const found = new Map(), met = (boxes, player, pushes, next) => {
      const { can, first } = this.reach(room, boxes, player), name = this.key(boxes, first);
      if (found.has(name)) return;
      found.set(name, pushes); next.push([boxes, can]);
    };
    let now = [];
    for (const cell of range(this.cells))
      if (room.floor[cell] && !room.goals.includes(cell)) met(room.goals, cell, 0, now);
    for (let pushes = 1; now.length && found.size <= MOST_POSITIONS; pushes++) {
      const next = [];
      for (const [boxes, can] of now) for (const box of boxes) for (const step of this.steps) {
        const to = box + step, back = to + step; // the player steps back from `to`, and the box follows
        if (can[to] && room.floor[back] && !boxes.includes(back))
          met(this.shifted(boxes, box, to), back, pushes, next);
      }
      now = next;
    }
    return Object.assign(this, { searched: key, found: found.size > MOST_POSITIONS ? null : found }).found;
  }

  pushes(board) { // every legal push: the box, its direction, the boxes after it, the best plan with it
    const { room, boxes, can, fewest } = board, taken = new Set(boxes);
    return board.all ??= boxes.flatMap((cell) => range(4).flatMap((direction) => {
      const step = this.steps[direction], to = cell + step;
      if (!can[cell - step] || !room.floor[to] || taken.has(to)) return [];
      const after = this.shifted(boxes, cell, to),
        left = fewest.get(this.key(after, this.reach(room, after, cell).first));
      return [{ cell, direction, after, plan: left === undefined ? -1 : left + 1 }];
    }));
  }

  // ---- deadlocks

  unmoved(room, among) { // cells where no push moves a box, among others that do not move
    const free = (cell) => room.floor[cell] && !among.includes(cell), { cols } = this;
    return (cell) => !(free(cell - 1) && free(cell + 1)) && !(free(cell - cols) && free(cell + cols));
  }

  *rails(room) { // runs of floor that no box leaves: from wall to wall, a wall beside every cell
    for (const [along, across] of [[1, this.cols], [this.cols, 1]])
      for (const start of range(this.cells)) if (room.floor[start] && !room.floor[start - along]) {
        const run = [start];
        while (room.floor[run.at(-1) + along]) run.push(run.at(-1) + along);
        if (!run.some((cell) => room.floor[cell - across] && room.floor[cell + across])) yield run;
      }
  }

  deadlock(room, boxes) {
    const lost = (box) => !room.goals.includes(box), count = (run, cells) =>
      cells.filter((cell) => run.includes(cell)).length;
    if (boxes.filter(lost).some(this.unmoved(room, []))) return "corner";
    for (const run of this.rails(room)) if (count(run, boxes) > count(run, room.goals)) return "wall";
    let still = boxes;
    for (let before = null; before?.length !== still.length;) {
      before = still; still = still.filter(this.unmoved(room, still));
    }
    return still.some(lost) ? "frozen" : "unsolvable";
  }

  dead(room, cell) { // is a box lost there, even if it is the only one?
    const alive = new Set(room.goals);
    for (const goal of alive) for (const step of this.steps)
      if (room.floor[goal + step] && room.floor[goal + 2 * step]) alive.add(goal + step);
    return Boolean(room.floor[cell]) && !alive.has(cell);
  }

  // ---- answers

  marked(board, question, answer) { // what is wrong, and the marked pushes that can be made
    const allowed = new Map(this.pushes(board).map((push) => [`${push.cell},${push.direction}`, push]));
    const pushed = (i) => answer[i] > PUSHED && isBox(question[i]);
    const wrong = cellsWhere(question, (token, i) => token !== answer[i] && !pushed(i)), moves = [];
    let why = wrong.length ? `${this.at(wrong[0])} was changed, where no box is pushed` : "";
    for (const cell of cellsWhere(question, (_, i) => pushed(i)))
      for (const direction of range(4).filter((d) => answer[cell] - PUSHED >> d & 1)) {
        const push = allowed.get(`${cell},${direction}`);
        if (push) moves.push(push);
        else {
          wrong.push(cell); why ||= `the box in ${this.at(cell)} cannot be pushed ${DIRECTIONS[direction]}`;
        }
      }
    return { wrong, why, moves };
  }

  cost(board, { cell, direction, after, plan }, fewest) { // why a push is not optimal
    const what = `the box in ${this.at(cell)} pushed ${DIRECTIONS[direction]}`;
    return plan > 0 ? `${what} begins a plan of ${plan} pushes; the fewest are ${fewest}`
      : `${what} ${DEADLOCKS[this.deadlock(board.room, after)]}`;
  }

  check(question, answer) { // each marked box can be pushed so, and begins a plan with the fewest pushes
    const board = this.board(question);
    if (!board) return null;
    const { wrong, moves, ...found } = this.marked(board, question, answer), fewest = this.fewest(board);
    let { why } = found;
    if (!why && moves.length) {
      if (!fewest) why = "all boxes are on goals already";
      else if (fewest < 0) why = "no pushes bring all boxes onto goals";
      else for (const push of moves) if (push.plan !== fewest) {
        wrong.push(push.cell); why ||= this.cost(board, push, fewest);
      }
    }
    return { complete: moves.length > 0, legal: !why,
      wrong: inOrder(wrong), why };
  }

  fewest({ fewest, boxes, first }) { return fewest.get(this.key(boxes, first)) ?? -1; }

  scores(question, answer) {
    const board = this.board(question);
    if (!board) return null;
    const { why, moves } = this.marked(board, question, answer), valid = !why && moves.length > 0,
      safe = valid && moves.every(({ plan }) => plan > 0), fewest = this.fewest(board);
    return { optimal: safe && fewest > 0 && moves.every(({ plan }) => plan === fewest), safe, valid };
  }

  cellFacts(question, label, cell) {
    const board = this.board(question);
    if (!board) return [];
    return [["of a box that can begin an optimal plan", (label?.[cell] ?? 0) > PUSHED],
      ["where the player can go", board.can[cell] === 1], ["dead for a box", this.dead(board.room, cell)]];
  }

  symmetry(random, view) { // turned or mirrored, and the directions of pushes with it
    const { cells } = super.symmetry(random, view), centre = this.cols + 1,
      place = (cell) => cells.indexOf(cell);
    const turned = this.steps.map((step) => this.steps.indexOf(place(centre + step) - place(centre)));
    const ways = (bits) => range(4).reduce((sum, d) => sum + (bits >> d & 1) * 2 ** turned[d], 0);
    const become = (token) => (token > PUSHED ? PUSHED + ways(token - PUSHED) : token);
    return { cells, tokens: range(PUSHED + 16).map(become) };
  }
}
