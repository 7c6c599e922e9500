"""One door for what is chosen by name and has options: found, checked and built in the same way wherever it is named.

A room declares a `Kind`. A component joins it with ``@KIND.register("name")``, in a module of the kind's package, all
of which are imported before a name is looked up, or in any other module that is imported. Its keyword arguments are
its options: names, types, ranges and defaults stand in its signature and nowhere else. What a signature cannot say
the component refuses when it is built, by a `UserError` whose keys are its options.

Task types are found in the same way, by the `Registry` that a kind is made of. A task is a pydantic model, which is
its own options: pydantic checks and builds it.
"""

import importlib
import inspect
import pkgutil
from collections.abc import Callable, Collection, Mapping
from dataclasses import replace
from typing import Any, ClassVar, Generic, TypeVar, get_args

from pydantic import Field, create_model

from hf_mtl.errors import Mistake, UserError, known
from hf_mtl.options import below, parse_options
from hf_mtl.plain import describe, made_plain
from hf_mtl.signatures import Options, model_from_signature

T = TypeVar("T")
C = TypeVar("C", bound=type)


class Registry(Generic[T]):
    """Keep classes of one kind by name, and find them.

    Attributes:
        every: All registries, by what one of their classes is called.

    Args:
        word: What one of them is called, for messages, such as ``weighting``.
        key: Dotted recipe key under which one is chosen.
        package: The package whose modules register some. It is imported by name, so that it may stand above. Empty:
            all are of users.
        error: The error of a wrong choice.
    """

    every: ClassVar[dict[str, "Registry[Any]"]] = {}

    def __init__(self, word: str, key: str, package: str, error: type[UserError] = UserError):
        self.word = word
        self.key = key
        self.package = package
        self.error = error
        self._components: dict[str, type[T]] = {}
        self._complete = False
        Registry.every[word] = self

    def register(self, name: str) -> Callable[[C], C]:
        """Make a class known under a name. A class that was written anew, as in a notebook, takes its own place.

        Raises:
            ValueError: If another class has the name.
        """

        def add(component: C) -> C:
            other = self._components.get(name)
            if other is not None and _written_as(other) != _written_as(component):
                raise ValueError(f"a {self.word} '{name}' is registered already: {other.__qualname__}")
            self._components[name] = component
            return component

        return add

    def names(self) -> list[str]:
        """Return the names of all components, sorted."""
        self._discover()
        return sorted(self._components)

    def __contains__(self, name: object) -> bool:
        self._discover()
        return name in self._components

    def __getitem__(self, name: str) -> type[T]:
        """Return the component of a name.

        Raises:
            UserError: If there is none of that name.
        """
        if name not in self:
            raise self.error(self.unknown(name))
        return self._components[name]

    def other_names(self) -> dict[str, str]:
        """Return names by what their components are called in full, or elsewhere, and by themselves in capitals."""
        found = {other: name for name in self.names() for other in getattr(self[name], "other_names", ())}
        return {**{name.upper(): name for name in self.names()}, **found}

    def unknown(self, name: str, key: str = "") -> Mistake:
        """Say that a name is unknown, and whether another kind of the same section has it.

        Args:
            name: The name.
            key: Where it was given; empty: the kind's own key.
        """
        hint = known(self.names(), name, also=self.other_names())
        for other in Registry.every.values():
            if other is self or other.key.split(".")[0] != self.key.split(".")[0]:
                continue
            theirs = name if name in other else other.other_names().get(name.lower().replace(" ", "_"))
            if theirs is not None:
                hint += f" '{theirs}' is of the other family and belongs under {other.key}."
        return Mistake(key or self.key, f"unknown {self.word} '{name}'", hint)

    def _discover(self) -> None:
        """Import the modules that register components."""
        if not self._complete:
            self._complete = True  # before, since they may ask for names while they are imported
            if not self.package:
                return
            for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__):
                importlib.import_module(f"{self.package}.{module.name}")


