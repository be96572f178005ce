// Random numbers: the Mersenne Twister (Matsumoto and Nishimura 1998), and normal noise as PyTorch draws it
// on a processor, so that a seed means the same in a page and in Python.

const WORDS = 624, AHEAD = 397;

export class Twister {
  constructor(seed) {
    this.words = new Uint32Array(WORDS);
    this.words[0] = seed;
    for (let i = 1; i < WORDS; i++) {
      const last = this.words[i - 1];
      this.words[i] = Math.imul(1812433253, last ^ (last >>> 30)) + i;
    }
    this.next = WORDS; // words that are used up
  }

  turn() { // all words anew
    const { words } = this;
    for (let i = 0; i < WORDS; i++) {
      const joined = (words[i] & 0x80000000) | (words[(i + 1) % WORDS] & 0x7fffffff);
      words[i] = words[(i + AHEAD) % WORDS] ^ (joined >>> 1) ^ (joined & 1 ? 0x9908b0df : 0);
    }
    this.next = 0;
  }

  bits() { // 32 of them
    if (this.next === WORDS) this.turn();
    let word = this.words[this.next++];
    word ^= word >>> 11;
    word ^= (word << 7) & 0x9d2c5680;
    word ^= (word << 15) & 0xefc60000;
    return (word ^ (word >>> 18)) >>> 0;
  }

  share() { return (this.bits() & 0xffffff) / 0x1000000; } // from 0 to 1, without it
}

export const chance = (seed) => { const twister = new Twister(seed); return () => twister.share(); };

export function shuffled(items, random) {
  const mixed = [...items];
  for (let i = mixed.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [mixed[i], mixed[j]] = [mixed[j], mixed[i]];
  }
  return mixed;
}

// At least 16 normal numbers. Blocks of 16 uniform ones become 8 pairs of Box and Muller's; where the last
// block is not full, the last 16 numbers are drawn again.
export function normal(size, seed) {
  const twister = new Twister(seed), drawn = Float32Array.from({ length: size }, () => twister.share());
  const block = (at) => {
    for (let i = at; i < at + 8; i++) {
      const length = Math.sqrt(-2 * Math.log(Math.fround(1 - drawn[i]))), angle = 2 * Math.PI * drawn[i + 8];
      drawn[i] = length * Math.cos(angle);
      drawn[i + 8] = length * Math.sin(angle);
    }
  };
  for (let at = 0; at + 16 <= size; at += 16) block(at);
  if (size % 16) {
    for (let i = size - 16; i < size; i++) drawn[i] = twister.share();
    block(size - 16);
  }
  return drawn;
}
