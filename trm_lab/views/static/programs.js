// The rules of programs from examples, as `trm_lab.puzzles.programs` says it: a right program does what the
// first one does that fits, on held-out lists as well.

import { shuffled } from "./chance.js";
import { Rules, range } from "./rules.js";
import { NumpyRandom, blake2b64 } from "./numpy.js";

const LIST = 5, ABSENT = -1; // numbers in a list at most; a place without one
const [UNASKED, NONE, DIGIT, FIRST] = [1, 2, 3, 13]; // DIGIT + d is the digit d, FIRST + i instruction i
const HELD_OUT = 8;

// A list is five numbers, ABSENT where there is none; null where a program failed.
const kept = (list, keep) => {
  const left = list.filter((x, i) => keep(x, i));
  return [...left, ...new Array(LIST - left.length).fill(ABSENT)];
};
const mapped = (change) => (list) => list.map((x) => (x >= 0 ? change(x) : x));
const filtered = (test) => (list) => kept(list, (x, i) => x >= 0 && test(x, i, list));
const scanned = (add) => (list) => { // each number becomes what all so far come to
  let total;
  return list.map((x) => { total = total === undefined ? x : add(total, x); return x >= 0 ? total : x; });
};
const INSTRUCTIONS = [ // in the order of `INSTRUCTIONS` in Python
  mapped((x) => x + 1), mapped((x) => (x > 0 ? x - 1 : 10)), mapped((x) => 2 * x), mapped((x) => x >> 1),
  filtered((x) => x % 2 === 0), filtered((x) => x % 2 === 1), filtered((x) => x < 5), filtered((x) => x > 4),
  filtered((_, i) => i < 2), filtered((_, i) => i > 0),
  (list) => kept([...list].reverse(), (x) => x >= 0),
  (list) => kept([...list].sort((a, b) => a - b), (x) => x >= 0),
  filtered((x, i, list) => list.indexOf(x) === i),
  scanned((a, b) => a + b), scanned(Math.max),
  (list) => [...range(LIST - 1).map((i) =>
    (list[i + 1] >= 0 ? Math.abs(list[i + 1] - list[i]) : ABSENT)), ABSENT]];

function made(instruction, list) { // by one instruction
  const after = list && INSTRUCTIONS[instruction](list);
  return after?.some((x) => x > 9) ? null : after;
}
const madeBy = (program, list) => program.reduce((now, instruction) => made(instruction, now), list);
const same = (one, other) => one !== null && other !== null && one.every((x, i) => x === other[i]);
const shown = (list) => (list ? `[${list.filter((x) => x >= 0).join(" ")}]` : "a failure");

export class ProgramRules extends Rules {
  constructor(spec, header) {
    super(spec, header);
    this.start = this.examples * this.cols;
    this.place = range(this.length).map((i) => this.start + i); // of the program
  }

  given(question) { return Uint8Array.from(question, (token) => Number(token >= DIGIT)); }

  read(question) { // the examples that are shown: their row, the lists before and after
    const list = (cell) => Array.from(question.slice(cell, cell + LIST), (t) =>
      (t >= DIGIT ? t - DIGIT : ABSENT));
    return range(this.examples).map((row) => ({ row, before: list(row * this.cols),
      after: list(row * this.cols + LIST) })).filter(({ before }) => before.some((x) => x >= 0));
  }

  program(answer) { // instruction numbers; null: it is empty, has a gap, or is none
    const cells = this.place.map((i) => answer[i]);
    while (cells.at(-1) === NONE) cells.pop();
    return cells.length && cells.every((token) => token >= FIRST) ? cells.map((t) => t - FIRST) : null;
  }

  first(examples) { // the first program that fits: shorter ones before longer ones
    let now = [{ program: [], lists: examples.map(({ before }) => before) }];
    for (let length = 1; length <= this.length; length++) {
      const next = [];
      for (const { program, lists } of now) for (const i of INSTRUCTIONS.keys()) {
        const after = lists.map((list) => made(i, list));
        if (examples.every((example, k) => same(after[k], example.after))) return [...program, i];
        if (length < this.length && after.every(Boolean))
          next.push({ program: [...program, i], lists: after });
      }
      now = next;
    }
    return null;
  }

  truth(question) { // held-out lists and what becomes of them; null: no program fits
    const examples = this.read(question), rows = examples.map(({ before, after }) => [...before, ...after]);
    rows.sort((a, b) => a[a.findIndex((x, i) => x !== b[i])] - b[a.findIndex((x, i) => x !== b[i])] || 0);
    const key = rows.join(";");
    if (this.asked === key) return this.asks;
    const program = rows.length ? this.first(examples) : null;
    Object.assign(this, { asked: key, asks: program && this.heldOut(program, rows) });
    return this.asks;
  }

  heldOut(program, rows) { // the lists that Python draws for these examples
    const random = new NumpyRandom(blake2b64(Uint8Array.from(rows.flat(), (x) => x & 255))),
      count = 8 * HELD_OUT, most = random.integer(4, 11), numbers = random.integers(0, most, count * LIST),
      lengths = random.integers(2, LIST + 1, count);
    return lengths.map((length, k) => {
      const before = range(LIST).map((i) => (i < length ? numbers[k * LIST + i] : ABSENT));
      return { before, after: madeBy(program, before) };
    }).filter(({ after }) => after).slice(0, HELD_OUT);
  }

  check(question, answer) { // the program is run on the examples, and if it is right, on held-out lists
    const wrong = (cells, why, complete = true) => ({ complete, legal: false, wrong: cells, why });
    const changed = range(this.cells).filter((i) => question[i] !== UNASKED && question[i] !== answer[i]);
    if (changed.length) return wrong(changed, `the question was changed in ${this.at(changed[0])}`, false);
    if (this.place.some((i) => answer[i] === UNASKED))
      return { complete: false, legal: true, wrong: [], why: "" };
    const program = this.program(answer);
    if (!program) return wrong(this.place, "these tokens are not a program");
    const misses = ({ before, after }) => !same(madeBy(program, before), after);
    const says = ({ before, after }) => `of ${shown(before)} the program makes `
      + `${shown(madeBy(program, before))}, not ${shown(after)}`;
    const failed = this.read(question).filter(misses);
    if (failed.length) return wrong(failed.flatMap(({ row }) =>
      range(LIST).map((i) => row * this.cols + LIST + i)), says(failed[0]));
    const truth = this.truth(question);
    if (!truth) return wrong(this.place, "the question shows no examples");
    const missed = truth.find(misses);
    return missed ? { ...wrong(this.place, `it fits the examples, but ${says(missed)}, as the first program `
      + "that fits does"), fits: true } : { complete: true, legal: true, wrong: [], why: "", fits: true };
  }

  scores(question, answer) {
    const { legal, complete, fits } = this.check(question, answer);
    return { right: legal && complete, fits: Boolean(fits) };
  }

  problem(question) {
    if (!this.read(question).length) return "it shows no examples";
    return this.truth(question) ? "" : `no program of ${this.length} instructions or fewer does that`;
  }

  symmetry(random) { // the examples in another order
    const rows = [...shuffled(range(this.examples), random), this.examples];
    return { cells: rows.flatMap((row) => range(this.cols).map((i) => row * this.cols + i)), tokens: null };
  }
}
