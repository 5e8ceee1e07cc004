// Run every check of an access token, in the order and with the reason codes of `resource_api`.

class Refusal extends Error {
  constructor(reason) { super(reason); this.reason = reason; }
}

const refuse = (reason) => { throw new Refusal(reason); };
const PASSED = "passed", FAILED = "failed", NOT_TRIED = "not tried";
const lengthOf = (text) => [...text].length;

/** Split a compact JWS and decode it (RFC 7515 §3.1, §7.1). */
function takeApart(token) {
  if (/\s/.test(token)) {
    throw new Malformed(FACTS.spaceInside);
  }
  const segments = token.split(".");
  if (segments.length !== 3) throw new Malformed(`${countParts(segments.length)} instead of 3`);
  const [header, claims] = ["header", "claims"].map((part, at) => named(part, segments[at]));
  if (typeof header.get("alg") !== "string") throw new Malformed("the header has no alg");
  // RFC 7515 §4.1.11, RFC 7797 §7: no extension is understood, and no payload is unencoded.
  for (const name of ["crit", "b64"]) {
    if (header.has(name)) throw new Malformed(`the header asks for an extension with ${name}`);
  }
  let signature;
  try { signature = decodeBase64url(segments[2]); } catch (error) {
    throw new Malformed(`the signature is ${error.message}`);
  }
  return { header, claims, signature, input: `${segments[0]}.${segments[1]}` };
}

function named(part, segment) {
  try { return parseJsonObject(decodeBase64url(segment)); } catch (error) {
    throw new Malformed(`the ${part}: ${error.message}`);
  }
}

