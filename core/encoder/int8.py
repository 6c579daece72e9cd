"""int8 on a processor: each row of the input and each column of the weights keeps a scale of its own.

A scale for the whole batch, as torch's dynamic quantisation has it, makes a text's vector depend on the texts beside it and
costs more of its direction (cosine .91-.94 against .995; docs/decisions/0002). Rows after Yao et al. 2022, ZeroQuant
(arXiv:2206.01861).
"""

import torch
from torch import Tensor, nn

_LEVELS = 127


class Int8Linear(nn.Module):  # type: ignore[misc]  # torch is read without types
    """A linear layer whose product is taken in integers."""

    def __init__(self, exact: nn.Linear) -> None:
        super().__init__()
        weight = exact.weight.detach().float()  # (out, in)
        scale = weight.abs().amax(1).clamp_(min=1e-12) / _LEVELS
        self.register_buffer("scale", scale)  # (out,)
        self.register_buffer("weight", torch.round(weight / scale[:, None]).to(torch.int8).t().contiguous())  # (in, out)
        self.register_buffer("bias", torch.zeros(len(weight)) if exact.bias is None else exact.bias.detach().float())

    def forward(self, x: Tensor) -> Tensor:
        rows = x.reshape(-1, x.shape[-1])  # (N, in)
        step = rows.abs().amax(1, keepdim=True).clamp_(min=1e-12).div_(_LEVELS)  # (N, 1)
        product = torch._int_mm((rows / step).round_().to(torch.int8), self.weight)  # (N, out), int32
        return torch.addcmul(self.bias, torch.mul(product, step), self.scale).reshape(*x.shape[:-1], -1)


def quantise(network: nn.Module) -> nn.Module:
    """Put int8 layers in the place of every linear one; norms, attention and the table of tokens stay as they are."""
    for name, part in network.named_children():
        if isinstance(part, nn.Linear):
            setattr(network, name, Int8Linear(part))
        else:
            quantise(part)
    return network
