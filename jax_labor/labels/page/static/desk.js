// The page around the work: views, header, keyboard. A mode (points, segments, full) fills it.

import { buildBar, buildHints, commandOf, refreshBar, showHelp } from "./commands.js";
import { byId, toast } from "./dom.js";
import { keyName } from "./keys.js";
import { Palette } from "./palette.js";
import { prefs } from "./prefs.js";
import { View } from "./view.js";

const BUTTONS =
  "#bar button, #tools button, #question button, #classes button, #strip button, #looks button," +
  " #looks summary";
const TAB = ["tab", "shift+tab"];
const ARROWS = ["arrowleft", "arrowright", "arrowup", "arrowdown"];
const OWN = { range: [...TAB, ...ARROWS], checkbox: [...TAB, "space"] }; // keys by type of input
const MANY = 200; // items above which pace tells less than the share done

/** The one desk of the page. */
export class Desk {
  palette = null;
  mode = null;
  commands = [];
  canReopen = () => false; // whether undo at the start of an image takes up the one before
  leave = () => {}; // ends the image: ({kind: "finish", status} | {kind: "reopen"})
  #general = [
    {
      keys: ["?"],
      name: "All keys",
      hint: "all keys",
      run: () => showHelp(this.commands, this.palette),
    },
    { keys: ["/"], name: "Find a class", run: () => byId("filter").focus() },
  ];

  constructor(clock) {
    this.clock = clock;
    byId("desk").hidden = false; // a view is measured when it is made
    this.crop = new View(byId("crop"));
    this.whole = new View(byId("whole"));
    this.around = new View(byId("around"));
    byId("desk").hidden = true;
    this.crop.listen(this.#forward("pointer"));
    this.whole.listen(this.#forward("wholePointer"));
    this.around.listen();
    addEventListener("keydown", (event) => this.#key(event));
    addEventListener("keyup", ({ key }) => key === " " && this.mode?.spaceUp?.());
    addEventListener("blur", () => this.mode?.spaceUp?.());
    byId("help-button").onclick = () => this.mode && showHelp(this.commands, this.palette);
    document.addEventListener("mousedown", (event) => {
      // a click on a tool leaves the keyboard with the image
      if (event.target.closest?.(BUTTONS)) event.preventDefault();
    });
  }

  /** Takes over the round's classes. */
  setClasses(classes) {
    const known = this.palette && JSON.stringify(this.palette.classes) === JSON.stringify(classes);
    if (known) return;
    this.palette = new Palette(classes);
    this.palette.onChoose = (id) => this.mode?.choose(id);
    this.palette.onLooks = () => this.#looks();
    this.#looks();
  }

  /** Puts a mode to work on the desk. */
  open(Mode, work) {
    const { kind } = work.claim;
    byId("desk").dataset.kind = kind;
    byId("desk").hidden = false;
    byId("end").hidden = true;
    this.mode = new Mode(this, work);
    this.commands = [...this.mode.commands(), ...this.#general];
    buildBar(this.commands);
    buildHints(this.commands);
    this.mode.frame();
    this.mode.show();
    this.crop.element.focus({ preventScroll: true });
  }

  /** Takes the mode away; the last picture stays until another comes. */
  clear() {
    this.mode?.close?.();
    this.mode = null;
  }

  finish(status, byAnswer = false) {
    this.leave({ kind: "finish", status, byAnswer });
  }

  reopen() {
    if (this.canReopen()) this.leave({ kind: "reopen" });
    else toast("Nothing to undo.");
  }

  /** Shows how far the image is. */
  progress(done, total, unit = "") {
    const [meter, items] = [byId("meter"), byId("items")];
    meter.max = total;
    meter.value = done;
    const isShare = unit || total > MANY;
    items.textContent = unit ? `${share(done, total)} ${unit}` : `${done} / ${total}`;
    meter.title = isShare ? `${share(done, total)} %` : "";
    const { pace } = this.clock;
    const minutes = pace && !unit ? Math.ceil((total - done) / pace) : null;
    byId("pace").textContent =
      pace && !unit
        ? `${Math.round(pace)} a minute · ${minutes > 1 ? `${minutes} min` : "1 min"} left`
        : "";
  }

  #looks() {
    const { pixelated } = prefs;
    this.crop.pixelated = this.around.pixelated = pixelated;
    this.mode?.looksChanged();
    this.mode?.show();
  }

  #forward(name) {
    const to =
      (method) =>
      (...given) =>
        this.mode?.[name]?.[method]?.(...given);
    const methods = ["down", "move", "up", "cancel", "hover", "leave", "wheel"];
    return Object.fromEntries(methods.map((method) => [method, to(method)]));
  }

  #key(event) {
    const { target } = event;
    if (!this.mode || document.querySelector("dialog[open]")) return;
    if (target.matches("input[type=search], input[type=text], input:not([type])")) return;
    const name = keyName(event);
    const own = OWN[target.type] ?? [...TAB, "enter", "space"];
    if (target.matches("button, input, summary") && own.includes(name)) return;
    const command = commandOf(this.commands, name);
    const id = command ? -1 : this.palette.classOf(name);
    if (!command && id < 0) return;
    event.preventDefault();
    if (event.repeat && !/arrow|^[-+[\]]$/.test(name)) return;
    if (command) this.#run(command);
    else this.mode.choose(id);
  }

  #run(command) {
    if (command.enabled && !command.enabled()) return;
    this.mode.painter?.endStroke(); // what is painted belongs to what was at hand
    command.run();
    refreshBar(this.commands);
  }
}

const share = (done, total) => {
  const percent = (100 * done) / total;
  return percent > 99 && percent < 100 ? "99" : percent.toFixed(0);
};
