// The Explorer's page half: it draws one frame of a recorded recursion and moves between frames. Everything it shows
// came once, as a header and one block of bytes; it asks nobody for more. Frame 0 is the question, frame f the f-th update.

const SVG = "http://www.w3.org/2000/svg";
const DASHES = [[], [5, 3], [1.5, 3], [7, 2, 1.5, 2]]; // one a latent, in the order of the header's names
const SPEEDS = [1, 2, 4, 8, 16, 32]; // updates in a second
const ICONS = {
  first: "M5 4h2v12H5zM16 4v12L8 10z", backStep: "M10 4v12L2 10zM18 4v12l-8-6z", back: "M14 4v12L6 10z",
  play: "M6 3v14l10-7z", pause: "M5 4h4v12H5zM11 4h4v12h-4z",
  next: "M6 4v12l8-6z", nextStep: "M2 4v12l8-6zM10 4v12l8-6z", last: "M4 4v12l8-6zM13 4h2v12h-2z",
};
const HELP = [
  ["← →", "one update back or on"], ["Shift ← →", "one supervision step back or on"], ["Home, End", "the question; the last update"],
  ["Space", "play or pause"], ["V", "read the answer, or the latent that was just renewed"], ["?", "this help; Esc closes it"],
];

// ---- data --------------------------------------------------------------------

function unpack(header, bytes) { // named arrays over the bytes, and a way to one row of them
  const whole = bytes.byteOffset % 4 ? bytes.slice() : bytes; // Float32Array wants its place on a multiple of four
  const arrays = {};
  for (const { name, kind, shape, offset } of header.arrays) {
    const size = shape.reduce((a, b) => a * b, 1);
    const values = new (kind === "f4" ? Float32Array : Uint8Array)(whole.buffer, whole.byteOffset + offset, size);
    arrays[name] = (...index) => { // arrays.tokens(puzzle, plane) is a row of cells
      let start = 0, length = size;
      index.forEach((at, axis) => { length /= shape[axis]; start += at * length; });
      return values.subarray(start, start + length);
    };
  }
  return arrays;
}

// ---- page elements -----------------------------------------------------------

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

function icon(name) {
  const svg = document.createElementNS(SVG, "svg"), path = document.createElementNS(SVG, "path");
  svg.setAttribute("viewBox", "0 0 20 20"); svg.setAttribute("aria-hidden", "true");
  path.setAttribute("d", ICONS[name]);
  svg.append(path);
  return svg;
}

function fit(canvas) { // as many pixels as the screen has; drawing stays in CSS pixels
  const scale = window.devicePixelRatio || 1, width = canvas.clientWidth, height = canvas.clientHeight;
  if (canvas.width !== Math.round(width * scale) || canvas.height !== Math.round(height * scale)) {
    canvas.width = Math.round(width * scale); canvas.height = Math.round(height * scale);
  }
  const pen = canvas.getContext("2d");
  pen.setTransform(scale, 0, 0, scale, 0, 0);
  pen.clearRect(0, 0, width, height);
  return { pen, width, height };
}

