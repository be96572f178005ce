// What a page asks and a session answers, as `views.explorer` does in Python: a message has `ask` and what it
// is about; the answer is what JSON can hold, and `bytes` where arrays belong to it.

import { codeOf } from "./code.js";
import { Side } from "./session.js";
import { stagesPack } from "./stages.js";
import { Thought } from "./thinking.js";
import { Axes, cellPack, divergence, knownAnswer, overviewPack, packArrays, packOf, summary,
  unpacked } from "./packs.js";

export class Answers {
  constructor(header, bytes) { // the page's header, and the bytes that `header.live` describes
    const part = ({ at, size }) => bytes.subarray(at, at + size);
    this.sides = header.live.map((live, number) => {
      const side = new Side(live, header, number, part(live.weights));
      side.axes = new Axes(side.names, side.engine.D, unpacked(live.axes.arrays, part(live.axes)));
      return side;
    });
    const branches = header.packs.filter(({ parent }) => parent !== null);
    branches.sort((a, b) => a.number - b.number).forEach((told) => this.sides[told.side].recall(told));
  }

  answer(message) { // → {…, bytes?}; throws an error with a sentence
    const does = Object.hasOwn(ASKED, message.ask) ? ASKED[message.ask] : null;
    if (!does) throw new Error(`This page cannot be asked for ${message.ask}.`);
    return does.call(this, message);
  }

  find(key) {
    const side = this.sides[key.startsWith("B:") ? 1 : 0];
    return side.rollout(key.replace(/^B:/, ""));
  }
}

const ASKED = {
  run({ run }) { return packOf(this.find(run)); },
  tree() { return { branches: this.sides.flatMap((side) => side.branches.map(summary)) }; },
  branch({ run, frame, edits }) {
    const rollout = this.find(run);
    return packOf(rollout.side.branch(rollout, frame, edits));
  },
  cell({ run, cell }) {
    const rollout = this.find(run), { question } = rollout.trace.asked;
    const facts = rollout.side.rules.facts(question, knownAnswer(rollout), cell);
    return { run, cell, facts, ...cellPack(rollout, cell) };
  },
  latents({ run, frame, name }) {
    const rollout = this.find(run), { S, D } = rollout.side.engine;
    return { run, frame, name, ...packArrays({ channels: [rollout.latent(frame, name), [S, D]] }) };
  },
  stages({ run, frame, cell }) { return { run, ...stagesPack(this.find(run), frame, cell) }; },
  divergence({ a, b }) {
    const [one, other] = [this.find(a), this.find(b)], kind = ({ side }) =>
      JSON.stringify([side.names, side.engine.schedule(), side.engine.S, side.engine.D]);
    if (kind(one) !== kind(other)) throw new Error(
      "These two models have no latents in common at the same places; compare their answers.");
    const { values, shape, step, identical } = divergence(one, other);
    return { a, b, names: one.side.names, step, identical, ...packArrays({ divergence: [values, shape] }) };
  },
  code({ run, beside, frame, reading }) {
    return { text: codeOf(this.find(run), beside ? this.find(beside) : null, frame, reading) };
  },
  read({ text, board = null }) { // a board as text, or its tokens: {question, problem}
    const [{ rules, header }] = this.sides, question = board ?? rules.parse(text);
    const odd = question.findIndex((token) => !header.askable.includes(token));
    if (odd >= 0) throw new Error(`A question of ${header.title} does not hold `
      + `${header.vocab[question[odd]]}, found in ${rules.at(odd)}.`);
    return { question, problem: rules.problem(question), text: rules.print(question) };
  },
  puzzle({ text, identity = null }) { // one that was typed, for all models: its number
    const { question, problem } = ASKED.read.call(this, { text });
    const row = identity === null ? 0 : this.sides[0].row({ identity }),
      [puzzle] = this.sides.map((side) => side.add(question, row));
    return { puzzle, problem };
  },
  think({ question, view }) { // from the start; the next `step` takes its first step
    this.thought = new Thought(this.sides[0], question, view);
    return { views: this.sides[0].rules.views ?? null }; // that differ; null: more than anyone tries
  },
  step() {
    if (!this.thought) throw new Error("There is no puzzle to think about yet.");
    return this.thought.step();
  },
  puzzles() { return { puzzles: this.sides.map(({ puzzles }) => puzzles) }; }, // with those that were typed
  overview({ from, side: number = 0 }) { // one puzzle at a time: each takes about as long as a question
    const side = this.sides[number], to = Math.min(from + 1, side.puzzles.length);
    if (from >= to) throw new Error(`There is no puzzle ${from + 1} in this page.`);
    return { from, to, total: side.puzzles.length, side: number, ...overviewPack(side, from, to) };
  },
};
