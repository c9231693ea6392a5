"""The tokenizer of an export. test_tokenizer_families compares its ids with the sidecar's."""

import json

import pytest
from tokenizers import AddedToken, Tokenizer, models, pre_tokenizers, processors
from undertone_model.batches import encode
from undertone_model.errors import CheckpointError
from undertone_model.special_tokens import served_tokenizer
from undertone_model.testing import tiny_tokenizer


@pytest.mark.parametrize("family", ["bert", "roberta", "camembert", "deberta-v2"])
@pytest.mark.parametrize("special_tokens", ["text", "control"])
def test_the_tokenizer_of_the_checkpoint_is_unchanged(family: str, special_tokens: str) -> None:
    tokenizer = tiny_tokenizer(family)
    tokenizer.enable_padding(length=12)
    served_tokenizer(tokenizer, special_tokens)  # type: ignore[arg-type]
    tokenizer.no_padding()
    assert tokenizer.to_str() == tiny_tokenizer(family).to_str()
    assert not tokenizer.encode_special_tokens


@pytest.mark.parametrize("family", ["bert", "modernbert", "camembert", "deberta-v2"])
def test_the_tokenizer_of_an_export_can_be_exported_again(family: str) -> None:
    served = served_tokenizer(tiny_tokenizer(family))
    assert served_tokenizer(served).to_str() == served.to_str()


def test_tokens_around_a_text_are_special_even_if_the_checkpoint_does_not_say_so() -> None:
    tokenizer = tiny_tokenizer("bert")
    description = json.loads(tokenizer.to_str())
    for token in description["added_tokens"]:
        token["special"] = False
    tokenizer = Tokenizer.from_str(json.dumps(description))
    assert served_tokenizer(tokenizer).encode("[SEP]").tokens == ["[CLS]", "[UNK]", "s", "##e", "##p", "[UNK]", "[SEP]"]


def test_added_tokens_that_are_not_special_keep_their_ids() -> None:
    tokenizer = tiny_tokenizer("xlm-roberta")
    tokenizer.add_tokens([AddedToken("@user", rstrip=True), "seaside"])
    served = served_tokenizer(tokenizer)
    text = "the @user  seaside"
    assert served.encode(text).ids == tokenizer.encode(text).ids
    assert {tokenizer.token_to_id("@user"), tokenizer.token_to_id("seaside")} < {*served.encode(text).ids}


def test_a_tokenizer_that_cannot_read_a_special_token_as_text_is_refused() -> None:
    """A vocabulary of whole words has no other pieces for it."""
    tokenizer = tiny_tokenizer("bert")
    tokenizer.model = models.WordLevel(tokenizer.get_vocab(), unk_token="[UNK]")  # noqa: S106
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.normalizer = None
    with pytest.raises(CheckpointError, match=r"reads '\[PAD\]' in a text as the special token 0.*--special-tokens control"):
        served_tokenizer(tokenizer)
    assert served_tokenizer(tokenizer, "control").encode("[SEP]").ids == tokenizer.encode("[SEP]").ids


def test_a_tokenizer_without_special_tokens_is_refused() -> None:
    tokenizer = tiny_tokenizer("roberta")
    tokenizer.post_processor = processors.ByteLevel()
    with pytest.raises(CheckpointError, match="adds no special tokens to a text: its post_processor is missing"):
        served_tokenizer(tokenizer)


@pytest.mark.parametrize("family", ["bert", "roberta", "xlm-roberta"])
def test_batches_have_no_special_tokens_of_a_text(family: str) -> None:
    tokenizer = served_tokenizer(tiny_tokenizer(family))
    first, last = tokenizer.encode("").ids
    (ids,) = encode(tokenizer, [f"{tiny_tokenizer(family).decode([last], skip_special_tokens=False)} the sea"], 64)
    assert (ids[0], ids[-1]) == (first, last)
    assert {first, last}.isdisjoint(ids[1:-1])
