"""What transformers asks of any model, of one with an encoder and heads."""

import torch

from .families import LENGTHS, make_model, make_texts, packed_rows


def test_floating_point_operations_count_real_tokens_only() -> None:
    model = make_model("bert")
    body = sum(p.numel() for name, p in model.encoder.named_parameters() if "embeddings.weight" not in name)
    ids, mask = make_texts(LENGTHS)
    assert model.floating_point_ops({"input_ids": ids, "attention_mask": mask}) == 2 * sum(LENGTHS) * body
    assert model.train().floating_point_ops(packed_rows("bert")) == 6 * sum(LENGTHS) * body
    assert model.floating_point_ops({"input_ids": ids}) == 6 * ids.numel() * body


def test_gradient_checkpointing_changes_no_gradient() -> None:
    model = make_model("bert", dropout=0.0).train()
    ids, mask = make_texts([6, 4])
    gradients = []
    for enable in (False, True):
        if enable:
            model.gradient_checkpointing_enable()
        model.zero_grad()
        model(ids, mask, task="train", labels=torch.tensor([0, 1])).loss.backward()
        gradients.append(model.get_input_embeddings().weight.grad.clone())
    torch.testing.assert_close(gradients[0], gradients[1])


def test_embeddings_are_the_encoders() -> None:
    model = make_model("bert")
    assert model.get_input_embeddings() is model.encoder.get_input_embeddings()
    model.set_input_embeddings(torch.nn.Embedding(7, 16))
    assert len(model.encoder.get_input_embeddings().weight) == 7


def test_a_frozen_part_stays_in_eval_mode() -> None:
    model = make_model("bert", freeze="embeddings").train()
    assert model.training
    assert not model.encoder.embeddings.training
    assert model.encoder.encoder.training
