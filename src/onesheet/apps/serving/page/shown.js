// How an answer looks: a poster's card, a bar, a line of a file.

import { worth } from "./worth.js";

const FORMULA = /^'*[=+\-@\t\r\n＝＋－＠]/u; // a cell that a spreadsheet would run, as in spreadsheets.py
const OTHERS = 4; // genres not predicted that a card shows

export const percent = (value) => (value > 0 && value < 0.005 ? "<1%" : `${Math.round(100 * value)}%`);

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Predicted first, then the most probable: [{genre, column, value, predicted}]. */
export function ranked(answer, predicted) {
  return Object.entries(answer.probabilities)
    .map(([genre, value], column) => ({ genre, column, value, predicted: predicted.has(column) }))
    .sort((a, b) => b.predicted - a.predicted || b.value - a.value);
}

export const predictedGenres = (answer, predicted) => ranked(answer, predicted).filter((row) => row.predicted);

export function download(name, blob) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

/** How likely a genre is, drawn. */
export function drawnBar(value, threshold) {
  const length = element("i");
  length.style.width = `${100 * value}%`;
  const drawn = element("span", { className: "bar", ariaHidden: "true" }, length);
  if (threshold !== undefined) {
    const mark = element("b");
    mark.style.left = `${100 * threshold}%`;
    drawn.append(mark);
  }
  return drawn;
}

/** What a predicted genre is worth, as elements; none where nothing was measured. */
export function worthOf(card, point, { genre, column }) {
  const found = worth(card, point, column);
  if (!found) return [];
  const said = element("small", {}, found.words, element("span", { className: "unseen" }, ` when it says ${genre}`));
  return found.longShot ? [said, element("small", { className: "long-shot" }, "long shot")] : [said];
}

function chip(row, card, point, open) {
  const said = worthOf(card, point, row);
  const button = element("button", { type: "button", title: ["Heat map", said[0]?.textContent].filter(Boolean).join("; ") });
  button.append(element("b", {}, row.genre), ` ${percent(row.value)} `, ...said);
  button.addEventListener("click", () => open(row.genre));
  return element("li", { className: said.length > 1 ? "doubtful" : "" }, button);
}

/** What stands beside a poster; `open(genre)` shows it large. */
export function chips(answer, predicted, { card, point }, open) {
  const rows = ranked(answer, predicted);
  const given = rows.filter((row) => row.predicted);
  const others = rows.slice(given.length, given.length + OTHERS);
  const more = element("button", { type: "button", className: "plain" }, `All ${rows.length} genres`);
  more.addEventListener("click", () => open(null));
  return [
    given.length
      ? element("ul", { className: "chips", ariaLabel: "Predicted genres" }, ...given.map((row) => chip(row, card, point, open)))
      : element("p", { className: "waiting" }, "No genre is sure enough."),
    element("p", { className: "others" }, ...others.map((row) => element("span", {}, `${row.genre} ${percent(row.value)}`)), more),
  ];
}

/** The objects of `onesheet predict --json`. */
export function asJson(answer, predicted) {
  if (answer.error) return { path: answer.path, error: answer.error };
  const genres = predictedGenres(answer, predicted).map(({ genre, value }) => ({ genre, probability: value }));
  return { path: answer.path, genres, probabilities: answer.probabilities };
}

/** The columns of `onesheet predict --csv`; what looks like a formula gets an apostrophe in front. */
export function asCsv(answers, decided, names) {
  const neutral = (value) => (typeof value === "string" && FORMULA.test(value) ? `'${value}` : value);
  const quoted = (value) => `"${String(neutral(value) ?? "").replaceAll('"', '""')}"`;
  const lines = [["path", "genres", ...names, "error"]];
  for (const answer of answers) {
    const genres = answer.error ? "" : predictedGenres(answer, decided(answer)).map(({ genre }) => genre).join("|");
    lines.push([answer.path, genres, ...names.map((name) => answer.probabilities?.[name]), answer.error]);
  }
  return lines.map((line) => line.map(quoted).join(",") + "\n").join("");
}
