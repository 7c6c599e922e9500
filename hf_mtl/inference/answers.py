"""Answers of a model to questions: texts with their probabilities, for rows with or without labels."""

import numpy as np
from datasets import Dataset
from transformers import PreTrainedTokenizerBase

from hf_mtl.data.collate import Collator, default_group_cost, default_run_cost
from hf_mtl.data.token_budget import BatchLimit, default_eval_tokens
from hf_mtl.errors import Mistake, ModelError, known
from hf_mtl.inference.encode import encode_splits
from hf_mtl.inference.encoder_limits import check_token_ids, padding_id, row_limit
from hf_mtl.inference.predict import KeptOutputs, Predictor
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.in_passing import in_passing
from hf_mtl.processes import Processes
from hf_mtl.tasks.scoring import FoundAnswer

_ROWS = 1024  # whose logits are in memory at once


def answer_questions(
    model: MultiTaskModel,
    task: str,
    rows: Dataset,
    tokenizer: PreTrainedTokenizerBase,
    n_best: int = 1,
    limit: BatchLimit | None = None,
) -> list[list[FoundAnswer]]:
    """Answer questions from their contexts, with the model where it is; of several processes each for itself.

        model = MultiTaskModel.from_pretrained("runs/mine")
        tokenizer = AutoTokenizer.from_pretrained("runs/mine")
        rows = Dataset.from_dict({"question": ["Who?"], "context": ["It was Ada."]})
        [[best]] = answer_questions(model, "squad", rows, tokenizer)

    Args:
        model: The model.
        task: A task of the model that answers questions.
        rows: Questions and contexts in the task's columns; answers are not looked at.
        tokenizer: The tokenizer, a fast one.
        n_best: The most answers of a row.
        limit: The most that a batch holds; None: as many tokens as an evaluation has.

    Returns:
        For each row its answers, the best first, as `SpanExtraction.answers` gives them.

    Raises:
        ModelError: If the model has no such task.
        DataError: If rows cannot be used.
    """
    kind = model.tasks.get(task)
    if kind is None or not kind.answers_questions:
        names = [name for name, found in model.tasks.items() if found.answers_questions]
        problem = "is no task of the model that answers questions"
        raise ModelError(Mistake(f"tasks.{task}", problem, known(names, task)))
    there = set(kind.text_columns) <= set(rows.column_names)
    asked = rows.select_columns(kind.text_columns) if there else rows
    split = encode_splits({task: asked}, {task: kind}, tokenizer, row_limit(model, tokenizer), "test")[task]
    check_token_ids(model, {task: split}, tokenizer)
    device, pad = model.device, padding_id(model, tokenizer)
    cost = default_run_cost(device) if model.packs else default_group_cost(device)
    limit = limit or BatchLimit(default_eval_tokens(device), padded=not model.packs)
    predictor = Predictor(model, limit, Processes(device=device), on_batch=lambda: True)
    found: list[list[FoundAnswer]] = []
    with in_passing(model):
        for start in range(0, len(split), _ROWS):
            part = split.select(np.arange(start, min(start + _ROWS, len(split))))
            keep = KeptOutputs.outputs(kind, part, everywhere=True)
            predicted = predictor.predict(task, part, Collator({task: part}, pad, cost, model.arrangement), keep)
            assert predicted is not None  # a process that is alone gets them
            found.extend(kind.answers(predicted.outputs, part.scored_against, n_best))
    return found
