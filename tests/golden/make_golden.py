"""Records the results of PyTorch that the C++ tests compare with. For development only: the build and the
tests do not need it.

    python tests/golden/make_golden.py        (torch, numpy, safetensors; the version is in each file's metadata)

Tensors have PyTorch's layout and names. The weights are too many to store (the discriminator has no small
version), so both sides compute them: `formula` here, `formula_values` in tests/support/golden.h. An array of a
parameter's size is stored as three numbers, `summary`: Frobenius norm, signed sum, and the dot product with
the formula's pattern, which detects a transposition that the other two miss.
"""
import math
import os

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import nn

HERE = os.path.dirname(os.path.abspath(__file__))
BATCH, Z, WIDTH, STEPS = 4, 8, 1 / 16, 10


def pattern(name, count):
    """Returns numbers in [-1, 1), exactly: element i is the upper 24 bits of murmur3's finalizer of
    FNV-1a(name) + i * 0x9E3779B9."""
    seed = 2166136261
    for byte in name.encode():
        seed = (seed ^ byte) * 16777619 % 2**32
    x = (np.arange(count, dtype=np.uint64) * 0x9E3779B9 + seed) % 2**32
    x = ((x ^ (x >> 16)) * 0x85EBCA6B) % 2**32
    x = ((x ^ (x >> 13)) * 0xC2B2AE35) % 2**32
    x = x ^ (x >> 16)
    return (x >> 8).astype(np.float64) / 2**23 - 1


def formula(name, shape):
    """Returns a parameter's values, computed in f64 and rounded to f32. Rank 2 and 4: pattern / sqrt(size /
    shape[0]), PyTorch's default bound. Vectors: 0.2 * pattern, plus 1 for a norm's gain and its running
    variance."""
    u = pattern(name, math.prod(shape))
    if len(shape) > 1:
        u = u / math.sqrt(math.prod(shape) / shape[0])
    else:
        u = 0.2 * u + (1.0 if name.endswith(("weight", "running_var")) else 0.0)
    return torch.from_numpy(u.astype(np.float32)).reshape(shape)


def fill(prefix, module):
    for name, t in module.state_dict().items():
        if not name.endswith("num_batches_tracked"):
            t.copy_(formula(f"{prefix}.{name}", tuple(t.shape)))


def summary(name, t):
    a = t.detach().double().contiguous().numpy().ravel()
    return torch.tensor([np.sqrt((a * a).sum()), a.sum(), (a * pattern(name, a.size)).sum()], dtype=torch.float64)


def save(file, tensors):
    tensors = {k: t.detach().contiguous() for k, t in tensors.items()}
    save_file(tensors, os.path.join(HERE, file), {"torch": torch.__version__})


# ---- single layers -----------------------------------------------------------------------------------------


