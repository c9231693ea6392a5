from dataclasses import replace

import pytest
from undertone_bench.commands.pod import _Measured
from undertone_planner.plan.named_calibration import NamedCalibration


@pytest.fixture
def measured() -> _Measured:
    calibration = replace(NamedCalibration.find("emotions").calibration, fit_error=0.05)
    return _Measured(calibration, rate=0.9 * calibration.tokens_per_second, paragraph_rate=30, other_cpus=0)


def test_a_calibration_of_an_idle_machine_has_no_warning(measured: _Measured) -> None:
    assert not measured.warnings


def test_a_calibration_of_a_busy_machine_has_a_warning(measured: _Measured) -> None:
    calibration = replace(measured.calibration, fit_error=0.39)
    busy = replace(measured, calibration=calibration, rate=0.19 * calibration.tokens_per_second)
    first, second = busy.warnings
    assert "differ from a + b·tokens by 39%" in first
    assert "the batch job had 19% of the calibration's rate: measure again on an idle machine" in second
