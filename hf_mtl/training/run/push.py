"""A trained model goes to the Hub, with its card and what others need to score it: nothing else of its folder."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import yaml
from huggingface_hub import CommitInfo, eval_result_entries_to_yaml

from hf_mtl.errors import Mistake, ModelError, RunError, one_line
from hf_mtl.inference import manifest
from hf_mtl.inference.runs import local_folder
from hf_mtl.modeling import MultiTaskConfig
from hf_mtl.modeling.frozen_encoder import push_mistakes
from hf_mtl.reporting.card import CardFacts, benchmark_entries, model_card
from hf_mtl.shown import get_logger
from hf_mtl.training.folder.names import DRAWN, RECIPE, RESULTS
from hf_mtl.training.folder.run_data import DATA
from hf_mtl.training.run.card_facts import facts_of_run, from_the_hub, run_of
from hf_mtl.training.saving.outbox import only_to_train
from hf_mtl.training.saving.upload import Destination, upload

logger = get_logger(__name__)

CARD = "README.md"
_RESULTS_OF_BENCHMARKS = ".eval_results/hf_mtl.yaml"


def push_run(
    path: str | Path,
    repo: str,
    *,
    private: bool | None = None,
    revision: str | None = None,
    token: str | None = None,
    single: Sequence[str | Path] = (),
    message: str = "Upload with hf_mtl",
) -> str:
    """Push a trained model with its tokenizer, card, recipe, scores and figures, in one commit.

    Of a checkpoint the model is pushed, not what only training needs. Nothing of the folder is changed.

    Args:
        path: A run's folder, one of its checkpoints, or the folder of a joined model.
        repo: The repository, ``owner/name``; made if it is not there.
        private: Whether a new repository is private; None: as the user's account has it.
        revision: A branch, made if it is not there; None: ``main``.
        token: A token; None: that of the machine.
        single: Folders of runs that trained one of the tasks alone, whose scores the card shows beside.
        message: The commit's title.

    Returns:
        The address of the commit.

    Raises:
        UserError: If there is no whole model, or the token is refused.
        NotPushedError: If the Hub, or the way to it, fails; the same call again goes on.
    """
    model = local_folder(path)
    facts = facts_of_run(model, repo, [local_folder(item) for item in single])  # before anything is asked
    if mistakes := list(push_mistakes(MultiTaskConfig.from_pretrained(model))):
        raise ModelError(mistakes)
    files = model_files(model)
    to = Destination(repo, token, private, revision)
    to = replace(to, repo=to.make())
    facts = replace(facts, name=to.repo)
    files |= _beside(model, facts, token)
    done = upload(files, to, message)
    assert isinstance(done, CommitInfo)
    return done.commit_url


def model_files(model: Path) -> dict[str, Path | bytes]:
    """Return the files of a model and of its tokenizer, and a manifest of them.

    Args:
        model: The folder, of a run, a checkpoint or a model.

    Raises:
        CheckpointError: If a file of it is missing or damaged.
        RunError: If there is no model.
    """
    if not (model / manifest.MODEL_CONFIG).is_file():
        found = f"{model}: holds no trained model (config.json is missing)"
        raise RunError(Mistake("", found, "Give a run that has ended, or one of its checkpoints"))
    if not (model / manifest.MANIFEST).exists():  # written with save_pretrained
        patterns = (*manifest.LOADED, manifest.MODEL_CONFIG, "chat_template.jinja")
        paths = [path for pattern in patterns for path in sorted(model.glob(pattern)) if path.is_file()]
        return {path.name: path for path in paths}
    manifest.verify(model, needs=manifest.MODEL_CONFIG)
    names = [name for name in manifest.listed(model) if not only_to_train(name)]
    content = json.loads((model / manifest.MANIFEST).read_text("utf-8"))
    kept = {**content, "files": {name: content["files"][name] for name in names}}
    return {**{name: model / name for name in names}, manifest.MANIFEST: json.dumps(kept, indent=1).encode()}


def _beside(model: Path, facts: CardFacts, token: str | None) -> dict[str, Path | bytes]:
    """Return what goes with the files of a model: card, recipe, scores, and what its rows were."""
    licences, benchmarks = from_the_hub(facts, token)
    facts = replace(facts, licences=licences)
    files: dict[str, Path | bytes] = {}
    try:
        files[CARD] = model_card(facts).encode()
    except Exception as error:  # a model without a card is better than no model
        logger.warning(f"The card of the model could not be written: {one_line(error)}.")
    if entries := benchmark_entries(facts, benchmarks):
        files[_RESULTS_OF_BENCHMARKS] = yaml.safe_dump(eval_result_entries_to_yaml(entries), sort_keys=False).encode()
    run = run_of(model)
    if run is None:
        return files
    files[RECIPE] = facts.recipe_text.encode()
    if (run / DATA).is_file():
        files[DATA] = run / DATA
    if model == run:  # those of the last model
        found = [name for name in (RESULTS, *DRAWN) if (run / name).is_file()]
        files |= {name: run / name for name in found}
    return files
