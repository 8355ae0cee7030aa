// What marks a set of pixels: closed loops along pixel edges, or a veil where these are too many.

import { veil } from "./overlay.js";

const MANY = 50_000; // edges above which loops take a second to draw at each move of the pointer
const VEIL_ALPHA = 0.4;

// directions of an edge: 0 right, 1 down, 2 left, 3 up; the set lies on the edge's right
const STEP_X = [1, 0, -1, 0];
const STEP_Y = [0, 1, 0, -1];

/** Outgoing edges of every corner of `rect`'s pixels, one bit per direction. */
function edges(rect, width, inside) {
  const [rows, columns] = [rect.bottom - rect.top, rect.right - rect.left];
  const stride = columns + 1;
  const bits = new Uint8Array((rows + 1) * stride);
  let count = 0;
  const has = (y, x) =>
    y >= 0 && x >= 0 && y < rows && x < columns && inside((rect.top + y) * width + rect.left + x);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      if (!has(y, x)) continue;
      const corner = y * stride + x;
      const mark = (at, bit) => ((bits[at] |= bit), count++);
      if (!has(y - 1, x)) mark(corner, 1);
      if (!has(y, x + 1)) mark(corner + 1, 2);
      if (!has(y + 1, x)) mark(corner + stride + 1, 4);
      if (!has(y, x - 1)) mark(corner + stride, 8);
    }
  }
  return { bits, stride, count };
}

/** Marks the pixels of `rect` with `inside(pixel)` in an image of `height` x `width`. */
export class Outline {
  #path = null;
  #veil = null;

  constructor(rect, inside, height, width) {
    const found = edges(rect, width, inside);
    if (found.count > MANY) this.#veil = veil(inside, height, width);
    else this.#path = loops(rect, found);
  }

  /** Draws it in image coordinates; `px` is a CSS pixel, `march` moves the dashes by so many. */
  draw(context, px, march) {
    if (this.#veil) {
      context.globalAlpha = VEIL_ALPHA;
      context.drawImage(this.#veil, 0, 0);
      context.globalAlpha = 1;
      return;
    }
    context.strokeStyle = "#000d";
    context.lineWidth = 4 * px;
    context.stroke(this.#path);
    context.strokeStyle = "#fff";
    context.lineWidth = 2 * px;
    context.setLineDash([6 * px, 4 * px]);
    context.lineDashOffset = -march * px;
    context.stroke(this.#path);
    context.setLineDash([]);
  }
}

/** Path2D along the edges. */
function loops(rect, { bits, stride }) {
  const path = new Path2D();
  for (let start = 0; start < bits.length; start++) {
    while (bits[start]) {
      let at = start;
      let direction = 31 - Math.clz32(bits[start] & -bits[start]);
      path.moveTo(rect.left + (at % stride), rect.top + Math.floor(at / stride));
      do {
        bits[at] &= ~(1 << direction);
        at += STEP_X[direction] + STEP_Y[direction] * stride;
        const turns = [(direction + 3) % 4, direction, (direction + 1) % 4];
        const next = turns.find((turn) => bits[at] & (1 << turn));
        if (next !== direction) {
          path.lineTo(rect.left + (at % stride), rect.top + Math.floor(at / stride));
        }
        direction = next;
      } while (direction !== undefined && at !== start);
      // closePath costs Chromium time that grows with all loops before it
      path.lineTo(rect.left + (start % stride), rect.top + Math.floor(start / stride));
    }
  }
  return path;
}
