"""Upload of a model in one commit, which is there whole or not at all; what breaks off can be begun again."""

from collections.abc import Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from huggingface_hub import CommitInfo, CommitOperationAdd, CommitOperationDelete, HfApi
from huggingface_hub.errors import HfHubHTTPError, HFValidationError

from hf_mtl.errors import HfMtlError, Mistake, NotPushedError, RunError, one_line
from hf_mtl.inference.manifest import LOADED, MANIFEST

LOG_IN = "Log in with `hf auth login`, with a token that may write, or set HF_TOKEN to one"
_AGAIN = "A revision is there whole or not at all, and nothing here has changed; do the same again"
# An older model would leave beside the new one: it would be loaded with it, or say something else of it.
_REPLACED = (*LOADED, MANIFEST, "recipe.yaml", "results.json", "data.json", "figures/*.png", ".eval_results/*")


@dataclass(frozen=True)
class Destination:
    """A place on the Hub.

    Args:
        repo: The repository, ``owner/name``, or ``name`` in the user's own.
        token: A token; None: that of the machine.
        private: Whether a new repository is private; None: as the user's account has it.
        revision: A branch, which is made if it is not there; None: ``main``.
    """

    repo: str
    token: str | None = None
    private: bool | None = None
    revision: str | None = None

    def make(self) -> str:
        """Make the repository and the branch where they are not there; gives the repository's whole name.

        Raises:
            HfMtlError: As `refused` says it.
        """
        api = HfApi(token=self.token)
        try:
            repo = api.create_repo(self.repo, private=self.private, exist_ok=True).repo_id
            if self.revision is not None:
                api.create_branch(repo, branch=self.revision, exist_ok=True)
        except Exception as error:  # a wrong name, no connection, or whatever a server or a proxy may answer
            raise refused(error, self.repo) from error
        return repo


def upload(
    files: Mapping[str, Path | bytes], to: Destination, message: str, blocking: bool = True
) -> CommitInfo | Future[CommitInfo]:
    """Upload files in one commit; other models' files there are removed with it.

    Large files go first, to where no revision shows them. What has been uploaded once is not uploaded again.

    Args:
        files: What to upload, by its path in the repository.
        to: Where to; the repository is there.
        message: The commit's title.
        blocking: Wait for the end; otherwise a future is returned, which has the error if there is one.

    Raises:
        HfMtlError: As `refused` says it.
    """
    api = HfApi(token=to.token)
    try:
        there = api.list_repo_files(to.repo, revision=to.revision)
        stale = [name for name in there if name not in files and any(fnmatchcase(name, old) for old in _REPLACED)]
        operations: list[Any] = [CommitOperationDelete(name) for name in stale if _is_at_root(name)]
        for name, content in files.items():
            operations.append(CommitOperationAdd(name, content if isinstance(content, bytes) else str(content)))
        options = {"commit_message": message, "revision": to.revision, "run_as_future": not blocking}
        done: CommitInfo | Future[CommitInfo] = api.create_commit(to.repo, operations, **options)  # type: ignore[call-overload]
    except Exception as error:
        raise refused(error, to.repo) from error
    return done


def _is_at_root(name: str) -> bool:
    """Leave what lies in folders, such as ``last-checkpoint/``, but for those that every model has."""
    return "/" not in name or name.startswith(("figures/", ".eval_results/"))


def refused(error: BaseException, repo: str) -> HfMtlError:
    """Say in one message why something was not pushed.

    Args:
        error: What a client of the Hub raised.
        repo: The repository.

    Returns:
        A `RunError` where the token, or the repository, is not one to push with; else a `NotPushedError`.
    """
    if isinstance(error, HfMtlError):
        return error
    status = error.response.status_code if isinstance(error, HfHubHTTPError) and error.response is not None else None
    why = one_line(error)
    if isinstance(error.__cause__, HfHubHTTPError):  # of the store of large files, whose addresses are the Hub's own
        why = f"{why}: {one_line(error.__cause__)}"
    found = f"cannot push to '{repo}': {why}"
    if status in (401, 403):
        return RunError(Mistake("", f"{found} (the Hub answers {status}: no right to write there)", LOG_IN))
    if isinstance(error, HFValidationError):
        return RunError(Mistake("", found, "Write owner/name"))
    return NotPushedError(f"{found}. {_AGAIN}")
