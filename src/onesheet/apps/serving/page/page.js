import { decide, POINTS } from "./rules.js";
import { flagsOf } from "./looks.js";
import { markdown } from "./markdown.js";
import { startReview } from "./review.js";
import { get, getFile, hasToken, keepToken, Sender, TokenWanted } from "./service.js";
import { asCsv, asJson, chips, download, element, percent } from "./shown.js";
import { Table } from "./table.js";
import { Viewer } from "./viewer.js";
import { inWords, metricsOf } from "./worth.js";

const AT_ONCE = 50; // cards made before the page may answer to something else

const the = (id) => document.getElementById(id);
// {file, address, answer, unanswered, card, flags}: address = of the picture, answer = an object of /v1/predict,
// unanswered = the service is at fault that it holds an error, card = its place in the list of posters
const items = [];
const inSight = new Set(); // items whose cards are near the window
let drawnAt = new WeakMap(); // item -> the operating point at which its card was drawn
let model;
let sender;
let viewer;
let table;
let tenth; // of the posters done, as last said

const point = () => document.querySelector("#points input:checked").value;
const rule = () => model.card.operating_points[point()];
const decided = (answer) => decide(rule(), model.card.genres.map((genre) => answer.probabilities[genre]));
const answered = () => items.filter((item) => item.answer);
const pause = () => new Promise((resolve) => setTimeout(resolve));

async function start() {
  let limits;
  try {
    [model, limits] = await Promise.all([get("/v1/model"), get("/v1/limits")]);
  } catch (error) {
    if (error instanceof TokenWanted) askToken();
    else {
      the("tools").hidden = false;
      the("status").textContent = error.message;
    }
    return;
  }
  the("ask-token").hidden = true;
  the("model-name").textContent = `· ${model.name} · ${model.card.genres.length} genres`;
  the("promise").textContent =
    model.promise ?? `Posters are sent to ${location.host} only, looked at in memory, and not kept.`;
  const megabytes = (limits.file_bytes / 1e6).toLocaleString();
  the("formats").textContent = `JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF, up to ${megabytes} MB each`;
  the("about").hidden = !model.model_card;
  the("model-card").replaceChildren(...markdown(model.model_card));
  the("points").replaceChildren(...Object.entries(POINTS).map(pointChoice));
  sender = new Sender(limits, answersCame);
  viewer = new Viewer(model, () => ({ card: model.card, point: point(), thresholds: rule().thresholds, decided }));
  table = new Table(items, model.card.genres, decided, (item) => viewer.open(table.shown, item, null));
  the("tools").hidden = false;
  switchPoint();
  showDrawn();
  const offers = new Set(model.offers);
  the("report").hidden = !offers.has("report");
  document.querySelector('#views a[href="#review"]').hidden = !offers.has("review");
  the("views").hidden = !offers.has("review") && !offers.has("report");
  if (offers.has("review")) {
    startReview();
    window.addEventListener("hashchange", switchView);
    switchView();
  }
}

function pointChoice([name, label], number) {
  const input = element("input", { type: "radio", name: "point", value: name, defaultChecked: number === 0 });
  input.addEventListener("change", switchPoint);
  const metrics = metricsOf(model.card, name);
  const said = metrics ? [element("small", {}, `${percent(metrics.precision)} right, ${percent(metrics.recall)} found`)] : [];
  return element("label", {}, input, element("span", {}, label, " ", ...said));
}

function switchView() {
  const reviewing = location.hash === "#review";
  the("posters-view").hidden = reviewing;
  the("review").hidden = !reviewing;
  for (const link of document.querySelectorAll("#views a")) {
    if (link.hash === (reviewing ? "#review" : "#posters-view")) link.setAttribute("aria-current", "page");
    else link.removeAttribute("aria-current");
  }
}

function askToken() {
  const shown = !the("ask-token").hidden;
  the("ask-token").hidden = false;
  the("token-error").textContent = shown ? "That is not the token." : "";
  the("token").focus();
}