def record_ops():
    rng = torch.Generator().manual_seed(1)
    out = {}

    def uniform(*shape, low=-1.0, high=1.0):
        return torch.rand(shape, generator=rng, dtype=torch.float64) * (high - low) + low

    def record(case, f, **inputs):
        """Records y = f(inputs in order), a random dy, and the gradient of every floating-point input: dx for
        x and so on."""
        leaves = {k: v.requires_grad_() for k, v in inputs.items() if v.is_floating_point()}
        y = f(*inputs.values())
        dy = uniform(*y.shape)
        grads = torch.autograd.grad(y, list(leaves.values()), dy)
        for k, v in inputs.items():
            out[f"{case}.{k}"] = v.clone()
        out[f"{case}.y"], out[f"{case}.dy"] = y, dy
        for k, g in zip(leaves, grads):
            out[f"{case}.d{k}"] = g

    def conv(stride, pad):
        return lambda x, weight, bias: F.conv2d(x, weight, bias, stride, pad)

    def conv_t(stride, pad):
        return lambda x, weight, bias: F.conv_transpose2d(x, weight, bias, stride, pad)

    record("conv_k3s1p1", conv(1, 1), x=uniform(2, 3, 7, 6), weight=uniform(5, 3, 3, 3), bias=uniform(5))
    record("conv_k5s2p2", conv(2, 2), x=uniform(2, 3, 9, 8), weight=uniform(4, 3, 5, 5), bias=uniform(4))
    record("conv_k4s2p1", conv(2, 1), x=uniform(2, 4, 8, 6), weight=uniform(6, 4, 4, 4), bias=uniform(6))
    record("conv_pad_right_bottom", lambda x, weight, bias: F.conv2d(F.pad(x, (0, 1, 0, 1)), weight, bias, 2),
           x=uniform(2, 3, 8, 6), weight=uniform(5, 3, 3, 3), bias=uniform(5))
    record("conv_transpose_k4s2p1", conv_t(2, 1), x=uniform(2, 5, 3, 4), weight=uniform(5, 3, 4, 4), bias=uniform(3))
    record("conv_transpose_k2s1p0", conv_t(1, 0), x=uniform(2, 5, 1, 1), weight=uniform(5, 6, 2, 2), bias=uniform(6))

    def norm_inputs(c, *shape):
        return {"x": uniform(*shape, low=-2, high=3), "weight": uniform(c, low=0.5, high=1.5), "bias": uniform(c)}

    for mode in ("train", "eval"):
        mean, var = uniform(5), uniform(5, low=0.5, high=2)
        out[f"batch_norm_{mode}.mean_before"], out[f"batch_norm_{mode}.var_before"] = mean.clone(), var.clone()
        record(f"batch_norm_{mode}",
               lambda x, weight, bias: F.batch_norm(x, mean, var, weight, bias, mode == "train", 0.1, 1e-5),
               **norm_inputs(5, 3, 5, 4, 2))
        out[f"batch_norm_{mode}.mean_after"], out[f"batch_norm_{mode}.var_after"] = mean, var
    record("group_norm", lambda x, weight, bias: F.group_norm(x, 3, weight, bias, 1e-6), **norm_inputs(12, 2, 12, 5, 3))
    record("layer_norm", lambda x, weight, bias: F.layer_norm(x, (7,), weight, bias, 1e-5), **norm_inputs(7, 2, 3, 7))

    for case, f in {"gelu": F.gelu, "gelu_tanh": lambda x: F.gelu(x, approximate="tanh"), "silu": F.silu,
                    "softplus": F.softplus, "softmax": lambda x: F.softmax(x, -1)}.items():
        record(case, f, x=uniform(5, 7, low=-6, high=6))
    record("cross_entropy", F.cross_entropy, input=uniform(6, 5, low=-4, high=4),
           target=torch.randint(5, (6,), generator=rng))
    record("embedding", F.embedding, index=torch.randint(7, (3, 4), generator=rng), weight=uniform(7, 5))
    for target in (0, 1):
        record(f"bce_target_{target}",
               lambda x: F.binary_cross_entropy_with_logits(x, torch.full_like(x, target)), x=uniform(9, 1, low=-8, high=8))

    record("max_pool", lambda x: F.max_pool2d(x, 3, 2, 1), x=uniform(2, 3, 7, 6))
    for count_pad in (False, True):
        record("avg_pool_count_pad" if count_pad else "avg_pool",
               lambda x: F.avg_pool2d(x, 3, 2, 1, count_include_pad=count_pad), x=uniform(2, 3, 7, 6))
    record("upsample_nearest", lambda x: F.interpolate(x, scale_factor=2, mode="nearest"), x=uniform(2, 3, 4, 5))
    save("ops.safetensors", out)


# ---- models ------------------------------------------------------------------------------------------------


def scaled(channels, width=WIDTH):
    return max(1, round(channels * width))


class Generator(nn.Module):
    def __init__(self):
        super().__init__()
        c = [scaled(n) for n in (1024, 512, 256, 128)]
        layers = [nn.ConvTranspose2d(Z, c[0], 2, 1, 0, bias=False), nn.BatchNorm2d(c[0]), nn.ReLU()]
        for a, b in zip(c, c[1:]):
            layers += [nn.ConvTranspose2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.ReLU()]
        layers += [nn.ConvTranspose2d(c[3], 3, 4, 2, 1, bias=False), nn.Tanh()]
        self.main = nn.Sequential(*layers)

    def forward(self, z):
        return self.main(z.view(-1, Z, 1, 1))


class Discriminator(nn.Module):
    """The discriminator, with a width of its own. Returns the logit and the feature layer: the output of
    main.5 before its activation."""

    def __init__(self, width=1):
        super().__init__()
        c = [scaled(n, width) for n in (64, 128, 256, 512)]
        layers = [nn.Conv2d(3, c[0], 5, 2, 2, bias=False), nn.LeakyReLU(0.2)]
        for a, b in zip(c, c[1:]):
            layers += [nn.Conv2d(a, b, 5, 2, 2, bias=False), nn.LeakyReLU(0.2), nn.BatchNorm2d(b)]
        self.main = nn.Sequential(*layers)
        self.linear = nn.Linear(4 * c[3], 1)

    def forward(self, x):
        feature = self.main[:6](x)
        return self.linear(self.main[6:](feature).flatten(1)), feature


