// The page's ground: elements, inks, canvases, and the frame that all charts share. What comes from
// outside enters as text or as an attribute, never as markup.

const DRAWN = "http://www.w3.org/2000/svg";
const DASHES = [[], [5, 3], [1.5, 3], [7, 2, 1.5, 2]]; // one a latent, in the order of a side's names
const INKS = ["ink", "soft", "rule", "paper", "given", "unsure", "sure", "changed", "differs", "wrong",
  "accent", "cell", "low", "high", "latent0", "latent1", "latent2", "latent3"];
// Arrow keys only arrive in JupyterLab if the focused element itself says that it wants them.
export const KEYS = { "data-lm-suppress-shortcuts": "true" };
const ICONS = {
  first: "M5 4h2v12H5zM16 4v12L8 10z", backStep: "M10 4v12L2 10zM18 4v12l-8-6z", back: "M14 4v12L6 10z",
  play: "M6 3v14l10-7z", pause: "M5 4h4v12H5zM11 4h4v12h-4z",
  next: "M6 4v12l8-6z", nextStep: "M2 4v12l8-6zM10 4v12l8-6z", last: "M4 4v12l8-6zM13 4h2v12h-2z",
};

export const clamp = (value, low, high) => Math.max(low, Math.min(high, value));
export const percent = (share) => (Number.isFinite(share) ? `${Math.round(100 * share)} %` : "–");
export const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;
export const short = (value) =>
  (Number.isFinite(value) ? String(Number(value.toPrecision(2))).replace("-", "−") : "–");

export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

export function icon(name) {
  const svg = document.createElementNS(DRAWN, "svg"), path = document.createElementNS(DRAWN, "path");
  svg.setAttribute("viewBox", "0 0 20 20"); svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

export function button(face, label, action) { // face: an icon's name, or what stands on it
  // who says what stands on it finds it
  const name = face in ICONS || label.startsWith(face) ? label : `${face}: ${label}`;
  const made = make("button", { type: "button", title: name, "aria-label": name, ...KEYS },
    face in ICONS ? icon(face) : face);
  made.addEventListener("click", action);
  return made;
}

export function choose(label, options, value, action) { // options: [value, text, not to be had?]
  const select = make("select", { "aria-label": label, title: label, ...KEYS });
  refill(select, options, value);
  select.addEventListener("change", () => action(select.value));
  return select;
}

export function refill(select, options, value) { // new choices, if they are new
  const told = JSON.stringify(options);
  if (select.dataset.told !== told) {
    select.dataset.told = told;
    select.replaceChildren(...options.map(
      ([v, text, missing]) => make("option", { value: v, ...(missing ? { disabled: "" } : {}) }, text)));
  }
  select.value = String(value);
}

export function switches(label, options, action) { // one of a few: [value, text, what it does]
  const buttons = new Map(
    options.map(([value, text, does]) => [value, button(text, does, () => action(value))]));
  const element = make("span",
    { class: "trm-switch", role: "group", "aria-label": label }, ...buttons.values());
  return { element,
    set: (value) => buttons.forEach((b, v) => b.setAttribute("aria-pressed", String(v === value))) };
}

export function number(label, { min, max, step, value, type = "number" }, action) {
  const input = make("input", { type, min, max, step, value, "aria-label": label, title: label, ...KEYS });
  input.addEventListener("input", () => {
    if (Number.isFinite(input.valueAsNumber)) action(input.valueAsNumber);
  });
  return input;
}

export const labelled = (text, ...controls) => make("label", {}, make("span", {}, text), ...controls);

// ---- colours -----------------------------------------------------------------

const parts = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));

function ramp(...stops) { // 256 colours from the first to the last, packed as an ImageData wants them
  const table = new Uint32Array(256), known = stops.map(parts);
  for (let i = 0; i < 256; i++) {
    const place = (i / 255) * (known.length - 1), from = Math.min(known.length - 2, Math.floor(place));
    const [r, g, b] = known[from].map((v, k) => Math.round(v + (known[from + 1][k] - v) * (place - from)));
    table[i] = ((255 << 24) | (b << 16) | (g << 8) | r) >>> 0;
  }
  return table;
}

export const unpacked = (colour) => `rgb(${colour & 255},${(colour >> 8) & 255},${(colour >> 16) & 255})`;

