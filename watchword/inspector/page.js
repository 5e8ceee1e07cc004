// The page: reads what is typed, and shows what came of each check. Text is set as text, never as markup.

const isServed = location.protocol === "http:" || location.protocol === "https:";
const MOST = 65536; // characters of a token that are looked at; real ones have a few hundred
const at = (id) => document.getElementById(id);
const now = () => Date.now() / 1000;
let run = 0, timer = 0;

function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children.filter((child) => child !== null && child !== ""));
  return element;
}

const card = (title, ...children) => make("section", { class: "card" }, make("h2", {}, title), ...children);

const ICONS = {
  passed: "m7.5 12.5 3 3 6-7", failed: "m8.5 8.5 7 7m0-7-7 7", "not tried": "M8 12h8",
};

function icon(outcome) {
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  svg.setAttribute("viewBox", "0 0 24 24");
  svg.setAttribute("class", "icon");
  svg.setAttribute("aria-hidden", "true");
  const circle = document.createElementNS(svg.namespaceURI, "circle");
  for (const [name, value] of [["cx", 12], ["cy", 12], ["r", 12]]) circle.setAttribute(name, value);
  const path = document.createElementNS(svg.namespaceURI, "path");
  path.setAttribute("d", ICONS[outcome]);
  svg.append(circle, path);
  return svg;
}

/** A text with parts in backticks, which become code. */
const prose = (text) => make("p", {}, ...text.split("`").map(
  (part, place) => (place % 2 ? make("code", {}, part) : part)));

/** A time in the reader's zone, with its distance from now, which is kept true. */
function moment(seconds) {
  const distance = make("span", { class: "muted", "data-time": seconds }, showDistance(seconds - now()));
  const time = make("time", { datetime: new Date(seconds * 1000).toISOString() }, showTime(seconds));
  return [make("strong", {}, time), distance];
}

setInterval(() => {
  for (const each of document.querySelectorAll("[data-time]")) {
    each.textContent = showDistance(each.dataset.time - now());
  }
}, 1000);

// What is judged by -------------------------------------------------------------------------------

async function ask(path) {
  if (!isServed) return null;
  try {
    const answer = await fetch(path, { cache: "no-cache", credentials: "omit", redirect: "error" });
    return answer.ok ? await answer.text() : null;
  } catch {
    return null;
  }
}

async function findKeys() {
  const pasted = at("keys").value.trim();
  const said = at("keys-wrong");
  said.textContent = "";
  const text = pasted || (await ask("jwks"));
  if (!text) return null;
  try {
    return await parseJwkSet(text);
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    said.textContent = `This is no key set: ${error.message}.`;
    at("by-hand").open = true;
    return null;
  }
}

/** The API that a token is for, the first of several; null if it names none. */
function audienceOf(parts) {
  const aud = parts?.claims.get("aud");
  const first = Array.isArray(aud) ? aud[0] : aud;
  return typeof first === "string" && isResource(first) ? first : null;
}

