"""Lists of the fields of `transformers.TrainingArguments`: honoured, refused and irrelevant ones.

Honoured fields do what they do in the Trainer, there or here. Refused ones would do nothing here, or something else
than they say. Irrelevant ones give what is wanted whatever their value. A field that is in no list, because another
version of transformers has it, is taken as it is.
"""

import dataclasses
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from enum import Enum
from os import PathLike
from typing import Any

from accelerate.utils import GradientAccumulationPlugin
from transformers import TrainingArguments
from transformers.trainer_pt_utils import AcceleratorConfig

from hf_mtl.errors import Mistake, known, nearest
from hf_mtl.launched import HOW_TO_SHARE

_HONOURED = """
    output_dir seed data_seed full_determinism use_cpu
    per_device_train_batch_size per_device_eval_batch_size gradient_accumulation_steps num_train_epochs max_steps
    learning_rate lr_scheduler_type lr_scheduler_kwargs warmup_steps
    optim optim_args optim_target_modules weight_decay adam_beta1 adam_beta2 adam_epsilon max_grad_norm
    bf16 fp16 bf16_full_eval fp16_full_eval tf32
    activation_checkpointing activation_checkpointing_kwargs gradient_checkpointing gradient_checkpointing_kwargs
    torch_compile torch_compile_backend torch_compile_mode torch_empty_cache_steps neftune_noise_alpha
    logging_strategy logging_steps logging_first_step logging_nan_inf_filter log_level log_level_replica
    log_on_each_node include_num_input_tokens_seen disable_tqdm report_to run_name project
    trackio_space_id trackio_bucket_id trackio_static_space_id
    eval_strategy eval_steps eval_delay eval_on_start load_best_model_at_end metric_for_best_model greater_is_better
    save_strategy save_steps save_total_limit save_only_model save_on_each_node enable_jit_checkpoint
    restore_callback_states_from_checkpoint resume_from_checkpoint
    push_to_hub hub_token hub_private_repo hub_model_id hub_strategy hub_always_push hub_revision
    accelerator_config dataloader_num_workers dataloader_pin_memory dataloader_prefetch_factor
    dataloader_multiprocessing_context dataloader_persistent_workers
    ddp_find_unused_parameters ddp_bucket_cap_mb ddp_broadcast_buffers ddp_backend ddp_timeout
    skip_memory_metrics fsdp fsdp_config deepspeed
"""
HONOURED = frozenset(_HONOURED.split())

# Why the value does not matter.
IRRELEVANT = {
    "remove_unused_columns": "only the columns that a task names are read",
    "do_train": "for the user's own script; the Trainer does what it is told to do",
    "do_eval": "for the user's own script; the Trainer does what it is told to do",
    "do_predict": "for the user's own script; the Trainer does what it is told to do",
    "local_rank": "the launcher says it",
    "eval_accumulation_steps": "a row's predictions are a few numbers, and never fill a device",
}

# Why, and what to do instead.
REFUSED = {
    "parallelism_config": HOW_TO_SHARE,
    "auto_find_batch_size": "The rows per step stay fixed in a run; lower per_device_train_batch_size and raise "
    "gradient_accumulation_steps, which gives the same updates",
    "average_tokens_across_devices": "A loss is always divided by the rows of the step on all processes; leave it on",
    "batch_eval_metrics": "compute_metrics is called once for each task, with all of its predictions; leave it off",
    "dataloader_drop_last": "A step has its whole number of rows, and every row is evaluated once; leave it off",
    "dataloader_in_order": "Batches have the order of the plan, on which a resumed run depends; leave it on",
    "ddp_static_graph": "Steps differ in their tasks, and so in the heads that they use; leave it off",
    "debug": "Its tool fails at masks of True and False, which the encoder is given; leave it out",
    "eval_do_concat_batches": "Predictions come as one array per task; leave it on",
    "eval_use_gather_object": "Predictions are arrays of numbers; leave it off",
    "ignore_data_skip": "A resumed run seeks to its step without reading what came before; leave it off",
    "include_for_metrics": "compute_metrics gets a task's predictions and labels alone; leave it out",
    "label_names": "Name the column with the task's label",
    "label_smoothing_factor": "Set label_smoothing on the tasks that want it",
    "length_column_name": "Lengths are those of the token ids; leave it out",
    "liger_kernel_config": "Liger's kernels are not put into the encoder; leave it out",
    "prediction_loss_only": "Every task is scored; name its scores with the task's metrics",
    "train_sampling_strategy": "The mixture draws the rows, and encoder_layout says how they reach the encoder",
    "use_cache": "Nothing is generated, so there is nothing to keep; leave it off",
    "use_liger_kernel": "Liger's kernels are not put into the encoder; leave it off",
}

