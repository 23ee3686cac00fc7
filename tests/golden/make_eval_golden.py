"""Records the results of public implementations of the metrics, for test_eval.cpp. For development only.

    pip install torch torchvision scipy scikit-image safetensors pytorch-fid torch-fidelity lpips
    python tests/golden/make_eval_golden.py

Weights, images and features are computed by both sides, from `pattern` of make_golden.py; nothing is
downloaded. Convolutions get 2.5 times its formula, which keeps activations of one size through 48 layers.
"""
import os
import re
import tempfile

import lpips
import numpy as np
import pytorch_fid.inception
import torch
import torch.nn.functional as F
from make_golden import HERE, formula, pattern, save
from pytorch_fid.fid_score import calculate_frechet_distance
from safetensors.torch import load_file
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x
from torch_fidelity.metric_fid import fid_statistics_to_metric
from torch_fidelity.metric_isc import isc_features_to_metric
from torch_fidelity.metric_kid import kid_features_to_metric
from torch_fidelity.metric_prc import prc_features_to_metric

out = {}


def image(name, height, width):
    return np.floor((pattern(name, height * width * 3) + 1) * 128).astype(np.uint8).reshape(height, width, 3)


def nchw(a):
    return torch.from_numpy(a).permute(2, 0, 1)[None]


def rows(name, count, width, scale=1.0):
    return torch.from_numpy((scale * pattern(name, count * width)).astype(np.float32).reshape(count, width))


def number(v):
    return torch.tensor([v], dtype=torch.float64)


def network_formula(name, shape):
    w = formula(name, shape)
    return w * 2.5 if len(shape) == 4 else w


# ---- resizing, to 13 x 13 ----------------------------------------------------------------------------------
for name, h, w in (("small", 7, 11), ("large", 29, 17)):
    x = nchw(image(name, h, w))
    out[f"prepare.pytorch-fid.{name}"] = (
        2 * F.interpolate(x.float() / 255, size=(13, 13), mode="bilinear", align_corners=False) - 1)
    out[f"prepare.torch-fidelity.{name}"] = (
        interpolate_bilinear_2d_like_tensorflow1x(x.float(), size=(13, 13), align_corners=False) - 128) / 128

# ---- Inception ---------------------------------------------------------------------------------------------

with tempfile.NamedTemporaryFile(suffix=".pth") as file:
    state = {}
    real_load = torch.nn.Module.load_state_dict
    torch.nn.Module.load_state_dict = lambda self, *a, **k: None  # only names and shapes are needed
    torch.save({}, file.name)
    shapes = FeatureExtractorInceptionV3("x", ["2048"], feature_extractor_weights_path=file.name).state_dict()
    torch.nn.Module.load_state_dict = real_load
    for name, t in shapes.items():
        state[name] = t if name.endswith("num_batches_tracked") else network_formula(name, tuple(t.shape))
    torch.save(state, file.name)
    layers = ["64", "192", "768", "2048", "logits_unbiased", "logits"]
    fidelity = FeatureExtractorInceptionV3("x", layers, feature_extractor_weights_path=file.name)
pytorch_fid.inception.load_state_dict_from_url = lambda *a, **k: state
fid_net = pytorch_fid.inception.InceptionV3([0, 1, 2, 3]).eval()

taps = {}
fidelity.Mixed_7a.register_forward_hook(lambda m, i, o: taps.update({"1280": o.mean((2, 3))}))
fidelity.Mixed_6d.branch1x1.register_forward_hook(
    lambda m, i, o: taps.update({"spatial": o[:, :7].permute(0, 2, 3, 1).flatten(1)}))
x = nchw(image("inception", 37, 53))
with torch.no_grad():
    for name, value in zip(layers, fidelity(x)):
        taps[name] = value
    for name, value in taps.items():
        out[f"inception.torch-fidelity.{name}"] = value
    for width, value in zip((64, 192, 768, 2048), fid_net(x.float() / 255)):
        out[f"inception.pytorch-fid.{width}"] = value.mean((2, 3))

