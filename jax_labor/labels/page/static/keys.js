// Names of keys, and which key chooses which class.

/** Letters that tools use; the rest is free for classes. */
const TOOL_LETTERS = "bcefghikpsuvxz";
const FREE_LETTERS = [..."abcdefghijklmnopqrstuvwxyz"].filter((c) => !TOOL_LETTERS.includes(c));
const DIGITS = [..."1234567890"];

/** The name of a pressed key, such as "b", "5", "shift+enter", "ctrl+z", "space". */
export function keyName(event) {
  const isTyped = event.getModifierState("AltGraph"); // as "[" is on German and Nordic keyboards
  const digit = /^(?:Digit|Numpad)(\d)$/.exec(event.code);
  let key = event.key === " " ? "space" : event.key.toLowerCase();
  // digits by their place: some keyboards give them only with Shift
  if (digit && !event.shiftKey && !isTyped && event.key.length === 1) key = digit[1];
  if (key === "=") key = "+";
  const hasCase = key.length > 1 || key !== key.toUpperCase();
  const shift = event.shiftKey && hasCase ? "shift+" : "";
  const ctrl = (event.ctrlKey || event.metaKey) && !isTyped ? "ctrl+" : "";
  const alt = event.altKey && !isTyped ? "alt+" : "";
  return `${ctrl}${alt}${shift}${key}`;
}

/** A key's name as people read it. */
export function keyLabel(name) {
  const words = {
    ctrl: "Ctrl",
    shift: "Shift",
    enter: "Enter",
    escape: "Esc",
    space: "Space",
    tab: "Tab",
    arrowleft: "←",
    arrowright: "→",
    arrowup: "↑",
    arrowdown: "↓",
    backspace: "Backspace",
  };
  return name
    .split(/\+(?=.)/)
    .map((part) => words[part] ?? part.toUpperCase())
    .join(" ");
}

/**
 * One key per class name: digits first, then a free letter of the name where there is one, then
 * any free letter, then those with Shift; "" when none is left (the filter still finds the class).
 */
export function classKeys(names) {
  const left = new Set([...FREE_LETTERS, ...FREE_LETTERS.map((letter) => `shift+${letter}`)]);
  return names.map((name, index) => {
    if (index < DIGITS.length) return DIGITS[index];
    const own = [...name.toLowerCase()].find((letter) => left.has(letter));
    const key = own ?? [...left][0] ?? "";
    left.delete(key);
    return key;
  });
}
