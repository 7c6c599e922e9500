"""The tokenizer of a run: the backbone's own, another one, or one trained on the run's own texts."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from hf_mtl.data.columns import text_lists
from hf_mtl.data.loaded import LoadedTask
from hf_mtl.data.texts import is_tokenised
from hf_mtl.data.vocabulary import train_wordpiece
from hf_mtl.errors import DataError, Mistake
from hf_mtl.modeling.backbone import load_encoder_config, resolve_backbone
from hf_mtl.modeling.tokenizer_files import read_tokenizer
from hf_mtl.recipe.schema import ModelSection


def load_tokenizer(section: ModelSection, data: Mapping[str, LoadedTask], folder: Path | None) -> Any:
    """Load or train the tokenizer.

    Args:
        section: The recipe's model section.
        data: The run's data, whose training texts a tokenizer may be trained on.
        folder: Where the run has kept the tokenizer that it trained, such as a checkpoint; None: nowhere yet. The
            same texts give the same tokenizer on every process.

    Raises:
        ModelError: If it, or the backbone that it comes with, cannot be loaded.
        DataError: If it is to be trained on a task that brings token ids in place of texts.
    """
    if section.tokenizer is None:
        load_encoder_config(section.backbone)  # a backbone that is not there is not a matter of its tokenizer
    wanted = section.tokenizer if section.tokenizer is not None else section.backbone
    if isinstance(wanted, str):
        return read_tokenizer(resolve_backbone(wanted), wanted)
    assert isinstance(section.tokenizer, Mapping), "the recipe checks that an inline config comes with a tokenizer"
    if folder is not None:
        return read_tokenizer(str(folder))
    options = {key: value for key, value in section.tokenizer.items() if key != "train"}
    return train_wordpiece(training_texts(data), **options)


def training_texts(data: Mapping[str, LoadedTask]) -> Iterator[str]:
    """Yield all training texts, task by task.

    Raises:
        DataError: If a task has none, but token ids.
    """
    given = [name for name, loaded in data.items() if is_tokenised(loaded.task, loaded.splits["train"])]
    if given:
        rows = f"the rows of {', '.join(given)} are token ids"
        found = f"a tokenizer to train, and {rows}, which another tokenizer has made"
        raise DataError(Mistake("model.tokenizer", found, "Name the tokenizer that made them."))
    for loaded in data.values():
        for column in loaded.task.text_columns:
            for texts in text_lists(loaded.splits["train"], column):
                yield from texts
