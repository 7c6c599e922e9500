from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor
from transformers import AutoConfig, AutoModel

from hf_mtl import Regression, SequenceClassification
from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskModel, build_head
from hf_mtl.modeling.encoded import Encoded
from hf_mtl.modeling.heads.stl_cnn import STLCNNHead
from tests import tiny
from tests.packs import pack
from tests.training import trainers

from ..families import FAMILIES, OTHERS, TASKS, make_model, make_texts, padding_of

BERT = AutoConfig.for_model(**FAMILIES["bert"], hidden_dropout_prob=0.3)
THREE = SequenceClassification(labels=3)
HEAD = {"type": "stl_cnn", "filters": 6}
LENGTHS = [1, 12, 3, 2, 7]


def make_head(**options: Any) -> STLCNNHead:
    torch.manual_seed(0)
    head = build_head({**HEAD, **options}, 16, THREE, BERT).eval()
    assert isinstance(head, STLCNNHead)
    return head


def make_states(lengths: list[int]) -> Encoded:
    """Random states."""
    torch.manual_seed(1)
    offsets = torch.tensor([0, *lengths]).cumsum(0)
    return Encoded(torch.randn(int(offsets[-1]), 16), offsets)


def by_hand(head: STLCNNHead, states: Tensor) -> Tensor:
    """The definition, for the real tokens of one row [l, H]: a window begins at each, zeros follow the last."""
    pooled = []
    for convolution in head.convolutions:
        filters, _, width = convolution.weight.shape
        best = np.zeros(filters)
        longer = torch.cat([states, torch.zeros(width - 1, 16)])
        for start in range(len(states)):
            window = longer[start : start + width].T
            values = (convolution.weight * window).sum(dim=(1, 2)) + convolution.bias
            best = np.maximum(best, values.detach().numpy())
        pooled.append(torch.tensor(best, dtype=torch.float32))
    return head.classifier(torch.cat(pooled))


# ---- The head ----


def test_outputs_are_those_of_the_definition() -> None:
    head, rows = make_head(), make_states(LENGTHS)
    torch.nn.init.normal_(head.convolutions[0].bias)  # a window of zeros does not give zero
    for output, states in zip(head(rows), rows.states.split(LENGTHS), strict=True):
        torch.testing.assert_close(output, by_hand(head, states), rtol=1e-4, atol=1e-5)


def test_no_rows_give_no_outputs() -> None:
    assert make_head()(make_states([4, 2])[0:0]).shape == (0, 3)


def test_defaults_are_the_papers() -> None:
    head = build_head("stl_cnn", 16, THREE, BERT)
    assert [tuple(item.weight.shape) for item in head.convolutions] == [(100, 16, 3), (100, 16, 4), (100, 16, 5)]
    assert head.classifier.weight.shape == (3, 300)


def test_dropout_is_the_heads_own_unless_it_or_the_model_says_otherwise() -> None:
    assert make_head().dropout.p == 0.1
    assert build_head(HEAD, 16, THREE, BERT, dropout=0.4).dropout.p == 0.4
    assert build_head({**HEAD, "dropout": 0.2}, 16, THREE, BERT, dropout=0.4).dropout.p == 0.2


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"widths": []}, r"model\.head\.widths: found \[\]"),
        ({"widths": [3, 0]}, r"model\.head\.widths\.1: found 0"),
        ({"filters": 0}, r"model\.head\.filters: found 0"),
        ({"dropout": None}, r"model\.head\.dropout: found nothing"),
    ],
)
def test_unusable_options_are_refused(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ModelError, match=message):
        make_head(**options)


