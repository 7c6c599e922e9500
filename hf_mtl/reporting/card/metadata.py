"""The data at the head of a card, by which the Hub finds and shows a model, and results for its leaderboards."""

import math
from collections.abc import Iterator, Mapping
from typing import Any

from huggingface_hub import EvalResultEntry, ModelCardData

from hf_mtl.evaluation import metric_keys
from hf_mtl.reporting.card.facts import CardFacts, Source
from hf_mtl.reporting.card.snippets import hub_task

_LIBRARY = "hf_mtl"
_TITLES = {
    "text-classification": "Text classification",
    "token-classification": "Token classification",
    "multiple-choice": "Multiple choice",
    "question-answering": "Question answering",
}


def metadata(facts: CardFacts) -> dict[str, Any]:
    """Return the card's data, with a `model-index` that has a result for each task, on the last split scored.

    `huggingface_hub` would put tasks on one dataset into one result.

    Args:
        facts: What the card is made of.
    """
    kinds = list(dict.fromkeys(map(hub_task, facts.tasks.values())))
    datasets = [source.hub_id for sources in facts.sources.values() for source in sources if source.hub_id]
    results = list(_results(facts))
    data: dict[str, Any] = ModelCardData(
        language=facts.language,
        license=facts.license,
        library_name=_LIBRARY,
        base_model=facts.backbone if facts.has_page else None,
        datasets=list(dict.fromkeys([*datasets, *facts.datasets])) or None,
        metrics=list(dict.fromkeys(item["type"] for found in results for item in found["metrics"])) or None,
        pipeline_tag=kinds[0] if kinds else None,
        tags=[_LIBRARY, "multi-task", *facts.tags, *kinds],
    ).to_dict()
    if results:
        data["model-index"] = [{"name": facts.name.rsplit("/", maxsplit=1)[-1], "results": results}]
    return data


def _results(facts: CardFacts) -> Iterator[dict[str, Any]]:
    """Yield the result of each task that has a metric with a value."""
    if not facts.scored:
        return
    split, scored = facts.scored[-1]
    for name, task in facts.tasks.items():
        metrics = []
        for key, spec in metric_keys(task).items():
            value = scored["tasks"].get(name, {}).get(key)
            if value is not None and math.isfinite(value):
                metrics.append({"type": spec.name, "value": float(value), "name": key})
        if not metrics:
            continue
        source, kind = _source(facts, name), hub_task(task)
        places = {"config": source.config, "split": source.splits.get(split) or split, "revision": source.revision}
        dataset = {"name": source.words, "type": source.hub_id or "local"}
        yield {
            "task": {"type": kind, "name": f"{_TITLES[kind]}: {name}"},
            "dataset": {**dataset, **{key: value for key, value in places.items() if value is not None}},
            "metrics": metrics,
        }


def _source(facts: CardFacts, task: str) -> Source:
    """Return the dataset of a task; of several the first, which the words of all stand for."""
    found = facts.sources.get(task) or [Source("rows given in Python")]
    first = found[0]
    words = " + ".join(source.words for source in found)
    return Source(words, first.hub_id, first.config, first.revision, first.splits)


def benchmark_entries(facts: CardFacts, benchmarks: Mapping[str, Mapping[str, Any]]) -> list[EvalResultEntry]:
    """Return results for datasets that are benchmarks of the Hub: first metrics, on the rows that they ask for.

    Args:
        facts: What the card is made of.
        benchmarks: By dataset what its ``eval.yaml`` says, whose ``tasks`` have ``id``, ``config`` and ``split``.
    """
    entries = []
    for split, results in facts.scored:
        for name, task in facts.tasks.items():
            keys = list(metric_keys(task))
            value = results["tasks"].get(name, {}).get(keys[0]) if keys else None
            sources = facts.sources.get(name, ())
            if value is None or not math.isfinite(value) or len(sources) != 1 or not sources[0].hub_id:
                continue
            source = sources[0]
            for asked in benchmarks.get(source.hub_id or "", {}).get("tasks") or ():
                theirs = (asked.get("config", source.config), asked.get("split", "test"))
                if "id" in asked and theirs == (source.config, source.splits.get(split) or split):
                    entries.append(
                        EvalResultEntry(
                            dataset_id=str(source.hub_id),
                            task_id=str(asked["id"]),
                            value=float(value),
                            dataset_revision=source.revision,
                            notes=f"{keys[0]}, fine-tuned with hf_mtl",
                        )
                    )
    return entries
