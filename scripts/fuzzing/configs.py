"""Damaged configs of checkpoints, through every door that reads one.

Each case takes a small model that was saved, changes its config in one to three places (or its bytes), and loads it.
What comes out is a model or config, or one message (`UserError`). Anything else is a failure: another exception, more
than `SECONDS` seconds, more than `MEGABYTES` of memory.
"""

import copy
import json
import random
import resource
import shutil
import signal
import tempfile
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from transformers import AutoConfig, PreTrainedConfig, set_seed
from transformers.utils import logging

from hf_mtl import MultiTaskConfig, MultiTaskModel, Regression, SequenceClassification
from hf_mtl.errors import UserError
from hf_mtl.modeling.backbone import load_encoder_config
from hf_mtl.training.checkpoint import seal
from hf_mtl.training.evaluate_run import load_model

SECONDS = 5
MEGABYTES = 500
_SIZES = {"vocab_size": 66, "hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2}
_SIZES |= {"intermediate_size": 24, "max_position_embeddings": 40, "pad_token_id": 0}
_KINDS: dict[str, tuple[str, Any, dict[str, Any]]] = {
    "native": ("bert", None, {}),
    "mlp": ("roberta", {"type": "mlp", "hidden": 7}, {"freeze": 1, "max_length": 30}),
    "vip": ("bert", {"type": "vip"}, {"pooling": "mean", "dropout": 0.1}),
    "lora": ("bert", "linear", {"lora": True}),
    "cnn": ("modernbert", {"type": "stl_cnn"}, {}),
}
_SMALL = (0, 1, -1, 2, 3, 0.5, -0.0, "", "abc", "1", None, True, False, [], {}, [[]], {"": None}, [None], "ä\0\n")
_LARGE = (10**9, 10**12, -(10**12), 2**31, 2**63, 10**400, 1e308, 1e12, float("nan"), float("inf"), "x" * 10_000)
_WORDS = ("hf_mtl", "bert", "gpt2", "t5", "native", "linear", "mt_vib", "encoder", "cls", "auto", "float16", "../x")
_FOREIGN = (
    "quantization_config",
    "auto_map",
    "num_labels",
    "id2label",
    "dtype",
    "attn_implementation",
    "architectures",
)
_FOREIGN += (
    "transformers_weights",
    "tie_word_embeddings",
    "is_encoder_decoder",
    "use_cache",
    "return_dict",
    "torch_dtype",
)
_BYTES: tuple[Callable[[bytes, random.Random], bytes], ...] = (
    lambda text, draw: text[: draw.randrange(len(text))],
    lambda text, draw: bytes(byte ^ (draw.random() < 0.01) << draw.randrange(8) for byte in text),
    lambda text, draw: b"<!DOCTYPE html><html><body>429</body></html>",
    lambda text, draw: draw.choice([b"", b"null", b"[]", b"3", b'"text"', b"\xff\xfe", b"{}", b"[" * 100_000]),
)


@dataclass
class Report:
    """What came out of some cases.

    Args:
        count: How many there were.
        loaded: How many changes did no harm.
        refused: How many ended in one message.
        failures: Everything else: the case, and what happened.
        slowest: Seconds of the slowest case.
        megabytes: How much the largest memory of the process has grown.
    """

    count: int = 0
    loaded: int = 0
    refused: int = 0
    failures: list[str] = field(default_factory=list)
    slowest: float = 0.0
    megabytes: float = 0.0


def run(count: int, seed: int) -> Report:
    """Try damaged configs.

    Args:
        count: Number of cases.
        seed: Of the cases; the same ones are drawn again.
    """
    logging.set_verbosity(logging.CRITICAL)
    logging.disable_progress_bar()
    report, before = Report(), _megabytes()
    with tempfile.TemporaryDirectory() as temporary:
        originals = list(_save_models(Path(temporary)))
        before = _megabytes()
        for number in range(count):
            draw = random.Random(f"{seed} {number}")
            original, door = draw.choice(originals), draw.choice(list(_DOORS))
            folder = Path(shutil.copytree(original, Path(temporary) / "case"))
            text = _damaged((original / "config.json").read_bytes(), draw, door)
            (folder / "config.json").write_bytes(text)
            _try(report, f"case {number} of seed {seed}, {door}", _DOORS[door], folder, text)
            shutil.rmtree(folder)
    report.megabytes = _megabytes() - before
    if report.megabytes > MEGABYTES:
        report.failures.append(f"memory has grown by {report.megabytes:.0f} MB")
    return report


def _save_models(folder: Path) -> Iterator[Path]:
    tasks = {
        "topic": SequenceClassification(labels=["a", "b"], class_weights="balanced"),
        "score": Regression(label="x"),
    }
    for name, (backbone, head, options) in _KINDS.items():
        set_seed(0)
        model = MultiTaskModel.from_backbone({"model_type": backbone, **_SIZES}, tasks, head, **options)
        model.save_pretrained(folder / name)
        yield folder / name


def _damaged(text: bytes, draw: random.Random, door: str) -> bytes:
    if draw.random() < 0.1:
        return draw.choice(_BYTES)(text, draw)
    config = json.loads(text)
    if door == "backbone":
        config = config["encoder_config"]
    for _ in range(draw.choice((1, 1, 1, 2, 3))):
        _change(config, draw)
    return json.dumps(config).encode()


def _change(config: Any, draw: random.Random) -> None:
    """Change one place of a JSON value."""
    places = list(_places(config))
    where, key = draw.choice(places) if places else (config, None)
    if isinstance(where, dict) and (key is None or draw.random() < 0.1):
        key = draw.choice(_FOREIGN)
    if draw.random() < 0.1 and key in where:
        del where[key]
        return
    where[key] = _value(draw, places)


def _value(draw: random.Random, places: list[tuple[Any, Any]]) -> Any:
    kind = draw.random()
    if kind < 0.4:
        return copy.deepcopy(draw.choice(_SMALL))
    if kind < 0.7:
        return draw.choice(_LARGE)
    if kind < 0.85:
        return draw.choice(_WORDS)
    if kind < 0.95 and places:  # a value from elsewhere in the config
        where, key = draw.choice(places)
        return copy.deepcopy(where[key])
    value: Any = 1
    for _ in range(draw.choice((3, 30, 300))):
        value = [value] if draw.random() < 0.5 else {"model_type": value}
    return value


def _places(value: Any) -> Iterator[tuple[Any, Any]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, item in list(items):
        yield value, key
        yield from _places(item)


def _auto(folder: Path) -> None:
    """`AutoConfig`; where the file no longer says that it is ours, the message is transformers' own."""
    try:
        config = json.loads((folder / "config.json").read_bytes())
        ours = config["model_type"] == MultiTaskConfig.model_type and "auto_map" not in config
    except (ValueError, TypeError, KeyError, RecursionError):
        ours = False
    if ours:
        AutoConfig.from_pretrained(folder)


def _evaluated(folder: Path) -> None:
    seal(folder)
    load_model(folder)


_DOORS: dict[str, Callable[[Path], Any]] = {
    "config": MultiTaskConfig.from_pretrained,
    "model": MultiTaskModel.from_pretrained,
    "evaluate": _evaluated,
    "auto": _auto,
    "backbone": lambda folder: load_encoder_config(str(folder)),
    "inline": lambda folder: _inline(folder),
}


def _inline(folder: Path) -> PreTrainedConfig | None:
    """The backbone's config as a recipe writes it."""
    try:
        fields = json.loads((folder / "config.json").read_bytes())["encoder_config"]
    except (ValueError, TypeError, KeyError, RecursionError):
        return None
    return load_encoder_config(fields) if isinstance(fields, dict) else None


def _try(report: Report, name: str, door: Callable[[Path], Any], folder: Path, text: bytes) -> None:
    report.count += 1
    before, began = _megabytes(), time.perf_counter()
    try:
        with _alarm(SECONDS):
            door(folder)
        report.loaded += 1
    except UserError:
        report.refused += 1
    except BaseException as error:
        if isinstance(error, KeyboardInterrupt):
            raise
        report.failures.append(f"{name}: {traceback.format_exc(limit=-4)}\n{text[:3000]!r}")
    report.slowest = max(report.slowest, time.perf_counter() - began)
    if _megabytes() - before > MEGABYTES:
        report.failures.append(f"{name}: took {_megabytes() - before:.0f} MB\n{text[:3000]!r}")


@contextmanager
def _alarm(seconds: int) -> Iterator[None]:
    def ring(*_: object) -> None:
        raise TimeoutError(f"longer than {seconds} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(seconds)
    try:
        yield
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _megabytes() -> float:
    """The most memory that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
