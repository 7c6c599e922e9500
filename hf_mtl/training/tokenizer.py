"""The tokenizer of a run: the backbone's own, another one, or one trained on the run's own texts."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from transformers import AutoTokenizer, PreTrainedTokenizerBase

from hf_mtl.data.load import LoadedTask
from hf_mtl.data.processes import main_process_first
from hf_mtl.data.vocabulary import train_wordpiece
from hf_mtl.errors import Mistake, ModelError
from hf_mtl.modeling.backbone import resolve_backbone
from hf_mtl.recipe.schema import ModelSection


def load_tokenizer(section: ModelSection, data: Mapping[str, LoadedTask], folder: Path | None) -> Any:
    """Load or train the tokenizer.

    Args:
        section: The recipe's model section.
        data: The run's data, whose training texts a tokenizer may be trained on.
        folder: Where a trained tokenizer is kept, so that all processes and a resumed run have the same; None: it
            is not kept.

    Raises:
        ModelError: If it cannot be loaded.
    """
    wanted = section.tokenizer if section.tokenizer is not None else section.backbone
    if isinstance(wanted, str):
        return _load(resolve_backbone(wanted), wanted)
    assert isinstance(section.tokenizer, Mapping), "the recipe checks that an inline config comes with a tokenizer"
    options = {key: value for key, value in section.tokenizer.items() if key != "train"}
    if folder is None:
        return train_wordpiece(training_texts(data), **options)
    with main_process_first():
        if not (folder / "tokenizer.json").exists():
            train_wordpiece(training_texts(data), **options).save_pretrained(folder)
        return _load(str(folder), str(folder))


def _load(path: str, name: str) -> PreTrainedTokenizerBase:
    try:
        return AutoTokenizer.from_pretrained(path)
    except (OSError, ValueError) as error:
        first = str(error).strip().splitlines()[0]
        raise ModelError(Mistake("model.tokenizer", f"no tokenizer could be loaded from '{name}'", first)) from error


def training_texts(data: Mapping[str, LoadedTask]) -> Iterator[str]:
    """All training texts, task by task."""
    for loaded in data.values():
        for column in loaded.task.text_columns:
            yield from loaded.splits["train"][column]
