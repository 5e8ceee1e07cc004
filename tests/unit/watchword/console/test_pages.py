"""Unit tests of the pages of the console: what they do through the API, say and offer."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from issuer.registry.errors import StoreUnavailable
from keys.encoding import encode_base64url
from keys.ring import RingPolicy
from tests.support.console_pages import Pages, hidden_fields, opened_pages
from tests.support.registry import NOW, RESOURCE
from watchword.console.api import ApiRefusal
from watchword.console.routes import ROUTES
from watchword.registry import ADMIN_SCOPES

ORDERS = "/resources/https%3A%2F%2Forders.example.com"
HTML = "<img src=x onerror=alert(1)>"
ESCAPED = "&lt;img src=x onerror=alert(1)&gt;"
OF_ANOTHER = ".".join(map(encode_base64url, (b'{"alg":"RS256"}', b'{"iss":"https://x"}', b"s")))


@pytest.fixture
async def pages(tmp_path: Path) -> AsyncIterator[Pages]:
    """Give the pages of a provider with two keys, two resources and two clients."""
    async with opened_pages(tmp_path) as opened:
        api = opened.api
        for at in (NOW - 200_000, NOW - 100_000):
            api.key_store.generate(alg="ES256", now=at, policy=RingPolicy())
        orders = {"resource": "https://orders.example.com", "scopes": ["orders:read", "orders:pay"]}
        assert (await api.ask("POST", "/resources", json=orders)).status_code == 201
        grants = [{"resource": "https://orders.example.com", "scope": "orders:read"}]
        await api.create("till", grants=grants, client_name=HTML)
        yield opened


# ---- resources ----


async def test_a_resource_is_listed_and_shown_with_those_who_hold_its_scopes(pages: Pages) -> None:
    """Clients only to sessions that may see them."""
    _, html = await pages.ask("GET", "/resources")
    assert "https://orders.example.com" in html
    _, html = await pages.ask("GET", ORDERS)
    assert 'href="/console/clients/till"' in html
    pages.scopes -= {"watchword:clients:read"}
    _, html = await pages.ask("GET", ORDERS)
    assert "till" not in html


async def test_a_resource_is_added_by_a_form(pages: Pages) -> None:
    """And what is wrong in it is said beside the field, with what was entered."""
    status, html = await pages.ask("GET", "/resources/new")
    assert (status, 'name="resource"' in html) == (200, True)
    status, html = await pages.ask(
        "POST", "/resources/new", resource="no uri", scopes="a a", token_ttl="soon", claims="{"
    )
    assert status == 422
    assert "must be a whole number of seconds" in html
    assert "is not JSON" in html
    assert 'value="no uri"' in html
    status, html = await pages.ask("POST", "/resources/new", resource="no uri", scopes="a")
    assert (status, 'id="m-resource"' in html) == (422, True)
    status, _ = await pages.ask("POST", "/resources/new", resource="urn:x", scopes="a", claims="[]")
    assert status == 422
    fields = {
        "resource": "urn:stock",
        "scopes": "stock:read\r\nstock:write",
        "token_ttl": "600",
        "auth_methods": ["private_key_jwt", "tls_client_auth"],
        "claims": '{"tenant": "eu"}',
    }
    status, place = await pages.ask("POST", "/resources/new", **fields)
    assert (status, place) == (303, "/resources/urn%3Astock resource-added")
    made = (await pages.api.ask("GET", "/resources/urn%3Astock")).json()
    assert made["scopes"] == ["stock:read", "stock:write"]
    assert made["auth_methods"] == ["private_key_jwt", "tls_client_auth"]
    assert (made["token_ttl"], made["status_list"]) == (600, False)
    status, html = await pages.ask("GET", "/resources/urn%3Astock")
    assert "no: they count until they expire" in html


async def test_a_resource_is_changed_without_touching_the_rest(pages: Pages) -> None:
    """Only the members that were changed are sent, with the revision that the form showed."""
    _, html = await pages.ask("GET", f"{ORDERS}/change")
    fields = hidden_fields(html) | {"status_list": "on", "token_ttl": "60"}
    fields["scopes"] = "orders:read\norders:pay\norders:list"
    status, place = await pages.ask("POST", f"{ORDERS}/change", **fields)
    assert (status, place) == (303, f"{ORDERS} resource-changed")
    made = (await pages.api.ask("GET", ORDERS)).json()
    assert (made["token_ttl"], made["scopes"][-1]) == (60, "orders:list")


async def test_a_scope_that_is_held_goes_only_when_that_is_said(pages: Pages) -> None:
    """The mistake is the API's own words; the box takes the scope from its clients."""
    _, html = await pages.ask("GET", f"{ORDERS}/change")
    fields = hidden_fields(html) | {"status_list": "on", "scopes": "orders:pay"}
    status, html = await pages.ask("POST", f"{ORDERS}/change", **fields)
    assert (status, "orders:read" in html) == (422, True)
    status, _ = await pages.ask("POST", f"{ORDERS}/change", **fields, withdraw="on")
    assert status == 303
    assert (await pages.api.ask("GET", "/clients/till")).json()["scope"] == ""


