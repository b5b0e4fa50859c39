// The review: a film at a time, decided with the mouse or the keyboard.

import { startLearning } from "./learning.js";
import { get, getFile, NoAnswer, postJson } from "./service.js";
import { download, drawnBar, element, percent } from "./shown.js";

const AHEAD = 10; // films asked for at a time
const NUMBERED = 9; // genres that a digit ticks
const KEYS = { a: "accept", c: "correct", m: "model", s: "skip", u: "undo", p: "previous", n: "next", Enter: "save" };
const REASONS = { suspect: "suspect labels", unsure: "the model is unsure", "no-genres": "no genres" };
const PRESSED = "a, button, summary, select, textarea, input:not([type=checkbox])"; // what does something else on a key
const DONE = { accept: "accepted", correct: "corrected", skip: "skipped", undo: "taken back" };

const the = (id) => document.getElementById(id);
const films = []; // of GET /v1/review, those decided here among them
const made = []; // ids of the decisions made here
const timesAsked = {}; // path -> number
const unkept = new Map(); // film -> the genres ticked and not decided yet
let genres;
let queue = 0; // how often it was asked for from its front
let at = -1;
let ticked = new Set();
let busy = false;

const say = (words) => (the("review-said").textContent = words);
const name = (film) => film.title || film.film;
const starting = (film) => [film.decision?.genres, film.genres, film.predicted].find((names) => names?.length) ?? [];
const changed = () => films[at] && [...ticked].sort().join("|") !== [...starting(films[at])].sort().join("|");
const address = (kind, film) => `/v1/review/${kind}/${encodeURIComponent(film.film)}`;

export function startReview() {
  const actions = {
    accept: () => decide("accept"),
    correct: () => decide("correct"),
    model: takeModel,
    save: () => decide(changed() ? "correct" : "accept"),
    skip: () => decide("skip"),
    undo,
    previous: () => go(at - 1),
    next: () => go(at + 1),
  };
  const run = async (action) => {
    if (busy || (the("case").hidden && action !== "undo")) return;
    busy = true;
    await actions[action]().catch((error) => say(error.message));
    busy = false;
  };
  for (const action of Object.keys(actions)) the(action)?.addEventListener("click", () => run(action));
  document.addEventListener("keydown", (event) => {
    if (location.hash !== "#review" || event.ctrlKey || event.altKey || event.metaKey) return;
    if (event.target.matches(event.key === "Enter" ? PRESSED : "select, textarea, input:not([type=checkbox])")) return;
    if (KEYS[event.key]) run(KEYS[event.key]);
    else if (/^[1-9]$/.test(event.key)) the("case-genres").querySelectorAll("input")[event.key - 1]?.click();
    else return;
    event.preventDefault();
  });
  the("export").addEventListener("click", async () => {
    const got = getFile("/v1/review/export");
    await got.then(({ blob }) => download("corrected.csv", blob)).catch((error) => say(error.message));
  });
  the("history").addEventListener("toggle", showHistory);
  the("review-reason").replaceChildren(new Option("any", ""), ...Object.entries(REASONS).map(([value, words]) => new Option(words, value)));
  for (const id of ["review-reason", "review-genre"]) the(id).addEventListener("change", () => startQueue().catch((error) => say(error.message)));
  startLearning(startQueue);
  window.addEventListener("hashchange", open);
  open();
}

async function open() {
  if (location.hash !== "#review") return;
  if (films.length) show();
  else await go(0).catch((error) => say(error.message));
}

/** Ask for the queue from its front: it is filtered or sorted anew. */
async function startQueue() {
  queue += 1;
  films.length = 0;
  at = -1;
  the("case").hidden = true;
  await go(0);
}

const filters = () => `&reason=${the("review-reason").value}&genre=${encodeURIComponent(the("review-genre").value)}`;

function showGenres(names) {
  if (genres?.join() === names.join()) return;
  genres = names;
  the("review-genre").replaceChildren(new Option("any", ""), ...names.map((name) => new Option(name, name)));
}

