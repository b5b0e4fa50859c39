// A onesheet model file in the browser: its card, its resize, its answers. docs/reference/model-file.md says what the file holds.
import * as ort from "./node_modules/onnxruntime-web/dist/ort.wasm.min.mjs";

ort.env.wasm.numThreads = 1; // several want headers that a plain file server does not send

/** Open a model file, an ArrayBuffer: {card, modelCard, answer(pixels), probabilities(pixels), read(picture)}. */
export async function openModel(buffer) {
  const { onesheet: text, model_card: modelCard = "" } = metadata(new Uint8Array(buffer));
  if (!text) throw new Error("this ONNX file is no onesheet model; make one with: onesheet export");
  const card = JSON.parse(text);
  const [height, width] = card.size;
  const session = await ort.InferenceSession.create(buffer);
  const outputs = ["probabilities", "evidence"].filter((name) => session.outputNames.includes(name));
  const answer = async (pixels) => {
    const posters = new ort.Tensor("uint8", pixels, [1, height, width, 3]);
    const { probabilities, evidence } = await session.run({ posters }, outputs);
    return { probabilities: Array.from(probabilities.data), maps: evidence ? mapsOf(evidence) : null };
  };
  return {
    card,
    modelCard,
    /** {probabilities, maps} of pixels: Uint8Array of height × width × 3, RGB, of the card's size; maps as /v1/predict's. */
    answer,
    /** Probabilities, one a genre. */
    probabilities: async (pixels) => (await answer(pixels)).probabilities,
    /** The pixels of a picture (a File or Blob) as the model takes them. */
    async read(picture) {
      return fitted(await decoded(picture), height, width, card.resize);
    },
  };
}

/** What speaks for each genre, in 0..255 of its highest, in base64; null in a file without evidence. */
function mapsOf({ data, dims }) {
  const [, genres, rows, columns] = dims;
  const cells = rows * columns;
  const strengths = new Uint8Array(genres * cells);
  for (let genre = 0; genre < genres; genre++) {
    const map = data.subarray(genre * cells, (genre + 1) * cells);
    const highest = Math.max(...map, Number.MIN_VALUE);
    map.forEach((value, cell) => (strengths[genre * cells + cell] = Math.round((255 * Math.max(value, 0)) / highest)));
  }
  return { rows, columns, strengths: btoa(String.fromCharCode(...strengths)) };
}

/** Which genres an operating point of the card gives, true or false for each. */
export function given(point, probabilities) {
  if (point.kind === "thresholds") return probabilities.map((value, column) => value >= point.thresholds[column]);
  const odds = probabilities.map((value) => Math.min(Math.max(value, 1e-7), 1 - 1e-7)).map((p) => Math.log(p / (1 - p)));
  const scores = point.label_sets.map((set, row) => set.reduce((sum, column) => sum + odds[column], point.offsets[row]));
  const best = point.label_sets[scores.indexOf(Math.max(...scores))];
  return probabilities.map((_, column) => best.includes(column));
}

/** The metadata of an ONNX file, which is a protobuf message: field 14 holds pairs of key (1) and value (2). */
export function metadata(bytes) {
  const text = new TextDecoder();
  const found = {};
  for (const [number, content] of fields(bytes)) {
    if (number !== 14) continue;
    const pair = Object.fromEntries(fields(content));
    found[text.decode(pair[1])] = text.decode(pair[2]);
  }
  return found;
}

/** The fields of a protobuf message that hold bytes: [number, bytes]. */
function* fields(bytes) {
  let at = 0;
  const varint = () => {
    let value = 0;
    for (let unit = 1; ; unit *= 128) {
      const byte = bytes[at++];
      value += (byte & 127) * unit;
      if (!(byte & 128)) return value;
    }
  };
  while (at < bytes.length) {
    const key = varint();
    const kind = key % 8;
    if (kind === 0) varint();
    else if (kind === 1) at += 8;
    else if (kind === 5) at += 4;
    else if (kind === 2) {
      const length = varint();
      yield [Math.floor(key / 8), bytes.subarray(at, (at += length))];
    } else throw new Error("this is no ONNX file");
  }
}

