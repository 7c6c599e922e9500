"""Methods of a `transformers.Trainer` whose work is done elsewhere here, and which say so to whoever calls them."""

from typing import Any

from hf_mtl.training.trainer.own_code import uncalled


class UncalledMethods:
    """Stands before `transformers.Trainer`, whose loaders and loop know rows of one kind alone."""

    def get_eval_dataloader(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: rows are encoded and grouped by `evaluate`."""
        raise uncalled("get_eval_dataloader")

    def get_test_dataloader(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: rows are encoded and grouped by `predict`."""
        raise uncalled("get_test_dataloader")

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: every row is read once, in `evaluate` and `predict`."""
        raise uncalled("evaluation_loop")

    def prediction_step(self, *args: Any, **kwargs: Any) -> Any:
        """Refuse: a row may be several sequences, or have several outputs."""
        raise uncalled("prediction_step")
