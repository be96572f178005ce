// What the page knows: runs as their bytes came, the overview of all puzzles, and the kernel that
// computes what is missing.
// Frame 0 of a run is the question before any update, frame f what stands after the f-th update.

import { plural } from "./page.js";

export const ANSWERED = 2; // the verdict "solved", in a header's list
const NOTEBOOK_WORDS = { name: "the kernel",
  gone: "The kernel is gone. What is loaded stays usable; run the cell again for the rest.",
  slow: "The kernel has not answered for a while: it is busy, or gone. "
    + "What is loaded stays usable; wait, or run the cell again." };
export const PAGE_WORDS = { name: "the model",
  gone: "The model in this page has stopped. What is loaded stays usable; load the page again for the rest.",
  slow: "The model in this page is still computing. What is loaded stays usable meanwhile." };
const PATIENCE = 8000; // milliseconds

export function unpack(arrays, bytes) { // named arrays over the bytes, and a way to one row of them
  // Float32Array wants its place on a multiple of four
  const whole = bytes.byteOffset % 4 ? bytes.slice() : bytes, found = {};
  for (const { name, kind, shape, offset } of arrays) {
    const size = shape.reduce((a, b) => a * b, 1),
      Kind = { f4: Float32Array, i4: Int32Array, u1: Uint8Array }[kind];
    const values = new Kind(whole.buffer, whole.byteOffset + offset, size);
    found[name] = (...index) => { // found.tokens(plane) is a row of cells
      let start = 0, length = size;
      index.forEach((at, axis) => { length /= shape[axis]; start += at * length; });
      return values.subarray(start, start + length);
    };
  }
  return found;
}

// ---- a run -------------------------------------------------------------------

class Run { // from the question to the end; what stood before its fork is its parent's
  constructor(meta, bytes, tree) {
    Object.assign(this, { meta, tree, side: tree.sideOf(meta.run), key: meta.run, puzzle: meta.puzzle,
      fork: meta.fork, length: meta.length, steps: meta.steps });
    this.own = unpack(meta.arrays, bytes);
    this.bytes = bytes;
    this.updates = this.side.updates.length; // in one supervision step
    this.kept = new Map();
  }

  get parent() { return this.meta.parent === null ? null : this.tree.runs.get(this.meta.parent); }
  once(key, compute) { if (!this.kept.has(key)) this.kept.set(key, compute()); return this.kept.get(key); }
  owner(frame) { return frame < this.fork ? this.parent.owner(frame) : this; }
  row(name, frame, ...index) {
    const owner = this.owner(frame);
    return owner.own[name](frame - owner.fork, ...index);
  }

  series(name) { // (length + 1): a number a frame, over the whole run
    return this.once(name, () => {
      const own = this.own[name](), whole = new own.constructor(this.length + 1);
      if (this.fork) whole.set(this.parent.series(name).subarray(0, this.fork));
      whole.set(own, this.fork);
      return whole;
    });
  }

  visits(which) { // the frames at which this latent was renewed
    return this.once(`visits ${which}`, () =>
      Array.from(this.series("renewed").keys()).filter((f) => f && this.series("renewed")[f] === which));
  }

  step(frame) { return Math.ceil(frame / this.updates); } // supervision step, from 1; 0 is the question
  end(step) { return Math.min(this.length, step * this.updates); } // the frame after a supervision step
  site(frame) {
    if (!frame) return null;
    const [cycle, substep, which] = this.side.updates[(frame - 1) % this.updates];
    return [this.step(frame), cycle, substep, this.side.names[which]];
  }
  // as in code: there cycles and substeps begin at 0
  siteText(frame) { return frame ? this.site(frame).join(".") : "question"; }
  describe(frame) {
    if (!frame) return "the question, before any update";
    const [step, cycle, substep, name] = this.site(frame);
    return `step ${step} of ${this.steps}, cycle ${cycle + 1}, substep ${substep + 1}: ${name} renewed`;
  }

  source(frame, reading) { // the latent that is read, as an index
    const { names, answer } = this.side,
      which = reading === "renewed" ? this.series("renewed")[frame] : names.indexOf(reading);
    return which < 0 ? names.indexOf(answer) : which;
  }

  board(frame, reading) { // a decoded board
    const owner = this.owner(frame), { own } = owner,
      plane = own.plane(frame - owner.fork)[this.source(frame, reading)], packed = own.wrong(plane);
    return { owner, plane, tokens: own.tokens(plane), sure: own.confidence(plane),
      wrong: (i) => (packed[i >> 3] >> (7 - (i & 7))) & 1, verdict: own.verdict()[plane], given: own.given(),
      question: own.question(), solution: own.solution?.(), links: own.links?.(plane),
      broken: own.broken?.(plane), ends: own.ends?.(plane), window: own.window?.(plane),
      scores: owner.meta.scores.map((name, k) =>
        (own.scores(plane)[k] ? name : `not ${name}`)) };
  }
  answer(frame) { return this.board(frame, this.side.answer); }
  position(name, frame, which) { // "norm" (P+L) or "component" (3, P+L) of a latent, quantised
    const owner = this.owner(frame);
    return owner.own[name](owner.own.plane(frame - owner.fork)[which]);
  }

