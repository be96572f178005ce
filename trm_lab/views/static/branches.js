// What was changed, and what came of it: the form for edits, the tree of runs, and A beside B.

import { KEYS, button, choose, figure, labelled, lineChart, make, number, plural, refill,
  short } from "./page.js";
import { cellName } from "./board.js";
import { firstDifference, unpack } from "./data.js";

const KINDS = { Given: "a given", ZeroAblation: "a latent to zero", Noise: "a latent to noise",
  ActivationPatch: "a latent from another rollout", MeanAblation: "a latent to its mean" };
const OTHERS = [["<blank>", "blank: no task"], ["<mean>", "the mean of all"]]; // identities beside the tasks'

export class Branches {
  constructor(app) {
    const { header } = app;
    this.app = app; this.edits = []; this.far = new Map(); this.failed = new Map();
    this.tasks = new Map(header.identities);
    this.kind = choose("what to change", [...Object.entries(KINDS),
      ...(this.tasks.size ? [["Identity", "the identity"]] : [])], "Given", () => this.aim());
    this.task = choose("which task", [...OTHERS, ...[...this.tasks.keys()].map((task) => [task, task])],
      OTHERS[0][0], () => app.draw());
    this.version = choose("in which augmentation", [], "", () => {});
    this.turn = make("input", { type: "checkbox", "aria-label": "turn the question with it", ...KEYS });
    this.cell = make("output", {});
    this.token = choose("token", header.askable.map((t) => [t, header.vocab[t]]),
      header.askable[0], () => {});
    this.name = choose("latent", [], "", () => {});
    this.size = number("standard deviation of the noise",
      { min: 0, max: 100, step: 0.1, value: 1 }, () => {});
    this.seed = number("seed of the noise", { min: 0, max: 1e9, step: 1, value: 0 }, () => {});
    this.of = choose("from which rollout", [], "", () => {});
    this.which = choose("at which cells",
      [["all", "all positions"], ["chosen", "chosen cells"]], "all", () => this.aim());
    this.add = button("Add", "add this change", () => this.append());
    this.list = make("ul", { class: "trm-edits", "aria-label": "changes to be made" });
    this.resume = button("Resume from here",
      "go on from the present site with these changes, as a branch", () => this.go());
    this.resume.classList.add("trm-primary");
    this.here = make("span", {});
    this.fields = { Given: labelled("", this.cell, this.token), name: labelled("", this.name),
      size: labelled("size", this.size), seed: labelled("seed", this.seed), of: labelled("of", this.of),
      which: labelled("at", this.which), task: labelled("of", this.task),
      version: labelled("", this.version), turn: labelled("turn the question", this.turn) };
    this.editor = make("div", { class: "trm-editor" },
      make("div", { class: "trm-controls" },
        labelled("change", this.kind), ...Object.values(this.fields), this.add),
      this.list, make("div", { class: "trm-controls" }, this.resume, this.here));
    this.tree = make("ul", { class: "trm-tree", "aria-label": "runs of this puzzle" });
    this.says = make("p", { class: "trm-says" });
    this.divergence = figure("divergence of B from A (root mean square)");
    this.element = make("div", { class: "trm-panel" }, this.editor, this.tree,
      this.says, this.divergence.element);
    this.missing = !app.tree.kernel
      ? "Changing and resuming need a kernel; this page has none. The runs that were saved with it are below."
      : header.refused ? `Nothing can be changed here: ${header.refused}.` : "";
    if (this.missing) this.editor.replaceChildren(make("p", { class: "trm-says" }, this.missing));
  }

  // does a click choose cells for the edit?
  aim() {
    const latent = !["Given", "Identity"].includes(this.kind.value);
    this.app.show({ choosing: latent && this.which.value === "chosen" });
  }

  form() { // only what the chosen kind of change needs
    const kind = this.kind.value, identity = kind === "Identity", latent = kind !== "Given" && !identity,
      versions = this.tasks.get(this.task.value), needs = { Given: kind === "Given", name: latent,
      size: kind === "Noise", seed: kind === "Noise", of: kind === "ActivationPatch", which: latent,
        task: identity, version: identity && Boolean(versions), turn: identity && Boolean(versions) };
    if (versions) refill(this.version, versions, versions.some(([name]) => name === this.version.value)
      ? this.version.value : versions[0][0]);
    for (const [name, field] of Object.entries(this.fields)) field.hidden = !needs[name];
  }

