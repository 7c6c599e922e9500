import subprocess
import sys

import numpy as np
import pytest
from matplotlib.image import imread

from hf_mtl.reporting import figures, mixture_figure, training_figure
from hf_mtl.reporting.style import COLOURS, task_styles

LOG = [
    {"step": 10, "loss/emotion": 1.0, "loss/emotion_intensity": 2.0, "weight/emotion": 0.5, "share/emotion": 0.3},
    {"step": 20, "loss/emotion": None, "loss/emotion_intensity": 1.5, "weight/emotion": 0.6, "share/emotion": 0.3},
    {"step": 20, "eval_emotion_loss": 1.0, "eval_emotion_f1_macro": 0.5, "eval_emotion_intensity_mse_V": 2.0},
    {"step": 20, "eval_emotion_intensity_pearson": 0.4, "eval_average": 0.45, "eval_macro": 0.45, "eval_worst": 0.4},
    {"step": 20, "train_runtime": 3.0},
]


@pytest.fixture
def drawn(monkeypatch):
    """The figures that were saved, as objects."""
    saved = []
    save = figures.save
    monkeypatch.setattr(figures, "save", lambda figure, path: (saved.append(figure), save(figure, path)))
    return saved


def test_training_figure_has_a_panel_for_each_kind_of_record(tmp_path, drawn):
    training_figure(tmp_path / "training.png", LOG)
    panels = drawn[0].axes
    assert [panel.get_ylabel() for panel in panels] == ["loss", "weight", "% of rows", "score"]
    assert [line.get_label() for line in panels[3].lines] == [
        "emotion (f1_macro)",
        "emotion_intensity (pearson)",
        "average",
        "macro",
        "worst",
    ]
    np.testing.assert_array_equal(panels[0].lines[0].get_ydata(), [1.0, np.nan])
    assert imread(tmp_path / "training.png").std() > 0
    assert [file.name for file in tmp_path.iterdir()] == ["training.png"]


@pytest.mark.parametrize(("log", "kept"), [(LOG, 10), (LOG, 20), (LOG[:1], 10)])
def test_the_step_that_was_kept_is_marked_in_every_panel_and_named_in_the_last(tmp_path, drawn, log, kept):
    training_figure(tmp_path / "training.png", log, kept)
    panels = drawn[0].axes
    assert [panel.lines[-1].get_xdata()[0] for panel in panels] == [kept] * len(panels)
    names = [text.get_text() for panel in panels for text in panel.get_legend().get_texts()]
    assert names[-1] == f"step {kept} is kept"
    assert sum("is kept" in name for name in names) == 1


def test_a_task_keeps_its_colour_in_every_panel(tmp_path, drawn):
    training_figure(tmp_path / "training.png", LOG)
    colours = {panel.lines[0].get_color() for panel in drawn[0].axes}
    assert colours == {COLOURS[0]}


def test_tasks_that_are_scored_and_not_trained_have_a_line_of_scores(tmp_path, drawn):
    kept = {"step": 20, "eval_kept_pearson": 0.2, "eval_kept_loss": 1.5, "eval_loss": 1.0}
    kept["eval_emotion_hamming_loss"] = 0.1  # a metric, and no task
    training_figure(tmp_path / "training.png", [*LOG, kept])
    scores = [line.get_label() for line in drawn[0].axes[-1].lines]
    assert scores[:3] == ["emotion (f1_macro)", "emotion_intensity (pearson)", "kept (pearson)"]
    assert scores[3:] == ["average", "macro", "worst"]


def test_the_scores_of_all_tasks_can_be_told_apart_at_one_evaluation(tmp_path, drawn):
    training_figure(tmp_path / "training.png", LOG)
    lines = {line.get_label(): line for line in drawn[0].axes[-1].lines}
    looks = {name: lines[name].get_marker() for name in ("average", "macro", "worst")}
    assert len({*looks.values(), "o"}) == 4, "no two alike, and none as a task's"
    assert {lines[name].get_fillstyle() for name in looks} == {"none"}, "one upon another is seen"


def test_shares_are_percent_from_nothing_on(tmp_path, drawn):
    training_figure(tmp_path / "training.png", LOG)
    share = drawn[0].axes[2]
    assert share.get_ylim()[0] == 0
    assert share.lines[0].get_ydata().tolist() == pytest.approx([30.0] * 3)


def test_panels_without_records_are_left_out(tmp_path, drawn):
    training_figure(tmp_path / "training.png", LOG[:1])
    assert [panel.get_ylabel() for panel in drawn[0].axes] == ["loss", "weight", "% of rows"]


