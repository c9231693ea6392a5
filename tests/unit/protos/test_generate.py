"""The check of generated files."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

PROTOS = Path(__file__).parents[3] / "protos"


@pytest.fixture(scope="module")
def generate() -> ModuleType:
    spec = importlib.util.spec_from_file_location("generate_protos", PROTOS / "generate.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_check_finds_outdated_and_superfluous_files(
    generate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stubs, descriptor = tmp_path / "stubs", tmp_path / "classifier.binpb"
    superfluous = stubs / "v1" / "deleted_pb2.py"
    superfluous.parent.mkdir(parents=True)
    superfluous.write_text("")
    handwritten = stubs / "tf_serving.py"
    handwritten.write_text("written by hand")
    generate.write_stubs(stubs)
    generate.write_descriptor(descriptor)
    assert not superfluous.exists()
    assert generate.check(stubs, descriptor) == 0, "new files have no findings"
    superfluous.write_text("")
    edited = stubs / "v1" / "classifier_pb2.pyi"
    edited.write_text(edited.read_text() + "\n")
    (stubs / "tfserving" / "__init__.py").unlink()
    descriptor.write_bytes(descriptor.read_bytes()[:-1])
    assert generate.check(stubs, descriptor) == 4
    assert str(edited) in capsys.readouterr().err
    assert handwritten.exists()
