"""The parts of a multi-task model that are those of every model of transformers: it is stored, and has an encoder."""

from collections.abc import Mapping
from os import PathLike
from pathlib import Path
from typing import Any, Self

from torch import nn
from transformers import PreTrainedModel

from hf_mtl.errors import Mistake, ModelError
from hf_mtl.file_modes import give_usual_modes
from hf_mtl.modeling.adapters import freeze_base
from hf_mtl.modeling.backbone import align_weights
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.freezing import freeze_parts
from hf_mtl.modeling.frozen_encoder import ENCODER, EncoderSource, has_config, heads_of, push_mistakes, read_heads
from hf_mtl.modeling.heads import Head
from hf_mtl.modeling.loaded import check_weights, loading
from hf_mtl.modeling.packed_attention import own_implementation, set_attention
from hf_mtl.modeling.parameters import training_flops
from hf_mtl.modeling.private_adapters import PrivateAdapters
from hf_mtl.modeling.tokenizer_files import HUB_OPTIONS, TokenizerPlace
from hf_mtl.modeling.weight_files import Weights, read_weights
from hf_mtl.tasks.statistics import TaskStatistics


class MultiTaskPreTrainedModel(PreTrainedModel):
    """Base of the multi-task model, as ``BertPreTrainedModel`` is that of ``BertModel``.

    It is saved and loaded, refuses checkpoints that are not whole, and hands on to its encoder what transformers asks
    about embeddings.
    """

    config_class = MultiTaskConfig
    base_model_prefix = "encoder"
    main_input_name = "input_ids"
    supports_gradient_checkpointing = True  # where its encoder does
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_flex_attn = True
    _supports_attention_backend = True

    encoder: PreTrainedModel
    private_adapters: PrivateAdapters | None
    _frozen: list[nn.Module]
    _tokenizer: object = None

    @classmethod
    def from_pretrained(cls, *args: Any, output_loading_info: bool = False, **kwargs: Any) -> Any:
        """Load a model as `PreTrainedModel` does; on CPU its outputs are those of the saved model to the bit.

        Raises:
            ModelError: If the config cannot become a model, a file is missing or damaged, or the checkpoint lacks a
                head, the encoder or any other weight or statistic of it, or has more than the model.
        """
        path = args[0] if args else kwargs.get("pretrained_model_name_or_path")
        sizes = kwargs.pop("ignore_mismatched_sizes", False)
        given, heads = ((args, kwargs), None) if path is None else cls._with_encoder(str(path), args, kwargs)
        # A file of heads alone says nothing of how large the model may be.
        with loading(path if heads is None else None, kwargs) as files:
            # Other sizes are refused below, with the names of the weights.
            model, info = super().from_pretrained(
                *given[0], output_loading_info=True, ignore_mismatched_sizes=True, **given[1]
            )
        for found in (model.__dict__.pop("_base_info"), info):
            check_weights(found, "the given weights" if path is None else path, sizes)
        if (weights := files.read() if heads is None else heads) is not None:
            weights.check_kinds(model.state_dict())
        if path is not None:
            model.remember_tokenizer(TokenizerPlace.beside(str(path), kwargs))
        align_weights(model)
        # The loader makes everything trainable.
        model.encoder.requires_grad_(model.config.peft is None)
        freeze_base(model.encoder)
        model._freeze()
        return (model, info) if output_loading_info else model

    @classmethod
    def _with_encoder(
        cls, path: str, args: tuple[Any, ...], options: dict[str, Any]
    ) -> tuple[tuple[tuple[Any, ...], dict[str, Any]], Weights | None]:
        """Return the arguments with which a model is loaded: with its weights, where they come from two places.

        Returns:
            Arguments by place and by name, and what is in files that hold the heads alone; None: they hold the model.
        """
        where = {key: value for key, value in options.items() if key in HUB_OPTIONS}
        config = options.get("config")
        if not isinstance(config, MultiTaskConfig):
            if not has_config(path, where):
                return (args, options), None
            config = MultiTaskConfig.from_pretrained(path, **where)
        source = EncoderSource.of(config)
        if source is None:
            return (args, options), None
        found = read_weights(path, where)
        if found is None:
            raise ModelError(Mistake("", f"{path}: there is no model.safetensors", "Copy the model again"))
        encoder = source.weights(config, cls.from_pretrained, **where)
        weights = {**{f"{ENCODER}{name}": value for name, value in encoder.items()}, **read_heads(found)}
        others = {key: value for key, value in options.items() if key not in HUB_OPTIONS}
        others.pop("pretrained_model_name_or_path", None)
        config.name_or_path = path
        return ((None, *args[1:]), {**others, "config": config, "state_dict": weights}), found

    def _freeze(self) -> None:
        """Keep the part of the encoder as it is that the config names, and adapters of tasks on its layers."""
        self._frozen = freeze_parts(self.encoder, self.config.freeze)
        if self.private_adapters is not None:
            self.private_adapters.freeze_within(self.encoder, self._frozen)

    def _adjust_missing_and_unexpected_keys(self, loading_info: Any) -> None:
        """Keep what the base class leaves: where peft's adapters follow, only those are reported."""
        super()._adjust_missing_and_unexpected_keys(loading_info)
        self._base_info = loading_info.to_dict()

    def __setstate__(self, state: dict[str, Any]) -> None:
        """Come back from a pickle, in a process that may not know the attention of packed rows as yet."""
        super().__setstate__(state)
        set_attention(self.encoder, own_implementation(self.encoder.config._attn_implementation))

    def save_pretrained(self, save_directory: str | PathLike[str], *args: Any, **kwargs: Any) -> None:
        """Save the model as `PreTrainedModel` does, with weights that can be read by whom the umask allows.

        Of a model of `from_backbone` with ``save_heads_only`` the heads alone are saved.
        """
        if self.config.encoder_source is not None:
            given = kwargs.pop("state_dict", None)
            kwargs["state_dict"] = heads_of(self.state_dict() if given is None else given, self.config)
        super().save_pretrained(save_directory, *args, **kwargs)
        for pattern in ("model*.safetensors", "adapter_model*.safetensors"):
            give_usual_modes(Path(save_directory).glob(pattern))

    def push_to_hub(self, *args: Any, **kwargs: Any) -> Any:
        """Push the model as `PreTrainedModel` does; `MultiTaskTrainer.push_to_hub` pushes its tokenizer and card too.

        Raises:
            ModelError: If others could not load it, as its encoder lies in a folder of this machine.
        """
        if mistakes := list(push_mistakes(self.config)):
            raise ModelError(mistakes)
        return super().push_to_hub(*args, **kwargs)

    def train(self, mode: bool = True) -> Self:
        """Switch modes; frozen parts of the encoder stay in eval mode, so that dropout leaves them alone."""
        super().train(mode)
        for module in self._frozen:
            module.eval()
        return self

    def get_input_embeddings(self) -> nn.Module:
        """Return the encoder's token embeddings."""
        found: nn.Module = self.encoder.get_input_embeddings()
        return found

    def set_input_embeddings(self, value: nn.Module) -> None:
        """Replace the encoder's token embeddings."""
        self.encoder.set_input_embeddings(value)

    def resize_token_embeddings(self, *args: Any, **kwargs: Any) -> nn.Embedding:
        """Resize the embeddings of the encoder, whose config holds the size of the vocabulary.

        Embeddings that are not trained, under ``peft`` or ``freeze``, stay so: new tokens keep what they begin with.
        """
        found: nn.Embedding = self.encoder.resize_token_embeddings(*args, **kwargs)
        return found

    def floating_point_ops(self, inputs: Mapping[str, Any]) -> int:
        """Count the operations of a batch for the Trainer, on real tokens alone."""
        return training_flops(self.encoder, inputs, self.training, self.private_adapters)

    def remember_tokenizer(self, source: object) -> None:
        """Keep in mind which tokenizer the model works with, for `export_task`.

        Args:
            source: The tokenizer, or the `TokenizerPlace` where it may be.
        """
        self._tokenizer = source

    @classmethod
    def is_custom_code(cls) -> bool:
        """Return false: `_init_weights` writes through `transformers.initialization`, as the library's models do."""
        return False

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        # The loader comes here with what a checkpoint lacks, whose memory holds anything until then.
        if isinstance(module, (TaskStatistics, Head)):
            module.reset()
