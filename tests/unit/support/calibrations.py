"""Calibrations of pods, for tests of the planner and of the bench."""

from undertone_planner.calibration import CalibratedMachine, PodCalibration

CALIBRATION = PodCalibration(
    machine=CalibratedMachine(cpu="Xeon", cores=2),
    model="emotions",
    precision="fp32",
    cpus=2.0,
    seconds_per_call=0.0,
    seconds_per_token=0.001,
    model_calls=2,
    batch_tokens=2048,
    load_seconds=20.0,
    warmup_seconds=10.0,
    memory_bytes=2**30,
)
"""A pod computes 2,000 tokens a second."""