const mix = (a, b, share) => `rgb(${a.map((v, i) => Math.round(v + (b[i] - v) * share)).join()})`;
const channels = (hex) => [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
const percent = (share) => `${Math.round(100 * share)} %`;
const plural = (count, one, many) => `${count} ${count === 1 ? one : many}`;

// ---- the instrument ----------------------------------------------------------

export function mount(el, header, bytes) {
  const { rows, cols, sites, names, answer, planes, steps, lengths } = header;
  const data = unpack(header, bytes), count = steps.length;
  const state = { puzzle: 0, frame: 0, view: "answer", timer: null, speed: 8 };
  const still = new Map(); // what does not move in each chart, drawn once a puzzle, size and theme

  // Arrow keys only arrive in JupyterLab if the focused element itself says that it wants them.
  const keys = { "data-lm-suppress-shortcuts": "true" };
  const button = (name, label, action) => {
    const made = make("button", { type: "button", title: label, "aria-label": label, ...keys }, name in ICONS ? icon(name) : name);
    made.addEventListener("click", action);
    return made;
  };
  const choose = (label, options, value, action) => {
    const select = make("select", { "aria-label": label, ...keys }, ...options.map(([v, text]) => make("option", { value: v }, text)));
    select.value = value;
    select.addEventListener("change", () => { action(Number(select.value)); root.focus({ preventScroll: true }); });
    return select;
  };

  const root = make("div", { class: "trm-explorer", tabindex: "0", role: "group", "aria-label": `Explorer: a recursion on ${header.title}`, ...keys });
  const where = make("span", { class: "trm-where" }), verdict = make("span", { class: "trm-verdict" }), spoken = make("span", { class: "trm-spoken", "aria-live": "polite" });
  const views = { answer: button(`answer ${answer}`, `read the answer, ${answer} (V)`, () => show({ view: "answer" })), renewed: button("renewed latent", "read the latent that was just renewed (V)", () => show({ view: "renewed" })) };
  const solved = (i) => header.verdicts[data.verdict(i)[planes[lengths[i]]]] === "solved";
  const puzzles = choose("puzzle", steps.map((_, i) => [i, `puzzle ${i + 1} of ${count}${solved(i) ? ", solved" : ", not solved"}`]), 0, (puzzle) => show({ puzzle, frame: Math.min(state.frame, lengths[puzzle]) }));
  const help = make("div", { class: "trm-help", role: "dialog", "aria-label": "keys", hidden: "" }, make("h3", {}, "Keys"),
    make("dl", {}, ...HELP.flatMap(([key, does]) => [make("dt", {}, key), make("dd", {}, does)])),
    make("p", {}, "Grey cells are given. A bluer cell is a surer one; the small number is its probability in percent. A green frame marks a cell that just changed, an orange corner and stroke one that breaks a rule."),
    make("p", {}, `The paths are those of the latents' ${header.pooling}, in the first two principal components of all ${plural(count, "puzzle", "puzzles")} here.`));
  const board = make("canvas", { class: "trm-board", role: "img" });
  const charts = {};
  const chart = (name, label, draw) => {
    const canvas = make("canvas", { role: "img", "aria-label": label }), now = make("output", {});
    charts[name] = { canvas, now, draw };
    return make("figure", { class: `trm-${name.split(" ")[0]}` }, make("figcaption", {}, make("span", {}, label), now), canvas);
  };
  const play = button("play", "play (Space)", () => toggle());
  const timeline = make("canvas", { class: "trm-timeline", role: "slider", tabindex: "0", "aria-label": "place in the recursion", "aria-valuemin": "0", ...keys });
  const legend = make("div", { class: "trm-legend" });
  const swatch = (kind, text) => make("span", {}, make("i", { class: kind }), text);
  legend.append(swatch("given", "given"), make("span", {}, "unsure", make("i", { class: "ramp" }), "sure"), swatch("changed", "changed"), swatch("wrong", "breaks a rule"));

  root.append(
    make("header", {}, make("strong", {}, header.title), ...(count > 1 ? [puzzles] : []),
      make("span", { class: "trm-switch", role: "group", "aria-label": "which latent the board is read from" }, views.answer, views.renewed),
      verdict, button("?", "keys (?)", () => overlay())),
    make("main", {}, make("section", {}, where, board, legend), make("section", { class: "trm-charts" },
      chart("halting", "halting probability", drawHalting), chart("change", "size of each change (root mean square)", drawChange),
      make("div", { class: "trm-paths" }, ...names.map((name, which) => chart(`path ${name}`, `path of ${name}`, (canvas) => drawPath(canvas, which)))))),
    make("footer", {}, make("span", { class: "trm-transport" },
      button("first", "the question (Home)", () => go(0)), button("backStep", "one supervision step back (Shift+←)", () => go(stepFrom(-1))), button("back", "one update back (←)", () => go(state.frame - 1)),
      play,
      button("next", "one update on (→)", () => go(state.frame + 1)), button("nextStep", "one supervision step on (Shift+→)", () => go(stepFrom(1))), button("last", "the last update (End)", () => go(lengths[state.puzzle]))),
    choose("speed", SPEEDS.map((s) => [s, `${s}/s`]), state.speed, (speed) => { state.speed = speed; }), timeline),
    spoken, help);
  el.replaceChildren(root);

  // ---- where we are ----------------------------------------------------------

  const planeAt = (frame) => (state.view === "answer" ? planes[frame] : frame);
  const stepOf = (frame) => (frame ? sites[frame - 1][0] : 0);
  function stepFrom(direction) { // the last update of this or the next step, or of the step before
    const end = lengths[state.puzzle];
    let frame = Math.max(0, Math.min(end, state.frame + direction));
    while (frame > 0 && frame < end && stepOf(frame + 1) === stepOf(frame)) frame += direction;
    return frame;
  }
  function boardAt(frame) {
    const plane = planeAt(frame), packed = data.wrong(state.puzzle, plane);
    return { tokens: data.tokens(state.puzzle, plane), sure: data.confidence(state.puzzle, plane), wrong: (i) => (packed[i >> 3] >> (7 - (i & 7))) & 1, verdict: header.verdicts[data.verdict(state.puzzle)[plane]] };
  }
  function describe() {
    if (!state.frame) return "the question, before any update";
    const [step, cycle, substep, which] = sites[state.frame - 1];
    const untouched = state.view === "answer" && planes[state.frame] > sites.length ? `, ${answer} is still what it began with` : "";
    return `supervision step ${step} of ${steps[state.puzzle]} · cycle ${cycle + 1} of ${header.cycles} · update ${substep + 1}: ${names[which]} renewed${untouched}`;
  }

  function go(frame) { show({ frame: Math.max(0, Math.min(lengths[state.puzzle], frame)) }); }
  function show(change = {}) {
    if ("puzzle" in change && change.puzzle !== state.puzzle) still.clear();
    Object.assign(state, change);
    if (state.timer && state.frame >= lengths[state.puzzle]) toggle(false);
    draw();
  }
  function toggle(on = !state.timer) {
    clearInterval(state.timer); state.timer = null;
    if (on) {
      if (state.frame >= lengths[state.puzzle]) go(0);
      const beat = () => { state.timer = setTimeout(beat, 1000 / state.speed); go(state.frame + 1); };
      state.timer = setTimeout(beat, 1000 / state.speed);
    }
    play.replaceChildren(icon(on ? "pause" : "play"));
    play.title = on ? "pause (Space)" : "play (Space)"; play.setAttribute("aria-label", play.title);
    spoken.setAttribute("aria-live", on ? "off" : "polite");
  }
  function overlay(on = help.hidden) { help.hidden = !on; }

  // ---- drawing ---------------------------------------------------------------

  let ink = {};
  function setTheme() { // JupyterLab says which it is; a page of its own asks the system
    const lab = document.querySelector("[data-jp-theme-light]");
    const dark = lab ? lab.getAttribute("data-jp-theme-light") === "false" : window.matchMedia("(prefers-color-scheme: dark)").matches;
    root.dataset.theme = dark ? "dark" : "light";
  }
  function readInks() { // the canvases' colours, from the style sheet
    const style = getComputedStyle(root), value = (name) => style.getPropertyValue(`--trm-${name}`).trim();
    ink = { font: style.fontFamily };
    for (const name of ["ink", "soft", "rule", "given", "unsure", "sure", "changed", "wrong", "accent", "cell", "latent0", "latent1", "latent2", "latent3"]) ink[name] = value(name);
    still.clear();
  }
  const colour = (which) => ink[`latent${which % 4}`];

  function drawBoard() {
    const { pen, width } = fit(board), side = Math.min((width - 4) / cols, (board.clientHeight - 4) / rows);
    const left = (width - side * cols) / 2, top = 2, now = boardAt(state.frame), given = data.given(state.puzzle);
    const before = state.frame ? boardAt(state.frame - 1).tokens : now.tokens, first = state.frame && [0, sites.length + 1].includes(planeAt(state.frame - 1)); // all is new
    const low = channels(ink.unsure), high = channels(ink.sure), numbers = side >= 44;
    let changed = 0, broken = 0;
    pen.textAlign = "center"; pen.textBaseline = "middle";
    for (let i = 0; i < rows * cols; i++) {
      const x = left + (i % cols) * side, y = top + Math.floor(i / cols) * side, token = now.tokens[i], own = header.colours[token], blank = !state.frame;
      pen.fillStyle = own || (given[i] ? ink.given : blank ? ink.cell : mix(low, high, now.sure[i] / 255));
      pen.fillRect(x, y, side, side);
      if (now.wrong(i)) {
        broken++;
        pen.strokeStyle = pen.fillStyle = ink.wrong; pen.lineWidth = Math.max(1, side / 26);
        pen.beginPath(); pen.moveTo(x + side * 0.14, y + side * 0.86); pen.lineTo(x + side * 0.86, y + side * 0.14); pen.stroke();
        pen.beginPath(); pen.moveTo(x, y); pen.lineTo(x + side * 0.28, y); pen.lineTo(x, y + side * 0.28); pen.fill();
      }
      pen.fillStyle = own ? "#111" : ink.ink;
      pen.font = `${given[i] ? 700 : 400} ${side * 0.5}px ${ink.font}`;
      if (header.glyphs[token]) pen.fillText(header.glyphs[token], x + side / 2, y + side * (numbers && !given[i] && !blank ? 0.44 : 0.53));
      if (!given[i] && !blank) {
        if (numbers) { pen.font = `${Math.max(9, side * 0.17)}px ${ink.font}`; pen.textAlign = "right"; pen.fillText(Math.round(now.sure[i] / 2.55), x + side * 0.89, y + side * 0.81); pen.textAlign = "center"; }
        else if (own) { pen.fillStyle = ink.accent; pen.fillRect(x, y + side - Math.max(1.5, side / 9), side * now.sure[i] / 255, Math.max(1.5, side / 9)); }
      }
      if (now.tokens[i] !== before[i]) {
        changed++;
        if (!first) { pen.strokeStyle = ink.changed; pen.lineWidth = Math.max(1.5, side / 18); const inset = pen.lineWidth / 2 + 1.5; pen.strokeRect(x + inset, y + inset, side - 2 * inset, side - 2 * inset); }
      }
    }
    const line = (x0, y0, x1, y1) => { pen.beginPath(); pen.moveTo(left + x0 * side, top + y0 * side); pen.lineTo(left + x1 * side, top + y1 * side); pen.stroke(); };
    pen.strokeStyle = ink.rule; pen.lineWidth = side >= 10 ? 1 : 0.5;
    for (let r = 1; r < rows; r++) line(0, r, cols, r);
    for (let c = 1; c < cols; c++) line(c, 0, c, rows);
    pen.strokeStyle = ink.ink; pen.lineWidth = 2; pen.lineCap = "square";
    for (const r of [0, ...header.row_lines, rows]) line(0, r, cols, r);
    for (const c of [0, ...header.col_lines, cols]) line(c, 0, c, rows);
    return { tokens: now.tokens, verdict: now.verdict, changed, broken };
  }

  // A chart's box, its ruling and its text; `plot` adds what does not move. Kept as a picture until puzzle, size or theme change.
  function background(canvas, { left, right, top, bottom }, plot) {
    const { pen, width, height } = fit(canvas), box = { x: left, y: top, w: width - left - right, h: height - top - bottom };
    if (!still.has(canvas)) {
      pen.font = `11px ${ink.font}`; pen.lineWidth = 1;
      plot(pen, box);
      const picture = document.createElement("canvas");
      picture.width = canvas.width; picture.height = canvas.height;
      picture.getContext("2d").drawImage(canvas, 0, 0);
      still.set(canvas, picture);
    } else if (width && height) pen.drawImage(still.get(canvas), 0, 0, width, height);
    return { pen, box };
  }
  const across = (box) => (frame) => box.x + (box.w * frame) / Math.max(1, sites.length);
  function ruling(pen, box, marks) { // horizontal lines with their values, and one faint vertical line a supervision step
    const x = across(box);
    pen.textAlign = "right"; pen.textBaseline = "middle";
    for (const [y, text] of marks) {
      pen.strokeStyle = ink.rule; pen.beginPath(); pen.moveTo(box.x, y); pen.lineTo(box.x + box.w, y); pen.stroke();
      pen.fillStyle = ink.soft; pen.fillText(text, box.x - 6, y);
    }
    sites.forEach(([step], i) => {
      if (i && step === sites[i - 1][0]) return;
      pen.strokeStyle = ink.rule; pen.globalAlpha = 0.5; pen.beginPath(); pen.moveTo(x(i), box.y); pen.lineTo(x(i), box.y + box.h); pen.stroke(); pen.globalAlpha = 1;
    });
  }
  function present(pen, box) {
    pen.strokeStyle = ink.accent; pen.lineWidth = 1.5; pen.setLineDash([]);
    pen.beginPath(); pen.moveTo(across(box)(state.frame), box.y - 2); pen.lineTo(across(box)(state.frame), box.y + box.h + 2); pen.stroke();
  }
  function dot(pen, x, y, colour, radius = 4.5) {
    pen.beginPath(); pen.arc(x, y, radius, 0, 7); pen.fillStyle = colour; pen.fill(); pen.strokeStyle = ink.cell; pen.lineWidth = 1.5; pen.stroke();
  }

  const margins = { left: 42, right: 10, top: 6, bottom: 6 };
  function drawHalting(canvas, now) {
    const values = data.halting(state.puzzle), end = lengths[state.puzzle];
    const height = (box, v) => box.y + box.h * (1 - v);
    const { pen, box } = background(canvas, margins, (pen, box) => {
      ruling(pen, box, [0, 0.5, 1].map((v) => [height(box, v), percent(v)]));
      pen.strokeStyle = colour(names.indexOf(answer)); pen.lineWidth = 2; pen.beginPath();
      for (let f = 1; f <= end; f++) { // the head reads the answer: the line moves where the answer is renewed
        pen[f === 1 ? "moveTo" : "lineTo"](across(box)(f), height(box, values[Math.max(0, f === 1 ? 0 : f - 2)]));
        pen.lineTo(across(box)(f), height(box, values[f - 1]));
      }
      pen.stroke();
    });
    present(pen, box);
    now.textContent = state.frame ? percent(values[state.frame - 1]) : "";
    if (state.frame) dot(pen, across(box)(state.frame), height(box, values[state.frame - 1]), colour(names.indexOf(answer)));
  }

  function drawChange(canvas, now) {
    const values = data.change(state.puzzle), end = lengths[state.puzzle];
    let low = Infinity, high = 0; // the same scale for every puzzle
    for (let i = 0; i < count; i++) data.change(i).subarray(0, lengths[i]).forEach((v) => { if (v > 0) { low = Math.min(low, v); high = Math.max(high, v); } });
    const from = Math.max(-6, Math.floor(Math.log10(Math.min(low, high) || 1))), to = Math.max(from + 1, Math.ceil(Math.log10(high || 1)));
    const height = (box, v) => box.y + box.h * (1 - (Math.max(from, Math.min(to, Math.log10(Math.max(v, 1e-9)))) - from) / (to - from));
    const { pen, box } = background(canvas, margins, (pen, box) => {
      const marks = [];
      for (let p = from; p <= to; p++) marks.push([height(box, 10 ** p), p < -3 ? `1e${p}` : String(10 ** p).slice(0, 6)]);
      ruling(pen, box, marks);
      names.forEach((_, which) => {
        pen.strokeStyle = pen.fillStyle = colour(which); pen.lineWidth = 1.6; pen.setLineDash(DASHES[which % 4]); pen.beginPath();
        let started = false;
        for (let f = 1; f <= end; f++) if (sites[f - 1][3] === which) { pen[started ? "lineTo" : "moveTo"](across(box)(f), height(box, values[f - 1])); started = true; }
        pen.stroke(); pen.setLineDash([]);
        if (names[which] === answer) for (let f = 1; f <= end; f++) if (sites[f - 1][3] === which) { pen.beginPath(); pen.arc(across(box)(f), height(box, values[f - 1]), 2.4, 0, 7); pen.fill(); }
      });
      let x = box.x + box.w - 4; // which line is which, from right to left
      pen.textAlign = "right"; pen.textBaseline = "middle";
      [...names.keys()].reverse().forEach((which) => {
        const wide = pen.measureText(names[which]).width;
        pen.fillStyle = ink.cell; pen.globalAlpha = 0.85; pen.fillRect(x - wide - 34, box.y, wide + 36, 14); pen.globalAlpha = 1;
        pen.fillStyle = ink.ink; pen.fillText(names[which], x, box.y + 7);
        pen.strokeStyle = pen.fillStyle = colour(which); pen.lineWidth = 2; pen.setLineDash(DASHES[which % 4]);
        pen.beginPath(); pen.moveTo(x - wide - 30, box.y + 7); pen.lineTo(x - wide - 6, box.y + 7); pen.stroke(); pen.setLineDash([]);
        if (names[which] === answer) { pen.beginPath(); pen.arc(x - wide - 18, box.y + 7, 2.8, 0, 7); pen.fill(); }
        x -= wide + 46;
      });
    });
    present(pen, box);
    if (!state.frame) { now.textContent = ""; return; }
    const which = sites[state.frame - 1][3], value = values[state.frame - 1];
    now.textContent = `${names[which]} ${value.toPrecision(2)}`;
    dot(pen, across(box)(state.frame), height(box, value), colour(which));
  }

  function drawPath(canvas, which) { // the place of a latent stands still while another one is renewed
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (let i = 0; i < count; i++) for (let f = 1; f <= lengths[i]; f++) if (sites[f - 1][3] === which) {
      const [x, y] = data.path(i, f - 1);
      x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y);
    }
    const point = (box, f) => { const [x, y] = data.path(state.puzzle, f - 1); return [box.x + 6 + (box.w - 12) * (x - x0) / (x1 - x0 || 1), box.y + box.h - 6 - (box.h - 12) * (y - y0) / (y1 - y0 || 1)]; };
    const visits = [];
    for (let f = 1; f <= lengths[state.puzzle]; f++) if (sites[f - 1][3] === which) visits.push(f);
    const trail = (pen, box, upTo) => { pen.beginPath(); let at = null; for (const f of visits) { if (f > upTo) break; const p = point(box, f); pen[at ? "lineTo" : "moveTo"](...p); at = p; } pen.stroke(); return at; };
    const { pen, box } = background(canvas, { left: 18, right: 4, top: 4, bottom: 18 }, (pen, box) => {
      pen.strokeStyle = ink.rule; pen.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
      const [first, second] = header.explained[names[which]];
      pen.fillStyle = ink.soft; pen.textBaseline = "middle"; pen.textAlign = "center";
      pen.fillText(`PC 1 (${percent(first)})`, box.x + box.w / 2, box.y + box.h + 10);
      pen.save(); pen.translate(box.x - 10, box.y + box.h / 2); pen.rotate(-Math.PI / 2); pen.fillText(`PC 2 (${percent(second)})`, 0, 0); pen.restore();
      pen.strokeStyle = ink.soft; pen.globalAlpha = 0.45; trail(pen, box, Infinity); pen.globalAlpha = 1;
      if (visits.length) { const [x, y] = point(box, visits[0]); pen.strokeStyle = ink.ink; pen.strokeRect(x - 3.5, y - 3.5, 7, 7); }
    });
    pen.strokeStyle = colour(which); pen.lineWidth = 1.8; pen.setLineDash(DASHES[which % 4]);
    const at = trail(pen, box, state.frame);
    pen.setLineDash([]);
    if (at) dot(pen, ...at, colour(which), 5);
  }

  function drawTimeline() {
    const { pen, width, height } = fit(timeline), box = { x: 10, y: 0, w: width - 20, h: height }, x = across(box), end = lengths[state.puzzle], floor = height - 18;
    pen.font = `11px ${ink.font}`; pen.textAlign = "center"; pen.textBaseline = "top";
    pen.fillStyle = ink.rule; pen.fillRect(box.x, floor - 1, box.w, 2);
    pen.fillStyle = ink.accent; pen.fillRect(box.x, floor - 1, x(state.frame) - box.x, 2);
    const dense = box.w / Math.max(1, sites.length) < 2.2; // too narrow for inner ticks
    for (let f = 0; f <= sites.length; f++) {
      const major = f === 0 || f === sites.length || stepOf(f + 1) !== stepOf(f), answered = f && names[sites[f - 1][3]] === answer;
      if (dense && !major) continue;
      pen.globalAlpha = f > end ? 0.25 : 1; pen.strokeStyle = major ? ink.ink : ink.soft; pen.lineWidth = major ? 1.5 : 1;
      pen.beginPath(); pen.moveTo(x(f), floor - (major ? 13 : answered ? 8 : 4)); pen.lineTo(x(f), floor); pen.stroke();
      const every = Math.ceil((18 * sites.at(-1)[0]) / box.w);
      if (major && (stepOf(f) % every === 0 || f === sites.length)) { pen.fillStyle = ink.soft; pen.fillText(f ? stepOf(f) : "0", x(f), floor + 5); }
      pen.globalAlpha = 1;
    }
    dot(pen, x(state.frame), floor, ink.accent, 6);
  }

  function draw() {
    if (!root.clientWidth) return; // not on the page yet
    const { tokens, verdict: says, changed, broken } = drawBoard();
    for (const { canvas, now, draw } of Object.values(charts)) draw(canvas, now);
    drawTimeline();
    const site = state.frame ? sites[state.frame - 1] : null, text = describe();
    const outcome = broken ? plural(broken, "cell breaks a rule", "cells break a rule") : says === "solved" ? "solved: complete, and no rule broken" : says;
    where.textContent = text;
    verdict.textContent = outcome; verdict.dataset.verdict = says;
    for (const [name, control] of Object.entries(views)) control.setAttribute("aria-pressed", String(name === state.view));
    const source = state.view === "answer" ? answer : site ? names[site[3]] : "question";
    board.setAttribute("aria-label", `board read from ${source}: ${plural(changed, "cell", "cells")} changed, ${outcome}`);
    timeline.setAttribute("aria-valuemax", lengths[state.puzzle]); timeline.setAttribute("aria-valuenow", state.frame); timeline.setAttribute("aria-valuetext", text);
    spoken.textContent = `${text}; ${outcome}`;
    Object.assign(root.dataset, {
      frame: state.frame, frames: lengths[state.puzzle], puzzle: state.puzzle, view: state.view, verdict: says,
      site: site ? [...site.slice(0, 3), names[site[3]]].join(".") : "question",
      board: header.symbols ? Array.from(tokens, (t) => header.symbols[t]).join("") : Array.from(tokens).join(" "),
    });
  }

  // ---- hands -----------------------------------------------------------------

  root.addEventListener("keydown", (event) => {
    if (event.target.tagName === "SELECT" || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key === " " && event.target.tagName === "BUTTON") { event.stopPropagation(); return; } // the button's own
    const act = {
      ArrowRight: () => go(event.shiftKey ? stepFrom(1) : state.frame + 1), ArrowLeft: () => go(event.shiftKey ? stepFrom(-1) : state.frame - 1),
      Home: () => go(0), End: () => go(lengths[state.puzzle]), " ": () => toggle(), "?": () => overlay(), Escape: () => overlay(false),
      v: () => show({ view: state.view === "answer" ? "renewed" : "answer" }),
    }[event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!act || (event.key === "Escape" && help.hidden)) return;
    event.preventDefault(); event.stopPropagation();
    act();
  });
  const scrub = (event) => {
    const place = timeline.getBoundingClientRect();
    go(Math.round(((event.clientX - place.left - 10) / (place.width - 20)) * sites.length));
  };
  timeline.addEventListener("pointerdown", (event) => { timeline.setPointerCapture(event.pointerId); scrub(event); });
  timeline.addEventListener("pointermove", (event) => { if (event.buttons) scrub(event); });
  for (const canvas of [board, ...Object.values(charts).map((c) => c.canvas)]) canvas.addEventListener("pointerdown", () => root.focus({ preventScroll: true }));

  let waiting = 0;
  const now = () => { readInks(); draw(); };
  const again = () => { setTheme(); cancelAnimationFrame(waiting); waiting = requestAnimationFrame(now); }; // styles follow a theme's change one frame later
  const resized = new ResizeObserver(again), themed = new MutationObserver(again), system = window.matchMedia("(prefers-color-scheme: dark)");
  resized.observe(root);
  themed.observe(document.body, { attributes: true, attributeFilter: ["data-jp-theme-light", "data-jp-theme-name"] });
  system.addEventListener("change", again);
  setTheme(); now();
  return () => { cancelAnimationFrame(waiting); toggle(false); resized.disconnect(); themed.disconnect(); system.removeEventListener("change", again); };
}

// ---- where it is mounted -----------------------------------------------------

export function mountPage() { // in a page of its own, which carries header and bytes
  const text = atob(document.getElementById("trm-bytes").textContent.trim()), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  mount(document.getElementById("trm-place"), JSON.parse(document.getElementById("trm-header").textContent), bytes);
  document.querySelector(".trm-explorer").focus();
}

export default { // in a notebook, as a widget
  render({ model, el }) {
    const view = model.get("blob");
    if (!view || !view.byteLength) { el.textContent = "This Explorer was closed. Run its cell again to open it."; return undefined; }
    return mount(el, model.get("header"), new Uint8Array(view.buffer, view.byteOffset, view.byteLength));
  },
};
