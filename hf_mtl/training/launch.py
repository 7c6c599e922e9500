"""Checks that as many processes run as were asked for."""

import os

import psutil
from transformers import TrainingArguments

from hf_mtl.errors import Mistake
from hf_mtl.launched import MAYBE, STARTED, count, environment_mistakes
from hf_mtl.shown import get_logger

logger = get_logger(__name__)


def launch_mistakes(args: TrainingArguments) -> list[Mistake]:
    """Say where this process trains alone although others were asked for: it would take their rows for its own.

    Args:
        args: The training arguments, which have joined the other processes if there are any.
    """
    if args.world_size > 1:
        return []
    if mistakes := environment_mistakes():
        return mistakes
    most = max(map(count, STARTED))
    if most > 1:
        found = f"is false, and the {most} processes that were launched find no GPU to train on together"
        return [Mistake("training.use_cpu", found, "Set training.use_cpu=true")]
    if _accelerate_began_one_of_several():
        found = "was to start several processes, and started only this one: for CPUs it starts no others"
        remedy = (
            "Use `accelerate launch --multi_gpu --num_processes N`, which serves CPUs too, or `torchrun "
            "--nproc_per_node N`, with training.use_cpu=true; for a single process say `--num_processes 1`"
        )
        return [Mistake("accelerate launch", found, remedy)]
    for name in MAYBE:
        if count(name) > 1:
            logger.warning_once(
                f"{name} is {count(name)}, and this process is a run of its own. To train one run on several, "
                "start each with `torchrun` or `accelerate launch`."
            )
    return []


def alone_of_several() -> str:
    """Say how to train one run on several processes, to one of several that are runs of their own; else nothing."""
    for name in MAYBE:
        if count(name) > 1:
            return (
                f"{name} is {count(name)}, and each of these processes is a run of its own. To train one run on "
                "several, start each with `torchrun` or `accelerate launch`; for several runs, give each a folder."
            )
    return ""


def _accelerate_began_one_of_several() -> bool:
    """Tell whether ``accelerate launch`` was asked for several processes and began one.

    It keeps the number to itself. But where it does not start the processes, it sets ACCELERATE_USE_CPU, and an
    address to meet at only if it thinks that there are several. Somebody else may have set the address before.
    """
    several = {"ACCELERATE_USE_CPU", "MASTER_PORT"} <= os.environ.keys()
    if not several or os.environ.keys() & {*STARTED, "PMI_SIZE", "LOCAL_RANK", "RANK"}:
        return False
    try:
        for parent in psutil.Process().parents():
            found = parent.environ()
            if "ACCELERATE_USE_CPU" not in found:  # the launcher, or whoever started what is launched by nobody
                return "MASTER_PORT" not in found
    except psutil.Error:  # another user's process; the launcher is this user's
        pass
    return False
