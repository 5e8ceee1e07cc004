"""The form of a client: to register one, to change one, and what two changes at once come to."""

import json
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any

from issuer.registry.auth_methods import AuthMethod
from keys.encoding import encode_base64url, parse_json_object
from watchword.console.api import REVISION_CONFLICT, ApiRefusal
from watchword.console.differences import Conflict, changed_members, compare_conflict
from watchword.console.pages.audit import find_latest
from watchword.console.pages.clients import LIFETIMES, RESOURCES, Document
from watchword.console.pages.credentials import show_secret
from watchword.console.request import ConsoleRequest, Form, Page, Redirect, place
from watchword.durations import parse_duration

METHODS = (
    (AuthMethod.CLIENT_SECRET_BASIC, "Secret"),
    (AuthMethod.PRIVATE_KEY_JWT, "Private key: signed assertions"),
    (AuthMethod.FEDERATED, "Workload identity: tokens of another issuer"),
    (AuthMethod.TLS_CLIENT_AUTH, "Certificate of an authority"),
    (AuthMethod.SELF_SIGNED_TLS_CLIENT_AUTH, "Self-signed certificate"),
    (AuthMethod.CLIENT_SECRET_POST, "Secret, registered for the form"),
    (AuthMethod.CLIENT_SECRET_JWT, "Secret: signed assertions"),
)
_TEXTS = ("client_name", "token_endpoint_auth_method", "jwks_uri")
_FLAGS = ("dpop_bound_access_tokens", "tls_client_certificate_bound_access_tokens")
_TIMES = ("expires_at",)
_DURATIONS = ("token_ttl",)
_OBJECTS = ("jwks", "metadata")
_OWN_FIELDS = (*_TEXTS, *_FLAGS, *_TIMES, *_DURATIONS, *_OBJECTS, "grants")
_NOT_CHANGED = (
    *("client_id", "disabled", "scope", "resources", "secrets"),
    *("created_at", "updated_at", "state", "next_end_at"),
)
_GRANT = ("resource", "scope", "default_scope")
_REFUSED = (409, 422)


class _Mistakes(Exception):
    """Fields that cannot be read, before the API is asked."""

    def __init__(self, found: dict[str, str]) -> None:
        super().__init__("fields cannot be read")
        self.found = found

    def __reduce__(self) -> tuple[Any, ...]:
        """Be copied and pickled without `__init__`, whose parameters differ by class."""
        return Exception.__new__, (type(self), *self.args), vars(self)


async def register_client(request: ConsoleRequest) -> Page | Redirect:
    """Show the form, and register a client; its secret is shown on the answer, this once."""
    if request.method == "GET":
        method = next(iter(_offered_methods(request)), ("",))[0]
        return await _form(request, {"token_endpoint_auth_method": method}, client_id="")
    form, client_id = request.form, request.form.get("client_id")
    lifetime = form.get("expires_in")
    try:
        wanted = {name: value for name, value in _read(form, {}).items() if value is not None}
        body = {"client_id": client_id, "grants": [], **wanted}
        if lifetime in dict(LIFETIMES) and lifetime and _has_secret(body):
            body["client_secret_expires_at"] = _in_seconds(
                _shown_at(form, request.now) + int(lifetime)
            )
        made = await request.api.call(
            "POST", "clients", body=body, idempotency_key=form.get("once") or None
        )
    except _Mistakes as mistakes:
        return await _refuse(request, 422, mistakes.found, client_id=client_id)
    except ApiRefusal as refusal:
        if refusal.status not in _REFUSED:
            raise
        return await _refuse(request, refusal.status, refusal.messages(), client_id=client_id)
    if _has_secret(made.document):
        return show_secret(client_id, made.document, is_new=True)
    return Redirect(path=place("clients", client_id), notice="client-created")


async def change_client(request: ConsoleRequest) -> Page | Redirect:
    """Show the form, and save what was changed, unless somebody else has changed it meanwhile."""
    if request.method == "GET":
        found = await request.api.get("clients", request.name)
        shown = _editable(found.document)
        return await _form(request, shown, client_id=request.name, tag=found.tag)
    form, tag = request.form, request.form.get("tag")
    try:
        base = _read_base(form)
        mine = _read(form, base)
        changes = changed_members(base, mine)
        if changes:
            await request.api.call("PATCH", "clients", request.name, body=changes, tag=tag)
    except _Mistakes as mistakes:
        return await _refuse(request, 422, mistakes.found, client_id=request.name)
    except ApiRefusal as refusal:
        if refusal.status == REVISION_CONFLICT:
            return await _show_conflict(request, base, mine)
        if refusal.status not in _REFUSED:
            raise
        return await _refuse(request, refusal.status, refusal.messages(), client_id=request.name)
    notice = "client-updated" if changes else "nothing-changed"
    return Redirect(path=place("clients", request.name), notice=notice)


