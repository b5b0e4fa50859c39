// Talks to the service: a token where it wants one, a few files at a time, again where it is busy.

const FILES = 8; // a request
const REQUESTS = 2; // at the same time
const TRIES = 30; // while the service is busy

export class TokenWanted extends Error {}

export class NoAnswer extends Error {} // of the service; the file is not at fault

const KEY = "onesheet-token";

export function keepToken(token) {
  sessionStorage.setItem(KEY, token);
}

function ask(path, options = {}) {
  const token = sessionStorage.getItem(KEY);
  return fetch(path, { ...options, headers: token ? { Authorization: `Bearer ${token}` } : {} }).catch(() => {
    throw new NoAnswer("The service does not answer: start it again.");
  });
}

export const hasToken = () => sessionStorage.getItem(KEY) !== null;

/** POST a JSON object; the answer's status and JSON. */
export async function postJson(path, value) {
  const response = await ask(path, { method: "POST", body: JSON.stringify(value) });
  return { status: response.status, body: await response.json() };
}

/** POST a file; the answer's JSON. */
export async function postFile(path, file) {
  const response = await ask(path, { method: "POST", body: file });
  const body = await response.json();
  if (!response.ok) throw new Error(body.error);
  return body;
}

/** A file of the service, or what it makes of one that is sent; of a heat map, where it is brightest ("" = nowhere). */
export async function getFile(path, sent) {
  const response = await ask(path, sent ? { method: "POST", body: sent } : {});
  if (!response.ok) throw new Error((await response.json()).error);
  return { blob: await response.blob(), brightest: response.headers.get("Onesheet-Brightest") };
}

/** GET a JSON object. */
export async function get(path) {
  const response = await ask(path);
  const body = await response.json();
  if (response.status === 401) throw new TokenWanted(body.error);
  if (!response.ok) throw new Error(body.error);
  return body;
}

/** Sends items ({file, answer, unanswered}) in their order; `changed(items)` is called when some have an answer. */
export class Sender {
  #limits;
  #changed;
  #waiting = [];
  #running = 0;
  #stop = new AbortController();

  constructor(limits, changed) {
    this.#limits = limits;
    this.#changed = changed;
  }

  add(items) {
    this.#waiting.push(...items);
    this.#changed([]);
    this.#next();
  }

  stop() {
    this.#stop.abort();
    this.#stop = new AbortController();
    this.#waiting = [];
  }

  #next() {
    while (this.#running < REQUESTS && this.#waiting.length) {
      const items = this.#take();
      if (!items.length) continue; // all too large
      this.#running += 1;
      this.#send(items, this.#stop.signal).finally(() => {
        this.#running -= 1;
        this.#next();
      });
    }
  }

  /** The items of the next request; those that are too large get their answer here, as asking all files at once is slow. */
  #take() {
    const room = this.#limits.request_bytes * 0.95;
    const taken = [];
    const large = [];
    let bytes = 0;
    while (this.#waiting.length && taken.length < Math.min(FILES, this.#limits.queue)) {
      const { file } = this.#waiting[0];
      if (file.size > this.#limits.file_bytes) {
        large.push(this.#waiting.shift());
        continue;
      }
      bytes += file.size + 1000;
      if (taken.length && bytes > room) break;
      taken.push(this.#waiting.shift());
    }
    for (const item of large) {
      const most = (this.#limits.file_bytes / 1e6).toLocaleString();
      item.answer = { path: item.file.name, error: `larger than ${most} MB; scale it down` };
    }
    if (large.length) this.#changed(large);
    return taken;
  }

  async #send(items, signal) {
    let answers;
    try {
      answers = await post(items, signal);
    } catch (error) {
      if (signal.aborted) return;
      if (items.length > 1) {
        for (const item of items) await this.#send([item], signal); // one of them may be at fault
        return;
      }
      items[0].unanswered = error instanceof NoAnswer;
      answers = [{ error: error.message }];
    }
    // a form changes some names on their way
    items.forEach((item, number) => (item.answer = { ...answers[number], path: item.file.name }));
    this.#changed(items);
  }
}

async function post(items, signal) {
  for (let left = TRIES; ; left -= 1) {
    const form = new FormData();
    for (const { file } of items) form.append("files", file, file.name);
    const response = await ask("/v1/predict?maps=true", { method: "POST", body: form, signal }).catch(async (error) => {
      if (signal.aborted) throw error;
      const there = await Promise.all(items.map(({ file }) => file.slice(0, 1).arrayBuffer())).catch(() => null);
      throw there ? new NoAnswer("the service does not answer") : new Error("the file cannot be read any more");
    });
    const body = await response.json().catch(() => ({ error: "the service broke off" }));
    if (body.predictions) return body.predictions;
    if (left && (response.status === 429 || response.status === 503)) {
      const seconds = Number(response.headers.get("Retry-After")) || 1;
      await new Promise((resolve) => setTimeout(resolve, 1000 * seconds));
      if (signal.aborted) throw new Error("stopped");
      continue;
    }
    throw response.status === 413 || response.status === 422 ? new Error(body.error) : new NoAnswer(body.error);
  }
}
