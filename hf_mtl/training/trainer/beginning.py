"""Brings everything that remembers back to the state that it had before a Trainer first trained."""

import copy
from collections.abc import Mapping
from typing import Any

from hf_mtl.training.checkpoint import Stateful


class Beginning:
    """The states before the first training; each later one that resumes nothing is a run of its own from there.

    Without it, a second `train` would go on with the averages, clocks and counters of the first.
    """

    def __init__(self) -> None:
        self._states: dict[str, dict[str, Any]] | None = None

    @property
    def noted(self) -> bool:
        """Tell whether there was a training before."""
        return self._states is not None

    def begin(self, parts: Mapping[str, Stateful], anew: bool) -> bool:
        """Begin a training: the first notes the states, and a later one that begins anew gets them back.

        Args:
            parts: The parts that remember.
            anew: Whether the training resumes nothing.

        Returns:
            Whether the parts got their states back.
        """
        if not self.noted:
            self.note(parts)
            return False
        if anew:
            self.restore(parts)
        return anew

    def note(self, parts: Mapping[str, Stateful]) -> None:
        """Keep the states, when the first training is about to begin."""
        # Copies, here and below: some states are the tensors that a part goes on to change.
        self._states = {name: copy.deepcopy(part.state_dict()) for name, part in parts.items()}

    def restore(self, parts: Mapping[str, Stateful]) -> None:
        """Give the parts those states back; one that was not there has begun by itself."""
        for name, state in (self._states or {}).items():
            if name in parts:
                parts[name].load_state_dict(copy.deepcopy(state))