  append() {
    const { state, header, notify } = this.app, kind = this.kind.value,
      cells = this.which.value === "chosen" ? [...state.chosen].sort((a, b) => a - b) : null;
    if (kind === "Given" && state.cell === null)
      return notify("Choose the cell first: click it on the board.");
    if (!["Given", "Identity"].includes(kind) && cells && !cells.length)
      return notify("Choose cells first: click them on the board.");
    const where = cells
      ? ` at ${cells.length === 1 ? cellName(header, cells[0]) : plural(cells.length, "cell", "cells")}` : "",
      name = this.name.value;
    const edit = { Given: { cell: state.cell, token: Number(this.token.value) },
      ZeroAblation: { name, cells },
      Noise: { name, size: this.size.valueAsNumber, seed: this.seed.valueAsNumber, cells },
      ActivationPatch: { name, of: this.of.value, cells }, MeanAblation: { name, cells },
      Identity: { identity: this.tasks.has(this.task.value) ? this.version.value : this.task.value,
        turn: this.tasks.has(this.task.value) && this.turn.checked } }[kind];
    const says = { Given: () => `${cellName(header, state.cell)} becomes ${header.vocab[edit.token]}`,
      ZeroAblation: () => `${name} to zero${where}`,
      Noise: () => `${name} to noise of size ${edit.size}${where}`,
      ActivationPatch: () => `${name} from ${this.app.tree.name(edit.of)}${where}`,
      MeanAblation: () => `${name} to its mean over puzzles${where}`,
      Identity: () => this.identityText(edit) }[kind]();
    this.edits.push({ says, edit: { kind, ...edit } });
    return this.app.draw();
  }

  identityText({ turn }) {
    const chosen = (select) => select.selectedOptions[0].textContent,
      version = this.tasks.has(this.task.value) ? `, ${chosen(this.version)}` : "";
    return `identity becomes ${chosen(this.task)}${version}${turn ? ", the question with it" : ""}`;
  }

  async go() {
    const { app } = this, { run, frame } = app.followed;
    const made = await app.busy(
      app.tree.branch(run, frame, this.edits.map(({ edit }) => edit)), "resuming");
    if (!made) return;
    this.edits = [];
    if (run === app.run) app.show({ beside: made.key, chosen: new Set(), choosing: false });
    else app.show({ run: run.key, beside: made.key, frame, follows: "A", chosen: new Set(),
      choosing: false });
  }

  // {names, values (frames, names)} of A against B, as far as both go: from B's own bytes, or A's, or the
  // kernel; null while it is not here
  apart(a, b) {
    const [child, parent] = b.parent === a ? [b, a] : a.parent === b ? [a, b] : [null, null],
      key = [a.key, b.key].sort().join(" ");
    if (child) return child.once("apart", () => {
      const own = child.own.divergence(), { names } = parent.side,
        values = new Float32Array(child.fork * names.length + own.length);
      values.set(own, child.fork * names.length);
      return { names, values };
    });
    const { kernel } = this.app.tree;
    if (!this.far.has(key) && !this.failed.has(key)) {
      if (!kernel || kernel.gone) {
        this.failed.set(key, "The divergence of these two needs a kernel; their answers are compared above.");
        return null;
      }
      this.failed.set(key, `Asking ${kernel.words.name} for the divergence of these two.`);
      kernel.ask({ ask: "divergence", a: a.key, b: b.key }).then(({ names, arrays, bytes }) => {
        this.far.set(key, { names, values: unpack(arrays, bytes).divergence() });
      }).catch((error) => this.failed.set(key, error.message)).finally(() => this.app.draw());
    }
    return this.far.get(key) ?? null;
  }

  largest(a, b, frame) { // up to this frame: the largest over the latents
    const found = this.apart(a, b), N = found?.names.length;
    return found && Array.from({ length: Math.min(frame + 1, found.values.length / N) },
      (_, f) => Math.max(...found.values.subarray(f * N, (f + 1) * N)));
  }

