"""Tell addresses of the public Internet from all others (RFC 8725 §3.10, RFC 6890).

An IPv6 address that carries an IPv4 address inside is judged by that one: a translator between
would take a request for it to the machine that the inner address names.
"""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address

# RFC 4291 §2.4: global unicast. What lies outside is local, multicast or nothing yet.
_GLOBAL_UNICAST = IPv6Network("2000::/3")
_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052 §2.1; the local one of RFC 8215 is not public
# Some addresses in here are global on paper, but reach the nearest translator or gateway: ours
# (RFC 6890, RFC 7723 §4, RFC 7526).
_NEAREST_V4 = (IPv4Network("192.0.0.0/24"), IPv4Network("192.88.99.0/24"))
_NEAREST_V6 = IPv6Network("2001::/23")


def is_public(text: str) -> bool:
    """Tell whether an address is reachable from the whole Internet.

    Args:
        text: an IPv4 or IPv6 address, as resolvers write it; anything else is not public.
    """
    try:
        address = ip_address(text)
    except ValueError:
        return False
    if isinstance(address, IPv4Address):
        return _is_public_v4(address)
    if (inner := _inner(address)) is not None:
        return _is_public_v4(inner)
    return address.is_global and address in _GLOBAL_UNICAST and address not in _NEAREST_V6


def _is_public_v4(address: IPv4Address) -> bool:
    # Multicast counts as global there, since it may be routed.
    if address.is_multicast or any(address in network for network in _NEAREST_V4):
        return False
    return address.is_global


def _inner(address: IPv6Address) -> IPv4Address | None:
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    return address.ipv4_mapped or address.sixtofour
