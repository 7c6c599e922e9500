"""A Hugging Face Hub in a thread: the part of its HTTP interface that clients use."""

import base64
import hashlib
import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import Any, ClassVar
from urllib.parse import parse_qs, unquote, urlsplit

import yaml

from tests.hub.repositories import Files, Hub

LFS = (".safetensors", ".bin", ".pt", ".pth", ".parquet")
WHEN = "2024-01-01T00:00:00.000Z"


@contextmanager
def serve() -> Iterator[Hub]:
    """Run a Hub on a free port of this machine."""
    hub = Hub()
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("BoundHandler", (Handler,), {"hub": hub}))
    hub.url = f"http://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


def _entry(path: str, content: bytes) -> dict[str, Any]:
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
    entry: dict[str, Any] = {"type": "file", "path": path, "size": len(content), "oid": blob}
    if path.endswith(LFS):
        entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content), "pointerSize": 130}
    return entry


def _folder(path: str) -> dict[str, Any]:
    return {"type": "directory", "path": path, "oid": "0" * 40, "size": 0}


class Handler(BaseHTTPRequestHandler):
    """One request; paths are matched in order."""

    hub: ClassVar[Hub]
    lost = False
    protocol_version = "HTTP/1.1"

    def log_message(self, *args: object) -> None:
        """Say nothing."""

    def handle_any(self) -> None:
        length = int(self.headers.get("Content-Length") or 0)
        self.body = self.rfile.read(length) if length else self._chunks()
        path = unquote(urlsplit(self.path).path)
        self.query = parse_qs(urlsplit(self.path).query)
        if path.startswith("/stub/"):
            return self.arm() if path == "/stub/fault" else self.state()
        with self.hub.lock:
            self.hub.requests.append(f"{self.command} {self.path}")
            if self.struck():
                return
            if self.hub.refused and re.fullmatch(self.hub.refused, f"{self.command} {path}"):
                return self.fail(403, "", "Your storage is full")
            if odd := re.search(r"/odd/(?P<kind>\w+)", path):
                return self.odd(odd["kind"])
            if path == "/api/repos/create" and (
                odd := re.search(r'"(?:user/)?odd-(?P<kind>\w+)"', self.body.decode())
            ):
                return self.odd(odd["kind"])
            for pattern, answer in ROUTES:
                if found := re.fullmatch(pattern, f"{self.command} {path}"):
                    return answer(self, **found.groupdict())
            self.hub.unknown.append(f"{self.command} {self.path}")
        self.fail(404, "EntryNotFound", f"no such page: {self.path}")

    def arm(self) -> None:
        """Let something happen to one of the requests that follow; another process asks for it."""
        kind, place = self.query["kind"][0], int(self.query["at"][0])
        self.hub.fault = (kind, place)
        self.hub.blobs.clear()  # which one repository has, no other has to get
        self.reply({})

    def state(self) -> None:
        """Tell whether what was to happen has not happened, and what a repository's main revision has."""
        repo = self.hub.repos.get(f"models/{self.query['repo'][0]}")
        self.reply({"armed": self.hub.fault is not None, "files": sorted(repo.files) if repo else None})

    def struck(self) -> bool:
        """Tell whether this request is the one that something happens to, and nothing else is to be done with it."""
        if self.hub.fault is None:
            return False
        kind, left = self.hub.fault
        self.hub.fault = (kind, left - 1) if left else None
        if left:
            return False
        if kind == "lost":  # it is done, but nobody hears of it
            self.lost = True
            return False
        if kind == "hang":
            time.sleep(0.6)
        if kind in ("hang", "reset"):
            self.close_connection = True
            self.connection.close()
        else:
            self.fail(int(kind), "", "Invalid user token." if kind == "401" else "No.")
        return True

    do_GET = do_HEAD = do_POST = do_PUT = handle_any

    def _chunks(self) -> bytes:
        body = b""
        while "chunked" in self.headers.get("Transfer-Encoding", "") and (size := int(self.rfile.readline(), 16)):
            body += self.rfile.read(size)
            self.rfile.readline()
        return body

    def reply(self, value: Any, status: int = 200, **headers: Any) -> None:
        if self.lost:
            self.close_connection, self.lost = True, False
            return self.connection.close()
        content = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)

    def fail(self, status: int, code: str, message: str) -> None:
        self.reply({"error": message}, status, X_Error_Code=code, X_Error_Message=message)

    def odd(self, kind: str) -> None:
        """Answer as a Hub that is broken, busy, or behind somebody's gateway."""
        answers: dict[str, tuple[Any, int, dict[str, str]]] = {
            "html": (b"<!DOCTYPE html><html>Log in to the network</html>", 200, {"Content_Type": "text/html"}),
            "null": (None, 200, {}),
            "list": ([], 200, {}),
            "half": (b'{"id": "odd/half", "sib', 200, {}),
            "conflict": ({"error": "Conflict"}, 409, {}),
            "teapot": ({"error": "I am a teapot"}, 418, {}),
            "broken": (b"<html>Internal Server Error</html>", 500, {}),
            "loop": (b"", 302, {"Location": f"{self.hub.url}{self.path}"}),
        }
        if kind == "reset":
            self.close_connection = True
            self.connection.close()
        elif kind == "short":  # fewer bytes than it says
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.send_header("X-Repo-Commit", "0" * 40)
            self.send_header("ETag", '"abc"')
            self.end_headers()
            self.wfile.write(b"{}")
            self.close_connection = True
        else:
            value, status, headers = answers[kind]
            self.reply(value, status, **headers)

    def repo(self, kind: str, name: str, revision: str) -> tuple[str, Files] | None:
        """The revision's sha and files, or None and an answer that says why not."""
        repo = self.hub.repos.get(f"{kind}/{name}")
        if repo is None:
            self.fail(401, "RepoNotFound", "Repository Not Found")  # as for strangers to a private repository
        elif repo.gated:
            self.fail(403, "GatedRepo", "Access to this repository is restricted")
        elif (sha := repo.find(revision)) is None:
            self.fail(404, "RevisionNotFound", f"Invalid rev id: {revision}")
        else:
            return sha, repo.commits[sha]
        return None

    # ---- Reading ----

    def info(self, kind: str, name: str, revision: str | None = None) -> None:
        if found := self.repo(kind, name, revision or "main"):
            sha, files = found
            siblings = [{"rfilename": path} for path in sorted(files)]
            facts = {"private": False, "gated": False, "disabled": False, "downloads": 0, "likes": 0, "tags": []}
            dates = {"lastModified": WHEN, "createdAt": WHEN}
            head = re.match(rb"---\n(.*?)\n---\n", files.get("README.md", b""), re.S)
            card = yaml.safe_load(head[1]) if head else None
            self.reply({"id": name, "sha": sha, "siblings": siblings, "cardData": card, **facts, **dates})

    def tree(self, kind: str, name: str, revision: str, folder: str | None = None) -> None:
        if found := self.repo(kind, name, revision):
            start = f"{folder}/" if folder else ""
            within = [path for path in sorted(found[1]) if path.startswith(start)]
            if not within and folder:
                return self.fail(404, "EntryNotFound", f"no folder {folder}")
            deep = self.query.get("recursive", ["false"])[0].lower() in ("true", "1")
            folders = sorted({start + path.removeprefix(start).split("/")[0] for path in within} - set(within))
            files = [path for path in within if deep or "/" not in path.removeprefix(start)]
            self.reply([_folder(path) for path in folders] + [_entry(path, found[1][path]) for path in files])

    def paths_info(self, kind: str, name: str, revision: str) -> None:
        if found := self.repo(kind, name, revision):
            form = self.headers.get("Content-Type", "").startswith("application/x-www-form")
            wanted = parse_qs(self.body.decode())["paths"] if form else json.loads(self.body)["paths"]
            files = [_entry(path, found[1][path]) for path in wanted if path in found[1]]
            folders = [path for path in wanted if any(file.startswith(f"{path}/") for file in found[1])]
            self.reply(files + [_folder(path) for path in folders])

    def resolve(self, name: str, revision: str, path: str, kind: str | None = None) -> None:
        if found := self.repo((kind or "models/").rstrip("/"), name, revision):
            sha, files = found
            if path not in files:
                return self.fail(404, "EntryNotFound", f"no file {path}")
            entry = _entry(path, files[path])
            headers: dict[str, Any] = {"X_Repo_Commit": sha, "ETag": f'"{entry["oid"]}"', "Accept_Ranges": "none"}
            if "lfs" in entry:
                headers |= {"X_Linked_Etag": f'"{entry["lfs"]["oid"]}"', "X_Linked_Size": str(entry["size"])}
            self.reply(files[path], **headers)

    # ---- Writing ----

    def create(self) -> None:
        asked = json.loads(self.body)
        name = f"{asked.get('organization') or 'user'}/{asked['name']}"
        key = f"{asked.get('type') or 'model'}s/{name}"
        if not name.startswith("user/"):
            return self.fail(403, "", "You don't have the rights to create a model under this namespace")
        status = 409 if key in self.hub.repos else 200
        if status == 200:
            self.hub.add(key, {})
            if asked.get("private") or asked.get("visibility") == "private":
                self.hub.private.append(key)
        self.reply({"url": f"{self.hub.url}/{name}", "id": name, "name": name}, status)

    def branch(self, kind: str, name: str, branch: str) -> None:
        repo = self.hub.repos[f"{kind}/{name}"]
        if branch in repo.heads:
            return self.fail(409, "", "Reference already exists")
        repo.heads[branch] = repo.heads["main"]
        self.reply({}, 201)

    def preupload(self, kind: str, name: str, branch: str) -> None:
        found = self.repo(kind, name, branch)
        if found is None:
            return
        modes = [
            {"path": item["path"], "uploadMode": "lfs" if item["path"].endswith(LFS) else "regular"}
            for item in json.loads(self.body)["files"]
        ]
        there = {path: _entry(path, content) for path, content in found[1].items()}
        oids = {path: entry.get("lfs", entry)["oid"] for path, entry in there.items()}
        self.reply({"files": [{**mode, "shouldIgnore": False, "oid": oids.get(mode["path"])} for mode in modes]})

    def lfs_batch(self, name: str) -> None:
        def answer(item: dict[str, Any]) -> dict[str, Any]:
            if item["oid"] in self.hub.blobs:  # without actions: nothing is to be uploaded
                return {"oid": item["oid"], "size": item["size"]}
            actions = {verb: {"href": f"{self.hub.url}/lfs/{item['oid']}"} for verb in ("upload", "verify")}
            return {"oid": item["oid"], "size": item["size"], "actions": actions}

        objects = [answer(item) for item in json.loads(self.body)["objects"]]
        self.reply({"transfer": "basic", "objects": objects})

    def lfs_upload(self, oid: str) -> None:
        assert hashlib.sha256(self.body).hexdigest() == oid
        self.hub.blobs[oid] = self.body
        self.reply({})

    def commit(self, kind: str, name: str, branch: str) -> None:
        repo = self.hub.repos[f"{kind}/{name}"]
        files, title = dict(repo.commits[repo.heads[branch]]), ""
        for line in self.body.splitlines():
            operation = json.loads(line)
            value = operation["value"]
            if operation["key"] == "header":
                title = value["summary"]
            elif operation["key"] == "file":
                files[value["path"]] = base64.b64decode(value["content"])
            elif operation["key"] == "lfsFile":
                files[value["path"]] = self.hub.blobs[value["oid"]]
            elif operation["key"] == "deletedFile":
                files.pop(value["path"], None)
        sha = repo.commit(files, title, branch)
        self.reply({"commitUrl": f"{self.hub.url}/{name}/commit/{sha}", "commitOid": sha, "hookOutput": ""})


