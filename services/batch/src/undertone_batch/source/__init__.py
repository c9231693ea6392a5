"""The paragraphs to score, in any format that Spark can read."""

from undertone_batch.source.paragraph_source import Source

__all__ = ["Source"]
