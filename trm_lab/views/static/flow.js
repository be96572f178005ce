// One update as data flow: what is added up, which cells each layer listens to, and what comes out; for the
// whole board as maps, for one cell as vectors, for one channel as numbers. The numbers of a moment come as
// one message, from the kernel or from the page's own thread.

import { KEYS, choose, clamp, make, number, percent, picture, plural, refill, short } from "./page.js";
import { cellName, ruling } from "./board.js";
import { unpack } from "./data.js";

const KEPT = 200; // moments
const REST = 60; // milliseconds at a frame before its numbers are asked for
const REPLAY = "This page only replays; an update is taken apart where the model is: save the page with "
  + "Explorer(…).save_html(path, live=True), or open the Explorer in a notebook.";
const ATTENDS = "What “listens to” shows: the weights of attention. The deeper a cell's colour, the larger "
  + "its share of what is added here; the shares of all positions add up to 100 %. The norm divides a "
  + "vector by its size.";
const ANSWERS = "What “listens to” shows: an MLP over positions mixes, and the deeper a cell's colour, the "
  + "farther what is added here moves when the vector there changes a little, per random change of size 1 "
  + "(root mean square over channels of the exact derivative). What a cell keeps of itself is not counted. "
  + "After this mixing the norm divides each channel by its size over all cells; after SwiGLU it divides "
  + "each cell's vector by its own.";

const wordOf = (name) => (name === "x" ? "question" : name);
const signed = (value) => (value < 0 ? "−" : "+") + Math.abs(value).toFixed(2);
const plain = (value) => value.toFixed(2).replace("-", "−");
const sizeOf = (values) => Math.sqrt(values.reduce((sum, v) => sum + v * v, 0) / values.length);
const highest = (values) => values.reduce((high, v) => Math.max(high, Math.abs(v)), 0);

// ---- what is drawn -----------------------------------------------------------

class BoardMap { // a number for every cell, to click
  constructor(app, label) {
    this.app = app; this.label = label;
    this.canvas = make("canvas", { class: "trm-map", role: "img", "aria-label": label });
    this.canvas.style.aspectRatio = `${app.header.cols} / ${app.header.rows}`;
    this.canvas.addEventListener("pointerdown", (event) => {
      const place = this.canvas.getBoundingClientRect(), { side, left, top } = this.grid,
        { rows, cols } = app.header, c = Math.floor((event.clientX - place.left - left) / side),
        r = Math.floor((event.clientY - place.top - top) / side);
      if (c >= 0 && c < cols && r >= 0 && r < rows) app.pick(r * cols + c);
    });
  }

  draw(values, high, cell, tokens = null) { // values: one a position; tokens: written into large cells
    const { stage, header } = this.app, { rows, cols } = header, { ink } = stage,
      { pen, width, height } = stage.fit(this.canvas), P = values.length - rows * cols;
    const strip = P ? 9 : 0, side = Math.min((width - 4) / cols, (height - 4 - strip) / rows),
      left = (width - side * cols) / 2, top = 2 + strip, table = stage.deep;
    const level = (s) => Math.min(255, Math.round((255 * values[s]) / (high || 1)));
    this.grid = { side, left, top };
    pen.imageSmoothingEnabled = false;
    if (P) pen.drawImage(picture(P, 1, (_, c) => level(c), table), left, 1, side * cols, 5);
    pen.drawImage(picture(cols, rows, (r, c) => level(P + r * cols + c), table), left, top, side * cols,
      side * rows);
    ruling(this.app, pen, { side, left, top });
    if (tokens && side >= 9) {
      pen.font = `${side * 0.62}px ${ink.font}`; pen.textAlign = "center"; pen.textBaseline = "middle";
      for (let i = 0; i < rows * cols; i++) this.token(pen, tokens[i], level(P + i) > 170, side,
        left + (i % cols + 0.5) * side, top + (Math.floor(i / cols) + 0.54) * side);
    }
    pen.strokeStyle = ink.changed; pen.lineWidth = 2.5; pen.setLineDash([]);
    pen.strokeRect(left + (cell % cols) * side, top + Math.floor(cell / cols) * side, side, side);
    this.canvas.setAttribute("aria-label",
      `${this.label}: 0 to ${short(high)}; at ${cellName(header, cell)} ${short(values[P + cell])}`);
  }

