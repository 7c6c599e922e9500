"""One metric, or one tight family, per file; each is an `evaluate.Metric` that works offline.

Importing a metric imports `evaluate`, which takes seconds, so nothing is imported here: names, directions and
the outputs that they score are in `hf_mtl.evaluation.registry`, and a metric's module is imported when it is first
computed.

Adding a metric: write its file here with a subclass of `ClassificationMetric` or `RegressionMetric`, and a line
in the registry's table. A test holds the two together.
"""
