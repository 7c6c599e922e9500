"""What `hf-mtl affinity` prints and refuses."""

from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Said

Command = Callable[..., Said]


def test_affinities_of_a_run_are_printed_and_written(hf_mtl: Command, world: Path, tmp_path: Path) -> None:
    words = ("--checkpoint", world / "run", "--rows", 6, "--groups", 2, "-o", tmp_path / "found")
    said = hf_mtl("affinity", world / "recipe.yaml", *words)
    assert said.code == 0
    assert "Affinity, linearised: by what part the loss of a task (column) drops" in said.out
    assert "Proposal: {" in said.out
    assert f"Written to {tmp_path / 'found'}: affinity.json, affinity.png, proposal.json." in said.out
    assert "it/s" not in said.err  # no bars
    again = hf_mtl("affinity", world / "recipe.yaml", *words)
    assert again.code == 2
    assert "measured there already" in again.err
