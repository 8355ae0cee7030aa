// Answers on their way to the server. Each is written to the browser's database before it is sent
// and removed when the server has it, so that neither a reload nor a lost connection loses one.
// Answers carry their own uuid: sending one twice is harmless, and so the outbox may always retry.

import { DiskFull, Refused, send, Stuck, uuid } from "./api.js";

const BATCH = 200;
const BATCH_CHARACTERS = 2_000_000;
const FIRST_WAIT_MS = 400;
const LONGEST_WAIT_MS = 10_000;
const PATIENCE = 4; // tries after which a person may go on without what the server stumbles over

function database() {
  return new Promise((resolve, reject) => {
    const request = indexedDB.open("jax_labor", 1);
    request.onupgradeneeded = () => request.result.createObjectStore("outbox", { keyPath: "id" });
    request.onsuccess = () => resolve(request.result);
    request.onerror = () => reject(request.error);
  });
}

/** The queue of one annotator. Events: "change" (what waits), "refused" (the server said no). */
export class Outbox extends EventTarget {
  // {id, order, annotator, round, name, review, digest, claim, kind, body, resolve?}
  #queue = []; // kind: "answer" | "finish"
  #later = []; // left to the next visit
  #earlier = new Set(); // claims of an earlier visit: they may be gone
  #storage = null;
  #annotator = "";
  #working = false;
  #order = 0; // grows with every record, over reloads too
  #wake = () => {};

  state = "saved"; // saved | sending | offline | full | signin | refused
  refusal = null;
  lost = null; // why the last try to send failed and is made again
  #tries = 0; // at the head of the queue

  /** Opens the queue and takes up what an earlier visit could not send. */
  static async open(annotator) {
    const outbox = new Outbox();
    outbox.#annotator = annotator;
    try {
      outbox.#storage = await database();
      outbox.#storage.onclose = () => outbox.#forgoStorage();
      outbox.#queue = await outbox.#stored();
    } catch {
      outbox.#storage = null; // a browser without a database: the queue lives in memory alone
    }
    outbox.#earlier = new Set(outbox.#queue.map(({ claim }) => claim));
    addEventListener("online", () => outbox.retry());
    outbox.#work();
    return outbox;
  }

  /** Answers and endings that the server has not confirmed. */
  get waiting() {
    return this.#queue.length;
  }

  /** Answers and endings that are left to the next visit. */
  get kept() {
    return this.#later.length;
  }

  /** The claim at whose answers the server stumbles again and again, or null. */
  get stuckAt() {
    const isStuck = this.lost instanceof Stuck && !(this.lost instanceof DiskFull);
    return isStuck && this.#tries >= PATIENCE ? this.#queue[0].claim : null;
  }

  /** Whether answers would outlive a reload. */
  get isDurable() {
    return this.#storage !== null;
  }

  /** Queues `bodies` of one claim; resolves to the server's last reply, or null if given up. */
  push({ claim, round, name, review, digest }, kind, bodies) {
    const asked = { round, name, review: Boolean(review), digest, claim };
    const records = bodies.map((body) => {
      const id = body.id ?? uuid();
      const order = (this.#order = Math.max(this.#order + 1, Date.now() * 1000));
      return { id, order, annotator: this.#annotator, ...asked, kind, body };
    });
    this.#queue.push(...records);
    this.#store(records);
    this.#work();
    return new Promise((resolve) => (records.at(-1).resolve = resolve));
  }

  /** Sends again now. */
  retry() {
    if (this.state === "refused") return;
    this.#wake();
    this.#work();
  }

  /** Gives up everything that waits for `claim`: the server will never take it. */
  drop(claim) {
    this.#remove(
      this.#queue.filter((record) => record.claim === claim),
      null,
    );
    this.refusal = null;
    this.#show("sending");
    this.#work();
  }

  /** Leaves what waits for `claim` to the next visit; it stays in the browser's database. */
  keepForLater(claim) {
    this.#later.push(...this.#queue.filter((record) => record.claim === claim));
    this.#queue = this.#queue.filter((record) => record.claim !== claim);
    this.#went("sending");
    this.retry();
  }

  async #work() {
    if (this.#working || this.refusal) return;
    this.#working = true;
    try {
      await this.#sendAll();
    } finally {
      this.#working = false;
    }
    if (!this.#queue.length) this.#went("saved");
  }

  async #sendAll() {
    let wait = FIRST_WAIT_MS;
    while (this.#queue.length && !this.refusal) {
      const batch = this.#batch();
      if (this.state === "saved") this.#show("sending");
      try {
        this.#remove(batch, await this.#post(batch));
        wait = FIRST_WAIT_MS;
        this.#went(this.#queue.length ? "sending" : "saved");
      } catch (error) {
        if (!this.#queue.includes(batch[0])) continue; // given up or kept for later meanwhile
        this.#failed(batch[0].claim, error);
        if (this.refusal) return;
        await this.#sleep(wait);
        wait = Math.min(wait * 2, LONGEST_WAIT_MS);
      }
    }
  }

  #batch() {
    const { claim, kind } = this.#queue[0];
    if (kind === "finish") return [this.#queue[0]];
    let characters = 0;
    const end = this.#queue.findIndex((record, index) => {
      characters += 8 * (record.body.patch?.runs.length ?? 40);
      const apart = record.claim !== claim || record.kind !== kind;
      return apart || index === BATCH || (index > 0 && characters > BATCH_CHARACTERS);
    });
    return this.#queue.slice(0, end < 0 ? undefined : end);
  }

