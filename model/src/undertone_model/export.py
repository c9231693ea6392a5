"""A checkpoint as a SavedModel that TF Serving loads, with its tokenizer and contract beside it."""

import re
import shutil
from pathlib import Path

import numpy as np
import tensorflow as tf
from google.protobuf.json_format import MessageToJson
from tensorflow_serving.apis import prediction_log_pb2

from undertone_model import gate, serving
from undertone_model.contract import INPUTS, contract
from undertone_model.errors import ExportError
from undertone_model.precision import Precision
from undertone_model.sample import Sample
from undertone_model.sources import Source


def export(
    source: Source,
    folder: Path,
    name: str,
    number: int | None = None,
    max_tokens: int | None = None,
    precision: Precision = "fp32",
    sample: Sample | None = None,
) -> Path:
    """Writes `folder/<name>/<number>/` and returns it; the default number is one more than the largest there.

    `max_tokens` (default: all positions that the model has) is the longest sequence that the contract will allow. In bf16 the
    answers to `sample` must agree with those in float32; only random weights, which mean nothing, are exported without. The
    folder is written aside and renamed, so that a server that watches it never sees half of it. Raises ExportError, and
    VerificationError if the answers do not agree.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ExportError(f"--name {name!r} cannot name a folder and a model; use letters, digits, '_', '-' and '.'")
    limit = source.checkpoint.architecture.max_position_embeddings
    max_tokens = limit if max_tokens is None else max_tokens
    if not 3 <= max_tokens <= limit:
        raise ExportError(f"--max-tokens {max_tokens} is not between 3 and {limit}, the positions that the model has")
    if precision != "fp32" and source.weights_sha256 and sample is None:
        raise ExportError(f"an export in {precision} needs a sample of texts, to be compared with fp32 by")
    number = _largest(folder / name) + 1 if number is None else number
    target = folder / name / str(number)
    if target.exists():
        raise ExportError(f"{target} exists; choose another --version, or remove it")
    # Servers take every folder whose name is a number for a version.
    aside = target.with_name(f".{number}.writing")
    try:
        shutil.rmtree(aside, ignore_errors=True)
        aside.mkdir(parents=True)
        serving.save(source, aside, precision)
        agreement = None
        if precision != "fp32" and sample is not None and source.weights_sha256:
            agreement = gate.measure(aside, source, sample, max_tokens)
            agreement.check(target)
        _save_warmup(aside, max_tokens)
        tokenizer_json = source.checkpoint.tokenizer.to_str(pretty=True).encode()
        (aside / "tokenizer.json").write_bytes(tokenizer_json)
        message = contract(source, name, number, tokenizer_json, max_tokens, precision, agreement)
        (aside / "contract.json").write_text(MessageToJson(message, preserving_proto_field_name=True) + "\n", encoding="utf-8")
        aside.rename(target)
    except (OSError, tf.errors.OpError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.message
        raise ExportError(f"{target} cannot be written: {reason or error}") from None
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return target


def _largest(folder: Path) -> int:
    return max((int(path.name) for path in folder.glob("*") if path.name.isdecimal()), default=0)


def _save_warmup(folder: Path, max_tokens: int) -> None:
    """Writes the requests that TF Serving answers before it says AVAILABLE, so that the graph is optimized by then."""
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as records:
        for length in sorted({min(length, max_tokens) for length in (16, 64, 256, max_tokens)}):
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.model_spec.signature_name = "serving_default"
            for name in INPUTS:
                log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(np.ones((1, length), np.int32)))
            records.write(log.SerializeToString())
