// A label map as a picture: one canvas of the image's size, recoloured where it changes.

import { NONE } from "./grid.js";

/** The picture of `map` (uint8[height * width]); `canvas` is drawn over the photo. */
export class Overlay {
  #image;
  #colors = new Uint32Array(256);

  constructor(map, height, width) {
    this.map = map;
    this.canvas = new OffscreenCanvas(width, height);
    this.context = this.canvas.getContext("2d");
    this.#image = new ImageData(width, height);
    this.pixels = new Uint32Array(this.#image.data.buffer);
  }

  /** Sets the colours [[r, g, b]...] by class; classes in `hidden` and NONE are see-through. */
  recolor(colors, hidden) {
    this.#colors.fill(0);
    colors.forEach(([red, green, blue], id) => {
      if (!hidden.has(id) && id !== NONE) {
        this.#colors[id] = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
      }
    });
    this.refresh({ top: 0, left: 0, bottom: this.canvas.height, right: this.canvas.width });
  }

  /** Redraws one rectangle from the map. */
  refresh(rect) {
    const { width } = this.canvas;
    const { map, pixels } = this;
    const colors = this.#colors;
    for (let row = rect.top; row < rect.bottom; row++) {
      const end = row * width + rect.right;
      for (let pixel = row * width + rect.left; pixel < end; pixel++) {
        pixels[pixel] = colors[map[pixel]];
      }
    }
    const size = [rect.right - rect.left, rect.bottom - rect.top];
    this.context.putImageData(this.#image, 0, 0, rect.left, rect.top, ...size);
  }
}

/** A white picture of the pixels with `inside(pixel)`. */
export function veil(inside, height, width) {
  const map = new Uint8Array(height * width).map((_, pixel) => (inside(pixel) ? 0 : NONE));
  const shown = new Overlay(map, height, width);
  shown.recolor([[255, 255, 255]], new Set());
  return shown.canvas;
}
