// A task that is shown by examples: its demonstrations, and which parts of a board are grids.

import { make, plural } from "./page.js";

const PLAIN = "<blank>", MEAN = "<mean>"; // identities that are no task's

export function paintGrid(app, pen, { rows, cols, tokens }, left, top, side) {
  const { header, stage } = app;
  tokens.forEach((token, i) => {
    pen.fillStyle = header.colours[token] || stage.ink.cell;
    pen.fillRect(left + (i % cols) * side, top + Math.floor(i / cols) * side, side, side);
  });
  pen.strokeStyle = stage.ink.rule; pen.lineWidth = 0.5;
  for (let r = 0; r <= rows; r++) {
    pen.beginPath(); pen.moveTo(left, top + r * side); pen.lineTo(left + cols * side, top + r * side);
    pen.stroke();
  }
  for (let c = 0; c <= cols; c++) {
    pen.beginPath(); pen.moveTo(left + c * side, top); pen.lineTo(left + c * side, top + rows * side);
    pen.stroke();
  }
}

export function arrow(app, pen, x, y, length = 18) {
  pen.strokeStyle = pen.fillStyle = app.stage.ink.soft; pen.lineWidth = 1.5;
  pen.beginPath(); pen.moveTo(x, y); pen.lineTo(x + length - 5, y); pen.stroke();
  pen.beginPath(); pen.moveTo(x + length, y); pen.lineTo(x + length - 6, y - 4);
  pen.lineTo(x + length - 6, y + 4); pen.fill();
}

const GAP = 18, BETWEEN = 26; // pixels between two pairs, and from an input to its output

// where the pairs stand if a cell has so many pixels: [{pair, x, y, high}], and the height of all
function placed(pairs, side, width) {
  const found = [];
  let x = 0, y = 0, line = 0;
  for (const pair of pairs) {
    const wide = (pair[0].cols + pair[1].cols) * side + BETWEEN,
      high = Math.max(pair[0].rows, pair[1].rows) * side;
    if (x && x + wide > width) { x = 0; y += line + 10; line = 0; }
    found.push({ pair, x, y, high, wide });
    x += wide + GAP; line = Math.max(line, high);
  }
  return { found, high: y + line, fits: found.every(({ wide }) => wide <= width) };
}

export class Demonstrations { // of the task that a run is asked as
  constructor(app) {
    this.app = app;
    this.says = make("div", { class: "trm-where" });
    this.canvas = make("canvas", { role: "img" });
    this.element = make("div", { class: "trm-demonstrations" }, this.says, this.canvas);
    this.element.hidden = !app.header.tasks;
  }

  draw(run) {
    const { task } = run.meta;
    if (!task) return;
    const { pen, width, height } = this.app.stage.fit(this.canvas), { demonstrations: pairs } = task;
    let side = 15, places = placed(pairs, side, width - 4);
    while (side > 2 && (places.high > height - 4 || !places.fits))
      places = placed(pairs, side -= 0.5, width - 4);
    for (const { pair: [input, output], x, y, high } of places.found) {
      const wide = input.cols * side;
      paintGrid(this.app, pen, input, 2 + x, 2 + y, side);
      arrow(this.app, pen, 2 + x + wide + 4, 2 + y + high / 2);
      paintGrid(this.app, pen, output, 2 + x + wide + BETWEEN, 2 + y, side);
    }
  }

  write(run) {
    const { task } = run.meta;
    if (!task) return;
    const { identity, name, how, demonstrations } = task, count = demonstrations.length;
    const asked = { [PLAIN]: "Asked with the blank identity, which no training touched: no task is named.",
      [MEAN]: "Asked with the mean of all identities: no one task is named." }[identity]
      ?? `Asked as task ${name}${how ? ` (${how})` : ""}: ${count
        ? plural(count, "demonstration", "demonstrations") : "its demonstrations are not at hand"}`;
    this.says.textContent = asked;
    this.canvas.setAttribute("aria-label", `${asked} Each input is followed by its output.`);
  }
}

// Of a task, the test input and the answer, each cropped to its grid; of any other puzzle, the board.
// [{what, row, col, rows, cols, side, left, top}]: `row` and `col` say where the part begins on the board
export function panesOf(app, run, frame, reading, width, height) {
  const { rows, cols } = app.header, { task } = run.meta;
  if (!task) {
    const side = Math.min((width - 4) / cols, (height - 4) / rows);
    return [{ what: "board", row: 0, col: 0, rows, cols, side, left: (width - side * cols) / 2, top: 2 }];
  }
  const whole = [0, 0, rows, cols], part = (window) => (app.state.whole || !window[2] ? whole : window),
    asked = part(task.window), [last, found] = [run.length, frame].map(
      (f) => part(f ? run.board(f, reading).window : task.window));
  const gap = 44, wide = asked[3] + Math.max(found[3], last[3]), high = Math.max(asked[2], found[2], last[2]),
    side = Math.min(56, (width - 4 - gap) / wide, (height - 24) / high),
    begin = (width - side * wide - gap) / 2;
  const pane = (what, [row, col, rows, cols], left) => ({ what, row, col, rows, cols, side, left, top: 20 });
  return [pane("test input", asked, begin), pane("answer", found, begin + side * asked[3] + gap)];
}

// the cells of a pane: [number on the board, x, y]
export const cellsOf = (header, { row, col, rows, cols, side, left, top }) =>
  Array.from({ length: rows * cols }, (_, i) => [Math.floor(i / cols), i % cols])
    .map(([r, c]) => [(row + r) * header.cols + col + c, left + c * side, top + r * side]);

export function gridText(header, tokens, window) { // rows of colours, with | between
  if (!window?.[2]) return "";
  const [row, col, rows, cols] = window, line = (r) => Array.from({ length: cols },
    (_, c) => header.vocab[tokens[(row + r) * header.cols + col + c]]).join("");
  return Array.from({ length: rows }, (_, r) => line(r)).join("|");
}
