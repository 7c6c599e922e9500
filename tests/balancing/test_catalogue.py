"""What the table of methods is made of, for every method of both families."""

from typing import Any, get_args

import numpy as np
import pytest

from hf_mtl.balancing import AGGREGATORS, WEIGHTINGS, LossWeighting, aggregator, available, base
from hf_mtl.balancing.catalogue import (
    FAMILIES,
    NEEDS,
    REQUIRED,
    catalogue,
    method_facts,
    shared_options,
)
from hf_mtl.balancing.gramian_aggregator import GramianAggregator
from hf_mtl.errors import UserError
from hf_mtl.reporting.methods import method_page, methods_markdown, methods_table
from hf_mtl.signatures import argument_texts

every_method = pytest.mark.parametrize("name", list(available()))


def test_the_catalogue_has_every_method_of_a_family_by_name() -> None:
    for family in FAMILIES:
        names = [facts.name for facts in catalogue(family)]
        assert names == [name for name, found in available().items() if found == family]
        assert {facts.family for facts in catalogue(family)} == {family}


@every_method
def test_a_method_says_where_it_is_from_what_it_costs_and_what_it_does(name: str) -> None:
    facts = method_facts(name)
    assert facts.source.strip(" -")
    assert facts.cost.strip()
    summary = facts.doc.splitlines()[0]
    assert summary[0].isupper()
    assert facts.scale in (*get_args(aggregator.Scale), "additive", "joint")
    assert (facts.sums_to in get_args(base.SumsTo)) == (facts.family == "weighting")


@every_method
def test_the_source_is_that_of_the_docstring(name: str) -> None:
    facts = method_facts(name)
    paper = facts.source.partition(" (")[0]
    assert paper == "baseline" or paper in facts.doc


@every_method
def test_every_option_is_described_in_args(name: str) -> None:
    kind = base.WEIGHTINGS if name in base.WEIGHTINGS else aggregator.AGGREGATORS
    texts = argument_texts(kind[name])
    assert [option for option in method_facts(name).options if not texts.get(option)] == []
    assert not set(base.TOLD_BY_THE_RUN) & set(method_facts(name).options)


def test_options_have_the_defaults_of_the_signature() -> None:
    assert method_facts("dwa").options == {"temperature": 2.0, "window_steps": None, "weight_sum": None}
    assert method_facts("fixed").options["weights"] is REQUIRED
    assert method_facts("ngdiff").options["signs"] is REQUIRED
    assert method_facts("cagrad").options == {"c": 0.4, "rescale": 1, "preferences": None, "scope": "all"}


def test_what_weightings_and_aggregators_share() -> None:
    assert shared_options(catalogue("weighting")) == {"weight_sum": None}
    assert shared_options(catalogue("aggregator")) == {"scope": "all"}


def test_an_option_with_different_defaults_is_not_shared() -> None:
    # Both have c and rescale.
    assert shared_options([method_facts("cagrad"), method_facts("imgrad")]) == {"scope": "all"}


def test_needs_and_scale_are_those_of_the_class() -> None:
    assert method_facts("famo").needs == ("losses", "losses_after")
    assert method_facts("famo").scale == "joint"
    assert (method_facts("uw").needs, method_facts("uw").scale) == ((), "additive")
    assert (method_facts("pcgrad").needs, method_facts("pcgrad").scale) == (("gramian",), "sum")


def test_every_need_is_put_in_words() -> None:
    assert set(NEEDS) == {*get_args(base.Need), *get_args(aggregator.Need)}


def test_an_unknown_name_is_refused_with_the_nearest_of_both_families() -> None:
    with pytest.raises(UserError, match=r"unknown method 'pcgard'\. Known: .*Did you mean 'pcgrad'\?"):
        method_facts("pcgard")
    with pytest.raises(UserError, match=r"Did you mean 'famo'\?"):
        method_facts("fammo")


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("PCGrad", "pcgrad"),
        ("GradNorm", "gradnorm"),
        ("Nash-MTL", "nash_mtl"),
        ("IMTL-G", "imtl_g"),
        ("uncertainty weighting", "uw"),
    ],
)
def test_a_name_as_papers_write_it_leads_to_the_method(written: str, meant: str) -> None:
    with pytest.raises(UserError, match=rf"Did you mean '{meant}'\?"):
        method_facts(written)


class Bare(LossWeighting):
    """Weigh all tasks the same."""


class BareAggregator(GramianAggregator):
    """Add up."""

    def solve(self, gramian: Any, active: Any, losses: Any, **draws: Any) -> Any:
        return np.ones(len(active))


def test_a_method_of_ones_own_need_not_say_where_it_is_from(monkeypatch: pytest.MonkeyPatch) -> None:
    for kind, method in ((WEIGHTINGS, Bare), (AGGREGATORS, BareAggregator)):
        monkeypatch.setattr(kind, "_components", {name: kind[name] for name in kind.names()})
        kind.register(f"bare_{kind.word}")(method)
        assert "source  -" in method_page(f"bare_{kind.word}")
    for page in (methods_table(), methods_markdown()):
        assert "bare_weighting" in page
        assert "bare_aggregator" in page
    wrapped = AGGREGATORS.build({"name": "sam_mtl", "base": "bare_aggregator"}, num_tasks=2)
    assert wrapped.num_tasks == 2
