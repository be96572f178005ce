// A page for somebody who has a puzzle and no notebook: a board to type into, a model that thinks about it,
// and how sure it is. Below it the Explorer opens on the same puzzle.

import { button, make, percent, plural, switches } from "./page.js";
import { Kernel, PAGE_WORDS } from "./data.js";
import { Thread, pageBytes } from "./live.js";
import { cellName } from "./board.js";
import { NOTATION } from "./typing.js";
import { mount } from "./explorer.js";

const STEPS = 16, VIEWS = 32; // supervision steps of a try; tries, the first included
const PACE = 80; // milliseconds that an answer stands at least, while one step follows the other
const WORDS = { maze: ["", "wall", "free", "start", "goal", "path"] }; // where signs do not say it
const KEYED = { maze: { "#": 1, w: 1, " ": 2, f: 2, s: 3, g: 4 } }; // keys of a type beside its glyphs
const ONCE = { maze: [3, 4] }; // tokens that stand once on a board

// ---- the board ---------------------------------------------------------------

class BoardGrid { // as cells that a keyboard and a screen reader can walk over
  constructor(kind, put) { // put(cell, token): somebody changes the puzzle
    const { rows, cols, row_lines, col_lines, askable, glyphs, colours } = kind.header;
    Object.assign(this, { kind, header: kind.header, put, at: 0 });
    this.cells = Array.from({ length: rows * cols }, (_, i) => {
      const lines = [row_lines.includes(Math.floor(i / cols)) && "top",
        col_lines.includes(i % cols) && "left"];
      const cell = make("div", { role: "gridcell", tabindex: "-1", class: lines.filter(Boolean).join(" ") });
      cell.addEventListener("pointerdown", () => this.choose(i));
      return cell;
    });
    const lines = Array.from({ length: rows }, (_, r) =>
      make("div", { role: "row" }, ...this.cells.slice(r * cols, (r + 1) * cols)));
    this.element = make("div", { role: "grid", class: `trm-grid ${kind.type}`, "aria-rowcount": rows,
      "aria-colcount": cols, "aria-label": `${kind.title}, the board` }, ...lines);
    this.element.style.setProperty("--cols", cols);
    this.element.addEventListener("keydown", (event) => this.key(event));
    const face = (token) => glyphs[token] || WORDS[kind.type]?.[token] || "⌫";
    const pad = askable.map((token) => {
      const made = make("button", { type: "button", "aria-label": `put ${this.word(token)}` }, face(token));
      if (glyphs[token] && colours[token])
        Object.assign(made.style, { background: colours[token], color: "#111" });
      made.addEventListener("click", () => { this.put(this.at, token); });
      return made;
    });
    this.pad = make("div",
      { class: "trm-pad", role: "group", "aria-label": "put into the chosen cell" }, ...pad);
    this.choose(0, false);
  }

  word(token) {
    if (token === this.kind.empty && !WORDS[this.kind.type]) return "nothing";
    return WORDS[this.kind.type]?.[token] ?? this.header.vocab[token];
  }

  choose(cell, focus = true) {
    this.cells[this.at].tabIndex = -1;
    this.cells[this.at].removeAttribute("aria-selected");
    this.at = cell;
    this.cells[cell].tabIndex = 0;
    this.cells[cell].setAttribute("aria-selected", "true");
    if (focus) this.cells[cell].focus();
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const { rows, cols, glyphs, askable } = this.header, { at, kind } = this, r = Math.floor(at / cols),
      c = at % cols;
    const to = { ArrowLeft: c ? at - 1 : at, ArrowRight: c + 1 < cols ? at + 1 : at,
      ArrowUp: r ? at - cols : at, ArrowDown: r + 1 < rows ? at + cols : at,
      Home: at - c, End: at - c + cols - 1 }[event.key];
    const key = event.key.toUpperCase(), signs = [this.header.symbols ?? [], glyphs];
    const named = KEYED[kind.type]?.[key.toLowerCase()]
      ?? askable.find((t) => signs.some((of) => of[t] && of[t].toUpperCase() === key));
    const token = named ?? (["BACKSPACE", "DELETE", ".", "0"].includes(key) ? kind.empty : undefined);
    if (to !== undefined) this.choose(to);
    else if (token !== undefined) this.put(at, token);
    else return;
    event.preventDefault();
  }

