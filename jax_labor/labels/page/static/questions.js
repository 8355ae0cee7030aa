// What points and segments share: one question at a time, answered with one key.

import { button, refreshBar } from "./commands.js";
import { byId, confirmed, make, swatch, toast } from "./dom.js";
import { NONE } from "./grid.js";
import { keepPlace, place, prefs, set } from "./prefs.js";

const ZOOM_STEP = 1.25;

/** Asks the items of one image. Subclasses place the view and mark the item. */
export class Questions {
  constructor(desk, work) {
    Object.assign(this, { desk, work });
    const kept = work.index.get(place(work.claim)) ?? -1;
    const isKept =
      kept >= 0 &&
      (work.open === 0 || work.isOpen(work.items[kept].item) || this.staysAt(work.items[kept]));
    this.position = Math.max(isKept ? kept : work.nextOpen(-1), 0);
  }

  /** The item in question. */
  get item() {
    return this.work.items[this.position];
  }

  /** Class that is suggested here, NONE without one. */
  get guess() {
    return this.item.guess ?? NONE;
  }

  /** Whether a suggestion can be taken: in a review, leaving it unlabelled is one too. */
  get hasGuess() {
    return this.guess !== NONE || Boolean(this.work.claim.review && this.work.guess);
  }

  staysAt() {
    return false;
  }

  commands() {
    const undo = () => this.undo();
    return [
      {
        keys: ["enter"],
        name: "Take the suggestion",
        hint: "take suggestion",
        run: () => this.accept(),
      },
      {
        keys: ["u"],
        name: "Unsure",
        place: "card",
        hint: "unsure",
        run: () => this.give({ action: "unsure" }),
      },
      {
        keys: ["s"],
        name: "Skip",
        place: "card",
        hint: "skip",
        run: () => this.give({ action: "skip" }),
      },
      { keys: ["ctrl+z"], name: "Undo", short: "Undo", place: "card", hint: "undo", run: undo },
      { keys: ["ctrl+shift+z", "ctrl+y"], name: "Redo", run: () => this.redo() },
      {
        keys: ["arrowright", "arrowdown", "tab"],
        name: "Next",
        hint: "next",
        run: () => this.move(1),
      },
      {
        keys: ["arrowleft", "arrowup", "shift+tab"],
        name: "Back",
        hint: "back",
        run: () => this.move(-1),
      },
      { keys: ["."], name: "Next open one", run: () => this.advance(false) },
      { keys: ["+"], name: "Zoom in", hint: "zoom in", run: () => this.zoom(ZOOM_STEP) },
      { keys: ["-"], name: "Zoom out", hint: "zoom out", run: () => this.zoom(1 / ZOOM_STEP) },
      {
        keys: ["g"],
        name: "Show or hide suggestions",
        hint: "suggestions on/off",
        run: () => this.toggleGuess(),
      },
      {
        keys: ["shift+enter"],
        name: "Take all remaining suggestions",
        run: () => this.acceptAll(),
      },
      { keys: ["shift+s"], name: "Skip the whole image", run: () => this.skipImage() },
      { keys: ["ctrl+enter"], name: "Finish the image", run: () => this.finish() },
    ];
  }

  /** A class was chosen by key or click. */
  choose(id) {
    this.give({ action: "class", class: id });
  }

  /** Answers the item in question and goes on. */
  give(answer, accepted = false) {
    const shown = prefs.suggest && this.guess !== NONE;
    this.work.answer([{ item: this.item.item, shown, accepted, ...answer }]);
    this.advance();
  }

  accept() {
    if (!this.hasGuess) toast("There is no suggestion here: choose a class.");
    else if (!prefs.suggest) toast("Suggestions are hidden: G shows them.");
    else this.give(this.guessed(this.item), true);
  }

  /** The answer that takes an item's suggestion. */
  guessed(item) {
    return item.guess === NONE ? { action: "unsure" } : { action: "class", class: item.guess };
  }

