"""The gate of an export: its limits and its comparison."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from undertone_model.data import Sample
from undertone_model.errors import VerificationError
from undertone_model.gate import Agreement, compare


@pytest.mark.parametrize(
    ("flips", "shift", "passes"),
    [(0.005, 0.02, True), (0.00501, 0.0, False), (0.0, 0.0201, False), (0.0, float("nan"), False)],
)
def test_limits_of_the_gate(tmp_path: Path, flips: float, shift: float, passes: bool) -> None:
    agreement = Agreement("tales", "", 400, flips, shift)
    if passes:
        agreement.check(tmp_path)
    else:
        with pytest.raises(VerificationError, match="400 texts of tales"):
            agreement.check(tmp_path)


def test_comparison_counts_flips_and_finds_the_largest_shift(sample: Sample) -> None:
    expected = np.array([[0.9, 0.1], [0.4, 0.6], [0.51, 0.49], [0.2, 0.8]])
    probabilities = expected + np.array([[0.0, 0.0], [0.01, -0.01], [-0.02, 0.02], [0.05, -0.05]])
    result = compare(sample, probabilities, expected)
    assert result == Agreement("tales", "ab" * 32, 4, 0.25, result.largest_shift)
    assert result.largest_shift == pytest.approx(0.05)


def test_flip_of_a_multi_label_model_is_a_label_across_its_threshold(sample: Sample) -> None:
    expected = np.array([[0.9, 0.31], [0.5, 0.3], [0.49, 0.29], [0.2, 0.8]])
    probabilities = np.array([[0.9, 0.29], [0.51, 0.3], [0.48, 0.29], [0.8, 0.9]])
    result = compare(sample, probabilities, expected, thresholds=(0.5, 0.3))
    assert result.label_flips == 0.5
    assert "50.00% of 4 texts of tales have different labels than in fp32" in str(result)
    # The strongest label differs in the last row only, and is not what is compared.
    assert compare(sample, probabilities, expected).label_flips == 0.0


@settings(deadline=None)
@given(data=st.data())
def test_equal_probabilities_have_no_flips(sample: Sample, data: st.DataObject) -> None:
    rows = data.draw(st.lists(st.lists(st.floats(0, 1), min_size=3, max_size=3), min_size=1))
    thresholds = data.draw(st.lists(st.floats(0.01, 0.99), min_size=3, max_size=3))
    result = compare(sample, np.array(rows), np.array(rows), thresholds)
    assert (result.label_flips, result.largest_shift) == (0.0, 0.0)
