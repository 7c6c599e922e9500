"""Recipes that are small and would become large, or never end: each is one message, and at once."""

import itertools
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from hf_mtl.errors import RecipeError
from hf_mtl.recipe import load_recipe
from tests.recipe.texts import MINIMAL

Write = Callable[..., str]
SECONDS = 30  # on a busy machine; without the bounds minutes, or all memory

_LEVELS = "abcdefghi"
BOMB = "a: &a [x, x, x, x, x, x, x, x, x, x]\n" + "".join(
    f"{name}: &{name} [{', '.join([f'*{below}'] * 10)}]\n" for below, name in itertools.pairwise(_LEVELS)
)


def refusal(recipe: str, *overrides: str) -> str:
    start = time.monotonic()
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe, overrides)
    assert time.monotonic() - start < SECONDS
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (BOMB, "more than 50,000 values once its aliases are written out"),
        (f"a: &a {'x' * 9999}\nb: [{'*a, ' * 5000}]", "more than 2,000,000 characters once its aliases"),
        (f"a: [{'1, ' * 60_000}]", "more than 50,000 values"),
        (f"a: {'[' * 900}{']' * 900}", "values nested more than 100 deep"),
        ("".join(f"{' ' * level}a:\n" for level in range(900)), "recipe.yaml:100: holds values nested more than 100"),
        ("- " * 400_000, "values nested more than 100 deep"),
        (f"a: '{'x' * 20_000}'", "a text of 20,000 characters; a text has at most 10,000"),
        (f"{'x' * 20_000}: 1", "not valid YAML"),
        ("#" * (1 << 20) + "\na: 1", "has more than 1 MB"),
    ],
)
def test_what_a_recipe_holds_is_bounded(text: str, said: str, write: Write) -> None:
    message = refusal(write(text))
    assert said in message
    assert message.startswith("recipe.yaml")
    assert len(message) < 1000


def test_aliases_stay_allowed(write: Write) -> None:
    text = MINIMAL.replace("dataset: {path: some/data}", "dataset: &data {path: some/data}")
    recipe = load_recipe(write(text.replace("dataset: {path: some/ratings}", "dataset: *data")))
    assert recipe.tasks["rating"].dataset == recipe.tasks["emotion"].dataset


def test_a_recipe_with_twenty_thousand_labels_is_read(write: Write) -> None:
    labels = ", ".join(f"l{number}" for number in range(20_000))
    recipe = load_recipe(write(MINIMAL.replace("[anger, joy]", f"[{labels}]")))
    assert recipe.tasks["emotion"].num_outputs == 20_000


@pytest.fixture
def special(tmp_path: Path) -> dict[str, str]:
    os.mkfifo(tmp_path / "pipe.yaml")
    (tmp_path / "folder.yaml").mkdir()
    (tmp_path / "circle.yaml").symlink_to("circle.yaml")
    (tmp_path / "zero.yaml").symlink_to("/dev/zero")
    (tmp_path / "words.yaml").write_bytes("model: 1".encode("utf-16"))
    (tmp_path / "binary.yaml").write_bytes(bytes(range(256)))
    (tmp_path / "nul.yaml").write_bytes(b"model: a\0b")
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(tmp_path / "socket.yaml"))
    return {
        "pipe.yaml": "is a pipe, not a file",
        "folder.yaml": "is a folder, not a file",
        "zero.yaml": "is a device, not a file",
        "socket.yaml": "is a socket, not a file",
        "words.yaml": "is not UTF-8 text: byte 1 is 0xff",
        "binary.yaml": "is not UTF-8 text",
        "nul.yaml": "not valid YAML",
        "circle.yaml": "cannot be read",
    }


def test_what_is_no_file_of_text_is_refused_and_not_waited_for(special: dict[str, str], write: Write) -> None:
    for name, said in special.items():
        assert said in refusal(name)
        extending = refusal(write(f"extends: {name}\n{MINIMAL}"))
        assert said in extending or "no such file" in extending
    for name in ("a\0b.yaml", "x" * 5000, "~nobody-has-this-name/x.yaml"):
        assert "cannot be read" in refusal(name) or "no such file" in refusal(name)
        assert "no such file" in refusal(write(f'extends: "{name}"\n{MINIMAL}'.replace("\0", "\\0")))


def test_a_recipe_extends_at_most_a_hundred_files(write: Write) -> None:
    write(MINIMAL, "0.yaml")
    for number in range(1, 120):
        write(f"extends: {number - 1}.yaml\n", f"{number}.yaml")
    load_recipe("90.yaml")
    assert "extends: leads to more than 100 files" in refusal("119.yaml")


def test_what_a_recipe_extends_counts_together(write: Write) -> None:
    for number in range(3):
        write(f"x{number}: [{'1, ' * 20_000}]", f"{number}.yaml")
    message = refusal(write(f"extends: [0.yaml, 1.yaml, 2.yaml]\n{MINIMAL}"))
    assert message.startswith("2.yaml:1: holds more than 50,000 values")


def test_diamonds_of_many_levels_take_no_time(write: Write) -> None:
    write(MINIMAL, "0.yaml")
    for level in range(1, 23):
        below = "0.yaml" if level == 1 else f"[l{level - 1}.yaml, r{level - 1}.yaml]"
        for side in "lr":
            write(f"extends: {below}\n", f"{side}{level}.yaml")
    start = time.monotonic()
    load_recipe("l22.yaml")
    assert time.monotonic() - start < SECONDS


@pytest.mark.parametrize(
    ("override", "said"),
    [
        (f"tasks.emotion.labels={'[' * 3000}", "nested more than 100 deep"),
        ("a." * 5000 + "b=1", "a key of 5,001 parts"),
        (f"model.dropout=[{'1, ' * 60_000}]", "more than 50,000 values"),
        ("mixture={a: &a [" + "x, " * 999 + "], b: &b [" + "*a, " * 99 + "]}", "once its aliases are written out"),
    ],
)
def test_the_command_line_has_the_same_bounds(override: str, said: str, write: Write) -> None:
    message = refusal(write(MINIMAL), override)
    assert said in message
    assert message.startswith("command line")
    assert len(message) < 1000


@pytest.mark.parametrize("number", ["1e400", "-1e400", "9223372036854775808", "9" * 5000, "0x" + "f" * 9000])
def test_numbers_that_64_bits_do_not_hold_are_refused(number: str, write: Write) -> None:
    assert "which no number here can hold" in refusal(write(MINIMAL), f"training.max_steps={number}")


@pytest.mark.parametrize(
    "key", ["training.save_total_limit", "training.group_cost", "mixture.cap", "balancing.gradients.log_every"]
)
def test_whole_numbers_of_options_are_bounded(key: str, write: Write) -> None:
    assert "Allowed: at most 4294967295." in refusal(write(MINIMAL), f"{key}={10**12}")


def test_a_number_of_classes_is_bounded(write: Write) -> None:
    assert "Allowed: at most 100000." in refusal(write(MINIMAL), "tasks.emotion.labels=1000000000")


@pytest.mark.parametrize(
    "text",
    [
        "training:\n" + "".join(f"  s{number}: 1\n" for number in range(10_000)),
        MINIMAL.replace("[anger, joy]", f"[{'0, ' * 20_000}]"),
        MINIMAL + "".join(f"  t{number}: {{label: x}}\n" for number in range(5000)),
    ],
)
def test_of_very_many_mistakes_the_first_are_said_within_seconds(text: str, write: Write) -> None:
    message = refusal(write(text))
    assert len(message.splitlines()) < 60
    assert "more" in message.splitlines()[-1]
