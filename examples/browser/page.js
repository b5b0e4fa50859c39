// The page: a model file and posters in, genres out. Nothing leaves this machine.
import { given, openModel } from "./onesheet.js";

const [modelFile, posterFiles, point, status, table] = ["model", "posters", "point", "status", "answers"].map((id) =>
  document.getElementById(id),
);
let model;
let answers = []; // {name, probabilities} or {name, error}

modelFile.addEventListener("change", () => attempt(open));
posterFiles.addEventListener("change", () => attempt(answer));
point.addEventListener("change", show);

async function attempt(step) {
  try {
    await step();
  } catch (error) {
    status.textContent = error.message;
  }
}

async function open() {
  model = await openModel(await modelFile.files[0].arrayBuffer());
  point.replaceChildren(...Object.keys(model.card.operating_points).map((name) => new Option(name)));
  point.value = "balanced";
  posterFiles.disabled = point.disabled = false;
  status.textContent = `${model.card.genres.length} genres. Choose posters.`;
  if (posterFiles.files.length) await answer();
}

async function answer() {
  answers = [];
  for (const file of posterFiles.files) {
    try {
      answers.push({ name: file.name, probabilities: await model.probabilities(await model.read(file)) });
    } catch (error) {
      answers.push({ name: file.name, error: error.message });
    }
  }
  status.textContent = `${answers.length} answered.`;
  show();
}

function show() {
  table.replaceChildren(...answers.map(({ name, probabilities, error }) => {
    const row = document.createElement("tr");
    row.insertCell().textContent = name;
    row.insertCell().textContent = error ? `cannot be read: ${error}` : inWords(probabilities);
    return row;
  }));
}

function inWords(probabilities) {
  const chosen = given(model.card.operating_points[point.value], probabilities);
  return model.card.genres
    .map((genre, column) => ({ genre, probability: probabilities[column], chosen: chosen[column] }))
    .filter((one) => one.chosen)
    .sort((one, other) => other.probability - one.probability)
    .map((one) => `${one.genre} ${(100 * one.probability).toFixed(0)} %`)
    .join(", ") || "no genre";
}
