"""An exported graph and its tokenizer: texts to outputs of every task, in one pass of the encoder."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from onnxruntime import InferenceSession, SessionOptions
from tokenizers import Encoding, Tokenizer

FORMAT = 1
Text = str | tuple[str, str]


class Outputs(NamedTuple):
    """What a graph gives for one text and one task.

    Args:
        encoding: The text's tokens, as they were cut for the task.
        values: The outputs: [C], or [tokens, C] of a task that has one for each token.
    """

    encoding: Encoding
    values: np.ndarray


class Graph:
    """Runs a graph that ``hf-mtl export --format onnx`` has written.

    Args:
        folder: The folder with ``model.onnx`` and ``tokenizer.json``.
        threads: Threads of one pass; 0: as many as there are cores.
    """

    def __init__(self, folder: Path, threads: int = 0):
        options = SessionOptions()
        options.intra_op_num_threads = threads
        self.session = InferenceSession(str(folder / "model.onnx"), options, providers=["CPUExecutionProvider"])
        facts = self.session.get_modelmeta().custom_metadata_map
        if json.loads(facts["hf_mtl.format"]) != FORMAT:
            raise ValueError(f"{folder}: metadata of format {facts['hf_mtl.format']}, and this reads {FORMAT}")
        self.texts: dict[str, Any] = json.loads(facts["hf_mtl.texts"])
        self.tasks: dict[str, dict[str, Any]] = json.loads(facts["hf_mtl.tasks"])
        self.inputs = [item.name for item in self.session.get_inputs()]
        self.cuts = self._cuts(folder / "tokenizer.json")

    def _cuts(self, path: Path) -> list[tuple[Tokenizer, list[str]]]:
        """Return a tokenizer for each way of cutting long texts, and the tasks whose texts are cut so.

        Most models have one. Each is a pass of its own, since its tasks read other tokens.
        """
        ways: dict[tuple[int | None, str], list[str]] = {}
        for name, task in self.tasks.items():
            length = task["max_length"] or self.texts["max_length"]
            side = task["truncation_side"] or self.texts["truncation_side"]
            ways.setdefault((length, side), []).append(name)
        found = []
        for (length, side), names in ways.items():
            tokenizer = Tokenizer.from_file(str(path))
            tokenizer.no_padding()
            tokenizer.no_truncation()
            if length is not None:
                tokenizer.enable_truncation(length, direction=side)
            found.append((tokenizer, names))
        return found

    def __call__(self, texts: Sequence[Text]) -> list[dict[str, Outputs]]:
        """Run the graph on texts or pairs of texts; for each its outputs by task."""
        found: list[dict[str, Outputs]] = [{} for _ in texts]
        for tokenizer, names in self.cuts:
            encodings = tokenizer.encode_batch(list(texts))
            arrays = self._rectangle(encodings)
            outputs = dict(zip(names, self.session.run(names, arrays), strict=True))
            for row, encoding in enumerate(encodings):
                for name in names:
                    values = outputs[name][row]
                    of_tokens = self.tasks[name]["outputs_per"] in ("token", "window")
                    values = values[: len(encoding.ids)] if of_tokens else values
                    found[row][name] = Outputs(encoding, values)
        return found

    def _rectangle(self, encodings: Sequence[Encoding]) -> dict[str, np.ndarray]:
        """Pad tokens on the right to the longest text."""
        shape = (len(encodings), max(len(encoding.ids) for encoding in encodings))
        arrays = {
            "input_ids": np.full(shape, self.texts["pad_token_id"], dtype=np.int64),
            "attention_mask": np.zeros(shape, dtype=np.int64),
            "token_type_ids": np.zeros(shape, dtype=np.int64),
        }
        for row, encoding in enumerate(encodings):
            length = len(encoding.ids)
            arrays["input_ids"][row, :length] = encoding.ids
            arrays["attention_mask"][row, :length] = 1
            arrays["token_type_ids"][row, :length] = encoding.type_ids
        return {name: arrays[name] for name in self.inputs}
