// The session in a thread of its own, so that the page stays responsive: the first message brings the page's
// header and the models' bytes, every further one is a question.

import { Answers } from "./answers.js";

async function inflated(bytes) { // as `views.live.deflated` made them: even places first, then odd ones
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  const halves = new Uint8Array(await new Response(stream).arrayBuffer()),
    whole = new Uint8Array(halves.length);
  for (let i = 0, half = halves.length / 2; i < half; i++) {
    whole[2 * i] = halves[i];
    whole[2 * i + 1] = halves[half + i];
  }
  return whole;
}

function reply(answers, question) { // [what JSON can hold, bytes]
  const { id } = question;
  try {
    const { bytes, ...content } = answers.answer(question);
    return [{ id, ...content }, bytes ? [bytes] : []];
  } catch (error) { return [{ id, error: error.message }, []]; }
}

let opened = null;

self.onmessage = async ({ data }) => {
  if (!opened) {
    opened = inflated(data.bytes).then((bytes) => new Answers(data.header, bytes));
    opened.catch(() => self.postMessage([{ gone: true }, []]));
    return;
  }
  const [content, buffers] = reply(await opened, data);
  self.postMessage([content, buffers], buffers.map(({ buffer }) => buffer));
};
