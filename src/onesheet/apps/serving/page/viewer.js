// A poster large, in a dialog: its genres, and where the picture speaks for them.

import { drawHeat } from "./heat.js";
import { getFile, postFile } from "./service.js";
import { drawnBar, element, percent, ranked, worthOf } from "./shown.js";

const the = (id) => document.getElementById(id);

export class Viewer {
  #items = []; // those that the arrows go through
  #at = 0;
  #genre = null;
  #model;
  #rule; // () => {card, point, thresholds, decided}
  #address = null; // of a picture that only the service can show
  #asked = 0;

  constructor(model, rule) {
    this.#model = model;
    this.#rule = rule;
    the("viewer-close").addEventListener("click", () => the("viewer").close());
    the("viewer-previous").addEventListener("click", () => this.#go(-1));
    the("viewer-next").addEventListener("click", () => this.#go(1));
    the("viewer-opacity").addEventListener("input", () => this.#fade());
    the("viewer").addEventListener("close", () => this.#forget());
    the("viewer").addEventListener("click", (event) => event.target === the("viewer") && the("viewer").close());
    the("viewer").addEventListener("keydown", (event) => {
      const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
      if (!step || event.target === the("viewer-opacity")) return;
      event.preventDefault();
      this.#go(step);
    });
  }

  /** Show one of some items; `genre` = the one whose heat map to show, null = none. */
  open(items, item, genre) {
    this.#items = items;
    this.#at = items.indexOf(item);
    this.#genre = genre;
    if (!the("viewer").open) the("viewer").showModal();
    this.#show();
  }

  /** Some items have their answers now. */
  answersCame(some) {
    if (the("viewer").open && some.includes(this.#item)) this.#show();
  }

  #go(step) {
    const next = this.#at + step;
    if (!this.#items[next]) return;
    this.#at = next;
    this.#show();
  }

  get #item() {
    return this.#items[this.#at];
  }

  #show() {
    const { file, address, answer } = this.#item;
    the("viewer-name").textContent = file.name;
    the("viewer-place").textContent = `${(this.#at + 1).toLocaleString()} of ${this.#items.length.toLocaleString()}`;
    the("viewer-previous").ariaDisabled = this.#at === 0; // not disabled, which would lose the focus
    the("viewer-next").ariaDisabled = this.#at === this.#items.length - 1;
    the("viewer-said").textContent = answer?.error ?? "";
    the("viewer-flags").replaceChildren(...this.#item.flags.map((flag) => element("li", {}, flag)));
    the("viewer-poster").src = address;
    this.#similar();
    this.#genres();
    this.#heat();
  }

  #genres() {
    const { answer } = this.#item;
    if (!answer?.probabilities) return the("viewer-genres").replaceChildren();
    const { card, point, thresholds, decided } = this.#rule();
    const rows = ranked(answer, decided(answer)).map((row) => {
      const name = element("button", { type: "button", className: "plain", ariaPressed: row.genre === this.#genre }, row.genre);
      name.addEventListener("click", () => this.#choose(row.genre));
      const worth = row.predicted ? worthOf(card, point, row) : [];
      const value = element("span", {}, percent(row.value), element("span", { className: "unseen" }, row.predicted ? ", predicted" : ""));
      return element("li", { className: row.predicted ? "given" : "" }, name, value, drawnBar(row.value, thresholds?.[row.column]), ...worth);
    });
    the("viewer-genres").replaceChildren(...rows);
  }

  #choose(genre) {
    this.#genre = this.#genre === genre ? null : genre;
    for (const button of the("viewer-genres").querySelectorAll("button")) {
      button.ariaPressed = button.textContent === this.#genre;
    }
    this.#heat();
  }

  /** Show the chosen genre's map over the poster, or the poster alone. */
  async #heat() {
    const asked = (this.#asked += 1);
    const item = this.#item;
    const genre = item.answer?.probabilities ? this.#genre : null;
    const seen = () => asked === this.#asked && the("viewer").open;
    the("viewer-spinner").hidden = false;
    the("viewer-heat").hidden = the("viewer-slide").hidden = true;
    the("viewer-said").textContent = item.answer?.error ?? "";
    const image = the("viewer-poster");
    image.style.filter = "";
    if (this.#address) this.#forget(item.address);
    const shown = await image.decode().then(() => true).catch(() => false);
    if (!seen()) return;
    image.hidden = !shown;
    try {
      if (genre && shown && item.answer.maps) this.#draw(item, genre);
      else if (genre) await this.#ask(item, genre, seen); // no browser shows TIFF, and not every model has maps
      else if (!shown && !item.answer?.error) the("viewer-said").textContent = "This browser cannot show the picture; its heat maps can be seen.";
    } catch (error) {
      if (seen()) the("viewer-said").textContent = error.message;
    }
    if (seen()) the("viewer-spinner").hidden = true;
  }

  #draw(item, genre) {
    const image = the("viewer-poster");
    const size = [image.naturalWidth, image.naturalHeight];
    const column = this.#model.card.genres.indexOf(genre);
    const seen = drawHeat(the("viewer-heat"), item.answer.maps, column, this.#model.card, size);
    the("viewer-heat").hidden = the("viewer-slide").hidden = !seen;
    this.#fade();
    this.#say(genre, seen);
  }

  async #ask(item, genre, seen) {
    const { blob, brightest } = await getFile(`/v1/explain?genre=${encodeURIComponent(genre)}`, item.file);
    if (!seen()) return;
    this.#address = the("viewer-poster").src = URL.createObjectURL(blob);
    the("viewer-poster").hidden = false;
    this.#say(genre, brightest);
  }

  #say(genre, seen) {
    the("viewer-said").textContent = seen ? `Bright where the poster speaks for ${genre}.` : `Nothing in the poster speaks for ${genre}.`;
  }

  #fade() {
    const share = the("viewer-opacity").value / 100;
    the("viewer-heat").style.opacity = share;
    the("viewer-poster").style.filter = the("viewer-heat").hidden ? "" : `grayscale(${share})`;
  }

  /** The posters most like this one, when they are asked for. */
  #similar() {
    the("viewer-similar").replaceChildren();
    const { file, answer } = this.#item;
    if (!this.#model.offers.includes("similar") || !answer?.probabilities) return;
    const list = element("ol", { className: "neighbours", ariaLive: "polite" });
    const opened = element("details", { className: "similar" }, element("summary", {}, "Similar posters"), list);
    opened.addEventListener("toggle", async () => {
      if (!opened.open || list.querySelector("img")) return;
      list.replaceChildren(element("li", {}, "Looking …"));
      try {
        const { neighbours } = await postFile("/v1/similar", file);
        list.replaceChildren(
          ...neighbours.map(({ name, similarity, picture }) =>
            element("li", {}, element("img", { src: picture, alt: "" }), `${percent(similarity)} alike`, element("span", {}, name)),
          ),
        );
      } catch (error) {
        list.replaceChildren(element("li", { className: "error" }, error.message));
      }
    });
    the("viewer-similar").append(opened);
  }

  #forget(address = "") {
    if (this.#address) URL.revokeObjectURL(this.#address);
    this.#address = null;
    if (address) the("viewer-poster").src = address;
  }
}
