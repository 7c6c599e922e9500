"""Arguments that must stay when a run is resumed, and arguments that may change and then take effect.

Every field of `MultiTaskTrainingArguments` that can be set is in exactly one of the lists. One that must stay either
makes other updates, or comes from the checkpoint whatever the arguments say: an optimizer brings its betas back with
its moments. A field that is in no list, because another version of transformers has it, must stay.
"""

import dataclasses
import json
from collections.abc import Iterator, Mapping
from typing import Any

from hf_mtl.argument_fields import IRRELEVANT, REFUSED
from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.errors import Mistake

_STAYS = """
    seed data_seed window_steps refit_statistics eval_on_start metric_for_best_model greater_is_better
    optim optim_args optim_target_modules learning_rate head_learning_rate balancing_learning_rate
    lr_scheduler_type lr_scheduler_kwargs warmup_steps weight_decay adam_beta1 adam_beta2 adam_epsilon max_grad_norm
    bf16 fp16 neftune_noise_alpha fsdp deepspeed
"""
STAYS = frozenset(_STAYS.split())

# By what they are about, as a message says it.
_MAY_CHANGE = {
    "how long to train": """
        max_steps num_train_epochs max_backward_passes max_flops early_stopping_patience early_stopping_threshold
        load_best_model_at_end temperature_scaling""",
    "the processes": """
        accelerator_config fsdp_config ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers
        ddp_backend ddp_timeout
        dataloader_num_workers dataloader_pin_memory dataloader_prefetch_factor
        dataloader_persistent_workers dataloader_multiprocessing_context""",
    "the device and how it computes": """
        use_cpu full_determinism bf16_full_eval fp16_full_eval tf32 encoder_layout group_cost tokens_per_micro_batch
        activation_checkpointing activation_checkpointing_kwargs gradient_checkpointing gradient_checkpointing_kwargs
        torch_compile torch_compile_backend torch_compile_mode torch_empty_cache_steps skip_memory_metrics""",
    "evaluation": "eval_strategy eval_steps eval_delay per_device_eval_batch_size eval_tokens_per_batch",
    "logging": """
        logging_strategy logging_steps logging_first_step logging_nan_inf_filter log_level log_level_replica
        log_on_each_node include_num_input_tokens_seen disable_tqdm report_to run_name project
        trackio_space_id trackio_bucket_id trackio_static_space_id""",
    "saving": """
        save_strategy save_steps save_total_limit save_only_model save_on_each_node enable_jit_checkpoint
        restore_callback_states_from_checkpoint resume_from_checkpoint""",
    "pushing": """
        push_to_hub hub_token hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision""",
    "where the run and its data lie": "output_dir",
}
MAY_CHANGE = {name: about for about, names in _MAY_CHANGE.items() for name in names.split()}

ROWS = ("per_device_train_batch_size", "gradient_accumulation_steps")
"""They may change together with the processes, as long as their product, the rows of a step, stays."""

EVALUATION = ("eval_strategy", "eval_steps", "eval_delay")
"""They must stay where schedules or learned temperatures follow the evaluations."""

_NOTHING_IS_NONE = ("lr_scheduler_kwargs", "optim_args")
_WATCHED = ("metric_for_best_model", "greater_is_better")

ALLOWED = f"May change: {', '.join(_MAY_CHANGE)}, and {' and '.join(ROWS)} where the rows of a step stay"

_DEFAULTS = {
    field.name: field.default if field.default is not dataclasses.MISSING else None
    for field in dataclasses.fields(MultiTaskTrainingArguments)
}


def staying(values: Mapping[str, Any], follows_evaluations: bool) -> dict[str, Any]:
    """Return the arguments that must stay, as plain values, defaults included.

    Args:
        values: Arguments by name, as a recipe or `MultiTaskTrainingArguments` has them.
        follows_evaluations: Whether schedules or learned temperatures follow the evaluations.
    """
    names = set(_DEFAULTS) - set(MAY_CHANGE) - set(ROWS) - set(IRRELEVANT) - set(REFUSED)
    names = names | (set(EVALUATION) if follows_evaluations else set())
    found = {name: plain(values.get(name, _DEFAULTS[name])) for name in sorted(names) if name[0] != "_"}
    if found["data_seed"] == found["seed"]:
        found["data_seed"] = None  # which stands for the seed
    for name in _NOTHING_IS_NONE:
        found[name] = found[name] or None
    return found


def plain(value: Any) -> Any:
    """Return a value as JSON has it, so that it is the same before and after it was saved."""
    return json.loads(json.dumps(getattr(value, "value", value), default=_word, sort_keys=True))


def _word(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return str(getattr(value, "value", value)) if dump is None else dump(mode="json")


def changed(mine: Mapping[str, Any], theirs: Mapping[str, Any]) -> Iterator[tuple[str, Any, Any]]:
    """Yield what differs between the facts of a run as it is resumed and as it was begun, with both values.

    A run that watched no score may begin to, or leave off: transformers names one where the best model is wanted.
    """
    for key in dict.fromkeys([*mine, *theirs]):
        begins = key.removeprefix("training.") in _WATCHED and None in (mine.get(key), theirs.get(key))
        if mine.get(key) != theirs.get(key) and not begins:
            yield key, mine.get(key), theirs.get(key)


def with_what_may_change(mistakes: list[Mistake]) -> list[Mistake]:
    """Return the same mistakes; the last one says what a resumed run may change."""
    if not mistakes:
        return mistakes
    *others, last = mistakes
    return [*others, dataclasses.replace(last, remedy=f"{last.remedy.rstrip('.')}. {ALLOWED}")]
