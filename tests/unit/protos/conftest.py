"""The official protos load all of TensorFlow."""

import warnings

with warnings.catch_warnings():
    # TensorFlow's own modules warn of what they import; nothing here could act on it.
    warnings.simplefilter("ignore")
    import tensorflow  # noqa: F401
