"""The wishes of whoever starts a run, and the command that starts it again with the same."""

import shlex
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from accelerate import PartialState

from hf_mtl.training.folder.run_folder import RunFolder


@dataclass(frozen=True)
class Asked:
    """The wishes for a run: how it begins, what is scored at its end, and who takes the results.

    Args:
        resume: Continue the run that is in the folder.
        overwrite: Start anew where a run is already.
        test: Score the test splits too.
        baselines: Score simple baselines on the same rows.
        allow_code: Whether code that the recipe names may be run.
        on_results: Takes the results on every process as soon as they are kept.
        keep_rows: Keep the test rows with what their scores read.
    """

    resume: bool
    overwrite: bool
    test: bool
    baselines: bool
    allow_code: bool
    on_results: Callable[[dict[str, Any]], None]
    keep_rows: bool = False

    def how_to_go_on(self, folder: RunFolder) -> str:
        """Give the command that goes on with the run, for a message.

        Args:
            folder: The run's folder.
        """
        flags = {"--test": self.test, "--baselines": self.baselines, "--allow-code": self.allow_code}
        wishes = [name for name, wish in flags.items() if wish]
        command = shlex.join(["hf-mtl", "train", str(folder.recipe), "--resume", *wishes])
        launched = "launched as before, with" if PartialState().num_processes > 1 else "with"
        return f"Go on {launched}: {command}"
