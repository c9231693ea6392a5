import os

import pytest
from undertone_telemetry.standard_error import silent_standard_error


def test_only_the_inside_is_silent(capfd: pytest.CaptureFixture[str]) -> None:
    os.write(2, b"before\n")
    with silent_standard_error():
        os.write(2, b"inside\n")
    os.write(2, b"after\n")
    assert capfd.readouterr().err == "before\nafter\n"
