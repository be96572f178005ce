// What a page shows of a rollout, as bytes: the same arrays, in the same form, as `views.packs` in Python.

import { distance, sameNumbers } from "./session.js";
import { packBits } from "./rules.js";

const KINDS = new Map([[Float32Array, "f4"], [Int32Array, "i4"], [Uint8Array, "u1"]]);

export function packArrays(arrays) { // {name: [values, shape]}; those of 4-byte numbers lie first
  const order = Object.entries(arrays).sort(([, [a]], [, [b]]) => b.BYTES_PER_ELEMENT - a.BYTES_PER_ELEMENT);
  const size = order.reduce((sum, [, [values]]) => sum + values.byteLength, 0),
    bytes = new Uint8Array(4 * Math.ceil(size / 4)), places = [];
  let offset = 0;
  for (const [name, [values, shape]] of order) {
    places.push({ name, kind: KINDS.get(values.constructor), shape, offset });
    bytes.set(new Uint8Array(values.buffer, values.byteOffset, values.byteLength), offset);
    offset += values.byteLength;
  }
  return { arrays: places, bytes };
}

export const unpacked = (arrays, bytes) => (name) => { // the numbers of a named array
  const { kind, shape, offset } = arrays.find((array) => array.name === name);
  const Kind = [...KINDS].find(([, short]) => short === kind)[0], size = shape.reduce((a, b) => a * b, 1);
  return new Kind(bytes.slice(offset, offset + size * Kind.BYTES_PER_ELEMENT).buffer);
};

const finite = (v) => (Number.isFinite(v) ? v : 0);
const inBytes = (share) => Uint8Array.from(share, (v) => Math.round(255 * finite(v)));

function scaled(rows) { // arrays to bytes from the lowest to the highest of all, and these two
  let low = Infinity, high = -Infinity;
  for (const row of rows) for (const v of row) {
    low = Math.min(low, finite(v)); high = Math.max(high, finite(v));
  }
  const bytes = rows.map((row) => Uint8Array.from(row, (v) =>
    Math.round(((finite(v) - low) / (high - low || 1)) * 255)));
  return [bytes, [low, high]];
}

export const joined = (parts) => {
  const whole = new parts[0].constructor(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) { whole.set(part, at); at += part.length; }
  return whole;
};

const minus = (a, b) => a.map((value, i) => value - b[i]);
const squared = (a) => { let sum = 0; for (const v of a) sum += v * v; return sum; };
function cosine(a, b) { // not a number where one is missing or zero
  if (!a || !b) return NaN;
  let dot = 0;
  for (let i = 0; i < a.length; i++) dot += a[i] * b[i];
  return dot / (Math.sqrt(squared(a)) * Math.sqrt(squared(b)) || NaN);
}

// ---- principal components ----------------------------------------------------

function projection(mean, axes) { // vector → its coordinates along the axes
  const D = mean.length, count = axes.length / D;
  return (z, from = 0) => Float32Array.from({ length: count }, (_, k) => {
    let sum = 0;
    for (let d = 0; d < D; d++) sum += (z[from + d] - mean[d]) * axes[k * D + d];
    return sum;
  });
}

export class Axes { // of all puzzles, as Python fitted them
  constructor(names, D, found) { // found(name): a tensor's numbers
    const part = (kind, what, n) => {
      const values = found(`${kind}_${what}`), size = values.length / names.length;
      return values.subarray(n * size, (n + 1) * size);
    };
    const fitted = (kind) => Object.fromEntries(names.map((name, n) =>
      [name, projection(part(kind, "mean", n), part(kind, "axes", n))]));
    Object.assign(this, { D, pooled: fitted("pooled"), single: fitted("single") });
  }

  path(name, z) { // two coordinates of the mean over positions
    const { D } = this, S = z.length / D, mean = new Float64Array(D);
    for (let i = 0; i < z.length; i += D) for (let d = 0; d < D; d++) mean[d] += z[i + d];
    return this.pooled[name](mean.map((sum) => sum / S));
  }

  positions(name, z) { // three coordinates of each position: (3, S)
    const { D } = this, S = z.length / D, coordinates = new Float32Array(3 * S);
    for (let s = 0; s < S; s++) {
      const [first, second, third] = this.single[name](z, s * D);
      coordinates[s] = first; coordinates[S + s] = second; coordinates[2 * S + s] = third;
    }
    return coordinates;
  }
}

