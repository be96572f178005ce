// The present view in the page's address, so that a moment can be sent to somebody who has the same page.
// `puzzle` counts from 1, `board` is a typed one; `step` is a supervision step, `update` a single one;
// `edits` and `beside` say what was changed on the way to A and B: [[frame, edits], …].

import { text } from "./board.js";
import { gridText } from "./task.js";

export function questionText(app, run) { // a run's question as it is typed
  const { header } = app, { question } = run.answer(0);
  return header.tasks ? gridText(header, question, run.meta.task.window)
    : text(header, question).replaceAll(" ", ".");
}

export class Address {
  constructor(app) {
    // nothing is written before it was read: a slow model would lose what somebody sent
    this.app = app; this.written = null; this.waiting = 0; this.known = !location.hash;
    window.addEventListener("hashchange", () => { if (location.hash !== this.written) this.read(); });
  }

  chain(key) { // how a run is made from its root
    const meta = this.app.tree.metas.get(key);
    return meta ? [...this.chain(meta.parent), [meta.fork, meta.edits]] : [];
  }

  view() { // by name, text
    const { app } = this, { state, run, tree } = app, root = tree.runs.get(tree.root(state.puzzle)) ?? run,
      typed = state.puzzle >= app.loaded;
    const found = typed ? { board: questionText(app, root) } : { puzzle: state.puzzle + 1 }, at = state.frame;
    if (typed && root.meta.task) found.identity = root.meta.task.identity;
    if (at && at % run.updates === 0) found.step = at / run.updates;
    else if (at) found.update = at;
    if (state.panel !== "path") found.panel = state.panel;
    if (state.reading !== run.side.answer) found.reading = state.reading;
    if (state.cell !== null) found.cell = state.cell + 1;
    if (app.tour.at) found.tour = app.tour.at;
    for (const [name, key] of [["edits", state.run], ["beside", state.beside]]) {
      const steps = key === null || key.startsWith("B:") ? null : this.chain(key);
      if (steps && (steps.length || name === "beside")) found[name] = JSON.stringify(steps);
    }
    return found;
  }

  write() { // soon, and once for many steps
    if (!this.known) return;
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      const { run } = this.app;
      if (!run) return;
      this.written = `#${new URLSearchParams(this.view())}`;
      if (location.hash !== this.written) history.replaceState(null, "", this.written);
    }, 300);
  }

  async read() { // go where the address says; what it names and this page cannot do is said in a sentence
    const wanted = new URLSearchParams(location.hash.slice(1)), number = (name) => {
      const value = wanted.get(name);
      return value !== null && /^\d+$/.test(value) ? Number(value) : null;
    };
    try { if ([...wanted.keys()].length) await this.go(wanted, number); } finally { this.known = true; }
  }

  async go(wanted, number) {
    const { app } = this;
    if (wanted.has("board")) await app.openTyped(wanted.get("board"), wanted.get("identity"));
    else if (app.header.puzzles[number("puzzle") - 1]) await app.open(app.tree.root(number("puzzle") - 1));
    if (wanted.has("edits")) await app.open(await this.follow(wanted.get("edits")));
    if (wanted.has("beside")) await app.openBeside(await this.follow(wanted.get("beside")));
    const { run, header } = app, change = {}, step = number("step"), update = number("update"),
      cell = number("cell");
    if (step !== null || update !== null)
      change.frame = Math.min(run.length, step !== null ? run.end(step) : update);
    if (app.panels[wanted.get("panel")]) change.panel = wanted.get("panel");
    if (app.readable(run).includes(wanted.get("reading"))) change.reading = wanted.get("reading");
    if (cell !== null && cell > 0 && cell <= header.rows * header.cols) change.cell = cell - 1;
    app.show(change);
    if (number("tour")) app.tour.go(number("tour"));
  }

  async follow(steps) { // the run that a chain of edits makes, which may be here already
    const { tree, state } = this.app;
    let key = tree.root(state.puzzle);
    for (const [frame, edits] of JSON.parse(steps)) {
      const known = [...tree.metas.values()].find((meta) => meta.parent === key && meta.fork === frame
        && JSON.stringify(meta.edits) === JSON.stringify(edits));
      if (!known && !tree.kernel)
        throw new Error("This page cannot compute the branch that its address names.");
      key = known ? known.run : (await tree.branch(await tree.open(key), frame, edits)).key;
    }
    return key;
  }
}
