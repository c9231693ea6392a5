"""Writes the OpenAPI document that the sidecar serves (`make protos`).

With --check, fails if the committed document differs from the generated one.
"""

import json
import sys
import tempfile
from pathlib import Path
from typing import Final

from google.protobuf.descriptor_pb2 import FileDescriptorSet

from protos.generate import write_image
from protos.openapi.document import document

TARGET: Final = Path(__file__).parents[2] / "services" / "sidecar" / "src" / "undertone_sidecar" / "http" / "openapi.json"


def generated() -> str:
    """The document as text."""
    with tempfile.TemporaryDirectory() as folder:
        image = Path(folder) / "image.binpb"
        write_image(image)
        descriptors = FileDescriptorSet.FromString(image.read_bytes())
    return json.dumps(document(descriptors), indent=2, ensure_ascii=False) + "\n"


def main() -> int:
    """Returns the exit code."""
    text = generated()
    if "--check" not in sys.argv[1:]:
        TARGET.write_text(text)
    elif not TARGET.exists() or TARGET.read_text() != text:
        print(f"{TARGET} is not up to date: run `make protos`", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
