// Tools that change pixels of one item: brush, eraser, polygon, fill, picker, and the cutting line.

import { toast } from "./dom.js";
import { capsule, clip, eachPixel, flood, NONE, polygon, union } from "./grid.js";
import { prefs, set } from "./prefs.js";

const NEAR = 12; // CSS pixels within which a click closes the polygon
const WIDEST = 400;

/** The brush's keys; brackets take AltGr on many keyboards, arrows on none. */
export const SMALLER = { keys: ["[", "shift+arrowdown"], name: "Smaller brush" };
export const LARGER = { keys: ["]", "shift+arrowup"], name: "Larger brush" };

/** The tool in hand, on one view and one item of the work. */
export class Painter {
  tool = null; // brush | eraser | polygon | fill | picker | cut; null moves the image
  item = 0;
  color = 0;
  corners = [];
  keeps = false; // leaves alone what is labelled
  moves = false; // space is held: drag moves the image
  onPick = () => {};
  onCut = () => {};
  onPatch = () => {}; // (patch)
  onSize = () => {};
  #stroke = null;
  #cursor = null;

  constructor(view, work, overlay) {
    Object.assign(this, { view, work, overlay });
  }

  /** Takes another tool; a stroke is finished on its own item, an unfinished polygon is dropped. */
  use(tool) {
    this.endStroke();
    this.tool = tool;
    this.corners = [];
    this.view.element.dataset.tool = tool ?? "";
    this.view.draw("marks");
  }

  /** Makes the brush wider (+1) or narrower (-1). */
  resize(direction) {
    const step = Math.max(1, Math.round(prefs.brush * 0.2));
    set({ brush: Math.min(Math.max(prefs.brush + direction * step, 1), WIDEST) });
    this.view.draw("marks");
    this.onSize();
    return true;
  }

  wheel(direction) {
    return this.tool === "brush" || this.tool === "eraser" ? this.resize(direction) : false;
  }

  hover(event) {
    this.#cursor = this.view.at(event);
    this.view.draw("marks");
  }

  leave() {
    this.#cursor = null;
    this.view.draw("marks");
  }