/** The drawn posters, to try the model on. */
async function showDrawn() {
  const titles = model.samples;
  const pictures = await Promise.all(titles.map((_, number) => getFile(`/v1/samples/${number}`))).catch(() => []);
  the("drawn-posters").replaceChildren(
    ...pictures.map(({ blob }, number) => {
      const name = `${titles[number]}.jpg`;
      const picture = element("img", { src: URL.createObjectURL(blob), alt: "" });
      const button = element("button", { type: "button" }, picture, element("span", {}, titles[number]));
      button.addEventListener("click", () => add([new File([blob], name, { type: blob.type })]));
      return element("li", {}, button);
    }),
  );
  the("drawn").hidden = !pictures.length || items.length > 0;
}

async function add(files) {
  if (!sender) return;
  if (!files.length) {
    the("status").textContent = "There is no picture in that. Drop or paste a picture or its file, not its address or name.";
    return;
  }
  const added = files.map((file) => ({ file, address: null, answer: null, unanswered: false, card: null, flags: [] }));
  items.push(...added);
  showParts();
  for (let start = 0; start < added.length; start += AT_ONCE) {
    const some = added.slice(start, start + AT_ONCE);
    the("posters").append(...some.map(card));
    if (!start && !the("posters").hidden) requestAnimationFrame(() => bringUp(some[0].card));
    if (added.length > AT_ONCE) await pause();
    if (!items.includes(added[0])) return drop(some); // cleared meanwhile
  }
  send(added);
}

/** A poster's place in the list; what it says is drawn when it comes near the window. */
function card(item) {
  item.address = URL.createObjectURL(item.file);
  const image = element("img", { alt: "", loading: "lazy", decoding: "async" });
  image.addEventListener("load", () => look(item, image));
  image.addEventListener("error", () => {
    image.hidden = true; // no browser shows TIFF
    picture.ariaLabel += ", no preview";
  });
  image.src = item.address;
  const picture = element("button", { type: "button", className: "picture", ariaLabel: `Show ${item.file.name} large` });
  picture.append(image, element("span", { className: "note" }, "no preview"));
  picture.addEventListener("click", () => open(item, null));
  const name = element("h3", { className: "name", title: item.file.name }, item.file.name);
  const side = element("div", {}, name, element("div", { className: "answer" }));
  item.card = element("li", { className: "poster" }, picture, side);
  item.card.item = item;
  nearby.observe(item.card);
  return item.card;
}

const nearby = new IntersectionObserver(
  (changes) => {
    for (const { target, isIntersecting } of changes) {
      if (isIntersecting) inSight.add(target.item);
      else inSight.delete(target.item);
      if (isIntersecting) show(target.item);
    }
  },
  { rootMargin: "400px" },
);

const open = (item, genre) => viewer.open(items, item, genre);

async function look(item, image) {
  item.flags = await flagsOf(image, model.card.size).catch(() => []);
  if (!item.flags.length) return;
  drawnAt.delete(item);
  if (inSight.has(item)) show(item);
}

/** Scroll a part of the page to under the tools. */
function bringUp(part) {
  const smooth = !matchMedia("(prefers-reduced-motion: reduce)").matches;
  const top = scrollY + part.getBoundingClientRect().top - the("tools").offsetHeight - 8;
  scrollTo({ top, behavior: smooth ? "smooth" : "instant" });
}

function showParts() {
  const some = items.length > 0;
  document.body.classList.toggle("has-results", some);
  the("results").hidden = !some;
  the("drawn").hidden = some || !the("drawn-posters").children.length;
}

function send(some) {
  tenth = 0;
  the("again").hidden = true;
  the("status").textContent = `Reading ${some.length.toLocaleString()} ${some.length === 1 ? "poster" : "posters"}.`;
  sender.add(some);
}

function again() {
  const lost = items.filter((item) => item.unanswered);
  lost.forEach((item) => Object.assign(item, { answer: null, unanswered: false }));
  redraw(lost);
  send(lost);
  the("choose").focus(); // the button is gone
}

function answersCame(some) {
  redraw(some);
  viewer.answersCame(some);
  const done = answered().length;
  the("progress").hidden = the("stop").hidden = done === items.length;
  the("progress").max = items.length;
  the("progress").value = done;
  if (done === items.length) {
    table.arrange();
    the("again").hidden = !items.some((item) => item.unanswered);
    the("status").textContent = summary();
  } else if (Math.floor((10 * done) / items.length) > tenth) { // who listens need not hear of each
    tenth = Math.floor((10 * done) / items.length);
    the("status").textContent = `Reading posters: ${done.toLocaleString()} of ${items.length.toLocaleString()} done.`;
  }
}

