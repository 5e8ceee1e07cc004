// Read key sets and verify signatures: the rules of `keys/jwks.py`, `keys/jwk.py`, `keys/weak_keys.py`.

const PRIVATE_MEMBERS = ["d", "p", "q", "dp", "dq", "qi", "oth", "k", "priv"];
const CURVES = { "P-256": 32, "P-384": 48, "P-521": 66 };
const THUMBPRINT = { RSA: ["e", "kty", "n"], EC: ["crv", "kty", "x", "y"],
  OKP: ["crv", "kty", "x"], AKP: ["alg", "kty", "pub"] };

class Unusable extends Error {}

/** The parameters of WebCrypto for an algorithm of the table. */
function cryptoOf(alg) {
  const hash = `SHA-${alg.slice(2)}`;
  const { kty, crv } = FACTS.algorithms[alg];
  if (alg.startsWith("RS")) return { name: "RSASSA-PKCS1-v1_5", hash };
  if (alg.startsWith("PS")) return { name: "RSA-PSS", hash, saltLength: alg.slice(2) / 8 };
  if (kty === "EC") return { name: "ECDSA", namedCurve: crv, hash };
  return { name: kty === "OKP" ? "Ed25519" : alg };
}

/** Read a key set; keys that cannot verify signatures are left out (RFC 7517 §5). */
async function parseJwkSet(text) {
  if (toBytes(text).length > FACTS.limits.jwksBytes) throw new Malformed("it is too large");
  const keys = parseJsonObject(toBytes(text)).get("keys");
  if (!Array.isArray(keys)) throw new Malformed('it has no array "keys"');
  if (keys.length > FACTS.limits.jwksKeys) throw new Malformed("it has too many keys");
  const usable = new Map();
  const seen = new Map();
  for (const each of keys) {
    try {
      const key = await parseJwk(each);
      const id = JSON.stringify([key.kid, key.alg]);
      if (seen.get(id) === key.thumbprint) continue;
      // RFC 7517 §4.5: of two keys with one name neither is taken.
      usable.set(id, seen.has(id) ? null : key);
      seen.set(id, key.thumbprint);
    } catch (error) {
      if (!(error instanceof Unusable || error instanceof Malformed)) throw error;
    }
  }
  if (!usable.size) throw new Malformed("it has no key that verifies signatures");
  return usable;
}

const selectKey = (keys, kid, alg) => keys.get(JSON.stringify([kid, alg])) ?? null;

async function parseJwk(sent) {
  if (!(sent instanceof Map)) throw new Unusable("no object");
  const members = new Map([...sent].filter(([, value]) => value !== null));
  if (PRIVATE_MEMBERS.some((name) => members.has(name))) throw new Unusable("private members");
  if (members.has("use") && members.get("use") !== "sig") throw new Unusable("use is not sig");
  const operations = members.get("key_ops");
  if (members.has("key_ops") && !(Array.isArray(operations) && operations.includes("verify"))) {
    throw new Unusable("key_ops has no verify");
  }
  const kid = members.get("kid");
  if (typeof kid !== "string" || !kid) throw new Unusable("no kid");
  const kty = members.get("kty");
  const crv = members.get("crv");
  // RFC 7517 §4.4: without `alg` it is bound to the first algorithm of its kind.
  const alg = members.has("alg") ? members.get("alg") : Object.keys(FACTS.algorithms).find((name) => {
    const fits = FACTS.algorithms[name];
    return fits.kty === kty && (!fits.crv || fits.crv === crv);
  });
  if (typeof alg !== "string" || !Object.hasOwn(FACTS.algorithms, alg)) throw new Unusable("alg");
  const needed = FACTS.algorithms[alg];
  if (needed.kty !== kty || (needed.crv && needed.crv !== crv)) throw new Unusable("kty or crv");
  const jwk = { kty, ...READERS[kty](members, crv, alg) };
  if (needed.crv) jwk.crv = crv;
  if (kty === "AKP") jwk.alg = alg;
  const key = { kid, alg, jwk, bits: kty === "RSA" ? jwk.bits : 0, crypto: null, cannot: "" };
  delete jwk.bits;
  key.thumbprint = await thumbprint(jwk);
  if (FACTS.testKeys.includes(key.thumbprint)) throw new Unusable("published with its private key");
  await load(key);
  return key;
}

/** Have the browser take the key; what it cannot verify is said where it matters. */
async function load(key) {
  if (!globalThis.crypto?.subtle) {
    key.cannot = "the browser verifies signatures only on pages that came over https, from this "
      + "machine or from a file";
    return;
  }
  try {
    key.crypto = await crypto.subtle.importKey("jwk", key.jwk, cryptoOf(key.alg), false, ["verify"]);
  } catch (error) {
    if (error.name !== "NotSupportedError" && key.jwk.kty !== "AKP") throw new Unusable("no such key");
    key.cannot = `this browser cannot verify ${key.alg}; watchword token explain can`;
  }
}

