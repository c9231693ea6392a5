"""Keys of answers: hashes of everything that determines the answer of a text."""

from hashlib import blake2b
from importlib.metadata import version
from typing import Final

from undertone_sidecar.chunks import OverlengthPolicy
from undertone_sidecar.model import Model

_KEY_BYTES: Final = 24
"""Bytes of a key. Equal keys of different texts are then practically impossible to find."""


class AnswerKeys:
    """Makes the keys of answers.

    A key is a hash of the scoring contract and of the text. The scoring contract is the whole model
    contract (name, version, precision, labels, thresholds, hashes of weights and tokenizer), the
    overlength policy, the settings that change the chunks of a text, and the release of the
    sidecar.
    """

    def __init__(self, *, overlap: int, max_chunks: int) -> None:
        """Creates the keys of a sidecar.

        Args:
            overlap: Tokens that neighbouring chunks of a text share.
            max_chunks: Maximum chunks of a text.
        """
        self._settings = f"{version('undertone-sidecar')}/{overlap}/{max_chunks}"
        self._model: Model | None = None
        self._contracts: dict[OverlengthPolicy, bytes] = {}

    def key(self, model: Model, policy: OverlengthPolicy, text: str) -> bytes:
        """The key of the model's answer to a text."""
        if model is not self._model:
            self._model, self._contracts = model, {each: self._contract(model, each) for each in OverlengthPolicy}
        return blake2b(text.encode(), key=self._contracts[policy], digest_size=_KEY_BYTES).digest()

    def _contract(self, model: Model, policy: OverlengthPolicy) -> bytes:
        """A hash of the scoring contract: 32 bytes."""
        message = model.contract.message.SerializeToString(deterministic=True)
        return blake2b(f"{self._settings}/{policy.value}\0".encode() + message, digest_size=32).digest()
