"""The encoder of a model whose files hold the heads alone: where it comes from, and whether it is still the same."""

import hashlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from torch import Tensor
from transformers import PreTrainedModel
from transformers.utils import CONFIG_NAME, cached_file
from transformers.utils.hub import extract_commit_hash

from hf_mtl.errors import Mistake, ModelError, UserError
from hf_mtl.modeling.backbone import Backbone, resolve_backbone
from hf_mtl.modeling.configuration import MultiTaskConfig
from hf_mtl.modeling.fresh import Choices, FreshModel
from hf_mtl.modeling.tokenizer_files import HUB_OPTIONS
from hf_mtl.modeling.weight_files import Weights
from hf_mtl.shown import get_logger

logger = get_logger(__name__)

ENCODER = "encoder."
KEY = "model.save_heads_only"

_ON_THE_WAY: ContextVar[tuple[str, ...]] = ContextVar("backbones that are being loaded for each other", default=())


def digest(weights: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of weights: of names, types, shapes and bits, whatever their order.

    Args:
        weights: The weights of an encoder, under its own names.
    """
    found = hashlib.sha256()
    for name in sorted(weights):
        value = weights[name].detach().to("cpu").contiguous()
        found.update(f"{name} {value.dtype} {list(value.shape)}\n".encode())
        found.update(value.reshape(-1).view(torch.uint8).numpy().data)
    return found.hexdigest()


class OtherEncoderError(ModelError):
    """A backbone whose weights are not those that heads were trained on."""


@dataclass(frozen=True)
class EncoderSource:
    """The backbone whose encoder a model has, unchanged.

    Args:
        path: Hub id, ``python:package/folder``, or the absolute path of a folder.
        revision: The commit on the Hub; None: it is not from there.
        dtype: The precision in which it was loaded.
        sha256: `digest` of its weights.
    """

    path: str
    revision: str | None
    dtype: str
    sha256: str

    @classmethod
    def of(cls, config: MultiTaskConfig) -> "EncoderSource | None":
        """Return the source that a model's config names; None: its files hold the encoder."""
        return None if config.encoder_source is None else cls(**config.encoder_source)

    @property
    def words(self) -> str:
        """The backbone as a reader knows it."""
        return self.path if self.revision is None else f"{self.path} at revision {self.revision[:12]}"

    @property
    def is_local(self) -> bool:
        """Tell whether it is a folder of this machine, which nobody else has."""
        return Path(self.path).is_absolute()

    def weights(
        self, config: MultiTaskConfig, load: Callable[..., PreTrainedModel], **options: Any
    ) -> dict[str, Tensor]:
        """Fetch the encoder's weights, under its own names, in the precision in which they were loaded at first.

        Args:
            config: The config of the model with the heads.
            load: `MultiTaskModel.from_pretrained`, where the backbone is such a model.
            options: Where on the Hub files are, and with which token.

        Raises:
            ModelError: If the backbone cannot be loaded, or its weights are others than those that the heads were
                trained on.
        """
        choices = Choices(
            head=config.head, pooling=config.pooling, dropout=None, max_length=None, peft=None, freeze="encoder"
        )
        options = {key: value for key, value in options.items() if key in HUB_OPTIONS and key != "subfolder"}
        options |= {"dtype": self.dtype, "revision": self.revision or "main"}
        with _about(self.words), torch.random.fork_rng(devices=[]):  # what is missing there would be drawn
            fresh = FreshModel(self.path, config.task_objects, choices, options)
            found: dict[str, Tensor] = fresh.encoder(load).state_dict()
        if digest(found) != self.sha256:
            problem = f"the weights of the encoder in {self.words} are not those that the heads were trained on"
            raise OtherEncoderError(
                Mistake("model.backbone", problem, "Give the backbone back as it was, or train again")
            )
        return found


@contextmanager
def _about(words: str) -> Iterator[None]:
    """Say why a backbone is loaded that nobody has named; refuse one whose encoder would be its own."""
    if words in _ON_THE_WAY.get():
        problem = f"the files hold the heads alone, and the encoder of {words} would be its own"
        raise ModelError(Mistake("encoder_source.path", problem, "It was edited; copy it again"))
    before = _ON_THE_WAY.set((*_ON_THE_WAY.get(), words))
    try:
        yield
    except UserError as error:
        why = f"the files hold the heads alone, whose encoder is in {words}: "
        raise ModelError(replace(item, problem=f"{why}{item.problem}") for item in error.mistakes) from error
    finally:
        _ON_THE_WAY.reset(before)


def keep_source(model: Any, backbone: Backbone, load: Callable[..., PreTrainedModel], **options: Any) -> None:
    """Note in a config where a frozen encoder is fetched from, once it is sure that it comes back to the bit.

    Args:
        model: The `MultiTaskModel`, whose config receives it.
        backbone: The backbone, as the user names it.
        load: `MultiTaskModel.from_pretrained`.
        options: With what the backbone was loaded.

    Raises:
        ModelError: If the encoder is trained, or begins with random numbers.
    """
    config, encoder = model.config, model.encoder
    if mistakes := list(heads_only_mistakes(config.freeze, backbone)):
        raise ModelError(mistakes)
    is_path = Path(str(backbone)).exists()
    path = str(Path(str(backbone)).resolve()) if is_path else str(backbone)
    source = EncoderSource(
        path,
        None if is_path else _commit(path, options),
        str(encoder.dtype).removeprefix("torch."),
        digest(encoder.state_dict()),
    )
    try:
        source.weights(config, load, **options)
    except OtherEncoderError as error:
        problem = f"the encoder does not come back from {source.words} with the same weights: some begin as random"
        remedy = "Leave it out, or use a head or a pooling that does not read them"
        raise ModelError(Mistake(KEY, problem, remedy)) from error
    config.encoder_source = asdict(source)


def _commit(path: str, options: Mapping[str, Any]) -> str | None:
    """Return the commit of the Hub that a backbone was fetched from; None: it is from a package."""
    where = {key: value for key, value in options.items() if key in HUB_OPTIONS}
    found = cached_file(resolve_backbone(path), CONFIG_NAME, **{**where, "local_files_only": True})
    commit: str | None = extract_commit_hash(found, None)
    return commit


def heads_only_mistakes(freeze: str | int | None, backbone: object, pushes: bool = False) -> Iterator[Mistake]:
    """Find out why the files of a model cannot hold its heads alone.

    Args:
        freeze: The part of the encoder that is not trained.
        backbone: The backbone, as the user names it.
        pushes: Whether the model is pushed to the Hub.
    """
    if freeze != "encoder":
        trained = "the encoder is trained" if freeze is None else f"the encoder is trained but for freeze: {freeze}"
        yield Mistake(
            KEY,
            f"is true, and {trained}",
            "Set model.freeze: encoder, or leave it out: what is trained has to be saved",
        )
    if not isinstance(backbone, (str, Path)):
        problem = "is true, and the encoder begins with random weights, which nobody else has"
        yield Mistake(KEY, problem, "Name a backbone, or leave it out")
    elif pushes and Path(backbone).exists():
        yield _not_for_others(KEY, "is true")


def push_mistakes(config: MultiTaskConfig) -> Iterator[Mistake]:
    """Find out why a model would be of no use to others."""
    source = EncoderSource.of(config)
    if source is not None and source.is_local:
        yield _not_for_others("", "the files hold the heads alone")


def _not_for_others(key: str, start: str) -> Mistake:
    problem = f"{start}, and the backbone is a folder of this machine, which others have not"
    remedy = (
        "Train from a backbone on the Hub; or save the whole model: model = MultiTaskModel.from_pretrained(...); "
        "model.config.encoder_source = None; model.save_pretrained(...)"
    )
    return Mistake(key, problem, remedy)


def heads_of(weights: Mapping[str, Tensor], config: MultiTaskConfig) -> dict[str, Tensor]:
    """Return what of a model's weights is saved: the heads; all of them, from now on, if the encoder has changed.

    Args:
        weights: All weights of the model.
        config: Its config, which forgets the source of an encoder that is another one now.
    """
    source = EncoderSource.of(config)
    encoder = {name.removeprefix(ENCODER): value for name, value in weights.items() if name.startswith(ENCODER)}
    if source is None:
        return dict(weights)
    if digest(encoder) != source.sha256:
        logger.warning(f"The encoder is not that of {source.words} any more: all of the model is saved.")
        config.encoder_source = None
        return dict(weights)
    return {name: value for name, value in weights.items() if not name.startswith(ENCODER)}


def has_config(path: str, where: Mapping[str, Any]) -> bool:
    """Tell whether a folder or a repository has a model's config; one of adapters has none.

    Args:
        path: Folder or Hub id.
        where: Where on the Hub files are, and with which token.
    """
    try:
        return cached_file(path, CONFIG_NAME, **where, _raise_exceptions_for_missing_entries=False) is not None
    except Exception:  # a Hub, or a gateway before it, may answer anything: who loads the model says so
        return False


def read_heads(weights: Weights) -> dict[str, Tensor]:
    """Read the tensors of a model's files, which hold its heads alone.

    Args:
        weights: What is in the files.
    """
    found: dict[str, Tensor] = {}
    for file in set(weights.files.values()):
        with safe_open(file, framework="pt") as opened:
            found |= {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118 - not a dictionary
    return found