/** A picture upright, on white, its colour profile ignored: {height, width, pixels: RGB}. */
async function decoded(picture) {
  const bitmap = await createImageBitmap(picture, { colorSpaceConversion: "none", imageOrientation: "from-image" });
  const { height, width } = bitmap;
  const context = new OffscreenCanvas(width, height).getContext("2d");
  context.fillStyle = "white";
  context.fillRect(0, 0, width, height);
  context.drawImage(bitmap, 0, 0);
  const rgba = context.getImageData(0, 0, width, height).data;
  const pixels = new Uint8Array(height * width * 3);
  for (let from = 0, to = 0; from < rgba.length; from += 4) for (let c = 0; c < 3; c++) pixels[to++] = rgba[from + c];
  return { height, width, pixels };
}

/** A picture at height × width: "stretch" fills it, "pad" keeps the shape, centred on black. */
export function fitted(picture, height, width, resize) {
  if (resize === "stretch") return resized(picture, height, width).pixels;
  const scale = Math.min(height / picture.height, width / picture.width);
  const [high, wide] = [picture.height, picture.width].map((side) => Math.max(1, roundHalfEven(side * scale)));
  const inner = resized(picture, high, wide).pixels;
  const [top, left] = [Math.floor((height - high) / 2), Math.floor((width - wide) / 2)];
  const pixels = new Uint8Array(height * width * 3);
  for (let row = 0; row < high; row++) {
    pixels.set(inner.subarray(row * wide * 3, (row + 1) * wide * 3), ((top + row) * width + left) * 3);
  }
  return pixels;
}

const roundHalfEven = (value) => {
  const low = Math.floor(value);
  if (value - low !== 0.5) return Math.round(value);
  return low % 2 ? low + 1 : low;
};

/** Bilinear with antialiasing, as Pillow does it: two passes, each rounded to 8 bits. Pillow goes down first at some sizes. */
function resized({ height, width, pixels }, high, wide) {
  const across = width === wide ? pixels : along(pixels, { lines: height, from: width, to: wide, next: 3, line: width * 3 });
  const down = (from) => along(from, { lines: wide, from: height, to: high, next: wide * 3, line: 3 });
  return { height: high, width: wide, pixels: height === high ? across : down(across) };
}

const BITS = 22; // of Pillow's weights

/** Resample every line of `from` pixels to `to`; `next` is the step to the next pixel of a line, `line` to the next line. */
function along(pixels, { lines, from, to, next, line }) {
  const acrossLines = next === 3;
  const made = new Uint8Array(lines * to * 3);
  const [madeNext, madeLine] = acrossLines ? [3, to * 3] : [next, 3];
  const scale = from / to;
  const reach = Math.max(scale, 1);
  for (let place = 0; place < to; place++) {
    const centre = (place + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - reach + 0.5));
    const end = Math.min(from, Math.trunc(centre + reach + 0.5));
    const shares = [];
    for (let at = first; at < end; at++) shares.push(Math.max(0, 1 - Math.abs((at - centre + 0.5) / reach)));
    const total = shares.reduce((sum, share) => sum + share, 0);
    const weights = shares.map((share) => Math.trunc(0.5 + (share / total) * 2 ** BITS));
    for (let number = 0; number < lines; number++) {
      for (let colour = 0; colour < 3; colour++) {
        let sum = 2 ** (BITS - 1);
        let at = number * line + first * next + colour;
        for (const weight of weights) {
          sum += pixels[at] * weight;
          at += next;
        }
        made[number * madeLine + place * madeNext + colour] = Math.min(255, Math.floor(sum / 2 ** BITS));
      }
    }
  }
  return made;
}
