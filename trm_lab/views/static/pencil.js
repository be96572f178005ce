// The rules of queens and of pencil puzzles, as `trm_lab.puzzles` says it.

import { TurnedRules, cellsWhere, inOrder, range } from "./rules.js";

// A type that tells of all cells at once what the givens leave to them.
class DeducedRules extends TurnedRules {
  given(question) { return Uint8Array.from(question, (token) => Number(token > 1)); }
  candidates(question, cell) { return this.fits(question)[cell]; }

  deduced(question) { // the question with what its givens force
    for (let board = [...question]; ;) {
      const filled = this.fits(board).map((left, i) => (left.length === 1 ? left[0] : board[i]));
      if (filled.every((token, i) => token === board[i])) return board;
      board = filled;
    }
  }

  get nothing() { return "nothing"; } // how a cell is said to have no candidates
  problem(question) {
    const { why } = this.check(question, question),
      cell = this.fits(question).findIndex((left) => !left.length);
    return why || (cell < 0 ? "" : `${this.nothing} is left for ${this.at(cell)}`);
  }
}

// ---- queens ------------------------------------------------------------------

const [BARE, QUEEN] = [2, 3]; // and 1: open

export class QueensRules extends DeducedRules {
  get nothing() { return "no queen and no empty square"; }

  constructor(spec, header) {
    super(spec, header);
    const { side, cells } = this, row = (i) => Math.floor(i / side), column = (i) => i % side;
    const kinds = [["row", row], ["column", column], ["one diagonal", (i) => row(i) - column(i)],
      ["one diagonal", (i) => row(i) + column(i)]];
    this.lines = kinds.flatMap(([kind, line]) => inOrder(range(cells).map(line)).map((k) => ({
      name: kind === "row" || kind === "column" ? `${kind} ${k + 1}` : kind,
      full: kind === "row" || kind === "column", // it needs a queen
      cells: range(cells).filter((i) => line(i) === k) }))).filter((line) => line.cells.length > 1);
  }

  check(question, answer) { // no two queens on a line, one in each row and column, what is shown is kept
    const changed = cellsWhere(question, (token, i) => token > 1 && token !== answer[i]), [first] = changed,
      wrong = [...changed], shown = question[first] === QUEEN ? "queen" : "empty square";
    let why = changed.length ? `the ${shown} that is shown in ${this.at(first)} was changed` : "";
    for (const { name, full, cells } of this.lines) {
      const queens = cells.filter((i) => answer[i] === QUEEN);
      if (queens.length > 1) {
        wrong.push(...queens);
        why ||= `${queens.length} queens stand on ${name} (${queens.map((i) => this.at(i)).join(" and ")})`;
      } else if (full && cells.every((i) => answer[i] === BARE)) {
        wrong.push(...cells);
        why ||= `no queen stands in ${name}`;
      }
    }
    return { complete: answer.every((token) => token === BARE || token === QUEEN), legal: !wrong.length,
      wrong: inOrder(wrong), why };
  }

  scores(question, answer) {
    const { legal, complete } = this.check(question, answer);
    return { right: legal && complete };
  }

  fits(question) { // by cell: no queen where one attacks, and one in the only square that a row or column has
    const shown = ({ cells }) => cells.filter((i) => question[i] === QUEEN).length;
    const attacked = new Set(this.lines.filter(shown).flatMap(({ cells }) => cells));
    const may = question.map((token, i) => token === QUEEN || (token === 1 && !attacked.has(i)));
    const left = ({ cells }) => cells.filter((i) => may[i]).length;
    const only = new Set(this.lines.filter((line) => line.full && left(line) === 1)
      .flatMap(({ cells }) => cells));
    const broken = new Set(this.lines.filter((line) => shown(line) > 1 || (line.full && !left(line)))
      .flatMap(({ cells }) => cells));
    return question.map((token, i) => (broken.has(i) ? [] : [
      ...(token !== QUEEN && !(may[i] && only.has(i)) ? [BARE] : []), ...(may[i] ? [QUEEN] : [])]));
  }

