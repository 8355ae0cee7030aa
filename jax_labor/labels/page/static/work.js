// One claimed image at work: the log of answers, what they make of the label map, undo and redo.
// The label map is the log, read from the start: the same fold as the server's.

import { picture, uuid } from "./api.js";
import { apply, eachPixel, encode, NONE } from "./grid.js";

/** Pictures of a claim: photo, guess uint8[h*w], ids int32[h*w] of a mask's pieces. */
export async function loadPictures(claim) {
  const wanted = [claim.image, claim.guess, claim.segments, claim.review?.label];
  const loaded = await Promise.all(wanted.map((url) => (url ? picture(url) : null)));
  const [photo, guess, segments, first] = loaded;
  return {
    photo,
    guess: labelsOf(claim.review ? first : guess),
    ids: values(segments, (red, green, blue) => (red << 16) | (green << 8) | blue, Int32Array),
  };
}

/** The ids of a label picture, uint8[h * w]; null without one. */
export const labelsOf = (bitmap) => values(bitmap, (red) => red, Uint8Array);

function values(bitmap, combine, Kind) {
  if (!bitmap) return null;
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d", {
    willReadFrequently: true,
  });
  context.drawImage(bitmap, 0, 0);
  const { data } = context.getImageData(0, 0, bitmap.width, bitmap.height);
  const result = new Kind(bitmap.width * bitmap.height);
  for (let i = 0; i < result.length; i++) {
    result[i] = combine(data[4 * i], data[4 * i + 1], data[4 * i + 2]);
  }
  return result;
}

/** The answers to one claim. */
export class Work {
  #log = new Map(); // by id: {id, item, action, class?, patch?, undone}
  #byItem = new Map();
  #open = new Set();
  #steps = []; // what undo takes back: ids given together
  #redo = [];

  onAnswer = () => {}; // (entries) to be sent
  onChange = () => {}; // (rect of the label map or null)

  constructor(claim, pictures, clock) {
    Object.assign(this, { claim, clock, ...pictures });
    this.width = claim.width;
    const base = claim.review && claim.kind !== "points" ? pictures.guess : null;
    // a review starts from the first person's labels: what is left alone is confirmed
    this.base = base ?? new Uint8Array(claim.height * claim.width).fill(NONE);
    this.map = this.base.slice();
    this.bounds = { top: 0, left: 0, bottom: claim.height, right: claim.width };
    this.items = claim.items.map((item) => ({ ...item, guess: item.guess ?? NONE }));
    this.index = new Map(claim.items.map((item, index) => [item.item, index]));
    claim.items.forEach(({ item }) => this.#open.add(item));
    for (const entry of claim.answers) this.#take(entry);
  }

  /** What a view shows: the photo, in the coordinates of the label map. */
  get picture() {
    const { height, width } = this.claim;
    return { photo: this.photo, height, width };
  }

  /** Number of items without an answer. */
  get open() {
    return this.#open.size;
  }

  get done() {
    return this.items.length - this.open;
  }

  get canUndo() {
    return this.#steps.length > 0;
  }

  get canRedo() {
    return this.#redo.length > 0;
  }

  isOpen(item) {
    return this.#open.has(item);
  }

  /** The answer that counts for an item, or null. */
  answerOf(item) {
    return this.#byItem.get(item)?.findLast(({ undone }) => !undone) ?? null;
  }

  /** Whether a pixel belongs to an item. */
  inside(item) {
    const { ids } = this;
    return ids ? (pixel) => ids[pixel] === item : () => true;
  }

  /** The box around an item's pixels. */
  rect(item) {
    return this.ids ? this.items[this.index.get(item)] : this.bounds;
  }

  /** Position of the first open item after position `from`, round the end; -1 if none is open. */
  nextOpen(from) {
    for (let step = 1; step <= this.items.length; step++) {
      const position = (from + step) % this.items.length;
      if (this.isOpen(this.items[position].item)) return position;
    }
    return -1;
  }

  /** Takes answers [{item, action, class?, patch?, shown, accepted}] as one step. */
  answer(answers) {
    const spent = this.clock.take(answers.length);
    const entries = answers.map((answer, index) => {
      const effort = index ? { ms: 0, clicks: 0, keys: 0 } : spent;
      return { id: uuid(), ...effort, ...answer };
    });
    entries.forEach((entry) => this.#take(entry));
    this.#mergeSteps(entries.length);
    this.#redo = [];
    this.onAnswer(entries);
  }

  /** The label map's present state in `rect`, as a patch of an item. */
  patch(item, rect) {
    return encode(this.map, this.width, rect, this.inside(item));
  }

  /** Takes back the last step; returns the item it was about, or null. */
  undo() {
    const step = this.#steps.pop();
    if (!step) return null;
    this.#redo.push(step);
    return this.#flip(step, "undo");
  }

  /** Gives the last step taken back again. */
  redo() {
    const step = this.#redo.pop();
    if (!step) return null;
    this.#steps.push(step);
    return this.#flip(step, "redo");
  }

  #flip(step, action) {
    const spent = this.clock.take(0);
    const plain = { class: undefined, shown: false, accepted: false };
    const entries = step.map((target, index) => {
      const effort = index ? { ms: 0, clicks: 0, keys: 0 } : spent;
      return {
        id: uuid(),
        item: target.item,
        action,
        target: target.id,
        ...effort,
        ...plain,
      };
    });
    step.forEach((target) => (target.undone = action === "undo"));
    new Set(step.map(({ item }) => item)).forEach((item) => this.#refold(item));
    this.onAnswer(entries);
    return step.at(-1).item;
  }

  #take(entry) {
    if (entry.action === "undo" || entry.action === "redo") {
      const target = this.#log.get(entry.target);
      if (!target) return;
      target.undone = entry.action === "undo";
      this.#steps = this.#steps.filter((step) => step[0] !== target);
      if (!target.undone) this.#steps.push([target]);
      this.#refold(target.item);
      return;
    }
    const record = { ...entry, undone: entry.undone ?? false };
    const { item } = record;
    this.#log.set(record.id, record);
    if (!this.#byItem.has(item)) this.#byItem.set(item, []);
    this.#byItem.get(item).push(record);
    if (record.undone) return;
    this.#open.delete(item);
    this.#steps.push([record]);
    this.onChange(this.#draw(record));
  }

  #mergeSteps(count) {
    if (count > 1) this.#steps.push(this.#steps.splice(-count).flat());
  }

  #refold(item) {
    const rect = this.rect(item);
    const live = (this.#byItem.get(item) ?? []).filter(({ undone }) => !undone);
    if (live.length) this.#open.delete(item);
    else this.#open.add(item);
    if (this.claim.kind !== "points") {
      this.#paint(item, this.base);
      live.forEach((record) => this.#draw(record));
    }
    this.onChange(this.claim.kind === "points" ? null : rect);
  }

  #draw(record) {
    if (this.claim.kind === "points") return null;
    const { item, action, patch } = record;
    if (action !== "patch") return this.#paint(item, action === "class" ? record.class : NONE);
    apply(patch, this.map, this.width, this.inside(item));
    const { top, left, height, width } = patch;
    return { top, left, bottom: top + height, right: left + width };
  }

  /** Gives an item's pixels one class, or what another label map says. */
  #paint(item, value) {
    const [rect, inside] = [this.rect(item), this.inside(item)];
    const fixed = typeof value === "number";
    eachPixel(rect, this.width, (pixel) => {
      if (inside(pixel)) this.map[pixel] = fixed ? value : value[pixel];
    });
    return rect;
  }
}
