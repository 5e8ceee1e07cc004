"""What the console takes from whom: origins, forms, sessions that end, and outages."""

import hashlib
from importlib.resources import files

import pytest

from issuer.registry.errors import StoreUnavailable
from issuer.storage.registry import Registry
from tests.support.console import opened_console
from watchword.ambient import wall_clock
from watchword.console import app, guard
from watchword.console.pages import overview
from watchword.console.request import MAX_FORM
from watchword.console.sessions import SESSION_SECONDS

READ, WRITE = "watchword:clients:read", "watchword:clients:write"
AUDIT = "watchword:audit:read"
EVIL = "https://evil.example"
HTMX = "d6fdc75f204e6bdefa99b69bf1e6d4ac69b8a364f77929f45c13476b4000f717"


def check_headers(answer):
    """Find on an answer what keeps browsers from running, framing and storing it."""
    policy = answer.headers["content-security-policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; style-src 'self';")
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-frame-options"] == "DENY"
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert answer.headers["referrer-policy"] == "same-origin"


async def test_every_answer_has_the_headers(console):
    """Pages, redirects and refusals, with a session and without."""
    visit = await console.as_user()
    for path in ("", "/", "/nowhere", "/sign-in"):
        check_headers(await visit.get(path))
    check_headers(await console.visit().get("/clients"))
    check_headers(await visit.post("/sign-out", csrf="wrong"))


async def test_no_page_has_script_or_style_in_it(console):
    """Since the policy would refuse them, and htmx none either."""
    visit = await console.as_user()
    for path in ("", "/nowhere", "/clients", "/new-client"):
        page = (await visit.get(path)).text
        assert "<script>" not in page
        assert "<style" not in page
        assert ' style="' not in page
        assert " onclick" not in page


async def test_static_files_are_kept_for_a_year(console):
    """By a path that changes with the content; nothing but what is there is served."""
    visit = console.visit()
    page = (await visit.get("/sign-in")).text
    path = page.partition('rel="stylesheet" href="')[2].partition('"')[0]
    answer = await visit.client.get(path)
    assert answer.headers["content-type"] == "text/css; charset=utf-8"
    assert answer.headers["cache-control"] == "public, max-age=31536000, immutable"
    assert hashlib.sha256(answer.content).hexdigest()[:16] in path
    assert (await visit.client.head(path)).content == b""
    assert (await visit.client.get(path + ".map")).status_code in (303, 404)


def test_the_script_library_is_the_published_one():
    """htmx.org 2.0.11, `dist/htmx.min.js` of the package, beside its licence."""
    static = files("watchword.console") / "static"
    assert hashlib.sha256((static / "htmx.min.js").read_bytes()).hexdigest() == HTMX
    assert "Zero-Clause BSD" in (static / "htmx.LICENSE").read_text()


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": EVIL, "sec-fetch-site": "cross-site"},
        {"origin": EVIL, "sec-fetch-site": "same-origin"},
        {"origin": "null"},
        {"origin": ""},
        {"origin": "http://localhost:9090", "sec-fetch-site": "same-site"},
    ],
)
async def test_forms_of_other_origins_do_nothing(console, headers):
    """Not with the right cookie and the right token of the form either."""
    visit = await console.as_user()
    console.register("till")
    answer = await visit.post("/clients/till/disable", headers)
    assert answer.status_code == 403
    assert "http://localhost:8080" in answer.text
    assert console.operations.show_client("till").document["state"] != "disabled"
    assert console.log("console.refused")[-1]["reason"] == "origin"


async def test_a_stolen_cookie_reads_nothing_from_another_origin(console):
    """Neither by a script there nor by a link, which leads to the sign-in page."""
    visit = await console.as_user()
    for headers in ({"origin": EVIL}, {"sec-fetch-site": "cross-site", "sec-fetch-mode": "cors"}):
        assert (await visit.get("/clients", **headers)).status_code == 403
    link = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate"}
    answer = await visit.get("/clients", **link)
    assert answer.headers["location"] == "/console/sign-in?next=%2Fconsole%2Fclients"
    assert "set-cookie" not in answer.headers  # and the session goes on
    assert (await visit.get("/clients")).status_code == 200


async def test_a_cookie_of_another_issuer_does_nothing(console):
    """Its registry has another key, and its origin is another."""
    visit = await console.as_user()
    async with opened_console(data_dir="other-data") as other:
        thief = other.visit()
        thief.copy_cookies(visit)
        assert (await thief.get("/clients")).status_code == 303


async def test_two_cookies_of_one_name_count_as_none(console):
    """A neighbour of the host may have set one of them."""
    visit = await console.as_user()
    cookie = f"watchword_console={visit.client.cookies['watchword_console']}"
    client = console.visit().client
    for sent, status in ((cookie, 200), (f"{cookie}; {cookie}", 303)):
        answer = await client.get("/console", headers={"cookie": sent})
        assert answer.status_code == status