# ---- LPIPS, with the gradient with respect to the first image ----------------------------------------------
for net in ("vgg", "alex", "squeeze"):
    model = lpips.LPIPS(net=net, pretrained=False, pnet_rand=True, verbose=False)
    for name, t in model.state_dict().items():
        file_name = re.sub(r"^lins\.(\d+)\.", r"lin\1.", re.sub(r"net\.slice\d+\.", "features.", name))
        if not name.startswith("scaling_layer"):
            w = network_formula(file_name, tuple(t.shape))
            t.copy_(w.abs() if file_name.startswith("lin") else w)
    model = model.double().eval()
    a, b = (nchw(image(n, 45, 39)).double() / 127.5 - 1 for n in ("first", "second"))
    a.requires_grad_()
    value = model(a, b)
    value.sum().backward()
    out[f"lpips.{net}"] = value.detach().flatten()
    out[f"lpips.{net}.gradient"] = a.grad

# Uses the published weights too, if they are present. On TorchMetrics' example they give its 0.1008.
published = os.path.join(HERE, "../../../shared/data/lpips/lpips-squeeze-v0.1.safetensors")
if os.path.exists(published):
    model = lpips.LPIPS(net="squeeze", pretrained=False, pnet_rand=True, verbose=False).eval()
    state = load_file(published)
    for name, t in model.state_dict().items():
        if not name.startswith("scaling_layer"):
            t.copy_(state[re.sub(r"^lins\.(\d+)\.", r"lin\1.", re.sub(r"net\.slice\d+\.", "features.", name))])
    torch.manual_seed(123)
    with torch.no_grad():
        assert abs(model(torch.rand(10, 3, 100, 100) * 2 - 1, torch.rand(10, 3, 100, 100) * 2 - 1).mean() - 0.1008) < 1e-4
        a, b = (nchw(image(n, 100, 100)).float() / 127.5 - 1 for n in ("first", "second"))
        out["lpips.published"] = model(a, b).flatten()

# ---- pairs -------------------------------------------------------------------------------------------------
a, b = image("first", 45, 39), image("second", 45, 39)
b = (a.astype(int) + b // 8 - 16).clip(0, 255).astype(np.uint8)
out["ssim"] = number(structural_similarity(a, b, gaussian_weights=True, sigma=1.5, use_sample_covariance=False,
                                           channel_axis=2, data_range=255))
out["psnr"] = number(peak_signal_noise_ratio(a, b, data_range=255))

# ---- scores of features ------------------------------------------------------------------------------------
a, b, few = rows("samples", 50, 16), rows("reference", 45, 16, 1.1), rows("few", 9, 16)


def moments(x):
    x = x.double().numpy()
    return x.mean(0), np.cov(x, rowvar=False)


out["frechet"] = number(calculate_frechet_distance(*moments(a), *moments(b)))
mu, sigma = moments(few)
stats = {"mu": mu, "sigma": sigma}
out["frechet.singular"] = number(
    fid_statistics_to_metric(stats, dict(zip(("mu", "sigma"), moments(b))), verbose=False)["frechet_inception_distance"])
logits = rows("logits", 63, 13, 4.0)
for name, kind in {"torch-fidelity": (10, True), "gan-metrics": (10, False), "adm": (1, False)}.items():
    score = isc_features_to_metric(logits, *kind)
    out[f"is.{name}"] = torch.tensor([score["inception_score_mean"], score["inception_score_std"]], dtype=torch.float64)
score = kid_features_to_metric(a, b, kid_subsets=7, kid_subset_size=20, rng_seed=2020, verbose=False,
                               kid_kernel="poly", kid_kernel_poly_degree=3, kid_kernel_poly_gamma=None,
                               kid_kernel_poly_coef0=1)
out["kid"] = torch.tensor([score["kernel_inception_distance_mean"], score["kernel_inception_distance_std"]],
                          dtype=torch.float64)
score = prc_features_to_metric(a, b, prc_neighborhood=3, prc_batch_size=100, save_cpu_ram=False, verbose=False)
out["precision-recall"] = torch.tensor([score["precision"], score["recall"]], dtype=torch.float64)
random = np.random.RandomState(2020)
out["permutations"] = torch.from_numpy(np.concatenate([random.permutation(10), random.permutation(37)]))

save("eval.safetensors", out)
print({k: tuple(v.shape) if v.numel() > 2 else v.tolist() for k, v in out.items()})
