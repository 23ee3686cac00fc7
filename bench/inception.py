"""Measures PyTorch's images per second through Inception up to layer 768, to compare with `dae eval`
(bench/RESULTS.md). For development only.

    python bench/inception.py WEIGHTS.safetensors CIFAR.bin [--batch 32] [--threads 2] [--count 256]

The network is that of pytorch-fid, with batch norm in eval mode, channels-last and no_grad. PyTorch resizes
the images in the same loop.
"""
import argparse
import time

import numpy as np
import torch
import torch.nn.functional as F
from pytorch_fid.inception import FIDInceptionA, FIDInceptionC, FIDInceptionE_1, FIDInceptionE_2
from safetensors.torch import load_file
from torchvision.models import inception_v3

parser = argparse.ArgumentParser()
parser.add_argument("weights")
parser.add_argument("images")
parser.add_argument("--batch", type=int, default=32)
parser.add_argument("--threads", type=int, default=2)
parser.add_argument("--count", type=int, default=256)
args = parser.parse_args()
torch.set_num_threads(args.threads)

net = inception_v3(num_classes=1008, aux_logits=False, weights=None, init_weights=False)
for name, module in {"Mixed_5b": FIDInceptionA(192, 32), "Mixed_5c": FIDInceptionA(256, 64),
                     "Mixed_5d": FIDInceptionA(288, 64), "Mixed_6b": FIDInceptionC(768, 128),
                     "Mixed_6c": FIDInceptionC(768, 160), "Mixed_6d": FIDInceptionC(768, 160),
                     "Mixed_6e": FIDInceptionC(768, 192), "Mixed_7b": FIDInceptionE_1(1280),
                     "Mixed_7c": FIDInceptionE_2(2048)}.items():
    setattr(net, name, module)
net.load_state_dict(load_file(args.weights), strict=False)
names = ["Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "maxpool1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "maxpool2",
         "Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", "Mixed_6d", "Mixed_6e"]
trunk = torch.nn.Sequential(*[getattr(net, name) for name in names]).eval().to(memory_format=torch.channels_last)
records = np.fromfile(args.images, np.uint8).reshape(-1, 3073)[: args.count + args.batch, 1:].reshape(-1, 3, 32, 32)

with torch.no_grad():
    def features(begin):
        x = torch.from_numpy(records[begin : begin + args.batch]).float() / 255
        x = 2 * F.interpolate(x, size=(299, 299), mode="bilinear", align_corners=False) - 1
        return trunk(x.contiguous(memory_format=torch.channels_last)).mean((2, 3))

    features(0)
    start = time.perf_counter()
    for begin in range(args.batch, args.count + args.batch, args.batch):
        last = features(begin)
    print(f"torch {torch.__version__} batch {args.batch}: {args.count / (time.perf_counter() - start):.1f} images/s")
