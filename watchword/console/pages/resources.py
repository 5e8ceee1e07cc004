"""Resources: the APIs that tokens are for, their scopes, and who holds them."""

import json
from collections.abc import Mapping
from typing import Any

from issuer.registry.auth_methods import AuthMethod
from keys.encoding import parse_json_object
from keys.key_types import ALGORITHMS
from watchword.console.api import REVISION_CONFLICT, ApiRefusal, Document
from watchword.console.differences import Conflict, changed_members, compare_conflict
from watchword.console.pages.audit import find_latest
from watchword.console.request import ConsoleRequest, Form, Page, Redirect, place

CLIENTS_READ = "watchword:clients:read"
_SHOWN = 100
_HOLDERS = 200
_NUMBERS = ("token_ttl", "reuse_window")
_FLAGS = (
    "dpop_bound_access_tokens_required",
    "tls_client_certificate_bound_access_tokens",
    "status_list",
)
_JSON = {"claims": dict, "authorization_details_types": list}
_UNSET: Mapping[str, Any] = {
    "status_list": True,
    "auth_methods": [],
    **dict.fromkeys(_FLAGS[:2], False),
}
"""What members are that a document leaves out, if that is not null."""
_EDITED = ("scopes", *_NUMBERS, "signing_alg", *_FLAGS, "auth_methods", *_JSON)

LABELS = {
    "resource": "Identifier",
    "scopes": "Scopes",
    "token_ttl": "Life of tokens",
    "reuse_window": "Reuse window",
    "signing_alg": "Signing algorithm",
    "dpop_bound_access_tokens_required": "Only DPoP-bound tokens",
    "tls_client_certificate_bound_access_tokens": "Only certificate-bound tokens",
    "status_list": "Tokens can be revoked",
    "auth_methods": "Methods of authentication",
    "claims": "Constant claims",
    "authorization_details_types": "Types of authorization details",
}


async def list_resources(request: ConsoleRequest) -> Page:
    """List resources by identifier."""
    found = await request.api.get("resources", after=request.query.get("after"), limit=_SHOWN)
    context = {"resources": found.document["resources"], "next": found.document["next"]}
    return Page(template="resources.html", context=context)


async def show_resource(request: ConsoleRequest) -> Page:
    """Show one, and which clients hold its scopes if the session may see clients."""
    found = await request.api.get("resources", request.name)
    holders: dict[str, list[Document]] | None = None
    if request.may(CLIENTS_READ):
        uses = await request.api.get("usage", resource=request.name, limit=_HOLDERS)
        holders = {}
        for use in uses.document["uses"]:
            holders.setdefault(use["client_id"], []).append(use)
    context = {
        "resource": found.document,
        "holders": holders,
        "more": holders is not None and uses.document["next"] is not None,
        "labels": LABELS,
    }
    return Page(template="resource.html", context=context)


async def create_resource(request: ConsoleRequest) -> Page | Redirect:
    """Show the form of a new resource, or add it."""
    if request.method == "GET":
        return _form(request, {"status_list": "on"}, new=True)
    document, mistakes = _read(request.form)
    given = {name: value for name, value in document.items() if value != _UNSET.get(name)}
    given["resource"] = request.form.get("resource")
    if not mistakes:
        try:
            await request.api.call("POST", "resources", body=given)
            return Redirect(path=place("resources", given["resource"]), notice="resource-added")
        except ApiRefusal as refusal:
            mistakes = _mistakes_of(refusal)
    return _form(request, _sent(request.form), new=True, mistakes=mistakes)


async def change_resource(request: ConsoleRequest) -> Page | Redirect:
    """Show the form of a resource, or change what was changed in it."""
    if request.method == "GET":
        found = await request.api.get("resources", request.name)
        return _form(request, _write(found.document), tag=found.tag, base=_edited(found.document))
    base, tag = _read_base(request.form), request.form.get("tag")
    wanted, mistakes = _read(request.form)
    if not mistakes:
        try:
            await request.api.call(
                "PATCH",
                "resources",
                request.name,
                body=changed_members(base, wanted),
                tag=tag,
                query={"withdraw": request.form.has("withdraw") or None},
            )
            return Redirect(path=place("resources", request.name), notice="resource-changed")
        except ApiRefusal as refusal:
            if refusal.status == REVISION_CONFLICT:
                return await _show_conflict(request, base, wanted)
            mistakes = _mistakes_of(refusal)
    return _form(request, _sent(request.form), tag=tag, base=base, mistakes=mistakes)


