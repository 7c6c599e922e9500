"""One task type per file, found by name. A type is a subclass of `Task` under `hf_mtl.tasks.register`.

A file is called as the ``type`` that a recipe writes, and its class as the same words in capitals.
"""
