"""Texts of requests that come at the same time go through the graph together."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


class Batcher(Generic[Item, Result]):
    """Collects items for a moment, and runs them as one batch in a thread.

    While a batch runs the next one gathers, so that under load batches fill by themselves.

    Args:
        run: Makes a result of each item of a batch.
        most: Items of a batch.
        wait: How long the first item waits for others, in seconds.
    """

    def __init__(self, run: Callable[[Sequence[Item]], list[Result]], most: int = 32, wait: float = 0.002):
        self.run, self.most, self.wait = run, most, wait
        self.queue: asyncio.Queue[tuple[Item, asyncio.Future[Result]]] = asyncio.Queue()
        self.sizes: deque[int] = deque(maxlen=100)

    async def __call__(self, item: Item) -> Result:
        """Return an item's result."""
        future: asyncio.Future[Result] = asyncio.get_running_loop().create_future()
        await self.queue.put((item, future))
        return await future

    async def work(self) -> None:
        """Run batches until cancelled."""
        while True:
            batch = await self._gather()
            self.sizes.append(len(batch))
            try:
                results = await asyncio.to_thread(self.run, [item for item, _ in batch])
            except Exception as error:  # the requests of this batch fail, and the next ones do not
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), result in zip(batch, results, strict=True):
                if not future.done():  # whose client has left
                    future.set_result(result)

    async def _gather(self) -> list[tuple[Item, asyncio.Future[Result]]]:
        """Wait for a first item, and a little for others."""
        batch = [await self.queue.get()]
        end = asyncio.get_running_loop().time() + self.wait
        while len(batch) < self.most:
            try:
                async with asyncio.timeout_at(end):
                    batch.append(await self.queue.get())
            except TimeoutError:
                break
        return batch
