"""The pages of clients and their credentials, over the administration API."""

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest

from keys.jwk import thumbprint
from tests.support.keys import public_rsa_jwk
from watchword.console.pages.client_forms import _offered_grants

READ, WRITE = "watchword:clients:read", "watchword:clients:write"
SECRETS, TOKENS = "watchword:secrets:write", "watchword:tokens:write"
ORDERS = "https://orders.example.com"
HTML = "<img src=x onerror=alert(1)>"


@pytest.fixture
async def visit(console):
    """Sign in as a user of the machine, where there is a resource."""
    console.operations.create_resource({"resource": ORDERS, "scopes": ["read", "write"]})
    return await console.as_user()


async def register(visit, client_id="till", **fields):
    """Register a client by the form."""
    page = await visit.get("/new-client")
    sent = {"token_endpoint_auth_method": "client_secret_basic", **visit.fields(page)}
    return await visit.post("/new-client", **{**sent, "client_id": client_id, **fields})


async def edit(visit, client_id="till", **fields):
    """Change a client by the form, as it is shown now."""
    page = await visit.get(f"/clients/{client_id}/edit")
    return await send_edit(visit, page, client_id, **fields)


async def send_edit(visit, page, client_id="till", **fields):
    """Send the form of a page that was opened before."""
    sent = {"token_endpoint_auth_method": "client_secret_basic", **visit.fields(page)}
    return await visit.post(f"/clients/{client_id}/edit", **{**sent, **fields})


async def test_a_client_is_registered_and_its_secret_shown_once(console, visit):
    """On the answer to the form alone; it works, and is in no log, address or later page."""
    grants = [f"{ORDERS} read", f"{ORDERS} write"]
    answer = await register(
        visit, client_name="Till", grant=grants, token_ttl="10m", expires_in="2592000"
    )
    assert answer.status_code == 200
    assert answer.headers["cache-control"] == "no-store"
    secret = answer.text.partition("<code>")[2].partition("</code>")[0]
    assert secret.startswith("wws_")
    shown = console.operations.show_client("till").document
    assert (shown["client_name"], shown["scope"], shown["token_ttl"]) == ("Till", "read write", 600)
    assert shown["secrets"][0]["expires_at"] is not None
    form = {"grant_type": "client_credentials", "client_id": "till", "client_secret": secret}
    assert (await visit.client.post("/token", data=form)).status_code == 200
    for path in ("/clients", "/clients/till", "", "/new-client"):
        assert secret not in (await visit.get(path)).text
    assert secret not in str(console.log())
    assert ("root", "console", "client.created", "till") in console.audit()


async def test_methods_that_are_switched_off_are_not_offered(console, visit):
    """But a client that has one keeps it in its form."""
    console.register(
        "till", token_endpoint_auth_method="tls_client_auth", tls_client_auth_san_dns="x.y"
    )
    new, kept = await visit.get("/new-client"), await visit.get("/clients/till/edit")
    for method, offered in (
        ("client_secret_basic", (True, True)),
        ("private_key_jwt", (True, True)),
        ("client_secret_jwt", (False, False)),
        ("tls_client_auth", (False, True)),
        ("self_signed_tls_client_auth", (False, False)),
    ):
        option = f'<option value="{method}"'
        assert (option in new.text, option in kept.text) == offered


@pytest.mark.parametrize("shown_at", ["", "soon", "-1", "²", "9" * 11, "9" * 12])
async def test_a_secret_lives_no_longer_than_was_chosen_whatever_the_form_says(
    console, visit, shown_at
):
    """When the form was shown is believed only where it can be."""
    latest = datetime.now(UTC) + timedelta(days=30, seconds=60)
    answer = await register(visit, expires_in="2592000", shown_at=shown_at)
    assert answer.status_code == 200
    (secret,) = console.operations.show_client("till").document["secrets"]
    ends = datetime.fromisoformat(secret["expires_at"])
    assert latest - timedelta(seconds=120) < ends < latest