# Values beside the default that say what is so anyhow.
_AS_IT_IS: dict[str, tuple[Any, ...]] = {"label_names": (["labels"],)}

# What a user's script may read, and what the command line says for a recipe.
OF_THE_COMMAND_LINE = {
    "do_train": "`hf-mtl train` trains; leave it out",
    "do_eval": "`hf-mtl evaluate` scores a run, and eval_strategy says when to score while training; leave it out",
    "do_predict": "`hf-mtl train --test` scores the test splits too; leave it out",
    "local_rank": "`accelerate launch` says it; leave it out",
    "resume_from_checkpoint": "`hf-mtl train --resume` continues the run in output_dir; leave it out",
}

OPTION_FILES = ("accelerator_config", "fsdp_config", "deepspeed")
"""Arguments that may be the path of a JSON file; in a recipe it is relative to the recipe."""

# Options of `accelerator_config` that reach only loaders which accelerate has wrapped, and whether they are on.
_OF_WRAPPED_LOADERS = {
    "split_batches": False,
    "dispatch_batches": None,
    "even_batches": True,
    "use_seedable_sampler": True,
    "non_blocking": False,
}

# Names of transformers 4, of other parts or of other libraries, and what takes their place.
_DEALT = "The batches are dealt to the processes by hf_mtl; leave it out"
_OF_FSDP = "Set fsdp: true, and fsdp_config"
_NOT_GENERATED = "Nothing is generated; leave it out"
FORMER = {
    "adafactor": "Set optim: adafactor",
    "batch_size": "Set per_device_train_batch_size",
    "dispatch_batches": _DEALT,
    "early_stopping": "Set early_stopping_patience",
    "epochs": "Set num_train_epochs",
    "evaluate_during_training": "Set eval_strategy",
    "evaluation_strategy": "It is called eval_strategy",
    "fp16_backend": "Set fp16: true alone",
    "fp16_opt_level": "Set fp16: true alone",
    "fsdp_min_num_params": _OF_FSDP,
    "fsdp_transformer_layer_cls_to_wrap": "Set fsdp: true, and fsdp_config: {transformer_layer_cls_to_wrap: [...]}",
    "generation_config": _NOT_GENERATED,
    "generation_max_length": _NOT_GENERATED,
    "generation_num_beams": _NOT_GENERATED,
    "group_by_length": "encoder_layout: auto leaves out padding without it",
    "half_precision_backend": "Set fp16: true or bf16: true alone",
    "include_inputs_for_metrics": "compute_metrics gets a task's predictions and labels alone",
    "include_tokens_per_second": "Set include_num_input_tokens_seen: non_padding",
    "jit_mode_eval": "Set torch_compile: true",
    "logging_dir": "Set the environment variable TENSORBOARD_LOGGING_DIR",
    "lr": "Set learning_rate",
    "lr_scheduler": "Set lr_scheduler_type",
    "max_length": "It belongs to the model: model.max_length in a recipe, max_length of from_backbone in Python",
    "max_seq_length": "It is max_length, and belongs to the model",
    "mp_parameters": _OF_FSDP,
    "no_cuda": "Set use_cpu: true",
    "num_epochs": "Set num_train_epochs",
    "optimizer": "Set optim",
    "overwrite_output_dir": "Start the run with `hf-mtl train --overwrite`; a Trainer in Python starts anew unless "
    "it is told to resume",
    "past_index": "No encoder here has a memory of former batches",
    "per_device_batch_size": "Set per_device_train_batch_size",
    "per_gpu_eval_batch_size": "Set per_device_eval_batch_size",
    "per_gpu_train_batch_size": "Set per_device_train_batch_size",
    "predict_with_generate": _NOT_GENERATED,
    "push_to_hub_model_id": "Set hub_model_id",
    "push_to_hub_organization": "Write it in hub_model_id: organization/name",
    "push_to_hub_token": "Set hub_token, or log in with `hf auth login`",
    "ray_scope": "It is an option of a search with Ray; leave it out",
    "save_safetensors": "Models are always saved as safetensors",
    "sharded_ddp": _OF_FSDP,
    "sortish_sampler": "encoder_layout: auto leaves out padding without it",
    "split_batches": _DEALT,
    "torchdynamo": "Set torch_compile_backend",
    "tpu_metrics_debug": "Nothing is recorded of it; leave it out",
    "tpu_num_cores": "The launcher says it; leave it out",
    "use_ipex": "Set torch_compile: true",
    "use_legacy_prediction_loop": "There is one way to predict",
    "use_mps_device": "MPS is used where there is one; set use_cpu: true to leave it",
    "warmup_proportion": "Set warmup_steps: below 1 it is a fraction of the run",
    "warmup_ratio": "Set warmup_steps: below 1 it is a fraction of the run",
    "xpu_backend": "Set ddp_backend",
}


