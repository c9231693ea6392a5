"""Rows to tensors."""

from collections.abc import Sequence

import numpy as np

from undertone_sidecar.backend import Batch
from undertone_sidecar.batching.item import Encoded


def assemble(items: Sequence[Encoded], length: int) -> Batch:
    """The tensors of a batch, padded to `length` tokens. The padding's id does not matter: the mask hides it."""
    input_ids = np.zeros((len(items), length), dtype=np.int32)
    attention_mask = np.zeros_like(input_ids)
    for row, item in enumerate(items):
        tokens = len(item.ids)
        input_ids[row, :tokens] = item.ids
        attention_mask[row, :tokens] = 1
    return Batch(items[0].version, input_ids, attention_mask)
