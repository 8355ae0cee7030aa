// Between rounds: what the person has done, and a look for more work every few seconds.

import { byId, make } from "./dom.js";
import { Lost } from "./api.js";
import { showConnection } from "./notices.js";
import { known, overview } from "./signin.js";

const POLL_MS = 4000;
const FEW = 5;

/** Shows the end page until there is work; resolves to what to ask the server for. */
export function rest(round, { canReopen, onRound }) {
  byId("desk").hidden = true;
  byId("end").hidden = false;
  document.body.classList.add("resting");
  return new Promise((resolve) => {
    let timer = 0;
    const go = (wish) => {
      clearInterval(timer);
      removeEventListener("keydown", keys);
      byId("end").hidden = true;
      document.body.classList.remove("resting");
      resolve(wish);
    };
    const reopen = () => canReopen && go({ reopen: true });
    const keys = (event) => {
      if ((event.ctrlKey || event.metaKey) && event.key.toLowerCase() === "z") reopen();
    };
    const show = (now) => fill(now, go, canReopen && !now.closed ? reopen : null);
    addEventListener("keydown", keys);
    show(round);
    timer = setInterval(async () => {
      try {
        const now = await known(overview);
        showConnection(null);
        onRound(now);
        if (now.images.free > 0 && !now.closed) go({});
        else show(now);
      } catch (error) {
        if (!(error instanceof Lost)) throw error;
        showConnection(error);
      }
    }, POLL_MS);
  });
}

function fill(round, go, reopen) {
  const { images, broken } = round;
  const [title, lead, unread, figures, actions] = byId("end").children;
  const nothing = round.round === null;
  const done = round.items_by_me ? "All done, thank you" : "Nothing left to label";
  const waitsFor = round.closed ? 0 : broken.filter(({ done }) => !done).length;
  const others = !nothing && !round.closed && images.done + waitsFor < images.total;
  title.textContent = nothing ? "No images yet" : done;
  if (nothing)
    lead.textContent = "Training has not asked anything yet. This page goes on by itself.";
  else if (others)
    lead.textContent = "Others are still at their last images. This page goes on by itself.";
  else if (waitsFor)
    lead.textContent =
      `Training waits for ${waitsFor} image${waitsFor > 1 ? "s" : ""} of which a file cannot be` +
      " read: tell whoever runs the server. This page goes on by itself.";
  else
    lead.textContent =
      "All answers are saved. If there is another round, it opens here by itself once training has" +
      " gone on from them.";
  unread.hidden = !broken.length || round.closed;
  unread.replaceChildren(...told(broken).map((textContent) => make("li", { textContent })));
  const minutes = round.seconds_by_me / 60;
  const rows = nothing
    ? []
    : [
        ["Round", String(round.round)],
        ["Images finished by you", `${images.mine} of ${images.total}`],
        ["Your answers", String(round.items_by_me)],
        [
          "Your time",
          minutes < 1 ? `${Math.round(round.seconds_by_me)} s` : `${Math.round(minutes)} min`,
        ],
      ];
  figures.replaceChildren(
    ...rows.map(([name, value]) =>
      make("div", {}, make("dt", { textContent: name }), make("dd", { textContent: value })),
    ),
  );
  const buttons = [];
  if (images.to_review > 0 && !round.closed) {
    const text = `Review ${images.to_review} image${images.to_review > 1 ? "s" : ""} of others`;
    buttons.push(
      make("button", {
        className: "primary",
        textContent: text,
        onclick: () => go({ review: true }),
      }),
    );
  }
  if (reopen) {
    buttons.push(
      make(
        "button",
        { className: "plain", onclick: reopen },
        "Back to the last image",
        make("kbd", { textContent: "Ctrl Z" }),
      ),
    );
  }
  const same =
    actions.childElementCount === buttons.length &&
    [...actions.children].every((old, i) => old.textContent === buttons[i].textContent);
  if (!same) actions.replaceChildren(...buttons);
}

/** The sentences about broken images, the first few of many. */
function told(broken) {
  const sentences = broken.slice(0, FEW).map(({ sentence }) => sentence);
  const more = broken.length - sentences.length;
  return more ? [...sentences, `and ${more} more`] : sentences;
}