def refused_fields(values: Mapping[str, Any]) -> Iterator[Mistake]:
    """Find the fields that cannot be honoured and that ask for something else than their default.

    Args:
        values: Values by field, as they were given or as `TrainingArguments` holds them.
    """
    fields = {field.name: field for field in dataclasses.fields(TrainingArguments)}
    for name, remedy in REFUSED.items():
        value = values.get(name)
        if name in fields and value not in (None, [], _default(fields[name]), *_AS_IT_IS.get(name, ())):
            yield Mistake(f"training.{name}", f"is {_shown(value)}", remedy)
    yield from _accelerator(values.get("accelerator_config"))


def refused_keys(section: Mapping[str, Any]) -> Iterator[Mistake]:
    """Find the keys that a recipe cannot give.

    Args:
        section: The section ``training`` of a recipe, as it is written.
    """
    for key, value in section.items():
        if key in OF_THE_COMMAND_LINE and value is not None:
            yield Mistake(f"training.{key}", f"is {_shown(value)}", OF_THE_COMMAND_LINE[key])
    yield from refused_fields(section)


def instead_of(name: str, fields: Iterable[str]) -> str | None:
    """Say what takes the place of an argument that there is not; None: nothing is known of it.

    A name that is near to a refused field is answered as that field is: its spelling would only be refused next.

    Args:
        name: The argument.
        fields: Arguments that there are.
    """
    if name in FORMER:
        return FORMER[name]
    near = get_close_matches(name, list(fields), n=1, cutoff=0.6)
    return f"{near[0]} is refused: {REFUSED[near[0]]}" if near and near[0] in REFUSED else None


def unknown_arguments(names: Iterable[str], fields: Iterable[str]) -> list[Mistake]:
    """Find the arguments that there are not, with what takes their place.

    Args:
        names: Arguments that were given in Python.
        fields: Arguments that there are.
    """
    fields = list(fields)
    return [
        Mistake(f"training.{name}", f"unknown argument '{name}'", instead_of(name, fields) or nearest(fields, name))
        for name in names
        if name not in fields
    ]


def _accelerator(config: Any) -> Iterator[Mistake]:
    """Find what a mapping or an `AcceleratorConfig` asks for in vain, or cannot hold."""
    key = "training.accelerator_config"
    if not isinstance(config, Mapping | AcceleratorConfig | str | PathLike | None):
        yield Mistake(key, f"is {config!r}", "Allowed: a mapping of options, or a JSON file")
        return
    given = config if isinstance(config, Mapping) else vars(config) if dataclasses.is_dataclass(config) else {}
    yield from _strangers(key, given, AcceleratorConfig)
    for name, default in _OF_WRAPPED_LOADERS.items():
        value = given.get(name, default)
        if value not in (default, None) and not (name == "dispatch_batches" and value is False):
            remedy = "The batches are dealt to the processes by hf_mtl; leave it out"
            yield Mistake(f"{key}.{name}", f"is {_shown(value)}", remedy)
    accumulation, key = given.get("gradient_accumulation_kwargs") or {}, f"{key}.gradient_accumulation_kwargs"
    if not isinstance(accumulation, Mapping):
        yield Mistake(key, f"is {accumulation!r}", "Allowed: a mapping of options")
        return
    yield from _strangers(key, accumulation, GradientAccumulationPlugin)
    # 1 is what the Trainer itself puts there.
    if accumulation.get("num_steps", 1) != 1:
        yield Mistake(f"{key}.num_steps", f"is {accumulation['num_steps']}", "Set gradient_accumulation_steps")


def _strangers(key: str, options: Mapping[str, Any], declared: type) -> Iterator[Mistake]:
    """Find options that a dataclass of another library does not have, which it would fail at."""
    known_options = [field.name for field in dataclasses.fields(declared)]
    for name in options:
        if name not in known_options and name != "use_configured_state":  # which transformers takes out
            yield Mistake(f"{key}.{name}", f"unknown option '{name}'", known(known_options, str(name)))


def _default(field: "dataclasses.Field[Any]") -> Any:
    return field.default if field.default_factory is dataclasses.MISSING else field.default_factory()


def _shown(value: Any) -> str:
    if isinstance(value, bool):
        return "on" if value else "off"
    values = value if isinstance(value, list) else [value]
    plain = [item.value if isinstance(item, Enum) else item for item in values]  # no <DebugOption.X: 'x'>
    return repr(plain if isinstance(value, list) else plain[0])
