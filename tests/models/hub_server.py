"""A stand-in of the Hugging Face Hub: as much of its API as uploading and loading a model ask for."""

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

TOKEN = "hf_right"
COMMIT = "c0ffee" + 34 * "0"


class Hub(ThreadingHTTPServer):
    """What is on it: ``files`` ({path: content}) of the repository ``name``, and what was said to it."""

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.large: dict[str, bytes] = {}  # by their SHA-256
        self.name = self.private = self.summary = None

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


@contextmanager
def hub(patch: pytest.MonkeyPatch, folder) -> Iterator[Hub]:
    """While it lasts, huggingface_hub asks this one, has no token, and keeps what it loads in ``folder``."""
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    for name, value in {
        "ENDPOINT": server.address,
        "HUGGINGFACE_CO_URL_TEMPLATE": server.address + "/{repo_id}/resolve/{revision}/{filename}",
        "HF_HUB_DISABLE_XET": True,
        "HF_HUB_CACHE": str(folder),
        "HF_TOKEN_PATH": str(folder / "token"),
    }.items():
        patch.setattr(f"huggingface_hub.constants.{name}", value)
    patch.delenv("HF_TOKEN", raising=False)
    patch.delenv("HUGGING_FACE_HUB_TOKEN", raising=False)
    try:
        yield server
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_args):
        pass

    def _answer(self, content=b"", code=200, **headers):
        body = content if isinstance(content, bytes) else json.dumps(content).encode()
        self.send_response(code)
        for name, value in {"Content-Length": len(body), **headers}.items():
            self.send_header(name.replace("_", "-"), str(value))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_POST(self):
        hub, body = self.server, self.rfile.read(int(self.headers["Content-Length"] or 0))
        if self.headers["Authorization"] != f"Bearer {TOKEN}":
            return self._answer({"error": "Invalid username or password."}, 401)
        if self.path == "/api/repos/create":
            asked = json.loads(body)
            if asked.get("organization") == "theirs":
                return self._answer({"error": "You don't have the rights to create a model under theirs"}, 403)
            hub.name = f"{asked['organization']}/{asked['name']}"
            hub.private = asked.get("visibility") == "private" or asked.get("private")
            return self._answer({"url": f"{hub.address}/{hub.name}", "name": hub.name, "id": hub.name})
        if self.path == "/api/validate-yaml":
            content = json.loads(body)["content"]
            wrong = [] if content.startswith("---\nlibrary_name: graphmtl\n") else [{"message": "no front matter"}]
            return self._answer({"errors": wrong, "warnings": []}, 400 if wrong else 200)
        if self.path == f"/api/models/{hub.name}/preupload/main":
            files = [
                {
                    "path": file["path"],
                    "uploadMode": "lfs" if file["path"].endswith("safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for file in json.loads(body)["files"]
            ]
            return self._answer({"files": files})
        if self.path == f"/{hub.name}.git/info/lfs/objects/batch":
            objects = [
                {**each, "actions": {"upload": {"href": f"{hub.address}/large/{each['oid']}"}}}
                for each in json.loads(body)["objects"]
            ]
            return self._answer({"transfer": "basic", "objects": objects})
        if self.path == f"/api/models/{hub.name}/commit/main":
            for line in map(json.loads, body.splitlines()):
                self._commit(line["key"], line["value"])
            return self._answer({"commitUrl": f"{hub.address}/{hub.name}/commit/{COMMIT}", "commitOid": COMMIT})
        return self._answer({"error": f"POST {self.path}"}, 404)

    def _commit(self, key, value):
        if key == "header":
            self.server.summary = value["summary"]
        elif key == "file":
            self.server.files[value["path"]] = base64.b64decode(value["content"])
        else:
            assert key == "lfsFile"
            self.server.files[value["path"]] = self.server.large[value["oid"]]

    def do_PUT(self):
        content = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.large[hashlib.sha256(content).hexdigest()] = content
        self._answer()

    def do_HEAD(self):
        self.do_GET()

    def do_GET(self):
        hub = self.server
        start, _, path = self.path.partition("/resolve/")
        path = path.partition("/")[2]
        if start == f"/{hub.name}" and path in hub.files:
            content = hub.files[path]
            etag = f'"{hashlib.sha256(content).hexdigest()}"'
            return self._answer(content, ETag=etag, X_Repo_Commit=COMMIT)
        if self.path.startswith(f"/api/models/{hub.name}/revision/main"):
            siblings = [{"rfilename": name} for name in hub.files]
            return self._answer({"id": hub.name, "sha": COMMIT, "siblings": siblings})
        if self.path.startswith(f"/api/models/{hub.name}/tree/"):
            found = [
                {"type": "file", "path": name, "size": len(content), "oid": hashlib.sha1(content).hexdigest()}
                for name, content in hub.files.items()
            ]
            return self._answer(found)
        return self._answer({"error": f"GET {self.path}"}, 404)
