"""Refuses what cannot be done with parts of a model on every process, and prepares what can."""

from collections.abc import Iterator

from torch import nn

from hf_mtl.errors import Mistake, RunError, UserError, known
from hf_mtl.modeling import MultiTaskModel
from hf_mtl.modeling.sharded import is_sharded
from hf_mtl.schedules import Schedules
from hf_mtl.shown import get_logger
from hf_mtl.training.trainer.scoring_trainer import ScoringTrainer

logger = get_logger(__name__)

_LAYERS = "training.fsdp_config.transformer_layer_cls_to_wrap"


def check_sharded(trainer: ScoringTrainer, schedules: Schedules) -> None:
    """Refuse what needs whole parameters, and have FSDP gather the encoder layer by layer.

    Args:
        trainer: The Trainer.
        schedules: The schedules.

    Raises:
        UserError: If something cannot be done with parts; all of it at once.
    """
    word = "fsdp" if trainer.is_fsdp_enabled else "deepspeed"
    found = [*_schedules(schedules, word), *_scalars(trainer.model, word)]
    if trainer.model.config.encoder_source is not None:
        problem = f"is true, and {word} has made parts of the encoder"
        found.append(Mistake("model.save_heads_only", problem, "Leave it out"))
    if trainer.optimizer is not None or trainer.lr_scheduler is not None:
        found.append(Mistake("optimizers", f"is given, and {word} makes its own of parts", "Set training.optim"))
    if trainer.is_fsdp_enabled:
        plugin = trainer.accelerator.state.fsdp_plugin
        asked = plugin.transformer_cls_names_to_wrap
        layers = wrapped_layers(trainer.model)
        found += [
            Mistake(_LAYERS, f"names '{name}'", known(layers, name)) for name in asked or () if name not in layers
        ]
        plugin.transformer_cls_names_to_wrap = asked or layers
        # Parameters are gathered as they are, and computed with under autocast, as with DDP. accelerate's policy
        # would bring labels and losses to half precision too.
        plugin.mixed_precision_policy = None
    elif trainer.args.max_grad_norm and trainer.model.heads.auxiliary_parameters():
        problem = "is set, and DeepSpeed clips auxiliary parameters of the heads with all others"
        found.append(Mistake("training.max_grad_norm", problem, "Set it to 0, or use fsdp: true"))
    if found:
        raise UserError(found)
    if trainer.is_deepspeed_enabled and trainer.is_world_process_zero():
        logger.warning(
            "DeepSpeed keeps all parameters in one tensor: momentum and weight decay move the heads of tasks of "
            "which a step has no rows, which DDP and FSDP leave alone."
        )


def check_device(trainer: ScoringTrainer) -> None:
    """Refuse to share a model where accelerate would say nothing and train whole ones: on CPUs.

    Raises:
        UserError: If it is asked for in vain.
    """
    for key in ("fsdp", "deepspeed"):
        if getattr(trainer.args, key) and not trainer.is_sharded:
            found = f"is set, and accelerate has it for accelerators alone, not for {trainer.args.device.type}"
            raise UserError(Mistake(f"training.{key}", found, "Leave it out: DDP trains whole models here"))


def check_first(trainer: ScoringTrainer) -> None:
    """Refuse a second training of a model that is in parts: accelerate finds parameters by memory that parts share.

    Raises:
        RunError: If this Trainer has trained before.
    """
    if trainer.is_sharded and (is_sharded(trainer.model) or trainer.model_wrapped is not trainer.model):
        found = "was trained by this Trainer before, and is in parts"
        raise RunError(Mistake("model", found, "Save it, load it with from_pretrained, and make a new Trainer"))


def wrapped_layers(model: MultiTaskModel) -> list[str]:
    """Name the classes of the encoder's layers that FSDP gathers one by one.

    Those that transformers says are not to be split, but for one around the token embeddings, which accelerate wraps
    themselves.
    """
    names = sorted(getattr(model.encoder, "_no_split_modules", None) or ())
    embeddings = model.get_input_embeddings()
    of_class: dict[str, list[nn.Module]] = {}
    for module in model.encoder.modules():
        of_class.setdefault(type(module).__name__, []).append(module)
    return [
        name
        for name in names
        if of_class.get(name) and not any(embeddings in list(module.modules()) for module in of_class[name])
    ]


def _scalars(model: MultiTaskModel, word: str) -> Iterator[Mistake]:
    """Find a parameter that is a single number, such as the temperature of ``vip``, which neither can share."""
    names = [name for name, parameter in model.named_parameters() if parameter.ndim == 0]
    if names:
        problem = f"has {names[0]}, a parameter of one number, of which {word} makes no parts"
        yield Mistake("model", problem, f"Use another head, or DDP (leave out {word})")


def _schedules(schedules: Schedules, word: str) -> Iterator[Mistake]:
    if schedules.groups:
        found = f"freeze {', '.join(map(str, schedules.groups))} in some steps, and {word} has made its parts of all"
        yield Mistake("schedules", found, "Leave them out, or train with DDP")
    scaled = (schedules.effect(step).learning_rate_scale != 1 for step in schedules.steps_to_look_at())
    if word == "deepspeed" and schedules and any(scaled):
        found = "scale the learning rate of some steps, and DeepSpeed updates in the backward, before they can"
        yield Mistake("schedules", found, "Leave it out, or use fsdp: true or DDP")
    if word == "deepspeed" and any(schedule.stops_tasks for schedule in schedules.schedules):
        found = "put heads back to their best, and DeepSpeed would move them on"
        yield Mistake("schedules", found, "Leave them out, or use fsdp: true or DDP")
    if any(schedule.probe is not None for schedule in schedules.schedules):
        found = f"measure gradients of single tasks, and {word} has parts of their sum"
        yield Mistake("schedules", found, "Leave them out, or train with DDP")
