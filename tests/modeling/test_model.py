from typing import Any

import pytest
import torch
from torch.export import Dim

from hf_mtl import Regression, SequenceClassification
from hf_mtl.batch import EncoderLayout
from hf_mtl.errors import ModelError
from hf_mtl.modeling import MultiTaskOutput, split_parameters
from tests.packs import pack

from .families import FAMILIES, LENGTHS, OTHERS, SEGMENTS, TASKS, make_model, make_texts, packed_rows, padding_of

LABELS = {
    "train": torch.tensor([2, 0]),
    "emo.bank": torch.tensor([[3.1, 2.0, 0.0], [2.5, -1.0, -1.2], [3.0, 4.0, -0.9]]),
    "intensity": torch.tensor([0.7]),
}


@pytest.mark.parametrize("family", [*FAMILIES, *OTHERS])
@pytest.mark.parametrize("layout", ["groups", "auto"])
def test_every_layout_gives_what_one_rectangle_gives(family: str, layout: EncoderLayout) -> None:
    model = make_model(family)
    ids, mask = make_texts(LENGTHS, padding=padding_of(family))
    whole = model(ids, mask)
    model.settle_layout(layout)
    found = model(**packed_rows(family), labels=LABELS)
    torch.testing.assert_close(found.features, whole.features, rtol=1e-4, atol=1e-5)
    for task, (start, stop) in SEGMENTS.items():
        torch.testing.assert_close(found.logits[task], whole.logits[task][start:stop], rtol=1e-4, atol=1e-5)
        assert found.row_losses[task].shape == (stop - start,)
        assert found.row_losses[task].dtype == torch.float32


