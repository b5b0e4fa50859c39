// Stands in for the service behind the app's page: the model runs here, and no poster leaves this machine.
import { openModel } from "./onesheet.js";

export class TokenWanted extends Error {}

export class NoAnswer extends Error {}

const opened = (async () => openModel(await (await fetch("genres.onnx")).arrayBuffer()))();
const site = (async () => (await fetch("site.json")).json())(); // {name, samples}, of `make web`

/** The JSON objects of the service's GET routes. */
export async function get(path) {
  const [{ card, modelCard }, { name, samples }] = [await opened, await site];
  if (path === "/v1/limits") return { file_bytes: 64e6 };
  const promise = "Posters never leave this machine: the model runs in this page.";
  return { name, card, model_card: modelCard, offers: [], samples, promise };
}

/** A drawn poster. */
export async function getFile(path) {
  const number = path.match(/^\/v1\/samples\/(\d+)$/)?.[1];
  if (number === undefined) throw new Error("this model file has no heat maps of its own; onesheet explain makes them");
  return { blob: await (await fetch(`samples/${number}.jpg`)).blob() };
}

/** Answers items ({file, answer}) one after another; `changed(items)` is called when one has its answer. */
export class Sender {
  #limits;
  #changed;
  #waiting = [];
  #running = false;

  constructor(limits, changed) {
    this.#limits = limits;
    this.#changed = changed;
  }

  add(items) {
    this.#waiting.push(...items);
    this.#changed([]);
    if (!this.#running) this.#run();
  }

  stop() {
    this.#waiting = [];
  }

  async #run() {
    this.#running = true;
    while (this.#waiting.length) {
      const item = this.#waiting.shift();
      item.answer = { path: item.file.name, ...(await this.#answer(item.file)) };
      this.#changed([item]);
      await new Promise((resolve) => setTimeout(resolve)); // the page may answer to something else
    }
    this.#running = false;
  }

  async #answer(file) {
    if (file.size > this.#limits.file_bytes) return { error: `larger than ${this.#limits.file_bytes / 1e6} MB; scale it down` };
    try {
      const model = await opened;
      const { probabilities, maps } = await model.answer(await model.read(file));
      return { probabilities: Object.fromEntries(model.card.genres.map((genre, column) => [genre, probabilities[column]])), maps };
    } catch (error) {
      return { error: `cannot read this picture in a browser: ${error.message}` };
    }
  }
}

// What only a service offers; the page asks for none of it here.
export const hasToken = () => false;
export const keepToken = () => {};
const absent = async () => {
  throw new Error("only a running service does this; see: onesheet serve");
};
export { absent as postFile, absent as postJson };