// ---- frames ------------------------------------------------------------------

// Of each own frame: which latent moved, by how much, and by how much the last time.
function* moves(rollout) {
  const { side, fork } = rollout, parent = rollout.parent ?? rollout, U = side.updates, moved = {},
    changed = rollout.edits.filter((edit) => edit.name).map((edit) => edit.name);
  const schedule = side.engine.schedule();
  if (fork === 0 && !changed.length) yield [0, null, null, null];
  // from a little before the fork, to know how latents moved there
  for (let f = Math.max(0, fork - 2 * U); f <= rollout.length; f++) {
    let which = null, before = null;
    const source = f <= fork ? parent : rollout;
    if (f) {
      which = schedule[(f - 1) % U].name;
      before = moved[which] ?? null;
      moved[which] = minus(source.latent(f, which), source.latent(f - 1, which));
    }
    if (f === fork && rollout.parent) {
      for (const name of changed) moved[name] = minus(rollout.latent(f, name), parent.latent(f, name));
      if (changed.length) yield [f, changed[0], moved[changed[0]], null];
      else if (f) yield [f, which, null, null];
    } else if (f >= Math.max(1, fork)) yield [f, which, moved[which], before];
  }
}

class Planes { // each board that a latent shows, and what its positions hold
  constructor() { Object.assign(this, { boards: [], norms: [], components: [], latents: [] }); }

  add(n, z, D, board, components) {
    this.boards.push(board); this.latents.push(n); this.components.push(components);
    this.norms.push(Float32Array.from({ length: z.length / D }, (_, s) =>
      Math.sqrt(squared(z.subarray(s * D, (s + 1) * D)) / D)));
    return this.boards.length - 1;
  }

  arrays(names) {
    const count = this.boards.length, S = this.norms[0].length, [norms, norm] = scaled(this.norms),
      components = [], scale = {};
    names.forEach((name, n) => {
      const mine = this.latents.flatMap((latent, plane) => (latent === n ? [plane] : []));
      if (!mine.length) return;
      const [bytes, ends] = scaled(mine.map((plane) => this.components[plane]));
      mine.forEach((plane, i) => { components[plane] = bytes[i]; });
      scale[name] = ends;
    });
    const board = (what) => [joined(this.boards.map((b) => b[what])), [count, this.boards[0].tokens.length]];
    const shown = { tokens: board("tokens"), confidence: board("confidence"),
      norm: [joined(norms), [count, S]],
      component: [joined(components), [count, 3, S]] };
    return { shown, scale: { norm, component: scale } };
  }
}

function decoded(side, z) { // the board that a latent shows
  const { tokens, share } = side.reader.board(side.engine.decode(z));
  return { tokens, confidence: inBytes(share) };
}

function frames(rollout) { // numbers about each update, and which plane shows each latent
  const { side, fork } = rollout, { names, axes, engine } = side, N = names.length,
    F = rollout.length - fork + 1, planes = new Planes(), numbers = () => new Float32Array(F).fill(NaN);
  const [halting, change, turn, toward] = [numbers(), numbers(), numbers(), numbers()],
    path = new Float32Array(2 * F), plane = new Int32Array(F * N), renewed = new Int32Array(F).fill(-1);
  const question = Uint8Array.from(rollout.trace.asked.question),
    blank = { tokens: question, confidence: new Uint8Array(question.length) };
  for (const [f, which, move, before] of moves(rollout)) {
    const k = f - fork;
    halting[k] = side.halting(rollout.latent(f, side.answer));
    turn[k] = cosine(move, before);
    change[k] = move ? Math.sqrt(squared(move) / move.length) : 0;
    names.forEach((name, n) => {
      if (k && f !== 1 && !rollout.renews(f, name)) { // as at the frame before
        plane[k * N + n] = plane[(k - 1) * N + n];
        return;
      }
      const z = rollout.latent(f, name), board = f ? decoded(side, z) : blank;
      plane[k * N + n] = planes.add(n, z, engine.D, board, axes.positions(name, z));
      if (name !== which) return;
      renewed[k] = n;
      toward[k] = cosine(z, rollout.latent(rollout.length, name));
      path.set(axes.path(name, z), 2 * k);
    });
  }
  const arrays = { halting: [halting, [F]], change: [change, [F]], turn: [turn, [F]], toward: [toward, [F]],
    path: [path, [F, 2]], plane: [plane, [F, N]], renewed: [renewed, [F]] };
  return { planes, arrays };
}

