// The Python that makes a rollout of the page again, as `interp.session.rebuild` writes it. The lines that
// make the session came with the page.

const quoted = (text) => `'${text.replaceAll("\\", "\\\\").replaceAll("'", "\\'")}'`;
const tuple = (items) => (items.length === 1 ? `(${items[0]},)` : `(${items.join(", ")})`);

class Script { // what rollouts depend on
  constructor() {
    Object.assign(this, { uses: new Map(), sides: [], typed: [], needed: [] });
    this.use("trm_lab.interp.session", "Session");
  }

  use(module, name) { this.uses.set(module, new Set([...(this.uses.get(module) ?? []), name])); }

  add(rollout) { // after its parent and those that it is patched from
    const { side, puzzle, parent, edits } = rollout;
    if (!this.sides.includes(side)) this.sides.push(side);
    const typed = `${side.number} ${puzzle}`;
    if (puzzle >= side.loaded && !this.typed.some(({ name }) => name === typed))
      this.typed.push({ name: typed, side, puzzle });
    if (!parent || this.needed.includes(rollout)) return;
    this.add(parent);
    for (const edit of edits) {
      this.use("trm_lab.interp.interventions", edit.kind);
      if (edit.of) this.add(side.rollout(edit.of.replace(/^B:/, "")));
    }
    if (rollout.fork) this.use("trm_lab.interp.trace", "Site");
    this.needed.push(rollout);
  }

  mark({ header, number }) { return header.sides.length > 1 ? `_${number + 1}` : ""; }
  named(rollout) {
    const { side, puzzle, number, parent } = rollout, mark = this.mark(side);
    if (parent) return `branch${mark}_${number}`;
    return puzzle < side.loaded ? `session${mark}.root(${puzzle})` : `typed${mark}_${puzzle + 1}.root(0)`;
  }

  site(side, frame) {
    if (!frame) return "None";
    const { updates } = side.header.sides[side.number],
      [cycle, substep, which] = updates[(frame - 1) % updates.length];
    return `Site(step=${Math.ceil(frame / updates.length)}, cycle=${cycle}, substep=${substep}, `
      + `name=${quoted(side.names[which])})`;
  }

  edit(side, edit) {
    const { kind, name, cells, of } = edit, values = name ? [quoted(name)] : [];
    for (const what of ["cell", "token", "size", "seed"])
      if (edit[what] !== undefined) values.push(`${what}=${edit[what]}`);
    if (edit.identity !== undefined)
      values.push(`identity=${typeof edit.identity === "string" ? quoted(edit.identity) : edit.identity}`);
    if (edit.turn) values.push("turn=True");
    if (of) values.push(`of=${this.named(side.rollout(of.replace(/^B:/, "")))}`);
    if (cells) values.push(`cells=${tuple(cells)}`);
    return `${kind}(${values.join(", ")})`;
  }

  typedLines({ side, puzzle }) { // a session of its own, made like the other
    const { question, identity } = side.puzzles[puzzle], mark = this.mark(side),
      made = side.code.lines.at(-1).replace(/^session\w* = /, "");
    const asked = () => {
      this.use("trm_lab.data.batches", "Batch"); this.use("torch", "tensor");
      const board = `tensor([[${question.join(", ")}]])`;
      return `Batch(${board}, ${board}, tensor([${identity}]))`;
    };
    const text = identity ? asked() : quoted(side.rules.print(question).replaceAll(" ", "."));
    return [`typed${mark}_${puzzle + 1} = ${made.replace(new RegExp(`\\bpuzzles${mark}\\b`), () => text)}`];
  }

  lines() {
    for (const { code } of this.sides) for (const [module, name] of code.uses) this.use(module, name);
    const made = this.sides.flatMap(({ code }) => code.lines),
      typed = this.typed.flatMap((puzzle) => this.typedLines(puzzle));
    const branches = this.needed.map((rollout) => {
      const { side, parent, fork, edits } = rollout,
        values = [this.site(side, fork), ...edits.map((edit) => this.edit(side, edit))];
      return `${this.named(rollout)} = ${this.named(parent)}.branch(${values.join(", ")})`;
    });
    return [...made, ...typed, ...branches];
  }
}

// what the page shows: a rollout at a frame, and perhaps another beside it
export function codeOf(rollout, other, frame, reading) {
  const script = new Script(), { side } = rollout, then = ["print(rollout.sentence)"];
  script.add(rollout);
  if (other) script.add(other);
  if (!frame) then.push("print(rollout.session.puzzle.text(rollout.question)) # frame 0: the question");
  else {
    script.use("trm_lab.interp.trace", "Site");
    then.push(`site = ${script.site(side, frame)} # frame ${frame}`,
      `logits = rollout.decode(site, ${reading === "renewed" ? "site.name" : quoted(reading)})`
        + " # (L, V), what the board shows", "print(rollout.session.puzzle.text(logits.argmax(-1).numpy()))");
  }
  const same = other && JSON.stringify(other.side.names) === JSON.stringify(side.names)
    && JSON.stringify(other.side.engine.schedule()) === JSON.stringify(side.engine.schedule());
  if (same) {
    script.use("trm_lab.interp.divergence", "divergence");
    then.push("apart = divergence(rollout, other)",
      'print("answers differ from step", apart.step, "; identical:", apart.identical)');
  }
  const lines = [...script.lines(), `rollout = ${script.named(rollout)}`,
    ...(other ? [`other = ${script.named(other)}`] : []), ...then];
  const imports = [...script.uses].sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([module, names]) => `from ${module} import ${[...names].sort().join(", ")}`);
  return `${[...imports, "", ...lines].join("\n")}\n`;
}
