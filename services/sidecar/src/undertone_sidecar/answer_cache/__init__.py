"""Answers of repeated texts: in memory, shared in Redis, and calculated once at the same time."""

from undertone_sidecar.answer_cache.classifier import CachedClassifier, SharedAnswers
from undertone_sidecar.answer_cache.keys import AnswerKeys
from undertone_sidecar.answer_cache.memory import MIN_BYTES, MemoryAnswers

__all__ = ["MIN_BYTES", "AnswerKeys", "CachedClassifier", "MemoryAnswers", "SharedAnswers"]
