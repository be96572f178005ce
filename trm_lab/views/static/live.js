// The session's thread, as the page sees it: it stands where a notebook's widget stands, with the same
// messages and the same answers.

export function pageBytes(id) { // of an element that holds them as base64
  const text = atob(document.getElementById(id).textContent.trim()), bytes = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) bytes[i] = text.charCodeAt(i);
  return bytes;
}

export class Thread { // has a widget's `on`, `off` and `send`
  constructor(code, header, bytes) {
    this.ears = new Map();
    const address = URL.createObjectURL(new Blob([code], { type: "text/javascript" }));
    this.worker = new Worker(address);
    this.worker.onmessage = ({ data: [content, buffers] }) =>
      (content.gone ? this.tell("comm:close") : this.tell("msg:custom", content, buffers));
    this.worker.onerror = () => this.tell("comm:close");
    this.worker.postMessage({ header, bytes }, [bytes.buffer]);
  }

  tell(name, ...what) { for (const ear of this.ears.get(name) ?? []) ear(...what); }
  on(name, ear) { this.ears.set(name, [...(this.ears.get(name) ?? []), ear]); }
  off(name, ear) { this.ears.set(name, (this.ears.get(name) ?? []).filter((other) => other !== ear)); }
  send(question) { this.worker.postMessage(question); }
}
