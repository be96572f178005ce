// A board at one frame: tokens, how sure each is, broken rules, and what differs from something else.

import { KEYS, make, plural, unpacked } from "./page.js";
import { ANSWERED, differing } from "./data.js";

export const MARKS = [["update", "changes: last update"], ["step", "changes: last step"],
  ["end", "differences: the end"], ["solution", "differences: solution"],
  ["other", "differences: other rollout"]];

// What the present board is compared with, or null where there is nothing to compare it with.
function comparison(mark, run, frame, reading, other) { // other: {run, frame} or null
  if (!frame) return null;
  const answers = reading === run.side.answer, first = answers ? run.firstAnswer() : 1;
  if (mark === "update") return frame > first ? run.board(frame - 1, reading).tokens : null;
  if (mark === "step")
    return run.step(frame) > 1 ? run.board(run.end(run.step(frame) - 1), reading).tokens : null;
  if (mark === "end") return run.board(run.length, reading).tokens;
  if (mark === "solution") {
    const { solution, tokens } = run.board(frame, reading);
    // padding: the label does not count there
    return solution ? solution.map((token, i) => token || tokens[i]) : null;
  }
  return other ? other.run.board(other.frame, reading).tokens : null;
}

export function ruling(app, pen, side, left, top) { // the grid, with its heavy lines
  const { rows, cols, row_lines, col_lines } = app.header, { ink } = app.stage;
  const line = (x0, y0, x1, y1) => {
    pen.beginPath();
    pen.moveTo(left + x0 * side, top + y0 * side);
    pen.lineTo(left + x1 * side, top + y1 * side);
    pen.stroke();
  };
  pen.strokeStyle = ink.rule; pen.lineWidth = side >= 10 ? 1 : 0.5;
  for (let r = 1; r < rows; r++) line(0, r, cols, r);
  for (let c = 1; c < cols; c++) line(c, 0, c, rows);
  pen.strokeStyle = ink.ink; pen.lineWidth = 2; pen.lineCap = "square";
  for (const r of [0, ...row_lines, rows]) line(0, r, cols, r);
  for (const c of [0, ...col_lines, cols]) line(c, 0, c, rows);
}

export const cellName = (header, cell) =>
  `row ${Math.floor(cell / header.cols) + 1}, column ${(cell % header.cols) + 1}`;

export class BoardView {
  constructor(app, name) { // name: A or B, where there are two
    this.app = app; this.name = name;
    const { rows, cols } = app.header;
    this.where = make("div", { class: "trm-where" });
    this.canvas = make("canvas", { class: "trm-board", role: "application", tabindex: "0", ...KEYS });
    this.canvas.style.aspectRatio = `${cols} / ${rows}`;
    this.outcome = make("div", { class: "trm-where" });
    this.element = make("div", { class: "trm-side" }, this.where, this.canvas, this.outcome);
    this.canvas.addEventListener("pointerdown", (event) => {
      const cell = this.cellAt(event);
      if (cell !== null) app.pick(cell, event.shiftKey);
    });
    this.canvas.addEventListener("keydown", (event) => this.key(event));
  }

  // Arrows are the recursion's; after Enter they walk over the cells, until Enter or Escape.
  key(event) {
    const { app } = this, { rows, cols } = app.header, cell = app.state.cell ?? 0,
      walking = this.canvas.dataset.cells === "on";
    const to = { ArrowLeft: cell % cols ? cell - 1 : cell, ArrowRight: (cell + 1) % cols ? cell + 1 : cell,
      ArrowUp: cell - cols, ArrowDown: cell + cols }[event.key];
    if (event.key === "Enter" || (walking && event.key === "Escape")) {
      this.canvas.dataset.cells = walking ? "off" : "on";
      if (!walking) app.pick(cell);
    }
    else if (!walking) return;
    else if (event.key === " ") app.pick(cell, true);
    else if (to === undefined) return;
    else if (to >= 0 && to < rows * cols) app.pick(to);
    event.preventDefault(); event.stopPropagation();
  }

  layout() {
    const { rows, cols } = this.app.header, { pen, width, height } = this.app.stage.fit(this.canvas),
      side = Math.min((width - 4) / cols, (height - 4) / rows);
    return { pen, side, left: (width - side * cols) / 2, top: 2 };
  }

