"""Every module has a test of its name at its path, or a reason why another test covers it."""

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

ELSEWHERE: dict[str, dict[str, list[str]]] = {
    "one test covers all of a kind, against golden values and by contract": {
        "balancing/aggregators/test_common.py": [
            "balancing/aggregator.py",
            "balancing/gramian_aggregator.py",
            "balancing/solvers.py",
        ],
        "balancing/aggregators/test_sum.py": ["balancing/aggregators/mean.py"],
        "balancing/weightings/test_common_tasks.py": ["balancing/last_losses.py", "balancing/non_additive.py"],
        "balancing/weightings/test_common_state.py": ["balancing/step_count.py"],
        "balancing/aggregators/test_pcgrad.py": ["balancing/orders.py"],
        "evaluation/metrics/test_classification_golden.py": [
            "evaluation/metrics/accuracy.py",
            "evaluation/metrics/recall_macro.py",
        ],
        "evaluation/metrics/test_metric_modules.py": ["evaluation/metrics/base.py"],
        "evaluation/test_calibration.py": ["evaluation/metrics/ece.py"],
        "evaluation/test_label_sets.py": [
            "evaluation/metrics/label_ranking_average_precision.py",
            "evaluation/metrics/mean_average_precision.py",
        ],
        "task_types/test_multi_label_classification.py": ["modeling/label_weights.py", "training/scoring/tuning.py"],
        "task_types/test_span_extraction.py": ["data/window_notes.py"],
        "modeling/heads/test_registry.py": [
            "modeling/heads/layers.py",
            "modeling/heads/linear.py",
            "modeling/heads/mlp.py",
        ],
        "schedules/test_phases.py": ["schedules/base.py", "schedules/position.py", "schedules/alternating.py"],
        "training/step/test_objective.py": ["balancing/exposure.py", "training/step/result.py"],
        "modeling/test_model.py": ["modeling/heads/base.py"],
    },
    "a table, a type or a helper without behaviour of its own beyond that of its users": {
        "cli/test_main.py": ["__main__.py"],
        "test_security.py": ["errors.py"],
        "data/test_file_bounds.py": ["file_kinds.py"],
        "data/test_load.py": ["data/loaded.py", "data/encoded.py"],
        "data/test_complete.py": ["data/draws.py"],
        "modeling/test_model.py": [
            "modeling/output.py",
            "modeling/task_heads.py",
            "modeling/task_module.py",
            "modeling/choices.py",
            "modeling/decided_model.py",
        ],
        "modeling/test_backbone.py": ["modeling/dropout.py"],
        "modeling/test_adapters.py": ["modeling/peft_layers.py", "modeling/adapted_model.py"],
        "modeling/test_private_adapters.py": ["modeling/rows_by_task.py"],
        "recipe/test_peft.py": ["modeling/peft_kinds.py", "modeling/peft_options.py", "modeling/peft_refusals.py"],
        "reporting/test_figures.py": ["reporting/panels.py", "reporting/style.py"],
        "reporting/test_json_files.py": ["reporting/atomic.py"],
        "reporting/test_plan_table.py": ["reporting/plan.py"],
        "data/test_support_desk.py": [
            "data/support_desk/frames.py",
            "data/support_desk/phrases.py",
            "data/support_desk/rows.py",
            "data/support_desk/sentences.py",
        ],
        "data/test_desk_tables.py": [
            *(f"data/support_desk/{name}.py" for name in ("answers", "entities", "examples", "facts", "replies")),
            *(f"data/support_desk/{name}.py" for name in ("stars", "tables", "topics")),
        ],
        "recipe/test_ranges.py": ["argument_ranges.py", "recipe/sections.py"],
        "training/test_logging.py": ["reporting/log_keys.py"],
        "training/run/test_closing.py": ["reporting/drawn.py"],
    },
    "parts of one reader, which are seen through its door": {
        "data/test_found_classes.py": ["data/class_names.py"],
        "data/test_labels.py": [
            "data/class_labels.py",
            "data/class_values.py",
        ],
        "data/test_sources.py": [
            "data/hub_source.py",
            "data/local_files.py",
            "data/parquet_reader.py",
            "data/split_names.py",
        ],
        "inference/test_predict_file.py": [
            "inference/asked_chunks.py",
            "inference/partial_file.py",
            "inference/predict_keys.py",
            "inference/row_source.py",
            "inference/written_rows.py",
        ],
        "inference/test_predictions.py": [
            "inference/given_rows.py",
            "inference/waiting_outputs.py",
            "inference/long_texts.py",
            "inference/readable_rows.py",
            "inference/row_predictor.py",
        ],
        "data/test_tokenize.py": ["data/cache.py"],
        "drafting/test_draft.py": [
            *(f"drafting/{name}.py" for name in ("guess", "lengths", "nested", "recipe_text", "scalars", "settle")),
            "drafting/texts.py",
        ],
        "cli/test_init.py": ["cli/examples.py", "cli/options.py"],
        "recipe/test_plugins.py": ["callbacks.py", "recipe/callbacks.py"],
        "data/test_word_tokens.py": ["data/word_pieces.py"],
        "recipe/test_schema.py": ["recipe/places.py"],
        "test_options.py": ["validation.py"],
        "modeling/test_damaged_config.py": [
            "modeling/allowance.py",
            "modeling/config_values.py",
            "modeling/configuration.py",
            "foreign_json.py",
        ],
        "data/test_check.py": ["data/texts.py"],
        "evaluation/test_undefined.py": ["evaluation/notes.py"],
        "training/trainer/test_task_checks.py": ["evaluation/trial.py"],
    },
    "a whole diagnosis shows it": {
        "experiments/diagnose/test_diagnosis.py": [
            "inference/layer_features.py",
            *(f"experiments/diagnose/{name}.py" for name in ("curves", "features", "likeness")),
            *(f"experiments/diagnose/{name}.py" for name in ("readings", "subjects")),
        ],
    },
    "exact against autograd, for all parts together": {
        "gradients/test_shared.py": [
            "gradients/choice.py",
            "gradients/held.py",
            "gradients/layers.py",
            "gradients/recomputed.py",
            "gradients/jacobian_rows.py",
            "gradients/tape.py",
            "gradients/unsupported.py",
        ],
        "training/step/test_task_gradients.py": [
            "training/step/second_backward.py",
            "training/step/task_batches.py",
            "gradients/all_reduce.py",
        ],
        "training/test_gradient_steps.py": ["training/step/teleportation.py"],
    },
    "a whole run shows it": {
        "experiments/answer/test_answer.py": [
            "experiments/answer/costs.py",
            "experiments/answer/headline.py",
            "experiments/answer/question.py",
            "experiments/answer/trials.py",
            "experiments/answer/words.py",
        ],
        "experiments/answer/test_figures.py": ["experiments/answer/conflict_figure.py"],
        "experiments/answer/test_report.py": [
            "experiments/answer/as_json.py",
            "experiments/answer/page.py",
            "experiments/answer/tables.py",
        ],
        "experiments/answer/test_rows.py": [
            "experiments/answer/ordered.py",
            "experiments/answer/resampled.py",
            "experiments/answer/summed.py",
        ],
        "experiments/sweep/test_file.py": ["experiments/sweep/metric.py", "experiments/sweep/sections.py"],
        "experiments/sweep/test_run.py": [
            "experiments/sweep/answer.py",
            "experiments/preflight.py",
            "experiments/sweep/preflight.py",
            "experiments/sweep/trial.py",
        ],
        "experiments/sweep/test_studies.py": ["experiments/sweep/work.py"],
        "training/trainer/test_setup.py": [
            "inference/encode.py",
            "training/trainer/argument_checks.py",
            "training/trainer/given.py",
        ],
        "training/test_checkpoint.py": ["inference/manifest.py"],
        "training/run/test_evaluate.py": [
            "training/run/baselines.py",
            "training/run/opened_run.py",
            "training/trainer/scoring_overrides.py",
        ],
        "training/folder/test_obstacles.py": ["training/folder/names.py"],
        "training/folder/test_run_lock.py": ["training/folder/kernel_lock.py"],
        "training/folder/test_heartbeat.py": ["training/folder/lock_holders.py"],
        "training/run/test_train.py": ["training/run/finish.py"],
        "training/run/test_closing.py": [
            "training/run/reports.py",
            "training/saving/outbox.py",
            "training/saving/hub.py",
        ],
        "training/run/test_push.py": [
            "training/folder/machine.py",
            "training/run/card_facts.py",
            "training/saving/upload.py",
        ],
        "hub/test_card_draft.py": ["training/trainer/own_card.py"],
        "reporting/card/test_card.py": [
            f"reporting/card/{name}.py" for name in ("facts", "metadata", "scores", "text", "training", "words")
        ],
        "training/test_run_resume.py": ["training/run/same_run.py"],
        "training/test_freezing.py": ["training/schedules/frozen_groups.py"],
        "training/trainer/test_scoring_trainer.py": ["training/scoring/scoring.py"],
        "training/test_full_disk.py": ["training/together.py"],
        "training/test_trainer_resume.py": [
            "training/trainer/horizon.py",
            "training/trainer/run_identity.py",
            "training/trainer/saved_run.py",
        ],
        "training/trainer/test_trainer.py": [
            "training/trainer/feed.py",
            "training/trainer/methods.py",
            "training/trainer/run_parts.py",
            "training/trainer/step_parts.py",
            "training/trainer/step_trainer.py",
        ],
        "training/trainer/test_surface.py": [
            "training/trainer/uncalled_methods.py",
        ],
        "training/trainer/test_encoder_limits.py": ["inference/encoder_limits.py"],
        "training/test_interruption.py": ["training/trainer/stoppable_trainer.py", "training/trainer/unfinished.py"],
        "training/trainer/test_argument_effects.py": ["training/trainer/stub_builds.py"],
        "training/test_sharding.py": ["training/saving/sharded.py"],
    },
}
"""Why modules have no test of their own name: by reason, the tests that cover them, and which modules."""

COVERED = [(test, module) for tests in ELSEWHERE.values() for test, found in tests.items() for module in found]


def modules() -> set[str]:
    found = (ROOT / "hf_mtl").rglob("*.py")
    return {path.relative_to(ROOT / "hf_mtl").as_posix() for path in found if path.name != "__init__.py"}


def has_own_test(module: str) -> bool:
    path = Path(module)
    return (ROOT / "tests" / path.parent / f"test_{path.name}").is_file()


def test_every_module_has_a_test_at_its_path_or_a_reason() -> None:
    covered = {module for _, module in COVERED}
    assert sorted(module for module in modules() - covered if not has_own_test(module)) == []


def test_no_reason_is_stale() -> None:
    listed = [module for _, module in COVERED]
    assert [module for module in listed if module not in modules() or has_own_test(module)] == []
    assert len(set(listed)) == len(listed)


@pytest.mark.parametrize("test", sorted({test for test, _ in COVERED}))
def test_the_tests_that_cover_others_are_there(test: str) -> None:
    assert (ROOT / "tests" / test).is_file()
