// What can be taken away: a picture of the page as it stands, the run as an animation or a page, and
// the code that rebuilds it.

import { KEYS, button, make } from "./page.js";

const SHARP = 2; // pixels of the picture for one of the page

// ---- a picture of the page ---------------------------------------------------
// The browser gives no picture of its own page, so it is painted once more: canvases at their
// places, boxes, icons and words.

function paintBox(pen, style, x, y, w, h) {
  const radius = parseFloat(style.borderTopLeftRadius) || 0,
    sides = ["Top", "Right", "Bottom", "Left"].map((side) => parseFloat(style[`border${side}Width`]) || 0);
  pen.beginPath(); pen.roundRect(x, y, w, h, radius);
  if (style.backgroundColor !== "rgba(0, 0, 0, 0)") { pen.fillStyle = style.backgroundColor; pen.fill(); }
  if (sides.every((width) => width)) {
    pen.strokeStyle = style.borderTopColor; pen.lineWidth = sides[0]; pen.stroke();
  }
  else if (sides[2]) {
    pen.fillStyle = style.borderBottomColor; pen.fillRect(x, y + h - sides[2], w, sides[2]);
  }
}

function paintWords(pen, style, place, node) { // word by word: where a line breaks is the browser's affair
  const range = document.createRange();
  pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`; pen.fillStyle = style.color;
  pen.textAlign = "left"; pen.textBaseline = "alphabetic";
  for (const { 0: word, index } of node.textContent.matchAll(/\S+/g)) {
    range.setStart(node, index); range.setEnd(node, index + word.length);
    const { left, top, height } = range.getBoundingClientRect(),
      { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down } = pen.measureText(word);
    if (height) pen.fillText(word, left - place.left, top - place.top + (height - up - down) / 2 + up);
  }
}

function paintControl(pen, element, style, x, y, w, h) {
  pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`; pen.fillStyle = style.color;
  pen.textAlign = "left"; pen.textBaseline = "middle";
  if (element.type === "range") {
    const share = (element.value - element.min) / (element.max - element.min || 1);
    pen.globalAlpha = 0.4; pen.fillRect(x + 2, y + h / 2 - 2, w - 4, 4); pen.globalAlpha = 1;
    pen.beginPath(); pen.arc(x + 8 + (w - 16) * share, y + h / 2, 7, 0, 7); pen.fill();
    return;
  }
  pen.save(); pen.beginPath(); pen.rect(x, y, w, h); pen.clip();
  pen.fillText(element.tagName === "SELECT" ? element.selectedOptions[0]?.textContent ?? "" : element.value,
    x + 8, y + h / 2 + 1);
  pen.restore();
  if (element.tagName === "SELECT") {
    pen.beginPath();
    pen.moveTo(x + w - 15, y + h / 2 - 2);
    pen.lineTo(x + w - 7, y + h / 2 - 2);
    pen.lineTo(x + w - 11, y + h / 2 + 3);
    pen.fill();
  }
}

function paintPage(app) { // a canvas with what the instrument shows now
  const { root, stage } = app, place = root.getBoundingClientRect(),
    canvas = document.createElement("canvas"), pen = canvas.getContext("2d");
  canvas.width = Math.round(SHARP * place.width); canvas.height = Math.round(SHARP * place.height);
  pen.scale(SHARP, SHARP);
  const walk = (element) => {
    const style = getComputedStyle(element),
      { left, top, width: w, height: h } = element.getBoundingClientRect(),
      x = left - place.left, y = top - place.top;
    if (style.display === "none" || !w || !h || element.matches(".trm-spoken, .trm-over, .trm-menu")) return;
    paintBox(pen, style, x, y, w, h);
    pen.save();
    if (style.overflowX === "hidden") { pen.beginPath(); pen.rect(x, y, w, h); pen.clip(); }
    if (element.tagName === "CANVAS") pen.drawImage(element, x, y, w, h);
    else if (element.tagName === "svg") {
      pen.translate(x, y); pen.scale(w / 20, h / 20); pen.fillStyle = style.color;
      pen.fill(new Path2D(element.firstChild.getAttribute("d")));
    } else if (["SELECT", "INPUT"].includes(element.tagName)) paintControl(pen, element, style, x, y, w, h);
    else for (const child of element.childNodes) {
      if (child.nodeType === Node.TEXT_NODE) paintWords(pen, style, place, child);
      else walk(child);
    }
    pen.restore();
  };
  stage.sharp = SHARP; app.draw();
  walk(root);
  stage.sharp = null; app.draw();
  return canvas;
}

// ---- files and code ----------------------------------------------------------

