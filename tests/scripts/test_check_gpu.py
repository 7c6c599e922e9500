"""scripts/check_gpu: its sections on a CPU in tiny sizes, what it makes of sections that go wrong, and its table."""

import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from hf_mtl.training.step.objective import Objective

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "scripts" / "bench"))

import gpu  # noqa: E402
import gpu_sections as sections  # noqa: E402
from gpu_waits import WORDS, counting_waits, place_of  # noqa: E402
from gpu_world import TINY, Setting, splits  # noqa: E402
from plain_trainer import AnyOrder  # noqa: E402

LEAST = replace(TINY, warm_up=1, steps=1, rows=24)


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(sections, "PRECISIONS", ("bf16",))
    monkeypatch.setattr(sections, "BALANCING", ({"aggregator": "pcgrad"},))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))


def test_training_is_compared_with_the_trainer_for_each_layout() -> None:
    lines = list(sections.training(LEAST))
    assert [line.what.rpartition(": ")[2] for line in lines] == [
        "Trainer, grouped",
        "packed",
        "packed, no attention dropout",
        "groups",
    ]
    assert all("examples/s" in line.found and not line.wrong for line in lines)
    assert "of Trainer's" in lines[1].found


def test_a_contender_that_fails_is_a_line_and_the_others_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = sections.measured

    def failing(setting: Setting, scale: Any) -> Any:
        if setting.layout == "packed" and setting.attention_dropout:
            raise torch.OutOfMemoryError("no room\nfor it")
        return measured(setting, scale)

    monkeypatch.setattr(sections, "measured", failing)
    lines = list(sections.training(LEAST))
    assert [line.wrong for line in lines] == [False, True, False, False]
    assert lines[1].found == "failed: OutOfMemoryError: no room for it"


def test_balancing_is_measured_beside_equal_weighting() -> None:
    lines = list(sections.balancing(LEAST))
    assert [line.what for line in lines] == ["ew", "pcgrad", "ew again"]
    assert "of ew's time" in lines[1].found


def test_waits_are_counted_for_few_tasks_and_for_more(monkeypatch: pytest.MonkeyPatch) -> None:
    found = {2: {"hf_mtl/a.py:1": 2.0, "transformers/trainer.py:3": 1.0}, 6: {"hf_mtl/a.py:1": 6.0}}
    monkeypatch.setattr(sections, "waits_of", lambda setting, scale: found[setting.tasks])
    few, more, *_ = sections.waits(LEAST)
    assert few.found == "2.0 waits a step in hf_mtl, 1.0 elsewhere: 2.0 hf_mtl/a.py:1"
    assert (few.wrong, more.wrong) == (False, True)


@pytest.mark.filterwarnings("ignore:called a synchronizing")
def test_waits_are_counted_in_the_measured_steps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    begin = Objective.begin

    def waiting(self: Objective, *args: Any) -> None:
        warnings.warn(f"{WORDS} (as torch says)", UserWarning, stacklevel=1)
        begin(self, *args)

    monkeypatch.setattr(Objective, "begin", waiting)
    scale = replace(LEAST, warm_up=2, steps=3)
    places = sections.waits_of(Setting("tiny", 8), scale)
    assert list(places.values()) == [1.0]
    assert next(iter(places)).startswith("hf_mtl/training/step/step.py:")


def test_a_wait_is_counted_where_hf_mtl_calls_and_not_where_torch_does() -> None:
    code = compile(f"import warnings\ndef f():\n    warnings.warn('{WORDS}')\n", "/x/hf_mtl/y.py", "exec")
    space: dict[str, Any] = {}
    exec(code, space)
    places: dict[str, int] = {}
    with counting_waits(places, on_gpu=False):
        space["f"]()
        space["f"]()
        warnings.warn("something else", stacklevel=1)
    assert places == {"hf_mtl/y.py:3": 2}
    assert place_of([traceback.FrameSummary("/a/torch/b.py", 1, "g")]) == "elsewhere"


def test_the_profile_names_what_the_time_goes_into() -> None:
    step, *top = sections.profiled(LEAST)
    assert step.what == "a step"
    assert len(top) == sections.TOP
    assert any(line.what in ("aten::addmm", "aten::mm", "aten::copy_") for line in top)


def test_evaluation_is_compared_with_the_trainer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sections, "EVALUATED", sections.EVALUATED[1:])
    (line,) = sections.evaluation(LEAST)
    assert line.what == "128 rows"
    assert "of Trainer's" in line.found


