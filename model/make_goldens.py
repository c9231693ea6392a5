"""Writes golden outputs: logits of the original PyTorch implementation of BERT, in float64.

The project does not run this script. It needs an environment with `torch` and `transformers`. The
arguments are a checkpoint, the file whose SHA-256 an export of it has in its contract, and
optionally a folder of story paragraphs. Golden outputs in the package, for texts of the stories:

    undertone-model merge build/merged
    ARTIFACTS=model/src/undertone_model/artifacts
    python model/make_goldens.py build/merged $ARTIFACTS/adapters.safetensors model/data/stories \\
        > $ARTIFACTS/goldens.json

Golden outputs for the tests, for random token ids:

    python -c "from pathlib import Path; from undertone_model.testing import tiny_checkpoint;
    tiny_checkpoint(Path('build/tiny'))"
    python model/make_goldens.py build/tiny build/tiny/model.safetensors \\
        > tests/unit/model/goldens/tiny.json
"""

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer

RANDOM_LENGTHS = (3, 4, 7, 16, 17, 31, 48, 63, 64)
"""Lengths of random rows: the minimum, the maximum of the tiny model, and some between."""


def main(checkpoint: Path, weights: Path, stories: Path | None = None) -> None:
    """Prints the golden outputs as JSON."""
    model = transformers.BertForSequenceClassification.from_pretrained(checkpoint, attn_implementation="eager").double().eval()
    config = model.config
    ids = token_ids(checkpoint, stories, config.max_position_embeddings) if stories else random_ids(config.vocab_size)
    with torch.no_grad():
        logits = [model(torch.tensor([row])).logits[0].tolist() for row in ids]
    record = {
        "made_by": f"BertForSequenceClassification in float64; torch {torch.__version__}, "
        f"transformers {transformers.__version__}; model/make_goldens.py",
        "weights_sha256": hashlib.sha256(weights.read_bytes()).hexdigest(),
        "input_ids": ids,
        "logits": [[round(logit, 9) for logit in row] for row in logits],
    }
    print("{\n" + ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in record.items()) + "\n}")


def random_ids(vocabulary_size: int) -> list[list[int]]:
    """Random token ids of RANDOM_LENGTHS."""
    random = np.random.default_rng(7)
    return [random.integers(1, vocabulary_size, length).tolist() for length in RANDOM_LENGTHS]


def token_ids(checkpoint: Path, stories: Path, max_tokens: int) -> list[list[int]]:
    """Token ids of one word, of some paragraphs, and of a text that exceeds the positions of the
    model.
    """
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(max_tokens)
    rows = [json.loads(line) for path in sorted(stories.glob("*.jsonl")) for line in path.read_text().splitlines()]
    paragraphs = [row["text"] for row in rows if row["id"].endswith("/07")][::5]
    return [tokenizer.encode(text).ids for text in ["No", *paragraphs, " ".join(paragraphs)]]


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
