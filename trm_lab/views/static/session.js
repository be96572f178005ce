// What a notebook's session does, without Python: rollouts of a model on some puzzles, and for each of them
// the tree of what was tried. A frame is counted as in data.js: 0 is the question, f what stands after the
// f-th update; `kept` has the latents that changed at each frame of a rollout's own.

import { Engine } from "./engine.js";
import { normal } from "./chance.js";
import { rulesOf } from "./types.js";

const REMEMBERED = 256e6; // bytes of latents, beyond which the oldest rollouts are computed again
const BLANK_IDENTITY = "<blank>", MEAN_IDENTITY = "<mean>", NOT_COUNTED = -100;
const LATENT_EDITS = ["ZeroAblation", "MeanAblation", "Noise", "ActivationPatch"];

export const sameNumbers = (a, b) => a.length === b.length && a.every((value, i) => Object.is(value, b[i]));
export function distance(a, b) { // root mean square
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += (a[i] - b[i]) ** 2;
  return Math.sqrt(sum / a.length);
}

// ---- what an answer says -----------------------------------------------------

const sigmoid = (logit) => Math.fround(1 / (1 + Math.exp(-logit)));

const WEIGHTS = { // what turns a cell's logits into shares, as `models.losses` has it
  softmax: (logits, at, V) => {
    let most = -Infinity;
    for (let v = 0; v < V; v++) most = Math.max(most, logits[at + v]);
    return (v) => Math.exp(logits[at + v] - most);
  },
  stablemax: (logits, at) => (v) => (logits[at + v] < 0 ? 1 / (1 - logits[at + v]) : logits[at + v] + 1),
};

export class Reader { // tokens and probabilities from logits
  constructor(loss, V) { Object.assign(this, { weight: WEIGHTS[loss], V }); }

  cell(logits, cell) { // the probability of each token
    const { V } = this, weight = this.weight(logits, cell * V, V),
      weights = Float64Array.from({ length: V }, (_, v) => weight(v));
    const sum = weights.reduce((a, b) => a + b, 0);
    return weights.map((w) => w / sum);
  }

  board(logits) { // {tokens, share: of each cell's token}
    const { V } = this, cells = logits.length / V, tokens = new Uint8Array(cells),
      share = new Float64Array(cells);
    for (let i = 0; i < cells; i++) {
      let best = 0;
      for (let v = 1; v < V; v++) if (logits[i * V + v] > logits[i * V + best]) best = v;
      tokens[i] = best; share[i] = this.cell(logits, i)[best];
    }
    return { tokens, share };
  }
}

// ---- rollouts ----------------------------------------------------------------

class Rollout {
  constructor(side, { puzzle, number = null, parent = null, fork = 0, edits = [] }) {
    Object.assign(this, { side, puzzle, number, parent, fork, edits });
  }

  get key() { return this.parent ? `${this.puzzle}.${this.number}` : `${this.puzzle}`; }
  get title() {
    const puzzle = `puzzle ${this.puzzle + 1}`;
    return this.parent ? `branch ${this.number} of ${puzzle}` : puzzle;
  }
  get trace() { return this.side.trace(this); }
  get steps() { return this.trace.answers.length; }
  get length() { return this.steps * this.side.updates; }

  latent(frame, name) { // S·D numbers
    const { kept } = this.trace;
    for (let f = frame; f >= this.fork; f--) if (kept[f - this.fork][name]) return kept[f - this.fork][name];
    return this.parent.latent(Math.min(frame, this.fork), name);
  }
  state(frame) {
    return Object.fromEntries(this.side.names.map((name) => [name, this.latent(frame, name)]));
  }
  renews(frame, name) { // does a frame of its own bring another latent of that name?
    return frame >= this.fork && Boolean(this.trace.kept[frame - this.fork][name]);
  }

  get identical() { // to its parent, bit for bit
    if (!this.parent) return null;
    const { parent } = this, [ours, theirs] = [this.trace.answers, parent.trace.answers];
    if (ours.length !== theirs.length) return false;
    return ours.every(({ logits }, t) => sameNumbers(logits, theirs[t].logits))
      && this.side.names.every((name) => {
        for (let f = this.fork; f <= this.length; f++)
          if (!sameNumbers(this.latent(f, name), parent.latent(f, name))) return false;
        return true;
      });
  }
}