// ---- what the rules say ------------------------------------------------------

export function knownAnswer(rollout) { // the label, if it is known and the question is still its own
  const { side } = rollout, { question, label, edited } = rollout.trace.asked;
  if (!side.labelled || !label || label.every((token) => token < 0)) return null;
  const own = side.puzzles[rollout.puzzle].question;
  return edited && question.some((token, i) => token !== own[i]) ? null : label;
}

function judged(rollout, tokens, label) { // a board, by the rules
  const { rules } = rollout.side, { question } = rollout.trace.asked, answer = [...tokens],
    { wrong, verdict } = rules.judge(question, answer, label), flags = new Array(answer.length).fill(0);
  for (const cell of wrong) flags[cell] = 1;
  return { wrong: packBits(flags), verdict, marks: verdict === 3 ? {} : rules.marks(question, answer),
    scores: scoresOf(rules, question, answer, label) ?? {} };
}

function boards(rollout, planes) { // the question, its solution if that is known, and each plane's board
  const { rules } = rollout.side, { question } = rollout.trace.asked, label = knownAnswer(rollout),
    L = question.length, count = planes.length, known = new Map();
  const found = planes.map(({ tokens }) => {
    const key = tokens.join();
    if (!known.has(key)) known.set(key, judged(rollout, tokens, label));
    return known.get(key);
  });
  const rows = (parts) => [joined(parts), [count, parts[0].length]], [{ marks, scores }] = found,
    names = Object.keys(scores), arrays = {};
  if (names.length) arrays.scores = rows(found.map((board) =>
    Uint8Array.from(names, (name) => Number(board.scores[name]))));
  arrays.wrong = rows(found.map(({ wrong }) => wrong));
  arrays.verdict = [Uint8Array.from(found, ({ verdict }) => verdict), [count]];
  arrays.given = [rules.given(question), [L]];
  arrays.question = [Uint8Array.from(question), [L]];
  for (const name of Object.keys(marks)) arrays[name] = rows(found.map((board) => board.marks[name]));
  if (label) arrays.solution = [Uint8Array.from(label, (token) => Math.max(token, 0)), [L]];
  return { names, arrays };
}

function scoresOf(rules, question, answer, label) {
  const holds = rules.scores(question, answer);
  if (!holds) return null; // the question has no answer at all
  const more = label && (Object.keys(holds).length || !rules.decides);
  return more ? { ...holds, exact: rules.matches(question, answer, label) } : holds;
}

function taskOf(rollout) { // the task behind a run's identity
  const { side } = rollout, { rules } = side;
  if (!rules.identity) return {};
  const { question, identity } = rollout.trace.asked, name = side.identityName(identity),
    [task, code] = side.taskOf(name) ?? [name, null];
  const shown = (text) => rules.grid(rules.turned(rules.parse(text), code));
  const demonstrations = code ? (side.demonstrations[task] ?? []).map((pair) => pair.map(shown)) : [];
  return { task: { identity: name, name: task, how: code ? rules.inWords(code) : "", demonstrations,
    window: rules.window(question, question) } };
}

// ---- two rollouts ------------------------------------------------------------

export function divergence(a, b) { // {values (F, names), step, identical}, at the frames that both have
  const { names } = a.side, F = Math.min(a.length, b.length) + 1, N = names.length,
    values = new Float32Array(F * N), fork = b.parent === a ? b.fork : a.parent === b ? a.fork : 0;
  let same = true;
  names.forEach((name, n) => {
    for (let f = fork; f < F; f++) {
      const renewed = f === 0 || f === fork || a.renews(f, name) || b.renews(f, name),
        [x, y] = renewed ? [a.latent(f, name), b.latent(f, name)] : [];
      if (!renewed) values[f * N + n] = values[(f - 1) * N + n];
      else if (x !== y && !sameNumbers(x, y)) { values[f * N + n] = distance(x, y); same = false; }
    }
  });
  const [ours, theirs] = [a.trace.answers, b.trace.answers], steps = Math.max(a.steps, b.steps);
  const at = (answers, t) => answers[Math.min(t, answers.length - 1)];
  const differs = Array.from({ length: steps }, (_, t) => t)
    .find((t) => !sameNumbers(at(ours, t).tokens, at(theirs, t).tokens));
  const identical = same && a.steps === b.steps
    && ours.every(({ logits }, t) => sameNumbers(logits, theirs[t].logits));
  return { values, shape: [F, N], step: differs === undefined ? null : differs + 1, identical };
}

