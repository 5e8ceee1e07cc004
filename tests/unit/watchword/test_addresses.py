"""Unit tests of `watchword.process.addresses`: what of the forwarding fields is believed."""

import pytest

from watchword.process.addresses import Peer, find_client, is_within, parse_networks, plain_peer
from watchword.process.refusals import BAD_FORWARDING, Refused

PROXIES = parse_networks("10.0.0.1, 10.0.1.0/24, 2001:db8:ff::/48")
PROXY = ("10.0.0.1", 40_000)


def client_of(*fields: tuple[str, str]) -> tuple[Peer, str | None]:
    """Find the client behind a proxy that sent these fields."""
    headers = [(name.encode(), value.encode("latin-1")) for name, value in fields]
    return find_client(PROXY, [(b"host", b"auth.example.com"), *headers], PROXIES)


def refuse(*fields: tuple[str, str]) -> None:
    """Have the fields refused."""
    with pytest.raises(Refused) as caught:
        client_of(*fields)
    assert caught.value.refusal is BAD_FORWARDING


@pytest.mark.parametrize(
    ("value", "client", "scheme"),
    [
        ("for=192.0.2.43", ("192.0.2.43", 0), None),
        ('For="192.0.2.43:4711";Proto=HTTPS;host=x', ("192.0.2.43", 4711), "https"),
        ('for="[2001:DB8:0::17]:4711";by=_here', ("2001:db8::17", 4711), None),
        ("for=[2001:db8::17]", ("2001:db8::17", 0), None),
        ("for=192.0.2.43:4711 ; proto=http", ("192.0.2.43", 4711), "http"),
        ('for="[::ffff:192.0.2.43]"', ("192.0.2.43", 0), None),
        ('for="192.0.2.43:_port"', ("192.0.2.43", 0), None),
        ('for=192.0.2.43;ext="a,b;c\\"d"', ("192.0.2.43", 0), None),
        (", for=192.0.2.43, ", ("192.0.2.43", 0), None),
        ("for=192.0.2.43, for=10.0.1.7;proto=http", ("192.0.2.43", 0), None),
        ("for=10.0.1.9;proto=https, for=10.0.1.7", ("10.0.1.9", 0), "https"),
        ("for=192.0.2.43;proto=gopher", ("192.0.2.43", 0), None),
        ("for=192.0.2.43:65535;proto=httpsX", ("192.0.2.43", 65_535), None),
        ('for="192.0.2.43:655350"', ("192.0.2.43", 0), None),
        ('for="[2001:db8::17]x]"', ("2001:db8::17", 0), None),
    ],
)
def test_forwarded_names_the_client(value: str, client: Peer, scheme: str | None) -> None:
    """As RFC 7239 writes it, with the scheme on which the client spoke."""
    assert client_of(("forwarded", value)) == (client, scheme)


@pytest.mark.parametrize("value", ["for=unknown", "for=_hidden", "proto=https", "for=10.0.0.999"])
def test_a_client_that_the_proxy_does_not_tell_is_the_proxy(value: str) -> None:
    """No address is made up, and nothing further left counts (RFC 7239 section 6)."""
    assert client_of(("forwarded", f"for=192.0.2.1, {value}"))[0] == PROXY


@pytest.mark.parametrize(
    ("value", "client"),
    [
        ("192.0.2.43", "192.0.2.43"),
        ("6.6.6.6, 192.0.2.43", "192.0.2.43"),
        ("192.0.2.43, 10.0.1.9,10.0.1.7", "192.0.2.43"),
        ("6.6.6.6, 192.0.2.43, 10.0.1.7", "192.0.2.43"),
        ("10.0.1.9, 10.0.1.7", "10.0.1.9"),
        ("not an address, 10.0.1.7", "10.0.1.7"),
        ("2001:db8::17", "2001:db8::17"),
        ("fe80::1%eth0", "fe80::1"),
        ("", "10.0.0.1"),
    ],
)
def test_addresses_are_read_from_the_end(value: str, client: str) -> None:
    """Up to the first one that is no proxy of ours: the rest is what a client may have sent."""
    assert client_of(("x-forwarded-for", value))[0][0] == client


def test_lines_of_one_field_are_one_list() -> None:
    """The last line is the last proxy's (RFC 9110 section 5.3)."""
    lines = [("x-forwarded-for", "6.6.6.6"), ("x-forwarded-for", "192.0.2.43, 10.0.1.7")]
    assert client_of(*lines)[0][0] == "192.0.2.43"
    assert client_of(("x-forwarded-for", "192.0.2.43"), ("x-forwarded-for", "10.0.1.7")) == (
        ("192.0.2.43", 0),
        None,
    )
    lines = [("forwarded", "for=192.0.2.43"), ("forwarded", "for=10.0.1.7")]
    assert client_of(*lines)[0][0] == "192.0.2.43"
    broken = [("forwarded", 'for="'), ("forwarded", "for=192.0.2.43")]
    assert client_of(*broken)[0][0] == "192.0.2.43"


