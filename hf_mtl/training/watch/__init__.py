"""What is looked at around the steps: signals, conflicts, operations, and whether numbers are numbers."""
