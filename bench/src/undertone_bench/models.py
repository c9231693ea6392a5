"""Models to measure, as folders that a model server can serve, and batches for them."""

import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

import numpy as np
import numpy.typing as npt
import undertone_model
from google.protobuf.json_format import Parse
from tokenizers import Tokenizer
from undertone_protos.v1.contract_pb2 import ModelContract
from undertone_sidecar.chunks import OverlengthPolicy, split

from undertone_bench.errors import BenchError

DEMO: Final = Path("build/models/emotions")
FAMILY_MODELS: Final = (
    *("bert-base", "roberta-base", "distilbert-base", "electra-base", "mpnet-base"),
    *("modernbert-base", "deberta-v3-base"),
)
"""A random model of each family. CamemBERT and XLM-RoBERTa compute as RoBERTa does."""
RANDOM_MODELS: Final = ("minilm", *FAMILY_MODELS, "bert-large")
PRECISIONS: Final = ("fp32", "bf16")
EXPORTS: Final = Path("build/bench/models")

_CHUNK_OVERLAP: Final = 64
"""Tokens that adjacent chunks share: the sidecar's default."""

_CALL_COST_TOKENS: Final = 64
"""Fixed cost of a Predict call, in tokens (approximate)."""

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class BenchModel:
    """The newest version in the model folder `base`, with its contract and tokenizer."""

    base: Path
    folder: Path
    contract: ModelContract
    tokenizer: Tokenizer

    @classmethod
    def find(cls, name: str, precision: str | None = None) -> Self:
        """The model `demo`, one of RANDOM_MODELS, or a model folder. Raises BenchError.

        Exports a random model if its export is missing or older than the exporter's code.
        `precision` is passed to `undertone-model export --precision`; None means the default.
        Another model must have this precision.
        """
        if name == "demo":
            if _is_outdated(DEMO):
                raise BenchError(f"{DEMO} is older than the code that exports it: run `make {DEMO}`")
            return cls.read(DEMO)._checked(precision)
        if name not in RANDOM_MODELS:
            return cls.read(Path(name))._checked(precision)
        folder = EXPORTS / (precision or "default")
        if not (folder / name).is_dir() or _is_outdated(folder / name):
            shutil.rmtree(folder / name, ignore_errors=True)
            options = [f"--precision={precision}"] if precision else []
            program = Path(sys.executable).with_name("undertone-model")
            if subprocess.run([program, "export", folder, "--random", name, *options], check=False).returncode:
                raise BenchError(f"the export of {name} failed; see the output of undertone-model above")
        return cls.read(folder / name)

    @classmethod
    def read(cls, base: Path) -> Self:
        """Raises BenchError if no version folder has a contract."""
        versions = sorted(int(path.parent.name) for path in base.glob("*/contract.json") if path.parent.name.isdecimal())
        if not versions:
            raise BenchError(f"{base} has no version folder with a contract.json: create one with `undertone-model export`")
        folder = base.resolve() / str(versions[-1])
        contract = Parse((folder / "contract.json").read_text(encoding="utf-8"), ModelContract(), ignore_unknown_fields=True)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(base.resolve(), folder, contract, tokenizer)

    def _checked(self, precision: str | None) -> Self:
        if precision and precision != self.contract.precision:
            raise BenchError(
                f"--precision is {precision}, but {self.base} is in {self.contract.precision}: export the model with "
                f"`undertone-model export --precision {precision}`, and use its folder as --model"
            )
        return self

    @property
    def label(self) -> str:
        """Name and precision, for titles and file names."""
        return f"{self.contract.name}-{self.contract.precision}"

    def sequences(self, texts: Sequence[str], *, truncate: bool = False) -> Iterator[Ids]:
        """Token sequences that the model receives.

        A text that exceeds the model's maximum is split into chunks as in the sidecar, or
        truncated.
        """
        width = self.contract.max_tokens - 2
        policy = OverlengthPolicy.TRUNCATE if truncate else OverlengthPolicy.CHUNK_MEAN
        for encoding in self.tokenizer.encode_batch_fast(list(texts)):
            first, *content, last = encoding.ids
            for chunk in split(len(content), width=width, overlap=_CHUNK_OVERLAP, policy=policy, max_chunks=sys.maxsize):
                yield np.array([first, *content[chunk.start : chunk.stop], last], np.int32)

    def lengths(self, texts: Sequence[str], *, truncate: bool = False) -> list[int]:
        """Lengths of the sequences in tokens."""
        return [len(ids) for ids in self.sequences(texts, truncate=truncate)]


def _is_outdated(base: Path) -> bool:
    """Whether the exporter's code is newer than the export."""
    changed = max(path.stat().st_mtime for path in Path(undertone_model.__file__).parent.glob("*.py"))
    return any(path.stat().st_mtime < changed for path in base.glob("*/contract.json"))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Input tensors [rows, length] of a Predict call. `tokens` excludes padding."""

    input_ids: Ids
    attention_mask: Ids
    tokens: int

    @classmethod
    def of(cls, sequences: Sequence[Ids], length: int = 0) -> Self:
        """Pad to the longest sequence, or to `length` if that is longer."""
        width = max(length, *(len(ids) for ids in sequences))
        input_ids = np.zeros((len(sequences), width), np.int32)
        attention_mask = np.zeros_like(input_ids)
        for row, ids in enumerate(sequences):
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
        return cls(input_ids, attention_mask, sum(len(ids) for ids in sequences))

    @classmethod
    def ones(cls, rows: int, length: int) -> Self:
        """A batch without padding."""
        return cls.of([np.ones(length, np.int32)] * rows)


def optimal_batches(sequences: Sequence[Ids], budget: int) -> list[Batch]:
    """Batches of sequences sorted by length, with the least total cost (dynamic programming).

    A batch costs its padded tokens plus _CALL_COST_TOKENS. It has at most `budget` padded tokens
    unless it is a single sequence.
    """
    ordered = sorted(sequences, key=len)
    # For each prefix of the sequences: its least cost, and the start of its last batch.
    best: list[tuple[float, int]] = [(0.0, 0)]
    for stop in range(1, len(ordered) + 1):
        longest = len(ordered[stop - 1])
        starts = range(max(0, stop - max(1, budget // longest)), stop)
        best.append(min((best[start][0] + longest * (stop - start) + _CALL_COST_TOKENS, start) for start in starts))
    batches = []
    stop = len(ordered)
    while stop:
        start = best[stop][1]
        batches.append(Batch.of(ordered[start:stop]))
        stop = start
    return batches[::-1]
