"""What rounding costs in accuracy: the figures of the export's gate, by what is rounded and what stays in fp32.

    .venv/bin/python -m bench.precision
    .venv/bin/python -m bench.precision --only 'int8, weights alone' --only 'bf16, as exported'

Each row is the emotion model, written as it is exported but with other linear layers, and run through a Session as TF Serving
runs it, beside the same model in fp32. bf16 is computed as the export does it. For int8 the numbers are rounded, and their
products summed in fp32, whose own rounding is nothing beside it. A quarter of an hour on two cores.
"""

import argparse
import re
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from numpy.typing import NDArray
from undertone_model import encoder, gate, sample, serving, sources
from undertone_model.batches import encode
from undertone_model.session import SavedGraph
from undertone_model.sources import Source

HEADER: Final = ("rounded", "other labels", "largest shift", "99 of 100 below", "logits, root mean square", "gate")
Rounding = Callable[[tf.Tensor], tf.Tensor]


def exact(x: tf.Tensor) -> tf.Tensor:
    return x


def to_bf16(x: tf.Tensor) -> tf.Tensor:
    return tf.cast(tf.cast(x, tf.bfloat16), x.dtype)


def to_int8(x: tf.Tensor, axis: int | None = -1) -> tf.Tensor:
    """To 127 steps on each side of zero, a step for each row, or for all of `x` if `axis` is None."""
    step = tf.reduce_max(tf.abs(x), axis=axis, keepdims=True) / 127
    return tf.round(tf.math.divide_no_nan(x, step)) * step


def to_int8_at_once(x: tf.Tensor) -> tf.Tensor:
    return to_int8(x, axis=None)


def to_uint8(x: tf.Tensor) -> tf.Tensor:
    """To 255 steps from the least number of each row to the largest: finer where they are not alike, as after a GELU."""
    low, high = (reduce(x, axis=-1, keepdims=True) for reduce in (tf.reduce_min, tf.reduce_max))
    step = (high - low) / 255
    return tf.round(tf.math.divide_no_nan(x - low, step)) * step + low


def rounded(inputs: Rounding, weights: Rounding = to_int8) -> encoder.Linear:
    """A linear layer of rounded inputs [rows, in] and weights [out, in]: for these, a row is a column of the product."""

    def linear(given: encoder.Weights, name: str, x: tf.Tensor) -> tf.Tensor:
        weight = weights(tf.convert_to_tensor(given[f"{name}.weight"]))
        return encoder.dense({f"{name}.weight": weight, f"{name}.bias": given[f"{name}.bias"]}, name, inputs(x))

    return linear


def bf16(given: encoder.Weights, name: str, x: tf.Tensor) -> tf.Tensor:
    """What the export does."""
    weight = tf.cast(given[f"{name}.weight"], tf.bfloat16)
    return encoder.dense({f"{name}.weight": weight, f"{name}.bias": given[f"{name}.bias"]}, name, x)


def bf16_but_attention(given: encoder.Weights, name: str, x: tf.Tensor) -> tf.Tensor:
    """Attention sums its values up in their type."""
    y = bf16(given, name, x)
    return tf.cast(y, tf.float32) if name.endswith("value") else y


def where(names: str, linear: encoder.Linear) -> encoder.Linear:
    """`linear` for the layers of the encoder in whose name `names`, a regular expression, is found; fp32 for the others."""

    def chosen(given: encoder.Weights, name: str, x: tf.Tensor) -> tf.Tensor:
        return (linear if re.search(names, name) else encoder.dense)(given, name, x)

    return chosen


ALL: Final = "encoder|pooler"
PRODUCTS: Final[Mapping[str, encoder.Linear]] = {
    "bf16, as exported": where(ALL, bf16),
    "bf16, but all of attention's products": where(ALL, bf16_but_attention),
    "bf16, but the whole first layer": where(r"layer\.[1-9]|pooler", bf16),
    "bf16, weights alone": where(ALL, rounded(exact, to_bf16)),
    "int8, one scale for a batch": where(ALL, rounded(to_int8_at_once)),
    "int8, a scale for each token": where(ALL, rounded(to_int8)),
    "uint8 from each token's least to its largest": where(ALL, rounded(to_uint8)),
    "int8, weights alone": where(ALL, rounded(exact)),
    "int8, inputs alone": where(ALL, rounded(to_int8, exact)),
    "int8, but the second product of feed-forward": where(r"self|attention|intermediate|pooler", rounded(to_int8)),
    "int8, feed-forward alone": where(r"\d\.(intermediate|output)", rounded(to_int8)),
    "int8, the first product of feed-forward alone": where("intermediate", rounded(to_int8)),
    "int8, the second product of feed-forward alone": where(r"\d\.output", rounded(to_int8)),
    "int8, queries, keys and values alone": where("self", rounded(to_int8)),
    "int8, queries and keys alone": where("query|key", rounded(to_int8)),
    "int8, the last layer but one alone": where(r"layer\.4", rounded(to_int8)),
    "int8, the last layer but one's feed-forward alone": where(r"layer\.4\.(intermediate|output)", rounded(to_int8)),
    "int8, the last layer alone": where(r"layer\.5", rounded(to_int8)),
    "int8, the last layer alone, one scale for a batch": where(r"layer\.5", rounded(to_int8_at_once)),
}


def main() -> None:
    given = _parser().parse_args()
    source = sources.from_adapters(given.base, "stories")
    texts = sample.read(given.sample)
    tokens = encode(source.checkpoint.tokenizer, texts.texts, source.checkpoint.architecture.max_position_embeddings)
    expected = answers(source, encoder.dense, tokens)
    for cells in (HEADER, ["---"] * len(HEADER)):
        print("|", " | ".join(cells), "|", flush=True)
    for name in given.only or PRODUCTS:
        found = answers(source, PRODUCTS[name], tokens)
        agreement = gate.agreement(texts, found, expected)
        shifts = np.abs(found - expected).max(axis=1)
        cells = (
            name,
            f"{agreement.label_flips * agreement.rows:.0f} ({agreement.label_flips:.2%})",
            f"{agreement.largest_shift:.4f}",
            f"{np.quantile(shifts, 0.99):.4f}",
            f"{np.sqrt(np.mean((logits(found) - logits(expected)) ** 2)):.4f}",
            "passes" if agreement.passes else "fails",
        )
        print("|", " | ".join(cells), "|", flush=True)


def answers(source: Source, linear: encoder.Linear, tokens: list[list[int]]) -> NDArray[np.float64]:
    """Probabilities [texts, labels] of the graph with `linear` as its linear layers."""
    with tempfile.TemporaryDirectory(prefix="undertone-") as folder:
        serving.save(source, Path(folder), "fp32", linear)
        with SavedGraph(Path(folder)) as graph:
            return graph.run(tokens)


def logits(probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
    """Centred, as a softmax does not tell how far from zero they were."""
    scores = np.log(probabilities)
    return np.asarray(scores - scores.mean(axis=1, keepdims=True))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", action="append", choices=list(PRODUCTS), metavar="NAME", help="a row; may be repeated")
    parser.add_argument("--base", metavar="DIR|HUB_ID", help="the encoder (default: all-MiniLM-L6-v2 from its package)")
    parser.add_argument(
        "--sample", type=Path, default=Path("model/data/stories"), help="texts, as `undertone-model verify` takes them"
    )
    return parser


if __name__ == "__main__":
    main()
