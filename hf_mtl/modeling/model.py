"""The multi-task model: one encoder, a head per task."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from os import PathLike
from pathlib import Path
from typing import Any, cast

import torch
from torch import Tensor
from transformers import PreTrainedModel

from hf_mtl.batch import EncoderLayout, NoiseKeys, Packed, Sites
from hf_mtl.errors import ModelError
from hf_mtl.modeling.backbone import Backbone, build_encoder
from hf_mtl.modeling.choices import config_mistakes, feature_sources, settle
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.decided_model import DecidedModel
from hf_mtl.modeling.encoded import Pooling
from hf_mtl.modeling.export import export_task
from hf_mtl.modeling.float32 import names_in_float32
from hf_mtl.modeling.freezing import Freeze
from hf_mtl.modeling.fresh import Choices, FreshModel
from hf_mtl.modeling.frozen_encoder import keep_source
from hf_mtl.modeling.heads import HeadSpec
from hf_mtl.modeling.idle_keys import say_idle_keys
from hf_mtl.modeling.kept import wish_to_keep
from hf_mtl.modeling.limits import asked_lengths, check_lengths
from hf_mtl.modeling.losses import mean_loss, per_mass
from hf_mtl.modeling.noise import Noise
from hf_mtl.modeling.output import MultiTaskOutput
from hf_mtl.modeling.peft_kinds import PeftSpec
from hf_mtl.modeling.probe import try_encoder
from hf_mtl.modeling.row_features import BY_ONEDNN, RowFeatures
from hf_mtl.modeling.rows_by_task import RowsByTask
from hf_mtl.modeling.sites import flat_choices, sites_in_rectangle
from hf_mtl.modeling.task_heads import HeadOutputs, TaskHeads
from hf_mtl.tasks import Task


class MultiTaskModel(DecidedModel):
    """One encoder and a head per task; saved and loaded like any model of transformers.

    Args:
        config: The backbone's config and the tasks.
        encoder: An encoder that is already loaded; None: one with random weights.

    Raises:
        ModelError: If the config cannot become a model; lists everything that is wrong.
    """

    def __init__(self, config: MultiTaskConfig, encoder: PreTrainedModel | None = None):
        super().__init__(config)
        if mistakes := config_mistakes(config):
            raise ModelError(mistakes)
        settle(config)
        sources = feature_sources(config)
        if encoder is None:
            encoder = build_encoder(config.encoder_config, pooler="pooler" in sources)
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
        self._add_adapters()
        self._freeze()
        self._features = RowFeatures(sources, cast(Pooling, config.pooling))

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
        peft: PeftSpec | None = None,
        freeze: Freeze | None = None,
        keep_tasks: bool = False,
        drop_tasks: Sequence[str] = (),
        save_heads_only: bool = False,
        **kwargs: Any,
    ) -> "MultiTaskModel":
        """Put fresh heads on a pretrained encoder, or on a random one, beside heads that are trained already.

        Args:
            backbone: Hub id, local folder, ``python:package/folder`` (a folder of an installed package): pretrained.
                Of a model of hf_mtl, such as a run's folder, the encoder is taken, adapters merged into its weights.
                A dictionary with ``model_type`` and its fields, or a config: random weights.
            tasks: The tasks by name.
            head: Head of the tasks that name none of their own: a name, or ``{"type": name, **options}``.
                None: the backbone's own classification head where it has one, else ``linear``.
            pooling: ``cls``, ``mean``, ``last`` or ``max``; None: what suits the heads and the backbone; of a model
                of hf_mtl its own.
            dropout: Dropout of the heads and, where it has any, of the backbone; None: as in the backbone's config.
            max_length: Texts are cut to this many tokens, those of tasks without a limit of their own; kept in the
                config. None: to what the encoder can take.
            peft: Adapters, of the encoder the only weights that are trained: a config of peft, such as
                ``LoraConfig(r=16)``, or ``{"type": "lora", "r": 16}``; ``{"shared": ..., "per_task": ...}`` gives
                each task one of its own too, or only that. None: all of the encoder is trained.
            freeze: Part of the encoder that stays as it is, without dropout: ``embeddings``, a number of layers from
                the bottom (the embeddings with them), or ``encoder``. None: all of it is trained.
            keep_tasks: Of a model of hf_mtl take the tasks too, with heads, class names, statistics, temperatures and
                tuned decisions, before those of ``tasks``. A task of ``tasks`` with the name of one of them goes on
                from its head. A Trainer leaves those without training rows as they are, to the bit.
            drop_tasks: Those of its tasks that are not kept.
            save_heads_only: With ``freeze="encoder"``: save the heads alone. `from_pretrained` fetches the encoder
                from the backbone again, by id and revision, and compares its weights with those of today.
            kwargs: As for `from_pretrained`, such as ``revision``, ``token``, ``attn_implementation``. ``dtype``
                is float32 unless given: ``bfloat16`` and its kin, or ``auto``, that of the backbone's weights. The
                heads follow the encoder; statistics and logarithms are float32 in any model.

        Raises:
            ModelError: If anything is wrong with the backbone, the heads or the tasks.
        """
        say_idle_keys(tasks)
        chosen = Choices(head=head, pooling=pooling, dropout=dropout, max_length=max_length, peft=peft, freeze=freeze)
        fresh = FreshModel(backbone, tasks, chosen, kwargs, wish_to_keep(keep_tasks, drop_tasks))
        model = cls(fresh.config, fresh.encoder(MultiTaskModel.from_pretrained))
        fresh.fill_heads(model)
        asked = asked_lengths(model.config)
        check_lengths(model.encoder, asked)
        try_encoder(model.encoder, asked)
        if model.private_adapters is not None:
            model.private_adapters.try_out(model.encoder)
        if save_heads_only:
            keep_source(model, backbone, MultiTaskModel.from_pretrained, **kwargs)
        # A local folder's path means nothing to others either.
        model.encoder.config._name_or_path = fresh.config.backbone or ""
        model.remember_tokenizer(fresh.tokenizer)
        return model

    @property
    def tasks(self) -> dict[str, Task]:
        """The tasks by name, in order."""
        return {name: self.heads.of(name).task for name in self.heads.names}

    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        token_type_ids: Tensor | None = None,
        *,
        packed: Packed | None = None,
        order: Tensor | None = None,
        segments: Mapping[str, tuple[int, int]] | None = None,
        sites: Mapping[str, Sites] | None = None,
        labels: Tensor | Mapping[str, Tensor] | None = None,
        row_weights: Mapping[str, Tensor] | None = None,
        task: str | None = None,
        noise: NoiseKeys | None = None,
        uncertainty: bool = False,
    ) -> MultiTaskOutput:
        """Encode rows and run heads on them, from one padded rectangle or from a collated batch.

        Args:
            input_ids: Token ids [B, L]; every head that runs sees all rows. [B, S, L]: rows with choices, as
                `AutoModelForMultipleChoice` takes them, for heads that choose; logits are [B, S, 1] then, and a
                choice without real tokens is none of its row's. None: a collated batch.
            attention_mask: 1 for real tokens [B, L], with padding before or after those of a row; None: all are.
            token_type_ids: Segment ids [B, L]; dropped where the backbone takes none.
            packed: Sequences end to end, in place of ``input_ids``; a row is one of them, but for ``sites``.
            order: Sequence i is sequence ``order[i]`` of these, [B]; None: as they come.
            segments: First sequence, and the one after the last, of each task. Only these heads run. None: all
                heads, or ``task``, on all rows.
            sites: By task: where the heads look that have several outputs for a row. None: at every token; of a
                rectangle their logits are [B, L, C], in the columns of the tokens.
            labels: By task: class ids [n], targets [n, D] in original units, or as the task encodes them; a tensor
                goes with ``task``.
            row_weights: By task: what the losses and penalties of its rows are multiplied by [n]; None: 1 each.
            task: The only head to run; None: all heads.
            noise: Keys of the randomness of heads that sample while training: ``rows`` int64 [N] and ``step``, an
                int. None: drawn from torch's generators.
            uncertainty: Also give the variance of what probabilistic heads decode.

        Returns:
            Logits, losses and features. Where tasks have adapters of their own, each row is encoded once for each
            task that sees it, and features are of the rows of one task after the other.

        Raises:
            ModelError: If the model has no such task, or a row has padding between its tokens, or no tokens. (What
                `torch.export` makes of it does not look at the tokens.)
        """
        if isinstance(labels, Tensor):
            labels = _of_one_task(labels, task)
        self.heads.check_names([*([] if task is None else [task]), *(labels or ())])
        if input_ids is not None and input_ids.dim() == 3:
            self.heads.check_choosing(task)
            named = {"input_ids": input_ids, "attention_mask": attention_mask, "token_type_ids": token_type_ids}
            flat, choices = flat_choices(named)
            input_ids, attention_mask, token_type_ids = flat.values()
            sites = dict.fromkeys(self.heads.names, choices)
        if packed is None and sites is None:
            sites = self._sites_in(input_ids, attention_mask)
        if segments is None:
            rows = _number_of_rows(input_ids, packed, order)
            segments = {name: (0, rows) for name in (self.heads.names if task is None else [task])}
        private, by_task = self.private_adapters, None
        if private is not None:
            by_task = RowsByTask.of(segments, _number_of_rows(input_ids, packed, order), self.device)
            segments, noise = by_task.segments, by_task.noise(noise)
        if packed is None:
            features = self._features.of_rectangle(
                self.encoder, input_ids, attention_mask, token_type_ids, private, by_task
            )
        else:
            features = self._features.of_packed(self.encoder, packed, order, private, by_task)
        shown = features[self._features.sources[0]]
        drawn = Noise.of_batch(noise, shown, self.training and self.heads.stochastic)
        result = self.heads(features, segments, drawn, labels, uncertainty, sites, row_weights)
        return MultiTaskOutput(loss=self._mean_over_tasks(result, labels or {}), features=shown, **vars(result))

    def _sites_in(self, input_ids: Tensor | None, mask: Tensor | None) -> dict[str, Sites] | None:
        """Find where the heads look in a rectangle; None where a program is exported, which knows no values."""
        if input_ids is None or torch.compiler.is_exporting():
            return None
        mask = torch.ones_like(input_ids) if mask is None else mask
        found = {name: sites_in_rectangle(mask, self.heads.of(name).task.outputs_per) for name in self.heads.names}
        return {name: sites for name, sites in found.items() if sites is not None}

    def _mean_over_tasks(self, result: HeadOutputs, labels: Mapping[str, Tensor]) -> Tensor | None:
        """Average losses and penalties over the tasks that have rows; None without labels."""
        means = []
        for name, losses in result.row_losses.items():
            if len(losses):
                masses, penalties = self.heads.of(name).task.masses(labels[name]), result.row_penalties.get(name)
                mean = mean_loss(losses, masses)
                means.append(mean if penalties is None else mean + per_mass(penalties, masses))
        return torch.stack(means).mean() if means else None

    def settle_layout(
        self,
        asked: EncoderLayout = "auto",
        precision: torch.dtype | None = None,
        device: torch.device | None = None,
    ) -> EncoderLayout:
        """Decide how packed rows reach the encoder, as long as the model lives; `MultiTaskTrainer` calls it.

        Args:
            asked: ``packed``: as they are. ``groups`` and ``padded``: as the batch's padded rectangles. ``auto``:
                packed where a trial shows that the encoder makes of packed rows what it makes of each alone.
            precision: The dtype of autocast, for which attention's kernel is chosen; None: there is none.
            device: The device for which it is chosen; None: where the encoder is.

        Returns:
            ``packed``, ``groups`` or ``padded``.

        Raises:
            ModelError: If ``packed`` is asked for and the encoder does not pack.
        """
        return self._features.settle(self.encoder, asked, precision, device).layout

    @property
    def packs(self) -> bool:
        """Whether packed rows reach the encoder as they are, see `settle_layout`."""
        return self._features.call is not None

    @property
    def layout_words(self) -> str:
        """How rows reach the encoder, and why, in words; empty before `settle_layout`."""
        words = self._features.words(self.encoder)
        if self.private_adapters is None or not words:
            return words
        own = "; each text once for each of its tasks, through that task's own adapter"
        return f"{words.removesuffix(BY_ONEDNN)}{own}{BY_ONEDNN if words.endswith(BY_ONEDNN) else ''}"

    def export_task(self, task: str, directory: str | PathLike[str], processing_class: object = None) -> str:
        """Write one task as a plain ``AutoModelFor...`` checkpoint that needs no hf_mtl.

        Its tokenizer is written with it. Adapters are merged into the weights that are written; the model itself
        keeps them.

        Args:
            task: The task.
            directory: Where to write; made if it does not exist. What is there is replaced, as by `save_pretrained`,
                but for a model of all tasks; `hf-mtl export` takes none but a new or empty folder.
            processing_class: The tokenizer. None: the one that a `MultiTaskTrainer` had for this model, or that lies
                where the model or its backbone was loaded from.

        Returns:
            The class of transformers that was written.

        Raises:
            ModelError: If the task is unknown, transformers has no such task, or no model of it holds the head, no
                tokenizer is known, or a model of all tasks lies in the directory.
        """
        source = self._tokenizer if processing_class is None else processing_class
        module, pooling, limit = self.heads.of(task), cast(Pooling, self.config.pooling), self.config.max_length
        return export_task(self.encoder, module, task, Path(directory), source, limit, pooling, self.private_adapters)

    def predict(self, rows: Any, tasks: str | Sequence[str] | None = None, **options: Any) -> Any:
        """Say what the model predicts for texts or other rows, by name; one pass for all tasks that read the same.

            model.predict("what a day")                            # {"emotion": {"label": "joy", "score": 0.9}, ...}
            model.predict(["what a day", "oh no"], "emotion")      # [{"label": "joy", ...}, ...]
            model.predict([("Who?", "It was Ada.")], ["squad"])    # pairs are tuples

        Args:
            rows: A text; a pair, a tuple of two texts; a mapping by column; a list of these; a mapping of lists, each
                a column (one row, if its tasks read lists there); or a Dataset. Texts without the name of a column go
                to the tasks that read one text, pairs to those that read two. Labels are not looked at.
            tasks: The tasks to ask; None: all that can read the rows. A name alone: the answers are that task's.
            options: ``processing_class``: the tokenizer; left out: the one that lies beside the model. ``top_k``: so
                many of the likeliest classes, labels, choices or answers, None for all; left out: what is predicted.
                ``long``: ``chunk`` reads texts that are too long in overlapping windows and averages their outputs;
                ``cut`` (left out): they are cut, which is said. ``batch_tokens``: tokens of a batch.

        Returns:
            For each row a mapping by task, in plain values, as `hf_mtl.tasks.predicting` has them; None for a row
            that a task cannot read, which is said. For one row that alone.

        Raises:
            UserError: If nothing can be made of the rows, a task cannot read them, or no tokenizer is known.
        """
        # By name: the rooms above use models, and this is only their door.
        return import_module("hf_mtl.inference.predictions").predict(self, rows, tasks, **options)


def _number_of_rows(input_ids: Tensor | None, packed: Packed | None, order: Tensor | None) -> int:
    # Not len(), which torch.export would take for a constant.
    if packed is None:
        return 0 if input_ids is None else input_ids.shape[0]
    return len(packed["lengths"]) if order is None else order.shape[0]


def _of_one_task(labels: Tensor, task: str | None) -> dict[str, Tensor]:
    if task is None:
        raise TypeError("a tensor of labels goes with task=...; give a dictionary of labels by task")
    return {task: labels}