function apart(branch) { // from its parent, own frames only; not a number where the parent has ended
  const N = branch.side.names.length, F = branch.length - branch.fork + 1,
    values = new Float32Array(F * N).fill(NaN);
  values.set(divergence(branch.parent, branch).values.subarray(branch.fork * N).subarray(0, F * N));
  return [values, [F, N]];
}

// ---- the pack ----------------------------------------------------------------

export function summary(rollout) { // what JSON can hold of it
  rollout.told ??= summarised(rollout);
  return rollout.told;
}

function summarised(rollout) {
  const { side } = rollout, last = rollout.trace.answers.at(-1);
  return { run: side.key(rollout), puzzle: rollout.puzzle, side: side.number,
    parent: rollout.parent && side.key(rollout.parent), fork: rollout.fork, number: rollout.number,
    sentence: side.sentence(rollout), edits: rollout.edits, steps: rollout.steps, length: rollout.length,
    identical: rollout.identical, reached: rollout.steps < side.max_steps || last.stops };
}

export function packOf(rollout) { // all that the page shows of a rollout
  const { side } = rollout, found = frames(rollout), { shown, scale } = found.planes.arrays(side.names),
    rules = boards(rollout, found.planes.boards), { answers } = rollout.trace, steps = [answers.length];
  const signal = (name, Kind) => [Kind.from(answers, (answer) => Number(answer[name])), steps];
  const { arrays, bytes } = packArrays({ ...found.arrays, ...shown, ...rules.arrays,
    halt: signal("halt", Float32Array), least_confidence: signal("least", Float32Array),
    same: signal("same", Uint8Array), ...(rollout.parent ? { divergence: apart(rollout) } : {}) });
  return { ...summary(rollout), ...taskOf(rollout), scores: rules.names, arrays, scale, fitted: side.fitted,
    explained: side.explained, bytes };
}

export function cellPack(rollout, cell) { // by each latent, the probability of each token at every own frame
  const { side, fork } = rollout, { names, reader, engine } = side, { V } = reader,
    F = rollout.length - fork + 1, frame = names.length * V, share = new Uint8Array(F * frame);
  for (let k = 0; k < F; k++) names.forEach((name, n) => {
    const at = k * frame + n * V;
    if (k && !rollout.renews(fork + k, name)) share.copyWithin(at, at - frame, at - frame + V);
    else share.set(inBytes(reader.cell(engine.decode(rollout.latent(fork + k, name)), cell)), at);
  });
  return packArrays({ share: [share, [F, names.length, V]] });
}

const SIGNALS = { halt: Float32Array, least_confidence: Float32Array, same: Uint8Array, accepted: Uint8Array,
  stops: Uint8Array, solved: Uint8Array };

function signalsOf(root) { // what halting looks at after each step, and whether the answer is right
  const { side } = root, { rules } = side, label = knownAnswer(root), { question } = root.trace.asked;
  return side.allAnswers(root).map(({ halt, least, same, stops, tokens }) => {
    const found = rules.decides ? rules.check(question, [...tokens]) : null,
      accepted = Boolean(found?.legal && found.complete);
    const solved = label ? label.every((token, c) => token < 0 || token === tokens[c])
      : rules.decides ? accepted : 2;
    return { halt, least_confidence: least, same, accepted, stops, solved };
  });
}

export function overviewPack(side, from, to) { // of some puzzles
  const rows = Array.from({ length: to - from }, (_, i) => signalsOf(side.root(from + i))).flat();
  const column = ([name, Kind]) => [name, [Kind.from(rows, (row) => Number(row[name])),
    [to - from, side.max_steps]]];
  return packArrays(Object.fromEntries(Object.entries(SIGNALS).map(column)));
}
