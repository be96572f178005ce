// A trained model in the page: the protocol of Python's models (embed, start, schedule, update, read), for
// one puzzle. What an update is comes with the model as data, so that every architecture is the same few
// lines here.
//
// S positions, of which the first P belong to the puzzle embedding and the others to the L cells; D channels;
// V tokens. A state holds latents by name, each S·D numbers in rows of positions. Nothing that was handed out
// is changed later.

import { Kernel, Matrix } from "./kernel.js";

// ---- weights -----------------------------------------------------------------

function widen(bytes, kind, size) { // the numbers of a tensor, as float32
  if (kind === "f4") return new Float32Array(bytes.slice(0, 4 * size).buffer);
  const narrow = new Uint16Array(bytes.slice(0, 2 * size).buffer), wide = new Uint32Array(size);
  for (let i = 0; i < size; i++) wide[i] = narrow[i] << 16; // bfloat16 is the upper half of float32
  return new Float32Array(wide.buffer);
}

export class Weights { // tensors by name
  constructor(tensors, bytes) {
    this.places = new Map(tensors.map((tensor) => [tensor.name, tensor]));
    this.bytes = bytes;
  }
  has(name) { return this.places.has(name); }
  get(name) {
    const { kind, shape, offset } = this.places.get(name);
    const size = shape.reduce((a, b) => a * b, 1);
    return { shape, values: widen(this.bytes.subarray(offset), kind, size) };
  }
}

// ---- what a layer does -------------------------------------------------------

function addNorm(x, change, eps) { // x ← rms_norm(x + change), position by position
  for (let s = 0; s < x.rows; s++) {
    const row = x.row(s), moved = change.row(s);
    let square = 0;
    for (let d = 0; d < x.cols; d++) { row[d] += moved[d]; square += row[d] * row[d]; }
    const scale = 1 / Math.sqrt(square / x.cols + eps);
    for (let d = 0; d < x.cols; d++) row[d] *= scale;
  }
}

function addNormOverPositions(x, change, eps) { // the same, channel by channel
  const squares = new Float64Array(x.cols);
  for (let s = 0; s < x.rows; s++) {
    const row = x.row(s), moved = change.row(s);
    for (let d = 0; d < x.cols; d++) { row[d] += moved[d]; squares[d] += row[d] * row[d]; }
  }
  const scales = squares.map((square) => 1 / Math.sqrt(square / x.rows + eps));
  for (let s = 0; s < x.rows; s++) {
    const row = x.row(s);
    for (let d = 0; d < x.cols; d++) row[d] *= scales[d];
  }
}

const transposed = (kernel, { shape: [outputs, inputs], values }) => // a weight W as the right factor of x Wᵀ
  kernel.packed(inputs, outputs, (k, j) => values[j * inputs + k]);
const silu = (g) => g / (1 + Math.exp(-g));

class SwiGLU { // over channels: x Wᵀ, weights on the right
  constructor(kernel, weights, name, rows) {
    const both = weights.get(`${name}.gate_up_proj.weight`), down = weights.get(`${name}.down_proj.weight`);
    const [width, inner] = down.shape;
    Object.assign(this, { kernel, inner, both: transposed(kernel, both), down: transposed(kernel, down),
      gated: new Matrix(kernel, rows, 2 * inner), change: new Matrix(kernel, rows, width) });
  }
  run(x) {
    const { kernel, gated, inner, change } = this;
    kernel.product(x, this.both, gated);
    for (let s = 0; s < gated.rows; s++) {
      const row = gated.row(s);
      for (let i = 0; i < inner; i++) row[i] = silu(row[i]) * row[inner + i];
    }
    return kernel.product(gated, this.down, change, inner);
  }
}

