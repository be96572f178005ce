// When to stop: the probability along the run, a threshold to move, and what each policy would cost
// and solve over all puzzles.

import { across, clamp, figure, lineChart, make, number, percent, plural, switches } from "./page.js";

const THRESHOLDS = Array.from({ length: 101 }, (_, i) => i / 100);

// The conditions of `halting.StopRule`, whose numbers the header brings: compared as float32, as Python does.
const isAbove = (c, t, threshold) => c.halt[t] > Math.fround(threshold);
const stands = (c, t, certain) =>
  !certain || Boolean(c.same[t]) || c.least_confidence[t] > Math.fround(certain);
// Other kinds than these are not numbers: where they stopped comes from Python.
const known = (rule) => ["given", "usual"].includes(rule.kind);

// Each policy: does it stop after step t (from 0), given what halting looks at after each step, its
// number and the side's rule?
export const POLICIES = {
  given: { does: "stop by the rule of this Explorer, with its present numbers",
    stops: (c, t, _, rule) =>
      (known(rule) ? POLICIES.settled.stops(c, t, rule.threshold, rule) : Boolean(c.stops[t])) },
  fixed: { does: "stop after a fixed number of supervision steps", stops: (c, t, steps) => t + 1 >= steps },
  threshold: { does: "stop as soon as the halting probability is above the threshold", stops: isAbove },
  settled: {
    does: "stop as soon as the probability is above the threshold and the answer is certain in every cell, "
      + "or unchanged",
    stops: (c, t, least, rule) => isAbove(c, t, least) && stands(c, t, rule.certain) },
  verified: { does: "stop as soon as the rules call the answer solved",
    stops: (c, t) => Boolean(c.accepted[t]) },
};

// the supervision step after which it stops; the last one at the latest
function stopOf(policy, signals, steps, value, rule) {
  for (let t = 0; t < steps; t++) if (POLICIES[policy].stops(signals, t, value, rule)) return t + 1;
  return steps;
}

// [mean steps, share solved] over the puzzles known so far; share NaN: unknown
function outcome(overview, policy, value, rule) {
  let steps = 0, solved = 0, known = 0;
  for (let i = 0; i < overview.done; i++) {
    const row = overview.row(i), stop = stopOf(policy, row, overview.steps, value, rule),
      right = row.solved[stop - 1];
    steps += stop;
    if (right < 2) { known++; solved += right; }
  }
  return [steps / overview.done, known ? solved / known : NaN];
}

// a policy without a number is one place
function triangle(pen, x, y) {
  pen.beginPath(); pen.moveTo(x, y - 6); pen.lineTo(x + 6, y + 5); pen.lineTo(x - 6, y + 5); pen.fill();
}

// along the run, and beside it the other run's, faint
export function drawProbability(app, canvas, run, frame, other) {
  // the head reads the answer: the line moves where that is renewed
  const values = run.series("halting"), which = run.side.names.indexOf(run.side.answer);
  const points = (of) =>
    Array.from(of.series("halting"), (v, f) => [(f * run.updates) / of.updates, v]).slice(1);
  const lines = [...(other ? [{ points: points(other.run), which, faint: true, steps: true }] : []),
    { points: points(run), which, steps: true }];
  return lineChart(app.stage, canvas, { frames: app.frames, every: run.updates, low: 0, high: 1,
    marks: [[0, "0 %"], [0.5, "50 %"], [1, "100 %"]], lines,
    key: `${run.key} ${other?.run.key} ${app.frames}`,
    at: { frame, which, value: frame ? values[frame] : NaN } });
}

export class Halting {
  constructor(app) {
    this.app = app;
    this.policy = switches("halting policy",
      Object.entries(POLICIES).map(([name, { does }]) => [name, name, does]),
      (policy) => this.choose(policy));
    this.threshold = number("threshold of the halting probability",
      { type: "range", min: 0, max: 1, step: 0.01, value: 0.5 }, (threshold) => this.move(threshold));
    this.count = number("supervision steps", { type: "range", min: 1, max: 1, step: 1, value: 1 },
      (count) => app.show({ count }));
    this.value = make("output", {}); this.says = make("p", { class: "trm-says" });
    this.rule = make("p", { class: "trm-rule" });
    this.run = figure("halting probability along this rollout; drag the threshold");
    this.all = figure("all loaded puzzles: mean steps against share solved");
    this.slider = make("span", { class: "trm-slider" }, this.threshold, this.count, this.value);
    this.element = make("div", { class: "trm-panel" },
      make("div", { class: "trm-controls" }, this.policy.element, this.slider), this.says, this.run.element,
      this.all.element, this.rule);
    this.run.canvas.classList.add("trm-drag");
    const drag = (event) => {
      const place = this.run.canvas.getBoundingClientRect(), low = place.top + 6, high = place.bottom - 6;
      this.move(Math.round(100 * clamp((high - event.clientY) / (high - low), 0, 1)) / 100);
    };
    this.run.canvas.addEventListener("pointerdown", (event) => {
      if (this.thresholded()) {
        this.run.canvas.setPointerCapture(event.pointerId); drag(event); event.stopPropagation();
      }
    });
    this.run.canvas.addEventListener("pointermove", (event) => {
      if (event.buttons && this.thresholded()) drag(event);
    });
    this.counts = new Map();
  }

