// The server's interface. Two ways to fail: Lost (try again later), Refused (the server said no).
// Lost to trouble of the server's own (a file that cannot be read, a bug) is Stuck: that is told.

/** No connection, no server, or a server that stumbles: the same request may be sent again. */
export class Lost extends Error {}

/** The server is there and stumbled over something of its own, which its sentence names. */
export class Stuck extends Lost {}

/** The server's refusal, with its status, short reason and sentence for a person. */
export class Refused extends Error {
  constructor(status, reason, sentence) {
    super(sentence);
    this.status = status;
    this.reason = reason;
  }
}

const TROUBLE = 500;
const DISK_FULL = 507;
const TIMEOUT_MS = 30000;

async function request(path, options) {
  let response;
  try {
    response = await fetch(path, { ...options, signal: AbortSignal.timeout(TIMEOUT_MS) });
  } catch {
    throw new Lost("no connection to the server");
  }
  if (response.ok) return response;
  const { status } = response;
  const body = await response.json().catch(() => ({}));
  const sentence = body.error ?? `the server answers ${status}`;
  const busy = status === 429 || (status >= 500 && status !== DISK_FULL);
  if (busy && path !== "/api/login") throw new (status === TROUBLE ? Stuck : Lost)(sentence);
  throw new Refused(status, body.reason ?? "", sentence);
}

/** GET as parsed JSON. */
export async function read(path) {
  return (await request(path, { cache: "no-store" })).json();
}

/** POST of a JSON body; the parsed reply, or null when there is none. */
export async function send(path, body = {}) {
  const headers = { "Content-Type": "application/json", "X-Labor": "1" };
  const response = await request(path, { method: "POST", headers, body: JSON.stringify(body) });
  return response.status === 204 ? null : response.json();
}

/** A picture as ImageBitmap, its values untouched by colour management; Refused if there is none. */
export async function picture(url) {
  const blob = await request(url, {}).then(bodyOf).catch(unlessStuck);
  const plain = { colorSpaceConversion: "none", premultiplyAlpha: "none" };
  return createImageBitmap(blob, plain).catch(({ message }) => {
    throw new Refused(0, "no_picture", message);
  });
}

const bodyOf = (response) =>
  response.blob().catch(() => {
    throw new Lost("the connection broke");
  });

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