  token(pen, token, deep, side, x, y) { // what stands there; what is said by colour alone is a dot
    const { glyphs, colours } = this.app.header, { stage, root } = this.app,
      onDeep = root.dataset.theme === "dark" ? "#0b0d10" : "#ffffff";
    if (!glyphs[token] && colours[token]) {
      pen.fillStyle = colours[token]; pen.fillRect(x - side * 0.2, y - side * 0.24, side * 0.4, side * 0.4);
    }
    pen.fillStyle = deep ? onDeep : stage.ink.ink;
    pen.fillText(glyphs[token], x, y);
  }
}

class Strip { // a vector, a colour a channel
  constructor(app, follows = true) { // follows: its channels are those of the latents
    this.app = app; this.follows = follows;
    this.canvas = make("canvas", { class: "trm-strip", "aria-hidden": "true" });
    if (!follows) return;
    const aim = (event) => {
      const place = this.canvas.getBoundingClientRect(), share = (event.clientX - place.left) / place.width;
      app.show({ channel: clamp(Math.floor(share * this.count), 0, this.count - 1) });
    };
    this.canvas.addEventListener("pointerdown", (event) => {
      this.canvas.setPointerCapture(event.pointerId); aim(event);
    });
    this.canvas.addEventListener("pointermove", (event) => { if (event.buttons) aim(event); });
  }

  draw(values, bound, channel) {
    const { stage } = this.app, { pen, width, height } = stage.fit(this.canvas), { ink } = stage;
    this.count = values.length;
    pen.imageSmoothingEnabled = false;
    const level = (_, c) => Math.round(clamp(127.5 * (1 + values[c] / (bound || 1)), 0, 255));
    pen.drawImage(picture(values.length, 1, level, stage.signed), 0, 3, width, height - 6);
    if (!this.follows) return;
    const wide = width / values.length;
    pen.strokeStyle = ink.ink; pen.lineWidth = 1.5;
    pen.strokeRect(channel * wide - 1, 1, Math.max(3, wide + 2), height - 2);
  }
}

// ---- the boxes ---------------------------------------------------------------

class Row { // of a box: what it is, the vector, the number of the chosen channel, the vector's size
  constructor(app, words, follows = true) {
    this.strip = new Strip(app, follows);
    this.words = make("th", { scope: "row" }, words);
    this.value = make("td", { class: "trm-number" }); this.size = make("td", { class: "trm-number" });
    this.element = make("tr", {}, this.words, make("td", {}, this.strip.canvas), this.value, this.size);
  }

  draw(values, bound, channel) { this.strip.draw(values, bound, channel); }
  write(values, value, words = null) {
    if (words !== null) this.words.textContent = words;
    this.value.textContent = value; this.size.textContent = sizeOf(values).toFixed(2);
  }
}

const table = (label, rows) => make("table", { "aria-label": label }, make("thead", {}, make("tr", {},
  ...["", "its channels", "this one", "size"].map((words) => make("th", { scope: "col" }, words)))),
make("tbody", {}, ...rows.map(({ element }) => element)));

const box = (title, words, ...parts) => make("section", { class: "trm-box", "aria-label": title },
  make("h4", {}, title, make("small", {}, words)), make("div", { class: "trm-inner" }, ...parts));
const sign = (text) => make("span", { class: "trm-operator", "aria-hidden": "true" }, text);

class Picture { // of updates with the same terms and as many layers
  constructor(app, { name, terms, layers, attention, damped }) {
    Object.assign(this, { app, name, terms, layers, attention, damped });
    const map = (label) => new BoardMap(app, label), count = Array.from({ length: layers }, (_, k) => k);
    this.sizes = [...terms.map((term) => map(`size of ${wordOf(term)}, cell by cell`)),
      map("size of the sum, cell by cell")];
    this.moves = count.map((k) => map(`how far layer ${k + 1} moves each cell's vector`));
    this.change = map(`how far ${name} moves in each cell`);
    this.listens = count.map((k) => map(`layer ${k + 1}: how much the chosen cell listens to each cell`));
    this.captions = [...this.sizes, ...this.moves, this.change].map(() => make("small", {}));
    this.heard = count.map(() => make("ol", { class: "trm-heard" }));
    this.rows = { terms: terms.map((term, i) => new Row(app, `${i ? "+ " : ""}${wordOf(term)}`)),
      sum: new Row(app, "= the sum"),
      layers: count.map(() => ({ mix: new Row(app, "+ from other cells"), mixed: new Row(app, ""),
        hidden: new Row(app, "", false), mlp: new Row(app, "+ SwiGLU adds"), after: new Row(app, "") })),
      old: new Row(app, `${name} as it was`), new: new Row(app, `new ${name}`) };
    this.reads = make("p", { class: "trm-rule" });
    this.whole = this.buildWhole();
    this.stack = this.buildStack();
  }

