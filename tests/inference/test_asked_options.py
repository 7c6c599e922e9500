"""Options of predictions: what is wrong is refused before anything is predicted, in a model and in a pipeline."""

from typing import Any

import numpy as np
import pytest

import hf_mtl
from hf_mtl import MultiTaskModel
from hf_mtl.errors import UserError
from hf_mtl.inference.asked_options import check_options
from hf_mtl.inference.pipeline import MultiTaskPipeline
from tests import tiny

WRONG: dict[str, tuple[dict[str, Any], str]] = {
    "long": ({"long": "chunks"}, r"long: is 'chunks'\. Allowed: chunk, cut\. Did you mean 'chunk'\?"),
    "long of a list": ({"long": ["cut"]}, r"long: is \['cut'\]\. Allowed: chunk, cut"),
    "top_k of none": ({"top_k": 0}, "top_k: is 0. Allowed: a whole number of at least 1, or None for all"),
    "top_k below": ({"top_k": -1}, "top_k: is -1"),
    "top_k in words": ({"top_k": "x"}, "top_k: is 'x'"),
    "half a top_k": ({"top_k": 1.5}, "top_k: is 1.5"),
    "top_k of yes": ({"top_k": True}, "top_k: is True"),
    "batch_tokens": ({"batch_tokens": 0}, "batch_tokens: is 0"),
}


@pytest.fixture(scope="module")
def model() -> MultiTaskModel:
    found = tiny.model()
    found.remember_tokenizer(tiny.tokenizer())
    return found


@pytest.fixture(scope="module")
def pipe(model: MultiTaskModel) -> MultiTaskPipeline:
    return hf_mtl.pipeline(model, device="cpu")


@pytest.mark.parametrize("case", WRONG)
def test_an_option_that_means_nothing_is_refused(case: str, model: MultiTaskModel, pipe: MultiTaskPipeline) -> None:
    options, problem = WRONG[case]
    with pytest.raises(UserError, match=problem):
        model.predict("w1", **options)
    with pytest.raises(UserError, match=problem):
        pipe("w1", **options)
    with pytest.raises(UserError, match=problem):
        hf_mtl.pipeline(model, device="cpu", **options)


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(UserError) as caught:
        check_options({"top_k": 0, "long": "x", "batch_tokens": "y", "task_name": 3})
    assert [mistake.key for mistake in caught.value.mistakes] == ["long", "top_k", "batch_tokens"]
    check_options({"top_k": np.int64(2), "long": "chunk", "batch_tokens": None})


@pytest.mark.parametrize("tasks", [3, 2.5, ["mood", 3], [["mood"]], b"mood"])
def test_what_names_no_tasks_is_refused(tasks: Any, model: MultiTaskModel, pipe: MultiTaskPipeline) -> None:
    with pytest.raises(UserError, match=r"tasks: found .*list of names\. Known: mood, score, topic"):
        model.predict("w1", tasks)
    for rows in ("w1", {"text": ["w1"]}):
        with pytest.raises(UserError, match=r"task_name: is .*the name of one task\. Known: mood, score, topic"):
            pipe(rows, task_name=tasks)


def test_another_tokenizer_is_a_tokenizer(model: MultiTaskModel) -> None:
    with pytest.raises(UserError, match=r"processing_class: found a str\. Give a tokenizer"):
        model.predict("w1", processing_class="nope")


def test_lists_in_a_list_are_no_rows_of_tasks_that_read_texts(model: MultiTaskModel, pipe: MultiTaskPipeline) -> None:
    for rows in ([["w1", "w2"]], [["w1"]], ["w1", ["w2"]]):
        with pytest.raises(UserError, match="rows: found a list in a list"):
            model.predict(rows)
        for batch_size in (1, 2):
            with pytest.raises(UserError, match="rows: found a list in a list"):
                pipe(rows, batch_size=batch_size)
