// Decode as strictly as `keys/encoding.py`: one spelling a byte string, one meaning a document.

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
const toBytes = (text) => new TextEncoder().encode(text);
const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
const VALUES = new Map([...ALPHABET].map((letter, value) => [letter, value]));

class Malformed extends Error {}

function decodeBase64url(text) {
  const rest = text.length % 4;
  // RFC 7515 §2, RFC 4648 §3.5: no padding, no foreign character, and unused bits that are zero.
  const unused = [0, 0, 15, 3][rest];
  if (rest === 1 || !/^[A-Za-z0-9_-]*$/.test(text)) throw new Malformed("not base64url");
  if (unused && VALUES.get(text.at(-1)) & unused) throw new Malformed("not canonical base64url");
  const bytes = new Uint8Array(Math.floor((text.length * 3) / 4));
  let held = 0, bits = 0, at = 0;
  for (const letter of text) {
    held = ((held << 6) | VALUES.get(letter)) & 0xffff;
    bits += 6;
    if (bits >= 8) bytes[at++] = held >> (bits -= 8);
  }
  return bytes;
}

function encodeBase64url(bytes) {
  const text = btoa(String.fromCharCode(...bytes));
  return text.replaceAll("+", "-").replaceAll("/", "_").replaceAll("=", "");
}

const toNumber = (bytes) => bytes.reduce((sum, byte) => (sum << 8n) | BigInt(byte), 0n);

/** A number as it was written, since not every one can be held by a number of this language. */
class JsonNumber {
  constructor(text) { this.text = text; }
  get value() { return Number(this.text); }
  get isInteger() { return !/[.eE]/.test(this.text); }
}

const MAX_DIGITS = 4300; // Python reads no longer integer
const NUMBER = /-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?/y;
const PLAIN = /[^"\\\u0000-\u001f]*/y;
const SPACE = /[ \t\r\n]*/y;
const ESCAPES = { '"': '"', "\\": "\\", "/": "/", b: "\b", f: "\f", n: "\n", r: "\r", t: "\t" };

/** Parse one JSON object; objects become maps, and numbers stay as they were written. */
function parseJsonObject(bytes) {
  let text, at = 0;
  try { text = utf8.decode(bytes); } catch { throw new Malformed("not UTF-8"); }

  function take(pattern) {
    pattern.lastIndex = at;
    const found = pattern.exec(text)[0];
    at += found.length;
    return found;
  }

  function expect(sign) {
    if (text[at] !== sign) throw new Malformed("not JSON");
    at += 1;
  }

  function string() {
    let read = "";
    for (expect('"'); ; ) {
      read += take(PLAIN);
      const sign = text[at++];
      if (sign === '"') break;
      if (sign !== "\\") throw new Malformed("not JSON"); // it ends, or has a control character
      const escape = text[at++];
      if (escape === "u") {
        const digits = text.slice(at, (at += 4));
        if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new Malformed("not JSON");
        read += String.fromCharCode(parseInt(digits, 16));
      } else if (escape in ESCAPES) read += ESCAPES[escape];
      else throw new Malformed("not JSON");
    }
    // RFC 8725 §3.7: nothing that two readers may take for different texts.
    if (read.includes("\0") || !read.isWellFormed()) throw new Malformed("a NUL or a lone surrogate");
    return read;
  }

  function number() {
    NUMBER.lastIndex = at;
    const found = NUMBER.exec(text);
    if (!found) throw new Malformed("not JSON");
    at += found[0].length;
    const read = new JsonNumber(found[0]);
    const digits = found[0].replace("-", "").length;
    if (read.isInteger ? digits > MAX_DIGITS : !Number.isFinite(read.value)) {
      throw new Malformed("a number is too large");
    }
    return read;
  }

  function value(depth) {
    if (depth > FACTS.limits.depth) throw new Malformed("nested too deeply");
    for (const [word, meaning] of [["true", true], ["false", false], ["null", null]]) {
      if (text.startsWith(word, at)) { at += word.length; return meaning; }
    }
    if (text[at] === '"') return string();
    return text[at] === "{" ? object(depth) : text[at] === "[" ? array(depth) : number();
  }

  function object(depth) {
    const members = new Map();
    list("{", "}", () => {
      if (depth >= FACTS.limits.depth) throw new Malformed("nested too deeply");
      const name = string();
      take(SPACE);
      expect(":");
      take(SPACE);
      // RFC 7515 §4, RFC 7519 §4: a repeated name has no one meaning.
      if (members.has(name)) throw new Malformed(`the name ${JSON.stringify(name)} is repeated`);
      members.set(name, value(depth + 1));
    });
    return members;
  }

  function array(depth) {
    const items = [];
    list("[", "]", () => items.push(value(depth + 1)));
    return items;
  }

  function list(opening, closing, item) {
    expect(opening);
    take(SPACE);
    if (text[at] === closing) { at += 1; return; }
    for (;;) {
      item();
      take(SPACE);
      if (text[at] === closing) { at += 1; return; }
      expect(",");
      take(SPACE);
    }
  }

  take(SPACE);
  const root = value(1);
  take(SPACE);
  if (at !== text.length) throw new Malformed("something follows the JSON value");
  if (!(root instanceof Map)) throw new Malformed("not a JSON object");
  return root;
}

/** Write a parsed value as JSON again, numbers as they were written. */
function writeJson(value, indent = "") {
  if (value instanceof JsonNumber) return value.text;
  if (!(value instanceof Map) && !Array.isArray(value)) return JSON.stringify(value);
  const [opening, closing] = value instanceof Map ? "{}" : "[]";
  const deeper = `${indent}  `;
  const items = value instanceof Map
    ? [...value].map(([name, each]) => `${JSON.stringify(name)}: ${writeJson(each, deeper)}`)
    : value.map((each) => writeJson(each, deeper));
  if (!items.length) return opening + closing;
  const line = `${opening}${items.join(", ")}${closing}`;
  if (line.length < 60 && !line.includes("\n")) return line;
  return `${opening}\n${deeper}${items.join(`,\n${deeper}`)}\n${indent}${closing}`;
}

/** Unfold zlib data (RFC 1950) into at most `most` bytes. */
async function inflateZlib(data, most) {
  const parts = [];
  let size = 0;
  try {
    const stream = new Blob([data]).stream().pipeThrough(new DecompressionStream("deflate"));
    for (const reader = stream.getReader(); ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      size += value.length;
      if (size > most) { await reader.cancel(); break; }
      parts.push(value);
    }
  } catch {
    throw new Malformed("a list that is not zlib, is cut short, or has something after it");
  }
  if (size > most) throw new Malformed(`a list that holds more than ${most} bytes`);
  return new Uint8Array(await new Blob(parts).arrayBuffer());
}
