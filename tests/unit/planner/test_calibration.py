import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from undertone_planner.calibration import CalibratedMachine, PodCalibration
from undertone_planner.errors import CalibrationError

from tests.unit.support.calibrations import CALIBRATION as PLAIN

CALIBRATION = replace(
    PLAIN,
    machine=replace(PLAIN.machine, flags=("avx512_vnni",)),
    seconds_per_call=0.004,
    seconds_per_token=1e-4,
    sample_tokens=(64, 512, 2048),
)


def changed(**fields: Any) -> str:
    return json.dumps(json.loads(CALIBRATION.to_json()) | fields)


def without(field: str) -> str:
    document = json.loads(CALIBRATION.to_json())
    del document[field]
    return json.dumps(document)


positive = st.floats(min_value=1e-9, max_value=1e9)


@given(seconds_per_call=positive, seconds_per_token=positive, cpu=st.text(), sample=st.lists(st.integers(1, 10**6)))
def test_a_calibration_is_the_same_after_a_round_trip(
    seconds_per_call: float, seconds_per_token: float, cpu: str, sample: list[int]
) -> None:
    calibration = replace(
        CALIBRATION,
        machine=CalibratedMachine(cpu=cpu, cores=1),
        seconds_per_call=seconds_per_call,
        seconds_per_token=seconds_per_token,
        sample_tokens=tuple(sample),
    )
    assert PodCalibration.from_json(calibration.to_json()) == calibration


def test_a_file_is_read_as_it_was_written(tmp_path: Path) -> None:
    CALIBRATION.write(tmp_path / "pod.json")
    assert PodCalibration.read(tmp_path / "pod.json") == CALIBRATION


def test_an_integer_is_accepted_as_a_number() -> None:
    assert PodCalibration.from_json(changed(cpus=2)).cpus == 2.0


def test_the_speed_of_a_saturated_pod_follows_from_full_calls() -> None:
    assert CALIBRATION.tokens_per_second == pytest.approx(2 * 2048 / (0.004 + 2048e-4))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "not JSON .*undertone-bench pod"),
        ("[]", "a JSON object is expected, not list"),
        (changed(version=2), "version 2, this release reads version 1: upgrade undertone-planner"),
        (changed(version=0), "version 0, .* write a new file with 'undertone-bench pod'"),
        (changed(version=True), "version True, .* write a new file"),
        (without("version"), "no version, .* write a new file"),
        (without("cpus"), "field cpus is missing: correct it, or write a new file"),
        (changed(cpu=2), "field cpu is unknown: the fields are machine, model,"),
        (changed(cpus="2"), "field cpus is '2': a number is expected"),
        (changed(model_calls=1.5), "field model_calls is 1.5: an integer is expected"),
        (changed(model_calls=True), "field model_calls is True: an integer is expected"),
        (changed(machine=[]), r"field machine is \[\]: an object is expected"),
        (changed(machine={"cpu": "x"}), "field machine.cores is missing"),
        (changed(machine={"cpu": "x", "cores": 1, "flags": [1]}), r"field machine.flags\[0\] is 1: a string is expected"),
        (changed(sample_tokens=3), "field sample_tokens is 3: a list is expected"),
        (changed(cpus=0), "cpus is 0.0: use a finite number above 0"),
        (changed(seconds_per_call=-1), "seconds_per_call is -1.0: use a finite number of at least 0"),
        (changed(load_seconds=float("nan")), "load_seconds is nan: use a finite number"),
    ],
)
def test_a_wrong_calibration_is_refused_with_a_remedy(text: str, message: str) -> None:
    with pytest.raises(CalibrationError, match=message):
        PodCalibration.from_json(text)


def test_an_error_of_a_file_names_the_file(tmp_path: Path) -> None:
    with pytest.raises(CalibrationError, match=r"pod\.json cannot be read \(No such file"):
        PodCalibration.read(tmp_path / "pod.json")
    (tmp_path / "pod.json").write_text("{}")
    with pytest.raises(CalibrationError, match=r"pod\.json: the calibration has no version"):
        PodCalibration.read(tmp_path / "pod.json")
    (tmp_path / "pod.json").write_bytes(b"\xff\xfe")
    with pytest.raises(CalibrationError, match=r"pod\.json: not text in UTF-8 .*: write a new file with"):
        PodCalibration.read(tmp_path / "pod.json")