  choose(policy) { this.app.show(policy === "given" ? { policy, threshold: null } : { policy }); }
  move(threshold) { // it is the given rule no more
    const { policy } = this.app.state;
    this.app.show({ threshold, policy: policy === "given" ? "settled" : policy });
  }
  thresholded({ rule } = this.app.followed.run.side) {
    const { policy } = this.app.state;
    return ["threshold", "settled"].includes(policy) || (policy === "given" && known(rule));
  }
  get overview() { return this.app.tree.overviewOf(this.app.followed.run); }
  // a side's own until it is moved
  limit({ rule } = this.app.followed.run.side) { return this.app.state.threshold ?? rule.threshold; }
  parameter(side) { return this.app.state.policy === "fixed" ? this.app.state.count : this.limit(side); }
  stop(run) { // the step
    return stopOf(this.app.state.policy, run.signals(), run.steps, this.parameter(run.side), run.side.rule);
  }

  outcome(policy, value) { // counted once for the puzzles that have come so far
    const { overview } = this, key = `${policy} ${value}`;
    if (this.counted !== overview || this.upTo !== overview.done) {
      this.counts.clear(); this.counted = overview; this.upTo = overview.done;
    }
    if (!this.counts.has(key)) {
      const { rule } = this.app.followed.run.side;
      this.counts.set(key, outcome(overview, policy, value, rule));
    }
    return this.counts.get(key);
  }
  reached(run, stop) { // or was that just the end?
    return POLICIES[this.app.state.policy].stops(run.signals(), stop - 1,
      this.parameter(run.side), run.side.rule);
  }

  curve(policy) { // over its numbers
    const values = policy === "fixed" ? Array.from({ length: this.overview.steps }, (_, i) => i + 1)
      : ["given", "verified"].includes(policy) ? [0] : THRESHOLDS;
    return values.map((value) => this.outcome(policy, value));
  }

  draw(run, frame, other) {
    const { app } = this, { stage, state } = app, { ink } = stage, values = run.series("halting");
    const { pen, box, x, y } = drawProbability(app, this.run.canvas, run, frame, other);
    const stop = this.stop(run), end = x(run.end(stop));
    if (this.thresholded()) {
      pen.strokeStyle = pen.fillStyle = ink.differs; pen.lineWidth = 2; pen.setLineDash([6, 4]);
      pen.beginPath(); pen.moveTo(box.x, y(this.limit())); pen.lineTo(box.x + box.w, y(this.limit()));
      pen.stroke(); pen.setLineDash([]);
      pen.beginPath(); pen.roundRect(box.x + box.w - 5, y(this.limit()) - 7, 14, 14, 3); pen.fill();
    }
    pen.fillStyle = ink.ink;
    pen.beginPath(); pen.moveTo(end - 6, box.y); pen.lineTo(end + 6, box.y); pen.lineTo(end, box.y + 9);
    pen.fill();
    pen.strokeStyle = ink.ink; pen.lineWidth = 1; pen.setLineDash([2, 3]);
    pen.beginPath(); pen.moveTo(end, box.y); pen.lineTo(end, box.y + box.h); pen.stroke();
    pen.setLineDash([]);
    this.drawAll();
    return { stop, value: frame ? values[frame] : NaN, other };
  }

