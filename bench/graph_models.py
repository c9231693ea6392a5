"""The graphs that `graph_arms` times: exports, BERT as it is commonly written, and an export that multiplies in int8.

    .venv/bin/python -m bench.graph_models build/bench/graphs conventional int8 --random bert-base

Writes SavedModels of random weights, each to a folder of its name. That in int8 does not pass the gate, as `precision` shows.
"""

import argparse
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

import numpy as np
import tensorflow as tf
from tensorflow.core.framework.attr_value_pb2 import AttrValue
from undertone_bench import conventional
from undertone_model import encoder, serving, sources
from undertone_model.sources import Source


def quantized(weights: encoder.Weights, name: str, x: tf.Tensor) -> tf.Tensor:
    """A linear layer of the encoder in int8, with bias, as stock TensorFlow has it; nothing else is fused.

    There is a scale for each column of the weights, and one, found anew in each call, for the whole of the input.
    """
    if name == "classifier":
        return encoder.dense(weights, name, x)
    with tf.init_scope():
        columns = weights[f"{name}.weight"].numpy().T
    largest = np.abs(columns).max(axis=0)
    steps = tf.bitcast(tf.constant(np.round(columns / largest * 127).astype(np.int8)), tf.qint8)
    most = tf.reduce_max(tf.abs(x))
    given, low, high = tf.quantization.quantize(
        x, -most, most, tf.qint8, mode="SCALED", round_mode="HALF_TO_EVEN", narrow_range=True
    )
    inputs = [given, steps, weights[f"{name}.bias"], low, high, tf.constant(-largest), tf.constant(largest)]
    # Of the names that begin with an underscore, which the graph's optimizer puts in for others, there is no function.
    graph = tf.compat.v1.get_default_graph()
    product = graph.create_op("_QuantizedMatMul", inputs, [tf.float32], attrs=_attributes(inputs), name="quantized_product")
    return product.outputs[0]


def _attributes(inputs: Sequence[tf.Tensor]) -> dict[str, AttrValue]:
    def types(*found: tf.DType) -> AttrValue:
        return AttrValue(list=AttrValue.ListValue(type=[dtype.as_datatype_enum for dtype in found]))

    def of(dtype: tf.DType) -> AttrValue:
        return AttrValue(type=dtype.as_datatype_enum)

    return {
        **{name: of(tf.qint8) for name in ("T1", "T2")},
        **{name: of(tf.float32) for name in ("Tbias", "Tout", "U")},
        **{name: AttrValue(b=False) for name in ("transpose_a", "transpose_b")},
        **{name: AttrValue(b=True) for name in ("is_weight_const", "is_bias_const")},
        **{name: AttrValue(s=b"SCALED") for name in ("input_quant_mode", "output_quant_mode")},
        **{name: types() for name in ("Thost_inputs", "Thost_outputs")},
        "fused_ops": AttrValue(list=AttrValue.ListValue(s=[b"BiasAdd", b"Dequantize"])),
        "Tdevice_inputs": types(*(tensor.dtype for tensor in inputs)),
        "Tdevice_outputs": types(tf.float32),
    }


GRAPHS: Final[Mapping[str, Callable[[Source, Path], None]]] = {
    "conventional": conventional.save,
    "fp32": lambda source, folder: serving.save(source, folder, "fp32"),
    "bf16": lambda source, folder: serving.save(source, folder, "bf16"),
    "int8": lambda source, folder: serving.save(source, folder, "fp32", quantized),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path, help="where to write them")
    parser.add_argument("graphs", nargs="+", choices=GRAPHS, metavar="GRAPH", help=", ".join(GRAPHS))
    parser.add_argument("--random", choices=sources.ARCHITECTURES, default="bert-base", help="its size (default: bert-base)")
    given = parser.parse_args()
    source = sources.random(given.random)
    for name in given.graphs:
        GRAPHS[name](source, given.folder / name)


if __name__ == "__main__":
    main()
