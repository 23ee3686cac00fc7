"""Writes small files with NumPy and PyTorch, for the tests of the readers. For development only.

    python tests/golden/make_files.py        (torch, numpy)

Every array and tensor holds 0, 1, 2, ... in its logical order (booleans: whether odd), so the tests know the
values.
"""
import collections
import os

import numpy as np
import torch
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))


def path(name):
    return os.path.join(HERE, "files", name)


def count(*shape, dtype):
    n = np.arange(np.prod(shape, dtype=int)).reshape(shape)
    return n % 2 == 1 if dtype == "b1" else n.astype(dtype)


def record_numpy():
    dtypes = ["u1", "i1", "b1", "u2", "i2", "u4", "i4", "u8", "i8", "f2", "f4", "f8"]
    arrays = {dtype: count(2, 3, dtype=dtype) for dtype in dtypes}
    arrays |= {"scalar": np.array(0.0), "vector": count(5, dtype="f4"), "empty": count(0, 3, dtype="f4"),
               "fortran": np.asfortranarray(count(2, 3, 4, dtype="i4"))}
    np.savez_compressed(path("numpy-deflated.npz"), **arrays)
    np.savez(path("numpy.npz"), count(2, 3, 2, 3, dtype="u1"), fortran=arrays["fortran"])
    np.save(path("numpy.npy"), arrays["fortran"])


def state():
    """Returns a state_dict with the attributes that a module's has, and tensors of every kind."""
    t = lambda *shape, dtype=torch.float32: torch.from_numpy(count(*shape, dtype="f8")).to(dtype)
    out = collections.OrderedDict()
    for dtype in (torch.float32, torch.float64, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16,
                  torch.int8, torch.uint8):
        out[str(dtype)] = t(2, 3, dtype=dtype)
    out["torch.bool"] = torch.tensor([[False, True, False], [True, False, True]])
    shared = t(24)
    out["view"] = shared[:6]
    out["shared"] = shared[:12].view(3, 4)
    out["transposed"] = t(2, 3).t().contiguous().t()  # not contiguous, 0, 1, 2, ... in its logical order
    out["channels_last"] = t(2, 3, 2, 2).contiguous(memory_format=torch.channels_last)
    out["stepped"] = (t(12) / 2)[::2]
    out["expanded"] = torch.zeros(1, 1).expand(1, 1)
    out["scalar"] = torch.tensor(0.0)
    out["empty"] = torch.zeros(0, 3)
    out["parameter"] = nn.Parameter(t(3))
    out._metadata = collections.OrderedDict(version=1)
    return out


def record_torch():
    for name, new in (("torch.pth", True), ("torch-legacy.pth", False)):
        torch.save(state(), path(name), _use_new_zipfile_serialization=new)
    weight = nn.Linear(3, 2)
    with torch.no_grad():
        weight.weight.copy_(torch.arange(6.0).view(2, 3))
        weight.bias.copy_(torch.arange(2.0))
    adam = torch.optim.AdamW(weight.parameters())
    for p in weight.parameters():
        p.grad = torch.zeros_like(p)
    adam.step()
    lightning = {"epoch": 3, "global_step": 2**40, "pytorch-lightning_version": "2.0", "loops": {"fit_loop": [None, True]},
                 "state_dict": {"model." + k: v for k, v in weight.state_dict().items()},
                 "optimizer_states": [adam.state_dict()], "hyper_parameters": {"lr": 0.5, "shape": torch.Size([2, 3])}}
    with torch.no_grad():
        weight.weight.copy_(torch.arange(6.0).view(2, 3))
        weight.bias.copy_(torch.arange(2.0))
    torch.save(lightning, path("lightning.ckpt"))


if __name__ == "__main__":
    record_numpy()
    record_torch()
