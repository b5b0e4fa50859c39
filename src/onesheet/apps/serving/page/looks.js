// What is wrong with a picture before a model reads it.

const BLANK_SPREAD = 2; // grey levels, as in auditing.py
const SIDE = 64;

/** What a person should know of a shown picture; `size` = height and width that the model reads. */
export async function flagsOf(image, [height, width]) {
  const flags = [];
  if (image.naturalWidth > image.naturalHeight) flags.push("Landscape: the model expects an upright poster.");
  if (image.naturalWidth < width / 2 || image.naturalHeight < height / 2) {
    flags.push(`Tiny: ${image.naturalWidth} × ${image.naturalHeight} pixels.`);
  }
  if (await blank(image)) flags.push("Blank: one colour all over.");
  return flags;
}

async function blank(image) {
  await image.decode();
  const canvas = new OffscreenCanvas(SIDE, SIDE);
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.drawImage(image, 0, 0, SIDE, SIDE);
  const { data } = context.getImageData(0, 0, SIDE, SIDE);
  return [0, 1, 2].every((channel) => {
    const levels = data.filter((_, place) => place % 4 === channel);
    const mean = levels.reduce((total, level) => total + level, 0) / levels.length;
    return levels.reduce((total, level) => total + (level - mean) ** 2, 0) / levels.length < BLANK_SPREAD ** 2;
  });
}
