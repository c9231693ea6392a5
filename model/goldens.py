"""Writes reference outputs: logits of the original PyTorch implementation of BERT.

Not run by the project; it made the goldens that are committed. In an environment of its own with `torch` and `transformers`:

    undertone-model merge build/merged
    ARTIFACTS=model/src/undertone_model/artifacts
    python model/goldens.py build/merged model/data/stories $ARTIFACTS/adapters.safetensors > $ARTIFACTS/goldens.json

The last argument is the file that an export is made from: goldens are kept with its SHA-256, and `undertone-model verify`
compares an export with them if its contract names the same.

The texts are some of the story paragraphs, one word, and some of them joined until they exceed the model's length.
"""

import hashlib
import json
import sys
from pathlib import Path

import torch
from tokenizers import Tokenizer
from transformers import BertForSequenceClassification


def main(checkpoint: Path, texts: Path, weights: Path) -> None:
    tokenizer = Tokenizer.from_file(str(checkpoint / "tokenizer.json"))
    tokenizer.no_padding()
    model = BertForSequenceClassification.from_pretrained(checkpoint, attn_implementation="eager").double().eval()
    limit = model.config.max_position_embeddings
    tokenizer.enable_truncation(limit)
    rows = [json.loads(line) for path in sorted(texts.glob("*.jsonl")) for line in path.read_text().splitlines()]
    some = [row["text"] for row in rows if row["id"].endswith("/07")][::5]
    ids = [tokenizer.encode(text).ids for text in ["No", *some, " ".join(some)]]
    with torch.no_grad():
        logits = [model(torch.tensor([row])).logits[0].tolist() for row in ids]
    digest = hashlib.sha256(weights.read_bytes()).hexdigest()
    found = {"weights_sha256": digest, "input_ids": ids, "logits": [[round(x, 9) for x in row] for row in logits]}
    print(json.dumps(found))


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