function save(name, blob) {
  const link = make("a", { href: URL.createObjectURL(blob), download: name });
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

// a page from a file has no clipboard of its own, but can copy what is selected
async function copy(text, pre) {
  try { await navigator.clipboard.writeText(text); } catch {
    getSelection().selectAllChildren(pre);
    document.execCommand("copy");
  }
}

function inBase64(bytes) {
  let text = "";
  for (let i = 0; i < bytes.length; i += 0x8000)
    text += String.fromCharCode(...bytes.subarray(i, i + 0x8000));
  return btoa(text);
}

// A live page as it stands: its scripts and models as they are, and what was tried since. Text from outside
// enters only as JSON in which no tag can begin.
async function wholePage(app) {
  const { tree, state } = app, { puzzles } = await tree.kernel.ask({ ask: "puzzles" }), parts = [];
  let at = 0;
  const placed = ({ bytes, id, ...meta }, own) => {
    parts.push(own); at += own.length;
    return { ...meta, at: at - own.length, size: own.length };
  };
  const packs = [...tree.runs.values()].map((run) => placed(run.meta, run.bytes)),
    overview = app.saved.map(([meta, own]) => placed(meta, own)),
    findings = [...app.findings.known.values()].map(({ meta, bytes }) => placed(meta, bytes));
  const live = app.header.live.map((side, i) => ({ ...side, puzzles: puzzles[i] })), view = { run: state.run,
    beside: state.beside, frame: state.frame, panel: state.panel };
  const blob = new Uint8Array(at), page = document.documentElement.cloneNode(true);
  parts.reduce((place, own) => { blob.set(own, place); return place + own.length; }, 0);
  const write = (id, text) => { page.querySelector(`#${id}`).textContent = text; };
  page.querySelector("#trm-place").replaceChildren();
  write("trm-header", JSON.stringify({ ...app.header, packs, overview, findings, live, view })
    .replaceAll("<", "\\u003c"));
  write("trm-bytes", inBase64(blob));
  return { text: `<!doctype html>\n${page.outerHTML}\n` };
}

export class TakeAway {
  constructor(app) {
    this.app = app;
    const { kernel } = app.tree, { live } = app.header,
      whole = !live || (document.getElementById("trm-header") && !document.querySelector("script[src]")),
      lacking = live ? "needs Python, and this page has none" : "needs a kernel, and this page has none";
    const name = () => `${app.header.title}-${app.state.run}`.replace(/[^\w.-]+/g, "-");
    const entry = (text, does, action, missing, why = lacking) => {
      const made = button(text, missing ? `${does}: ${why}` : does, () => {
        this.open(false); action();
      });
      made.disabled = Boolean(missing); made.setAttribute("role", "menuitem");
      return made;
    };
    const asked = (question, done) => async () => {
      const { ask } = question(), made = live && ask === "page" ? wholePage(app) : kernel.ask(question());
      const got = await app.busy(made, "making it");
      if (got) done(got);
    };
    const view = () => ({ run: app.state.run, frame: app.state.frame, reading: app.state.reading,
      beside: app.state.beside, puzzle: app.state.puzzle });
    this.menu = make("div", { class: "trm-menu", role: "menu", "aria-label": "export", hidden: "" },
      entry("Picture (PNG)", "save the present view as a picture",
        () => paintPage(app).toBlob((blob) => save(`${name()}.png`, blob))),
      entry("Film (GIF)", "save the rollout's boards as an animation",
        asked(() => ({ ask: "gif", ...view() }),
          ({ bytes }) => save(`${name()}.gif`, new Blob([bytes], { type: "image/gif" }))),
        !kernel || live),
      entry("Page (HTML)",
        "save everything as one page that needs neither kernel nor network", asked(() => ({ ask: "page" }),
          ({ text }) => save(`${name()}.html`, new Blob([text], { type: "text/html" }))), !kernel || !whole,
        whole ? lacking : "only from a page that is the Explorer alone, in one file"),
      entry("Copy as code", "the lines of Python that rebuild this view and its branches",
        asked(() => ({ ask: "code", ...view() }), ({ text }) => this.show(text)), !kernel));
    this.button = button("Export", "picture, animation, page, code", () => this.open(this.menu.hidden));
    this.button.setAttribute("aria-haspopup", "menu");
    this.element = make("span", { class: "trm-takeaway" }, this.button, this.menu);
    this.code = make("pre", { tabindex: "0", "aria-label": "code", ...KEYS });
    this.copied = make("span", { role: "status" });
    this.over = make("div", { class: "trm-over trm-code", role: "dialog", "aria-label": "the view as code",
        hidden: "" }, make("h3", {}, "The same, as code"), this.code,
      make("div", { class: "trm-controls" }, button("Copy", "copy the code", () => this.copy()),
        button("Close", "close (Esc)", () => this.close()), this.copied));
  }

  open(on) {
    this.menu.hidden = !on;
    this.button.setAttribute("aria-expanded", String(on));
    if (on) this.menu.querySelector("button:enabled").focus();
  }
  show(text) {
    this.code.textContent = text;
    this.copied.textContent = "";
    this.over.hidden = false;
    this.copy();
    this.code.focus();
  }
  async copy() { await copy(this.code.textContent, this.code); this.copied.textContent = "Copied."; }
  close() { // → was anything open?
    const open = !this.over.hidden || !this.menu.hidden;
    this.over.hidden = true; this.open(false);
    if (open) this.app.focus();
    return open;
  }
}
