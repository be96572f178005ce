// The product of two matrices in WebAssembly, with four numbers at a time: the one loop in which a model
// spends its time. The module is written here byte by byte, so that no compiler and no file is needed.
//
// A matrix lies in rows of `stride` numbers. Rows are counted up to a multiple of 4 and columns up to a
// multiple of 8: what fills them up is computed too, and read by nobody.

const PAGE = 65536; // bytes of WebAssembly memory that come at once
export const up = (n, multiple) => Math.ceil(n / multiple) * multiple;

// ---- a small assembler -------------------------------------------------------

function leb(n) { // a whole number as WebAssembly writes it, seven bits a byte
  const bytes = [];
  for (; n > 127; n >>>= 7) bytes.push(n & 127 | 128);
  return [...bytes, n];
}
const list = (items) => [...leb(items.length), ...items.flat()];
const section = (id, items) => { const body = list(items); return [id, ...leb(body.length), ...body]; };
const text = (s) => list([...new TextEncoder().encode(s)].map((byte) => [byte]));

const I32 = 0x7f, V128 = 0x7b, END = 0x0b;
const get = (x) => [0x20, ...leb(x)], set = (x) => [0x21, ...leb(x)];
const add = 0x6a, sub = 0x6b, constant = (n) => [0x41, ...leb(n)]; // below 64, or the sign bit would be meant
const step = (x, by) => [...get(x), ...by, add, ...set(x)]; // x += by
const load = (offset) => [0xfd, 0x00, 2, ...leb(offset)], splat = [0xfd, 0x09, 2, 0];
const store = (offset) => [0xfd, 0x0b, 2, ...leb(offset)];
const zero = [0xfd, 0x0c, ...Array(16).fill(0)], vadd = [0xfd, 0xe4, 0x01], vmul = [0xfd, 0xe6, 0x01];
const repeat = (counter, body) => // until the counter, which counts down, is zero
  [0x03, 0x40, ...body, ...get(counter), ...constant(1), sub, 0x22, ...leb(counter), 0x0d, 0, END];

// ---- the product -------------------------------------------------------------

// Parameters: where A, B and C begin; in bytes, how far apart the rows of A, the rows of B inside a panel of
// 8 columns, the panels of B, and the rows of C are; how many panels, blocks of 4 rows, and terms there are.
const [A, B, C, A_ROW, B_ROW, B_PANEL, C_ROW, PANELS, BLOCKS, TERMS] = Array(10).keys();
const [PANEL, BLOCK, TERM, FROM, TO, AT_A, AT_B, AT_C] = Array.from({ length: 8 }, (_, i) => 10 + i);
const [LEFT, RIGHT, FACTOR] = [18, 19, 20], SUMS = Array.from({ length: 8 }, (_, i) => 21 + i);

function product() { // each panel of B stays in the cache while all rows of A pass by
  const rows = [0, 1, 2, 3];
  const multiply = rows.flatMap((r) => [ // one number of A in each of four rows, eight of B
    ...get(AT_C), ...splat, ...set(FACTOR),
    ...[LEFT, RIGHT].flatMap((half, h) => [
      ...get(SUMS[2 * r + h]), ...get(FACTOR), ...get(half), ...vmul, ...vadd, ...set(SUMS[2 * r + h])]),
    ...(r < 3 ? step(AT_C, get(A_ROW)) : [])]);
  const term = [
    ...get(AT_B), ...load(0), ...set(LEFT), ...get(AT_B), ...load(16), ...set(RIGHT),
    ...get(AT_A), ...set(AT_C), ...multiply,
    ...step(AT_A, constant(4)), ...step(AT_B, get(B_ROW))];
  const write = rows.flatMap((r) => [
    ...get(AT_C), ...get(SUMS[2 * r]), ...store(0), ...get(AT_C), ...get(SUMS[2 * r + 1]), ...store(16),
    ...step(AT_C, get(C_ROW))]);
  const block = [
    ...SUMS.flatMap((sum) => [...zero, ...set(sum)]),
    ...get(FROM), ...set(AT_A), ...get(B), ...set(AT_B), ...get(TERMS), ...set(TERM), ...repeat(TERM, term),
    ...get(TO), ...set(AT_C), ...write, ...get(AT_C), ...set(TO),
    ...rows.flatMap(() => step(FROM, get(A_ROW)))];
  const panel = [
    ...get(A), ...set(FROM), ...get(C), ...set(TO), ...get(BLOCKS), ...set(BLOCK), ...repeat(BLOCK, block),
    ...step(B, get(B_PANEL)), ...step(C, constant(32))];
  const locals = [[8, I32], [11, V128]];
  return [...list(locals), ...get(PANELS), ...set(PANEL), ...repeat(PANEL, panel), END];
}

