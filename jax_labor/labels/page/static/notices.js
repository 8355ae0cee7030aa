// What the page says about answers on their way: saved, waiting, refused, and what to do.

import { DiskFull, send, Stuck } from "./api.js";
import { banner, byId } from "./dom.js";
import { overview, signedIn } from "./signin.js";

let outbox = null;
let giveUp = () => {}; // (claim): goes on without an image whose answers cannot be saved
let lost = null;
let told = ""; // the server's trouble that is on show
let isWarned = false;

/** Shows in the header whether all is saved; `error`: why the server was Lost last, or null. */
export function showConnection(error = lost) {
  lost = error;
  const element = byId("connection");
  const waiting = outbox?.waiting ?? 0;
  const waits = waiting ? `${waiting} answer${waiting > 1 ? "s" : ""} waiting: ` : "";
  let state = outbox?.state ?? "saved";
  if (lost && state === "saved") state = lost instanceof DiskFull ? "full" : "offline";
  const words = {
    saved: outbox?.kept ? `saved, ${outbox.kept} kept for later` : "saved",
    sending: "saving…",
    offline: `${waits}offline`,
    full: `${waits}the server's disk is full`,
    signin: `${waits}sign in`,
    refused: `${waits}refused`,
  };
  element.dataset.state = state;
  if (element.lastElementChild.textContent !== words[state]) {
    element.lastElementChild.textContent = words[state];
  }
  showTrouble();
}

/** Tells what the server stumbles over, for as long as it does; all is sent again meanwhile. */
function showTrouble() {
  const trouble = [outbox?.lost, lost].find((error) => error instanceof Stuck);
  const claim = outbox?.stuckAt ?? null;
  const now = trouble ? `${trouble.message} ${claim}` : "";
  if (now === told) return;
  told = now;
  const goOn = { text: "Keep these answers for later and go on", run: () => keepForLater(claim) };
  const text = trouble ? `${trouble.message} The page tries again by itself.` : null;
  banner("trouble", text, claim ? [goOn] : []);
}

/** The image is left out, so that it does not come back at once; its answers stay here. */
async function keepForLater(claim) {
  await send("/api/broken", { claim }).catch(() => {});
  outbox.keepForLater(claim);
  giveUp(claim);
}

/** Listens to the outbox: what goes wrong with answers is told calmly, with what to do. */
export function watchOutbox(queue, onGiveUp) {
  outbox = queue;
  giveUp = onGiveUp;
  outbox.addEventListener("change", () => {
    showConnection();
    warnUndurable();
    if (outbox.state === "signin") signedIn().then(() => outbox.retry());
    if (!outbox.refusal) banner("refused", null);
  });
  outbox.addEventListener("refused", async () => {
    await overview().catch(() => {}); // refused to somebody else, who signed in in another tab?
    if (!outbox.refusal) return; // given up meanwhile
    const { claim, error } = outbox.refusal;
    const again = {
      text: "Leave them and go on",
      run: () => {
        outbox.drop(claim);
        giveUp(claim);
      },
    };
    const count = outbox.waiting;
    const text = `${error.message} ${count} answer${count > 1 ? "s" : ""} could not be saved.`;
    banner("refused", text, [again]);
  });
  warnUndurable();
}

/** Tells, once, a person whose browser keeps nothing. */
function warnUndurable() {
  if (!outbox.isDurable && !isWarned) {
    isWarned = true;
    banner(
      "undurable",
      "This browser keeps no data: answers that are not saved yet are lost when the page closes.",
      [{ text: "I see", run: () => banner("undurable", null) }],
    );
  }
}