  draw(question, answer, changed) { // answer: what a step gave, or null; changed: cells that it changed
    const { glyphs, colours } = this.header, wrong = new Set(answer?.wrong ?? []);
    this.cells.forEach((cell, i) => {
      const { empty } = this.kind, asked = question[i] !== empty,
        token = asked ? question[i] : answer?.tokens[i] ?? empty,
        guess = token !== question[i], sure = answer ? answer.sure[i] : 0;
      if (cell.textContent !== glyphs[token]) cell.textContent = glyphs[token];
      cell.style.setProperty("--share", guess ? sure.toFixed(3) : "0");
      cell.style.background = token === empty ? "" : colours[token] ?? "";
      cell.style.color = colours[token] ? "#111" : "";
      cell.dataset.kind = asked ? "given" : guess ? "guess" : "empty";
      cell.dataset.token = token;
      cell.classList.toggle("wrong", wrong.has(i));
      cell.classList.toggle("changed", Boolean(changed?.has(i)));
      const says = asked ? `${this.word(token)}, given` : guess
        ? `${this.word(token)}, ${percent(sure)} probable` : this.word(token);
      cell.setAttribute("aria-label",
        `${cellName(this.header, i)}: ${says}${wrong.has(i) ? ", breaks a rule" : ""}`);
    });
  }
}

// ---- what became of it -------------------------------------------------------

const seconds = (ms) => (ms < 1000 ? `${Math.round(ms)} ms` : `${(ms / 1000).toFixed(1)} s`);

function inWords({ solved, wrong, why, step, halt }) { // an answer, in words
  const sure = `It puts the chance that this is right at ${percent(halt)}`;
  if (solved) return `Solved after step ${step}: complete, and no rule is broken. ${sure}.`;
  const broken = wrong.length ? `${plural(wrong.length, "cell breaks", "cells break")} a rule`
    : why || "the answer is not complete";
  return `After step ${step} not solved: ${broken}. ${sure}${halt > 0.5 ? ", and is mistaken" : ""}.`;
}

class Steps { // the supervision steps so far, each a button that shows its answer
  constructor(show) {
    this.show = show;
    this.element = make("ol", { class: "trm-steps", "aria-label": "supervision steps" });
  }

  draw(answers, shown) {
    this.element.replaceChildren(...answers.map((answer, i) => {
      const bar = make("span", { class: "trm-bar" }), number = make("span", {}, String(answer.step)),
        mark = make("span", { class: "trm-mark" }, answer.solved ? "✓" : "");
      bar.style.setProperty("--halt", answer.halt.toFixed(3));
      const made = make("button", { type: "button", title: inWords(answer), "aria-label": inWords(answer),
        ...(i === shown ? { "aria-current": "step" } : {}) }, mark, bar, number);
      made.addEventListener("click", () => this.show(i));
      return make("li", {}, made);
    }));
  }
}

// ---- the page ----------------------------------------------------------------

class Solver {
  constructor(el, kinds) {
    Object.assign(this, { kinds, threads: new Map(), kind: null, question: [], answers: [], shown: -1,
      view: 0, running: false, tried: [], app: null });
    this.build(el);
  }

