// Colours that stay apart for people who see fewer of them.

// Okabe and Ito's set, without black, which an image hides.
const FIRST = [
  [230, 159, 0],
  [86, 180, 233],
  [0, 158, 115],
  [240, 228, 66],
  [0, 114, 178],
  [213, 94, 0],
  [204, 121, 167],
];
// Machado, Oliveira and Fernandes 2009, severity 1: how linear RGB looks without one cone type.
const SIGHTS = [
  [1, 0, 0, 0, 1, 0, 0, 0, 1],
  [0.152286, 1.052583, -0.204868, 0.114503, 0.786281, 0.099216, -0.003882, -0.048116, 1.051998],
  [0.367322, 0.860646, -0.227968, 0.280085, 0.672501, 0.047413, -0.01182, 0.04294, 0.968881],
  [1.255528, -0.076749, -0.178779, -0.078411, 0.930809, 0.147602, 0.004733, 0.691367, 0.3039],
];
const LEVELS = [0, 36, 73, 109, 146, 182, 219, 255];

const linear = (value) => {
  const v = value / 255;
  return v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4;
};

const times = (m, [x, y, z]) =>
  [0, 3, 6].map((row) => m[row] * x + m[row + 1] * y + m[row + 2] * z);

/** Linear RGB in OKLab, in which distance is about difference as seen. */
function oklab(rgb) {
  const toCones = [
    0.4122214708, 0.5363325363, 0.0514459929, 0.2119034982, 0.6806995451, 0.1073969566,
    0.0883024619, 0.2817188376, 0.6299787005,
  ];
  const toLab = [
    0.2104542553, 0.793617785, -0.0040720468, 1.9779984951, -2.428592205, 0.4505937099,
    0.0259040371, 0.7827717662, -0.808675766,
  ];
  return times(
    toLab,
    times(toCones, rgb).map((v) => Math.cbrt(Math.max(v, 0))),
  );
}

const seen = (color) => SIGHTS.map((sight) => oklab(times(sight, color.map(linear))));

/** The least difference between two colours over all kinds of sight. */
const apart = (a, b) =>
  Math.min(...a.map((lab, sight) => Math.hypot(...lab.map((v, i) => v - b[sight][i]))));

/** `count` colours [r, g, b], each the farthest from those before it for every kind of sight. */
export function safeColors(count) {
  const chosen = FIRST.slice(0, count);
  const candidates = LEVELS.flatMap((r) => LEVELS.flatMap((g) => LEVELS.map((b) => [r, g, b])))
    .filter((color) => Math.max(...color) > 60)
    .map((color) => ({ color, sight: seen(color), room: Infinity }));
  const add = (sight) => {
    for (const c of candidates) c.room = Math.min(c.room, apart(c.sight, sight));
  };
  chosen.forEach((color) => add(seen(color)));
  while (chosen.length < count) {
    const best = candidates.reduce((a, b) => (b.room > a.room ? b : a));
    chosen.push(best.color);
    add(best.sight);
  }
  return chosen;
}
