"""Writes the exported files that the sidecar reads: tokenizer.json and contract.json."""

import hashlib
import string
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import tokenizers
from google.protobuf import json_format
from tokenizers import models, normalizers, pre_tokenizers, processors
from undertone_protos.v1 import contract_pb2

from undertone_sidecar.contract import ATTENTION_MASK, CONTRACT_FILE, INPUT_IDS, PROBABILITIES, TOKENIZER_FILE

LABELS: Final = ("joy", "sadness", "anger", "fear", "anticipation", "surprise", "love", "disgust", "neutral")

MAX_TOKENS: Final = 32
"""Maximum tokens of the models of `write_version`."""

_WORDS: Final = ("the", "rain", "had", "stopped", "and", "she", "laughed", "at", "last", "home", "door", "was", "open", "dark")
_SPECIAL: Final = ("[UNK]", "[SEP]", "[PAD]", "[CLS]", "[MASK]")


def tiny_tokenizer() -> tokenizers.Tokenizer:
    """A WordPiece tokenizer like BERT's.

    Its vocabulary is a few words and all ASCII letters and digits.

    The special tokens have unusual ids. Truncation and padding are on, as in the files of
    checkpoints.
    """
    characters = string.ascii_lowercase + string.digits
    pieces = (*_WORDS, *_SPECIAL, *characters, *(f"##{character}" for character in characters), *string.punctuation)
    vocabulary = {piece: number for number, piece in enumerate(pieces)}
    tokenizer = tokenizers.Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 — not a password
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.add_special_tokens(list(_SPECIAL))
    tokenizer.post_processor = processors.BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.enable_truncation(12)
    tokenizer.enable_padding(length=12, pad_id=vocabulary["[PAD]"], pad_token="[PAD]")  # noqa: S106
    return tokenizer


def write_version(
    base: Path,
    version: int,
    *,
    max_tokens: int = MAX_TOKENS,
    labels: tuple[str, ...] = LABELS,
    thresholds: Sequence[float] = (),
    flag_thresholds: contract_pb2.FlagThresholds | None = None,
    windows: contract_pb2.Windows | None = None,
) -> Path:
    """Writes and returns the folder `base`/`version`. The model has the name of `base`.

    Without `thresholds`, it is a single-label model. With a threshold for each label, it is a
    multi-label model. Without `flag_thresholds`, as in the contracts of earlier releases, no result
    has a flag. Without `windows`, likewise, CHUNK_MAX has no windows.
    """
    folder = base / str(version)
    folder.mkdir(parents=True)
    tokenizer = tiny_tokenizer().to_str().encode()
    (folder / TOKENIZER_FILE).write_bytes(tokenizer)
    contract = contract_pb2.ModelContract(
        name=base.name,
        version=version,
        labels=labels,
        tokenizer_sha256=hashlib.sha256(tokenizer).hexdigest(),
        max_tokens=max_tokens,
        inputs=[contract_pb2.TensorContract(name=name, dtype="int32", shape=[-1, -1]) for name in (INPUT_IDS, ATTENTION_MASK)],
        outputs=[contract_pb2.TensorContract(name=PROBABILITIES, dtype="float32", shape=[-1, len(labels)])],
        precision="fp32",
        problem_type=contract_pb2.PROBLEM_TYPE_MULTI_LABEL if thresholds else contract_pb2.PROBLEM_TYPE_SINGLE_LABEL,
        thresholds=thresholds,
        flag_thresholds=flag_thresholds,
        windows=windows,
    )
    (folder / CONTRACT_FILE).write_text(json_format.MessageToJson(contract), "utf-8")
    return folder
