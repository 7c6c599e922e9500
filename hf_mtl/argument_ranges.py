"""The ranges of training arguments, for recipes, their JSON Schema and Python alike."""

MOST_STEPS = 10**9
"""Optimizer steps of a run, at most."""

AT_LEAST_ONE = (
    "per_device_train_batch_size",
    "per_device_eval_batch_size",
    "eval_tokens_per_batch",
    "tokens_per_micro_batch",
    "gradient_accumulation_steps",
    "window_steps",
    "early_stopping_patience",
    "save_total_limit",
    "dataloader_prefetch_factor",
    "ddp_timeout",
    "ddp_bucket_cap_mb",
)
NOT_NEGATIVE = (
    "learning_rate",
    "head_learning_rate",
    "balancing_learning_rate",
    "group_cost",
    "max_grad_norm",
    "weight_decay",
    "eval_delay",
    "dataloader_num_workers",
    "neftune_noise_alpha",
    "early_stopping_threshold",
)
# Far above what anybody trains with: above them memory is full, or the plan of a run takes for ever.
AT_MOST = {
    "per_device_train_batch_size": 10**6,
    "per_device_eval_batch_size": 10**6,
    "eval_tokens_per_batch": 10**9,
    "tokens_per_micro_batch": 10**9,
    "gradient_accumulation_steps": 10**6,
    "window_steps": 10**5,
    "max_steps": MOST_STEPS,
    "num_train_epochs": MOST_STEPS,
    "dataloader_num_workers": 10**3,
    "dataloader_prefetch_factor": 10**4,
}


# What the optimizer, or a check of its own, refuses in Python.
_OTHERS = {
    "adam_beta1": {"ge": 0, "lt": 1},
    "adam_beta2": {"ge": 0, "lt": 1},
    "adam_epsilon": {"ge": 0},
    "data_seed": {"ge": 0, "le": 2**32 - 1},
    "eval_accumulation_steps": {"ge": 1},
    "eval_steps": {"ge": 0},
    "logging_steps": {"ge": 0},
    "max_backward_passes": {"ge": 1},
    "max_flops": {"gt": 0},
    "max_steps": {"ge": -1},
    "num_train_epochs": {"ge": 0},
    "save_steps": {"ge": 0},
    "seed": {"ge": 0, "le": 2**32 - 1},
    "torch_empty_cache_steps": {"ge": 1},
    "warmup_steps": {"ge": 0},
}


def ranges() -> dict[str, dict[str, float]]:
    """Return the range of every argument that has one whatever the others are, in pydantic's words: ``{"ge": 1}``."""
    found: dict[str, dict[str, float]] = {key: {} for key in (*AT_LEAST_ONE, *NOT_NEGATIVE, *AT_MOST, *_OTHERS)}
    for key, limits in found.items():
        if key in AT_LEAST_ONE or key in NOT_NEGATIVE:
            limits["ge"] = 1 if key in AT_LEAST_ONE else 0
        if key in AT_MOST:
            limits["le"] = AT_MOST[key]
        limits.update(_OTHERS.get(key, {}))
    return found