  drawAll() {
    const { app } = this, { stage, state } = app, { overview } = this, { ink } = stage;
    this.sentence = "";
    if (!overview.done) return stage.say(this.all.canvas, app.tree.kernel
        ? "The overview over all puzzles is being computed; this puzzle's own answer is above."
        : "This page was saved without the overview over all puzzles; with a kernel it is computed here.");
    const [mean, share] = this.outcome(state.policy,
      ["given", "verified"].includes(state.policy) ? 0 : this.parameter());
    const solved = Number.isFinite(share) ? `, ${percent(share)} solved` : "";
    const puzzles = plural(overview.done, "puzzle", "puzzles");
    this.sentence = `${puzzles}: ${mean.toFixed(1)} steps on average${solved}`;
    if (!Number.isFinite(share)) return stage.say(this.all.canvas,
        "These puzzles have no labels, and their rules do not decide whether an answer is right, "
        + "so the share solved is not known. The mean number of steps is above.");
    const names = Object.keys(POLICIES), margins = { left: 42, right: 12, top: 6, bottom: 30 },
      height = (box) => (v) => box.y + box.h * (1 - v);
    const { pen, box } = stage.background(this.all.canvas, margins,
      `${app.tree.whichSide(app.followed.run)} ${overview.done} ${state.policy}`, (pen, box) => {
      const x = across(box, overview.steps), y = height(box);
      pen.textBaseline = "middle"; pen.strokeStyle = ink.rule; pen.fillStyle = ink.soft;
      for (const v of [0, 0.5, 1]) {
        pen.textAlign = "right";
        pen.beginPath();
        pen.moveTo(box.x, y(v));
        pen.lineTo(box.x + box.w, y(v));
        pen.stroke();
        pen.fillText(percent(v), box.x - 6, y(v));
      }
      pen.textAlign = "center";
      const every = Math.max(1, Math.round(overview.steps / 8));
      for (let t = 0; t <= overview.steps; t += every) pen.fillText(t, x(t), box.y + box.h + 10);
      pen.fillText("mean supervision steps", box.x + box.w / 2, box.y + box.h + 23);
      names.forEach((name, i) => {
        const dash = (k) => stage.dash(Math.max(0, k - 1)), points = this.curve(name),
          here = name === state.policy;
        pen.strokeStyle = pen.fillStyle = i ? stage.latent(i - 1) : ink.ink; pen.lineWidth = here ? 2.5 : 1.4;
        pen.setLineDash(dash(i)); pen.globalAlpha = here ? 1 : 0.75;
        pen.beginPath();
        points.forEach(([m, s], k) => pen[k ? "lineTo" : "moveTo"](x(m), y(s)));
        pen.stroke(); pen.setLineDash([]);
        if (points.length === 1) triangle(pen, x(points[0][0]), y(points[0][1]));
        pen.globalAlpha = 1;
        // which is which, where curves of share against steps leave room
        const at = [box.x + box.w - 92, box.y + box.h - 72 + 14 * i];
        if (points.length > 1) {
          pen.setLineDash(dash(i));
          pen.beginPath();
          pen.moveTo(at[0], at[1]);
          pen.lineTo(at[0] + 22, at[1]);
          pen.stroke();
          pen.setLineDash([]);
        } else triangle(pen, at[0] + 11, at[1]);
        pen.fillStyle = here ? ink.ink : ink.soft; pen.textAlign = "left";
        pen.fillText(name, at[0] + 28, at[1]); pen.textAlign = "center";
      });
    });
    stage.dot(pen, across(box, overview.steps)(mean), height(box)(share), ink.accent, 6);
    return undefined;
  }

  ending(run) { // where the policy stops a run, in words
    const { tree, header } = this.app, stop = this.stop(run), most = run.side.max_steps;
    const steps = plural(run.steps, "step", "steps");
    const ends = this.reached(run, stop) ? `stops after step ${stop} of ${most}`
      : run.steps < most ? `does not stop in the ${steps} that this rollout took before it left`
        : `never stops by itself, and ends after step ${run.steps}`;
    const verdict = header.verdicts[run.answer(run.end(stop)).verdict];
    return `${tree.name(run.key)}: ${ends}; its answer there: ${verdict}.`;
  }

  write(run, frame, { value, other }) {
    const { state, tree } = this.app, { overview } = this;
    this.policy.set(state.policy);
    this.threshold.hidden = !this.thresholded(); this.count.hidden = state.policy !== "fixed";
    this.slider.hidden = this.threshold.hidden && this.count.hidden;
    this.threshold.value = this.limit(); this.count.max = run.side.max_steps; this.count.value = state.count;
    this.value.textContent = state.policy === "fixed" ? plural(state.count, "step", "steps")
      : `${Number((100 * this.limit()).toPrecision(4))} %`;
    this.run.now.textContent = frame ? `now ${percent(value)}` : "";
    const shown = [run, ...(other && other.run.side !== run.side ? [other.run] : [])];
    this.says.textContent = shown.map((each) => this.ending(each)).join(" ");
    const told = ({ side }) => `${shown.length > 1 ? `${side.model}: ` : ""}${side.rule.says}.`;
    this.rule.textContent = shown.map(told).join(" "); // below the charts, which stay in place
    this.all.now.textContent = this.sentence
      + (overview.done < overview.total ? ` (${overview.done} of ${overview.total} so far)` : "");
  }
}
