import json

import pytest

from tests.hub import world


@pytest.mark.slow
def test_what_no_hub_should_answer_is_one_message_each(machine: world.Machine) -> None:
    done = machine.python("-m", "tests.hub.odd")
    assert done.returncode == 0, done.stderr
    said = json.loads(done.stdout.splitlines()[-1])
    wrong = [f"{kind}, {door}: {end}\n{text}" for kind, door, end, text, _ in said if end != "message"]
    assert not wrong, "\n\n".join(wrong)
    for kind, door, _, text, seconds in said:
        assert f"odd/{kind}" in text or f"odd-{kind}" in text, (kind, door, text)
        assert len(text) < 1500, (kind, door, text)
        assert seconds < 60, (kind, door, seconds)