  changes() { // (length + 1): how many cells of the answer each update changed
    return this.once("changes", () => {
      const counts = new Uint16Array(this.length + 1);
      for (let f = this.firstAnswer() + 1; f <= this.length; f++) {
        const before = this.answer(f - 1), now = this.answer(f);
        if (now.plane !== before.plane || now.owner !== before.owner)
          counts[f] = differing(now.tokens, before.tokens).length;
      }
      return counts;
    });
  }
  // the frame at which the answer was renewed for the first time: before it there is nothing to compare with
  firstAnswer() {
    return this.once("first answer",
      () => this.visits(this.side.names.indexOf(this.side.answer))[0] ?? this.length);
  }
  firstSolved() { // the first frame whose answer satisfies all rules, or −1
    return this.once("first solved", () => {
      for (let f = 1; f <= this.length; f++) if (this.answer(f).verdict === ANSWERED) return f;
      return -1;
    });
  }

  signals() { // what halting looks at, after each supervision step, as exact as Python saw it
    return this.once("signals", () => {
      const names = ["halt", "least_confidence", "same"];
      const [halt, least_confidence, same] = names.map((name) => this.own[name]());
      const steps = Array.from({ length: this.steps }, (_, t) => t + 1);
      const accepted = steps.map((t) => this.answer(this.end(t)).verdict === ANSWERED);
      const stops = steps.map((t) => t === this.steps && this.meta.reached);
      return { halt, least_confidence, same, accepted, stops };
    });
  }
}

export function differing(a, b) { // cells
  const cells = [];
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) cells.push(i);
  return cells;
}

// B's frame at which as much of its recursion has passed as of A's: the same frame,
// unless their schedules differ.
export const beside = (a, b, frame) => Math.min(b.length,
  a.updates === b.updates ? frame : Math.floor((frame / a.updates) * b.updates + 1e-9));

// the supervision step after which the answers differ, or null
export const firstDifference = (a, b) => a.once(`differs ${b.key}`, () => {
  for (let t = 1; t <= Math.max(a.steps, b.steps); t++)
    if (differing(a.answer(a.end(t)).tokens, b.answer(b.end(t)).tokens).length) return t;
  return null;
});

// ---- all puzzles -------------------------------------------------------------

class Overview { // what halting looks at for every puzzle and supervision step, as far as it has come
  constructor() { Object.assign(this, { done: 0, total: 0, columns: {} }); }

  add({ from, to, total, arrays }, bytes) {
    const part = unpack(arrays, bytes);
    for (const { name, shape: [, steps] } of arrays) {
      const values = part[name](), known = this.columns[name];
      if (known?.length !== total * steps) { // the first part, or puzzles were added
        this.columns[name] = new values.constructor(total * steps);
        if (known) this.columns[name].set(known);
      }
      this.columns[name].set(values, from * steps);
      this.steps = steps;
    }
    Object.assign(this, { done: to, total });
  }

  row(puzzle) { // as `Run.signals`, with `solved`: 0, 1, or 2 for unknown
    const at = [puzzle * this.steps, (puzzle + 1) * this.steps];
    return Object.fromEntries(
      Object.entries(this.columns).map(([name, values]) => [name, values.subarray(...at)]));
  }
}

// ---- the kernel --------------------------------------------------------------

export const bytesOf = (view) => new Uint8Array(view.buffer, view.byteOffset, view.byteLength);

export class Kernel { // asks, and knows an answer by its number
  constructor(model, tell, words = NOTEBOOK_WORDS) { // model: has a widget's `on`, `off` and `send`
    // tell(sentence): what is wrong with it; "" when it answers again
    // several views of one widget hear each other's answers
    Object.assign(this,
      { model, tell, words, gone: false, count: 0, waiting: new Map(),
        name: Math.random().toString(36).slice(2) });
    this.hear = (content, buffers) => {
      const asked = this.waiting.get(content?.id);
      if (!asked) return;
      clearTimeout(asked.patience); this.waiting.delete(content.id);
      if (this.slow) { this.slow = false; this.tell(""); }
      if (content.error) asked.reject(new Error(content.error));
      else asked.resolve({ ...content, bytes: buffers?.length ? bytesOf(buffers[0]) : null });
    };
    this.lost = () => {
      this.gone = true;
      this.tell(this.words.gone);
      for (const { reject, patience } of this.waiting.values()) {
        clearTimeout(patience); reject(new Error(this.words.gone));
      }
      this.waiting.clear();
    };
    model.on("msg:custom", this.hear); model.on("comm:close", this.lost);
    model.on("comm_live_update", this.lost);
  }