async def _show_conflict(request: ConsoleRequest, base: Document, mine: Document) -> Page:
    """Show both versions, and the form with one in the other, to be saved or left."""
    found = await request.api.get("clients", request.name)
    theirs = _editable(found.document)
    merged = {**theirs, **changed_members(base, mine)}
    return await _form(
        request,
        merged,
        client_id=request.name,
        tag=found.tag,
        base=theirs,
        status=REVISION_CONFLICT,
        conflict=Conflict(
            compare_conflict(base, theirs, mine), await find_latest(request, "client", request.name)
        ),
    )


async def _refuse(
    request: ConsoleRequest, status: int, mistakes: Mapping[str, str], *, client_id: str
) -> Page:
    """Show the form again as it was sent, with what is wrong beside each field."""
    form = request.form
    return await _form(
        request,
        {},
        client_id=client_id,
        tag=form.get("tag") or None,
        base_text=form.get("base"),
        status=status,
        mistakes={
            name if name in _OWN_FIELDS or name in ("", "client_id", "rest") else "rest": why
            for name, why in mistakes.items()
        },
        sent=form,
    )


async def _form(
    request: ConsoleRequest,
    document: Document,
    *,
    client_id: str,
    tag: str | None = None,
    base: Document | None = None,
    base_text: str | None = None,
    status: int = 200,
    mistakes: Mapping[str, str] | None = None,
    sent: Form | None = None,
    conflict: Conflict | None = None,
) -> Page:
    """Show the form, filled with a document or as it was sent."""
    values = _write(document) if sent is None else sent.values()
    granted = _granted(document) if sent is None else sent.all("grant")
    flags = [name for name in _FLAGS if (sent.has(name) if sent else document.get(name))]
    context = {
        "client_id": client_id,
        "is_new": tag is None,
        "tag": tag,
        "base_document": base_text or json.dumps(document if base is None else base),
        "once": encode_base64url(secrets.token_bytes(16)),
        "shown_at": request.now,
        "values": {name: values.get(name, "") for name in (*_OWN_FIELDS, "rest", "more_grants")},
        "flags": flags,
        "offered": await _offered_grants(request, granted),
        "may_list_resources": request.may(RESOURCES),
        "methods": _offered_methods(request, document.get("token_endpoint_auth_method")),
        "lifetimes": LIFETIMES,
        "expires_in": values.get("expires_in", ""),
        "mistakes": defaultdict(str, mistakes or {}),
        "conflict": conflict,
    }
    return Page(template="client-form.html", context=context, status=status)


def _offered_methods(request: ConsoleRequest, kept: str | None = None) -> list[tuple[str, str]]:
    """List the methods that are switched on; what a client has already stays, on or off."""
    return [(name, text) for name, text in METHODS if name in request.methods or name == kept]


async def _offered_grants(request: ConsoleRequest, granted: Iterable[str]) -> list[Document]:
    """List the scopes of each resource that can be ticked, those that are granted first.

    In one pass: whoever may change a client may send very many scopes.
    """
    ticked: dict[str, dict[str, bool]] = {}
    for each in granted:
        resource, _, scope = each.partition(" ")
        ticked.setdefault(resource, {})[scope] = True
    held = set(ticked)
    if request.may(RESOURCES):
        found = await request.api.get("resources", limit=100)
        for each in found.document["resources"]:
            known = ticked.setdefault(each["resource"], {})
            for scope in each["scopes"]:
                known.setdefault(scope, False)
    return [
        {"resource": resource, "scopes": list(scopes.items()), "is_granted": resource in held}
        for resource, scopes in ticked.items()
    ]


def _editable(document: Document) -> Document:
    """Return what a form may change of a client."""
    return {name: value for name, value in document.items() if name not in _NOT_CHANGED}


def _granted(document: Document) -> list[str]:
    return [
        f"{grant['resource']} {scope}"
        for grant in document.get("grants", ())
        for scope in grant["scope"].split()
    ]


def _write(document: Document) -> dict[str, str]:
    """Write a document as the fields of the form."""
    rest = {name: value for name, value in document.items() if name not in _OWN_FIELDS}
    written = {name: str(document.get(name) or "") for name in (*_TEXTS, *_DURATIONS)}
    written |= {name: (document.get(name) or "").removesuffix("Z") for name in _TIMES}
    written |= {
        name: json.dumps(document[name], indent=2, ensure_ascii=False) if document.get(name) else ""
        for name in _OBJECTS
    }
    written["rest"] = json.dumps(rest, indent=2, ensure_ascii=False) if rest else ""
    return written


