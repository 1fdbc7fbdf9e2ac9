"""Sends a file of another tool to the portal, which reads it, and follows what becomes of it."""

from __future__ import annotations

import glob
import gzip
import json
import os
import tarfile
import tempfile
import time
from collections.abc import Callable, Iterator

from traceml_agent.delivery.client import Client
from traceml_agent.inputs.config import Refused

MIB = 1024 * 1024
#: The portal's bounds: of a part, of the whole as it is sent, and unpacked.
PART_BYTES, MAX_SENT_BYTES, MAX_UNPACKED_BYTES = MIB, 64 * MIB, 160 * MIB
GZIP = b"\x1f\x8b"
POLL_S = 1.0
AT_WORK = ("checking", "storing", "undoing")

Heard = Callable[[float, str], None]


class Importer:
    """Imports of the token's project. Each call raises Refused, with the portal's words, if it can't be done."""

    def __init__(self, settings):
        self._client = Client(settings)

    def send(self, path: str, choices: dict, heard: Heard) -> dict:
        """Send a file and have it checked; returns the import with its preview, or why it was refused."""
        is_folder, name = os.path.isdir(path), os.path.basename(os.path.abspath(path))
        if not is_folder and os.path.getsize(path) > MAX_UNPACKED_BYTES:
            raise Refused(f"{path} has more than {MAX_UNPACKED_BYTES // MIB} MB; export a shorter period, or split it")
        with _packed(path) if is_folder else _zipped(path) as file:
            found = self._post("imports", {"file_name": name[:200], **choices})
            size = os.fstat(file.fileno()).st_size
            if size > MAX_SENT_BYTES:
                raise Refused(f"{path} has more than {MAX_SENT_BYTES // MIB} MB compressed; split it")
            for number, part in enumerate(_parts(file)):
                self._client.send("PUT", f"imports/{found['id']}/parts/{number}", part, "application/octet-stream")
                heard(min((number + 1) * PART_BYTES / size, 1.0), "sent")
        return self._done("check", found["id"], heard)

    def confirm(self, number: int, heard: Heard) -> dict:
        """Import what the preview showed; returns the import when it is done."""
        return self._done("confirm", number, heard)

    def undo(self, number: int, heard: Heard) -> dict:
        """Remove exactly the runs of an import; returns it when it is done."""
        return self._done("undo", number, heard)

    def discard(self, number: int) -> None:
        self._client.send("DELETE", f"imports/{number}")

    def _post(self, path: str, body: dict | None = None) -> dict:
        return self._client.send("POST", path, json.dumps(body).encode() if body is not None else b"")

    def _done(self, action: str, number: int, heard: Heard) -> dict:
        found = self._post(f"imports/{number}/{action}")
        while found["state"] in AT_WORK:
            heard(found["progress"], found["state"])
            time.sleep(POLL_S)
            found = self._client.send("GET", f"imports/{number}")
        return found


def _packed(folder: str):
    """The W&B runs in a folder as one compressed tar; everything else in it stays here."""
    packed = tempfile.TemporaryFile()
    with tarfile.open(fileobj=packed, mode="w:gz", compresslevel=6) as archive:
        for path in sorted(glob.glob(os.path.join(glob.escape(folder), "**", "*.wandb"), recursive=True)):
            archive.add(path, os.path.relpath(path, folder), recursive=False)
        if not archive.getmembers():
            raise Refused(f"{folder} has no .wandb file; of other tools, name the file itself")
    packed.seek(0)
    return packed


def _zipped(path: str):
    """The file, compressed into a temporary one unless it is already."""
    with open(path, "rb") as file:
        if file.read(2) == GZIP:
            return open(path, "rb")
        file.seek(0)
        zipped = tempfile.TemporaryFile()
        with gzip.GzipFile(fileobj=zipped, mode="wb", compresslevel=6, mtime=0) as out:
            while block := file.read(MIB):
                out.write(block)
        zipped.seek(0)
        return zipped


def _parts(file) -> Iterator[bytes]:
    while part := file.read(PART_BYTES):
        yield part