  get solutions() { // each as the column of the queen in each row
    if (this.known) return this.known;
    const { side } = this, free = (placed, c) => placed.every((other, r) =>
      other !== c && Math.abs(other - c) !== placed.length - r);
    let found = [[]];
    for (let row = 0; row < side; row++)
      found = found.flatMap((placed) =>
        range(side).filter((c) => free(placed, c)).map((c) => [...placed, c]));
    return this.known = found;
  }

  cellFacts(question, _, cell) {
    const { side } = this, row = Math.floor(cell / side), fit = (placed) => question.every((token, i) =>
      token === 1 || (token === QUEEN) === (placed[Math.floor(i / side)] === i % side));
    const count = this.solutions.filter((placed) => placed[row] === cell % side && fit(placed)).length;
    return [["solutions with a queen here", question[cell] === 1 ? count : -1]];
  }
}

// ---- boards whose cells are neighbours ---------------------------------------

class GridRules extends DeducedRules {
  constructor(spec, header) {
    super(spec, header);
    this.beside = range(this.cells).map((i) => this.around(i));
  }

  changed(question, answer) { // cells, and a sentence about the first
    const cells = cellsWhere(question, (token, i) => token > 1 && token !== answer[i]);
    return { cells, why: cells.length ? `the question was changed in ${this.at(cells[0])}` : "" };
  }
}

// ---- Light Up ----------------------------------------------------------------

const [DARK, LAMP, BRICK] = [2, 3, 4]; // and 1: open; BRICK + 1 + n is a wall with the number n

export class LightUpRules extends GridRules {
  marks() { return this.noLines(); }

  sees(question) { // by cell, the white cells that it sees, itself included; of walls none
    const key = question.join();
    if (this.asked === key) return this.seen;
    const { rows, cols } = this, white = (i) => question[i] < BRICK;
    const run = (i, step, count) => { // onward from a cell, to a wall or the edge
      const found = [];
      for (let k = 1; k <= count && white(i + k * step); k++) found.push(i + k * step);
      return found;
    };
    this.asked = key;
    this.seen = range(this.cells).map((i) => {
      const r = Math.floor(i / cols), c = i % cols;
      return white(i) ? inOrder([i, ...run(i, -1, c), ...run(i, 1, cols - 1 - c), ...run(i, -cols, r),
        ...run(i, cols, rows - 1 - r)]) : [];
    });
    return this.seen;
  }

  check(question, answer) { // each white cell is lit, no lamp sees another, each number has its lamps
    const sees = this.sees(question), white = (i) => question[i] < BRICK, lamp = (i) => answer[i] === LAMP,
      open = (i) => answer[i] !== DARK && answer[i] !== LAMP, { cells: wrong, why: first } =
        this.changed(question, answer);
    let why = first;
    for (const i of cellsWhere(answer, (token, j) => token === LAMP && white(j))) {
      const other = sees[i].find((j) => lamp(j) && j !== i);
      if (other === undefined) continue;
      wrong.push(i); why ||= `the lamp in ${this.at(i)} sees the one in ${this.at(other)}`;
    }
    for (const i of cellsWhere(question, (_, j) => white(j) && !sees[j].some((k) => lamp(k) || open(k)))) {
      wrong.push(i); why ||= `no lamp lights ${this.at(i)}`;
    }
    for (const i of cellsWhere(question, (token) => token > BRICK)) {
      const number = question[i] - BRICK - 1, near = this.beside[i].filter(white),
        lamps = near.filter(lamp).length;
      if (lamps <= number && number <= lamps + near.filter(open).length) continue;
      wrong.push(i);
      why ||= `the wall in ${this.at(i)} has ${lamps} lamp${lamps === 1 ? "" : "s"}, not ${number}`;
    }
    return { complete: question.every((_, i) => !white(i) || !open(i)), legal: !wrong.length,
      wrong: inOrder(wrong), why };
  }