async def test_of_two_operators_the_second_sees_both_versions(pages: Pages) -> None:
    """412; nothing is lost unless the second one says so, and what only the first changed stays."""
    _, html = await pages.ask("GET", f"{ORDERS}/change")
    mine = hidden_fields(html) | {"status_list": "on", "scopes": "orders:read orders:pay mine"}
    theirs = {"scopes": ["orders:read", "orders:pay", "theirs"], "token_ttl": 90}
    await pages.api.ask("PATCH", ORDERS, json=theirs)
    status, html = await pages.ask("POST", f"{ORDERS}/change", **mine)
    assert status == 412
    # "tester" did it, by the audit trail.
    for words in ("<ins>theirs</ins>", "<ins>mine</ins>", "both changed it", "tester"):
        assert words in html
    assert (await pages.api.ask("GET", ORDERS)).json()["scopes"] == theirs["scopes"]
    assert "orders:read\norders:pay\nmine</textarea>" in html
    assert 'value="90"' in html
    merged = hidden_fields(html) | {
        "status_list": "on",
        "scopes": mine["scopes"],
        "token_ttl": "90",
    }
    status, _ = await pages.ask("POST", f"{ORDERS}/change", **merged)
    assert status == 303
    saved = (await pages.api.ask("GET", ORDERS)).json()
    assert (saved["scopes"], saved["token_ttl"]) == (["orders:read", "orders:pay", "mine"], 90)


@pytest.mark.parametrize(
    ("forged", "status"),
    [
        ({"tag": '"\u20ac"'}, 412),
        ({"base": '{"a": "\\ud800"}'}, 412),
        ({"base": '{"a": ' + "[" * 100_000}, 412),
        ({"claims": "[" * 100_000}, 422),
    ],
    ids=range(4),
)
async def test_what_no_form_of_ours_sends_is_no_fault(
    pages: Pages, forged: dict[str, str], status: int
) -> None:
    """It is refused as what it comes to: a conflict, or a mistake; and nothing is changed."""
    _, html = await pages.ask("GET", f"{ORDERS}/change")
    mine = hidden_fields(html) | {"status_list": "on", "scopes": "orders:read orders:pay mine"}
    await pages.api.ask("PATCH", ORDERS, json={"token_ttl": 90})
    answer, _ = await pages.ask("POST", f"{ORDERS}/change", **mine | forged)
    assert answer == status
    assert "mine" not in (await pages.api.ask("GET", ORDERS)).json()["scopes"]


async def test_a_conflict_tells_no_actor_to_those_who_may_not_know(pages: Pages) -> None:
    """The audit trail has a scope of its own; a form that lost its base is no fault."""
    _, html = await pages.ask("GET", f"{ORDERS}/change")
    mine = hidden_fields(html) | {"status_list": "on", "scopes": "orders:read", "base": "{"}
    await pages.api.ask("PATCH", ORDERS, json={"token_ttl": 90})
    pages.scopes -= {"watchword:audit:read"}
    status, html = await pages.ask("POST", f"{ORDERS}/change", **mine, withdraw="on")
    assert (status, "tester" in html) == (412, False)
    assert 'name="withdraw" type="checkbox" value="on" checked' in html


async def test_a_resource_in_use_is_kept(pages: Pages) -> None:
    """The page says who refuses it; one that no client uses goes."""
    _, html = await pages.ask("GET", f"{ORDERS}/delete")
    status, html = await pages.ask("POST", f"{ORDERS}/delete", **hidden_fields(html))
    assert (status, "It was not deleted." in html) == (409, True)
    await pages.api.ask("DELETE", "/clients/till")
    _, html = await pages.ask("GET", f"{ORDERS}/delete")
    status, place = await pages.ask("POST", f"{ORDERS}/delete", **hidden_fields(html))
    assert (status, place) == (303, "/resources resource-deleted")
    with pytest.raises(ApiRefusal):
        await pages.ask("POST", f"{ORDERS}/delete")


# ---- keys ----


async def test_keys_are_drawn_and_listed(pages: Pages) -> None:
    """A picture with a title, and a table with the same for those who do not see it."""
    _, html = await pages.ask("GET", "/keys")
    assert '<svg class="timeline"' in html
    assert 'role="img" aria-labelledby="picture-title picture-text"' in html
    assert "style=" not in html
    assert "Rotate ES256" in html
    kids = [key["kid"] for key in (await pages.api.ask("GET", "/keys")).json()["keys"]]
    assert all(kid in html for kid in kids)


