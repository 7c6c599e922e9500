"""One endpoint that answers every task of an exported graph: ``python serve.py FOLDER [--port 8000]``."""

import argparse
import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import uvicorn
from answers import Answer, answer
from batching import Batcher
from fastapi import FastAPI, HTTPException
from graph import Graph, Text
from pydantic import BaseModel, Field

MOST_TEXTS, MOST_CHARACTERS = 256, 100_000


class Request(BaseModel):
    """Texts, or pairs of texts, and the tasks to answer; None: all."""

    texts: list[str | tuple[str, str]] = Field(min_length=1, max_length=MOST_TEXTS)
    tasks: list[str] | None = None


class Response(BaseModel):
    """For each text an answer by task."""

    answers: list[dict[str, Any]]


def make_app(graph: Graph, most: int = 32, wait: float = 0.002) -> FastAPI:
    """Make the application.

    Args:
        graph: The graph.
        most: Texts of a batch.
        wait: How long a text waits for others, in seconds.
    """

    def run(texts: Sequence[Text]) -> list[dict[str, Answer]]:
        return [
            {name: answer(text, found, graph.tasks[name]) for name, found in outputs.items()}
            for text, outputs in zip(texts, graph(texts), strict=True)
        ]

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        app.state.batcher = Batcher(run, most, wait)
        worker = asyncio.create_task(app.state.batcher.work())
        yield
        worker.cancel()

    app = FastAPI(title="hf_mtl", lifespan=lifespan)

    @app.post("/predict")
    async def predict(request: Request) -> Response:
        """Answer every task for every text, from one pass."""
        names = list(graph.tasks) if request.tasks is None else request.tasks
        if unknown := [name for name in names if name not in graph.tasks]:
            raise HTTPException(422, f"no task {', '.join(unknown)}; there are {', '.join(graph.tasks)}")
        for text in request.texts:
            if len(text if isinstance(text, str) else "".join(text)) > MOST_CHARACTERS:
                raise HTTPException(413, f"a text has more than {MOST_CHARACTERS} characters")
        found = await asyncio.gather(*(app.state.batcher(text) for text in request.texts))
        return Response(answers=[{name: answers[name] for name in names} for answers in found])

    @app.get("/")
    async def about() -> dict[str, Any]:
        """Say which tasks there are, and the sizes of the last batches."""
        kinds = {name: task["type"] for name, task in graph.tasks.items()}
        return {"tasks": kinds, "batches": list(app.state.batcher.sizes)}

    return app


def main() -> None:
    """Read the command line, and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path, help="what hf-mtl export --format onnx has written")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--threads", type=int, default=0, help="threads of one pass; 0: as many as there are cores")
    parser.add_argument("--batch", type=int, default=32, help="most texts of one pass")
    parser.add_argument("--wait", type=float, default=0.002, help="seconds that a text waits for others")
    given = parser.parse_args()
    app = make_app(Graph(given.folder, given.threads), given.batch, given.wait)
    uvicorn.run(app, host=given.host, port=given.port, log_level="warning")


if __name__ == "__main__":
    main()
