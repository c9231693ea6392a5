"""Writes golden outputs: logits of the original PyTorch implementation of a model, in float64.

The project does not run this script. It needs an environment with `torch` and `transformers`.

Golden outputs of a checkpoint, for random token ids. `undertone-model verify --goldens FILE`
compares an export with them:

    python model/make_goldens.py checkpoint DIR > goldens.json

Golden outputs of our own model, for texts of the stories. They belong to the adapters:

    undertone-model merge build/merged
    ARTIFACTS=model/src/undertone_model/artifacts
    python model/make_goldens.py checkpoint build/merged \\
        --weights $ARTIFACTS/adapters.safetensors \\
        --stories $ARTIFACTS/stories > $ARTIFACTS/goldens.json

Golden outputs of the tiny model of the tests:

    python -c "from pathlib import Path; from undertone_model.testing import tiny_checkpoint;
    tiny_checkpoint(Path('build/tiny'))"
    python model/make_goldens.py checkpoint build/tiny > tests/unit/model/goldens/tiny.json

Golden outputs of a small model of a family, with random weights. The file has the configuration of
the model and its maximum number of tokens; the script adds the shapes of the tensors, token ids
and logits. undertone_model.testing.golden_checkpoint() writes the same model for the tests:

    FILE=tests/unit/model/goldens/families/bert.json
    PYTHONPATH=model/src python model/make_goldens.py family $FILE
"""

import argparse
import hashlib
import json
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import transformers
from tokenizers import Tokenizer
from transformers import AutoConfig, AutoModelForSequenceClassification

OFFSET_FAMILIES = ("camembert", "mpnet", "roberta", "xlm-roberta")
"""Families whose positions begin after the id of padding, so that they have fewer tokens."""

RANDOM_LENGTHS = (3, 4, 7, 16, 17, 31, 48, 63, 64)
"""Lengths of random rows: the minimum, the maximum of the tiny model, and some between."""


def main() -> None:
    """Runs the command."""
    parser = argparse.ArgumentParser(description="Writes golden outputs of the original implementation.")
    commands = parser.add_subparsers(dest="command", required=True)
    checkpoint = commands.add_parser("checkpoint", help="print the golden outputs of a checkpoint")
    checkpoint.add_argument("checkpoint", type=Path)
    checkpoint.add_argument("--weights", type=Path, help="file that the golden outputs belong to (default: the weights)")
    checkpoint.add_argument("--stories", type=Path, help="folder of story paragraphs (default: random token ids)")
    family = commands.add_parser("family", help="complete a file with the configuration of a small model")
    family.add_argument("file", type=Path)
    options = parser.parse_args()
    if options.command == "checkpoint":
        if not (options.checkpoint / "config.json").is_file():
            parser.error(f"{options.checkpoint}/config.json does not exist: use the folder of a checkpoint")
        print(_text(of_checkpoint(options.checkpoint, options.weights, options.stories)))
    else:
        options.file.write_text(_text(of_family(json.loads(options.file.read_text()))) + "\n")


def of_checkpoint(checkpoint: Path, weights: Path | None, stories: Path | None) -> dict[str, Any]:
    """Golden outputs of a checkpoint, for the stories or for random token ids."""
    model = AutoModelForSequenceClassification.from_pretrained(checkpoint, attn_implementation="eager")
    max_tokens = model.config.max_position_embeddings
    if model.config.model_type in OFFSET_FAMILIES:
        max_tokens -= model.config.pad_token_id + 1
    if stories:
        ids = token_ids(checkpoint, stories, max_tokens)
    else:
        lengths = [length for length in RANDOM_LENGTHS if length <= max_tokens]
        ids = random_ids(model.config.vocab_size, lengths, model.config.pad_token_id)
    files = [weights] if weights else sorted(checkpoint.glob("model*.safetensors"))
    return {
        "made_by": _made_by(model),
        "weights_sha256": hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest(),
        "input_ids": ids,
        "logits": logits(model, ids),
    }


def of_family(record: Mapping[str, Any]) -> dict[str, Any]:
    """The record of a small model with the shapes of its tensors, token ids and logits.

    The model has random weights. The rows have 1 to `max_tokens` tokens, none of which is padding.
    The field `lengths` of the record sets other lengths.
    """
    # The script above needs no other module of the project.
    from undertone_model.testing_weights import random_tensors

    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "config.json").write_text(json.dumps(record["config"]))
        config = AutoConfig.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_config(config, attn_implementation="eager")  # type: ignore[no-untyped-call]
    shapes = {name: list(tensor.shape) for name, tensor in model.state_dict().items() if tensor.is_floating_point()}
    tensors = {name: torch.from_numpy(array) for name, array in random_tensors(shapes).items()}
    missing = model.load_state_dict(tensors, strict=False).missing_keys
    if unset := set(missing) - {name for name, tensor in model.state_dict().items() if not tensor.is_floating_point()}:
        raise SystemExit(f"no random weights for {', '.join(sorted(unset))}")
    lengths = record.get("lengths", [1, 2, 3, 7, 16, 31, record["max_tokens"]])
    ids = random_ids(model.config.vocab_size, lengths, padding=model.config.pad_token_id)
    return {
        "made_by": _made_by(model),
        **{name: record[name] for name in ("config", "max_tokens", "lengths") if name in record},
        "shapes": shapes,
        "input_ids": ids,
        "logits": logits(model, ids),
    }


def logits(model: Any, ids: Sequence[Sequence[int]]) -> list[list[float]]:
    """Logits of each row of token ids, which is a batch of its own without padding."""
    model = model.double().eval()
    with torch.no_grad():
        answers = [model(torch.tensor([row]), torch.ones(1, len(row), dtype=torch.long)).logits[0].tolist() for row in ids]
    return [[round(logit, 9) for logit in row] for row in answers]


def random_ids(vocabulary_size: int, lengths: Sequence[int], padding: int | None = 0) -> list[list[int]]:
    """Random token ids of rows of these lengths, without the id of padding."""
    random = np.random.default_rng(7)
    rows = [random.integers(1, vocabulary_size, length) for length in lengths]
    return [np.where(row == padding, row - 1 if padding else row, row).tolist() for row in rows]


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


def _made_by(model: Any) -> str:
    versions = f"torch {torch.__version__}, transformers {transformers.__version__}"
    return f"{type(model).__name__} in float64; {versions}; model/make_goldens.py"


def _text(record: Mapping[str, Any]) -> str:
    return "{\n" + ",\n".join(f'"{key}": {json.dumps(value)}' for key, value in record.items()) + "\n}"


if __name__ == "__main__":
    main()
