// The page's course: sign in, then one image after another until none is left.

import { Lost, patiently, Refused, send } from "./api.js";
import { Clock } from "./clock.js";
import { Desk } from "./desk.js";
import { banner, byId, confirmed, toast } from "./dom.js";
import { Full } from "./full.js";
import { showConnection, watchOutbox } from "./notices.js";
import { Outbox } from "./outbox.js";
import { Points } from "./points.js";
import { place } from "./prefs.js";
import { rest } from "./rest.js";
import { Segments } from "./segments.js";
import { known, overview, signOut, welcomed } from "./signin.js";
import { Watch } from "./watch.js";
import { loadPictures, Work } from "./work.js";

const MODES = { points: Points, mask: Segments, full: Full };

const clock = new Clock();
let outbox = null;
let lastDone = null; // the image finished last, for an undo

/** A request that waits for the connection and signs in when it must. */
const asked = async (action) => {
  const reply = await known(() => patiently(action, showConnection));
  showConnection(null);
  return reply;
};

function showRound(round) {
  byId("round").textContent = round.round === null ? "jax_labor" : `Round ${round.round}`;
  const { done, total } = round.images;
  byId("images").textContent = total ? `${done} of ${total} images` : "";
  byId("annotator").firstElementChild.textContent = round.annotator;
  byId("annotator").title = `${round.annotator}: sign out`;
}

/** Waits until the server has everything. */
function sent() {
  return new Promise((resolve) => {
    const check = () => {
      if (outbox.waiting) return;
      outbox.removeEventListener("change", check);
      resolve();
    };
    outbox.addEventListener("change", check);
    check();
  });
}

/** One image, from opening to leaving it; resolves to what to ask for next. */
async function label(desk, claim, wish) {
  const pictures = await asked(() => loadPictures(claim)).catch(refused);
  if (!pictures) {
    toast(`${claim.name} cannot be shown and is left out.`);
    await asked(() => send("/api/broken", { claim: claim.claim }));
    return claim.review ? { review: true } : {};
  }
  const work = new Work(claim, pictures, clock);
  clock.turnTo(place(claim), true);
  byId("image").textContent = claim.review ? `review: ${claim.name}` : claim.name;
  byId("image").title = claim.name; // a long one is cut
  document.title = `${claim.name} · jax_labor`;
  if (!work.items.length) {
    outbox.push(claim, "finish", [{ status: "answered" }]); // nothing was asked here
    return { review: wish.review };
  }
  work.onAnswer = (entries) => outbox.push(claim, "answer", entries);
  const left = new Promise((resolve) => (desk.leave = resolve));
  const watch = new Watch(claim, clock, outbox, async (error) => {
    await overview().catch(() => {}); // lost to somebody else, who signed in in another tab?
    banner("lost", error.message, [
      {
        text: "Go on with another image",
        run: () => {
          outbox.drop(claim.claim);
          desk.leave({ kind: "lost" });
        },
      },
    ]);
  });
  desk.open(MODES[claim.kind], work);
  if (wish.byAnswer) desk.mode.undo(); // what ended the image is taken back
  const how = await left;
  watch.stop();
  banner("lost", null);
  if (how.kind === "lost") work.onAnswer = () => {};
  desk.clear();
  const next = claim.review ? { review: true } : {};
  if (how.kind === "finish") {
    outbox.push(claim, "finish", [{ status: how.status }]);
    lastDone = { name: claim.name, review: Boolean(claim.review), byAnswer: how.byAnswer };
    toast("Done. Ctrl+Z takes it up again.");
  }
  return how.kind === "reopen" ? reopening() : next;
}

/** The wish for the image finished last; it is not taken up twice. */
function reopening() {
  const wish = { ...lastDone, reopen: true };
  lastDone = null;
  return wish;
}

async function main() {
  const desk = new Desk(clock);
  desk.canReopen = () => lastDone !== null;
  byId("annotator").onclick = async () => {
    const text = "What you have answered is sent first. Open your link again to come back.";
    if (!(await confirmed("Sign out?", text, "Sign out"))) return;
    await sent();
    await signOut();
  };
  await welcomed();
  const first = await asked(overview);
  outbox = await Outbox.open(first.annotator);
  addEventListener("beforeunload", (event) => {
    if (outbox.waiting + outbox.kept && !outbox.isDurable) event.preventDefault();
  });
  watchOutbox(outbox, (claim) => desk.leave({ kind: "lost", claim }));
  for (let wish = {}; ;) {
    await sent();
    const round = await asked(overview);
    showRound(round);
    if (round.classes.length) desk.setClasses(round.classes);
    const reply = await asked(() =>
      send("/api/claim", { name: wish.name ?? null, review: wish.review ?? false }),
    ).catch(refused);
    const claim = reply?.claim;
    if (claim) wish = await label(desk, claim, wish);
    else if (wish.review || wish.reopen) wish = {};
    else {
      byId("image").textContent = "";
      wish = await rest(round, { canReopen: lastDone !== null, onRound: showRound });
      if (wish.reopen) wish = reopening();
    }
  }
}

/** Tells what the server said no to; null in place of its reply. */
function refused(error) {
  if (!(error instanceof Refused)) throw error;
  toast(error.message);
  return null;
}

main().catch((error) => {
  if (error instanceof Lost) throw error;
  banner(
    "failed",
    `Something went wrong: ${error.message}. Your answers are kept; reload the page to go on.`,
    [{ text: "Reload", run: () => location.reload() }],
  );
  throw error;
});
