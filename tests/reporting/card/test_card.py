"""A card is a pure function of what is known, says all of it, and is valid for the Hub."""

import json
import re
from dataclasses import replace
from typing import Any

import pytest
import yaml
from huggingface_hub import ModelCard

from hf_mtl import Regression, SequenceClassification
from hf_mtl.balancing.base import WEIGHTINGS, LossWeighting
from hf_mtl.errors import RunError
from hf_mtl.reporting.card import CardFacts, Source, benchmark_entries, model_card, sources_of
from hf_mtl.tasks import DatasetSource, MetricSpec
from tests import tiny

SCORES: dict[str, Any] = {
    "tasks": {
        "mood": {"f1_macro": 0.75, "loss": 0.4},
        "score": {"rmse": 1.5, "pearson": None, "loss": 0.1},
    },
    "average": 0.75,
    "macro": 0.75,
    "worst": 0.75,
    "notes": ["score: pearson is undefined: all |targets| are <equal>."],
}
FACTS = CardFacts(
    "user/support",
    {
        "mood": SequenceClassification(labels=["good", "b|ad", "`x`"], metrics=[MetricSpec(name="f1_macro")]),
        "score": Regression(metrics=[MetricSpec(name="rmse"), MetricSpec(name="pearson")]),
    },
    {
        "model": {"backbone": "org/bert", "freeze": 4},
        "mixture": {"temperature": 2.0, "min_per_task": 1},
        "balancing": {"weighting": {"name": "dwa", "temperature": 3.0}, "aggregator": {"name": "pcgrad"}},
        "schedules": [{"type": "warmup", "tasks": ["mood"], "steps": 5}],
        "training": {"learning_rate": 1e-4, "seed": 7, "max_steps": 80},
    },
    "model:\n  backbone: org/bert\n",
    {
        **SCORES,
        "split": "validation",
        "baselines": {"tfidf": {"tasks": {"mood": {"f1_macro": 0.6}}, "average": 0.6, "notes": ["cut."]}},
        "contamination": [
            {"task": "mood", "split": "test", "rows": 40, "found": 3, "trained": "mood", "trained_rows": 4}
            | {"dropped": True}
        ],
        "step": 60,
        "trained_steps": 70,
        "planned_steps": 80,
        "test": {**SCORES, "tasks": {**SCORES["tasks"], "mood": {"f1_macro": 0.7, "loss": 0.5}}},
    },
    {
        "mood": [Source("org/moods, english", "org/moods", "english", "v1", {"test": "eval"})],
        "score": [Source("local files (csv)")],
    },
    {"mood": {"train": 4000, "validation": 400, "test": 40}, "score": {"train": 10, "validation": 2}},
    [
        {"step": 50, "loss": 1.0, "loss/mood": 0.5, "share/mood": 0.75, "passes/mood": 1.25, "weight/mood": 0.4},
        {"step": 70, "train_runtime": 100.0, "total_flos": 2.5e12},
    ],
    {"hardware": "CPU (x86_64, 2 cores)", "processes": 2, "versions": {"torch": "2.0"}, "begun": 2},
    single={"test": {"mood": {"f1_macro": 0.65}}},
    licences={"org/moods": "cc-by-4.0"},
    has_page=True,
    picture=True,
)


