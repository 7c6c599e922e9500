"""The config of a multi-task model: the backbone's config, and the tasks."""

import copy
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from os import PathLike
from pathlib import Path
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig
from transformers.utils import CONFIG_NAME

from hf_mtl.caches import refuse_cache
from hf_mtl.errors import Mistake, ModelError, UserError, one_line
from hf_mtl.foreign_json import read_object
from hf_mtl.modeling.config_values import encoder_mistakes, field_mistakes, own_mistakes, shown, task_mistakes
from hf_mtl.modeling.peft_options import plain_peft
from hf_mtl.modeling.peft_refusals import retired_lora
from hf_mtl.tasks import Task, task_from_dict, without_paths

_NOT_THERE = "Give a folder or a Hub id with a model of hf_mtl in it"
_REMEDY = "It is damaged or was edited; copy it again, or load another checkpoint"


class MultiTaskConfig(PreTrainedConfig):
    """Config of a `MultiTaskModel`.

    Args:
        encoder_config: The backbone's config, or a dictionary with ``model_type`` and its fields.
        tasks: The tasks by name, as `Task` or as what `Task.for_config` gives. Their order is kept.
        task_names: The order of the tasks, which JSON does not keep.
        head: Head of the tasks that name none of their own; None: what suits the backbone.
        pooling: ``cls``, ``mean``, ``last`` or ``max``; None: what suits the heads and the backbone.
        max_length: Texts are cut to this many tokens; None: to what the backbone can take.
        dropout: Dropout of heads that name none of their own; None: the backbone's own.
        backbone: Where the pretrained weights came from: a Hub id or python:package/folder. None for a local folder,
            whose path means nothing to others, and for random weights.
        peft: Adapters on the encoder, see `hf_mtl.modeling.peft_kinds.PeftSpec`; None: there are none.
        freeze: Part of the encoder that is not trained: ``embeddings``, a number of layers from the bottom (the
            embeddings with them), or ``encoder``; None: all of it is trained.
        calibration_temperatures: By task, what its class logits are divided by at evaluation; None: nothing is
            divided. See `MultiTaskModel.set_calibration_temperature`.
        decisions: By task that asks for it, how its outputs become predictions, as chosen after training; None:
            nothing was chosen. See `MultiTaskModel.set_decision`.
        origins: By task whose head was taken over from another model, the number of that model. Heads share layers
            with those of their own origin alone. None: no head was.
        encoder_source: Where the encoder is fetched from whose weights are not among the model's files, as
            `hf_mtl.modeling.frozen_encoder.EncoderSource` has it. None: they are.

    Raises:
        ModelError: If the backbone's config or a task is none; all mistakes at once.
    """

    model_type = "hf_mtl"
    sub_configs = {"encoder_config": AutoConfig}  # noqa: RUF012

    encoder_config: dict[str, Any] | PreTrainedConfig | None = None
    tasks: dict[str, Any] | None = None
    task_names: list[str] | None = None
    head: str | dict[str, Any] | None = None
    pooling: str | None = None
    max_length: int | None = None
    dropout: float | None = None
    backbone: str | None = None
    peft: dict[str, Any] | str | None = None
    freeze: str | int | None = None
    calibration_temperatures: dict[str, float] | None = None
    decisions: dict[str, Any] | None = None
    origins: dict[str, int] | None = None
    encoder_source: dict[str, Any] | None = None

    # Whether the tasks were read from a file, and else which of them were. No fields: they are not saved.
    _tasks_from_file = False
    _taken_from_file = frozenset[str]()

    def __post_init__(self, **kwargs: Any) -> None:
        """Order the tasks and turn them into JSON; read the backbone's config."""
        given: Mapping[str, Any] = {} if self.tasks is None else self.tasks
        self.peft = plain_peft(self.peft)
        wrong = [*field_mistakes(self), *encoder_mistakes(self.encoder_config, self.model_type)]
        if kwargs.get("lora") not in (None, False):  # of a config that was written before there was peft in its place
            wrong.append(retired_lora(kwargs["lora"]))
        if mistakes := [*wrong, *task_mistakes(given)]:
            raise ModelError(mistakes)
        # Before the base class, which hands dtype and attention implementation down to the sub-config.
        if not isinstance(self.encoder_config, PreTrainedConfig):
            fields = {"model_type": "bert", **(self.encoder_config or {})}
            self.encoder_config = build_config(fields, "encoder_config")
        super().__post_init__(**kwargs)
        for token in ("pad_token_id", "bos_token_id", "eos_token_id"):
            # Where the Trainer looks for them; what a tokenizer says otherwise, it writes here.
            if getattr(self, token, None) is None:
                setattr(self, token, getattr(self.encoder_config, token, None))
        names = [name for name in self.task_names or [] if name in given]
        self.task_names = names + [name for name in given if name not in names]
        self.tasks = {name: _as_json(given[name]) for name in self.task_names}

    @classmethod
    def from_pretrained(cls, pretrained_model_name_or_path: str | PathLike[str], *args: Any, **kwargs: Any) -> Any:
        """Read a config, as the base class does.

        Raises:
            ModelError: If the file cannot be found or read, or is no config of a multi-task model; names the file.
        """
        with _of_file(pretrained_model_name_or_path):
            return super().from_pretrained(pretrained_model_name_or_path, *args, **kwargs)

    @classmethod
    def get_config_dict(cls, pretrained_model_name_or_path: str | PathLike[str], **kwargs: Any) -> Any:
        """Read the fields as the base class does, and refuse a missing file, which it takes for an empty one."""
        path = pretrained_model_name_or_path
        try:
            fields, others = super().get_config_dict(path, **kwargs)
        except (UserError, OSError):
            raise
        except Exception as error:  # a Hub, or a gateway before it, may answer anything
            problem = f"cannot load the config of '{path}': {one_line(error)}"
            raise ModelError(Mistake("", problem, _NOT_THERE)) from error
        if not fields:
            problem = f"cannot load the config of '{path}': {CONFIG_NAME} is empty or missing"
            raise ModelError(Mistake("", problem, _NOT_THERE))
        return fields, others

    @classmethod
    def _dict_from_json_file(cls, json_file: str | PathLike[str]) -> dict[str, Any]:
        """Read a file as the base class does, and refuse one that holds no object."""
        return read_object(Path(json_file), _REMEDY)

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """Make a config of its fields, as the base class does.

        Raises:
            ModelError: If it is the config of another kind of model, which has no tasks, or its values are none that
                a config has.
        """
        found = config_dict.get("model_type", cls.model_type)
        if found != cls.model_type:
            remedy = "Put heads on such an encoder with `MultiTaskModel.from_backbone`"
            raise ModelError(Mistake("", f"the config is that of a {shown(found)} model, which has no tasks", remedy))
        with _of_file(kwargs.get("name_or_path")):
            if mistakes := list(own_mistakes(config_dict)):
                raise ModelError(mistakes)
            try:
                made = super().from_dict(config_dict, **kwargs)
            except UserError:
                raise
            except Exception as error:  # the base class trusts every value, and fails at a wrong one in its own way
                raise ModelError(config_mistake(error, "")) from error
        config = made[0] if isinstance(made, tuple) else made  # with the arguments that it did not use
        config._tasks_from_file = True
        return made

    @classmethod
    def from_json_file(cls, json_file: str | PathLike[str]) -> "MultiTaskConfig":
        """Read a file, as the base class does."""
        config: MultiTaskConfig = super().from_json_file(json_file)
        config._tasks_from_file = True
        return config

    def to_dict(self) -> dict[str, Any]:
        """Return the fields as the base class does; of the path of a metric's script only the name is kept."""
        output: dict[str, Any] = super().to_dict()
        for name in ("_tasks_from_file", "_taken_from_file"):
            output.pop(name, None)
        output["tasks"] = {name: without_paths(task) for name, task in (self.tasks or {}).items()}
        return output

    @property
    def tasks_from_file(self) -> bool:
        """Tell whether a file names the tasks, and not the user's own code: their metrics may be anybody's."""
        return self._tasks_from_file

    @property
    def taken_from_file(self) -> frozenset[str]:
        """The tasks that stand in the file of another model alone, whose heads were taken over from it."""
        return frozenset(self.tasks or ()) if self._tasks_from_file else self._taken_from_file

    @property
    def task_objects(self) -> dict[str, Task]:
        """The tasks by name, in order."""
        return {name: task_from_dict(task) for name, task in (self.tasks or {}).items()}

    @property
    def decided_tasks(self) -> dict[str, Task]:
        """The tasks by name, in order, with the decisions that were taken for them."""
        taken = self.decisions or {}
        return {
            name: task.decided(taken[name]) if name in taken else task for name, task in self.task_objects.items()
        }

    @property
    def hidden_size(self) -> int:
        """Width H of the backbone's features."""
        return int(self.encoder_config.hidden_size)  # type: ignore[union-attr]

    @property
    def initializer_range(self) -> float:
        """Standard deviation of freshly initialised heads: the backbone's."""
        return float(getattr(self.encoder_config, "initializer_range", None) or 0.02)


