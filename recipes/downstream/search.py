"""A search for hyperparameters (extra [search]), and a Trainer with a loss of its own, on the package's data.

python search.py [FOLDER]
"""

import sys
from typing import Any

from tickets.data import make
from tickets.task_types import Count
from transformers import PreTrainedTokenizerFast

from hf_mtl import MultiTaskModel, MultiTaskTrainer, MultiTaskTrainingArguments, SequenceClassification
from hf_mtl.tasks import Task

TASKS: dict[str, Task] = {
    "product": SequenceClassification(label="product", labels=["kettle", "sofa", "lamp"], head="gated"),
    "complaints": Count(label="complaints"),
}
BERT = {
    "model_type": "bert",
    "hidden_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 128,
    "max_position_embeddings": 32,
    "initializer_range": 0.1,
}


class CarefulTrainer(MultiTaskTrainer):
    """Adds a penalty on large head weights to the loss, as a subclass of `transformers.Trainer` would."""

    penalty = 1e-4

    def compute_loss(self, model: Any, inputs: Any, return_outputs: bool = False, **kwargs: Any) -> Any:
        """Return the step's part of the objective, and the penalty once for each micro-batch."""
        loss, outputs = super().compute_loss(model, inputs, return_outputs=True, **kwargs)
        loss = loss + self.penalty * sum(part.square().sum() for part in self.model.heads.parameters())
        return (loss, outputs) if return_outputs else loss


def tokenizer_of(texts: list[str]) -> PreTrainedTokenizerFast:
    """Train a small tokenizer, as a recipe's ``tokenizer: {train: wordpiece}`` does."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers

    found = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    found.normalizer, found.pre_tokenizer = normalizers.Lowercase(), pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    found.train_from_iterator(texts, trainers.WordPieceTrainer(vocab_size=300, special_tokens=special))
    found.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    names = {"pad_token": "[PAD]", "unk_token": "[UNK]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    return PreTrainedTokenizerFast(tokenizer_object=found, model_max_length=32, **names)


def main(folder: str) -> None:
    """Try a few hyperparameters, and print the best."""
    splits = make("tickets")
    tokenizer = tokenizer_of(splits["train"]["text"])

    def model_init() -> MultiTaskModel:
        backbone = {**BERT, "vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
        return MultiTaskModel.from_backbone(backbone, tasks=TASKS, pooling="mean", head="linear")

    def hp_space(trial: Any) -> dict[str, Any]:
        return {
            "learning_rate": trial.suggest_float("learning_rate", 1e-4, 1e-2, log=True),
            "balancing.weighting": trial.suggest_categorical("balancing.weighting", ["ew", "uw", "hardest"]),
        }

    trainer = CarefulTrainer(
        model_init=model_init,
        args=MultiTaskTrainingArguments(
            folder,
            max_steps=40,
            per_device_train_batch_size=32,
            eval_strategy="steps",
            eval_steps=20,
            save_strategy="no",
            report_to="none",
            use_cpu=True,
            disable_tqdm=True,
        ),
        train_dataset=dict.fromkeys(TASKS, splits["train"]),
        eval_dataset=dict.fromkeys(TASKS, splits["validation"]),
        processing_class=tokenizer,
    )
    best = trainer.hyperparameter_search(hp_space, n_trials=4)
    print(f"best: {best.objective:.4f} with {best.hyperparameters}")


if __name__ == "__main__":
    import tickets  # noqa: F401 - registers the components

    main(sys.argv[1] if len(sys.argv) > 1 else "runs/search")
