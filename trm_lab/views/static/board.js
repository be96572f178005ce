// A board at one frame: tokens, how sure each is, broken rules, and what differs from something else.

import { KEYS, make, plural, unpacked } from "./page.js";
import { ANSWERED, differing } from "./data.js";
import { Demonstrations, arrow, cellsOf, panesOf } from "./task.js";

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

export function ruling(app, pen, { side, left, top, ...part }) { // the grid, with its heavy lines
  const { row_lines, col_lines } = app.header, { rows = app.header.rows, cols = app.header.cols } = part,
    { ink } = app.stage;
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

const PATH = "#0072b2", DOUBT = "#8a8a8a"; // on cells whose colours are the same in every theme

const dark = (hex) => parseInt(hex.slice(1, 3), 16) + 2 * parseInt(hex.slice(3, 5), 16) < 330;

function cross(pen, x, y, r, colour) {
  pen.strokeStyle = colour; pen.lineWidth = Math.max(1.5, r / 2); pen.lineCap = "round";
  pen.beginPath(); pen.moveTo(x - r, y - r); pen.lineTo(x + r, y + r);
  pen.moveTo(x - r, y + r); pen.lineTo(x + r, y - r); pen.stroke(); pen.lineCap = "butt";
}

export const cellName = (header, cell) =>
  `row ${Math.floor(cell / header.cols) + 1}, column ${(cell % header.cols) + 1}`;

export class BoardView {
  constructor(app, name) { // name: A or B, where there are two
    this.app = app; this.name = name;
    const { rows, cols } = app.header;
    this.where = make("div", { class: "trm-where" });
    this.canvas = make("canvas", { class: "trm-board", role: "application", tabindex: "0", ...KEYS });
    this.canvas.style.aspectRatio = app.header.tasks ? "2 / 1" : `${cols} / ${rows}`;
    this.outcome = make("div", { class: "trm-where" });
    this.demonstrations = new Demonstrations(app);
    this.panes = [];
    this.element = make("div", { class: "trm-side" }, this.where, this.demonstrations.element, this.canvas,
      this.outcome);
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

  cellAt(event) {
    const place = this.canvas.getBoundingClientRect();
    for (const { row, col, rows, cols, side, left, top } of this.panes) {
      const c = Math.floor((event.clientX - place.left - left) / side),
        r = Math.floor((event.clientY - place.top - top) / side);
      if (c >= 0 && c < cols && r >= 0 && r < rows) return (row + r) * this.app.header.cols + col + c;
    }
    return null;
  }

  draw(run, frame, other) { // → what was drawn, in numbers
    const { header, stage, state } = this.app, { pen, width, height } = stage.fit(this.canvas),
      reading = this.app.readingOf(run), now = run.board(frame, reading),
      against = comparison(state.mark, run, frame, reading, other);
    this.demonstrations.draw(run);
    this.panes = panesOf(this.app, run, frame, reading, width, height);
    for (const pane of this.panes) {
      const cells = cellsOf(header, pane);
      if (pane.what === "test input") this.drawQuestion(pen, pane, cells, now);
      else if (run.meta.task && !frame) this.drawNothing(pen, pane);
      else this.drawCells(pen, pane, cells, { now, against, blank: !frame,
        asked: run.owner(0).own.question() });
      ruling(this.app, pen, pane);
      if (now.links) this.drawPath(pen, pane, cells, now);
      if (pane.what !== "test input") this.app.findings.drawBoard(pen, run, frame, cells, pane.side);
      this.drawSigns(pen, pane, cells, { now, against, blank: !frame });
    }
    const every = Array.from(now.tokens.keys());
    return { tokens: now.tokens, verdict: header.verdicts[now.verdict], solved: now.verdict === ANSWERED,
      changed: against ? every.filter((i) => now.tokens[i] !== against[i]).length : 0,
      broken: every.filter((i) => now.wrong(i)).length, reading, window: frame ? now.window : null,
      scores: frame ? now.scores : [] };
  }

  drawQuestion(pen, pane, cells, now) { // a task's test input
    const { header, stage } = this.app, { side, left, top } = pane, { ink } = stage;
    for (const [i, x, y] of cells) {
      pen.fillStyle = header.colours[now.question[i]] || ink.cell; pen.fillRect(x, y, side, side);
    }
    this.title(pen, pane);
    arrow(this.app, pen, left + pane.cols * side + 12, top + (pane.rows * side) / 2, 20);
  }

  title(pen, { what, left }) {
    pen.font = `12px ${this.app.stage.ink.font}`; pen.fillStyle = this.app.stage.ink.soft;
    pen.textAlign = "left"; pen.textBaseline = "middle"; pen.fillText(what, left, 9);
  }

  drawNothing(pen, pane) { // there is no answer yet
    const { ink } = this.app.stage, { rows, cols, side, left, top } = pane;
    this.title(pen, pane);
    pen.fillStyle = ink.soft; pen.textAlign = "center"; pen.textBaseline = "middle";
    pen.font = `${Math.min(40, side)}px ${ink.font}`;
    pen.fillText("?", left + (cols * side) / 2, top + (rows * side) / 2);
  }

  drawCells(pen, pane, cells, { now, blank, asked }) { // what stands under the lines
    const { header, stage } = this.app, { ink } = stage, { side, what } = pane;
    if (what === "answer") this.title(pen, pane);
    for (const [i, x, y] of cells) {
      const own = header.colours[now.tokens[i]], given = now.given[i];
      pen.fillStyle = own || (given ? ink.given : blank ? ink.cell : unpacked(stage.sure[now.sure[i]]));
      pen.fillRect(x, y, side, side);
      // a cell in a colour of its own says how sure it is only where it is not
      if (own && !given && !blank && side < 44 && now.sure[i] < 252) {
        pen.fillStyle = DOUBT;
        pen.fillRect(x, y + side - Math.max(1.5, side / 12), (side * now.sure[i]) / 255,
          Math.max(1.5, side / 12));
      }
      if (now.question[i] !== asked[i]) { // a given that was changed
        pen.fillStyle = ink.accent;
        pen.fillRect(x + side * 0.08, y + side * 0.84, side * 0.84, Math.max(2, side * 0.07));
      }
    }
  }

  drawPath(pen, pane, cells, { tokens, links, broken, ends }) { // over solid walls, under S and G
    const { header, stage } = this.app, { ink } = stage, { side } = pane, count = tokens.length,
      at = new Map(cells.map(([i, x, y]) => [i, [x + side / 2, y + side / 2]])), pieces = [[], []],
      bit = (bits, i) => (bits[i >> 3] >> (7 - (i & 7))) & 1;
    for (const [i, x, y] of cells) if (header.solid[tokens[i]]) {
      pen.fillStyle = header.colours[tokens[i]]; pen.fillRect(x - 0.5, y - 0.5, side + 1, side + 1);
    }
    for (const [i] of cells) for (const [k, j] of [[i, i + 1], [i + count, i + header.cols]])
      if (bit(links, k)) pieces[bit(broken, i) | bit(broken, j)].push([at.get(i), at.get(j)]);
    for (const [which, some] of pieces.entries()) {
      pen.strokeStyle = which ? ink.wrong : PATH;
      pen.lineWidth = Math.max(2, side * (which ? 0.12 : 0.24));
      pen.lineCap = which ? "butt" : "square"; pen.setLineDash(which ? [side / 6, side / 8] : []);
      pen.beginPath();
      for (const [from, to] of some) { pen.moveTo(...from); pen.lineTo(...to); }
      pen.stroke();
    }
    pen.setLineDash([]);
    for (const [i, x, y] of cells) {
      if (bit(ends, i)) cross(pen, ...at.get(i), side * 0.2, ink.wrong);
      if (header.glyphs[tokens[i]] && header.colours[tokens[i]]) {
        pen.fillStyle = header.colours[tokens[i]];
        pen.fillRect(x + side * 0.1, y + side * 0.1, side * 0.8, side * 0.8);
      }
    }
  }

  drawSigns(pen, pane, cells, { now, against, blank }) { // what stands over the lines
    const { header, stage, state } = this.app, { ink } = stage, { side, what } = pane, numbers = side >= 44,
      frames = state.mark === "update" || state.mark === "step", answer = what !== "test input" &&
        !(what === "answer" && blank);
    for (const [i, x, y] of cells) {
      if (answer) this.drawSign(pen, i, x, y, side, { now, blank, numbers });
      if (answer && against && now.tokens[i] !== against[i]) {
        pen.strokeStyle = frames ? ink.changed : ink.differs; pen.lineWidth = Math.max(1.5, side / 18);
        pen.setLineDash(frames ? [] : [side / 6, side / 9]);
        const inset = pen.lineWidth / 2 + 1.5;
        pen.strokeRect(x + inset, y + inset, side - 2 * inset, side - 2 * inset); pen.setLineDash([]);
      }
      if (state.chosen.has(i)) {
        pen.fillStyle = ink.accent;
        pen.beginPath(); pen.arc(x + 0.86 * side, y + 0.14 * side, Math.max(2, side * 0.09), 0, 7);
        pen.fill();
      }
      if (state.cell === i) {
        pen.strokeStyle = ink.accent; pen.lineWidth = 3; pen.strokeRect(x, y, side, side);
      }
    }
  }

  drawSign(pen, i, x, y, side, { now, blank, numbers }) { // a cell's glyph, its certainty, a broken rule
    const { header, stage } = this.app, { ink } = stage, token = now.tokens[i], given = now.given[i],
      own = header.colours[token], glyph = header.glyphs[token];
    if (now.wrong(i)) {
      pen.strokeStyle = pen.fillStyle = ink.wrong; pen.lineWidth = Math.max(1, side / 26);
      pen.beginPath(); pen.moveTo(x + side * 0.14, y + side * 0.86);
      pen.lineTo(x + side * 0.86, y + side * 0.14); pen.stroke();
      pen.beginPath(); pen.moveTo(x, y); pen.lineTo(x + side * 0.28, y); pen.lineTo(x, y + side * 0.28);
      pen.fill();
    }
    pen.textAlign = "center"; pen.textBaseline = "middle";
    if (glyph) {
      pen.fillStyle = own ? "#111" : ink.ink;
      pen.font = `${given ? 700 : 400} ${side * (glyph.length > 1 ? 0.36 : 0.5)}px ${ink.font}`;
      pen.fillText(glyph, x + side / 2, y + side * (numbers && !given && !blank ? 0.44 : 0.53));
    }
    if (numbers && !given && !blank) {
      pen.fillStyle = own && dark(own) ? "#eee" : own ? "#111" : ink.ink;
      pen.font = `${Math.max(9, side * 0.17)}px ${ink.font}`;
      pen.textAlign = "right";
      pen.fillText(Math.round(now.sure[i] / 2.55), x + side * 0.89, y + side * 0.81);
      pen.textAlign = "center";
    }
  }

  write(run, frame, drawn, two) { // texts last: they cost the page a layout
    const name = two ? `${this.name}: ${this.app.tree.name(run.key)} · ` : "";
    const outcome = outcomeOf(drawn);
    this.where.textContent = name + run.describe(frame);
    this.demonstrations.write(run);
    this.outcome.hidden = !two; this.outcome.textContent = `${this.name}: ${outcome}`;
    this.canvas.setAttribute("aria-label",
      `board${two ? ` ${this.name}` : ""} read from ${drawn.reading}: `
      + `${plural(drawn.changed, "cell", "cells")} marked, ${outcome}. Enter, then arrows, chooses a cell`);
  }
}

export function outcomeOf({ broken, solved, verdict, scores }) {
  const rules = broken ? plural(broken, "cell breaks a rule", "cells break a rule") : verdict;
  if (scores.length) return broken || solved ? `${rules}: ${scores.join(", ")}` : scores.join(", ");
  return solved ? "solved: complete, and no rule broken" : rules;
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
  ["doubt", "probability, if below 99 %", swatch("unsure", (pen, w, h) => {
    pen.fillStyle = DOUBT; pen.fillRect(1, h - 4, w - 6, 3);
  })],
  ["path", "path", swatch("unsure", (pen, w, h) => {
    pen.fillStyle = PATH; pen.fillRect(1, h / 2 - 2, w - 2, 4);
  })],
  ["apart", "not connected with S", swatch("unsure", (pen, w, h, ink) => {
    pen.fillStyle = ink.wrong; for (const x of [1, 6, 11]) pen.fillRect(x, h / 2 - 1, 3, 2);
  })],
  ["end", "dead end", swatch("unsure", (pen, w, h, ink) => cross(pen, w / 2, h / 2, 3, ink.wrong))],
  ["edited", "given you changed", swatch("given", (pen, w, h, ink) => {
    pen.fillStyle = ink.accent; pen.fillRect(1, h - 3, w - 2, 2);
  })],
]);

// what the lines of a type's boards are; of a path, also how it may be broken
const LINES = { maze: ["path", "not connected with S", "dead end"], rush_hour: ["car", null, null] };

export function drawBoardLegend(legend, app, run, frame) {
  const frames = app.state.mark === "update" || app.state.mark === "step",
    edited = differing(run.answer(frame).question, run.owner(0).own.question()).length;
  const lines = run.answer(frame).links ? LINES[app.header.title.split("-")[0]] : null,
    [path, apart, end] = lines ?? [null, null, null],
    coloured = app.header.colours.filter(Boolean).length > app.header.vocab.length / 2;
  legend.draw({ given: coloured ? null : "given", sure: coloured ? null : "low to high probability",
    doubt: coloured ? "probability, if below 99 %" : null, path, apart, end,
    mark: frames ? "changed" : "differs", edited: edited ? "given you changed" : null },
    frames ? "changed" : "differs");
}
