"""The lengths of the model's inputs, and what a sequence of each length costs."""

import math
from bisect import bisect_left
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self

from undertone_protos.v1 import contract_pb2

_SHORTEST: Final = 16
_SHORTEST_STEP: Final = 8
_STEPS_PER_OCTAVE: Final = 8

_LONGEST_WARM: Final = 1024
"""The longest length that is warmed up, apart from the maximum.

The first call of a length takes milliseconds more than the next one. A call of a longer sequence
takes seconds, so a warm-up would gain nothing and occupy the model server.
"""

_WARM_EVERY: Final = 4
"""Every fourth length is warmed up before the sidecar is ready."""

_LINEAR_LENGTH: Final = 512
"""The length in tokens up to which each token costs the same."""

_ATTENTION_SLOWDOWN: Final = 1.4
"""Duration of an operation of attention, relative to one of the linear layers.

Attention reads and writes more memory for each operation. Measured: 1.0 to 1.5 with the sizes of
MiniLM and BERT-base and 2048 or 4096 tokens.
"""

_FULL_ATTENTION: Final[Mapping[str, float]] = {"modernbert": 1 / 3}
"""Share of the layers in which a token attends to all tokens, by type of the architecture. By
default all. Attention of the other layers costs little."""


@dataclass(frozen=True, slots=True)
class PaddedLengths:
    """Sequence lengths in tokens to which batches are padded, ascending.

    The last length is the model's maximum. The model server optimizes its graph once for each
    length, whatever the number of rows, so there are few lengths. The steps grow with the length,
    so that padding adds about four percent to paragraphs of any length.

    Attributes:
        values: The lengths.
        attention_length: Length in tokens at which attention takes as long as the linear layers.
    """

    values: tuple[int, ...]
    attention_length: float = math.inf

    @classmethod
    def up_to(cls, max_tokens: int, attention_length: float = math.inf) -> Self:
        """Lengths for a model that accepts at most `max_tokens`, special tokens included."""
        values = []
        length = _SHORTEST
        while length < max_tokens:
            values.append(length)
            octave = 1 << (length.bit_length() - 1)
            length += max(_SHORTEST_STEP, octave // _STEPS_PER_OCTAVE)
        return cls((*values, max_tokens), attention_length)

    @property
    def warm_before_ready(self) -> tuple[int, ...]:
        """Lengths to warm up before the sidecar is ready.

        The maximum is one of them, so that a model server without the memory for it is noticed.
        """
        return (*self._warm[::_WARM_EVERY], self.values[-1])

    @property
    def warm_later(self) -> tuple[int, ...]:
        """The other lengths to warm up, while the sidecar serves."""
        return tuple(length for index, length in enumerate(self._warm) if index % _WARM_EVERY)

    @property
    def _warm(self) -> tuple[int, ...]:
        return tuple(length for length in self.values[:-1] if length <= _LONGEST_WARM)

    def fit(self, tokens: int) -> int:
        """The shortest length that holds `tokens`."""
        return self.values[bisect_left(self.values, tokens)]

    def cost(self, length: int) -> int:
        """The number of tokens, in sequences of 512 tokens, that take as long as one of `length`.

        Each token attends to all tokens of its sequence, so a token of a longer sequence costs
        more. Up to 512 tokens, the cost is the length: the difference is small.
        """
        if length <= _LINEAR_LENGTH:
            return length
        return math.ceil(length * (1 + length / self.attention_length) / (1 + _LINEAR_LENGTH / self.attention_length))


def attention_length(architecture: contract_pb2.Architecture) -> float:
    """Length in tokens at which attention takes as long as the linear layers of the encoder.

    A token takes two operations for each weight of the linear layers. In each layer, it takes four
    for each token of its sequence and each element of a hidden vector. Infinite if the contract
    does not describe the architecture.
    """
    layers = architecture.layers * _FULL_ATTENTION.get(architecture.type, 1)
    attention = _ATTENTION_SLOWDOWN * 4 * layers * architecture.hidden_size
    return 2 * architecture.encoder_parameters / attention if architecture.encoder_parameters and attention else math.inf
