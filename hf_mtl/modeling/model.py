"""The multi-task model: one encoder, a head per task."""

import inspect
from collections.abc import Mapping
from dataclasses import replace
from difflib import get_close_matches
from os import PathLike
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from transformers import PreTrainedConfig, PreTrainedModel

from hf_mtl.batch import EncoderLayout, NoiseKeys, Packed
from hf_mtl.errors import Mistake, ModelError, UserError
from hf_mtl.file_modes import give_usual_modes
from hf_mtl.modeling.backbone import (
    Backbone,
    align_weights,
    build_encoder,
    load_encoder,
    load_encoder_config,
    read_dtype,
    rebuild_encoder,
    resolve_backbone,
)
from hf_mtl.modeling.choices import config_mistakes, feature_sources, settle
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.dropout import set_dropout
from hf_mtl.modeling.encode import encode_packed, encode_rectangles
from hf_mtl.modeling.encoded import Encoded
from hf_mtl.modeling.encoder_layout import Packing, settle_layout
from hf_mtl.modeling.export import export_task
from hf_mtl.modeling.float32 import names_in_float32
from hf_mtl.modeling.freezing import Freeze, freeze_parts
from hf_mtl.modeling.heads import Head, HeadSpec
from hf_mtl.modeling.heads.base import Features, FeatureSource
from hf_mtl.modeling.limits import check_max_length
from hf_mtl.modeling.loaded import check_weights, loading
from hf_mtl.modeling.lora import LoraSpec, add_lora, freeze_base, merged_weights, reset_adapters
from hf_mtl.modeling.losses import mean_loss, per_mass
from hf_mtl.modeling.noise import Noise
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.modeling.padded import PaddedStates, encode_padded
from hf_mtl.modeling.parameters import training_flops
from hf_mtl.modeling.probe import try_encoder
from hf_mtl.modeling.task_heads import HeadOutputs, TaskHeads
from hf_mtl.modeling.tokenizer_files import TokenizerPlace
from hf_mtl.shown import get_logger
from hf_mtl.tasks import Task
from hf_mtl.tasks.statistics import Numbers, TaskStatistics

logger = get_logger(__name__)