class Kind(Registry[T]):
    """Keep the components of one kind by name, check their options, and build them.

    Args:
        word: What one of them is called, for messages, such as ``weighting``.
        key: Dotted recipe key under which one is chosen.
        package: The package whose modules register some.
        field: The key of the name in a mapping of name and options.
        told: Arguments that are no options, as the run gives them.
        default: Name of the one that a mapping without a name means; empty: a name must be given.
        error: The error of a wrong choice.
    """

    def __init__(
        self,
        word: str,
        key: str,
        package: str,
        *,
        field: str = "name",
        told: Collection[str] = (),
        default: str = "",
        error: type[UserError] = UserError,
    ):
        super().__init__(word, key, package, error)
        self.field = field
        self.told = tuple(told)
        self.default = default
        self._models: dict[str, type[Options]] = {}

    def register(self, name: str) -> Callable[[C], C]:
        """Make a component known under a name, which its class keeps as ``name``.

        Raises:
            ValueError: If another class has the name.
        """
        add = super().register(name)

        def add_named(component: C) -> C:
            setattr(add(component), "name", name)  # noqa: B010 - a class of any kind
            self._models.pop(name, None)
            return component

        return add_named

    def options(self, name: str) -> type[Options]:
        """Return the model of a component's options, from its signature, and of its name.

        Raises:
            UserError: If there is no component of that name.
        """
        component = self[name]
        if name not in self._models:
            model = model_from_signature(component, exclude=self.told, name=(self.field, name))
            self._models[name] = _with_implied_name(model) if name == self.default else model
        return self._models[name]

    def parse(self, spec: object, mistakes: list[Mistake], key: str = "") -> Options | None:
        """Check a choice against the signature of what it names; None if it is not valid.

        Args:
            spec: A name, or a mapping of name and options; one that was parsed before comes back.
            mistakes: Receives everything that is wrong.
            key: Dotted key of the choice; empty: the kind's own.
        """
        if isinstance(spec, Options):
            return spec
        key = key or self.key
        given = {self.field: spec} if isinstance(spec, str) else made_plain(spec)
        name = given.get(self.field, self.default) if isinstance(given, dict) else None
        if not isinstance(given, dict) or not isinstance(name, str) or not name:
            mapping = "a mapping of options" if self.default else f"a mapping with {self.field} and its options"
            remedy = f"Allowed: a name, or {mapping}. {known(self.names(), '')}"
            mistakes.append(Mistake(key, f"found {describe(made_plain(spec))}", remedy))
            return None
        if name not in self:
            mistakes.append(self.unknown(name, key))
            return None
        wrong: list[Mistake] = []
        found = parse_options(self.options(name), given, wrong, key)
        mistakes += [self._with_owners(item, name, key) for item in wrong]
        return found

    def _with_owners(self, mistake: Mistake, name: str, key: str) -> Mistake:
        """Say of an option that a component does not have which others of the same section have it."""
        option, section = mistake.key.removeprefix(f"{key}."), self.key.split(".")[0]
        if option in self.options(name).model_fields:
            return mistake
        kinds = [kind for kind in Registry.every.values() if isinstance(kind, Kind) and kind.key.startswith(section)]
        owners = {
            kind.word: [other for other in kind.names() if option in kind.options(other).model_fields]
            for kind in kinds
        }
        have = [f"{word}s with it: {', '.join(names)}" for word, names in owners.items() if names]
        if not have:
            return mistake
        return replace(mistake, remedy=f"{mistake.remedy} '{name}' has no such option; {'; '.join(have)}.")

    def build(self, spec: object, key: str = "", **told: Any) -> T:
        """Build a component.

        Args:
            spec: A name, or a mapping of name and options, or what `parse` gave.
            key: Dotted key of the choice, for messages; empty: the kind's own.
            told: What the run says; arguments that the component does not take are left out.

        Raises:
            UserError: If anything is wrong with the choice; all of it at once.
        """
        mistakes: list[Mistake] = []
        choice = self.parse(spec, mistakes, key)
        if choice is None:
            raise self.error(mistakes)
        return self.make(choice.chosen, choice.options(), key, **told)

    def make(self, name: str, options: Mapping[str, Any], key: str = "", **told: Any) -> T:
        """Build a component from options that were checked, and move what it refuses itself to its key.

        Args:
            name: Its name.
            options: Its options.
            key: Dotted key of the choice, for messages; empty: the kind's own.
            told: What the run says; arguments that the component does not take are left out.

        Raises:
            UserError: If the component refuses its options.
        """
        component, key = self[name], key or self.key
        taken = inspect.signature(component).parameters
        try:
            return component(**{name: value for name, value in told.items() if name in taken}, **options)
        except UserError as error:
            raise self.error(below(item, key) for item in error.mistakes) from error
        except ValueError as error:  # of components that are not ours
            raise self.error(Mistake(key, f"'{name}': {error}")) from error


def _written_as(component: type) -> tuple[str, str]:
    """Return where a class was written."""
    return component.__module__, component.__qualname__


def _with_implied_name(model: type[Options]) -> type[Options]:
    """Return the same model, whose name may be left out."""
    field = model.model_fields[model.name_field]
    implied: Any = (field.annotation, Field(get_args(field.annotation)[0], description=field.description))
    name_field, only_with = model.name_field, model.only_with
    found: type[Options] = create_model(
        model.__name__, __base__=model, __doc__=model.__doc__, **{name_field: implied}
    )
    found.name_field, found.only_with = name_field, only_with
    return found
