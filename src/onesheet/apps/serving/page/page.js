import { decide, MEANINGS } from "./rules.js";
import { addSimilar, Heat } from "./looking.js";
import { markdown } from "./markdown.js";
import { startReview } from "./review.js";
import { get, getFile, hasToken, keepToken, Sender, TokenWanted } from "./service.js";
import { asCsv, asJson, bars, download, element, row } from "./shown.js";

const the = (id) => document.getElementById(id);
// {file, answer, unanswered, card, heat}: answer = an object of /v1/predict, unanswered = the service is at fault that
// it holds an error, card = its place in the list of posters
const items = [];
let model;
let sender;
let tenth; // of the posters done, as last said

const point = () => document.querySelector("#points input:checked").value;
const rule = () => model.card.operating_points[point()];
const decided = (answer) => decide(rule(), model.card.genres.map((genre) => answer.probabilities[genre]));
const answered = () => items.filter((item) => item.answer);

async function start() {
  let limits;
  try {
    [model, limits] = await Promise.all([get("/v1/model"), get("/v1/limits")]);
  } catch (error) {
    if (error instanceof TokenWanted) askToken();
    else the("status").textContent = error.message;
    return;
  }
  the("ask-token").hidden = true;
  the("model").textContent = `· ${model.name} · ${model.card.genres.length} genres`;
  the("promise").textContent = `Posters are sent to ${location.host} only, looked at in memory, and not kept.`;
  const megabytes = (limits.file_bytes / 1e6).toLocaleString();
  the("formats").textContent = `JPEG, PNG, WebP, GIF, TIFF, BMP or AVIF, up to ${megabytes} MB each`;
  the("about").hidden = !model.model_card;
  the("model-card").replaceChildren(...markdown(model.model_card));
  the("points").replaceChildren(
    ...Object.keys(MEANINGS).map((name, number) => {
      const input = element("input", { type: "radio", name: "point", value: name, defaultChecked: number === 0 });
      input.addEventListener("change", switchPoint);
      return element("label", {}, input, element("span", {}, name));
    }),
  );
  sender = new Sender(limits, answersCame);
  the("tools").hidden = false;
  switchPoint();
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

function add(files) {
  if (!sender) return;
  if (!files.length) {
    the("status").textContent = "There is no picture in that. Drop or paste a picture or its file, not its address or name.";
    return;
  }
  const added = [...files].map((file) => {
    const picture = element("div", { className: "picture" });
    const image = element("img", { alt: "", src: URL.createObjectURL(file) });
    image.addEventListener("load", () => (image.hidden = false));
    image.addEventListener("error", () => (image.hidden = true)); // no browser shows TIFF; its heat maps can be seen
    picture.append(image, element("span", { className: "note" }, "no preview"));
    const side = element("div", {}, element("h3", { className: "name" }, file.name), element("div", { className: "answer" }));
    const item = { file, image, answer: null, unanswered: false, card: element("li", { className: "poster" }, picture, side) };
    item.heat = new Heat(item, () => show(item), (words) => (the("status").textContent = words || summary()));
    return item;
  });
  items.push(...added);
  the("posters").append(...added.map((item) => item.card));
  added.forEach(show);
  the("results").hidden = false;
  send(added);
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
  lost.forEach(show);
  send(lost);
  the("choose").focus(); // the button is gone
}

function answersCame(some) {
  some.forEach(show);
  const done = answered().length;
  the("work").hidden = done === items.length;
  the("progress").max = items.length;
  the("progress").value = done;
  the("count").textContent = `${done.toLocaleString()} of ${items.length.toLocaleString()}`;
  if (done === items.length) {
    showTable();
    the("again").hidden = !items.some((item) => item.unanswered);
    the("status").textContent = summary();
  } else if (Math.floor((10 * done) / items.length) > tenth) { // who listens need not hear of each
    tenth = Math.floor((10 * done) / items.length);
    the("status").textContent = `Reading posters: ${the("count").textContent} done.`;
  }
}

function summary() {
  const lost = items.filter((item) => item.unanswered).length;
  const failed = answered().filter((item) => item.answer.error).length - lost;
  const right = answered().length - failed - lost;
  const words = [`${right.toLocaleString()} ${right === 1 ? "poster" : "posters"} answered`];
  if (failed) words.push(`${failed.toLocaleString()} could not be read`);
  if (lost) words.push(`${lost.toLocaleString()} got no answer from the service`);
  return items.length ? `${words.join(", ")}.` : "";
}

function show(item) {
  const { answer, card, heat } = item;
  const place = card.querySelector(".answer");
  if (!answer) place.replaceChildren(element("p", { className: "waiting" }, "Waiting …"));
  else if (answer.error) place.replaceChildren(element("p", { className: "error" }, answer.error));
  else {
    const open = place.querySelector("details")?.open;
    place.replaceChildren(...bars(answer, decided(answer), rule().thresholds, heat));
    if (model.offers.includes("similar")) addSimilar(item);
    if (open) place.querySelector("details").open = true;
  }
}

function showTable() {
  if (the("table-view").hidden) return;
  the("rows").replaceChildren(...answered().map(({ answer }) => row(answer, answer.error ? null : decided(answer))));
}

function switchPoint() {
  the("point-meaning").textContent = MEANINGS[point()];
  the("mark-key").hidden = !rule().thresholds;
  answered().forEach(show);
  showTable();
}

function view(table) {
  the("table-view").hidden = !table;
  the("posters").hidden = table;
  document.querySelector(".key-line").hidden = table;
  the("show-table").setAttribute("aria-pressed", table);
  the("show-posters").setAttribute("aria-pressed", !table);
  showTable();
}

function stop() {
  sender.stop();
  const left = items.splice(0).filter((item) => item.answer || (item.card.remove(), item.heat.forget()));
  items.push(...left);
  answersCame([]);
  the("results").hidden = !items.length;
}

the("ask-token").addEventListener("submit", (event) => {
  event.preventDefault();
  keepToken(the("token").value);
  start();
});
the("choose").addEventListener("change", (event) => {
  add(event.target.files);
  event.target.value = "";
});
document.addEventListener("paste", (event) => {
  if (!event.target.closest?.("input[type=password]")) add(event.clipboardData.files);
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
  add(event.dataTransfer.files);
});
the("stop").addEventListener("click", stop);
the("again").addEventListener("click", again);
the("clear").addEventListener("click", () => {
  items.forEach((item) => ((item.answer = null), item.card.remove()));
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
