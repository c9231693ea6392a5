"""Corpora with emotion labels that a user downloads, and their mapping to the nine emotions."""

from undertone_model.corpora.corpus import Corpus, LabelledText, TestSet
from undertone_model.corpora.registry import CORPORA, read_test_set

__all__ = ["CORPORA", "Corpus", "LabelledText", "TestSet", "read_test_set"]
