// The place in the recursion: supervision steps, their updates, what happened where;
// and the hands that move it.

import { KEYS, across, button, choose, icon, make } from "./page.js";
import { Legend } from "./board.js";
import { PROBED } from "./findings.js";

const SPEEDS = [1, 2, 4, 8, 16, 32]; // updates in a second

const signs = { // what happened at a frame, drawn at (x, y)
  solved: (pen, x, y, ink) => {
    pen.strokeStyle = ink.changed;
    pen.lineWidth = 2.5;
    pen.beginPath();
    pen.moveTo(x - 5, y);
    pen.lineTo(x - 1.5, y + 4);
    pen.lineTo(x + 5, y - 5);
    pen.stroke();
  },
  stop: (pen, x, y, ink) => {
    pen.fillStyle = ink.ink;
    pen.beginPath();
    pen.moveTo(x - 5, y - 4);
    pen.lineTo(x + 5, y - 4);
    pen.lineTo(x, y + 5);
    pen.fill();
  },
  fork: (pen, x, y, ink) => {
    pen.strokeStyle = ink.differs;
    pen.lineWidth = 2;
    pen.beginPath();
    pen.moveTo(x - 5, y + 4);
    pen.lineTo(x, y + 4);
    pen.lineTo(x + 5, y - 4);
    pen.moveTo(x, y + 4);
    pen.lineTo(x + 6, y + 4);
    pen.stroke();
  },
};

