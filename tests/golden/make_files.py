"""Small files as NumPy and PyTorch write them, for the tests of the readers. Development only.

    python tests/golden/make_files.py        (torch, numpy; the version is in files.txt)

Every array and tensor holds 0, 1, 2, ... in its logical order (booleans: odd), so that the tests know the values.
"""
import os

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


def path(name):
    return os.path.join(HERE, name)


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


if __name__ == "__main__":
    record_numpy()
