// What can be done, one list per mode: {keys, name, run, icon?, place?, active?, enabled?, hint?}.
// Keys, tool bar, hints and the help page are all made from it. place: "bar" or "card".

import { byId, icon, make } from "./dom.js";
import { keyLabel } from "./keys.js";

/** The command of a key, or undefined. */
export const commandOf = (commands, key) => commands.find(({ keys }) => keys.includes(key));

/** A button for a command. */
export function button(command, withIcon) {
  const { name, keys, run, short } = command;
  const hasRoom = !withIcon || !keys[0]?.includes("ctrl");
  const element = make("button", { onclick: run });
  if (withIcon) element.append(icon(command.icon));
  element.append(make("span", { textContent: short ?? name }));
  if (keys.length && hasRoom) element.append(make("kbd", { textContent: keyLabel(keys[0]) }));
  element.title = keys.length ? `${name} (${keys.map(keyLabel).join(", ")})` : name;
  element.dataset.command = name;
  return element;
}

/** Rebuilds the tool bar. */
export function buildBar(commands) {
  const inBar = commands.filter(({ place }) => place === "bar");
  const bar = byId("tools");
  bar.hidden = !inBar.length;
  bar.replaceChildren(...inBar.map((command) => button(command, true)));
  refreshBar(commands);
}

/** Shows which tools are chosen and which can be used. */
export function refreshBar(commands) {
  const inBar = commands.filter(({ place }) => place === "bar");
  [...byId("tools").children].forEach((element, index) => {
    const { active, enabled } = inBar[index];
    if (active) element.setAttribute("aria-pressed", String(active()));
    element.disabled = enabled ? !enabled() : false;
  });
}

/** Fills the short hints with the commands that have `hint`. */
export function buildHints(commands) {
  const hints = commands
    .filter(({ hint }) => hint)
    .map(({ keys, hint }) =>
      make("span", {}, make("kbd", { textContent: keyLabel(keys[0]) }), hint),
    );
  byId("hints").replaceChildren(...hints);
}

/** Shows all keys. */
export function showHelp(commands, palette) {
  const row = (keys, name) =>
    make(
      "div",
      { className: "key-row" },
      make(
        "span",
        { className: "keys" },
        ...keys.map((key) => make("kbd", { textContent: keyLabel(key) })),
      ),
      make("span", { textContent: name }),
    );
  const column = (title, rows) => make("section", {}, make("h2", { textContent: title }), ...rows);
  const classes = palette.classes.map(({ name }, id) =>
    row(palette.keys[id] ? [palette.keys[id]] : ["/"], name),
  );
  const brush = commandOf(commands, "shift+arrowup") ? [["Shift and wheel", "Brush size"]] : [];
  const mouse = [
    ["Wheel, pinch", "Zoom"],
    ...brush,
    ["Drag, two fingers, middle button", "Move the image"],
  ].map(([how, name]) =>
    make(
      "div",
      { className: "key-row" },
      make("span", { className: "keys", textContent: how }),
      make("span", { textContent: name }),
    ),
  );
  byId("help-keys").replaceChildren(
    column(
      "Work",
      commands.filter(({ keys }) => keys.length).map((c) => row(c.keys, c.name)),
    ),
    column("Classes", classes),
    column("Mouse and touch", mouse),
  );
  byId("help").showModal();
}
