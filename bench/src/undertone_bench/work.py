"""How much arithmetic an answer needs.

Counted is what the exported graph computes for the tokens of a sequence, without padding: matrix products and attention, a
multiplication and an addition being two operations. With n tokens, L layers, hidden size h and inner size i:

    (L - 1) layers          2n (4h² + 2hi) + 4n²h
    the last layer          2n · 2h² + 2 (2h² + 2hi) + 4nh

because in the last layer only the first token's vector is used. Embeddings, layer norms and the head are left out: less than
one operation in a hundred.
"""

from collections.abc import Iterable

from undertone_protos.v1.contract_pb2 import Architecture


def operations(architecture: Architecture, sequences: Iterable[int]) -> int:
    """Floating-point operations that sequences of so many tokens need."""
    layers, hidden, inner = architecture.layers, architecture.hidden_size, architecture.intermediate_size
    square, across = hidden * hidden, hidden * inner
    total = 0
    for tokens in sequences:
        layer = 2 * tokens * (4 * square + 2 * across) + 4 * tokens * tokens * hidden
        last = 4 * tokens * square + 2 * (2 * square + 2 * across) + 4 * tokens * hidden
        total += (layers - 1) * layer + last
    return total
