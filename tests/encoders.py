"""A random two-layer encoder in a folder, made in a second, for tests of everything around the weights."""

from pathlib import Path

import torch
from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors
from transformers import BertConfig, BertModel, GPT2Config, GPT2LMHeadModel

WORDS = [
    *("red", "blue", "green", "summer", "dress", "shirt", "smart", "phone", "case", "tea"),
    *("coffee", "bean", "cup", "low", "price", "very", "high", "medium"),
]


def save_tiny_encoder(folder: Path, seed: int = 0, words: list[str] = WORDS) -> Path:
    """Save a BertModel of random weights (24 values, 32 tokens) whose vocabulary is `words` and single letters."""
    folder.mkdir(parents=True, exist_ok=True)
    letters = list("abcdefghijklmnopqrstuvwxyz0123456789|")
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", *words, *letters, *(f"##{c}" for c in letters)]
    vocabulary = {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}
    tokenizer = Tokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tokenizer.post_processor = processors.TemplateProcessing(single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)])
    tokenizer.save(str(folder / "tokenizer.json"))
    torch.manual_seed(seed)
    config = BertConfig(
        vocab_size=len(vocabulary),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=48,
        max_position_embeddings=32,
        initializer_range=0.5,
    )
    BertModel(config, add_pooling_layer=False).save_pretrained(folder)
    return folder


def save_tiny_writer(folder: Path, seed: int = 0) -> Path:
    """Save a causal language model of random weights, which writes nonsense, with a tokenizer of single signs."""
    folder.mkdir(parents=True)
    signs = [*'abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789{}":,.%- ']
    tokenizer = Tokenizer(
        models.WordLevel({"<end>": 0, "<unk>": 1, **{sign: n for n, sign in enumerate(signs, start=2)}}, unk_token="<unk>")
    )
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(
        '{"tokenizer_class": "PreTrainedTokenizerFast", "eos_token": "<end>", "unk_token": "<unk>"}'
    )
    torch.manual_seed(seed)
    config = GPT2Config(vocab_size=len(signs) + 2, n_positions=512, n_embd=16, n_layer=1, n_head=2, bos_token_id=0, eos_token_id=0)
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder
