// Segments: each connected piece of the asked mask is one question; one key when it is of one
// class, else brush, polygon, fill, or a cut into parts that are asked one by one.

import { byId, confirmed, make, toast } from "./dom.js";
import { NONE } from "./grid.js";
import { Outline } from "./outline.js";
import { Overlay, veil } from "./overlay.js";
import { LARGER, Painter, SMALLER } from "./painter.js";
import { byGuess, byLines, commonest, pixelsOf } from "./parts.js";
import { prefs } from "./prefs.js";
import { Questions } from "./questions.js";

const CLOSEST = 9; // CSS pixels per image pixel at which a small piece is shown
const MARCH_MS = 120;
const LONG = 200_000; // pixels in a piece's box above which its outline stands still
const PAINTING = ["brush", "eraser", "polygon", "fill"];

/** Asks for the class of pieces. */
export class Segments extends Questions {
  noun = "Piece";
  parts = null; // of the piece in question, once it is cut
  part = 0;
  #outline = null;
  #march = 0;
  #timer = 0;
  #cuts = [];

  constructor(desk, work) {
    if (work.claim.review) reviewed(work);
    super(desk, work);
    this.overlay = new Overlay(work.map, work.claim.height, work.width);
    const shown = { ...work.picture, overlay: this.overlay };
    desk.crop.show(shown);
    desk.around.show(shown);
    const { height } = work.claim;
    desk.whole.show({ ...shown, under: veil((pixel) => work.ids[pixel] > 0, height, work.width) });
    desk.crop.onMarks = (context, view) => this.#marks(context, view);
    desk.around.onMarks = desk.whole.onMarks = (context, view) => this.#box(context, view);
    this.painter = new Painter(desk.crop, work, this.overlay);
    this.painter.use(null);
    this.painter.onPick = (id) => this.#hold(id);
    this.painter.onCut = (from, to) => this.#cut(from, to);
    this.painter.onPatch = (patch) => this.#paint(patch);
    this.pointer = this.painter;
    this.wholePointer = { down: (event) => this.#pieceAt(desk.whole.at(event)) };
    work.onChange = (rect) => {
      this.overlay.refresh(rect);
      desk.crop.draw("labels");
      desk.whole.draw("labels");
      desk.around.draw("labels");
    };
    byId("strip").replaceChildren();
    this.looksChanged();
    const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    if (!calm) this.#timer = setInterval(() => this.#step(), MARCH_MS);
  }

  close() {
    this.painter.use(null);
    clearInterval(this.#timer);
    this.work.onChange = () => {};
  }

  looksChanged() {
    this.overlay.recolor(this.desk.palette.colors, this.desk.palette.hidden);
    this.desk.crop.draw();
    this.desk.whole.draw();
    this.desk.around.draw();
  }

  /** After a reload a piece that is being painted is still the one at hand. */
  staysAt({ item }) {
    return this.work.answerOf(item)?.action === "patch";
  }

  commands() {
    const tool = (key, name, icon, tool, hint) => ({
      keys: [key],
      name,
      icon,
      hint,
      place: "bar",
      run: () => this.use(tool),
      active: () => this.painter.tool === tool,
    });
    const painting = () => PAINTING.includes(this.painter.tool);
    return [
      {
        keys: ["escape"],
        name: "Answer whole pieces",
        short: "Answer",
        icon: "answer",
        place: "bar",
        run: () => this.escape(),
        active: () => !this.painter.tool,
      },
      tool("b", "Brush", "brush", "brush", "brush"),
      tool("e", "Eraser", "eraser", "eraser"),
      tool("p", "Polygon", "polygon", "polygon"),
      tool("f", "Fill", "fill", "fill"),
      {
        keys: ["x"],
        name: "Split: draw a line; again: by the model's guess",
        short: "Split",
        icon: "split",
        hint: "split",
        place: "bar",
        run: () => this.split(),
        active: () => this.painter.tool === "cut" || this.parts !== null,
      },
      { ...SMALLER, run: () => this.painter.resize(-1), enabled: painting },
      { ...LARGER, run: () => this.painter.resize(1), enabled: painting },
      {
        keys: ["backspace"],
        name: "Drop the polygon's last corner",
        run: () => this.painter.dropCorner(),
      },
      ...super.commands(),
    ];
  }

  get isPainting() {
    return PAINTING.includes(this.painter?.tool);
  }

  get guess() {
    return this.parts ? this.parts[this.part].guess : super.guess;
  }

  use(tool) {
    this.#cuts = [];
    if (PAINTING.includes(tool)) {
      this.parts = null;
      this.#hold(this.guess === NONE ? Math.max(this.painter.color, 0) : this.guess);
    }
    this.painter.use(tool);
    this.show();
  }

  escape() {
    if (this.painter.dropCorner(true)) return;
    this.parts = null;
    this.use(null);
  }

  /** A class chosen while painting is the paint; otherwise it is the answer. */
  choose(id) {
    if (this.isPainting) this.#hold(id);
    else if (this.parts) this.#answerPart(id);
    else super.choose(id);
  }

  give(answer, accepted = false) {
    if (this.parts && answer.action === "unsure") this.#answerPart(NONE);
    else super.give(answer, accepted);
  }

  accept() {
    if (this.painter.close()) return;
    if (this.isPainting) this.#endPainting();
    else if (this.parts && prefs.suggest) this.#answerPart(this.guess, true);
    else super.accept();
  }

  /** The answer that takes a suggestion; a review takes a piece of many classes as it is. */
  guessed(item) {
    return item.first ? { action: "patch", patch: item.first } : super.guessed(item);
  }

  split() {
    if (this.painter.tool !== "cut") {
      this.use("cut");
      toast("Draw a line across the piece, or press X again to split it by the model's guess.");
      return;
    }
    const parts = this.work.guess ? byGuess(this.work, this.item.item) : [];
    if (parts.length < 2) toast("The model sees one class here: draw a line.");
    else this.#ask(parts);
  }

  goTo(position) {
    this.parts = null;
    this.#cuts = [];
    this.painter.use(null);
    super.goTo(position);
  }

  undo() {
    if (this.painter.dropCorner()) return;
    const { parts, part, item } = this;
    const tool = this.painter.tool;
    const undone = this.work.canUndo ? this.work.undo() : null;
    if (undone === null) this.desk.reopen();
    else if (undone !== item.item) this.goTo(this.work.index.get(undone));
    else {
      this.parts = parts && part > 0 ? parts : null;
      this.part = Math.max(part - 1, 0);
      this.painter.use(tool);
      this.show();
    }
  }

  show() {
    this.painter.item = this.item.item;
    const { rect, inside } = this.#shape();
    this.#outline = new Outline(rect, inside, this.work.claim.height, this.work.width);
    this.desk.crop.draw("marks");
    super.show();
    if (this.isPainting) this.desk.palette.mark(this.painter.color, -1);
  }

  /** Puts the piece, with room around it, into the crop. */
  frame() {
    const { crop, whole } = this.desk;
    const rect = this.item;
    const side = Math.max(rect.bottom - rect.top, rect.right - rect.left);
    const margin = Math.max(10, side * 0.35) / prefs.zoom;
    crop.frame(() => crop.fit(rect, margin, CLOSEST * prefs.zoom));
    whole.frame(() => whole.fit(this.work.bounds));
    this.frameAround((rect.left + rect.right) / 2, (rect.top + rect.bottom) / 2);
  }

  title() {
    const of = super.title();
    if (this.parts) return `${of}, part ${this.part + 1} of ${this.parts.length}`;
    return this.isPainting ? `${of}: paint ${this.desk.palette.name(this.painter.color)}` : of;
  }

  chip() {
    if (!this.isPainting) return super.chip();
    const fill = make("button", { onclick: () => this.painter.fillRest(this.painter.color) });
    fill.append("Fill the rest");
    const done = make(
      "button",
      { className: "chip", onclick: () => this.accept() },
      "Done with it",
      make("kbd", { textContent: "Enter" }),
    );
    return make("span", { className: "chips" }, done, fill);
  }

  share() {
    const share = this.parts ? 1 : (this.item.guess_share ?? 1);
    const text = share < 0.995 ? `${Math.floor(share * 100)} %` : "";
    return make("span", { className: "quiet", textContent: text });
  }

  #shape() {
    const { item } = this.item;
    return this.parts
      ? this.parts[this.part]
      : { rect: this.work.rect(item), inside: this.work.inside(item) };
  }

  #hold(id) {
    this.painter.color = id;
    this.show();
  }

