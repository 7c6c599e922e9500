"""Where a packed step's time goes: its phases, and its operations by the kind of layer that they belong to."""

import argparse
import tempfile
from collections import Counter
from collections.abc import Callable
from typing import Any

from five_tasks import MINILM
from torch.profiler import ProfilerActivity, profile, record_function
from training_worker import our_trainer
from transformers import AutoTokenizer, PrinterCallback, TrainerCallback, set_seed
from transformers.utils import logging

PHASE = "phase: "
# The first that a name contains; of operations only the time of their own counts.
KINDS = {
    "drawing dropout masks": ("bernoulli",),
    "attention within rows": ("scaled_dot_product", "flash_attention", "bmm", "softmax", "masked_fill", "_Attention"),
    "linear layers": ("addmm", "aten::mm", "aten::linear", "mkldnn"),
    "norms": ("layer_norm",),
    "activations": ("gelu", "tanh"),
    "optimizer": ("fused_adam",),
    "clipping": ("linalg_vector_norm",),
    "copies and filling": ("index_", "copy_", "aten::cat", "clone", "fill_", "zero_", "embedding"),
    "sums and products of elements": ("aten::add", "aten::mul", "aten::sum", "aten::div"),
}


def named(name: str, function: Callable[..., Any]) -> Callable[..., Any]:
    """Have the profiler see a function as a phase."""

    def phase(*args: Any, **kwargs: Any) -> Any:
        with record_function(PHASE + name):
            return function(*args, **kwargs)

    return phase


class Profiled(TrainerCallback):
    """Profiles a training from its fifth step on; wants to be the last callback.

    Args:
        trainer: The trainer.
        steps: How many steps.
    """

    WARM_UP = 4

    def __init__(self, trainer: Any, steps: int):
        self._trainer, self._steps = trainer, steps
        self.profiler = profile(activities=[ProfilerActivity.CPU])

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin or end."""
        if state.global_step == self.WARM_UP:
            self._name_phases()
            self.profiler.start()
            self._whole = record_function(PHASE + "whole")
            self._whole.__enter__()
        elif state.global_step == self.WARM_UP + self._steps:
            self._whole.__exit__(None, None, None)
            self.profiler.stop()
            control.should_training_stop = True

    def _name_phases(self) -> None:
        trainer = self._trainer
        trainer.get_batch_samples = named("drawing and collation", trainer.get_batch_samples)
        trainer.model.forward = named("forward", trainer.model.forward)
        trainer.accelerator.backward = named("backward", trainer.accelerator.backward)
        trainer._clip_grad_norm = named("clipping", trainer._clip_grad_norm)
        trainer.optimizer.step = named("optimizer", trainer.optimizer.step)


def kind_of(operation: str) -> str:
    """Return the kind of layer that an operation belongs to."""
    for kind, words in KINDS.items():
        if any(word in operation for word in words):
            return kind
    return "all else"


def main() -> None:
    """Print the shares."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--bf16", action="store_true")
    parser.add_argument("--layout", default="auto")
    parser.add_argument("--top", type=int, default=0, help="also list the operations that take longest")
    options = parser.parse_args()
    logging.set_verbosity_error()
    set_seed(0)
    with tempfile.TemporaryDirectory() as options.work:
        trainer = our_trainer(options, AutoTokenizer.from_pretrained(MINILM))
        trainer.remove_callback(PrinterCallback)
        watch = Profiled(trainer, options.steps)
        trainer.add_callback(watch)
        trainer.train()
    report(watch.profiler.key_averages(), options)


def report(found: Any, options: argparse.Namespace) -> None:
    """Print phases, kinds, and the longest operations."""
    whole = next(event.cpu_time_total for event in found if event.key == PHASE + "whole")
    phases = {e.key.removeprefix(PHASE): e.cpu_time_total for e in found if e.key.startswith(PHASE)}
    del phases["whole"]
    phases["all else"] = whole - sum(phases.values())
    print(f"A step took {whole / options.steps / 1000:.0f} ms. Its phases:")
    for name, time in phases.items():
        print(f"  {100 * time / whole:5.1f}%  {name}")
    kinds: Counter[str] = Counter()
    for event in found:
        if not event.key.startswith(PHASE):
            kinds[kind_of(event.key)] += event.self_cpu_time_total
    print("Its operations:")
    for kind, time in kinds.most_common():
        print(f"  {100 * time / whole:5.1f}%  {kind}")
    longest = sorted((e for e in found if not e.key.startswith(PHASE)), key=lambda e: -e.self_cpu_time_total)
    for event in longest[: options.top]:
        share, calls = 100 * event.self_cpu_time_total / whole, event.count // options.steps
        print(f"  {share:5.1f}%  {event.key[:60]} ({calls} calls a step)")


if __name__ == "__main__":
    main()
