"""Any list of any width reads as a naive reader reads it, and any bytes are a list or refused."""

import zlib

from hypothesis import given
from hypothesis import strategies as st

from keys.encoding import encode_base64url
from resource_api.status_list import InvalidStatusList, StatusList, parse_status_list
from watchword.testing.forge import ISSUER, NOW, TokenForge
from watchword.testing.status_lists import list_token, pack

FORGE = TokenForge()
URI = f"{ISSUER}/1"


def bits_of(data: bytes) -> str:
    """Write bytes as bits in the order in which statuses use them."""
    return "".join(f"{byte:08b}"[::-1] for byte in data)


@given(data=st.binary(max_size=40), bits=st.sampled_from([1, 2, 4, 8]), beyond=st.integers(0))
def test_each_status_is_the_one_that_a_naive_reader_reads(
    data: bytes, bits: int, beyond: int
) -> None:
    """Bit by bit from text; the first index that is not whole is beyond the list."""
    text = bits_of(data)
    naive = [int(text[at : at + bits][::-1], 2) for at in range(0, len(text), bits)]
    read = StatusList(data, bits, issued_at=0, expires_at=1, ttl=1)
    assert [read.status(idx) for idx in range(len(naive))] == naive
    assert read.status(len(naive) + beyond) is None
    assert pack(naive, bits) == data


@given(data=st.data(), bits=st.sampled_from([1, 2, 4, 8]))
def test_what_was_signed_is_read(data: st.DataObject, bits: int) -> None:
    """Through compression, signature and back."""
    statuses = data.draw(st.lists(st.integers(0, 2**bits - 1), max_size=100))
    signed = list_token(FORGE, URI, pack(statuses, bits), bits=bits)
    read = parse_status_list(signed, FORGE.keys, uri=URI, now=NOW)
    assert [read.status(idx) for idx in range(len(statuses))] == statuses


@given(lst=st.binary(max_size=60) | st.binary(max_size=60).map(zlib.compress))
def test_any_bytes_are_a_list_or_are_refused(lst: bytes) -> None:
    """And nothing else is raised."""
    member = {"bits": 2, "lst": encode_base64url(lst)}
    try:
        read = parse_status_list(
            list_token(FORGE, URI, status_list=member), FORGE.keys, uri=URI, now=NOW
        )
    except InvalidStatusList:
        return
    assert zlib.decompress(lst) == bytes(
        sum((read.status(4 * n + k) or 0) << 2 * k for k in range(4)) for n in range(read.size)
    )