class SwiGLUOverPositions { // W x, weights on the left
  constructor(kernel, weights, name, width) {
    const both = weights.get(`${name}.gate_up_proj.weight`), down = weights.get(`${name}.down_proj.weight`);
    const left = ({ shape, values }) => new Matrix(kernel, ...shape).fill(values), inner = down.shape[1];
    Object.assign(this, { kernel, inner, both: left(both), down: left(down),
      gated: new Matrix(kernel, 2 * inner, width), change: new Matrix(kernel, down.shape[0], width) });
  }
  run(x) {
    const { kernel, gated, inner, change } = this;
    kernel.product(this.both, x, gated);
    for (let i = 0; i < inner; i++) {
      const gate = gated.row(i), value = gated.row(inner + i);
      for (let d = 0; d < gate.length; d++) gate[d] = silu(gate[d]) * value[d];
    }
    return kernel.product(this.down, gated, change);
  }
  listens(x, s) { // how far what is added at position s moves with each: `interp.stages` says what that is
    const { kernel, gated, inner, both } = this, S = x.rows, D = x.cols, down = this.down.row(s);
    kernel.product(both, x, gated);
    const jacobian = new Float64Array(S * D), throughGate = new Float64Array(D),
      throughUp = new Float64Array(D);
    for (let i = 0; i < inner; i++) {
      const gate = gated.row(i), value = gated.row(inner + i), gates = both.row(i), ups = both.row(inner + i);
      for (let d = 0; d < D; d++) {
        const open = 1 / (1 + Math.exp(-gate[d])), slope = open * (1 + gate[d] * (1 - open)); // of silu
        throughGate[d] = down[i] * slope * value[d];
        throughUp[d] = down[i] * gate[d] * open;
      }
      for (let t = 0, at = 0; t < S; t++) for (let d = 0; d < D; d++, at++)
        jacobian[at] += gates[t] * throughGate[d] + ups[t] * throughUp[d];
    }
    return Float32Array.from({ length: S }, (_, t) => {
      const row = jacobian.subarray(t * D, (t + 1) * D);
      return Math.sqrt(dot(row, row) / D);
    });
  }
}

function scoreBias(weights, name, { bias, positions: S, puzzle_positions: P, rows, cols, num_heads: heads }) {
  // a number for each head, query and key; zero for the positions in front of the grid
  if (!weights.has(name)) return null;
  const { values } = weights.get(name), L = rows * cols, laid = new Float32Array(heads * S * S);
  const down = 2 * rows - 1, across = 2 * cols - 1; // offsets between two cells
  const learned = (h, i, j) => {
    if (bias === "pair") return values[(h * L + i) * L + j];
    const row = Math.floor(j / cols) - Math.floor(i / cols) + rows - 1, col = j % cols - i % cols + cols - 1;
    return values[(h * down + row) * across + col];
  };
  for (let h = 0; h < heads; h++) for (let i = 0; i < L; i++) for (let j = 0; j < L; j++)
    laid[(h * S + P + i) * S + P + j] = learned(h, i, j);
  return laid;
}

class Attention {
  constructor(kernel, weights, name, model, { cos, sin, bias }) {
    const { positions, hidden_size: width, num_heads: heads } = model, each = width / heads;
    const right = (part) => transposed(kernel, weights.get(`${name}.${part}.weight`));
    const matrix = (rows, cols) => new Matrix(kernel, rows, cols);
    Object.assign(this, { kernel, heads, each, cos, sin, bias,
      project: right("qkv_proj"), out: right("o_proj"),
      qkv: matrix(positions, 3 * width), q: matrix(positions, each), k: matrix(each, positions),
      v: matrix(positions, each), scores: matrix(positions, positions), mixed: matrix(positions, each),
      all: matrix(positions, width), change: matrix(positions, width) });
  }

  rotated(head, s, d) { // a channel of a query or key, rotated with its partner half a head away
    if (!this.cos) return head[d];
    const half = this.each / 2, partner = d < half ? -head[d + half] : head[d - half];
    return head[d] * this.cos[s * this.each + d] + partner * this.sin[s * this.each + d];
  }

  lay(h) { // the queries, keys (transposed) and values of a head; queries scaled
    const { qkv, q, k, v, each, heads } = this, scale = each ** -0.5, kData = k.data;
    for (let s = 0; s < qkv.rows; s++) {
      const row = qkv.row(s), part = (n) => row.subarray((n * heads + h) * each, (n * heads + h + 1) * each);
      const [query, key] = [part(0), part(1)], into = q.row(s);
      for (let d = 0; d < each; d++) {
        into[d] = scale * this.rotated(query, s, d);
        kData[d * k.stride + s] = this.rotated(key, s, d);
      }
      v.row(s).set(part(2));
    }
  }

  softmax(h) {
    const { scores, bias } = this, S = scores.rows;
    for (let s = 0; s < S; s++) {
      const row = scores.row(s);
      let most = -Infinity, sum = 0;
      for (let t = 0; t < S; t++) {
        if (bias) row[t] += bias[(h * S + s) * S + t];
        if (row[t] > most) most = row[t];
      }
      for (let t = 0; t < S; t++) sum += row[t] = Math.exp(row[t] - most);
      for (let t = 0; t < S; t++) row[t] /= sum;
    }
  }

