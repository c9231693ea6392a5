"""An estimate of the memory that the model server needs for a model."""

import logging
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from undertone_protos.v1 import contract_pb2

from undertone_sidecar.contract import Contract
from undertone_sidecar.cpu import Machine
from undertone_sidecar.errors import ContractError

SERVER_BYTES: Final = 192 * 2**20
"""TF Serving without a model."""

_GRAPH_BYTES: Final = 64 * 2**20
"""The graph, and its executors and threads."""

_WEIGHTS_FACTOR: Final = 1.1
"""Memory of the weights relative to their size."""

_OTHER_BYTES: Final = 2**30
"""Memory of a machine that is left for other programs than the model server."""

_FLOAT_BYTES: Final = 4

_HIDDEN_VECTORS: Final = 6
_INTERMEDIATE_VECTORS: Final = 3
"""Vectors of each token that exist at the same time: the inputs and outputs of a layer's linear
layers and their copies in another order."""

_SCORE_COPIES: Final = 2
"""Copies of the attention scores of a layer that exist at the same time: before and after the
softmax."""

_MORE_SCORE_COPIES: Final[Mapping[str, int]] = {"mpnet": 3, "deberta": 8, "deberta-v2": 8}
"""As _SCORE_COPIES, for types of architectures that add scores for the distances of tokens."""

_SHORTEST_MAXIMUM: Final = 128
"""The smallest maximum length in tokens that an error message recommends."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class MemoryEstimate:
    """Memory of the model server in bytes.

    Attributes:
        weights: Weights of the model, and its graph.
        call: Intermediate results of the largest call.
        calls: Number of concurrent calls.
    """

    weights: int
    call: int
    calls: int

    @property
    def total(self) -> int:
        """The whole model server."""
        return SERVER_BYTES + self.weights + self.calls * self.call

    def __str__(self) -> str:
        calls = "1 call" if self.calls == 1 else f"{self.calls} calls"
        return (
            f"{gibibytes(self.total)} (weights {gibibytes(self.weights)}, {calls} of {gibibytes(self.call)}, "
            f"TF Serving {gibibytes(SERVER_BYTES)})"
        )


@dataclass(frozen=True, slots=True)
class MemorySettings:
    """Settings that determine the memory of the model server.

    Attributes:
        limit: Memory of the model server in bytes. 0 if it is unknown.
        batch_tokens: Maximum padded tokens of a batch.
        calls: Maximum number of concurrent calls.
    """

    limit: int
    batch_tokens: int
    calls: int

    def estimate(self, contract: Contract) -> MemoryEstimate | None:
        """The memory for a model. None if the contract does not describe the architecture."""
        return self._estimate(contract, contract.max_tokens)

    def check(self, contract: Contract) -> None:
        """Logs the estimate. Raises ContractError if it exceeds the limit."""
        estimate = self.estimate(contract)
        if estimate is None:
            return
        limit = gibibytes(self.limit) if self.limit else "unknown"
        extra = {"version": contract.version, "estimate": gibibytes(estimate.total), "limit": limit}
        log.info("the model server needs about %s", estimate, extra=extra)
        if self.limit and estimate.total > self.limit:
            raise ContractError(
                f"model {contract.name} version {contract.version}: the model server needs about {estimate}, but its memory is "
                f"{gibibytes(self.limit)} (--model-server-memory): {' or '.join(self._remedies(contract, estimate))}"
            )

    def _estimate(self, contract: Contract, max_tokens: int) -> MemoryEstimate | None:
        return estimate_memory(
            contract.message.architecture,
            precision=contract.precision,
            max_tokens=max_tokens,
            batch_tokens=self.batch_tokens,
            calls=self.calls,
        )

    def _remedies(self, contract: Contract, estimate: MemoryEstimate) -> Iterator[str]:
        def fits(settings: MemorySettings, max_tokens: int = contract.max_tokens) -> bool:
            smaller = settings._estimate(contract, max_tokens)
            return smaller is not None and smaller.total <= self.limit

        yield f"give it at least {gibibytes(estimate.total)},"
        # Fewer tokens than the longest sequence change nothing.
        sizes = _halves(self.batch_tokens, contract.max_tokens)
        if size := next((size for size in sizes if fits(replace(self, batch_tokens=size))), 0):
            yield f"use --batch-tokens={size},"
        if calls := next((calls for calls in range(self.calls - 1, 0, -1) if fits(replace(self, calls=calls))), 0):
            yield f"use --model-calls={calls},"
        lengths = _halves(contract.max_tokens, _SHORTEST_MAXIMUM)
        if length := next((length for length in lengths if fits(self, length)), 0):
            yield f"export the model with --max-tokens={length},"
        yield "serve a smaller model"


def estimate_memory(
    architecture: contract_pb2.Architecture, *, precision: str, max_tokens: int, batch_tokens: int, calls: int
) -> MemoryEstimate | None:
    """The memory that the model server needs for a model.

    The weights of the linear layers exist twice, because oneDNN packs them for its kernels. A call
    needs the most memory in attention, whose scores have the size rows x heads x length x length,
    and in the linear layers. The estimate is above the measurements
    (docs/how-to/tuning.md#memory-of-the-model-server).

    Args:
        architecture: Architecture in the contract.
        precision: Arithmetic of the graph: "fp32" or "bf16".
        max_tokens: Maximum length of a sequence in tokens.
        batch_tokens: Maximum padded tokens of a batch. A longer sequence is a batch of its own.
        calls: Maximum number of concurrent calls.

    Returns:
        None if sizes of the architecture are missing.
    """
    layers, hidden, intermediate = architecture.layers, architecture.hidden_size, architecture.intermediate_size
    heads = architecture.attention_heads
    if not (layers and hidden and intermediate and heads):
        return None
    linear = architecture.encoder_parameters or layers * (4 * hidden * hidden + 2 * hidden * intermediate)
    embeddings = (architecture.vocabulary_size + max_tokens) * hidden
    linear_bytes = 2 if precision == "bf16" else _FLOAT_BYTES
    tokens = max(batch_tokens, max_tokens)
    vectors = tokens * (_HIDDEN_VECTORS * hidden + _INTERMEDIATE_VECTORS * intermediate)
    copies = _MORE_SCORE_COPIES.get(architecture.type, _SCORE_COPIES)
    scores = copies * tokens * heads * max_tokens
    return MemoryEstimate(
        weights=_GRAPH_BYTES + int(_WEIGHTS_FACTOR * (2 * linear * linear_bytes + embeddings * _FLOAT_BYTES)),
        call=(vectors + scores) * _FLOAT_BYTES,
        calls=calls,
    )


def model_server_memory(machine: Machine) -> int | None:
    """The memory of a model server that shares the machine with the sidecar, in bytes.

    None if the memory of the machine is unknown. 1 GiB is left for other programs, such as the
    development server's Python, but at most half of the memory.
    """
    return None if machine.memory is None else max(machine.memory // 2, machine.memory - _OTHER_BYTES)


def gibibytes(size: int) -> str:
    """A size in bytes as text, such as "1.5 GiB"."""
    return f"{size / 2**30:.2f} GiB"


def _halves(value: int, least: int) -> Iterable[int]:
    """Half of `value`, a quarter and so on, at least `least`."""
    while (value := value // 2) >= least:
        yield value
