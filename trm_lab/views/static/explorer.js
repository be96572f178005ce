// The Explorer: one present site, and linked views of it. Frames come as bytes and are drawn here;
// the kernel is asked only for what must be computed. Frame 0 is the question, frame f what stands after
// the f-th update.

import { KEYS, Stage, button, choose, make, refill, switches } from "./page.js";
import { Kernel, PAGE_WORDS, Tree, beside, bytesOf, firstDifference } from "./data.js";
import { Thread, pageBytes } from "./live.js";
import { gridText } from "./task.js";
import { Address } from "./address.js";
import { Typing } from "./typing.js";
import { BoardView, MARKS, boardLegend, drawBoardLegend, outcomeOf, text } from "./board.js";
import { Findings } from "./findings.js";
import { Timeline } from "./timeline.js";
import { Halting } from "./halting.js";
import { Latents, Path } from "./latents.js";
import { Cell } from "./cell.js";
import { Branches } from "./branches.js";
import { Flow } from "./flow.js";
import { Tour } from "./tour.js";
import { TakeAway } from "./takeaway.js";

const PANELS = [["path", "Path & change", Path], ["halting", "Halting", Halting],
  ["latents", "Latents", Latents], ["cell", "Cell", Cell], ["branches", "Branches", Branches],
  ["flow", "One update", Flow]];
const HELP = [
  ["← →", "one update back or on"], ["Shift ← →", "one supervision step back or on"],
  ["Home, End", "the question; the last update"], ["Space", "play or pause"],
  ["1 to 6", "the panels on the right"], ["V", "read the board from the next latent"],
  ["M", "mark what differs from something else"], ["C", "of a task, whole canvases or their grids"],
  ["[ ]", "the puzzle before, the next one"],
  ["Enter on the board", "arrows move over its cells; Space chooses one for an edit; Enter or Esc ends that"],
  ["B", "of two runs, the views show A or B"],
  ["P", "what probes found of this puzzle, over board and timeline"],
  ["T", "a guided tour; Page Down and Page Up lead through it, Esc leaves it"],
  ["?", "this help; Esc closes it"],
];

class App {
  constructor(el, header, kernel) {
    const side = header.sides[0];
    this.header = header;
    this.loaded = header.puzzles.length; // those after them were typed
    this.tree = new Tree(header, kernel);
    this.state = { puzzle: 0, run: null, beside: null, frame: 0, reading: side.answer, mark: "update",
      panel: "path", policy: "given", threshold: null, count: side.max_steps, cell: null, chosen: new Set(),
      choosing: false, whole: false, latent: "renewed", component: "0", channel: 0, head: "mean",
      follows: "A", probes: "off" };
    this.root = make("div", { class: "trm-explorer", tabindex: "0", role: "group",
      "aria-label": `Explorer: a recursion on ${header.title}`, ...KEYS });
    this.stage = new Stage(this.root);
    this.build();
    el.replaceChildren(this.root);
  }