@pytest.mark.parametrize(
    ("value", "scheme"), [("https", "https"), ("http, HTTPS", "https"), ("wss", None), ("", None)]
)
def test_the_scheme_is_the_last_one_told(value: str, scheme: str | None) -> None:
    """`X-Forwarded-Proto` counts beside an address of either field, and without one."""
    assert client_of(("x-forwarded-proto", value)) == (PROXY, scheme)
    address = ("x-forwarded-for", "192.0.2.43")
    assert client_of(address, ("x-forwarded-proto", value)) == (("192.0.2.43", 0), scheme)


@pytest.mark.parametrize(
    "value",
    [
        'for="192.0.2.1',
        "for=",
        "for=192.0.2.1;for=192.0.2.2",
        "for=192.0.2.1;FOR=192.0.2.2",
        "192.0.2.1",
        "for 192.0.2.1",
        # A client left its quotes open, and has a comma in the host that the proxy quotes.
        'for=", for=192.0.2.1;host="a,for=6.6.6.6"',
        'x="\\", for=192.0.2.1;host=",for=6.6.6.6;x="',
        "for=192.0.2.1;x=".ljust(4097, "x"),
    ],
)
def test_a_malformed_forwarded_is_refused(value: str) -> None:
    """What a client smuggles into a proxy's line moves no border between its elements."""
    refuse(("forwarded", value))


def test_a_comma_in_quotes_ends_no_element() -> None:
    """A client chooses its host, which a proxy may write beside its address."""
    line = 'for=192.0.2.1;host="a,for=6.6.6.6"'
    assert client_of(("forwarded", line))[0][0] == "192.0.2.1"


@pytest.mark.parametrize("line", ["for=192.0.2.1;x=".ljust(4096, "x"), ";" * 199 + "for=192.0.2.1"])
def test_a_forwarded_as_long_as_may_be_is_read(line: str) -> None:
    """The bounds themselves are allowed; one character or one parameter more is not."""
    assert client_of(("forwarded", line))[0][0] == "192.0.2.1"
    refuse(("forwarded", f";{line}"))


def test_two_fields_that_name_different_clients_are_refused() -> None:
    """One of them came from a client through a proxy that writes the other one alone."""
    own = ("x-forwarded-for", "192.0.2.1")
    assert client_of(own, ("forwarded", "for=192.0.2.1;proto=https")) == (
        ("192.0.2.1", 0),
        "https",
    )
    for forged in ("for=6.6.6.6", "for=unknown"):
        refuse(own, ("forwarded", forged))


def test_proxies_are_followed_so_far() -> None:
    """A list of thousands of proxies costs no more than one of twenty."""
    long = ",".join(["192.0.2.1"] + ["10.0.1.7"] * 20)
    assert client_of(("x-forwarded-for", long))[0][0] == "10.0.1.7"
    assert client_of(("x-forwarded-for", long.removesuffix(",10.0.1.7")))[0][0] == "192.0.2.1"
    assert client_of(("x-forwarded-for", f"{long},192.0.2.43"))[0][0] == "192.0.2.43"


@pytest.mark.parametrize("element", [";", ",", "for=10.0.1.7,"])
def test_a_forwarded_that_takes_long_to_read_is_refused(element: str) -> None:
    """A client may fill what the proxy passes on: 60 kB of commas took a second to read."""
    own = ("forwarded", "for=192.0.2.1")
    assert client_of(("forwarded", 100 * element), own)[0][0] == "192.0.2.1"
    long = [("forwarded", 4_000 // len(element) * element)]
    for lines in (long, long * 15, [*long * 15, own]):
        refuse(*lines)


def test_a_proxy_is_in_the_list_by_itself_or_by_its_network() -> None:
    """Each version of IP for itself."""
    inside = ("10.0.0.1", "10.0.1.255", "2001:db8:ff::1")
    outside = ("10.0.0.2", "10.0.2.0", "::1", "2001:db8::ff", "fe80::1%eth0")
    assert [is_within((each, 1), PROXIES) for each in (*inside, *outside)] == [True] * 3 + [
        False
    ] * 5
    assert not is_within(("10.0.0.1", 1), ())
    one, many = parse_networks("10.0.0.7,, 192.168.4.0/24 ,")
    assert (str(one), str(many)) == ("10.0.0.7/32", "192.168.4.0/24")


def test_an_ipv4_peer_of_an_ipv6_socket_is_an_ipv4_peer() -> None:
    """Else all of IPv4 would be one network of IPv6, and no proxy would be known."""
    assert plain_peer(("::ffff:10.0.0.1", 7)) == ("10.0.0.1", 7)
    for other in ("2001:db8::1", "::ffff:a00:1"):
        assert plain_peer((other, 7)) == (other, 7)
    assert plain_peer(("10.0.0.1", 7)) == ("10.0.0.1", 7)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("10.0.0.1/8", "10.0.0.1/8 has host bits set"),
        ("proxy.example.com", "'proxy.example.com' does not appear to be"),
        ("10.0.0.1;10.0.0.2", "commas between, such as 10.0.0.7,192.168.4.0/24"),
        ("10.0.0.1,::/0", "with ::/0 every peer could forge its address"),
        ("0.0.0.0/0", "name the proxies"),
    ],
)
def test_networks_that_cannot_be(text: str, words: str) -> None:
    """The message says which one, and what to write."""
    with pytest.raises(ValueError, match=words.replace(".", r"\.")):
        parse_networks(text)