@pytest.mark.parametrize("csrf", ["", "wrong", None])
async def test_a_form_without_its_token_does_nothing(console, csrf):
    """Though origin and cookie are right."""
    visit = await console.as_user()
    console.register("till")
    answer = await visit.post("/clients/till/disable", csrf=csrf)
    assert answer.status_code == 403
    assert console.operations.show_client("till").document["state"] != "disabled"


async def test_an_ended_session_leads_to_sign_in_and_back(console, monkeypatch):
    """After 15 minutes, whatever was done in it; the page that was asked for is next."""
    visit = await console.as_user()
    later = wall_clock() + SESSION_SECONDS
    monkeypatch.setattr(guard, "wall_clock", lambda: later)
    answer = await visit.get("/clients?state=disabled")
    assert answer.status_code == 303
    assert answer.headers["location"] == (
        "/console/sign-in?next=%2Fconsole%2Fclients%3Fstate%3Ddisabled&notice=session-ended"
    )
    page = await visit.client.get(answer.headers["location"])
    assert "Your session has ended" in page.text
    assert visit.fields(page)["next"] == "/console/clients?state=disabled"


@pytest.mark.parametrize("end", ["signed out", "over"])
async def test_a_session_that_ends_while_a_form_arrives_does_nothing(console, monkeypatch, end):
    """A body may take as long as it may: what counts is who it is from when it is there."""
    visit = await console.as_user()
    other = console.visit()
    other.copy_cookies(visit)
    console.register("till")
    read = app._read_form

    async def read_slowly(incoming, maximum):
        form = await read(incoming, maximum)
        if end == "over":
            monkeypatch.setattr(guard, "wall_clock", lambda: wall_clock() + SESSION_SECONDS + 1)
        elif incoming.path == "/clients/till/disable":
            await other.post("/sign-out")
        return form

    monkeypatch.setattr(app, "_read_form", read_slowly)
    answer = await visit.post("/clients/till/disable")
    assert (answer.status_code, "sign-in" in answer.headers["location"]) == (303, True)
    assert console.operations.show_client("till").document["state"] != "disabled"


async def test_what_was_posted_after_the_end_leads_back_to_its_page(console):
    """An action has no page of its own."""
    visit = console.visit()
    for path, page in (
        ("/clients/a%2Fb/disable", "%2Fconsole%2Fclients%2Fa%252Fb"),
        ("/clients/till/secrets", "%2Fconsole%2Fclients%2Ftill"),
    ):
        answer = await visit.post(path)
        assert answer.headers["location"] == f"/console/sign-in?next={page}"


async def test_a_part_of_a_page_leads_the_whole_page_to_sign_in(console):
    """htmx would put the sign-in form into the list otherwise."""
    answer = await console.visit().get("/clients", **{"hx-request": "true"})
    assert answer.status_code == 200
    assert answer.headers["hx-redirect"] == "/console/sign-in?next=%2Fconsole%2Fclients"


async def test_a_scope_that_is_taken_away_is_gone_with_the_next_click(console):
    """Neither offered nor done, in the same session."""
    visit = await console.as_client(READ, WRITE)
    console.register("till")
    assert "New client" in (await visit.get("/clients")).text
    grants = [{"resource": console.settings.administration, "scope": READ}]
    console.operations.update_client("anna", {"grants": grants})
    assert "New client" not in (await visit.get("/clients")).text
    for answer in (await visit.get("/new-client"), await visit.post("/clients/till/disable")):
        assert answer.status_code == 403
        assert WRITE in answer.text
    assert console.operations.show_client("till").document["state"] != "disabled"


async def test_the_api_refuses_what_the_page_let_through(console, monkeypatch):
    """A scope that goes between the look at the session and the change itself."""
    visit = await console.as_client(READ, WRITE)
    console.register("till")
    before = guard.SessionGuard._settle

    def settle_then_take_away(self, session, reading):
        found = before(self, session, reading)
        monkeypatch.setattr(guard.SessionGuard, "_settle", before)
        return found

    async def settle(self, session):
        found = self._registry.read(lambda it: settle_then_take_away(self, session, it))
        grants = [{"resource": console.settings.administration, "scope": READ}]
        console.operations.update_client("anna", {"grants": grants})
        return found

    monkeypatch.setattr(guard.SessionGuard, "settle", settle)
    answer = await visit.post("/clients/till/disable")
    assert answer.status_code == 403
    assert "does not hold" in answer.text
    assert console.operations.show_client("till").document["state"] != "disabled"


@pytest.mark.parametrize("end", ["secret", "disabled", "deleted", "replaced", "scopes", "method"])
async def test_a_session_ends_with_what_it_began_with(console, end):
    """The secret, the client itself, or all that it held."""
    visit = await console.as_client(READ)
    operations = console.operations
    (secret,) = operations.list_secrets("anna")
    match end:
        case "secret":
            operations.add_secret("anna", {})
            operations.revoke_secret("anna", secret["secret_id"])
        case "disabled":
            operations.update_client("anna", {"disabled": True})
        case "deleted":
            operations.delete_client("anna")
        case "replaced":
            operations.delete_client("anna")
            console.register("anna", READ)
        case "scopes":
            operations.update_client("anna", {"grants": []})
        case "method":
            operations.update_client("anna", {"dpop_bound_access_tokens": True})
    answer = await visit.get("/clients")
    assert answer.status_code == 303
    assert "session-ended" in answer.headers["location"]
    assert "Max-Age=0" in answer.headers["set-cookie"]


