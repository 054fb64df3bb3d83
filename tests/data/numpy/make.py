"""Writes the files of this folder and oracle.json, which says what NumPy reads from them. Usage: python make.py"""

import hashlib
import json

import numpy as np
from numpy.lib import format as npy_format

rng = np.random.default_rng(7)
files = []


def entry(name, array):
    little = array.astype(array.dtype.newbyteorder("<"))
    return {
        "path": [name],
        "dtype": array.dtype.newbyteorder("=").name,
        "shape": list(array.shape),
        "sha256": hashlib.sha256(little.tobytes("C")).hexdigest(),
    }


def npy(file, array, version=None):
    with open(file, "wb") as out:
        npy_format.write_array(out, array, version=version)
    files.append({"file": file, "tensors": [entry("array", array)]})


def npz(file, save, *args, **kwargs):
    save(file, *args, **kwargs)
    with np.load(file) as archive:
        files.append({"file": file, "tensors": [entry(key, archive[key]) for key in archive.files]})


def complex_normal(*shape):
    return rng.standard_normal(shape) + 1j * rng.standard_normal(shape)


npy("c_order.npy", rng.standard_normal((2, 3)).astype("<f4"))
npy("fortran_order.npy", np.asfortranarray(rng.standard_normal((3, 4, 5))))
npy("big_endian.npy", rng.integers(-30000, 30000, (5, 7)).astype(">i2"))
npy("big_endian_complex_fortran.npy", np.asfortranarray(complex_normal(3, 2).astype(">c8")))
npy("bool.npy", rng.integers(0, 2, (9,)).astype(bool))
npy("scalar.npy", np.array(2.5, "<f8"))
npy("empty.npy", np.zeros((0, 3), "<i8"))
npy("version_2.npy", np.arange(6, dtype="<u4").reshape(2, 3), (2, 0))
npy("version_3.npy", np.arange(6, dtype="<f2").reshape(3, 2), (3, 0))

names = "uint8 int8 uint16 int16 uint32 int32 uint64 int64 float16 float32 float64".split()
arrays = {"t_" + name: rng.integers(0, 100, (4, 3)).astype(name) for name in names}
arrays["t_bool"] = rng.integers(0, 2, (4, 3)).astype(bool)
arrays["t_complex64"] = complex_normal(4).astype("complex64")
arrays["t_complex128"] = complex_normal(2, 2)
npz("stored.npz", np.savez, np.arange(3.0), np.zeros((2, 0, 2), "f4"), **arrays)

weight = (rng.standard_normal((60, 50)) * 0.02).astype("f4")
packed = {
    "layer/weight": weight,
    "fortran": np.asfortranarray(weight[:20]),
    "swapped": weight.astype(">f8"),
    "zeros": np.zeros((300, 100), "i4"),
    "scalar": np.array(7, "i8"),
    "empty": np.zeros((0,), "f4"),
}
npz("compressed.npz", np.savez_compressed, **packed)

# What is refused by name.
np.save("structured.npy", np.zeros(3, [("a", "<f4"), ("b", "<i2")]))
np.save("subarray.npy", np.zeros(2, [("a", "<f4", (2,))]))
np.save("objects.npy", np.array([None, {}], dtype=object), allow_pickle=True)
np.save("bytes.npy", np.array([b"ab", b"c"]))
np.save("strings.npy", np.array(["ab", "c"]))
np.save("void2.npy", np.zeros(3, "V2"))
np.save("dates.npy", np.zeros(2, "M8[s]"))
np.save("long_double.npy", np.zeros(2, np.longdouble))

with open("oracle.json", "w") as out:
    json.dump({"numpy": np.__version__, "files": files}, out, indent=1)
    out.write("\n")
