"""Outputs of the lower layers of an encoder, which are kept in memory, and its upper layers."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from tokenizers import Tokenizer

from undertone_model import encoder
from undertone_model.architecture import Architecture
from undertone_model.batches import encode, make_batches
from undertone_model.kept_array import KeptArray
from undertone_model.later_stages import mixed_dense

PADDED_TOKENS = 2048
"""Tokens of a batch without gradients, padding included."""

BATCHES_PER_SAVE: Final = 50
"""Batches after which the outputs are saved, which take about a minute."""


class KeptStates:
    """The output of the first `layers` layers for all tokens of some texts, in float16."""

    rows: Mapping[str, list[int]]
    """Numbers of the tokens of each text, which take the place of its token ids."""

    def __init__(
        self,
        weights: encoder.Weights,
        architecture: Architecture,
        layers: int,
        tokenizer: Tokenizer,
        texts: Sequence[str],
        max_tokens: int,
        max_padded_tokens: int = PADDED_TOKENS,
        path: Path | None = None,
    ) -> None:
        """Computes the output for `texts`, which differ, truncated to `max_tokens`.

        With `path`, the output is saved there from time to time, and a computation that was ended
        continues.
        """
        self._architecture, self._layers = architecture, layers
        ids = encode(tokenizer, texts, max_tokens)
        ends = np.cumsum([len(row) for row in ids])
        self.rows = {text: list(range(end - len(row), end)) for text, row, end in zip(texts, ids, ends.tolist(), strict=True)}

        @tf.function(  # type: ignore[untyped-decorator]
            autograph=False,
            input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int32)],
        )
        def run(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> tf.Tensor:
            hidden = encoder.lower_states(weights, architecture, layers, input_ids, attention_mask, linear=mixed_dense)
            return tf.cast(tf.boolean_mask(hidden, tf.reshape(attention_mask, [-1]) > 0), tf.float16)

        shape = (int(ends[-1]), architecture.hidden_size)
        kept = KeptArray(path, _hash(weights, layers, ids, max_padded_tokens), shape) if path else None
        states = kept.array if kept else np.empty(shape, np.float16)
        places = list(self.rows.values())
        batches = list(make_batches(ids, max_padded_tokens))
        for number, batch in list(enumerate(batches, 1))[kept.parts if kept else 0 :]:
            states[[place for row in batch.rows.tolist() for place in places[row]]] = run(
                batch.input_ids, batch.attention_mask
            ).numpy()
            if kept and (number % BATCHES_PER_SAVE == 0 or number == len(batches)):
                kept.save(number)
        self._states = tf.constant(states)

    def hidden(self, rows: tf.Tensor) -> tf.Tensor:
        """The output [texts x length, hidden] of the lower layers for `rows` [texts, length], in
        float32.
        """
        return tf.cast(tf.gather(self._states, tf.reshape(rows, [-1])), tf.float32)

    def logits(
        self, weights: encoder.Weights, rows: tf.Tensor, mask: tf.Tensor, dropout: encoder.Dropout = encoder.no_dropout
    ) -> tf.Tensor:
        """Logits [texts, labels] of the tokens `rows` [texts, length] with the upper layers."""
        return encoder.upper_logits(
            weights, self._architecture, self._layers, self.hidden(rows), mask, dropout, linear=mixed_dense
        )

    def vectors(self, weights: encoder.Weights, rows: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        """Vectors [texts, hidden], which the head classifies, of the tokens `rows`."""
        return encoder.text_vectors(weights, self._architecture, self._layers, self.hidden(rows), mask, linear=mixed_dense)


def compute(
    function: Callable[[encoder.Weights, tf.Tensor, tf.Tensor], tf.Tensor],
    weights: encoder.Weights,
    texts: Sequence[Sequence[int]],
) -> NDArray[np.float32]:
    """The results [texts, columns] of `logits` or `vectors` of KeptStates, in the order of `texts`,
    which have the numbers of their tokens.
    """

    @tf.function(  # type: ignore[untyped-decorator]
        autograph=False, input_signature=[tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.int32)]
    )
    def run(rows: tf.Tensor, mask: tf.Tensor) -> tf.Tensor:
        return function(weights, rows, mask)

    batches = list(make_batches(texts, PADDED_TOKENS))
    results = np.concatenate([run(batch.input_ids, batch.attention_mask).numpy() for batch in batches])
    return np.asarray(results[np.argsort(np.concatenate([batch.rows for batch in batches]))])


def _hash(weights: encoder.Weights, layers: int, ids: Sequence[Sequence[int]], max_padded_tokens: int) -> str:
    """A hash of everything that determines the outputs."""
    digest = hashlib.sha256(f"{layers} {max_padded_tokens} {ids}".encode())
    for name, tensor in sorted(weights.items()):
        # The head and the upper layers have no effect on the lower layers.
        if not name.startswith(("pooler.", "classifier.")):
            digest.update(name.encode() + tensor.numpy().tobytes())
    return digest.hexdigest()
