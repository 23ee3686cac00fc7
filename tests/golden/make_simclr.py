"""Records the results that the tests of SimCLR compare with: its training in PyTorch, its augmentation in
torchvision and Pillow. For development only, like make_golden.py, whose formulas it shares.

    python tests/golden/make_simclr.py        (torch, torchvision, pillow, numpy, safetensors)
"""
import torch
import torch.nn.functional as F
import torchvision
from torch import nn
from torchvision.transforms import RandomResizedCrop, functional as T

from make_golden import formula, pattern, save, summary

BATCH, Z, WIDTH, TEMPERATURE, DECAY, STEPS = 3, 8, 1 / 16, 0.3, 0.01, 3


class BasicBlock(nn.Module):
    def __init__(self, a, b, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(a, b, 3, stride, 1, bias=False), nn.BatchNorm2d(b)
        self.conv2, self.bn2 = nn.Conv2d(b, b, 3, 1, 1, bias=False), nn.BatchNorm2d(b)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(a, b, 1, stride, bias=False), nn.BatchNorm2d(b))

    def forward(self, x):
        h = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(x)))))
        return F.relu(h + (x if self.downsample is None else self.downsample(x)))


class ResNet18(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(3, c, 3, 1, 1, bias=False), nn.BatchNorm2d(c)
        for i in range(4):
            a, b = max(c, c * 2**i // 2), c * 2**i
            setattr(self, f"layer{i + 1}", nn.Sequential(BasicBlock(a, b, 1 + (i > 0)), BasicBlock(b, b, 1)))

    def forward(self, x):
        h = F.relu(self.bn1(self.conv1(x)))
        for layer in (self.layer1, self.layer2, self.layer3, self.layer4):
            h = layer(h)
        return h.mean((2, 3))


class Simclr(nn.Module):
    def __init__(self, width, z):
        super().__init__()
        c = round(64 * width)
        self.backbone = ResNet18(c)
        self.head = nn.Sequential(nn.Linear(8 * c, 8 * c, bias=False), nn.BatchNorm1d(8 * c), nn.ReLU(),
                                  nn.Linear(8 * c, z))

    def forward(self, x):
        mean, std = ((torch.tensor(v, dtype=x.dtype).view(3, 1, 1)
                      for v in ((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010))))
        features = self.backbone(((x + 1) / 2 - mean) / std)
        return features, self.head(features)


def nt_xent(a, b):
    """Returns NT-Xent, written as the mean over rows of -log of the partner's share among all others, and not
    as a cross entropy."""
    z = F.normalize(torch.cat([a, b]), dim=1)
    e = torch.exp(z @ z.T / TEMPERATURE)
    others = e.sum(1) - e.diagonal()
    partner = torch.exp((z[:BATCH] * z[BATCH:]).sum(1) / TEMPERATURE)
    return -torch.log(torch.cat([partner, partner]) / others).mean()


def record_training():
    ours = {k: v.shape for k, v in ResNet18(64).state_dict().items()}
    theirs = {k: v.shape for k, v in torchvision.models.resnet18().state_dict().items() if not k.startswith("fc.")}
    theirs["conv1.weight"] = torch.Size((64, 3, 3, 3))
    assert ours == theirs

    model = Simclr(WIDTH, Z).double()
    for name, t in model.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            t.copy_(formula(name, tuple(t.shape)))
    adam = torch.optim.Adam(model.parameters(), 1e-3, weight_decay=DECAY)
    shape = (STEPS, 2 * BATCH, 3, 32, 32)
    images = torch.from_numpy(pattern("images", STEPS * 2 * BATCH * 3 * 32 * 32)).reshape(shape)
    out, losses = {}, []
    for step in range(STEPS):
        a, b = images[step].split(BATCH)
        loss = nt_xent(model(a)[1], model(b)[1])
        adam.zero_grad()
        loss.backward()
        if step == 0:
            for name, p in model.named_parameters():
                out["grad." + name] = summary(name, p.grad + DECAY * p.detach())
        adam.step()
        losses.append(loss.item())
    out["losses.loss"] = torch.tensor(losses, dtype=torch.float64)
    for name, t in model.state_dict().items():
        out["final." + name] = t.double() if t.ndim == 0 else summary(name, t)
    out["features"], projection = model.eval()(images[0])
    out["projection"] = F.normalize(projection, dim=1)
    recipe = {"train.batch": BATCH, "train.steps": STEPS, "model.z_dim": Z, "model.width": WIDTH,
              "loss.temperature": TEMPERATURE, "optimizer.weight_decay": DECAY}
    for key, value in recipe.items():
        out["recipe." + key] = torch.tensor(value, dtype=torch.float64)
    save("simclr-small.safetensors", out)


NEUTRAL = (1.0, 1.0, 1.0, 0.0)
BRIGHTNESS, CONTRAST, SATURATION, HUE = range(4)
ADJUST = (T.adjust_brightness, T.adjust_contrast, T.adjust_saturation, T.adjust_hue)


def augment(image, size, crop, flip=False, factors=None, order=(0, 1, 2, 3), grey=False):
    image = T.resized_crop(image, *crop, list(size), T.InterpolationMode.BILINEAR, antialias=True)
    if flip:
        image = T.hflip(image)
    for what in order if factors else ():
        if factors[what] != NEUTRAL[what]:  # otherwise Pillow would convert the hue to a byte and back
            image = ADJUST[what](image, factors[what])
    return T.rgb_to_grayscale(image, 3) if grey else image


def record_augmentation():
    """Records the image, (H, W, 3) in [0, 1], and for each case how = (top, left, height, width, flip,
    jitter, four factors, their order, grey), with the results of torchvision on floats and of Pillow on
    bytes."""
    size = (16, 12)
    # Smooth, with all kinds of hues, like a photo. One pixel is grey, and its hue is not defined.
    coarse = torch.from_numpy(pattern("augment", 3 * 5 * 4)).reshape(1, 3, 5, 4) / 2 + 0.5
    image = F.interpolate(coarse, size, mode="bicubic", align_corners=True).clamp(0, 1)[0]
    image[:, 3, 5] = 0.4
    image = torch.round(255 * image) / 255
    whole = (0, 0, *size)

    def one(what, value):
        return {"crop": whole, "factors": [value if i == what else v for i, v in enumerate(NEUTRAL)]}

    cases = {
        "crop": {"crop": (2, 3, 11, 7)}, "crop_of_a_pixel": {"crop": (15, 11, 1, 1)},
        "crop_and_flip": {"crop": (5, 0, 4, 9), "flip": True},
        "darker": one(BRIGHTNESS, 0.63), "brighter": one(BRIGHTNESS, 1.38),
        "less_contrast": one(CONTRAST, 0.61), "more_contrast": one(CONTRAST, 1.4),
        "paler": one(SATURATION, 0.6), "more_saturated": one(SATURATION, 1.37),
        "hue_up": one(HUE, 0.1), "hue_down": one(HUE, -0.083),
        "grey": {"crop": whole, "grey": True},
        "all": {"crop": (1, 2, 13, 9), "flip": True, "factors": [0.8, 1.3, 1.2, -0.06], "order": (3, 1, 0, 2)},
        "all_and_grey": {"crop": (0, 4, 9, 8), "factors": [1.25, 0.7, 0.9, 0.04], "order": (2, 0, 3, 1), "grey": True},
    }
    out = {"image": image.permute(1, 2, 0)}
    for name, how in cases.items():
        factors, order = how.get("factors"), how.get("order", (0, 1, 2, 3))
        out[name + ".how"] = torch.tensor([*how["crop"], how.get("flip", False), factors is not None,
                                           *(factors or NEUTRAL), *order, how.get("grey", False)], dtype=torch.float64)
        out[name + ".floats"] = augment(image, size, **how).permute(1, 2, 0)
        bytes_ = T.pil_to_tensor(augment(T.to_pil_image((255 * image).round().to(torch.uint8)), size, **how))
        out[name + ".bytes"] = bytes_.permute(1, 2, 0)
    # Drawn crops: mean and deviation of top, left, height, width.
    torch.manual_seed(1)
    drawn = torch.tensor([RandomResizedCrop.get_params(torch.empty(3, 32, 32), (0.08, 1.0), (3 / 4, 4 / 3))
                          for _ in range(100_000)], dtype=torch.float64)
    out["crops"] = torch.stack([drawn.mean(0), drawn.std(0)])
    save("augment.safetensors", {k: v.float() if v.dtype == torch.uint8 else v for k, v in out.items()})


if __name__ == "__main__":
    record_training()
    record_augmentation()
