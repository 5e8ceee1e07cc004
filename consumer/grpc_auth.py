"""A token in the metadata of gRPC calls, sync and asyncio (RFC 6750 §2.1)."""

from typing import Any

import grpc

from consumer.token_scheme import BEARER
from consumer.token_source import TokenSourceBase


class TokenPlugin(grpc.AuthMetadataPlugin):
    """Authorize calls: `grpc.metadata_call_credentials(TokenPlugin(source))`.

    gRPC sends call credentials over TLS only, or to this machine with `local_channel_credentials`.
    It asks for them on a thread of its own, so that a token request holds up that call alone, and
    does not tell what was answered: a token that is refused is used until it is due for renewal.
    """

    def __init__(self, source: TokenSourceBase[Any]) -> None:
        """Use this source.

        Args:
            source: a `TokenSource`, a `ClientCredentials` or a `TokenExchange` for a caller.
        """
        self._source = source

    def __call__(
        self, context: grpc.AuthMetadataContext, callback: grpc.AuthMetadataPluginCallback
    ) -> None:
        """Give the metadata of one call, or the reason why there is no token."""
        try:
            authorization = BEARER.authorization(self._source.token())
        except Exception as error:  # whatever it is, the call waits for the callback
            callback((), error)
        else:
            callback((("authorization", authorization),), None)
