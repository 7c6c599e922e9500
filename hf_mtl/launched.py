"""Facts that a launcher has told this process: its number, and how many there are."""

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hf_mtl.errors import Mistake, UserError, known, one_line

STARTED = ("WORLD_SIZE", "OMPI_COMM_WORLD_SIZE", "MV2_COMM_WORLD_SIZE")
"""Variables by which a launcher says how many processes it has started for one run."""
MAYBE = ("PMI_SIZE", "SLURM_STEP_NUM_TASKS")
"""Variables of launchers that also start processes for runs of their own, or a shell for a single one."""
_RANKS = ("RANK", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")
_LOCAL = ("LOCAL_RANK", "LOCAL_WORLD_SIZE")
_SHARDED = tuple(f"ACCELERATE_USE_{kind}" for kind in ("FSDP", "DEEPSPEED", "MEGATRON_LM", "PARALLELISM_CONFIG"))
_BACKENDS = ("nccl", "gloo", "mpi", "ccl", "hccl", "cncl", "mccl")  # those that TrainingArguments names
_PRECISION, _PRECISIONS = "ACCELERATE_MIXED_PRECISION", ("no", "fp16", "bf16")
_BACKEND, _MODE, _DEVICE = "ACCELERATE_DYNAMO_BACKEND", "ACCELERATE_DYNAMO_MODE", "ACCELERATE_TORCH_DEVICE"
_DYNAMO_SWITCHES = tuple(f"ACCELERATE_DYNAMO_USE_{kind}" for kind in ("FULLGRAPH", "REGIONAL_COMPILATION", "DYNAMIC"))
# Those that transformers and accelerate read as one of the words below, and fail at otherwise.
_SWITCHES = (*_SHARDED, *_DYNAMO_SWITCHES, "ACCELERATE_USE_CPU", "ACCELERATE_DEBUG_MODE")
_ON = ("1", "true", "yes", "on", "y", "t")
_OFF = ("0", "false", "no", "off", "n", "f")

HOW_TO_SHARE = (
    "Leave it out: every process that `accelerate launch --multi_gpu` starts holds the whole model (DDP), or a part "
    "with training.fsdp or training.deepspeed. To make a model fit, use these, bf16, activation checkpointing, "
    "model.peft, or a smaller per_device_train_batch_size with more gradient_accumulation_steps"
)


@dataclass(frozen=True)
class Launched:
    """This process among those that were launched together.

    Args:
        rank: This process, from 0.
        world: Number of processes.
    """

    rank: int
    world: int


def launched() -> Launched | None:
    """Return the place of this process; None where it is alone, or where the environment does not say it in full."""
    for rank_name, world_name in zip(_RANKS, STARTED, strict=True):
        rank, world = _whole(rank_name), _whole(world_name)
        if rank is not None and world is not None and rank < world and world > 1:
            return Launched(rank, world)
    return None


def refuse_several(command: str, instead: str) -> None:
    """Refuse a launch of several processes for a command that one process does; it would wait for the others.

    Args:
        command: The command.
        instead: How it is started.

    Raises:
        UserError: If this process is one of several.
    """
    if (me := launched()) is not None:
        raise UserError(Mistake(command, f"was started as {me.world} processes", instead))


def count(name: str) -> int:
    """Return the number of processes that a variable of the environment tells; 1 if it tells none."""
    return _whole(name) or 1


def environment_mistakes() -> list[Mistake]:
    """Say which of a launcher's variables hold no number: one that was set by hand, or left over."""
    return [
        Mistake(name, f"'{os.environ[name]}' in the environment is no whole number", "Launchers set it; unset it.")
        for name in (*_RANKS, *STARTED, *_LOCAL)
        if os.environ.get(name) and _whole(name) is None and os.environ[name] != "-1"
    ]


def launcher_mistakes(fsdp: bool = False, deepspeed: bool = False) -> list[Mistake]:
    """Say what `accelerate launch`, by its options or its file, asks for that a run here cannot do.

    Args:
        fsdp: Whether the arguments ask for FSDP too; accelerate then notes in the environment that they have.
        deepspeed: The same of DeepSpeed.
    """
    theirs = {"ACCELERATE_USE_FSDP": fsdp, "ACCELERATE_USE_DEEPSPEED": deepspeed}
    found = "in the environment, from the options of `accelerate launch` or the file of `accelerate config`"
    mistakes = [
        Mistake(name, f"'{os.environ[name]}' {found}", HOW_TO_SHARE)
        for name in _SHARDED
        if _says(name, _ON) and not theirs.get(name)
    ]
    mistakes += [
        Mistake(name, f"'{os.environ[name]}' {found}", "Allowed: true or false; or unset it")
        for name in _SWITCHES
        if name in os.environ and not _says(name, (*_ON, *_OFF))
    ]
    for name, allowed, key in (
        (_PRECISION, _PRECISIONS, "training.bf16"),
        (_BACKEND, _backends(), "training.torch_compile_backend"),
    ):
        value = os.environ.get(name, "no")
        if value != "no" and (value.lower() if name == _BACKEND else value) not in allowed:
            remedy = f"Allowed: {', '.join(allowed)}; or leave it out, and set {key}"
            mistakes.append(Mistake(name, f"'{value}' {found}", remedy))
    return [*mistakes, *_device_mistakes(), *_leftovers()]


def _backends() -> Sequence[str]:
    """List the compilers that accelerate knows; none where the environment names none."""
    if _BACKEND not in os.environ:
        return ()
    from accelerate.utils import DynamoBackend  # takes seconds, as torch does

    return [backend.value.lower() for backend in DynamoBackend]


def launched_compilation() -> tuple[str | None, str | None]:
    """Tell the backend and the mode with which accelerate will compile the model whatever the arguments say."""
    backend, mode = os.environ.get(_BACKEND, "no").lower(), os.environ.get(_MODE, "default")
    return None if backend == "no" else backend, None if mode == "default" else mode


def _leftovers() -> Iterator[Mistake]:
    """Find a rank without an address to meet at, which torch would wait for: one left over, or set by hand."""
    rank, by_mpi = os.environ.get("LOCAL_RANK", ""), any(name in os.environ for name in (*STARTED[1:], *MAYBE))
    missing = [name for name in ("RANK", "WORLD_SIZE", "MASTER_ADDR", "MASTER_PORT") if name not in os.environ]
    if rank not in ("", "-1") and missing and not by_mpi:
        problem = f"'{rank}' in the environment, without {', '.join(missing)}"
        yield Mistake("LOCAL_RANK", problem, "Launchers set them together: unset it, or use `accelerate launch`.")


def of_whoever_trains() -> dict[str, None]:
    """Leave out what only training needs: a command that does not train, alone, has nobody to talk to.

    Nor are models shared that are not trained: each process holds a whole one.
    """
    whole = dict.fromkeys(("fsdp", "fsdp_config", "deepspeed"))
    return {"ddp_backend": None, **whole} if _was_started_alone() else whole


def _was_started_alone() -> bool:
    return os.environ.get("LOCAL_RANK", "-1") == "-1" and all(count(name) == 1 for name in STARTED)


def _device_mistakes() -> Iterator[Mistake]:
    """Try the device that the environment names: with one that is not there the model fails as it is moved."""
    if name := os.environ.get(_DEVICE):
        import torch  # takes seconds, and whoever asks for help waits for none

        try:
            torch.zeros(1, device=name)
        except Exception as error:  # in the words, and of the kind, of each device's library
            yield Mistake(_DEVICE, f"'{name}' in the environment cannot be used: {one_line(error)}", "Unset it.")


def _says(name: str, words: tuple[str, ...]) -> bool:
    return os.environ.get(name, "").lower() in words


def backend_mistakes(backend: str | None) -> list[Mistake]:
    """Say of ``ddp_backend`` what torch would fail at while it starts: no such backend, or nobody to talk to.

    Args:
        backend: The argument; None: not set.
    """
    if backend is None:
        return []
    if backend not in _BACKENDS:
        return [Mistake("training.ddp_backend", f"unknown value '{backend}'", known(_BACKENDS, backend))]
    if _was_started_alone():
        remedy = "Start several with `accelerate launch`, or leave it out"
        return [Mistake("training.ddp_backend", f"is '{backend}', and this process was started alone", remedy)]
    return []


def _whole(name: str) -> int | None:
    value = os.environ.get(name, "")
    return int(value) if value.isascii() and value.isdigit() else None