async def test_without_the_registry_the_page_is_503(console, monkeypatch):
    """With the id of the request, when to try again, and no trace."""
    visit = await console.as_user()

    def fail(*_):
        raise StoreUnavailable("the database at /secret/place is away")

    monkeypatch.setattr(Registry, "read", fail)
    answer = await visit.get("/clients")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["x-request-id"] in answer.text
    assert "secret/place" not in answer.text
    assert "Traceback" not in answer.text
    check_headers(answer)


async def test_when_the_registry_goes_within_a_request_the_page_is_503(console, monkeypatch):
    """The session could be read, and what the page asks the API for could not."""
    visit = await console.as_user()
    before, calls = Registry.read, []

    def fail_later(self, work):
        calls.append(work)
        if len(calls) > 1:
            raise StoreUnavailable("away")
        return before(self, work)

    monkeypatch.setattr(Registry, "read", fail_later)
    answer = await visit.get("/clients")
    assert answer.status_code == 503
    assert answer.headers["x-request-id"] in answer.text


async def test_a_fault_is_a_page_and_in_the_log(console, monkeypatch):
    """Never a trace on the page; the log has it under the id that the page names."""
    visit = await console.as_user()
    monkeypatch.setattr(overview, "_LINES", "not a number")
    answer = await visit.get()
    assert answer.status_code == 400  # the API's own refusal of it is a page as well
    monkeypatch.delattr(overview, "_SOON")
    answer = await visit.get()
    assert answer.status_code == 500
    (event,) = console.log("request.refused")[-1:]
    assert (event["reason"], event["exception"]) == ("internal", "NameError")
    assert event["request_id"] in answer.text
    assert "NameError" not in answer.text


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nowhere", 404),
        ("GET", "/clients/%zz", 404),
        ("GET", "/clients/nobody", 404),
        ("POST", "/clients", 405),
        ("GET", "/clients/till/disable", 405),
        ("PUT", "/clients", 405),
    ],
)
async def test_what_there_is_not_is_a_page(console, method, path, status):
    """With a way back."""
    visit = await console.as_user()
    answer = await (
        visit.post(path) if method == "POST" else visit.client.request(method, visit.base + path)
    )
    assert answer.status_code == status
    assert 'href="/console"' in answer.text


async def test_a_form_is_bounded_and_of_one_media_type(console):
    """What no page sends is refused before it is read whole."""
    visit = await console.as_user()
    long = await visit.post("/clients/till/disable", more="x" * MAX_FORM)
    assert long.status_code == 413
    headers = {"origin": visit.origin, "content-type": "application/json"}
    other = await visit.client.post("/console/sign-out", content=b"{}", headers=headers)
    assert other.status_code == 400
    bad = {"origin": visit.origin, "content-type": "application/x-www-form-urlencoded"}
    for body in (b"\xff=1", b"a=%00", b"&".join(b"a=1" for _ in range(2_000))):
        answer = await visit.client.post("/console/sign-out", content=body, headers=bad)
        assert answer.status_code == 400
    stranger = await console.visit().post("/sign-in", client_secret="x" * 70_000)
    assert stranger.status_code == 413


async def test_head_has_the_headers_of_the_page_alone(console):
    """As for any `GET`."""
    visit = await console.as_user()
    answer = await visit.client.head("/console")
    assert (answer.status_code, answer.content) == (200, b"")
    assert int(answer.headers["content-length"]) > 1_000


async def test_the_navigation_has_what_the_session_may_see(console):
    """Derived from the routes and the scopes that each takes."""
    visit = await console.as_client(AUDIT)
    page = (await visit.get()).text
    assert ">Clients</a>" not in page
    answer = await visit.get("/clients")
    assert answer.status_code == 403
    assert READ in answer.text


async def test_notices_are_those_of_the_console(console):
    """A link cannot put words of its own onto a page."""
    visit = await console.as_user()
    assert "signed out" in (await visit.get("?notice=signed-out")).text
    assert "evil" not in (await visit.get("?notice=evil")).text


async def test_the_console_of_an_issuer_with_a_path_is_below_it():
    """Links have the issuer's path, whether a proxy takes it away or not."""
    async with opened_console(issuer="http://localhost:8080/tenant") as console:
        visit = await console.as_user()
        assert visit.base == "/tenant/console"
        for path in ("/tenant/console", "/console", "/console/"):
            page = (await visit.client.get(path)).text
            assert 'href="/tenant/console/clients"' in page
            assert 'href="/console' not in page


async def test_the_console_is_off_unless_it_is_set_on(tmp_path, monkeypatch):
    """404 as for any path that is not served."""
    async with opened_console() as console:
        off = console.settings.model_copy(update={"console": False})
        console.settings = off
        visit = console.visit(console.make_worker())
        for path in ("", "/", "/sign-in"):
            answer = await visit.get(path)
            assert answer.status_code == 404
            assert answer.json() == {"error": "not_found"}