  #paint(patch) {
    this.#post(patch, false);
    this.show();
  }

  #post(patch, accepted) {
    const shown = prefs.suggest && this.item.guess !== NONE;
    this.work.answer([{ item: this.item.item, action: "patch", patch, shown, accepted }]);
  }

  #endPainting() {
    if (this.work.isOpen(this.item.item))
      toast("Nothing is painted yet. Esc goes back to whole pieces.");
    else this.advance(false);
  }

  /** Closes the image, after a word about pieces that are labelled in part. */
  async finish(byAnswer) {
    if (this.painter.isUnfinished()) return;
    const { work } = this;
    const left = work.open ? [] : work.items.filter(({ item }) => this.#isPartly(item));
    const title = `Pixels of ${left.length} piece${left.length > 1 ? "s" : ""} have no class yet`;
    const text = "Pixels without a class are left out of training.";
    if (!left.length || (await confirmed(title, text, "Finish anyway"))) super.finish(byAnswer);
    else this.goTo(work.index.get(left[0].item));
  }

  /** Whether pixels of a piece that was painted or split have none; a review may confirm that. */
  #isPartly(item) {
    const { work } = this;
    const isLeft = (pixel) => work.map[pixel] === NONE;
    const confirms = (pixel) => work.claim.review && work.base[pixel] === NONE;
    return (
      work.answerOf(item)?.action === "patch" &&
      pixelsOf(work, item).some((pixel) => isLeft(pixel) && !confirms(pixel))
    );
  }

  #cut(from, to) {
    this.#cuts.push([from, to]);
    const parts = byLines(this.work, this.item.item, this.#cuts);
    if (parts.length > 1) this.#ask(parts);
    else toast("The piece still hangs together: draw right across it, or one more line.");
    this.desk.crop.draw("marks");
  }

  #ask(parts) {
    this.parts = parts;
    this.part = 0;
    this.painter.use(null);
    this.show();
  }

  #answerPart(id, accepted = false) {
    const { work } = this;
    const { pixels, rect } = this.parts[this.part];
    for (const pixel of pixels) work.map[pixel] = id;
    this.#post(work.patch(this.item.item, rect), accepted);
    this.part += 1;
    if (this.part < this.parts.length) this.show();
    else this.advance();
  }

  #pieceAt({ x, y }) {
    const { width } = this.work;
    if (x < 0 || x >= width) return false;
    const pixel = Math.floor(y) * width + Math.floor(x);
    const position = this.work.index.get(this.work.ids[pixel]);
    if (position === undefined) return false;
    this.goTo(position);
    return true;
  }

  #step() {
    const { bottom, top, right, left } = this.item;
    if ((bottom - top) * (right - left) > LONG || document.hidden) return;
    this.#march = (this.#march + 1) % 10;
    this.desk.crop.draw("marks");
  }

  #marks(context, view) {
    this.#outline.draw(context, 1 / view.scale, this.#march);
    this.painter.marks(context, view);
  }

  #box(context, view) {
    const { top, left, bottom, right } = this.item;
    const px = 1 / view.scale;
    const room = 7 * px;
    for (const [color, line] of [
      ["#000c", 4],
      ["#fff", 1.8],
    ]) {
      context.strokeStyle = color;
      context.lineWidth = line * px;
      context.strokeRect(left - room, top - room, right - left + 2 * room, bottom - top + 2 * room);
    }
  }
}

/** In a review the first person's labels are the suggestion, piece by piece. */
function reviewed(work) {
  work.items = work.items.map((piece) => {
    if (!work.guess) return { ...piece, guess: NONE, guess_share: 1 };
    const pixels = pixelsOf(work, piece.item);
    const { guess, share } = commonest(work.guess, pixels);
    const first = share < 1 ? firstPatch(work, piece) : null;
    return { ...piece, guess, guess_share: share, first };
  });
}

function firstPatch(work, piece) {
  const { map, guess } = work;
  work.map = guess;
  const patch = work.patch(piece.item, piece);
  work.map = map;
  return patch;
}