  cellAt(event) {
    const { rows, cols } = this.app.header, place = this.canvas.getBoundingClientRect(),
      side = Math.min((place.width - 4) / cols, (place.height - 4) / rows);
    const c = Math.floor((event.clientX - place.left - (place.width - side * cols) / 2) / side),
      r = Math.floor((event.clientY - place.top - 2) / side);
    return c >= 0 && c < cols && r >= 0 && r < rows ? r * cols + c : null;
  }

  draw(run, frame, other) { // → what was drawn, in numbers
    const { header, stage, state } = this.app, { rows, cols } = header, { ink } = stage,
      { pen, side, left, top } = this.layout();
    const reading = this.app.readingOf(run), now = run.board(frame, reading), blank = !frame;
    const against = comparison(state.mark, run, frame, reading, other),
      frames = state.mark === "update" || state.mark === "step";
    const numbers = side >= 44, asked = run.owner(0).own.question();
    let changed = 0, broken = 0;
    pen.textAlign = "center"; pen.textBaseline = "middle";
    for (let i = 0; i < rows * cols; i++) {
      const x = left + (i % cols) * side, y = top + Math.floor(i / cols) * side, token = now.tokens[i],
        own = header.colours[token], given = now.given[i];
      pen.fillStyle = own || (given ? ink.given : blank ? ink.cell : unpacked(stage.sure[now.sure[i]]));
      pen.fillRect(x, y, side, side);
      if (now.wrong(i)) {
        broken++;
        pen.strokeStyle = pen.fillStyle = ink.wrong; pen.lineWidth = Math.max(1, side / 26);
        pen.beginPath(); pen.moveTo(x + side * 0.14, y + side * 0.86);
        pen.lineTo(x + side * 0.86, y + side * 0.14); pen.stroke();
        pen.beginPath(); pen.moveTo(x, y); pen.lineTo(x + side * 0.28, y); pen.lineTo(x, y + side * 0.28);
        pen.fill();
      }
      const glyph = header.glyphs[token];
      if (glyph) {
        pen.fillStyle = own ? "#111" : ink.ink;
        pen.font = `${given ? 700 : 400} ${side * (glyph.length > 1 ? 0.36 : 0.5)}px ${ink.font}`;
        pen.fillText(glyph, x + side / 2, y + side * (numbers && !given && !blank ? 0.44 : 0.53));
      }
      if (!given && !blank) {
        if (numbers) {
          pen.fillStyle = own ? "#111" : ink.ink;
          pen.font = `${Math.max(9, side * 0.17)}px ${ink.font}`;
          pen.textAlign = "right";
          pen.fillText(Math.round(now.sure[i] / 2.55), x + side * 0.89, y + side * 0.81);
          pen.textAlign = "center";
        }
        else if (own) {
          pen.fillStyle = ink.accent;
          pen.fillRect(x, y + side - Math.max(1.5, side / 9),
            (side * now.sure[i]) / 255, Math.max(1.5, side / 9));
        }
      }
      // a given that was changed
      if (now.question[i] !== asked[i]) {
        pen.fillStyle = ink.accent;
        pen.fillRect(x + side * 0.08, y + side * 0.84, side * 0.84, Math.max(2, side * 0.07));
      }
      if (against && token !== against[i]) {
        changed++;
        pen.strokeStyle = frames ? ink.changed : ink.differs; pen.lineWidth = Math.max(1.5, side / 18);
        pen.setLineDash(frames ? [] : [side / 6, side / 9]);
        const inset = pen.lineWidth / 2 + 1.5;
        pen.strokeRect(x + inset, y + inset, side - 2 * inset, side - 2 * inset); pen.setLineDash([]);
      }
    }
    ruling(this.app, pen, side, left, top);
    for (const i of state.chosen) {
      pen.fillStyle = ink.accent;
      pen.beginPath();
      pen.arc(left + ((i % cols) + 0.86) * side, top + (Math.floor(i / cols) + 0.14) * side,
        Math.max(2, side * 0.09), 0, 7);
      pen.fill();
    }
    if (state.cell !== null) {
      pen.strokeStyle = ink.accent;
      pen.lineWidth = 3;
      pen.strokeRect(left + (state.cell % cols) * side,
        top + Math.floor(state.cell / cols) * side, side, side);
    }
    return { tokens: now.tokens, verdict: header.verdicts[now.verdict], solved: now.verdict === ANSWERED,
      changed, broken, reading };
  }

