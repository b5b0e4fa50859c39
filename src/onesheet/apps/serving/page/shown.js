// How an answer looks: a poster with bars, a row of the table, a line of a file.

const FORMULA = /^'*[=+\-@\t\r\n＝＋－＠]/u; // a cell that a spreadsheet would run, as in spreadsheets.py
const FIRST = 6; // bars shown at once, more where more are given

export const percent = (value) => `${(100 * value).toFixed(value < 0.1 ? 1 : 0)}\u00a0%`;

export function element(name, properties = {}, ...children) {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
}

/** Most probable first: [{genre, value, given, threshold}]; threshold undefined where the point has none. */
function ranked(answer, given, thresholds) {
  return Object.entries(answer.probabilities)
    .map(([genre, value], column) => ({ genre, value, given: given.has(column), threshold: thresholds?.[column] }))
    .sort((a, b) => b.given - a.given || b.value - a.value);
}

export function givenGenres(answer, given) {
  return ranked(answer, given).filter((row) => row.given);
}

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

function bar({ genre, value, given, threshold }, heat) {
  const drawn = drawnBar(value, threshold);
  const needed = threshold === undefined ? "" : `, given from ${percent(threshold)} on`;
  const spoken = element("span", { className: "unseen" }, given ? ", given" : ", not given", needed);
  const name = element("button", { type: "button", className: "plain", title: "Heat map" }, genre);
  name.setAttribute("aria-pressed", heat.shown === genre);
  name.addEventListener("click", () => heat.toggle(genre));
  const item = element("li", {}, name, element("span", {}, percent(value), spoken), drawn);
  if (threshold !== undefined) item.title = `${genre}: ${percent(value)}${needed}`;
  if (given) item.className = "given";
  return item;
}

/** What stands beside a poster; `heat` = {shown: genre or null, toggle(genre)}. */
export function bars(answer, given, thresholds, heat) {
  const rows = ranked(answer, given, thresholds);
  const first = Math.max(FIRST, given.size);
  const list = (part) => element("ul", { className: "genres" }, ...part.map((row) => bar(row, heat)));
  const parts = [list(rows.slice(0, first))];
  if (!given.size) parts.unshift(element("p", { className: "waiting" }, "No genre is sure enough."));
  if (rows.length > first) {
    const all = element("summary", {}, `${rows.length - first} more`);
    parts.push(element("details", {}, all, list(rows.slice(first))));
  }
  return parts;
}

/** A row of the table on the page. */
export function row(answer, given) {
  const genres = answer.error
    ? element("span", { className: "error" }, answer.error)
    : givenGenres(answer, given).map(({ genre, value }) => `${genre} ${percent(value)}`).join(", ") || "–";
  return element("tr", {}, element("th", { scope: "row" }, answer.path), element("td", {}, genres));
}

/** The objects of `onesheet predict --json`. */
export function asJson(answer, given) {
  if (answer.error) return answer;
  const genres = givenGenres(answer, given).map(({ genre, value }) => ({ genre, probability: value }));
  return { path: answer.path, genres, probabilities: answer.probabilities };
}

/** The columns of `onesheet predict --csv`; what looks like a formula gets an apostrophe in front. */
export function asCsv(answers, decided, names) {
  const neutral = (value) => (typeof value === "string" && FORMULA.test(value) ? `'${value}` : value);
  const quoted = (value) => `"${String(neutral(value) ?? "").replaceAll('"', '""')}"`;
  const lines = [["path", "genres", ...names, "error"]];
  for (const answer of answers) {
    const genres = answer.error ? "" : givenGenres(answer, decided(answer)).map(({ genre }) => genre).join("|");
    lines.push([answer.path, genres, ...names.map((name) => answer.probabilities?.[name]), answer.error]);
  }
  return lines.map((line) => line.map(quoted).join(",") + "\n").join("");
}
