"""A run's identity: its ids, the label of its host, its environment. Nothing that identifies a person or an address."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from itertools import islice

from traceml_agent import limits
from traceml_agent.inputs import metadata
from traceml_agent.messages import let_handlers_through

#: Packages whose version may explain a figure, by import name. Only looked up if they are loaded already.
FRAMEWORKS = (
    *("torch", "tensorflow", "jax", "keras", "flax", "paddle", "mxnet", "mlx", "tinygrad", "cupy", "triton", "numba"),
    *("lightning", "pytorch_lightning", "accelerate", "deepspeed", "colossalai", "composer", "fastai", "ignite", "ray"),
    *("horovod", "megatron", "torch_xla", "torchvision", "torchaudio", "torchtext", "torchdata", "torchmetrics"),
    *("transformers", "datasets", "tokenizers", "peft", "trl", "diffusers", "sentence_transformers", "timm", "optimum"),
    *("bitsandbytes", "xformers", "flash_attn", "unsloth", "evaluate", "safetensors", "setfit", "monai", "open_clip"),
    *("vllm", "sglang", "llama_cpp", "ctranslate2", "tensorrt", "tensorrt_llm", "onnxruntime", "openvino", "onnx"),
    *("sklearn", "xgboost", "lightgbm", "catboost", "cuml", "statsmodels", "scipy", "numpy", "pandas", "polars"),
    *("optuna", "hyperopt", "dask", "pyspark", "gymnasium", "stable_baselines3", "torch_geometric", "dgl", "optax"),
    *("spacy", "gensim", "nltk", "flair", "ultralytics", "whisper", "faiss", "prophet", "darts", "gluonts", "haiku"),
    *("orbax", "equinox", "numpyro", "pymc", "pyro", "gpytorch", "botorch", "pykeen", "skorch", "imblearn", "mteb"),
)
#: Most packages that are kept, since the environment has other keys too.
MOST_FRAMEWORKS = 40


def new_run_id() -> str:
    """A random UUID (version 4); importing the module uuid would cost more than the rest of a start."""
    raw = bytearray(os.urandom(16))
    raw[6], raw[8] = raw[6] & 0x0F | 0x40, raw[8] & 0x3F | 0x80
    return _dashed(raw.hex())


def run_id_of(name: str) -> str:
    """The run id for a setting: a UUID itself, or for any other text (a job's id) always the same UUID."""
    digits = name.lower().replace("-", "").removeprefix("urn:uuid:").strip("{}")
    if len(digits) == 32 and all(c in "0123456789abcdef" for c in digits):
        return _dashed(digits)
    import uuid

    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"traceml-run:{name}"))


def _dashed(digits: str) -> str:
    return "-".join((digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]))


def model_name(given, left_out=None) -> str:
    """The model's name: as given, else from the script."""
    return metadata.text(given, left_out, "the model's name") or _default_model()


def _default_model() -> str:
    """The name of a model that was not named: that of the script or notebook."""
    script = os.path.basename(getattr(sys.modules.get("__main__"), "__file__", "") or "")
    return metadata.text(script.removesuffix(".py")) or "unnamed"


def host_name() -> str:
    """The host's own name. It is not sent unless the settings allow it."""
    return os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "host")


def host_label(settings) -> str:
    """A label for this host: its name if the settings allow it, else a hash keyed with the token.

    It is the same for all of a project's runs on the host, and useless to anyone without the token.
    """
    name = host_name()
    if settings.hostname:
        return limits.clean(name) or "host"
    try:
        from _blake2 import blake2b  # hashlib loads OpenSSL first, which takes longer than the rest of a start
    except ImportError:
        from hashlib import blake2b

    return "host-" + blake2b(name.encode(), key=settings.token.encode()[:64], digest_size=5).hexdigest()


def environment() -> dict[str, str]:
    """What may explain the run's figures later: versions, and the commit of the code."""
    found = {"python": sys.version.split()[0], "os": f"{_os_name()}"}
    return {name: limits.clean(value) for name, value in (found | git()).items()} | packages()


def packages() -> dict[str, str]:
    """The versions of the known packages that are loaded by now."""
    return {name: limits.clean(version) for name, version in islice(_versions(), MOST_FRAMEWORKS)}


def _versions() -> Iterator[tuple[str, str]]:
    """Name and version of each known package that is loaded. Nothing is imported."""
    for name in FRAMEWORKS:
        try:
            version = getattr(sys.modules.get(name), "__version__", None)
            if version:
                yield name, str(version)[:50]
        except Exception as error:  # noqa: BLE001 (a module may compute its attributes, and fail)
            let_handlers_through(error)


def _os_name() -> str:
    if not hasattr(os, "uname"):
        return sys.platform
    system = os.uname()
    return f"{system.sysname} {system.release} {system.machine}"


def git(start: str | None = None) -> dict[str, str]:
    """The commit, branch and remote (without credentials) of the checkout around a folder, read from its files."""
    try:
        folder = _git_folder(start or os.getcwd())
        if folder is None:
            return {}
        head = _line(os.path.join(folder, "HEAD"))
        common = os.path.join(folder, _line(os.path.join(folder, "commondir"))) if _in(folder, "commondir") else folder
        reference = head.removeprefix("ref: ") if head.startswith("ref: ") else ""
        found = {"git_commit": _commit(folder, common, reference) if reference else head}
        if reference:
            found["git_branch"] = reference.removeprefix("refs/heads/")[:200]
        if remote := _remote(common):
            found["git_remote"] = remote
    except (OSError, ValueError):
        return {}
    return found


def _git_folder(folder: str) -> str | None:
    while True:
        place = os.path.join(folder, ".git")
        if os.path.isdir(place):
            return place
        if os.path.isfile(place):  # a worktree or submodule: "gitdir: path"
            return os.path.join(folder, _line(place).removeprefix("gitdir: "))
        folder, below = os.path.dirname(folder), folder
        if folder == below:
            return None


def _in(folder: str, name: str) -> bool:
    return os.path.isfile(os.path.join(folder, name))


def _line(path: str) -> str:
    with open(path, encoding="utf-8") as file:
        return file.readline(500).strip()


def _commit(folder: str, common: str, reference: str) -> str:
    for place in (folder, common):
        if _in(place, reference):
            return _line(os.path.join(place, reference))
    with open(os.path.join(common, "packed-refs"), encoding="utf-8") as file:
        for line in file:
            commit, _, name = line.strip().partition(" ")
            if name == reference:
                return commit
    return ""


def _remote(common: str) -> str:
    """The first remote's address, without user name, password and query."""
    with open(os.path.join(common, "config"), encoding="utf-8") as file:
        for line in file:
            name, _, value = line.partition("=")
            if name.strip() == "url":
                return without_credentials(value.strip())[:200]
    return ""


def without_credentials(address: str) -> str:
    """`https://user:secret@host/path?x` as `https://host/path`; `git@host:path` as `host:path`."""
    scheme, separator, rest = address.partition("://")
    if not separator:
        return address.rpartition("@")[2]
    place, slash, path = rest.partition("/")
    return f"{scheme}://{place.rpartition('@')[2]}{slash}{path.partition('?')[0]}"
