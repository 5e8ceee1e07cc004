"""The routes of the administration API beside the registry: signing keys, and health."""

from typing import Final

from issuer.administration.authority import KEYS_WRITE
from issuer.administration.http.route import JSON, Route
from issuer.administration.provider import KeyRotationDocument, KeyWithdrawalDocument

PROVIDER_ROUTES: Final = (
    Route(
        method="GET",
        path="/keys",
        name="list_keys",
        scopes=("watchword:keys:read",),
        run=lambda call: call.provider.list_keys(),
        summary="List the signing keys with their states and times, never the private keys",
        answers="SigningKey",
        member="keys",
    ),
    Route(
        method="POST",
        path="/key-rotations",
        name="rotate_key",
        scopes=(KEYS_WRITE,),
        run=lambda call: call.provider.rotate_key(call.document),
        summary="Have the successor of a key sign as soon as validators know it, or tell when",
        accepts=JSON,
        reads=KeyRotationDocument,
        may_be_empty=True,
        answers="KeyChange",
    ),
    Route(
        method="POST",
        path="/key-withdrawals",
        name="withdraw_key",
        scopes=(KEYS_WRITE,),
        run=lambda call: call.provider.withdraw_key(call.document),
        summary="Withdraw a key at once with all tokens that it signed, or tell what that means",
        accepts=JSON,
        reads=KeyWithdrawalDocument,
        answers="KeyChange",
    ),
    Route(
        method="GET",
        path="/health",
        name="show_health",
        scopes=("watchword:health:read",),
        run=lambda call: call.provider.show_health(),
        summary="Tell how the provider fares: checks, database, keys, limits, who was limited",
        answers="Health",
    ),
)