  async acceptAll() {
    const open = this.work.items.filter((item) => this.work.isOpen(item.item));
    const given = open.filter((item) => (item.guess ?? NONE) !== NONE || this.hasGuess);
    if (!given.length || !prefs.suggest) return;
    const text = "Each gets the class that is suggested for it. One undo takes all of them back.";
    if (!(await confirmed(`Take ${given.length} suggestions?`, text, "Take them"))) return;
    this.work.answer(
      given.map((item) => ({
        item: item.item,
        shown: true,
        accepted: true,
        ...this.guessed(item),
      })),
    );
    this.advance();
  }

  async skipImage() {
    const text = "It counts as seen, and none of its answers are used.";
    if (await confirmed("Skip this image?", text, "Skip it")) this.desk.finish("skipped");
  }

  /** To the next open item; when none is left the image is done, by an answer just given or not. */
  advance(byAnswer = true) {
    const next = this.work.nextOpen(this.position);
    if (next < 0) this.finish(byAnswer);
    else this.goTo(next);
  }

  finish(byAnswer = false) {
    if (!this.work.open) this.desk.finish("answered", byAnswer);
    else toast(`${this.work.open} still open.`);
  }

  move(by) {
    const { length } = this.work.items;
    this.goTo((this.position + by + length) % length);
  }

  goTo(position) {
    this.position = position;
    this.frame();
    this.show();
  }

  undo() {
    const item = this.work.undo();
    if (item === null) this.desk.reopen();
    else this.goTo(this.work.index.get(item));
  }

  redo() {
    const item = this.work.redo();
    if (item !== null) this.goTo(this.work.index.get(item));
  }

  zoom(factor) {
    set({ zoom: Math.min(Math.max(prefs.zoom * factor, 0.1), 10) });
    this.frame();
  }

  toggleGuess() {
    set({ suggest: !prefs.suggest });
    this.show();
  }

  /** Shows the question; the views stay where they are. */
  show() {
    const { work, desk, item } = this;
    keepPlace(work.claim, item.item);
    work.clock.turnTo(item.item);
    this.buildCard();
    const answer = work.answerOf(item.item);
    const chosen = answer?.action === "class" ? answer.class : -1;
    desk.palette.mark(chosen, prefs.suggest ? this.guess : -1);
    desk.progress(work.done, work.items.length);
    refreshBar(desk.commands);
  }

  /** Puts the surroundings of image point (x, y), halfway between crop and whole image, on show. */
  frameAround(x, y) {
    const { crop, whole, around } = this.desk;
    const { width, height } = this.work.claim;
    around.frame(() => {
      const scale = Math.sqrt(crop.scale * whole.scale);
      const within = (value, window, image) => {
        const half = Math.min(window / scale, image) / 2;
        return Math.min(Math.max(value, half), image - half);
      };
      around.center(within(x, around.width, width), within(y, around.height, height), scale);
    });
  }

  /** What the card says the question is. */
  title() {
    return `${this.noun} ${this.position + 1} of ${this.work.items.length}`;
  }

  buildCard() {
    const answer = this.work.answerOf(this.item.item);
    const cards = this.desk.commands.filter(({ place }) => place === "card");
    const state = answer ? make("span", { className: "given" }, this.describe(answer)) : "";
    byId("question").replaceChildren(
      make("div", { className: "asked" }, make("strong", { textContent: this.title() }), state),
      this.chip(),
      make("div", { className: "actions" }, ...cards.map((c) => button(c, false))),
    );
  }

  describe(answer) {
    const words = { unsure: "unsure", skip: "skipped", patch: "painted" };
    return `answered: ${words[answer.action] ?? this.desk.palette.name(answer.class)}`;
  }

  /** The suggestion, to be taken with Enter or a tap. */
  chip() {
    const { guess, desk } = this;
    if (!this.hasGuess)
      return make("span", { className: "chip none", textContent: "no suggestion" });
    if (!prefs.suggest) {
      return make(
        "button",
        { className: "chip none", onclick: () => this.toggleGuess() },
        "suggestion hidden",
        make("kbd", { textContent: "G" }),
      );
    }
    const color = guess === NONE ? [128, 128, 128] : desk.palette.colors[guess];
    return make(
      "button",
      { className: "chip", onclick: () => this.accept(), title: "Take the suggestion" },
      swatch(color),
      make("span", { className: "name", textContent: desk.palette.name(guess) }),
      this.share(),
      make("kbd", { textContent: "Enter" }),
    );
  }

  share() {
    return "";
  }
}
