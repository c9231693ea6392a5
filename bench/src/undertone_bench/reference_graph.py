"""BERT as Keras layers write it: the baseline for exports, and the input for OpenVINO.

    python -m undertone_bench.reference_graph build/models/emotions/1 FOLDER

The graph has the export's original weights in fp32, independent of the export's precision.
"""

import sys
from pathlib import Path

import tensorflow as tf
from undertone_model import serving, sources
from undertone_model.contract import INPUTS, OUTPUT, read_contract
from undertone_model.sources import Source


def save(source: Source, folder: Path) -> None:
    """Write the graph that Keras layers produce.

    Tensors are [batch, length, hidden]. Matrices are [in, out] and multiplied with tensordot. Layer
    norms consist of basic operations. The mask is sliced and broadcast. Every layer computes all
    tokens.
    """
    architecture, weights = source.checkpoint.architecture, serving.calibrated_weights(source)
    heads = architecture.num_attention_heads
    size = architecture.hidden_size // heads
    module = tf.Module()
    module.weights = {
        name: tf.Variable(array.T if array.ndim == 2 and "embeddings" not in name else array, trainable=False, name=name)
        for name, array in weights.items()
    }

    def dense(name: str, x: tf.Tensor) -> tf.Tensor:
        return tf.nn.bias_add(tf.tensordot(x, module.weights[f"{name}.weight"], 1), module.weights[f"{name}.bias"])

    def norm(name: str, x: tf.Tensor) -> tf.Tensor:
        mean, variance = tf.nn.moments(x, [-1], keepdims=True)
        shift, scale = (module.weights[f"{name}.{part}"] for part in ("bias", "weight"))
        return tf.nn.batch_normalization(x, mean, variance, shift, scale, architecture.layer_norm_eps)

    def split(name: str, x: tf.Tensor) -> tf.Tensor:
        return tf.transpose(tf.reshape(dense(name, x), [tf.shape(x)[0], -1, heads, size]), [0, 2, 1, 3])

    def embed(ids: tf.Tensor) -> tf.Tensor:
        words, positions, segments = (
            module.weights[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type")
        )
        total = tf.gather(words, ids) + tf.gather(positions, tf.range(tf.shape(ids)[1]))[None]
        return norm("embeddings.LayerNorm", total + tf.gather(segments, tf.zeros_like(ids)))

    @tf.function(  # type: ignore[untyped-decorator]
        autograph=False, input_signature=[tf.TensorSpec([None, None], tf.int32, name) for name in INPUTS]
    )
    def serve(input_ids: tf.Tensor, attention_mask: tf.Tensor) -> dict[str, tf.Tensor]:
        hidden = embed(input_ids)
        bias = (1.0 - tf.cast(attention_mask, tf.float32))[:, None, None, :] * -1e9
        for layer in range(architecture.num_hidden_layers):
            prefix = f"encoder.layer.{layer}."
            queries, keys, values = (split(f"{prefix}attention.self.{name}", hidden) for name in ("query", "key", "value"))
            scores = tf.matmul(queries, keys, transpose_b=True) / tf.constant(size**0.5) + bias
            context = tf.transpose(tf.matmul(tf.nn.softmax(scores), values), [0, 2, 1, 3])
            attended = dense(prefix + "attention.output.dense", tf.reshape(context, tf.shape(hidden)))
            attention = norm(prefix + "attention.output.LayerNorm", attended + hidden)
            inner = tf.nn.gelu(dense(prefix + "intermediate.dense", attention), approximate=False)
            hidden = norm(prefix + "output.LayerNorm", dense(prefix + "output.dense", inner) + attention)
        return {OUTPUT: tf.nn.softmax(dense("classifier", tf.tanh(dense("pooler.dense", hidden[:, 0]))))}

    tf.saved_model.save(module, str(folder), signatures={"serving_default": serve})


def source_of(export: Path) -> Source | None:
    """The source of an export. None if its weights are neither random nor the emotion model's."""
    contract = read_contract(export)
    if not contract.weights_sha256:
        return sources.random_weights(contract.name) if contract.name in sources.ARCHITECTURES else None
    emotions = sources.from_adapters(None, "stories")
    return emotions if emotions.weights_sha256 == contract.weights_sha256 else None


def main() -> None:
    export, folder = map(Path, sys.argv[1:])
    source = source_of(export)
    if source is None:
        sys.exit(f"{export} has weights of unknown origin: use a random model or the emotion model")
    save(source, folder)


if __name__ == "__main__":
    main()