  weigh(h) { // the weights of a head, in `scores`
    this.lay(h);
    this.kernel.product(this.q, this.k, this.scores);
    this.softmax(h);
  }

  listens(x, s) { // the weights at position s, head after head
    const { heads, scores } = this, found = new Float32Array(heads * x.rows);
    this.kernel.product(x, this.project, this.qkv);
    for (let h = 0; h < heads; h++) {
      this.weigh(h);
      found.set(scores.row(s), h * x.rows);
    }
    return found;
  }

  run(x) {
    const { kernel, qkv, v, scores, mixed, all, each } = this;
    kernel.product(x, this.project, qkv);
    for (let h = 0; h < this.heads; h++) {
      this.weigh(h);
      kernel.product(scores, v, mixed);
      for (let s = 0; s < all.rows; s++) all.row(s).set(mixed.row(s), h * each);
    }
    return kernel.product(all, this.out, this.change);
  }
}

class Layer { // mixes between positions, then inside each
  constructor(kernel, weights, name, model, angles) {
    this.eps = model.rms_norm_eps;
    this.mix = model.mlp_t ? new SwiGLUOverPositions(kernel, weights, `${name}.mlp_t`, model.hidden_size)
      : new Attention(kernel, weights, `${name}.self_attn`, model,
        { ...angles, bias: scoreBias(weights, `${name}.bias`, model) });
    this.norm = model.mlp_t ? addNormOverPositions : addNorm;
    this.mlp = new SwiGLU(kernel, weights, `${name}.mlp`, model.positions);
  }
  run(x, watch = null) { // watch(stage, matrix): what is added, and what stands afterwards
    const add = (norm, name, part, stands) => {
      const change = part.run(x);
      watch?.(name, change);
      norm(x, change, this.eps);
      watch?.(stands, x);
    };
    add(this.norm, "mix", this.mix, "mixed");
    add(addNorm, "mlp", this.mlp, "after");
    watch?.("hidden", this.mlp.gated);
  }
}

// ---- Anderson mixing, for the fixed-point model ------------------------------

function solveSmall(matrix, right) { // Gaussian elimination with pivots, in place; the solution
  const n = right.length;
  for (let i = 0; i < n; i++) {
    let best = i;
    for (let r = i + 1; r < n; r++) if (Math.abs(matrix[r][i]) > Math.abs(matrix[best][i])) best = r;
    [matrix[i], matrix[best]] = [matrix[best], matrix[i]];
    [right[i], right[best]] = [right[best], right[i]];
    for (let r = i + 1; r < n; r++) {
      const factor = matrix[r][i] / matrix[i][i];
      for (let c = i; c < n; c++) matrix[r][c] -= factor * matrix[i][c];
      right[r] -= factor * right[i];
    }
  }
  for (let i = n - 1; i >= 0; i--) {
    for (let c = i + 1; c < n; c++) right[i] -= matrix[i][c] * right[c];
    right[i] /= matrix[i][i];
  }
  return right;
}

const dot = (a, b) => { let sum = 0; for (let i = 0; i < a.length; i++) sum += a[i] * b[i]; return sum; };

function anderson(f, z, evaluations) { // approach z = f(z), as `models.variants.anderson` does
  const images = [], residuals = [], lengths = [];
  for (let e = 0; e < evaluations; e++) {
    const image = f(z), residual = image.map((value, i) => value - z[i]);
    images.push(image); residuals.push(residual);
    lengths.push(Math.max(Math.sqrt(dot(residual, residual)), 1e-30));
    const gram = residuals.map((a, i) => residuals.map((b, j) =>
      dot(a, b) / (lengths[i] * lengths[j]) + (i === j ? 1e-6 : 0)));
    const shares = solveSmall(gram, lengths.map((length) => 1 / length)).map((w, i) => w / lengths[i]);
    const total = shares.reduce((a, b) => a + b, 0);
    z = new Float32Array(z.length);
    images.forEach((image, k) => {
      for (let i = 0; i < z.length; i++) z[i] += shares[k] / total * image[i];
    });
  }
  return z;
}

// ---- the model ---------------------------------------------------------------

