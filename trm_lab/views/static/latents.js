// The latents: how far and in which direction each update moves them, their paths, and what they
// hold at the present site.

import { choose, figure, lineChart, make, number, percent, picture, plural, refill, short,
  switches } from "./page.js";
import { cellName, ruling } from "./board.js";
import { unpack } from "./data.js";
import { drawProbability } from "./halting.js";

// Each latent's points of a series, at the frames that renewed it.
function byLatent(run, name) {
  const values = run.series(name), { names, answer } = run.side;
  return run.once(`lines ${name}`, () => names.map((latent, which) => ({ which, dots: latent === answer,
    points: run.visits(which).map((f) => [f, values[f]]) })).filter(({ points }) => points.length));
}

function drawSeries(app, { canvas, now }, run, frame, name, scale) {
  const value = run.series(name)[frame], which = run.series("renewed")[frame];
  lineChart(app.stage, canvas, { ...scale, frames: app.frames,
    every: run.updates, lines: byLatent(run, name), names: scale.unnamed ? null : run.side.names,
    key: `${run.key} ${run.meta.fitted} ${app.frames} ${scale.low} ${scale.high}`,
    at: { frame, which, value: which < 0 ? NaN : value } });
  return () => {
    now.textContent = which < 0 || !Number.isFinite(value) ? "" : `${run.side.names[which]} ${short(value)}`;
  };
}

// one scale for every run that is here
function decades(app, name) { return app.tree.once(`decades ${name}`, () => {
  let low = Infinity, high = 0;
  for (const run of app.tree.runs.values()) for (const v of run.series(name)) if (v > 0) {
    low = Math.min(low, v); high = Math.max(high, v);
  }
  const from = Math.max(-4, Math.floor(Math.log10(Math.min(low, high) || 1))),
    to = Math.max(from + 1, Math.ceil(Math.log10(high || 1)));
  const marks = Array.from({ length: to - from + 1 }, (_, i) => from + i)
    .map((p) => [10 ** p, p < -3 ? `1e${p}` : short(10 ** p)]);
  return { low: 10 ** from, high: 10 ** to, log: true, marks };
}); }

// of two models the one with more
export const most = (header, list) =>
  header.sides.map((side) => side[list]).reduce((a, b) => (b.length > a.length ? b : a));

// ---- path and change ---------------------------------------------------------

export class Path {
  constructor(app) {
    this.app = app;
    this.halting = figure("halting probability");
    this.change = figure("size of each change (root mean square)");
    this.paths = most(app.header, "names").map((name) => figure(`path of ${name}`));
    this.element = make("div", { class: "trm-panel" }, this.halting.element, this.change.element,
      make("div", { class: "trm-paths" }, ...this.paths.map((p) => p.element)));
  }

  draw(run, frame, other) {
    const { app } = this;
    drawProbability(app, this.halting.canvas, run, frame, other);
    const write = drawSeries(app, this.change, run, frame, "change", decades(app, "change"));
    run.side.names.forEach((_, which) => {
      if (this.paths[which]) this.drawPath(this.paths[which].canvas, run, frame,
          other?.run.side === run.side ? other : null, which);
    });
    return write;
  }

  write(run, frame, write) {
    write();
    this.halting.now.textContent = frame ? percent(run.series("halting")[frame]) : "";
    this.paths.forEach(({ title, element }, which) => {
      element.hidden = which >= run.side.names.length; title.textContent = `path of ${run.side.names[which]}`;
    });
  }

  extent(side, which) { // of this latent's paths, over the runs that are here
    let [x0, x1, y0, y1] = [Infinity, -Infinity, Infinity, -Infinity];
    for (const run of this.app.tree.runs.values()) if (run.side === side) for (const f of run.visits(which)) {
      const [x, y] = run.row("path", f);
      x0 = Math.min(x0, x); x1 = Math.max(x1, x); y0 = Math.min(y0, y); y1 = Math.max(y1, y);
    }
    return [x0, x1, y0, y1];
  }