@pytest.mark.parametrize("lifetime", ["", "2592000"])
async def test_a_form_that_is_sent_twice_makes_one_client_and_one_secret(
    console, visit, lifetime, monkeypatch
):
    """Such as by going back; the second answer does not show the secret.

    It is the same form seconds later: the secret's life begins when the form was shown.
    """
    page = await visit.get("/new-client")
    fields = visit.fields(page) | {
        "client_id": "till",
        "token_endpoint_auth_method": "client_secret_basic",
        "expires_in": lifetime,
    }
    shown_at = int(fields["shown_at"])
    first = await visit.post("/new-client", **fields)
    monkeypatch.setattr("watchword.console.app.wall_clock", lambda: shown_at + 5)
    second = await visit.post("/new-client", **fields)
    assert "wws_" in first.text
    assert "wws_" not in second.text
    assert "sent before" in second.text
    page = await visit.get("/clients/till")
    fields = visit.fields(page) | {"expires_in": ""}
    for _ in range(2):
        answer = await visit.post("/clients/till/secrets", **fields)
        assert answer.status_code == 200
    assert "wws_" not in answer.text
    assert len(console.operations.list_secrets("till")) == 2


async def test_a_client_with_a_key_has_no_secret(console, visit):
    """Its public keys are shown with their thumbprints (RFC 7638)."""
    key = public_rsa_jwk().members()
    answer = await register(
        visit, token_endpoint_auth_method="private_key_jwt", jwks=json.dumps({"keys": [key]})
    )
    assert answer.headers["location"] == "/console/clients/till?notice=client-created"
    page = (await visit.get("/clients/till?notice=client-created")).text
    assert "The client is registered." in page
    assert thumbprint(key) in page
    assert "Make a secret" not in page


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"client_id": "two words"}, "client_id"),
        ({"token_ttl": "soon"}, "must be 1 or more"),
        ({"token_ttl": "9999d"}, "token_ttl"),
        ({"metadata": "{"}, "This is no JSON"),
        ({"metadata": "[]"}, "no JSON object"),
        ({"metadata": '{"a": ' + "[" * 100_000}, "no JSON object"),
        ({"rest": '{"a": "\\ud800"}'}, "no JSON object"),
        ({"rest": '{"colour": 1}'}, "colour"),
        ({"rest": '{"grants": []}'}, "Change grants above"),
        ({"more_grants": ORDERS}, "Name scopes after"),
        ({"grant": f"{ORDERS} fly"}, "fly"),
        ({"token_endpoint_auth_method": "private_key_jwt"}, "jwks"),
        ({"client_name": HTML * 20}, "printable characters"),
    ],
    ids=lambda value: str(value)[:40],
)
async def test_mistakes_are_told_beside_what_was_entered(console, visit, fields, words):
    """Nothing is lost, and nothing was done."""
    fields = {"metadata": '{"team": "retail"}'} | fields
    answer = await register(visit, **fields)
    assert answer.status_code == 422
    assert words in answer.text
    assert "Nothing was changed." in answer.text
    assert HTML not in answer.text
    assert ("retail" in answer.text) is ("retail" in fields["metadata"])
    assert not [each for each in console.audit() if each[2] == "client.created"]


async def test_an_id_that_is_taken_is_told(console, visit):
    """409 is shown in the form."""
    console.register("till")
    answer = await register(visit)
    assert answer.status_code == 409
    assert "exists already" in answer.text


async def test_a_change_says_only_what_was_changed(console, visit):
    """What the form does not show stays, and so does what was left as it was."""
    console.register(
        "till",
        grants=[
            {"resource": ORDERS, "scope": "read write", "default_scope": "read"},
            {"resource": "http://localhost:8080", "scope": "write read"},
        ],
        metadata={"team": "retail"},
        expires_at="2030-01-31T12:30:15Z",
        claims={"tenant": "north"},
        token_ttl=600,
    )
    before = console.operations.show_client("till").document
    page = (await visit.get("/clients/till/edit")).text
    assert "2030-01-31T12:30:15" in page
    sent = {
        "client_name": "Till",
        "token_ttl": "600",
        "expires_at": "2030-01-31T12:30:15",
        "metadata": json.dumps(before["metadata"]),
        "rest": json.dumps({"grant_types": before["grant_types"], "claims": before["claims"]}),
        "grant": [
            "http://localhost:8080 read",
            "http://localhost:8080 write",
            f"{ORDERS} write",
            f"{ORDERS} read",
        ],
    }
    answer = await edit(visit, **sent)
    assert answer.headers["location"].endswith("?notice=client-updated")
    after = console.operations.show_client("till").document
    changed = {name for name in after if after[name] != before[name]}
    assert changed <= {"client_name", "updated_at"}
    assert "client_name" in changed
    again = await edit(visit, **sent)
    assert again.headers["location"].endswith("?notice=nothing-changed")
    assert len([each for each in console.audit() if each[2] == "client.updated"]) == 1