def _as_json(task: Task | Mapping[str, Any]) -> dict[str, Any]:
    return task.for_config() if isinstance(task, Task) else dict(task)


def build_config(fields: Mapping[str, Any], key: str) -> PreTrainedConfig:
    """Make a config of transformers from its fields.

    Args:
        fields: ``model_type``, which is known, and the fields.
        key: Dotted key of the fields, for messages.

    Raises:
        ModelError: If the fields are none of such a config.
    """
    kind = fields["model_type"]
    try:
        config: PreTrainedConfig = CONFIG_MAPPING[kind](**copy.deepcopy(dict(fields)))
    except Exception as error:  # each class trusts every value, and fails at a wrong one in its own way
        raise ModelError(config_mistake(error, key, f"not a '{kind}' config: ")) from error
    return config


def config_mistake(error: Exception, key: str, start: str = "") -> Mistake:
    """Return what a class of configs says of a value.

    Args:
        error: What it raised.
        key: Dotted key of the config, which the field's name joins where it is known.
        start: What the message begins with.
    """
    text = " ".join(str(error).split()) or type(error).__name__
    if found := re.match(r"Validation error for field '(\w+)': (?:TypeError: )?(.*)", text):
        key, text = f"{key}.{found[1]}".lstrip("."), found[2]
    return Mistake(key, f"{start}{text[:300]}".rstrip("."))


@contextmanager
def _of_file(path: object) -> Iterator[None]:
    """Say which file a mistake is in, and what to do with it.

    Args:
        path: The model's folder or Hub id, or the file; None: there is no file.
    """
    try:
        yield
    except UserError as error:
        if path is None:
            raise
        raise ModelError(placed(item, str(path)) for item in error.mistakes) from error
    except OSError as error:  # of the loader: the text is transformers' own
        refuse_cache(error)
        problem = f"cannot load the config of '{path}': {one_line(error)}"
        raise ModelError(Mistake("", problem, _NOT_THERE)) from error


def placed(mistake: Mistake, path: str) -> Mistake:
    """Return a mistake in a model's config, with its file where it names none.

    Args:
        mistake: The mistake.
        path: The model's folder or Hub id, or the file.
    """
    if mistake.where or path in mistake.problem:
        return mistake
    where = path if path.endswith(".json") else f"{path}/{CONFIG_NAME}"
    return replace(mistake, where=where, remedy=mistake.remedy or _REMEDY)
