// When to stop: the probability along the run, a threshold to move, and what each policy would cost and solve over all puzzles.

import { across, clamp, course, figure, make, number, percent, plural, switches } from "./page.js";

const CERTAIN = 0.8; // halting's default: probability of the least certain cell above which an answer need not settle
const THRESHOLDS = Array.from({ length: 101 }, (_, i) => i / 100);

// Each policy: does it stop after step t (from 0), given a course of what halting looks at and its number?
const POLICIES = {
  fixed: { does: "stop after a fixed number of supervision steps", stops: (c, t, steps) => t + 1 >= steps },
  threshold: { does: "stop as soon as the halting probability is above the threshold", stops: (c, t, least) => c.halt[t] > least },
  settled: { does: "stop as soon as the probability is above the threshold and the answer is certain in every cell, or as it was one step before (what the library does)", stops: (c, t, least) => c.halt[t] > least && (c.doubt[t] > CERTAIN || Boolean(c.same[t])) },
  verified: { does: "stop as soon as the rules call the answer solved", stops: (c, t) => Boolean(c.legal[t]) },
};

function stopOf(policy, course, steps, value) { // the supervision step after which it stops; the last one at the latest
  for (let t = 0; t < steps; t++) if (POLICIES[policy].stops(course, t, value)) return t + 1;
  return steps;
}

function outcome(overview, policy, value) { // [mean steps, share solved] over the puzzles known so far; share NaN: unknown
  let steps = 0, solved = 0, known = 0;
  for (let i = 0; i < overview.done; i++) {
    const row = overview.row(i), stop = stopOf(policy, row, overview.steps, value), right = row.solved[stop - 1];
    steps += stop;
    if (right < 2) { known++; solved += right; }
  }
  return [steps / overview.done, known ? solved / known : NaN];
}

function triangle(pen, x, y) { pen.beginPath(); pen.moveTo(x, y - 6); pen.lineTo(x + 6, y + 5); pen.lineTo(x - 6, y + 5); pen.fill(); } // a policy without a number is one place

export function drawProbability(app, canvas, run, frame, other) { // along the run, and beside it the other run's, faint
  const values = run.series("halting"), which = run.side.names.indexOf(run.side.answer); // the head reads the answer: the line moves where that is renewed
  const points = (of) => Array.from(of.series("halting"), (v, f) => [(f * run.updates) / of.updates, v]).slice(1);
  const lines = [...(other ? [{ points: points(other.run), which, faint: true, steps: true }] : []), { points: points(run), which, steps: true }];
  return course(app.stage, canvas, { frames: app.frames, every: run.updates, low: 0, high: 1, marks: [[0, "0 %"], [0.5, "50 %"], [1, "100 %"]], lines,
    key: `${run.key} ${other?.run.key} ${app.frames}`, at: { frame, which, value: frame ? values[frame] : NaN } });
}

export class Halting {
  constructor(app) {
    this.app = app;
    this.policy = switches("halting policy", Object.entries(POLICIES).map(([name, { does }]) => [name, name, does]), (policy) => app.show({ policy }));
    this.threshold = number("threshold of the halting probability", { type: "range", min: 0, max: 1, step: 0.01, value: 0.5 }, (threshold) => app.show({ threshold }));
    this.count = number("supervision steps", { type: "range", min: 1, max: 1, step: 1, value: 1 }, (count) => app.show({ count }));
    this.value = make("output", {}); this.says = make("p", { class: "trm-says" });
    this.run = figure("halting probability along this run; drag the threshold");
    this.all = figure("all loaded puzzles: mean steps against share solved");
    this.slider = make("span", { class: "trm-slider" }, this.threshold, this.count, this.value);
    this.element = make("div", { class: "trm-panel" }, make("div", { class: "trm-controls" }, this.policy.element, this.slider), this.says, this.run.element, this.all.element);
    this.run.canvas.classList.add("trm-drag");
    const drag = (event) => {
      const place = this.run.canvas.getBoundingClientRect(), low = place.top + 6, high = place.bottom - 6;
      app.show({ threshold: Math.round(100 * clamp((high - event.clientY) / (high - low), 0, 1)) / 100 });
    };
    this.run.canvas.addEventListener("pointerdown", (event) => { if (this.thresholded()) { this.run.canvas.setPointerCapture(event.pointerId); drag(event); event.stopPropagation(); } });
    this.run.canvas.addEventListener("pointermove", (event) => { if (event.buttons && this.thresholded()) drag(event); });
    this.counts = new Map();
  }

