// One cell: how likely each token is at every site, read from each latent.

import { SIDES, across, figure, make, percent, picture } from "./page.js";
import { cellName } from "./board.js";
import { unpack } from "./data.js";
import { most } from "./latents.js";

export class Cell {
  constructor(app) {
    this.app = app; this.shares = new Map(); this.facts = new Map(); this.asked = new Set();
    this.says = make("p", { class: "trm-says" });
    this.figures = most(app.header, "readings").map(
      (name) => figure(`probability of each token at every site, read from ${name}`));
    this.element = make("div", { class: "trm-panel" }, this.says,
      ...this.figures.map(({ element }) => element));
    for (const { canvas } of this.figures) canvas.addEventListener("pointerdown", (event) => {
      const place = canvas.getBoundingClientRect(),
        box = { x: SIDES.left + 18, w: place.width - SIDES.left - 18 - SIDES.right };
      app.visit(Math.round(((event.clientX - place.left - box.x) / box.w) * app.frames));
    });
  }

  // the runs that own its frames
  lineage(run) { return run.parent && run.fork ? [...this.lineage(run.parent), run] : [run]; }

  // (frame, latent, token) → probability×255, from the kernel; without it only the most probable
  // token of each site is known.
  reader(run, cell) {
    const keys = this.lineage(run).map((r) => [r, `${r.key} ${cell}`]),
      missing = keys.filter(([, key]) => !this.shares.has(key));
    for (const [r, key] of missing) this.fetch(r, cell, key);
    const { tree } = this.app, V = this.app.header.vocab.length, names = run.side.names.length;
    if (!missing.length) return { whole: true, at: (f, which, token) => {
      const owner = run.owner(f);
      return this.shares.get(`${owner.key} ${cell}`)[((f - owner.fork) * names + which) * V + token];
    } };
    return { whole: false, waiting: Boolean(tree.kernel && !tree.kernel.gone), at: (f, which, token) => {
      const now = run.board(f, run.side.names[which]);
      return now.tokens[cell] === token ? now.sure[cell] : 0;
    } };
  }

  fetch(run, cell, key) {
    const { tree } = this.app;
    if (!tree.kernel || tree.kernel.gone || this.asked.has(key)) return;
    this.asked.add(key);
    tree.kernel.ask({ ask: "cell", run: run.key, cell }).then(({ facts, arrays, bytes }) => {
      this.facts.set(key, facts);
      this.shares.set(key, unpack(arrays, bytes).share()); this.app.draw();
    }).catch((error) => this.app.notify(error.message));
  }

  draw(run, frame) {
    const { app } = this, { cell } = app.state, { stage } = app;
    if (cell === null) {
      this.figures.forEach(({ canvas }, i) => (i ? stage.fit(canvas) : stage.say(canvas,
        "Click a cell of the board, or press Enter on it and use the arrows: "
        + "the probability of each token there is drawn here, at every site.")));
      return null;
    }
    const reader = this.reader(run, cell);
    run.side.readings.forEach((_, which) => {
      if (this.figures[which]) this.drawTokens(this.figures[which].canvas, run, frame, cell, which, reader);
    });
    return reader;
  }

  drawTokens(canvas, run, frame, cell, which, reader) {
    const { stage, header, frames } = this.app, { ink } = stage, { vocab } = header, V = vocab.length,
      end = run.answer(run.length), label = end.solution?.[cell];
    const key = `${run.key} ${run.meta.fitted} ${cell} ${which} ${reader.whole} ${frames}`,
      margins = { ...SIDES, left: SIDES.left + 18, right: SIDES.right + 62 };
    const { pen, box } = stage.background(canvas, margins, key, (pen, box) => {
      const high = box.h / V, x = across(box, frames);
      pen.imageSmoothingEnabled = false;
      pen.drawImage(picture(run.length + 1, V, (token, f) => reader.at(f, which, token), stage.deep), box.x,
        box.y, x(run.length) - box.x, box.h);
      pen.strokeStyle = ink.rule; pen.lineWidth = 1;
      pen.strokeRect(box.x + 0.5, box.y + 0.5, box.w - 1, box.h - 1);
      pen.globalAlpha = 0.5;
      for (let f = 0; f <= frames; f += run.updates) {
        pen.beginPath(); pen.moveTo(x(f), box.y); pen.lineTo(x(f), box.y + box.h); pen.stroke();
      }
      pen.globalAlpha = 1; pen.textBaseline = "middle"; pen.textAlign = "right"; pen.fillStyle = ink.soft;
      pen.font = `${Math.max(8, Math.min(11, high))}px ${ink.font}`;
      const every = Math.ceil(9 / high);
      vocab.forEach((name, token) => {
        if (token % every === 0) pen.fillText(name.length > 9 ? `${name.slice(0, 8)}…` : name, box.x - 6,
            box.y + (token + 0.5) * high);
      });
      pen.textAlign = "left"; pen.font = `11px ${ink.font}`; pen.fillStyle = pen.strokeStyle = ink.ink;
      const marks = new Map([[end.tokens[cell], "at the end"]]);
      if (label !== undefined) marks.set(label, marks.has(label) ? "end, label" : "label");
      for (const [token, says] of marks) {
        pen.fillText(`◂ ${says}`, box.x + box.w + 3, box.y + (token + 0.5) * high);
      }
    });
    const x = across(box, frames)(frame);
    pen.strokeStyle = ink.accent; pen.lineWidth = 1.5;
    pen.beginPath(); pen.moveTo(x, box.y - 2); pen.lineTo(x, box.y + box.h + 2); pen.stroke();
  }

  write(run, frame, reader) {
    // the answer alone where the model is missing
    const { header, state } = this.app, { cell } = state, names = run.side.readings;
    this.figures.forEach(({ element, title, now }, which) => {
      element.hidden = which >= names.length;
      title.textContent = `probability of each token at every site, read from ${names[which]}`;
      if (cell === null || !names[which]) { now.textContent = ""; return; }
      const here = run.board(frame, names[which]);
      now.textContent = `here: ${header.vocab[here.tokens[cell]]} (${percent(here.sure[cell] / 255)})`;
    });
    if (cell === null) { this.says.textContent = "No cell is chosen."; return; }
    const end = run.answer(run.length), word = (tokens) => header.vocab[tokens[cell]];
    const held = end.given[cell] ? `${word(end.question)}, given` : `${word(end.tokens)} at the end`;
    const parts = [`${cellName(header, cell)}: ${held}`];
    parts.push(...this.facts.get(`${run.key} ${cell}`) ?? []);
    if (end.solution) parts.push(`${header.vocab[end.solution[cell]]} by the label`);
    if (!reader.whole) parts.push(reader.waiting
      ? `asking ${this.app.tree.kernel.words.name}; so far each site's most probable token`
      : "without a kernel, only each site's most probable token is known");
    this.says.textContent = `${parts.join("; ")}.`;
  }
}