# ---- In a model ----


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
def test_outputs_depend_neither_on_groups_nor_on_padding_nor_on_other_rows(family: str) -> None:
    model = make_model(family, HEAD)
    ids, mask = make_texts(LENGTHS, padding=padding_of(family))
    whole = model(ids, mask)
    grouped = model(packed=pack(ids, mask, [[0, 3], [1, 2, 4]], pad_id=padding_of(family)))
    torch.testing.assert_close(grouped.features, whole.features, rtol=1e-4, atol=1e-5)
    for task, logits in whole.logits.items():
        alone = torch.cat([model(ids[row : row + 1, :length]).logits[task] for row, length in enumerate(LENGTHS)])
        torch.testing.assert_close(grouped.logits[task], logits, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(alone, logits, rtol=1e-4, atol=1e-5)


def test_a_head_sees_the_rows_of_its_segment_only() -> None:
    model = make_model("bert", HEAD)
    ids, mask = make_texts(LENGTHS)
    part = model(ids, mask, segments={"train": (1, 3), "intensity": (3, 5)}).logits
    whole = model(ids, mask).logits
    torch.testing.assert_close(part["train"], whole["train"][1:3])
    torch.testing.assert_close(part["intensity"], whole["intensity"][3:5])


def test_the_models_features_are_pooled_all_the_same() -> None:
    model = make_model("bert", HEAD)
    ids, mask = make_texts(LENGTHS)
    assert torch.equal(model(ids, mask).features, model.encoder(ids, mask).last_hidden_state[:, 0])


def test_the_encoder_is_frozen() -> None:
    model = make_model("bert", HEAD, dropout=0.5).train()
    assert model.config.freeze == "encoder"
    assert not any(parameter.requires_grad for parameter in model.encoder.parameters())
    ids, mask = make_texts(LENGTHS)
    assert torch.equal(model(ids, mask).features, model(ids, mask).features)
    assert not torch.equal(*(model(ids, mask).logits["train"] for _ in range(2)))


def test_each_task_trains_as_in_a_model_of_its_own() -> None:
    together = make_model("bert", HEAD, dropout=0.0).train()
    ids, mask = make_texts(LENGTHS)
    labels = {"train": torch.tensor([0, 2, 1, 0, 0]), "intensity": torch.tensor([0.1, 0.9, 0.3, 0.2, 0.5])}
    together(ids, mask, labels=labels).loss.backward()
    for task, values in labels.items():
        alone = make_model("bert", HEAD, dropout=0.0, tasks={task: TASKS[task]}).train()
        alone.load_state_dict({k: v for k, v in together.state_dict().items() if k in alone.state_dict()})
        alone(ids, mask, task=task, labels=values).loss.backward()
        for mine, own in zip(together.heads.of(task).parameters(), alone.heads.parameters(), strict=True):
            torch.testing.assert_close(2 * mine.grad, own.grad)  # the loss is the mean over two tasks


def test_a_loaded_model_gives_the_same_bits(tmp_path: Path) -> None:
    model = make_model("roberta", {**HEAD, "widths": [2, 9]})
    model.save_pretrained(tmp_path)
    loaded = AutoModel.from_pretrained(tmp_path)
    assert [item.kernel_size for item in loaded.heads.of("train").head.convolutions] == [(2,), (9,)]
    ids, mask = make_texts(LENGTHS, padding=1)
    before, after = model(ids, mask).logits, loaded(ids, mask).logits
    assert all(torch.equal(before[task], after[task]) for task in TASKS)
    rounded = AutoModel.from_pretrained(tmp_path, dtype=torch.bfloat16)(ids, mask).logits
    for task in TASKS:
        # Eight bits of mantissa, on outputs of about one.
        torch.testing.assert_close(rounded[task].float(), before[task], rtol=0.05, atol=0.05)


def test_training_moves_the_heads_and_nothing_else(tmp_path: Path) -> None:
    model = tiny.model(dropout=0.1, head=HEAD)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    trainer = trainers.make(tmp_path, model=model, weight_decay=0.1, learning_rate=1e-2)
    trainer.train()
    losses = trainers.records(trainer, "loss")
    assert np.isfinite(losses).all()
    moved = {name for name, parameter in model.named_parameters() if not torch.equal(before[name], parameter)}
    assert moved == {name for name, _ in model.named_parameters() if name.startswith("heads.")}


def test_predictions_do_not_depend_on_the_layout(tmp_path: Path) -> None:
    data = tiny.datasets({"topic": 23, "score": 11}, seed=4)
    model = tiny.model(head=HEAD)
    model.set_statistics("score", mean=[2.0, 4.0], std=[0.5, 0.5])
    options: list[dict[str, Any]] = [{"encoder_layout": layout} for layout in ("packed", "groups", "padded")] + [
        {"per_device_eval_batch_size": 1}
    ]
    found = [trainers.make(tmp_path, model=model, **option).predict(data).predictions for option in options]
    for predictions in found[1:]:
        for task in data:
            np.testing.assert_allclose(predictions[task], found[0][task], rtol=1e-4, atol=1e-5)


# ---- What it goes with ----


def tasks_with(*heads: Any) -> dict[str, Any]:
    return {f"t{number}": Regression(head=head, standardize=False) for number, head in enumerate(heads)}


def test_heads_that_train_the_encoder_are_refused_beside_it() -> None:
    message = (
        r"tasks\.t1\.head: head 'stl_cnn' keeps the encoder frozen, and the heads of t0, t2 train it\. Give every"
    )
    with pytest.raises(ModelError, match=message) as caught:
        make_model("bert", tasks=tasks_with("linear", HEAD, None))
    assert len(caught.value.mistakes) == 1
    with pytest.raises(ModelError, match="the heads of t1 train it"):
        make_model("bert", HEAD, tasks=tasks_with(None, "mlp"))


def test_other_heads_may_sit_on_the_frozen_encoder_where_that_is_said() -> None:
    model: MultiTaskModel = make_model("bert", tasks=tasks_with("linear", HEAD, "native"), freeze="encoder")
    ids, mask = make_texts(LENGTHS)
    logits, hidden = model(ids, mask).logits, model.encoder(ids, mask)
    assert torch.equal(logits["t0"], model.heads.of("t0").head(hidden.last_hidden_state[:, 0]))
    assert torch.equal(logits["t2"], model.heads.of("t2").head(hidden.pooler_output))
    assert not any(parameter.requires_grad for parameter in model.encoder.parameters())


@pytest.mark.parametrize("freeze", ["embeddings", 1])
def test_another_frozen_part_is_refused(freeze: Any) -> None:
    message = (
        rf"model\.freeze: found {freeze}, but task 't0' has head 'stl_cnn', which keeps the encoder frozen\. Write"
    )
    with pytest.raises(ModelError, match=message):
        make_model("bert", HEAD, tasks=tasks_with(None, None), freeze=freeze)


def test_adapters_are_refused() -> None:
    with pytest.raises(ModelError, match=r"model\.peft: has adapters to train, but task 't0' has head 'stl_cnn'"):
        make_model("bert", HEAD, tasks=tasks_with(None), peft="lora")