export class Engine {
  constructor(model, bytes, kernel = new Kernel()) { // header and tensors, as `models.export.describe` makes
    const weights = new Weights(model.tensors, bytes);
    const { positions: S, hidden_size: D, puzzle_positions: P } = model;
    const table = (name) => weights.has(name) ? weights.get(name).values : null;
    const initial = (name) => weights.get(`${name.replace(/^z_/, "")}_init`).values;
    Object.assign(this, { model, kernel, S, D, P, names: model.latents,
      tokens: table("embed_tokens.embedding_weight"), positions: table("positions"),
      identities: P ? weights.get("puzzle_emb.weights") : null,
      initial: Object.fromEntries(model.latents.map((name) => [name, initial(name)])),
      halting: { weight: table("q_head.weight"), bias: table("q_head.bias") } });
    const angles = { cos: table("cos"), sin: table("sin") };
    const layer = (name) => new Layer(kernel, weights, name, model, angles);
    this.networks = Object.fromEntries(Object.entries(model.networks).map(([name, layers]) =>
      [name, Array.from({ length: layers }, (_, i) => layer(`${name}.layers.${i}`))]));
    this.x = new Matrix(kernel, S, D);
    const head = weights.get("lm_head.weight");
    this.head = kernel.packed(D, head.shape[0], (k, j) => head.values[j * D + k]);
    this.logits = new Matrix(kernel, S, head.shape[0]);
  }

  schedule() { return this.model.schedule; } // the updates of a supervision step, in order

  identity(row) { // a row of the puzzle embedding; null: the mean of all but the first
    const { values, shape: [rows, width] } = this.identities;
    if (row !== null) return values.subarray(row * width, (row + 1) * width);
    const sum = new Float64Array(width);
    for (let r = 1; r < rows; r++) for (let i = 0; i < width; i++) sum[i] += values[r * width + i];
    return sum.map((total) => total / (rows - 1));
  }

  embed(tokens, identity = 0) { // the question, S·D
    const { S, D, P } = this, x = new Float32Array(S * D), scale = Math.sqrt(D);
    tokens.forEach((token, i) => x.set(this.tokens.subarray(token * D, (token + 1) * D), (P + i) * D));
    if (P) x.set(this.identity(identity));
    if (this.positions) // 1/√2 keeps the variance of the sum
      for (let i = 0; i < x.length; i++) x[i] = 0.707106781 * (x[i] + this.positions[i]);
    return x.map((value) => value * scale);
  }

  start() { // the latents before the first supervision step
    return Object.fromEntries(this.names.map((name) => {
      const z = new Float32Array(this.S * this.D);
      for (let s = 0; s < this.S; s++) z.set(this.initial[name], s * this.D);
      return [name, z];
    }));
  }

  network(name, z) { // z through the layers of a network
    this.x.fill(z);
    for (const layer of this.networks[name]) layer.run(this.x);
    return this.x.values();
  }

  update(x, state, u) { // the state after one update
    const sum = (parts) => {
      const total = new Float32Array(this.S * this.D);
      for (const part of parts) {
        const z = part === "x" ? x : state[part];
        for (let i = 0; i < z.length; i++) total[i] += z[i];
      }
      return total;
    };
    const f = (z) => this.network(u.network, z.map((value, i) => value + x[i]));
    const z = state[u.name], image = u.solve ? anderson(f, z, u.solve) : this.network(u.network, sum(u.sum));
    const damped = () => image.map((value, i) => z[i] + u.relaxation * (value - z[i]));
    return { ...state, [u.name]: u.relaxation === undefined ? image : damped() };
  }

  step(x, state, watch = null, since = 0) { // a supervision step; `watch(u, state)` may return another state
    for (const u of this.schedule().slice(since)) {
      state = this.update(x, state, u);
      if (watch) state = watch(u, state) ?? state;
    }
    return state;
  }

  decode(z) { // any latent through the output head: logits, L·V
    this.kernel.product(this.x.fill(z), this.head, this.logits);
    return this.logits.values().subarray(this.P * this.logits.cols);
  }

  halt(z) { // the halting head's two logits, from the answer's latent
    const { weight, bias } = this.halting, first = z.subarray(0, this.D);
    return [0, 1].map((i) =>
      Math.fround(dot(weight.subarray(i * this.D, (i + 1) * this.D), first) + bias[i]));
  }

  read(state) { // the answer's logits, and the halting head's two
    const z = state[this.model.answer], [q_halt, q_continue] = this.halt(z);
    return { logits: this.decode(z), q_halt, q_continue };
  }
}
