// Say in words what a check found and what would pass, when something happens, and what claims mean.

const clock = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });
const { timeZone } = clock.resolvedOptions();
const relative = new Intl.RelativeTimeFormat(undefined, { numeric: "always" });
const LAST_DATE = 253402300800; // the year 10000

const isDate = (value) =>
  value instanceof JsonNumber && value.value >= 0 && value.value < LAST_DATE;

const showTime = (seconds) => clock.format(new Date(seconds * 1000));

/** "in 4 minutes", "61 seconds ago": rounded towards zero, so that it never says too much. */
function showDistance(seconds) {
  for (const [size, unit, most] of [[1, "second", 120], [60, "minute", 7200], [3600, "hour", 172800]]) {
    if (Math.abs(seconds) < most) return relative.format(Math.trunc(seconds / size), unit);
  }
  return relative.format(Math.trunc(seconds / 86400), "day");
}

function showDuration(seconds) {
  for (const [size, unit, most] of [[1, "s", 120], [60, "min", 7200], [3600, "h", 172800]]) {
    if (seconds < most) return `${Math.floor(seconds / size)} ${unit}`;
  }
  return `${Math.floor(seconds / 86400)} days`;
}

const shorten = (text) => (text.length > 200 ? `${text.slice(0, 200)}…` : text);

const show = (members, ...names) => names
  .map((name) => `${name} ${members.has(name) ? shorten(writeJson(members.get(name))) : "missing"}`)
  .join(", ");

function showTimes({ parts: { claims }, now }) {
  const told = ["iat", "nbf", "exp"].filter((name) => claims.has(name)).map((name) => {
    const value = claims.get(name);
    return isDate(value) ? `${name} ${showDistance(value.value - now)}` : show(claims, name);
  });
  return told.join(", ") || "no times";
}

function showBinding({ parts: { claims } }) {
  const cnf = claims.get("cnf");
  const needs = cnf instanceof Map ? [
    cnf.has("jkt") && "the scheme DPoP and a proof",
    cnf.has("x5t#S256") && "the client certificate",
  ].filter(Boolean) : [];
  if (!claims.has("cnf")) return "no cnf: a bearer token";
  const found = show(claims, "cnf");
  return needs.length ? `${found}; each request needs ${needs.join(" and ")}` : found;
}

const countParts = (number) => `${number} part${number === 1 ? "" : "s"}`;

/** For each check: what the token has, and what would pass. */
const DESCRIPTIONS = {
  size: [({ bytes }) => `${bytes.toLocaleString()} bytes`, () => `at most ${FACTS.limits.token.toLocaleString()} bytes`],
  shape: [({ token }) => countParts(token.split(".").length),
    () => "three base64url parts; header and claims one strict JSON object each"],
  type: [({ parts }) => show(parts.header, "typ"), () => 'typ "at+jwt"'],
  algorithm: [({ parts }) => show(parts.header, "alg"),
    ({ policy }) => `one of ${policy.algorithms.join(", ")}`],
  "header members": [
    ({ parts }) => FACTS.forbidden.filter((name) => parts.header.has(name)).join(", ") || "none that brings keys",
    () => `none of ${FACTS.forbidden.join(", ")}`],
  kid: [({ parts }) => show(parts.header, "kid"), () => `a string of 1 to ${FACTS.limits.kid} characters`],
  key: [({ parts }) => show(parts.header, "kid", "alg"), ({ keys }) => keys
    ? `one of ${[...keys.values()].filter(Boolean).map((key) => `${key.kid} (${key.alg})`).join(", ")}`
    : "a key of the issuer with this kid and algorithm"],
  signature: [() => "over the header and claims as received", () => "made with the key that kid names"],
  issuer: [({ parts }) => show(parts.claims, "iss"), ({ policy }) => `iss "${policy.issuer}"`],
  audience: [({ parts }) => show(parts.claims, "aud"), ({ policy }) => `aud "${policy.resource}", or a list with it`],
  times: [showTimes, ({ policy }) => `iat at most ${FACTS.limits.futureIat} s ahead, exp and nbf within a `
    + `leeway of ${policy.leeway} s, exp at most ${policy.maxLifetime} s after iat`],
  identity: [({ parts }) => show(parts.claims, "sub", "client_id", "jti"),
    () => `sub, client_id and jti: strings of 1 to ${FACTS.limits.identity} characters`],
  confirmation: [showBinding, ({ policy }) => (policy.bindings.length ? `a cnf with ${policy.bindings.join(" or ")}`
    : "no cnf, or one with jkt (a DPoP key), x5t#S256 (a certificate) or both")],
  status: [({ parts }) => (parts.claims.has("status") ? show(parts.claims, "status") : "no status"),
    ({ policy }) => `no status, or an index from 0 on in a list below ${policy.issuer}`],
  scope: [({ parts }) => (parts.claims.has("scope") ? show(parts.claims, "scope") : "no scope"),
    () => "no scope, or names with single spaces between"],
  authorization_details: [
    ({ parts }) => (parts.claims.has("authorization_details")
      ? show(parts.claims, "authorization_details") : "no authorization_details"),
    () => "none, or a list of objects with a type each"],
  "status list": [({ parts }) => show(parts.claims, "status"),
    () => "status 0 (valid) where the status claim points to"],
};

const MEANINGS = {
  iss: "who issued it", sub: "whom it is about", aud: "which API it is for", exp: "when it ends",
  nbf: "when it begins", iat: "when it was issued", jti: "its own id", client_id: "which client got it",
  scope: "what it allows", cnf: "what it is bound to", act: "who acts for the subject",
  may_act: "who may act for the subject", status: "where it can be revoked",
  authorization_details: "what it allows in detail", alg: "how it is signed", typ: "what kind it is",
  kid: "which key signed it",
};

const KINDS = {
  "at+jwt": "an access token", "dpop+jwt": "a DPoP proof, which no API takes for a token",
  "statuslist+jwt": "a status list", "token-introspection+jwt": "an answer to an introspection",
  jwt: "a JWT that does not say what it is for, such as an ID token or an assertion",
};

/** Say in a few words what was pasted. */
function describeKind(token, bytes, parts) {
  const size = `${bytes.toLocaleString()} bytes`;
  if (!parts) {
    const count = token.split(".").length;
    if (count === 5) return `${size}: five parts, an encrypted token (JWE), which only its reader opens.`;
    return `${size}: not a token that can be taken apart.`;
  }
  const typ = parts.header.get("typ");
  const name = typeof typ === "string" ? typ.toLowerCase().replace(/^application\//, "") : "";
  const kind = Object.hasOwn(KINDS, name) ? KINDS[name] : "a JWT of an unknown kind";
  return `${size}: ${kind}, signed with ${shorten(parts.header.get("alg"))}.`;
}
