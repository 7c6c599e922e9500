"""Models of options, derived from the signatures of what takes them, so that every default lives once."""

import dataclasses
import enum
import inspect
import operator
import re
import types
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from functools import reduce
from typing import Annotated, Any, ClassVar, Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, Field, create_model

from hf_mtl.shown import hide_secrets

OnlyWith: TypeAlias = Mapping[str, tuple[str, tuple[Any, ...]]]
"""For an option of a component, another of its options and the values of it without which the first does nothing."""

LARGEST = 2**32 - 1
"""No option counts further."""

_ENTRY = re.compile(r"^(\w+)\s*(?:\([^)]*\))?:\s+(.*)$")
# No option counts further, and what reads one as 32 bits would fail in words of its own.
_WHOLE = Annotated[int, Field(ge=-LARGEST, le=LARGEST)]
_PLAIN: tuple[Any, ...] = (int, float, str, bool, type(None), Any, dict, list, tuple)
_CONTAINERS: tuple[Any, ...] = (dict, list, tuple, Mapping, Sequence)


class Options(BaseModel):
    """Hold keyword arguments for one callable, checked and frozen.

    Attributes:
        name_field: The field that says which callable it is, where it was chosen by name; empty otherwise.
        only_with: Options that others leave without effect.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", protected_namespaces=(), allow_inf_nan=False)
    name_field: ClassVar[str] = ""
    only_with: ClassVar[OnlyWith] = {}

    def __repr__(self) -> str:
        return hide_secrets(super().__repr__())

    def __str__(self) -> str:
        return hide_secrets(super().__str__())

    @property
    def chosen(self) -> str:
        """Name of what was chosen; empty where nothing is chosen by name."""
        return str(getattr(self, self.name_field)) if self.name_field else ""

    def options(self) -> dict[str, Any]:
        """Return what was set, as keyword arguments; the rest keeps the callable's own defaults."""
        given = ((key, value) for key, value in self.settled().items() if key in self.model_fields_set)
        return {key: value.written() if isinstance(value, Options) else value for key, value in given}

    def settled(self) -> dict[str, Any]:
        """Return all options with their values, as keyword arguments."""
        return {key: getattr(self, key) for key in type(self).model_fields if key != self.name_field}

    def written(self) -> dict[str, Any]:
        """Return what was set as it is written, with the name."""
        return self.model_dump(exclude_unset=True)


def model_from_signature(
    target: Callable[..., Any],
    exclude: Collection[str] = (),
    name: tuple[str, str] | None = None,
    lenient: bool = False,
    words: Mapping[str, Collection[str]] | None = None,
    annotations: Mapping[str, Any] | None = None,
    ranges: Mapping[str, Mapping[str, float]] | None = None,
) -> type[Options]:
    """Derive a frozen model from what a callable takes.

    Names, annotations and defaults come from the dataclass fields or the signature (of a class: of its
    ``__init__``), descriptions from field metadata or from the Args section of the docstring.

    Args:
        target: A function, class or dataclass.
        exclude: Arguments that the recipe does not give.
        name: A further required field and its only value, such as ``("type", "vip")``.
        lenient: Accept anything where an annotation is not a plain YAML type, instead of refusing.
        words: Further words that a field with closed choices takes.
        annotations: Types of arguments that the signature does not say as the model needs them.
        ranges: Limits of numbers whose annotation does not have them, such as ``{"ge": 1}``.

    Raises:
        TypeError: If an argument has no annotation, a type that YAML cannot say (unless lenient), a name that
            `Options` has a use for, or is variadic.
    """
    fields: dict[str, Any] = {}
    if name is not None:
        literal: Any = Literal[name[1]]
        fields[name[0]] = (literal, Field(description=_summary(target)))
    texts = argument_texts(target)
    for key, hint, default, text in _arguments(target, exclude):
        if key in fields or hasattr(Options, key):
            raise TypeError(f"{target.__qualname__}: an option cannot be called '{key}'")
        more = tuple((words or {}).get(key, ()))
        annotation = _annotation(_within(hint, (ranges or {}).get(key, {})), more)
        if annotations and key in annotations:
            annotation = annotations[key]
        elif not _is_plain(annotation):
            if not lenient:
                raise TypeError(f"{target.__qualname__}: a recipe cannot give '{key}: {hint}'; exclude it")
            annotation = Any
        fields[key] = (annotation, Field(**default, description=text or texts.get(key)))
    model = create_model(_model_name(target), __base__=Options, __doc__=_summary(target), **fields)
    model.name_field = name[0] if name else ""
    model.only_with = getattr(target, "only_with", {})
    return model


