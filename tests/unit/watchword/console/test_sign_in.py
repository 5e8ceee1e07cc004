"""Ways into the console, and every refusal on them."""

from dataclasses import replace

import pytest

from issuer.registry.audit import SYSTEM
from issuer.registry.auth_methods import AuthMethod
from issuer.registry.errors import StoreUnavailable
from issuer.storage.hot import BatchedWrites
from issuer.storage.registry import Registry
from tests.support.console import opened_console
from watchword.ambient import wall_clock

ADMIN = "watchword:clients:read"
SAME_ANSWER = "There is no such client, or it has another secret."


async def test_a_link_signs_the_user_in(console):
    """The session is named after the user of the machine, who may do everything."""
    visit = console.visit()
    answer = await visit.use_code(console.make_code("alice"))
    assert (answer.status_code, answer.headers["location"]) == (303, "/console")
    page = await visit.get()
    assert page.status_code == 200
    assert "alice" in page.text
    assert "user of the machine" in page.text
    assert [each["actor"] for each in console.log("console.signed_in")] == ["alice"]


async def test_the_whole_link_is_as_good_as_its_code(console):
    """What one copies is a link."""
    link = f" https://auth.example/console/sign-in#{console.make_code()}\n"
    assert (await console.visit().use_code(link)).status_code == 303


async def test_a_link_counts_once_on_all_workers(console):
    """A worker that has not seen it learns from the registry that it was used."""
    code = console.make_code()
    assert (await console.visit().use_code(code)).status_code == 303
    for worker in (console.provider, console.make_worker()):
        answer = await console.visit(worker).use_code(code)
        assert answer.status_code == 403
        assert "or was made with another data folder" in answer.text
    assert len(console.log("console.refused")) == 2


async def test_a_link_counts_for_a_minute(console):
    """And not a second longer."""
    code = console.make_code(now=wall_clock() - 60)
    assert (await console.visit().use_code(code)).status_code == 403


async def test_what_is_no_code_is_refused_and_not_noted(console):
    """Whoever guesses fills no table."""
    for code in ("", "A" * 40, console.make_code()[:-1]):
        assert (await console.visit().use_code(code)).status_code == 403
    assert not console.registry.read(lambda reading: reading.is_claimed("console links", "A" * 40))


async def test_a_client_signs_in_with_its_secret(console):
    """As at the token endpoint; which secret it used is noted as its use."""
    made = console.register("anna", ADMIN)
    visit = console.visit()
    answer = await visit.sign_in("anna", made["client_secret"])
    assert answer.status_code == 303
    page = await visit.get()
    assert "anna" in page.text
    (event,) = console.log("console.signed_in")
    assert (event["client_id"], event["secret_id"]) == ("anna", made["secret_id"])
    assert made["client_secret"] not in str(console.log())


@pytest.mark.rfc("6749-2.3.1-4")
async def test_every_failure_has_one_answer(console):
    """Unknown, disabled, wrong, ended, or nothing that a secret can be: the page says the same."""
    right = console.register("anna", ADMIN)["client_secret"]
    off = console.register("off", ADMIN, disabled=True)["client_secret"]
    attempts = (
        ("anna", "x" * 20),
        ("nobody", right),
        ("off", off),
        ("ann\x7f", right),
        ("anna", "é"),
    )
    pages = set()
    for client_id, secret in attempts:
        answer = await console.visit().sign_in(client_id, secret)
        assert answer.status_code == 401
        assert SAME_ANSWER in answer.text
        assert secret not in answer.text
        assert answer.headers["www-authenticate"].startswith("Form ")  # Basic would ask by itself
        pages.add(answer.headers["content-security-policy"])
    assert len(console.log("console.refused")) == len(attempts)
    assert len(pages) == 1


