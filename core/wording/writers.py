"""Language models that write: one in a folder or in the local Hugging Face cache, or one behind an OpenAI-compatible address.

Nothing is downloaded, no code of a model folder is run, and nothing but the fact table is sent. A setting names the writer:
`local:FOLDER_OR_NAME`, or `https://host/v1#MODEL`; the key of an address stands in SHOPPER_ATLAS_WRITER_KEY.
"""

import json
import os
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import urldefrag, urlsplit

from core.errors import ModelError
from core.messages import say

KEY = "SHOPPER_ATLAS_WRITER_KEY"
"""Environment variable with the key of an address; it is sent to that address alone and written nowhere."""
TIMEOUT_SECONDS = 120
MOST_BYTES = 1 << 20
"""Of an answer; more is no description."""


class Writer(Protocol):
    """Whatever answers a request in words."""

    name: str
    """Shown beside what it wrote."""

    def write(self, instruction: str, request: str) -> str:
        """Answer a request under an instruction.

        Raises:
            ModelError: It cannot be reached or answers nothing.
        """


def open_writer(setting: str) -> Writer:
    """Open the writer that a setting names.

    Raises:
        ModelError: The setting names none, or its model is not at hand.
    """
    if setting.startswith("local:"):
        return LocalWriter(setting.removeprefix("local:"))
    address, model = urldefrag(setting)
    if urlsplit(address).scheme in ("http", "https") and urlsplit(address).hostname and model:
        return AddressWriter(address, model)
    raise ModelError(
        "{setting!r} names no writer; write local:FOLDER for a model on this machine, or https://host/v1#MODEL.", setting=_safe(setting)
    )


class LocalWriter:
    """A causal language model on this machine; the same request gets the same answer."""

    def __init__(self, name: str) -> None:
        import torch
        from transformers import AutoModelForCausalLM, AutoTokenizer

        self.name = Path(name).name
        try:
            options: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
            self._tokenizer = AutoTokenizer.from_pretrained(name, **options)
            self._model = AutoModelForCausalLM.from_pretrained(name, use_safetensors=True, dtype=torch.float32, **options).eval()
        except (OSError, ValueError, KeyError, ImportError) as error:
            raise ModelError(
                "The language model {name!r} is not on this machine ({error}). Give a folder with config.json, tokenizer.json "
                "and model.safetensors.",
                name=name,
                error=str(error).split("\n")[0][:160],
            ) from error
        self._torch = torch

    def write(self, instruction: str, request: str) -> str:
        """Answer by greedy decoding, at most 256 tokens."""
        tokens = self._tokens(instruction, request)
        room = getattr(self._model.config, "max_position_embeddings", None) or 4096
        tokens = tokens[:, : max(1, room - 256)]
        with self._torch.inference_mode():
            made = self._model.generate(
                tokens,
                attention_mask=self._torch.ones_like(tokens),
                max_new_tokens=min(256, max(1, room - tokens.shape[1])),
                do_sample=False,
                pad_token_id=self._tokenizer.pad_token_id or self._tokenizer.eos_token_id or 0,
            )
        return str(self._tokenizer.decode(made[0, tokens.shape[1] :], skip_special_tokens=True))

    def _tokens(self, instruction: str, request: str) -> Any:
        if self._tokenizer.chat_template:
            turns = [{"role": "system", "content": instruction}, {"role": "user", "content": request}]
            text = self._tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True)
            return self._tokenizer(text, return_tensors="pt", add_special_tokens=False)["input_ids"]
        return self._tokenizer(f"{instruction}\n\n{request}\n\n", return_tensors="pt")["input_ids"]


class AddressWriter:
    """A model behind an address that speaks OpenAI's chat completions."""

    def __init__(self, address: str, model: str) -> None:
        self.name = model
        self._address = address.rstrip("/") + "/chat/completions"

    def write(self, instruction: str, request: str) -> str:
        """Ask the address once, without randomness."""
        turns = [{"role": "system", "content": instruction}, {"role": "user", "content": request}]
        body = {"model": self.name, "messages": turns, "temperature": 0, "max_tokens": 400}
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get(KEY):
            headers["Authorization"] = f"Bearer {key}"
        asked = urllib.request.Request(self._address, json.dumps(body).encode(), headers)  # noqa: S310 - http or https, see open_writer
        try:
            with _OPENER.open(asked, timeout=TIMEOUT_SECONDS) as answer:
                told = answer.read(MOST_BYTES + 1)
        except (urllib.error.URLError, OSError, ValueError) as error:
            raise ModelError(
                "The writer at {host} cannot be asked ({error}). Check its address and key.",
                host=urlsplit(self._address).hostname,
                error=say("status {code}", code=error.code) if isinstance(error, urllib.error.HTTPError) else type(error).__name__,
            ) from None
        try:
            if len(told) > MOST_BYTES:
                raise ValueError
            return str(json.loads(told)["choices"][0]["message"]["content"])
        except (ValueError, KeyError, IndexError, TypeError):
            raise ModelError("The writer at {host} did not answer as a chat model does.", host=urlsplit(self._address).hostname) from None


class _NoRedirect(urllib.request.HTTPRedirectHandler):
    """A redirect would carry the key to another host."""

    def redirect_request(self, *arguments: Any, **more: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_NoRedirect)


def _safe(setting: str) -> str:
    """A setting without what may be a password in it."""
    parts = urlsplit(setting)
    return setting.replace(f"{parts.username}:{parts.password}@", "") if parts.password else setting[:120]