  build() {
    const { header, root } = this;
    this.boards = [new BoardView(this, "A"), new BoardView(this, "B")];
    this.legend = boardLegend(this.stage);
    this.findings = new Findings(this);
    this.timeline = new Timeline(this);
    this.panels = Object.fromEntries(PANELS.map(([name, , Panel]) => [name, new Panel(this)]));
    this.takeaway = new TakeAway(this);
    this.typing = new Typing(this);
    this.tour = new Tour(this);
    this.puzzles = choose("puzzle", [], "", (puzzle) => {
      this.open(this.tree.root(Number(puzzle))); this.focus();
    });
    this.readings = choose("which latent the board is read from (V)", [], "", (reading) => {
      this.show({ reading }); this.focus();
    });
    this.marks = choose("what is marked on the board (M)", [], "", (mark) => {
      this.show({ mark }); this.focus();
    });
    this.whole = button("Canvas", "whole canvases, or the grids on them (C)", () => this.turnCanvas());
    this.whole.hidden = !header.tasks;
    this.verdict = make("span", { class: "trm-verdict" });
    this.spoken = make("span", { class: "trm-spoken", "aria-live": "polite" });
    this.notice = make("div", { class: "trm-notice", role: "status" });
    this.working = make("span", { class: "trm-working", role: "status" });
    this.tabs = new Map(PANELS.map(([name, title], i) => {
      const tab = button(title, `${title} (${i + 1})`, () => this.show({ panel: name }));
      tab.setAttribute("role", "tab");
      this.panels[name].element.setAttribute("role", "tabpanel");
      this.panels[name].element.setAttribute("aria-label", title);
      return [name, tab];
    }));
    this.follows = switches("which run the views show", ["A", "B"].map((name) =>
      [name, name, `the views below show ${name} (B)`]), (follows) => this.show({ follows }));
    this.help = make("div", { class: "trm-over trm-help", role: "dialog", "aria-label": "keys and signs",
        hidden: "" }, make("h3", {}, "Keys"),
      make("dl", {}, ...HELP.flatMap(([key, does]) => [make("dt", {}, key), make("dd", {}, does)])),
      make("p", {},
        "A place is a supervision step, and in it a cycle and a substep, all counted from 1. "
        + "Grey cells are given. The bluer a cell, the likelier its token; the small number is the "
        + "probability in percent. A green frame marks a cell that just changed, an orange corner and "
        + "stroke one that breaks a rule."),
      make("p", {},
        "Probes exchange the latents of this puzzle with those of a partner, which differs little and has "
        + "another answer. The larger a disc, the farther that cell alone turns the answer toward the "
        + "partner's; dashed discs turn it away. The bars under the timeline are the same for whole "
        + "latents."),
      make("p", {},
        `Paths are those of the latents' ${header.pooling}, in principal components that were fitted on `
        + "all puzzles at hand. With a second rollout beside the first, its line is dotted and its place "
        + "a square."),
      button("Close", "close (Esc)", () => this.overlay(false)));
    this.mistitled = header.sides.length > 1
      ? header.sides.map(({ model }, i) => `${"AB"[i]}: ${model}`).join(" · ") : header.model;
    root.append(
      make("header", {}, make("strong", {}, header.title),
        make("span", { class: "trm-model", title: this.mistitled }, this.mistitled),
        this.puzzles, this.typing.button, this.readings, this.working, this.verdict, this.takeaway.element,
        this.tour.button, button("?", "keys and signs (?)", () => this.overlay())),
      this.notice, this.tour.element,
      make("main", {},
        make("section", {}, make("div", { class: "trm-boards" }, ...this.boards.map((b) => b.element))),
        make("section", { class: "trm-views" },
          make("div", { class: "trm-tabs", role: "tablist", "aria-label": "views" }, ...this.tabs.values(),
            this.follows.element),
          ...Object.values(this.panels).map((p) => p.element))),
      make("div", { class: "trm-under" }, this.marks, this.whole, this.findings.button,
        this.legend.element, this.timeline.legend.element),
      this.findings.element,
      this.timeline.element, this.spoken, this.help, this.takeaway.over, this.typing.over);
    root.addEventListener("keydown", (event) => this.key(event));
    for (const canvas of root.querySelectorAll("canvas:not([tabindex])"))
      canvas.addEventListener("pointerdown", () => this.focus());
  }

  // ---- where we are ----------------------------------------------------------

  get run() { return this.tree.runs.get(this.state.run); }
  get other() { // the run beside it, at the same place of its recursion
    const run = this.tree.runs.get(this.state.beside);
    return run && run !== this.run ? { run, frame: beside(this.run, run, this.state.frame) } : null;
  }
  // the same axis for every puzzle
  framesOf(run) { return Math.max(run.side.max_steps * run.updates, run.length); }
  get frames() { return this.framesOf(this.followed.run); }
  get followed() { // what the panels show: A and its place, or B and its own; and what stands beside it
    const { run, other, state } = this;
    return other && state.follows === "B" ? { ...other, other: { run, frame: state.frame } }
      : { run, frame: state.frame, other };
  }
  readingOf(run) {
    return this.readable(run).includes(this.state.reading) ? this.state.reading : run.side.answer;
  }
  // without a model only the answer is
  readable(run) {
    return run.side.readings.length < run.side.names.length ? run.side.readings
      : [...run.side.readings, "renewed"];
  }

  focus() { this.root.focus({ preventScroll: true }); }
  quiet(on) { this.spoken.setAttribute("aria-live", on ? "off" : "polite"); }
  notify(sentence) { this.notice.textContent = sentence; this.root.dataset.notice = sentence; }
  async busy(promise, doing) { // waits, says so, and says what went wrong; undefined then
    this.working.textContent = `${doing} …`; this.root.dataset.busy = doing;
    try { const got = await promise; this.notify(""); return got; }
    catch (error) { this.notify(error.message); return undefined; }
    finally { this.working.textContent = ""; this.root.dataset.busy = ""; }
  }

  // a run becomes A; what was A becomes B, if they change places; of two models both are opened
  async open(key) {
    const run = this.tree.runs.get(key)
      ?? await this.busy(this.tree.open(key), `opening ${this.tree.name(key)}`);
    if (!run) { this.draw(); return; }
    const compared = this.header.sides.length > 1 && !key.startsWith("B:");
    const change = { run: key, puzzle: run.puzzle, frame: Math.min(this.state.frame, run.length),
      ...(this.state.beside === key ? { beside: this.state.run }
        : run.puzzle !== this.state.puzzle ? { beside: null } : {}) };
    this.show(change);
    if (compared && !this.state.beside) await this.openBeside(this.tree.root(run.puzzle, 1));
  }
  async openBeside(key) {
    if (key !== null && !this.tree.runs.has(key)
        && !(await this.busy(this.tree.open(key), `opening ${this.tree.name(key)}`))) return;
    this.show({ beside: key });
  }

  async openTyped(board, identity) { // a puzzle as text; throws an error that says what is wrong with it
    const { tree, header } = this;
    if (!header.live || !tree.kernel)
      throw new Error("This page holds no model, so that it cannot take another puzzle.");
    const { puzzle, problem } = await tree.kernel.ask({ ask: "puzzle", text: board, identity });
    if (puzzle === header.puzzles.length) {
      header.puzzles.push({ label: `puzzle ${puzzle + 1}: typed` });
      for (const overview of tree.overviews) overview.total = puzzle + 1;
    }
    await this.open(tree.root(puzzle));
    if (problem) this.notify(`No answer to this puzzle can be right: ${problem}.`);
    this.overview().catch((error) => this.notify(error.message));
  }

  visit(frame) { // a frame of the run that the panels show
    const { run } = this.followed;
    this.go(run === this.run ? frame : beside(run, this.run, frame));
  }
  go(frame) { this.show({ frame: Math.max(0, Math.min(this.run.length, frame)) }); }
  show(change = {}) {
    if (["panel", "beside", "run", "follows", "probes"].some((name) => name in change)) {
      Object.assign(this.state, change); this.arrange();
    }
    Object.assign(this.state, change);
    if (this.timeline.timer && this.state.frame >= this.run.length) this.timeline.toggle(false);
    this.draw();
    if (this.findings.on && ("probes" in change || "run" in change)) this.findings.ask();
  }
  pick(cell, toggle = false) { // a cell is looked at; or chosen for an edit, and chosen no more
    const chosen = new Set(this.state.chosen);
    if (toggle || (this.state.choosing && this.state.panel === "branches"))
      chosen.has(cell) ? chosen.delete(cell) : chosen.add(cell);
    this.show({ cell, chosen });
  }
  overlay(on = this.help.hidden) {
    this.help.hidden = !on;
    if (on) this.help.querySelector("button").focus(); else this.focus();
  }

  key(event) {
    if (["SELECT", "INPUT"].includes(event.target.tagName) || event.ctrlKey || event.metaKey || event.altKey)
      return;
    // the button's own
    if ([" ", "Enter"].includes(event.key) && event.target.tagName === "BUTTON") {
      event.stopPropagation();
      return;
    }
    if (this.tour.at && ["PageDown", "PageUp"].includes(event.key)) { this.tour.key(event); return; }
    const { state, timeline, header } = this,
      turn = (list, now, by = 1) => list[(list.indexOf(now) + by + list.length) % list.length];
    const panel = PANELS[Number(event.key) - 1]?.[0];
    const act = panel ? () => this.show({ panel }) : {
      ArrowRight: () => this.go(event.shiftKey ? timeline.stepFrom(1) : state.frame + 1),
      ArrowLeft: () => this.go(event.shiftKey ? timeline.stepFrom(-1) : state.frame - 1),
      Home: () => this.go(0), End: () => this.go(this.run.length), " ": () => timeline.toggle(),
      "?": () => this.overlay(),
      Escape: () => this.escape(),
      v: () => this.show({ reading: turn(this.readable(this.run), state.reading) }),
      m: () => this.show({ mark: turn(this.markable().map(([mark]) => mark), state.mark) }),
      b: () => { if (this.other) this.show({ follows: turn(["A", "B"], state.follows) }); },
      p: () => this.findings.toggle(),
      t: () => this.tour.go(1),
      c: () => { if (header.tasks) this.turnCanvas(); },
      "[": () => this.turnPuzzle(-1), "]": () => this.turnPuzzle(1),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || (event.key === "Escape" && [this.help, this.takeaway.over, this.takeaway.menu,
        this.typing.over, this.tour.element].every(({ hidden }) => hidden))) return;
    event.preventDefault(); event.stopPropagation();
    act();
  }
  escape() { // what was opened last is closed
    if (this.typing.close() || this.takeaway.close()) return;
    if (!this.help.hidden) this.overlay(false);
    else this.tour.leave();
  }
  turnCanvas() { this.show({ whole: !this.state.whole }); }
  turnPuzzle(by) {
    const to = this.state.puzzle + by;
    if (to >= 0 && to < this.header.puzzles.length) this.open(this.tree.root(to));
  }
  writePuzzles(run) { // and whether each is solved in the end, as far as anyone knows
    const { tree, header } = this, overview = tree.overviewOf(run), fate =
      (i) => (i < overview.done ? [", not solved", ", solved", ""][overview.row(i).solved.at(-1)] : ""),
      told = `${tree.whichSide(run)} ${overview.done} ${header.puzzles.length}`;
    // hundreds of them are not told at every step
    if (this.listed !== told) refill(this.puzzles,
        header.puzzles.map(({ label }, i) => [i, label + fate(i), !tree.known(tree.root(i))]), run.puzzle);
    this.listed = told; this.puzzles.value = run.puzzle;
    this.puzzles.hidden = header.puzzles.length < 2;
  }
  markable() {
    return MARKS.filter(([mark]) => (mark !== "solution" || this.run.answer(this.run.length).solution)
      && (mark !== "other" || this.other));
  }

  // ---- drawing ---------------------------------------------------------------

  arrange() { // which parts are to be seen
    for (const [name, tab] of this.tabs) {
      const on = name === this.state.panel;
      tab.setAttribute("aria-selected", String(on));
      this.panels[name].element.hidden = !on;
    }
    const two = Boolean(this.run && this.other);
    this.root.classList.toggle("trm-flowing", this.state.panel === "flow");
    this.root.classList.toggle("trm-probed", this.findings.on);
    this.findings.element.hidden = !this.findings.on;
    this.boards[1].element.hidden = !two; this.root.classList.toggle("trm-two", two);
    if (!two) this.state.follows = "A";
    this.follows.element.hidden = !two; this.follows.set(this.state.follows);
    if (!two && this.state.mark === "other") this.state.mark = "update";
    this.stage.measure();
  }

  draw() {
    const { state, run, other, header } = this, { frame } = state;
    if (!this.root.clientWidth || !run) return; // not on the page yet
    const panel = this.panels[state.panel], stop = this.panels.halting.stop(run);
    const drawn = this.boards[0].draw(run, frame, other),
      beyond = other && this.boards[1].draw(other.run, other.frame, { run, frame });
    const shown = this.followed, seen = panel.draw(shown.run, shown.frame, shown.other);
    drawBoardLegend(this.legend, this, run, frame);
    this.timeline.draw(run, frame, this.panels.halting.reached(run, stop) ? stop : null);
    // texts last, so that no canvas waits for a layout
    this.boards[0].write(run, frame, drawn, Boolean(other));
    if (other) this.boards[1].write(other.run, other.frame, beyond, true);
    panel.write(shown.run, shown.frame, seen);
    const outcome = outcomeOf(drawn), words = run.describe(frame);
    this.timeline.write(run, frame, words);
    this.findings.write(shown.run, shown.frame);
    this.verdict.textContent = drawn.solved ? `✓ ${outcome}` : outcome;
    this.verdict.dataset.verdict = drawn.verdict;
    this.spoken.textContent = `${words}; ${outcome}`;
    this.writePuzzles(run);
    refill(this.readings,
      this.readable(run).map((name) => [name, name === "renewed" ? "read what was just renewed"
        : name === run.side.answer ? `read the answer ${name}` : `read ${name}`]), this.readingOf(run));
    refill(this.marks, this.markable(), state.mark);
    this.whole.setAttribute("aria-pressed", String(state.whole));
    this.tell(drawn, beyond, stop);
    this.address?.write();
  }

  tell(drawn, beyond, stop) { // what is shown, for whoever asks the page
    const { state, run, other, header, tree } = this, { halting } = this.panels,
      apart = other && this.panels.branches.largest(run, other.run, state.frame);
    Object.assign(this.root.dataset, {
      frame: state.frame, frames: run.length, puzzle: state.puzzle,
      run: run.key, beside: other ? other.run.key : "", reading: this.readingOf(run), verdict: drawn.verdict,
      site: run.siteText(state.frame),
      board: text(header, drawn.tokens), boardBeside: beyond ? text(header, beyond.tokens) : "",
      panel: state.panel, tour: this.tour.at || "", follows: state.follows, threshold: halting.limit(),
      stop, reached: halting.reached(run, stop),
      stopBeside: other ? halting.stop(other.run) : "", policy: state.policy,
      rule: run.side.rule.kind, cell: state.cell ?? "",
      differs: other ? firstDifference(run, other.run) ?? "never" : "",
      divergence: apart ? apart.map((v) => Number(v.toPrecision(4))).join() : "",
      identical: other?.run.meta.identical ?? "", scores: drawn.scores.join(),
      ...this.tellTask(drawn, beyond),
      overview: tree.overviews[0].total ? `${tree.overviews[0].done}/${tree.overviews[0].total}` : "",
    });
  }

  tellTask(drawn, beyond) { // of a task that is shown by examples
    const { run, other, header, state } = this, { task } = run.meta;
    if (!task) return {};
    return { identity: task.identity, demonstrations: task.demonstrations.length,
      canvas: state.whole ? "whole" : "grids",
      question: gridText(header, run.answer(0).question, task.window),
      grid: gridText(header, drawn.tokens, drawn.window),
      identityBeside: other ? other.run.meta.task.identity : "",
      gridBeside: beyond ? gridText(header, beyond.tokens, beyond.window) : "" };
  }

  // ---- coming and going --------------------------------------------------------

  async begin() { // what is asked for once the first frame stands
    const { tree, header, state } = this;
    try {
      if (tree.kernel) for (const meta of (await tree.kernel.ask({ ask: "tree" })).branches) tree.learn(meta);
      await this.follow(header.view);
      if (header.sides.length > 1 && !state.beside && tree.known(tree.root(state.puzzle, 1)))
        await this.openBeside(tree.root(state.puzzle, 1));
      if (header.live) for (const overview of tree.overviews) overview.total = header.puzzles.length;
      await this.address?.read();
      if (tree.kernel) await this.overview();
    } catch (error) { this.notify(error.message); }
    if (this.address) this.address.known = true; // whatever went wrong before
  }

  async follow({ run, beside, ...rest }) { // where code wants it to stand
    if (run) await this.open(run);
    if (beside) await this.openBeside(beside);
    this.show(rest);
  }

  async overview() { // in pieces, so that the kernel answers between them; what is here is drawn
    const { tree } = this, { kernel } = tree;
    for (const [side, overview] of tree.overviews.entries())
      while (!this.left && (!overview.total || overview.done < overview.total)) {
      const part = await kernel.ask({ ask: "overview", from: overview.done, side });
      overview.add(part, part.bytes);
      this.draw();
    }
    if (this.header.live) return; // the axes came with the page
    // the planes are fitted on all puzzles now
    const stale = (r) => !this.left && r.meta.fitted < tree.overviewOf(r).total;
    for (const run of [...tree.runs.values()].filter(stale)) {
      const meta = await kernel.ask({ ask: "run", run: run.key });
      tree.add(meta, meta.bytes);
    }
    this.draw();
  }

  live() { // follows size and theme
    const { stage, root } = this;
    let waiting = 0;
    const now = () => { stage.readInks(); stage.measure(); this.draw(); };
    // styles follow a theme's change one frame later
    const again = () => {
      stage.theme(); cancelAnimationFrame(waiting); waiting = requestAnimationFrame(now);
    };
    const resized = new ResizeObserver(again), themed = new MutationObserver(again),
      system = window.matchMedia("(prefers-color-scheme: dark)");
    for (const element of [root, ...root.querySelectorAll("canvas")]) resized.observe(element);
    themed.observe(document.body,
      { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
    system.addEventListener("change", again);
    stage.theme(); stage.readInks();
    this.leave = () => {
      this.left = true;
      cancelAnimationFrame(waiting);
      this.timeline.toggle(false);
      resized.disconnect();
      themed.disconnect();
      system.removeEventListener("change", again);
      this.tree.kernel?.leave();
    };
  }
}

export function mount(el, header, bytes, kernel, page = false) { // bytes: of runs and overview
  const app = new App(el, header, kernel), part = ({ at, size }) => bytes.subarray(at, at + size);
  app.saved = (header.overview ?? []).map((meta) => [meta, part(meta)]);
  for (const meta of header.packs) app.tree.add(meta, part(meta));
  for (const [meta, own] of app.saved) app.tree.overviews[meta.side].add(meta, own);
  for (const meta of header.findings ?? []) app.findings.learn(meta, part(meta));
  Object.assign(app.state, { run: header.first, puzzle: app.tree.runs.get(header.first).puzzle });
  app.live();
  app.show({ panel: app.state.panel });
  performance.mark("trm-drawn");
  if (page) app.address = new Address(app);
  app.begin();
  return app;
}

// ---- where it is mounted -----------------------------------------------------

function threadKernel(header, tell) { // [the model's thread, ""], or [null, why there is none]
  try {
    const code = document.getElementById("trm-thread").textContent;
    return [new Kernel(new Thread(code, header, pageBytes("trm-models")), tell, PAGE_WORDS), ""];
  } catch (error) {
    return [null, `This browser does not let the page compute (${error.message}). What was saved is below.`];
  }
}

export function mountPage() { // in a page of its own, which carries everything
  const header = JSON.parse(document.getElementById("trm-header").textContent);
  let app = null;
  const tell = (sentence) => app?.notify(sentence);
  const [kernel, problem] = header.live ? threadKernel(header, tell) : [null, ""];
  app = mount(document.getElementById("trm-place"), header, pageBytes("trm-bytes"), kernel, true);
  if (problem) tell(problem);
  app.focus();
}

export default { // in a notebook, as a widget
  render({ model, el }) {
    const view = model.get("blob");
    if (!view?.byteLength) {
      el.textContent = "This Explorer was closed. Run its cell again to open it.";
      return undefined;
    }
    let app = null;
    const kernel = new Kernel(model, (sentence) => app?.notify(sentence)),
      follow = () => app.follow(model.get("header").view);
    app = mount(el, model.get("header"), bytesOf(view), kernel);
    model.on("change:header", follow);
    return () => { model.off("change:header", follow); app.leave(); };
  },
};
