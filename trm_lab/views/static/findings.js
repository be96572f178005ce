// What probes found of a puzzle, over its board and its timeline: how far a single cell, or a whole latent,
// turns the answer when it is exchanged with a partner puzzle's (1: all the way to the partner's), how far
// each update moves, and whether the path settles.

import { button, make, plural, short } from "./page.js";
import { differing, unpack } from "./data.js";
import { Legend, cellName } from "./board.js";

const TALL = 13, APART = 3; // pixels of a row of bars, and below it
export const PROBED = 2 * (TALL + APART); // what both rows need
const FAINTEST = 0.05; // discs are drawn to the scale of the largest, or of this

const disc = (pen, x, y, radius, value, ink) => {
  pen.beginPath(); pen.arc(x, y, radius, 0, 7);
  pen.fillStyle = pen.strokeStyle = ink.differs; pen.lineWidth = 1.3;
  if (value > 0) { pen.globalAlpha = 0.4; pen.fill(); pen.globalAlpha = 1; }
  pen.setLineDash(value > 0 ? [] : [2.5, 2]); pen.stroke(); pen.setLineDash([]);
};
const diamond = (pen, x, y, r, ink) => {
  pen.fillStyle = ink.differs; pen.beginPath();
  pen.moveTo(x, y - r); pen.lineTo(x + r, y); pen.lineTo(x, y + r); pen.lineTo(x - r, y); pen.fill();
};
function partnerGiven(pen, x, y, side, says, ink) { // in the lower left corner, on a ground of its own
  pen.font = `700 ${Math.max(8, side * 0.24)}px ${ink.font}`;
  pen.textAlign = "left"; pen.textBaseline = "middle";
  const text = `→${says}`, wide = pen.measureText(text).width, tall = Math.max(9, side * 0.28);
  pen.fillStyle = ink.cell; pen.fillRect(x + 1, y + side - tall - 1, wide + 4, tall);
  pen.fillStyle = ink.differs; pen.fillText(text, x + 3, y + side - tall / 2 - 0.5);
}
const ofTheWay = (value) => `${short(100 * value)} %`;
const bars = (colour) => (pen, w, h, ink) => {
  pen.fillStyle = colour(ink); [6, 11, 4].forEach((v, i) => pen.fillRect(2 + 4 * i, h - 1 - v, 3, v));
};

export class Findings {
  constructor(app) {
    this.app = app; this.known = new Map(); this.asked = new Set(); // by `place`
    this.button = button("Probes", "what probes found of this puzzle (P)", () => {
      this.toggle(); app.focus();
    });
    this.says = make("p", { class: "trm-says" });
    const tick = (pen, w, h, ink) => { pen.fillStyle = ink.ink; pen.fillRect(1, h / 2 - 1, w - 2, 2); };
    this.legend = new Legend(app.stage, [
      ["disc", "", (pen, w, h, ink) => disc(pen, w / 2, h / 2, 5, 1, ink)],
      ["against", "away from it", (pen, w, h, ink) => disc(pen, w / 2, h / 2, 5, -1, ink)],
      ["decided", "decided otherwise there", (pen, w, h, ink) => diamond(pen, w / 2, h / 2, 4, ink)],
      ["partner", "the partner's given", (pen, w, h, ink) => partnerGiven(pen, -2, -1, h, "", ink)],
      ["site", "upper bars: all of a latent exchanged", bars((ink) => ink.latent0)],
      ["random", "a random change of that size", tick],
      ["residual", "lower bars: how far an update moves", bars((ink) => ink.latent1)]]);
    this.element = make("div", { class: "trm-found", hidden: "" }, this.says, this.legend.element);
  }

  place(side, puzzle) { return `${side}:${puzzle}`; } // of the models; null: means over puzzles
  learn(meta, bytes) {
    this.known.set(this.place(meta.side ?? 0, meta.puzzle), { meta, bytes, ...unpack(meta.arrays, bytes) });
  }

  get on() { return this.app.state.probes === "on"; }
  get able() { // may a kernel be asked? A live page has the model, but no probes
    const { header, tree } = this.app;
    return Boolean(tree.kernel && !header.live && !header.refused);
  }
  get offered() { return this.able || this.known.size > 0; }

