"""How an API is told to check bound tokens, and that each way of serving it does."""

import asyncio
from collections.abc import Iterator
from typing import Annotated, Any

import pytest
from fastapi import Depends, FastAPI
from fastapi.testclient import TestClient

from keys.dpop import ProofKeys
from resource_api import AccessToken, BearerMiddleware, ResourcePolicy, require
from resource_api.errors import InvalidDpopProof, InvalidToken, Reason, ResourceError, Scheme
from resource_api.fastapi import Bearer
from resource_api.middleware import authenticate_once
from resource_api.possession import Binding, Presented
from resource_api.protection import Protection
from resource_api.sync import SyncProtection
from tests.support.bound_tokens import CERTIFICATE_BOUND, CLIENT_CERT, FORGE, KEY_BOUND, PEM, SENDER
from tests.support.dpop import ProofForge
from tests.support.protected_api import ProtectedApi, ask
from tests.support.protected_wsgi import ProtectedWsgi, call
from watchword.testing.forge import ISSUER, NOW, RESOURCE, TokenForge

PROXY = "10.0.0.7"


@pytest.mark.parametrize(
    ("options", "fault"),
    [
        ({"base_url": "orders.example"}, "base_url must be an absolute URL"),
        ({"base_url": "https://orders.example/"}, "base_url must have neither"),
        ({"base_url": "https://orders.example?x"}, "base_url must have neither"),
        ({"algorithms": ()}, "algorithms must be some of ES256"),
        ({"algorithms": ("HS256",)}, "algorithms must be some of ES256"),
        ({"trusted_proxies": PROXY}, "trusted_proxies must be a collection"),
        ({"trusted_proxies": ("proxy",)}, "trusted_proxies: 'proxy' does not"),
        ({"trusted_proxies": ("0.0.0.0/0",)}, "trusted_proxies must name the proxies"),
    ],
)
def test_a_binding_that_cannot_be_is_refused(options: dict[str, Any], fault: str) -> None:
    """The text names the setting."""
    with pytest.raises(ValueError, match=fault.replace("(", r"\(")):
        Binding(**options)


def test_a_policy_names_a_binding_that_there_is() -> None:
    """A slip of the pen would be no requirement."""
    with pytest.raises(ValueError, match="binding_required must be"):
        ResourcePolicy(issuer=ISSUER, resource=RESOURCE, binding_required="DPoP")  # type: ignore[arg-type]


def protect(**options: Any) -> Protection:
    """Protect an API whose issuer is at hand."""
    return ProtectedApi(FORGE, **options).app.protection


def lines_of(token: bytes, *proofs: bytes, scheme: bytes = b"DPoP ") -> list[tuple[bytes, bytes]]:
    """Write the header fields of a request."""
    return [(b"authorization", scheme + token), *((b"dpop", each) for each in proofs)]


def reason_of(protection: Protection, *args: Any) -> Reason:
    """Give the reason for which a request is refused."""
    with pytest.raises(ResourceError) as caught:
        asyncio.run(protection.authenticate(*args))
    return caught.value.reason


def test_who_does_not_tell_of_the_request_gets_bearer_tokens_alone() -> None:
    """A caller of `authenticate` or `validate` that knows of headers only cannot let others in."""
    lines = lines_of(KEY_BOUND, SENDER.proof(token=KEY_BOUND))
    assert reason_of(protect(), lines) is Reason.UNCHECKED_BINDING
    for token in (KEY_BOUND, CERTIFICATE_BOUND):
        with pytest.raises(InvalidToken) as caught:
            asyncio.run(protect().validate(token))
        assert caught.value.reason is Reason.UNCHECKED_BINDING


def test_a_bound_token_is_verified_once() -> None:
    """What is remembered is what it says, and possession is checked in each request."""
    protection, request = protect(), Presented("GET", "/read")

    def authenticate() -> AccessToken:
        lines = lines_of(KEY_BOUND, SENDER.proof(token=KEY_BOUND))
        return asyncio.run(protection.authenticate(lines, request))

    assert authenticate() is authenticate()
    assert reason_of(protection, lines_of(KEY_BOUND), request) is Reason.PROOF_MISSING


