"""A WordPiece vocabulary trained on a run's own texts, for an encoder that starts from an inline config."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field
from tokenizers import Tokenizer, models, trainers
from transformers import BertTokenizer

from hf_mtl.errors import DataError, Mistake

SPECIAL_TOKENS = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
SMALLEST_VOCABULARY = 64


def train_wordpiece(
    texts: Iterable[str],
    vocab_size: Annotated[int, Field(ge=SMALLEST_VOCABULARY)] = 4000,
    lowercase: bool = True,
    min_frequency: Annotated[int, Field(ge=0)] = 2,
) -> BertTokenizer:
    """Train a BERT tokenizer: the same texts in the same or another order give the same vocabulary.

    At most a quarter of the vocabulary is spent on single characters (each counts twice, at the start of a word
    and inside one), the most frequent first; words with rarer ones become ``[UNK]``.

    Args:
        texts: The training texts.
        vocab_size: Largest number of tokens, with the five special ones; at least 64.
        lowercase: Lower-case the texts and strip accents, in training and in use.
        min_frequency: How often a pair of pieces must occur to become one.

    Raises:
        DataError: If ``vocab_size`` is too small, or the texts hold no characters.
    """
    if vocab_size < SMALLEST_VOCABULARY:
        found = f"a vocabulary of {vocab_size} tokens"
        raise DataError(Mistake("model.tokenizer.vocab_size", found, f"At least {SMALLEST_VOCABULARY} are needed."))
    # In the words of transformers: what is trained with is what is used.
    empty = BertTokenizer(do_lower_case=lowercase).backend_tokenizer
    texts = [empty.normalizer.normalize_str(text) for text in texts]
    alphabet = _alphabet(texts, limit=vocab_size // 4)
    if not alphabet:
        raise DataError(Mistake("model.tokenizer", "no text to train a vocabulary on"))
    # The trainer numbers "##x" pieces in the order of a hash map, and breaks ties by number: fix the numbers first.
    first = [*SPECIAL_TOKENS, *alphabet, *(f"##{character}" for character in alphabet)]
    trainer = trainers.WordPieceTrainer(
        vocab_size=vocab_size,
        min_frequency=min_frequency,
        show_progress=False,
        special_tokens=first,
        initial_alphabet=alphabet,
        limit_alphabet=len(alphabet),
    )
    scratch = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    scratch.pre_tokenizer = empty.pre_tokenizer
    scratch.train_from_iterator(texts, trainer)
    return BertTokenizer(vocab=scratch.get_vocab(), do_lower_case=lowercase)


def _alphabet(texts: Iterable[str], limit: int) -> list[str]:
    counts = Counter[str]()
    for text in texts:
        counts.update(text)
    characters = sorted((character for character in counts if not character.isspace()), key=lambda c: (-counts[c], c))
    return sorted(characters[:limit])
