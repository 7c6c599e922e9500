"""From a paper to its methods and recipes."""

from pathlib import Path

import pytest

from hf_mtl.reporting.papers import citation_of, methods, methods_used, paper_index


def documented(source: str) -> type:
    return type("Method", (), {"__doc__": f"Do it.\n\n    Source: {source}\n\n    Args:\n        a: b.\n    "})


@pytest.mark.parametrize(
    ("source", "citation"),
    [
        ("Liu et al., CVPR 2019, arXiv:1803.10704. Departs from it.", "Liu et al., CVPR 2019, arXiv:1803.10704"),
        ("A, B, 2021, arXiv:2109.08218, which takes s as it is.", "A, B, 2021, arXiv:2109.08218"),
        ("UW-O of K et al., GCPR 2024, arXiv:2408.07985: fixed.", "K et al., GCPR 2024, arXiv:2408.07985"),
        (
            'L et al., "Towards", ICLR 2021 (OpenReview abc). Weights.',
            'L et al., "Towards", ICLR 2021 (OpenReview abc)',
        ),
        ('"MT2ST: One", Eq. 8 and 20. Departs.', '"MT2ST: One"'),
        ('the baseline of H et al., "VIP"; K, arXiv:1408.5882. A window.', 'H et al., "VIP"'),
        ('an hf_mtl definition; "MT2ST" gives a sentence.', None),
    ],
)
def test_a_citation_is_cut_out_of_its_paragraph(source: str, citation: str | None) -> None:
    assert citation_of(documented(source)) == citation


def test_a_class_without_a_source_has_no_paper() -> None:
    assert citation_of(type("Method", (), {"__doc__": "Do it."})) is None


def test_every_method_but_the_baselines_has_a_paper() -> None:
    without = {name for (_, name), cls in methods() if citation_of(cls) is None}
    assert without == {
        *("ew", "fixed", "sum", "mean"),  # baselines
        *("linear", "mlp", "native"),  # plain heads
        *("enter", "leave", "warmup", "mt2st_feedback", "task_early_stopping"),  # hf_mtl's own
    }


def test_a_recipe_uses_what_it_names_by_name_or_with_options() -> None:
    recipe = {
        "model": {"head": {"type": "vip", "beta": 1}},
        "tasks": {"a": {"head": "mlp"}, "b": None},
        "balancing": {"weighting": "uw", "aggregator": {"name": "pcgrad"}},
        "schedules": ["alternating", {"type": "enter", "task": "a"}],
        "mixture": {"learn": {"objective": "dro"}},
    }
    assert methods_used(recipe) == {
        *(("head", "vip"), ("head", "mlp")),
        *(("weighting", "uw"), ("aggregator", "pcgrad")),
        *(("schedules", "alternating"), ("schedules", "enter"), ("mixture.learn", "temperature")),
    }
    for learn in ("pike", {"type": "pike"}, {"objective": "pike", "every": 5}):
        assert methods_used({"mixture": {"learn": learn}}) == {("mixture.learn", "pike")}


def test_papers_are_linked_to_the_recipes_of_their_methods(tmp_path: Path) -> None:
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "one.yaml").write_text("balancing: {aggregator: nash_mtl}\n")
    (tmp_path / "broken.yaml").write_text("a: [\n")
    [row] = [line for line in paper_index(tmp_path).splitlines() if "2202.01017" in line]
    assert row == (
        "| Navon et al., ICML 2022, [arXiv:2202.01017](https://arxiv.org/abs/2202.01017) "
        "| `aggregator: nash_mtl`, `weighting: si` | [study/one.yaml](study/one.yaml) |"
    )
