#!/usr/bin/env python3
"""Times PyTorch on the steps and ops of `dae bench`: the same shapes, channels-last, the same number of
threads. Each row is tried plain and with torch.compile (where that works), and the faster one counts. For
development only.

    peers.py [--threads N] [--filter REGEX] [--seconds S] [--no-compile] [--unfused] > torch.json
    peers.py --device cuda --dtype bf16 ... > torch.json
    peers.py --device cuda --dtype bf16 --graphs --save torch.json

On CUDA f32 is without TF32, cuDNN is autotuned, torch.compile is max-autotune, which captures CUDA graphs,
and times are those of the device's events.

    --graphs    times each row plain and as a captured CUDA graph; torch.compile, which takes minutes, is left out
    --save      writes the rows so far after each row, so that none is lost when the time is up
    --unfused   AdamW as in PyTorch's default, a pass for each operation, instead of the fused one
"""
import argparse, contextlib, json, math, os, platform, re, subprocess, sys, time
import torch
import torch.nn as nn
import torch.nn.functional as F

FOOTPRINT = 64e6  # bytes of the input sets of a row together, as in bench/bench.h
CL = torch.channels_last


def cl(x):
    return x.contiguous(memory_format=CL) if x.dim() == 4 else x


DEVICE, DTYPE = "cpu", torch.float32


def draw(*shape):
    return cl(torch.randn(*shape, device=DEVICE, dtype=DTYPE))


def in_steps(run):
    """Makes a step a 16-bit one in PyTorch's way: weights and losses in f32, the rest by autocast."""
    if DTYPE == torch.float32:
        return run

    def step(x):
        with torch.autocast(DEVICE, DTYPE):
            run(x)
    return step


# ---- models: PyTorch's own layers, shapes of models/dcgan.h and models/vaegan.h ----------------------------

def generator():
    layers, c = [], 128
    for out, k, s, p in [(1024, 2, 1, 0), (512, 4, 2, 1), (256, 4, 2, 1), (128, 4, 2, 1)]:
        layers += [nn.ConvTranspose2d(c, out, k, s, p, bias=False), nn.BatchNorm2d(out), nn.ReLU(True)]
        c = out
    return nn.Sequential(*layers, nn.ConvTranspose2d(c, 3, 4, 2, 1, bias=False), nn.Tanh()).to(DEVICE, memory_format=CL)


class Discriminator(nn.Module):
    def __init__(self):
        super().__init__()
        conv = lambda a, b: nn.Conv2d(a, b, 5, 2, 2, bias=False)
        act = lambda: nn.LeakyReLU(0.2)  # not in place: batch norm follows the activation
        self.first = nn.Sequential(conv(3, 64), act(), conv(64, 128), act(), nn.BatchNorm2d(128), conv(128, 256))
        self.rest = nn.Sequential(act(), nn.BatchNorm2d(256), conv(256, 512), act(), nn.BatchNorm2d(512))
        self.head = nn.Linear(2048, 1)
        self.to(DEVICE, memory_format=CL)

    def forward(self, x):
        features = self.first(x)
        return self.head(self.rest(features).flatten(1)), features


def encoder():
    layers, c = [nn.Conv2d(3, 128, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, True)], 128
    for out in (256, 512, 1024):
        layers += [nn.Conv2d(c, out, 4, 2, 1, bias=False), nn.BatchNorm2d(out), nn.LeakyReLU(0.2, True)]
        c = out
    return nn.Sequential(*layers, nn.Conv2d(c, 256, 2), nn.Flatten()).to(DEVICE, memory_format=CL)


def adam(*modules):
    params = [p for m in modules for p in m.parameters()]
    return torch.optim.Adam(params, 2e-4, (0.5, 0.9), fused=True, capturable=DEVICE == "cuda")


def bce(logits, target):
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


def z(n):
    return torch.randn(n, 128, 1, 1, device=DEVICE)


