"""The recipe's JSON Schema, for completion and checks in editors."""

from typing import Any

from pydantic import BaseModel
from pydantic_core import to_jsonable_python

from hf_mtl.argument_fields import OF_THE_COMMAND_LINE, REFUSED
from hf_mtl.balancing import AGGREGATORS, WEIGHTINGS, GradientOptions, Spec
from hf_mtl.balancing.catalogue import FAMILIES
from hf_mtl.components import Kind
from hf_mtl.data.learners.base import LEARNERS
from hf_mtl.data.mixture import anneal_section, section
from hf_mtl.data.section import Spec as DataSpec
from hf_mtl.evaluation.section import Spec as BaselinesSpec
from hf_mtl.modeling.heads import HEADS
from hf_mtl.modeling.peft_kinds import KINDS, PLACES, TAKEN
from hf_mtl.recipe import sections
from hf_mtl.recipe.schema import ModelSection
from hf_mtl.schedules import SCHEDULES
from hf_mtl.signatures import argument_texts
from hf_mtl.tasks import task_types
from hf_mtl.tasks.head_shares import SHARE

Schema = dict[str, Any]


def json_schema() -> Schema:
    """Build the JSON Schema (2020-12) of recipe files from the same signatures that recipes are checked with.

    A recipe that extends another may leave everything out, and may say null to remove what it inherits.
    """
    definitions: Schema = {}
    model = _of(ModelSection, definitions)
    data = _of(DataSpec, definitions)
    data["properties"]["beside"]["additionalProperties"] = _tasks(definitions)
    model["properties"]["head"] = _named(HEADS, definitions)
    _describe(model["properties"]["head"], ModelSection, "head")
    tokenizer = _partial(_of(sections.tokenizer_section(), definitions))
    model["properties"]["tokenizer"] = {"anyOf": [{"type": ["string", "null"]}, tokenizer]}
    _describe(model["properties"]["tokenizer"], ModelSection, "tokenizer")
    model["properties"]["peft"] = _adapters()
    _describe(model["properties"]["peft"], ModelSection, "peft")
    # A list replaces what it inherits: its items are whole.
    schedule = _named(SCHEDULES, definitions, whole=True)
    properties = {
        "extends": {
            "description": "Recipes that this one extends, relative to it; this one wins.",
            "anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}],
        },
        "plugins": {
            "description": "Modules of yours that register components, in order; only with --allow-code.",
            "anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}],
        },
        "model": _or_null(_partial(model)),
        "tasks": {"type": "object", "additionalProperties": _or_null(_tasks(definitions))},
        "data": _or_null(data),
        "mixture": _or_null(_mixture(definitions)),
        "balancing": _or_null(_balancing(definitions)),
        "schedules": {
            "description": "Schedules of task coefficients and trainable groups; they compose.",
            "anyOf": [{"type": "array", "items": schedule}, {"type": "null"}],
        },
        "callbacks": {
            "description": "Callbacks of the Trainer that plugins register: names, or mappings of name and options.",
            "anyOf": [{"type": "array", "items": {"type": ["string", "object"]}}, {"type": "null"}],
        },
        "baselines": _or_null(_of(BaselinesSpec, definitions)),
        "training": _or_null(_training(definitions)),
    }
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "hf_mtl recipe",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        "if": {"not": {"required": ["extends"]}},
        "then": _COMPLETE,
        "$defs": definitions,
    }


def _adapters() -> Schema:
    """Describe adapters by their types; their options are those of the peft that is installed."""
    one_of_both = {"anyOf": [{"required": [name]} for name in PLACES]}
    adapter: Schema = {
        "anyOf": [
            {"enum": sorted(TAKEN)},
            *(
                {"type": "object", "properties": {"type": {"const": kind}}, "description": words, "not": one_of_both}
                for kind, words in KINDS.items()
            ),
        ]
    }
    both = {
        "type": "object",
        "description": "Adapters that all tasks share, and those of which each task has one of its own.",
        "properties": {name: {**_or_null(adapter), "description": words} for name, words in PLACES.items()},
        "additionalProperties": False,
        "minProperties": 1,
    }
    return {"anyOf": [{"type": "null"}, adapter, both]}


# What a recipe that extends nothing must say.
_COMPLETE: Schema = {
    "required": ["model", "tasks"],
    "properties": {
        "model": {"required": ["backbone"]},
        "tasks": {"minProperties": 1, "additionalProperties": {"required": ["type", "dataset"]}},
    },
}


