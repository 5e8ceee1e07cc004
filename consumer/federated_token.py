"""Workload identity: a token of the platform that a client runs on, in place of a secret.

The platform, such as Kubernetes or GitHub Actions, vouches for the workload; the issuer has a rule
which of its tokens is which client (RFC 7521 §4.2, RFC 7523 §2.2).
"""

import os
import re
from collections.abc import Callable, Generator, MutableMapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from urllib.parse import quote

from consumer.client_assertion import add_assertion, redact_jws
from consumer.client_auth import check_client_id
from consumer.errors import CredentialUnavailable
from consumer.fetch import FetchRequest, parse_json_object
from consumer.metadata import check_endpoint
from consumer.steps import Call, Fetch

_LONGEST_TOKEN = 16_384
_JWS = re.compile(r"[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+")
_URL, _TOKEN = "ACTIONS_ID_TOKEN_REQUEST_URL", "ACTIONS_ID_TOKEN_REQUEST_TOKEN"


@dataclass(frozen=True, slots=True)
class GitHubActions:
    """The ID token of a job in GitHub Actions, asked for anew with each token request.

    The job needs `permissions: id-token: write`. GitHub is asked as the issuer is: by the same
    library, through the same proxy, and with the same trust in certificates.
    """

    audience: str | None = None
    """Whom the ID token is for; None for the issuer that it is shown to."""

    def fetch(self, issuer: str) -> Generator[Fetch, None, str]:
        """Yield the step that asks GitHub, and return the token.

        Raises:
            ConsumerError: this is no such job, or GitHub does not answer.
        """
        environment = os.environ  # noqa: TID251 - the runner tells each job here
        url, token = environment.get(_URL), environment.get(_TOKEN)
        if not url or not token:
            raise CredentialUnavailable(
                f"{_URL} and {_TOKEN} are not set: run in a job of GitHub Actions that has the "
                "permission `id-token: write`"
            )
        try:
            check_endpoint(url, allow_insecure_http=False)
        except ValueError as error:
            raise CredentialUnavailable(f"{_URL}: {error}") from None
        audience = quote(self.audience or issuer, safe="")
        fetch = Fetch(
            FetchRequest(
                method="GET",
                url=f"{url}{'&' if '?' in url else '?'}audience={audience}",
                headers={"Accept": "application/json", "Authorization": f"Bearer {token}"},
            )
        )
        yield fetch
        try:
            answer = fetch.result()
            value = parse_json_object(answer).get("value") if answer.status == 200 else None
        except ValueError:
            value = None
        if not isinstance(value, str):
            raise CredentialUnavailable("GitHub did not answer with an ID token")
        return value


Source = str | Path | Callable[[], str] | GitHubActions


@dataclass(frozen=True, slots=True)
class FederatedToken:
    """A token of the platform: from a file that it keeps fresh, or from where it gives one out.

    It is read for each token request, so that what the platform has replaced is used at once.
    """

    client_id: str
    source: Source
    """The path of a file, a function that returns the token, or `GitHubActions()`."""

    def __post_init__(self) -> None:
        """Check the client's id.

        Raises:
            ValueError: it cannot be one.
        """
        check_client_id(self.client_id)

    def read(self, issuer: str) -> Generator[Call | Fetch, None, "PlatformToken"]:
        """Yield the steps to the token, and return it as what authenticates one request.

        Args:
            issuer: the issuer identifier.

        Raises:
            ConsumerError: there is none.
        """
        source = self.source
        if isinstance(source, GitHubActions):
            text = yield from source.fetch(issuer)
        else:
            call = Call(source if callable(source) else partial(_read_file, Path(source)))
            yield call
            if call.failure is not None:
                # Its text may repeat the token.
                raise CredentialUnavailable(
                    f"the platform's token cannot be had: {_described(call.failure)}"
                )
            text = str(call.result)
        return PlatformToken(self.client_id, text.strip())

    def redact(self, text: str) -> str:
        """Replace whatever may be a token in text that comes from elsewhere."""
        return redact_jws(text)


@dataclass(frozen=True, slots=True)
class PlatformToken:
    """A token of the platform, as the assertion of one request."""

    client_id: str
    token: str = field(repr=False)

    def __post_init__(self) -> None:
        """Check the token.

        Raises:
            CredentialUnavailable: it is no signed token.
        """
        if len(self.token) > _LONGEST_TOKEN or not _JWS.fullmatch(self.token):
            raise CredentialUnavailable("what the platform gave is no signed token")

    def apply(  # noqa: D102 - see `ClientAuth`
        self,
        form: MutableMapping[str, str],
        headers: MutableMapping[str, str],
        *,
        audience: str,
        now: float,
    ) -> None:
        add_assertion(form, self.client_id, self.token)

    def redact(self, text: str) -> str:  # noqa: D102 - see `ClientAuth`
        return redact_jws(text)


def _read_file(path: Path) -> str:
    with path.open(encoding="ascii") as file:
        return file.read(_LONGEST_TOKEN + 1)


def _described(failure: Exception) -> str:
    if isinstance(failure, OSError) and failure.filename:
        return f"{failure.filename}: {(failure.strerror or 'no file').lower()}"
    return type(failure).__name__