// ---- a model with its puzzles ------------------------------------------------

export class Side {
  constructor(live, header, number, bytes) { // what `views.live.live_side` and the page's header say
    const shown = header.sides[number];
    Object.assign(this, { ...live, header, number, prefix: number ? "B:" : "", names: shown.names,
      answer: shown.answer, max_steps: shown.max_steps, updates: shown.updates.length,
      engine: new Engine(live.model, bytes), rules: rulesOf(live.puzzle, header),
      reader: new Reader(live.loss, live.model.vocab_size), roots: new Map(), branches: [],
      traces: new Map(), loaded: live.puzzles.length });
  }

  key(rollout) { return this.prefix + rollout.key; }
  root(puzzle) {
    if (!this.puzzles[puzzle]) throw new Error(`There is no puzzle ${puzzle + 1} in this page.`);
    if (!this.roots.has(puzzle)) this.roots.set(puzzle, new Rollout(this, { puzzle }));
    return this.roots.get(puzzle);
  }
  rollout(key) {
    const found = this.branches.find((branch) => branch.key === key);
    if (found) return found;
    if (/^\d+$/.test(key)) return this.root(Number(key));
    throw new Error(`There is no rollout ${key} in this page.`);
  }

  add(question, identity) { // a puzzle that was typed, or is here already: its number
    const known = this.puzzles.findIndex((puzzle) => puzzle.identity === identity
      && puzzle.question.join() === question.join());
    return known >= 0 ? known : this.puzzles.push({ question, label: null, identity }) - 1;
  }

  // ---- computing -------------------------------------------------------------

  trace(rollout) { // remembered, or computed again: the same numbers
    const { traces } = this, found = traces.get(rollout) ?? this.compute(rollout);
    traces.delete(rollout); traces.set(rollout, found);
    let taken = 0;
    for (const { bytes } of traces.values()) taken += bytes;
    for (const [old, { bytes }] of [...traces].slice(0, -1)) if (taken > REMEMBERED) {
      traces.delete(old); taken -= bytes;
    }
    return found;
  }

  compute(rollout) {
    const { engine, updates } = this, { parent, fork, edits } = rollout, before = parent?.trace;
    const asked = edits.reduce((now, edit) => this.asked(now, edit),
      before?.asked ?? this.puzzles[rollout.puzzle]);
    const x = engine.embed(asked.question, asked.identity);
    let state = parent ? this.edited(parent.state(fork), rollout) : engine.start();
    const kept = [parent ? this.changed(parent.state(fork), state) : state],
      first = Math.max(1, Math.ceil(fork / updates)), answers = before?.answers.slice(0, first - 1) ?? [];
    for (let step = first, done = fork; step <= this.max_steps; step++, done = (step - 1) * updates) {
      const watch = (u, now) => { kept.push({ [u.name]: now[u.name] }); };
      state = engine.step(x, state, watch, done - (step - 1) * updates);
      answers.push(this.read(state, answers.at(-1)));
      if (this.rule.ends && answers.at(-1).stops) break;
    }
    const bytes = kept.reduce((sum, latents) => sum + 4 * Object.values(latents).length * x.length, 0);
    return { asked, kept, answers, bytes };
  }

  allAnswers(rollout) { // of all steps, also where the halting rule ends the rollout before
    const answers = [...rollout.trace.answers], { question, identity } = rollout.trace.asked,
      x = this.engine.embed(question, identity);
    let state = answers.length < this.max_steps ? rollout.state(rollout.length) : null;
    while (answers.length < this.max_steps) {
      state = this.engine.step(x, state);
      answers.push(this.read(state, answers.at(-1)));
    }
    return answers;
  }

  changed(before, after) {
    return Object.fromEntries(Object.entries(after).filter(([name, z]) => z !== before[name]));
  }

  belief([halt, more]) { return sigmoid(this.rule.compares ? Math.fround(halt - more) : halt); }
  halting(z) { return this.belief(this.engine.halt(z)); } // anywhere; z: the answer's latent

