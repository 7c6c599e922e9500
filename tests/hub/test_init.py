"""`hf-mtl init` on datasets of the Hub."""

import pytest

from tests.hub.world import Machine


@pytest.mark.slow
def test_datasets_of_the_hub_are_looked_at_where_they_are(machine: Machine) -> None:
    """A configuration that is not named is asked for; a backbone of the same Hub is found."""
    words = ("-m", "hf_mtl", "init", "--backbone", "org/tiny-bert")
    done = machine.python(*words, "org/moods", "org/scores")
    assert done.returncode == 2
    assert "no configuration given for 'org/moods'. Known: english, french. " in done.stderr
    assert "Write org/moods:CONFIGURATION." in done.stderr
    done = machine.python(*words, "org/moods:english", "org/scores")
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[:3] == [
        "english: sequence_classification of 'label' (29 train, 11 validation rows)",
        "scores_x: regression of 'x' (40 train, 12 validation rows)",
        "scores_y: regression of 'y' (40 train, 12 validation rows)",
    ]
    text = (machine.cwd / "recipe.yaml").read_text()
    assert "backbone: org/tiny-bert\n" in text
    assert "max_length: 32" in text or "max_length: 40" in text
