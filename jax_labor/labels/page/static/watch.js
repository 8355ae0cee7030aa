// Keeps a claim alive while its person is there, and says when it may be given away.

import { Lost, send } from "./api.js";
import { banner } from "./dom.js";

const TICK_MS = 2000;
const LONG_IDLE_MS = 300_000;

/** Watches over one claim until `stop`; `onLost(error)` hears when somebody else has the image. */
export class Watch {
  #timer = 0;
  #last = performance.now();
  #told = null; // what is said of a pause

  constructor(claim, clock, outbox, onLost) {
    Object.assign(this, { claim, clock, outbox, onLost });
    this.#timer = setInterval(() => this.#tick(), TICK_MS);
  }

  stop() {
    clearInterval(this.#timer);
    banner("paused", null);
  }

  #tick() {
    const { expires_in: seconds } = this.claim;
    const isLong = this.clock.idle > Math.min(LONG_IDLE_MS, seconds * 800);
    if (!isLong && this.#told) this.#last = -Infinity;
    this.#tell(isLong);
    const due = performance.now() - this.#last > seconds * 300;
    if (due && !isLong) this.#beat();
  }

  #tell(isLong) {
    const saved = this.outbox.waiting + this.outbox.kept ? "The" : "Everything is saved; the";
    const pause =
      `Paused: nothing happened for a while, and the time is not counted. ${saved} image may` +
      " go to somebody else. Any key or move goes on.";
    const text = isLong ? pause : null;
    if (text !== this.#told) banner("paused", text);
    this.#told = text;
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
