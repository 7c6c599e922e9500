"""Rows that a function makes, known to recipes by a path."""

import random

from datasets import ClassLabel, Dataset, Features, Value

from hf_mtl.data.sources import register_dataset

PRODUCTS = ["kettle", "sofa", "lamp"]
_COMPLAINTS = ["it came late", "it is broken", "the driver was rude", "a part is missing"]
_PRAISE = ["the colour is fine", "the price was fair", "my neighbour has one", "it looks as on the picture"]
_FEATURES = Features({"text": Value("string"), "product": ClassLabel(names=PRODUCTS), "complaints": Value("int64")})


def _rows(count: int, draw: random.Random) -> Dataset:
    rows = []
    for _ in range(count):
        product = draw.randrange(len(PRODUCTS))
        complaints = draw.sample(_COMPLAINTS, draw.randrange(4))
        said = [*complaints, *draw.sample(_PRAISE, draw.randint(1, 2))]
        draw.shuffle(said)
        text = f"about the {PRODUCTS[product]}: {', '.join(said)}"
        rows.append({"text": text, "product": product, "complaints": len(complaints)})
    return Dataset.from_list(rows, features=_FEATURES)


def make(name: str) -> dict[str, Dataset]:
    """Make the splits of the dataset ``name``; the same rows every time."""
    if name != "tickets":
        raise ValueError(f"tickets/desk has no dataset '{name}', only tickets")
    draw = random.Random(0)
    return {split: _rows(count, draw) for split, count in (("train", 600), ("validation", 150), ("test", 150))}


register_dataset("tickets/desk", make)