def test_batches_of_one_length_come_in_any_order_and_stay_whole() -> None:
    rows = list(range(20))
    found = list(AnyOrder(rows, 4))
    batches = [found[start : start + 4] for start in range(0, 20, 4)]
    assert found != rows
    assert sorted(batches) == [rows[start : start + 4] for start in range(0, 20, 4)]


def test_rows_are_the_same_every_time_and_their_longest_is_twice_the_mean() -> None:
    one, other = (splits(1, replace(TINY, rows=2000))["task0"].tokens for _ in range(2))
    assert (one.flat_ids == other.flat_ids).all()
    batches = one.lengths[:1984].reshape(-1, 32)
    assert 2 < (batches.max(axis=1) / batches.mean(axis=1)).mean() < 2.7


# ---- Sections that go wrong ----


def right(scale: Any) -> Iterator[sections.Line]:
    yield sections.Line("all", "well")


def fails(scale: Any) -> Iterator[sections.Line]:
    yield sections.Line("a part", "measured")
    raise RuntimeError("CUDA error: an illegal memory access was encountered")


def hangs(scale: Any) -> Iterator[sections.Line]:
    yield sections.Line("a part", "measured")
    time.sleep(60)


def dies(scale: Any) -> Iterator[sections.Line]:
    yield sections.Line("a part", "measured")
    os.kill(os.getpid(), 9)


@pytest.mark.parametrize(
    ("section", "said"),
    [(fails, "RuntimeError: CUDA error"), (hangs, "the section had 1 s"), (dies, "the process ended early, with -9")],
)
def test_a_section_that_goes_wrong_is_a_line_and_the_next_one_is_measured(
    section: Callable[..., Any], said: str, tmp_path: Path
) -> None:
    chosen = [gpu.Section("bad", 1, section), gpu.Section("good", 5, right)]
    bad, good = gpu.run(chosen, TINY, 30, tmp_path / "log")
    assert bad.lines[0] == ("a part", "measured", False)
    assert said in bad.lines[1].found
    assert bad.lines[1].wrong
    assert good.lines == [("all", "well", False)]
    assert f"**{bad.lines[1].found}**" in gpu.table([bad, good])


def test_a_section_for_which_no_time_is_left_is_said_to_be_unmeasured(tmp_path: Path) -> None:
    (done,) = gpu.run([gpu.Section("late", 5, right)], TINY, 0.5, tmp_path / "log")
    assert done.lines[0].wrong
    assert "no time was left" in done.lines[0].found


@pytest.mark.parametrize(("section", "code"), [(right, 0), (fails, 1)])
def test_the_exit_code_tells_whether_all_is_well(
    section: Callable[..., Any], code: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
) -> None:
    monkeypatch.setattr(gpu, "SECTIONS", (gpu.Section("one", 5, section),))
    results = tmp_path / "results.json"
    assert gpu.main(["--cpu", "--results", str(results)]) == code
    shown = capsys.readouterr().out
    assert "| section | what | found |" in shown
    assert {line["section"] for line in json.loads(results.read_text())} == {"one"}


def test_what_sections_write_for_a_while_goes_with_them(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def leaving(scale: Any) -> Iterator[gpu.Line]:
        yield gpu.Line(tempfile.mkdtemp(), os.environ["TMPDIR"])

    monkeypatch.setattr(gpu, "SECTIONS", (gpu.Section("one", 5, leaving),))
    results = tmp_path / "results.json"
    assert gpu.main(["--cpu", "--results", str(results)]) == 0
    [line] = json.loads(results.read_text())
    assert Path(line["what"]).parent == Path(line["found"]), "also what programs write that it starts"
    assert {path.name for path in tmp_path.rglob("*") if path.is_file()} == {"results.json", "log"}
    assert not Path(line["found"]).exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_so_and_measures_nothing(capsys: Any) -> None:
    assert gpu.main([]) == 2
    assert "--cpu" in capsys.readouterr().err


def test_all_sections_have_time_within_eight_minutes() -> None:
    assert gpu.AT_MOST <= 480
    assert sum(section.seconds for section in gpu.SECTIONS) <= 1.2 * gpu.AT_MOST  # few need all of theirs


@pytest.mark.slow
def test_the_whole_check_runs_on_a_cpu_from_a_checkout() -> None:
    environment = {**os.environ, "PYTHON": sys.executable}
    done = subprocess.run(
        [str(ROOT / "scripts" / "check_gpu"), "--cpu"],
        capture_output=True,
        text=True,
        env=environment,
        timeout=600,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:]
    table = done.stdout.partition("| section | what | found |")[2]
    for section in gpu.SECTIONS:
        assert f"| {section.name} (" in table
