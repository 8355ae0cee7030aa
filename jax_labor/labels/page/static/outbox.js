// Answers on their way to the server. Each is written to the browser's database before it is sent
// and removed when the server has it, so that neither a reload nor a lost connection loses one.
// Answers carry their own uuid: sending one twice is harmless, and so the outbox may always retry.

import { Lost, Refused, send, Stuck, uuid } from "./api.js";

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
  #queue = []; // {id, order, annotator, round, claim, kind: "answer"|"finish", body, resolve?}
  #storage = null;
  #annotator = "";
  #working = false;
  #order = 0; // grows with every record, over reloads too
  #wake = () => {};

  state = "saved"; // saved | sending | offline | full | signin | refused
  refusal = null;
  lost = null; // why the last try to send was Lost
  kept = 0; // answers and endings that are left to the next visit
  #tries = 0; // at the head of the queue

  /** Opens the queue and takes up what an earlier visit could not send. */
  static async open(annotator) {
    const outbox = new Outbox();
    outbox.#annotator = annotator;
    try {
      outbox.#storage = await database();
      outbox.#queue = await outbox.#stored();
    } catch {
      outbox.#storage = null; // a browser without a database: the queue lives in memory alone
    }
    addEventListener("online", () => outbox.retry());
    outbox.#work();
    return outbox;
  }

  /** Answers and endings that the server has not confirmed. */
  get waiting() {
    return this.#queue.length;
  }

  /** The claim at whose answers the server stumbles again and again, or null. */
  get stuckAt() {
    const isStuck = this.lost instanceof Stuck && this.#tries >= PATIENCE;
    return isStuck ? this.#queue[0].claim : null;
  }

  /** Whether answers would outlive a reload. */
  get isDurable() {
    return this.#storage !== null;
  }

  /** Queues `bodies` of one claim; resolves to the server's last reply, or null if given up. */
  push({ claim, round }, kind, bodies) {
    const records = bodies.map((body) => {
      const id = body.id ?? uuid();
      const order = (this.#order = Math.max(this.#order + 1, Date.now() * 1000));
      return { id, order, annotator: this.#annotator, round, claim, kind, body };
    });
    this.#transaction((store) => records.forEach((record) => store.put(record)));
    this.#queue.push(...records);
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
    const others = this.#queue.filter((record) => record.claim !== claim);
    this.kept += this.#queue.length - others.length;
    this.#queue = others;
    this.#went("sending");
    this.retry();
  }

  async #work() {
    if (this.#working || this.refusal) return;
    this.#working = true;
    let wait = FIRST_WAIT_MS;
    while (this.#queue.length && !this.refusal) {
      const batch = this.#batch();
      if (this.state === "saved") this.#show("sending");
      try {
        this.#remove(batch, await post(batch));
        wait = FIRST_WAIT_MS;
        this.#went(this.#queue.length ? "sending" : "saved");
      } catch (error) {
        if (!this.#mayRetry(error)) break;
        await this.#sleep(wait);
        wait = Math.min(wait * 2, LONGEST_WAIT_MS);
      }
    }
    this.#working = false;
    if (!this.#queue.length) this.#went("saved");
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

  #mayRetry(error) {
    this.#tries += 1;
    this.lost = error instanceof Lost ? error : null;
    if (this.lost) this.#show("offline");
    else if (error.status === 507) this.#show("full");
    else if (error.status === 401) this.#show("signin");
    else if (error instanceof Refused) {
      this.refusal = { claim: this.#queue[0].claim, error };
      this.#show("refused");
      this.dispatchEvent(new Event("refused"));
      return false;
    } else throw error;
    return true;
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
    this.#queue = this.#queue.filter(({ id }) => !gone.has(id));
    this.#transaction((store) => gone.forEach((id) => store.delete(id)));
    records.forEach((record) => record.resolve?.(reply));
  }

  #transaction(action) {
    if (!this.#storage) return;
    const transaction = this.#storage.transaction("outbox", "readwrite");
    action(storable(transaction.objectStore("outbox")));
    transaction.onabort = () => {
      this.#storage = null; // no room left: from here on the queue lives in memory
      this.#show(this.state);
    };
    transaction.commit(); // not left to the event loop: a reload may come first
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

/** A store that takes records without their promise. */
function storable(store) {
  const put = ({ resolve: _, ...record }) => store.put(record);
  return { put, delete: (id) => store.delete(id) };
}

function post(batch) {
  const { claim, kind, body } = batch[0];
  if (kind === "finish") return send("/api/finish", { claim, status: body.status });
  return send("/api/answers", { claim, answers: batch.map((record) => record.body) });
}