def _balancing(definitions: Schema) -> Schema:
    balancing = _of(Spec, definitions)
    for kind in (WEIGHTINGS, AGGREGATORS):
        balancing["properties"][kind.word] = _named(kind, definitions)
    balancing["properties"]["gradients"] = _or_null(_of(GradientOptions, definitions))
    for key in (*FAMILIES, "gradients"):
        _describe(balancing["properties"][key], Spec, key)
    return balancing


def _mixture(definitions: Schema) -> Schema:
    mixture = _of(section(), definitions)
    mixture["properties"]["anneal"] = _or_null(_of(anneal_section(), definitions))
    mixture["properties"]["learn"] = _named(LEARNERS, definitions)
    for key in ("anneal", "learn"):
        _describe(mixture["properties"][key], section(), key)
    return mixture


def _training(definitions: Schema) -> Schema:
    training = _of(sections.training_section(), definitions)
    for key in (*REFUSED, *OF_THE_COMMAND_LINE):
        training["properties"].pop(key, None)
    return training


def _tasks(definitions: Schema) -> Schema:
    """Return a task of any type; without a type (it is inherited) the keys of every type are allowed."""
    arms = []
    for task in task_types().values():
        schema = _partial(_of(task, definitions))
        schema["properties"]["head"] = _task_head(definitions)
        _describe(schema["properties"]["head"], task, "head")
        metric = {"$ref": "#/$defs/MetricSpec"}
        items = {"anyOf": [{"type": "string"}, metric]}
        schema["properties"]["metrics"] = {"anyOf": [{"type": "string"}, metric, {"type": "array", "items": items}]}
        _describe(schema["properties"]["metrics"], task, "metrics")
        texts = argument_texts(task)
        schema["properties"] = {
            key: _or_null({"description": texts[key], **value} if key in texts else value)
            for key, value in schema["properties"].items()
        }
        definitions[task.__name__] = schema
        arms.append({"$ref": f"#/$defs/{task.__name__}"})
    return {"anyOf": arms}


def _task_head(definitions: Schema) -> Schema:
    """Describe a task's head: as the model's, and with the name of what it shares."""
    share = {"type": "string", "description": "Name of the head that all tasks have in common which name it."}
    arms: list[Schema] = []
    for arm in _named(HEADS, definitions)["anyOf"]:
        if "$ref" in arm:
            key = arm["$ref"].removeprefix("#/$defs/")
            own = definitions[key]
            definitions[f"{key}.task"] = {**own, "properties": {**own["properties"], SHARE: share}}
            arm = {"$ref": f"#/$defs/{key}.task"}
        arms.append(arm)
    return {"anyOf": arms}


def _named(kind: Kind[Any], definitions: Schema, whole: bool = False) -> Schema:
    """Describe what is chosen by name: a name, or a mapping with its options; ``whole``: with all that it needs."""
    names = kind.names()
    alone = [name for name in names if not whole or not _needs(kind.options(name), kind.field)]
    arms: list[Schema] = [{"enum": alone}, *([] if whole else [{"type": "null"}])]
    for name in names:
        model = kind.options(name)
        # Not the class's name: a head and a weighting may share it.
        key = f"{model.__name__}.{name}"
        definitions[key] = _of(model, definitions) if whole else _partial(_of(model, definitions))
        arms.append({"$ref": f"#/$defs/{key}"})
    return {"anyOf": arms}


def _needs(model: type[BaseModel], field: str) -> bool:
    """Tell whether options beside the name have no default."""
    return any(option.is_required() for name, option in model.model_fields.items() if name != field)


def _of(model: type[BaseModel], definitions: Schema) -> Schema:
    schema = model.model_json_schema()
    definitions.update(schema.pop("$defs", {}))
    return schema


def _partial(schema: Schema) -> Schema:
    """Move the required keys, which may be inherited, under a keyword that checks nothing."""
    return {"x-required" if key == "required" else key: value for key, value in schema.items()}


def _or_null(schema: Schema) -> Schema:
    if schema.get("type") == "object":
        return {**schema, "type": ["object", "null"]}
    # The description stays outside, where editors look for it.
    outside: Schema = {key: schema[key] for key in ("description", "default") if key in schema}
    inside = {key: value for key, value in schema.items() if key not in outside}
    return {**outside, "anyOf": [inside, {"type": "null"}]}


def _describe(schema: Schema, model: type[BaseModel], key: str) -> None:
    """Put the sentence and the default of a field into a schema that was written in place of its own."""
    owners = [owner.model_fields for owner in model.__mro__ if issubclass(owner, BaseModel)]
    texts = [fields[key].description for fields in owners if key in fields]
    if text := next(filter(None, texts), None):
        schema["description"] = text
    field = model.model_fields[key]
    if not field.is_required():
        default = field.get_default(call_default_factory=True, validated_data={})
        schema["default"] = to_jsonable_python(default, exclude_none=True)