async def delete_resource(request: ConsoleRequest) -> Page | Redirect:
    """Ask whether a resource is to go, or delete it."""
    found = await request.api.get("resources", request.name)
    refusal = None
    if request.method == "POST":
        try:
            await request.api.call("DELETE", "resources", request.name, tag=request.form.get("tag"))
            return Redirect(path=place("resources"), notice="resource-deleted")
        except ApiRefusal as refused:
            if refused.status not in (409, REVISION_CONFLICT):
                raise
            refusal = refused
    context = {"resource": found.document, "tag": found.tag, "refusal": refusal}
    status = 200 if refusal is None else refusal.status
    return Page(template="resource-delete.html", context=context, status=status)


async def _show_conflict(request: ConsoleRequest, base: Document, wanted: Document) -> Page:
    """Show both versions, and the form with one in the other, to be saved or left."""
    found = await request.api.get("resources", request.name)
    theirs = _edited(found.document)
    values = _write(theirs | changed_members(base, wanted))
    if request.form.has("withdraw"):
        values["withdraw"] = "on"
    lines = compare_conflict(base, theirs, wanted)
    conflict = Conflict(lines, await find_latest(request, "resource", request.name))
    return _form(request, values, tag=found.tag, base=theirs, conflict=conflict)


def _form(
    request: ConsoleRequest,
    values: Mapping[str, str],
    *,
    new: bool = False,
    tag: str | None = None,
    base: Document | None = None,
    mistakes: Mapping[str, str] | None = None,
    conflict: Conflict | None = None,
) -> Page:
    mistakes = mistakes or {}
    status = REVISION_CONFLICT if conflict else 422 if mistakes else 200
    context = {
        "name": None if new else request.name,
        "values": values,
        "methods": [method.value for method in AuthMethod],
        "chosen": values.get("auth_methods", "").split(),
        "algorithms": list(ALGORITHMS),
        "mistakes": mistakes,
        "conflict": conflict,
        "labels": LABELS,
        "tag": tag,
        "base": json.dumps(base or {}),
        "may_withdraw": request.may(CLIENTS_READ.replace("read", "write")),
    }
    return Page(template="resource-form.html", context=context, status=status)


def _edited(document: Document) -> Document:
    return {name: document.get(name, _UNSET.get(name)) for name in _EDITED}


def _write(document: Document) -> dict[str, str]:
    """Write a document as the fields of its form."""
    fields = {"scopes": "\n".join(document["scopes"])}
    for name in (*_NUMBERS, "signing_alg"):
        fields[name] = str(document.get(name) or "")
    for name in _FLAGS:
        if document.get(name, _UNSET[name]):
            fields[name] = "on"
    fields["auth_methods"] = " ".join(document.get("auth_methods") or ())
    for name in _JSON:
        value = document.get(name)
        fields[name] = json.dumps(value, indent=2, ensure_ascii=False) if value else ""
    return fields


def _sent(form: Form) -> dict[str, str]:
    """Give the fields as they were sent, to show the form again."""
    return {**form.values(), "auth_methods": " ".join(form.all("auth_methods"))}


def _read(form: Form) -> tuple[Document, dict[str, str]]:
    """Read the fields of a form; beside the document, what cannot be read of them."""
    mistakes = {}
    document: Document = {"scopes": form.get("scopes").split()}
    for name in _NUMBERS:
        text = form.get(name)
        if text and not (text.isascii() and text.isdigit() and len(text) < 10):
            mistakes[name] = "must be a whole number of seconds"
        document[name] = int(text) if text and name not in mistakes else None
    document["signing_alg"] = form.get("signing_alg") or None
    for name in _FLAGS:
        document[name] = form.has(name)
    document["auth_methods"] = [each for text in form.all("auth_methods") for each in text.split()]
    for name, kind in _JSON.items():
        try:
            document[name] = json.loads(form.get(name)) if form.get(name) else None
        except (ValueError, RecursionError):
            mistakes[name] = "is not JSON"
            continue
        if document[name] is not None and not isinstance(document[name], kind):
            mistakes[name] = "must be an object" if kind is dict else "must be a list of objects"
    return document, mistakes


def _read_base(form: Form) -> Document:
    """Read what the form was made of; whoever sends another only changes more."""
    try:
        return parse_json_object(form.get("base").encode())
    except ValueError:
        return {}


def _mistakes_of(refusal: ApiRefusal) -> dict[str, str]:
    if refusal.status not in (409, 422):
        raise refusal
    return refusal.messages()
