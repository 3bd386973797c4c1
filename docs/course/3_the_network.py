"""
3. The network
==============

The network that tells the noise is a U-Net: it looks at the image at several resolutions and puts
together what it saw. It has three kinds of parts, which are called here one by one, with the
shapes of what goes in and out.
"""

import matplotlib.pyplot as plt
import torch
from torch.nn import functional as F

from difffilter.ddpm import UNet, UNetConfig

config = UNetConfig(channels=1, shuffle=1, widths=(32, 64, 64), blocks=1, middle=1, attention=(2,))
net = UNet(config).eval().requires_grad_(False)
print(f"{sum(weight.numel() for weight in net.parameters()):,} weights")

# %%
# Residual blocks
# ---------------
# GroupNorm, Swish, convolution, twice, and then Add: a block changes the image rather than making
# a new one. Between the two, it is told the step t, as sines and cosines of many frequencies. Its
# last convolution begins at zero, so that a fresh block passes on what it is given.

x = torch.randn(2, 32, 64, 64)  # (batch, channels, height, width)
time = net.time(torch.randn(2, config.embedding))
block = net.down[0].blocks[0]
print("residual block:", tuple(x.shape), "->", tuple(block(x, time).shape))
assert torch.equal(block(x, time), x)

# %%
# Self-attention
# --------------
# A convolution sees its neighbours, attention sees everything. The pixels are flattened to a
# sequence of tokens; each asks all others (query and key), takes the mean of their answers
# (values) by how well they fit, and the sequence becomes an image again. It grows with the square
# of the number of pixels, so that only coarse levels have it.

x = torch.randn(2, 64, 16, 16)
attention = net.middle.attention
tokens = attention.norm(x).flatten(2).transpose(1, 2)
print("flatten:  ", tuple(x.shape), "->", tuple(tokens.shape))
q, k, v = attention.qkv(tokens).chunk(3, dim=2)
weights = (q @ k.transpose(1, 2) / q.shape[2] ** 0.5).softmax(dim=2)
print(
    "weights:  ", tuple(weights.shape), "each row has the sum", round(float(weights[0, 0].sum()), 3)
)
print("unflatten:", tuple((weights @ v).transpose(1, 2).reshape(x.shape).shape))
assert torch.allclose(weights.sum(dim=2), torch.ones(2, 256), atol=1e-5)

# The network has several heads, each on its share of the channels, and PyTorch's function for all
# three steps.
heads = [each.unflatten(2, (config.heads, -1)).transpose(1, 2) for each in (q, k, v)]
mixed = F.scaled_dot_product_attention(*heads)
by_hand = (heads[0] @ heads[1].mT / heads[0].shape[3] ** 0.5).softmax(dim=3) @ heads[2]
assert torch.allclose(mixed, by_hand, atol=1e-5)

# %%
# Down and up
# -----------
# Each level halves the resolution. On the way up, what the way down saw at the same resolution is
# added.

shapes = []
for name, part in (("head", net.head), *((f"shrink {i}", s) for i, s in enumerate(net.shrink)),
                   ("middle", net.middle), *((f"grow {i}", g) for i, g in enumerate(net.grow)),
                   ("tail", net.tail)):  # fmt: skip
    part.register_forward_hook(lambda _, __, out, name=name: shapes.append((name, out.shape)))
with torch.inference_mode():
    out = net(torch.randn(1, 1, 64, 64), torch.tensor([300.0]))
for name, shape in shapes:
    print(f"{name:<9}{tuple(shape)}")
assert out.shape == (1, 1, 64, 64)

figure, axis = plt.subplots(figsize=(8, 2.2), layout="constrained")
for place, (_, (_, channels, height, _)) in enumerate(shapes):
    axis.bar(place, height, width=channels / 90, color="tab:blue")
    axis.text(place, height + 2, f"{channels} × {height}²", ha="center", fontsize=8)
axis.set(xticks=range(len(shapes)), ylabel="pixels", ylim=(0, 76))
axis.set_xticklabels([name for name, _ in shapes], fontsize=8)
