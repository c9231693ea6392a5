"""Limits on the size of calls. They are checked before anything else is done for a call."""

from dataclasses import dataclass
from typing import Final

from undertone_sidecar.errors import ParagraphError, RequestError

MAX_ID_CHARACTERS: Final = 256

_MAX_ID_BYTES: Final = 4 * MAX_ID_CHARACTERS
_ENVELOPE_BYTES: Final = 64 * 1024
_PARAGRAPH_OVERHEAD_BYTES: Final = 32


@dataclass(frozen=True, slots=True)
class RequestLimits:
    """Inclusive upper limits. Bytes count UTF-8, characters are Unicode code points.

    `paragraph_chunks` limits the parts of a paragraph that is longer than the model's maximum.
    `forwarded_bytes` is the size of the largest request that the load balancer forwards.
    """

    paragraph_bytes: int
    paragraph_characters: int
    batch_paragraphs: int
    batch_bytes: int
    paragraph_chunks: int = 32
    forwarded_bytes: int = 4 * 1024 * 1024

    @property
    def message_bytes(self) -> int:
        """Maximum message size for gRPC: `forwarded_bytes`, or the largest valid call if larger.

        gRPC refuses larger messages with RESOURCE_EXHAUSTED, which clients retry. A call that the
        load balancer forwards must reach these limits instead, which refuse it with
        INVALID_ARGUMENT.
        """
        ids = self.batch_paragraphs * (_MAX_ID_BYTES + _PARAGRAPH_OVERHEAD_BYTES)
        return max(self.forwarded_bytes, max(self.batch_bytes, self.paragraph_bytes) + ids + _ENVELOPE_BYTES)

    def check_paragraph(self, text: str, identifier: str) -> None:
        """Raises ParagraphError."""
        if len(identifier) > MAX_ID_CHARACTERS:
            raise ParagraphError(f"id has {len(identifier)} characters; the limit is {MAX_ID_CHARACTERS}: use a shorter id")
        # The lengths first: the other checks read the whole text.
        if len(text) > self.paragraph_characters:
            raise ParagraphError(
                f"text has {len(text)} characters; the limit is {self.paragraph_characters}: split it into paragraphs"
            )
        self.check_text_bytes(text_bytes(text))
        if not text or text.isspace():
            raise ParagraphError("text is empty or white space only; send at least one visible character")

    def check_text_bytes(self, size: int) -> None:
        """Checks the size of a paragraph's text in UTF-8. Raises ParagraphError."""
        if size > self.paragraph_bytes:
            raise ParagraphError(
                f"text has {size} bytes in UTF-8; the limit is {self.paragraph_bytes}: split it into paragraphs"
            )

    def check_ids(self, size: int) -> None:
        """Raises RequestError. `size` is the total size of the ids of a call, in bytes."""
        if size > (limit := self.batch_paragraphs * _MAX_ID_BYTES):
            raise RequestError(
                f"the ids have {size} bytes in UTF-8; the limit for all ids of a call is {limit}: use shorter ids"
            )

    def check_batch(self, paragraphs: int, size: int) -> None:
        """Raises RequestError. `size` is the total size of all texts in bytes."""
        if paragraphs == 0:
            raise RequestError("the batch has no paragraphs; send at least one")
        if paragraphs > self.batch_paragraphs:
            raise RequestError(
                f"the batch has {paragraphs} paragraphs; the limit is {self.batch_paragraphs}: send several smaller batches"
            )
        if size > self.batch_bytes:
            raise RequestError(
                f"the batch's texts have {size} bytes in UTF-8; the limit is {self.batch_bytes}: send several smaller batches"
            )


def text_bytes(text: str) -> int:
    """Size of the text in UTF-8, in bytes."""
    return len(text) if text.isascii() else len(text.encode())
