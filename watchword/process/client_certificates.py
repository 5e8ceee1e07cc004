"""Find the certificate that the client of a request showed: in TLS, or to a trusted proxy.

The handshake of a connection and the header fields of RFC 9440 exclude each other: what a trusted
proxy shows in TLS is the proxy's own, and what any other peer writes into the fields is forged.
"""

import asyncio
from collections.abc import Iterable
from typing import Any

from keys.client_cert import MAX_CHAIN, Chain, parse_client_chain
from watchword.process.refusals import BAD_CLIENT_CERT, Refused


def shown_in_handshake(transport: asyncio.BaseTransport) -> Chain:
    """Return the certificates that the peer of a connection showed; none on plain http."""
    tls: Any = transport.get_extra_info("ssl_object")
    # Without a certificate the chain may be one of None.
    if tls is None or tls.getpeercert(binary_form=True) is None:
        return ()
    if hasattr(tls, "get_unverified_chain"):  # public since Python 3.13
        return tuple(tls.get_unverified_chain()[:MAX_CHAIN])
    # Before, the chain is known to the object within alone; its certificates write PEM unless told
    # otherwise, by a number of their module.
    import _ssl

    shown = tls._sslobj.get_unverified_chain()[:MAX_CHAIN]
    return tuple(each.public_bytes(_ssl.ENCODING_DER) for each in shown)


def told_by_proxy(headers: Iterable[tuple[bytes, bytes]]) -> Chain:
    """Return the certificates in the header fields of a request that a trusted proxy sent.

    Raises:
        Refused: the fields are not as RFC 9440 has them. A proxy that passes on what the client
            wrote, beside its own, is found out by that.
    """
    certificate = [value for name, value in headers if name == b"client-cert"]
    chain = [value for name, value in headers if name == b"client-cert-chain"]
    try:
        return parse_client_chain(certificate, chain)
    except ValueError:
        raise Refused(BAD_CLIENT_CERT) from None