const HEADER_CHECKS = {
  type(header) {
    const typ = header.get("typ");
    if (typeof typ !== "string") refuse("wrong_type");
    // RFC 7515 §4.1.9: case does not count, and `application/` may be left out.
    if (typ.toLowerCase().replace(/^application\//, "") !== "at+jwt") refuse("wrong_type");
  },
  algorithm(header, policy) {
    if (!policy.algorithms.includes(header.get("alg"))) refuse("wrong_algorithm");
  },
  "header members"(header) {
    if (FACTS.forbidden.some((name) => header.has(name))) refuse("forbidden_header");
  },
  kid(header) {
    const kid = header.get("kid");
    if (typeof kid !== "string" || !kid || lengthOf(kid) > FACTS.limits.kid) refuse("invalid_kid");
  },
};

const CLAIM_CHECKS = {
  issuer(claims, policy) {
    if (claims.get("iss") !== policy.issuer) refuse("wrong_issuer");
  },
  audience(claims, policy) {
    const aud = claims.get("aud");
    const all = Array.isArray(aud) ? aud : [aud];
    if (!all.includes(policy.resource)) refuse("wrong_audience");
    if (!all.every((each) => typeof each === "string")) refuse("wrong_audience");
  },
  times(claims, policy, now) {
    const iat = readDate(claims.get("iat")), exp = readDate(claims.get("exp"));
    if (now >= exp + policy.leeway) refuse("expired");
    if (claims.has("nbf") && now < readDate(claims.get("nbf")) - policy.leeway) refuse("not_yet_valid");
    if (iat > now + FACTS.limits.futureIat) refuse("not_yet_valid");
    if (exp < iat) refuse("invalid_time");
    if (exp - iat > policy.maxLifetime + policy.leeway) refuse("lifetime_too_long");
  },
  identity(claims) {
    for (const name of ["sub", "client_id", "jti"]) {
      const value = claims.get(name);
      const fits = typeof value === "string" && value && lengthOf(value) <= FACTS.limits.identity;
      if (!fits) refuse("invalid_identity");
    }
  },
  confirmation(claims, { bindings }) {
    if (!claims.has("cnf")) return void (bindings.length && refuse("binding_required"));
    const cnf = claims.get("cnf");
    const known = (name) => name === "jkt" || name === "x5t#S256";
    if (!(cnf instanceof Map) || !cnf.size || ![...cnf.keys()].every(known)) refuse("invalid_confirmation_claim");
    for (const value of cnf.values()) {
      if (typeof value !== "string") refuse("invalid_confirmation_claim");
      try { if (decodeBase64url(value).length === 32) continue; } catch { /* refused below */ }
      refuse("invalid_confirmation_claim");
    }
    if (bindings.length && !bindings.some((name) => cnf.has(name))) refuse("binding_required");
  },
  status(claims, policy) {
    readStatus(claims, policy);
  },
  scope(claims) {
    if (!claims.has("scope")) return;
    const scope = claims.get("scope");
    const token = "[\\x21\\x23-\\x5b\\x5d-\\x7e]+";
    const fits = typeof scope === "string" && new RegExp(`^(${token}( ${token})*)?$`).test(scope);
    if (!fits) refuse("invalid_scope_claim");
  },
  authorization_details(claims) {
    if (!claims.has("authorization_details")) return;
    const details = claims.get("authorization_details");
    const fits = (each) => each instanceof Map && typeof each.get("type") === "string";
    if (!Array.isArray(details) || !details.every(fits)) refuse("invalid_authorization_details_claim");
  },
};

function readDate(value) {
  const fits = value instanceof JsonNumber && value.value >= 0 && value.value < 2 ** 53;
  return fits ? value.value : refuse("invalid_time");
}

/** Give where the status of a token stands (Token Status List §6.2); null for one without. */
function readStatus(claims, policy) {
  if (!claims.has("status")) return null;
  const status = claims.get("status");
  const member = status instanceof Map ? status.get("status_list") : null;
  if (!(member instanceof Map)) return refuse("invalid_status");
  const idx = member.get("idx"), uri = member.get("uri");
  const counts = idx instanceof JsonNumber && idx.isInteger && idx.value >= 0;
  if (!counts || typeof uri !== "string" || !isBelow(uri, policy.issuer)) refuse("invalid_status");
  return { uri, idx: idx.value };
}

function isBelow(uri, issuer) {
  if (!uri.startsWith(`${issuer.replace(/\/$/, "")}/`) || uri.length > FACTS.limits.uri) return false;
  if (!/^[A-Za-z][A-Za-z0-9+.-]*:\/\/[^/]+/.test(uri)) return false;
  const rest = uri.replace(/^[^:]*:\/\/[^/?]*/, "");
  if (!/^(?:[A-Za-z0-9._~:/?@!$&'()*+,;=-]|%[0-9A-Fa-f]{2})*$/.test(rest)) return false;
  // RFC 3986 §5.2.4: clients take `..` away before they ask, and servers decode `%2e` and `%2f`.
  const path = rest.split("?")[0].replace(/%(2e|2f|5c)/gi, (_, code) => String.fromCharCode(`0x${code}`));
  return !path.includes("\\") && !path.split("/").some((part) => part === "." || part === "..");
}

/**
 * Judge a token.
 * @param token the compact serialisation, as pasted.
 * @param keys of the issuer, by kid and algorithm; null if they cannot be had.
 * @param policy issuer, resource, algorithms, bindings (members of cnf of which one is needed), leeway
 *   and maxLifetime in seconds.
 * @param now seconds since the epoch.
 * @param findStatus gives the status list of a URI, or throws Refusal or Malformed.
 */
async function explain(token, keys, policy, now, findStatus) {
  const findings = [];
  const note = (check, outcome, reason = null, why = "") =>
    findings.push({ check, outcome, reason, why, clause: FACTS.clauses[check] });
  const run = (check, body) => {
    try { body(); note(check, PASSED); } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      note(check, FAILED, error.reason);
    }
  };
  const told = (parts = null) => ({ ...judge(findings), findings, parts, policy, now });

  run("size", () => toBytes(token).length > FACTS.limits.token && refuse("token_too_long"));
  let parts;
  try { parts = takeApart(token); } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    note("shape", FAILED, "malformed_token", error.message);
    for (const check of Object.keys(FACTS.clauses).slice(2)) {
      note(check, NOT_TRIED, null, "the token cannot be taken apart");
    }
    return told();
  }
  note("shape", PASSED);
  const { header, claims } = parts;
  for (const [name, check] of Object.entries(HEADER_CHECKS)) run(name, () => check(header, policy));
  const key = keys && selectKey(keys, header.get("kid"), header.get("alg"));
  if (!keys) note("key", NOT_TRIED, "no_keys", "the issuer's key set could not be had");
  else if (key) note("key", PASSED);
  else if (judge(findings.slice(2)).verdict === "refused") note("key", NOT_TRIED, null, "the header does not name one");
  else note("key", FAILED, "unknown_key");
  if (!key) note("signature", NOT_TRIED, null, "there is no key to verify it with");
  else if (key.cannot) note("signature", NOT_TRIED, null, key.cannot);
  else if (await isSignedBy(key, parts.input, parts.signature)) note("signature", PASSED);
  else note("signature", FAILED, "bad_signature");
  for (const [name, check] of Object.entries(CLAIM_CHECKS)) run(name, () => check(claims, policy, now));
  await judgeStatus(findings, note, claims, policy, findStatus);
  return told(parts);
}

/** Look the status up, only for a token that is good otherwise (Token Status List §8.3). */
async function judgeStatus(findings, note, claims, policy, findStatus) {
  if (judge(findings).verdict !== "accepted") {
    note("status list", NOT_TRIED, null, "looked up only if all other checks pass");
    return;
  }
  const reference = readStatus(claims, policy);
  if (!reference) return void note("status list", PASSED, null, "no status: the token counts until it expires");
  try {
    const status = (await findStatus(reference.uri)).status(reference.idx);
    const reason = { 1: "token_revoked", 2: "token_suspended" }[status] ?? "invalid_status";
    if (status === 0) note("status list", PASSED, null, `valid: status 0 at index ${reference.idx}`);
    else note("status list", FAILED, reason);
  } catch (error) {
    if (error instanceof Malformed) note("status list", FAILED, "invalid_status", error.message);
    else if (error instanceof Refusal) note("status list", NOT_TRIED, error.reason, error.why);
    else throw error;
  }
}

/** The verdict, and the code of the first check that failed; else of the first that was not tried. */
function judge(findings) {
  const has = (outcome) => findings.some((each) => each.outcome === outcome);
  const verdict = has(FAILED) ? "refused" : has(NOT_TRIED) ? "undecided" : "accepted";
  const kind = verdict === "refused" ? FAILED : NOT_TRIED;
  const first = findings.find((each) => each.outcome === kind && each.reason);
  return { verdict, reason: first ? first.reason : null };
}
