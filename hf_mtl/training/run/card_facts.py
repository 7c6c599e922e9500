"""The facts of a run's card, gathered from its folder, from runs of one task alone, and from the Hub."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml
from huggingface_hub import HfApi, hf_hub_download

from hf_mtl.errors import Mistake, RunError, one_line
from hf_mtl.modeling import MultiTaskConfig
from hf_mtl.modeling.frozen_encoder import EncoderSource
from hf_mtl.plain import dump_yaml
from hf_mtl.recipe import read_recipe
from hf_mtl.recipe.shareable import shareable
from hf_mtl.reporting.card import CardFacts, Source, sources_of
from hf_mtl.reporting.json_files import read_jsonl
from hf_mtl.reporting.results_file import logged_results, read_results
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.training import checkpoint as checkpoints
from hf_mtl.training.folder.machine import read_machine
from hf_mtl.training.folder.names import DRAWN, RECIPE, RESULTS
from hf_mtl.training.folder.run_data import DATA, RunData
from hf_mtl.training.folder.run_record import LOG

logger = get_logger(__name__)

_KEPT = Source("kept from the backbone")


def run_of(model: Path) -> Path | None:
    """Find the folder of the run that a model is of; None: it is not in one, as a joined model."""
    return next((folder for folder in (model, model.parent) if (folder / RECIPE).is_file()), None)


def facts_of_run(model: Path, repo: str, single: Sequence[Path] = ()) -> CardFacts:
    """Gather what is known of a model.

    Args:
        model: A run's folder, one of its checkpoints, or a model's folder.
        repo: The repository that the card is for.
        single: Folders of runs that trained one of the tasks alone.

    Raises:
        UserError: If a file of the run is damaged, or a run of ``single`` cannot be compared with it.
    """
    config: MultiTaskConfig = MultiTaskConfig.from_pretrained(model)
    tasks = config.decided_tasks
    run = run_of(model)
    if run is None:
        has_page = config.backbone is not None and ":" not in config.backbone
        heads_only = _heads_only(config)
        return CardFacts(
            repo, tasks, base_model=config.backbone, has_page=has_page, heads_only=heads_only, peft=config.peft
        )
    recipe_ = read_recipe(run / RECIPE)
    sections = shareable(recipe_.to_dict())
    log = read_jsonl(run / LOG) if (run / LOG).exists() else []
    step = checkpoints.step_of(model) if model != run and checkpoints.is_checkpoint(model.name) else None
    results = _results(run) if step is None else _results_at(step, log, tasks)
    sources = {name: sources_of(recipe_.tasks[name]) if name in recipe_.tasks else [_KEPT] for name in tasks}
    return CardFacts(
        repo,
        tasks,
        sections,
        dump_yaml(sections),
        results,
        sources,
        _rows(run, tasks),
        [record for record in log if step is None or record["step"] <= step],
        read_machine(run),
        _single(single, run, tasks),
        has_page=config.backbone is not None and ":" not in config.backbone,
        heads_only=_heads_only(config),
        peft=config.peft,
        picture=step is None and (run / DRAWN[0]).is_file(),
    )


def _heads_only(config: MultiTaskConfig) -> str | None:
    """Name the backbone of a model whose files hold the heads alone."""
    source = EncoderSource.of(config)
    return None if source is None else source.words


def _results(run: Path) -> dict[str, Any]:
    return read_results(run / RESULTS) if (run / RESULTS).exists() else {}


def _results_at(step: int, log: Iterable[Mapping[str, Any]], tasks: Mapping[str, Task]) -> dict[str, Any]:
    """Return the scores that a checkpoint had on validation, from the log; empty where it was not scored."""
    record = next((item for item in log if item["step"] == step and "eval_average" in item), None)
    return {} if record is None else logged_results(record, tasks)


def _rows(run: Path, tasks: Iterable[str]) -> dict[str, dict[str, int]]:
    data = RunData(run)
    if not (run / DATA).exists():
        return {}
    return {name: {split: found.rows for split, found in data.fingerprints(name).items()} for name in tasks}


def _single(
    folders: Sequence[Path], run: Path, tasks: Mapping[str, Task]
) -> dict[str, dict[str, Mapping[str, float | None]]]:
    """Return the scores of runs of one task alone, by split and task.

    Raises:
        RunError: If one is no such run, or was scored on other rows; all of them at once.
    """
    found: dict[str, dict[str, Mapping[str, float | None]]] = {}
    mistakes = []
    for folder in folders:
        results = _results(folder)
        names = list(results.get("tasks", ()))
        if len(names) != 1 or names[0] not in tasks:
            remedy = f"Give the folder of a finished run of one of these tasks: {', '.join(tasks)}"
            mistakes.append(Mistake("--single", f"{folder} has scores of {', '.join(names) or 'no task'}", remedy))
            continue
        for split, part in (("validation", results), ("test", results.get("test") or {})):
            scores = part.get("tasks", {}).get(names[0])
            if scores is None:
                continue
            here, there = (RunData(place).fingerprints(names[0]).get(split) for place in (run, folder))
            if here != there:
                problem = f"{folder} was scored on other {split} rows of '{names[0]}' than {run}"
                remedy = "Train it on the same data, with the same data.carving_seed or training.data_seed"
                mistakes.append(Mistake("--single", problem, remedy))
                continue
            found.setdefault(split, {})[names[0]] = scores
    if mistakes:
        raise RunError(mistakes)
    return found


def from_the_hub(facts: CardFacts, token: str | None) -> tuple[dict[str, str], dict[str, dict[str, Any]]]:
    """Ask the pages of a model's datasets for their licences, and whether they are benchmarks of the Hub.

    Args:
        facts: The facts, with the datasets.
        token: A token; None: that of the machine.

    Returns:
        Licences by dataset, and what ``eval.yaml`` says by benchmark. What cannot be had is said, and left out.
    """
    api = HfApi(token=token)
    licences: dict[str, str] = {}
    benchmarks: dict[str, dict[str, Any]] = {}
    for name in dict.fromkeys(item.hub_id for found in facts.sources.values() for item in found if item.hub_id):
        try:
            info = api.dataset_info(name)
            licence = None if info.card_data is None else info.card_data.get("license")
            if licence:
                licences[name] = ", ".join(licence) if isinstance(licence, list) else str(licence)
            if any(item.rfilename == "eval.yaml" for item in info.siblings or ()):
                path = hf_hub_download(name, "eval.yaml", repo_type="dataset", token=token)
                asked = yaml.safe_load(Path(path).read_text("utf-8"))
                benchmarks[name] = asked if isinstance(asked, dict) else {}
        except Exception as error:  # a Hub, or a gateway before it, may answer anything
            logger.warning(f"The card does not state the licence of {name}: {one_line(error)}.")
    return licences, benchmarks