// one pixel a value; `level(row, column)` is a place in the table
export function picture(columns, rows, level, table) {
  const canvas = document.createElement("canvas");
  canvas.width = Math.max(1, columns); canvas.height = Math.max(1, rows);
  const pen = canvas.getContext("2d"), image = pen.createImageData(canvas.width, canvas.height),
    pixels = new Uint32Array(image.data.buffer);
  // below 0: nothing there
  for (let r = 0, at = 0; r < rows; r++) for (let c = 0; c < columns; c++, at++) {
    const v = level(r, c);
    if (v >= 0) pixels[at] = table[v];
  }
  pen.putImageData(image, 0, 0);
  return canvas;
}

// ---- canvases ----------------------------------------------------------------

// the canvases of one instrument: their sizes and inks, and pictures of what does not move in them
export class Stage {
  constructor(root) {
    Object.assign(this, { root, ink: {}, age: 0, sharp: null, still: new WeakMap() }); this.measure();
  }
  // asking the page for a size after writing text costs a layout, so sizes are kept
  measure() { this.sizes = new WeakMap(); }

  theme() { // JupyterLab says which it is; a page of its own asks the system
    const lab = document.querySelector("[data-jp-theme-light]");
    const dark = lab ? lab.getAttribute("data-jp-theme-light") === "false"
      : window.matchMedia("(prefers-color-scheme: dark)").matches;
    this.root.dataset.theme = dark ? "dark" : "light";
  }

  readInks() { // the canvases' colours, from the style sheet
    const style = getComputedStyle(this.root);
    this.ink = { font: style.fontFamily };
    for (const name of INKS) this.ink[name] = style.getPropertyValue(`--trm-${name}`).trim();
    this.sure = ramp(this.ink.unsure, this.ink.sure);
    this.deep = ramp(this.ink.unsure, this.ink.sure, this.ink.latent0);
    this.signed = ramp(this.ink.low, this.ink.unsure, this.ink.high);
    this.age++;
  }

  latent(which) { return this.ink[`latent${which % 4}`]; }
  dash(which) { return DASHES[which % 4]; }

  fit(canvas) { // as many pixels as the screen has; drawing stays in CSS pixels
    const scale = this.sharp || window.devicePixelRatio || 1;
    let size = this.sizes.get(canvas);
    if (!size) this.sizes.set(canvas, size = [canvas.clientWidth, canvas.clientHeight]);
    const [width, height] = size, wide = Math.round(width * scale), high = Math.round(height * scale);
    if (canvas.width !== wide || canvas.height !== high) { canvas.width = wide; canvas.height = high; }
    const pen = canvas.getContext("2d");
    canvas.removeAttribute("aria-description"); // what `say` said
    pen.setTransform(scale, 0, 0, scale, 0, 0);
    pen.clearRect(0, 0, width, height);
    return { pen, width, height };
  }

  // What does not move in a chart is painted once and kept, until `key`, size or theme change.
  background(canvas, { left, right, top, bottom }, key, paint) {
    const { pen, width, height } = this.fit(canvas),
      box = { x: left, y: top, w: width - left - right, h: height - top - bottom };
    const kept = this.still.get(canvas), whole = `${key} ${canvas.width} ${canvas.height} ${this.age}`;
    if (kept?.whole !== whole) {
      pen.font = `11px ${this.ink.font}`; pen.lineWidth = 1;
      if (width && height) paint(pen, box);
      const copy = document.createElement("canvas");
      copy.width = canvas.width; copy.height = canvas.height;
      if (width && height) copy.getContext("2d").drawImage(canvas, 0, 0);
      this.still.set(canvas, { whole, copy });
    } else if (width && height) pen.drawImage(kept.copy, 0, 0, width, height);
    pen.font = `11px ${this.ink.font}`;
    return { pen, box, width, height };
  }

  dot(pen, x, y, colour, radius = 4.5) {
    pen.beginPath(); pen.arc(x, y, radius, 0, 7); pen.fillStyle = colour; pen.fill();
    pen.strokeStyle = this.ink.cell; pen.lineWidth = 1.5; pen.stroke();
  }

  say(canvas, sentence) { // what is missing, and why, where a chart would be
    const { pen, width, height } = this.fit(canvas), lines = [""];
    canvas.setAttribute("aria-description", sentence);
    pen.font = `12px ${this.ink.font}`; pen.fillStyle = this.ink.soft; pen.textAlign = "center";
    pen.textBaseline = "middle";
    for (const word of sentence.split(" ")) {
      if (pen.measureText(`${lines.at(-1)} ${word}`).width > width - 40) lines.push(word);
      else lines[lines.length - 1] += ` ${word}`;
    }
    lines.forEach(
      (line, i) => pen.fillText(line.trim(), width / 2, height / 2 + 17 * (i - (lines.length - 1) / 2)));
  }
}

// ---- a chart along the run ---------------------------------------------------

