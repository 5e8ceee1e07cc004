"""Find the client of a request behind proxies: `Forwarded` (RFC 7239) and `X-Forwarded-*`.

A proxy adds the address that it was connected from at the end of the list. So the list is read from
its end, and only as far as each address is one of a trusted proxy: what is further left may be
forged.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from ipaddress import IPv4Network, IPv6Network, ip_address, ip_network
from itertools import islice
from typing import NamedTuple

from watchword.process.refusals import BAD_FORWARDING, Refused

Networks = tuple[IPv4Network | IPv6Network, ...]
Peer = tuple[str, int]
"""An address and a port; the port is 0 if it is not known."""

_FORWARDED, _FOR, _PROTO = b"forwarded", b"x-forwarded-for", b"x-forwarded-proto"
_MOST_HOPS = 20
_MOST_CHARACTERS = 4096  # of all lines of `Forwarded`
_MOST_PARAMETERS = 200  # of one line, empty ones included: RFC 9110 section 5.6.1.2

# RFC 7239 section 4; besides, values that should be in quotes, as many proxies write addresses.
_PAIR = re.compile(
    r"""[ \t]*(?:([!#$%&'*+.^_`|~0-9A-Za-z-]+)=("(?:[^"\\]|\\.)*"|[^",;\s]+))?[ \t]*([;,]|\Z)"""
)


class Origin(NamedTuple):
    """Where a connection came from, and what was spoken on it; None if that is not told."""

    peer: Peer | None
    scheme: str | None


def parse_networks(text: str) -> Networks:
    """Read addresses and networks with commas between.

    Raises:
        ValueError: one of them is none, or has every address in it.
    """
    networks = []
    for name in filter(None, map(str.strip, text.split(","))):
        try:
            network = ip_network(name)
        except ValueError as error:
            raise ValueError(
                f"{error}; write addresses and networks with commas between, such as"
                " 10.0.0.7,192.168.4.0/24"
            ) from None
        if network.prefixlen == 0:
            raise ValueError(f"with {name} every peer could forge its address; name the proxies")
        networks.append(network)
    return tuple(networks)


def plain_peer(peer: Peer) -> Peer:
    """Write an IPv4 address that came in on a socket for IPv6 as what it is."""
    address, port = peer
    return (address.removeprefix("::ffff:"), port) if "." in address else peer


def is_within(peer: Peer, networks: Networks) -> bool:
    """Tell whether an address is in one of these networks."""
    address = ip_address(peer[0])
    return any(address in network for network in networks)


def find_client(
    proxy: Peer, headers: Iterable[tuple[bytes, bytes]], trusted: Networks
) -> tuple[Peer, str | None]:
    """Find the client of a request that a trusted proxy sent, and the scheme that it used.

    Where a proxy does not tell, or tells what is no address, it counts as the client itself.

    Args:
        proxy: the peer of the connection, a trusted proxy.
        headers: of the request, their names in lower case.
        trusted: the networks of all trusted proxies.

    Returns:
        The client, and its scheme if a proxy told it.

    Raises:
        Refused: `Forwarded` is malformed; or it and `X-Forwarded-For` name different clients, so
            that one of the two is not the proxies' own.
    """
    fields: dict[bytes, list[str]] = {_FORWARDED: [], _FOR: [], _PROTO: []}
    for name, value in headers:
        if name in fields:
            fields[name].append(value.decode("latin-1"))
    client, scheme = proxy, None
    if fields[_FORWARDED]:
        client, scheme = _follow(proxy, _forwarded(fields[_FORWARDED]), trusted)
    if fields[_FOR]:
        other, _ = _follow(proxy, _x_forwarded_for(fields[_FOR]), trusted)
        if fields[_FORWARDED] and other[0] != client[0]:
            raise Refused(BAD_FORWARDING)
        client = other
    if scheme is None and fields[_PROTO]:
        scheme = _scheme(fields[_PROTO][-1].rpartition(",")[2])
    return client, scheme


def _follow(proxy: Peer, origins: Iterable[Origin], trusted: Networks) -> tuple[Peer, str | None]:
    """Go from proxy to proxy, while they are trusted."""
    client, scheme = proxy, None
    for origin in islice(origins, _MOST_HOPS):
        if origin.peer is None:
            break
        client, scheme = origin.peer, origin.scheme
        if not is_within(client, trusted):
            break
    return client, scheme


def _x_forwarded_for(lines: Sequence[str]) -> Iterator[Origin]:
    """Yield what each proxy wrote, the last one first."""
    for line in reversed(lines):
        for node in reversed(line.rsplit(",", _MOST_HOPS)):
            yield Origin(_parse_node(node.strip()), None)


def _forwarded(lines: Sequence[str]) -> Iterator[Origin]:
    """Yield what each proxy wrote, the last one first.

    Raises:
        Refused: a line is malformed, or the field is too long. A line is read from its begin: a
            comma may be in quotes, such as those of a `host` that the client chose.
    """
    if sum(map(len, lines)) > _MOST_CHARACTERS:
        raise Refused(BAD_FORWARDING)
    for line in reversed(lines):
        for element in reversed(_parse_elements(line)):
            peer = _parse_node(element.get("for", ""))
            yield Origin(peer, _scheme(element.get("proto", "")))


def _parse_elements(line: str) -> list[dict[str, str]]:
    elements: list[dict[str, str]] = [{}]
    at = count = 0
    while at < len(line):
        pair = _PAIR.match(line, at)
        count += 1
        if count > _MOST_PARAMETERS:
            raise Refused(BAD_FORWARDING)
        if pair is None or (name := (pair[1] or "").lower()) in elements[-1]:
            raise Refused(BAD_FORWARDING)
        if name:
            elements[-1][name] = pair[2].strip('"')
        if pair[3] == ",":
            elements.append({})
        at = pair.end()
    return [element for element in elements if element]


def _parse_node(node: str) -> Peer | None:
    """Read an address with or without a port; None for `unknown` and names (RFC 7239 section 6)."""
    if node.startswith("["):
        host, _, port = node[1:].partition("]")
        port = port.removeprefix(":")
    elif node.count(":") == 1:
        host, _, port = node.partition(":")
    else:
        host, port = node, ""
    try:
        address = ip_address(host.partition("%")[0])
    except ValueError:
        return None
    known = port.isascii() and port.isdigit() and len(port) <= len("65535")
    plain = getattr(address, "ipv4_mapped", None) or address
    return str(plain), int(port) if known else 0


def _scheme(text: str) -> str | None:
    scheme = text.strip().lower()
    return scheme if scheme in ("http", "https") else None
