"""Imports TensorFlow, which the official protos need, without its warnings."""

import warnings

with warnings.catch_warnings():
    # TensorFlow's modules warn about their own imports.
    warnings.simplefilter("ignore")
    import tensorflow  # noqa: F401
