"""What a launcher says, and what is left over of one."""

import pytest

from hf_mtl.launched import STARTED, Launched, count, environment_mistakes, launched

NAMES = (*STARTED, "RANK", "LOCAL_RANK", "LOCAL_WORLD_SIZE", "OMPI_COMM_WORLD_RANK", "MV2_COMM_WORLD_RANK")


@pytest.fixture(autouse=True)
def _empty(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in NAMES:
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize(
    ("environment", "expected"),
    [
        ({}, None),
        ({"RANK": "0", "WORLD_SIZE": "1"}, None),
        ({"RANK": "1", "WORLD_SIZE": "2"}, Launched(1, 2)),
        ({"RANK": "2", "WORLD_SIZE": "2"}, None),
        ({"RANK": "1"}, None),
        ({"RANK": "x", "WORLD_SIZE": "2"}, None),
        ({"OMPI_COMM_WORLD_RANK": "0", "OMPI_COMM_WORLD_SIZE": "4"}, Launched(0, 4)),
    ],
)
def test_only_what_is_said_in_full_counts(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], expected: Launched | None
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert launched() == expected


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", ["x", "two", "1.5", " 1", "²", "-2"])
def test_what_is_no_number_is_a_mistake(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    [mistake] = environment_mistakes()
    assert str(mistake).startswith(f"{name}: '{value}' in the environment is no whole number. Launchers set it")
    assert count(name) == 1


@pytest.mark.parametrize("value", ["", "0", "3", "-1"])  # -1 is how libraries say: no launcher
def test_numbers_and_nothing_are_none(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("LOCAL_RANK", value)
    assert environment_mistakes() == []