async def test_failures_count_with_those_of_the_token_endpoint():
    """Beyond the limit nothing is looked at: 429 with the time to wait."""
    async with opened_console(failed_auth_limit=3) as console:
        console.register("anna", ADMIN)
        visit = console.visit()
        for _ in range(2):
            assert (await visit.sign_in("anna", "x" * 20)).status_code == 401
        form = {"grant_type": "client_credentials", "client_id": "anna", "client_secret": "y" * 20}
        assert (await visit.client.post("/token", data=form)).status_code == 401
        answer = await visit.sign_in("anna", "x" * 20)
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0
        assert "Wait a minute" in answer.text
        assert console.log("console.refused")[-1]["reason"] == "too_many_failures"


@pytest.mark.parametrize(
    ("members", "why"),
    [
        ({}, "holds no administration scope"),
        ({"dpop_bound_access_tokens": True}, "bound to a key or a certificate"),
        ({"tls_client_certificate_bound_access_tokens": True}, "bound to a key or a certificate"),
        ({"grant_types": []}, "client_credentials"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_a_client_that_gets_no_plain_token_gets_no_session(console, members, why):
    """The secret is right, so the page may say what is missing."""
    made = console.register("anna", *([ADMIN] if members else []), **members)
    answer = await console.visit().sign_in("anna", made["client_secret"])
    assert answer.status_code == 403
    assert why in answer.text
    assert not console.log("console.signed_in")


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        ({"dpop_bound_access_tokens_required": True}, "bound to a key or a certificate"),
        ({"tls_client_certificate_bound_access_tokens": True}, "bound to a key or a certificate"),
        ({"auth_methods": (AuthMethod.PRIVATE_KEY_JWT,)}, "no client that authenticates so"),
    ],
    ids=lambda value: str(value)[:30],
)
async def test_what_the_administration_asks_of_tokens_counts_for_sessions(console, asked, why):
    """A secret that gets no token for the administration opens no console, and ends a session."""
    made = console.register("anna", ADMIN)
    visit = console.visit()
    assert (await visit.sign_in("anna", made["client_secret"])).status_code == 303

    def ask(edit):
        resource = edit.require_resource(console.settings.administration).resource
        edit.replace_resource(replace(resource, **asked))

    console.registry.change(ask, by=SYSTEM)
    answer = await visit.get("/clients")
    assert answer.status_code == 303
    assert answer.headers["location"].startswith("/console/sign-in")
    # The worker itself follows changes of the registry; this one begins with them.
    answer = await console.visit(console.make_worker()).sign_in("anna", made["client_secret"])
    assert answer.status_code == 403
    assert why in answer.text


async def test_the_form_is_one_that_this_browser_was_shown(console):
    """Another site cannot have a browser sign in as somebody else."""
    made = console.register("anna", ADMIN)
    visit, other = console.visit(), console.visit()
    await other.get("/sign-in")
    visit.csrf = other.csrf
    fields = {"client_id": "anna", "client_secret": made["client_secret"]}
    for path, sent in (("/sign-in", fields), ("/sign-in/code", {"code": console.make_code()})):
        answer = await visit.post(path, **sent)
        assert answer.status_code == 403
        assert "keeps no cookies" in answer.text
    assert {each["reason"] for each in console.log("console.refused")} == {"form_outdated"}


@pytest.mark.parametrize(
    ("onward", "location"),
    [
        ("/console/clients?state=disabled", "/console/clients?state=disabled"),
        ("//evil.example/console", "/console"),
        ("https://evil.example/", "/console"),
        ("/admin/api/v1/clients", "/console"),
    ],
)
async def test_sign_in_leads_on_to_own_pages_alone(console, onward, location):
    """Whatever the form says, which anybody may have written."""
    answer = await console.visit().use_code(console.make_code(), next=onward)
    assert answer.headers["location"] == location


async def test_whoever_is_signed_in_may_sign_in_as_somebody_else(console):
    """The page says who it is, and leads to the overview."""
    visit = await console.as_client("watchword:clients:read", client_id="anna")
    answer = await visit.get("/sign-in")
    assert "You are signed in as anna." in answer.text
    assert 'href="/console"' in answer.text
    copied = console.visit()
    copied.copy_cookies(visit)
    assert (await visit.use_code(console.make_code("berta"))).status_code == 303
    assert "berta" in (await visit.get()).text
    assert (await copied.get()).status_code == 303
    assert [each["client_id"] for each in console.log("console.signed_out")] == ["anna"]


async def test_the_cookie_is_for_this_host_alone(console):
    """Out of reach of scripts, other sites and other paths; over TLS by a name that says so."""
    answer = await console.visit().use_code(console.make_code())
    cookie = answer.headers.get_list("set-cookie")[0]
    assert cookie.startswith("watchword_console=")
    assert cookie.endswith("; Path=/; Max-Age=900; HttpOnly; SameSite=Strict")
    async with opened_console(issuer="https://auth.example", data_dir="other-data") as secured:
        answer = await secured.visit().use_code(secured.make_code())
        cookie = answer.headers.get_list("set-cookie")[0]
        assert cookie.startswith("__Host-watchword_console=")
        assert cookie.endswith("; Path=/; Max-Age=900; HttpOnly; SameSite=Strict; Secure")


async def test_under_the_profile_without_secrets_links_are_the_only_way():
    """The form for a secret is not shown, and what is sent to it refused."""
    settings = {"issuer": "https://auth.example", "profile": "fapi2", "signing_alg": "ES256"}
    async with opened_console(**settings) as console:
        visit = console.visit()
        page = await visit.get("/sign-in")
        assert 'name="client_secret"' not in page.text
        assert (await visit.sign_in("anna", "x" * 20)).status_code == 401
        assert (await visit.use_code(console.make_code())).status_code == 303


async def test_signing_out_ends_copies_of_the_cookie_on_all_workers(console):
    """The session's id is noted as ended where all nodes look."""
    visit = await console.as_user()
    copy = console.visit(console.make_worker())
    copy.copy_cookies(visit)
    assert (await copy.get()).status_code == 200
    answer = await visit.post("/sign-out")
    assert answer.headers["location"] == "/console/sign-in?notice=signed-out"
    assert "Max-Age=0" in answer.headers["set-cookie"]
    assert "You are signed out." in (await visit.get("/sign-in?notice=signed-out")).text
    assert (await copy.get()).status_code == 303
    assert [each["actor"] for each in console.log("console.signed_out")] == ["root"]


async def test_a_sign_out_that_cannot_be_noted_says_what_it_did(console, monkeypatch):
    """The cookie is removed here; a copy counts until the session ends."""
    visit = await console.as_user()

    async def fail(*_):
        raise StoreUnavailable("away")

    monkeypatch.setattr(BatchedWrites, "claim", fail)
    answer = await visit.post("/sign-out")
    assert answer.status_code == 503
    assert "signed out in this browser only" in answer.text
    assert "Max-Age=0" in answer.headers["set-cookie"]


async def test_without_the_registry_nobody_signs_in(console, monkeypatch):
    """503, whether the code was used before or not; nothing is guessed."""
    code, visit = console.make_code(), console.visit()
    await visit.get("/sign-in")

    async def fail(*_):
        raise StoreUnavailable("away")

    monkeypatch.setattr(BatchedWrites, "claim", fail)
    assert (await visit.post("/sign-in/code", code=code)).status_code == 503


async def test_before_the_key_of_sessions_is_known_the_page_is_503(console, monkeypatch):
    """The registry has it, and did not answer since the start."""

    def fail(*_):
        raise StoreUnavailable("away")

    monkeypatch.setattr(Registry, "read", fail)
    answer = await console.visit().get("/sign-in")
    assert answer.status_code == 503
    assert int(answer.headers["retry-after"]) > 0
    assert answer.headers["x-request-id"] in answer.text


async def test_a_connection_of_the_server_s_own_that_is_lost_is_its_fault(console, monkeypatch):
    """Whoever asks is still there, and is answered; it must not pass for somebody who left."""

    def fail(*_):
        raise ConnectionResetError("the database's, and not the browser's")

    visit = await console.as_user()
    monkeypatch.setattr(Registry, "read", fail)
    answer = await visit.get("/clients")
    assert answer.status_code == 500
    assert "the database's" not in answer.text
