"""Stages of training whose adapters are kept, so that a training that was ended continues."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from undertone_model.adapters import RECORD_FILE, Adapters, load_adapters, round_to_half, save_adapters
from undertone_model.arrays import NamedArrays
from undertone_model.errors import CheckpointError


def train_stage(folder: Path | None, record: Adapters, train: Callable[[], NamedArrays]) -> Adapters:
    """`record` with the tensors in `folder`, or else with those of `train`, which are saved there.

    The tensors are rounded to half precision. Raises CheckpointError if the adapters in `folder`
    have another base, recipe or training data.
    """
    if folder and (folder / RECORD_FILE).exists():
        kept = load_adapters(folder)
        # A recipe of an earlier release may have fewer values.
        same = kept.recipe.items() <= record.recipe.items() and kept.base_sha256 == record.base_sha256
        if not same or kept.training_data != record.training_data:
            raise CheckpointError(f"{folder} has adapters of another training; delete the folder, or use another --out")
        return replace(record, tensors=kept.tensors)
    adapters = with_tensors(record, train())
    if folder:
        save_adapters(folder, adapters)
    return adapters


def with_tensors(record: Adapters, tensors: NamedArrays) -> Adapters:
    """`record` with `tensors` rounded to half precision."""
    return replace(record, tensors=round_to_half(tensors)[1])
