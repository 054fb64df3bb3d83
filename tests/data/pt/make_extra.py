"""Writes extra.pt and tar_0_1_9.pt with their oracles: kinds of tensors that the other files here do not have.

    python3 make_extra.py        (needs PyTorch and NumPy; run in this folder)

extra.pt is saved by torch.save. tar_0_1_9.pt is laid out by hand as PyTorch before 0.1.10 did; its oracle is what
torch.load finds in it.
"""
import collections
import hashlib
import io
import json
import pickle
import struct
import tarfile
import warnings

import torch

warnings.simplefilter("ignore")


def digest(tensor):
    return hashlib.sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


def describe(name, tensor):
    entry = {"path": [name], "dtype": str(tensor.dtype)[6:], "shape": list(tensor.shape)}
    if tensor.is_quantized:
        entry["sha256"] = digest(tensor.int_repr()) if tensor.dtype != torch.quint4x2 else None
        if tensor.qscheme() in (torch.per_channel_affine, torch.per_channel_affine_float_qparams):
            entry["scales"] = tensor.q_per_channel_scales().tolist()
            entry["zero_points"] = tensor.q_per_channel_zero_points().tolist()
            entry["axis"] = tensor.q_per_channel_axis()
        else:
            entry["scale"], entry["zero_point"] = tensor.q_scale(), tensor.q_zero_point()
    elif tensor.layout != torch.strided:
        entry["dense_sha256"] = digest(tensor.to_dense())
    else:
        entry["sha256"] = digest(tensor.resolve_conj().resolve_neg())
    return entry


def write_oracle(path, tensors, scalars):
    entries = [describe(name, tensor) for name, tensor in tensors.items()]
    oracle = {"file": path, "torch": torch.__version__, "tensors": entries,
              "scalars": [{"path": [name], "value": value} for name, value in scalars.items()]}
    with open(path + ".oracle.json", "w") as file:
        json.dump(oracle, file)


def write_extra():
    torch.manual_seed(7)
    dense = torch.randn(6, 8) * (torch.rand(6, 8) < 0.3)
    blocks = dense.clone()
    blocks[:2, 4:] = 0
    value = torch.randn(4, 6, dtype=torch.complex64)
    columns = torch.quantize_per_channel(torch.randn(5, 4), torch.rand(4).double() + 0.1, torch.tensor([3, 0, -2, 1]), 1,
                                         torch.qint8)
    rows = torch.quantize_per_channel(torch.randn(3, 7), torch.rand(3) + 0.1, torch.rand(3), 0, torch.quint8)
    nibbles = torch.quantize_per_channel(torch.randn(3, 8), torch.rand(3) + 0.1, torch.rand(3), 0, torch.quint4x2)
    state = collections.OrderedDict(
        conjugate=value.conj(),
        conjugate_transposed=value.conj().t(),
        negative=value.clone().conj().imag,
        csr=dense.to_sparse_csr(),
        csc=dense.to_sparse_csc(),
        bsr=blocks.to_sparse_bsr((2, 4)),
        bsc=blocks.to_sparse_bsc((2, 4)),
        coo_dense_dims=torch.sparse_coo_tensor([[3, 0, 2]], torch.randn(3, 2, 3), (5, 2, 3)),
        coo_uncoalesced=torch.sparse_coo_tensor([[1, 0, 1, 1], [2, 0, 2, 3]], torch.tensor([1.5, 2.0, 0.25, 4.0]), (2, 4)),
        coo_empty=torch.sparse_coo_tensor(size=(3, 2)),
        columns=columns,
        float_zero_points=rows,
        nibbles=nibbles,
    )
    torch.save(state, "extra.pt")
    write_oracle("extra.pt", state, {})
    unpacked = torch.stack([nibbles.int_repr().flatten() & 15, nibbles.int_repr().flatten() >> 4], 1).flatten()
    with open("extra.pt.oracle.json") as file:
        oracle = json.load(file)
    for entry in oracle["tensors"]:
        if entry["path"] == ["nibbles"]:
            entry["sha256"] = digest(unpacked)
    with open("extra.pt.oracle.json", "w") as file:
        json.dump(oracle, file)


class Reference:
    def __init__(self, key):
        self.key = key


class ReferencePickler(pickle.Pickler):
    def persistent_id(self, value):
        return value.key if isinstance(value, Reference) else None


def write_tar():
    floats = torch.arange(24, dtype=torch.float32) / 7
    longs = torch.arange(-3, 5)
    storages = io.BytesIO()
    storages.write(pickle.dumps(2, 2))
    for key, kind, values in [(1001, torch.FloatStorage, floats), (1002, torch.LongStorage, longs)]:
        storages.write(pickle.dumps((key, "cpu", kind), 2))
        storages.write(struct.pack("<q", values.numel()) + values.numpy().tobytes())
    storages.write(pickle.dumps([(1003, 1001, 6, 12)], 2))
    tensors = io.BytesIO()
    tensors.write(pickle.dumps(4, 2))
    for key, storage, kind, size, stride, offset in [
            (11, 1001, torch.FloatTensor, (4, 6), (6, 1), 0), (12, 1001, torch.FloatTensor, (6, 4), (1, 6), 0),
            (13, 1003, torch.FloatTensor, (2, 3), (3, 1), 2), (14, 1002, torch.LongTensor, (8,), (1,), 0)]:
        tensors.write(pickle.dumps((key, storage, kind), 2) + struct.pack("<i4x", len(size)))
        tensors.write(struct.pack("<%dq" % (2 * len(size) + 1), *size, *stride, offset))
    saved = io.BytesIO()
    ReferencePickler(saved, 2).dump(collections.OrderedDict(
        weight=Reference(11), transposed=Reference(12), sliced=Reference(13), steps=Reference(14), epoch=7))
    system = pickle.dumps({"protocol_version": 1000, "little_endian": True}, 2)
    with tarfile.open("tar_0_1_9.pt", "w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in [("sys_info", system), ("pickle", saved.getvalue()), ("tensors", tensors.getvalue()),
                              ("storages", storages.getvalue())]:
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    found = torch.load("tar_0_1_9.pt", weights_only=False)
    write_oracle("tar_0_1_9.pt", {k: v for k, v in found.items() if torch.is_tensor(v)},
                 {k: v for k, v in found.items() if not torch.is_tensor(v)})


write_extra()
write_tar()
