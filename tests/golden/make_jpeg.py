"""Writes small JPEG files of every kind, and the pixels that Pillow reads from them. For development only.

    python tests/golden/make_jpeg.py        (pillow, numpy, safetensors)

Writes jpeg.safetensors: NAME.jpg, the bytes of a file, and NAME.rgb, uint8 (H, W, 3), Image.convert("RGB") of
it. Made with Pillow 13.0.0, which decodes with libjpeg-turbo 3.2.0.
"""
import io
import os

import numpy as np
from PIL import Image
from safetensors.numpy import save_file

HERE = os.path.dirname(os.path.abspath(__file__))


def picture(height, width, channels):
    """Returns a picture with gradients, an edge of saturated colours and some noise, to test the upsampling
    of chroma."""
    y, x = np.mgrid[0:height, 0:width]
    planes = [127 + 120 * np.sin(x / (5 + c) + y / (9 - c) + c) for c in range(channels)]
    image = np.stack(planes, -1)
    image[height // 3 : height // 2, width // 4 : width // 2] = [250, 5, 20, 90][:channels]
    image += np.random.RandomState(channels).randint(-9, 10, image.shape)
    return np.clip(image, 0, 255).astype(np.uint8)


def main():
    tensors = {}

    def record(name, mode, height, width, **options):
        channels = {"L": 1, "RGB": 3, "CMYK": 4}[mode]
        pixels = picture(height, width, channels)
        file = io.BytesIO()
        Image.fromarray(pixels[..., 0] if channels == 1 else pixels, mode).save(file, "JPEG", **options)
        tensors[name + ".jpg"] = np.frombuffer(file.getvalue(), np.uint8)
        tensors[name + ".rgb"] = np.ascontiguousarray(Image.open(file).convert("RGB"))

    for subsampling, name in ((0, "444"), (1, "422"), (2, "420")):
        record(name, "RGB", 37, 53, subsampling=subsampling, quality=85)
        record(name + "-progressive", "RGB", 29, 31, subsampling=subsampling, quality=60, progressive=True)
    record("420-coarse", "RGB", 40, 48, subsampling=2, quality=8)
    record("420-thin", "RGB", 33, 1, subsampling=2, quality=75)
    record("420-restart", "RGB", 50, 34, subsampling=2, quality=90, restart_marker_blocks=2, optimize=True)
    record("grey", "L", 23, 41, quality=80)
    record("grey-progressive", "L", 23, 41, quality=80, progressive=True)
    record("cmyk", "CMYK", 26, 35, quality=85)
    save_file(tensors, os.path.join(HERE, "jpeg.safetensors"))


main()
