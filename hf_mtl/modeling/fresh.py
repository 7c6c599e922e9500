"""The config and the encoder of a model with fresh heads, before there is a model."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any, TypedDict

import torch
from torch import Tensor
from transformers import PreTrainedConfig, PreTrainedModel

from hf_mtl.errors import Mistake, ModelError, UserError
from hf_mtl.modeling.adapters import merged_weights
from hf_mtl.modeling.backbone import (
    Backbone,
    build_encoder,
    load_encoder,
    load_encoder_config,
    read_dtype,
    rebuild_encoder,
    resolve_backbone,
)
from hf_mtl.modeling.choices import config_mistakes, feature_sources, inherit_pooling
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.dropout import set_dropout
from hf_mtl.modeling.freezing import Freeze
from hf_mtl.modeling.heads import HeadSpec
from hf_mtl.modeling.kept import Keep
from hf_mtl.modeling.peft_kinds import KEY, PeftSpec, per_task_spec
from hf_mtl.modeling.peft_options import settled_peft
from hf_mtl.modeling.peft_refusals import as_written, retired_lora
from hf_mtl.modeling.tokenizer_files import TokenizerPlace
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task

logger = get_logger(__name__)


class Choices(TypedDict):
    """Choices that `MultiTaskModel.from_backbone` takes by their names, and explains."""

    head: HeadSpec | None
    pooling: str | None
    dropout: float | None
    max_length: int | None
    peft: PeftSpec | None
    freeze: Freeze | None


class FreshModel:
    """A model with fresh heads that is about to be made.

    Args:
        backbone: The backbone, as `MultiTaskModel.from_backbone` takes it.
        tasks: The tasks by name.
        choices: The choices.
        options: Arguments of `from_pretrained`.
        keep: The tasks that stay of a backbone that is a model of hf_mtl; None: its encoder alone is taken.

    Attributes:
        config: The config of the model, free of mistakes.

    Raises:
        ModelError: If anything is wrong with the backbone, the heads or the tasks.
    """

    def __init__(
        self,
        backbone: Backbone,
        tasks: Mapping[str, Task],
        choices: Choices,
        options: Mapping[str, Any],
        keep: Keep | None = None,
    ):
        _refuse_misspelt(options)
        self._backbone = backbone
        self._options = dict(options)
        self._options["dtype"] = read_dtype(self._options)
        self._hub = {
            key: value for key, value in self._options.items() if key not in ("dtype", "attn_implementation")
        }
        found = load_encoder_config(backbone, **self._hub)
        self._is_trained = isinstance(found, MultiTaskConfig)
        self._taken = None if keep is None else keep.of(found, has_weights=isinstance(backbone, (str, Path)))
        self._heads: Mapping[str, Tensor] = {}
        self._private: Mapping[str, Tensor] = {}
        kept = {} if self._taken is None else self._taken.fields(tasks, choices["pooling"])
        limit = choices["max_length"]
        self.config = MultiTaskConfig(
            encoder_config=found.encoder_config if self._is_trained else found,
            tasks=kept.pop("tasks", _plain(tasks)),
            head=_plain(choices["head"]),
            pooling=kept.pop("pooling", choices["pooling"]),
            max_length=limit if self._taken is None or limit is not None else self._taken.source.max_length,
            dropout=choices["dropout"],
            # A path of this machine means nothing to others.
            backbone=backbone if isinstance(backbone, str) and not Path(backbone).exists() else None,
            peft=choices["peft"],
            freeze=choices["freeze"],
            **kept,
        )
        if self._taken is not None:
            self.config._taken_from_file = frozenset(set(self._taken.names.values()) - set(tasks))
        if mistakes := config_mistakes(self.config):
            raise ModelError(mistakes)
        _refuse_quantised(self.config, self._options)
        if self._taken is not None:
            _check_private(self._taken.source, self.config)
        if self._is_trained:
            inherit_pooling(self.config, found.pooling)

    @property
    def tokenizer(self) -> TokenizerPlace | None:
        """The place where the backbone's tokenizer may be; None: the backbone was no place."""
        if not isinstance(self._backbone, (str, Path)):
            return None
        return TokenizerPlace.beside(resolve_backbone(str(self._backbone)), self._hub)

    def encoder(self, load: Callable[..., PreTrainedModel]) -> PreTrainedModel:
        """Make the encoder: pretrained, of a trained model of hf_mtl, or with random weights.

        Args:
            load: `MultiTaskModel.from_pretrained`.

        Raises:
            ModelError: If it cannot be loaded or built.
        """
        config = self.config.encoder_config
        if self._is_trained and isinstance(self._backbone, (str, Path)):
            return self._of_trained(load, str(self._backbone))
        if self.config.dropout is not None:
            set_dropout(config, self.config.dropout)
        if not isinstance(self._backbone, (PreTrainedConfig, Mapping)):
            return load_encoder(self._backbone, config, self._reads_pooler, **self._options)
        options = self._options
        if options["dtype"] == "auto":  # there are no weights whose precision it could be
            options = {**options, "dtype": getattr(config, "dtype", None) or torch.float32}
        return build_encoder(config, self._reads_pooler, **options)

    def _of_trained(self, load: Callable[..., PreTrainedModel], backbone: str) -> PreTrainedModel:
        """Return the encoder of a trained model, under a config of new tasks."""
        try:
            trained = load(resolve_backbone(backbone), **self._options)
        except UserError as error:
            raise ModelError(replace(item, key=item.key or "model.backbone") for item in error.mistakes) from error
        if self.config.dropout is not None:
            set_dropout(self.config.encoder_config, self.config.dropout)
        private = trained.private_adapters
        if self._taken is not None:
            self._heads = trained.heads.state_dict()
            self._private = {} if private is None else private.state_dict()
        elif private is not None:
            logger.warning(f"{backbone}: its tasks' own adapters stay behind with them, as each fits its task alone.")
        options = {**self._options, "dtype": trained.encoder.dtype}
        weights = merged_weights(trained.encoder)
        return rebuild_encoder(weights, self.config.encoder_config, self._reads_pooler, **options)

    def fill_heads(self, model: Any) -> None:
        """Give the heads of tasks that stay, and adapters of their own, the weights that they had.

        Args:
            model: The new `MultiTaskModel`.

        Raises:
            ModelError: If a head cannot take them.
        """
        if self._taken is not None:
            self._taken.fill(model.heads, model.config, self._heads)
            if model.private_adapters is not None:
                own = self._taken.renamed(self._private)
                model.private_adapters.load_state_dict(own, strict=False)
            self._heads, self._private = {}, {}

    @property
    def _reads_pooler(self) -> bool:
        return "pooler" in feature_sources(self.config)


