"""What a model or a run that others made names is not run."""

import json
from pathlib import Path

import evaluate
import pytest
import yaml

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments, load_recipe
from hf_mtl.errors import RunError, UserError
from hf_mtl.modeling import MultiTaskConfig
from hf_mtl.tasks import MetricSpec
from hf_mtl.training import evaluate_run, plan_recipe, run_recipe
from tests import tiny
from tests.training import runs


@pytest.fixture
def asked(monkeypatch):
    """What `evaluate` was asked to load; it gives our accuracy for everything."""
    from hf_mtl.evaluation.metrics.accuracy import Accuracy

    found = []

    def load(name, **options):
        found.append(name)
        return Accuracy(num_classes=3)

    monkeypatch.setattr(evaluate, "load", load)
    return found


def named(name):
    return [MetricSpec(name="accuracy"), MetricSpec(name=name, greater_is_better=True)]


def model_with(name):
    """A model whose classification has a metric of that name."""
    plain = tiny.model()
    tasks = {key: task.model_copy(update={"metrics": named(name)}) for key, task in plain.tasks.items()}
    only = next(key for key, task in tasks.items() if not task.real_valued)
    return MultiTaskModel.from_backbone(plain.config.encoder_config, {only: tasks[only]}), only


def trainer_of(model, folder, rows=None, **options):
    args = MultiTaskTrainingArguments(output_dir=str(folder), report_to="none", use_cpu=True, disable_tqdm=True)
    return MultiTaskTrainer(model, args, eval_dataset=rows, processing_class=tiny.tokenizer(), **options)


def test_a_config_keeps_no_path_of_a_script_and_the_model_in_memory_does(tmp_path):
    model, task = model_with("/home/anna/metrics/mine.py")
    model.save_pretrained(tmp_path / "model")
    text = (tmp_path / "model" / "config.json").read_text()
    assert "anna" not in text
    assert "tasks_from_file" not in text
    assert json.loads(text)["tasks"][task]["metrics"][1]["name"] == "mine.py"
    assert model.tasks[task].metrics[1].name == "/home/anna/metrics/mine.py"
    assert model.config.to_dict()["tasks"][task]["metrics"][0] == {"name": "accuracy"}


def test_a_config_knows_whether_it_was_read_from_a_file(tmp_path):
    model, _ = model_with("accuracy_too")
    assert not model.config.tasks_from_file
    model.save_pretrained(tmp_path)
    for config in (
        MultiTaskConfig.from_pretrained(tmp_path),
        MultiTaskConfig.from_pretrained(tmp_path, return_unused_kwargs=True, unused=1)[0],
        MultiTaskConfig.from_json_file(tmp_path / "config.json"),
        MultiTaskModel.from_pretrained(tmp_path).config,
    ):
        assert config.tasks_from_file


@pytest.mark.parametrize("name", ["matthews_correlation", "user/metric", "./mine.py"])
def test_a_loaded_model_runs_no_metric_that_its_config_names(tmp_path, asked, name):
    made, task = model_with(name)
    made.save_pretrained(tmp_path)
    rows = {task: tiny.rows(task, 8)}
    loaded = MultiTaskModel.from_pretrained(tmp_path)
    with pytest.raises(UserError, match=rf"tasks\.{task}\.metrics: .*allow_code=True in Python"):
        trainer_of(loaded, tmp_path / "out", rows)
    trainer = trainer_of(loaded, tmp_path / "out")
    with pytest.raises(UserError, match="allow_code=True in Python"):
        trainer.evaluate(rows)
    with pytest.raises(UserError, match="allow_code=True in Python"):
        trainer.predict(rows)
    unlabelled = {task: rows[task].remove_columns(made.tasks[task].label_columns)}
    assert len(trainer.predict(unlabelled).predictions[task]) == 8
    made.export_task(task, tmp_path / "plain", tiny.tokenizer())
    assert asked == []


def test_a_loaded_model_runs_them_with_the_users_word(tmp_path, asked):
    made, task = model_with("user/metric")
    made.save_pretrained(tmp_path)
    trainer = trainer_of(MultiTaskModel.from_pretrained(tmp_path), tmp_path / "out", allow_code=True)
    metrics = trainer.evaluate({task: tiny.rows(task, 8)})
    assert asked == ["user/metric"]
    assert metrics[f"eval_{task}_metric"] == metrics[f"eval_{task}_accuracy"]


def test_ones_own_code_needs_no_word_for_ids_of_evaluate_and_one_for_scripts(tmp_path, asked):
    model, task = model_with("matthews_correlation")
    trainer_of(model, tmp_path).evaluate({task: tiny.rows(task, 8)})
    assert asked == ["matthews_correlation"]
    model, task = model_with("./mine.py")
    with pytest.raises(UserError, match="'./mine.py' is code of your own or of others"):
        trainer_of(model, tmp_path, {task: tiny.rows(task, 8)})


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    """A recipe of one step."""
    folder = tmp_path_factory.mktemp("world")
    with runs.own_cache(folder):
        yield runs.write_recipe(folder, max_steps=1, eval_steps=1, save_steps=1)


@pytest.fixture
def override(world):
    content = yaml.safe_load(world.read_text())
    task = next(name for name, item in content["tasks"].items() if item["type"] == "sequence_classification")
    return lambda name: f"tasks.{task}.metrics=[accuracy, {{name: {name}, greater_is_better: true}}]"


def test_a_run_that_names_code_is_scored_with_the_users_word_or_with_other_metrics(tmp_path, world, override, asked):
    run = tmp_path / "run"
    script, place = override("./metrics/mine.py"), str(Path.cwd() / "metrics" / "mine.py")
    recipe = load_recipe(world, [f"training.output_dir={run}", script], allow_code=True)
    with pytest.raises(UserError, match="--allow-code"):
        run_recipe(world, [f"training.output_dir={run}", script])
    assert asked == []
    assert plan_recipe(recipe)
    assert asked == [place]  # a plan finds the mistakes that training would
    assert not (run / "recipe.yaml").exists()
    run_recipe(recipe, baselines=True)
    assert set(asked) == {place}
    asked.clear()
    with pytest.raises(UserError, match=r"recipe\.yaml:.*/metrics/mine\.py' is code .*--allow-code"):
        evaluate_run(run)
    assert evaluate_run(run, [override("f1_macro")])["tasks"]
    assert asked == []
    evaluate_run(run, [override("matthews_correlation")])  # the user names it
    evaluate_run(run, allow_code=True, baselines=True)
    assert asked[0] == "matthews_correlation"
    assert set(asked[1:]) == {place}


def test_an_id_of_evaluate_that_a_run_names_needs_the_users_word(tmp_path, world, override, asked):
    run_recipe(world, [f"training.output_dir={tmp_path}", override("matthews_correlation")])
    asked.clear()
    with pytest.raises(RunError, match=r"recipe\.yaml:.*a file of the model or run names 'matthews_correlation'"):
        evaluate_run(tmp_path)
    assert asked == []
    assert evaluate_run(tmp_path, allow_code=True)["tasks"]
    assert run_recipe(world, [f"training.output_dir={tmp_path}", override("matthews_correlation")], resume=True)
