// One puzzle, supervision step by supervision step, as itself or in another view: its digits renamed and its
// lines reordered, a maze turned or mirrored. What is answered is always about the puzzle as it was asked.

import { chance } from "./chance.js";
import { applied, undone } from "./rules.js";

export class Thought {
  constructor(side, question, view) { // view: a number; 0 is the puzzle as it is
    const { rules, engine } = side;
    this.symmetry = view && rules.symmetry ? rules.symmetry(chance(view), view) : null;
    const asked = this.symmetry ? applied(this.symmetry, question) : question;
    Object.assign(this, { side, question, x: engine.embed(asked, 0), state: engine.start(), answer: null,
      steps: 0, milliseconds: 0 });
  }

  restored(values) { // by cell of the puzzle as it was asked
    if (!this.symmetry) return [...values];
    return undone({ ...this.symmetry, tokens: null }, values);
  }

  step() { // a supervision step, and what its answer says
    const { side, question, symmetry } = this, begun = performance.now();
    this.state = side.engine.step(this.x, this.state);
    this.answer = side.read(this.state, this.answer);
    this.steps++; this.milliseconds += performance.now() - begun;
    const { halt, stops } = this.answer, tokens = symmetry ? undone(symmetry, this.answer.tokens)
      : [...this.answer.tokens];
    const found = side.rules.check(question, tokens);
    return { step: this.steps, tokens, sure: this.restored(this.answer.share), halt, stops,
      milliseconds: this.milliseconds, wrong: found?.wrong ?? [], why: found?.why ?? "",
      solved: Boolean(found?.legal && found.complete) };
  }
}
