"""Spark job that scores paragraphs with Undertone: backfill and daily."""
