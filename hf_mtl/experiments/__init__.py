"""Many runs, to answer one question: each command has a room, and what they share lies beside the rooms.

A *study* asks something of *arms* (ways to train) by training each with every *seed* at one budget (`compare`). Its
finished runs are lines of a file, so that it can be stopped, and shared among processes, at any time. Its `answer` is
made of that file alone.

- Rooms: `compare` runs studies, `answer` judges and reports them, `merging` makes contenders of single-task runs;
  `sweep` searches values of keys, `affinity` proposes groups of tasks, `diagnose` looks into encoders.
- Of a run: `arms` (a recipe with keys replaced), `preflight` (its data, looked at before anything is written),
  `identity` (what makes it the same run), `claims` and `workers` (who runs it), `results` (its line).
- Of an answer: `statistics` and `evidence` (numbers with their errors), `verdict` (the word for them), `report` (its
  text and Markdown).
- Of files: `file_schema` and `reference` (the keys of studies and sweeps).
"""