function summary() {
  const lost = items.filter((item) => item.unanswered).length;
  const failed = answered().filter((item) => item.answer.error).length - lost;
  const right = answered().length - failed - lost;
  const words = [`${right.toLocaleString()} ${right === 1 ? "poster" : "posters"} read`];
  if (failed) words.push(`${failed.toLocaleString()} could not be read`);
  if (lost) words.push(`${lost.toLocaleString()} got no answer from the service`);
  return items.length ? `${words.join(", ")}.` : "";
}

function redraw(some) {
  some.forEach((item) => drawnAt.delete(item));
  some.filter((item) => inSight.has(item)).forEach(show);
}

/** Draw what a card says, unless it says so already. */
function show(item) {
  if (drawnAt.get(item) === point()) return;
  drawnAt.set(item, point());
  const { answer, flags } = item;
  const said = [];
  if (!answer) said.push(element("p", { className: "waiting" }, "Waiting …"));
  else if (answer.error) said.push(element("p", { className: "error" }, answer.error));
  else said.push(...chips(answer, decided(answer), { card: model.card, point: point() }, (genre) => open(item, genre)));
  said.push(...flags.map((flag) => element("p", { className: "flag" }, flag)));
  item.card.querySelector(".answer").replaceChildren(...said);
}

function switchPoint() {
  const metrics = metricsOf(model.card, point());
  const unknown = "This model file does not say how often its genres are right: export it again.";
  the("point-meaning").textContent = metrics ? inWords(metrics, model.card.measured) : unknown;
  inSight.forEach(show);
  table.forget();
}

function view(asTable) {
  the("table-view").hidden = !asTable;
  the("posters").hidden = asTable;
  the("show-table").setAttribute("aria-pressed", asTable);
  the("show-posters").setAttribute("aria-pressed", !asTable);
  table.arrange();
  requestAnimationFrame(() => bringUp(the("results")));
}

/** Take posters off the page. */
async function drop(some) {
  for (const [number, item] of some.entries()) {
    if (number % AT_ONCE === AT_ONCE - 1) await pause();
    if (item.card) nearby.unobserve(item.card);
    item.card?.remove();
    inSight.delete(item);
    if (item.address) URL.revokeObjectURL(item.address);
  }
}

function stop() {
  sender.stop();
  const all = items.splice(0);
  items.push(...all.filter((item) => item.answer));
  drop(all.filter((item) => !item.answer));
  answersCame([]);
  showParts();
}

the("ask-token").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(the("token").value);
  start();
});
the("choose").addEventListener("change", (event) => {
  add([...event.target.files]);
  event.target.value = "";
});
document.addEventListener("paste", (event) => {
  if (!event.target.closest?.("input")) add([...event.clipboardData.files]);
});
for (const kind of ["dragenter", "dragover"]) {
  document.addEventListener(kind, (event) => {
    event.preventDefault();
    document.body.classList.add("dragging");
  });
}
document.addEventListener("dragleave", (event) => {
  if (!event.relatedTarget) document.body.classList.remove("dragging");
});
document.addEventListener("drop", (event) => {
  event.preventDefault();
  document.body.classList.remove("dragging");
  add([...event.dataTransfer.files]);
});
the("stop").addEventListener("click", stop);
the("again").addEventListener("click", again);
the("clear").addEventListener("click", () => {
  items.forEach((item) => (item.answer = null));
  stop();
  the("choose").focus();
});
the("show-posters").addEventListener("click", () => view(false));
the("show-table").addEventListener("click", () => view(true));
the("csv").addEventListener("click", () => {
  const answers = answered().map((item) => item.answer);
  download("genres.csv", new Blob([asCsv(answers, decided, model.card.genres)], { type: "text/csv" }));
});
the("json").addEventListener("click", () => {
  const answers = answered().map(({ answer }) => asJson(answer, answer.error ? null : decided(answer)));
  download("genres.json", new Blob([JSON.stringify(answers, null, 1)], { type: "application/json" }));
});
the("report").addEventListener("click", async (event) => {
  if (!hasToken()) return; // a link cannot show the token
  event.preventDefault();
  const say = (error) => (the(location.hash === "#review" ? "review-said" : "status").textContent = error.message);
  await getFile("/report").then(({ blob }) => download("report.html", blob)).catch(say);
});
start();
