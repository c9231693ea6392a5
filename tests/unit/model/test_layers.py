"""Activation functions, and buckets of distances, against their definitions."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.special import erf, expit
from undertone_model.architecture import Activation, RelativeBias
from undertone_model.configuration import Configuration
from undertone_model.encoder.layers import ACTIVATIONS
from undertone_model.encoder.relative_bias import buckets
from undertone_model.families.activations import read_activation

X = np.linspace(-6, 6, 49)
TANH_GELU = 0.5 * X * (1 + np.tanh(np.sqrt(2 / np.pi) * (X + 0.044715 * X**3)))


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (("gelu", "gelu_python"), 0.5 * X * (1 + erf(X / np.sqrt(2)))),
        (("gelu_new", "gelu_fast", "gelu_accurate", "gelu_pytorch_tanh", "gelu_python_tanh"), TANH_GELU),
        (("relu",), np.maximum(X, 0)),
        (("silu", "swish"), X * expit(X)),
        (("tanh",), np.tanh(X)),
    ],
)
def test_configured_activation_is_the_function_of_its_name(
    names: tuple[str, ...], expected: NDArray[np.float64], tmp_path: Path
) -> None:
    for name in names:
        activation: Activation = read_activation(Configuration(tmp_path, {"hidden_act": name}))
        assert ACTIVATIONS[activation](X.astype(np.float32)).numpy() == pytest.approx(expected, abs=1e-6)


def test_buckets_are_exact_for_short_distances_and_logarithmic_for_long_ones() -> None:
    distances = np.arange(-600, 601)
    found = buckets(RelativeBias(), distances)
    # Above 7, bucket 8 + k begins where the square of the distance is 64 * 2**k.
    size = [min(15, 8 + int(n * n // 64).bit_length() - 1) if n > 7 else n for n in map(abs, distances.tolist())]
    assert found.tolist() == [bucket + 16 * (distance > 0) for bucket, distance in zip(size, distances, strict=True)]