async def test_a_rotation_is_foreseen_and_then_done_once(pages: Pages) -> None:
    """A second one is told that one is under way."""
    status, html = await pages.ask("GET", "/keys/rotate/ES256")
    assert (status, "What will happen, and when" in html) == (200, True)
    assert await pages.ask("POST", "/keys/rotate/ES256") == (303, "/keys key-rotated")
    for method in ("GET", "POST"):
        status, html = await pages.ask(method, "/keys/rotate/ES256")
        assert (status, "A rotation is under way" in html) == (409, True)
    status, _ = await pages.ask("GET", "/keys/rotate/PS256")
    assert status == 404


async def test_a_withdrawal_says_what_will_happen_and_happens(pages: Pages) -> None:
    """When it is in force; not twice, and not of a key that is not there."""
    kid = (await pages.api.ask("GET", "/keys")).json()["keys"][-1]["kid"]
    status, html = await pages.ask("GET", f"/keys/withdraw/{kid}")
    assert (status, "This cannot be undone." in html) == (200, True)
    assert await pages.ask("POST", f"/keys/withdraw/{kid}") == (303, "/keys key-withdrawn")
    for method in ("GET", "POST"):
        status, html = await pages.ask(method, f"/keys/withdraw/{kid}")
        assert (status, "revoked already" in html) == (409, True)
    status, _ = await pages.ask("GET", "/keys/withdraw/x")
    assert status == 404
    for file in (pages.api.folder / "keys").glob("*.pem"):
        file.write_text("damaged")
    with pytest.raises(ApiRefusal):
        await pages.ask("GET", f"/keys/withdraw/{kid}")


# ---- tokens ----


async def test_tokens_are_counted_before_they_are_revoked(pages: Pages) -> None:
    """What a choice is about; a client without live tokens has nothing to do."""
    status, html = await pages.ask("GET", "/tokens?client_id=till")
    assert (status, 'value="till"' in html) == (200, True)
    status, html = await pages.ask("POST", "/tokens", client_id="till", action="revoke")
    assert (status, "No live token is like that" in html) == (200, True)
    fields = hidden_fields(html)
    assert fields["confirmed"] == "yes"
    status, html = await pages.ask("POST", "/tokens", **fields)
    assert (status, "nothing to do" in html) == (200, True)


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "Say which tokens"),
        ({"token": "x.y.z"}, "is no access token, which is three parts with dots between: eyJ"),
        ({"token": OF_ANOTHER.replace(".", ".\n ", 1)}, "has white space inside, as in a token"),
        ({"token": "x.y z.w"}, "is no access token"),
        ({"token": "eyJ.eyJ"}, "is no access token"),
        ({"token": f"Bearer {OF_ANOTHER}"}, "is of another issuer"),
        ({"token": f"{OF_ANOTHER}x"}, "is of another issuer"),  # no base64url any more
        ({"token": "no-id"}, "is no id of a token"),
        ({"issued_before": "tomorrow"}, "must be a date and time"),
        ({"issued_before": "2999-01-01T00:00"}, "must not be in the future"),
        ({"client_id": "till", "subject": "x"}, "has only one of"),
        ({"client_id": HTML}, ESCAPED),
    ],
)
async def test_what_names_no_tokens_is_said_with_the_form(
    pages: Pages, fields: dict[str, str], said: str
) -> None:
    """422, and what was entered is still there."""
    status, html = await pages.ask("POST", "/tokens", action="nonsense", **fields)
    assert (status, said in html) == (422, True)
    assert HTML not in html


# ---- usage, audit, health ----


async def test_usage_is_found_by_scope_and_by_what_is_unused(pages: Pages) -> None:
    """An invented period is passed over, as one that is not chosen."""
    _, html = await pages.ask("GET", "/usage?scope=orders%3Aread&unused_for=2592000")
    assert "till" in html
    assert 'value="2592000" selected' in html
    _, html = await pages.ask("GET", "/usage?scope=orders%3Apay&unused_for=1")
    assert "Nothing found" in html


@pytest.mark.parametrize("page", ["/usage", "/clients"])
async def test_a_name_that_there_is_not_is_told_from_one_that_nobody_uses(
    pages: Pages, page: str
) -> None:
    """Sessions that may not see resources are told nothing of them."""
    for query, told in (
        ("scope=orders:reed", "No resource has the scope orders:reed; did you mean orders:read?"),
        ("resource=https://x", "There is no resource https://x"),
    ):
        _, html = await pages.ask("GET", f"{page}?{query}")
        assert told in html
    _, html = await pages.ask("GET", f"{page}?scope=orders:pay")
    assert "No resource has" not in html
    pages.scopes -= {"watchword:resources:read"}
    _, html = await pages.ask("GET", f"{page}?scope=orders:reed")
    assert "No resource has" not in html