def test_a_log_of_nothing_is_refused(tmp_path):
    with pytest.raises(ValueError, match="no losses"):
        training_figure(tmp_path / "training.png", [{"step": 1, "train_runtime": 2.0}])


SCHEDULED = [
    {"step": 10, "loss/a": 1.0, "loss/b": 2.0, "share/a": 0.5, "share/b": 0.5, "frozen/encoder": 1, "flops": 4e9},
    {"step": 20, "loss/a": 0.9, "loss/b": 1.8, "share/a": 0.5, "share/b": 0.5, "frozen/encoder": 0, "flops": 16e9},
    {"step": 20, "eval_a_loss": 1.0},
    {"step": 30, "loss/a": 0.8, "share/a": 1.0, "share/b": 0.0, "frozen/encoder": 0.5, "flops": 20e9}
    | {"coefficient/a": 1.0, "coefficient/b": 0.0, "temperature/a": 0.5, "temperature/b": 2.0},
]


def test_what_schedules_did_is_drawn(tmp_path, drawn):
    training_figure(tmp_path / "training.png", SCHEDULED)
    panels = {panel.get_title(loc="left"): panel for panel in drawn[0].axes}
    loss, coefficient, temperature, share, parts, cost = panels.values()
    np.testing.assert_array_equal(loss.lines[1].get_ydata(), [2.0, 1.8, np.nan])  # no line where the task is absent
    # Values are means over the steps before each record: steps, from step 0 on.
    assert coefficient.lines[1].get_xdata().tolist() == [0, 10, 20, 30]
    assert coefficient.lines[1].get_ydata().tolist() == [1, 1, 1, 0]
    assert coefficient.lines[0].get_linewidth() > coefficient.lines[1].get_linewidth()  # one may lie on the other
    assert temperature.get_yscale() == "log"
    assert share.lines[0].get_drawstyle() == "steps-pre"
    [bars] = parts.collections
    assert [tick.get_text() for tick in parts.get_yticklabels()] == ["encoder"]
    assert [path.get_extents().intervalx.tolist() for path in bars.get_paths()] == [[0, 10], [10, 20], [20, 30]]
    assert bars.get_facecolors()[:, 3].tolist() == [0, 1, 0.5]
    assert parts.get_legend() is None
    assert cost.get_ylabel() == "billion"
    assert cost.lines[0].get_ydata()[1:].tolist() == pytest.approx([0.4, 1.2, 0.4])


def test_without_schedules_the_cost_of_a_step_is_left_out(tmp_path, drawn):
    training_figure(tmp_path / "training.png", [{**LOG[0], "flops": 1e9}])
    assert [panel.get_ylabel() for panel in drawn[0].axes] == ["loss", "weight", "% of rows"]


def test_mixture_figure_stacks_the_shares_to_a_hundred(tmp_path, drawn):
    steps = np.arange(5)
    shares = {"a": np.linspace(0.9, 0.5, 5), "b": np.linspace(0.1, 0.5, 5)}
    mixture_figure(tmp_path / "mixture.png", steps, shares, {task: 0.1 * steps for task in shares})
    top, bottom = drawn[0].axes
    assert top.collections[-1].get_paths()[0].vertices[:, 1].max() == pytest.approx(100)
    assert [line.get_label() for line in bottom.lines] == ["a", "b"]
    assert (tmp_path / "mixture.png").stat().st_size > 0


def test_mixture_of_one_step_can_be_drawn(tmp_path):
    mixture_figure(tmp_path / "mixture.png", np.array([0]), {"a": np.array([1.0])}, {"a": np.array([0.0])})
    assert (tmp_path / "mixture.png").exists()


def test_many_tasks_stay_distinct():
    styles = task_styles([f"t{index}" for index in range(28)])
    assert len(styles) == 28
    assert len({(style.colour, style.line) for style in styles.values()}) == 28
    assert len({(style.colour, style.hatch) for style in styles.values()}) == 28


def test_reporting_imports_without_matplotlib():
    code = "import sys, hf_mtl.reporting; sys.exit('matplotlib' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], timeout=120).returncode == 0


def test_names_with_dollars_and_escapes_are_drawn_as_they_are_written(tmp_path, drawn):
    name = "a$b\n$\\frac\x1b"
    log = [{"step": step, f"loss/{name}": 1.0, f"frozen/{name}": 0.0} for step in (1, 2)]
    training_figure(tmp_path / "training.png", log)
    texts = [text.get_text() for text in drawn[0].axes[0].get_legend().get_texts()]
    assert texts == ["a$b\\n$\\frac\\x1b"]
    mixture_figure(tmp_path / "mixture.png", np.arange(2), {name: np.ones(2)}, {name: np.ones(2)})
