// A window onto an image: photo, labels and marks on three canvases, with zoom and pan.

import { make } from "./dom.js";

const LARGEST = 40; // screen pixels per image pixel
const LAYERS = ["photo", "labels", "marks"];

/** One window. `onMarks(context, view)` draws what is not a pixel, in image coordinates. */
export class View {
  #contexts = {};
  #pending = new Set();
  #frame = 0;
  #pointers = new Map();
  #pinch = null;
  #placing = null; // puts the image in its place, until it is moved by hand

  photo = null; // drawn over the whole image, whatever its own size
  image = { width: 1, height: 1 };
  overlay = null;
  under = null; // a canvas drawn below the labels
  underAlpha = 1;
  onMarks = () => {};
  pixelated = true;
  x = 0; // image point at the window's middle
  y = 0;
  scale = 1; // CSS pixels per image pixel

  constructor(element) {
    this.element = element;
    element.view = this; // to find an image point on the screen from outside
    for (const name of LAYERS) {
      const canvas = make("canvas", { className: name });
      element.append(canvas);
      this.#contexts[name] = canvas.getContext("2d");
    }
    this.#measure();
    new ResizeObserver(() => this.#resized()).observe(element);
  }

  /** Shows another image; which part of it is set by `frame`. */
  show({ photo, width, height, overlay = null, under = null }) {
    Object.assign(this, { photo, overlay, under, underAlpha: 1, image: { width, height } });
    this.element.style.setProperty("--shape", `${width} / ${height}`);
    this.draw();
  }

  /** Calls `place` to fit or center the image, now and at new sizes until it is moved by hand. */
  frame(place) {
    this.#placing = place;
    place();
  }

  /** Puts `rect` with `margin` image pixels around it into the window. */
  fit(rect, margin = 0, largest = LARGEST) {
    const [rows, columns] = [rect.bottom - rect.top, rect.right - rect.left];
    const room = [this.width / (columns + 2 * margin), this.height / (rows + 2 * margin)];
    this.center(
      (rect.left + rect.right) / 2,
      (rect.top + rect.bottom) / 2,
      Math.min(...room, largest),
    );
  }

  /** Puts the image point (x, y) into the middle. */
  center(x, y, scale = this.scale) {
    this.scale = Math.min(Math.max(scale, this.smallest / 2), LARGEST);
    this.x = x;
    this.y = y;
    this.draw();
  }

  /** The scale at which the whole image is seen. */
  get smallest() {
    return Math.min(this.width / this.image.width, this.height / this.image.height);
  }

  /** Zooms by `factor`, the image point under (x, y) of the window staying where it is. */
  zoom(factor, x = this.width / 2, y = this.height / 2) {
    const before = this.toImage(x, y);
    this.center(this.x, this.y, this.scale * factor);
    const after = this.toImage(x, y);
    this.pan((after.x - before.x) * this.scale, (after.y - before.y) * this.scale);
  }

  /** Moves the image by (dx, dy) CSS pixels; some of it stays in the window. */
  pan(dx, dy) {
    if (!this.photo) return;
    const within = (value, end) => Math.min(Math.max(value, 0), end);
    const [x, y] = [this.x - dx / this.scale, this.y - dy / this.scale];
    this.#placing = null;
    this.center(within(x, this.image.width), within(y, this.image.height));
  }

  /** Image point under (x, y) of the window, in pixels from the image's corner. */
  toImage(x, y) {
    return {
      x: this.x + (x - this.width / 2) / this.scale,
      y: this.y + (y - this.height / 2) / this.scale,
    };
  }

  /** Image point under a pointer event. */
  at(event) {
    return this.toImage(event.clientX - this.#box.left, event.clientY - this.#box.top);
  }

  /** Draws the named layers (all by default) in the next frame. */
  draw(...layers) {
    (layers.length ? layers : LAYERS).forEach((layer) => this.#pending.add(layer));
    this.#frame ||= requestAnimationFrame(() => this.#render());
  }

  /**
   * Zoom by wheel and pinch, pan by drag. `onPointer` {down, move, up, cancel}(event) gets the
   * pointers that do neither; `down` returns whether it takes the pointer, else it pans.
   */
  listen(onPointer = {}) {
    const { element } = this;
    this.#onPointer = onPointer;
    element.addEventListener("pointerdown", (event) => this.#down(event));
    element.addEventListener("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel", "lostpointercapture"]) {
      element.addEventListener(type, (event) => this.#up(event));
    }
    element.addEventListener("pointerleave", (event) => onPointer.leave?.(event));
    element.addEventListener("contextmenu", (event) => event.preventDefault());
    element.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  #onPointer = {};
  #box = { left: 0, top: 0 };

  #wheel(event) {
    event.preventDefault();
    const turn = -(event.deltaY || event.deltaX); // with Shift, browsers turn it sideways
    if (event.shiftKey && this.#onPointer.wheel?.(Math.sign(turn))) return;
    const lines = event.deltaMode === 1 ? 16 : 1;
    const speed = event.ctrlKey ? 0.008 : 0.0015; // a trackpad's pinch: small turns, as with Ctrl
    const { x, y } = this.#place(event);
    this.zoom(Math.exp(turn * lines * speed), x, y);
  }

  #place(event) {
    return { x: event.clientX - this.#box.left, y: event.clientY - this.#box.top };
  }

  /** Fingers work together; beside a mouse or pen, they are a hand that rests. */
  #down(event) {
    const touch = event.pointerType === "touch";
    const others = [...this.#pointers.values()];
    if (touch && others.some((other) => !other.touch)) return;
    this.#box = this.element.getBoundingClientRect();
    this.element.setPointerCapture(event.pointerId);
    if (others.some(({ takes }) => takes)) this.#onPointer.cancel?.(event);
    others.forEach((other) => (other.takes = false)); // a second finger makes it a gesture
    if (!touch) this.#pointers.clear();
    const pointer = { ...this.#place(event), touch, takes: false };
    const works = touch ? !others.length : event.button === 0 || event.pointerType === "pen";
    if (works) pointer.takes = this.#onPointer.down?.(event) ?? false;
    this.#pointers.set(event.pointerId, pointer);
    this.#pinch = null;
  }

  #move(event) {
    const pointer = this.#pointers.get(event.pointerId);
    if (!pointer) {
      if (event.pointerType === "touch") return;
      this.#box = this.element.getBoundingClientRect();
      this.#onPointer.hover?.(event);
      return;
    }
    const before = { ...pointer };
    Object.assign(pointer, this.#place(event));
    if (pointer.takes) this.#onPointer.move?.(event);
    else if (this.#pointers.size > 1) this.#pinched();
    else this.pan(pointer.x - before.x, pointer.y - before.y);
  }

  #pinched() {
    const [a, b] = this.#pointers.values();
    const now = { x: (a.x + b.x) / 2, y: (a.y + b.y) / 2, gap: Math.hypot(a.x - b.x, a.y - b.y) };
    if (this.#pinch) {
      this.pan(now.x - this.#pinch.x, now.y - this.#pinch.y);
      this.zoom(now.gap / Math.max(this.#pinch.gap, 1), now.x, now.y);
    }
    this.#pinch = now;
  }

  #up(event) {
    const pointer = this.#pointers.get(event.pointerId);
    this.#pointers.delete(event.pointerId);
    this.#pinch = null;
    if (pointer?.takes) this.#onPointer[event.type === "pointerup" ? "up" : "cancel"]?.(event);
  }

  /** A layout that changes leaves zoom and place as they are, and what is under a pointer too. */
  #resized() {
    const before = this.#middle;
    this.#measure();
    if (this.#pointers.size) {
      const { x, y } = this.#middle;
      this.center(this.x + (x - before.x) / this.scale, this.y + (y - before.y) / this.scale);
    } else this.#placing?.();
    this.draw();
  }

  /** The window's middle on the screen. */
  get #middle() {
    return { x: this.#box.left + this.width / 2, y: this.#box.top + this.height / 2 };
  }

  #measure() {
    const { clientWidth, clientHeight } = this.element;
    this.width = Math.max(clientWidth, 1);
    this.height = Math.max(clientHeight, 1);
    const dense = Math.min(window.devicePixelRatio || 1, 2);
    for (const { canvas } of Object.values(this.#contexts)) {
      canvas.width = Math.round(this.width * dense);
      canvas.height = Math.round(this.height * dense);
    }
    this.#box = this.element.getBoundingClientRect();
  }

  #render() {
    this.#frame = 0;
    const layers = [...this.#pending];
    this.#pending.clear();
    if (this.photo) layers.forEach((layer) => this.#renderLayer(layer));
  }

  #renderLayer(layer) {
    const context = this.#contexts[layer];
    const { canvas } = context;
    const dense = canvas.width / this.width;
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, canvas.width, canvas.height);
    const scale = this.scale * dense;
    context.setTransform(
      scale,
      0,
      0,
      scale,
      canvas.width / 2 - this.x * scale,
      canvas.height / 2 - this.y * scale,
    );
    context.imageSmoothingEnabled = !(this.pixelated && this.scale > 1);
    if (layer === "marks") this.onMarks(context, this);
    if (layer === "photo") this.#drawPart(context, this.photo);
    if (layer === "labels") this.#drawLabels(context);
  }

  #drawLabels(context) {
    context.imageSmoothingEnabled = this.scale < 1;
    context.globalAlpha = this.underAlpha;
    if (this.under) this.#drawPart(context, this.under);
    context.globalAlpha = 1;
    if (this.overlay) this.#drawPart(context, this.overlay.canvas);
  }

  /** Draws only what the window shows of a picture. */
  #drawPart(context, picture) {
    const corner = this.toImage(0, 0);
    const [left, top] = [Math.max(Math.floor(corner.x), 0), Math.max(Math.floor(corner.y), 0)];
    const opposite = this.toImage(this.width, this.height);
    const columns = Math.min(Math.ceil(opposite.x), this.image.width) - left;
    const rows = Math.min(Math.ceil(opposite.y), this.image.height) - top;
    if (columns <= 0 || rows <= 0) return;
    const across = picture.width / this.image.width;
    const down = picture.height / this.image.height;
    const source = [left * across, top * down, columns * across, rows * down];
    context.drawImage(picture, ...source, left, top, columns, rows);
  }
}
