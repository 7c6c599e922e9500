"""The end of a run, after its last step: it is scored, published and written down."""

import shutil
from types import MappingProxyType
from typing import Any

from hf_mtl.errors import DiskError, is_or_are
from hf_mtl.inference import manifest
from hf_mtl.training.folder.names import TEST_ROWS
from hf_mtl.training.folder.own_checkpoints import remove_empty
from hf_mtl.training.folder.run_folder import RunFolder
from hf_mtl.training.run.baselines import add_baselines
from hf_mtl.training.run.kept_scores import Before, add_kept
from hf_mtl.training.run.prepare import Prepared, note_unscored
from hf_mtl.training.saving import outbox
from hf_mtl.training.scoring.kept_rows import KeptRows, write_rows
from hf_mtl.training.scoring.scoring import Scores
from hf_mtl.training.together import all_or_none
from hf_mtl.training.trainer.trainer import MultiTaskTrainer
from hf_mtl.training.watch.finite import refuse_broken_scores


def finish(
    trainer: MultiTaskTrainer,
    prepared: Prepared,
    folder: RunFolder,
    test: bool,
    baselines: bool,
    before: Before = MappingProxyType({}),
    keep_rows: bool = False,
) -> dict[str, Any]:
    """Score a trained model and leave it, with its results, in the run's folder.

    Args:
        trainer: The Trainer, after its last step.
        prepared: What it was made of.
        folder: The run's folder.
        test: Score the test splits too.
        baselines: Score the simple baselines on the same rows.
        before: The scores that tasks which are kept as they are had before training.
        keep_rows: Keep the test rows with what their scores read.

    Returns:
        The results, as in ``results.json``.

    Raises:
        DivergedError: If validation losses are not finite.
    """
    scores = trainer.validate() if prepared.split("validation") else Scores({}, {})
    refuse_broken_scores(scores.tasks, trainer.state, folder.path)  # before anybody can load or fetch it
    _publish(trainer, folder)
    kept = KeptRows()
    results = _results(trainer, scores, prepared, (test, baselines), before, kept if keep_rows else None)
    with all_or_none(folder.path):
        if trainer.args.push_to_hub:
            trainer.await_push()
        elif trainer.is_world_process_zero():
            outbox.clear(folder.path)  # what a run that was replaced has left to be pushed
        if trainer.is_world_process_zero():
            if kept.tasks:
                with folder.record.replacing(TEST_ROWS) as temporary:
                    write_rows(temporary, kept.tasks)
            folder.write_results(results)
    return results


def _publish(trainer: MultiTaskTrainer, folder: RunFolder) -> None:
    """Put the final model at the root of the run's folder."""
    staged = folder.staging
    try:
        with all_or_none(folder.path, staged):
            trainer.save_model(str(staged), _internal_call=True)
        with all_or_none(folder.path, staged):
            if trainer.args.should_save:  # one process, or with save_on_each_node one of each node
                manifest.seal(staged)
                folder.publish_model(staged)
    except DiskError:
        if trainer.args.should_save:
            shutil.rmtree(staged, ignore_errors=True)
            remove_empty(staged.parent)
        raise


def _results(
    trainer: MultiTaskTrainer,
    scores: Scores,
    prepared: Prepared,
    asked: tuple[bool, bool],
    before: Before,
    kept: KeptRows | None,
) -> dict[str, Any]:
    test, baselines = asked
    assert trainer.ending is not None
    results = {**scores.to_dict(), "split": "validation", **trainer.ending.to_dict()}
    results["notes"] = [*trainer.ending.sentences(), *scores.notes]
    for name in trainer.tuned:
        key = prepared.data[name].task.tuned_by or ""
        verb = is_or_are(key)
        results["notes"].append(f"{name}: {key} {verb} tuned on these rows, so that other rows will score less.")
    note_unscored(results, prepared, "validation")
    add_kept(results, prepared, before, "validation")
    if prepared.overlaps is not None:
        results["contamination"] = [overlap.to_dict() for overlap in prepared.overlaps]
    if prepared.draws:
        results["draws"] = prepared.draws
    if prepared.imbalance is not None:
        results["imbalance"] = prepared.imbalance.to_dict()
    if baselines:
        add_baselines(results, prepared, prepared.split("validation"))
    rows = prepared.split("test") if test else {}
    if rows:
        results["test"] = trainer.score(rows, listener=kept).to_dict()
        note_unscored(results["test"], prepared, "test")
        add_kept(results["test"], prepared, before, "test")
        if baselines:
            add_baselines(results["test"], prepared, rows)
    return results
