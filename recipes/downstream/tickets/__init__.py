"""Components of a project of its own. Importing the package registers them, as a recipe's `plugins` does."""

from tickets import callbacks, data, heads, metrics, task_types, weightings

__all__ = ["callbacks", "data", "heads", "metrics", "task_types", "weightings"]
