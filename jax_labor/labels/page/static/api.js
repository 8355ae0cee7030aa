// The server's interface. Two ways to fail: Lost (try again later), Refused (the server said no).
// Lost to trouble of the server's own (a file that cannot be read, a bug) is Stuck: that is told.

/** No connection, no server, or a server that stumbles: the same request may be sent again. */
export class Lost extends Error {}

/** The server is there and stumbled over something of its own, which its sentence names. */
export class Stuck extends Lost {}

/** The server cannot store anything, and takes the same request once it can again. */
export class DiskFull extends Stuck {}

/** The server's refusal, with its status, short reason and sentence for a person. */
export class Refused extends Error {
  constructor(status, reason, sentence) {
    super(sentence);
    this.status = status;
    this.reason = reason;
  }
}

const TROUBLES = { 500: Stuck, 507: DiskFull };
const SILENCE_MS = 60_000; // as long as the server waits for a request

/** The response and its whole body; Lost if the connection breaks or nothing comes for long. */
async function exchange(path, options) {
  const silence = new AbortController();
  let timer = 0;
  const heard = () => {
    clearTimeout(timer);
    timer = setTimeout(() => silence.abort(), SILENCE_MS);
  };
  heard();
  try {
    const response = await fetch(path, { ...options, signal: silence.signal });
    const reader = response.body?.getReader();
    const parts = [];
    for (let part; reader && !(part = await reader.read()).done; parts.push(part.value)) heard();
    return { response, body: new Blob(parts, { type: response.headers.get("Content-Type") }) };
  } catch {
    throw new Lost("no connection to the server");
  } finally {
    clearTimeout(timer);
  }
}

async function request(path, options) {
  const { response, body } = await exchange(path, options);
  const { ok, status } = response;
  if (ok) return { status, body };
  const { error, reason } = await parsed(body).catch(() => ({}));
  const sentence = error ?? `the server answers ${status}`;
  const busy = status === 408 || status === 429 || status >= 500;
  if (busy && path !== "/api/login") throw new (TROUBLES[status] ?? Lost)(sentence);
  throw new Refused(status, reason ?? "", sentence);
}

async function parsed(body) {
  try {
    return JSON.parse(await body.text());
  } catch {
    throw new Lost("the reply is not whole");
  }
}

/** GET as parsed JSON. */
export async function read(path) {
  return parsed((await request(path, { cache: "no-store" })).body);
}

/** POST of a JSON body; the parsed reply, or null when there is none. */
export async function send(path, body = {}) {
  const headers = { "Content-Type": "application/json", "X-Labor": "1" };
  const reply = await request(path, { method: "POST", headers, body: JSON.stringify(body) });
  return reply.status === 204 ? null : parsed(reply.body);
}

/** A picture as ImageBitmap, its values untouched by colour management; Refused if there is none. */
export async function picture(url) {
  const { body } = await request(url, {}).catch(unlessStuck);
  const plain = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  return createImageBitmap(body, plain).catch(({ message }) => {
    throw new Refused(0, "no_picture", message);
  });
}

/** A picture at which the server stumbles would not be there later either. */
function unlessStuck(error) {
  throw error instanceof Stuck ? new Refused(500, "no_picture", error.message) : error;
}

/** A random id; `crypto.randomUUID` is missing where the page comes without TLS. */
export function uuid() {
  const bytes = crypto.getRandomValues(new Uint8Array(16));
  bytes[6] = (bytes[6] & 15) | 64;
  bytes[8] = (bytes[8] & 63) | 128;
  const hex = Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})/, "$1-$2-$3-$4-");
}

/** Repeats `action` while it is Lost, waiting longer each time; `onLost` hears of each failure. */
export async function patiently(action, onLost = () => {}) {
  for (let wait = 500; ; wait = Math.min(wait * 1.6, 8000)) {
    try {
      return await action();
    } catch (error) {
      if (!(error instanceof Lost)) throw error;
      onLost(error);
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  }
}
