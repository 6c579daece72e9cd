"""Pictures of items: look-alikes by pictures alone, hostile files refused and counted, each content encoded once, any vision model."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from sklearn.datasets import load_sample_image
from transformers import CLIPConfig, CLIPModel, ViTConfig, ViTModel

from core.encoder import picture_models, pictures
from core.encoder.efficientnet import SIDE, load_efficientnet, package_file
from core.encoder.items import ItemVectors
from core.encoder.picture_files import find_picture, open_picture
from core.encoder.picture_models import PictureEncoder, encode, load_picture_encoder
from core.encoder.pictures import encode_pictures, fused, look_alikes
from core.errors import ModelError
from core.store import Log
from tests.encoders import save_tiny_encoder
from tests.pictures import KINDS, draw, hostile, shop
from tests.worlds import at

MakeLog = Callable[..., Log]


def event(item: str, days: float = 1) -> dict[str, Any]:
    return {"user_id": "u", "item_id": item, "event_type": "view", "event_time": at(days)}


def encoded(log: Log, folder: Path, encoder: PictureEncoder, cache: Path | None = None) -> tuple[ItemVectors | None, dict[str, Any]]:
    with log.history(at(5)) as connection:
        return encode_pictures(connection, folder, encoder, cache)


@pytest.mark.parametrize("model", ["classic", "efficientnet-lite0"])
def test_an_item_with_a_picture_only_finds_its_look_alikes(make_log: MakeLog, tmp_path: Path, model: str) -> None:
    items = shop(tmp_path / "shop")
    log = make_log([event("cup00"), event("bare", 7)], items=[*items, {"item_id": "bare"}])
    vectors, card = encoded(log, tmp_path / "shop", load_picture_encoder(model, "cpu"))
    assert vectors is not None and card["fates"]["read"] == 36 and card["fates"]["none"] == 1
    for kind in KINDS:
        found = look_alikes(vectors, f"{kind}00", 11)
        assert [item[:-2] for item, _ in found].count(kind) >= 10, (kind, found)
        assert [cosine for _, cosine in found] == sorted((cosine for _, cosine in found), reverse=True)
    assert look_alikes(vectors, "bare") == []


def test_the_packaged_network_names_a_palace_and_a_daisy() -> None:
    path = package_file()
    assert path is not None
    network = load_efficientnet(path)
    for file, thing in (("china.jpg", 698), ("flower.jpg", 985)):  # places of `palace` and `daisy` among the names of ImageNet
        picture = Image.fromarray(load_sample_image(file))
        picture = picture.crop((140, 40, 500, 400)).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
        with torch.inference_mode():
            logits = network.names((torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() - 127) / 128)
        assert int(logits.argmax()) == thing, file


def test_weights_that_are_not_the_pinned_ones_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "efficientnet.pth"
    path.write_bytes(b"cos\nsystem\n(S'touch /tmp/owned'\ntR.")
    with pytest.raises(ModelError, match="not the pinned"):
        load_efficientnet(path)


def test_hostile_pictures_are_refused_each_for_its_reason(make_log: MakeLog, tmp_path: Path) -> None:
    items = shop(tmp_path / "shop", 3)
    named = hostile(tmp_path / "shop")
    root = (tmp_path / "shop").resolve()
    for text, fate in named.items():
        file = find_picture(root, text)
        opened = open_picture(file.content) if file.fate == "read" else file.fate
        assert (opened if isinstance(opened, str) else "read") == fate, text
    listed = [*items, *({"item_id": f"x{n:02d}", "image": text} for n, text in enumerate(named) if "\0" not in text)]
    vectors, card = encoded(make_log([event("cup00"), event("cup01", 7)], items=listed), tmp_path / "shop", load_picture_encoder("classic"))
    assert vectors is not None and card["items"] == len(listed) == sum(card["fates"].values())
    assert card["fates"] == {"read": 11, "none": 1, "address": 4, "outside": 3, "missing": 5, "broken": 3, "too_large": 1}
    assert card["distinct"] == 9, "a link inside the folder and the picture that it leads to are one content"


def test_each_content_is_encoded_once_and_a_changed_file_again(make_log: MakeLog, tmp_path: Path) -> None:
    items = shop(tmp_path / "shop", 4)
    log, encoder = make_log([event("cup00"), event("cup01", 7)], items=items), load_picture_encoder("classic")
    first, _ = encoded(log, tmp_path / "shop", encoder, tmp_path / "cache")
    again, _ = encoded(log, tmp_path / "shop", encoder, tmp_path / "cache")
    assert first is not None and again is not None and (first.encoded, again.encoded) == (12, 0)
    assert np.array_equal(first.vectors, again.vectors)
    draw("phone", 7).save(tmp_path / "shop/img/cup00.png")
    changed, _ = encoded(log, tmp_path / "shop", encoder, tmp_path / "cache")
    assert changed is not None and changed.encoded == 1
    assert look_alikes(changed, "cup00", 1)[0][0].startswith("phone")


def test_a_pictures_vector_does_not_depend_on_its_company() -> None:
    encoder = load_picture_encoder("efficientnet-lite0", "cpu")
    some = [draw(kind, seed) for kind in KINDS for seed in range(4)]
    together = encode(encoder, some)
    assert np.array_equal(encode(encoder, some[5:6])[0], together[5])
    assert np.allclose(np.linalg.norm(together, axis=1), 1, atol=1e-5)


def save_vision_model(folder: Path, *, clip: bool) -> Path:
    torch.manual_seed(0)
    shape = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 32}
    vision = shape | {"image_size": 32, "patch_size": 8}
    if clip:
        CLIPModel(CLIPConfig(text_config=shape | {"vocab_size": 20}, vision_config=vision, projection_dim=12)).save_pretrained(folder)
    else:
        ViTModel(ViTConfig(**vision, initializer_range=0.5)).save_pretrained(folder)
    kind = "CLIPImageProcessor" if clip else "ViTImageProcessor"
    (folder / "preprocessor_config.json").write_text(
        f'{{"image_processor_type": "{kind}", "size": {{"height": 32, "width": 32}}, "do_center_crop": false, "do_resize": true,'
        ' "do_rescale": true, "do_normalize": true, "image_mean": [0.5, 0.5, 0.5], "image_std": [0.5, 0.5, 0.5]}'
    )
    return folder


@pytest.mark.parametrize(("clip", "dim"), [(False, 16), (True, 12)])
def test_any_vision_model_in_a_folder_reads_pictures(tmp_path: Path, clip: bool, dim: int) -> None:
    encoder = load_picture_encoder(str(save_vision_model(tmp_path / "vit", clip=clip)), "cpu")
    vectors = encode(encoder, [draw("cup", 0), draw("phone", 0), draw("cup", 0)])
    assert vectors.shape == (3, dim) and encoder.dim == dim and encoder.kind == "network"
    assert np.array_equal(vectors[0], vectors[2]) and not np.allclose(vectors[0], vectors[1], atol=1e-4)


def test_a_text_model_or_a_name_that_is_not_cached_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="reads no pictures"):
        load_picture_encoder(str(save_tiny_encoder(tmp_path / "text")), "cpu")
    with pytest.raises(ModelError, match="nothing is downloaded"):
        load_picture_encoder("nobody/no-such-model", "cpu")


def test_without_the_package_colours_and_edges_are_counted_and_the_card_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(picture_models, "package_file", lambda: None)
    assert load_picture_encoder("auto").card()["kind"] == "classic"
    with pytest.raises(ModelError, match="pip install"):
        load_picture_encoder("efficientnet-lite0")


def test_fused_vectors_place_items_with_a_text_a_picture_or_both() -> None:
    ids = ["both", "none", "picture", "text"]
    text = ItemVectors(ids, np.array([0, -1, -1, 1], np.int32), np.eye(2, dtype=np.float32), [])
    seen = ItemVectors(ids, np.array([0, -1, 0, -1], np.int32), np.ones((1, 1), np.float32), [])
    joined = fused(text, seen)
    assert joined is not None and joined.index[1] == -1 and joined.vectors.shape[1] == 3
    assert [item for item, _ in look_alikes(joined, "picture")] == ["both", "text"]
    assert look_alikes(joined, "picture")[0][1] == pytest.approx(np.sqrt(0.5))
    assert fused(text, None) is text and fused(None, seen) is seen
    assert pictures.fused(None, None) is None
