"""Long names are shortened in figures, and stay apart."""

from itertools import combinations
from pathlib import Path

import pytest
from matplotlib.figure import Figure

from hf_mtl.experiments.answer import figures
from hf_mtl.experiments.answer.answer import Answer, answer
from hf_mtl.reporting.gradient_figure import gradient_figure
from hf_mtl.reporting.short_names import LONGEST, short_names
from tests.drawn import assert_words_fit, keep_figures
from tests.experiments.answer.records import asked, study

SIZES = [(50, 2, 49), (98, 12, 98)]


def tasks_of(letters: int, count: int) -> list[str]:
    return [("a_task_of_many_words_" * 5)[: letters - 2] + f"{number:02}" for number in range(count)]


def answer_of(letters: int, count: int, arm_letters: int, arms: str = "x") -> Answer:
    tasks, names = tasks_of(letters, count), [arm * arm_letters for arm in arms]
    cosines = {"/".join(pair): -0.1 for pair in combinations(tasks, 2)}
    records = study({name: dict.fromkeys(tasks, 0.1) for name in names}, seeds=2, tasks=tasks, cosines=cosines)
    return answer(records, asked(*names, seeds=2))


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    return keep_figures(monkeypatch)


@pytest.mark.filterwarnings("error:constrained_layout")
@pytest.mark.parametrize("size", SIZES)
def test_no_name_is_cut_off_in_the_figures_of_a_study(
    size: tuple[int, int, int], saved: list[Figure], tmp_path: Path
) -> None:
    found = answer_of(*size)
    for draw in (figures.intervals, figures.conflicts, figures.costs):
        draw(tmp_path / "x.png", found)
        assert_words_fit(saved[-1])
    panel, *_, bar = saved[1].axes
    assert not panel._left_title.get_window_extent().overlaps(bar.get_tightbbox())


def test_names_of_many_arms_fit_above_and_below_panels(saved: list[Figure], tmp_path: Path) -> None:
    found = answer_of(50, 2, 49, arms="mwxy")
    for draw in (figures.curves, figures.conflicts):
        draw(tmp_path / "x.png", found)
        assert_words_fit(saved[-1])
    assert saved[0].legends[0].get_window_extent().width < saved[0].bbox.width


@pytest.mark.parametrize("size", SIZES)
def test_no_name_is_cut_off_or_on_another_panel_in_the_figure_of_gradients(
    size: tuple[int, int, int], saved: list[Figure], tmp_path: Path
) -> None:
    tasks = tasks_of(*size[:2])
    pairs = {f"gradient_cosine/{a}/{b}": -0.0027 for a, b in combinations(tasks, 2)}
    gradient_figure(tmp_path / "x.png", [{"step": 1, **pairs, **{f"gradient_norm/{task}": 1.0 for task in tasks}}])
    assert_words_fit(saved[0])
    boxes = [panel.get_tightbbox() for panel in saved[0].axes]
    assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
    matrix, norms, _ = saved[0].axes
    names = [text.get_text() for text in matrix.get_yticklabels()]
    assert names == [text.get_text() for text in norms.get_legend().get_texts()]
    assert max(map(len, names)) == LONGEST
    assert len(set(names)) == len(tasks)


def test_names_that_differ_in_their_middle_alone_are_numbered() -> None:
    first, second = ("a" * 40 + middle + "b" * 40 for middle in "12")
    names = short_names([first, second, "short"])
    assert names.keys() == {first, second}
    assert [name.split("…")[1] for name in names.values()] == ["1", "2"]
    assert {len(name) for name in names.values()} == {LONGEST}


def test_a_name_is_left_whole_up_to_the_longest_that_is_shown() -> None:
    assert short_names(["a" * LONGEST]) == {}
    (short,) = short_names(["a" * LONGEST + "b"]).values()
    assert short.startswith("aaa")
    assert short.endswith("aab")
