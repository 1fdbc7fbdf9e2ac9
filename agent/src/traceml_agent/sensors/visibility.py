"""Which of a driver's GPUs a process sees, by the lists in its environment that CUDA and ROCm obey."""

from __future__ import annotations

ALL_TAKEN = "names others than are listed, as in a container: all listed are taken"


def seen(listed: str | None, gpus: dict) -> tuple[list, bool]:
    """The GPUs that a list such as CUDA_VISIBLE_DEVICES leaves, and whether it names none that are here.

    Keys are the driver's indices, values anything with `uuids`, those of its slices included. As the runtimes do,
    the list ends at its first invalid entry, and an empty one means no GPU. In a container the driver may list fewer
    GPUs than the host's indices name: then all that it lists are the process's.
    """
    if listed is None:
        return list(gpus.values()), False
    entries = [entry.strip() for entry in listed.split(",")]
    numbers = [int(entry) for entry in entries if entry.isdigit()]
    if gpus and len(numbers) == len(entries) and min(numbers) > max(gpus):
        return list(gpus.values()), True
    found: list = []
    for entry in entries:
        gpu = _named(entry, gpus)
        if gpu is None:
            break
        if gpu not in found:
            found.append(gpu)
    return found, False


def _named(entry: str, gpus: dict):
    """The GPU of an index, of a UUID or the beginning of one, or of one of its slices."""
    if entry.isdigit():
        return gpus.get(int(entry))
    if entry.startswith("MIG-GPU-"):  # before driver 470: MIG-GPU-<uuid>/<gpu instance>/<compute instance>
        entry = entry.removeprefix("MIG-").partition("/")[0]
    found = [gpu for gpu in gpus.values() if entry and any(uuid.startswith(entry) for uuid in gpu.uuids)]
    return found[0] if len(found) == 1 else None
