"""One version of the model: its contract, its tokenizer, and the padded lengths of its inputs."""

from bisect import bisect_left
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol, Self

import numpy as np

from undertone_sidecar.backend import Backend, Batch
from undertone_sidecar.contract import TOKENIZER_FILE, Contract, read_contract
from undertone_sidecar.errors import ContractError
from undertone_sidecar.tokenizer import Tokenizer

_LENGTHS: Final = (*range(16, 128, 8), *range(128, 256, 16), *range(256, 512, 32), 512)
_STEP_BEYOND_512: Final = 64

_WARM_EVERY: Final = 4
"""Every fourth length is warmed up before the sidecar is ready."""

_WARM_UP_TIMEOUT_SECONDS: Final = 300.0
"""The first call to a large model takes tens of seconds."""


@dataclass(frozen=True, slots=True)
class PaddedLengths:
    """Sequence lengths in tokens to which batches are padded, ascending.

    The last length is the model's maximum.

    The model server optimizes its graph once for each length, whatever the number of rows. So there
    are few lengths, and all of them are warmed up. The steps grow with the length, so that padding
    adds about four percent to paragraphs of any length.
    """

    values: tuple[int, ...]

    @classmethod
    def up_to(cls, max_tokens: int) -> Self:
        """Lengths for a model that accepts at most `max_tokens`, special tokens included."""
        longer = range(_LENGTHS[-1] + _STEP_BEYOND_512, max_tokens, _STEP_BEYOND_512)
        return cls((*(length for length in (*_LENGTHS, *longer) if length < max_tokens), max_tokens))

    @property
    def warm_before_ready(self) -> tuple[int, ...]:
        """Lengths to warm up before the sidecar is ready."""
        return (*self.values[:-1:_WARM_EVERY], self.values[-1])

    @property
    def warm_later(self) -> tuple[int, ...]:
        """The other lengths, to warm up while the sidecar serves."""
        return tuple(length for index, length in enumerate(self.values[:-1]) if index % _WARM_EVERY)

    def fit(self, tokens: int) -> int:
        """The shortest length that holds `tokens`."""
        return self.values[bisect_left(self.values, tokens)]


@dataclass(frozen=True, slots=True)
class Model:
    """The properties of a model version. A call uses one version only."""

    contract: Contract
    tokenizer: Tokenizer
    lengths: PaddedLengths

    @property
    def version(self) -> int:
        return self.contract.version

    @property
    def width(self) -> int:
        """Maximum tokens of a chunk, without special tokens."""
        return self.contract.max_tokens - self.tokenizer.special_tokens


class Models(Protocol):
    """Provides the model for a call."""

    def current(self) -> Model:
        """The served version. Raises UnavailableError if there is none."""

    async def refresh(self) -> Model:
        """Checks the model server again. Returns the served version, or raises UnavailableError."""

    def report_failure(self) -> None:
        """Reports that the model server did not respond, so that it is checked soon."""


def read_model(folder: Path, *, name: str, overlap: int, budget: int, executor: Executor) -> Model:
    """Reads the files of a model version.

    Args:
        folder: Folder of the version.
        name: Expected name of the model.
        overlap: Tokens that neighbouring chunks share. The model must accept more than this.
        budget: Maximum tokens of a batch. The model must not accept more than this.
        executor: Thread pool of the tokenizer.

    Raises:
        ContractError: The files are invalid, or do not fit these settings.
    """
    contract = read_contract(folder, name=name)
    tokenizer = Tokenizer.read(folder / TOKENIZER_FILE, sha256=contract.tokenizer_sha256, executor=executor)
    model = Model(contract, tokenizer, PaddedLengths.up_to(contract.max_tokens))
    vocabulary_size = contract.message.architecture.vocabulary_size
    if vocabulary_size and tokenizer.vocabulary_size > vocabulary_size:
        raise ContractError(
            f"{folder / TOKENIZER_FILE}: has {tokenizer.vocabulary_size} tokens, but the model has {vocabulary_size}: "
            "export the model again"
        )
    if overlap >= model.width:
        raise ContractError(
            f"{folder}: the model accepts {model.width} tokens of text, but --chunk-overlap is {overlap}: set a smaller one"
        )
    if contract.max_tokens > budget:
        raise ContractError(
            f"{folder}: the model accepts up to {contract.max_tokens} tokens, but --batch-tokens is {budget}: set a larger one"
        )
    return model


async def warm_up(
    backend: Backend, model: Model, lengths: Iterable[int], *, should_stop: Callable[[], bool] = lambda: False
) -> int:
    """Sends a batch of one row for each length.

    The first call at a length is slow, whatever the number of rows.

    Args:
        backend: The model server.
        model: The version to warm up.
        lengths: Sequence lengths in tokens.
        should_stop: Ends the warm-up early. Asked after each call.

    Returns:
        The number of calls.

    Raises:
        ContractError: The response does not have a probability for each label of the contract.
        SidecarError: As Backend.predict.
    """
    calls = 0
    for length in lengths:
        if calls and should_stop():
            break
        batch = Batch(model.version, np.zeros((1, length), dtype=np.int32), np.ones((1, length), dtype=np.int32))
        scores = await backend.predict(batch, timeout=_WARM_UP_TIMEOUT_SECONDS)
        if scores.shape[1] != len(model.contract.labels):
            raise ContractError(
                f"model {model.contract.name} version {model.version}: the model server returns {scores.shape[1]} "
                f"probabilities, but the contract has {len(model.contract.labels)} labels: export the model again"
            )
        calls += 1
    return calls