  read(state, before) { // what stands after a supervision step
    const z = state[this.answer], logits = this.engine.decode(z), halt = this.halting(z);
    const { tokens, share } = this.reader.board(logits), least = Math.fround(Math.min(...share));
    const same = Boolean(before) && sameNumbers(tokens, before.tokens), { threshold, certain } = this.rule;
    const stops = halt > Math.fround(threshold) && (!certain || same || least > Math.fround(certain));
    return { logits, tokens, share, halt, least, same, stops };
  }

  // ---- edits -----------------------------------------------------------------

  asked(now, edit) { // {question, label, identity} with an edit of the question
    if (edit.kind === "Given") {
      const question = [...now.question];
      question[edit.cell] = edit.token;
      return { ...now, question, edited: true };
    }
    if (edit.kind !== "Identity") return now;
    const identity = this.row(edit), turn = (board) => board && this.turned(board, now.identity, identity);
    return { ...now, identity, ...(edit.turn
      ? { question: turn(now.question), label: turn(now.label)?.map((t) => t || NOT_COUNTED) } : {}) };
  }

  row({ identity }) { // of the puzzle embedding; null: the mean of all
    if (identity === MEAN_IDENTITY) return null;
    const row = typeof identity === "number" ? identity : this.identities?.indexOf(identity) ?? -1;
    if (row < 0) throw new Error(`This model has no identity ${identity}.`);
    return row;
  }
  identityName(row) { return row === null ? MEAN_IDENTITY : this.identities?.[row] ?? `identity ${row}`; }
  taskOf(name) { // [task, code], or null where it is no task's
    return this.identities?.slice(1).includes(name) && this.rules.identity ? this.rules.identity(name) : null;
  }
  turned(board, from, to) { // a board in another augmentation of its task
    const [before, after] = [from, to].map((row) => this.taskOf(this.identityName(row)));
    if (!before || !after || before[0] !== after[0]) throw new Error("The question can be turned only to "
      + `another augmentation of the task that it is asked as, ${this.identityName(from)}; leave turn out.`);
    const { rules } = this, plain = board.map((token) => Math.max(token, 0));
    return rules.turned(rules.restored(plain, before[1]), after[1]);
  }

  edited(state, rollout) {
    let now = state;
    for (const edit of rollout.edits) if (LATENT_EDITS.includes(edit.kind)) {
      const z = now[edit.name].slice(), value = this.value(edit, z, rollout), { D, P } = this.engine;
      const put = (from, to) => z.set(value.subarray(from, to), from);
      if (!edit.cells) z.set(value);
      else for (const cell of edit.cells) put((P + cell) * D, (P + cell + 1) * D);
      now = { ...now, [edit.name]: z };
    }
    return now;
  }

  value(edit, z, rollout) { // what a latent is replaced by
    if (edit.kind === "ZeroAblation") return new Float32Array(z.length);
    if (edit.kind === "Noise") return normal(z.length, edit.seed).map((v) => Math.fround(edit.size) * v);
    if (edit.kind === "MeanAblation") return this.mean(rollout.fork, edit.name);
    const other = this.patchedFrom(edit, rollout.fork);
    return other.latent(rollout.fork, edit.name);
  }

  patchedFrom(edit, frame) {
    const other = this.rollout(edit.of.replace(/^B:/, ""));
    if (edit.of.startsWith("B:") !== Boolean(this.prefix))
      throw new Error("A latent can be taken only from a rollout of the same model.");
    if (frame > other.length)
      throw new Error(`${other.title} ended with supervision step ${other.steps}; choose an earlier site.`);
    return other;
  }

  mean(frame, name) { // over the puzzles that came with the page and are still there
    const sum = new Float64Array(this.engine.S * this.engine.D);
    let count = 0;
    for (let i = 0; i < this.loaded; i++) if (frame <= this.root(i).length) {
      const z = this.root(i).latent(frame, name);
      for (let k = 0; k < z.length; k++) sum[k] += z[k];
      count++;
    }
    return Float32Array.from(sum, (v) => v / count);
  }

