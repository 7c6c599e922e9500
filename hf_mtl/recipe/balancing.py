"""The balancing section of a recipe: its methods and their options, and what they cannot work with."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias

from hf_mtl.balancing import GradientAggregator, LookAhead, available, unknown_method
from hf_mtl.balancing.catalogue import FAMILIES, Family
from hf_mtl.errors import Mistake, UserError, by_task_mistakes
from hf_mtl.recipe import sections
from hf_mtl.recipe.checks import Tasks, in_task_order
from hf_mtl.recipe.named import named
from hf_mtl.recipe.schema import Balancing, BalancingKeys, ModelSection
from hf_mtl.recipe.signatures import Options
from hf_mtl.recipe.translate import validate
from hf_mtl.recipe.yaml_source import dotted

if TYPE_CHECKING:
    from hf_mtl.recipe.sections import Method

Methods: TypeAlias = "Mapping[Family, Method]"


def build_balancing(data: Any, tasks: list[str], mistakes: list[Mistake]) -> tuple[Balancing | None, Methods]:
    """Validate the section; None if anything in it is wrong.

    Args:
        data: The section, plain.
        tasks: The names of the tasks.
        mistakes: Receives what is wrong.

    Returns:
        The section, and the methods that it names, built for these tasks, by family.
    """
    before = len(mistakes)
    validate(BalancingKeys, data, ("balancing",), mistakes)
    parts = {key: value for key, value in data.items() if value is not None} if isinstance(data, dict) else {}
    built: dict[Family, Method] = {}
    for family in FAMILIES:
        if isinstance(parts.get(family), (str, dict)):
            parts[family] = _method(family, parts[family], tasks, built, mistakes)
    if isinstance(parts.get("gradients"), dict):
        section = sections.gradients_section()
        parts["gradients"] = validate(section, parts["gradients"], ("balancing", "gradients"), mistakes)
    return Balancing(**parts) if len(mistakes) == before else None, built


def _method(
    family: Family, spec: Any, tasks: list[str], built: "dict[Family, Method]", mistakes: list[Mistake]
) -> Options | None:
    key = ("balancing", family)
    if isinstance(spec, dict):
        spec = {name: in_task_order(value, tasks) for name, value in spec.items()}
    section = partial(sections.method_section, family)
    name = spec.get("name") if isinstance(spec, dict) else spec
    if isinstance(name, str) and available().get(name, family) != family:
        mistakes.append(unknown_method(family, name))
        return None
    method = named(spec, "name", family, sections.method_names(family), section, key, mistakes)
    if method is None or not tasks:
        return method
    options = method.options()
    wrong = [item for name in options for item in by_task_mistakes(options[name], dotted((*key, name)), tasks)]
    if not wrong:
        try:
            built[family] = sections.try_method(family, str(name), options, len(tasks))
        except (ValueError, UserError) as error:
            option = str(error).split(" ")[0]
            at = (*key, option) if option in options else key
            wrong = [Mistake(dotted(at), str(error).rstrip("."))]
    mistakes.extend(wrong)
    return method


def check_balancing(
    methods: Methods,
    balancing: Balancing | None,
    training: Options | None,
    model: ModelSection,
    tasks: Tasks,
) -> list[Mistake]:
    """Check that the methods can work with the model and with how it is trained.

    Args:
        methods: The methods by family.
        balancing: The section, if it is valid.
        training: The training section, if it is valid.
        model: The model section.
        tasks: The tasks by name; None for one of which nothing can be said.
    """
    mistakes = [*_frozen_out(methods, model, tasks), *_layout(methods, balancing)]
    for family, method in methods.items():
        if getattr(method, "scope", None) == "adapters" and model.lora in (None, False):
            remedy = "Set model.lora, or another scope."
            mistakes.append(Mistake(f"balancing.{family}.scope", "'adapters', and the model has none", remedy))
    if training is not None and training.options().get("torch_compile"):
        for _, method in _of_gradients(methods):
            problem = (
                f"is on, and '{method.name}' needs every task's gradient, which a compiled forward does not give"
            )
            remedy = "Leave it out, or take a weighting of losses, such as famo or uw."
            mistakes.append(Mistake("training.torch_compile", problem, remedy))
    return mistakes


def _frozen_out(methods: Methods, model: ModelSection, tasks: Tasks) -> Iterator[Mistake]:
    """What needs gradients of an encoder that is not trained."""
    for family, method in _of_gradients(methods):
        from hf_mtl.modeling.choices import keeps_encoder_frozen

        heads = [task.head or model.head for task in tasks.values() if task is not None]
        if model.freeze == "encoder" or any(keeps_encoder_frozen(head) for head in heads):
            problem = f"'{method.name}' needs the gradients of what all tasks share, and none of it is trained"
            yield Mistake(f"balancing.{family}", problem, "Use a loss weighting such as uw, or freeze less.")


def _layout(methods: Methods, balancing: Balancing | None) -> Iterator[Mistake]:
    """A layout that a method cannot work with."""
    asked = balancing is not None and balancing.gradients.options().get("layout") == "segments"
    for method in methods.values() if asked else ():
        if isinstance(method, LookAhead):
            problem = f"'segments', and '{method.name}' goes task by task, at parameters of each task's own"
            yield Mistake("balancing.gradients.layout", problem, "Use auto, or split.")


def _of_gradients(methods: Methods) -> "Iterator[tuple[Family, Method]]":
    """The methods that need the gradients of single tasks."""
    for family, method in methods.items():
        if isinstance(method, GradientAggregator) or method.needs & {"norms", "jacobian"}:
            yield family, method