  write(run, frame, drawn, two) { // texts last: they cost the page a layout
    const name = two ? `${this.name}: ${this.app.tree.name(run.key)} · ` : "";
    const outcome = outcomeOf(drawn);
    this.where.textContent = name + run.describe(frame);
    this.outcome.hidden = !two; this.outcome.textContent = `${this.name}: ${outcome}`;
    this.canvas.setAttribute("aria-label",
      `board${two ? ` ${this.name}` : ""} read from ${drawn.reading}: `
      + `${plural(drawn.changed, "cell", "cells")} marked, ${outcome}. Enter, then arrows, chooses a cell`);
  }
}

export function outcomeOf({ broken, solved, verdict }) {
  return broken ? plural(broken, "cell breaks a rule", "cells break a rule")
    : solved ? "solved: complete, and no rule broken" : verdict;
}

export function text(header, tokens) {
  return header.symbols ? Array.from(tokens, (t) => header.symbols[t]).join("")
    : Array.from(tokens).join(" ");
}

// What signs mean. Each is drawn, so that a picture of the page has it too.
export class Legend {
  constructor(stage, items) { // [kind, text, paint(pen, width, height, ink, …), width]
    this.stage = stage;
    this.element = make("div", { class: "trm-legend" });
    this.items = items.map(([kind, says, paint, width = 14]) => {
      const canvas = make("canvas", { "aria-hidden": "true" }), label = make("span", {}, says),
        item = make("span", {}, canvas, label);
      canvas.style.width = `${width}px`;
      this.element.append(item);
      return { kind, canvas, label, item, paint };
    });
  }

  draw(says, key = "") { // says: kind to its text, or null where it is not to be seen
    for (const { kind, canvas, label, item, paint } of this.items) {
      if (kind in says) {
        item.hidden = says[kind] === null;
        if (label.textContent !== says[kind] && says[kind]) label.textContent = says[kind];
      }
      if (!item.hidden) this.stage.background(canvas, { left: 0, right: 0, top: 0, bottom: 0 }, key,
          (pen, { w, h }) => paint(pen, w, h, this.stage.ink, key));
    }
  }
}

const swatch = (fill, more = () => {}) => (pen, w, h, ink, key) => {
  pen.fillStyle = ink[fill]; pen.fillRect(0, 0, w, h);
  pen.strokeStyle = ink.rule; pen.lineWidth = 1; pen.strokeRect(0.5, 0.5, w - 1, h - 1);
  more(pen, w, h, ink, key);
};

export const boardLegend = (stage) => new Legend(stage, [
  ["given", "given", swatch("given")],
  ["sure", "low to high probability", swatch("unsure", (pen, w, h, ink) => {
    for (let x = 1; x < w - 1; x++) {
      pen.fillStyle = unpacked(stage.sure[Math.round((255 * x) / (w - 1))]); pen.fillRect(x, 1, 1, h - 2);
    }
  }), 44],
  ["mark", "", swatch("unsure", (pen, w, h, ink, key) => {
    pen.strokeStyle = ink[key];
    pen.lineWidth = 2;
    pen.setLineDash(key === "differs" ? [3, 2] : []);
    pen.strokeRect(2, 2, w - 4, h - 4);
    pen.setLineDash([]);
  })],
  ["wrong", "breaks a rule", swatch("unsure", (pen, w, h, ink) => {
    pen.strokeStyle = pen.fillStyle = ink.wrong; pen.lineWidth = 1.5;
    pen.beginPath(); pen.moveTo(2, h - 2); pen.lineTo(w - 2, 2); pen.stroke();
    pen.beginPath(); pen.moveTo(0, 0); pen.lineTo(6, 0); pen.lineTo(0, 6); pen.fill();
  })],
  ["edited", "given you changed", swatch("given", (pen, w, h, ink) => {
    pen.fillStyle = ink.accent; pen.fillRect(1, h - 3, w - 2, 2);
  })],
]);

export function drawBoardLegend(legend, app, run, frame) {
  const frames = app.state.mark === "update" || app.state.mark === "step",
    edited = differing(run.answer(frame).question, run.owner(0).own.question()).length;
  legend.draw({ mark: frames ? "changed" : "differs", edited: edited ? "given you changed" : null },
    frames ? "changed" : "differs");
}