class Encoder(nn.Module):
    def __init__(self):
        super().__init__()
        c = [scaled(n) for n in (128, 256, 512, 1024)]
        layers = [nn.Conv2d(3, c[0], 4, 2, 1, bias=False), nn.LeakyReLU(0.2)]
        for a, b in zip(c, c[1:]):
            layers += [nn.Conv2d(a, b, 4, 2, 1, bias=False), nn.BatchNorm2d(b), nn.LeakyReLU(0.2)]
        self.main = nn.Sequential(*layers, nn.Conv2d(c[3], 2 * Z, 2, 1, 0))

    def forward(self, x):
        mu, logvar = self.main(x).flatten(1).chunk(2, 1)
        return mu, logvar.clamp(-30, 20)


def mlp(inputs, hidden, outputs):
    return nn.Sequential(nn.Linear(inputs, hidden), nn.ReLU(), nn.Linear(hidden, hidden), nn.ReLU(),
                         nn.Linear(hidden, outputs))


def bce(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def kl_normal(mu, logvar):
    return 0.5 * (mu**2 + logvar.exp() - 1 - logvar).sum(1).mean()


class Model:
    """Named networks with an Adam for each. Keeps the gradients of the first step."""

    def __init__(self, dtype, lr=2e-4, betas=(0.5, 0.9), **networks):
        self.networks = {name: net.to(dtype) for name, net in networks.items()}
        for name, net in self.networks.items():
            fill(name, net)
        self.adam = {name: torch.optim.Adam(net.parameters(), lr, betas) for name, net in self.networks.items()}
        self.lr, self.grads, self.rested = lr, {}, []

    def __getattr__(self, name):
        return self.networks[name]

    def update(self, name, loss, keep=False):
        """Computes the gradients of the network `name` alone; apply() applies them."""
        params = dict(self.networks[name].named_parameters())
        for p, (path, g) in zip(params.values(), zip(params, torch.autograd.grad(loss, list(params.values()),
                                                                                 retain_graph=keep))):
            p.grad = g
            self.grads.setdefault(f"{name}.{path}", g.clone())

    def apply(self, *names, factor):
        for name in names:
            self.adam[name].param_groups[0]["lr"] = self.lr * factor
            self.adam[name].step()


class Dcgan(Model):
    noise_rows = 3 * BATCH
    recipe = {}

    def __init__(self, dtype):
        super().__init__(dtype, generator=Generator(), discriminator=Discriminator())

    def step(self, x, noise, factor):
        with torch.no_grad():
            fake = self.generator(noise[:BATCH])
        loss_d = bce(self.discriminator(x)[0], 1.0) + bce(self.discriminator(fake)[0], 0.0)
        self.update("discriminator", loss_d)
        self.apply("discriminator", factor=factor)
        loss_g = bce(self.discriminator(self.generator(noise[BATCH:]))[0], 1.0)
        self.update("generator", loss_g)
        self.apply("generator", factor=factor)
        return {"loss_d": loss_d, "loss_g": loss_g}


class Vaegan(Model):
    """Stage 1, and the joint model. The weights of the losses differ from each other, so that a swap is
    detected."""
    noise_rows = 2 * BATCH
    recipe = {"loss.kl": 0.01, "loss.feature": 1.5, "loss.feature_generator": 0.5, "loss.adversarial": 0.75}
    stage = 1

    def __init__(self, dtype):
        discriminator = Discriminator(self.recipe.get("model.discriminator_width", 1))
        super().__init__(dtype, encoder=Encoder(), generator=Generator(), discriminator=discriminator)
        if self.stage == 2:
            self.encoder.eval().requires_grad_(False)

    def step(self, x, noise, factor):
        w = {"reconstruction": 0, "balance": 0}
        w |= {key.removeprefix("loss."): value for key, value in self.recipe.items()}
        mu, logvar = self.encoder(x)
        z = mu if self.stage == 2 else mu + (logvar / 2).exp() * noise[:BATCH]
        if self.recipe.get("model.generator_passes", 2) == 2:
            xhat, xp = self.generator(z), self.generator(noise[-BATCH:])
        else:
            xhat, xp = self.generator(torch.cat([z, noise[-BATCH:]])).chunk(2)

        real, rec, prior = (self.discriminator(t)[0] for t in (x, xhat.detach(), xp.detach()))
        costs = bce(real, 1.0), 0.5 * (bce(rec, 0.0) + bce(prior, 0.0))
        loss_d = sum(costs)
        rest = []
        if w["balance"]:  # the rule of Larsen et al., as in the authors' code
            rest += ["discriminator"] if min(costs) < 0.68 - w["balance"] else []
            rest += ["generator"] if max(costs) > 0.68 + w["balance"] else []
            rest = [] if len(rest) == 2 else rest
            self.rested.append(",".join(rest))
        self.update("discriminator", loss_d)
        self.apply(*{"discriminator"} - set(rest), factor=factor)

        (_, feature_x), (rec, feature_rec), (prior, _) = (self.discriminator(t) for t in (x, xhat, xp))
        feature = ((feature_x.detach() - feature_rec)**2).mean()
        adversarial = 0.5 * (bce(rec, 1.0) + bce(prior, 1.0))
        pixels = ((xhat - x)**2).mean()
        loss_g = w["feature_generator"] * feature + w["adversarial"] * adversarial + w["reconstruction"] * pixels
        losses = {"loss_d": loss_d, "loss_g": loss_g, "loss_feature": feature, "loss_adversarial": adversarial,
                  "loss_rec": pixels}
        trained = ["generator"]
        if self.stage == 1:
            kl = kl_normal(mu, logvar)
            losses |= {"loss_e": w["kl"] * kl + w["feature"] * feature + w["reconstruction"] * pixels, "loss_kl": kl}
            self.update("encoder", losses["loss_e"], keep=True)
            trained.append("encoder")
        self.update("generator", loss_g)
        self.apply(*set(trained) - set(rest), factor=factor)
        return losses


class VaeganKeys(Vaegan):
    """VAEGAN with the settings that the paper's recipe leaves at their defaults: a narrow discriminator, a
    pixel term, one pass of the generator over both kinds of latents, and the balance rule, with a margin at
    which each side pauses in some of the steps."""
    recipe = Vaegan.recipe | {"model.discriminator_width": 0.125, "model.generator_passes": 1,
                              "loss.reconstruction": 0.8, "loss.balance": 0.02}


class VaeganStageTwo(Vaegan):
    """Stage 2: the encoder is frozen and in eval mode, z is the posterior mean, there is no KL; a step draws
    z_p only."""
    noise_rows = BATCH
    stage = 2


class Vae(Model):
    """Encoder and generator alone, with a loss on pixels."""
    noise_rows = BATCH
    recipe = {"loss.reconstruction": 1.3, "loss.kl": 0.02}

    def __init__(self, dtype):
        super().__init__(dtype, 1e-3, (0.9, 0.999), encoder=Encoder(), generator=Generator())

    def step(self, x, noise, factor):
        mu, logvar = self.encoder(x)
        rec = ((self.generator(mu + (logvar / 2).exp() * noise) - x)**2).mean()
        kl = kl_normal(mu, logvar)
        loss = self.recipe["loss.reconstruction"] * rec + self.recipe["loss.kl"] * kl
        self.update("encoder", loss, keep=True)
        self.update("generator", loss)
        self.apply("encoder", "generator", factor=factor)
        return {"loss": loss, "loss_rec": rec, "loss_kl": kl}


class Toy(Model):
    noise_rows = BATCH
    recipe = {"model.encoder_hidden": 16, "model.decoder_hidden": 12, "loss.reconstruction": 1.3, "loss.kl": 0.7}

    def __init__(self, dtype):
        super().__init__(dtype, 1e-3, (0.9, 0.999), encoder=mlp(10, self.recipe["model.encoder_hidden"], 2 * Z),
                         decoder=mlp(Z, self.recipe["model.decoder_hidden"], 10))

    def step(self, x, noise, factor):
        mu, logvar = self.encoder(x).chunk(2, 1)
        xhat = self.decoder(mu + (logvar / 2).exp() * noise)
        rec, kl = ((x - xhat)**2).sum(1).mean(), kl_normal(mu, logvar)
        loss = self.recipe["loss.reconstruction"] * rec + self.recipe["loss.kl"] * kl
        self.update("encoder", loss, keep=True)
        self.update("decoder", loss)
        self.apply("encoder", "decoder", factor=1)
        return {"loss": loss, "loss_rec": rec, "loss_kl": kl}


def record_model(file, kind, images):
    """Records ten steps. A step takes the next BATCH of `images`, again from the first after the last, and
    the next rows of `noise` in the order of the draws. Writes:
        losses.NAME                  the ten losses in f64
        first.NAME                   the first loss in f32
        grad.PARAM                   the gradients of the first step
        final.PARAM, final.BUFFER    the values after the last step
        recipe.KEY                   what differs from the shipped recipe
    """
    noise = torch.randn(STEPS * kind.noise_rows, Z, generator=torch.Generator().manual_seed(3))
    out = {"images": images, "noise": noise}
    for dtype, steps in ((torch.float32, 1), (torch.float64, STEPS)):
        model, curves = kind(dtype), {}
        for step in range(steps):
            rows = [(step * BATCH + i) % len(images) for i in range(BATCH)]
            drawn = noise[step * kind.noise_rows:(step + 1) * kind.noise_rows]
            losses = model.step(images[rows].to(dtype), drawn.to(dtype), 1 - step / STEPS)
            for name, value in losses.items():
                curves.setdefault(name, []).append(value.item())
        for name, values in curves.items():
            out[("losses." if steps > 1 else "first.") + name] = torch.tensor(values, dtype=torch.float64)
    assert not model.rested or set(model.rested) == {"", "discriminator", "generator"}, model.rested
    for name, g in model.grads.items():
        if not model.rested or name.split(".")[0] != model.rested[0]:  # a network that pauses has no moments
            out["grad." + name] = summary(name, g)
    for network, module in model.networks.items():
        for path, t in module.state_dict().items():
            name = f"{network}.{path}"
            out["final." + name] = t.double() if t.ndim == 0 else summary(name, t)
    recipe = {"train.batch": BATCH, "train.steps": STEPS, "model.z_dim": Z, "model.width": WIDTH, **kind.recipe}
    for key, value in recipe.items():
        out["recipe." + key] = torch.tensor(value, dtype=torch.float64)
    save(file, out)


def forward(networks, x, z):
    """Returns what `dae forward` writes, in eval mode."""
    out = {}
    with torch.no_grad():
        for name in ("generator", "decoder"):
            if name in networks:
                out[name] = networks[name](z)
        if "discriminator" in networks:
            out["discriminator.logits"], out["discriminator.features"] = networks["discriminator"](x)
        if "encoder" in networks:
            posterior = networks["encoder"](x)
            mu, logvar = posterior if isinstance(posterior, tuple) else posterior.chunk(2, 1)
            out |= {"encoder.mu": mu, "encoder.logvar": logvar}
            out["reconstruction"] = networks["generator" if "generator" in networks else "decoder"](mu)
    return out


def record_forward(pictures):
    """Writes forward-NAME.safetensors: x and z under in., the outputs under out., with weights by formula.
    Writes the toy model's weights to toy.pth, toy-legacy.pth and toy.ckpt, as a state_dict and nested."""
    x, z = pictures[:2], torch.randn(3, Z, generator=torch.Generator().manual_seed(5))
    vectors = torch.randn(2, 10, generator=torch.Generator().manual_seed(6))
    for name, kind, inputs in (("dcgan", Dcgan, x), ("vaegan", Vaegan, x), ("toy", Toy, vectors)):
        networks = kind(torch.float32).networks
        for net in networks.values():
            net.eval()
        out = {"in.x": inputs, "in.z": z} | {"out." + k: v for k, v in forward(networks, inputs, z).items()}
        save(f"forward-{name}.safetensors", out)
        if name == "toy":
            state = nn.ModuleDict(networks).state_dict()
            torch.save(state, os.path.join(HERE, "files", "toy.pth"))
            torch.save(state, os.path.join(HERE, "files", "toy-legacy.pth"), _use_new_zipfile_serialization=False)
            nested = {"epoch": 1, "state_dict": {"net." + k: v for k, v in state.items()}}
            torch.save(nested, os.path.join(HERE, "files", "toy.ckpt"))


if __name__ == "__main__":
    torch.use_deterministic_algorithms(True)
    torch.set_num_threads(1)
    rng = torch.Generator().manual_seed(2)
    # Smooth in space, so that convolutions see structure; 2 batches.
    coarse = torch.rand(2 * BATCH, 3, 4, 4, generator=rng) * 2 - 1
    pictures = F.interpolate(coarse, size=32, mode="bilinear", align_corners=False)
    record_ops()
    record_model("dcgan-small.safetensors", Dcgan, pictures)
    record_model("vae-small.safetensors", Vae, pictures)
    record_model("vaegan-small.safetensors", Vaegan, pictures)
    record_model("vaegan-small-keys.safetensors", VaeganKeys, pictures)
    record_model("vaegan-small-stage2.safetensors", VaeganStageTwo, pictures)
    record_model("toy-small.safetensors", Toy, torch.randn(STEPS * BATCH, 10, generator=rng))
    record_forward(pictures)
