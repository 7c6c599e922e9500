"""The work that a checkpoint leaves unfinished: a record of the log, and whatever else is due after its step."""

from typing import Any

from transformers import Trainer


class Unfinished:
    """Goes into a checkpoint, so that the log of a resumed run is that of one that never ended.

    The Trainer begins the mean of its next record anew, and knows nothing of an evaluation that was put off in order
    to stop in time.

    Attributes:
        due: What the step of the checkpoint is still to end with; empty for one that was written in its turn.
        out_of_turn: Steps of checkpoints that only a signal had written.
    """

    def __init__(self) -> None:
        self.due: dict[str, Any] = {}
        self.out_of_turn: list[int] = []
        self._losses: list[float] = []
        self._steps = 0
        self._resumes = False

    def note_losses(self, trainer: Trainer, processes: int) -> None:
        """Keep the sum of losses since the last record, each process's own; all of them call it together."""
        mine = trainer._tr_loss.detach().reshape(1)
        every = mine if processes == 1 else trainer.accelerator.gather(mine)
        self._losses = every.double().tolist()
        self._steps = trainer.state.global_step - trainer._globalstep_last_logged

    def take_turn(self, step: int) -> None:
        """Note that a checkpoint is written in its turn, perhaps in the place of one that was not."""
        self.out_of_turn = [other for other in self.out_of_turn if other != step]

    def resume(self, trainer: Trainer, process: int, processes: int) -> dict[str, Any]:
        """Let the Trainer, which has begun from a checkpoint, go on with its losses; answer what else is due, once.

        Other processes than then each get the mean of the losses.
        """
        if not self._resumes:
            return {}
        due, self.due, self._resumes = self.due, {}, False
        if self._losses:
            same = len(self._losses) == processes
            trainer._tr_loss += self._losses[process] if same else sum(self._losses) / len(self._losses)
            trainer._globalstep_last_logged -= self._steps
        return due

    def state_dict(self) -> dict[str, Any]:
        """Return what was noted."""
        norm = self.due.get("grad_norm")
        due = {**self.due, "grad_norm": float(norm)} if norm is not None else self.due
        return {"losses": self._losses, "steps": self._steps, "due": due, "out_of_turn": self.out_of_turn}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Continue where a checkpoint left off."""
        self._losses, self._steps, self.due = list(state["losses"]), int(state["steps"]), dict(state["due"])
        self.out_of_turn = list(state["out_of_turn"])
        self._resumes = True