def _read(form: Form, base: Document) -> Document:
    """Read the fields of the form as a document; None where nothing was entered.

    Raises:
        _Mistakes: with all fields that cannot be read.
    """
    mistakes: dict[str, str] = {}
    found: Document = {name: form.get(name) or None for name in _TEXTS}
    found |= {name: form.has(name) for name in _FLAGS}
    for name in _TIMES:
        text = form.get(name)
        # The field of a browser has no seconds where they are 0, and no zone: it is in UTC.
        found[name] = f"{text}:00Z" if len(text) == 16 else f"{text}Z" if text else None
    for name in _DURATIONS:
        try:
            found[name] = parse_duration(form.get(name)) if form.get(name) else None
        except ValueError as error:
            mistakes[name] = str(error)
    for name in _OBJECTS:
        try:
            default: Document | None = {} if name == "metadata" else None
            found[name] = _read_object(form, name, default)
        except _Mistakes as wrong:
            mistakes |= wrong.found
    try:
        found |= _read_rest(form, base)
        found["grants"] = _read_grants(form, base)
    except _Mistakes as wrong:
        mistakes |= wrong.found
    if mistakes:
        raise _Mistakes(mistakes)
    return found


def _read_object(form: Form, name: str, default: Document | None) -> Any:  # noqa: ANN401
    text = form.get(name)
    if not text:
        return default
    try:
        return parse_json_object(text.encode())
    except ValueError as error:
        raise _Mistakes({name: f"This is no JSON object: {error}."}) from None


def _read_base(form: Form) -> Document:
    """Read what the form was made of; whoever sends another only changes more.

    Raises:
        _Mistakes: no form of ours has that.
    """
    base: Document = _read_object(form, "base", {})
    grants = base.get("grants", [])
    if not isinstance(grants, list) or not all(map(_is_grant, grants)):
        raise _Mistakes({"": "This is no form of this page; open it again."})
    return base


def _is_grant(value: Any) -> bool:  # noqa: ANN401 - any JSON value
    if not isinstance(value, dict) or not value.get("resource"):
        return False
    return all(isinstance(value.get(name, ""), str) for name in _GRANT)


def _read_rest(form: Form, base: Document) -> Document:
    rest = _read_object(form, "rest", {})
    if clash := sorted({*_OWN_FIELDS, *_NOT_CHANGED} & rest.keys()):
        raise _Mistakes({"rest": f"Change {', '.join(clash)} above, not here."})
    gone = {name: None for name in base if name not in _OWN_FIELDS and name not in rest}
    return {**gone, **rest}


def _read_grants(form: Form, base: Document) -> list[Document]:
    """Read which scopes are ticked; what else a grant says stays with it."""
    wanted: dict[str, dict[str, None]] = {}  # scopes in their order
    for each in form.all("grant"):
        resource, _, scope = each.partition(" ")
        wanted.setdefault(resource, {})[scope] = None
    for line in form.get("more_grants").splitlines():
        if not line.strip():
            continue
        resource, *scopes = line.split()
        if not scopes:
            raise _Mistakes({"grants": f"Name scopes after {resource}."})
        wanted.setdefault(resource, {}).update(dict.fromkeys(scopes))
    before = {grant["resource"]: grant for grant in base.get("grants", ())}
    for name, grant in before.items():
        if grant.get("authorization_details_types"):  # which are changed in no form
            wanted.setdefault(name, {})
    order = [*(name for name in before if name in wanted), *(n for n in wanted if n not in before)]
    return [_grant(name, wanted[name], before.get(name, {})) for name in order]


def _grant(resource: str, scopes: dict[str, None], before: Document) -> Document:
    kept = [scope for scope in before.get("scope", "").split() if scope in scopes]
    scope = " ".join(dict.fromkeys([*kept, *scopes]))
    grant = {**before, "resource": resource, "scope": scope}
    if "default_scope" in before:
        still = [each for each in before["default_scope"].split() if each in scopes]
        grant["default_scope"] = " ".join(still)
        if not still:
            del grant["default_scope"]
    return grant


def _has_secret(document: Document) -> bool:
    return str(document.get("token_endpoint_auth_method", "")).startswith("client_secret")


def _shown_at(form: Form, now: int) -> int:
    """Return when the form was shown: sent again, it asks for the same end of the secret."""
    text = form.get("shown_at")
    return min(int(text), now) if text.isascii() and text.isdigit() and len(text) < 12 else now


def _in_seconds(at: int) -> str:
    from issuer.registry.schema import write_time

    return str(write_time(at))
