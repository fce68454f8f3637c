"""Webhook signatures, in every encoding that the contract leaves open."""

import base64
import hashlib
import hmac

import pytest
from hypothesis import given
from hypothesis import strategies as st

from instruments.mycirrus import sign, verify

SECRET = "3f2504e0-4f89-11d3-9a0c-0305e82c3301"
BODY = b'{"type":"NewMeasurement","instrument":"QT123456"}'

ENCODINGS = {
    "hex": lambda mac: mac.hex(),
    "HEX": lambda mac: mac.hex().upper(),
    "base64": lambda mac: base64.b64encode(mac).decode(),
    "base64 unpadded": lambda mac: base64.b64encode(mac).decode().rstrip("="),
    "base64url": lambda mac: base64.urlsafe_b64encode(mac).decode(),
    "base64url unpadded": lambda mac: base64.urlsafe_b64encode(mac).decode().rstrip("="),
}


def test_signature_is_hmac_sha256_of_the_raw_body() -> None:
    # RFC 4231, test case 2.
    assert sign("Jefe", b"what do ya want for nothing?").hex() == (
        "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
    )


@given(
    st.text(min_size=1).filter(lambda text: text.isprintable()),
    st.binary(),
    st.sampled_from(sorted(ENCODINGS)),
    st.sampled_from(["", "sha256=", "SHA256=", " sha256= ", "\t"]),
    st.sampled_from(["", " ", "\r\n"]),
    st.booleans(),
)
def test_every_encoding_of_the_right_value_is_taken(
    secret: str, body: bytes, encoding: str, prefix: str, after: str, as_bytes: bool
) -> None:
    mac = hmac.new(secret.encode(), body, hashlib.sha256).digest()
    header = prefix + ENCODINGS[encoding](mac) + after
    found = verify(secret, body, header.encode() if as_bytes else header)
    # A base64url text without - or _ is also plain base64.
    assert found is not None
    assert found == encoding.split()[0].lower() or encoding.startswith("base64url")


@given(st.sampled_from(sorted(ENCODINGS)), st.integers(0, 255))
def test_one_wrong_bit_is_refused(encoding: str, bit: int) -> None:
    mac = bytearray(sign(SECRET, BODY))
    mac[bit // 8] ^= 1 << (bit % 8)
    assert verify(SECRET, BODY, ENCODINGS[encoding](bytes(mac))) is None


def test_another_body_or_secret_is_refused() -> None:
    header = sign(SECRET, BODY).hex()
    assert verify(SECRET, BODY, header) == "hex"
    assert verify(SECRET, BODY + b" ", header) is None
    assert verify(SECRET.upper(), BODY, header) is None


@given(st.none() | st.text() | st.binary())
def test_junk_is_refused_and_never_raises(header: str | bytes | None) -> None:
    assert verify(SECRET, BODY, header) is None


@pytest.mark.parametrize("secret", ["", b""])
def test_an_empty_secret_verifies_nothing(secret: str | bytes) -> None:
    assert verify(secret, BODY, hmac.new(b"", BODY, hashlib.sha256).hexdigest()) is None


def test_a_secret_that_cannot_be_text_verifies_nothing() -> None:
    assert verify("\ud800", BODY, sign(SECRET, BODY).hex()) is None