  toggle() { if (this.offered) this.app.show({ probes: this.on ? "off" : "on" }); }

  async ask() { // once for each model and puzzle
    const { app } = this, { puzzle } = app.state;
    for (const side of app.header.sides.keys()) {
      const place = this.place(side, puzzle);
      if (!this.able || this.known.has(place) || this.asked.has(place)) continue;
      this.asked.add(place);
      const got = await app.busy(app.tree.kernel.ask({ ask: "findings", puzzle, side }), "asking probes");
      if (got) this.learn(got, got.bytes); else this.asked.delete(place);
      app.draw();
    }
  }

  edited(run, frame) { // was anything changed on the way there?
    for (let at = run.owner(frame); at; at = at.parent) if (at.meta.edits.length) return true;
    return false;
  }

  of(run, frame) { // what was found of a moment, or null
    const side = this.app.tree.whichSide(run), own = this.known.get(this.place(side, run.puzzle));
    return (own && !this.edited(run, frame) ? own : this.known.get(this.place(side, null))) ?? null;
  }
  lacking(run, frame) { // why nothing is shown
    const side = this.app.tree.whichSide(run);
    if (this.known.has(this.place(side, run.puzzle))) {
      const { tree } = this.app, asked = tree.runs.get(tree.root(run.puzzle, side))?.own.question(),
        other = asked && differing(run.answer(frame).question, asked).length > 0;
      return `What probes found is hidden: they spoke of ${other ? "the puzzle" : "the run"} as it was, `
        + `and here ${other ? "its question is another one" : "something was changed on the way"}.`;
    }
    if (this.able) return "Probes have not answered yet.";
    if (side && this.known.has(this.place(0, run.puzzle)))
      return "Probes were asked about the first model alone.";
    return "Probes were not asked about this puzzle. In Python, Explorer(…, findings=True) asks them "
      + "about all puzzles, and a page that is saved then shows it.";
  }

  // of single cells of the latent that is read, exchanged in the present step: (L), and the largest
  cells(found, run, frame) {
    if (!found?.at_cell || !frame) return null;
    const { names } = run.side, steps = found.at_cell().length / (names.length * run.answer(0).tokens.length),
      which = run.source(frame, this.app.readingOf(run)),
      values = found.at_cell(Math.min(run.step(frame), steps) - 1, which),
      largest = values.reduce((high, v) => Math.max(high, Math.abs(v)), 0);
    return { values, largest, name: names[which] };
  }

  // ---- drawing ---------------------------------------------------------------

  drawBoard(pen, run, frame, cells, side) {
    const found = this.on && this.of(run, frame);
    if (!found) return;
    const { ink } = this.app.stage, { header } = this.app, shown = this.cells(found, run, frame),
      scale = Math.max(FAINTEST, shown?.largest ?? 0), { partner } = found.meta,
      changed = new Map(partner?.changed), decision = new Set(partner?.decision);
    for (const [i, x, y] of cells) {
      const share = shown ? Math.abs(shown.values[i]) / scale : 0;
      if (share > 0.01)
        disc(pen, x + side / 2, y + side / 2, side * 0.46 * Math.sqrt(share), shown.values[i], ink);
      if (decision.has(i)) diamond(pen, x + side * 0.13, y + side * 0.87, Math.max(2.5, side * 0.08), ink);
      if (changed.has(i)) {
        const token = changed.get(i), says = header.glyphs[token] || header.symbols?.[token] || "";
        partnerGiven(pen, x, y, side, says.trim() || "·", ink);
      }
    }
  }

