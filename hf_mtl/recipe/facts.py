"""Facts that a recipe knows of its run. Its sections are checked against them."""

from collections.abc import Mapping
from dataclasses import dataclass

import hf_mtl.balancing as of_balancing
import hf_mtl.data.mixture as of_mixture
import hf_mtl.schedules as of_schedules
from hf_mtl.argument_sharding import sharing
from hf_mtl.data.stream_names import streams_of_recipe
from hf_mtl.recipe.schema import ModelSection
from hf_mtl.signatures import Options
from hf_mtl.tasks import Task
from hf_mtl.tasks.head_shares import heads_of


@dataclass(frozen=True)
class RecipeFacts:
    """Facts for each section, known before any model is built.

    Args:
        of_mixture: For the mixture.
        of_balancing: For the balancing.
        of_schedules: For the schedules.
    """

    of_mixture: of_mixture.Facts
    of_balancing: of_balancing.Facts
    of_schedules: of_schedules.Facts

    @classmethod
    def of(
        cls,
        tasks: Mapping[str, Task | None],
        model: ModelSection | None,
        training: Options | None,
        mixture: Options | None = None,
    ) -> "RecipeFacts":
        """Collect the facts.

        Args:
            tasks: The tasks by name; None for one of which nothing can be said.
            model: The model section; None: nothing is known of it.
            training: The training section; None: nothing is known of it.
            mixture: The mixture section; None: nothing is known of it.
        """
        arguments = {} if training is None else training.options()
        # Which tasks have validation rows is not known before the data are loaded.
        nothing = training is not None and arguments.get("eval_strategy", "no") == "no"
        evaluated = () if nothing else None
        parts: dict[str, of_balancing.State] = {}
        frozen = model is not None and _keeps_encoder_frozen(model, tasks)
        shared, own = (None, None) if model is None else _adapters(model)
        if model is not None and shared is None:
            parts["adapters"] = "absent"
            frozen = frozen or own is not None
        if frozen:
            parts["all"] = "frozen"
        names = list(tasks)
        return cls(
            of_mixture.Facts.of(streams_of_recipe(tasks), evaluated, sharing(arguments), False if frozen else None),
            of_balancing.Facts(
                names,
                bool(arguments.get("torch_compile")),
                parts,
                shared=sharing(arguments),
                one_task_per_step=mixture is not None and bool(mixture.settled()["one_task_per_step"]),
            ),
            of_schedules.Facts(names, evaluated, False if frozen else None),
        )


def _adapters(model: ModelSection) -> tuple[object, object]:
    """Return the adapter that all tasks share, and that of which each has its own; None: there is none."""
    if model.peft is None:
        return None, None
    from hf_mtl.modeling.peft_kinds import per_task_spec, shared_spec  # takes seconds

    return shared_spec(model.peft), per_task_spec(model.peft)


def _keeps_encoder_frozen(model: ModelSection, tasks: Mapping[str, Task | None]) -> bool:
    valid = {name: task for name, task in tasks.items() if task is not None}
    heads = list(heads_of(valid, model.head).values())
    if model.freeze == "encoder" or not any(heads):
        return model.freeze == "encoder"
    from hf_mtl.modeling.choices import keeps_encoder_frozen  # takes seconds

    return any(keeps_encoder_frozen(head) for head in heads)
