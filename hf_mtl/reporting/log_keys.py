"""Keys of a training log."""

MODEL_STEP = "model_step"
"""The step whose model a record speaks of, where it is not the last step that was trained."""


def is_task_loss(key: str) -> bool:
    """Tell whether a key is a task's loss, ``loss/<task>``, not one of its head's penalties,
    ``loss/<task>/<name>``.
    """
    return key.startswith("loss/") and key.count("/") == 1
