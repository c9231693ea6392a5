"""Special tokens in a text, such as "[SEP]", "</s>" or "<mask>": text, or control.

The tokenizer.json of an export records the choice. A tokenizer with `encode_special_tokens` skips
added tokens that are special, so these are text. Decision 16 gives the reasons.
"""

import json
from typing import Any, Final, Literal, TypeAlias

from tokenizers import Tokenizer

from undertone_model.errors import CheckpointError

SpecialTokens: TypeAlias = Literal["text", "control"]
"""What the special tokens in a text become: ordinary pieces, or the special tokens."""

_UNREACHABLE: Final = ""
"""Name of the pieces of special tokens in a Unigram vocabulary. No text contains such a piece."""


def served_tokenizer(tokenizer: Tokenizer, special_tokens: SpecialTokens = "text") -> Tokenizer:
    """A copy of a checkpoint's tokenizer for an export, without truncation and padding.

    Raises CheckpointError if it adds no special tokens to a text, or if it cannot read a special
    token in a text as text.
    """
    description = json.loads(tokenizer.to_str()) | {"truncation": None, "padding": None}
    if not (around := set(tokenizer.encode("").ids)):
        raise CheckpointError(
            "tokenizer.json adds no special tokens to a text: its post_processor is missing; save it again with transformers"
        )
    for token in description["added_tokens"]:
        is_special = token["special"] or token["id"] in around
        token["special"] = is_special and special_tokens == "text"
    unknown = _unknown(description["model"])
    special = {token["content"]: token["id"] for token in description["added_tokens"] if token["special"]}
    if description["model"]["type"] == "Unigram" and special_tokens == "text":
        _hide_pieces(description, {*special, unknown})
    served: Tokenizer = Tokenizer.from_str(json.dumps(description))
    served.encode_special_tokens = True
    for token, token_id in special.items():
        if token != unknown and token_id in served.encode(token, add_special_tokens=False).ids:
            raise CheckpointError(
                f"the tokenizer reads {token!r} in a text as the special token {token_id}, also without added tokens; "
                "export it with --special-tokens control"
            )
    return served


def _hide_pieces(description: dict[str, Any], hidden: set[str | None]) -> None:
    """Renames the pieces of special tokens in a Unigram vocabulary. Else they would match a text.

    Sentencepiece itself never matches them. The ids of all pieces stay. The added tokens of renamed
    pieces would get new ids. They are not needed: the post-processor has its own ids.
    """
    model = description["model"]
    renamed = hidden & {piece for piece, _ in model["vocab"]}
    model["vocab"] = [[_UNREACHABLE if piece in hidden else piece, score] for piece, score in model["vocab"]]
    description["added_tokens"] = [token for token in description["added_tokens"] if token["content"] not in renamed]


def _unknown(model: dict[str, Any]) -> str | None:
    """The token for text that the vocabulary lacks. It may stand for a part of any text."""
    unknown: str | None = model.get("unk_token")
    if model["type"] == "Unigram" and model["unk_id"] is not None:
        unknown = model["vocab"][model["unk_id"]][0]
    return unknown


def unknown_token(tokenizer: Tokenizer) -> int | None:
    """Id of the token for text that the vocabulary lacks. None if it lacks no text."""
    model = json.loads(tokenizer.to_str())["model"]
    if (index := model.get("unk_id")) is not None:
        return int(index)
    token_id: int | None = tokenizer.token_to_id(model.get("unk_token") or "")
    return token_id
