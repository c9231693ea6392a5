"""JSON Web Tokens, and the key set that verifies them."""

import base64
import json
import time
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa


class TokenIssuer:
    """Issues tokens that are signed with a key of its own (RS256)."""

    def __init__(self, name: str, *, key_id: str = "first") -> None:
        self._name = name
        self._key_id = key_id
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)

    @property
    def key_set(self) -> bytes:
        """The JSON Web Key Set with the public key."""
        numbers = self._key.public_key().public_numbers()
        key = {
            "kty": "RSA",
            "alg": "RS256",
            "use": "sig",
            "kid": self._key_id,
            "n": _number(numbers.n),
            "e": _number(numbers.e),
        }
        return json.dumps({"keys": [key]}).encode()

    def token(self, *, seconds: float | None = 3600, **claims: Any) -> str:
        """A token that expires after `seconds`.

        `claims` add to the claims or replace them. None removes a claim.
        """
        expiry = None if seconds is None else int(time.time() + seconds)
        payload = {"iss": self._name, "aud": "undertone", "sub": "reader", "exp": expiry, **claims}
        payload = {name: value for name, value in payload.items() if value is not None}
        signed = f"{_json({'alg': 'RS256', 'typ': 'JWT', 'kid': self._key_id})}.{_json(payload)}"
        signature = self._key.sign(signed.encode(), padding.PKCS1v15(), hashes.SHA256())
        return f"{signed}.{_encode(signature)}"


def _encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _json(value: object) -> str:
    return _encode(json.dumps(value).encode())


def _number(value: int) -> str:
    return _encode(value.to_bytes((value.bit_length() + 7) // 8, "big"))
