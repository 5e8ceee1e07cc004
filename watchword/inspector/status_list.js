// Read a signed status list (Token Status List §4, §5, §8.3), as `resource_api/status_list.py` does.

/** Verify a list and unfold it; throws Malformed if it is not that list, or not in force. */
async function readStatusList(body, keys, uri, now) {
  if (body.length > FACTS.limits.listBytes) throw new Malformed("a list that is too long");
  const { header, claims, signature, input } = takeApart(body);
  const typ = header.get("typ");
  if (typeof typ !== "string" || typ.toLowerCase().replace(/^application\//, "") !== "statuslist+jwt") {
    throw new Malformed("its type is not that of a status list");
  }
  // Of whatever algorithm the issuer's key is: a list is no token, and each key has one algorithm.
  const algorithms = Object.keys(FACTS.algorithms);
  for (const name of ["algorithm", "header members", "kid"]) {
    try { HEADER_CHECKS[name](header, { algorithms }); } catch { throw new Malformed("a list with a bad header"); }
  }
  const key = selectKey(keys, header.get("kid"), header.get("alg"));
  if (!key) throw new Malformed("a list that no key of the issuer signed");
  if (key.cannot) throw unavailable(key.cannot);
  if (!(await isSignedBy(key, input, signature))) throw new Malformed("a list with a bad signature");
  try {
    if (readDate(claims.get("iat")) > now + FACTS.limits.futureIat) throw new Malformed("a list from the future");
    if (claims.has("exp") && now >= readDate(claims.get("exp"))) throw new Malformed("a list that expired");
    if (claims.has("ttl")) readDate(claims.get("ttl"));
  } catch (error) {
    throw error instanceof Malformed ? error : new Malformed("a list whose times are no numbers");
  }
  // §8.3: else one list could stand in for another.
  if (claims.get("sub") !== uri) throw new Malformed("another list than the token names");
  const member = claims.get("status_list");
  const bits = member instanceof Map && member.get("bits") instanceof JsonNumber
    && member.get("bits").isInteger ? member.get("bits").value : 0;
  if (![1, 2, 4, 8].includes(bits) || typeof member.get("lst") !== "string") {
    throw new Malformed("a list without bits and lst as they must be");
  }
  const data = await inflateZlib(decodeBase64url(member.get("lst")), FACTS.limits.unfoldedBytes);
  return {
    issuedAt: claims.get("iat").value,
    status(idx) {
      const bit = idx * bits;
      const at = Math.floor(bit / 8);
      return at < data.length ? (data[at] >> (bit % 8)) & ((1 << bits) - 1) : null;
    },
  };
}

function unavailable(why, reason = "status_unavailable") {
  return Object.assign(new Refusal(reason), { why });
}

/** Fetch a list from this origin; nothing else can be asked (Content-Security-Policy). */
async function fetchStatusList(uri) {
  let answer;
  try {
    answer = await fetch(location.origin + new URL(uri).pathname + new URL(uri).search, {
      cache: "no-cache", credentials: "omit", redirect: "error",
      headers: { accept: "application/statuslist+jwt" },
    });
  } catch {
    throw unavailable("the list could not be had");
  }
  const type = (answer.headers.get("content-type") ?? "").split(";")[0].trim().toLowerCase();
  if (!answer.ok) throw unavailable(`the list could not be had: status ${answer.status}`);
  if (type !== "application/statuslist+jwt") throw unavailable("what is served there is no status list");
  return answer.text();
}
