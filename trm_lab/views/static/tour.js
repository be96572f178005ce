// A guided tour of eight steps beside free play: each says one thing in plain words, brings the page to where
// it can be seen, and points at it. Everything stays usable meanwhile.

import { KEYS, button, make, plural } from "./page.js";
import { ANSWERED } from "./data.js";

const listed = (names) =>
  (names.length > 1 ? `${names.slice(0, -1).join(", ")} and ${names.at(-1)}` : names[0]);
const first = (run, name) => run.visits(run.side.names.indexOf(name))[0] ?? run.length; // its first frame

// A step gets the page, its run, the latents that are not the answer (`inner`), and the latent that is called
// the notes; it says something, the page shows a state, and something is pointed at.
const SCENES = [
  { title: "The board",
    says: ({ run }) => "Each cell is a place in the network. Grey cells are given; the network fills in "
      + "all the others at once. The bluer a cell, the surer it is. This is its answer after the first of "
      + `${plural(run.side.max_steps, "step", "steps")}.`,
    shows: ({ run }) => ({ panel: "path", frame: run.end(1), reading: run.side.answer }),
    at: ({ app }) => app.boards[0].canvas },
  { title: "The notes",
    says: ({ inner, notes }) => `${inner.length ? listed(inner) : notes}: for each cell a list of numbers in `
      + "which the network takes notes. Nobody told it what to write there. Each row of the left picture is a "
      + "cell; the colours show in short what its numbers hold."
      + (inner.length ? "" : " In this model they are the answer too."),
    shows: ({ run, notes }) => ({ panel: "latents", latent: notes, frame: first(run, notes) }),
    at: ({ app }) => app.panels.latents.element },
  { title: "The answer so far",
    says: ({ run }) => `${run.side.answer}: from these numbers the board is read. The network renews them `
      + "after it took notes, and every change of them may change cells of the board.",
    shows: ({ run }) => ({ panel: "latents", latent: run.side.answer, reading: run.side.answer,
      frame: run.end(1) }),
    at: ({ app }) => app.panels.latents.element },
  { title: "One update",
    says: () => "The smallest step: the network looks at its notes, at its answer and at the question, and "
      + "writes one of them anew. On the board or the timeline the arrow → makes the next update, ← takes "
      + "one back. Green frames are cells that it just changed.",
    shows: ({ run }) => ({ panel: "path", mark: "update", frame: Math.min(run.length, run.updates + 1) }),
    at: ({ app }) => app.timeline.canvas },
  { title: "One supervision step",
    says: ({ run }) => `${plural(run.updates, "update makes", "updates make")} a step; then the answer is `
      + "judged. It is always the same small network, again and again: that is the recursion. Shift with → "
      + "goes a step on.",
    shows: ({ run }) => ({ panel: "path", mark: "step", frame: run.end(Math.min(2, run.steps)) }),
    at: ({ app }) => app.timeline.element },
  { title: "When to stop",
    says: () => "After each step the network says how likely its answer is right. Above a threshold it "
      + "stops. Drag the dashed line: lower, and it stops sooner, perhaps too soon.",
    shows: ({ app, run }) => ({ panel: "halting", frame: run.end(app.panels.halting.stop(run)) }),
    at: ({ app }) => app.panels.halting.element },
  { title: "Change something, and go on", wipes: true,
    says: ({ notes }) => `What if the notes were lost? Wipe ${notes} at this moment and let the network go `
      + "on: A is the run as it was, B the one that lost them. Often it finds back.",
    shows: ({ run }) => ({ panel: "branches", frame: run.end(1) }),
    at: ({ app }) => app.panels.branches.element },
  { title: "Down to a number",
    says: () => "One update from the whole to a single number: what is added up, which cells a cell "
      + "listens to, and what comes out. Click another cell or another channel; it is your turn now.",
    shows: ({ run }) => ({ panel: "flow", frame: Math.min(run.length, run.updates + 1) }),
    at: ({ app }) => app.panels.flow.element },
];

export class Tour {
  constructor(app) {
    this.app = app; this.at = 0; // the step, from 1; 0: not on it
    this.title = make("h3", {}); this.text = make("p", {}); this.count = make("span", { class: "trm-count" });
    this.back = button("Back", "the step before (←, Page Up)", () => this.go(this.at - 1));
    this.next = button("Next", "the next step (→, Page Down)", () => this.go(this.at + 1));
    this.next.classList.add("trm-primary");
    this.wipe = button("Wipe and go on", "set the notes to zero at this moment, and resume",
      () => this.lose());
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
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    if (to === undefined && event.key !== "Escape") return;
    event.preventDefault(); event.stopPropagation();
    if (to) this.go(this.at + to); else this.leave();
  }

  get scene() { // what steps are told
    const { app } = this, { run } = app, inner = run.side.names.filter((name) => name !== run.side.answer);
    return { app, run, inner, notes: inner[0] ?? run.side.answer };
  }

  go(step) {
    if (step > SCENES.length) { this.leave(); return; }
    if (step < 1) return;
    this.at = step;
    const { title, says, shows, wipes } = SCENES[step - 1], { scene } = this;
    this.element.hidden = false;
    this.title.textContent = title;
    this.text.textContent = says(scene)
      + (wipes && !this.mayWipe ? " This page cannot change anything: it only replays." : "");
    this.count.textContent = `${step} of ${SCENES.length}`;
    this.back.disabled = step === 1;
    this.next.textContent = step === SCENES.length ? "End" : "Next";
    this.wipe.hidden = !wipes; this.wipe.disabled = !this.mayWipe;
    this.app.show({ follows: "A", ...shows(scene) });
    this.point(scene);
    this.element.focus({ preventScroll: true });
    this.element.scrollIntoView({ block: "nearest" });
  }

  get mayWipe() { const { tree, header } = this.app; return Boolean(tree.kernel) && !header.refused; }

  point(scene = null) { // at what the step is about; or at nothing
    for (const old of this.app.root.querySelectorAll(".trm-pointed")) old.classList.remove("trm-pointed");
    if (scene) SCENES[this.at - 1].at(scene).classList.add("trm-pointed");
  }

  async lose() { // the notes, and go on
    const { app } = this, { run, notes } = this.scene,
      edit = { kind: "ZeroAblation", name: notes, cells: null };
    const made = await app.busy(app.tree.branch(run, app.state.frame, [edit]), "going on without");
    if (!made || !this.at) return;
    app.show({ beside: made.key, frame: Math.min(run.length, made.length) });
    const solved = made.answer(made.length).verdict === ANSWERED;
    this.text.textContent = `${notes} was wiped after step ${made.step(made.fork)}, B went on without it, `
      + `and in the end B is ${solved ? "solved all the same" : "not solved"}. `
      + "Go back with ← on the timeline to see how.";
  }

  leave() { // the page stays where it is
    this.at = 0;
    this.element.hidden = true;
    this.point();
    this.app.focus(); this.app.draw();
  }
}
