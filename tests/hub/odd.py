"""Everything that asks the Hub, against answers that a Hub does not give; run in a process of its own."""

import json
import sys
import time
import traceback
from collections.abc import Callable
from typing import Any

KINDS = ("html", "null", "list", "half", "conflict", "teapot", "broken", "loop", "reset", "short")


def doors() -> dict[str, Callable[[str], Any]]:
    """What asks for a repository, by name."""
    from hf_mtl import MultiTaskModel
    from hf_mtl.data.sources import load_source
    from hf_mtl.modeling.backbone import load_encoder_config
    from hf_mtl.modeling.tokenizer_files import read_tokenizer
    from hf_mtl.tasks import DatasetSource
    from tests import tiny

    return {
        "dataset": lambda name: load_source(DatasetSource(path=name), "tasks.a.dataset"),
        "config": load_encoder_config,
        "backbone": lambda name: MultiTaskModel.from_backbone(name, tiny.TASKS),
        "model": MultiTaskModel.from_pretrained,
        "tokenizer": read_tokenizer,
        "push": push,
    }


def push(name: str) -> None:
    """Make the repository of a run."""
    from hf_mtl import MultiTaskTrainer, MultiTaskTrainingArguments
    from tests import tiny

    args = MultiTaskTrainingArguments(
        "out", push_to_hub=True, hub_model_id=name.replace("odd/", "user/odd-"), use_cpu=True, report_to="none"
    )
    MultiTaskTrainer(model=tiny.model(), args=args, processing_class=tiny.tokenizer())


def main() -> None:
    """Print what each door says to each answer, and how long it took without the waiting between tries."""
    time.sleep = lambda seconds: None  # type: ignore[assignment]
    from hf_mtl.errors import UserError

    said = []
    for kind in KINDS:
        for door, ask in doors().items():
            start = time.monotonic()
            try:
                ask(f"odd/{kind}")
                end, text = "done", ""
            except UserError as error:
                end, text = "message", str(error)
            except Exception:
                end, text = "traceback", traceback.format_exc(limit=-8)
            said.append([kind, door, end, text, time.monotonic() - start])
    print(json.dumps(said))


if __name__ == "__main__":
    sys.exit(main())
