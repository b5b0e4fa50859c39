// Heat maps drawn here, from the maps that came with an answer.

// Inferno, as in explanations.py
const INFERNO = [
  [0, 0, 4], [33, 12, 74], [87, 16, 110], [138, 34, 106], [188, 55, 84],
  [228, 90, 49], [249, 142, 9], [249, 203, 53], [252, 255, 164],
];

function colour(strength) {
  const place = (strength / 255) * (INFERNO.length - 1);
  const low = Math.min(Math.floor(place), INFERNO.length - 2);
  return INFERNO[low].map((from, channel) => from + (INFERNO[low + 1][channel] - from) * (place - low));
}

/** Where a poster is in the picture that the model reads: left, top, width, height as shares. */
function placed({ size, resize }, width, height) {
  if (resize === "stretch") return [0, 0, 1, 1];
  const scale = Math.min(size[0] / height, size[1] / width);
  const [wide, high] = [(width * scale) / size[1], (height * scale) / size[0]];
  return [(1 - wide) / 2, (1 - high) / 2, wide, high];
}

/** Draw the map of a genre onto a canvas that covers a poster of width × height pixels; false where nothing speaks for it. */
export function drawHeat(canvas, { rows, columns, strengths }, column, card, [width, height]) {
  const bytes = Uint8Array.from(atob(strengths), (letter) => letter.charCodeAt(0));
  const map = bytes.subarray(column * rows * columns, (column + 1) * rows * columns);
  const small = new OffscreenCanvas(columns, rows);
  const pixels = new ImageData(columns, rows);
  map.forEach((strength, cell) => pixels.data.set([...colour(strength), 255], 4 * cell));
  small.getContext("2d").putImageData(pixels, 0, 0);
  canvas.width = 200;
  canvas.height = Math.max(1, Math.round((200 * height) / width));
  const [left, top, wide, high] = placed(card, width, height);
  const context = canvas.getContext("2d");
  context.imageSmoothingQuality = "high";
  context.drawImage(small, left * columns, top * rows, wide * columns, high * rows, 0, 0, canvas.width, canvas.height);
  return map.some(Boolean);
}