  buildWhole() { // the line of maps, read like a formula
    const { name, terms, captions } = this, made = [];
    const item = (title, map, caption) => make("figure", { class: "trm-part" },
      make("figcaption", {}, title), map.canvas, caption);
    this.sizes.forEach((map, i) => {
      const last = i === terms.length;
      if (i) made.push(sign(last ? "=" : "+"));
      made.push(item(last ? "sum" : terms[i] === name ? `${name}, old` : wordOf(terms[i]), map, captions[i]));
    });
    this.moves.forEach((map, k) =>
      made.push(sign("→"), item(`layer ${k + 1}`, map, captions[terms.length + 1 + k])));
    made.push(sign("→"), item(`${name}, new`, this.change, captions.at(-1)));
    return make("div", { class: "trm-whole", role: "group", "aria-label": "the whole board" }, ...made);
  }

  buildStack() { // the chosen cell's vectors, from the sum down to the new latent
    const { rows, name, terms } = this, arrow = () => sign("↓");
    const aside = (...parts) => make("div", { class: "trm-aside" }, ...parts);
    const first = box("The sum", "the vectors of this cell are added, channel by channel",
      table("what is added up", [...rows.terms, rows.sum]), aside());
    const layers = rows.layers.flatMap((layer, k) => [arrow(), box(`Layer ${k + 1}`,
      "first what other cells say is added, then SwiGLU changes the cell by itself",
      table(`what layer ${k + 1} does with the vector`, Object.values(layer)),
      aside(make("span", {}, "listens to"), this.listens[k].canvas, this.heard[k]))]);
    const end = terms.includes(name) || this.damped ? [rows.old, rows.new] : [rows.new];
    return make("div", { class: "trm-stack" }, first, ...layers, arrow(),
      box(`The new ${name}`, "what the last layer gave stands in its place",
        table("the latent before and after", end), aside(this.reads)));
  }

  // ---- the numbers of a moment -------------------------------------------------

  draw(found, cell, channel, head, tokens) {
    const { data, P } = found, { rows } = this, high = highest(data.sizes()), far = Math.max(
      highest(data.moves()), highest(data.change()));
    this.sizes.forEach((map, i) => map.draw(data.sizes(i), high, cell));
    this.moves.forEach((map, k) => map.draw(data.moves(k), far, cell));
    this.change.draw(data.change(), far, cell);
    const heard = this.listens.map((_, k) => weights(data, k, head)),
      loudest = heard.map((values) => highest(values));
    this.listens.forEach((map, k) => map.draw(heard[k], loudest[k], cell, tokens));
    const vectors = [...this.terms.map((_, i) => data.terms(i)), data.sum(),
      ...rows.layers.flatMap((_, k) => [data.mixed(k), data.after(k)])],
      bound = 0.6 * Math.max(...vectors.map(highest));
    rows.terms.forEach((row, i) => row.draw(data.terms(i), bound, channel));
    rows.sum.draw(data.sum(), bound, channel);
    rows.layers.forEach((layer, k) => {
      for (const part of ["mix", "mixed", "mlp", "after"]) layer[part].draw(data[part](k), bound, channel);
      layer.hidden.draw(data.hidden(k), 0.6 * highest(data.hidden(k)), channel);
    });
    rows.old.draw(data.old(), bound, channel); rows.new.draw(data.new(), bound, channel);
    return { heard, bound, far, high, P };
  }

  write(found, cell, channel, { heard, P }) {
    const { data, told } = found, { rows } = this, at = P + cell, here = (values) => plain(values[channel]),
      added = (values) => signed(values[channel]);
    this.captions.forEach((caption, i) => {
      const term = i <= this.terms.length, layer = i - this.terms.length - 1,
        value = term ? data.sizes(i)[at] : layer < this.layers ? data.moves(layer)[at] : data.change()[at];
      caption.textContent = `${term ? "size" : "moves"} ${value.toFixed(2)}`;
    });
    rows.terms.forEach((row, i) => row.write(data.terms(i), (i ? added : here)(data.terms(i))));
    rows.sum.write(data.sum(), here(data.sum()));
    rows.layers.forEach((layer, k) => this.writeLayer(layer, k, data, { channel, here, added }));
    rows.old.write(data.old(), here(data.old()));
    const part = told.relaxation === 1 ? "" : `, ${percent(told.relaxation)} of the way`;
    rows.new.write(data.new(), here(data.new()), `new ${this.name}${part}`);
    this.heard.forEach((list, k) => this.writeHeard(list, heard[k], cell, P));
  }