  ask(question) { // → Promise of {…, bytes}
    if (this.gone) return Promise.reject(new Error(this.words.gone));
    const id = `${this.name}-${++this.count}`;
    return new Promise((resolve, reject) => {
      this.waiting.set(id, { resolve, reject, patience: setTimeout(() => {
        this.slow = true; this.tell(this.words.slow);
      }, PATIENCE) });
      try { this.model.send({ ...question, id }); } catch { this.lost(); } // a kernel that was shut down
    });
  }

  leave() {
    for (const [name, ear] of [["msg:custom", this.hear], ["comm:close", this.lost],
        ["comm_live_update", this.lost]]) this.model.off(name, ear);
    for (const { patience } of this.waiting.values()) clearTimeout(patience);
    this.waiting.clear();
  }
}

// ---- everything tried --------------------------------------------------------

export class Tree { // of runs: a root for each puzzle and side, and what branched from them
  constructor(header, kernel) {
    Object.assign(this, { header, kernel, runs: new Map(), metas: new Map(), coming: new Map(),
      kept: new Map(), overviews: header.sides.map(() => new Overview()) });
  }

  // what holds for all runs that are here
  once(key, compute) { if (!this.kept.has(key)) this.kept.set(key, compute()); return this.kept.get(key); }

  root(puzzle, side = 0) { return (side ? "B:" : "") + puzzle; }
  sideOf(key) { return this.header.sides[key.startsWith("B:") ? 1 : 0]; }
  whichSide(run) { return this.header.sides.indexOf(run.side); } // 1: the second of two models
  overviewOf(run) { return this.overviews[this.whichSide(run)]; }
  known(key) { return this.runs.has(key) || Boolean(this.kernel); }

  learn(meta) { if (meta.parent !== null) this.metas.set(meta.run, meta); }
  add(meta, bytes) { // its parent must be here already
    this.learn(meta); this.kept.clear();
    this.runs.set(meta.run, new Run(meta, bytes, this));
    return this.runs.get(meta.run);
  }

  async open(key) { // a run, from here or from the kernel, with those it branched from
    if (this.runs.has(key)) return this.runs.get(key);
    if (!this.kernel) throw new Error(
        `Puzzle ${parseInt(key.replace("B:", ""), 10) + 1} was not saved in this page; choose another one.`);
    if (!this.coming.has(key)) {
      const come = async () => {
        const meta = await this.kernel.ask({ ask: "run", run: key });
        if (meta.parent !== null) await this.open(meta.parent);
        return this.add(meta, meta.bytes);
      };
      this.coming.set(key, come().finally(() => this.coming.delete(key)));
    }
    return this.coming.get(key);
  }

  async branch(run, frame, edits) {
    const meta = await this.kernel.ask({ ask: "branch", run: run.key, frame, edits });
    if (meta.parent !== null) await this.open(meta.parent);
    return this.add(meta, meta.bytes);
  }

  list(puzzle) { // [{key, meta, depth}] as a tree reads: each run before its branches
    const found = [];
    const visit = (key, depth) => {
      found.push({ key, meta: this.metas.get(key) || null, depth });
      const children = [...this.metas.values()].filter((m) => m.parent === key);
      children.sort((a, b) => Number(a.run.split(".").at(-1)) - Number(b.run.split(".").at(-1)))
        .forEach((m) => visit(m.run, depth + 1));
    };
    this.header.sides.forEach((_, side) => visit(this.root(puzzle, side), 0));
    return found;
  }

  name(key) { // for people
    const [puzzle, branch] = key.replace("B:", "").split("."),
      model = this.header.sides.length > 1 ? `${key.startsWith("B:") ? "second" : "first"} model, ` : "";
    return model + (branch ? `branch ${branch}` : `puzzle ${Number(puzzle) + 1}`);
  }

  ending(run) { // how it ended, in words
    const last = run.answer(run.length), verdict = this.header.verdicts[last.verdict],
      first = run.firstSolved(), broken = last.tokens.reduce((count, _, i) => count + last.wrong(i), 0);
    if (last.verdict === ANSWERED) return `ends solved (first in step ${run.step(first)})`;
    const why = broken ? plural(broken, "cell breaks a rule", "cells break a rule")
      : last.scores.join(", ") || verdict;
    return `ends after ${plural(run.steps, "step", "steps")}: ${why}`;
  }
}