async def test_scopes_are_given_and_taken(console, visit):
    """What is not ticked goes; the default scopes that are left stay."""
    console.register("till", grants=[{"resource": ORDERS, "scope": "read write"}])
    assert (await edit(visit, grant=f"{ORDERS} write")).status_code == 303
    assert console.operations.show_client("till").document["scope"] == "write"
    await edit(
        visit, grant=f"{ORDERS} write", more_grants=f"http://localhost:8080 read\n{ORDERS} read"
    )
    grants = console.operations.show_client("till").document["grants"]
    assert grants == [
        {"resource": ORDERS, "scope": "write read"},
        {"resource": "http://localhost:8080", "scope": "read"},
    ]
    assert (await edit(visit)).status_code == 303
    assert console.operations.show_client("till").document["grants"] == []


async def test_two_operators_at_once_see_both_versions(console, visit):
    """Nothing of the second is saved until that one says so; then both changes are."""
    console.register("till", client_name="Till", metadata={"team": "a"})
    page = await visit.get("/clients/till/edit")
    console.operations.update_client("till", {"client_name": "Till 1", "token_ttl": 60})
    answer = await send_edit(visit, page, client_name="Till 2", metadata='{"team": "b"}')
    assert answer.status_code == 412
    by = "tester (cli) changed it"
    for words in ("Till 1", "Till 2", "both changed it", by, "Nothing of yours was saved"):
        assert words in answer.text
    assert console.operations.show_client("till").document["client_name"] == "Till 1"
    merged = await send_edit(
        visit, answer, client_name="Till 2", metadata='{"team": "b"}', token_ttl="60"
    )
    assert merged.status_code == 303
    after = console.operations.show_client("till").document
    assert (after["client_name"], after["token_ttl"]) == ("Till 2", 60)
    assert after["metadata"] == {"team": "b"}


@pytest.mark.parametrize(
    "grants",
    [5, None, [5], [{"scope": "a"}], [{"resource": ORDERS, "scope": 5}], [{"resource": 5}]],
)
async def test_a_base_that_no_form_of_ours_has_is_refused(console, visit, grants):
    """422, and nothing is changed."""
    console.register("till")
    answer = await edit(visit, base=json.dumps({"grants": grants}), grant=f"{ORDERS} read")
    assert (answer.status_code, "open it again" in answer.text) == (422, True)
    assert console.operations.show_client("till").document["scope"] == ""


async def test_very_many_scopes_are_looked_at_once():
    """A list of them that can be read once only: to look each up in it took seconds."""
    request = SimpleNamespace(may=lambda scope: False)
    [offered] = await _offered_grants(request, (f"{ORDERS} s{n}" for n in range(10_000)))
    assert (offered["is_granted"], len(offered["scopes"])) == (True, 10_000)
    assert all(ticked for _, ticked in offered["scopes"])


async def test_a_client_is_disabled_and_enabled(console, visit):
    """At once, whatever was changed meanwhile; the trail names who did it."""
    console.register("till")
    answer = await visit.post("/clients/till/disable")
    assert answer.headers["location"] == "/console/clients/till?notice=client-disabled"
    assert "disabled" in (await visit.get("/clients/till")).text
    await visit.post("/clients/till/enable")
    assert console.operations.show_client("till").document["state"] == "enabled"
    actions = [each[2] for each in console.audit() if each[:2] == ("root", "console")]
    assert {"client.disabled", "client.enabled"} <= set(actions)


async def test_tokens_are_revoked_with_it_only_by_who_may(console):
    """The box is not there for others; if it is ticked all the same, nothing is done."""
    console.register("till")
    visit = await console.as_client(READ, WRITE)
    assert "revoke_tokens" not in (await visit.get("/clients/till")).text
    answer = await visit.post("/clients/till/disable", revoke_tokens="on")
    assert answer.status_code == 403
    assert TOKENS in answer.text
    assert console.operations.show_client("till").document["state"] != "disabled"
    user = await console.as_user()
    assert (await user.post("/clients/till/disable", revoke_tokens="on")).status_code == 303


