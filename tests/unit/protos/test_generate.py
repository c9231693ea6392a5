"""The committed stubs and the style of the .proto files."""

import importlib.util
import subprocess
import sys
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


def files_below(*folders: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder.parent)): path.read_text()
        for folder in folders
        for path in sorted(folder.rglob("*.py*"))
        if "__pycache__" not in path.parts
    }


def test_the_committed_stubs_are_what_the_protos_give(generate: ModuleType, tmp_path: Path) -> None:
    (tmp_path / "v1").mkdir()
    (tmp_path / "v1" / "of_a_deleted_proto_pb2.py").write_text("")
    (tmp_path / "tf_serving.py").write_text("written by hand")
    generate.write_stubs(tmp_path)
    committed = files_below(generate.TARGET / "v1", generate.TARGET / "tfserving")
    fresh = files_below(tmp_path / "v1", tmp_path / "tfserving")
    assert fresh.keys() == committed.keys()
    stale = [name for name, text in fresh.items() if committed[name] != text]
    assert stale == [], "run `make protos` and commit the result"
    assert (tmp_path / "tf_serving.py").exists()


def test_buf_has_nothing_to_say(generate: ModuleType, tmp_path: Path) -> None:
    image = tmp_path / "image.binpb"
    generate.write_image(image)
    buf = Path(sys.executable).parent / "buf"
    done = subprocess.run([buf, "lint", image, "--config", PROTOS / "buf.yaml"], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, ""), done.stdout + done.stderr