  draw(run, frame, other) {
    const { app } = this, { stage } = app, { canvas } = this.divergence;
    if (!other) {
      stage.say(canvas,
        "One rollout is shown. Choose a second one as B, or resume from here: "
        + "then their divergence is drawn here.");
      return null;
    }
    const found = this.apart(run, other.run), renewed = run.series("renewed");
    if (!found) {
      stage.say(canvas, this.failed.get([run.key, other.run.key].sort().join(" ")));
      return null;
    }
    const { names, values } = found, N = names.length, count = values.length / N,
      high = 10 ** Math.max(0, Math.ceil(Math.log10(values.reduce((a, v) => (v > a ? v : a), 1e-3))));
    const lines = names.map((name, n) => { // a latent stands still while another one is renewed
      const which = run.side.names.indexOf(name), frames = Array.from({ length: count }, (_, f) => f)
        .filter((f) => !f || f === count - 1 || renewed[f] === which || f === other.run.fork);
      return { which, dots: name === run.side.answer, points: frames.map((f) => [f, values[f * N + n]]) };
    });
    const marks = [[1e-4, "0"],
      ...[1e-3, 1e-2, 0.1, 1, 10].filter((v) => v <= high).map((v) => [v, short(v)])],
      at = Math.max(0, names.indexOf(run.side.names[renewed[frame]]));
    lineChart(stage, canvas, { frames: app.frames, every: run.updates, low: 1e-4, high, log: true, marks,
      lines, names: run.side.names, key: `${run.key} ${other.run.key} ${app.frames}`, at: { frame,
        which: run.side.names.indexOf(names[at]), value: frame < count ? values[frame * N + at] : NaN } });
    return { names, values, count };
  }

  write(run, frame, drawn) {
    const { app } = this, { tree, state, other } = app, { names } = run.side, site = run.site(frame);
    if (!this.missing) {
      this.form();
      this.cell.textContent = state.cell === null ? "click a cell" : `${cellName(app.header, state.cell)} to`;
      refill(this.name, names.map((name) => [name, name]),
        names.includes(this.name.value) ? this.name.value : names[0]);
      refill(this.which,
        [["all", "all positions"], ["chosen", `${plural(state.chosen.size, "chosen cell", "chosen cells")}`]],
        state.choosing ? "chosen" : "all");
      const runs = [...app.header.puzzles.keys()].map((i) => tree.root(i)).concat([...tree.metas.keys()])
        .filter((key) => key !== run.key).map((key) => [key, tree.name(key)]);
      refill(this.of, runs, runs.some(([key]) => key === this.of.value) ? this.of.value : runs[0]?.[0] ?? "");
      const told = this.edits.map(({ says }) => says).join("|");
      if (this.told !== told) {
        this.told = told;
        const leaveOut = (entry) => button("×", `leave out: ${entry.says}`, () => {
          this.edits = this.edits.filter((e) => e !== entry); app.draw();
        });
        this.list.replaceChildren(...this.edits.map((e) => make("li", {}, e.says, leaveOut(e))));
      }
      const changes = this.edits.length ? plural(this.edits.length, "change", "changes") : "no change";
      const place = frame ? `after step ${site[0]}, cycle ${site[1] + 1}, substep ${site[2] + 1} (${site[3]})`
        : "before the first update";
      this.here.textContent = `${changes}, ${place}`;
    }
    this.writeTree();
    const now = (name, i) => `${name} ${short(drawn.values[frame * drawn.names.length + i])}`;
    this.divergence.now.textContent =
      drawn && frame < drawn.count ? drawn.names.map(now).join(" · ") : "";
    this.says.textContent = other ? this.compare(app.run, app.other.run) : "";
  }

  compare(a, b) {
    const differs = firstDifference(a, b),
      same = b.meta.identical && b.parent === a ? " B equals A, bit for bit." : "";
    const apart = differs === null ? "agree after every supervision step"
      : `first differ after supervision step ${differs}`;
    const { tree } = this.app;
    return `Their answers ${apart}.${same} A ${tree.ending(a)}. B ${tree.ending(b)}.`;
  }

  writeTree() { // each run with the sentence that made it, and whether it is A or B
    const { app } = this, { tree, state } = app, entries = tree.list(state.puzzle);
    const told = JSON.stringify(
      [entries.map(({ key, meta, depth }) => [key, meta?.sentence, depth, tree.runs.has(key)]),
        app.run.key, state.beside]);
    if (this.grown === told) return;
    this.grown = told;
    const pick = (letter, key, on, action) => {
      const b = button(letter, `show ${tree.name(key)} as ${letter}`, action);
      b.setAttribute("aria-pressed", String(on));
      return b;
    };
    this.tree.replaceChildren(...entries.map(({ key, meta, depth }) => {
      const known = tree.runs.get(key), says = make("span", {},
        make("b", {}, tree.name(key)), `: ${meta ? meta.sentence : "as it was, nothing changed"}`,
        make("small", {}, known ? ` · ${tree.ending(known)}` : ""));
      const item = make("li", {}, pick("A", key, key === app.run.key, () => app.open(key)),
        pick("B", key, key === state.beside, () => app.openBeside(key === state.beside ? null : key)), says);
      item.style.paddingInlineStart = `${depth * 18}px`;
      return item;
    }));
  }
}