/** Go to a film; at the end, ask for more. */
async function go(number) {
  if (number < 0) return say("This is the first film.");
  if (number >= films.length) {
    const last = films.at(-1);
    const query = last ? `&after=${encodeURIComponent(last.film)}` : "";
    const asked = queue;
    const found = await get(`/v1/review?limit=${AHEAD}${query}${filters()}`);
    if (asked !== queue) return; // filtered or sorted anew meanwhile
    showGenres(found.genres);
    films.push(...found.films);
    if (number >= films.length) {
      await showCounts();
      return say(films.length ? "That was the last film of the queue." : "There is nothing to review.");
    }
  }
  at = number;
  say("");
  show();
}

async function decide(action) {
  const film = films[at];
  if (action === "accept" && changed()) return say("You have ticked other genres: Correct keeps them.");
  if (action === "correct" && !changed()) return say("These are its genres already: tick others first, or Accept.");
  if (action === "correct" && !ticked.size) return say("A film needs at least one genre: tick one, or Skip.");
  const { status, body } = await keep(address("films", film), { action, genres: [...ticked], version: film.version });
  if (status === 409) {
    unkept.delete(film.film);
    films[at] = body.now;
    show();
    return say("Decided in another tab or by another person meanwhile; this is how it stands now.");
  }
  if (status !== 200) return say(body.error);
  unkept.delete(film.film);
  films[at] = body;
  made.push(body.decision.id);
  const said = `${name(film)} ${DONE[action]}.`;
  await go(at + 1);
  say(`${said} ${the("review-said").textContent}`);
  if (films[at].film === film.film) show();
}

/** Decide that the film has the predicted genres. */
async function takeModel() {
  const film = films[at];
  if (!film.predicted.length) return say("The model predicts no genre here: tick one, or Skip.");
  ticked = new Set(film.predicted);
  unkept.set(film.film, ticked);
  await decide(changed() ? "correct" : "accept");
}

/** POST what must not be lost. */
async function keep(path, value) {
  try {
    return await postJson(path, value);
  } catch (error) {
    if (!(error instanceof NoAnswer)) throw error;
    throw new Error("Not kept: the service does not answer; start it again and press the key again.");
  }
}

/** Take back the last decision made here; after a reload, the last one of the history. */
async function undo() {
  if (!made.length) {
    const { history } = await get("/v1/review/history");
    const undone = new Set(history.map((row) => row.undoes));
    const last = history.find((row) => row.action !== "undo" && !undone.has(row.id));
    if (!last) return say("There is nothing to undo.");
    made.push(last.id);
  }
  if (!genres) showGenres((await get("/v1/review?limit=1")).genres);
  const { status, body } = await keep("/v1/review/undo", { decision: made.at(-1) });
  made.pop();
  if (status !== 200) return say(body.error);
  if (!body.now) return say("Taken back; the film is in this queue no more.");
  const known = films.findIndex((film) => film.film === body.now.film);
  at = known >= 0 ? known : Math.max(at, 0);
  unkept.delete(body.now.film);
  films.splice(at, known >= 0 ? 1 : 0, body.now);
  show();
  say(`Taken back: ${name(body.now)}.`);
}

function show() {
  const film = films[at];
  the("case").hidden = false;
  the("case-title").textContent = film.year ? `${name(film)} (${film.year})` : name(film);
  the("case-why").textContent = why(film);
  ticked = unkept.get(film.film) ?? new Set(starting(film));
  the("case-genres").replaceChildren(...ranked(film).map((genre, number) => genreRow(film, genre, number)));
  mark();
  the("case-title").focus();
  const heat = ranked(film).find((genre) => genre in film.probabilities);
  const poster = picture(the("case-poster"), address("posters", film));
  const rest = Promise.all([poster, showHeat(film, heat), showCounts(), showHistory()]);
  rest.catch((error) => say(error.message)); // the next key need not wait for it
}

function why(film) {
  if (film.reason === "unsure") return "The model is not sure of any genre.";
  if (film.reason === "no-genres") return "The catalogue lists no genre; the predicted ones are ticked.";
  const doubts = film.doubted.map((genre) => {
    const likely = percent(film.probabilities[genre]);
    return `${film.genres.includes(genre) ? "" : "not "}labelled ${genre}, which the model predicts with ${likely}`;
  });
  return `A label may be wrong: it is ${doubts.join("; ")}.`;
}

/** Doubted first, then what it is labelled or predicted, then the likeliest. */
function ranked(film) {
  const named = (genre) => starting(film).includes(genre) || film.predicted.includes(genre);
  const rank = (genre) => 4 * film.doubted.includes(genre) + 2 * named(genre) + (film.probabilities[genre] ?? 0);
  return [...genres].sort((one, other) => rank(other) - rank(one));
}