  build(el) {
    const { kinds } = this, act = (face, label, does) => button(face, label, does);
    this.kindSwitch = switches("kind of puzzle", kinds.map(({ name, title, about }) => [name, title, about]),
      (name) => this.open(name));
    this.examples = make("div", { class: "trm-examples", role: "group", "aria-label": "examples" });
    this.place = make("div", { class: "trm-place" });
    this.one = act("One step", "think one supervision step", () => this.think(1));
    this.whole = act("Think", "think until the network stops by itself, or for 16 steps",
      () => this.think(STEPS));
    this.whole.classList.add("trm-primary");
    this.others = act("Try other symmetries",
      "ask again with digits renamed or the board turned, until the rules accept an answer",
      () => this.tryViews());
    this.halt = act("Stop", "stop thinking", () => { this.running = false; });
    this.again = act("Start over", "back to the puzzle", () => this.restart());
    this.says = make("p", { class: "trm-outcome", role: "status", "aria-live": "polite" });
    this.problem = make("p", { class: "trm-problem", role: "status" });
    this.steps = new Steps((i) => { this.shown = i; this.draw(); });
    this.caption = make("p", { class: "trm-caption" }, "Each step, to go back to: the bar is the halting "
      + "probability, ✓ an answer that the rules accept.");
    this.sure = make("dd", {}); this.long = make("dd", {}); this.tries = make("dd", {});
    this.figures = make("dl", {}, make("dt", {}, "how sure"), this.sure, make("dt", {}, "how long"),
      this.long, make("dt", {}, "tries"), this.tries);
    this.field = make("textarea", { rows: 9, spellcheck: "false", "aria-label": "a puzzle as text" });
    this.wrong = make("p", { class: "trm-problem", role: "alert" });
    this.hint = make("p", {});
    this.paste = make("details", {}, make("summary", {}, "Paste a puzzle as text"), this.hint, this.field,
      this.wrong, button("Use it", "put this text onto the board", () => this.take(this.field.value)));
    this.inside = make("section", { class: "trm-inside", "aria-label": "inside the network" });
    this.look = act("Look inside", "every update of this puzzle, in the Explorer", () => this.openInside());
    this.tour = act("Guided tour", "eight steps through what happens inside, on this puzzle",
      () => this.openInside({ tour: 1 }));
    this.about = make("p", { class: "trm-about" });
    this.legend = make("p", { class: "trm-legend" });
    el.replaceChildren(
      make("div", { class: "trm-kinds" }, this.kindSwitch.element),
      make("div", { class: "trm-row" }, make("span", {}, "Examples:"), this.examples),
      make("div", { class: "trm-work" },
        make("div", { class: "trm-left" }, this.place),
        make("div", { class: "trm-right" },
          make("div", { class: "trm-row" }, this.whole, this.one, this.others, this.halt, this.again),
          this.problem, this.says, this.caption, this.steps.element, this.figures, this.legend, this.paste,
          make("div", { class: "trm-row" }, this.look, this.tour), this.about)),
      this.inside);
    document.addEventListener("paste", (event) => {
      if (["TEXTAREA", "INPUT"].includes(event.target.tagName)) return;
      this.take(event.clipboardData.getData("text")); event.preventDefault();
    });
    this.here = location.hash; // as it was read or written last
    window.addEventListener("hashchange", () => { if (location.hash !== this.here) this.read(); });
  }

  writeLegend() {
    const item = (kind, text) => make("span", {}, make("i", { class: `trm-sign ${kind}` }), text);
    const own = this.kind.type === "maze" ? [item("path", "the network's path")]
      : [item("given", "given"), item("guess", "the network's answer; the paler, the less probable")];
    this.legend.replaceChildren(...own, item("changed", "just changed"), item("wrong", "breaks a rule"));
  }

  // ---- which puzzle ----------------------------------------------------------

  kernelOf({ name, header, models }) { // a thread for each model, once it is needed
    if (!this.threads.has(name)) this.threads.set(name, new Kernel(new Thread(
      document.getElementById("trm-thread").textContent, header, pageBytes(models)),
    (sentence) => { this.problem.textContent = sentence; }, PAGE_WORDS));
    return this.threads.get(name);
  }
  ask(question) { return this.kernelOf(this.kind).ask(question); }

  async open(name, board = null) { // a kind of puzzle, with a board or its first example
    const kind = this.kind = this.kinds.find((other) => other.name === name) ?? this.kinds[0];
    this.kindSwitch.set(kind.name);
    this.grid = new BoardGrid(kind, (cell, token) => this.put(cell, token));
    this.place.replaceChildren(this.grid.element, this.grid.pad);
    this.hint.textContent = NOTATION[kind.type]; this.about.textContent = kind.about;
    this.wrong.textContent = ""; this.field.value = "";
    this.writeLegend();
    const blank = new Array(kind.header.rows * kind.header.cols).fill(kind.empty);
    this.examples.replaceChildren(
      ...kind.examples.map(({ says, board: text }) =>
        button(says, `an example: ${says}`, () => this.take(text))),
      button("empty", "an empty board", () => this.set(blank)));
    this.set(blank);
    await this.take(board ?? kind.examples[0]?.board ?? "");
  }

  async take(text) { // a puzzle as text
    if (!text) return;
    try {
      const { question } = await this.ask({ ask: "read", text });
      this.wrong.textContent = "";
      await this.set(question);
      this.paste.open = false;
    } catch (error) { this.wrong.textContent = error.message; this.paste.open = true; }
  }

  put(cell, token) {
    const question = [...this.question], once = ONCE[this.kind.type]?.includes(token);
    if (once) question.forEach((old, i) => { if (old === token) question[i] = this.kind.empty; });
    question[cell] = token;
    this.set(question);
  }

