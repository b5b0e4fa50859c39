// The table of all posters: only the rows in sight are in the document, so that thousands stay quick.

import { element, percent, predictedGenres } from "./shown.js";

const HEIGHT = 72; // of a row, as in page.css
const BEYOND = 6; // rows above and below those in sight

const the = (id) => document.getElementById(id);
const order = new Intl.Collator(undefined, { numeric: true }).compare;
const NOTHING = { name: "", genres: "\uffff", highest: -1 }; // of errors, which come last

export class Table {
  /** The items in the order of the table, of those that pass the filters. */
  shown = [];
  #items;
  #decided;
  #open;
  #rows = new Map(); // item -> its row in the document
  #sort = { by: null, falling: false };
  #known = new WeakMap(); // answer -> what it sorts and filters by

  /** `items` = all of the page; `decided(answer)` = its columns; `open(item)` shows it large. */
  constructor(items, genres, decided, open) {
    this.#items = items;
    this.#decided = decided;
    this.#open = open;
    the("filter-genre").replaceChildren(...["", ...genres].map((name) => new Option(name || "any", name)));
    for (const id of ["filter-name", "filter-genre", "filter-kind"]) the(id).addEventListener("input", () => this.arrange());
    for (const button of document.querySelectorAll("[data-sort]")) {
      button.addEventListener("click", () => this.#sortBy(button));
    }
    the("table-scroll").addEventListener("scroll", () => requestAnimationFrame(() => this.#draw()));
    new ResizeObserver(() => this.#draw()).observe(the("table-scroll"));
  }

  /** The operating point has changed. */
  forget() {
    this.#known = new WeakMap();
    this.#clear();
    this.arrange();
  }

  /** Filter, sort and draw. */
  arrange() {
    if (the("table-view").hidden) return;
    const name = the("filter-name").value.toLowerCase();
    const genre = the("filter-genre").value;
    const kind = the("filter-kind").value;
    const done = this.#items.filter((item) => item.answer);
    this.shown = done.filter((item) => {
      const { names } = this.#about(item.answer);
      const wanted = { "": true, none: !item.answer.error && !names.length, errors: Boolean(item.answer.error) }[kind];
      return wanted && (!genre || names.includes(genre)) && item.file.name.toLowerCase().includes(name);
    });
    const { by, falling } = this.#sort;
    const key = (item) => (by === "name" ? item.file.name : item.answer.error ? NOTHING[by] : this.#about(item.answer)[by]);
    if (by) {
      const compare = by === "highest" ? (a, b) => key(a) - key(b) : (a, b) => order(key(a), key(b));
      this.shown.sort((a, b) => (falling ? compare(b, a) : compare(a, b)));
    }
    const all = this.shown.length === done.length;
    the("filtered").textContent = all ? "" : `${this.shown.length.toLocaleString()} of ${done.length.toLocaleString()} posters`;
    this.#clear();
    this.#draw();
  }

  #clear() {
    this.#rows.clear();
    the("rows").replaceChildren();
  }

  #sortBy(button) {
    const by = button.dataset.sort;
    const rising = by !== "highest"; // the surest first
    this.#sort = this.#sort.by === by ? { by, falling: !this.#sort.falling } : { by, falling: !rising };
    for (const heading of document.querySelectorAll("th:has([data-sort])")) heading.removeAttribute("aria-sort");
    button.parentElement.setAttribute("aria-sort", this.#sort.falling ? "descending" : "ascending");
    this.arrange();
  }

  #about(answer) {
    if (answer.error) return { names: [] };
    if (!this.#known.has(answer)) {
      const rows = predictedGenres(answer, this.#decided(answer));
      const names = rows.map((row) => row.genre);
      const highest = Math.max(...Object.values(answer.probabilities));
      const words = rows.map(({ genre, value }) => `${genre} ${percent(value)}`).join(", ") || "–";
      this.#known.set(answer, { names, highest, words, genres: names.join(", ") || "\ufffe" });
    }
    return this.#known.get(answer);
  }

  #draw() {
    const place = the("table-scroll");
    if (the("table-view").hidden) return;
    const first = Math.max(0, Math.floor(place.scrollTop / HEIGHT) - BEYOND);
    const last = Math.min(this.shown.length, Math.ceil((place.scrollTop + place.clientHeight) / HEIGHT) + BEYOND);
    const wanted = this.shown.slice(first, last);
    const kept = new Set(wanted);
    for (const [item, row] of this.#rows) {
      if (kept.has(item)) continue;
      if (row.contains(document.activeElement)) place.focus({ preventScroll: true });
      row.remove();
      this.#rows.delete(item);
    }
    const rows = wanted.map((item, number) => {
      if (!this.#rows.has(item)) this.#rows.set(item, this.#row(item, first + number));
      return this.#rows.get(item);
    });
    const gap = (count) => {
      const row = element("tr", { className: "gaps", ariaHidden: "true" }, element("td", { colSpan: 4, className: "gap" }));
      row.firstChild.style.height = `${count * HEIGHT}px`;
      return row;
    };
    place.querySelector("table").setAttribute("aria-rowcount", this.shown.length + 1);
    const held = document.activeElement;
    the("rows").replaceChildren(gap(first), ...rows, gap(this.shown.length - last));
    if (the("rows").contains(held)) held.focus({ preventScroll: true });
  }

  #row(item, number) {
    const { answer, file, address } = item;
    const picture = element("button", { type: "button", className: "thumbnail", ariaLabel: `Show ${file.name} large` });
    const image = element("img", { src: address, alt: "", decoding: "async" });
    image.addEventListener("error", () => (image.hidden = true)); // no browser shows TIFF
    picture.append(image);
    picture.addEventListener("click", () => this.#open(item));
    const about = this.#about(answer);
    const words = answer.error ?? about.words;
    const row = element(
      "tr",
      {},
      element("td", {}, picture),
      element("th", { scope: "row", title: file.name }, element("span", {}, file.name)),
      element("td", { className: answer.error ? "error" : "", title: words }, element("span", {}, words)),
      element("td", {}, answer.error ? "" : percent(about.highest)),
    );
    row.setAttribute("aria-rowindex", number + 2);
    return row;
  }
}