export class Timeline {
  constructor(app) {
    this.app = app; this.timer = null; this.speed = 8;
    const on = (face, label, action) => button(face, label, action);
    this.play = on("play", "play (Space)", () => this.toggle());
    this.canvas = make("canvas", { class: "trm-timeline", role: "slider", tabindex: "0",
      "aria-label": "place in the recursion", "aria-valuemin": "0", ...KEYS });
    const sign = (kind) => (pen, w, h, ink) => signs[kind](pen, w / 2, h / 2, ink);
    const bars = (pen, w, h, ink) => {
      pen.fillStyle = ink.changed; [5, 9, 3].forEach((v, i) => pen.fillRect(2 + 4 * i, h - 1 - v, 3, v));
    };
    this.legend = new Legend(app.stage, [["bars", "cells changed", bars],
      ["solved", "rules satisfied", sign("solved")], ["stop", "would stop", sign("stop")],
      ["fork", "branch begins", sign("fork")]]);
    this.element = make("footer", {},
      make("span", { class: "trm-transport", role: "group", "aria-label": "steps of the recursion" },
      on("first", "the question (Home)", () => app.go(0)),
      on("backStep", "one supervision step back (Shift+←)", () => app.go(this.stepFrom(-1))),
      on("back", "one update back (←)", () => app.go(app.state.frame - 1)),
      this.play,
      on("next", "one update on (→)", () => app.go(app.state.frame + 1)),
      on("nextStep", "one supervision step on (Shift+→)", () => app.go(this.stepFrom(1))),
      on("last", "the last update (End)", () => app.go(app.run.length))),
    choose("speed, updates in a second", SPEEDS.map((s) => [s, `${s}/s`]), this.speed, (speed) => {
      this.speed = Number(speed); app.focus();
    }), this.canvas);
    const scrub = (event) => {
      const place = this.canvas.getBoundingClientRect();
      app.go(Math.round(((event.clientX - place.left - 10) / (place.width - 20)) * app.framesOf(app.run)));
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId); scrub(event);
    });
    this.canvas.addEventListener("pointermove", (event) => { if (event.buttons) scrub(event); });
  }

  stepFrom(direction) { // the end of this or the next supervision step, or of the one before
    const { run, state } = this.app, at = state.frame / run.updates;
    return (direction > 0 ? Math.floor(at) + 1 : Math.ceil(at) - 1) * run.updates;
  }

  toggle(on = !this.timer) {
    clearInterval(this.timer); this.timer = null;
    if (on) {
      if (this.app.state.frame >= this.app.run.length) this.app.go(0);
      const beat = () => {
        this.timer = setTimeout(beat, 1000 / this.speed); this.app.go(this.app.state.frame + 1);
      };
      this.timer = setTimeout(beat, 1000 / this.speed);
    }
    this.play.replaceChildren(icon(on ? "pause" : "play"));
    this.play.title = on ? "pause (Space)" : "play (Space)";
    this.play.setAttribute("aria-label", this.play.title);
    this.app.quiet(on);
  }

  draw(run, frame, stop) { // stop: the supervision step at which the present policy stops, or null
    const { stage, findings } = this.app, { ink } = stage, frames = this.app.framesOf(run),
      below = 18 + (findings.on ? PROBED : 0),
      fork = run.fork || run.parent ? run.fork : null;
    const { pen, box, height } = stage.background(this.canvas, { left: 10, right: 10, top: 0, bottom: below },
      `${run.key} ${run.meta.fitted} ${frames} ${stop} ${findings.stamp(run)}`, (pen, box) => {
      // too narrow for inner ticks
      const x = across(box, frames), floor = box.h, updates = run.updates, dense = box.w / frames < 2.2;
      pen.fillStyle = ink.rule; pen.fillRect(box.x, floor - 1, box.w, 2);
      pen.fillStyle = ink.changed; pen.globalAlpha = 0.75;
      const counts = run.changes(), most = Math.max(1, ...counts),
        wide = Math.max(1, Math.min(5, box.w / frames - 1));
      counts.forEach((count, f) => {
        if (count) {
          const tall = 2 + 12 * Math.sqrt(count / most);
          pen.fillRect(x(f) - wide / 2, floor - 15 - tall, wide, tall);
        }
      });
      pen.textAlign = "center"; pen.textBaseline = "top"; pen.globalAlpha = 1;
      const steps = Math.ceil(frames / updates), every = Math.ceil((18 * steps) / box.w);
      for (let f = 0; f <= frames; f++) {
        const major = f % updates === 0 || f === frames,
          answered = f && run.side.names[run.side.updates[(f - 1) % updates][2]] === run.side.answer;
        if (dense && !major) continue;
        pen.globalAlpha = f > run.length ? 0.25 : 1; pen.strokeStyle = major ? ink.ink : ink.soft;
        pen.lineWidth = major ? 1.5 : 1;
        pen.beginPath(); pen.moveTo(x(f), floor - (major ? 12 : answered ? 8 : 4)); pen.lineTo(x(f), floor);
        pen.stroke();
        const step = Math.ceil(f / updates);
        if (major && (step % every === 0 || f === frames)) {
          pen.fillStyle = ink.soft; pen.fillText(step, x(f), floor + 5);
        }
      }
      pen.globalAlpha = 1;
      const marks = [["fork", fork], ["solved", run.firstSolved()], ["stop", stop && run.end(stop)]]
        .filter(([, f]) => f !== null && f >= 0);
      marks.forEach(([kind, f], i) => { // side by side where they would lie on each other
        const before = marks.slice(0, i).filter(([, g]) => Math.abs(x(g) - x(f)) < 13).length;
        signs[kind](pen, Math.min(box.x + box.w + 4, x(f) + 13 * before), 8, ink);
      });
      if (findings.on) findings.drawTimeline(pen, run, x, floor + 18, wide);
    });
    const x = across(box, frames), floor = height - below;
    pen.fillStyle = ink.accent; pen.fillRect(box.x, floor - 1, x(frame) - box.x, 2);
    stage.dot(pen, x(frame), floor, ink.accent, 6);
    this.legend.draw({ fork: fork === null ? null : "branch begins",
      solved: run.firstSolved() < 0 ? null : "rules satisfied", stop: stop && "would stop" });
  }

  write(run, frame, words) {
    const { canvas } = this;
    canvas.setAttribute("aria-valuemax", run.length); canvas.setAttribute("aria-valuenow", frame);
    canvas.setAttribute("aria-valuetext", words);
  }
}