  writeLayer(layer, k, data, { channel, here, added }) {
    const over = (values) => values[values.length > 1 ? channel : 0],
      scaled = (by) => `÷ ${by.toFixed(2)} (norm)`;
    layer.mix.write(data.mix(k), added(data.mix(k)));
    layer.mixed.write(data.mixed(k), here(data.mixed(k)), scaled(over(data.mix_rms(k))));
    layer.hidden.write(data.hidden(k), "", `inside SwiGLU: ${data.hidden(k).length}`);
    layer.mlp.write(data.mlp(k), added(data.mlp(k)));
    layer.after.write(data.after(k), here(data.after(k)), scaled(over(data.mlp_rms(k))));
  }

  writeHeard(list, values, cell, P) { // the three positions that count most, in words
    const { header } = this.app, order = Array.from(values.keys()).sort((a, b) => values[b] - values[a]);
    const name = (s) => (s < P ? `puzzle position ${s + 1}`
      : s - P === cell ? "itself" : cellName(header, s - P));
    list.replaceChildren(...order.slice(0, 3).map((s) => make("li", {},
      `${name(s)}: ${this.attention ? percent(values[s]) : short(values[s])}`)));
  }
}

function weights(data, layer, head) { // one a position: of one head, or the mean of all
  const all = data.listens(layer), [heads, S] = [all.length / data.old.positions, data.old.positions];
  if (head !== "mean" && Number(head) < heads) return all.subarray(Number(head) * S, (Number(head) + 1) * S);
  const mean = new Float32Array(S);
  all.forEach((value, i) => { mean[i % S] += value / heads; });
  return mean;
}

// ---- the panel ---------------------------------------------------------------

export class Flow {
  constructor(app) {
    this.app = app; this.found = new Map(); this.failed = new Map(); this.pictures = new Map();
    this.asking = null; this.shown = null;
    this.says = make("p", { class: "trm-says" });
    this.where = make("span", { class: "trm-which" });
    this.channel = number("channel of the vectors", { min: 0, max: 0, step: 1, value: 0 },
      (channel) => app.show({ channel: Math.round(channel) }));
    this.head = choose("attention head", [], "mean", (head) => app.show({ head }));
    this.controls = make("div", { class: "trm-controls" }, this.where,
      make("label", {}, make("span", {}, "channel"), this.channel), this.head);
    this.place = make("div", { class: "trm-flow-whole" }); this.below = make("div", {});
    this.rule = make("p", { class: "trm-rule" });
    this.element = make("div", { class: "trm-panel trm-flow", ...KEYS }, this.says, this.place, this.controls,
      this.below, this.rule);
  }

  cellOf(run) { // the chosen one, or the first that is not given
    const { cell } = this.app.state;
    return cell ?? Math.max(0, run.answer(0).given.indexOf(0));
  }
  key(run, frame, cell) { return `${run.owner(frame).key} ${frame} ${cell}`; }

  missing(run, frame) { // why nothing can be drawn, in a sentence; "" where it can
    const { kernel } = this.app.tree;
    if (!frame) return "This is the question, before any update. Press → for the first one.";
    if (!kernel) return REPLAY;
    if (kernel.gone) return kernel.words.gone;
    return this.failed.get(this.key(run, frame, this.cellOf(run))) ?? "";
  }

