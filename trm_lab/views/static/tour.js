// A guided tour of eight steps beside free play: each says one thing in plain words, brings the page to where it
// can be seen, and points at it. Everything stays usable meanwhile.

import { KEYS, button, make, plural } from "./page.js";
import { ANSWERED } from "./data.js";

const listed = (names) =>
  (names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0]);

const first = (run, which) => run.visits(which)[0] ?? run.length; // the frame that renews it first

// Each step: [title, what is said, what the page shows, what is pointed at]
const STEPS = [
  ["The board", ({ run }) => "Each cell is a place in the network. Grey cells are given; the network fills in all "
    + "the others at once. The bluer a cell, the surer it is. This is its answer after the first of "
    + `${plural(run.side.max_steps, "step", "steps")}.`,
  ({ run }) => ({ panel: "path", frame: run.end(1), reading: run.side.answer }),
  ({ boards }) => boards[0].canvas],
  ["The scratchpad", ({ run, inner }) => (inner.length
    ? `${listed(inner)}: for each cell a list of numbers in which the network takes notes. Nobody told it what to `
      + "write there. Each row of the picture is a cell, and the colours are what its numbers are about."
    : `${run.side.answer}: for each cell a list of numbers in which the network takes notes. Nobody told it what to `
      + "write there. This model has only this one."),
  ({ run, inner }) => ({ panel: "latents", latent: inner[0] ?? run.side.answer,
    frame: inner.length ? first(run, run.side.names.indexOf(inner[0])) : 1 }),
  ({ panels }) => panels.latents.element],
  ["The answer so far", ({ run }) => `${run.side.answer}: from it the board is read, after every update if you like. `
    + "It is renewed more rarely than notes are taken, and every change of it may change cells of the board.",
  ({ run }) => ({ panel: "latents", latent: run.side.answer, reading: run.side.answer,
    frame: first(run, run.side.names.indexOf(run.side.answer)) }), ({ panels }) => panels.latents.element],
  ["One update", () => "The smallest step: the network looks at its notes, at its answer and at the question, and "
    + "writes one of them anew. The arrow → makes the next update, ← takes one back. Green frames are cells that it "
    + "just changed.",
  ({ run }) => ({ panel: "path", mark: "update", frame: Math.min(run.length, run.updates + 1) }),
  ({ timeline }) => timeline.canvas],
  ["One supervision step", ({ run }) => `${plural(run.updates, "update", "updates")} make a step; then the answer is `
    + "judged. It is always the same small network, again and again: that is the recursion. Shift with → goes a step "
    + "on.",
  ({ run }) => ({ panel: "path", mark: "step", frame: run.end(Math.min(2, run.steps)) }),
  ({ timeline }) => timeline.element],
  ["When to stop", () => "After each step the network says how likely its answer is right. Above a threshold it stops. "
    + "Drag the dashed line: lower, and it stops sooner, perhaps too soon.",
  ({ run, panels }) => ({ panel: "halting", frame: run.end(panels.halting.stop(run)) }),
  ({ panels }) => panels.halting.element],
  ["Change something, and go on", ({ run, inner }) => "What if the notes were lost? Wipe "
    + `${inner[0] ?? run.side.answer} at this moment and let the network go on: A is the run as it was, B the one `
    + "that lost them. Often it finds back.",
  ({ run }) => ({ panel: "branches", frame: run.end(1) }), ({ panels }) => panels.branches.element],
  ["Down to a number", () => "One update from the whole to a single number: what is added up, which cells a cell "
    + "listens to, and what comes out. Click another cell or another channel; it is your turn now.",
  ({ run }) => ({ panel: "flow", frame: Math.min(run.length, run.updates + 1) }),
  ({ panels }) => panels.flow.element],
];

export class Tour {
  constructor(app) {
    this.app = app; this.at = 0; // the step, from 1; 0: not on it
    this.title = make("h3", {}); this.text = make("p", {}); this.count = make("span", { class: "trm-count" });
    this.back = button("Back", "the step before (←, Page Up)", () => this.go(this.at - 1));
    this.next = button("Next", "the next step (→, Page Down)", () => this.go(this.at + 1));
    this.next.classList.add("trm-primary");
    this.wipe = button("Wipe and go on", "set the notes to zero at this moment and resume", () => this.lose());
    this.element = make("aside", { class: "trm-tour", role: "region", tabindex: "-1", hidden: "",
      "aria-label": "guided tour", ...KEYS },
    make("div", { class: "trm-told", "aria-live": "polite" }, this.title, this.text),
    make("div", { class: "trm-controls" }, this.count, this.back, this.next, this.wipe,
      button("Leave", "leave the tour (Esc)", () => this.leave())));
    this.button = button("Tour", "a guided tour in eight steps (T)", () => this.go(1));
    this.element.addEventListener("keydown", (event) => this.key(event));
  }

  key(event) { // arrows lead on while the tour has the focus; a remote control sends pages
    const to = { ArrowRight: 1, PageDown: 1, ArrowLeft: -1, PageUp: -1 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey || (to === undefined && event.key !== "Escape")) return;
    event.preventDefault(); event.stopPropagation();
    if (to) this.go(this.at + to); else this.leave();
  }

  get names() { return this.app.run.side.names.filter((name) => name !== this.app.run.side.answer); }
  scene() { return { ...this.app, run: this.app.run, inner: this.names }; }

  go(step, focus = true) {
    if (step > STEPS.length) { this.leave(); return; }
    if (step < 1) return;
    this.at = step;
    const [title, text, shows] = STEPS[step - 1], scene = this.scene();
    this.element.hidden = false;
    this.title.textContent = title; this.text.textContent = text(scene);
    this.count.textContent = `${step} of ${STEPS.length}`;
    this.back.disabled = step === 1;
    this.next.textContent = step === STEPS.length ? "End" : "Next";
    this.wipe.hidden = title !== "Change something, and go on";
    this.wipe.disabled = !this.mayWipe;
    if (!this.wipe.hidden && !this.mayWipe)
      this.text.textContent += " This page cannot change anything: it only replays.";
    this.app.show(shows(scene));
    this.point(scene);
    if (focus) this.element.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "nearest" });
  }

  get mayWipe() { const { tree, header } = this.app; return Boolean(tree.kernel) && !header.refused; }

  point(scene = null) { // at what the step is about; or at nothing
    for (const old of this.app.root.querySelectorAll(".trm-pointed")) old.classList.remove("trm-pointed");
    if (scene) STEPS[this.at - 1][3](scene).classList.add("trm-pointed");
  }

  async lose() { // wipe the notes
    const { app } = this, { run, state } = app, name = this.names[0] ?? run.side.answer;
    const edit = { kind: "ZeroAblation", name, cells: null };
    const made = await app.busy(app.tree.branch(run, state.frame, [edit]), "going on without");
    if (!made || this.at === 0) return;
    app.show({ beside: made.key, frame: Math.min(run.length, made.length) });
    const end = made.answer(made.length).verdict === ANSWERED;
    this.text.textContent = `${name} is wiped after step ${made.step(made.fork)}; B went on without it and `
      + `${end ? "is solved in the end all the same" : "is not solved in the end"}. Walk with ← and → from the board to see how.`;
  }

  leave() { // the page stays where it is
    this.at = 0;
    this.element.hidden = true;
    this.point();
    this.app.focus(); this.app.draw();
  }
}