async def test_the_audit_is_filtered_and_an_entry_shows_both_versions(pages: Pages) -> None:
    """HTML in what was changed is text."""
    await pages.api.ask("PATCH", "/clients/till", json={"client_name": "Till <b>2</b>"})
    url = "/audit?target=till&action=client.updated&actor=tester&since=2020-01-01T00%3A00"
    _, html = await pages.ask("GET", url)
    number = html.partition('href="/console/audit/')[2].partition('"')[0]
    status, html = await pages.ask("GET", f"/audit/{number}")
    assert status == 200
    assert f"<del>{ESCAPED}</del>" in html
    assert "<ins>Till &lt;b&gt;2&lt;/b&gt;</ins>" in html
    assert HTML not in html


async def test_a_filter_that_cannot_be_read_finds_nothing(pages: Pages) -> None:
    """422 with the form as it was."""
    status, html = await pages.ask("GET", "/audit?until=yesterday&target=till")
    assert (status, "must be a date and time" in html, 'value="till"' in html) == (422, True, True)


@pytest.mark.parametrize("number", ["0", "999999", "x", "9" * 30, "-1"])
async def test_an_entry_that_is_not_there_is_404(pages: Pages, number: str) -> None:
    """Whatever the path has for a number."""
    with pytest.raises(ApiRefusal) as caught:
        await pages.ask("GET", f"/audit/{number}")
    assert caught.value.status == 404


async def test_the_audit_goes_on_where_a_page_ends(pages: Pages) -> None:
    """The link keeps the filters."""
    for number in range(30):
        await pages.api.create(f"c{number}")
    _, html = await pages.ask("GET", "/audit?actor=tester")
    older = html.partition('rel="next" href="/console')[2].partition('"')[0].replace("&amp;", "&")
    assert "actor=tester" in older
    status, html = await pages.ask("GET", older)
    assert (status, "till" in html) == (200, True)


# ---- what is offered ----


@pytest.mark.parametrize(
    ("page", "scope", "offered"),
    [
        ("/resources", "watchword:resources:write", "Add a resource"),
        (ORDERS, "watchword:resources:write", "/change"),
        (ORDERS, "watchword:resources:write", "/delete"),
        (f"{ORDERS}/change", "watchword:clients:write", 'name="withdraw"'),
        ("/keys", "watchword:keys:write", "Rotate ES256"),
        ("/keys", "watchword:keys:write", "/keys/withdraw/"),
        ("/resources", "watchword:tokens:write", 'href="/console/tokens"'),
        ("/resources", "watchword:keys:read", 'href="/console/keys"'),
        ("/resources", "watchword:health:read", 'href="/console/health"'),
        ("/resources", "watchword:audit:read", 'href="/console/audit"'),
        ("/resources", "watchword:clients:read", 'href="/console/usage"'),
    ],
)
async def test_what_a_session_may_not_do_is_not_offered(
    pages: Pages, page: str, scope: str, offered: str
) -> None:
    """It is there with the scope, and gone without it."""
    _, html = await pages.ask("GET", page)
    assert offered in html
    pages.scopes -= {scope}
    _, html = await pages.ask("GET", page)
    assert offered not in html


def test_every_page_takes_a_scope_but_the_overview() -> None:
    """And each is one of the administration's."""
    for route in ROUTES:
        assert set(route.scopes) <= set(ADMIN_SCOPES)
        assert route.scopes or route.path == "/"


async def test_the_demo_resource_has_a_page_too(pages: Pages) -> None:
    """A resource whose document leaves everything out."""
    status, _ = await pages.ask(
        "GET", "/resources/" + RESOURCE.replace(":", "%3A").replace("/", "%2F")
    )
    assert status == 200


# ---- the database away ----

PAGES = [
    route.path for route in ROUTES if route.method == "GET" and route.path not in ("/", "/health")
]


@pytest.mark.parametrize("page", PAGES)
async def test_without_the_database_no_page_pretends(
    pages: Pages, monkeypatch: pytest.MonkeyPatch, page: str
) -> None:
    """503 of the API becomes the page that says so; nothing is shown as if it were empty."""

    def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    monkeypatch.setattr(pages.api.registry, "read", away)
    if page in ("/tokens", "/resources/new"):  # forms that show nothing of the registry
        assert (await pages.ask("GET", page))[0] == 200
        return
    names = {"{resource}": "urn%3Ax", "{alg}": "ES256", "{kid}": "x", "{number}": "1"}
    for name, value in names.items():
        page = page.replace(name, value)
    with pytest.raises(ApiRefusal) as caught:
        await pages.ask("GET", page)
    assert caught.value.status == 503
