"""A large array in a file."""

from pathlib import Path

import numpy as np
from undertone_model.kept_array import KeptArray


def test_complete_parts_are_kept(tmp_path: Path) -> None:
    path = tmp_path / "stages" / "states.npy"
    first = KeptArray(path, "key", (4, 2))
    assert first.parts == 0
    first.array[:2] = 1.5
    first.save(1)
    # The second part is not complete.
    first.array[2:] = 9
    second = KeptArray(path, "key", (4, 2))
    assert second.parts == 1
    np.testing.assert_array_equal(second.array[:2], 1.5)
    second.array[2:] = 2.5
    second.save(2)
    assert KeptArray(path, "key", (4, 2)).parts == 2
    assert sorted(file.name for file in path.parent.iterdir()) == ["states.json", "states.npy"]


def test_another_array_is_replaced(tmp_path: Path) -> None:
    path = tmp_path / "states.npy"
    KeptArray(path, "key", (4, 2)).save(1)
    other = KeptArray(path, "other", (3, 2))
    assert (other.parts, other.array.shape) == (0, (3, 2))
    path.unlink()
    other.save(1)
    assert KeptArray(path, "other", (3, 2)).parts == 0