def _arguments(target: Callable[..., Any], exclude: Collection[str]) -> list[tuple[str, Any, dict[str, Any], str]]:
    """Return name, annotation, default and description of each argument."""
    if dataclasses.is_dataclass(target):
        hints = typing.get_type_hints(target, include_extras=True)
        return [
            (field.name, hints[field.name], _field_default(field), str(field.metadata.get("help") or ""))
            for field in dataclasses.fields(target)
            if field.init and field.name not in exclude
        ]
    function = target.__init__ if inspect.isclass(target) else target
    hints = typing.get_type_hints(function, include_extras=True)
    found = []
    for key, parameter in inspect.signature(target).parameters.items():
        if key in exclude:
            continue
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise TypeError(f"{target.__qualname__}: takes '*{key}', so its options are not known")
        if key not in hints:
            raise TypeError(f"{target.__qualname__}: the argument '{key}' has no annotation")
        default = {} if parameter.default is parameter.empty else {"default": parameter.default}
        found.append((key, hints[key], default, ""))
    return found


def _field_default(field: "dataclasses.Field[Any]") -> dict[str, Any]:
    if field.default is not dataclasses.MISSING:
        return {"default": field.default}
    if field.default_factory is not dataclasses.MISSING:
        return {"default_factory": field.default_factory}
    return {}


def _annotation(hint: Any, words: tuple[str, ...]) -> Any:
    """Return closed choices as Literal, so that messages and editors can list them; whole numbers with their
    bounds.
    """
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        arms = typing.get_args(hint)
        choices = [arm for arm in arms if inspect.isclass(arm) and issubclass(arm, enum.Enum)]
        # `SomeEnum | str` means: a value of the enum, also as a word.
        arms = tuple(arm for arm in arms if not (choices and arm is str))
        return reduce(operator.or_, (_annotation(arm, words) for arm in arms))
    if inspect.isclass(hint) and issubclass(hint, enum.Enum):
        return Literal[tuple(dict.fromkeys([*(member.value for member in hint), *words]))]
    if hint is int:
        return _WHOLE
    if typing.get_origin(hint) is Annotated:
        inner, *more = typing.get_args(hint)
        # The limits of the argument itself come last, and win.
        return Annotated[(_annotation(inner, words), *more)]
    if typing.get_origin(hint) is list:
        return list[_annotation(typing.get_args(hint)[0], words)]  # type: ignore[misc]
    return hint


def _within(hint: Any, limits: Mapping[str, Any]) -> Any:
    """Return a type whose numbers have limits."""
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return reduce(operator.or_, (_within(arm, limits) for arm in typing.get_args(hint)))
    return Annotated[hint, Field(**limits)] if limits and hint in (int, float) else hint


def _is_plain(hint: Any) -> bool:
    """Tell whether YAML can say a value of this type."""
    origin = typing.get_origin(hint)
    if origin is typing.Annotated:
        return _is_plain(typing.get_args(hint)[0])
    if origin is Literal or hint is Ellipsis:
        return True
    if origin in (typing.Union, types.UnionType) or origin in _CONTAINERS or _is_container_abc(origin):
        return all(_is_plain(arm) for arm in typing.get_args(hint))
    return hint in _PLAIN or typing.is_typeddict(hint) or (inspect.isclass(hint) and issubclass(hint, BaseModel))


def _is_container_abc(origin: Any) -> bool:
    return inspect.isclass(origin) and origin in {Mapping, Sequence}


def argument_texts(target: Callable[..., Any]) -> dict[str, str]:
    """Read the descriptions of arguments from the Args section of a Google docstring, of a class and its bases.

    Args:
        target: A function or class.
    """
    texts: dict[str, str] = {}
    for owner in inspect.getmro(target) if inspect.isclass(target) else (target,):
        for key, text in _args_section(inspect.cleandoc(owner.__doc__ or "")).items():
            texts.setdefault(key, text)
    return texts


def _args_section(doc: str) -> dict[str, str]:
    texts: dict[str, str] = {}
    inside, key = False, ""
    for line in doc.splitlines():
        if not line.startswith(" ") and line.strip():
            inside, key = line.strip() in ("Args:", "Arguments:", "Parameters:"), ""
            continue
        entry = _ENTRY.match(line.strip()) if inside and re.match(r"^ {4}\S", line) else None
        if entry:
            key = entry[1]
            texts[key] = entry[2]
        elif key and line.strip():
            texts[key] += " " + line.strip()
    return texts


def _summary(target: Callable[..., Any]) -> str:
    return inspect.cleandoc(target.__doc__ or "").partition("\n\n")[0].replace("\n", " ")


def _model_name(target: Callable[..., Any]) -> str:
    owner = target.__qualname__.removesuffix(".__init__").rpartition(".")[2]
    return "".join(part[:1].upper() + part[1:] for part in owner.split("_")).removesuffix("Options") + "Options"
