// A whole puzzle of one's own, where the model is in the page: typed or pasted, and thought about at once.

import { KEYS, button, make } from "./page.js";
import { questionText } from "./address.js";

export const NOTATION = { // how a board is written
  sudoku: "One character a cell, row by row: digits, and . or 0 for a blank cell. Line breaks do not count.",
  maze: "One character a cell, row by row: # wall, . or space free, S start, G goal.",
  lights_out: "One character a cell, row by row: * on, . off.",
  queens: "One character a square, row by row: Q queen, - a square that stays empty, . open.",
  lightup: "One character a cell, row by row: # wall, 0 to 4 a wall and its lamps, . open.",
  nurikabe: "One character a cell, row by row: the number of an island, or . open.",
  sokoban: "One character a cell, row by row: # wall, - floor, . goal, @ player, $ box; + and * are these two "
    + "on a goal.",
  rush_hour: "One character a cell, row by row: A the red car, other capitals the others, o empty, x wall.",
  arc: "The test input as rows of digits 0 to 9, its colours. The task stays the one that is shown." };

export class Typing {
  constructor(app) {
    this.app = app;
    const notation = NOTATION[app.header.live?.[0].puzzle.type]
      ?? "One character a cell, row by row, as this type of puzzle is printed.";
    this.field = make("textarea",
      { rows: 9, spellcheck: "false", "aria-label": "the puzzle, row by row", ...KEYS });
    this.wrong = make("p", { class: "trm-wrong", role: "alert" });
    this.over = make("div", { class: "trm-over trm-typing", role: "dialog", hidden: "",
        "aria-label": "a puzzle of your own" },
      make("h3", {}, "A puzzle of your own"), make("p", {}, notation), this.field, this.wrong,
      make("div", { class: "trm-controls" },
        button("Solve it", "give this puzzle to the model", () => this.go()),
        button("Cancel", "close (Esc)", () => this.close())));
    this.button = button("New puzzle", "type or paste a puzzle", () => this.open());
    this.button.hidden = !app.header.live || !app.tree.kernel;
    this.field.addEventListener("keydown", (event) => {
      if (event.key === "Escape") { this.close(); event.preventDefault(); }
      event.stopPropagation(); // the keys of the page are letters here
    });
  }

  open() {
    const { header, run } = this.app, now = questionText(this.app, run);
    this.field.value = header.tasks ? now.replaceAll("|", "\n")
      : !header.symbols ? "" // a character depends on more than its cell
      : now.match(new RegExp(`.{1,${header.cols}}`, "g")).join("\n");
    this.wrong.textContent = "";
    this.over.hidden = false;
    this.field.focus(); this.field.select();
  }

  close() { // → was it open?
    const open = !this.over.hidden;
    this.over.hidden = true;
    if (open) this.app.focus();
    return open;
  }

  async go() {
    try {
      const { app } = this;
      await app.openTyped(this.field.value, app.run.meta.task?.identity ?? null);
      this.close();
      app.go(app.run.length);
    } catch (error) { this.wrong.textContent = error.message; }
  }
}
