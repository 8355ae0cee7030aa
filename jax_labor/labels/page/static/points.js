// Points: the pixel in question enlarged, beside the whole image with all points.

import { byId, make } from "./dom.js";
import { NONE } from "./grid.js";
import { prefs } from "./prefs.js";
import { Questions } from "./questions.js";

const RING = 26; // CSS pixels from the pixel's middle to the ring
const NEAR = 22; // CSS pixels within which a click on the whole image finds a point

/** Asks for the class of single pixels. */
export class Points extends Questions {
  noun = "Point";

  constructor(desk, work) {
    if (work.claim.review) reviewed(work);
    super(desk, work);
    desk.crop.show(work.picture);
    desk.whole.show(work.picture);
    desk.around.show(work.picture);
    desk.crop.onMarks = (context, view) => this.#cross(context, view);
    desk.around.onMarks = desk.crop.onMarks;
    desk.whole.onMarks = (context, view) => this.#dots(context, view);
    this.pointer = {};
    this.wholePointer = { down: (event) => this.#nearest(desk.whole.at(event)) };
    this.looksChanged();
    this.#buildStrip();
  }

  looksChanged() {
    this.desk.whole.draw();
    this.desk.crop.draw();
    this.desk.around.draw();
  }

  /** Puts the pixel in the middle of the crop. */
  frame() {
    const { crop, whole } = this.desk;
    const { row, column } = this.item;
    const { height, width } = this.work.claim;
    const across = Math.min(Math.max(Math.min(height, width) * 0.3, 40), 160) / prefs.zoom;
    const scale = () => Math.min(crop.width, crop.height) / across;
    crop.frame(() => crop.center(column + 0.5, row + 0.5, scale()));
    whole.frame(() => whole.fit(this.work.bounds));
    this.frameAround(column + 0.5, row + 0.5);
  }

  show() {
    super.show();
    this.#markStrip();
  }

  #cross(context, view) {
    const [x, y] = [this.item.column, this.item.row];
    const px = 1 / view.scale;
    const ring = Math.max(RING, view.scale * 1.2) * px;
    const [mx, my] = [x + 0.5, y + 0.5];
    for (const [color, line] of [
      ["#000b", 4],
      ["#fff", 1.6],
    ]) {
      context.strokeStyle = color;
      context.lineWidth = line * px;
      context.beginPath();
      context.arc(mx, my, ring, 0, 7);
      for (const [dx, dy] of [
        [1, 0],
        [-1, 0],
        [0, 1],
        [0, -1],
      ]) {
        context.moveTo(mx + dx * ring, my + dy * ring);
        context.lineTo(mx + dx * (ring + 16 * px), my + dy * (ring + 16 * px));
      }
      const gap = (line * px) / 2; // the frame lies outside the pixel it points at
      context.rect(x - gap, y - gap, 1 + 2 * gap, 1 + 2 * gap);
      context.stroke();
    }
  }

  #dots(context, view) {
    const px = 1 / view.scale;
    const { colors } = this.desk.palette;
    this.work.items.forEach(({ item, row, column }, position) => {
      const answer = this.work.answerOf(item);
      const here = position === this.position;
      context.beginPath();
      context.arc(column + 0.5, row + 0.5, (here ? 8 : 4.5) * px, 0, 7);
      context.strokeStyle = "#000c";
      context.lineWidth = 4 * px;
      context.stroke();
      context.strokeStyle = "#fff";
      context.lineWidth = 1.8 * px;
      context.stroke();
      if (!answer || here) return;
      const color = answer.action === "class" ? colors[answer.class] : [128, 128, 128];
      context.fillStyle = `rgb(${color.join(" ")})`;
      context.fill();
    });
  }

  #nearest({ x, y }) {
    const gap = ({ row, column }) => Math.hypot(column + 0.5 - x, row + 0.5 - y);
    const gaps = this.work.items.map(gap);
    const best = gaps.indexOf(Math.min(...gaps));
    if (gaps[best] * this.desk.whole.scale > NEAR) return false;
    this.goTo(best);
    return true;
  }

  #buildStrip() {
    const buttons = this.work.items.map((_, position) => {
      const element = make("button", { tabIndex: -1, onclick: () => this.goTo(position) });
      element.setAttribute("aria-label", `Point ${position + 1}`);
      return element;
    });
    byId("strip").replaceChildren(...buttons);
  }

  #markStrip() {
    const { colors } = this.desk.palette;
    [...byId("strip").children].forEach((element, position) => {
      const answer = this.work.answerOf(this.work.items[position].item);
      const isClass = answer?.action === "class";
      element.classList.toggle("left", Boolean(answer) && !isClass);
      element.setAttribute("aria-current", String(position === this.position));
      element.style.backgroundColor = isClass ? `rgb(${colors[answer.class].join(" ")})` : "";
    });
  }
}

/** In a review the first person's answer is the suggestion. */
function reviewed(work) {
  work.items = work.items.map((item) => ({
    ...item,
    guess: work.guess ? work.guess[item.row * work.width + item.column] : NONE,
  }));
}
