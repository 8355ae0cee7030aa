// A piece of more than one class, taken apart: by a drawn line, or by the model's guess.

import { eachPixel, flood, NONE } from "./grid.js";

/** The pixels of `item` by suggested class, largest group first: [{rect, inside, guess}]. */
export function byGuess(work, item) {
  const groups = new Map();
  eachOf(work, item, (pixel) => {
    const label = work.guess[pixel];
    if (!groups.has(label)) groups.set(label, []);
    groups.get(label).push(pixel);
  });
  return [...groups.values()].map((pixels) => part(work, pixels)).sort((a, b) => b.size - a.size);
}

/**
 * The parts of `item` after cutting along `lines` [[from, to]...], largest first; one part when the
 * lines do not cut it. What was apart before (specks that belong to the piece) goes to the nearest.
 */
export function byLines(work, item, lines) {
  const before = new Set(
    components(work, item, []).map(([start, { length }]) => `${start} ${length}`),
  );
  const isWhole = ([start, { length }]) => before.has(`${start} ${length}`);
  const after = components(work, item, lines);
  const cut = after.filter((one) => !isWhole(one)).map(([, pixels]) => pixels);
  if (!cut.length) return [part(work, pixelsOf(work, item))];
  const places = cut.flatMap((pixels, index) => sample(pixels, index, work.width));
  for (const [start, pixels] of after.filter(isWhole)) {
    const nearest = cut[nearestOf(places, start, work.width)];
    for (const pixel of pixels) nearest.push(pixel);
  }
  return cut.map((pixels) => part(work, pixels)).sort((a, b) => b.size - a.size);
}

/** Connected sets of an item's pixels [start, pixels], neighbours across a line being apart. */
function components(work, item, lines) {
  const [rect, inside, { width }] = [work.rect(item), work.inside(item), work];
  const joined = (a, b) => !lines.some((line) => crosses(a, b, line, width));
  const seen = new Uint8Array(work.ids.length);
  const found = [];
  eachOf(work, item, (start) => {
    if (seen[start]) return;
    const pixels = [];
    const visit = (pixel) => {
      seen[pixel] = 1;
      pixels.push(pixel);
    };
    const belongs = (pixel) => !seen[pixel] && inside(pixel);
    flood(start, rect, width, belongs, visit, { diagonal: true, joined });
    found.push([start, pixels]);
  });
  return found;
}

/** About 200 of the pixels as [x, y, index]. */
function sample(pixels, index, width) {
  const step = Math.ceil(pixels.length / 200);
  const some = pixels.filter((_, i) => i % step === 0);
  return some.map((pixel) => [pixel % width, Math.floor(pixel / width), index]);
}

/** The index of the place nearest to a pixel. */
function nearestOf(places, pixel, width) {
  const [column, row] = [pixel % width, Math.floor(pixel / width)];
  let [least, best] = [Infinity, 0];
  for (const [x, y, index] of places) {
    const gap = (x - column) ** 2 + (y - row) ** 2;
    if (gap < least) [least, best] = [gap, index];
  }
  return best;
}

/** The most frequent label of `pixels` (NONE only when nothing else occurs) and its share. */
export function commonest(labels, pixels) {
  const counts = new Uint32Array(256);
  for (const pixel of pixels) counts[labels[pixel]]++;
  const best = counts.subarray(0, NONE).reduce((a, n, id, all) => (n > all[a] ? id : a), 0);
  return counts[best]
    ? { guess: best, share: counts[best] / pixels.length }
    : { guess: NONE, share: 1 };
}

/** The pixels of an item. */
export function pixelsOf(work, item) {
  const pixels = [];
  eachOf(work, item, (pixel) => pixels.push(pixel));
  return pixels;
}

function eachOf(work, item, visit) {
  const inside = work.inside(item);
  eachPixel(work.rect(item), work.width, (pixel) => {
    if (inside(pixel)) visit(pixel);
  });
}

function part(work, pixels) {
  const members = new Set(pixels);
  const rect = { top: Infinity, left: Infinity, bottom: 0, right: 0 };
  for (const pixel of pixels) {
    const row = Math.floor(pixel / work.width);
    const column = pixel - row * work.width;
    rect.top = Math.min(rect.top, row);
    rect.left = Math.min(rect.left, column);
    rect.bottom = Math.max(rect.bottom, row + 1);
    rect.right = Math.max(rect.right, column + 1);
  }
  const guess = work.guess ? commonest(work.guess, pixels).guess : NONE;
  return { rect, pixels, size: pixels.length, inside: (pixel) => members.has(pixel), guess };
}

/** Whether the stretch between two pixels' middles meets a line [from, to]. */
function crosses(a, b, [from, to], width) {
  const [ax, ay] = [(a % width) + 0.5, Math.floor(a / width) + 0.5];
  const [bx, by] = [(b % width) + 0.5, Math.floor(b / width) + 0.5];
  // a middle on the line is of one side, lest its row be a part of its own
  const beside = (x, y) => side(from.x, from.y, to.x, to.y, x, y) || 1;
  if (beside(ax, ay) === beside(bx, by)) return false;
  return side(ax, ay, bx, by, from.x, from.y) !== side(ax, ay, bx, by, to.x, to.y);
}

/** On which side of the line through p and q the point r lies: -1, 0 or 1. */
const side = (px, py, qx, qy, rx, ry) =>
  Math.sign((qx - px) * (ry - py) - (qy - py) * (rx - px));
