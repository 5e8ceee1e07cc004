"""What the consumer uses of an HTTP library, so that httpx and its successor fit in one place."""

# ruff: noqa: D102 - the members are the library's, and documented there

import ssl
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, MutableMapping
from contextlib import AbstractAsyncContextManager, AbstractContextManager
from dataclasses import dataclass
from types import ModuleType
from typing import Any, Protocol, Self


class Url(Protocol):
    """A parsed URL."""

    @property
    def scheme(self) -> str: ...
    @property
    def host(self) -> str: ...
    @property
    def port(self) -> int | None: ...


class ApiRequest(Protocol):
    """The caller's request, to which the token is added."""

    @property
    def method(self) -> str: ...
    @property
    def url(self) -> Url: ...
    @property
    def headers(self) -> MutableMapping[str, str]: ...
    @property
    def content(self) -> bytes: ...


class ResponseHeaders(Protocol):
    """The header of a response, where a name may occur several times."""

    def get_list(self, key: str) -> list[str]: ...
    def get(self, key: str) -> Any: ...  # noqa: ANN401 - the libraries differ in what they say


class ApiResponse(Protocol):
    """The API's answer; its body is none of our business."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> ResponseHeaders: ...
    @property
    def request(self) -> ApiRequest: ...


class Fetched(Protocol):
    """The issuer's answer, read in pieces."""

    @property
    def status_code(self) -> int: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    def iter_raw(self) -> Iterator[bytes]: ...
    def iter_bytes(self) -> Iterator[bytes]: ...
    def aiter_raw(self) -> AsyncIterator[bytes]: ...
    def aiter_bytes(self) -> AsyncIterator[bytes]: ...


class FetchClient(Protocol):
    """A sync client."""

    def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        content: bytes | None,
        extensions: dict[str, Any],
    ) -> AbstractContextManager[Fetched]: ...
    def close(self) -> None: ...


class AsyncFetchClient(Protocol):
    """An async client."""

    def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], content: bytes | None
    ) -> AbstractAsyncContextManager[Fetched]: ...
    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpLibrary:
    """The parts of one library."""

    client: Callable[..., FetchClient]
    async_client: Callable[..., AsyncFetchClient]
    transport: type
    """What the transports of sync clients are."""
    tls_context: Callable[..., ssl.SSLContext]
    error: type[Exception]
    """The base of the library's errors, and so of ours."""
    errors: tuple[type[Exception], ...]
    """All that the library raises when a request fails."""
    request_not_read: type[Exception]

    @classmethod
    def of(cls, library: ModuleType) -> Self:
        """Take them out of httpx or its successor, where they have the same names."""
        return cls(
            client=library.Client,
            async_client=library.AsyncClient,
            transport=library.BaseTransport,
            tls_context=library.create_ssl_context,
            error=library.HTTPError,
            errors=(library.HTTPError, library.InvalidURL, OSError),
            request_not_read=library.RequestNotRead,
        )
