import pytest
from undertone_model.testing import tiny_tokenizer
from undertone_model.testing_tokenizers import TOKENIZERS

EXPECTED = {
    "bert": ["[CLS]", "the", "sea", ",", "a", "##a", "[UNK]", "[SEP]"],
    "mpnet": ["<s>", "the", "sea", ",", "a", "##a", "[UNK]", "</s>"],
    "roberta": ["<s>", "the", "Ġsea", ",", "Ġa", "a", "Ġ", "â", "ĺ", "ĥ", "</s>"],
    "modernbert": ["[CLS]", "the", "Ġsea", ",", "Ġa", "a", "Ġ", "â", "ĺ", "ĥ", "[SEP]"],
    "xlm-roberta": ["<s>", "▁the", "▁sea", ",", "▁", "a", "a", "▁", "☃", "</s>"],
    "camembert": ["<s>", "▁the", "▁sea", ",", "▁", "a", "a", "▁", "☃", "</s>"],
    "deberta": ["[CLS]", "the", "Ġsea", ",", "Ġa", "a", "Ġ", "â", "ĺ", "ĥ", "[SEP]"],
    "deberta-v2": ["[CLS]", "▁the", "▁sea", ",", "▁", "a", "a", "▁", "☃", "[SEP]"],
}


@pytest.mark.parametrize("family", sorted(TOKENIZERS))
def test_each_family_has_its_own_steps_and_special_tokens(family: str) -> None:
    tokenizer = tiny_tokenizer(family)
    expected = EXPECTED["bert" if family in ("distilbert", "electra") else family]
    assert tokenizer.encode("the sea, aa ☃").tokens == expected
    assert sorted(tokenizer.get_vocab().values()) == list(range(tokenizer.get_vocab_size()))