  drawTimeline(pen, run, x, top, wide) { // two rows of bars: what an exchange does, and how far updates move
    const { stage } = this.app, { ink } = stage, { updates } = run.side;
    const bar = (f, share, base, which) => {
      const tall = Math.max(0, Math.min(1, share)) * TALL;
      pen.fillStyle = stage.latent(which); pen.fillRect(x(f) - wide / 2, base - tall, wide, tall);
    };
    const names = ["at_site", "random", "residual"];
    for (let f = 1; f <= run.length; f++) {
      const found = this.of(run, f), which = updates[(f - 1) % updates.length][2];
      if (!found) continue;
      const [effect, random, residual] = names.map((name) => found[name]()[f - 1]);
      if (Number.isFinite(effect)) bar(f, effect, top + TALL, which);
      if (Number.isFinite(random)) {
        pen.fillStyle = ink.ink;
        pen.fillRect(x(f) - wide / 2, top + TALL - Math.max(0, Math.min(1, random)) * TALL - 0.5, wide, 1);
      }
      if (Number.isFinite(residual)) bar(f, residual, top + 2 * TALL + APART, which);
    }
    pen.fillStyle = ink.rule;
    for (const base of [top + TALL, top + 2 * TALL + APART])
      pen.fillRect(x(0), base, x(run.length) - x(0), 1);
  }
  // what a kept picture of the timeline depends on
  stamp(run) {
    const has = (puzzle) => this.known.has(this.place(this.app.tree.whichSide(run), puzzle));
    return this.on ? `${has(run.puzzle)} ${has(null)}` : "";
  }

  write(run, frame) { // texts, and what tests read
    const found = this.on ? this.of(run, frame) : null, shown = found && this.cells(found, run, frame);
    this.button.hidden = !this.offered;
    this.button.setAttribute("aria-pressed", String(this.on));
    const whose = this.app.header.sides.length > 1 ? `${"AB"[this.app.tree.whichSide(run)]}: ` : "";
    if (this.on) this.says.textContent = whose + (found ? this.sentence(found, run, frame, shown)
      : this.lacking(run, frame));
    this.legend.element.hidden = !found;
    const has = (name) => found && found[name]().some(Number.isFinite),
      told = (yes, says) => (yes ? says : null), few = found?.meta.partner?.changed.length === 1;
    if (found) this.legend.draw({
      disc: told(shown, `a cell of ${shown?.name} exchanged turns the answer (largest disc: `
        + `${ofTheWay(shown?.largest)})`),
      against: told(shown, "away from the partner's"), partner: told(few, "the partner's given"),
      decided: told(found.meta.partner, "decided otherwise there"),
      site: told(has("at_site"), "upper bars: all of a latent exchanged"),
      random: told(has("random"), "a random change of that size"),
      residual: told(has("residual"), "lower bars: how far an update moves") });
    const at = (name) => (found && frame ? found[name]()[frame - 1] : NaN);
    Object.assign(this.app.root.dataset, { probes: !this.on ? "off" : found ? "shown" : "hidden",
      effect: at("at_site"), residual: at("residual"), motion: found?.meta.path?.motion ?? "",
      effectOfCell: shown && this.app.state.cell !== null ? shown.values[this.app.state.cell] : "" });
  }

  sentence(found, run, frame, shown) {
    const { header, state } = this.app, { partner, path, source } = found.meta, parts = [],
      name = frame ? run.site(frame)[3] : "", at = (what) => (frame ? found[what]()[frame - 1] : NaN);
    if (source) parts.push(`Means over puzzles, from ${source}`);
    if (Number.isFinite(at("at_site")))
      parts.push(`all of ${name}, exchanged here, turns the answer ${ofTheWay(at("at_site"))} of the way to `
        + (source ? "a partner's" : "the partner's") + (Number.isFinite(at("random"))
        ? `, a random change of that size ${ofTheWay(at("random"))}` : ""));
    if (shown) {
      const cell = state.cell ?? shown.values.findIndex((v) => Math.abs(v) === shown.largest);
      parts.push(`${shown.name} of ${cellName(header, cell)} alone ${ofTheWay(shown.values[cell])}`);
    }
    if (Number.isFinite(at("residual")))
      parts.push(`this update moves ${name} by ${ofTheWay(at("residual"))} of its size`);
    if (partner) parts.push(partner.changed.length === 1
      ? `the partner has ${header.vocab[partner.changed[0][1]]} in `
        + `${cellName(header, partner.changed[0][0])}, and `
        + `${plural(partner.decision.length, "cell", "cells")} decided otherwise`
      : `the partner is a transformed copy (${partner.kind})`);
    else if (!source)
      parts.push("no partner was found of which the model solves both, so nothing was exchanged");
    if (path) parts.push(`followed for ${path.steps} steps, its path ${path.motion} (drift `
      + `${short(path.drift)} a step, exponent ${short(path.exponent)})`);
    const text = parts.join("; ");
    return text && `${text[0].toUpperCase()}${text.slice(1)}.`;
  }
}
