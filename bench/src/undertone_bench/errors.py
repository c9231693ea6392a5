"""Errors that a user can resolve."""


class BenchError(Exception):
    """The measurement cannot run or is invalid. The message says why and what to do."""
