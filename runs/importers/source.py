"""A sent file on disk, unpacked within bounds, and its text line by line."""

import csv
import gzip
import io
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO, NamedTuple

from runs.importers.cells import quoted
from runs.importers.found import FileRefused

MIB = 1024 * 1024
#: Of a file as it is sent (in parts, each within the API's limit on bodies), and unpacked: 100,000 SLURM jobs with
#: their steps are about 90 MB of text.
MAX_SENT_BYTES, MAX_UNPACKED_BYTES = 64 * MIB, 160 * MIB
GZIP = b"\x1f\x8b"
#: Characters of a line. Parameters may be long, but a file without line ends is not a table.
MAX_LINE = 256 * 1024
BOMS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"), (b"\xef\xbb\xbf", "utf-8-sig"))
TOO_LARGE = f"The file has more than {MAX_UNPACKED_BYTES // MIB} MB unpacked. Export a shorter period, or split it."


class Source(NamedTuple):
    """An unpacked file. `name` is what its user calls it, without the ending of a compression."""

    path: Path
    name: str

    def head(self, size: int = 4096) -> bytes:
        with self.path.open("rb") as file:
            return file.read(size)

    def lines(self) -> Iterator[str]:
        """Its lines with their ends. Raises FileRefused, naming the line, for what is not text."""
        encoding = next((name for bom, name in BOMS if self.head(4).startswith(bom)), "utf-8")
        with self.path.open(encoding=encoding, newline="", errors="strict") as file:
            number = 0
            try:
                while line := file.readline(MAX_LINE):
                    number += 1
                    if "\0" in line:
                        raise FileRefused(f"Line {number} has bytes that no text has. This is not a text file.")
                    if len(line) >= MAX_LINE:
                        raise FileRefused(f"Line {number} is longer than {MAX_LINE:,} characters.")
                    yield line
            except UnicodeError:
                raise FileRefused(
                    f"Line {self._undecodable(encoding)} is not UTF-8 text. Save the file as UTF-8."
                ) from None

    def _undecodable(self, encoding: str) -> int | str:
        """The number of the first line that can't be decoded; text is decoded in blocks, which are ahead of lines."""
        if encoding == "utf-16":
            return "?"
        with self.path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                try:
                    line.decode("utf-8")
                except UnicodeError:
                    return number
        return "?"


@contextmanager
def unpacked(parts: Iterable[bytes], name: str) -> Iterator[Source]:
    """Write the parts of a file to disk, unzipped if they are gzip. Raises FileRefused for more than the bounds."""
    with TemporaryDirectory(prefix="traceml-import-") as folder:
        path, packed = Path(folder) / "file", Path(folder) / "sent"
        with packed.open("wb") as file:
            for part in parts:
                file.write(part)
        with packed.open("rb") as file:
            is_zipped = file.read(2) == GZIP
            file.seek(0)
            with path.open("wb") as out, gzip.GzipFile(fileobj=file) if is_zipped else nullcontext(file) as plain:
                _copy(plain, out)  # type: ignore[arg-type]
        packed.unlink()
        yield Source(path, name.removesuffix(".gz"))


def _copy(source: BinaryIO, out: BinaryIO) -> None:
    size = 0
    try:
        while block := source.read(MIB):
            size += len(block)
            if size > MAX_UNPACKED_BYTES:
                raise FileRefused(TOO_LARGE)
            out.write(block)
    except (zlib.error, OSError, EOFError) as error:
        if isinstance(error, OSError) and error.errno:  # of our own disk
            raise
        raise FileRefused("The file is not a complete gzip file.") from None
    if not size:
        raise FileRefused("The file is empty.")


class Row(NamedTuple):
    """A row of a table: its first line, and its cells by the names of columns."""

    line: int
    cells: dict[str, str]

    def get(self, name: str) -> str | None:
        return self.cells.get(name)


class Table:
    """A file with a header and delimited rows. Raises FileRefused for a header that can't be right."""

    def __init__(self, source: Source, delimiters: str, columns: Iterable[str], known: Iterable[str] = ()):
        """`columns` must all be there; `known` may be, and tell the delimiter too."""
        self._source, self.needed = source, list(columns)
        wanted = {*self.needed, *known}
        header = next(iter(self._source.lines()), "")
        splits = {delimiter: split_line(header, delimiter) for delimiter in delimiters}
        self.delimiter = max(splits, key=lambda each: len(wanted & set(splits[each])))
        self.header = splits[self.delimiter]
        missing = [name for name in self.needed if name not in self.header]
        if missing:
            raise FileRefused(f"Line 1 is not the header of such a file: the column {missing[0]} is missing.")
        twice = [name for name in self.header if name and self.header.count(name) > 1]
        if twice:
            raise FileRefused(f"Line 1 has the column {quoted(twice[0])} twice, so it is unclear which one counts.")

    def rows(self) -> Iterator[tuple[int, list[str]]]:
        """The first line and the cells of each row after the header."""
        reader = csv.reader(self._source.lines(), delimiter=self.delimiter, strict=True)
        line = 1
        try:
            for cells in reader:
                if line > 1 and any(cells):
                    yield line, cells
                line = reader.line_num + 1
        except csv.Error:
            raise FileRefused(f"The quotes of the row that starts on line {line} don't match.") from None


def split_line(line: str, delimiter: str) -> list[str]:
    try:
        return [name.strip() for name in next(csv.reader(io.StringIO(line), delimiter=delimiter), [])]
    except csv.Error:
        return []