function genreRow(film, genre, number) {
  const value = film.probabilities[genre];
  const box = element("input", { type: "checkbox", checked: ticked.has(genre) });
  box.addEventListener("change", () => {
    if (box.checked) ticked.add(genre);
    else ticked.delete(genre);
    unkept.set(film.film, ticked);
    mark();
  });
  const label = element("label", {}, box, ` ${genre}`);
  if (number < NUMBERED) {
    box.setAttribute("aria-keyshortcuts", number + 1);
    label.append(" ", element("kbd", { ariaHidden: "true" }, String(number + 1)));
  }
  if (value === undefined) return element("li", {}, label, element("span", { title: "unknown to the model" }, "–"));
  const given = film.predicted.includes(genre);
  const of = element("span", { className: "unseen" }, ` of ${genre}`);
  const heat = element("button", { type: "button", className: "plain" }, "map", of);
  heat.addEventListener("click", () => showHeat(film, genre));
  const spoken = element("span", { className: "unseen" }, given ? ", predicted" : "");
  const said = element("span", {}, heat, ` ${percent(value)}`, spoken);
  return element("li", { className: given ? "given" : "" }, label, said, drawnBar(value));
}

function mark() {
  the("accept").classList.toggle("dim", changed());
  the("correct").classList.toggle("dim", !changed());
  const { decision } = films[at];
  const said = [decision && `Already ${DONE[decision.action]}.`, changed() && "Ticked and not kept yet: Correct keeps it."];
  the("case-state").textContent = said.filter(Boolean).join(" ");
}

async function showHeat(film, genre) {
  the("case-heat-genre").textContent = genre ? `What speaks for ${genre}` : "";
  the("case-heat").alt = genre ? `Heat map of ${genre}` : "";
  if (!genre) return;
  const seen = await picture(the("case-heat"), `${address("heat-maps", film)}?genre=${encodeURIComponent(genre)}`).catch(
    (error) => (the("case-heat-genre").textContent = error.message),
  );
  if (seen === "") the("case-heat-genre").textContent = `Nothing in the poster speaks for ${genre}: all grey`;
}

/** Show a picture of the service, unless another was asked for meanwhile; where a heat map is brightest. */
async function picture(image, path) {
  image.dataset.path = path;
  const { blob, brightest } = await getFile(path);
  if (image.dataset.path !== path) return;
  if (image.src) URL.revokeObjectURL(image.src);
  image.src = URL.createObjectURL(blob);
  return brightest;
}

/** What the service answers, or nothing if it was asked again meanwhile: it may be from before the last decision. */
async function getNewest(path) {
  const asking = (timesAsked[path] = (timesAsked[path] ?? 0) + 1);
  const answer = await get(path);
  return asking === timesAsked[path] ? answer : undefined;
}

async function showCounts() {
  const newest = await getNewest("/v1/review?limit=1");
  if (!newest) return;
  const { about, counts } = newest;
  the("review-about").textContent = about;
  const waiting = Object.keys(REASONS).filter((reason) => counts[reason]);
  const parts = waiting.map((reason) => `${counts[reason].toLocaleString()} ${REASONS[reason]}`);
  const made = `Decided: ${counts.decided.toLocaleString()}, skipped: ${counts.skipped.toLocaleString()}.`;
  the("review-counts").textContent = `Films to look at: ${parts.join(", ") || "none"}. ${made}`;
  const done = counts.decided + counts.skipped;
  const total = done + waiting.reduce((sum, reason) => sum + counts[reason], 0);
  the("review-progress").max = Math.max(total, 1);
  the("review-progress").value = done;
  the("review-place").textContent = `${done.toLocaleString()} of ${total.toLocaleString()}`;
}

async function showHistory() {
  if (!the("history").open) return;
  const newest = await getNewest("/v1/review/history");
  if (!newest) return;
  const rows = newest.history.map((row) => {
    const film = films.find((one) => one.film === row.film);
    const what = [`${film ? name(film) : row.film} ${DONE[row.action]}`, ...row.genres].join(", ");
    return element("li", {}, `${new Date(row.at).toLocaleString()}: ${what}`);
  });
  the("history-rows").replaceChildren(...rows);
}