  // the place of a latent stands still while another one is renewed
  drawPath(canvas, run, frame, other, which) {
    const { stage, tree } = this.app, { ink } = stage;
    const [x0, x1, y0, y1] = tree.once(`extent ${tree.whichSide(run)} ${which}`,
      () => this.extent(run.side, which));
    const key = `${[x0, x1, y0, y1]} ${run.key} ${run.meta.fitted}`;
    const point = (box, of, f) => {
      const [x, y] = of.row("path", f);
      return [box.x + 6 + ((box.w - 12) * (x - x0)) / (x1 - x0 || 1),
        box.y + box.h - 6 - ((box.h - 12) * (y - y0)) / (y1 - y0 || 1)];
    };
    const trail = (pen, box, of, upTo) => {
      pen.beginPath();
      let at = null;
      for (const f of of.visits(which)) {
        if (f > upTo) break;
        const p = point(box, of, f);
        pen[at ? "lineTo" : "moveTo"](...p);
        at = p;
      }
      pen.stroke();
      return at;
    };
    const { pen, box } = stage.background(canvas,
      { left: 18, right: 4, top: 4, bottom: 18 }, key, (pen, box) => {
      pen.strokeStyle = ink.rule; pen.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
      const [first, second] = run.meta.explained[run.side.names[which]];
      pen.fillStyle = ink.soft; pen.textBaseline = "middle"; pen.textAlign = "center";
      if (!first) { // one point, which varies along no axis
        pen.fillText("A path needs two updates of this latent.", box.x + box.w / 2, box.y + box.h / 2);
        return;
      }
      pen.fillText(`PC 1 (${percent(first)})`, box.x + box.w / 2, box.y + box.h + 10);
      pen.save(); pen.translate(box.x - 10, box.y + box.h / 2); pen.rotate(-Math.PI / 2);
      pen.fillText(`PC 2 (${percent(second)})`, 0, 0); pen.restore();
      pen.strokeStyle = ink.soft; pen.globalAlpha = 0.7; trail(pen, box, run, Infinity); pen.globalAlpha = 1;
      const [start] = run.visits(which);
      if (start) {
        const [x, y] = point(box, run, start);
        pen.strokeStyle = ink.ink;
        pen.strokeRect(x - 3.5, y - 3.5, 7, 7);
      }
    });
    if (other) {
      pen.strokeStyle = ink.differs; pen.lineWidth = 1.5; pen.setLineDash([2, 3]);
      const at = trail(pen, box, other.run, other.frame);
      pen.setLineDash([]);
      if (at) { pen.fillStyle = ink.differs; pen.fillRect(at[0] - 4, at[1] - 4, 8, 8); }
    }
    pen.strokeStyle = stage.latent(which); pen.lineWidth = 1.8; pen.setLineDash(stage.dash(which));
    const at = trail(pen, box, run, frame);
    pen.setLineDash([]);
    if (at) stage.dot(pen, ...at, stage.latent(which), 5);
  }
}

// ---- positions × components --------------------------------------------------

export const COMPONENTS = [["norm", "norm", "length of the vector at each position"],
  ["0", "PC 1", "first principal component"],
  ["1", "PC 2", "second principal component"], ["2", "PC 3", "third principal component"],
  ["raw", "channels", "all channels as they are; computed when asked for"]];

export class Latents {
  constructor(app) {
    this.app = app; this.raw = new Map(); this.failed = new Set(); this.asking = null;
    this.latent = choose("which latent", [], "", (latent) => app.show({ latent }));
    this.component = switches("component", COMPONENTS, (component) => app.show({ component }));
    this.channel = number("channel", { min: 0, max: 0, step: 1, value: 0 },
      (channel) => app.show({ channel }));
    this.matrix = figure("positions × components, at this site"); this.map = figure("on the board's grid");
    this.turn = figure("direction: cosine to the same latent's last change");
    this.toward = figure("cosine to the latent's own last state");
    this.element = make("div", { class: "trm-panel" },
      make("div", { class: "trm-controls" }, this.latent, this.component.element, this.channel),
      make("div", { class: "trm-pair" }, this.matrix.element, this.map.element),
      this.turn.element, this.toward.element);
    this.matrix.canvas.addEventListener("pointerdown", (event) => {
      const place = this.matrix.canvas.getBoundingClientRect(), { box, bands, positions, P } = this.grid;
      const at = [event.clientX - place.left, event.clientY - place.top],
        band = bands.find(([, from, to]) => at[0] >= from && at[0] < to),
        cell = Math.floor(((at[1] - box.y) / box.h) * positions) - P;
      if (band) app.show({ component: band[0],
          ...(band[3] ? { channel: Math.floor(((at[0] - band[1]) / (band[2] - band[1])) * band[3]) } : {}) });
      if (cell >= 0 && cell < positions - P) app.pick(cell);
    });
  }

  which(run, frame) { // the latent that is looked at
    const { latent } = this.app.state;
    return run.source(frame, latent);
  }