async def test_a_client_goes_only_if_its_id_is_typed(console, visit):
    """Another text changes nothing."""
    console.register("a/b")
    page = await visit.get("/clients/a%2Fb/delete")
    assert "never got a token" in page.text
    for typed in ("", "a/B"):
        answer = await visit.post("/clients/a%2Fb/delete", typed=typed)
        assert answer.status_code == 422
    answer = await visit.post("/clients/a%2Fb/delete", typed="a/b")
    assert answer.headers["location"] == "/console/clients?notice=client-deleted"
    assert (await visit.get("/clients/a%2Fb")).status_code == 404


async def test_secrets_are_made_and_ended(console, visit):
    """To rotate: one more, then the end of the old one."""
    made = console.register("till")
    page = await visit.get("/clients/till")
    assert made["secret_id"] in page.text
    answer = await visit.post("/clients/till/secrets", expires_in="2592000", once="abc")
    assert "wws_" in answer.text
    asked = await visit.get(f"/clients/till/secrets/{made['secret_id']}")
    assert "1 other secret" in asked.text
    answer = await visit.post(f"/clients/till/secrets/{made['secret_id']}")
    assert answer.headers["location"] == "/console/clients/till?notice=secret-ended"
    states = [each["secret_id"] for each in console.operations.list_secrets("till")]
    assert made["secret_id"] not in states
    assert (await visit.get(f"/clients/till/secrets/{made['secret_id']}")).status_code == 404


async def test_the_tenth_secret_is_the_last(console, visit):
    """The API's refusal is shown on the page of the client."""
    console.register("till")
    for _ in range(9):
        console.operations.add_secret("till", {})
    answer = await visit.post("/clients/till/secrets", expires_in="")
    assert answer.status_code == 409
    assert "secrets" in answer.text


async def test_the_list_is_filtered_and_paged(console, visit):
    """By what the API filters by; a further page begins after the last id of this one."""
    for number in range(60):
        console.register(f"till-{number:02}", disabled=number == 7)
    first = (await visit.get("/clients")).text
    assert "till-49" in first
    assert "till-50" not in first
    assert "/console/clients?after=till-49" in first
    assert "till-50" in (await visit.get("/clients?after=till-49")).text
    filtered = (await visit.get("/clients?state=disabled&resource=&scope=")).text
    assert "till-07" in filtered
    assert "till-08" not in filtered
    nothing = (await visit.get("/clients?scope=none")).text
    assert "No client is like that" in nothing
    assert (await visit.get("/clients?state=red")).status_code == 400


async def test_nothing_that_a_client_says_is_markup(console, visit):
    """HTML in each member that takes it."""
    console.register("<b>", client_name=HTML, metadata={HTML: HTML}, claims={"x": HTML})
    console.operations.update_client("<b>", {"token_ttl": 60})
    for path in ("/clients", "/clients/%3Cb%3E", "/clients/%3Cb%3E/edit", ""):
        page = (await visit.get(path)).text
        assert HTML not in page
        assert "<b>" not in page


async def test_what_a_session_may_not_do_is_not_offered(console):
    """Buttons and links follow the scopes; so do forms that are sent all the same."""
    console.register("till")
    visit = await console.as_client(READ)
    page = (await visit.get("/clients/till")).text
    for words in ("Change</a>", "Make a secret", ">End</a>", "Disable", "Delete"):
        assert words not in page
    for path in ("/clients/till/secrets", "/clients/till/disable", "/clients/till/delete"):
        assert (await visit.post(path, typed="till")).status_code == 403
    assert ("tester", "cli", "client.created", "till") in console.audit()
    assert not [each for each in console.audit() if each[0] == "anna"]


async def test_support_may_renew_secrets_and_nothing_else(console):
    """The trail names the client, which acts by the API."""
    console.register("till")
    visit = await console.as_client(READ, SECRETS)
    page = (await visit.get("/clients/till")).text
    assert "Make a secret" in page
    assert "Disable" not in page
    assert (await visit.post("/clients/till/secrets")).status_code == 200
    assert ("anna", "api", "secret.added", "till") in console.audit()


async def test_a_session_gives_nothing_that_it_does_not_hold(console):
    """Not even to a client that it may register: the API refuses."""
    visit = await console.as_client(READ, WRITE)
    grants = f"{console.settings.administration} watchword:tokens:write"
    answer = await register(visit, more_grants=grants)
    assert answer.status_code == 403
    assert TOKENS in answer.text
