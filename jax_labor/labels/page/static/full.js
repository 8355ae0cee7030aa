// Full masks: every pixel of a sample gets a class, with brush, polygon, fill and picker.

import { picture } from "./api.js";
import { button, refreshBar } from "./commands.js";
import { byId, confirmed, make, swatch, toast } from "./dom.js";
import { NONE } from "./grid.js";
import { Overlay } from "./overlay.js";
import { LARGER, Painter, SMALLER } from "./painter.js";
import { prefs, set } from "./prefs.js";
import { labelsOf } from "./work.js";

const MARGIN = 0.03; // of the image, around it
const GUESS_ALPHA = 0.45; // of the suggestion, beside the labels

/** Paints one whole image. */
export class Full {
  #guess = null;

  constructor(desk, work) {
    Object.assign(this, { desk, work });
    this.overlay = new Overlay(work.map, work.claim.height, work.width);
    const given = work.guess?.some((label) => label !== NONE);
    if (given && !work.claim.review)
      this.#guess = new Overlay(work.guess, work.claim.height, work.width);
    desk.crop.show({ ...work.picture, overlay: this.overlay });
    desk.crop.onMarks = (context, view) => this.painter.marks(context, view);
    this.painter = new Painter(desk.crop, work, this.overlay);
    this.painter.onPick = (id) => this.choose(id);
    this.painter.onPatch = (patch) => this.#post(patch, false);
    this.painter.onSize = () => this.#buildCard();
    this.pointer = this.painter;
    this.wholePointer = {};
    work.onChange = (rect) => {
      this.overlay.refresh(rect);
      desk.crop.draw("labels");
    };
    this.painter.keeps = prefs.keep;
    this.painter.use("brush");
    this.looksChanged();
  }

  close() {
    this.work.onChange = () => {};
    this.painter.use(null);
  }

