"""Warn of what can be registered already, but not be had from this version's token endpoint."""

from typing import TYPE_CHECKING

from watchword.cli.output import say

if TYPE_CHECKING:
    from issuer.registry.schema import Json

SERVED_METHODS = ("client_secret_basic", "client_secret_post")
_BINDINGS = {
    "dpop_bound_access_tokens": "DPoP-bound",
    "dpop_bound_access_tokens_required": "DPoP-bound",
    "tls_client_certificate_bound_access_tokens": "certificate-bound",
}


def warn_of_client(client: "Json") -> None:
    """Warn if a client gets no tokens for now, because of its method or of what it insists on."""
    method = client["token_endpoint_auth_method"]
    if method not in SERVED_METHODS:
        _warn(f"the token endpoint does not take {method}", f"{client['client_id']} gets no tokens")
    _warn_of_bindings(client, f"{client['client_id']} gets no tokens")


def warn_of_resource(resource: "Json") -> None:
    """Warn if nobody gets tokens for a resource for now, because of what it insists on."""
    _warn_of_bindings(resource, f"nobody gets tokens for {resource['resource']}")


def _warn_of_bindings(document: "Json", so: str) -> None:
    for member, kind in _BINDINGS.items():
        if document.get(member):
            _warn(f"the token endpoint makes no {kind} tokens", so)


def _warn(what: str, so: str) -> None:
    say(f"warning: {what} yet in this version; {so}")