  // {at(position), level(position), signed, bound}: a component over positions, or null if it is not here
  values(run, frame, which, component) {
    const { norm, component: bounds } = run.owner(frame).meta.scale, name = run.side.names[which];
    if (component === "norm") {
      const row = run.position("norm", frame, which),
        at = (i) => norm[0] + (row[i] / 255) * (norm[1] - norm[0]);
      return { row, at, level: (i) => row[i], low: norm[0], high: norm[1], table: this.app.stage.sure };
    }
    const signed = (at, bound) => ({ at, level: (i) => Math.round(127.5 * (1 + at(i) / (bound || 1))),
      low: -bound, high: bound, table: this.app.stage.signed });
    if (component !== "raw") {
      const all = run.position("component", frame, which), L = all.length / 3,
        row = all.subarray(Number(component) * L, (Number(component) + 1) * L), [low, high] = bounds[name];
      return signed((i) => low + (row[i] / 255) * (high - low), Math.max(-low, high));
    }
    const raw = this.raw.get(`${run.owner(frame).key} ${frame} ${name}`);
    return raw ? { ...signed((i) => raw.values[i * raw.channels
          + Math.min(raw.channels - 1, this.app.state.channel)], raw.bound), raw } : null;
  }

  draw(run, frame) {
    const { app } = this, { stage, state } = app, which = this.which(run, frame),
      chosen = this.values(run, frame, which, state.component);
    if (state.component === "raw" && !chosen) this.fetch(run, frame, which);
    this.drawMatrix(run, frame, which, chosen?.raw);
    if (chosen) this.drawMap(run, frame, which, chosen);
    else stage.say(this.map.canvas, app.tree.kernel && !app.tree.kernel.gone
      ? `Asking ${app.tree.kernel.words.name} for the channels.`
      : "The channels need a kernel; norm and PC 1 to 3 are here.");
    // half of −1 to 1 is enough where no run leaves it
    const cosines = (name) => app.tree.once(`cosines ${name}`, () => {
      let low = 0.5;
      for (const r of app.tree.runs.values()) for (const v of r.series(name).subarray(1)) if (v < low)
        low = v < -0.5 ? -1 : v < 0 ? -0.5 : 0;
      return { low, high: 1, unnamed: name === "toward",
        marks: [low, (low + 1) / 2, 1].map((v) => [v, short(v)]) };
    });
    return { which, chosen, writes: ["turn", "toward"]
      .map((name) => drawSeries(app, this[name], run, frame, name, cosines(name))) };
  }

  write(run, frame, { which, chosen, writes }) {
    const { state, header } = this.app, { names } = run.side, cell = state.cell, P = this.grid.P;
    refill(this.latent,
      [["renewed", "the latent just renewed"], ...names.map((name) => [name, name])], state.latent);
    this.component.set(state.component);
    this.channel.hidden = !chosen?.raw;
    if (chosen?.raw) { this.channel.max = chosen.raw.channels - 1; this.channel.value = state.channel; }
    const label = COMPONENTS.find(([value]) => value === state.component)[1];
    this.matrix.title.textContent = `${names[which]}: positions × components, at this site`;
    this.map.title.textContent =
      `${state.component === "raw" ? `channel ${state.channel}` : label} on the board`;
    this.matrix.now.textContent = P ? `${plural(P, "puzzle position", "puzzle positions")} first` : "";
    this.map.now.textContent = !chosen ? "" : cell === null ? `${short(chosen.low)} to ${short(chosen.high)}`
      : `${cellName(header, cell)}: ${short(chosen.at(P + cell))}`;
    for (const write of writes) write();
  }

