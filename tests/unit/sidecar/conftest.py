from pathlib import Path

import pytest
from undertone_sidecar.testing import write_version


@pytest.fixture
def base(tmp_path: Path) -> Path:
    """Folder of a model with version 1, which accepts at most 32 tokens."""
    folder = tmp_path / "emotions"
    write_version(folder, 1)
    return folder
