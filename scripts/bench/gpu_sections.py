"""What scripts/check_gpu measures, section by section: each yields lines of the table."""

import importlib.util
import platform
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any, NamedTuple

import accelerate
import torch
import transformers
from gpu_waits import counting_waits
from gpu_world import Scale, Setting, measured, trainer_of, wait
from torch.autograd import DeviceType
from torch.profiler import ProfilerActivity, profile
from transformers import TrainerCallback
from transformers.utils import is_flash_attn_2_available

PRECISIONS = ("bf16", "fp16")
BALANCING: tuple[dict[str, str], ...] = (
    {"weighting": "uw"},
    {"aggregator": "pcgrad"},
    {"aggregator": "cagrad"},
    {"aggregator": "nash_mtl"},
)
EVALUATED = (("default batches", None), ("128 rows", 128))
TOP = 10


class Line(NamedTuple):
    """A line of the table.

    Args:
        what: What was measured.
        found: The figures, in words.
        wrong: Whether it is not as it must be.
    """

    what: str
    found: str
    wrong: bool = False


def machine(scale: Scale) -> Iterator[Line]:
    """Say what this runs on."""
    packages = [f"{one.__name__} {one.__version__}" for one in (torch, transformers, accelerate)]
    yield Line("versions", ", ".join([f"Python {platform.python_version()}", *packages]))
    if scale.cpu:
        yield Line("device", "a CPU, on which tiny models show that the program works: no figure means anything")
    else:
        device = torch.cuda.get_device_properties(0)
        gigabytes, kind = device.total_memory / 2**30, f"{device.major}.{device.minor}"
        yield Line("device", f"{torch.cuda.device_count()} x {device.name}, {gigabytes:.0f} GiB, capability {kind}")
    found = ["SDPA"]
    if importlib.util.find_spec("torch.nn.attention.varlen") is not None:
        found.append("torch's varlen")
    if is_flash_attn_2_available():
        found.append("flash_attn")
    yield Line("attention kernels that are installed", ", ".join(found))


def training(scale: Scale) -> Iterator[Line]:
    """Measure training steps against transformers.Trainer with batches of one length each."""
    for precision in PRECISIONS:
        for model in scale.models:
            for batch in scale.batches:
                yield from _against_trainer(precision, Setting(model, batch), scale)


def _against_trainer(precision: str, setting: Setting, scale: Scale) -> Iterator[Line]:
    # Half precision of a CPU is bfloat16; fp16 needs a loss scaler, which needs a GPU.
    setting = replace(setting, arguments={} if scale.cpu and precision == "fp16" else {precision: True})
    name = f"{setting.model}, {precision}, {setting.batch} rows"
    plain = measured(replace(setting, layout=None), scale)
    yield Line(f"{name}: Trainer, grouped", f"{plain.rate:,.0f} examples/s{_memory(plain.megabytes)}")
    for words, ours in contenders(setting, precision):
        try:
            clock = measured(ours, scale)
        except Exception as error:  # of one contender: the others are to be seen
            yield Line(f"{name}: {words}", f"failed: {type(error).__name__}: {_short(error)}", wrong=True)
            continue
        ratio, memory = clock.rate / plain.rate, _memory(clock.megabytes, plain.megabytes)
        why = f" ({clock.reason})" if ours.layout == "packed" else ""
        yield Line(f"{name}: {words}", f"{clock.rate:,.0f} examples/s, {ratio:.2f} of Trainer's{memory}{why}")


def contenders(setting: Setting, precision: str) -> Iterator[tuple[str, Setting]]:
    """Name the ways of ours to train: one layout for each attention kernel, and those without packed rows."""
    yield "packed", replace(setting, layout="packed")
    yield "packed, no attention dropout", replace(setting, layout="packed", attention_dropout=0.0)
    if is_flash_attn_2_available():
        yield "packed, FlashAttention", replace(setting, layout="packed", attention="flash_attention_2")
        yield "packed, SDPA", replace(setting, layout="packed", kernels=False)
    if precision == "bf16":
        yield "groups", replace(setting, layout="groups")


def compiled(scale: Scale) -> Iterator[Line]:
    """Measure training with torch.compile on and off."""
    from torch._dynamo.utils import counters

    # Shapes differ from step to step: a compiler that is not told so compiles a few times before it goes on.
    slow = scale if scale.cpu else replace(scale, warm_up=12)
    backend = {"torch_compile_backend": "eager"} if scale.cpu else {}
    for layout in ("padded",) if scale.cpu else ("padded", "packed"):  # to see that it works, one will do
        setting = Setting(scale.models[0], scale.batches[min(1, len(scale.batches) - 1)], layout=layout)
        precise = {"bf16": True}
        plain = measured(replace(setting, arguments=precise), slow)
        torch._dynamo.reset()
        counters.clear()
        clock = measured(replace(setting, arguments={**precise, "torch_compile": True, **backend}), slow)
        graphs, breaks = counters["stats"]["unique_graphs"], sum(counters["graph_break"].values())
        found = f"{clock.rate / plain.rate:.2f} of uncompiled{_memory(clock.megabytes, plain.megabytes)}"
        what = f"{setting.model}, bf16, {setting.batch} rows: {layout}"
        yield Line(what, f"{found}; {graphs} graphs, {breaks} breaks")


def balancing(scale: Scale) -> Iterator[Line]:
    """Measure what balancing costs beside equal weighting."""
    rows = 8 * 5
    setting = Setting(scale.models[0], rows, tasks=5, arguments={"bf16": True})
    first = measured(setting, scale)
    yield Line("ew", f"{first.rate:,.0f} examples/s{_memory(first.megabytes)}")
    for section in BALANCING:
        clock = measured(replace(setting, balancing=section), scale)
        (name,) = section.values()
        yield Line(name, f"{first.rate / clock.rate:.2f} of ew's time{_memory(clock.megabytes, first.megabytes)}")
    last = measured(setting, scale)
    yield Line("ew again", f"{first.rate / last.rate:.2f} of ew's time, which says how far the others can be trusted")