  down(event) {
    if (!this.tool || this.moves) return false;
    const point = this.view.at(event);
    this.#cursor = point;
    // what a tap does waits for its end: a second finger may make it a gesture
    const tap = (run) => (this.#stroke = { tap: run });
    const start = {
      brush: () => this.#begin(point, this.color),
      eraser: () => this.#begin(point, NONE),
      polygon: () => tap(() => this.#corner(point)),
      fill: () => tap(() => this.#fill(point, event.shiftKey)),
      picker: () => tap(() => this.#pick(point)),
      cut: () => (this.#stroke = { from: point, to: point }),
    };
    start[this.tool]();
    this.view.draw("marks");
    return true;
  }

  move(event) {
    const events = event.getCoalescedEvents?.() ?? [];
    this.#cursor = this.view.at(event);
    if (this.#stroke?.from) this.#stroke.to = this.#cursor;
    else if (this.#stroke?.before) {
      (events.length ? events : [event]).forEach((each) => this.#stamp(this.view.at(each)));
    }
    this.view.draw("marks");
  }

  up() {
    const stroke = this.#stroke;
    this.endStroke();
    if (stroke?.from) this.onCut(stroke.from, stroke.to);
  }

  /** Finishes what is being painted, though the pointer is still down; a cutting line is dropped. */
  endStroke() {
    const stroke = this.#stroke;
    this.#stroke = null;
    stroke?.tap?.();
    if (stroke?.changed) this.#finish(stroke.rect);
  }

  cancel() {
    const stroke = this.#stroke;
    this.#stroke = null;
    if (!stroke?.before) return;
    this.work.map.set(stroke.before);
    if (stroke.rect) this.#show(stroke.rect);
  }

  /** Closes the polygon; returns whether there was one. */
  close() {
    if (!this.corners.length) return false;
    const { map, width } = this.work;
    const corners = this.corners.splice(0);
    let changed = false;
    const rect = polygon(corners, this.#bounds, width, (pixel) => {
      if (!this.#may(pixel)) return;
      map[pixel] = this.color;
      changed = true;
    });
    this.#finish(changed ? rect : null);
    this.view.draw("marks");
    return true;
  }

  /** Whether a polygon waits to be closed, which is told. */
  isUnfinished() {
    const waits = this.corners.length > 2;
    if (waits) toast("The polygon is not closed: Enter closes it, Esc drops it.");
    return waits;
  }

  /** Takes back the polygon's last corner (`all`: the polygon); returns whether there was one. */
  dropCorner(all = false) {
    if (!this.corners.length) return false;
    this.corners.splice(all ? 0 : -1);
    this.view.draw("marks");
    return true;
  }

  /** Fills what of the item has no label yet with `labels[pixel]` or one class. */
  fillRest(labels) {
    const { map, width } = this.work;
    const inside = this.work.inside(this.item);
    let changed = false;
    eachPixel(this.#bounds, width, (pixel) => {
      if (map[pixel] !== NONE || !inside(pixel)) return;
      map[pixel] = typeof labels === "number" ? labels : labels[pixel];
      changed ||= map[pixel] !== NONE;
    });
    this.#finish(changed ? this.#bounds : null);
    return changed;
  }

  /** Draws the tool's marks. */
  marks(context, view) {
    const line = 1 / view.scale;
    const twice = (draw) => {
      for (const [color, width] of [
        ["#000a", 3],
        ["#fff", 1.3],
      ]) {
        context.strokeStyle = color;
        context.lineWidth = width * line;
        context.beginPath();
        draw();
        context.stroke();
      }
    };
    const at = this.#cursor;
    if (at && (this.tool === "brush" || this.tool === "eraser")) {
      twice(() => context.arc(at.x, at.y, Math.max(prefs.brush / 2, 0.71), 0, 7));
    }
    if (this.#stroke?.from) {
      const { from, to } = this.#stroke;
      twice(() => (context.moveTo(from.x, from.y), context.lineTo(to.x, to.y)));
    }
    if (!this.corners.length) return;
    const path = at ? [...this.corners, at] : this.corners;
    twice(() => path.forEach((p) => context.lineTo(p.x, p.y)));
    this.corners.forEach((p) => twice(() => context.arc(p.x, p.y, 4 * line, 0, 7)));
  }

  get #bounds() {
    return this.work.rect(this.item);
  }

  #may(pixel) {
    const { map } = this.work;
    return (!this.keeps || map[pixel] === NONE) && this.work.inside(this.item)(pixel);
  }

  #begin(point, value) {
    this.#stroke = {
      value,
      last: point,
      rect: null,
      changed: false,
      before: this.work.map.slice(),
    };
    this.#stamp(point);
  }

  #stamp(point) {
    const stroke = this.#stroke;
    const { map, width } = this.work;
    const inside = this.work.inside(this.item);
    const keep = this.keeps && this.tool === "brush";
    const rect = capsule(stroke.last, point, prefs.brush / 2, this.#bounds, width, (pixel) => {
      if (map[pixel] === stroke.value || !inside(pixel) || (keep && map[pixel] !== NONE)) return;
      map[pixel] = stroke.value;
      stroke.changed = true;
    });
    stroke.last = point;
    if (!rect) return;
    stroke.rect = union(stroke.rect, rect);
    this.#show(rect);
  }

  #show(rect) {
    this.overlay.refresh(rect);
    this.view.draw("labels");
  }

  #finish(rect) {
    if (!rect) return;
    const patch = this.work.patch(this.item, rect);
    this.#show(rect);
    this.onPatch(patch);
  }

  #corner(point) {
    const [first] = this.corners;
    const gap = first
      ? Math.hypot(first.x - point.x, first.y - point.y) * this.view.scale
      : Infinity;
    if (this.corners.length > 2 && gap < NEAR) this.close();
    else this.corners.push(point);
    this.view.draw("marks");
  }

  #pixelAt({ x, y }) {
    const [row, column] = [Math.floor(y), Math.floor(x)];
    const spot = { top: row, left: column, bottom: row + 1, right: column + 1 };
    return clip(spot, this.#bounds) ? row * this.work.width + column : -1;
  }

  #pick(point) {
    const pixel = this.#pixelAt(point);
    if (pixel < 0) return;
    const label = this.work.map[pixel] !== NONE ? this.work.map[pixel] : this.work.guess?.[pixel];
    if (label !== undefined && label !== NONE) this.onPick(label);
  }

  #fill(point, everywhere) {
    const { map, width } = this.work;
    const inside = this.work.inside(this.item);
    const start = this.#pixelAt(point);
    if (start < 0 || !inside(start) || map[start] === this.color) return;
    const old = map[start];
    const belongs = (pixel) => map[pixel] === old && inside(pixel);
    const paint = (pixel) => (map[pixel] = this.color);
    if (!everywhere) {
      this.#finish(flood(start, this.#bounds, width, belongs, paint));
      return;
    }
    eachPixel(this.#bounds, width, (pixel) => belongs(pixel) && paint(pixel));
    this.#finish(this.#bounds);
  }
}
