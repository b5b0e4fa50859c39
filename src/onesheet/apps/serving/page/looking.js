// Why a poster got its genres: heat maps over it, and the posters most like it.

import { getFile, postFile } from "./service.js";
import { element, percent } from "./shown.js";

/** The heat map over one poster of the page. */
export class Heat {
  shown = null; // the genre
  #poster; // addresses of the pictures
  #map = null;
  #item;
  #changed;
  #notify;

  constructor(item, changed, notify) {
    this.#item = item;
    this.#poster = item.image.src;
    this.#changed = changed;
    this.#notify = notify;
  }

  /** Show the map of a genre, or the poster again. */
  async toggle(genre) {
    this.shown = this.shown === genre ? null : genre;
    this.#changed();
    this.#focus(genre);
    if (!this.shown) {
      this.#notify("");
      return this.#show(null);
    }
    try {
      const { blob, brightest } = await getFile(`/v1/explain?genre=${encodeURIComponent(genre)}`, this.#item.file);
      if (this.shown !== genre) return; // another was asked for meanwhile
      this.#show(URL.createObjectURL(blob));
      const seen = brightest ? "bright where the poster speaks for it" : "all grey, as nothing in the poster speaks for it";
      this.#notify(`Heat map of ${genre} over ${this.#item.file.name}: ${seen}.`);
    } catch (error) {
      if (this.shown === genre) await this.toggle(genre); // the poster again
      this.#notify(error.message);
    }
  }

  forget() {
    this.#show(null);
    URL.revokeObjectURL(this.#poster);
  }

  #show(map) {
    if (this.#map) URL.revokeObjectURL(this.#map);
    this.#map = map;
    this.#item.image.src = map ?? this.#poster;
    this.#item.image.alt = map ? `Heat map of ${this.shown}` : "";
  }

  #focus(genre) {
    const names = [...this.#item.card.querySelectorAll("button.plain")];
    names.find((button) => button.textContent === genre)?.focus();
  }
}

/** Add what opens the nearest posters, once. */
export function addSimilar({ file, card }) {
  if (card.querySelector(".similar")) return;
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
  card.append(opened);
}