async function thumbprint(jwk) {
  const covered = Object.fromEntries(THUMBPRINT[jwk.kty].map((name) => [name, jwk[name]]));
  if (!globalThis.crypto?.subtle) return JSON.stringify(covered);
  const digest = await crypto.subtle.digest("SHA-256", toBytes(JSON.stringify(covered)));
  return encodeBase64url(new Uint8Array(digest));
}

function octets(members, name) {
  const value = members.get(name);
  if (typeof value !== "string") throw new Unusable(name);
  return decodeBase64url(value);
}

function unsigned(members, name, most) {
  let bytes = octets(members, name);
  if (bytes[0] === 0) bytes = bytes.slice(1); // writers that keep a sign put one zero there
  if (!bytes.length || bytes[0] === 0 || bytes.length > most) throw new Unusable(name);
  return bytes;
}

const READERS = {
  RSA(members) {
    const e = unsigned(members, "e", FACTS.limits.rsaExponentBytes);
    const n = unsigned(members, "n", FACTS.limits.rsaBits / 8);
    const modulus = toNumber(n);
    const bits = modulus.toString(2).length;
    if (bits < 2048 || isWeakRsa(modulus, toNumber(e))) throw new Unusable("weak");
    return { n: encodeBase64url(n), e: encodeBase64url(e), bits };
  },
  EC(members, crv) {
    const x = octets(members, "x"), y = octets(members, "y");
    if (x.length !== CURVES[crv] || y.length !== CURVES[crv]) throw new Unusable("width");
    return { x: members.get("x"), y: members.get("y") };
  },
  OKP(members) {
    const x = octets(members, "x");
    if (x.length !== 32 || isWeakEd25519(x)) throw new Unusable("x");
    return { x: members.get("x") };
  },
  AKP(members, crv, alg) {
    const pub = octets(members, "pub");
    const bytes = { "ML-DSA-44": 1312, "ML-DSA-65": 1952, "ML-DSA-87": 2592 }[alg];
    // FIPS 204 §7.2: after the seed comes a vector, which must not be zero.
    if (pub.length !== bytes || !pub.slice(32).some(Boolean)) throw new Unusable("pub");
    return { pub: members.get("pub") };
  },
};

function primesBelow(limit) {
  const primes = [];
  for (let n = 2; n < limit; n++) if (primes.every((prime) => n % prime)) primes.push(n);
  return primes;
}

function isWeakRsa(modulus, exponent) {
  if (modulus % 2n === 0n || exponent < 3n || exponent % 2n === 0n) return true;
  const primes = primesBelow(2048);
  if (primes.some((prime) => modulus % BigInt(prime) === 0n)) return true;
  // CVE-2017-15361: modulo small primes, the modulus is a power of 65537.
  if (primes.filter((prime) => prime <= 167).every((prime) => {
    const rest = Number(modulus % BigInt(prime));
    for (let power = 1, n = 1; n < prime; n++, power = (power * 65537) % prime) {
      if (power === rest) return true;
    }
    return false;
  })) return true;
  // CVE-2022-26320: two prime factors around the square root.
  const middle = root(modulus - 1n) + 1n;
  for (let step = 0n; step < 16n; step++) {
    const square = (middle + step) ** 2n - modulus;
    if (root(square) ** 2n === square) return true;
  }
  return false;
}

function root(number) {
  if (number < 2n) return number;
  let guess = 1n << BigInt((number.toString(2).length + 1) >> 1);
  for (;;) {
    const next = (guess + number / guess) >> 1n;
    if (next >= guess) return guess;
    guess = next;
  }
}

function power(base, exponent, modulus) {
  let result = 1n;
  for (base %= modulus; exponent; exponent >>= 1n, base = (base * base) % modulus) {
    if (exponent & 1n) result = (result * base) % modulus;
  }
  return result;
}

function isWeakEd25519(encoded) {
  const p = 2n ** 255n - 19n;
  const d = ((p - 121665n) * power(121666n, p - 2n, p)) % p;
  const y = toNumber([...encoded].reverse()) & (2n ** 255n - 1n);
  // RFC 8032 §5.1.3: one encoding a point; and none of a small order, or off the curve.
  if (y >= p || y < 2n || y === p - 1n || (d * power(y, 4n, p) + 2n * y * y - 1n) % p === 0n) return true;
  return power((y * y - 1n) * (d * y * y + 1n), (p - 1n) / 2n, p) !== 1n;
}

/** Tell whether the key made this signature over these bytes (RFC 7515 §5.2). */
async function isSignedBy(key, input, signature) {
  if (key.bits && signature.length !== Math.ceil(key.bits / 8)) return false;
  try {
    return await crypto.subtle.verify(cryptoOf(key.alg), key.crypto, signature, toBytes(input));
  } catch {
    return false;
  }
}
