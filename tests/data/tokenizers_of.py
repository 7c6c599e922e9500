"""Small tokenizers of each kind, trained on a few words."""

from functools import cache

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CORPUS = [
    "Hello world, the unbelievable words of a tokenizer: tokenizing is unbelievably hard!",
    "don't (stop) it's ok.",
]


@cache
def trained(kind: str) -> Tokenizer:
    """A tokenizer: ``wordpiece``, ``bytes`` (of BPE, without a blank before the text), ``bytes_prefix`` or ``blanks``
    (of sentences, where a blank is a letter).
    """
    if kind == "wordpiece":
        found = Tokenizer(models.WordPiece(unk_token="[UNK]"))
        found.normalizer, found.pre_tokenizer = normalizers.BertNormalizer(), pre_tokenizers.BertPreTokenizer()
        trainer = trainers.WordPieceTrainer(vocab_size=70, special_tokens=SPECIAL)
    elif kind == "blanks":
        found = Tokenizer(models.Unigram())
        found.pre_tokenizer, found.decoder = pre_tokenizers.Metaspace(), decoders.Metaspace()
        trainer = trainers.UnigramTrainer(vocab_size=60, special_tokens=SPECIAL, unk_token="[UNK]")
    else:
        found = Tokenizer(models.BPE())
        found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=kind == "bytes_prefix")
        alphabet = pre_tokenizers.ByteLevel.alphabet()
        trainer = trainers.BpeTrainer(vocab_size=300, special_tokens=SPECIAL, initial_alphabet=alphabet)
    found.train_from_iterator(CORPUS * 3, trainer)
    if kind == "bytes":
        found.post_processor = processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2), add_prefix_space=False)
    elif kind == "bytes_prefix":
        found.post_processor = processors.RobertaProcessing(("[SEP]", 3), ("[CLS]", 2), add_prefix_space=True)
    else:
        found.post_processor = processors.TemplateProcessing(
            single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
        )
    return found


def fast(kind: str, truncation_side: str = "right") -> PreTrainedTokenizerFast:
    """The same for transformers."""
    names = dict(zip(("pad_token", "unk_token", "cls_token", "sep_token", "mask_token"), SPECIAL, strict=True))
    return PreTrainedTokenizerFast(
        tokenizer_object=trained(kind), model_max_length=64, truncation_side=truncation_side, **names
    )