def test_the_key_of_another_is_not_remembered(monkeypatch: pytest.MonkeyPatch) -> None:
    """The holder of one token would push out the keys of other callers."""
    memo, stranger = ProofKeys(), ProofForge(n=1, method="GET", url=SENDER.url)
    monkeypatch.setattr("resource_api.possession.ProofKeys", lambda: memo)
    protection, request = protect(), Presented("GET", "/read")
    own, other = (each.proof(token=KEY_BOUND) for each in (SENDER, stranger))
    assert reason_of(protection, lines_of(KEY_BOUND, other), request) is Reason.WRONG_PROOF_KEY
    assert asyncio.run(protection.authenticate(lines_of(KEY_BOUND, own), request))
    assert memo.get(other.partition(b".")[0]) is None
    assert memo.get(own.partition(b".")[0]) is not None


def test_an_api_without_a_url_needs_to_be_told_one() -> None:
    """`htu` of a proof is compared with a URL, which `orders` is not."""
    forge = TokenForge(resource="urn:orders")
    token = forge.token(cnf={"jkt": SENDER.jkt})
    proof = ProofForge(method="GET", url="https://api.example/v1/read").proof(token=token)
    request = (lines_of(token, proof), Presented("GET", "/read"))
    assert reason_of(ProtectedApi(forge).app.protection, *request) is Reason.UNCHECKED_BINDING
    told = ProtectedApi(forge, binding=Binding(base_url="https://api.example/v1")).app.protection
    assert asyncio.run(told.authenticate(*request)).audience == ("urn:orders",)


@pytest.mark.parametrize(
    ("url", "binding", "path"),
    [
        (f"{RESOURCE}/a%20b/%C3%A4", Binding(), "/a%20b/%C3%A4"),
        (f"{RESOURCE}:443/a%7Eb?q=1#f", Binding(), "/a~b"),
        ("HTTPS://API.Example/read", Binding(), "/read"),
        (
            "https://front.example/orders/read",
            Binding(base_url="https://front.example/orders"),
            "/read",
        ),
        (
            "https://front.example:8443/read",
            Binding(base_url="https://front.example:8443"),
            "/read",
        ),
    ],
)
def test_a_proof_is_for_the_url_that_the_caller_sees(url: str, binding: Binding, path: str) -> None:
    """Behind a proxy it differs from the path of the application by what is set once."""
    proof = ProofForge(method="GET", url=url).proof(token=KEY_BOUND)
    protection = protect(binding=binding)
    request = Presented("GET", path)
    assert asyncio.run(protection.authenticate(lines_of(KEY_BOUND, proof), request))
    assert reason_of(protect(), lines_of(KEY_BOUND, proof), Presented("GET", path + "/x")) in (
        Reason.PROOF_URL,
    )


def test_apis_that_share_a_store_take_a_proof_once() -> None:
    """Such as the processes of one API; a store of its own would take it once each."""
    proof = SENDER.proof(token=KEY_BOUND)
    request = (lines_of(KEY_BOUND, proof), Presented("GET", "/read"))
    claimed: set[tuple[str, str]] = set()

    class Store:
        async def claim(self, scope: str, id: str, until: int) -> bool:
            assert until >= NOW + 60
            is_first = (scope, id) not in claimed
            claimed.add((scope, id))
            return is_first

    first, second = (protect(binding=Binding(replays=Store())) for _ in range(2))
    assert asyncio.run(first.authenticate(*request))
    with pytest.raises(InvalidDpopProof) as caught:
        asyncio.run(second.authenticate(*request))
    assert caught.value.scheme is Scheme.DPOP
    assert asyncio.run(protect().authenticate(*request))


@pytest.mark.parametrize(
    ("sent", "scheme"),
    [(None, "DPoP"), (FORGE.token(), "DPoP"), (FORGE.token(exp=NOW - 100), "Bearer")],
)
async def test_an_api_for_bound_tokens_alone_asks_for_one(sent: bytes | None, scheme: str) -> None:
    """Where that is what the request lacks; another fault is told in the scheme it was sent in."""
    policy = ResourcePolicy(issuer=ISSUER, resource=RESOURCE, binding_required="dpop")
    lines = [] if sent is None else lines_of(sent, scheme=b"Bearer ")
    answer = await ask(ProtectedApi(FORGE, policy=policy).app, "GET", "/read", *lines)
    assert answer.status == 401
    assert (answer.challenge or "").startswith(f"{scheme} ")


