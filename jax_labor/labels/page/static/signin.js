// Who is here: a name, and the token that came with the address (or a password to type).

import { Lost, read, send } from "./api.js";
import { byId } from "./dom.js";
import { prefs, set } from "./prefs.js";

let here = null; // whose page this is
let token = tokenInAddress();

function tokenInAddress() {
  return new URLSearchParams(location.hash.slice(1)).get("token") ?? "";
}

addEventListener("hashchange", () => {
  token = tokenInAddress(); // the link was opened again in this tab
  byId("token-row").hidden = Boolean(token);
});

/** Asks for a name until the server lets the person in. */
async function signIn() {
  const [dialog, error] = [byId("signin"), byId("signin-error")];
  byId("name").value = prefs.name;
  byId("token-row").hidden = Boolean(token);
  dialog.oncancel = (event) => event.preventDefault();
  dialog.onclose = () => dialog.showModal(); // a second Escape closes what the first may not
  if (!dialog.open) dialog.showModal();
  byId("name").focus();
  for (;;) {
    const typed = await submitted(dialog);
    try {
      await send("/api/login", { token: token || typed.token, annotator: typed.name });
      set({ name: typed.name });
      break;
    } catch (failure) {
      error.hidden = false;
      error.textContent =
        failure instanceof Lost ? "The server cannot be reached." : failure.message;
      if (failure.status === 403) token = "";
      byId("token-row").hidden = Boolean(token);
    }
  }
  error.hidden = true;
  dialog.onclose = null;
  dialog.close();
  history.replaceState(null, "", location.pathname); // the token does not stay in the address
  await stillHere(prefs.name);
}

/** A page is one person's, with what waits in it: for another one it is loaded anew. */
function stillHere(name) {
  here ??= name;
  if (name === here) return null;
  location.reload();
  return new Promise(() => {});
}

function submitted(dialog) {
  return new Promise((resolve) => {
    dialog.querySelector("form").onsubmit = (event) => {
      event.preventDefault();
      resolve({ name: byId("name").value.trim(), token: byId("token").value });
    };
  });
}

let pending = null;

/** Signs in, once for all who ask for it at the same time. */
export function signedIn() {
  pending ??= signIn().finally(() => (pending = null));
  return pending;
}

/** Runs `action`; when the server does not know the person, signs in and runs it again. */
export async function known(action) {
  for (;;) {
    try {
      return await action();
    } catch (error) {
      if (error.status !== 401) throw error;
      await signedIn();
    }
  }
}

/** Who opened the page with a token says who they are; others may be known already. */
export const welcomed = () => (token ? signedIn() : null);

/** Ends the visit. */
export async function signOut() {
  await send("/api/logout");
  location.reload();
}

/** The newest round, as the person here sees it. */
export async function overview() {
  const round = await read("/api/round");
  await stillHere(round.annotator);
  return round;
}
