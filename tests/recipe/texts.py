"""Recipes that several tests read."""

MINIMAL = """\
model: {backbone: some/backbone}
tasks:
  emotion:
    type: sequence_classification
    dataset: {path: some/data}
    labels: [anger, joy]
  rating:
    type: regression
    dataset: {path: some/ratings}
    label: score
"""

FULL = """\
model:
  backbone: {model_type: bert, hidden_size: 32}
  tokenizer: {train: wordpiece, vocab_size: 500}
  max_length: 64
  dropout: 0
  pooling: mean
  head: {type: mlp, hidden: 16}
tasks:
  rating:
    type: regression
    dataset: [{path: csv, data_files: r.csv}, {path: hub/r, splits: {validation: dev, test: null}}]
    label: [yes, "1e3"]
    metrics: [pearson, {name: some_metric, greater_is_better: false}]
  emotion:
    type: sequence_classification
    dataset: {path: some/data, filter: {column: split, equals: "on"}}
    labels: [yes, no]
    class_weights: {no: 1, yes: 2}
    head: linear
mixture: {anneal: {start: 1, end: 5, shape: cosine}}
balancing: {weighting: {name: fixed, weights: {emotion: 1, rating: 2}}, exposure: tasks}
training: {output_dir: runs/x, learning_rate: 5e-5, warmup_steps: 0.1, optim: adamax, lr_scheduler_kwargs: {a: 1}}
"""
