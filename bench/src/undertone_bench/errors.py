"""What a person can mend."""


class BenchError(Exception):
    """Nothing was measured; the message says why, and what would help."""
