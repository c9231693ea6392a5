"""RoBERTa (Liu et al., 2019), CamemBERT (Martin et al., 2020) and XLM-RoBERTa (Conneau et al.,
2020): three vocabularies of one architecture.
"""

from dataclasses import replace
from typing import Final

from undertone_model.architecture import AbsolutePositions, Architecture
from undertone_model.configuration import Configuration
from undertone_model.families import bert
from undertone_model.families.names import TensorNames

NAMES: Final = TensorNames(prefix="roberta.", modules={"pooler.dense": "classifier.dense", "classifier": "classifier.out_proj"})


def architecture(configuration: Configuration) -> Architecture:
    """The architecture of a RobertaConfig. The first token has the position that follows the id of
    the padding token.
    """
    defaults = replace(bert.BERT_BASE, vocab_size=50265 if configuration.fields["model_type"] == "roberta" else 30522)
    positions = AbsolutePositions(offset=configuration.index("pad_token_id", 1) + 1)
    return replace(bert.architecture(configuration, defaults), positions=positions)
