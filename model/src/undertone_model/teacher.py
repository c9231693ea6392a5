"""A teacher: a model whose answers are the targets of another model (Hinton et al., 2015)."""

from undertone_model.adapters import Adapters, merge_adapters
from undertone_model.batches import encode
from undertone_model.calibration import UNCALIBRATED
from undertone_model.checkpoint import find_base, load_checkpoint
from undertone_model.errors import CheckpointError
from undertone_model.serving import round_matrices
from undertone_model.soft_labels import Answer
from undertone_model.special_tokens import served_tokenizer
from undertone_model.tensors import weights_sha256
from undertone_model.training import predictor


def load_teacher(base: str | None, adapters: Adapters, max_tokens: int) -> Answer:
    """The answers of the model of `base` and `adapters`, without calibration, computed in bf16.

    Texts are truncated to `max_tokens`, as in the training of the other model. Raises
    CheckpointError if the adapters belong to another base.
    """
    folder = find_base(base)
    if adapters.base_sha256 != weights_sha256(folder):
        raise CheckpointError(f"the adapters of the teacher belong to another base encoder than {folder}")
    encoder = load_checkpoint(folder)
    predict = predictor(round_matrices(merge_adapters(encoder.weights, adapters.tensors)), encoder.architecture)
    tokenizer = served_tokenizer(encoder.tokenizer)
    length = min(max_tokens, encoder.architecture.max_tokens)
    return lambda texts: UNCALIBRATED.probabilities(predict(encode(tokenizer, texts, length)))
