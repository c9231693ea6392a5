"""Errors of the package.

ModelError                 the base class; its message is shown to the user without a traceback
├── DataError              a training, evaluation or sample file is missing or malformed
├── CheckpointError        weights, configuration or tokenizer are missing, damaged or unsupported
├── ExportError            the export cannot be written
└── VerificationError      an export differs from its contract or from its reference outputs
"""


class ModelError(Exception):
    """Base class. The message names the file or the value, and the remedy."""


class DataError(ModelError):
    """A training, evaluation or sample file is missing or malformed."""


class CheckpointError(ModelError):
    """Weights, configuration or tokenizer are missing, damaged or unsupported."""


class ExportError(ModelError):
    """The export cannot be written."""


class VerificationError(ModelError):
    """An export differs from its contract or from its reference outputs."""
