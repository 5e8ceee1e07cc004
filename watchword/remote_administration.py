"""Administer the registry of a running provider, over HTTP and as one of its clients.

The server's URL is its issuer identifier, and its administration is the resource below it; both
follow from what the operator typed, so that no answer can lead secret or token elsewhere.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import asdict
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import httpx

from consumer import ClientCredentials
from consumer.deadline import Deadline
from consumer.errors import ConsumerError, TokenEndpointUnreachable, TokenRequestRefused
from consumer.origin import parse_origin
from issuer.administration.http import BASE
from issuer.administration.http.problems import clean, read_problem
from issuer.administration.http.route import parse_query, write_path, write_tag
from issuer.administration.operations import Page, Versioned, pages
from issuer.registry.client_description import EVERY_CLIENT, ClientFilter
from issuer.registry.errors import (
    AccessRefused,
    InvalidValue,
    RegistryError,
    StoreUnavailable,
    UnknownClient,
    UnknownResource,
)
from issuer.registry.schema import Json
from keys.encoding import parse_json_object
from keys.identifiers import InsecureHttp

if TYPE_CHECKING:
    from issuer.administration.declaration.document import Declaration

TIMEOUT = 30.0
"""Seconds for each request, from connecting to the last byte."""

_NAME = re.compile(r"[\x21-\x7e]{1,2048}")
_TAG = re.compile(r'"(\d{1,18})"')
_SCOPE = re.compile(r'\bscope="([^"]*)"')
_NOTHING_THERE = frozenset({"invalid_target", "unauthorized_client"})
"""Error codes of the token endpoint for a client that holds nothing on the administration."""
_MERGE_PATCH = "application/merge-patch+json"
Query = Mapping[str, str | int | None]


class RemoteAdministration:
    """The operations on a server's registry, as `Administration` has them.

    Args:
        server: the issuer identifier, to the letter.
        client_id: a client that holds scopes on the administration.
        client_secret: its secret.
        resource: the administration's identifier, if the server has another than the usual one.
        allow_insecure_http: which other machines may be asked over plain http.
        transport: carries all requests, instead of the network.

    Raises:
        InvalidValue: the server is no such URL, or id or secret are empty.
        InsecureUrl: the server is on plain http.
    """

    def __init__(
        self,
        server: str,
        *,
        client_id: str,
        client_secret: str,
        resource: str | None = None,
        allow_insecure_http: InsecureHttp = False,
        transport: httpx.BaseTransport | None = None,
    ) -> None:
        self._server = server
        self._client_id = client_id
        self._base = server.removesuffix("/") + BASE
        self._resource = resource or self._base
        try:
            auth = ClientCredentials(
                server,
                client_id,
                client_secret,
                resource=self._resource,
                allow_insecure_http=allow_insecure_http,
                transport=transport,
                timeout=TIMEOUT,
            )
        except ValueError as error:
            raise InvalidValue(f"the server cannot be asked: {error}") from None
        self._deadline = Deadline()
        self._http = httpx.Client(
            auth=auth,
            transport=transport,
            timeout=TIMEOUT,
            # The context reads the environment's certificate files, the client its proxies.
            verify=httpx.create_ssl_context(),
            trust_env=parse_origin(server).may_be_proxied,
            headers={"accept": "application/json, application/problem+json"},
        )

    def close(self) -> None:
        """Give back the connections."""
        self._http.close()

    def list_clients(
        self, wanted: ClientFilter = EVERY_CLIENT, *, after: str | None = None, limit: int = 100
    ) -> Page:
        query = {"after": after, "limit": limit, **asdict(wanted)}
        return self._page("clients", ("clients",), query)

    def show_client(self, client_id: str) -> Versioned:
        return self._versioned("GET", _client(client_id))

    def create_client(self, document: Json, *, idempotency_key: str | None = None) -> Versioned:
        return self._create(("clients",), document, idempotency_key)

    def update_client(
        self,
        client_id: str,
        patch: Json,
        *,
        revision: int | None = None,
        revoke_tokens: bool = False,
    ) -> Versioned:
        query = _revoking(revoke_tokens)
        return self._versioned("PATCH", _client(client_id), patch, revision=revision, query=query)

    def delete_client(
        self, client_id: str, *, revision: int | None = None, revoke_tokens: bool = False
    ) -> None:
        query = _revoking(revoke_tokens)
        self._ask("DELETE", _client(client_id), revision=revision, query=query)

    def list_secrets(self, client_id: str) -> list[Json]:
        return _listed(_json(self._ask("GET", (*_client(client_id), "secrets"))), "secrets")

    def add_secret(
        self, client_id: str, document: Json, *, idempotency_key: str | None = None
    ) -> Versioned:
        return self._create((*_client(client_id), "secrets"), document, idempotency_key)

    def revoke_secret(self, client_id: str, secret_id: str) -> None:
        self._ask("DELETE", (*_client(client_id), "secrets", secret_id))

    def list_resources(self) -> list[Json]:
        return self._all("resources", ("resources",))

    def show_resource(self, identifier: str) -> Versioned:
        return self._versioned("GET", _resource(identifier))

    def create_resource(self, document: Json) -> Versioned:
        return self._create(("resources",), document)

    def update_resource(
        self, identifier: str, patch: Json, *, revision: int | None = None, withdraw: bool = False
    ) -> Versioned:
        query = {"withdraw": "true"} if withdraw else {}
        return self._versioned(
            "PATCH", _resource(identifier), patch, revision=revision, query=query
        )

    def delete_resource(self, identifier: str, *, revision: int | None = None) -> None:
        self._ask("DELETE", _resource(identifier), revision=revision)

    def list_usage(
        self,
        *,
        unused_for: int | None = None,
        after: str | None = None,
        limit: int = 100,
        **named: str | None,
    ) -> Page:
        query = {"unused_for": unused_for, "after": after, "limit": limit, **named}
        return self._page("uses", ("usage",), query)

    def list_audit(
        self, *, before: str | None = None, limit: int = 100, **wanted: str | None
    ) -> Page:
        return self._page("entries", ("audit",), {"after": before, "limit": limit, **wanted})

    def apply(
        self,
        declaration: "Declaration",
        *,
        dry_run: bool = False,
        prune: bool = False,
        usage_days: int = 30,
        revoke_tokens: bool = False,
    ) -> Json:
        from issuer.administration.declaration.document import write_sent

        query: Query = {
            "dry_run": str(dry_run).lower(),
            "prune": str(prune).lower(),
            "usage_days": usage_days,
            **_revoking(revoke_tokens),
        }
        return _json(self._ask("POST", ("apply",), write_sent(declaration), query=query))

    def list_registration_tokens(self) -> list[Json]:
        return self._all("registration_tokens", ("registration-tokens",))

    def create_registration_token(
        self, document: Json, *, idempotency_key: str | None = None
    ) -> Versioned:
        return self._create(("registration-tokens",), document, idempotency_key)

    def revoke_registration_token(self, token_id: str) -> None:
        self._ask("DELETE", ("registration-tokens", token_id))

    def change_tokens(self, document: Json) -> Json:
        return _json(self._ask("POST", ("token-revocations",), document))

    def _page(self, member: str, path: tuple[str, ...], query: Query) -> Page:
        document = _json(self._ask("GET", path, query=query))
        after = document.get("next")
        return Page(items=_listed(document, member), next=after if isinstance(after, str) else None)

    def _all(self, member: str, path: tuple[str, ...]) -> list[Json]:
        def fetch(after: str | None, limit: int) -> Page:
            return self._page(member, path, {"after": after, "limit": limit})

        return [item for page in pages(fetch) for item in page.items]

    def _create(
        self, path: tuple[str, ...], document: Json, idempotency_key: str | None = None
    ) -> Versioned:
        answer = self._ask("POST", path, document, idempotency_key=idempotency_key)
        return Versioned(
            document=_json(answer),
            revision=_revision(answer) if "etag" in answer.headers else None,
            replayed=answer.headers.get("idempotency-replayed") == "true",
        )

    def _versioned(
        self,
        method: str,
        path: tuple[str, ...],
        document: Json | None = None,
        *,
        revision: int | None = None,
        query: Query | None = None,
    ) -> Versioned:
        answer = self._ask(method, path, document, revision=revision, query=query)
        return Versioned(document=_json(answer), revision=_revision(answer))

    def _ask(
        self,
        method: str,
        path: tuple[str, ...],
        document: Json | None = None,
        *,
        query: Query | None = None,
        revision: int | None = None,
        idempotency_key: str | None = None,
    ) -> httpx.Response:
        headers = _headers(method, revision, idempotency_key, with_body=document is not None)
        given = {name: value for name, value in (query or {}).items() if value is not None}
        try:
            with self._deadline.within(TIMEOUT):
                answer = self._http.request(
                    method,
                    self._base + write_path(*path),
                    params=given,
                    headers=headers,
                    content=None if document is None else json.dumps(document).encode(),
                    extensions={"trace": self._deadline.trace},
                )
        except TokenRequestRefused as error:
            if error.code in _NOTHING_THERE:
                raise self._lacking(error.answer, _scopes_of(method, path, given)) from None
            is_later = error.status == 429 or error.status >= 500
            raise (StoreUnavailable if is_later else AccessRefused)(str(error)) from None
        except TokenEndpointUnreachable as error:
            raise StoreUnavailable(str(error)) from None
        except ConsumerError as error:
            raise AccessRefused(str(error)) from None
        except (httpx.HTTPError, TimeoutError) as error:
            # It may have been done before the answer was lost.
            why = clean(error) or type(error).__name__
            raise StoreUnavailable(f"{self._server} cannot be reached: {why}") from None
        if answer.is_success:
            return answer
        raise self._refusal(answer)

    def _refusal(self, answer: httpx.Response) -> RegistryError:
        if _media_type(answer) == "application/problem+json":
            return self._told(read_problem(_json(answer)))
        if answer.status_code == 403:
            needed = _SCOPE.search(answer.headers.get("www-authenticate", ""))
            why = f"{self._server} asks for more than the client holds"
            return self._lacking(why, clean(needed[1])) if needed else AccessRefused(why)
        if answer.status_code == 401:
            return AccessRefused(f"{self._server} does not take the client's token")
        if answer.status_code in (429, 502, 503, 504):
            status = answer.status_code
            return StoreUnavailable(f"{self._server} cannot answer now ({status}); try again")
        return _strange(answer)

    def _lacking(self, why: str, scopes: str) -> AccessRefused:
        """Say which scopes a command takes, and how an operator grants them."""
        add = " ".join(f"--add-scope {scope}" for scope in scopes.split())
        return AccessRefused(
            f"{why}; the command needs {scopes}: watchword clients update {self._client_id}"
            f" --resource {self._resource} {add}"
        )

    def _told(self, error: RegistryError) -> RegistryError:
        if isinstance(error, StoreUnavailable):
            return StoreUnavailable(f"{self._server} cannot use its registry now; try again")
        return error


def _headers(
    method: str, revision: int | None, idempotency_key: str | None, *, with_body: bool
) -> dict[str, str]:
    headers = {}
    if with_body:
        headers["content-type"] = _MERGE_PATCH if method == "PATCH" else "application/json"
    if revision is not None:
        headers["if-match"] = write_tag(revision)
    if idempotency_key is not None:
        headers["idempotency-key"] = idempotency_key
    return headers


def _scopes_of(method: str, path: tuple[str, ...], query: Mapping[str, object]) -> str:
    # The table brings all shapes of documents with it, and only a refusal needs it.
    from issuer.administration.http.routes import find_route

    route = find_route(method, path).route
    return " ".join(route.needs(parse_query(urlencode(query).encode(), route.query)))


def _client(client_id: str) -> tuple[str, ...]:
    if not _NAME.fullmatch(client_id):
        raise UnknownClient(f"no such client: {client_id}")  # and no path to ask for it
    return ("clients", client_id)


def _resource(identifier: str) -> tuple[str, ...]:
    if not _NAME.fullmatch(identifier):
        raise UnknownResource(f"no such resource: {identifier}")
    return ("resources", identifier)


def _revoking(wanted: bool) -> Query:
    return {"revoke_tokens": "true"} if wanted else {}


def _media_type(answer: httpx.Response) -> str:
    return str(answer.headers.get("content-type", "")).partition(";")[0].strip().lower()


def _json(answer: httpx.Response) -> Json:
    try:
        return parse_json_object(answer.content)
    except ValueError:
        raise _strange(answer) from None


def _revision(answer: httpx.Response) -> int:
    if not (tag := _TAG.fullmatch(answer.headers.get("etag", ""))):
        raise _strange(answer)
    return int(tag[1])


def _listed(document: Json, member: str) -> list[Any]:
    found = document.get(member)
    if not isinstance(found, list):
        raise AccessRefused("the server's answer is not one of the administration")
    return found


def _strange(answer: httpx.Response) -> RegistryError:
    status = answer.status_code
    return AccessRefused(f"{answer.url.host} answered {status}, but not as an administration does")
