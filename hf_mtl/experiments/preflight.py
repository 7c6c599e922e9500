"""The data and models of recipes, looked at before the first run: what is wrong there would fail it much later."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from tempfile import TemporaryDirectory

from hf_mtl.errors import UserError
from hf_mtl.experiments.identity import digest
from hf_mtl.progress import no_bars, no_load_reports
from hf_mtl.recipe import Recipe
from hf_mtl.training.run.prepare import Prepared, make_arguments, prepare
from hf_mtl.training.run.untrained import UNRECORDED

OF_ROWS = ("tasks", "data", "model")
"""The sections that decide over rows and tokens."""


class Looks:
    """Loads the rows and the tokenizer of recipes and makes their models, as their runs will.

    Those with the same rows are loaded once. Each model is made, and dropped again.
    """

    def __init__(self) -> None:
        self._seen: dict[str, Prepared] = {}

    def at(self, recipe: Recipe, key: str = "") -> Prepared:
        """Look at a recipe.

        Args:
            recipe: The recipe.
            key: Its key in its file, to name in mistakes; empty: none is needed.

        Raises:
            UserError: If its rows cannot be used, or its model cannot be made.
        """
        sections = recipe.to_dict()
        with _said_of(key), no_bars():
            args = make_arguments(recipe)
            # Seeds too, by which rows are carved and drawn.
            mine = digest([*(sections.get(name) for name in OF_ROWS), args.data_seed, args.seed])
            if mine not in self._seen:
                self._seen[mine] = prepare(recipe, args, tokenizer_folder=None)
            prepared = replace(self._seen[mine], recipe=recipe, args=args)
            _refuse_unbuildable(prepared)
        return prepared


def _refuse_unbuildable(prepared: Prepared) -> None:
    """Make the model and the Trainer of a recipe, which find what its keys and its rows do not show."""
    with TemporaryDirectory() as folder, no_load_reports():  # a Trainer makes its folder
        args = make_arguments(prepared.recipe, output_dir=folder, **UNRECORDED, disable_tqdm=True)
        replace(prepared, args=args).trainer(prepared.new_model())


@contextmanager
def _said_of(key: str) -> Iterator[None]:
    try:
        yield
    except UserError as error:
        if not key:
            raise
        raise type(error)([replace(item, key=f"{key}.{item.key}".rstrip(".")) for item in error.mistakes]) from error
