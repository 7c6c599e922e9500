"""Many losses or gradients -> one update."""