  /** Sends a batch; one of an earlier visit, whose claim is gone, under a new claim. */
  async #post(batch) {
    const { claim } = batch[0];
    try {
      return await post(batch);
    } catch (error) {
      if (error.reason !== "claim_lost" || !this.#earlier.has(claim)) throw error;
      await this.#claimAnew(batch[0]);
      return post(batch);
    }
  }

  async #claimAnew({ claim: old, round, name, review, digest }) {
    const { claim } = await send("/api/claim", { name, review });
    if (claim.round !== round || claim.digest !== digest) {
      throw new Refused(409, "query_changed", "What is asked about this image has changed.");
    }
    const records = this.#queue.filter((record) => record.claim === old);
    records.forEach((record) => (record.claim = claim.claim));
    this.#store(records);
  }

  #failed(claim, error) {
    this.#tries += 1;
    this.lost = null;
    if (error.status === 401) this.#show("signin");
    else if (error.reason === "unreadable") this.keepForLater(claim);
    else if (error instanceof Refused) {
      this.refusal = { claim, error };
      this.#show("refused");
      this.dispatchEvent(new Event("refused"));
    } else {
      this.lost = error;
      this.#show(error instanceof DiskFull ? "full" : "offline");
    }
  }

  #went(state) {
    this.lost = null;
    this.#tries = 0;
    this.#show(state);
  }

  #show(state) {
    this.state = state;
    this.dispatchEvent(new Event("change"));
  }

  #sleep(ms) {
    return new Promise((resolve) => {
      this.#wake = resolve;
      setTimeout(resolve, ms);
    });
  }

  #remove(records, reply) {
    const gone = new Set(records.map(({ id }) => id));
    const isLeft = ({ id }) => !gone.has(id);
    [this.#queue, this.#later] = [this.#queue.filter(isLeft), this.#later.filter(isLeft)];
    this.#transaction((store) => gone.forEach((id) => store.delete(id)));
    records.forEach((record) => record.resolve?.(reply));
  }

  /** Writes records, without their promise, to the database. */
  #store(records) {
    this.#transaction((store) => records.forEach(({ resolve: _, ...record }) => store.put(record)));
  }

  #transaction(action) {
    if (!this.#storage) return;
    try {
      const transaction = this.#storage.transaction("outbox", "readwrite");
      transaction.onabort = () => this.#forgoStorage();
      action(transaction.objectStore("outbox"));
      transaction.commit(); // not left to the event loop: a reload may come first
    } catch {
      this.#forgoStorage();
    }
  }

  /** No room is left, or the browser closed the database: the queue lives in memory now. */
  #forgoStorage() {
    this.#storage = null;
    this.#show(this.state);
  }

  #stored() {
    return new Promise((resolve, reject) => {
      const request = this.#storage.transaction("outbox").objectStore("outbox").getAll();
      const mine = (record) => record.annotator === this.#annotator;
      request.onsuccess = () =>
        resolve(request.result.filter(mine).sort((a, b) => a.order - b.order));
      request.onerror = () => reject(request.error);
    });
  }
}

function post(batch) {
  const { claim, kind, body } = batch[0];
  if (kind === "finish") return send("/api/finish", { claim, status: body.status });
  return send("/api/answers", { claim, answers: batch.map((record) => record.body) });
}
