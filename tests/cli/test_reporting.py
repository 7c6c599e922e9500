"""`hf-mtl report`: of a run and of a study, from their files alone."""

import shutil
from collections.abc import Callable
from pathlib import Path

from tests.cli.conftest import Said
from tests.experiments.answer import records

Command = Callable[..., Said]


def test_a_study_is_reported_and_its_readme_written(hf_mtl: Command, tmp_path: Path) -> None:
    found = records.study({"ew": records.LIFT}, seeds=3)
    study = records.write(
        tmp_path / "study", found, ["single_task", "ew"], seeds=3, output_dir=str(tmp_path / "study")
    )
    said = hf_mtl("report", study)
    assert said.code == 0
    assert "Training together (ew) helped 1 of 4 tasks" in said.out
    assert f"The report is {study / 'report.html'}." in said.out
    assert (study / "answer.json").is_file()
    assert not (study / "README.md").exists()
    head = f"base: x.yaml\narms: {{single_task: single_task, ew: {{}}}}\nseeds: 3\noutput_dir: {study}\n"
    (tmp_path / "study.yaml").write_text(head + "budget: {equal: flops}\n")
    (tmp_path / "more.yaml").write_text("extends: study.yaml\nsmallest: 50\n")
    assert "at least 50 points" in hf_mtl("report", tmp_path / "more.yaml").out
    assert hf_mtl("report", tmp_path / "study.yaml", "--readme").out == said.out
    text = (study / "README.md").read_text()
    assert text.count("<!-- measured: written by hf-mtl report") == 1
    assert "| ew: emotion | " in text


def test_a_run_is_drawn_again_and_its_tables_are_printed(hf_mtl: Command, world: Path, tmp_path: Path) -> None:
    run = Path(shutil.copytree(world / "run", tmp_path / "run"))
    (run / "figures" / "training.png").unlink()
    said = hf_mtl("report", run)
    assert said.code == 0
    assert "\nvalidation\n" in said.out
    assert (run / "figures" / "training.png").is_file()
    refused = hf_mtl("report", run, "--readme")
    assert refused.code == 2
    assert "is a run, which has no README.md" in refused.err


def test_what_is_neither_is_refused_and_nothing_is_written(hf_mtl: Command, tmp_path: Path) -> None:
    said = hf_mtl("report", tmp_path)
    assert said.code == 2
    assert "holds no results of a run (results.json), a study (results.jsonl) or a sweep (sweep.json)" in said.err
    (tmp_path / "predicted").mkdir()
    (tmp_path / "predicted" / "results.jsonl").write_text('{"text": "a", "emotion.label": "joy"}\n')
    assert "no line is a run of a study" in hf_mtl("report", tmp_path / "predicted").err
    assert [path.name for path in (tmp_path / "predicted").iterdir()] == ["results.jsonl"]
    assert "is no folder, and no YAML file" in hf_mtl("report", tmp_path / "predicted" / "results.jsonl").err
    assert "no such file or folder" in hf_mtl("report", tmp_path / "nowhere").err
    (tmp_path / "x.yaml").write_text("base: y.yaml\n")
    assert "x.yaml:1: arms: missing" in hf_mtl("report", tmp_path / "x.yaml").err
    study = records.write(tmp_path / "study", records.study({"ew": records.LIFT}, seeds=2), ["single_task", "ew"])
    (study / "README.md").write_text("# Mine\n")
    said = hf_mtl("report", study, "--readme")
    assert said.code == 2
    assert "has no part 'measured'" in said.err
    assert (study / "README.md").read_text() == "# Mine\n"
    assert not (study / "report.html").exists()


def test_a_file_that_has_no_report_is_told_where_one_is(hf_mtl: Command, tmp_path: Path) -> None:
    recipe, sweep = tmp_path / "recipe.yaml", tmp_path / "sweep.yaml"
    recipe.write_text("model: {}\ntasks: {}\ntraining: {output_dir: runs/mine}\n")
    said = hf_mtl("report", recipe)
    assert said.code == 2
    assert f"{recipe}: is a recipe. Name the folder of its run: hf-mtl report runs/mine" in said.err
    sweep.write_text(f"base: recipe.yaml\ntrials: 3\noutput_dir: {tmp_path / 'out'}\n")
    said = hf_mtl("report", sweep)
    assert said.code == 2
    assert f"{sweep}: is a sweep that has not begun. Run it: hf-mtl sweep {sweep}" in said.err
