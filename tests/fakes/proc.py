"""A tree in the place of `/` with processes, cgroups and whatever else a test puts there."""

import shutil
from pathlib import Path

STAT = "{pid} (a (b) c) S {parent} 1 1 0 -1 0 0 0 0 0 {ticks} 0 0 0 20 0 1 0 5 0 0\n"


class Tree:
    """Files below `root`; `self` of /proc is process 100, a child of 1, in the first process-id namespace."""

    def __init__(self, root: Path):
        self.root = root
        self.process(1, 0)
        self.process(100, 1)
        (root / "proc/self").symlink_to("100")
        self.namespace(4026531836)

    def put(self, path: str, text: str) -> None:
        file = self.root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def process(self, pid: int, parent: int, ticks: int = 0, **files: str) -> None:
        """A process that used so many hundredths of a second."""
        self.put(f"proc/{pid}/stat", STAT.format(pid=pid, parent=parent, ticks=ticks))
        for name, text in files.items():
            self.put(f"proc/{pid}/{name}", text)

    def end(self, pid: int) -> None:
        shutil.rmtree(self.root / f"proc/{pid}")

    def namespace(self, inode: int) -> None:
        link = self.root / "proc/100/ns/pid"
        link.parent.mkdir(exist_ok=True)
        link.unlink(missing_ok=True)
        link.symlink_to(f"pid:[{inode}]")
