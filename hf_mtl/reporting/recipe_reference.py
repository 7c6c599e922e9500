"""The reference of recipes: every key with its type, its default and a sentence, as one Markdown page."""

import inspect
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import transformers

from hf_mtl.argument_fields import OF_THE_COMMAND_LINE, REFUSED
from hf_mtl.arguments import MultiTaskTrainingArguments
from hf_mtl.evaluation.registry import METRICS, Entry
from hf_mtl.recipe.json_schema import Schema, json_schema
from hf_mtl.reporting.markdown import table
from hf_mtl.reporting.methods import methods_markdown
from hf_mtl.reporting.papers import paper_index
from hf_mtl.reporting.schema_tables import SchemaTables, plain_text, title
from hf_mtl.signatures import argument_texts
from hf_mtl.tasks import task_types
from hf_mtl.tasks.head_shares import SHARE

_INTRODUCTION = """\
# Recipes: every key

Written by `hf-mtl schema --markdown`, in the folder that holds `recipes`. Do not edit it: the sentences are those of
the classes that the keys configure. How the parts work together is told in [guide.md](guide.md); `hf-mtl schema`
prints the same as JSON Schema, for completion in an editor.

A recipe has the sections below; `model` and `tasks` must be there, in it or in a recipe that it extends. `null` in
place of a value means that nothing is said: the default, also where a recipe that it extends says something.
The files of [studies](#studies) and [sweeps](#sweeps) have keys of their own."""

_LIMITS = """\
Each of these is refused with a message before training:

- A model that is shared by processes in other ways than FSDP2 (`fsdp`) and ZeRO-1 or ZeRO-2 (`deepspeed`): FSDP1,
  ZeRO-3, offloading to the CPU, Megatron and tensor parallelism. FSDP and DeepSpeed by options of `accelerate launch`
  or its file: a recipe says it.
- `fsdp` or `deepspeed` beside an aggregator, `gradnorm`, `gradnorm_scaling` or `excess_mtl`, `gradients.log_every`,
  `mixture.learn: pike`, schedules that freeze parameters or measure gradients, heads `vip` with a learned
  temperature, `torch_compile`, or an `optim` that does not treat each number by itself.
- `deepspeed` beside `tokens_per_micro_batch`, schedules that change the learning rate or stop tasks early, or
  `max_grad_norm` with heads `vmtl`.
- `torch_compile` beside what needs task gradients: an aggregator, `gradnorm`, `gradnorm_scaling` or `excess_mtl`.
- `preferences` in other methods than `upgrad`, `cagrad`, `mgda` and `nash_mtl`; `pcd` beside
  `mixture.one_task_per_step`; `mixture.learn: pike` on an encoder that is not trained.
- `scope: adapters` without `model.peft`, and `stl_cnn` on an encoder that is trained.
- Data in other formats than csv, json, parquet, arrow and text; loading scripts, pickles and archives; URLs that hold
  a password or a token.
- Code in a recipe. What runs code of others, and only when you say so: [SECURITY.md](../.github/SECURITY.md).
- These fields of `transformers.TrainingArguments`:"""

HUGGING_FACE = "## `training`: fields of transformers"


def recipe_reference(folder: Path, more: Sequence[str] = ()) -> str:
    """Write the page.

    What depends on the version of transformers, the fields of its `TrainingArguments`, stands at its end.

    Args:
        folder: Where the recipes are that it links to.
        more: Of other files, after what is of recipes.
    """
    schema = json_schema()
    page = SchemaTables(schema)
    sections = schema["properties"]
    parts = [
        _INTRODUCTION,
        page.keys({name: sections[name] for name in ("extends", "plugins", "callbacks")}),
        "## `model`",
        *page.section(sections["model"]),
        *_tasks(page),
        "## `data`",
        *page.section(sections["data"]),
        "## `mixture`",
        *page.section(sections["mixture"]),
        "## `balancing`",
        *page.section(sections["balancing"]),
        "### Methods",
        methods_markdown(),
        "## `schedules`",
        sections["schedules"]["description"],
        *page.named(sections["schedules"], "type"),
        "## `baselines`",
        *page.section(sections["baselines"]),
        *_training(page, sections["training"]["properties"]),
        "## What is not supported",
        _LIMITS,
        table([["field", "why, and what to do instead"], *_refused()]),
        "## From a paper to its method and recipes",
        paper_index(folder),
        *more,
        HUGGING_FACE,
        f"Those of transformers {transformers.__version__}.",
        page.keys(_inherited(sections["training"]["properties"])),
    ]
    return "\n\n".join(parts)


def _tasks(page: SchemaTables) -> Iterator[str]:
    """Describe the keys that all types of task have, those of each type, and the mappings that they take."""
    types = {name: item for name, item in _task_types(page).items()}
    first, *others = types.values()
    common = {
        key: value
        for key, value in first["properties"].items()
        if key != "type" and all(item["properties"].get(key) == value for item in others)
    }
    yield "## `tasks`"
    yield "A mapping from the name of each task to its keys. These are the same for every type of task:"
    kind = {"description": "The type of the task.", "enum": list(types), "x-required": True}
    yield page.keys({"type": kind, **common}, {"required": ["type"]})
    yield "A task's `head` takes a key beside those of `model.head`:"
    heads = (item["properties"] for item in page.definitions.values())
    yield page.keys({SHARE: next(keys[SHARE] for keys in heads if SHARE in keys)})
    for name, item in types.items():
        yield f"### `type: {name}`"
        yield plain_text(item["description"])
        own = {key: value for key, value in item["properties"].items() if key not in ("type", *common)}
        yield page.keys(own)
    for name in ("DatasetSource", "RowFilter", "MetricSpec"):
        item = page.definitions[name]
        yield f"### {title(name)}"
        yield plain_text(item["description"])
        yield page.keys(item["properties"], item)
    rows = [[f"`{name}`", _scored_by(entry), _better(entry.greater_is_better)] for name, entry in METRICS.items()]
    yield table([["metric", "of", "better"], *rows])


def _scored_by(entry: Entry) -> str:
    """Name the types of task whose outputs a metric scores."""
    return ", ".join(f"`{name}`" for name, kind in task_types().items() if entry.scores(kind.outputs_are))


def _task_types(page: SchemaTables) -> dict[str, Schema]:
    found = {}
    for item in page.definitions.values():
        kind = item["properties"].get("type", {})
        # Of a task it may be left out, where it is inherited.
        if "label" in item["properties"] and "default" in kind:
            found[str(kind["default"])] = item
    return found


def _training(page: SchemaTables, properties: Mapping[str, Schema]) -> Iterator[str]:
    yield "## `training`"
    yield (
        "The fields of `transformers.TrainingArguments` that have an effect here (at the [end of this page]"
        "(#training-fields-of-transformers)), and these:"
    )
    # The docstring says more than the help of the command line.
    texts = argument_texts(MultiTaskTrainingArguments)
    yield page.keys({key: {**properties[key], "description": texts[key]} for key in _own_fields()})


def _own_fields() -> list[str]:
    return list(inspect.get_annotations(MultiTaskTrainingArguments))


def _inherited(properties: Mapping[str, Schema]) -> dict[str, Schema]:
    return {key: value for key, value in properties.items() if key not in _own_fields()}


def _refused() -> list[list[str]]:
    return [[f"`{key}`", why] for key, why in sorted({**REFUSED, **OF_THE_COMMAND_LINE}.items())]


def _better(greater: bool) -> str:
    return "more" if greater else "less"
