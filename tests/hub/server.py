"""A loopback Hub: answers as huggingface.co does, so that the real clients can be run against it.

Two origins on the loopback device: the Hub with its API and `resolve` addresses, and a second one that
holds the large files, to which `resolve` redirects. Repositories can be gated, private, disabled or
renamed, and each file can be served broken in several ways.

As a script: ``python tests/hub/server.py --parquet train.parquet`` serves that file as ``wmt/wmt19``,
configuration ``cs-en``, and prints the environment variables that point the clients here.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import socket
import struct
import sys
import tempfile
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path, PurePosixPath
from typing import Any
from urllib.parse import parse_qs, quote, unquote, urlsplit

# As a script, this file is found and the package around it is not.
sys.path.insert(0, str(Path(__file__).parents[1]))

from hub.repos import HubFile, Repo, damaged, dataset_card, make_repo


class _Server(ThreadingHTTPServer):
    """A server that can end the connections which clients keep open."""

    daemon_threads = True

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self._open: set[socket.socket] = set()

    def process_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away is what the tests are about."""

    def hang_up(self) -> None:
        for request in list(self._open):
            with contextlib.suppress(OSError):
                request.shutdown(socket.SHUT_RDWR)
            request.close()


class LoopbackHub:
    """Serves `repos` until it is closed; use as a context manager.

    Attributes:
        endpoint: What HF_ENDPOINT has to be.
        repos: Repositories by name; tests add to it while it runs.
        tokens: The tokens that the Hub knows.
        portal: Everything is redirected to a page of HTML, as in a hotel.
        page_size: Entries in a page of a listing.
        requests: ``METHOD path`` of each request so far, `file` for the second origin.
    """

    def __init__(self, *, port: int = 0) -> None:
        self.repos: dict[str, Repo] = {}
        self.tokens: set[str] = set()
        self.portal = False
        self.page_size = 3
        self.requests: list[str] = []
        self.closing = threading.Event()
        self._servers = [
            _Server(("127.0.0.1", number), type("Handler", (handler,), {"hub": self}))
            for number, handler in ((port, HubHandler), (0, OriginHandler))
        ]
        self.endpoint, self.origin = (f"http://127.0.0.1:{s.server_address[1]}" for s in self._servers)
        for server in self._servers:
            threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True).start()

    def environment(self, home: Path) -> dict[str, str]:
        """The variables with which the clients talk to this Hub and to nobody else."""
        return {
            "HF_ENDPOINT": self.endpoint,
            "HF_HOME": str(home),
            "HF_UPDATE_DOWNLOAD_COUNTS": "0",
            "HF_HUB_DISABLE_TELEMETRY": "1",
            "HF_HUB_DISABLE_XET": "1",
            "NO_PROXY": "127.0.0.1",
        }

    def resolve_name(self, name: str) -> tuple[str | None, Repo | None]:
        """The present name of a repository and the repository."""
        if name in self.repos:
            return name, self.repos[name]
        for present, repo in self.repos.items():
            if name in repo.old_names:
                return present, repo
        return None, None

    def close(self) -> None:
        self.closing.set()
        for server in self._servers:
            server.shutdown()
            server.server_close()
            server.hang_up()

    def __enter__(self) -> LoopbackHub:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Refusal(Exception):
    """An answer that is no success."""

    def __init__(self, status: int, code: str | None, message: str, **headers: str) -> None:
        self.status, self.message = status, message
        self.headers = {"X-Error-Message": message, **({"X-Error-Code": code} if code else {}), **headers}


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: LoopbackHub

    def log_message(self, *_: object) -> None:
        pass

    def answer(self, status: int, body: bytes = b"", **headers: str | int) -> None:
        self.send_response(status)
        headers.setdefault("Content_Type", "text/plain")
        headers.setdefault("Content_Length", len(body))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def answer_json(self, document: Any, **headers: str) -> None:
        self.answer(200, json.dumps(document).encode(), Content_Type="application/json", **headers)

    def serve(self, file: HubFile, **headers: str | int) -> None:
        """The file or the range of it that is asked for, with its fault."""
        length = file.length
        if file.fault and file.fault.kind == "short":
            length //= 2
        start, stop, status = 0, length, 200
        wanted = self.headers.get("Range", "")
        if wanted.startswith("bytes="):
            first, _, last = wanted[len("bytes=") :].partition("-")
            start = int(first) if first else max(0, length - int(last))
            stop = min(length, int(last) + 1) if first and last else length
            if start >= length:
                self.answer(416, Content_Range=f"bytes */{length}")
                return
            status, headers["Content-Range"] = 206, f"bytes {start}-{stop - 1}/{length}"
        strikes = file.fault and self.command == "GET" and file.fault.strikes(stop)
        fault = file.fault.kind if file.fault and strikes else None
        if fault == "error":
            self.answer(500, b"Internal Server Error")
            return
        self.send_response(status)
        for name, value in {
            "Content-Type": "application/octet-stream",
            "Content-Length": stop - start,
            "Accept-Ranges": "bytes",
            "ETag": f'"{file.etag}"',
            **headers,
        }.items():
            self.send_header(name, str(value))
        self.end_headers()
        if self.command == "HEAD":
            return
        if fault in ("cut", "reset", "stall"):
            stop = max(start + (stop - start) // 2, min(stop, file.fault.beyond if file.fault else 0))
        for block in file.blocks(start, stop):
            self.wfile.write(damaged(block) if fault == "corrupt" else block)
        self.wfile.flush()
        if fault == "stall":
            self.hub.closing.wait()
        if fault == "reset":
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.connection.close()
        if fault in ("cut", "reset", "stall"):
            self.close_connection = True


def _commit(repo: Repo) -> dict[str, str]:
    return {"id": repo.sha, "title": "Upload", "date": "2024-01-01T00:00:00.000Z"}


class OriginHandler(_Handler):
    """The second origin: large files by the hash of their content, for everybody."""

    def do_GET(self) -> None:
        path = unquote(urlsplit(self.path).path)
        self.hub.requests.append(f"{self.command} file {path}")
        name, _, rest = path.lstrip("/").partition("/-/")
        commit, _, wanted = rest.partition("/")
        head = self.hub.repos.get(name)
        repo = head.at(commit) if head else None
        if repo is None or wanted not in repo.files:
            self.answer(404)
        else:
            self.serve(repo.files[wanted])

    do_HEAD = do_GET


class HubHandler(_Handler):
    """The Hub's own addresses."""

    def do_GET(self) -> None:
        url = urlsplit(self.path)
        self.hub.requests.append(f"{self.command} {self.path}")
        if self.hub.portal:
            page = b"<html><body>Please accept the terms of this network</body></html>"
            if url.path == "/welcome":
                self.answer(200, page, Content_Type="text/html")
            else:
                self.answer(302, Location=f"{self.hub.endpoint}/welcome")
            return
        try:
            self.route(unquote(url.path).strip("/").split("/"), parse_qs(url.query))
        except Refusal as refusal:
            body = json.dumps({"error": refusal.message}).encode()
            headers = {name.replace("-", "_"): value for name, value in refusal.headers.items()}
            self.answer(refusal.status, body, Content_Type="application/json", **headers)

    do_HEAD = do_GET

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.do_GET()

    def route(self, parts: list[str], query: dict[str, list[str]]) -> None:
        token = self.token()
        api = parts[:2] == ["api", "datasets"]
        if not api and parts[:1] != ["datasets"]:
            raise Refusal(404, None, "Sorry, we can't find the page you are looking for.")
        rest = parts[2:] if api else parts[1:]
        verbs = ("revision", "tree", "paths-info", "commits") if api else ("resolve",)
        at = next((i for i, part in enumerate(rest) if i > 0 and part in verbs), len(rest))
        name, verb, arguments = "/".join(rest[:at]), rest[at] if at < len(rest) else None, rest[at + 1 :]
        present, repo = self.hub.resolve_name(name)
        if repo is None or present is None or (repo.private and token not in repo.readers):
            raise Refusal(404 if token else 401, "RepoNotFound", "Repository not found")
        if present != name:
            raise Refusal(307, None, "Renamed", Location=self.path.replace(f"/{name}", f"/{present}", 1))
        if repo.disabled:
            raise Refusal(403, None, "Access to this resource is disabled.")
        if verb == "resolve" and repo.gated and token not in repo.readers:
            message = f"Access to dataset {name} is restricted."
            raise Refusal(403 if token else 401, "GatedRepo", message)
        repo, path = self.revision(repo, arguments) if verb else (repo, "")
        if verb == "resolve":
            self.resolve(present, repo, path)
        elif verb == "tree":
            self.tree(present, repo, path, query)
        elif verb == "commits":
            self.answer_json([{**_commit(repo), "message": "", "authors": []}])
        elif verb == "paths-info":
            fields = parse_qs(self.body.decode())
            folders = {str(parent) for path in repo.files for parent in PurePosixPath(path).parents}
            known = [p for p in fields.get("paths", ()) if p in repo.files or p in folders]
            self.answer_json([self.entry(repo, p, expand=True) for p in known])
        else:
            self.info(present, repo, "blobs" in query)

    def token(self) -> str | None:
        token = self.headers.get("Authorization", "").removeprefix("Bearer ") or None
        if token is not None and token not in self.hub.tokens:
            raise Refusal(401, None, "Invalid credentials in Authorization header")
        return token

    @staticmethod
    def revision(repo: Repo, arguments: list[str]) -> tuple[Repo, str]:
        """The repository at the revision, whose name may hold a slash, and the path behind it."""
        for length in range(1, len(arguments) + 1):
            at = repo.at("/".join(arguments[:length]))
            if at is not None:
                return at, "/".join(arguments[length:])
        raise Refusal(404, "RevisionNotFound", f"Invalid rev id: {arguments[0] if arguments else ''}")

    def info(self, name: str, repo: Repo, with_sizes: bool) -> None:
        siblings = []
        for path, file in sorted(repo.files.items()):
            sibling: dict[str, Any] = {"rfilename": path}
            if with_sizes:
                sibling |= {"size": file.size, "blobId": file.oid}
                if file.large:
                    sibling["lfs"] = {"size": file.size, "sha256": file.sha256, "pointerSize": 134}
            siblings.append(sibling)
        self.answer_json(
            {
                "_id": "0" * 24,
                "id": name,
                "sha": repo.sha,
                "lastModified": "2024-01-01T00:00:00.000Z",
                "private": repo.private,
                "gated": "auto" if repo.gated else False,
                "disabled": repo.disabled,
                "downloads": 0,
                "likes": 0,
                "tags": [],
                "siblings": siblings,
            }
        )

    @staticmethod
    def entry(repo: Repo, path: str, *, expand: bool) -> dict[str, Any]:
        file = repo.files.get(path)
        entry: dict[str, Any] = {"path": path, "lastCommit": _commit(repo)} if expand else {"path": path}
        if file is None:
            return {"type": "directory", "oid": "0" * 40, "size": 0, **entry}
        entry |= {"type": "file", "oid": file.oid, "size": file.size}
        if file.large:
            entry["lfs"] = {"oid": file.sha256, "size": file.size, "pointerSize": 134}
        return entry

    def tree(self, name: str, repo: Repo, folder: str, query: dict[str, list[str]]) -> None:
        prefix = f"{folder}/" if folder else ""
        recursive, expand = (
            query.get(name, ["false"])[0].lower() == "true" for name in ("recursive", "expand")
        )
        paths = set()
        for path in repo.files:
            below = path[len(prefix) :].split("/") if path.startswith(prefix) else []
            depths = range(1, len(below) + 1) if recursive else range(1, min(1, len(below)) + 1)
            paths |= {prefix + "/".join(below[:depth]) for depth in depths}
        if folder and not paths:
            raise Refusal(404, "EntryNotFound", f'"{folder}" does not exist on "main"')
        first = int(query.get("cursor", ["0"])[0])
        last = first + self.hub.page_size
        headers = {}
        if last < len(paths):
            address = urlsplit(self.path).path
            flags = "".join(f"&{key}={quote(v[0])}" for key, v in query.items() if key != "cursor")
            headers["Link"] = f'<{self.hub.endpoint}{address}?cursor={last}{flags}>; rel="next"'
        page = sorted(paths)[first:last]
        self.answer_json([self.entry(repo, path, expand=expand) for path in page], **headers)

    def resolve(self, name: str, repo: Repo, path: str) -> None:
        commit = {"X-Repo-Commit": repo.sha}
        file = repo.files.get(path)
        if file is None:
            raise Refusal(404, "EntryNotFound", "Entry not found", **commit)
        if not file.large:
            if file.fault and file.fault.kind == "error":
                self.answer(500, b"Internal Server Error")
                return
            self.serve(file, **commit)
            return
        self.answer(
            302,
            X_Repo_Commit=repo.sha,
            X_Linked_Size=file.size,
            X_Linked_ETag=f'"{file.etag}"',
            ETag=f'"{file.etag}"',
            Accept_Ranges="bytes",
            Location=f"{self.hub.origin}/{quote(name)}/-/{repo.sha}/{quote(path)}",
        )


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description="A loopback Hub that serves Parquet files as a dataset.")
    parser.add_argument(
        "--parquet",
        action="append",
        required=True,
        metavar="[SPLIT=]FILE",
        help="a file to serve; the split is 'train' unless named; repeatable",
    )
    parser.add_argument("--name", default="wmt/wmt19", help="the repository (default: wmt/wmt19)")
    parser.add_argument("--config", default="cs-en", help="the configuration (default: cs-en)")
    parser.add_argument("--gated", metavar="TOKEN", help="gate the repository to this token")
    parser.add_argument("--port", type=int, default=0, help="the Hub's port (default: any free one)")
    parser.add_argument("--home", type=Path, help="what HF_HOME shall be (default: a new folder)")
    options = parser.parse_args(arguments)
    files: dict[str, bytes | str | Path] = {}
    splits: dict[str, str] = {}
    for item in options.parquet:
        split, _, file = item.rpartition("=")
        split = split or "train"
        number = sum(path.startswith(f"{options.config}/{split}-") for path in files)
        files[f"{options.config}/{split}-{number:05d}.parquet"] = Path(file).absolute()
        splits[split] = f"{options.config}/{split}-*"
    files["README.md"] = dataset_card({options.config: splits})
    with LoopbackHub(port=options.port) as hub:
        token = options.gated
        hub.repos[options.name] = make_repo(
            files,
            old_names=(options.name.rpartition("/")[2],),
            gated=bool(token),
            readers=frozenset({token} if token else ()),
        )
        hub.tokens |= {token} if token else set()
        home = options.home or Path(tempfile.mkdtemp(prefix="loopback-hub-"))
        print(f"# serving {options.name} ({options.config}) at {hub.endpoint}; Ctrl-C ends it")
        for name, value in hub.environment(home).items():
            print(f"export {name}={value}")
        sys.stdout.flush()
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print("# ended", file=sys.stderr)


if __name__ == "__main__":
    main()