  draw(run, frame) {
    const { app } = this, cell = this.cellOf(run), key = this.key(run, frame, cell),
      found = this.found.get(key), why = found ? "" : this.missing(run, frame);
    if (!found && !why) this.fetch(run, frame, cell, key);
    if (found && this.shown?.found !== found)
      this.shown = { found, cell, tokens: run.board(frame, found.told.name).tokens };
    const shown = why ? null : this.shown;
    for (const part of [this.place, this.controls, this.below, this.rule]) part.hidden = !shown;
    this.element.classList.toggle("trm-stale", Boolean(shown && !found));
    if (!shown) return { why };
    const picture = this.pictureOf(shown.found.told),
      channel = Math.min(app.state.channel, shown.found.D - 1);
    if (this.picture !== picture) {
      this.place.replaceChildren(picture.whole); this.below.replaceChildren(picture.stack);
      this.picture = picture; app.stage.measure();
    }
    // walking on draws nothing anew until the next numbers are here
    const { stage, state } = app, seen = [shown, channel, state.head, stage.sizes, stage.age, stage.sharp],
      fresh = !this.seen || seen.some((part, i) => part !== this.seen[i]);
    if (fresh) this.drawn = picture.draw(shown.found, shown.cell, channel, state.head, shown.tokens);
    this.seen = seen;
    return { why, picture, channel, current: found, fresh, ...shown, drawn: this.drawn };
  }

  pictureOf(told) {
    const { name, terms, attention, layers, relaxation } = told,
      what = { name, terms, layers, attention, damped: relaxation !== 1 }, key = JSON.stringify(what);
    if (!this.pictures.has(key)) this.pictures.set(key, new Picture(this.app, what));
    return this.pictures.get(key);
  }

  write(run, frame, { why, picture, found, cell, channel, current, fresh, drawn }) {
    const { app } = this, { kernel } = app.tree;
    app.root.dataset.stages = current ? this.key(run, frame, cell) : "";
    if (!drawn) {
      this.says.textContent = why || (kernel ? `Asking ${kernel.words.name} for this update.` : REPLAY);
      return;
    }
    if (!current && !fresh) return;
    const { told } = found, heads = found.heads, sum = told.terms.map(wordOf).join(" + ");
    this.says.textContent = `${told.name} becomes ${plural(told.layers, "layer", "layers")} of ${sum}. `
      + `${this.edited(run, frame)}The maps show the whole board; click a cell, here or on the board, for `
      + "its vector.";
    this.where.textContent = `${cellName(app.header, cell)}, as ${plural(found.D, "number", "numbers")}:`;
    this.channel.max = found.D - 1; this.channel.value = channel;
    this.head.hidden = heads < 2;
    refill(this.head, [["mean", "mean of all heads"],
      ...Array.from({ length: heads }, (_, h) => [h, `head ${h + 1}`])], app.state.head);
    if (fresh) picture.write(found, cell, channel, drawn);
    picture.reads.textContent = this.reading(run, frame, told.name, cell);
    const [bound, high, far] = [drawn.bound, drawn.high, drawn.far].map(short);
    this.rule.textContent = `${told.attention ? ATTENDS : ANSWERS} Colours of vectors: from −${bound} to `
      + `${bound}; maps of sizes up to ${high}, of moves up to ${far}.`;
  }

  edited(run, frame) { // at a fork the boards show what was changed
    return run.parent && frame === run.fork && run.meta.edits.length
      ? "The branch begins here: this is the update before its change. " : "";
  }

  reading(run, frame, name, cell) { // what the latent would answer in this cell
    const { header } = this.app, said = ({ tokens, sure }) =>
      `${header.vocab[tokens[cell]]} (${percent(sure[cell] / 255)})`;
    if (!run.side.readings.includes(name)) return "";
    const before = frame > 1 ? `; before, ${said(run.board(frame - 1, name))}` : "";
    return `Read through the output head, ${name} says here: ${said(run.board(frame, name))}${before}.`;
  }

  fetch(run, frame, cell, key) { // one at a time, and only where the walk has come to rest
    const { app } = this, { kernel } = app.tree;
    if (this.asking) return;
    this.asking = setTimeout(() => {
      kernel.ask({ ask: "stages", run: run.key, frame, cell }).then(({ arrays, bytes, ...told }) => {
        if (this.found.size > KEPT) this.found.delete(this.found.keys().next().value);
        this.found.set(key, this.opened(told, arrays, bytes));
      }).catch((error) => this.failed.set(key, error.message))
        .finally(() => { this.asking = null; app.draw(); });
    }, REST);
  }

  opened(told, arrays, bytes) {
    const shape = (name) => arrays.find((array) => array.name === name).shape, data = unpack(arrays, bytes),
      [layers, heads, S] = shape("listens"), { rows, cols } = this.app.header;
    data.old.positions = S;
    return { told: { ...told, layers }, data, heads, D: shape("sum")[0], P: S - rows * cols };
  }
}
