"""The two formats of `hf-mtl export`, and what is said of them."""

import json
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from hf_mtl.errors import RunError, UserError
from hf_mtl.evaluation.keys import metric_keys
from hf_mtl.inference.new_folder import check_free
from hf_mtl.inference.onnx_agreement import agreement, read_texts
from hf_mtl.inference.onnx_export import MODEL, Quantized, export_onnx
from hf_mtl.inference.onnx_forward import GraphForward
from hf_mtl.inference.onnx_graph import check_onnx
from hf_mtl.inference.plain_export import export_plain, plain_places
from hf_mtl.inference.runs import find_checkpoint, load_any, local_folder
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.tasks import Task

Say = Callable[[str], None]

_PIPELINES = {
    "AutoModelForSequenceClassification": "text-classification",
    "AutoModelForTokenClassification": "token-classification",
}


def as_transformers(run: str, directory: str, tasks: Sequence[str], say: Say) -> None:
    """Write plain checkpoints, and say which tasks have none and why."""
    check_free(Path(directory), "DIR")  # before a model is loaded
    model = load_any(run)
    written, refused = export_plain(model, directory, tasks)
    places = plain_places(directory, written, tasks)
    for name, kind in written.items():
        say(f"{name}: {kind} in {places[name]}")
    for name, error in refused.items():
        say(f"{name}: not exported. {error}")
    say(f"\n{_how_to_use({name: model.tasks[name] for name in written}, places)}")


def _how_to_use(tasks: Mapping[str, Task], places: Mapping[str, Path]) -> str:
    """Show the first task that a pipeline of transformers takes, or how the first one is loaded."""
    quoted = {name: json.dumps(str(places[name]), ensure_ascii=False) for name in tasks}
    for name, task in tasks.items():
        if (kind := _PIPELINES.get(str(task.auto_model))) is None:
            continue
        return (
            f"To use it, without hf_mtl:\n\n    from transformers import pipeline\n\n"
            f'    pipeline("{kind}", model={quoted[name]}{_options(kind, task)})({_example(task)})\n'
        )
    name, task = next(iter(tasks.items()))
    return (
        f"To use it, without hf_mtl:\n\n    from transformers import {task.auto_model}\n\n"
        f"    {task.auto_model}.from_pretrained({quoted[name]})\n"
    )


def _options(kind: str, task: Task) -> str:
    """Return what makes a pipeline answer as hf_mtl does, as arguments behind others."""
    if kind == "token-classification":  # it cuts texts; whatever pieces are trained, the first says what a word is
        return ', aggregation_strategy="first"'
    several = task.problem_type != "single_label_classification" and task.num_outputs > 1
    said = ", truncation=True" + (", top_k=None" if several else "")  # it keeps the best one otherwise
    return said + (', function_to_apply="none"' if task.real_valued else "")


def _example(task: Task) -> str:
    return '"a text"' if len(task.text_columns) == 1 else '{"text": "a text", "text_pair": "and another"}'


def as_onnx(
    run: str,
    directory: str,
    tasks: Sequence[str],
    quantize: Quantized | None,
    texts: str | None,
    say: Say,
    allow_code: bool = False,
) -> None:
    """Write a graph, and say how large it is, and what quantisation costs: in scores, or on the lines of a file."""
    check_free(Path(directory), "DIR")
    check_onnx()
    lines = None if texts is None else read_texts(texts)
    model = load_any(run)
    lost: list[str] = []

    def inspect(path: Path, tokenizer: Any) -> None:
        if lines is not None:
            names = [name for name in model.tasks if not tasks or name in tasks]
            found = agreement(model, path, lines, tokenizer, names)
            lost.append("\n".join(["What quantisation costs:", *(f"  {name}: {found[name]}" for name in names)]))
        elif quantize is not None:
            lost.append(_score_lost(run, model, path, tasks, allow_code))

    found = export_onnx(model, directory, tasks, quantize, inspect)
    size = f"{found.size / 1e6:.1f} MB"
    if quantize is not None:
        size += f" in {quantize}, {found.float_size / 1e6:.1f} MB in float32"
    say(f"{Path(directory) / MODEL}: outputs {', '.join(found.tasks)}; {size}")
    for text in lost:
        say(f"\n{text}")


def _score_lost(run: str, model: MultiTaskModel, graph: Path, tasks: Sequence[str], allow_code: bool) -> str:
    """Score the run on its own rows, as it is and by a graph; a table, or why there is none."""
    from hf_mtl.training import evaluate_run

    try:
        find_checkpoint(local_folder(run))
    except RunError:
        return (
            f"What quantisation costs is not known: {run} has no recipe that says which rows to score. Give --texts."
        )
    why: UserError | None = None
    # The others are not in the graph.
    left_out = [f"tasks.{name}=null" for name in model.tasks if tasks and name not in tasks]
    for split in ("validation", "test"):
        try:
            before = evaluate_run(run, left_out, split=split, allow_code=allow_code)
            through = partial(GraphForward, graph)
            after = evaluate_run(run, left_out, split=split, allow_code=allow_code, through=through)
        except UserError as error:
            why = error
            continue
        return f"What quantisation costs, on {split}:\n{_losses(model.tasks, before, after)}"
    return f"What quantisation costs is not known. {why}"


def _losses(tasks: Mapping[str, Task], before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return a line for each task with its primary metric in float32, in 8 bits, and the difference."""
    lines = []
    for name, scores in before["tasks"].items():
        key = next(iter(metric_keys(tasks[name])))
        old, new = scores[key], after["tasks"][name][key]
        lines.append(f"  {name} {key}: {old:.4f} in float32, {new:.4f} quantised, {new - old:+.4f}")
    return "\n".join(lines)
