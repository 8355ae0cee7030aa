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
  for (const [start, pixels] of after.filter(isWhole)) {
    const gap = (other) =>
      Math.min(...sample(other).map((pixel) => distance(pixel, start, work.width)));
    const gaps = cut.map(gap);
    cut[gaps.indexOf(Math.min(...gaps))].push(...pixels);
  }
  return cut.map((pixels) => part(work, pixels)).sort((a, b) => b.size - a.size);
}

/** Connected sets of an item's pixels [start, pixels], neighbours across a line being apart. */
function components(work, item, lines) {
  const [rect, inside, { width }] = [work.rect(item), work.inside(item), work];
  const middle = (pixel) => ({ x: (pixel % width) + 0.5, y: Math.floor(pixel / width) + 0.5 });
  const joined = (a, b) => !lines.some(([from, to]) => crosses(middle(a), middle(b), from, to));
  const seen = new Set();
  const found = [];
  eachOf(work, item, (start) => {
    if (seen.has(start)) return;
    const pixels = [];
    const visit = (pixel) => {
      seen.add(pixel);
      pixels.push(pixel);
    };
    const belongs = (pixel) => !seen.has(pixel) && inside(pixel);
    flood(start, rect, width, belongs, visit, { diagonal: true, joined });
    found.push([start, pixels]);
  });
  return found;
}

const sample = (pixels) => pixels.filter((_, i) => i % Math.ceil(pixels.length / 200) === 0);

const distance = (a, b, width) =>
  Math.hypot((a % width) - (b % width), Math.floor(a / width) - Math.floor(b / width));

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

/** Whether the stretch a-b meets the stretch c-d. */
function crosses(a, b, c, d) {
  const side = (p, q, r) => Math.sign((q.x - p.x) * (r.y - p.y) - (q.y - p.y) * (r.x - p.x));
  return side(c, d, a) !== side(c, d, b) && side(a, b, c) !== side(a, b, d);
}