def dcgan(batch, wrap):
    g, d = generator(), Discriminator()
    og, od = adam(g), adam(d)
    g_, d_ = wrap(g), wrap(d)

    def step(x):
        with torch.no_grad():
            fake = g_(z(batch))
        od.zero_grad(set_to_none=True)
        (bce(d_(x)[0], 1) + bce(d_(fake)[0], 0)).backward()
        od.step()
        og.zero_grad(set_to_none=True)
        d.requires_grad_(False)
        bce(d_(g_(z(2 * batch)))[0], 1).backward()
        d.requires_grad_(True)
        og.step()
    return in_steps(step), [torch.tanh(draw(batch, 3, 32, 32)) for _ in range(8)]


def vaegan(batch, wrap, stage):
    e, g, d = encoder(), generator(), Discriminator()
    od = adam(d)
    oe, og = (adam(e) if stage == 1 else None), adam(g)
    if stage == 2:
        e.eval().requires_grad_(False)
    e_, g_, d_ = wrap(e), wrap(g), wrap(d)

    def step(x):
        out = e_(x)
        mu, logvar = out[:, :128], out[:, 128:].clamp(-30, 20)
        latent = mu + (logvar / 2).exp() * torch.randn_like(mu) if stage == 1 else mu
        xhat, xp = g_(latent[:, :, None, None]), g_(z(batch))
        od.zero_grad(set_to_none=True)
        (bce(d_(x)[0], 1) + 0.5 * (bce(d_(xhat.detach())[0], 0) + bce(d_(xp.detach())[0], 0))).backward()
        od.step()
        d.requires_grad_(False)
        with torch.no_grad():
            target = d_(x)[1]
        logits, features = d_(xhat)
        feature = F.mse_loss(features, target)
        loss_g = feature + 0.5 * (bce(logits, 1) + bce(d_(xp)[0], 1))
        if stage == 1:
            kl = 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1).mean()
            params = list(e.parameters())
            for p, grad in zip(params, torch.autograd.grad(kl / 2048 + feature, params, retain_graph=True)):
                p.grad = grad
        params = list(g.parameters())
        for p, grad in zip(params, torch.autograd.grad(loss_g, params)):
            p.grad = grad
        d.requires_grad_(True)
        if oe:
            oe.step()
        og.step()
    return in_steps(step), [torch.tanh(draw(batch, 3, 32, 32)) for _ in range(8)]


def toy(batch, wrap):
    mlp = lambda a, b: nn.Sequential(nn.Linear(a, 128), nn.ReLU(), nn.Linear(128, 128), nn.ReLU(), nn.Linear(128, b))
    e, d = mlp(10, 4).to(DEVICE), mlp(2, 10).to(DEVICE)
    o = adam(e, d)
    e_, d_ = wrap(e), wrap(d)

    def step(x):
        out = e_(x)
        mu, logvar = out[:, :2], out[:, 2:].clamp(-30, 20)
        rec = d_(mu + (logvar / 2).exp() * torch.randn_like(mu))
        loss = (rec - x).square().sum(1).mean() + 0.5 * (mu ** 2 + logvar.exp() - 1 - logvar).sum(1).mean()
        o.zero_grad(set_to_none=True)
        loss.backward()
        o.step()
    return in_steps(step), [torch.tanh(draw(batch, 10)) for _ in range(8)]


# ---- single ops: (name, shape, input shapes in PyTorch's order, function) ----------------------------------