  async set(question) { // another puzzle, about which nothing has been thought yet
    this.question = question; this.text = "";
    this.restart();
    this.inside.replaceChildren(); this.app?.leave?.(); this.app = null;
    const { problem, text } = await this.ask({ ask: "read", board: question });
    if (this.question !== question) return;
    this.text = text; this.write();
    this.problem.textContent = problem && question.some((token) => token !== this.kind.empty)
      ? `No answer can be right: ${problem}.` : "";
  }

  restart() {
    Object.assign(this, { answers: [], shown: -1, view: 0, running: false, tried: [] });
    this.draw();
  }

  // ---- thinking --------------------------------------------------------------

  async begin(view) {
    const { question } = this;
    Object.assign(this, { answers: [], shown: -1, view });
    const { views } = await this.ask({ ask: "think", question, view });
    this.most = Math.min(VIEWS, views ?? VIEWS);
  }

  // steps until the network stops by itself; → false where somebody stopped it or changed the puzzle
  async stepOn(count) {
    const { question } = this;
    for (let done = 0; done < count; done++) {
      const pause = new Promise((resolve) => { setTimeout(resolve, count > 1 ? PACE : 0); });
      const answer = await this.ask({ ask: "step" });
      if (this.question !== question) return false;
      this.answers.push(answer); this.shown = this.answers.length - 1;
      this.draw();
      if (count > 1 && (answer.stops || answer.solved)) break;
      await pause;
      if (!this.running) return false;
    }
    return true;
  }

  async run(does) { // one thing at a time
    if (this.running) return;
    this.running = true;
    this.draw();
    try { await does(); } catch (error) { this.problem.textContent = error.message; }
    this.running = false;
    this.draw();
  }

  think(count) {
    return this.run(async () => {
      if (!this.answers.length) await this.begin(0);
      await this.stepOn(count);
    });
  }

  tryViews() {
    return this.run(async () => {
      if (this.answers.length) this.tried.push(this.answers.at(-1));
      while (this.tried.length < this.most && !this.answers.at(-1)?.solved) {
        await this.begin(this.tried.length);
        const on = await this.stepOn(STEPS);
        if (!this.answers.length) return;
        this.tried.push(this.answers.at(-1));
        if (!on) return;
      }
    });
  }

  // ---- drawing ---------------------------------------------------------------

  draw() {
    const answer = this.answers[this.shown] ?? null, before = this.answers[this.shown - 1],
      last = this.answers.at(-1), changed = before && new Set(answer.tokens.flatMap((token, i) =>
        (token !== before.tokens[i] ? [i] : [])));
    this.grid.draw(this.question, answer, changed);
    this.steps.draw(this.answers, this.shown);
    const spent = last && this.tried.at(-1) !== last ? [...this.tried, last] : this.tried;
    const time = spent.reduce((sum, { milliseconds }) => sum + milliseconds, 0),
      count = spent.reduce((sum, { step }) => sum + step, 0);
    this.figures.hidden = this.caption.hidden = !answer;
    this.sure.textContent = answer ? `${percent(answer.halt)} (its halting probability); least certain cell `
      + percent(Math.min(...answer.sure)) : "";
    this.long.textContent =
      `${plural(count, "supervision step", "supervision steps")}, ${seconds(time)} of computing`;
    this.tries.textContent = spent.length > 1
      ? `${spent.length}, each in another symmetry: ${this.kind.type === "sudoku"
        ? "digits renamed, lines reordered" : "the board turned or mirrored"}; for the rules the same puzzle`
      : "1, the puzzle as it is";
    this.says.textContent = answer ? inWords(answer)
      : this.running ? "Thinking …" : "Press Think, or change the puzzle: choose a cell and type.";
    this.says.dataset.solved = String(Boolean(answer?.solved));
    this.says.setAttribute("aria-live", this.running ? "off" : "polite"); // not every step is read out
    const settled = last && (last.solved || last.stops || last.step >= STEPS);
    this.whole.textContent = settled && !last.solved ? "Think 16 more steps" : "Think";
    this.halt.hidden = !this.running;
    for (const b of [this.one, this.whole]) b.disabled = this.running || Boolean(last?.solved);
    this.others.disabled = this.running || !last || last.solved || this.tried.length >= this.most;
    this.again.disabled = this.running || !last;
    this.tell(answer);
  }