  thresholded() { return ["threshold", "settled"].includes(this.app.state.policy); }
  get overview() { return this.app.tree.overviewOf(this.app.run); }
  parameter(policy = this.app.state.policy) { return policy === "fixed" ? this.app.state.count : this.app.state.threshold; }
  course(run) { // as the overview has it, which is exact; or as the run's own bytes say, to 1/255
    const overview = this.app.tree.overviewOf(run);
    return !run.parent && run.puzzle < overview.done && run.steps === overview.steps ? overview.row(run.puzzle) : run.course();
  }
  stop(run) { return stopOf(this.app.state.policy, this.course(run), run.steps, this.parameter()); }

  outcome(policy, value) { // counted once for the puzzles that have come so far
    const { overview } = this, key = `${policy} ${value}`;
    if (this.counted !== overview || this.upTo !== overview.done) { this.counts.clear(); this.counted = overview; this.upTo = overview.done; }
    if (!this.counts.has(key)) this.counts.set(key, outcome(overview, policy, value));
    return this.counts.get(key);
  }
  reached(run, stop) { return POLICIES[this.app.state.policy].stops(this.course(run), stop - 1, this.parameter()); } // or was that just the end?

  curve(policy) { // over its numbers
    const values = policy === "fixed" ? Array.from({ length: this.overview.steps }, (_, i) => i + 1) : policy === "verified" ? [0] : THRESHOLDS;
    return values.map((value) => this.outcome(policy, value));
  }

  draw(run, frame, other) {
    const { app } = this, { stage, state } = app, { ink } = stage, values = run.series("halting");
    const { pen, box, x, y } = drawProbability(app, this.run.canvas, run, frame, other);
    const stop = this.stop(run), end = x(run.end(stop));
    if (this.thresholded()) {
      pen.strokeStyle = pen.fillStyle = ink.differs; pen.lineWidth = 2; pen.setLineDash([6, 4]);
      pen.beginPath(); pen.moveTo(box.x, y(state.threshold)); pen.lineTo(box.x + box.w, y(state.threshold)); pen.stroke(); pen.setLineDash([]);
      pen.beginPath(); pen.roundRect(box.x + box.w - 5, y(state.threshold) - 7, 14, 14, 3); pen.fill();
    }
    pen.fillStyle = ink.ink; pen.beginPath(); pen.moveTo(end - 6, box.y); pen.lineTo(end + 6, box.y); pen.lineTo(end, box.y + 9); pen.fill();
    pen.strokeStyle = ink.ink; pen.lineWidth = 1; pen.setLineDash([2, 3]); pen.beginPath(); pen.moveTo(end, box.y); pen.lineTo(end, box.y + box.h); pen.stroke(); pen.setLineDash([]);
    this.drawAll();
    return { stop, value: frame ? values[frame] : NaN, other };
  }

