"""Find out from an API which issuer it trusts, and what it calls itself (RFC 9728)."""

from collections.abc import Collection, Generator
from dataclasses import dataclass

from consumer.errors import MetadataError
from consumer.fetch import FetchAnswer, ask_for, parse_json_object
from consumer.origin import parse_origin, require_secure
from consumer.steps import Fetch
from consumer.token_scheme import BEARER
from keys.identifiers import InsecureHttp, insert_well_known, is_absent, other_form

_NAME = "oauth-protected-resource"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProtectedResource:
    """What to make the client's credentials with."""

    resource: str
    issuer: str
    scopes: tuple[str, ...]
    """Names of scopes that the API has; none if it does not say."""


def find_steps(
    url: str, issuers: Collection[str], *, allow_insecure_http: InsecureHttp
) -> Generator[Fetch, None, ProtectedResource]:
    """Yield the steps to the metadata of an API, and return what they say.

    The API is asked without a token; its challenge names the document. Where it names none, the
    document is at one of two well-known places.

    Args:
        url: of the API, as it is written in `resource` (RFC 9728 §3.3).
        issuers: those that the client has credentials of, the preferred one first. An API cannot
            lead a client to any other.
        allow_insecure_http: where plain http may lead to.

    Raises:
        MetadataError: no such document, another API's, or one without any of the issuers.
        InsecureUrl: it would be read over plain http.
        ConsumerError: the API cannot be reached.
    """
    origin = parse_origin(url)
    require_secure(origin, allow_insecure_http=allow_insecure_http)
    ask = Fetch(ask_for(url))
    yield ask
    challenge = BEARER.challenge([ask.result().headers.get("www-authenticate", "")])
    places = [insert_well_known(url, _NAME), f"{origin}/.well-known/{_NAME}"]
    if (named := challenge.get("resource_metadata")) is not None:
        # The API says where, and could send a client inside a network anywhere.
        if not _is_at(named, url):
            raise MetadataError(f"the challenge of {origin} names metadata of another server")
        places = [named]
    for place in dict.fromkeys(places):
        fetch = Fetch(ask_for(place))
        yield fetch
        if not is_absent(fetch.result().status):
            return _parse(fetch.result(), url, issuers)
    raise MetadataError(f"{origin} has no metadata of a protected resource; name its issuer")


def _is_at(named: str, url: str) -> bool:
    try:
        return parse_origin(named) == parse_origin(url)
    except ValueError:
        return False


def _parse(answer: FetchAnswer, url: str, issuers: Collection[str]) -> ProtectedResource:
    if answer.status != 200:
        raise MetadataError(f"the metadata of {url} cannot be had now ({answer.status})")
    try:
        document = parse_json_object(answer)
    except ValueError as error:
        raise MetadataError(f"the metadata of {url} cannot be read: {error}") from None
    # RFC 9728 §3.3: identical to the URL asked for, but that an empty path may be written as "/".
    resource = document.get("resource")
    if not isinstance(resource, str) or resource not in (url, other_form(url)):
        raise MetadataError(f"the metadata found at {url} are of another resource")
    trusted = document.get("authorization_servers")
    chosen = [issuer for issuer in issuers if isinstance(trusted, list) and issuer in trusted]
    if not chosen:
        raise MetadataError(f"{url} trusts none of the issuers {', '.join(issuers)}")
    scopes = document.get("scopes_supported")
    names = scopes if isinstance(scopes, list) else []
    return ProtectedResource(
        resource=resource,
        issuer=chosen[0],
        scopes=tuple(name for name in names if isinstance(name, str)),
    )
