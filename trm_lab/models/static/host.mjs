// The loop around a model that `trm-lab export` wrote, for onnxruntime-web and onnxruntime-node.

export async function loadModel(
  ort, // the library
  read, // the bytes of a file beside model.json: async (name) => Uint8Array
) {
  const about = JSON.parse(new TextDecoder().decode(await read("model.json")));
  const sessions = {};
  for (const [name, { file }] of Object.entries(about.graphs))
    sessions[name] = await ort.InferenceSession.create(await read(file));
  return { ort, about, sessions };
}

// tokens of a board that is written with one character for each cell, and back
export function boardTokens({ about }, text) {
  const { name, rows, cols, characters } = about.puzzle;
  const tokens = Int32Array.from(text, (c) => characters.indexOf(c)), cells = rows * cols;
  if (tokens.length !== cells || tokens.includes(-1))
    throw new Error(`a ${name} board has ${cells} characters, each one of '${characters.join("")}'`);
  return tokens;
}

export function boardText({ about }, tokens) {
  const { cols, characters } = about.puzzle;
  return Array.from(tokens, (t, i) => (i && i % cols === 0 ? "\n" : "") + characters[t]).join("");
}

// what the model answers after each supervision step, until it stops
export async function* hostSteps({ ort, about, sessions }, tokens, identity = 0) {
  const { threshold, certain, max_steps } = about.halting;
  const given = { tokens: new ort.Tensor("int32", tokens, [1, tokens.length]) };
  if (about.graphs.embed.inputs.identities)
    given.identities = new ort.Tensor("int32", Int32Array.of(identity), [1]);
  const { x } = await sessions.embed.run(given);
  const state = {};
  for (const [name, row] of Object.entries(about.start)) {
    const everywhere = Float32Array.from(x.data, (_, i) => row[i % row.length]);
    state[name] = new ort.Tensor("float32", everywhere, x.dims);
  }
  for (let step = 1, before; step <= max_steps; step++) {
    const made = await sessions.step.run({ x, ...state });
    for (const [from, to] of Object.entries(about.next)) state[to] = made[from];
    const read = await sessions.read.run({ z: state[about.answer] });
    const answer = read.tokens.data, halt = read.halt.data[0];
    const same = before !== undefined && answer.every((token, i) => token === before[i]);
    // float32, as the numbers that are compared
    const settled = same || read.least_confidence.data[0] > Math.fround(certain);
    const stop = halt > Math.fround(threshold) && settled;
    yield { step, tokens: answer, halt, stop, logits: read.logits.data };
    if (stop) return;
    before = answer;
  }
}