  refuse(edit, frame) { // throws an error if this cannot be done there
    const { header, rules, names } = this, cells = edit.cells ?? [];
    const wrong = (sentence) => { throw new Error(`This change cannot be made: ${sentence}.`); };
    if (edit.kind === "Identity") return void this.row(edit);
    if (edit.kind === "Given" && !header.askable.includes(edit.token))
      wrong(`a question of ${header.title} does not hold the token ${edit.token}`);
    for (const cell of edit.kind === "Given" ? [edit.cell] : cells)
      if (!Number.isInteger(cell) || cell < 0 || cell >= rules.cells) wrong(`there is no cell ${cell}`);
    if (edit.kind === "Given") return undefined;
    if (!LATENT_EDITS.includes(edit.kind)) wrong(`the kind ${edit.kind} is not known`);
    if (!names.includes(edit.name)) wrong(`there is no latent ${edit.name}`);
    if (edit.kind === "Noise" && !(edit.size >= 0 && Number.isFinite(edit.size)))
      wrong("the size of noise should be a standard deviation of 0 or more");
    if (edit.kind === "Noise" && !(Number.isInteger(edit.seed) && edit.seed >= 0))
      wrong("a seed should be a whole number of 0 or more");
    if (edit.kind === "ActivationPatch") this.patchedFrom(edit, frame);
    return undefined;
  }

  branch(rollout, frame, edits) {
    if (!Number.isInteger(frame) || frame < 0 || frame > rollout.length)
      throw new Error(`${rollout.title} has no frame ${frame}; choose from 0 to ${rollout.length}.`);
    while (rollout.parent && frame < rollout.fork) rollout = rollout.parent;
    for (const edit of edits) this.refuse(edit, frame);
    const number = this.branches.length + 1;
    const branch = new Rollout(this, { puzzle: rollout.puzzle, number, parent: rollout, fork: frame, edits });
    this.trace(branch);
    this.branches.push(branch);
    return branch;
  }

  recall(told) { // a branch that was made before, as its summary says; computed when it is asked for
    const parent = this.rollout(told.parent.replace(/^B:/, ""));
    this.branches.push(Object.assign(new Rollout(this, { ...told, parent }), { told }));
  }

  // ---- in words --------------------------------------------------------------

  sentence(rollout) {
    if (!rollout.parent) return "nothing changed";
    const { fork, edits } = rollout, updates = this.header.sides[this.number].updates,
      [cycle, substep, which] = updates[(fork - 1 + this.updates) % this.updates];
    const where = fork ? `after step ${Math.ceil(fork / this.updates)}, cycle ${cycle + 1}, `
      + `substep ${substep + 1} (${this.names[which]})` : "before the first update";
    return `${where}: ${edits.map((edit) => this.words(edit)).join("; ") || "resumed unchanged"}`;
  }

  words(edit) {
    const { rules, header } = this, cells = edit.cells ?? null, place = cells === null ? ""
      : ` in ${cells.length === 1 ? rules.at(cells[0]) : `${cells.length} cells`}`;
    const puzzles = `${this.loaded} puzzle${this.loaded === 1 ? "" : "s"}`;
    return { Given: () => `${rules.at(edit.cell)} of the question set to ${header.vocab[edit.token]}`,
      ZeroAblation: () => `${edit.name}${place} set to zero`,
      MeanAblation: () => `${edit.name}${place} set to its mean over ${puzzles}`,
      Noise: () => `${edit.name}${place} set to noise of size ${edit.size} (seed ${edit.seed})`,
      ActivationPatch: () => `${edit.name}${place} taken from ${this.patchedFrom(edit, 0).title}`,
      Identity: () => this.identityWords(edit) }[edit.kind]();
  }

  identityWords(edit) {
    const name = this.identityName(this.row(edit)), [task, code] = this.taskOf(name) ?? [name, null],
      how = code ? this.rules.inWords(code) : "";
    const said = { [MEAN_IDENTITY]: "the mean of all", [BLANK_IDENTITY]: "the blank one" }[name] ?? task;
    return `identity set to ${said}${how ? `, ${how}` : ""}${edit.turn ? ", and the question with it" : ""}`;
  }
}
