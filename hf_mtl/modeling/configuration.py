"""The config of a multi-task model: the backbone's config, and the tasks."""

from collections.abc import Mapping
from os import PathLike
from typing import Any

from transformers import CONFIG_MAPPING, AutoConfig, PreTrainedConfig

from hf_mtl.errors import Mistake, ModelError
from hf_mtl.tasks import Task, task_from_dict, without_paths


def refuse_kernels(config: Any, name: str) -> None:
    """Refuse a config read from a file that names a kernel of the Hub for its attention: compiled code of others.

    Args:
        config: The config.
        name: What to call it.

    Raises:
        ModelError: If it does. (Python code may name one with ``attn_implementation=``.)
    """
    found = getattr(config, "_attn_implementation", None)
    if isinstance(found, str) and "/" in found:
        problem = f"{name} names the attention kernel '{found}', which is code of others"
        remedy = "Take attn_implementation out of its config.json; give it in Python if you trust the kernel"
        raise ModelError(Mistake("model.backbone", problem, remedy))


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
        lora: Options of `add_lora` for adapters on the encoder, True for its defaults; None: no adapters.
        freeze: Part of the encoder that is not trained: ``embeddings``, a number of layers from the bottom (the
            embeddings with them), or ``encoder``; None: all of it is trained.
        temperatures: By task, what its class logits are divided by at evaluation; None: nothing is divided. See
            `MultiTaskModel.set_temperature`.
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
    lora: dict[str, Any] | bool | None = None
    freeze: str | int | None = None
    temperatures: dict[str, float] | None = None

    # Whether the tasks were read from a file. Not a field: it is not saved.
    _tasks_from_file = False

    def __post_init__(self, **kwargs: Any) -> None:
        """Order the tasks and turn them into JSON; read the backbone's config."""
        # Before the base class, which hands dtype and attention implementation down to the sub-config.
        if not isinstance(self.encoder_config, PreTrainedConfig):
            fields = {"model_type": "bert", **(self.encoder_config or {})}
            self.encoder_config = CONFIG_MAPPING[fields["model_type"]](**fields)
        super().__post_init__(**kwargs)
        for token in ("pad_token_id", "bos_token_id", "eos_token_id"):
            # Where the Trainer looks for them; what a tokenizer says otherwise, it writes here.
            if getattr(self, token, None) is None:
                setattr(self, token, getattr(self.encoder_config, token, None))
        given: Mapping[str, Any] = self.tasks or {}
        names = [name for name in self.task_names or [] if name in given]
        self.task_names = names + [name for name in given if name not in names]
        self.tasks = {name: _as_json(given[name]) for name in self.task_names}

    @classmethod
    def from_dict(cls, config_dict: dict[str, Any], **kwargs: Any) -> Any:
        """As the base class's.

        Raises:
            ModelError: If it is the config of another kind of model, which has no tasks.
        """
        found = config_dict.get("model_type", cls.model_type)
        if found != cls.model_type:
            remedy = "Put heads on such an encoder with `MultiTaskModel.from_backbone`"
            raise ModelError(Mistake("", f"the config is that of a '{found}' model, which has no tasks", remedy))
        chosen = "attn_implementation" in kwargs
        found = super().from_dict(config_dict, **kwargs)
        config = found[0] if isinstance(found, tuple) else found  # with the arguments that it did not use
        config._tasks_from_file = True
        if not chosen:
            refuse_kernels(config, "the model's config")
            refuse_kernels(config.encoder_config, "the model's config")
        return found

    @classmethod
    def from_json_file(cls, json_file: str | PathLike[str]) -> "MultiTaskConfig":
        """As the base class's."""
        config: MultiTaskConfig = super().from_json_file(json_file)
        config._tasks_from_file = True
        return config

    def to_dict(self) -> dict[str, Any]:
        """As the base class's; of the path of a metric's script its name alone is kept."""
        output: dict[str, Any] = super().to_dict()
        output.pop("_tasks_from_file", None)
        output["tasks"] = {name: without_paths(task) for name, task in (self.tasks or {}).items()}
        return output

    @property
    def tasks_from_file(self) -> bool:
        """Whether a file names the tasks, and not the user's own code: their metrics may be anybody's."""
        return self._tasks_from_file

    @property
    def task_objects(self) -> dict[str, Task]:
        """The tasks by name, in order."""
        return {name: task_from_dict(task) for name, task in (self.tasks or {}).items()}

    @property
    def hidden_size(self) -> int:
        """Width H of the backbone's features."""
        return int(self.encoder_config.hidden_size)  # type: ignore[union-attr]

    @property
    def initializer_range(self) -> float:
        """Standard deviation of freshly initialised heads: the backbone's."""
        return float(getattr(self.encoder_config, "initializer_range", None) or 0.02)


def _as_json(task: Any) -> dict[str, Any]:
    return task.for_config() if isinstance(task, Task) else dict(task)
