"""Graphs to compare: exports, a conventional BERT, and an export in int8.

    python -m undertone_bench.graph_variants FOLDER SIZE GRAPH...

Writes SavedModels with random weights, each to a folder with the graph's name. The int8 graph does
not pass the export's gate, as `undertone-bench graph precision` shows.
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.attr_value_pb2 import AttrValue
from undertone_model import encoder, serving, sources
from undertone_model.sources import Source

from undertone_bench import reference_graph


def int8_linear(weights: encoder.Weights, name: str, x: tf.Tensor) -> tf.Tensor:
    """A linear layer of the encoder in int8 with bias, by stock TensorFlow, without further fusion.

    Weights have one scale per column. Inputs have one scale in all, computed in each call.
    """
    if name == "classifier":
        return encoder.dense(weights, name, x)
    with tf.init_scope():
        columns = weights[f"{name}.weight"].numpy().T
    weight_maximum = np.abs(columns).max(axis=0)
    quantized_weights = tf.bitcast(tf.constant(np.round(columns / weight_maximum * 127).astype(np.int8)), tf.qint8)
    maximum = tf.reduce_max(tf.abs(x))
    quantized, low, high = tf.quantization.quantize(
        x, -maximum, maximum, tf.qint8, mode="SCALED", round_mode="HALF_TO_EVEN", narrow_range=True
    )
    bounds = [tf.constant(-weight_maximum), tf.constant(weight_maximum)]
    return quantized_product([quantized, quantized_weights, weights[f"{name}.bias"], low, high, *bounds])


def quantized_product(inputs: Sequence[tf.Tensor], fused: Sequence[str] = ("BiasAdd", "Dequantize")) -> tf.Tensor:
    """TensorFlow's operation `_QuantizedMatMul`, whose result is in float32.

    `inputs` are the inputs [rows, in] and weights [in, out] in int8, the bias, what `fused` needs
    beside them, and the bounds of inputs and weights.
    """
    # TensorFlow has no Python function for operations whose name starts with an underscore.
    graph = tf.compat.v1.get_default_graph()
    attributes = _attributes(inputs, fused)
    return graph.create_op("_QuantizedMatMul", list(inputs), [tf.float32], attrs=attributes, name="quantized_product").outputs[
        0
    ]


def _attributes(inputs: Sequence[tf.Tensor], fused: Sequence[str]) -> dict[str, AttrValue]:
    def types(*dtypes: tf.DType) -> AttrValue:
        return AttrValue(list=AttrValue.ListValue(type=[dtype.as_datatype_enum for dtype in dtypes]))

    def of(dtype: tf.DType) -> AttrValue:
        return AttrValue(type=dtype.as_datatype_enum)

    return {
        **{name: of(tf.qint8) for name in ("T1", "T2")},
        **{name: of(tf.float32) for name in ("Tbias", "Tout", "U")},
        **{name: AttrValue(b=False) for name in ("transpose_a", "transpose_b")},
        **{name: AttrValue(b=True) for name in ("is_weight_const", "is_bias_const")},
        **{name: AttrValue(s=b"SCALED") for name in ("input_quant_mode", "output_quant_mode")},
        **{name: types() for name in ("Thost_inputs", "Thost_outputs")},
        "fused_ops": AttrValue(list=AttrValue.ListValue(s=[operation.encode() for operation in fused])),
        "Tdevice_inputs": types(*(tensor.dtype for tensor in inputs)),
        "Tdevice_outputs": types(tf.float32),
    }


GRAPHS: Final[Mapping[str, Callable[[Source, Path], None]]] = {
    "conventional": reference_graph.save,
    "fp32": lambda source, folder: serving.save_graph(source, folder, "fp32"),
    "bf16": lambda source, folder: serving.save_graph(source, folder, "bf16"),
    "int8": lambda source, folder: serving.save_graph(source, folder, "fp32", int8_linear),
}


def main() -> None:
    folder, size, *names = sys.argv[1:]
    source = sources.random_weights(size)
    for name in names:
        GRAPHS[name](source, Path(folder) / name)


if __name__ == "__main__":
    main()