_API = r" /api/(?P<kind>models|datasets)/(?P<name>[^/]+(?:/[^/]+)?)"
_FILE = r" /(?P<kind>datasets/)?(?P<name>[^/]+(?:/[^/]+)?)/resolve/(?P<revision>[^/]+)/(?P<path>.+)"
ROUTES: list[tuple[str, Callable[..., None]]] = [
    (rf"GET{_API}/revision/(?P<revision>.+)", Handler.info),
    (rf"GET{_API}/tree/(?P<revision>[^/]+)(?:/(?P<folder>.+))?", Handler.tree),
    (rf"POST{_API}/paths-info/(?P<revision>[^/]+)", Handler.paths_info),
    (rf"GET{_API}", Handler.info),
    (rf"(?:GET|HEAD){_FILE}", Handler.resolve),
    (r"POST /api/repos/create", Handler.create),
    (r"POST /api/validate-yaml", lambda handler: handler.reply({"errors": [], "warnings": []})),
    (rf"POST{_API}/branch/(?P<branch>[^/]+)", Handler.branch),
    (rf"POST{_API}/preupload/(?P<branch>[^/]+)", Handler.preupload),
    (rf"POST{_API}/commit/(?P<branch>[^/]+)", Handler.commit),
    (r"POST /(?P<name>.+)\.git/info/lfs/objects/batch", Handler.lfs_batch),
    (r"PUT /lfs/(?P<oid>\w+)", Handler.lfs_upload),
    (r"POST /lfs/\w+", lambda handler: handler.reply({})),
]
