"""The pipeline of transformers for multi-task models: texts in, a prediction of each task by name out."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any, TypeAlias

import datasets
from transformers import PreTrainedTokenizerBase
from transformers.pipelines import PIPELINE_REGISTRY, Pipeline

from hf_mtl.errors import Mistake, ModelError, known
from hf_mtl.inference.asked_options import check_options
from hf_mtl.inference.given_rows import given_rows, rows_of_columns
from hf_mtl.inference.predictions import predicted_rows, tokenizer_of
from hf_mtl.inference.row_predictor import RowPredictor
from hf_mtl.inference.runs import local_folder
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.tokenizer_files import read_tokenizer
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

TASK = "multi-task-classification"
"""The name by which `transformers.pipeline` knows it."""

_OPTIONS = ("task_name", "top_k", "long", "batch_tokens")
_PADS = SimpleNamespace(pad_token_id=0, padding_side="right")
Three: TypeAlias = tuple[dict[str, Any], dict[str, Any], dict[str, Any]]


@dataclass(frozen=True, eq=False)
class _Row:
    """A row on its way through transformers, which would take a list for several."""

    given: Any


class MultiTaskPipeline(Pipeline):
    """Predicts with a multi-task model: of each text a mapping by task, from one pass.

        classify = hf_mtl.pipeline("runs/mine")
        classify("what a day")                            # {"emotion": {"label": "joy", "score": 0.9}, ...}
        classify(["what a day", "oh no"], batch_size=32)  # a list of these
        classify({"text": "Who?", "text_pair": "It was Ada."}, task_name="squad")

    It takes what `MultiTaskModel.predict` takes as rows: texts, pairs and mappings by column; lists of these, or a
    mapping of columns, at once, and generators and datasets one by one. Arguments of the call or of the constructor:

        task_name: Give this task's predictions alone.
        top_k: So many of the likeliest classes, labels, choices or answers of each; None: all. Left out: what is
            predicted.
        long: ``chunk`` reads texts that are too long in overlapping windows; left out: they are cut.
        batch_size: Texts that are encoded together. They are packed or grouped by length where the model can.
    """

    # The one beside the model is read by us: transformers makes one up where there is none.
    _load_tokenizer = False
    _load_processor = False
    _load_image_processor = False
    _load_video_processor = False
    _load_feature_extractor = False

    model: MultiTaskModel
    tokenizer: Any

    def __init__(self, model: MultiTaskModel, tokenizer: Any = None, **options: Any):
        if not isinstance(model, MultiTaskModel):
            remedy = "Give a model of hf_mtl, or the folder or Hub id of one"
            raise ModelError(Mistake("model", f"found a {type(model).__name__}", remedy))
        if tokenizer is None:
            tokenizer = tokenizer_of(model)
        elif not isinstance(tokenizer, PreTrainedTokenizerBase):
            tokenizer = read_tokenizer(str(tokenizer))
        super().__init__(model=model, tokenizer=tokenizer, **options)
        model.eval()

    def __call__(self, inputs: Any, *args: Any, **options: Any) -> Any:
        """Predict for a text, a list, a generator or a dataset."""
        self._sanitize_parameters(**{name: options[name] for name in _OPTIONS if name in options})
        if isinstance(inputs, Mapping):
            one = options.get("task_name", self._forward_params.get("task_name"))
            rows = rows_of_columns(inputs, self.model.tasks, None if one is None else [one])
            inputs = inputs if rows is None else rows
        if isinstance(inputs, list) and not inputs:  # of which transformers looks at the first
            return []
        if isinstance(inputs, datasets.Dataset | datasets.IterableDataset):
            inputs = (row for row in inputs)
        return super().__call__(inputs, *args, **options)

    def get_iterator(self, *args: Any) -> Any:
        """Go through rows, of which transformers puts some together."""
        own = self.tokenizer
        # It asks how to pad tensors, of which there are none, and refuses a tokenizer that does not pad.
        self.tokenizer = _PADS
        try:
            return super().get_iterator(*args)
        finally:
            self.tokenizer = own

    def _sanitize_parameters(self, **options: Any) -> Three:
        if wrong := [name for name in options if name not in _OPTIONS]:
            raise TypeError(f"no such argument of the pipeline: {', '.join(wrong)}; {known(_OPTIONS, wrong[0])}")
        name, tasks = options.get("task_name"), self.model.tasks
        if name is not None and not isinstance(name, str):
            raise ModelError(Mistake("task_name", f"is {name!r}", f"Give the name of one task. {known(tasks, '')}"))
        if name is not None and name not in tasks:
            raise ModelError(Mistake("task_name", f"the model has no task '{name}'", known(tasks, name)))
        check_options(options)
        return {}, options, {}

    def preprocess(self, input_: Any, **options: Any) -> dict[str, Any]:
        """Pass a row on: rows become tokens where it is known which are together."""
        return {"rows": _Row(dict(input_) if isinstance(input_, Mapping) else input_)}

    def _forward(
        self,
        input_tensors: dict[str, Any],
        task_name: str | None = None,
        top_k: int | None = 1,
        long: Any = "cut",
        batch_tokens: int | None = None,
    ) -> dict[str, Any]:
        """Predict for the rows that came together."""
        found_rows = input_tensors["rows"]
        together = isinstance(found_rows, list)
        rows = [row.given for row in (found_rows if together else [found_rows])]
        given = given_rows(rows, self.model.tasks, None if task_name is None else [task_name])
        predictor = RowPredictor(self.model, given.tasks, self.tokenizer, long, batch_tokens)
        found: list[Any] = list(predicted_rows(predictor, given, top_k))
        self._say_once(given.marked, predictor.cut)
        if task_name is not None:
            found = [row[task_name] for row in found]
        return {"predictions": found if together else found[0]}

    @staticmethod
    def _say_once(marked: Mapping[str, Any], cut: Mapping[str, int]) -> None:
        """Say that some rows have no prediction or were cut: once, as rows may come one by one without end."""
        if any(reason is not None for reasons in marked.values() for reason in reasons):
            logger.warning_once("Some rows cannot be read, and have None for a prediction: they have no text.")
        if any(cut.values()):
            logger.warning_once("Some texts are longer than the model reads, and cut; long='chunk' reads them whole.")

    def postprocess(self, model_outputs: dict[str, Any], **options: Any) -> Any:
        """Give the predictions of one row."""
        return model_outputs["predictions"]


def pipeline(model: str | Path | MultiTaskModel, **options: Any) -> MultiTaskPipeline:
    """Make a `MultiTaskPipeline`, as ``transformers.pipeline("multi-task-classification", model=...)`` does.

    Args:
        model: A run's folder, one of its checkpoints, another saved model, a Hub id, or a model.
        options: As for `transformers.pipeline`, such as ``device``, ``batch_size``, ``revision``, ``tokenizer``; and
            the arguments of `MultiTaskPipeline`.

    Raises:
        UserError: If there is no such model, or it is damaged.
    """
    from transformers import pipeline as of_transformers

    if not isinstance(model, MultiTaskModel) and "revision" not in options:
        model = str(local_folder(model))
    made: MultiTaskPipeline = of_transformers(TASK, model=model, **options)
    return made


PIPELINE_REGISTRY.register_pipeline(TASK, MultiTaskPipeline, pt_model=MultiTaskModel, type="text")
# By it a saved pipeline would carry the code of its class, which comes with hf_mtl.
del MultiTaskPipeline._registered_impl