def op_rows():
    rows = []
    add = lambda op, shape, inputs, f: rows.append((op, shape, inputs, f))
    for m, n, k in [(1024, 3072, 1024), (1024, 4096, 1024), (128, 1, 2048), (128, 128, 128)]:
        add("linear", f"{m}x{k} -> {n}", [(m, k), (n, k)], F.linear)
    add("matmul", "32x256x64 x 64x256", [(32, 256, 64), (32, 256, 64)], lambda a, b: a @ b.transpose(1, 2))
    for n, s, i, o, k, st, p in [(64, 32, 3, 64, 5, 2, 2), (64, 16, 64, 128, 5, 2, 2), (64, 8, 128, 256, 5, 2, 2),
                                 (64, 4, 256, 512, 5, 2, 2), (64, 32, 3, 128, 4, 2, 1), (64, 16, 128, 256, 4, 2, 1),
                                 (64, 8, 256, 512, 4, 2, 1), (64, 4, 512, 1024, 4, 2, 1), (4, 32, 128, 128, 3, 1, 1),
                                 (4, 16, 256, 256, 3, 1, 1), (4, 32, 128, 3, 3, 1, 1)]:
        add("conv2d", f"{n}x{s}x{s}x{i} k{k} s{st} -> {o}", [(n, i, s, s), (o, i, k, k)],
            lambda x, w, st=st, p=p: F.conv2d(x, w, None, st, p))
    for n, s, i, o, k, st, p in [(64, 1, 128, 1024, 2, 1, 0), (64, 2, 1024, 512, 4, 2, 1), (64, 4, 512, 256, 4, 2, 1),
                                 (64, 8, 256, 128, 4, 2, 1), (64, 16, 128, 3, 4, 2, 1)]:
        add("conv_transpose2d", f"{n}x{s}x{s}x{i} k{k} s{st} -> {o}", [(n, i, s, s), (i, o, k, k)],
            lambda x, w, st=st, p=p: F.conv_transpose2d(x, w, None, st, p))
    gn = lambda x, w, b: F.silu(F.group_norm(x, 32, w, b, 1e-6))
    for n, s, c in [(4, 32, 128), (4, 16, 256), (4, 16, 512)]:
        add("residual block", f"{n}x{s}x{s}x{c}",
            [(n, c, s, s), (c,), (c,), (c, c, 3, 3), (c,), (c,), (c,), (c, c, 3, 3), (c,)],
            lambda x, w1, b1, k1, c1, w2, b2, k2, c2:
            x + F.conv2d(gn(F.conv2d(gn(x, w1, b1), k1, c1, 1, 1), w2, b2), k2, c2, 1, 1))
    add("group_norm + silu", "(4, 32, 32, 128)", [(4, 128, 32, 32), (128,), (128,)], gn)
    add("layer_norm", "(1024, 1024)", [(1024, 1024), (1024,), (1024,)], lambda x, w, b: F.layer_norm(x, (1024,), w, b, 1e-6))
    add("batch_norm + relu", "(64, 16, 16, 128)", [(64, 128, 16, 16), (128,), (128,)],
        lambda x, w, b: F.relu(F.batch_norm(x, zeros, ones, w, b, True, 0.1, 1e-5)))
    for n, c in [(16, 1024)]:
        add("modulated_norm", f"({n}, 64, {c})", [(n, 64, c), (n, c), (n, c)],
            lambda x, shift, scale: torch.addcmul(shift[:, None], F.layer_norm(x, (x.shape[-1],), eps=1e-6), 1 + scale[:, None]))
    for label, b, t, h, d, causal in [("prior", 2, 256, 16, 64, True), ("DiT-L/4", 16, 64, 16, 64, False),
                                      ("VQGAN", 2, 256, 1, 512, False), ("KL-f8", 1, 1024, 1, 512, False)]:
        def attention(qkv, h=h, causal=causal):
            b, t, width = qkv.shape
            q, k, v = qkv.view(b, t, 3, h, width // 3 // h).permute(2, 0, 3, 1, 4)
            return F.scaled_dot_product_attention(q, k, v, is_causal=causal).transpose(1, 2).reshape(b, t, -1)
        add("attention", f"{label} {b}x{t}x{h}x{d}", [(b, t, 3 * h * d)], attention)
    zeros, ones = torch.zeros(128, device=DEVICE, dtype=DTYPE), torch.ones(128, device=DEVICE, dtype=DTYPE)
    flat, nchw = "(64, 16, 16, 256)", (64, 256, 16, 16)
    for op, f in [("leaky_relu", lambda x: F.leaky_relu(x, 0.2)), ("tanh", torch.tanh), ("silu", F.silu),
                  ("gelu", F.gelu), ("sum", torch.sum), ("dropout", lambda x: F.dropout(x, 0.5))]:
        add(op, flat, [nchw], f)
    add("softmax", flat, [(64 * 256, 256)], lambda x: F.softmax(x, -1))
    add("add", flat, [nchw, nchw], lambda a, b: a + b)
    add("mse_loss", flat, [nchw, nchw], F.mse_loss)
    add("upsample_nearest", "4x16x16x256 x2", [(4, 256, 16, 16)], lambda x: F.interpolate(x, scale_factor=2))
    index = torch.arange(16 * 257, device=DEVICE).mul(7919).remainder(1024).view(16, 257)
    add("embedding", "1024x1024, 16x257 tokens", [(1024, 1024)], lambda t: F.embedding(index, t))
    return rows


def prepare_op(inputs, f, backward, wrap):
    nbytes = torch.finfo(DTYPE).bits // 8 * sum(math.prod(s) for s in inputs)
    with torch.no_grad():
        y = f(*[draw(*s) for s in inputs])
    sets = []
    for _ in range(max(2, min(64, int((4 if DEVICE == "cuda" else 1) * FOOTPRINT / (nbytes + y.element_size() * y.numel()))))):
        x = [draw(*s).requires_grad_(backward) for s in inputs]
        sets.append((x, torch.randn_like(y)))
    g = wrap(f)

    def forward(s):
        with torch.no_grad():
            g(*s[0])

    def both(s):
        torch.autograd.grad(g(*s[0]), s[0], s[1])
    return (both if backward else forward), sets


def adamw(wrap, fused):
    n = 8 << 20
    sets = []
    for _ in range(2):
        p = torch.randn(n, device=DEVICE, requires_grad=True)
        p.grad = torch.randn(n, device=DEVICE)
        sets.append((p, torch.optim.AdamW([p], 1e-4, (0.9, 0.95), 1e-8, 0.01, fused=fused, capturable=DEVICE == "cuda"),
                     p.detach().clone()))

    def step(s):
        s[1].step()
        with torch.no_grad():
            s[2].lerp_(s[0], 0.001)
    return step, sets


def rows(fused):
    for batch in (64, 128):
        yield "step dcgan", f"batch {batch}", lambda wrap, b=batch: dcgan(b, wrap)
    for stage, label in ((1, "joint"), (2, "stage 2")):
        for batch in (64, 128):
            yield f"step vaegan, {label}", f"batch {batch}", lambda wrap, b=batch, s=stage: vaegan(b, wrap, s)
    yield "step toy", "batch 128", lambda wrap: toy(128, wrap)
    if DEVICE == "cpu":
        for busy in (2, 4):
            yield f"step dcgan beside {busy} busy loops", "batch 64", lambda wrap: dcgan(64, wrap)
    for op, shape, inputs, f in op_rows():
        for kind, backward in (("fwd", False), ("fwd+bwd", True)):
            yield f"{op} {kind}", shape, lambda wrap, i=inputs, f=f, b=backward: prepare_op(i, f, b, wrap)
    yield "adamw + ema", f"{8 << 20} parameters", lambda wrap: adamw(wrap, fused)


def timed(run):
    if DEVICE == "cpu":
        before = time.perf_counter()
        run()
        return time.perf_counter() - before
    begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
    begin.record()
    run()
    end.record()
    end.synchronize()
    return begin.elapsed_time(end) * 1e-3


def captured(run, sets):
    """Captures runs over all sets in turn as one CUDA graph. Returns its replay, and a list with one None
    instead of the sets."""
    side = torch.cuda.Stream()
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for i in range(3):
            run(sets[i % len(sets)])
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        for s in sets:
            run(s)
    return lambda _: graph.replay(), [None]


def measure(run, sets, seconds):
    """Times a row. On a GPU a time covers runs over all sets in turn, so that the host's work for one run
    overlaps the device's work for another."""
    together = len(sets) if DEVICE == "cuda" else 1
    for i in range(2 if DEVICE == "cpu" else 5):
        run(sets[i % len(sets)])
    taken, start, i = [], time.perf_counter(), 2
    while len(taken) < 5 or time.perf_counter() - start < seconds:
        taken.append(timed(lambda: [run(sets[(i + k) % len(sets)]) for k in range(together)]) / together)
        i += together
    taken.sort()
    n = len(taken)
    return {"seconds": taken[n // 2], "low": taken[n // 4], "high": taken[n - 1 - n // 4], "runs": n}


@contextlib.contextmanager
def beside(found):
    """Runs as many processes that keep a processor busy as the row's name says."""
    loop = [sys.executable, "-c", "while True: pass"]
    others = [subprocess.Popen(loop) for _ in range(int(found[1]) if found else 0)]
    time.sleep(0.5 if others else 0)
    try:
        yield
    finally:
        for other in others:
            other.kill()
            other.wait()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--filter", default="")
    parser.add_argument("--seconds", type=float, default=0.5)
    parser.add_argument("--no-compile", action="store_true")
    parser.add_argument("--graphs", action="store_true")
    parser.add_argument("--unfused", action="store_true")
    parser.add_argument("--save", default="")
    parser.add_argument("--device", choices=["cpu", "cuda"], default="cpu")
    parser.add_argument("--dtype", choices=["f32", "bf16", "f16"], default="f32")
    args = parser.parse_args()
    global DEVICE, DTYPE
    DEVICE, DTYPE = args.device, {"f32": torch.float32, "bf16": torch.bfloat16, "f16": torch.float16}[args.dtype]
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = False
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    compiled = lambda f: torch.compile(f, mode="max-autotune" if DEVICE == "cuda" else None)
    plain = lambda f: f
    modes = [("eager", plain)]
    if args.graphs and DEVICE == "cuda":
        modes.append(("graph", plain))
    elif not args.graphs and not args.no_compile:
        modes.append(("compile", compiled))
    gpu = {"gpu": torch.cuda.get_device_name()} if DEVICE == "cuda" else {}
    out = {"machine": {**gpu, "dtype": args.dtype, "torch": torch.__version__, "python": platform.python_version(), "threads": args.threads},
           "rows": []}
    for op, shape, make in rows(not args.unfused):
        if not re.search(args.filter, f"{op} {shape} torch", re.I):
            continue
        best = None
        for name, wrap in modes:
            try:
                if name == "compile":
                    torch._dynamo.reset()
                run, sets = make(wrap)
                count = len(sets) if name == "graph" else 1
                if name == "graph":
                    run, sets = captured(run, sets)
                with beside(re.search(r"beside (\d+) busy", op)):
                    found = {k: v / count if k != "runs" else v for k, v in measure(run, sets, args.seconds).items()}
            except Exception as e:
                print(f"{op} {shape}: {name} failed: {str(e).splitlines()[0]}", file=sys.stderr)
                continue
            print(f"{op} {shape} {name}: {found['seconds'] * 1e3:.3f} ms", file=sys.stderr, flush=True)
            if best is None or found["seconds"] < best["seconds"]:
                best = {"op": op, "shape": shape, "variant": "torch", "mode": name, "threads": args.threads, **found}
        if best:
            out["rows"].append(best)
        if args.save:
            with open(args.save + ".tmp", "w") as file:
                json.dump(out, file, indent=1)
            os.replace(args.save + ".tmp", args.save)
    if not args.save:
        json.dump(out, sys.stdout, indent=1)


if __name__ == "__main__":
    main()
