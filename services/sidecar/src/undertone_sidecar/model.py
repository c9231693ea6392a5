"""One version of the model: its contract, its tokenizer, and the padded lengths of its inputs."""

import time
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Protocol

import numpy as np

from undertone_sidecar.backend import Backend, Batch
from undertone_sidecar.contract import TOKENIZER_FILE, Contract, read_contract
from undertone_sidecar.errors import ContractError
from undertone_sidecar.flags import Flagger
from undertone_sidecar.lengths import PaddedLengths, attention_length
from undertone_sidecar.tokenizer import Tokenizer

_WARM_UP_TIMEOUT_SECONDS: Final = 300.0
"""The first call to a large model takes tens of seconds."""


@dataclass(frozen=True, slots=True)
class Model:
    """The properties of a model version. A call uses one version only."""

    contract: Contract
    tokenizer: Tokenizer
    lengths: PaddedLengths
    flagger: Flagger | None = None
    """Finds the flags of texts. None if the contract has no thresholds."""

    @property
    def version(self) -> int:
        return self.contract.version

    @property
    def width(self) -> int:
        """Maximum tokens of a chunk, without special tokens."""
        return self.contract.max_tokens - self.tokenizer.special_tokens

    @property
    def window(self) -> int | None:
        """Tokens of a window of CHUNK_MAX, without special tokens. None without windows."""
        return self.contract.window_tokens - self.tokenizer.special_tokens if self.contract.window_tokens else None


class Models(Protocol):
    """Provides the model for a call."""

    def current(self) -> Model:
        """The served version. Raises UnavailableError if there is none."""

    async def refresh(self) -> Model:
        """Checks the model server again. Returns the served version, or raises UnavailableError."""

    def report_failure(self) -> None:
        """Reports that the model server did not respond, so that it is checked soon."""


def read_model(folder: Path, *, name: str, overlap: int, executor: Executor) -> Model:
    """Reads the files of a model version.

    Args:
        folder: Folder of the version.
        name: Expected name of the model.
        overlap: Tokens that neighbouring chunks share. The model must accept more than this.
        executor: Thread pool of the tokenizer.

    Raises:
        ContractError: The files are invalid, or do not fit these settings.
    """
    contract = read_contract(folder, name=name)
    tokenizer = Tokenizer.read(folder / TOKENIZER_FILE, sha256=contract.tokenizer_sha256, executor=executor)
    flagger = None
    if contract.message.HasField("flag_thresholds"):
        flagger = Flagger.of(contract.message.flag_thresholds, tokenizer.unknown_id)
    lengths = PaddedLengths.up_to(contract.max_tokens, attention_length(contract.message.architecture))
    model = Model(contract, tokenizer, lengths, flagger)
    vocabulary_size = contract.message.architecture.vocabulary_size
    if vocabulary_size and tokenizer.vocabulary_size > vocabulary_size:
        raise ContractError(
            f"{folder / TOKENIZER_FILE}: has {tokenizer.vocabulary_size} tokens, but the model has {vocabulary_size}: "
            "export the model again"
        )
    if overlap >= model.width:
        raise ContractError(
            f"{folder}: the model accepts {model.width} tokens of text, but --chunk-overlap is {overlap}: "
            f"use --chunk-overlap={model.width // 4} or UNDERTONE_CHUNK_OVERLAP={model.width // 4}"
        )
    return model


async def warm_up(
    backend: Backend, model: Model, lengths: Iterable[int], *, should_stop: Callable[[], bool] = lambda: False
) -> list[float]:
    """Sends a batch of one row for each length.

    The first call at a length is slow, whatever the number of rows.

    Args:
        backend: The model server.
        model: The version to warm up.
        lengths: Sequence lengths in tokens.
        should_stop: Ends the warm-up early. Asked after each call.

    Returns:
        The duration of each call in seconds.

    Raises:
        ContractError: The response does not have a probability for each label of the contract.
        SidecarError: As Backend.predict.
    """
    seconds: list[float] = []
    for length in lengths:
        if seconds and should_stop():
            break
        batch = Batch(model.version, np.zeros((1, length), dtype=np.int32), np.ones((1, length), dtype=np.int32))
        started = time.monotonic()
        scores = await backend.predict(batch, timeout=_WARM_UP_TIMEOUT_SECONDS)
        if scores.shape[1] != len(model.contract.labels):
            raise ContractError(
                f"model {model.contract.name} version {model.version}: the model server returns {scores.shape[1]} "
                f"probabilities, but the contract has {len(model.contract.labels)} labels: export the model again"
            )
        seconds.append(time.monotonic() - started)
    return seconds
