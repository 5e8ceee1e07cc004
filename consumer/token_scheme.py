"""How an access token is shown to an API, and how the API says that it does not accept it.

A challenge is read from `WWW-Authenticate` (RFC 9110 §11.6.1): several may share a header line, and
several lines a response. What is well formed is understood; a challenge that breaks the grammar is
dropped with all that follows it on its line.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from consumer.token_cache import Token

MAX_HEADER_LENGTH = 8192
# What `resource_api` says where the settings are wrong and every token would be refused. The codes
# of RFC 6750 §3.1 do not tell this apart; the sentences of other servers are not guessed at.
_INCURABLE = frozenset(
    {"the access token is from another issuer", "the access token is for another audience"}
)

_NAME = r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"
_SEPARATOR = re.compile(r"[ \t,]*")
# RFC 9110 §11.2: auth-param = token BWS "=" BWS ( token / quoted-string )
_PARAMETER = re.compile(
    rf'({_NAME})[ \t]*=[ \t]*(?:"((?:[^"\\]|\\.)*)"|({_NAME}))(?=[ \t,]|$)', re.DOTALL
)
_SCHEME = re.compile(rf"({_NAME})(?=[ \t,]|$)")
_TOKEN68 = re.compile(r"[ \t]+[A-Za-z0-9\-._~+/]+=*(?=[ \t]*(?:,|$))")
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class Challenge:
    """One challenge: its scheme in lower case, its parameters by lower-case name."""

    scheme: str
    parameters: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class TokenScheme:
    """A kind of token; `name` is its `token_type`, and the scheme of its `Authorization`."""

    name: str

    def authorization(self, token: Token) -> str:
        """Return the value of the `Authorization` header field (RFC 6750 §2.1, RFC 9449 §7.1)."""
        return f"{self.name} {token.value}"

    def challenge(self, www_authenticate: Iterable[str]) -> Mapping[str, str]:
        """Return the parameters of this scheme's challenge (RFC 6750 §3); none without one.

        Of several, the first that has an `error`.
        """
        found: Mapping[str, str] = {}
        for header in www_authenticate:
            for challenge in parse_challenges(header):
                if challenge.scheme == self.name.lower():
                    if "error" in challenge.parameters:
                        return challenge.parameters
                    found = found or challenge.parameters
        return found

    def rejects_token(self, www_authenticate: Iterable[str]) -> bool:
        """Tell whether a 401 says that another token may be accepted (RFC 6750 §3.1)."""
        challenge = self.challenge(www_authenticate)
        return (
            challenge.get("error") == "invalid_token"
            and challenge.get("error_description") not in _INCURABLE
        )


BEARER = TokenScheme("Bearer")
DPOP = TokenScheme("DPoP")


def parse_challenges(header: str) -> tuple[Challenge, ...]:
    """Read one header line, for as far as it keeps to the grammar."""
    found: list[Challenge] = []
    position = 0
    if len(header) > MAX_HEADER_LENGTH:
        return ()
    while (position := _skip_separators(header, position)) < len(header):
        scheme = _SCHEME.match(header, position)
        if scheme is None:
            break
        parameters, position = _parameters(header, scheme.end())
        if parameters is None:
            break
        found.append(Challenge(scheme=scheme[1].lower(), parameters=parameters))
    return tuple(found)


def _parameters(header: str, position: int) -> tuple[dict[str, str] | None, int]:
    if token68 := _TOKEN68.match(header, position):
        # `Negotiate oYG2…`, but also a scheme on its own before the next: `Negotiate, Bearer`.
        return {}, token68.end()
    parameters: dict[str, str] = {}
    while parameter := _PARAMETER.match(header, _skip_separators(header, position)):
        name, quoted, plain = parameter.groups()
        # RFC 9110 §11.2: a name occurs once; which of two to believe cannot be known.
        if name.lower() in parameters:
            return None, position
        parameters[name.lower()] = plain if quoted is None else _QUOTED_PAIR.sub(r"\1", quoted)
        position = parameter.end()
    return parameters, position


def _skip_separators(header: str, position: int) -> int:
    match = _SEPARATOR.match(header, position)
    return position if match is None else match.end()
