// Keeps a claim alive while its person is there, and says when it may be given away.

import { Lost, send } from "./api.js";
import { banner } from "./dom.js";

const TICK_MS = 2000;
const LONG_IDLE_MS = 300_000;

/** Watches over one claim until `stop`; `onLost(error)` hears when somebody else has the image. */
export class Watch {
  #timer = 0;
  #last = performance.now();
  #paused = false;

  constructor(claim, clock, onLost) {
    Object.assign(this, { claim, clock, onLost });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  stop() {
    clearInterval(this.#timer);
    if (this.#paused) banner(null);
  }

  #tick() {
    const { expires_in: seconds } = this.claim;
    const isLong = this.clock.idle > Math.min(LONG_IDLE_MS, seconds * 800);
    if (isLong && !this.#paused) {
      banner(
        "Paused: nothing happened for a while, and the time is not counted. Everything is saved;" +
          " the image may go to somebody else. Any key or move goes on.",
      );
    }
    if (!isLong && this.#paused) {
      banner(null);
      this.#last = -Infinity;
    }
    this.#paused = isLong;
    const due = performance.now() - this.#last > seconds * 300;
    if (due && !isLong) this.#beat();
  }

  async #beat() {
    this.#last = performance.now();
    try {
      await send("/api/heartbeat", { claim: this.claim.claim });
    } catch (error) {
      if (!(error instanceof Lost) && error.status === 409) this.onLost(error);
    }
  }
}
