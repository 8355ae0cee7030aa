// Label maps as flat arrays: uint8[height * width], row-major, 255 = no label. A rectangle is
// {top, left, bottom, right} with exclusive ends.

export const NONE = 255;

/** A patch: the labels of `rect` as run lengths [value, count...], NONE where not `inside`. */
export function encode(map, width, rect, inside) {
  const runs = [];
  let value = -1;
  let count = 0;
  for (let row = rect.top; row < rect.bottom; row++) {
    const end = row * width + rect.right;
    for (let pixel = row * width + rect.left; pixel < end; pixel++) {
      const label = inside(pixel) ? map[pixel] : NONE;
      if (label === value) count++;
      else {
        if (count) runs.push(value, count);
        value = label;
        count = 1;
      }
    }
  }
  if (count) runs.push(value, count);
  const { top, left } = rect;
  return { top, left, height: rect.bottom - top, width: rect.right - left, runs };
}

/** Writes a patch into `map` where `inside(pixel)`; outside it nothing changes. */
export function apply(patch, map, width, inside) {
  const step = width - patch.width; // from a row's end to the next row's start
  let pixel = patch.top * width + patch.left;
  let column = 0;
  for (let run = 0; run < patch.runs.length; run += 2) {
    const value = patch.runs[run];
    for (let left = patch.runs[run + 1]; left > 0; left--) {
      if (inside(pixel)) map[pixel] = value;
      pixel++;
      if (++column < patch.width) continue;
      column = 0;
      pixel += step;
    }
  }
}

/** Calls `visit(pixel)` for every pixel of `rect`. */
export function eachPixel(rect, width, visit) {
  for (let row = rect.top; row < rect.bottom; row++) {
    const end = row * width + rect.right;
    for (let pixel = row * width + rect.left; pixel < end; pixel++) visit(pixel);
  }
}

/** The smallest rectangle around both; either may be null. */
export function union(a, b) {
  if (!a || !b) return a ?? b;
  return {
    top: Math.min(a.top, b.top),
    left: Math.min(a.left, b.left),
    bottom: Math.max(a.bottom, b.bottom),
    right: Math.max(a.right, b.right),
  };
}

/** `rect` without what lies outside `bounds`; null when nothing is left. */
export function clip(rect, bounds) {
  const cut = {
    top: Math.max(rect.top, bounds.top),
    left: Math.max(rect.left, bounds.left),
    bottom: Math.min(rect.bottom, bounds.bottom),
    right: Math.min(rect.right, bounds.right),
  };
  return cut.top < cut.bottom && cut.left < cut.right ? cut : null;
}

/** Pixels within `radius` of the line from `a` to `b` ({x, y}): visits each, returns their box. */
export function capsule(a, b, radius, bounds, width, visit) {
  const reach = Math.max(radius, 0.71); // a line of one pixel has no gaps
  const rect = clip(
    {
      top: Math.floor(Math.min(a.y, b.y) - reach),
      left: Math.floor(Math.min(a.x, b.x) - reach),
      bottom: Math.ceil(Math.max(a.y, b.y) + reach) + 1,
      right: Math.ceil(Math.max(a.x, b.x) + reach) + 1,
    },
    bounds,
  );
  if (!rect) return null;
  const [dx, dy] = [b.x - a.x, b.y - a.y];
  const length = dx * dx + dy * dy || 1;
  for (let row = rect.top; row < rect.bottom; row++) {
    for (let column = rect.left; column < rect.right; column++) {
      const [px, py] = [column + 0.5 - a.x, row + 0.5 - a.y];
      const t = Math.min(Math.max((px * dx + py * dy) / length, 0), 1);
      const [ex, ey] = [px - t * dx, py - t * dy];
      if (ex * ex + ey * ey <= reach * reach) visit(row * width + column);
    }
  }
  return rect;
}

/** Pixels with their centre in a polygon [{x, y}...], even-odd: visits each, returns their box. */
export function polygon(corners, bounds, width, visit) {
  const [xs, ys] = [corners.map((p) => p.x), corners.map((p) => p.y)];
  const rect = clip(
    {
      top: Math.floor(Math.min(...ys)),
      left: Math.floor(Math.min(...xs)),
      bottom: Math.ceil(Math.max(...ys)),
      right: Math.ceil(Math.max(...xs)),
    },
    bounds,
  );
  if (!rect) return null;
  for (let row = rect.top; row < rect.bottom; row++) {
    const crossings = [];
    corners.forEach((a, index) => {
      const b = corners[(index + 1) % corners.length];
      const y = row + 0.5;
      if (a.y > y !== b.y > y) crossings.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x));
    });
    crossings.sort((p, q) => p - q);
    for (let pair = 0; pair + 1 < crossings.length; pair += 2) {
      const from = Math.max(Math.ceil(crossings[pair] - 0.5), rect.left);
      const to = Math.min(Math.ceil(crossings[pair + 1] - 0.5), rect.right);
      for (let column = from; column < to; column++) visit(row * width + column);
    }
  }
  return rect;
}

/**
 * Walks the connected region of `start` over pixels with `belongs(pixel)` inside `bounds`.
 * `joined(pixel, neighbour)` may cut neighbours apart; `diagonal` joins corners too.
 * Visits each pixel once (`visit` must make `belongs` false for it); returns the region's box.
 */
export function flood(start, bounds, width, belongs, visit, { diagonal = false, joined } = {}) {
  const stack = [start];
  const box = { top: Infinity, left: Infinity, bottom: 0, right: 0 };
  visit(start);
  const steps = diagonal
    ? [
        [-1, -1],
        [-1, 0],
        [-1, 1],
        [0, -1],
        [0, 1],
        [1, -1],
        [1, 0],
        [1, 1],
      ]
    : [
        [-1, 0],
        [0, -1],
        [0, 1],
        [1, 0],
      ];
  while (stack.length) {
    const pixel = stack.pop();
    const row = Math.floor(pixel / width);
    const column = pixel - row * width;
    if (row < box.top) box.top = row;
    if (row >= box.bottom) box.bottom = row + 1;
    if (column < box.left) box.left = column;
    if (column >= box.right) box.right = column + 1;
    for (const [down, along] of steps) {
      const [r, c] = [row + down, column + along];
      if (r < bounds.top || r >= bounds.bottom || c < bounds.left || c >= bounds.right) continue;
      const next = r * width + c;
      if (!belongs(next) || (joined && !joined(pixel, next))) continue;
      visit(next);
      stack.push(next);
    }
  }
  return box;
}