def evaluation(scale: Scale) -> Iterator[Line]:
    """Measure evaluation against transformers.Trainer's, with default batches and with 128 rows."""
    for words, rows in EVALUATED:
        arguments: dict[str, Any] = {"bf16": True}
        if rows is not None:
            arguments["per_device_eval_batch_size"] = rows
        rates = []
        for layout in (None, "auto"):
            trainer = trainer_of(Setting(scale.models[0], 32, layout=layout, arguments=arguments), scale)
            trainer.evaluate()  # what is allocated and tried once
            wait(scale)
            begun = time.perf_counter()
            trainer.evaluate()
            wait(scale)
            rates.append(scale.rows * 4 / (time.perf_counter() - begun))
        yield Line(words, f"{rates[1]:,.0f} examples/s, {rates[1] / rates[0]:.2f} of Trainer's {rates[0]:,.0f}")


class Watched(TrainerCallback):
    """Counts in the steps after those that warm up how often the host waits for the device."""

    def __init__(self, scale: Scale):
        self._scale = scale
        self.places: dict[str, int] = {}

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Begin to count."""
        if state.global_step == self._scale.warm_up:
            self._counting = counting_waits(self.places, not self._scale.cpu)
            self._counting.__enter__()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        """Stop after the last step."""
        if state.global_step == self._scale.warm_up + self._scale.steps:
            self._counting.__exit__(None, None, None)


def waits_of(setting: Setting, scale: Scale) -> dict[str, float]:
    """Count waits in a step of a training, by place."""
    trainer, watched = trainer_of(setting, scale), Watched(scale)
    trainer.add_callback(watched)
    trainer.train()
    return {place: count / scale.steps for place, count in watched.places.items()}


def waits(scale: Scale) -> Iterator[Line]:
    """Count how often the host waits for the device in a step; more tasks must not make it more."""
    for section in ({}, {"weighting": "uw"}, {"aggregator": "pcgrad"}, {"aggregator": "graddrop"}):
        counts = []
        name = " ".join(section.values()) or "ew"
        for tasks in (2, 6):
            setting = Setting(scale.models[0], 24, tasks=tasks, balancing=section, arguments={"bf16": True})
            places = waits_of(setting, scale)
            ours = {place: count for place, count in places.items() if place.startswith("hf_mtl/")}
            counts.append(sum(ours.values()))
            where = sorted(ours.items(), key=lambda item: -item[1])[:4]
            found = f"{counts[-1]:.1f} waits a step in hf_mtl, {sum(places.values()) - counts[-1]:.1f} elsewhere"
            shown = "; ".join(f"{count:.1f} {place}" for place, count in where)
            more = counts[-1] > counts[0] + 0.5
            yield Line(f"{name}, {tasks} tasks", f"{found}{': ' if where else ''}{shown}", wrong=more)


def profiled(scale: Scale) -> Iterator[Line]:
    """Say which kernels the time of a step goes into."""
    setting = Setting(scale.models[0], scale.batches[0], arguments={"bf16": True})
    trainer = trainer_of(setting, scale)
    activities = [ProfilerActivity.CPU] if scale.cpu else [ProfilerActivity.CPU, ProfilerActivity.CUDA]
    profiler = _Profiled(scale, activities)
    trainer.add_callback(profiler)
    trainer.train()
    steps, total, top = scale.steps, profiler.seconds, profiler.averages()
    busy = sum(seconds for _, seconds, _ in top)
    yield Line("a step", f"{1000 * total / steps:.2f} ms, the device busy for {100 * busy / total:.0f}% of it")
    for name, seconds, calls in top[:TOP]:
        share, each = 100 * seconds / busy, 1000 * seconds / steps
        yield Line(name[:60], f"{each:.3f} ms a step, {share:.0f}% of the busy time, {calls / steps:.0f} calls")


class _Profiled(TrainerCallback):
    """Profiles the steps after those that warm up."""

    def __init__(self, scale: Scale, activities: list[ProfilerActivity]):
        self._scale = scale
        self._profile = profile(activities=activities)
        self.seconds = 0.0

    def on_step_begin(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self._scale.warm_up:
            wait(self._scale)
            self._profile.__enter__()
            self._begun = time.perf_counter()

    def on_step_end(self, args: Any, state: Any, control: Any, **_: Any) -> None:
        if state.global_step == self._scale.warm_up + self._scale.steps:
            wait(self._scale)
            self.seconds = time.perf_counter() - self._begun
            self._profile.__exit__(None, None, None)

    def averages(self) -> list[tuple[str, float, int]]:
        """Return name, seconds and calls of each kernel, or of each operation of a CPU, the longest first."""
        field = "self_cpu_time_total" if self._scale.cpu else "self_device_time_total"
        here = DeviceType.CPU if self._scale.cpu else DeviceType.CUDA  # operations have the time of their kernels too
        found = [
            (one.key, getattr(one, field) / 1e6, one.count)
            for one in self._profile.key_averages()
            if one.device_type == here and not one.is_user_annotation
        ]
        return sorted((one for one in found if one[1]), key=lambda one: -one[1])


def _memory(megabytes: float, of: float | None = None) -> str:
    if not megabytes:
        return ""
    return f", {megabytes:,.0f} MiB" + (f" ({megabytes / of:.2f})" if of else "")


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:160]
