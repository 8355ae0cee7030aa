// The list of classes at the side: colour, name, key, visibility; and how the pictures look.

import { safeColors } from "./colors.js";
import { byId, icon, make, swatch } from "./dom.js";
import { classKeys, keyLabel } from "./keys.js";
import { PLAIN_LOOKS, prefs, set } from "./prefs.js";

/** The classes of a round. `onChoose(id)` hears of a choice, `onLooks()` of a change of looks. */
export class Palette {
  hidden = new Set();
  onChoose = () => {};
  onLooks = () => {};
  #rows = [];

  constructor(classes) {
    this.classes = classes;
    this.keys = classKeys(classes.map(({ name }) => name));
    this.#build();
    this.#listen();
  }

  /** Colours [r, g, b] by class id, of the table or the colour-blind-safe ones. */
  get colors() {
    return prefs.safe ? this.#safe() : this.classes.map(({ color }) => color);
  }

  /** Name of a class; 255 has none. */
  name(id) {
    return this.classes[id]?.name ?? "no class";
  }

  /** The class that a key chooses, or -1. */
  classOf(key) {
    return key ? this.keys.indexOf(key) : -1;
  }

  /** Marks the class that paints (or answered) and the one that is suggested. */
  mark(chosen, suggested) {
    this.#rows.forEach((row, id) => {
      row.classList.toggle("chosen", id === chosen);
      row.classList.toggle("suggested", id === suggested);
      row.firstElementChild.setAttribute("aria-pressed", String(id === chosen));
    });
    for (const id of [suggested, chosen]) this.#rows[id]?.scrollIntoView({ block: "nearest" });
  }

  #safeColors = null;

  #safe() {
    this.#safeColors ??= safeColors(this.classes.length);
    return this.#safeColors;
  }

  #build() {
    const colors = this.colors;
    this.#rows = this.classes.map(({ name }, id) => {
      const key = this.keys[id];
      const label = make("span", { className: "name", textContent: name, title: name });
      const choose = make(
        "button",
        { className: "choose", onclick: () => this.onChoose(id) },
        swatch(colors[id]),
        label,
        make("kbd", { textContent: keyLabel(key).replace("Shift ", "⇧") }),
      );
      const eye = make(
        "button",
        { className: "eye", onclick: () => this.#show([id], this.hidden.has(id)) },
        icon("eye"),
      );
      eye.setAttribute("aria-label", `Show ${name}`);
      eye.setAttribute("aria-pressed", String(!this.hidden.has(id)));
      return make("li", {}, choose, eye);
    });
    byId("classes").replaceChildren(...this.#rows);
  }

  /** Shows classes or hides them: all at once, for the pictures are coloured anew. */
  #show(ids, shown) {
    for (const id of ids) {
      if (shown) this.hidden.delete(id);
      else this.hidden.add(id);
      this.#rows[id].classList.toggle("off", !shown);
      this.#rows[id].lastElementChild.setAttribute("aria-pressed", String(shown));
    }
    this.onLooks();
  }

  /** Hides all labels, or shows them again. */
  toggleAll() {
    this.#show(this.classes.keys(), this.hidden.size === this.classes.length);
  }

  #filter(text) {
    const wanted = text.trim().toLowerCase();
    this.#rows.forEach((row, id) => {
      row.hidden = !this.classes[id].name.toLowerCase().includes(wanted);
    });
  }

  #listen() {
    const filter = byId("filter");
    filter.oninput = () => this.#filter(filter.value);
    filter.onkeydown = (event) => {
      if (event.key !== "Enter" && event.key !== "Escape") return;
      const first = this.#rows.findIndex((row) => !row.hidden);
      if (event.key === "Enter" && filter.value && first >= 0) this.onChoose(first);
      filter.value = "";
      this.#filter("");
      filter.blur();
      event.stopPropagation();
      event.preventDefault();
    };
    for (const name of ["opacity", "brightness", "contrast"]) {
      byId(name).oninput = () => this.#look({ [name]: Number(byId(name).value) });
    }
    byId("pixelated").onchange = () => this.#look({ pixelated: byId("pixelated").checked });
    byId("safe").onchange = () => {
      this.#look({ safe: byId("safe").checked });
      this.#rows.forEach((row, id) => {
        row.querySelector(".swatch").replaceWith(swatch(this.colors[id]));
      });
    };
    byId("plain-looks").onclick = () => this.#look(PLAIN_LOOKS);
    this.#look({});
  }

  #look(changes) {
    set(changes);
    for (const name of ["opacity", "brightness", "contrast"]) byId(name).value = prefs[name];
    for (const name of ["pixelated", "safe"]) byId(name).checked = prefs[name];
    const { style } = document.documentElement;
    style.setProperty("--opacity", prefs.opacity);
    style.setProperty("--photo", `brightness(${prefs.brightness}) contrast(${prefs.contrast})`);
    this.onLooks();
  }
}
