// Numbers as NumPy draws them from a seed (SeedSequence, PCG64, Generator.integers), and the hash that such a
// seed is made of (BLAKE2b): what Python drew for a board is drawn again.

const WORD = (1n << 64n) - 1n;
const rotate = (x, by) => ((x >> by) | (x << (64n - by))) & WORD; // to the right

// ---- BLAKE2b (RFC 7693), of at most 128 bytes, to eight bytes ----------------

const START64 = [0x6a09e667f3bcc908n, 0xbb67ae8584caa73bn, 0x3c6ef372fe94f82bn, 0xa54ff53a5f1d36f1n,
  0x510e527fade682d1n, 0x9b05688c2b3e6c1fn, 0x1f83d9abfb41bd6bn, 0x5be0cd19137e2179n];
const ORDERS = ["0123456789abcdef", "ea489fd61c02b753", "b8c052fdae367194", "7931dcbe265a40f8",
  "905724afe1bc683d", "2c6a0b834d75fe19", "c51fed4a0763928b", "db7ec13950f4862a", "6fe9b308c2d714a5",
  "a2847615fb9e3cd0"]; // in which a round takes the words of a block

export function blake2b64(bytes) { // a whole number of 64 bits, the first byte highest
  const block = new Uint8Array(128);
  block.set(bytes);
  const words = Array.from({ length: 16 }, (_, i) => block.slice(8 * i, 8 * i + 8)
    .reduceRight((sum, byte) => (sum << 8n) | BigInt(byte), 0n));
  const h = [...START64];
  h[0] ^= 0x01010000n ^ 8n; // no key, eight bytes of digest
  const v = [...h, ...START64];
  v[12] ^= BigInt(bytes.length); v[14] ^= WORD; // the last block
  const mix = (a, b, c, d, x, y) => {
    v[a] = (v[a] + v[b] + x) & WORD; v[d] = rotate(v[d] ^ v[a], 32n);
    v[c] = (v[c] + v[d]) & WORD; v[b] = rotate(v[b] ^ v[c], 24n);
    v[a] = (v[a] + v[b] + y) & WORD; v[d] = rotate(v[d] ^ v[a], 16n);
    v[c] = (v[c] + v[d]) & WORD; v[b] = rotate(v[b] ^ v[c], 63n);
  };
  for (let round = 0; round < 12; round++) {
    const order = [...ORDERS[round % 10]].map((digit) => words[parseInt(digit, 16)]);
    for (let k = 0; k < 8; k++) {
      const turn = k < 4 ? 0 : 1, at = (row) => 4 * row + (k + turn * row) % 4;
      mix(at(0), at(1), at(2), at(3), order[2 * k], order[2 * k + 1]);
    }
  }
  const first = h[0] ^ v[0] ^ v[8];
  return Array.from({ length: 8 }, (_, i) => (first >> BigInt(8 * i)) & 255n)
    .reduce((sum, byte) => (sum << 8n) | byte, 0n);
}

// ---- SeedSequence and PCG64 (O'Neill 2014) ------------------------------------

const LOW = 0xffffffffn;

function hasher(start, by) { // each call hashes with a constant of its own
  let constant = start;
  return (value) => {
    value ^= constant;
    constant = Math.imul(constant, by);
    value = Math.imul(value, constant);
    return value ^ (value >>> 16);
  };
}

function seeded(seed) { // four whole numbers of 64 bits, as `SeedSequence(seed).generate_state(4, uint64)`
  const words = [];
  for (let left = seed; left > 0n || !words.length; left >>= 32n) words.push(Number(left & LOW) | 0);
  const hash = hasher(0x43b0d7e5, 0x931e8875),
    pool = Array.from({ length: 4 }, (_, i) => hash(words[i] ?? 0));
  for (let from = 0; from < 4; from++) for (let to = 0; to < 4; to++) if (from !== to) {
    const mixed = Math.imul(0xca01f9dd, pool[to]) - Math.imul(0x4973f715, hash(pool[from])) | 0;
    pool[to] = mixed ^ (mixed >>> 16);
  }
  const draw = hasher(0x8b51f9dd, 0x58f38ded), made = Array.from({ length: 8 }, (_, i) => draw(pool[i % 4]));
  return Array.from({ length: 4 }, (_, i) =>
    BigInt(made[2 * i] >>> 0) | (BigInt(made[2 * i + 1] >>> 0) << 32n));
}

const STATE = (1n << 128n) - 1n, PCG_FACTOR = 0x2360ed051fc65da44385df649fccf645n;

export class NumpyRandom { // `numpy.random.default_rng(seed)`
  constructor(seed) {
    const [high, low, other, more] = seeded(seed);
    this.add = ((((other << 64n) | more) << 1n) | 1n) & STATE;
    this.state = this.add; // one step from nothing
    this.state = (this.state + ((high << 64n) | low)) & STATE;
    this.advance();
    this.half = null; // of the last 64 bits, what was not given out yet
  }

  advance() { this.state = (this.state * PCG_FACTOR + this.add) & STATE; }

  bits() { // 32 of them, as a whole number
    if (this.half !== null) { const half = this.half; this.half = null; return half; }
    this.advance();
    const word = rotate((this.state >> 64n) ^ (this.state & WORD), this.state >> 122n);
    this.half = word >> 32n;
    return word & LOW;
  }

  integer(low, high) { // from low to high − 1, all equally probable (Lemire 2019)
    const range = BigInt(high - low), least = (LOW + 1n - range) % range;
    let product = this.bits() * range;
    while ((product & LOW) < least) product = this.bits() * range;
    return low + Number(product >> 32n);
  }

  integers(low, high, count) { return Array.from({ length: count }, () => this.integer(low, high)); }
}
