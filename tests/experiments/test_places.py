from argparse import ArgumentParser
from pathlib import Path

import pytest

from hf_mtl.experiments.places import Places

PLACES = Places(Path("runs/study"), Path("results.jsonl"), Path("recipes/study/README.md"))


@pytest.mark.parametrize(
    ("arguments", "readme"),
    [([], None), (["--readme"], PLACES.readme), (["--readme", "other.md"], Path("other.md"))],
)
def test_the_readme_is_written_where_that_is_asked_for(arguments: list[str], readme: Path | None) -> None:
    parser = ArgumentParser()
    PLACES.add_options(parser)
    options = parser.parse_args(arguments)
    assert (options.work, options.results, options.readme) == (PLACES.work, PLACES.results, readme)