def test_the_card_says_all_that_is_known() -> None:
    text = model_card(FACTS)
    body = text.partition("\n---\n\n")[2]
    for part in [
        "# support\n",
        "from [org/bert](https://huggingface.co/org/bert): `mood`, `score`.",
        "| `mood` | sequence classification | `good`, `b\\|ad`, `` `x` `` | 4,000 | 400 | 40 | `org/moods, ",
        "| `score` | regression | `label` | 10 | 2 |  | `local files (csv)` |",
        "| `mood` | `f1_macro` | **0.7500** | 0.6000 |",
        "| `mood` | `f1_macro` | **0.7000** | 0.6500 |",
        "| `score` | `rmse` (less is better) | **1.5000** |",
        "| `score` | `pearson` | **undefined** |",
        r"- score: pearson is undefined: all \|targets\| are \<equal\>.",
        "- TF-IDF with a linear model: cut.",
        "[org/moods](https://huggingface.co/datasets/org/moods): licence `cc-by-4.0`, as its page says.",
        "3 of the 40 test rows of `mood` stand in the training rows of `mood`; these 4 rows were taken out of them.",
        "- 70 optimizer steps of 80 planned; the model is that of step 60.",
        "- Of the encoder, the embeddings and 4 layers from the bottom stayed as pretrained.",
        "with temperature 2: in proportion to (training rows)^(1/2); min_per_task 1.",
        "- Losses were weighted by `dwa` (temperature 3.0): ",
        "- Task gradients were combined by `pcgrad`: ",
        "- `warmup` (tasks [mood], steps 5): ",
        "| `mood` | 75.0% | 1.25 | 0.4 | 0.5 |",
        "| `learning_rate` | `0.0001` |",
        "![Losses, weights, shares and scores while training](figures/training.png)",
        "- Hardware: CPU (x86_64, 2 cores), 2 processes.",
        "- Training time of the last process that trained it: 100.0 s",
        "2.5 TFLOP.",
        "- Versions: torch 2.0.",
        "```yaml\nmodel:\n  backbone: org/bert\n```",
    ]:
        assert part in body, part
    assert model_card(FACTS) == text, "the same facts make the same text"


def test_a_run_of_more_steps_than_were_planned_is_none_of_fewer() -> None:
    text = model_card(replace(FACTS, results={**FACTS.results, "trained_steps": 90, "step": 90}))
    assert "- 90 optimizer steps, more than the 80 that were asked for last.\n" in text


def test_of_every_target_it_says_that_less_is_better() -> None:
    metrics = [MetricSpec(name="rmse"), MetricSpec(name="pearson")]
    scores = {"tasks": {"va": {"rmse": 1.5, "rmse_v": 1.0, "rmse_a": 2.0, "pearson": 0.5, "pearson_v": 0.25}}}
    facts = replace(FACTS, tasks={"va": Regression(label=["v", "a"], metrics=metrics)}, results=scores)
    text = model_card(facts)
    for key, value in {"rmse": 1.5, "rmse_v": 1.0, "rmse_a": 2.0}.items():
        assert f"| `va` | `{key}` (less is better) | **{value:.4f}** |" in text
    for key, value in {"pearson": 0.5, "pearson_v": 0.25}.items():
        assert f"| `va` | `{key}` | **{value:.4f}** |" in text


def test_the_data_of_the_card_are_valid_and_have_a_result_for_each_task() -> None:
    card = ModelCard(model_card(FACTS))
    data = yaml.safe_load(card.content.split("---\n")[1])
    (index,) = data["model-index"]
    assert index["name"] == "support"
    mood, score = index["results"]
    assert mood["task"] == {"type": "text-classification", "name": "Text classification: mood"}
    assert mood["dataset"] == {
        "name": "org/moods, english",
        "type": "org/moods",
        "config": "english",
        "split": "eval",
        "revision": "v1",
    }
    assert mood["metrics"] == [{"type": "f1_macro", "value": 0.7, "name": "f1_macro"}]
    assert score["metrics"] == [{"type": "rmse", "value": 1.5, "name": "rmse"}], "what is undefined is left out"
    assert (data["base_model"], data["datasets"], data["library_name"]) == ("org/bert", ["org/moods"], "hf_mtl")
    results = card.data.eval_results
    assert results is not None
    assert [(item.dataset_type, item.metric_value) for item in results] == [("org/moods", 0.7), ("local", 1.5)]


def test_what_is_not_known_is_left_out() -> None:
    text = model_card(CardFacts("user/joined", tiny.TASKS))
    headings = re.findall("^## (.*)$", text, re.M)
    assert headings == ["Use", "Tasks"]
    assert "from the encoder of its runs" in text
    assert "model-index" not in text
    assert ModelCard(text).data.to_dict()["library_name"] == "hf_mtl"


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"backbone": "my_bert"}, "together with hf_mtl from `my_bert`: "),
        ({"backbone": {"model_type": "bert"}}, "together with hf_mtl from a `bert` encoder with random weights: "),
        ({"backbone": None}, "together with hf_mtl: "),
    ],
)
def test_what_training_began_with_is_said_only_where_it_is_known(model: dict[str, Any], said: str) -> None:
    assert said in model_card(replace(FACTS, recipe={"model": model}, has_page=False))