async def test_a_websocket_begins_with_a_get() -> None:
    """Its proof is for the URL with https, as that of any request."""
    api = ProtectedApi(FORGE)
    lines = lines_of(KEY_BOUND, SENDER.proof(token=KEY_BOUND))
    assert (await ask(api.app, "GET", "/read", *lines, kind="websocket")).status == 101
    assert (await ask(api.app, "GET", "/read", *lines, kind="websocket")).status == 1008


async def test_a_server_that_does_not_keep_the_path_as_sent_is_enough() -> None:
    """Then the path is encoded as clients do."""
    api = ProtectedApi(FORGE)
    proof = ProofForge(method="GET", url=f"{RESOURCE}/a%20b").proof(token=KEY_BOUND)
    scope = {"type": "http", "method": "GET", "path": "/a b", "headers": lines_of(KEY_BOUND, proof)}
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    async def receive() -> Any:
        raise AssertionError("the application reads nothing")

    await api.app(scope, receive, send)
    assert sent[0]["status"] == 200


@pytest.fixture
def wsgi() -> Iterator[ProtectedWsgi]:
    """A protected WSGI application that greets, behind a proxy."""
    api = ProtectedWsgi(binding=Binding(trusted_proxies=(PROXY,)))
    yield api
    api.close()


def test_wsgi_applications_take_bound_tokens(wsgi: ProtectedWsgi) -> None:
    """The path is the whole of it, mounted or not; repeated proofs come joined by a comma."""
    url = f"{RESOURCE}/shop/a%20b"
    bound = wsgi.forge.token(cnf={"jkt": SENDER.jkt})
    forge = ProofForge(method="GET", url=url)

    def send(*proofs: bytes) -> Any:
        env = {
            "HTTP_AUTHORIZATION": f"DPoP {bound.decode()}",
            "HTTP_DPOP": ",".join(each.decode() for each in proofs),
            "SCRIPT_NAME": "/shop",
        }
        return call(wsgi.app, "/a b", **env)

    proof = forge.proof(token=bound)
    assert send(proof).body == b"svc-a"
    refused = send(proof)
    assert (refused.status, wsgi.reason) == (401, "proof_replayed")
    assert refused.headers["www-authenticate"].startswith('DPoP realm="api", error="invalid_dpop')
    assert send(forge.proof(token=bound)).body == b"svc-a"
    for proofs in ([forge.proof(token=bound)] * 2, ["\u20ac".encode()]):
        assert send(*proofs).status == 401
        assert wsgi.reason == "proof_malformed"


@pytest.mark.parametrize(("held", "scheme"), [(KEY_BOUND, "DPoP"), (CERTIFICATE_BOUND, "Bearer")])
async def test_a_guard_answers_a_bound_token_in_its_own_scheme(held: bytes, scheme: str) -> None:
    """RFC 9449 §7.1: whoever has a token that is bound to a key is told of DPoP."""

    def app(*call: Any) -> Any:
        require("admin").demand()
        raise AssertionError("not to be reached")

    sent = f"{scheme} {held.decode()}"
    proofs = [SENDER.proof(token=held) for _ in range(2)] if held is KEY_BOUND else []
    wsgi = ProtectedWsgi(app, FORGE)
    env = {"HTTP_DPOP": proofs[0].decode()} if proofs else {"SSL_CLIENT_CERT": PEM}
    answer = call(wsgi.app, "/read", HTTP_AUTHORIZATION=sent, **env)
    wsgi.close()
    asgi = ProtectedApi(FORGE, app=app)
    lines = lines_of(held, *proofs[1:], scheme=f"{scheme} ".encode())
    tls = {"client_cert_chain": [PEM]}
    other = await ask(asgi.app, "GET", "/read", *lines, extensions={"tls": tls})
    challenge = answer.headers["www-authenticate"]
    assert (answer.status, other.status, other.challenge) == (403, 403, challenge)
    assert wsgi.reason == asgi.reason == "insufficient_scope"
    assert challenge.startswith(f'{scheme} realm="api", error="insufficient_scope"')


