"""Everything that becomes of a trained model, in one process that reaches nothing but the Hub of its settings."""

import contextlib
import hashlib
import io
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

TEXTS = ["w1 w2", "w3", "w9 w8 w7 w6 w5"]


def only_the_hub() -> None:
    """Let no connection leave this process but those to the Hub."""
    from huggingface_hub import constants

    hub = urlsplit(constants.ENDPOINT)

    def watch(event: str, arguments: tuple[Any, ...]) -> None:
        if event == "socket.connect" and isinstance(arguments[1], tuple):
            assert arguments[1][:2] == (hub.hostname, hub.port), arguments[1]

    sys.addaudithook(watch)


def command(*words: str) -> str:
    """Run `hf-mtl`, which must do as it is told, and return what it prints."""
    from hf_mtl.cli.main import main

    with contextlib.redirect_stdout(io.StringIO()) as said:
        assert main(list(words)) == 0, words
    return said.getvalue()


def written(values: Any) -> dict[str, list[str]]:
    """Return the numbers of each task to the last bit."""
    return {name: [number.hex() for number in values[name].double().flatten().tolist()] for name in values}


def loaded(path: str) -> dict[str, Any]:
    """Return what a model gives for the texts: its logits, and what a pipeline says of them."""
    import torch
    from transformers import AutoTokenizer, pipeline

    import hf_mtl

    model = hf_mtl.MultiTaskModel.from_pretrained(path).eval()
    batch = AutoTokenizer.from_pretrained(path)(TEXTS, padding=True, return_tensors="pt")
    with torch.no_grad():
        logits = model(**batch).logits
    said = hf_mtl.pipeline(path)(TEXTS)
    assert said == pipeline("multi-task-classification", model=path)(TEXTS)
    return {"logits": written(logits), "said": said, "predicted": model.predict(TEXTS), "peft": model.config.peft}


def exported(path: str, folder: Path) -> dict[str, Any]:
    """Export every task, and return the weights' hash and how far plain models are from the logits, by task."""
    import torch
    from safetensors.torch import load_file
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    import hf_mtl

    command("export", path, str(folder))
    model = hf_mtl.MultiTaskModel.from_pretrained(path).eval()
    found = {}
    for place in sorted(folder.iterdir()):
        plain = AutoModelForSequenceClassification.from_pretrained(place).eval()
        batch = AutoTokenizer.from_pretrained(place)(TEXTS, padding=True, return_tensors="pt")
        own = AutoTokenizer.from_pretrained(path)(TEXTS, padding=True, return_tensors="pt")
        with torch.no_grad():
            distance = plain(**batch).logits - model(**own).logits[place.name]
        names = [name for name in load_file(place / "model.safetensors") if "lora" in name or "ia3" in name]
        digest = hashlib.sha256((place / "model.safetensors").read_bytes()).hexdigest()
        found[place.name] = {"weights": digest, "distance": float(distance.abs().max()), "adapters": names}
    return found


def used(path: str, rows: str, folder: Path) -> dict[str, Any]:
    """Return what becomes of a trained model in every use of it."""
    folder.mkdir(parents=True)
    command("predict", path, rows, "--output", str(folder / "out.csv"), "--probabilities")
    return {
        **loaded(path),
        "rows": (folder / "out.csv").read_text(),
        "scores": command("evaluate", path),
        "exported": exported(path, folder / "plain"),
    }


def main(words: Sequence[str]) -> None:
    """Print what becomes of models: of one in every use, or of several that are only loaded."""
    only_the_hub()
    kind, *rest = words
    found: Any = {path: loaded(path) for path in rest} if kind == "load" else used(rest[0], rest[1], Path(rest[2]))
    print(json.dumps(found))


if __name__ == "__main__":
    main(sys.argv[1:])
