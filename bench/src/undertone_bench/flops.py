"""Floating-point operations of a forward pass.

Counts the matrix products and the attention of the exported graph, without padding. A
multiplication and an addition are two operations. With n tokens, L layers, hidden size h and
intermediate size i:

    (L - 1) layers          2n (4h² + 2hi) + 4n²h
    the last layer          2n · 2h² + 2 (2h² + 2hi) + 4nh

The last layer computes only the first token's vector. Embeddings, layer norms and the head are
less than 1 % of the operations and are not counted.
"""

from collections.abc import Iterable

from undertone_protos.v1.contract_pb2 import Architecture


def operations(architecture: Architecture, lengths: Iterable[int]) -> int:
    """Floating-point operations for sequences of these lengths in tokens."""
    layers, hidden, intermediate = architecture.layers, architecture.hidden_size, architecture.intermediate_size
    attention_weights, feed_forward_weights = hidden * hidden, hidden * intermediate
    total = 0
    for tokens in lengths:
        layer = 2 * tokens * (4 * attention_weights + 2 * feed_forward_weights) + 4 * tokens * tokens * hidden
        last = 4 * tokens * attention_weights + 2 * (2 * attention_weights + 2 * feed_forward_weights) + 4 * tokens * hidden
        total += (layers - 1) * layer + last
    return total
