// The present view in the page's address, so that a moment can be sent to somebody who has the same page.
// `puzzle` counts from 1, `board` is a typed one; `step` is a supervision step, `update` a single one;
// `edits` and `beside` say what was changed on the way to A and B: [[frame, edits], …], after a "B" where it
// is a run of the second model. The rest is the state of the same name, where it is not as a page begins.

import { text } from "./board.js";
import { POLICIES } from "./halting.js";
import { COMPONENTS } from "./latents.js";
import { gridText } from "./task.js";

export function questionText(app, run) { // a run's question as it is typed
  const { header } = app, { question } = run.answer(0);
  return header.tasks ? gridText(header, question, run.meta.task.window)
    : text(header, question).replaceAll(" ", ".");
}

export class Address {
  constructor(app) {
    // nothing is written before it was read: a slow model would lose what somebody sent
    this.app = app; this.here = location.hash; this.waiting = 0; this.known = false;
    window.addEventListener("hashchange", () => { if (location.hash !== this.here) this.read(); });
  }

  chain(key) { // how a run is made from its root
    const { metas } = this.app.tree, meta = metas.get(key), name = (edit) => (metas.has(edit.of)
      ? { ...edit, of: { puzzle: metas.get(edit.of).puzzle, steps: this.chain(edit.of) } } : edit);
    return meta ? [...this.chain(meta.parent), [meta.fork, meta.edits.map(name)]]
      : key.startsWith("B:") ? ["B"] : [];
  }

  get choices() { // of what is one of a few: [as a page begins, what there is]
    const { app } = this, heads = Array.from({ length: 64 }, (_, h) => String(h));
    return { mark: ["update", app.markable().map(([mark]) => mark)], policy: ["given", Object.keys(POLICIES)],
      latent: ["renewed", ["renewed", ...app.run.side.names]], component: ["0", COMPONENTS.map(([c]) => c)],
      head: ["mean", ["mean", ...heads]], follows: ["A", app.other ? ["A", "B"] : ["A"]],
      probes: ["off", app.findings.offered ? ["off", "on"] : ["off"]] };
  }
  get model() { // or models, as the header names them
    return this.app.header.sides.map(({ model }) => model.replace(/, [\d,]+ parameters$/, "")).join(" and ");
  }

  view() { // by name, text
    const { app } = this, { state, run, tree } = app, root = tree.runs.get(tree.root(state.puzzle)) ?? run,
      typed = state.puzzle >= app.loaded;
    const found = { model: this.model };
    Object.assign(found, typed ? { board: questionText(app, root) } : { puzzle: state.puzzle + 1 });
    const at = state.frame;
    if (typed && root.meta.task) found.identity = root.meta.task.identity;
    if (at && at % run.updates === 0) found.step = at / run.updates;
    else if (at) found.update = at;
    if (state.panel !== "path") found.panel = state.panel;
    if (state.reading !== run.side.answer) found.reading = state.reading;
    if (state.cell !== null) found.cell = state.cell + 1;
    if (app.tour.at) found.tour = app.tour.at;
    for (const [name, [usual]] of Object.entries(this.choices))
      if (state[name] !== usual) found[name] = state[name];
    if (state.channel) found.channel = state.channel;
    if (state.threshold !== null) found.threshold = state.threshold;
    if (state.policy === "fixed") found.count = state.count;
    for (const [name, key] of [["edits", state.run], ["beside", state.beside]]) {
      const steps = key === null ? null : this.chain(key);
      if (steps && (steps.length || name === "beside")) found[name] = JSON.stringify(steps);
    }
    return found;
  }

  write() { // soon, and once for many steps
    if (!this.known) return;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      // somebody's address is about to be read, or there is nothing to write yet
      if (!this.app.run || location.hash !== this.here) return;
      const moment = `#${new URLSearchParams(this.view())}`;
      if (location.hash !== moment) history.replaceState(null, "", moment);
      this.here = location.hash;
    }, 300);
  }

  async read() { // go where the address says; what it names and this page cannot do is said in a sentence
    this.here = location.hash;
    const wanted = new URLSearchParams(location.hash.slice(1)), number = (name) => {
      const value = wanted.get(name);
      return value !== null && /^\d+$/.test(value) ? Number(value) : null;
    };
    try { if ([...wanted.keys()].length) await this.go(wanted, number); }
    catch (error) { this.app.notify(error.message); }
    this.known = true;
  }

  async go(wanted, number) {
    const { app } = this;
    if (wanted.has("model") && wanted.get("model") !== this.model)
      throw new Error(`This address is about ${wanted.get("model")}, and this page has ${this.model}; open `
        + "the page that it came from.");
    if (wanted.has("board")) await app.openTyped(wanted.get("board"), wanted.get("identity"));
    else if (app.header.puzzles[number("puzzle") - 1]) await app.open(app.tree.root(number("puzzle") - 1));
    if (wanted.has("edits")) await app.open(await this.follow(JSON.parse(wanted.get("edits"))));
    if (wanted.has("beside")) await app.openBeside(await this.follow(JSON.parse(wanted.get("beside"))));
    const { run, header } = app, change = {}, step = number("step"), update = number("update"),
      cell = number("cell");
    if (step !== null || update !== null)
      change.frame = Math.min(run.length, step !== null ? run.end(step) : update);
    if (app.panels[wanted.get("panel")]) change.panel = wanted.get("panel");
    if (app.readable(run).includes(wanted.get("reading"))) change.reading = wanted.get("reading");
    if (cell !== null && cell > 0 && cell <= header.rows * header.cols) change.cell = cell - 1;
    for (const [name, [, known]] of Object.entries(this.choices))
      if (known.includes(wanted.get(name))) change[name] = wanted.get(name);
    for (const name of ["channel", "count"]) if (number(name) !== null) change[name] = number(name);
    const threshold = Number(wanted.get("threshold") ?? NaN);
    if (threshold >= 0 && threshold <= 1) change.threshold = threshold;
    app.show(change);
    if (number("tour")) app.tour.go(number("tour"));
  }

  // the run that a chain of edits makes, which may be here already
  async follow(steps, puzzle = this.app.state.puzzle) {
    const { tree } = this.app, second = steps[0] === "B", resolved = async (edit) => (edit.of?.steps
      ? { ...edit, of: await this.follow(edit.of.steps, edit.of.puzzle) } : edit);
    let key = tree.root(puzzle, second ? 1 : 0);
    for (const [frame, named] of steps.slice(second ? 1 : 0)) {
      const edits = await Promise.all(named.map(resolved));
      const known = [...tree.metas.values()].find((meta) => meta.parent === key && meta.fork === frame
        && JSON.stringify(meta.edits) === JSON.stringify(edits));
      if (!known && !tree.kernel)
        throw new Error("This page cannot compute the branch that its address names.");
      key = known ? known.run : (await tree.branch(await tree.open(key), frame, edits)).key;
    }
    return key;
  }
}
