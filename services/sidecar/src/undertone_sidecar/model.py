"""One version of the model, as far as the sidecar holds it: contract, tokenizer and lengths."""

from concurrent.futures import Executor
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from undertone_sidecar.contract import TOKENIZER_FILE, Contract, read_contract
from undertone_sidecar.errors import ContractError
from undertone_sidecar.shapes import Lengths
from undertone_sidecar.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Model:
    """Everything that a request must not mix between versions."""

    contract: Contract
    tokenizer: Tokenizer
    lengths: Lengths

    @property
    def version(self) -> int:
        return self.contract.version

    @property
    def width(self) -> int:
        """Tokens of text that the model reads at once, the special tokens not counted."""
        return self.contract.max_tokens - self.tokenizer.special_tokens


class Models(Protocol):
    """Where a request finds its model."""

    def current(self) -> Model:
        """The version that is served. Raises UnavailableError while there is none."""

    async def renewed(self) -> Model:
        """The version that is served after another look at the model server. Raises UnavailableError."""

    def suspect(self) -> None:
        """Says that a call failed as if the model server were gone; it is looked at soon."""


def read_model(folder: Path, *, name: str, overlap: int, budget: int, executor: Executor) -> Model:
    """Reads a version's folder. Raises ContractError.

    The model must read more than `overlap` tokens, which neighbouring chunks share, and no more than `budget`, which is what
    one call to the model server may hold.
    """
    contract = read_contract(folder, name=name)
    tokenizer = Tokenizer.read(folder / TOKENIZER_FILE, sha256=contract.tokenizer_sha256, executor=executor)
    model = Model(contract, tokenizer, Lengths.up_to(contract.max_tokens))
    known = contract.message.architecture.vocabulary_size
    if known and tokenizer.vocabulary_size > known:
        raise ContractError(
            f"{folder / TOKENIZER_FILE}: has {tokenizer.vocabulary_size} tokens, but the model knows {known}; "
            "export the model again"
        )
    if overlap >= model.width:
        raise ContractError(
            f"{folder}: the model reads {model.width} tokens of text at once, but --chunk-overlap is {overlap}; "
            "choose a smaller one"
        )
    if contract.max_tokens > budget:
        raise ContractError(
            f"{folder}: the model reads up to {contract.max_tokens} tokens, but --batch-tokens is {budget}; choose a larger one"
        )
    return model
