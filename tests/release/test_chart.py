"""The packaged chart."""

from pathlib import Path

import pytest

from release.chart import CHART, check_package, example_digests, image_names, package, pin_digests, read_digests
from release.errors import ReleaseError
from release.version import read_version, semantic_version

ROOT = Path(__file__).parents[2]
VALUES = """
sidecar:
  image:
    # The image.
    repository: ghcr.io/undertone/sidecar
    tag: ""
    # The digest.
    digest: ""
other:
  image:
    repository: docker.io/envoyproxy/envoy
    digest: ""
"""


def test_packaged_chart_pins_every_image(helm: Path, tmp_path: Path) -> None:
    digests = example_digests(ROOT)
    archive = package(ROOT, helm, digests, tmp_path)
    assert archive.name == f"undertone-{semantic_version(read_version(ROOT))}.tgz"
    assert check_package(helm, archive, digests) == []


def test_images_with_other_digests_are_problems(helm: Path, tmp_path: Path) -> None:
    archive = package(ROOT, helm, example_digests(ROOT), tmp_path)
    other = example_digests(ROOT) | {"batch": "sha256:" + 64 * "0"}
    unexpected, missing = check_package(helm, archive, other)
    assert unexpected.startswith("The packaged chart has the image ghcr.io/undertone/batch@sha256:")
    assert missing == f"The packaged chart does not use the image ghcr.io/undertone/batch@sha256:{64 * '0'}."


def test_only_our_images_are_pinned() -> None:
    pinned = pin_digests(VALUES, {"sidecar": "sha256:0"})
    assert pinned == VALUES.replace('# The digest.\n    digest: ""', '# The digest.\n    digest: "sha256:0"')


def test_an_image_without_a_digest_is_refused() -> None:
    with pytest.raises(ReleaseError, match="no digest for the image 'sidecar'"):
        pin_digests(VALUES, {})


def test_an_image_without_the_key_digest_is_refused() -> None:
    with pytest.raises(ReleaseError, match="no 'digest: \"\"' after its repository"):
        pin_digests(VALUES.replace('    # The digest.\n    digest: ""\n', ""), {"sidecar": "sha256:0"})


def test_digests_are_read_from_files(tmp_path: Path) -> None:
    digests = example_digests(ROOT)
    for name, digest in digests.items():
        (tmp_path / name).write_text(f"{digest}\n")
    assert read_digests(ROOT, tmp_path) == digests
    (tmp_path / "model").write_text("latest\n")
    with pytest.raises(ReleaseError, match="contains 'latest': expected sha256:"):
        read_digests(ROOT, tmp_path)
    (tmp_path / "model").unlink()
    with pytest.raises(ReleaseError, match="lacks the digest of model"):
        read_digests(ROOT, tmp_path)


def test_every_image_is_in_the_values() -> None:
    values = "".join(file.read_text() for file in (ROOT / CHART).glob("values*.yaml"))
    assert [name for name in image_names(ROOT) if f"repository: ghcr.io/undertone/{name}\n" not in values] == []
