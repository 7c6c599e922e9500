"""A push that is interrupted at each of its requests, in each way, and repeated; run in a process of its own."""

import json
import sys
import time
import urllib.request
from pathlib import Path
from typing import Any

KINDS = ("reset", "lost", "500", "401", "403", "hang")


def main() -> None:
    """Print, for each way and each request, how the push ended, how the repeated one did, and what is there then."""
    from huggingface_hub import constants, set_client_factory
    from huggingface_hub.utils._http import default_client_factory

    from hf_mtl.errors import HfMtlError
    from hf_mtl.training import push_run

    model, kinds = Path(sys.argv[1]), sys.argv[2:]
    time.sleep = lambda seconds: None  # type: ignore[assignment]  # of whoever waits before the next try

    def client() -> Any:
        made = default_client_factory()
        made.timeout = 0.3  # the library waits for ever
        return made

    set_client_factory(client)

    def push(repo: str) -> tuple[int, str]:
        try:
            push_run(model, repo)
        except HfMtlError as error:
            return error.exit_code, str(error)
        return 0, ""

    said: list[Any] = []
    for kind in kinds:
        for place in range(100):
            repo = f"user/{kind}-{place}"
            urllib.request.urlopen(f"{constants.ENDPOINT}/stub/fault?kind={kind}&at={place}").read()
            first = push(repo)
            struck = json.load(urllib.request.urlopen(f"{constants.ENDPOINT}/stub/state?repo={repo}"))
            if struck["armed"]:  # there are no more requests
                break
            again = push(repo)
            said.append([kind, place, first, struck["files"], again])
    print(json.dumps(said))


if __name__ == "__main__":
    main()
