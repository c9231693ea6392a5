"""The emotion model with rounded linear layers, and its differences from fp32."""

import re
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from undertone_model import encoder, gate, serving, sources
from undertone_model.batches import encode
from undertone_model.data import load_sample
from undertone_model.session import SavedModelSession
from undertone_model.sources import Source

from undertone_bench import rounding_training
from undertone_bench.calibrated_rounding import CalibratedRounding, Rounding, calibrate, rounded_linear

HEADER: Final = ("different labels", "largest difference", "99th percentile", "logits, root mean square", "gate")


def unrounded(x: tf.Tensor) -> tf.Tensor:
    return x


def to_bf16(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(x, tf.bfloat16), x.dtype)


def to_int8(x: tf.Tensor, axis: int | None = -1) -> tf.Tensor:
    """Symmetric rounding to 127 steps on each side of zero.

    Each row has a scale, or the tensor has one if `axis` is None.
    """
    step = tf.reduce_max(tf.abs(x), axis=axis, keepdims=True) / 127
    return tf.round(tf.math.divide_no_nan(x, step)) * step


def to_int8_per_tensor(x: tf.Tensor) -> tf.Tensor:
    return to_int8(x, axis=None)


def to_uint8(x: tf.Tensor) -> tf.Tensor:
    """Rounding to 255 steps from each row's minimum to its maximum.

    The steps are finer for skewed rows, as after a GELU.
    """
    low, high = (reduce(x, axis=-1, keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    step = (high - low) / 255
    return tf.round(tf.math.divide_no_nan(x - low, step)) * step + low


def to_int8_in_two_parts(x: tf.Tensor) -> tf.Tensor:
    """Sum of two numbers in int8: the rounded row, and its rounding error, rounded with a scale 254
    times as fine. A layer then needs two products.
    """
    step = tf.reduce_max(tf.abs(x), axis=-1, keepdims=True) / 127
    first = tf.round(tf.math.divide_no_nan(x, step)) * step
    return first + tf.round(tf.math.divide_no_nan(x - first, step / 254)) * step / 254


def rounded(round_inputs: Rounding, round_weights: Rounding = to_int8) -> encoder.Linear:
    """A linear layer of rounded inputs [rows, in] and rounded weights [out, in]."""

    def linear(weights: encoder.Weights, name: str, x: tf.Tensor) -> tf.Tensor:
        weight = round_weights(tf.convert_to_tensor(weights[f"{name}.weight"]))
        return encoder.dense({f"{name}.weight": weight, f"{name}.bias": weights[f"{name}.bias"]}, name, round_inputs(x))

    return linear


def bf16(weights: encoder.Weights, name: str, x: tf.Tensor) -> tf.Tensor:
    """A linear layer in bf16, as in the export."""
    weight = tf.cast(weights[f"{name}.weight"], tf.bfloat16)
    return encoder.dense({f"{name}.weight": weight, f"{name}.bias": weights[f"{name}.bias"]}, name, x)


def bf16_except_attention(weights: encoder.Weights, name: str, x: tf.Tensor) -> tf.Tensor:
    """A linear layer in bf16 whose values are fp32, so that attention sums them in fp32."""
    y = bf16(weights, name, x)
    return tf.cast(y, tf.float32) if name.endswith("value") else y


def only_layers(pattern: str, linear: encoder.Linear) -> encoder.Linear:
    """`linear` for layers whose name matches the regular expression, and fp32 for other layers."""

    def selected(weights: encoder.Weights, name: str, x: tf.Tensor) -> tf.Tensor:
        return (linear if re.search(pattern, name) else encoder.dense)(weights, name, x)

    return selected


ALL: Final = "encoder|pooler"
ROUNDINGS: Final[Mapping[str, encoder.Linear]] = {
    "bf16, as exported": only_layers(ALL, bf16),
    "bf16, except attention's products": only_layers(ALL, bf16_except_attention),
    "bf16, except the first layer": only_layers(r"layer\.[1-9]|pooler", bf16),
    "bf16, weights only": only_layers(ALL, rounded(unrounded, to_bf16)),
    "int8, one scale per batch": only_layers(ALL, rounded(to_int8_per_tensor)),
    "int8, one scale per token": only_layers(ALL, rounded(to_int8)),
    "uint8, from each token's minimum to its maximum": only_layers(ALL, rounded(to_uint8)),
    "int8, weights only": only_layers(ALL, rounded(unrounded)),
    "int8, inputs only": only_layers(ALL, rounded(to_int8, unrounded)),
    "int8, except the second product of feed-forward": only_layers(r"self|attention|intermediate|pooler", rounded(to_int8)),
    "int8, feed-forward only": only_layers(r"\d\.(intermediate|output)", rounded(to_int8)),
    "int8, the first product of feed-forward only": only_layers("intermediate", rounded(to_int8)),
    "int8, the second product of feed-forward only": only_layers(r"\d\.output", rounded(to_int8)),
    "int8, queries, keys and values only": only_layers("self", rounded(to_int8)),
    "int8, queries and keys only": only_layers("query|key", rounded(to_int8)),
    "int8, the last layer but one only": only_layers(r"layer\.4", rounded(to_int8)),
    "int8, feed-forward of the last layer but one only": only_layers(r"layer\.4\.(intermediate|output)", rounded(to_int8)),
    "int8, the last layer only": only_layers(r"layer\.5", rounded(to_int8)),
    "int8, the last layer only, one scale per batch": only_layers(r"layer\.5", rounded(to_int8_per_tensor)),
}

CALIBRATED: Final[Mapping[str, CalibratedRounding]] = {
    "int8, weights only, smoothed inputs": CalibratedRounding(unrounded, unrounded, compensated=False),
    "int8, weights only, smoothed inputs, compensated errors": CalibratedRounding(unrounded, unrounded),
    "int8, smoothed inputs, compensated errors": CalibratedRounding(to_int8, to_uint8),
    "int8, the same, with two parts of the inputs of feed-forward's second product": CalibratedRounding(
        to_int8, to_int8_in_two_parts
    ),
    "int8, the same, with two parts of all inputs": CalibratedRounding(to_int8_in_two_parts, to_int8_in_two_parts),
}
"""Roundings of weights that are adjusted to the inputs of calibration texts. The scales of inputs
are per token.
"""

TRAINED: Final[Mapping[str, str]] = {
    f"{name}, trained": name
    for name in ("int8, smoothed inputs, compensated errors", "int8, the same, with two parts of all inputs")
}
"""Names of CALIBRATED roundings with which the adapters are trained."""

NAMES: Final = (*ROUNDINGS, *CALIBRATED, *TRAINED)


def compare(names: Sequence[str], base: str | None, sample_path: Path) -> Iterator[tuple[str, ...]]:
    """A row with the columns of HEADER for each of NAMES in `names`."""
    source = sources.from_adapters(base, "stories")
    texts = load_sample(sample_path)
    tokens = encode(source.checkpoint.tokenizer, texts.texts, source.checkpoint.architecture.max_tokens)
    expected = _probabilities(source, encoder.dense, tokens)
    weights = serving.calibrated_weights(source)
    statistics = calibrate(source, weights) if set(names) - set(ROUNDINGS) else {}
    for name in names:
        trained = source
        if name in ROUNDINGS:
            linear = ROUNDINGS[name]
        else:
            layers = CALIBRATED[TRAINED.get(name, name)].layers(weights, statistics)
            if name in TRAINED:
                trained, layers = rounding_training.train(source, base, layers)
            linear = rounded_linear(layers)
        found = _probabilities(trained, linear, tokens)
        agreement = gate.compare(texts, found, expected)
        differences = np.abs(found - expected).max(axis=1)
        yield (
            f"{agreement.label_flips * agreement.rows:.0f} ({agreement.label_flips:.2%})",
            f"{agreement.largest_shift:.4f}",
            f"{np.quantile(differences, 0.99):.4f}",
            f"{np.sqrt(np.mean((_logits(found) - _logits(expected)) ** 2)):.4f}",
            "passes" if agreement.passes else "fails",
        )


def _probabilities(source: Source, linear: encoder.Linear, tokens: list[list[int]]) -> NDArray[np.float64]:
    """Probabilities [texts, labels] of the exported graph with these linear layers."""
    with tempfile.TemporaryDirectory(prefix="undertone-") as folder:
        serving.save_graph(source, Path(folder), "fp32", linear)
        with SavedModelSession(Path(folder)) as graph:
            return graph.run(tokens)


def _logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred logits: a softmax determines them only up to a constant."""
    scores = np.log(probabilities)
    return np.asarray(scores - scores.mean(axis=1, keepdims=True))
