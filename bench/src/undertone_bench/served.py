"""The models that are measured, as folders that a model server serves."""

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
RANDOM: Final = ("minilm", "bert-base", "bert-large")
BUILT: Final = Path("build/bench/models")

_OVERLAP: Final = 64
"""Of chunks: the sidecar's default."""

_CALL_TOKENS: Final = 64
"""What a call costs beside its tokens, about."""

Ids = npt.NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class ServedModel:
    """The newest version below `base`, its contract and tokenizer."""

    base: Path
    folder: Path
    contract: ModelContract
    tokenizer: Tokenizer

    @classmethod
    def named(cls, name: str, precision: str = "") -> Self:
        """`demo`, one of RANDOM (exported where it is missing or out of date), or a folder. Raises BenchError.

        `precision` is what `undertone-model export --precision` takes; empty for its default.
        """
        if name == "demo":
            if _is_out_of_date(DEMO):
                raise BenchError(f"{DEMO} was exported by other code than there is now; make {DEMO} exports it again")
            return cls.read(DEMO)
        if name not in RANDOM:
            return cls.read(Path(name))
        folder = BUILT / (precision or "default")
        if not (folder / name).is_dir() or _is_out_of_date(folder / name):
            shutil.rmtree(folder / name, ignore_errors=True)
            chosen = [f"--precision={precision}"] if precision else []
            program = Path(sys.executable).with_name("undertone-model")
            if subprocess.run([program, "export", folder, "--random", name, *chosen], check=False).returncode:
                raise BenchError(f"{name} could not be exported; undertone-model said why")
        return cls.read(folder / name)

    @classmethod
    def read(cls, base: Path) -> Self:
        """Raises BenchError if there is no version with a contract."""
        versions = sorted(int(path.parent.name) for path in base.glob("*/contract.json") if path.parent.name.isdecimal())
        if not versions:
            raise BenchError(f"{base} has no version folder with a contract.json; `undertone-model export` makes one")
        folder = base.resolve() / str(versions[-1])
        contract = Parse((folder / "contract.json").read_text(encoding="utf-8"), ModelContract(), ignore_unknown_fields=True)
        tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
        tokenizer.no_truncation()
        tokenizer.no_padding()
        return cls(base.resolve(), folder, contract, tokenizer)

    @property
    def label(self) -> str:
        """For titles and file names."""
        return f"{self.contract.name}-{self.contract.precision}"

    def sequences(self, texts: Sequence[str], *, truncate: bool = False) -> Iterator[Ids]:
        """What the model reads of each text: its tokens; of one that is too long, the first, or chunks as the sidecar's."""
        width = self.contract.max_tokens - 2
        policy = OverlengthPolicy.TRUNCATE if truncate else OverlengthPolicy.CHUNK_MEAN
        for encoding in self.tokenizer.encode_batch_fast(list(texts)):
            first, *content, last = encoding.ids
            for chunk in split(len(content), width=width, overlap=_OVERLAP, policy=policy):
                yield np.array([first, *content[chunk.start : chunk.stop], last], np.int32)

    def lengths(self, texts: Sequence[str], *, truncate: bool = False) -> list[int]:
        """Of the sequences, in tokens."""
        return [len(ids) for ids in self.sequences(texts, truncate=truncate)]


def _is_out_of_date(base: Path) -> bool:
    """Whether the code that exports models has changed since."""
    changed = max(path.stat().st_mtime for path in Path(undertone_model.__file__).parent.glob("*.py"))
    return any(path.stat().st_mtime < changed for path in base.glob("*/contract.json"))


@dataclass(frozen=True, slots=True, eq=False)
class Batch:
    """Tensors of one call, [rows, length], and how many of its tokens are text."""

    input_ids: Ids
    attention_mask: Ids
    tokens: int

    @classmethod
    def of(cls, sequences: Sequence[Ids], length: int = 0) -> Self:
        """Padded to the longest, or to `length` if that is longer."""
        width = max(length, *(len(ids) for ids in sequences))
        input_ids = np.zeros((len(sequences), width), np.int32)
        attention_mask = np.zeros_like(input_ids)
        for row, ids in enumerate(sequences):
            input_ids[row, : len(ids)] = ids
            attention_mask[row, : len(ids)] = 1
        return cls(input_ids, attention_mask, sum(len(ids) for ids in sequences))


def presorted(sequences: Sequence[Ids], budget: int) -> list[Batch]:
    """Batches of sequences in the order of their lengths, cut where they cost least in all: as good as batches can be.

    A batch costs its padded tokens, at most `budget` unless it is one sequence alone, and _CALL_TOKENS more.
    """
    ordered = sorted(sequences, key=len)
    # The least that the first so many sequences cost, and where the last of their batches begins.
    least: list[tuple[float, int]] = [(0.0, 0)]
    for stop in range(1, len(ordered) + 1):
        longest = len(ordered[stop - 1])
        starts = range(max(0, stop - max(1, budget // longest)), stop)
        least.append(min((least[start][0] + longest * (stop - start) + _CALL_TOKENS, start) for start in starts))
    batches = []
    stop = len(ordered)
    while stop:
        start = least[stop][1]
        batches.append(Batch.of(ordered[start:stop]))
        stop = start
    return batches[::-1]
