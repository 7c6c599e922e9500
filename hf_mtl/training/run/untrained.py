"""Training arguments of whoever opens a recipe and does not run it, or not to its end."""

from typing import Any

UNRECORDED: dict[str, Any] = {
    "report_to": "none",
    "push_to_hub": False,
    "save_strategy": "no",
    "load_best_model_at_end": False,
    "early_stopping_patience": None,
    "early_stopping_threshold": 0.0,
}
"""Nothing is kept, watched or pushed, and nothing stops early for lack of a best model."""

NOT_TRAINED: dict[str, Any] = {
    **UNRECORDED,
    "eval_strategy": "no",
    # The machine may lack the optimizer's library, and a schedule may follow evaluations.
    "optim": "adamw_torch",
    "optim_args": None,
    "optim_target_modules": None,
    "lr_scheduler_type": "linear",
    "lr_scheduler_kwargs": None,
}
"""Nothing is trained or evaluated either: what a recipe says of that keeps nobody from its data and its model."""