  drawMatrix(run, frame, which, raw) {
    const { stage, state, header } = this.app, { ink } = stage,
      positions = run.position("norm", frame, which).length, P = positions - header.rows * header.cols;
    const { pen, width, height } = stage.fit(this.matrix.canvas),
      box = { x: 2, y: 16, w: width - 4, h: height - 18 };
    const wide = Math.max(18, Math.min(44, box.w / 9)), names = ["norm", "0", "1", "2"];
    pen.font = `11px ${ink.font}`; pen.textAlign = "center"; pen.textBaseline = "middle";
    pen.imageSmoothingEnabled = false;
    const bands = names.map((name, i) => [name, box.x + i * (wide + 3), box.x + i * (wide + 3) + wide]),
      rest = bands[3][2] + 8;
    for (const [name, from, to] of bands) {
      const { level, table } = this.values(run, frame, which, name);
      pen.drawImage(picture(1, positions, level, table), from, box.y, to - from, box.h);
      pen.fillStyle = name === state.component ? ink.ink : ink.soft;
      pen.fillText(name === "norm" ? "norm" : `PC ${Number(name) + 1}`, (from + to) / 2, 8);
    }
    bands.push(["raw", rest, box.x + box.w, raw?.channels]);
    pen.fillStyle = state.component === "raw" ? ink.ink : ink.soft;
    pen.fillText(raw ? `${raw.channels} channels, ±${short(raw.bound)}` : "channels",
      (rest + box.x + box.w) / 2, 8);
    if (raw) {
      raw.picture ??= new Map();
      if (!raw.picture.has(stage.age)) raw.picture.set(stage.age, picture(raw.channels, positions, (r, c) =>
          Math.round(127.5 * (1 + raw.values[r * raw.channels + c] / (raw.bound || 1))), stage.signed));
      pen.drawImage(raw.picture.get(stage.age), rest, box.y, box.x + box.w - rest, box.h);
    } else {
      pen.strokeStyle = ink.rule; pen.lineWidth = 1;
      pen.strokeRect(rest + 0.5, box.y + 0.5, box.x + box.w - rest - 1, box.h - 1);
      pen.fillStyle = ink.soft;
      pen.fillText(this.app.tree.kernel ? "click here to ask for them" : "they need a kernel",
        (rest + box.x + box.w) / 2, box.y + box.h / 2);
    }
    const [, from, to] = bands.find(([name]) => name === state.component);
    pen.strokeStyle = ink.accent; pen.lineWidth = 2;
    pen.strokeRect(from - 1, box.y - 1, to - from + 2, box.h + 2);
    if (state.cell !== null) {
      const y = box.y + (box.h * (P + state.cell)) / positions;
      pen.strokeRect(box.x, y, box.w, Math.max(2, box.h / positions));
    }
    this.grid = { box, bands, positions, P };
  }

  drawMap(run, frame, which, { level, low, high, table }) {
    const { app } = this, { stage, state } = app, { rows, cols } = app.header, { ink } = stage,
      { pen, width, height } = stage.fit(this.map.canvas), { P } = this.grid;
    const strip = P ? 14 : 0, side = Math.min((width - 44) / cols, (height - 6 - strip) / rows),
      left = 3, top = 3 + strip;
    pen.imageSmoothingEnabled = false;
    if (P) pen.drawImage(picture(P, 1, (_, c) => level(c), table), left, 2, side * cols, 8);
    pen.drawImage(picture(cols, rows, (r, c) => level(P + r * cols + c), table), left, top,
      side * cols, side * rows);
    ruling(app, pen, { side, left, top });
    const x = left + side * cols + 8, tall = side * rows - 20;
    pen.drawImage(picture(1, 256, (r) => 255 - r, table), x, top + 10, 8, tall);
    pen.font = `11px ${ink.font}`; pen.fillStyle = ink.soft; pen.textAlign = "left";
    pen.textBaseline = "middle";
    pen.fillText(short(high), x, top + 2); pen.fillText(short(low), x, top + side * rows - 2);
    if (state.cell !== null) {
      pen.strokeStyle = ink.accent;
      pen.lineWidth = 3;
      pen.strokeRect(left + (state.cell % cols) * side,
        top + Math.floor(state.cell / cols) * side, side, side);
    }
  }

  fetch(run, frame, which) { // one at a time, and only where the walk has come to rest
    const { tree } = this.app, name = run.side.names[which], key = `${run.owner(frame).key} ${frame} ${name}`;
    if (!tree.kernel || tree.kernel.gone || this.asking || this.failed.has(key)) return;
    this.asking = setTimeout(() => {
      const positions = run.position("norm", frame, which).length;
      tree.kernel.ask({ ask: "latents", run: run.key, frame, name }).then(({ arrays, bytes }) => {
        const values = unpack(arrays, bytes).channels();
        // a 30×30 board's are some megabytes each
        if (this.raw.size > 40) this.raw.delete(this.raw.keys().next().value);
        this.raw.set(key, { values, channels: values.length / positions,
          bound: values.reduce((a, v) => Math.max(a, Math.abs(v)), 0) });
      }).catch((error) => {
        this.failed.add(key); this.app.notify(error.message);
      }).finally(() => { this.asking = null; this.app.draw(); });
    }, 80);
  }
}
