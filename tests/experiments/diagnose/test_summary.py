"""A diagnosis in words."""

from typing import Any

from hf_mtl.experiments.diagnose import diagnosis_text


def test_every_part_is_said_once(diagnosis: dict[str, Any]) -> None:
    text = diagnosis_text(diagnosis)
    for title in (
        "Layers of a run, on the rows of all tasks",
        "Last layers of two runs on the same rows",
        "What the tasks' heads make of the same rows",
        "Main directions in common at the last layer",
        "Linear probes of each layer",
        "Classes of each task at the last layer",
        "Early signals, of the first 10% of the steps: nothing is said",
    ):
        assert text.count(title) == 1
    assert "validation rows: 16 of multi_label_classification, " in text
    assert "Linear CKA of 112 rows of 16 features" not in text
    assert "run: the first evaluation came after 50% of the steps: it has no early scores." in text
    assert "What the first 10%" not in text
    probes = next(part for part in text.split("\n\n") if part.startswith("task  "))
    assert "chance" in probes.splitlines()[0]


def test_a_run_of_one_task_has_less_to_say(diagnosis: dict[str, Any]) -> None:
    nothing: dict[str, Any] = {"heads": [], "subspaces": [], "clusters": [], "task_silhouettes": [], "probes": []}
    early = {**diagnosis["early"], "runs": {}}
    text = diagnosis_text({**diagnosis, **nothing, "early": early, "cka": diagnosis["cka"][:1], "notes": []})
    assert text.endswith("Early signals: no log holds two evaluations.")
    assert "probes" not in text


def test_a_correlation_over_tasks_is_said_with_what_it_is_worth(diagnosis: dict[str, Any]) -> None:
    found = {"n": 6, "spearman": 0.9, "pearson": 0.8}
    early = {**diagnosis["early"], "tasks": {"score": found}}
    text = diagnosis_text({**diagnosis, "early": early})
    assert "the score of early evaluations: rank correlation 0.90, of values 0.80, 6 tasks of runs.\n" in text
    assert "mostly which tasks are easy" in text
    assert "mostly which tasks are easy" not in diagnosis_text({**diagnosis, "early": {**early, "tasks": {}}})


def test_directions_of_two_runs_are_said_with_what_they_ask_for(diagnosis: dict[str, Any]) -> None:
    said = "Those of two runs say something where both began with the same weights"
    assert said in diagnosis_text(diagnosis)
    within = [pair for pair in diagnosis["subspaces"] if pair["a"][0] == pair["b"][0]]
    assert said not in diagnosis_text({**diagnosis, "subspaces": within})


def heads_of(found: dict[str, Any], *tasks: str) -> dict[str, Any]:
    values = [[1.0, 0.1, 0.7], [0.1, 1.0, 0.3], [0.7, 0.3, 1.0]]
    kept = [row[: len(tasks)] for row in values[: len(tasks)]]
    return {**found, "heads": [{"run": "run", "tasks": list(tasks), "debiased": kept}]}


def test_the_only_pair_of_heads_is_said_once(diagnosis: dict[str, Any]) -> None:
    text = diagnosis_text(heads_of(diagnosis, "a", "b"))
    assert "run: a and b have a debiased CKA of 0.100.\n" in text
    assert "run: a and c are most alike (debiased CKA 0.700), a and b least (0.100)." in diagnosis_text(
        heads_of(diagnosis, "a", "b", "c")
    )


def test_a_head_that_is_not_compared_is_said_with_the_reason(diagnosis: dict[str, Any]) -> None:
    text = diagnosis_text(diagnosis)
    said = "token_classification: its head is compared with no other: heads are by row, and it has an output"
    assert text.count(f"{said} per token.") == 1
    assert "regression: its head" not in text