def test_wsgi_applications_learn_the_certificate(wsgi: ProtectedWsgi) -> None:
    """From a trusted proxy, or from a server that has it as Apache does."""
    for env, status in (
        ({"REMOTE_ADDR": PROXY, "HTTP_CLIENT_CERT": CLIENT_CERT.decode()}, 200),
        ({"REMOTE_ADDR": "10.0.0.8", "HTTP_CLIENT_CERT": CLIENT_CERT.decode()}, 401),
        ({"REMOTE_ADDR": "10.0.0.8", "SSL_CLIENT_CERT": PEM}, 200),
        ({"REMOTE_ADDR": "10.0.0.8", "SSL_CLIENT_CERT": ""}, 401),
        ({"REMOTE_ADDR": "10.0.0.8", "HTTP_SSL_CLIENT_CERT": PEM.replace("\n", " ")}, 401),
        ({"REMOTE_ADDR": "10.0.0.8", "SSL_CLIENT_CERT": "x"}, 400),
    ):
        assert call(wsgi.app, token=CERTIFICATE_BOUND, **env).status == status


def test_code_without_an_event_loop_takes_bound_tokens() -> None:
    """Such as an interceptor of a gRPC server, whose metadata are header fields."""
    protection = SyncProtection(protect())
    url = f"{RESOURCE}/shop.Orders/Get"
    proof = ProofForge(method="POST", url=url).proof(token=KEY_BOUND)
    sent = f"DPoP {KEY_BOUND.decode()}"
    try:
        request = Presented("POST", "/shop.Orders/Get", certificate=PEM)
        assert protection.verify(sent, request, [(b"dpop", proof)]).client_id == "svc-a"
        assert protection.verify(f"Bearer {CERTIFICATE_BOUND.decode()}", request)
        with pytest.raises(InvalidToken) as caught:
            protection.verify(sent)
        assert caught.value.reason is Reason.UNCHECKED_BINDING
    finally:
        protection.close()


@pytest.mark.parametrize("behind_middleware", [False, True])
def test_fastapi_applications_take_bound_tokens(behind_middleware: bool) -> None:
    """Possession is checked once in a request, though the dependency is called for each need."""
    bearer = Bearer(protection=protect())
    app = FastAPI(dependencies=[Depends(bearer)])
    if behind_middleware:
        app.add_middleware(BearerMiddleware, protection=bearer.protection)

    @app.get("/read")
    async def read(token: Annotated[AccessToken, bearer.protected("read")]) -> str:
        return token.confirmation["jkt"]

    @app.get("/admin")
    async def admin(token: Annotated[AccessToken, bearer.protected("admin")]) -> str:
        raise AssertionError("not to be reached")

    client = TestClient(app)

    def get(path: str, *proofs: bytes) -> Any:
        headers = [(name.decode(), value.decode()) for name, value in lines_of(KEY_BOUND, *proofs)]
        return client.get(path, headers=headers)

    proof = SENDER.proof(token=KEY_BOUND)
    assert get("/read", proof).json() == SENDER.jkt
    for refused in (get("/read"), get("/read", proof)):
        assert refused.status_code == 401
        assert 'DPoP realm="api", error="invalid_dpop_proof"' in refused.headers["www-authenticate"]
    lacking = get("/admin", SENDER.proof(token=KEY_BOUND, htu=f"{RESOURCE}/admin"))
    assert lacking.status_code == 403
    assert lacking.headers["www-authenticate"].startswith('DPoP realm="api", error="insufficient_')


async def test_what_was_found_holds_for_these_credentials_alone() -> None:
    """A part of the application that is shown other credentials has them validated."""
    protection, proof = protect(), SENDER.proof(token=KEY_BOUND)
    scope: dict[str, Any] = {
        "type": "http",
        "method": "GET",
        "path": "/read",
        "headers": lines_of(KEY_BOUND, proof),
    }
    first = await authenticate_once(protection, scope)
    assert await authenticate_once(protection, scope) is first
    assert all(isinstance(name, str) for name in scope)
    with pytest.raises(InvalidDpopProof):
        await authenticate_once(protection, scope | {"headers": lines_of(KEY_BOUND)})
