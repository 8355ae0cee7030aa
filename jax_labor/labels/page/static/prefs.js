// What a person has set for themselves, kept by the browser.

const KEY = "labor.settings";
const FIRST = {
  name: "",
  safe: false, // colour-blind-safe colours
  opacity: 0.6,
  brightness: 1,
  contrast: 1,
  pixelated: true,
  suggest: true, // the model's guess is shown
  zoom: 1, // of the crop around a point or a piece
  brush: 24, // diameter in image pixels
  keep: false, // painting leaves labelled pixels alone
};

function stored(key) {
  try {
    return JSON.parse(localStorage.getItem(key)) ?? {};
  } catch {
    return {};
  }
}

function store(key, value) {
  try {
    localStorage.setItem(key, JSON.stringify(value));
  } catch {
    // a browser that keeps nothing: the setting lasts as long as the page
  }
}

export const prefs = { ...FIRST, ...stored(KEY) };

/** Changes settings and keeps them. */
export function set(changes) {
  Object.assign(prefs, changes);
  store(KEY, prefs);
}

/** How photos and labels look by default. */
export const PLAIN_LOOKS = (({ opacity, brightness, contrast, pixelated }) => ({
  opacity,
  brightness,
  contrast,
  pixelated,
}))(FIRST);

const PLACE = "labor.place";

/** Remembers the item at hand, for a reload. */
export const keepPlace = (claim, item) =>
  store(PLACE, { round: claim.round, name: claim.name, item });

/** The item at hand when the page was left, or null if that was another image. */
export function place(claim) {
  const { round, name, item } = stored(PLACE);
  return round === claim.round && name === claim.name ? item : null;
}
