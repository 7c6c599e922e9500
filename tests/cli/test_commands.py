"""What the commands print and leave behind when all is well."""

import json
import re
import shlex
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from hf_mtl.training.saving import upload
from tests.cli.conftest import Said
from tests.training import runs

Command = Callable[..., Said]


@pytest.fixture
def copied(world: Path, tmp_path: Path) -> Path:
    """A copy of the finished run, in a folder of its own."""
    return Path(shutil.copytree(world / "run", tmp_path / "run"))


def results(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "results.json").read_text())
    return found


def table(text: str, title: str) -> dict[tuple[str, str], list[str]]:
    """Numbers of a printed table by task and metric, or by summary."""
    found, task = {}, ""
    body = text.split(f"\n{title}\n")[1].split("\n\n")[0].splitlines()[1:]
    for line in body:
        words = line.split()
        if line.startswith("--"):
            task = ""
        elif line.startswith(" "):
            found[task, words[0]] = words[1:]
        elif re.match(r"-?\d|undefined", words[1]):
            found[words[0], ""] = words[1:]
        else:
            task = words[0]
            found[task, words[1]] = words[2:]
    return found


def numbers(scores: dict[str, Any]) -> dict[tuple[str, str], list[str]]:
    """What a table of results has to say."""
    found = {(task, key): [f"{value:.4f}"] for task, of in scores["tasks"].items() for key, value in of.items()}
    return found | {(key, ""): [f"{scores[key]:.4f}"] for key in ("average", "macro", "worst")}


# ---- train ----


def test_training_prints_the_results_once_and_how_to_use_the_model(
    hf_mtl: Command, world: Path, tmp_path: Path
) -> None:
    said = hf_mtl("train", world / "recipe.yaml", f"training.output_dir={tmp_path / 'a run'}", "training.max_steps=1")
    assert said.code == 0
    assert said.out.count("\nvalidation\n") == 1
    assert table(said.out, "validation") == numbers(results(tmp_path / "a run"))
    assert "\ntest\n" not in said.out
    command, shown = said.out.split("To use it: ")[1].split(", or\n\n")
    assert shlex.split(command) == ["hf-mtl", "predict", str(tmp_path / "a run"), "rows.csv"]
    *lines, last = [line[4:] for line in shown.rstrip().splitlines()]
    program: dict[str, Any] = {}
    exec("\n".join(lines), program)
    assert eval(last, program)["label"] in ("a", "b", "c")


def test_test_and_baselines_are_printed_when_asked(hf_mtl: Command, world: Path, tmp_path: Path) -> None:
    said = hf_mtl(
        "train",
        "--test",
        f"tasks.mood.dataset.data_files.test={world / 'mood.validation.jsonl'}",
        world / "recipe.yaml",
        "--baselines",
        f"training.output_dir={tmp_path / 'run'}",
        "training.max_steps=1",
    )
    assert said.code == 0
    written = results(tmp_path / "run")
    for title, scores in (("validation", written), ("test", written["test"])):
        shown = table(said.out, title)
        assert {key: values[:1] for key, values in shown.items()} == numbers(scores)
        majority = scores["baselines"]["majority"]["tasks"]["mood"]["f1_macro"]
        assert shown["mood", "f1_macro"][1] == f"{majority:.4f}"


def test_a_run_that_diverges_ends_with_1_and_keeps_what_was_good(
    hf_mtl: Command, world: Path, tmp_path: Path
) -> None:
    run, steps = tmp_path / "run", ["training.max_steps=6", "training.logging_steps=4", "training.save_steps=1"]
    rates = ["training.learning_rate=1e28", "training.warmup_steps=100", "training.max_grad_norm=0"]
    said = hf_mtl(
        "train", world / "recipe.yaml", f"training.output_dir={run}", *steps, *rates, "training.eval_steps=6"
    )
    assert said.code == 1
    assert "To use it" not in said.out
    assert re.search(r"hf-mtl train: training has diverged: .*not finite", said.err)
    assert f"is kept: {run / 'checkpoint-'}" in said.err
    assert not (run / "results.json").exists()
    assert not (run / "config.json").exists()