@pytest.mark.parametrize("family", ["bert", "albert", "roberta", "modernbert-mean", "llama"])
def test_gradients_of_every_layout_are_those_of_one_rectangle(family: str) -> None:
    model = make_model(family)
    ids, mask = make_texts(LENGTHS, padding=padding_of(family))
    gradients = []
    for layout, batch in (
        ("padded", {"packed": pack(ids, mask, pad_id=padding_of(family)), "segments": SEGMENTS}),
        ("groups", packed_rows(family)),
        ("packed", packed_rows(family)),
    ):
        model.settle_layout(layout)  # type: ignore[arg-type]
        model.zero_grad()
        sum(losses.sum() for losses in model(**batch, labels=LABELS).row_losses.values()).backward()
        gradients.append({name: parameter.grad.clone() for name, parameter in model.named_parameters()})
    for name, gradient in gradients[0].items():
        for other in gradients[1:]:
            torch.testing.assert_close(gradient, other[name], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("layout", ["groups", "packed"])
def test_rows_of_several_tasks_can_share_one_encoding(layout: EncoderLayout) -> None:
    model = make_model("electra")
    model.settle_layout(layout)
    ids, mask = make_texts([6, 4])
    calls = []
    model.encoder.register_forward_hook(lambda *call: calls.append(call[2].last_hidden_state.shape[:2].numel()))
    output = model(
        packed=pack(ids, mask),
        order=torch.tensor([0, 1, 1, 0, 0]),
        segments={"train": (0, 2), "intensity": (2, 5)},
    )
    assert calls == [10 if layout == "packed" else 12]
    assert torch.equal(output.features[1], output.features[2])
    assert torch.equal(output.logits["intensity"][1], output.logits["intensity"][2])


def test_idle_heads_get_no_gradient() -> None:
    model = make_model("roberta").train()
    ids, mask = make_texts([6, 4])
    model(ids, mask, task="train", labels=torch.tensor([0, 1])).loss.backward()
    assert all(p.grad is not None for p in model.heads.of("train").parameters())
    assert all(p.grad is None for p in model.heads.of("intensity").parameters())


NO_ROWS = [
    *(Regression(label=["x", "y"], loss=loss) for loss in ("mse", "mae", "huber")),
    Regression(label="x"),
    Regression(label="x", standardize=False),
    SequenceClassification(labels=3, class_weights=[1.0, 2.0, 3.0], loss="focal"),
    SequenceClassification(labels=3, label_smoothing=0.1),
]


@pytest.mark.parametrize("head", ["linear", "mlp", "native", "vip", "mt_vib", "hierarchical", "vmtl", "stl_cnn"])
def test_a_batch_in_which_a_task_has_no_rows_gives_gradients_of_zero(head: str) -> None:
    """As a micro-batch of a step that has fewer rows than micro-batches; every loss sees no labels."""
    model = make_model("bert", head, tasks={f"t{number}": task for number, task in enumerate(NO_ROWS)}).train()
    ids, mask = make_texts([4])
    for number, (name, task) in enumerate(model.tasks.items()):
        shape = (0, 2) if len(task.label_columns) == 2 else (0,)
        labels = {name: torch.zeros(shape, dtype=torch.float32 if number < 5 else torch.int64)}
        output = model(packed=pack(ids, mask), segments={name: (0, 0)}, labels=labels)
        assert output.row_losses[name].shape == (0,)
        output.row_losses[name].sum().backward()
    assert all(not p.grad.any() for p in model.encoder.parameters() if p.grad is not None)


def test_plain_use_runs_every_head_or_one() -> None:
    model = make_model("bert")
    ids, mask = make_texts([6, 4])
    every = model(ids, mask)
    assert isinstance(every, MultiTaskOutput)
    assert list(every.logits) == list(TASKS)
    assert every.loss is None
    assert every.row_losses == {}
    one = model(ids, mask, task="emo.bank")
    assert list(one.logits) == ["emo.bank"]
    assert torch.equal(one.logits["emo.bank"], every.logits["emo.bank"])


def test_loss_is_the_mean_over_tasks() -> None:
    model = make_model("bert")
    ids, mask = make_texts([6, 4])
    labels = {"train": torch.tensor([0, 2]), "intensity": torch.tensor([0.1, 0.9])}
    output = model(ids, mask, labels=labels)
    means = [output.row_losses[task].mean() for task in labels]
    torch.testing.assert_close(output.loss, sum(means) / 2)


def test_missing_mask_means_no_padding() -> None:
    model = make_model("modernbert-mean")
    ids, mask = make_texts([5, 5])
    torch.testing.assert_close(model(ids).features, model(ids, mask).features)


def test_token_types_are_dropped_where_the_backbone_takes_none() -> None:
    ids, mask = make_texts([5, 5])
    types = (torch.arange(5) > 2).long().expand(2, 5)
    bert, distilbert = make_model("bert"), make_model("distilbert")
    assert not torch.equal(bert(ids, mask, types).features, bert(ids, mask).features)
    assert torch.equal(distilbert(ids, mask, types).features, distilbert(ids, mask).features)


def test_the_loss_of_a_task_is_over_the_masses_of_its_labels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(SequenceClassification, "masses", lambda self, labels: labels + 1.0)
    model = make_model("bert").eval()
    ids = torch.tensor([[5, 6, 7], [7, 8, 9]])
    output = model(ids, task="train", labels=torch.tensor([2, 0]))
    torch.testing.assert_close(output.loss, output.row_losses["train"].sum() / 4)


def test_regression_logits_are_in_original_units_and_losses_are_not() -> None:
    model = make_model("bert", "linear")
    ids, mask = make_texts([6, 4])
    labels = torch.tensor([[3.5, 0.0, -1.0], [2.5, 6.0, -1.5]])
    output = model(ids, mask, task="emo.bank", labels=labels)
    mean, std = torch.tensor([3.0, 2.0, -1.0]), torch.tensor([0.5, 2.0, 0.25])
    raw = model.heads.of("emo.bank").head(output.features)
    torch.testing.assert_close(output.logits["emo.bank"], raw * std + mean)
    expected = (((labels - mean) / std - raw) ** 2).mean(dim=1)
    torch.testing.assert_close(output.row_losses["emo.bank"], expected)


def test_constant_target_is_only_centred() -> None:
    model = make_model("bert")
    model.set_statistics("intensity", mean=[2.0], std=[0.0])
    assert model.heads.of("intensity").statistics.std.tolist() == [1.0]


def test_class_weights_multiply_the_rows() -> None:
    task = SequenceClassification(labels=3, class_weights=[1.0, 1.0, 1.0])
    model = make_model("bert", tasks={"a": task})
    model.set_statistics("a", weights=torch.tensor([0.5, 1.0, 3.0]))
    ids, mask = make_texts([6, 4, 5])
    labels = torch.tensor([2, 0, 1])
    output = model(ids, mask, task="a", labels=labels)
    plain = task.row_losses(output.logits["a"], labels)
    torch.testing.assert_close(output.row_losses["a"], plain * torch.tensor([3.0, 0.5, 1.0]))


def test_statistics_that_a_loss_does_not_use_are_refused() -> None:
    model = make_model("bert", tasks={**TASKS, "raw": Regression(standardize=False)})
    with pytest.raises(ModelError, match=r"tasks\.train: its loss keeps nothing of .* found mean and std"):
        model.set_statistics("train", mean=0.0, std=1.0)
    with pytest.raises(ModelError, match="keeps nothing of the training rows, found weights"):
        model.set_statistics("train", weights=[1.0, 1.0, 1.0])
    with pytest.raises(ModelError, match=r"tasks\.raw: its loss keeps nothing"):
        model.set_statistics("raw", mean=0.0, std=1.0)
    with pytest.raises(ModelError, match="expected 1 finite numbers"):
        model.set_statistics("intensity", mean=float("nan"), std=1.0)
    with pytest.raises(ModelError, match="Did you mean 'intensity'"):
        model.has_statistics("intensty")


def test_native_and_linear_heads_can_sit_on_one_bert() -> None:
    tasks = {"a": SequenceClassification(labels=2), "b": SequenceClassification(labels=2, head="linear")}
    model = make_model("bert", tasks=tasks)
    ids, mask = make_texts([6, 4])
    output = model(ids, mask)
    hidden = model.encoder(ids, mask)
    assert torch.equal(output.logits["b"], model.heads.of("b").head(hidden.last_hidden_state[:, 0]))
    assert torch.equal(output.logits["a"], model.heads.of("a").head(hidden.pooler_output))


def test_parameters_are_split_into_encoder_and_heads() -> None:
    model = make_model("bert")
    encoder, heads = split_parameters(model)
    assert {name.split(".")[0] for name, _ in encoder} == {"encoder"}
    assert {name.split(".")[0] for name, _ in heads} == {"heads"}
    assert len(encoder) + len(heads) == len(list(model.parameters()))
    assert any("pooler" in name for name, _ in encoder)


def test_unusable_calls_are_refused() -> None:
    model = make_model("bert")
    with pytest.raises(TypeError, match="give input_ids"):
        model()
    with pytest.raises(TypeError, match="goes with task"):
        model(torch.tensor([[5, 6]]), labels=torch.tensor([0]))


@pytest.mark.parametrize("names", [["train"], ("train", "intensity"), 3])
def test_what_is_no_name_of_a_task_is_named(names: Any) -> None:
    model = make_model("bert", "linear")
    ids, mask = make_texts([3, 4])
    said = "task: found .* in place of a task's name. Give one of train, emo.bank, intensity, or none for all"
    with pytest.raises(ModelError, match=said):
        model(ids, mask, task=names)
    with pytest.raises(ModelError, match=said):
        model.export_task(names, "nowhere", None)


def test_labels_of_a_task_that_is_not_there_are_refused() -> None:
    ids, mask = make_texts([3, 4])
    with pytest.raises(ModelError, match="has no task 'intenstiy'.*Did you mean 'intensity'"):
        make_model("bert", "linear")(ids, mask, labels={"intenstiy": torch.zeros(2)})


@pytest.mark.parametrize(
    ("family", "head"), [("bert", "native"), pytest.param("llama", "vip", marks=pytest.mark.slow)]
)
def test_a_program_of_torch_export_takes_other_numbers_of_rows_and_tokens(family: str, head: str) -> None:
    model = make_model(family, head)
    ids, mask = make_texts([9, 4, 7], padding=padding_of(family))
    sizes = {0: Dim("rows", min=1, max=64), 1: Dim("tokens", min=2, max=60)}
    program = torch.export.export(
        model,
        (),
        kwargs={"input_ids": ids, "attention_mask": mask},
        dynamic_shapes={"input_ids": sizes, "attention_mask": sizes},
    ).module()
    ids, mask = make_texts([2, 5, 1, 5, 3], seed=3, padding=padding_of(family))
    for given in ((ids, mask), (ids.flip(1), mask.flip(1))):  # padding on the left, too
        found = program(input_ids=given[0], attention_mask=given[1])
        expected = model(*given)
        for task in model.tasks:
            torch.testing.assert_close(found.logits[task], expected.logits[task])
