import numpy as np
import pytest
from seqeval.metrics import f1_score, precision_score, recall_score
from seqeval.scheme import BILOU, IOB2, IOBES

from hf_mtl.data.tag_schemes import Scheme, all_tags
from hf_mtl.evaluation.metrics.entities import EntityF1, EntityPrecision, EntityRecall

SCHEMES: list[tuple[Scheme, type]] = [("iob2", IOB2), ("bioes", IOBES), ("bilou", BILOU)]


@pytest.mark.parametrize(("scheme", "theirs"), SCHEMES)
@pytest.mark.parametrize(
    ("metric", "function"), [(EntityF1, f1_score), (EntityPrecision, precision_score), (EntityRecall, recall_score)]
)
def test_values_are_those_of_seqeval_for_all_types_and_each(metric, function, scheme, theirs) -> None:
    random, names = np.random.default_rng(0), np.array(all_tags(["A", "B", "C"], scheme))
    lengths = random.integers(1, 9, 150)
    true = [names[random.integers(0, len(names), length)].tolist() for length in lengths]
    found = [[str(random.choice(names)) if random.random() < 0.2 else tag for tag in row] for row in true]
    values = metric(["A", "B", "C"], theirs.__name__).compute(predictions=found, references=true)
    options = {"mode": "strict", "scheme": theirs, "zero_division": 0}
    each = function(true, found, average=None, **options)
    assert values == pytest.approx(
        {metric.key: function(true, found, **options)}
        | {f"{metric.key}_{kind}": value for kind, value in zip("ABC", each, strict=True)}
    )
    assert 0 < values[metric.key] < 1


def test_types_without_entities_and_no_sentences_score_0() -> None:
    assert EntityF1(["A", "B"]).compute(predictions=[["B-A"]], references=[["B-A"]]) == {
        "entity_f1": 1.0,
        "entity_f1_A": 1.0,
        "entity_f1_B": 0.0,
    }
    assert EntityRecall(["A"]).compute(predictions=[], references=[]) == {
        "entity_recall": 0.0,
        "entity_recall_A": 0.0,
    }
