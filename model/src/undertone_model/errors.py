"""What can go wrong, as one tree.

ModelError                 a message for the user; never a traceback
├── DataError              a training or evaluation file is missing or not as it should be
├── CheckpointError        weights, configuration or tokenizer are missing, damaged or of another kind
├── ExportError            the export could not be written
└── VerificationError      an export is not what its contract, or the reference, says
"""


class ModelError(Exception):
    """Base of all; `str` of it is a sentence that names the file or value and the remedy."""


class DataError(ModelError):
    """A training or evaluation file is missing or not as it should be."""


class CheckpointError(ModelError):
    """Weights, configuration or tokenizer are missing, damaged or of another kind."""


class ExportError(ModelError):
    """The export could not be written."""


class VerificationError(ModelError):
    """An export is not what its contract, or the reference, says."""
