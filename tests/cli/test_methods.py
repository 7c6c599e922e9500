"""`hf-mtl methods`."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from hf_mtl.reporting.methods import method_page, methods_table
from tests.cli.conftest import Said

Command = Callable[..., Said]


def test_the_table_is_printed(hf_mtl: Command) -> None:
    assert hf_mtl("methods") == Said(0, methods_table() + "\n", "")


def test_a_name_prints_that_methods_page(hf_mtl: Command) -> None:
    assert hf_mtl("methods", "nash_mtl") == Said(0, method_page("nash_mtl") + "\n", "")


def test_an_unknown_name_is_one_mistake(hf_mtl: Command) -> None:
    said = hf_mtl("methods", "nash_mlt")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("hf-mtl methods: 1 mistake\nunknown method 'nash_mlt'. Known: aligned_mtl, ")
    assert said.err.endswith(" Did you mean 'nash_mtl'?\n")


def test_what_a_method_is_called_in_full_leads_to_it(hf_mtl: Command) -> None:
    assert hf_mtl("methods", "uncertainty").err.endswith(" Did you mean 'uw'?\n")
    assert hf_mtl("methods", "gradient surgery").err.endswith(" Did you mean 'pcgrad'?\n")


def test_nothing_that_only_training_needs_is_imported() -> None:
    heavy = {"transformers.trainer", "datasets", "matplotlib", "hf_mtl.training"}
    code = (
        "import sys; from hf_mtl.cli.main import main; main(['methods'])\n"
        f"sys.exit(sorted({heavy} & set(sys.modules)) or 0)"
    )
    environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=environment, check=False)
    assert (done.returncode, done.stderr) == (0, "")