def _refuse_quantised(config: MultiTaskConfig, options: Mapping[str, Any]) -> None:
    """Refuse adapters on layers whose weights are in a few bits, before anything is loaded.

    Raises:
        ModelError: If a backbone that gets adapters is quantised.
    """
    asked = [name for name in ("quantization_config", "load_in_8bit", "load_in_4bit") if options.get(name)]
    quantised = asked or getattr(config.encoder_config, "quantization_config", None)
    if config.peft is not None and quantised:
        problem = "the backbone is quantised, and adapters on such layers have not been tried"
        raise ModelError(Mistake(KEY, problem, "Load weights of 16 or 32 bits, such as dtype=torch.bfloat16"))


def _check_private(source: MultiTaskConfig, config: MultiTaskConfig) -> None:
    """Refuse to keep tasks without the adapters that they have for themselves.

    Raises:
        ModelError: If the new model's are others, or it has none.
    """
    kind = config.encoder_config.model_type  # type: ignore[union-attr]
    theirs = per_task_spec(settled_peft(source.peft, kind))
    if isinstance(theirs, Mapping) and per_task_spec(settled_peft(config.peft, kind)) != theirs:
        problem = "the tasks that are kept have adapters of their own, and here are none like them"
        raise ModelError(
            Mistake(KEY, problem, f"Write peft: {{per_task: {as_written(theirs)}}}, or with shared: beside it")
        )


def _refuse_misspelt(others: Mapping[str, Any]) -> None:
    """Refuse arguments that are all but one of `from_backbone`'s own, before they reach the encoder's class.

    Raises:
        ModelError: With every such argument.
    """
    own = [*Choices.__annotations__, "keep_tasks", "drop_tasks", "save_heads_only"]
    mistakes = []
    for name in others:
        if name == "lora":
            mistakes.append(retired_lora(others[name]))
        elif near := get_close_matches(name, own, n=1, cutoff=0.8):
            mistakes.append(Mistake(name, "is no argument of from_backbone", f"Did you mean '{near[0]}'?"))
    if mistakes:
        raise ModelError(mistakes)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else value
