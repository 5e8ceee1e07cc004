"""What schemathesis is told beside the document: loaded by it, not by the tests."""

import os
import re
from typing import Any
from urllib.parse import unquote

import schemathesis
from schemathesis import Case, HookContext, Response
from schemathesis.core.failures import Failure
from schemathesis.openapi.checks import RejectedPositiveData, UnsupportedMethodResponse

from issuer.administration.http.route import IF_MATCH_PATTERN

KEPT = frozenset({"administrator", "caller"})
"""The clients that calls are made as: what would end them or their rights is done to another."""
NOBODY = "nobody"

_registration_tokens: dict[str, str] = {}


@schemathesis.hook
def before_call(context: HookContext, case: Case, kwargs: dict[str, Any]) -> None:
    """Keep the callers alive, and read a registration with the token that came with it."""
    names = case.path_parameters or {}
    if case.path.endswith("/register/{client_id}"):
        token = _registration_tokens.get(unquote(str(names.get("client_id"))))
        # Only in place of the right token for registering: wrong ones are sent on purpose.
        registering = f"Bearer {os.environ['DESCRIBED_API_REGISTRATION']}"
        if token is not None and (case.headers or {}).get("Authorization") == registering:
            case.headers["Authorization"] = f"Bearer {token}"
    elif "/admin/" in case.path:
        _spare(case, names)


@schemathesis.hook
def after_call(context: HookContext, case: Case, response: Response) -> None:
    """Remember the registration access tokens (RFC 7591 section 3.2.1)."""
    if response.status_code == 201 and case.path.endswith("/register"):
        document = response.json()
        _registration_tokens[document["client_id"]] = document["registration_access_token"]


@schemathesis.hook
def filter_failure(context: HookContext, failure: Failure, case: Case, response: Response) -> bool:
    """Leave out what the document does not promise.

    On a path of an API one method may be open: the others need a token before they are 405. Of
    `If-Match`, schemathesis writes what no pattern in the document keeps it from.
    """
    if isinstance(failure, UnsupportedMethodResponse):
        return response.status_code != 401
    sent = (case.headers or {}).get("If-Match")
    if isinstance(failure, RejectedPositiveData) and sent is not None:
        return re.fullmatch(IF_MATCH_PATTERN, sent) is not None
    return True


def _spare(case: Case, names: dict[str, Any]) -> None:
    if case.method in ("PATCH", "DELETE"):
        for name, value in names.items():
            target = unquote(str(value))
            if target in KEPT or target.startswith("http://127.0.0.1:"):
                names[name] = NOBODY
    elif case.path.endswith("/apply") and (case.query or {}).get("prune"):
        case.query["dry_run"] = "true"
    elif case.path.endswith("/key-withdrawals") and isinstance(case.body, dict):
        # The key may be the one that signed the tokens of the callers.
        if isinstance(case.body.get("kid"), str) and case.body.get("dry_run") in (None, False):
            case.body["dry_run"] = True
    elif case.path.endswith("/token-revocations") and isinstance(case.body, dict):
        for name in ("client_id", "subject"):
            if str(case.body.get(name)) in KEPT:
                case.body[name] = NOBODY
