"""The reference network's forward pass written as real matrix products, for training on a CPU.

Parameters belong to the reference module; only the order of the arithmetic differs.  Channels
are kept innermost, so that every change of layout copies whole rows, and all products may run
in bfloat16, which is about three times as fast where the processor has such instructions.
"""

import math

import torch
from torch.nn import functional as F


class Fast:
    def __init__(self, net, dtype=torch.float32):
        assert net.scale_factor == 1 and net.grid == net.grid_internal
        self.net, self.dtype = net, dtype
        nlon, modes = net.trans.nlon, net.trans.mmax
        angle = 2 * math.pi / nlon * torch.outer(torch.arange(modes), torch.arange(nlon)).double()
        # Rows are (order, cosine or sine); torch-harmonics leaves 1/nlon to the forward FFT.
        forward = torch.stack([angle.cos(), -angle.sin()], 1) / nlon
        backward = 2 * nlon * forward
        backward[0] /= 2
        self.dft = forward.reshape(2 * modes, nlon).to(dtype)
        self.idft = backward.reshape(2 * modes, nlon).T.contiguous().to(dtype)
        self.legendre = net.trans.weights.to(dtype)  # [m, l, lat]
        self.ilegendre = net.itrans.pct.to(dtype)  # [m, lat, l]

    def conv(self, block, x):
        """Spectral convolution of x[batch, lat, lon, channel]."""
        b, h, w, c = x.shape
        m, l = self.legendre.shape[:2]
        y = torch.matmul(self.dft, x.to(self.dtype))
        y = y.view(b, h, m, 2 * c).permute(2, 1, 0, 3).reshape(m, h, b * 2 * c)
        y = torch.bmm(self.legendre, y)
        y = y.view(m, l, b, 2 * c).permute(1, 0, 2, 3).reshape(l, m * b, 2 * c)
        weight = torch.view_as_real(block.global_conv.weight).permute(2, 3, 1, 0)  # l, ri, in, out
        re, im = weight[:, 0], weight[:, 1]
        matrix = torch.cat([torch.cat([re, im], 2), torch.cat([-im, re], 2)], 1)
        y = torch.bmm(y, matrix.to(self.dtype))
        y = y.view(l, m, b * 2 * c).permute(1, 0, 2).contiguous()
        y = torch.bmm(self.ilegendre, y)
        y = y.view(m, h, b, 2 * c).permute(2, 1, 0, 3).reshape(b, h, 2 * m, c)
        y = torch.matmul(self.idft, y)
        if hasattr(block.global_conv, "bias"):
            y = y + block.global_conv.bias.view(-1).to(self.dtype)
        return y

    def linear(self, conv, x):
        bias = None if conv.bias is None else conv.bias.to(self.dtype)
        return F.linear(x.to(self.dtype), conv.weight[:, :, 0, 0].to(self.dtype), bias)

    def __call__(self, x):
        net = self.net
        # The encoder and decoder stay in single precision: they touch physical values.
        encoder, decoder = net.encoder[0], net.decoder[0]
        x = F.linear(x.permute(0, 2, 3, 1), encoder.weight[:, :, 0, 0], encoder.bias)
        if hasattr(net.pos_embed, "position_embeddings"):
            x = x + net.pos_embed.position_embeddings.permute(0, 2, 3, 1)
        for block in net.blocks:
            y = self.conv(block, x)
            y = F.gelu(self.linear(block.mlp.fwd[0], y))
            x = x + self.linear(block.mlp.fwd[2], y).float()
        x = F.linear(x, decoder.weight[:, :, 0, 0], decoder.bias)
        return x.permute(0, 3, 1, 2)
