// One update, stage by stage, as `interp.stages` and `views.packs.stages_pack` have it in Python: every
// number of one position, and one number for every position.

import { joined, packArrays } from "./packs.js";

const size = (z, D) => Float32Array.from({ length: z.length / D }, (_, s) => {
  let sum = 0;
  for (let d = 0; d < D; d++) sum += z[s * D + d] ** 2;
  return Math.sqrt(sum / D);
});
const difference = (a, b) => a.map((value, i) => value - b[i]);

// what a sum is divided by: over the channels of a position, or for each channel over all positions
function rootMeanSquare(a, b, at, count, stride, eps) {
  let sum = 0;
  for (let k = 0; k < count; k++) sum += (a[at + k * stride] + b[at + k * stride]) ** 2;
  return Math.sqrt(sum / count + eps);
}

function layerStages(engine, layer, position) { // of the layer that `engine.x` has come to; x goes on
  const { x, S, D } = engine, row = (z) => z.slice(position * D, (position + 1) * D), seen = {};
  const before = x.values(), listens = layer.mix.listens(x, position);
  layer.run(x, (name, matrix) => { seen[name] = matrix.values(); });
  const { mix, mixed, mlp, after, hidden } = seen, overPositions = engine.model.mlp_t,
    inner = layer.mlp.inner, wide = hidden.length / S;
  const mixRms = overPositions
    ? Float32Array.from({ length: D }, (_, d) => rootMeanSquare(before, mix, d, S, D, layer.eps))
    : Float32Array.of(rootMeanSquare(before, mix, position * D, D, 1, layer.eps));
  const mlpRms = Float32Array.of(rootMeanSquare(mixed, mlp, position * D, D, 1, layer.eps));
  return { listens, moves: size(difference(after, before), D), mix: row(mix), mix_rms: mixRms,
    mixed: row(mixed), hidden: hidden.slice(position * wide, position * wide + inner), mlp: row(mlp),
    mlp_rms: mlpRms, after: row(after) };
}

function refusal({ engine, updates }, frame) { // the update, if it is one pass through a network
  if (!frame) throw new Error("Frame 0 is the question, before any update; choose a later one.");
  const u = engine.schedule()[(frame - 1) % updates];
  if (u.solve) throw new Error(`This update is mixed of ${u.solve} evaluations of the network, and no single `
    + "pass through it; go to the last update of a supervision step, which is one.");
  return u;
}

export function stagesPack(rollout, frame, cell) {
  if (!Number.isInteger(frame) || frame < 0 || frame > rollout.length)
    throw new Error(`${rollout.title} has no frame ${frame}; choose from 0 to ${rollout.length}.`);
  if (!Number.isInteger(cell) || cell < 0 || cell >= rollout.side.rules.cells)
    throw new Error(`There is no cell ${cell} in this page.`);
  while (rollout.parent && frame <= rollout.fork) rollout = rollout.parent; // who computed it
  const { engine } = rollout.side, { S, D } = engine, u = refusal(rollout.side, frame),
    { question, identity } = rollout.trace.asked, state = rollout.state(frame - 1),
    x = engine.embed(question, identity), position = engine.P + cell;
  const terms = u.sum.map((name) => (name === "x" ? x : state[name])), sum = new Float32Array(S * D);
  for (const z of terms) for (let i = 0; i < sum.length; i++) sum[i] += z[i];
  engine.x.fill(sum);
  const layers = engine.networks[u.network].map((layer) => layerStages(engine, layer, position));
  const image = engine.x.values(), old = state[u.name], alpha = u.relaxation ?? 1,
    now = alpha === 1 ? image : image.map((value, i) => old[i] + alpha * (value - old[i]));
  const row = (z) => z.slice(position * D, (position + 1) * D),
    each = (name) => [joined(layers.map((layer) => layer[name])), [layers.length, layers[0][name].length]];
  const listens = joined(layers.map((layer) => layer.listens));
  const { arrays, bytes } = packArrays({
    sizes: [joined([...terms, sum].map((z) => size(z, D))), [terms.length + 1, S]], moves: each("moves"),
    change: [size(difference(now, old), D), [S]],
    listens: [listens, [layers.length, listens.length / S / layers.length, S]],
    terms: [joined(terms.map(row)), [terms.length, D]], sum: [row(sum), [D]], old: [row(old), [D]],
    new: [row(now), [D]], ...Object.fromEntries(["mix", "mix_rms", "mixed", "hidden", "mlp", "mlp_rms",
      "after"].map((name) => [name, each(name)])) });
  return { frame, cell, name: u.name, terms: u.sum, attention: !engine.model.mlp_t, relaxation: alpha, arrays,
    bytes };
}
