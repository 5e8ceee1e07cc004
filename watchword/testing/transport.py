"""Reach an issuer for tests over httpx without a socket: handed in, or in place of the network."""

import math
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from types import ModuleType
from typing import TYPE_CHECKING
from unittest.mock import patch

import anyio
import httpx

from keys.remote.http_jwks import HttpJwks
from keys.remote.jwks_client import JwksClient
from resource_api.config import ResourcePolicy
from resource_api.protection import ProtectionSettings
from resource_api.status_lists import StatusListClient
from watchword.testing.endpoints import Answer, Asked

if TYPE_CHECKING:
    from watchword.testing.issuer import Issuer


class IssuerTransport(httpx.BaseTransport, httpx.AsyncBaseTransport):
    """Carries the requests of an `httpx` client, sync or async, to one issuer."""

    def __init__(self, issuer: "Issuer") -> None:
        """Carry requests to this issuer, whatever host they name."""
        self._issuer = issuer

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of a sync client."""
        return _answer(httpx, self._issuer, request)

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer a request of an async client."""
        return await _answer_async(httpx, self._issuer, request)


@contextmanager
def taking_over(issuer: "Issuer") -> Iterator[None]:
    """Answer what clients of httpx and httpx2 send to the issuer's URL, however they were made.

    Their transports are replaced for the whole process, which is where all of their requests to a
    network pass; those to other servers go on to it.
    """
    with ExitStack() as stack:
        for library in (httpx, sys.modules.get("httpx2")):
            if library is not None:
                stack.enter_context(_taking_over(library, issuer))
        yield


@contextmanager
def _taking_over(library: ModuleType, issuer: "Issuer") -> Iterator[None]:
    handle = library.HTTPTransport.handle_request
    handle_async = library.AsyncHTTPTransport.handle_async_request

    # The requests of httpx2 are like those of httpx in all that is read of them.
    def handle_request(transport: object, request: httpx.Request) -> object:
        if issuer.answers(str(request.url)):
            return _answer(library, issuer, request)
        return handle(transport, request)

    async def handle_async_request(transport: object, request: httpx.Request) -> object:
        if issuer.answers(str(request.url)):
            return await _answer_async(library, issuer, request)
        return await handle_async(transport, request)

    with (
        patch.object(library.HTTPTransport, "handle_request", handle_request),
        patch.object(library.AsyncHTTPTransport, "handle_async_request", handle_async_request),
    ):
        yield


def _answer(library: ModuleType, issuer: "Issuer", request: httpx.Request) -> httpx.Response:
    answer, timeout = issuer.answer(_asked(request, request.read())), _read_timeout(request)
    time.sleep(min(answer.delay, timeout))
    return _response(library, answer, request, timeout)


async def _answer_async(
    library: ModuleType, issuer: "Issuer", request: httpx.Request
) -> httpx.Response:
    answer, timeout = issuer.answer(_asked(request, await request.aread())), _read_timeout(request)
    await anyio.sleep(min(answer.delay, timeout))
    return _response(library, answer, request, timeout)


def _asked(request: httpx.Request, body: bytes) -> Asked:
    lines = [(name.lower(), value) for name, value in request.headers.raw]
    return Asked(method=request.method, url=str(request.url), headers=lines, body=body)


def _read_timeout(request: httpx.Request) -> float:
    """Return how many seconds the client waits for an answer."""
    timeout = request.extensions.get("timeout", {}).get("read")
    return math.inf if timeout is None else float(timeout)


def _response(
    library: ModuleType, answer: Answer, request: httpx.Request, timeout: float
) -> httpx.Response:
    if answer.delay > timeout:
        raise library.ReadTimeout("no answer within the timeout", request=request)
    headers = {"content-type": answer.media_type, **answer.headers}
    response: httpx.Response = library.Response(answer.status, headers=headers, content=answer.body)
    return response


def protection_settings(issuer: "Issuer") -> ProtectionSettings:
    """Give what `Issuer.protection_settings` gives."""
    client = httpx.AsyncClient(transport=IssuerTransport(issuer), trust_env=False)
    reader = HttpJwks(issuer.url, client=client, clock=issuer.clock)
    keys = JwksClient(reader, clock=issuer.clock)
    lists = StatusListClient(keys, client=client, clock=issuer.clock, monotonic=issuer.clock)
    policy = ResourcePolicy(
        issuer=issuer.url,
        resource=issuer.audience,
        profile=issuer.profile,
        algorithms=(issuer.alg,),
    )
    return ProtectionSettings(
        resource=issuer.audience,
        issuer=issuer.url,
        policy=policy,
        jwks=keys,
        status_lists=lists,
        clock=issuer.clock,
    )
