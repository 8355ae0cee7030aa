// Active time: what a person spends on an item, without pauses and hidden tabs.

const LONGEST_PAUSE_MS = 60_000;
const PACE_WINDOW = 20; // answers over which the pace is taken

/** Milliseconds, clicks and keys per item since they were last taken. */
export class Clock {
  #spent = new Map();
  #item = null;
  #last = performance.now();
  #recent = []; // active ms at each of the last answers
  #active = 0;

  constructor() {
    const listen = (type, count) =>
      addEventListener(type, (event) => this.#seen(event, count), { capture: true, passive: true });
    listen("keydown", "keys");
    listen("pointerdown", "clicks");
    listen("pointermove", null);
    listen("wheel", null);
    document.addEventListener("visibilitychange", () => {
      if (document.hidden) this.#advance();
      else this.#last = performance.now();
    });
  }

  /** Milliseconds since the person last did anything. */
  get idle() {
    return performance.now() - this.#last;
  }

  /** From now on time goes to `item` (any value); `fresh` forgets all items of the image before. */
  turnTo(item, fresh = false) {
    this.#advance();
    if (fresh) this.#spent.clear();
    this.#item = item;
  }

  /** {ms, clicks, keys} of the item at hand since it was last taken; `answers` sets the pace. */
  take(answers = 1) {
    this.#advance();
    const { ms, clicks, keys } = this.#of(this.#item);
    this.#spent.delete(this.#item);
    for (let i = 0; i < Math.min(answers, 1); i++) this.#recent.push(this.#active);
    this.#recent = this.#recent.slice(-PACE_WINDOW);
    return { ms: Math.round(ms), clicks, keys };
  }

  /** Answers per minute of active time, or null before there are enough to tell. */
  get pace() {
    if (this.#recent.length < 4) return null;
    const minutes = (this.#recent.at(-1) - this.#recent[0]) / 60_000;
    return minutes > 0 ? (this.#recent.length - 1) / minutes : null;
  }

  #seen(event, count) {
    this.#advance();
    if (count && !event.repeat) this.#of(this.#item)[count] += 1;
  }

  #advance() {
    const now = performance.now();
    const gap = now - this.#last;
    this.#last = now;
    if (gap > LONGEST_PAUSE_MS) return;
    this.#active += gap;
    this.#of(this.#item).ms += gap;
  }

  #of(item) {
    if (!this.#spent.has(item)) this.#spent.set(item, { ms: 0, clicks: 0, keys: 0 });
    return this.#spent.get(item);
  }
}
