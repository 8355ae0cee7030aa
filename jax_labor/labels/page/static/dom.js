// Elements of the page. Text from outside (names of classes, files, people) reaches the document
// through textContent only, so that markup in a name is shown and never run.

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/** A new element with properties or attributes, and children (text or elements). */
export function make(tag, properties = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (name in element) element[name] = value;
    else element.setAttribute(name, value);
  }
  element.append(...children);
  return element;
}

/** A drawing of the sprite sheet in index.html. */
export function icon(name) {
  const space = "http://www.w3.org/2000/svg";
  const svg = document.createElementNS(space, "svg");
  const use = document.createElementNS(space, "use");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  use.setAttribute("href", `#i-${name}`);
  svg.append(use);
  return svg;
}

/** A small square of a class's colour. */
export function swatch([red, green, blue]) {
  const element = make("span", { className: "swatch" });
  element.style.backgroundColor = `rgb(${red} ${green} ${blue})`;
  return element;
}

let toastTimer = 0;

/** A short remark at the foot of the page that goes by itself. */
export function toast(text) {
  const element = byId("toast");
  element.textContent = text;
  element.hidden = false;
  clearTimeout(toastTimer);
  toastTimer = setTimeout(() => (element.hidden = true), 3500);
}

const SOURCES = ["failed", "refused", "lost", "trouble", "undurable", "paused"];
const banners = new Map(); // by source: {text, actions}
let onShow;

/**
 * Shows what one source has to say, with buttons [{text, run}], or takes it back when `text` is
 * null. There is one banner: of several sources the first of SOURCES has it.
 */
export function banner(source, text, actions = []) {
  if (text === null) banners.delete(source);
  else banners.set(source, { text, actions });
  const first = banners.get(SOURCES.find((name) => banners.has(name)));
  if (first === onShow) return; // its buttons keep the focus
  onShow = first;
  const element = byId("banner");
  element.hidden = !first;
  element.firstElementChild.textContent = first?.text ?? "";
  const buttons = (first?.actions ?? []).map(({ text, run }) =>
    make("button", { textContent: text, onclick: run }),
  );
  element.lastElementChild.replaceChildren(...buttons);
}

/** Asks a yes-or-no question; resolves to whether the answer was yes. */
export function confirmed(title, text, yes) {
  const dialog = byId("confirm");
  dialog.querySelector("h1").textContent = title;
  dialog.querySelector("p").textContent = text;
  dialog.querySelector("[value=yes]").textContent = yes;
  dialog.returnValue = "no";
  dialog.showModal();
  return new Promise((resolve) => {
    dialog.addEventListener("close", () => resolve(dialog.returnValue === "yes"), { once: true });
  });
}