function moduleBytes() {
  const code = product();
  return new Uint8Array([0, 0x61, 0x73, 0x6d, 1, 0, 0, 0,
    ...section(1, [[0x60, ...list(Array(10).fill([I32])), 0]]), // its type: ten numbers, no result
    ...section(2, [[...text("host"), ...text("memory"), 2, 0, 1]]),
    ...section(3, [[0]]), ...section(7, [[...text("product"), 0, 0]]),
    ...section(10, [[...leb(code.length), ...code]])]);
}

function slowly(memory) { // the same sums in the same order, where WebAssembly has no SIMD
  return (a, b, c, aRow, bRow, bPanel, cRow, panels, blocks, terms) => {
    const f = new Float32Array(memory.buffer);
    [a, b, c, aRow, bRow, bPanel, cRow] = [a, b, c, aRow, bRow, bPanel, cRow].map((bytes) => bytes / 4);
    for (let p = 0; p < panels; p++) for (let i = 0; i < 4 * blocks; i++) for (let j = 0; j < 8; j++) {
      let sum = 0;
      for (let k = 0; k < terms; k++)
        sum = Math.fround(sum + Math.fround(f[a + i * aRow + k] * f[b + p * bPanel + k * bRow + j]));
      f[c + i * cRow + 8 * p + j] = sum;
    }
  };
}

// ---- memory ------------------------------------------------------------------

export class Matrix { // rows × cols numbers in a kernel's memory
  constructor(kernel, rows, cols, stride = up(cols, 8)) {
    Object.assign(this, { kernel, rows, cols, stride });
    this.at = kernel.take(up(rows, 4) * stride * 4);
  }
  get data() { return new Float32Array(this.kernel.memory.buffer, this.at, this.rows * this.stride); }
  row(i) { return new Float32Array(this.kernel.memory.buffer, this.at + 4 * i * this.stride, this.cols); }
  fill(values) { // from a row-major array without gaps
    for (let i = 0; i < this.rows; i++) this.row(i).set(values.subarray(i * this.cols, (i + 1) * this.cols));
    return this;
  }
  values() { // the same back
    const values = new Float32Array(this.rows * this.cols);
    for (let i = 0; i < this.rows; i++) values.set(this.row(i), i * this.cols);
    return values;
  }
}

export class Kernel {
  constructor(plain = false) { // plain: never with SIMD
    this.memory = new WebAssembly.Memory({ initial: 1 });
    this.used = 16;
    const bytes = moduleBytes();
    this.fast = !plain && WebAssembly.validate(bytes);
    this.run = this.fast ? this.instance(bytes).exports.product : slowly(this.memory);
  }

  instance(bytes) {
    return new WebAssembly.Instance(new WebAssembly.Module(bytes), { host: { memory: this.memory } });
  }

  take(bytes) { // an address; nothing is ever given back
    const at = this.used, missing = at + bytes - this.memory.buffer.byteLength;
    if (missing > 0) this.memory.grow(Math.ceil(missing / PAGE));
    this.used = up(at + bytes, 16);
    return at;
  }

  packed(rows, cols, read) { // a constant right factor, whose panels lie one after the other
    const factor = { at: this.take(up(cols, 8) * rows * 4), rows, cols, row: 32, panel: 32 * rows };
    const f = new Float32Array(this.memory.buffer, factor.at, up(cols, 8) * rows);
    for (let k = 0; k < rows; k++)
      for (let j = 0; j < cols; j++) f[(j >> 3) * 8 * rows + 8 * k + (j & 7)] = read(k, j);
    return factor;
  }

  product(a, b, c, terms = a.cols) { // c = a b; b a matrix, or `packed`
    const right = b instanceof Matrix ? { at: b.at, row: 4 * b.stride, panel: 32 } : b;
    this.run(a.at, right.at, c.at, 4 * a.stride, right.row, right.panel, 4 * c.stride,
      up(c.cols, 8) / 8, up(c.rows, 4) / 4, terms);
    return c;
  }
}