  tell(answer) { // what is shown, for whoever asks the page
    const root = this.place.closest(".trm-solver");
    if (root) Object.assign(root.dataset, { kind: this.kind.name, steps: this.answers.length,
      shown: this.shown + 1, view: this.view, tries: this.tried.length, running: this.running,
      solved: Boolean(answer?.solved), board: (answer?.tokens ?? this.question).join(" "),
      question: this.question.join(" "), halt: answer?.halt ?? "",
      milliseconds: answer?.milliseconds ?? "" });
    if (this.text && !this.running) this.write();
  }

  // The moment in the address: model, puzzle, the step that is shown and in which symmetry it was asked; and
  // where the Explorer stands, if it is open: `inside` is its update.
  write() {
    clearTimeout(this.waiting);
    this.waiting = setTimeout(() => {
      // it is not read yet, or somebody's address is about to be
      if (!this.text || location.hash !== this.here) return;
      const { app } = this, found = { model: this.kind.name, board: this.text.replaceAll(" ", ".") };
      if (this.shown >= 0) found.step = this.shown + 1;
      if (this.shown >= 0 && this.view) found.view = this.view;
      if (app?.run) Object.assign(found, { inside: app.state.frame, panel: app.state.panel,
        ...(app.state.cell === null ? {} : { cell: app.state.cell + 1 }),
        ...(app.tour.at ? { tour: app.tour.at } : {}) });
      const moment = `#${new URLSearchParams(found)}`;
      if (location.hash !== moment) history.replaceState(null, "", moment);
      this.here = location.hash;
    }, 200);
  }

  async read() { // once called `kind`, the model is found under both names
    this.here = location.hash;
    const wanted = new URLSearchParams(location.hash.slice(1)), whole = (name, most = Infinity) => {
      const value = wanted.get(name);
      return /^\d+$/.test(value ?? "") ? Math.min(Number(value), most) : 0;
    };
    const name = wanted.get("model") ?? wanted.get("kind") ?? this.kinds[0].name,
      step = whole("step", 4 * STEPS);
    await this.open(name, wanted.get("board"));
    if (!this.kinds.some((kind) => kind.name === name)) {
      this.problem.textContent = `This page has no model ${name}; it has `
        + `${this.kinds.map((kind) => kind.name).join(", ")}.`;
      return;
    }
    if (step) await this.replay(step, whole("view", VIEWS));
    if (wanted.has("inside") || whole("tour")) await this.openInside({ frame: whole("inside"),
      panel: wanted.get("panel"), cell: whole("cell"), tour: whole("tour") });
  }

  replay(step, view) { // the steps that somebody saw, once more
    return this.run(async () => {
      await this.begin(view);
      while (this.answers.length < step && this.running) await this.stepOn(1);
    });
  }

  // ---- the Explorer ----------------------------------------------------------

  async openInside({ frame = 0, panel = null, cell = 0, tour = 0 } = {}) { // cell and tour: from 1
    const { kind, question, text } = this;
    try {
      const { puzzle } = await this.ask({ ask: "puzzle", text }),
        { bytes, ...meta } = await this.ask({ ask: "run", run: String(puzzle) });
      if (this.question !== question) return;
      const puzzles = Array.from({ length: Math.max(puzzle + 1, kind.header.puzzles.length) },
        (_, i) => kind.header.puzzles[i] ?? { label: `puzzle ${i + 1}: typed` });
      const header = { ...kind.header, puzzles, first: meta.run, overview: [],
        packs: [{ ...meta, at: 0, size: bytes.length }] };
      const place = make("div", {});
      this.inside.replaceChildren(make("h2", {}, "Inside the network"), make("p", {},
        "Every latent update of this puzzle. Arrow keys go back and on; the panels show how the latents "
        + "move, when the network would stop, and what becomes of changes."), place);
      const app = this.app = mount(place, header, bytes, this.kernelOf(kind));
      app.address = { read() {}, write: () => this.write() };
      const { rows, cols } = header;
      app.show({ frame: Math.min(frame, app.run.length), ...(app.panels[panel] ? { panel } : {}),
        ...(cell && cell <= rows * cols ? { cell: cell - 1 } : {}) });
      if (tour) app.tour.go(tour);
      this.inside.scrollIntoView({ behavior: "smooth" });
    } catch (error) { this.problem.textContent = error.message; }
  }
}

export function mountSolver() {
  const kinds = JSON.parse(document.getElementById("trm-kinds").textContent);
  const el = make("div", { class: "trm-solver" });
  document.getElementById("trm-place").replaceChildren(el);
  new Solver(el, kinds).read();
}