  fits(question) { // by cell: dark or lamp, as far as one step of deduction tells
    const sees = this.sees(question), { beside } = this, all = range(this.cells),
      lamp = question.map((token) => token === LAMP), number = question.map((token) => token - BRICK - 1);
    const count = (cells, flags) => cells.filter((i) => flags[i]).length;
    const lit = all.map((i) => count(sees[i], lamp)), lamps = all.map((i) => count(beside[i], lamp));
    const full = all.map((i) => number[i] >= 0 && lamps[i] >= number[i]);
    const may = question.map((token, i) => token === 1 && !lit[i] && !count(beside[i], full));
    const able = all.map((i) => lamp[i] || may[i]), left = all.map((i) => count(beside[i], able));
    const needy = all.map((i) => number[i] >= 0 && left[i] === number[i]);
    const lighters = all.map((i) => count(sees[i], able));
    const only = question.map((token, i) => token < BRICK && !lit[i] && lighters[i] === 1);
    const must = all.map((i) => may[i] && (count(beside[i], needy) > 0 || count(sees[i], only) > 0));
    return question.map((token, i) => {
      const crowded = number[i] >= 0 && (lamps[i] > number[i] || left[i] < number[i]);
      if ((token < BRICK && !lighters[i]) || (token === LAMP && lit[i] > 1) || crowded) return [];
      if (token !== 1) return [token];
      return [...(must[i] ? [] : [DARK]), ...(may[i] ? [LAMP] : [])];
    });
  }

  cellFacts(question, label, cell) {
    return [["lamp", label?.[cell] === LAMP],
      ["deduced", question[cell] === 1 && this.deduced(question)[cell] !== 1]];
  }
}

// ---- Nurikabe ----------------------------------------------------------------

const [SEA, LAND] = [2, 3]; // and 1: open; LAND + n is the number n

export class NurikabeRules extends GridRules {
  candidates() { return null; }

  regions(inside) { // of the cells inside, each with its first cell first
    const found = [], seen = new Set();
    for (const start of range(this.cells)) if (inside(start) && !seen.has(start)) {
      const region = [start]; seen.add(start);
      for (const cell of region) for (const other of this.beside[cell])
        if (inside(other) && !seen.has(other)) { seen.add(other); region.push(other); }
      found.push(region);
    }
    return found;
  }

  *islands(question, answer) { // what is wrong with which island
    for (const island of this.regions((i) => answer[i] > SEA)) {
      const numbers = island.filter((i) => question[i] > LAND).map((i) => question[i] - LAND),
        on = new Set(island), size = island.length, name = `the island at ${this.at(island[0])}`,
        closed = island.every((i) => this.beside[i].every((j) => on.has(j) || answer[j] >= SEA));
      if (numbers.length > 1) yield [island, `${name} has ${numbers.length} numbers`];
      else if (numbers.length && (size > numbers[0] || (closed && size < numbers[0])))
        yield [island, `${name} has ${size} cell${size === 1 ? "" : "s"}, not ${numbers[0]}`];
      else if (closed && !numbers.length) yield [island, `${name} has no number`];
    }
  }

  *sea(answer) { // what is wrong with the sea
    const { rows, cols } = this;
    for (const i of range(this.cells)) {
      if (i % cols === cols - 1 || i >= (rows - 1) * cols) continue;
      const pool = [i, i + 1, i + cols, i + cols + 1];
      if (pool.every((j) => answer[j] === SEA)) yield [pool, `the sea fills a square at ${this.at(i)}`];
    }
    const waters = this.regions((i) => answer[i] <= SEA)
      .map((region) => region.filter((i) => answer[i] === SEA).sort((a, b) => a - b))
      .filter((water) => water.length).sort((a, b) => a.length - b.length);
    for (const water of waters.slice(0, -1)) yield [water, `the sea at ${this.at(water[0])} is cut off`];
  }

  check(question, answer) {
    const { cells: wrong, why: first } = this.changed(question, answer);
    let why = first;
    for (const [cells, sentence] of [...this.islands(question, answer), ...this.sea(answer)]) {
      wrong.push(...cells); why ||= sentence;
    }
    return { complete: answer.every((token) => token >= SEA), legal: !wrong.length,
      wrong: inOrder(wrong), why };
  }

  problem(question) { return this.check(question, question).why; }
}
