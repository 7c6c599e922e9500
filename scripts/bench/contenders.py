"""Contenders of a bench: processes that take single steps in turn, each compared with the one before it in time.

On a busy machine single times mean little. Two steps that follow each other have the same neighbours, so the ratio is
taken within a turn, and the median over the turns is reported.
"""

import json
import os
import subprocess
import sys
import tempfile
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

WARM_UP = 4


@dataclass
class Contender:
    """A process that takes a step when told.

    Args:
        name: What it is called in tables.
        worker: The program, beside this file.
        arguments: Its arguments.
        environment: What its environment has beyond ours.

    Attributes:
        seconds: Seconds of each step.
        answers: Everything that it said of each step.
        megabytes: Peak memory, once it has ended.
    """

    name: str
    worker: str
    arguments: list[str]
    environment: dict[str, str] = field(default_factory=dict)
    seconds: list[float] = field(default_factory=list)
    answers: list[dict[str, Any]] = field(default_factory=list)
    megabytes: float = 0.0

    def start(self) -> None:
        """Start the process."""
        self.said = tempfile.TemporaryFile("w+")  # noqa: SIM115 - for as long as the process
        self.process = subprocess.Popen(
            [sys.executable, str(Path(__file__).with_name(self.worker)), *self.arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.said,
            env={**os.environ, **self.environment},
            text=True,
        )

    def step(self) -> dict[str, Any]:
        """Take one step: ``seconds``, and what else the worker tells of it."""
        assert self.process.stdin is not None
        with suppress(BrokenPipeError):  # what it said before it ended comes with the answer
            self.process.stdin.write("\n")
            self.process.stdin.flush()
        return self._answer()

    def stop(self) -> None:
        """End the process, and read its peak memory."""
        assert self.process.stdin is not None
        self.process.stdin.close()
        answer = self._answer()
        while "megabytes" not in answer:
            answer = self._answer()
        self.megabytes = float(answer["megabytes"])
        self.process.wait()

    def _answer(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line:
            self.said.seek(0)
            raise SystemExit(f"{self.name} ended early:\n{self.said.read()[-2000:]}")
        answer: dict[str, Any] = json.loads(line)
        return answer


def measure(contenders: list[Contender], steps: int) -> None:
    """Let contenders take steps in turn."""
    for contender in contenders:
        contender.start()
    for turn in range(WARM_UP + steps):
        for contender in contenders:
            answer = contender.step()
            if turn >= WARM_UP:
                contender.seconds.append(answer["seconds"])
                contender.answers.append(answer)
    for contender in contenders:
        contender.stop()
