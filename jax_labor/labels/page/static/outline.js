// The contour of a set of pixels, as closed loops along pixel edges.

// directions of an edge: 0 right, 1 down, 2 left, 3 up; the set lies on the edge's right
const STEP_X = [1, 0, -1, 0];
const STEP_Y = [0, 1, 0, -1];

/** Outgoing edges of every corner of `rect`'s pixels, one bit per direction. */
function edges(rect, width, inside) {
  const [rows, columns] = [rect.bottom - rect.top, rect.right - rect.left];
  const stride = columns + 1;
  const bits = new Uint8Array((rows + 1) * stride);
  const has = (y, x) =>
    y >= 0 && x >= 0 && y < rows && x < columns && inside((rect.top + y) * width + rect.left + x);
  for (let y = 0; y < rows; y++) {
    for (let x = 0; x < columns; x++) {
      if (!has(y, x)) continue;
      const corner = y * stride + x;
      if (!has(y - 1, x)) bits[corner] |= 1;
      if (!has(y, x + 1)) bits[corner + 1] |= 2;
      if (!has(y + 1, x)) bits[corner + stride + 1] |= 4;
      if (!has(y, x - 1)) bits[corner + stride] |= 8;
    }
  }
  return { bits, stride };
}

/** Path2D in image coordinates around the pixels of `rect` with `inside(pixel)`. */
export function outline(rect, width, inside) {
  const { bits, stride } = edges(rect, width, inside);
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
      path.closePath();
    }
  }
  return path;
}
