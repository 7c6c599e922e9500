"""A type from outside the package goes all the way: a recipe, its run, the files of the run, and Python."""

import json
from pathlib import Path

import pytest

from hf_mtl import MultiTaskModel, load_recipe, run_recipe
from hf_mtl.errors import ModelError, RecipeError
from hf_mtl.evaluation.registry import register_metric
from hf_mtl.recipe.json_schema import json_schema
from hf_mtl.tasks import TASK_TYPES
from tests.task_types.independent import EXACT_MATCH, SAMPLE, IndependentLabels

RECIPE = """\
model:
  backbone: {{model_type: bert, hidden_size: 16, num_hidden_layers: 1, num_attention_heads: 2, intermediate_size: 16}}
  tokenizer: {{train: wordpiece, vocab_size: 120}}
  max_length: 24
tasks:
  traits:
    type: independent_labels
    dataset: {{path: json, data_files: {{train: rows.jsonl, validation: rows.jsonl}}}}
    label: [high, low, even]
  score: {{type: regression, dataset: {{path: json, data_files: {{train: rows.jsonl}}}}, label: high}}
training: {{output_dir: {folder}, max_steps: 3, per_device_train_batch_size: 4, use_cpu: true, report_to: none}}
"""


@pytest.fixture
def recipe(tmp_path: Path) -> Path:
    SAMPLE.rows(40).to_json(str(tmp_path / "rows.jsonl"))
    (tmp_path / "recipe.yaml").write_text(RECIPE.format(folder=tmp_path / "run"))
    return tmp_path / "recipe.yaml"


@pytest.mark.usefixtures("outside")
def test_a_recipe_trains_scores_and_saves_it(recipe: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    results = run_recipe(load_recipe(recipe), baselines=True)
    written = json.loads((tmp_path / "run" / "results.json").read_text())
    assert results["tasks"]["traits"].keys() >= {"exact_match", "loss"}
    assert written["baselines"]["tfidf"]["tasks"]["traits"].keys() == {"exact_match"}
    model = MultiTaskModel.from_pretrained(tmp_path / "run")
    assert isinstance(model.tasks["traits"], IndependentLabels)
    with pytest.raises(ModelError, match=r"tasks\.traits: no AutoModel .* of type independent_labels\. Load it with"):
        model.export_task("traits", tmp_path / "exported")
    # Where nobody has imported the type, its run says what is missing.
    monkeypatch.delitem(TASK_TYPES._components, "independent_labels")
    with pytest.raises(ModelError, match=r"unknown task type 'independent_labels'.*Import the module"):
        MultiTaskModel.from_pretrained(tmp_path / "run")


@pytest.mark.usefixtures("outside")
def test_the_schema_and_the_mistakes_of_a_recipe_know_it(recipe: Path) -> None:
    assert "IndependentLabels" in json_schema()["$defs"]
    with pytest.raises(RecipeError) as caught:
        load_recipe(recipe, ["tasks.traits.metrics=f1_macro", "tasks.traits.labels=3", "tasks.score.label=[]"])
    said = "\n".join(map(str, caught.value.mistakes))
    assert "the metric 'f1_macro' cannot score a task of type independent_labels" in said
    assert "tasks.traits.labels: unknown key 'labels'" in said
    assert "tasks.score.label: found []" in said


def test_it_is_unknown_until_it_is_registered(recipe: Path) -> None:
    assert "IndependentLabels" not in json_schema()["$defs"]
    with pytest.raises(RecipeError, match="unknown task type 'independent_labels'"):
        load_recipe(recipe)


@pytest.mark.usefixtures("outside")
def test_a_metric_is_registered_once() -> None:
    register_metric("exact_match", EXACT_MATCH)
    with pytest.raises(ValueError, match="'exact_match' is registered already"):
        register_metric("exact_match", EXACT_MATCH._replace(class_name="Other"))