class MultiTaskModel(PreTrainedModel):
    """One encoder and a head per task; saved and loaded like any model of transformers.

    Args:
        config: The backbone's config and the tasks.
        encoder: An encoder that is already loaded; None: one with random weights.

    Raises:
        ModelError: If the config cannot become a model; lists everything that is wrong.
    """

    config_class = MultiTaskConfig
    base_model_prefix = "encoder"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True  # where its encoder does
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    def __init__(self, config: MultiTaskConfig, encoder: PreTrainedModel | None = None):
        super().__init__(config)
        if mistakes := config_mistakes(config):
            raise ModelError(mistakes)
        settle(config)
        self._sources = feature_sources(config)
        if encoder is None:
            encoder = build_encoder(config.encoder_config, pooler="pooler" in self._sources)
        # One object, so that switching the attention implementation reaches the encoder.
        config.encoder_config = encoder.config
        self.encoder = encoder
        self.supports_gradient_checkpointing = encoder.supports_gradient_checkpointing
        self.heads = TaskHeads(config)
        # For the loader: patterns of names.
        self._keep_in_fp32_modules_strict = [f"heads.*[.]{name}$" for name in names_in_float32(self.heads)]
        self.post_init()
        self.heads.to(encoder.dtype)
        # Last, so that the heads are drawn as without adapters and the backbone's initialisation leaves B at zero.
        if isinstance(config.lora, dict):
            add_lora(self.encoder, **config.lora)
        self._frozen = freeze_parts(self.encoder, config.freeze)
        self._tokenizer: Any = None
        self._layout: tuple[EncoderLayout, EncoderLayout, str] | None = None
        self._packing: Packing | None = None

    @classmethod
    def from_backbone(
        cls,
        backbone: Backbone,
        tasks: Mapping[str, Task],
        head: HeadSpec | None = None,
        *,
        pooling: str | None = None,
        dropout: float | None = None,
        max_length: int | None = None,
        lora: LoraSpec | None = None,
        freeze: Freeze | None = None,
        **kwargs: Any,
    ) -> "MultiTaskModel":
        """Put fresh heads on a pretrained encoder, or on a random one.

        Args:
            backbone: Hub id, local folder, ``python:package/folder`` (a folder of an installed package): pretrained.
                Of a model of hf_mtl, such as a run's folder, the encoder is taken, adapters merged into its weights.
                A dictionary with ``model_type`` and its fields, or a config: random weights.
            tasks: The tasks by name.
            head: Head of the tasks that name none of their own: a name, or ``{"type": name, **options}``.
                None: the backbone's own classification head where it has one, else ``linear``.
            pooling: ``cls``, ``mean``, ``last`` or ``max``; None: what suits the heads and the backbone.
            dropout: Dropout of the heads and, where it has any, of the backbone; None: as in the backbone's config.
            max_length: Texts are cut to this many tokens; kept in the config. None: to what the encoder can take.
            lora: Options of `hf_mtl.modeling.lora.add_lora`, such as ``{"rank": 16}``, or True for its defaults: of
                the encoder only low-rank adapters are trained. None: all of it is.
            freeze: Part of the encoder that stays as it is, without dropout: ``embeddings``, a number of layers from
                the bottom (the embeddings with them), or ``encoder``. None: all of it is trained.
            kwargs: As for `from_pretrained`, such as ``revision``, ``token``, ``attn_implementation``. ``dtype``
                is float32 unless given: ``bfloat16`` and its kin, or ``auto``, that of the backbone's weights. The
                heads follow the encoder; statistics and logarithms are float32 in any model.

        Raises:
            ModelError: If anything is wrong with the backbone, the heads or the tasks.
        """
        _refuse_misspelt(kwargs)
        kwargs["dtype"] = read_dtype(kwargs)
        hub = {key: value for key, value in kwargs.items() if key not in ("dtype", "attn_implementation")}
        found = load_encoder_config(backbone, **hub)
        config = MultiTaskConfig(
            encoder_config=found.encoder_config if isinstance(found, MultiTaskConfig) else found,
            tasks=dict(tasks) if isinstance(tasks, Mapping) else tasks,
            head=dict(head) if isinstance(head, Mapping) else head,
            pooling=pooling,
            max_length=max_length,
            dropout=dropout,
            backbone=backbone if isinstance(backbone, str) and not Path(backbone).exists() else None,
            lora=dict(lora) if isinstance(lora, Mapping) else lora,
            freeze=freeze,
        )
        if mistakes := config_mistakes(config):
            raise ModelError(mistakes)
        if isinstance(found, MultiTaskConfig) and isinstance(backbone, (str, Path)):
            encoder = _take_encoder(str(backbone), config, kwargs)
        else:
            encoder = _make_encoder(backbone, config, kwargs)
        model = cls(config, encoder)
        check_max_length(model.encoder, max_length)
        try_encoder(model.encoder, max_length)
        # A local folder's path means nothing to others either.
        model.encoder.config._name_or_path = config.backbone or ""
        if isinstance(backbone, (str, Path)):
            model.remember_tokenizer(TokenizerPlace.beside(resolve_backbone(str(backbone)), hub))
        return model

    @classmethod
    def from_pretrained(cls, *args: Any, output_loading_info: bool = False, **kwargs: Any) -> Any:
        """As `PreTrainedModel.from_pretrained`; on CPU the outputs are those of the saved model to the bit.

        Raises:
            ModelError: If the config cannot become a model, a file is missing or damaged, or the checkpoint lacks a
                head, the encoder or any other weight or statistic of it, or has more than the model.
        """
        path = args[0] if args else kwargs.get("pretrained_model_name_or_path")
        sizes = kwargs.pop("ignore_mismatched_sizes", False)
        with loading(path, kwargs) as files:
            # Other sizes are refused below, with the names of the weights.
            model, info = super().from_pretrained(
                *args, output_loading_info=True, ignore_mismatched_sizes=True, **kwargs
            )
        for found in (model.__dict__.pop("_base_info"), info):
            check_weights(found, "the given weights" if path is None else path, sizes)
        if (weights := files.read()) is not None:
            weights.check_kinds(model.state_dict())
        if path is not None:
            model.remember_tokenizer(TokenizerPlace.beside(str(path), kwargs))
        align_weights(model)
        freeze_base(model.encoder)  # the loader makes everything trainable
        freeze_parts(model.encoder, model.config.freeze)
        return (model, info) if output_loading_info else model

    def _adjust_missing_and_unexpected_keys(self, loading_info: Any) -> None:
        """As the base class's, and keep what it leaves: where peft's adapters follow, they alone are reported."""
        super()._adjust_missing_and_unexpected_keys(loading_info)
        self._base_info = loading_info.to_dict()

    def save_pretrained(self, save_directory: str | PathLike[str], *args: Any, **kwargs: Any) -> None:
        """As `PreTrainedModel.save_pretrained`; the weights can be read by whom the umask allows."""
        super().save_pretrained(save_directory, *args, **kwargs)
        for pattern in ("model*.safetensors", "adapter_model*.safetensors"):
            give_usual_modes(Path(save_directory).glob(pattern))

    def train(self, mode: bool = True) -> "MultiTaskModel":
        """As `nn.Module.train`; frozen parts of the encoder stay in eval mode, so that dropout leaves them alone."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks by name, in order."""
        return {name: self.heads.of(name).task for name in self.heads.names}

    def get_input_embeddings(self) -> nn.Module:
        """Return the encoder's token embeddings."""
        found: nn.Module = self.encoder.get_input_embeddings()
        return found

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the encoder's token embeddings."""
        self.encoder.set_input_embeddings(value)

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """As `PreTrainedModel.resize_token_embeddings`, of the encoder: its config holds the size of the vocabulary.

        Embeddings that are not trained, under ``lora`` or ``freeze``, stay so: new tokens keep what they begin with.
        """
        found: nn.Embedding = self.encoder.resize_token_embeddings(*args, **kwargs)
        return found

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        packed: Packed | None = None,
        order: Tensor | None = None,
        segments: Mapping[str, tuple[int, int]] | None = None,
        labels: Tensor | Mapping[str, Tensor] | None = None,
        task: str | None = None,
        noise: NoiseKeys | None = None,
        uncertainty: bool = False,
    ) -> MultiTaskOutput:
        """Encode rows and run heads on them, from one padded rectangle or from a collated batch.

        Args:
            input_ids: Token ids [B, L]; every head that runs sees all rows. None: a collated batch.
            attention_mask: 1 for real tokens [B, L], with padding before or after those of a row; None: all are.
            token_type_ids: Segment ids [B, L]; dropped where the backbone takes none.
            packed: Rows end to end, in place of ``input_ids``.
            order: Row i is row ``order[i]`` of these, [B]; None: as they come.
            segments: First row, and the row after the last, of each task. Only these heads run. None: all
                heads, or ``task``, on all rows.
            labels: By task: class ids [n] or targets [n, D] in original units; a tensor goes with ``task``.
            task: The only head to run; None: all heads.
            noise: Keys of the randomness of heads that sample while training: ``rows`` int64 [N] and ``step``, an
                int. None: drawn from torch's generators.
            uncertainty: Also give the variance of what probabilistic heads decode.

        Returns:
            Logits, losses and features.

        Raises:
            ModelError: If the model has no such task, or a row has padding between its tokens, or no tokens. (What
                `torch.export` makes of it does not look at the tokens.)
        """
        if isinstance(labels, Tensor):
            if task is None:
                raise TypeError("a tensor of labels goes with task=...; give a dictionary of labels by task")
            labels = {task: labels}
        self.heads.check_names([*([] if task is None else [task]), *(labels or ())])
        rows = self._encode(packed, input_ids, attention_mask, token_type_ids)
        features = self._features(rows, order)
        shown = features[self._sources[0]]
        if isinstance(shown, Encoded):
            shown = shown.states
        if segments is None:
            rows = shown.shape[0]  # not len(), which torch.export would take for a constant
            segments = {name: (0, rows) for name in (self.heads.names if task is None else [task])}
        result = self.heads(features, segments, self._noise(noise, shown), labels, uncertainty)
        loss = self._mean_over_tasks(result, labels or {})
        return MultiTaskOutput(loss=loss, features=shown, **vars(result))

    def settle_layout(self, asked: EncoderLayout = "auto") -> tuple[EncoderLayout, str]:
        """Decide how the encoder gets its rows, see `hf_mtl.modeling.encoder_layout`; as long as the model lives.

        Args:
            asked: ``auto``: packed where the encoder packs, else groups.

        Returns:
            ``packed``, ``groups`` or ``padded``, and why, in words.

        Raises:
            ModelError: If ``packed`` is asked for and the encoder does not pack.
        """
        if self._layout is None or self._layout[0] != asked:
            layout, self._packing, why = settle_layout(self.encoder, asked, "pooler" in self._sources)
            self._layout = (asked, layout, why)
            logger.info(f"The encoder gets its rows {layout}: {why}.")
        return self._layout[1:]

    @property
    def packs(self) -> bool:
        """Whether the encoder gets packed rows, see `settle_layout`."""
        return self._packing is not None

    def _encode(
        self, packed: Packed | None, input_ids: Tensor | None, mask: Tensor | None, types: Tensor | None
    ) -> Encoded | PaddedStates:
        pooler = "pooler" in self._sources
        if packed is not None:
            if self._packing is not None:
                return encode_packed(self.encoder, packed, self._packing.first_position, pooler)
            return encode_rectangles(self.encoder, packed, pooler)
        if input_ids is None:
            raise TypeError("give input_ids, or the packed rows that the collator makes")
        return encode_padded(self.encoder, input_ids, mask, types, pooler)

    def _features(self, rows: Encoded | PaddedStates, order: Tensor | None) -> dict[FeatureSource, Features]:
        """Return what the heads read of the rows, by source, in the order of the batch."""
        found: dict[FeatureSource, Features] = {}
        for source in self._sources:
            if source == "tokens":
                tokens = rows.unpadded() if isinstance(rows, PaddedStates) else rows
                found[source] = tokens if order is None else tokens.select(order)
            else:
                vectors = rows.pooler_output if source == "pooler" else rows.pooled(self.config.pooling)
                assert vectors is not None
                found[source] = vectors if order is None else vectors.index_select(0, order)
        return found

    def _mean_over_tasks(self, result: HeadOutputs, labels: Mapping[str, Tensor]) -> Tensor | None:
        """Mean over the tasks with rows of their losses and penalties; None without labels."""
        means = []
        for name, losses in result.row_losses.items():
            if len(losses):
                masses, penalties = self.heads.of(name).task.masses(labels[name]), result.row_penalties.get(name)
                mean = mean_loss(losses, masses)
                means.append(mean if penalties is None else mean + per_mass(penalties, masses))
        return torch.stack(means).mean() if means else None

    def _noise(self, keys: NoiseKeys | None, features: Tensor) -> Noise:
        if keys is not None:
            return Noise(keys["rows"], keys["step"])
        if self.training and self.heads.stochastic:
            return Noise.draw(features.shape[0], features.device)
        return Noise(torch.zeros(features.shape[0], dtype=torch.int64, device=features.device), 0)  # nobody draws

    def set_statistics(self, task: str, **numbers: Numbers) -> None:
        """Set what a task's loss keeps of its training rows.

        Args:
            task: The task.
            numbers: By name: ``mean`` and ``std`` [D] of a regression that is standardised, ``weights`` [C] in id
                order of a classification with class weights.

        Raises:
            ModelError: If the task is unknown, or keeps other numbers.
        """
        statistics = self._statistics(task)
        try:
            statistics.fit(**numbers)
        except ModelError as error:
            raise ModelError(replace(item, key=f"tasks.{task}") for item in error.mistakes) from error

    def set_calibration_temperature(self, task: str, temperature: float | None) -> None:
        """Divide a classification's logits by a number at evaluation, which changes confidences but no prediction.

        Losses at evaluation are those of the divided logits, variances are divided by its square; training does not
        see it. It lives in the config. `MultiTaskTrainer.calibrate` finds it.

        Source: temperature scaling, Guo et al., ICML 2017, arXiv:1706.04599, section 4.2.

        Args:
            task: The task.
            temperature: A positive number; None: forget it.

        Raises:
            ModelError: If the task is unknown or no classification, or the number is not positive.
        """
        self.heads.of(task).set_calibration_temperature(task, temperature)
        others = {name: value for name, value in (self.config.calibration_temperatures or {}).items() if name != task}
        self.config.calibration_temperatures = (
            {**others, task: temperature} if temperature is not None else others
        ) or None

    def has_statistics(self, task: str) -> bool:
        """Tell whether everything that a task's loss needs of its training rows is here; True where it needs
        nothing.
        """
        return self._statistics(task).is_fitted

    def floating_point_ops(self, inputs: Mapping[str, Any]) -> int:
        """Floating point operations of a batch, for the Trainer's count; padding costs nothing here."""
        return training_flops(self.encoder, inputs, backward=self.training)

    def remember_tokenizer(self, source: Any) -> None:
        """Keep in mind which tokenizer the model works with, for `export_task`.

        Args:
            source: The tokenizer, or the `TokenizerPlace` where it may be.
        """
        self._tokenizer = source

    def export_task(self, task: str, directory: str | PathLike[str], processing_class: Any = None) -> None:
        """Write one task as a plain ``AutoModelFor...`` checkpoint that needs no hf_mtl.

        Its tokenizer is written with it. Adapters are merged into the weights that are written; the model itself
        keeps them.

        Args:
            task: The task.
            directory: Where to write; made if it does not exist.
            processing_class: The tokenizer. None: the one that a `MultiTaskTrainer` had for this model, or that lies
                where the model or its backbone was loaded from.

        Raises:
            ModelError: If the task is unknown, transformers has no such task, its head is not the backbone's own, or
                no tokenizer is known.
        """
        source = self._tokenizer if processing_class is None else processing_class
        export_task(self.encoder, self.heads.of(task), task, Path(directory), source)

    @classmethod
    def is_custom_code(cls) -> bool:
        """Return false: `_init_weights` writes through `transformers.initialization`, as the library's own models
        do.
        """
        return False

    def _statistics(self, task: str) -> TaskStatistics:
        return self.heads.of(task).statistics

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, (TaskStatistics, Head)):
            module.reset()
        if module is self:  # comes last, after the backbone's initialisation of what it takes for its own layers
            reset_adapters(self.encoder)


