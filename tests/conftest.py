"""Hypothesis draws the same examples in every run, a busy machine is no failure, signals are those of a terminal."""

import gc
import signal

from hypothesis import settings

settings.register_profile("hf_mtl", derandomize=True, deadline=None, database=None)
settings.load_profile("hf_mtl")

# `command &` in a script and `nohup` ignore signals in all that they start; a run leaves ignored signals alone.
for number, handler in ((signal.SIGINT, signal.default_int_handler), (signal.SIGHUP, signal.SIG_DFL)):
    if signal.getsignal(number) is signal.SIG_IGN:
        signal.signal(number, handler)


def pytest_collection_finish() -> None:
    """Take what is imported out of the garbage collector. `Trainer.train` runs it twice: 0.2 s in place of 1."""
    gc.collect()
    gc.freeze()