export const SIDES = { left: 42, right: 12, top: 6, bottom: 6 };

export const across = (box, frames) => (frame) => box.x + (box.w * frame) / Math.max(1, frames);

function chartHeight(box, { low, high, log }) { // where a value lies
  const scale = log ? (v) => Math.log10(Math.max(v, 1e-9)) : (v) => v;
  return (v) => box.y + box.h * (1 - clamp((scale(v) - scale(low)) / (scale(high) - scale(low)), 0, 1));
}

// Lines over frames: `lines` have `points` [frame, value], the latent `which` they belong to, and may be
// `faint` or run in `steps`.
export function lineChart(stage, canvas, spec) {
  const { frames, every, marks, lines, names, at, key } = spec, { ink } = stage;
  const { pen, box } = stage.background(canvas, SIDES, key, (pen, box) => {
    const x = across(box, frames), y = chartHeight(box, spec);
    pen.textAlign = "right"; pen.textBaseline = "middle";
    for (const [value, text] of marks) {
      pen.strokeStyle = ink.rule;
      pen.beginPath(); pen.moveTo(box.x, y(value)); pen.lineTo(box.x + box.w, y(value)); pen.stroke();
      pen.fillStyle = ink.soft; pen.fillText(text, box.x - 6, y(value));
    }
    pen.strokeStyle = ink.rule; pen.globalAlpha = 0.5;
    for (let f = 0; f <= frames; f += every) {
      pen.beginPath(); pen.moveTo(x(f), box.y); pen.lineTo(x(f), box.y + box.h); pen.stroke();
    }
    for (const { points, which, faint, steps, dots } of lines) {
      pen.strokeStyle = pen.fillStyle = faint ? ink.soft : stage.latent(which);
      pen.globalAlpha = faint ? 0.7 : 1; pen.lineWidth = steps ? 2 : 1.6;
      pen.setLineDash(faint ? [2, 3] : stage.dash(which));
      pen.beginPath();
      let last = null;
      for (const [f, v] of points) {
        if (!Number.isFinite(v)) continue;
        if (steps && last !== null) pen.lineTo(x(f), y(last));
        pen[last === null ? "moveTo" : "lineTo"](x(f), y(v));
        last = v;
      }
      pen.stroke(); pen.setLineDash([]);
      if (dots) for (const [f, v] of points) if (Number.isFinite(v)) {
        pen.beginPath(); pen.arc(x(f), y(v), 2.2, 0, 7); pen.fill();
      }
    }
    pen.globalAlpha = 1;
    if (names) legend(stage, pen, box, lines, names);
  });
  const x = across(box, frames), y = chartHeight(box, spec);
  pen.strokeStyle = ink.accent; pen.lineWidth = 1.5;
  pen.beginPath(); pen.moveTo(x(at.frame), box.y - 2); pen.lineTo(x(at.frame), box.y + box.h + 2);
  pen.stroke();
  if (Number.isFinite(at.value)) stage.dot(pen, x(at.frame), y(at.value), stage.latent(at.which));
  return { pen, box, x, y };
}

function legend(stage, pen, box, lines, names) { // which line is which, from right to left
  let x = box.x + box.w - 4;
  pen.textAlign = "right"; pen.textBaseline = "middle";
  for (const { which, dots } of lines.filter((l) => !l.faint).reverse()) {
    const wide = pen.measureText(names[which]).width;
    if (x - wide - 34 < box.x) break; // seven latents may not all find room; the dashes still tell them apart
    pen.fillStyle = stage.ink.paper; pen.globalAlpha = 0.85;
    pen.fillRect(x - wide - 34, box.y, wide + 38, 14); pen.globalAlpha = 1;
    pen.fillStyle = stage.ink.ink; pen.fillText(names[which], x, box.y + 7);
    pen.strokeStyle = pen.fillStyle = stage.latent(which); pen.lineWidth = 2;
    pen.setLineDash(stage.dash(which));
    pen.beginPath(); pen.moveTo(x - wide - 30, box.y + 7); pen.lineTo(x - wide - 6, box.y + 7); pen.stroke();
    pen.setLineDash([]);
    if (dots) { pen.beginPath(); pen.arc(x - wide - 18, box.y + 7, 2.8, 0, 7); pen.fill(); }
    x -= wide + 46;
  }
}

// A chart with its caption; `now` is what is read off at the present site.
export function figure(label, className = "") {
  const canvas = make("canvas", { role: "img", "aria-label": label }), now = make("output", {}),
    title = make("span", {}, label);
  return { canvas, now, title,
    element: make("figure", { class: className }, make("figcaption", {}, title, now), canvas) };
}
