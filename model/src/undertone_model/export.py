"""Export of a model: a SavedModel for TF Serving, with its tokenizer and contract."""

import re
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tensorflow as tf
from tensorflow_serving.apis import prediction_log_pb2

from undertone_model.contract import INPUTS, MIN_MAX_TOKENS, TOKENIZER_FILE, Precision, write_contract
from undertone_model.data import Sample
from undertone_model.errors import ExportError
from undertone_model.flags import fit_thresholds
from undertone_model.gate import compare_with_fp32
from undertone_model.serving import save_graph
from undertone_model.sources import Source
from undertone_model.special_tokens import SpecialTokens, served_tokenizer
from undertone_model.staging import staged


def export(
    source: Source,
    folder: Path,
    name: str,
    version: int | None = None,
    max_tokens: int | None = None,
    precision: Precision = "fp32",
    sample: Sample | None = None,
    special_tokens: SpecialTokens = "text",
    languages: Sequence[str] = (),
    usual_texts: Sample | None = None,
) -> Path:
    """Writes `folder/<name>/<version>/` and returns it. The default version follows the largest
    version.

    `max_tokens` is the maximum length of a sequence in the contract; the default is the number of
    positions of the model. With bf16, the answers to `sample` must agree with float32; only random
    weights need no sample. `special_tokens` is the meaning of special tokens in a text. With
    `languages`, the thresholds of flags are fitted on `usual_texts` (see `flags`). The files are
    written to another folder that is then renamed, so that a server which watches `folder`
    finds complete versions only (see `staging`).

    Raises ExportError, CheckpointError if the tokenizer cannot read special tokens as text, and
    VerificationError if the answers do not agree.
    """
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.-]*", name):
        raise ExportError(f"--name {name!r} is invalid: use letters, digits, '_', '-' and '.'")
    positions = source.checkpoint.architecture.max_tokens
    max_tokens = positions if max_tokens is None else max_tokens
    if not MIN_MAX_TOKENS <= max_tokens <= positions:
        raise ExportError(
            f"--max-tokens {max_tokens} is invalid: use {MIN_MAX_TOKENS} to {positions}, the maximum of the model"
        )
    needs_comparison = precision != "fp32" and source.weights_sha256 != ""
    if needs_comparison and sample is None:
        raise ExportError(f"an export in {precision} needs a sample of texts to compare it with fp32")
    version = _largest_version(folder / name) + 1 if version is None else version
    target = folder / name / str(version)
    if target.exists():
        raise ExportError(f"{target} exists; use another --version or delete it")
    try:
        with staged(target) as folder:
            tokenizer = served_tokenizer(source.checkpoint.tokenizer, special_tokens)
            (folder / TOKENIZER_FILE).write_bytes(tokenizer.to_str(pretty=True).encode())
            save_graph(source, folder, precision)
            agreement = None
            if needs_comparison and sample is not None:
                agreement = compare_with_fp32(folder, source, sample, max_tokens)
                agreement.check(target)
            _write_warmup_requests(folder, max_tokens)
            limits = fit_thresholds(tokenizer, languages, usual_texts) if languages and usual_texts else None
            message = agreement.message() if agreement else None
            write_contract(folder, source, name, version, max_tokens, precision, message, limits)
    except (OSError, tf.errors.OpError) as error:
        reason = error.strerror if isinstance(error, OSError) else error.message
        raise ExportError(f"cannot write {target}: {reason or error}") from None
    return target


def _largest_version(folder: Path) -> int:
    return max((int(path.name) for path in folder.glob("*") if path.name.isdecimal()), default=0)


def _write_warmup_requests(folder: Path, max_tokens: int) -> None:
    """Writes the requests that TF Serving answers before the version is AVAILABLE.

    They make TensorFlow optimize the graph.
    """
    path = folder / "assets.extra" / "tf_serving_warmup_requests"
    path.parent.mkdir()
    with tf.io.TFRecordWriter(str(path)) as records:
        for length in sorted({min(length, max_tokens) for length in (16, 64, 256, 512)}):
            log = prediction_log_pb2.PredictionLog()
            log.predict_log.request.model_spec.signature_name = "serving_default"
            for name in INPUTS:
                log.predict_log.request.inputs[name].CopyFrom(tf.make_tensor_proto(np.ones((1, length), np.int32)))
            records.write(log.SerializeToString())
