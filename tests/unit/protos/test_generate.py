"""What `make check` finds out about generated files."""

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


def test_make_check_finds_what_is_not_generated_any_more(
    generate: ModuleType, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    stubs, descriptor = tmp_path / "stubs", tmp_path / "classifier.binpb"
    old = stubs / "v1" / "of_a_deleted_proto_pb2.py"
    old.parent.mkdir(parents=True)
    old.write_text("")
    by_hand = stubs / "tf_serving.py"
    by_hand.write_text("written by hand")
    generate.write_stubs(stubs)
    generate.write_descriptor(descriptor)
    assert not old.exists()
    assert generate.check(stubs, descriptor) == 0, "neither style nor files"
    old.write_text("")
    edited = stubs / "v1" / "classifier_pb2.pyi"
    edited.write_text(edited.read_text() + "\n")
    (stubs / "tfserving" / "__init__.py").unlink()
    descriptor.write_bytes(descriptor.read_bytes()[:-1])
    assert generate.check(stubs, descriptor) == 4
    assert str(edited) in capsys.readouterr().err
    assert by_hand.exists()
