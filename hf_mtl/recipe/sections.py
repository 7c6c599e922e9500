"""The parts of a recipe whose keys are the keyword arguments of something that is configured nowhere else."""

from functools import cache

from hf_mtl.signatures import Options, model_from_signature


@cache
def training_section() -> type[Options]:
    """Return the fields of `MultiTaskTrainingArguments`."""
    from hf_mtl.argument_ranges import ranges
    from hf_mtl.arguments import MultiTaskTrainingArguments

    # Types that YAML cannot say (ParallelismConfig) are left to TrainingArguments itself.
    words = {"optim": ("adamax",)}
    return model_from_signature(MultiTaskTrainingArguments, lenient=True, words=words, ranges=ranges())


@cache
def tokenizer_section() -> type[Options]:
    """Return a tokenizer to train: ``{train: wordpiece, ...}``."""
    from hf_mtl.data.vocabulary import train_wordpiece

    return model_from_signature(train_wordpiece, exclude=("texts",), name=("train", "wordpiece"))