  drawAll() {
    const { app } = this, { stage, state } = app, { overview } = this, { ink } = stage;
    this.sentence = "";
    if (!overview.done) return stage.say(this.all.canvas, app.tree.kernel ? "The overview over all puzzles is being computed; this puzzle's own answer is above." : "This page was saved without the overview over all puzzles; with a kernel it is computed here.");
    const [mean, share] = this.outcome(state.policy, state.policy === "verified" ? 0 : this.parameter());
    this.sentence = `${plural(overview.done, "puzzle", "puzzles")}: ${mean.toFixed(1)} steps on average${Number.isFinite(share) ? `, ${percent(share)} solved` : ""}`;
    if (!Number.isFinite(share)) return stage.say(this.all.canvas, "These puzzles have no labels, and their rules do not decide whether an answer is right: which share is solved, nobody can say. The mean number of steps is above.");
    const names = Object.keys(POLICIES), margins = { left: 42, right: 12, top: 6, bottom: 30 }, height = (box) => (v) => box.y + box.h * (1 - v);
    const { pen, box } = stage.background(this.all.canvas, margins, `${app.run.side.model} ${overview.done} ${state.policy}`, (pen, box) => {
      const x = across(box, overview.steps), y = height(box);
      pen.textBaseline = "middle"; pen.strokeStyle = ink.rule; pen.fillStyle = ink.soft;
      for (const v of [0, 0.5, 1]) { pen.textAlign = "right"; pen.beginPath(); pen.moveTo(box.x, y(v)); pen.lineTo(box.x + box.w, y(v)); pen.stroke(); pen.fillText(percent(v), box.x - 6, y(v)); }
      pen.textAlign = "center";
      const every = Math.max(1, Math.round(overview.steps / 8));
      for (let t = 0; t <= overview.steps; t += every) pen.fillText(t, x(t), box.y + box.h + 10);
      pen.fillText("mean supervision steps", box.x + box.w / 2, box.y + box.h + 23);
      names.forEach((name, i) => {
        const points = this.curve(name), here = name === state.policy;
        pen.strokeStyle = pen.fillStyle = stage.latent(i); pen.lineWidth = here ? 2.5 : 1.4; pen.setLineDash(stage.dash(i)); pen.globalAlpha = here ? 1 : 0.75;
        pen.beginPath(); points.forEach(([m, s], k) => pen[k ? "lineTo" : "moveTo"](x(m), y(s))); pen.stroke(); pen.setLineDash([]);
        if (points.length === 1) triangle(pen, x(points[0][0]), y(points[0][1]));
        pen.globalAlpha = 1;
        const at = [box.x + box.w - 92, box.y + box.h - 66 + 15 * i]; // which is which, where curves of share against steps leave room
        if (points.length > 1) { pen.setLineDash(stage.dash(i)); pen.beginPath(); pen.moveTo(at[0], at[1]); pen.lineTo(at[0] + 22, at[1]); pen.stroke(); pen.setLineDash([]); } else triangle(pen, at[0] + 11, at[1]);
        pen.fillStyle = here ? ink.ink : ink.soft; pen.textAlign = "left"; pen.fillText(name, at[0] + 28, at[1]); pen.textAlign = "center";
      });
    });
    stage.dot(pen, across(box, overview.steps)(mean), height(box)(share), ink.accent, 6);
    return undefined;
  }

  write(run, frame, { stop, value }) {
    const { state, tree } = this.app, { overview } = this;
    this.policy.set(state.policy);
    this.threshold.hidden = !this.thresholded(); this.count.hidden = state.policy !== "fixed"; this.slider.hidden = state.policy === "verified";
    this.threshold.value = state.threshold; this.count.max = run.side.max_steps; this.count.value = state.count;
    this.value.textContent = state.policy === "fixed" ? plural(state.count, "step", "steps") : percent(state.threshold);
    this.run.now.textContent = frame ? `now ${percent(value)}` : "";
    const there = run.answer(run.end(stop)), reached = this.reached(run, stop);
    this.says.textContent = `${tree.name(run.key)}: ${reached ? `stops after step ${stop} of ${run.steps}` : `never stops by itself, and ends after step ${run.steps}`}; its answer there: ${this.app.header.verdicts[there.verdict]}.`;
    this.all.now.textContent = this.sentence + (overview.done < overview.total ? ` (${overview.done} of ${overview.total} so far)` : "");
  }
}