def _take_encoder(backbone: str, config: MultiTaskConfig, kwargs: dict[str, Any]) -> PreTrainedModel:
    """Return the encoder of a trained model, under a config of new tasks."""
    try:
        trained = MultiTaskModel.from_pretrained(resolve_backbone(backbone), **kwargs)
    except UserError as error:
        raise ModelError(replace(item, key=item.key or "model.backbone") for item in error.mistakes) from error
    if config.dropout is not None:
        set_dropout(config.encoder_config, config.dropout)
    options = {**kwargs, "dtype": trained.encoder.dtype}
    weights = merged_weights(trained.encoder)
    return rebuild_encoder(weights, config.encoder_config, "pooler" in feature_sources(config), **options)


def _refuse_misspelt(others: Mapping[str, Any]) -> None:
    """Refuse arguments that are all but one of `from_backbone`'s own, before they reach the encoder's class.

    Raises:
        ModelError: With every such argument.
    """
    own = list(inspect.signature(MultiTaskModel.from_backbone).parameters)[2:-1]
    mistakes = []
    for name in others:
        if near := get_close_matches(name, own, n=1, cutoff=0.8):
            mistakes.append(Mistake(name, "is no argument of from_backbone", f"Did you mean '{near[0]}'?"))
    if mistakes:
        raise ModelError(mistakes)


def _make_encoder(backbone: Backbone, config: MultiTaskConfig, kwargs: dict[str, Any]) -> PreTrainedModel:
    encoder_config = config.encoder_config
    if config.dropout is not None:
        set_dropout(encoder_config, config.dropout)
    pooler = "pooler" in feature_sources(config)
    if isinstance(backbone, (PreTrainedConfig, Mapping)):
        if kwargs["dtype"] == "auto":
            kwargs = {**kwargs, "dtype": getattr(encoder_config, "dtype", None) or torch.float32}
        return build_encoder(encoder_config, pooler, **kwargs)
    return load_encoder(backbone, encoder_config, pooler, **kwargs)
