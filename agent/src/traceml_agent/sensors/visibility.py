"""Which of a driver's GPUs a process sees, by the lists in its environment that CUDA and ROCm use."""

from __future__ import annotations

from collections.abc import Sequence

ALL_TAKEN = "names GPUs that are not listed, as in a container: all listed GPUs are measured"


def seen(listed: str | None, gpus: dict, slices: Sequence = ()) -> tuple[list, bool]:
    """The GPUs that a list such as CUDA_VISIBLE_DEVICES allows, and whether it names none that are here.

    Keys of `gpus` are the driver's indices, values are anything with `uuids`; `slices` have only those. As in the
    runtimes, the list ends at its first invalid entry, and an empty one means no GPU. In a container the driver may
    list fewer GPUs than the host's indices name: then the process has all that are listed.
    """
    if listed is None:
        return list(gpus.values()), False
    entries = [entry.strip() for entry in listed.split(",")]
    numbers = [int(entry) for entry in entries if entry.isdigit()]
    if gpus and len(numbers) == len(entries) and min(numbers) > max(gpus):
        return list(gpus.values()), True
    found: list = []
    for entry in entries:
        gpu = _named(entry, gpus, slices)
        if gpu is None:
            break
        if gpu not in found:
            found.append(gpu)
    return found, False


def _named(entry: str, gpus: dict, slices: Sequence):
    """The GPU of an index, or the GPU or slice that a UUID or the start of one names."""
    if entry.isdigit():
        return gpus.get(int(entry))
    if entry.startswith("MIG-GPU-") and not slices:
        entry = entry.removeprefix("MIG-").partition("/")[0]
    found = [each for each in (*gpus.values(), *slices) if entry and _is_called(each, entry)]
    return found[0] if len(found) == 1 else None


def _is_called(gpu, entry: str) -> bool:
    """Whether a GPU has this name. Before driver 470 a slice was MIG-<board's uuid>/<gpu instance>/<compute
    instance>."""
    uuid_begins, slash, place = entry.partition("/")
    return any(uuid.startswith(uuid_begins) and uuid.endswith(slash + place) for uuid in gpu.uuids)
