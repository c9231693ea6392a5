"""Writes tiny.json: logits of the original PyTorch implementation of BERT for the tiny checkpoint of undertone_model.testing.

Not run by the tests; it made the numbers they compare with. In the project's environment, then in one of its own with `torch`
and `transformers`:

    python -c "import pathlib, undertone_model.testing as t; t.tiny_checkpoint(pathlib.Path('build/tiny'))"
    python tests/unit/model/goldens/reference.py build/tiny > tests/unit/model/goldens/tiny.json

Rows are of random tokens and of every length that matters: the shortest, the longest, and some between.
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers

LENGTHS = (3, 4, 7, 16, 17, 31, 48, 63, 64)


def main(checkpoint: Path) -> None:
    model = transformers.BertForSequenceClassification.from_pretrained(checkpoint, attn_implementation="eager").double().eval()
    random = np.random.default_rng(7)
    ids = [random.integers(1, model.config.vocab_size, length).tolist() for length in LENGTHS]
    with torch.no_grad():
        logits = [model(torch.tensor([row])).logits[0].tolist() for row in ids]
    found = {
        "made_by": f"BertForSequenceClassification in float64; torch {torch.__version__}, "
        f"transformers {transformers.__version__}; tests/unit/model/goldens/reference.py",
        "weights_sha256": hashlib.sha256((checkpoint / "model.safetensors").read_bytes()).hexdigest(),
        "input_ids": ids,
        "logits": [[round(x, 9) for x in row] for row in logits],
    }
    print("{\n" + ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in found.items()) + "\n}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