function isResource(text) {
  const plain = /^[A-Za-z][A-Za-z0-9+.-]*:(?:[A-Za-z0-9._~:/?@!$&'()*+,;=[\]-]|%[0-9A-Fa-f]{2})+$/;
  if (text.length > FACTS.limits.uri || !plain.test(text)) return false;
  if (!/^https?:/i.test(text)) return true;
  return /^https?:\/\/[^/?@]+(?:[/?]|$)/i.test(text) && URL.canParse(text);
}

function readPolicy(parts) {
  return {
    issuer: at("issuer").value.trim(),
    resource: at("resource").value.trim() || audienceOf(parts) || FACTS.resource,
    algorithms: FACTS.accepted,
    bindings: FACTS.bindings,
    leeway: FACTS.limits.leeway,
    maxLifetime: FACTS.limits.lifetime,
  };
}

async function findList(keys, uri) {
  const pasted = at("list").value.trim();
  if (!pasted && !isServed) {
    throw unavailable("this page is a file, and asks no server: paste the list", "unchecked_status");
  }
  if (!pasted && at("issuer").value.trim() !== FACTS.issuer) {
    throw unavailable("another issuer has the list: paste it", "unchecked_status");
  }
  if (!pasted) return readStatusList(await fetchStatusList(uri), keys, uri, now());
  try {
    return await readStatusList(pasted, keys, uri, now());
  } catch (error) {
    if (!(error instanceof Malformed)) throw error;
    // What was pasted is at fault, not the token.
    at("list-wrong").textContent = `This cannot be used: ${error.message}.`;
    at("by-hand").open = true;
    throw unavailable("what was pasted is not the list that the token names", "unchecked_status");
  }
}

function readToken(text) {
  const found = /^\s*(?:authorization:\s*)?(?:bearer|dpop)\s+(.*)$/is.exec(text);
  return (found ? found[1] : text).trim();
}

// What is shown -----------------------------------------------------------------------------------

const inspect = () => inspectText(at("token").value);

/** Judge what is typed or pasted; `aria-busy` says when what is shown belongs to it. */
async function inspectText(text) {
  const mine = ++run;
  clearTimeout(timer);
  at("result").setAttribute("aria-busy", "true");
  const token = readToken(text);
  try {
    if (!token) showNothing();
    else if (token.length > MOST) showTooLong(token.length);
    else await inspectToken(token, mine);
  } catch (error) {
    if (mine === run) showFault();
    throw error; // which the browser's console shows
  } finally {
    if (mine === run) at("result").setAttribute("aria-busy", "false");
  }
}

/** Never leave the verdict on another token standing. */
function showFault() {
  at("kind").textContent = "";
  at("details").replaceChildren();
  at("verdict").replaceChildren(verdictCard("undecided", "Not decided: a fault of this page", null, [
    make("p", {}, "It could not judge this token; the browser's console says where it failed.")]));
}

async function inspectToken(token, mine) {
  let parts = null;
  try { parts = takeApart(token); } catch { /* the check "shape" says so */ }
  at("list-wrong").textContent = "";
  const keys = await findKeys();
  const told = await explain(token, keys, readPolicy(parts), now(), (uri) => findList(keys, uri));
  const timeline = told.parts && keys ? await ask("inspect/keys") : null;
  if (mine !== run) return; // something else was typed meanwhile
  const seen = { ...told, token, bytes: toBytes(token).length, keys };
  at("kind").textContent = describeKind(token, seen.bytes, told.parts);
  at("verdict").replaceChildren(showVerdict(seen));
  at("details").replaceChildren(...[
    ...(told.parts ? [showLife(seen), showScope(seen), ...showBindings(seen)] : []),
    showChecks(seen),
    ...(told.parts ? [showClaims("Claims", told.parts.claims), showClaims("Header", told.parts.header),
      showKey(seen, timeline)] : []),
  ].filter(Boolean));
  const left = told.verdict === "accepted" ? told.parts.claims.get("exp").value + told.policy.leeway - now() : 0;
  if (left > 0 && left < 86400) timer = setTimeout(inspect, left * 1000 + 50);
}

function showNothing() {
  at("kind").textContent = "Paste a token; “Bearer” in front may stay.";
  at("verdict").replaceChildren();
  at("details").replaceChildren(card("Why is a token refused?", make("ul", { class: "facts" },
    ...[
      "Paste it, and every check of an API is made: what fails is shown with its reason code and clause.",
      isServed ? "The signature is verified with the keys that this issuer publishes."
        : "The signature is verified with the issuer's key set: paste it under “Issuer, API and keys”.",
      "If an API refuses the token as meant for another, name that API under “Issuer, API and keys”.",
    ].map((text) => make("li", {}, text)))));
}

function showTooLong(length) {
  at("kind").textContent = "";
  at("details").replaceChildren();
  at("verdict").replaceChildren(verdictCard("refused", "Refused: token_too_long", "token_too_long", [
    make("p", {}, `These are ${length.toLocaleString()} characters, and a token has at most `
      + `${FACTS.limits.token.toLocaleString()} bytes. Nothing else was checked.`)]));
}

function verdictCard(verdict, title, reason, children) {
  const outcome = { accepted: PASSED, refused: FAILED, undecided: NOT_TRIED }[verdict];
  return make("section", { class: `card verdict ${verdict}`, "data-verdict": verdict, "data-reason": reason ?? "" },
    icon(outcome), make("div", {}, make("h2", {}, title), ...children));
}

function showVerdict({ verdict, reason, policy, findings, parts }) {
  const forWhom = make("p", {}, "For the API ", make("code", {}, policy.resource));
  if (verdict === "accepted") {
    const bound = parts.claims.has("cnf") ? " It is bound: a request with it has to prove more." : "";
    return verdictCard(verdict, "Accepted", null, [make("p", {}, `Every check passed.${bound} A route may need scopes that it lacks.`), forWhom]);
  }
  const failed = findings.filter((each) => each.outcome === FAILED).slice(1).map((each) => each.check);
  const foreign = reason === "unknown_key" && failed.includes("issuer")
    ? make("p", {}, "It names another issuer, whose keys these are not: ", make("code", {}, show(parts.claims, "iss")), ".") : "";
  const others = failed.length ? make("p", {}, `These checks failed too: ${failed.join(", ")}.`) : "";
  const title = verdict === "refused" ? "Refused" : "Not decided";
  const told = remedyOf(reason);
  const why = told ? [prose(told[0]), prose(told[1])]
    : findings.filter((each) => each.outcome === NOT_TRIED && each.why).slice(0, 1)
      .map((each) => make("p", {}, `${capital(each.check)}: ${each.why}.`));
  return verdictCard(verdict, reason ? `${title}: ${reason}` : title, reason, [...why, foreign, others, forWhom]);
}

/** Cause and remedy; on this page something is to be pasted where an API has to be given something. */
function remedyOf(reason) {
  const where = "under “Issuer, API and keys”.";
  if (reason === "no_keys" && (!isServed || at("keys").value.trim())) {
    return ["There is no key set to verify the signature with.", `Paste what the issuer serves at its \`jwks_uri\` ${where}`];
  }
  if (reason === "unchecked_status") {
    return ["The token has a status, and there is no list to look it up in.",
      `Paste what the issuer serves at the URI in the claim \`status\` ${where}`];
  }
  return FACTS.reasons[reason];
}

const capital = (text) => text[0].toUpperCase() + text.slice(1).replaceAll("_", " ");

function showLife({ parts: { claims } }) {
  const shown = [["iat", "Issued"], ["nbf", "Valid from"], ["exp", "Expires"]]
    .filter(([name]) => isDate(claims.get(name)))
    .map(([name, label]) => make("div", {}, make("dt", {}, label),
      make("dd", {}, ...moment(claims.get(name).value))));
  if (!shown.length) return null;
  const [begin, end] = ["iat", "exp"].map((name) => isDate(claims.get(name)) && claims.get(name).value);
  const spans = begin !== false && end !== false && end > begin;
  const bar = spans ? make("progress", { max: end - begin, value: Math.min(end - begin, Math.max(0, now() - begin)),
    "aria-label": "How much of its life is over" }) : null;
  const whole = spans ? make("div", {}, make("dt", {}, "Whole life"),
    make("dd", {}, make("strong", {}, showDuration(end - begin)))) : null;
  return card(`Life, in the time of ${timeZone.replaceAll("_", " ")}`, bar, make("dl", { class: "times" }, ...shown, whole));
}

function showChecks(seen) {
  const items = seen.findings.map(({ check, outcome, reason, why, clause }) => {
    const [found, expected] = DESCRIPTIONS[check];
    const more = [make("p", {}, why || found(seen))];
    if (outcome === FAILED) more.push(make("p", { class: "muted" }, `Expected: ${expected(seen)}`));
    if (outcome === FAILED) more.push(make("p", {}, make("code", {}, reason)));
    return make("li", { class: outcome.replace(" ", "-"), "data-check": check, "data-outcome": outcome,
      "data-reason": reason ?? "" },
    icon(outcome),
    make("div", {}, make("div", { class: "name" }, capital(check)), make("div", { class: "outcome" }, capital(outcome))),
    make("div", { class: "more" }, ...more, make("span", { class: "clause" }, clause)));
  });
  return card("Checks, in the order of an API", make("ol", { class: "checks" }, ...items));
}

function showScope({ parts: { claims } }) {
  const scope = claims.get("scope");
  if (typeof scope !== "string" || !scope) return null;
  const names = scope.split(" ").slice(0, 500).map((name) => make("li", {}, name));
  return card("Scopes", make("ul", { class: "scopes" }, ...names));
}

const BINDINGS = {
  jkt: ["Bound to a DPoP key", "Each request needs `Authorization: DPoP` in place of `Bearer`, and a proof that is "
    + "signed with the key of this thumbprint (RFC 9449 §7.1). Without the key the token is of no use."],
  "x5t#S256": ["Bound to a certificate", "Each request has to come over a TLS connection with the client certificate "
    + "of this thumbprint (RFC 8705 §3). Without its key the token is of no use."],
};

function showBindings({ parts: { claims } }) {
  const cnf = claims.get("cnf");
  if (!(cnf instanceof Map)) return [];
  return Object.keys(BINDINGS).filter((name) => cnf.has(name)).map((name) => card(BINDINGS[name][0],
    prose(BINDINGS[name][1]), make("p", { class: "value" }, `${name} ${writeJson(cnf.get(name))}`)));
}

function showClaims(title, members) {
  const rows = [...members].map(([name, value]) => {
    const meaning = Object.hasOwn(MEANINGS, name) ? make("span", { class: "meaning" }, MEANINGS[name]) : null;
    const isTime = ["iat", "nbf", "exp"].includes(name) && isDate(value);
    const told = isTime ? make("span", { class: "meaning" }, showTime(value.value)) : null;
    return make("div", {}, make("dt", {}, name || '""', meaning),
      make("dd", {}, make("span", { class: "value" }, writeJson(value)), told));
  });
  return card(title, make("dl", {}, ...rows));
}

function showKey({ parts: { header, claims }, keys }, timeline) {
  const kid = header.get("kid");
  const key = keys && selectKey(keys, kid, header.get("alg"));
  if (!key) return null;
  const rows = [["kid", key.kid], ["alg", key.alg]];
  if (key.bits) rows.push(["size", `${key.bits} bits`]);
  const list = make("dl", {}, ...rows.map(([name, value]) => make("div", {}, make("dt", {}, name),
    make("dd", {}, make("span", { class: "value" }, value)))));
  const told = timeline && JSON.parse(timeline).keys.find((each) => each.kid === key.kid);
  if (!told) {
    return card("Key", list, make("p", { class: "muted" }, "Its timeline is told by the issuer's own page alone."));
  }
  const steps = [["published_at", "Published"], ["signs_from", "Signs since"], ["superseded_at", "Another signs since"]]
    .filter(([name]) => told[name] !== null)
    .map(([name, label]) => make("div", {}, make("dt", {}, label), make("dd", {}, ...moment(told[name]))));
  if (isDate(claims.get("iat"))) {
    steps.push(make("div", {}, make("dt", {}, "This token was issued"), make("dd", {}, ...moment(claims.get("iat").value))));
  }
  const next = { pending: "It does not sign yet.", active: "It signs tokens now.",
    retiring: "It signs no more, and stays published until its last token has expired." }[told.state];
  return card("Key", list, make("dl", { class: "steps" }, ...steps), make("p", { class: "muted" }, next));
}

// What starts it ----------------------------------------------------------------------------------

at("token").addEventListener("paste", (event) => {
  const text = event.clipboardData?.getData("text") ?? "";
  if (readToken(text).length <= MOST) return;
  event.preventDefault(); // a field with a megabyte in it makes the page slow
  at("token").value = "";
  inspectText(text);
});
at("input").addEventListener("input", inspect);
at("input").addEventListener("submit", (event) => event.preventDefault());
at("clear").addEventListener("click", (event) => {
  event.preventDefault();
  at("token").value = "";
  inspect();
  at("token").focus();
});
at("issuer").value = FACTS.issuer;
at("keys").placeholder = '{"keys": […]}';
at("keys-hint").textContent = isServed
  ? "Fetched from this issuer; paste another one to use it instead."
  : "Paste what the issuer serves at its jwks_uri.";
at("list-hint").textContent = isServed
  ? "Fetched from this issuer where a token of its own names one; paste that of another issuer."
  : "Only for a token with a status: paste what the issuer serves at its URI.";
at("by-hand").open = !isServed;
inspect();