def test_a_run_that_is_not_pushed_prints_its_results_and_ends_with_3(
    hf_mtl: Command, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, drawn = tmp_path / "run", []

    def refuse(*args: Any, **options: Any) -> None:
        drawn.append((run / "figures" / "training.png").exists())
        raise PermissionError("403 Forbidden")

    monkeypatch.setattr("transformers.trainer.Trainer.init_hf_repo", lambda trainer: None)
    monkeypatch.setattr(upload.HfApi, "create_repo", refuse)
    words = [world / "recipe.yaml", f"training.output_dir={run}", "training.max_steps=1", "training.push_to_hub=true"]
    said = hf_mtl("train", *words, "training.hub_model_id=me/it", "training.hub_strategy=end")
    assert (said.code, drawn) == (3, [True])
    assert table(said.out, "validation") == numbers(results(run))
    assert "To use it:" in said.out
    found = f"{run} is trained, scored and kept, but it is not pushed to 'me/it': 403 Forbidden."
    assert f"hf-mtl train: {found}" in said.err
    again = hf_mtl("train", "--resume", *words)
    assert again.code == 3
    assert table(again.out, "validation") == numbers(results(run))


def test_what_is_printed_comes_before_the_figures(
    hf_mtl: Command, world: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def kill(*args: Any, **options: Any) -> None:
        raise SystemExit(9)

    monkeypatch.setattr("hf_mtl.training.run.finished.draw", kill)
    said = hf_mtl("train", world / "recipe.yaml", f"training.output_dir={tmp_path / 'run'}", "training.max_steps=1")
    assert said.code == 9
    assert table(said.out, "validation") == numbers(results(tmp_path / "run"))


def test_scores_that_cannot_be_are_a_mistake_at_its_place(hf_mtl: Command, world: Path, tmp_path: Path) -> None:
    file = tmp_path / "mood.jsonl"
    rows = [json.loads(line) for line in (world / "mood.validation.jsonl").read_text().splitlines()]
    file.write_text("".join(json.dumps({**row, "label": 1}) + "\n" for row in rows))
    words = [f"tasks.mood.dataset.data_files.validation={file}", "tasks.mood.metrics=[auroc_macro]"]
    for command in ("train", "plan"):
        said = hf_mtl(command, world / "recipe.yaml", *words, f"training.output_dir={tmp_path / 'run'}")
        assert said.code == 2
        found = "auroc_macro is undefined on the 31 validation rows: all are of class 'bad'. Give rows of two"
        assert f"tasks.mood.metrics: {found}" in said.err
        assert not (tmp_path / "run").exists()


def test_what_the_scores_mean_and_hide_stands_below_them(hf_mtl: Command, world: Path) -> None:
    said = hf_mtl("evaluate", world / "run")
    below = said.out.split("\nworst ")[1].split("\n\n")
    assert [line.split(":")[0] for line in below[1].splitlines()] == ["average", "macro", "worst"]
    notes = results(world / "run")["notes"]
    assert any("rows are predicted" in note for note in notes), "two steps do not teach the tiny model both classes"
    assert below[2].strip().splitlines() == notes


def test_an_existing_run_is_refused(hf_mtl: Command, world: Path, copied: Path) -> None:
    before = runs.content(copied)
    said = hf_mtl("train", world / "recipe.yaml", f"training.output_dir={copied}")
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"hf-mtl train: 1 mistake\n{copied} holds a finished run. Continue it with --resume, start anew with "
        "--overwrite, or choose another folder with training.output_dir=FOLDER.\n"
    )
    assert runs.content(copied) == before


def test_a_finished_run_is_shown_and_left_alone(hf_mtl: Command, copied: Path) -> None:
    before = runs.content(copied)
    said = hf_mtl("train", "--resume", copied / "recipe.yaml", f"training.output_dir={copied}")
    assert said.code == 0
    assert table(said.out, "validation") == numbers(results(copied))
    assert runs.content(copied) == before


def test_resume_and_overwrite_exclude_each_other(hf_mtl: Command, copied: Path) -> None:
    before = runs.content(copied)
    said = hf_mtl("train", "--resume", copied / "recipe.yaml", f"training.output_dir={copied}", "--overwrite")
    assert said.code == 2
    assert "--resume continues a run and --overwrite starts it anew; give one of them." in said.err
    assert runs.content(copied) == before


def test_overwriting_trains_again(hf_mtl: Command, world: Path, copied: Path) -> None:
    before = (copied / "results.json").stat().st_ino
    said = hf_mtl("train", "--overwrite", world / "recipe.yaml", f"training.output_dir={copied}")
    assert said.code == 0
    assert (copied / "results.json").stat().st_ino != before
    assert results(copied) == results(world / "run")


# ---- evaluate ----


@pytest.mark.parametrize("place", ["run", "run/checkpoint-2", "run/recipe.yaml"])
def test_evaluation_prints_the_numbers_of_the_results(hf_mtl: Command, world: Path, place: str) -> None:
    with runs.inside(world):
        said = hf_mtl("evaluate", place)
    assert said.code == 0
    assert table(said.out, "validation") == numbers(results(world / "run"))


def test_baselines_stand_beside_the_scores(hf_mtl: Command, world: Path) -> None:
    said = hf_mtl("evaluate", world / "run", "--split", "train", "--baselines")
    assert said.out.split("\ntrain\n")[1].splitlines()[0].split() == ["task", "metric", "score", "majority", "tfidf"]
    shown = table(said.out, "train")
    assert len(shown["topic", "f1_macro"]) == 3
    assert len(shown["topic", "loss"]) == 1  # baselines have no loss
    assert len(shown["average", ""]) == 3


def test_evaluating_nothing_is_refused(hf_mtl: Command, tmp_path: Path) -> None:
    said = hf_mtl("evaluate", tmp_path)
    assert (said.code, said.out) == (2, "")
    assert said.err == (
        f"hf-mtl evaluate: 1 mistake\n{tmp_path}: holds no trained model (config.json is missing); "
        "train it first: hf-mtl train.\n"
    )
    said = hf_mtl("evaluate", tmp_path / "nowhere")
    assert said.code == 2
    assert f"{tmp_path / 'nowhere'}: no such file or folder" in said.err


# ---- schema ----


def test_the_schema_fits_the_shipped_recipes(hf_mtl: Command, world: Path) -> None:
    jsonschema = pytest.importorskip("jsonschema", reason="the jsonschema package checks the schema")
    said = hf_mtl("schema")
    assert (said.code, said.err) == (0, "")
    schema = json.loads(said.out)
    jsonschema.Draft202012Validator.check_schema(schema)
    checker = jsonschema.Draft202012Validator(schema)
    shipped = sorted((Path(__file__).parents[2] / "recipes").rglob("*.yaml"))
    for kind in ("study", "sweep"):
        files = [path for path in shipped if path.name == f"{kind}.yaml"]
        shipped = [path for path in shipped if path not in files]
        of_kind = jsonschema.Draft202012Validator(json.loads(hf_mtl("schema", kind).out))
        assert [path for path in files if not of_kind.is_valid(yaml.safe_load(path.read_text()))] == []
        assert files
    shipped = [path for path in shipped if "\nplugins:" not in path.read_text()]  # whose types are not ours
    for path in [*shipped, world / "recipe.yaml", world / "run" / "recipe.yaml"]:
        errors = [error.message for error in checker.iter_errors(yaml.safe_load(path.read_text()))]
        assert errors == [], path
    wrong = yaml.safe_load((world / "recipe.yaml").read_text())
    wrong["training"]["max_step"] = 3
    assert not checker.is_valid(wrong)


# ---- join ----


def test_join_puts_runs_together_and_says_how_to_use_them(
    hf_mtl: Callable[..., Said], world: Path, tmp_path: Path
) -> None:
    shutil.copytree(world / "run", tmp_path / "copy")
    said = hf_mtl("join", world / "run", "-o", tmp_path / "both", tmp_path / "copy")
    assert said.code == 2
    assert "3 mistakes" in said.err
    assert "'topic' would be the name of a task of each of" in said.err
    assert not (tmp_path / "both").exists()
    renames = [f"--rename=2:{name}={name}2" for name in ("topic", "mood", "score")]
    said = hf_mtl("join", world / "run", tmp_path / "copy", "-o", tmp_path / "both", *renames)
    assert said.code == 0
    assert "Joined the tasks topic, mood, score, topic2, mood2, score2 of 2 runs." in said.out
    assert f'MultiTaskModel.from_pretrained("{tmp_path / "both"}")' in said.out
    assert {"config.json", "model.safetensors", "tokenizer.json", "manifest.json"} <= {
        path.name for path in (tmp_path / "both").iterdir()
    }


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--rename", "topic"], "--rename: found 'topic'. Write OLD=NEW"),
        (["--rename", "a=b", "--rename", "a=c"], "--rename: gives 'a' two names"),
        (["--renam", "a=b"], "unknown option: --renam; see hf-mtl join --help. Did you mean --rename?"),
    ],
)
def test_join_refuses_what_it_cannot_read(
    words: list[str], message: str, hf_mtl: Callable[..., Said], world: Path, tmp_path: Path
) -> None:
    said = hf_mtl("join", world / "run", world / "run", "-o", tmp_path / "both", *words)
    assert said.code == 2
    assert message in said.err
    assert not (tmp_path / "both").exists()


def test_join_needs_a_place(hf_mtl: Callable[..., Said]) -> None:
    said = hf_mtl("join", "runs/a", "runs/b")
    assert said.code == 2
    assert "the following arguments are required: -o/--output" in said.err


@pytest.mark.parametrize("command", ["affinity", "compare", "diagnose"])
def test_a_command_of_one_process_refuses_a_launch_of_two(
    command: str, hf_mtl: Callable[..., Said], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in {"RANK": "0", "WORLD_SIZE": "2"}.items():
        monkeypatch.setenv(name, value)
    said = hf_mtl(command, "nowhere")
    assert said.code == 2
    assert f"{command}: was started as 2 processes. Start it as one" in said.err