  get #shown() {
    return this.#guess !== null && prefs.suggest;
  }

  looksChanged() {
    const { colors, hidden } = this.desk.palette;
    this.overlay.recolor(colors, hidden);
    this.#guess?.recolor(colors, hidden);
    this.desk.crop.under = this.#shown ? this.#guess.canvas : null;
    this.desk.crop.underAlpha = GUESS_ALPHA;
    this.desk.crop.draw();
  }

  commands() {
    const tool = (key, short, tool, hint, name = short) => ({
      keys: [key],
      name,
      short,
      hint,
      icon: tool,
      place: "bar",
      run: () => this.#use(tool),
      active: () => this.painter.tool === tool,
    });
    const { work } = this;
    return [
      tool("b", "Brush", "brush", "brush"),
      tool("e", "Eraser", "eraser", "eraser"),
      tool("p", "Polygon", "polygon", "polygon"),
      tool("f", "Fill", "fill", "fill", "Fill a region (Shift: this label everywhere)"),
      tool("i", "Picker", "picker", "pick a class"),
      {
        keys: ["h"],
        name: "Move",
        icon: "pan",
        place: "bar",
        run: () => this.#use(null),
        active: () => this.painter.tool === null,
      },
      { keys: ["ctrl+z"], name: "Undo", icon: "undo", place: "bar", run: () => this.undo() },
      {
        keys: ["ctrl+shift+z", "ctrl+y"],
        name: "Redo",
        icon: "redo",
        place: "bar",
        run: () => work.redo() !== null && this.show(),
        enabled: () => work.canRedo,
      },
      {
        keys: ["v"],
        name: "Fit the window",
        short: "Fit",
        icon: "fit",
        place: "bar",
        run: () => this.frame(),
      },
      { ...SMALLER, hint: "brush size", run: () => this.painter.resize(-1) },
      { ...LARGER, run: () => this.painter.resize(1) },
      { keys: ["k"], name: "Keep what is labelled", run: () => this.#keep() },
      {
        keys: ["g"],
        name: "Show or hide the suggestion",
        hint: "suggestion on/off",
        run: () => this.#toggle(),
      },
      {
        keys: ["enter"],
        name: "Close the polygon; else suggestion into what is unlabelled",
        run: () => this.#enter(),
      },
      { keys: ["c"], name: "Copy from the previous image", run: () => this.#copy() },
      {
        keys: ["x"],
        name: "Show or hide all labels",
        hint: "labels on/off",
        run: () => this.desk.palette.toggleAll(),
      },
      { keys: ["+"], name: "Zoom in", run: () => this.desk.crop.zoom(1.25) },
      { keys: ["-"], name: "Zoom out", run: () => this.desk.crop.zoom(0.8) },
      {
        keys: ["backspace"],
        name: "Drop the polygon's last corner",
        run: () => this.painter.dropCorner(),
      },
      { keys: ["escape"], name: "Drop the polygon", run: () => this.painter.dropCorner(true) },
      {
        keys: ["space"],
        name: "Hold and drag to move",
        hint: "hold: move",
        run: () => this.#grip(true),
      },
      { keys: ["s"], name: "Skip this image", run: () => this.#skip() },
      { keys: ["ctrl+enter"], name: "Done", run: () => this.finish() },
    ];
  }

  spaceUp() {
    this.#grip(false);
  }

  choose(id) {
    this.painter.color = id;
    if (["eraser", "picker", null].includes(this.painter.tool)) this.#use("brush");
    this.show();
  }

  undo() {
    if (this.painter.dropCorner()) return;
    if (!this.work.canUndo) this.desk.reopen();
    else this.work.undo();
    this.show();
  }

  /** Shows the whole image. */
  frame() {
    const { height, width } = this.work.claim;
    const { crop } = this.desk;
    crop.frame(() => crop.fit(this.work.bounds, MARGIN * Math.max(height, width)));
  }

  show() {
    const { work, desk, painter } = this;
    work.clock.turnTo(0);
    const left = work.map.reduce((count, label) => count + (label === NONE), 0);
    this.unlabelled = left / work.map.length;
    desk.palette.mark(painter.color, -1);
    desk.progress(work.map.length - left, work.map.length, "% labelled");
    this.#buildCard();
    refreshBar(desk.commands);
  }

  /** Closes the image, after a word about pixels without a class. */
  async finish() {
    if (this.painter.isUnfinished()) return;
    if (this.unlabelled === 1) {
      toast("Nothing is labelled yet. S skips this image.");
      return;
    }
    const share = (100 * this.unlabelled).toFixed(this.unlabelled < 0.1 ? 1 : 0);
    const text = "Pixels without a class are left out of training.";
    const ask = () => confirmed(`${share} % has no class yet`, text, "Finish anyway");
    if (this.unlabelled === 0 || (await ask())) this.desk.finish("answered");
  }

  #use(tool) {
    this.painter.use(tool);
    refreshBar(this.desk.commands);
  }

  #grip(held) {
    this.painter.moves = held;
    this.desk.crop.element.classList.toggle("grip", held);
  }

  #keep() {
    set({ keep: !prefs.keep });
    this.painter.keeps = prefs.keep;
    this.#buildCard();
  }

  #toggle() {
    if (!this.#guess) toast("There is no suggestion for this image.");
    set({ suggest: !prefs.suggest });
    this.looksChanged();
    this.#buildCard();
  }

  #enter() {
    if (this.painter.close()) return;
    if (!this.#shown) toast("There is no suggestion on show.");
    else this.#fillFrom(this.work.guess, true);
  }

  async #copy() {
    const { previous, round } = this.work.claim;
    if (!previous) {
      toast("There is no previous image.");
      return;
    }
    const url = `/api/rounds/${round}/images/${encodeURIComponent(previous)}/label`;
    const loaded = await picture(url).catch(() => null);
    if (this.desk.mode !== this) return; // this image is done
    if (loaded) this.#fillFrom(labelsOf(loaded), false);
    else toast("The previous image's labels cannot be read now.");
  }

  #fillFrom(labels, accepted) {
    if (labels.length !== this.work.map.length) {
      toast("The previous image has another size.");
      return;
    }
    this.accepting = accepted;
    const none = `The ${accepted ? "suggestion" : "previous image"} has no labels for what is left.`;
    if (!this.painter.fillRest(labels)) toast(this.unlabelled ? none : "Nothing is left to fill.");
    this.accepting = false;
  }

  #post(patch) {
    const answer = { item: 0, action: "patch", patch };
    this.work.answer([{ ...answer, shown: this.#shown, accepted: Boolean(this.accepting) }]);
    this.show();
  }

  async #skip() {
    const text = "It counts as seen, and what is painted is not used.";
    if (await confirmed("Skip this image?", text, "Skip it")) this.desk.finish("skipped");
  }

  #buildCard() {
    const { commands, palette } = this.desk;
    const named = (name) =>
      button(
        commands.find((command) => command.name.startsWith(name)),
        false,
      );
    const short = (name, text) => {
      const element = named(name);
      element.firstElementChild.textContent = text;
      return element;
    };
    const size = make("input", { type: "range", min: 1, max: 120, value: prefs.brush });
    size.setAttribute("aria-label", "Brush size");
    size.oninput = () => {
      set({ brush: Number(size.value) });
      number.textContent = `${prefs.brush} px`;
    };
    const number = make("span", { className: "number", textContent: `${prefs.brush} px` });
    const keep = short("Keep", "Keep labelled");
    keep.setAttribute("aria-pressed", String(prefs.keep));
    const guess = short("Show or hide the suggestion", "Suggestion");
    guess.setAttribute("aria-pressed", String(this.#shown));
    guess.disabled = !this.#guess;
    const take = short("Close", "Take it");
    take.disabled = !this.#shown;
    const copy = short("Copy", "Copy previous");
    copy.disabled = !this.work.claim.previous;
    const done = short("Done", "Done");
    done.classList.add("primary");
    byId("question").replaceChildren(
      make(
        "div",
        { className: "asked" },
        swatch(palette.colors[this.painter.color]),
        make("strong", { textContent: palette.name(this.painter.color) }),
      ),
      make("label", { className: "size" }, size, number),
      make("div", { className: "actions" }, keep, guess, take, copy, short("Skip", "Skip"), done),
    );
  }
}