class Unsourced(LossWeighting):
    """Weigh as its user likes."""


def test_a_card_of_own_components_names_no_source_and_says_that_their_code_must_be_allowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(WEIGHTINGS, "_components", {name: WEIGHTINGS[name] for name in WEIGHTINGS.names()})
    WEIGHTINGS.register("unsourced")(Unsourced)
    own = {"plugins": ["mine.parts"], "balancing": {"weighting": {"name": "unsourced", "strength": 2}}}
    text = model_card(replace(FACTS, recipe={**FACTS.recipe, **own}))
    assert "- Losses were weighted by `unsourced` (strength 2): weigh as its user likes.\n" in text
    assert "trains the model again: `hf-mtl train recipe.yaml --allow-code`." in text


def test_of_heads_alone_it_says_where_the_encoder_is() -> None:
    text = model_card(replace(FACTS, heads_only="org/bert at revision 0123456789ab"))
    assert "The files here hold the heads alone." in text
    assert "is fetched from `org/bert at revision 0123456789ab`" in text


def test_no_token_gets_into_a_card() -> None:
    token = "hf_" + "a1B2" * 8
    leaks = replace(
        FACTS,
        recipe_text=f"training:\n  hub_token: {token}\n",
        sources={"mood": [Source(f"https://user:{token}@host/x.csv")], "score": []},
        recipe={**FACTS.recipe, "mixture": {"learn": token}},
    )
    assert token not in model_card(leaks)


@pytest.mark.parametrize(
    ("mixture", "said"),
    [
        ({}, "Tasks were drawn in proportion to their training rows."),
        ({"temperature": "uniform"}, "Tasks were drawn equally often, whatever their sizes."),
        ({"temperature": {"mood": 1.0, "score": 4.0}}, "with a temperature each (mood 1.0, score 4.0)."),
        ({"proportions": {"mood": 3, "score": 1}}, "in the proportions mood 3, score 1."),
        ({"anneal": {"start": 1, "end": 5}}, "with a temperature that moved (start 1, end 5)."),
        (
            {"learn": {"objective": "pike"}, "one_task_per_step": True},
            "learned while training (objective pike); one_t",
        ),
    ],
)
def test_mixtures_are_said_in_words(mixture: dict[str, Any], said: str) -> None:
    assert said in model_card(replace(FACTS, recipe={**FACTS.recipe, "mixture": mixture}))


def test_sources_tell_the_hub_from_this_machine() -> None:
    sources = [
        DatasetSource(path="csv", data_files="/home/me/a.csv"),
        DatasetSource(path="/home/me/folder"),
        DatasetSource(path="org/data", name="x", revision="v2", splits={"validation": "dev"}),
        DatasetSource(path="org/data", name="x", revision="v2", splits={"validation": "dev"}),
        DatasetSource(path="hf_mtl/support_desk", name="topic"),
    ]
    found = sources_of(SequenceClassification(dataset=sources))
    assert [(item.words, item.hub_id) for item in found] == [
        ("local files (csv)", None),
        ("a local folder", None),
        ("org/data, x", "org/data"),
        ("hf_mtl/support_desk, topic (made by hf_mtl)", None),
    ]
    assert sources_of(SequenceClassification()) == []
    assert "/home/me" not in json.dumps([item.words for item in found])


def test_benchmarks_get_the_first_metric_of_the_rows_that_they_ask_for() -> None:
    asked = {
        "org/moods": {"tasks": [{"id": "moods", "config": "english", "split": "eval"}, {"id": "x", "split": "z"}]}
    }
    (entry,) = benchmark_entries(FACTS, asked)
    found = (entry.dataset_id, entry.task_id, entry.value, entry.dataset_revision)
    assert found == ("org/moods", "moods", 0.7, "v1")
    assert benchmark_entries(FACTS, {}) == []
    other = {"org/moods": {"tasks": [{"id": "moods", "config": "french", "split": "eval"}]}}
    assert benchmark_entries(FACTS, other) == []


def test_what_a_card_cannot_have_is_refused() -> None:
    assert CardFacts.given({"tags": "a", "license": "mit", "language": None}) == {"tags": ["a"], "license": "mit"}
    with pytest.raises(RunError, match="finetuned_from: is nothing that a card has"):
        CardFacts.given({"finetuned_from": "x"})
