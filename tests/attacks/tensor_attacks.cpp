// Tensors that are not what their storage holds: arguments, persistent ids, arithmetic.
#include <string>

#include "tests/attacks/attack.hpp"

namespace mq::attacks {
namespace {

using test::PickleBuilder;
using Storage = PickleBuilder::Storage;
using Integers = std::initializer_list<std::int64_t>;

constexpr std::int64_t kHuge = std::int64_t{1} << 62;

struct View {
  const char* name;
  Storage storage = {.numel = 6};
  std::int64_t offset = 0;
  std::vector<std::int64_t> size = {6};
  std::vector<std::int64_t> stride = {1};
};

PickleBuilder one_tensor(const View& view) {
  PickleBuilder p;
  p.proto().empty_dict().text("w").global("torch._utils", "_rebuild_tensor_v2").mark().storage(view.storage);
  const auto numbers = [&](const std::vector<std::int64_t>& values) {
    p.mark();
    for (const std::int64_t value : values) p.integer(value);
    p.tuple();
  };
  p.integer(view.offset);
  numbers(view.size);
  numbers(view.stride);
  return p.boolean(false).ordered_dict().tuple().reduce().setitem();
}

void add_views(Attacks& attacks) {
  for (const View& view : std::vector<View>{
           {.name = "view-at-the-end", .offset = 5, .size = {1}},
           {.name = "view-one-too-far", .offset = 6, .size = {1}},
           {.name = "view-one-too-long", .size = {7}},
           {.name = "view-strides-too-far", .size = {2}, .stride = {6}},
           {.name = "view-two-strides-too-far", .size = {2, 2}, .stride = {3, 3}},
           {.name = "offset-negative", .offset = -1, .size = {1}},
           {.name = "offset-huge", .offset = kHuge, .size = {1}},
           {.name = "offset-largest", .offset = INT64_MAX, .size = {2}},
           {.name = "size-negative", .size = {-1}},
           {.name = "size-negative-twice", .size = {-2, -3}, .stride = {1, 1}},
           {.name = "size-largest", .size = {INT64_MAX}},
           {.name = "stride-negative", .offset = 5, .stride = {-1}},
           {.name = "stride-huge", .offset = kHuge, .size = {2}, .stride = {kHuge}},
           {.name = "stride-product-overflows", .size = {5, 5}, .stride = {kHuge, kHuge}},
           {.name = "stride-sum-wraps-to-zero", .size = {5}, .stride = {kHuge}},
           {.name = "stride-huge-of-one-element", .size = {3, 1}, .stride = {2, kHuge}},
           {.name = "size-and-stride-of-different-rank", .size = {2, 2}},
           {.name = "size-and-stride-of-different-rank-zero", .size = {}},
           {.name = "size-product-overflows", .size = {kHuge, 4}, .stride = {0, 0}},
           {.name = "size-product-overflows-to-zero", .size = {kHuge, kHuge}, .stride = {0, 0}},
           {.name = "size-product-overflows-behind-zero", .size = {0, kHuge, 4}, .stride = {0, 0, 0}},
           {.name = "size-zero-at-any-offset", .offset = kHuge, .size = {0}},
           {.name = "rank-64", .size = std::vector<std::int64_t>(64, 1), .stride = std::vector<std::int64_t>(64, 1)},
           {.name = "rank-65", .size = std::vector<std::int64_t>(65, 1), .stride = std::vector<std::int64_t>(65, 1)},
           {.name = "expand-zero-stride", .size = {4, 6}, .stride = {0, 1}},
           {.name = "expand-zero-stride-1-gib", .size = {1 << 28}, .stride = {0}},
           {.name = "expand-zero-stride-16-eib", .size = {std::int64_t{1} << 60}, .stride = {0}},
           {.name = "expand-overlapping-windows", .size = {3, 4}, .stride = {1, 1}},
       }) {
    attacks.add_pickle(view.name, one_tensor(view));
  }
}

void add_storages(Attacks& attacks) {
  for (const View& view : std::vector<View>{
           {.name = "numel-too-small", .storage = {.numel = 5}, .size = {1}},
           {.name = "numel-too-large", .storage = {.numel = 7}, .size = {1}},
           {.name = "numel-zero", .storage = {.numel = 0}, .size = {0}},
           {.name = "numel-huge", .storage = {.numel = 1 << 30}, .size = {1 << 30}},
           {.name = "numel-negative", .storage = {.numel = -6}, .size = {1}},
           {.name = "numel-bytes-overflow", .storage = {"DoubleStorage", "0", kHuge}, .size = {1}},
           {.name = "numel-bytes-wrap-to-right", .storage = {"FloatStorage", "0", kHuge + 6}},
           {.name = "class-of-other-width", .storage = {"DoubleStorage", "0", 6}},
           {.name = "class-quantized", .storage = {"QInt8Storage", "0", 24}, .size = {24}},
           {.name = "class-no-storage", .storage = {"Config", "0", 6}},
           {.name = "class-unknown", .storage = {"EvilStorage", "0", 6}},
           {.name = "key-missing", .storage = {"FloatStorage", "7", 6}},
           {.name = "key-empty", .storage = {"FloatStorage", "", 6}},
           {.name = "key-path", .storage = {"FloatStorage", "../data/0", 6}},
           {.name = "key-absolute", .storage = {"FloatStorage", "/etc/passwd", 6}},
           {.name = "key-with-nul", .storage = {"FloatStorage", std::string_view("0\0x", 3), 6}},
       }) {
    attacks.add_pickle(view.name, one_tensor(view));
  }
  const auto second = [&](const char* name, const Storage& storage, std::int64_t numel) {
    PickleBuilder p = good_dict();
    attacks.add_pickle(name, p.text("v").tensor(storage, 0, {numel}, {1}).setitem());
  };
  second("storage-under-two-dtypes", {"IntStorage", "0", 6}, 6);
  second("storage-under-two-widths", {"DoubleStorage", "0", 3}, 3);
  second("storage-under-two-lengths", {"FloatStorage", "0", 5}, 5);
}

// Arguments of _rebuild_tensor_v2: each of the wrong type once.
void add_arguments(Attacks& attacks) {
  PickleBuilder s;
  const std::string storage = s.storage({.numel = 6}).bytes();
  const std::string tail = "K\x01(K\x02t(K\x01t\x89N";
  const auto call = [&](const char* name, const std::string& function, const std::string& arguments) {
    PickleBuilder p;
    p.proto().empty_dict().text("w").global("torch._utils", function).raw("(" + arguments + "tR").setitem();
    attacks.add_pickle(name, p);
  };
  const std::string v2 = "_rebuild_tensor_v2";
  call("arguments-none", v2, "");
  call("arguments-too-few", v2, storage);
  call("arguments-too-many", v2, storage + tail + "NN");
  call("argument-storage-none", v2, "N" + tail);
  call("argument-storage-a-tensor", v2, "ctorch\nFloatTensor\n)R" + tail);
  call("argument-offset-none", v2, storage + "N(K\x02t(K\x01t\x89N");
  call("argument-offset-a-float", v2, storage + "F1.0\n(K\x02t(K\x01t\x89N");
  call("argument-offset-beyond-64-bits", v2, storage + "L99999999999999999999\n(K\x02t(K\x01t\x89N");
  call("argument-size-a-number", v2, storage + "K\x01K\x02(K\x01t\x89N");
  call("argument-size-of-none", v2, storage + "K\x01(Nt(K\x01t\x89N");
  call("argument-size-torch-size-of-nothing", v2,
       storage +
           "K\x01"
           "ctorch\nSize\n)R(K\x01t\x89N");
  call("argument-size-torch-size-of-a-number", v2,
       storage +
           "K\x01"
           "ctorch\nSize\nK\x02\x85R(K\x01t\x89N");
  call("argument-stride-of-booleans", v2, storage + "K\x01(K\x02t(\x89t\x89N");
  call("argument-requires-grad-none", v2, storage + "K\x01(K\x02t(K\x01tNN");
  call("argument-hooks-a-number", v2, storage + "K\x01(K\x02t(K\x01t\x89K\x01");
  call("argument-metadata-a-number", v2, storage + tail + "K\x01");
  call("argument-metadata-conj", v2, storage + tail + "}S'conj'\n\x88s");
  call("argument-metadata-neg", v2, storage + tail + "}S'neg'\n\x88s");
  call("argument-metadata-unknown", v2, storage + tail + "}S'evil'\n\x88s");
  call("v3-over-typed-storage", "_rebuild_tensor_v3", storage + tail + "ctorch\nfloat32\n");
  call("v3-dtype-a-number", "_rebuild_tensor_v3", storage + tail + "K\x01");
  call("v3-dtype-unknown", "_rebuild_tensor_v3", storage + tail + "ctorch\nquint4x2\n");
  call("parameter-of-a-number", "_rebuild_parameter", "K\x01\x88N");
  call("parameter-too-few-arguments", "_rebuild_parameter", "N");
  call("sparse-of-nothing", "_rebuild_sparse_tensor", "");
  call("quantized-of-nothing", "_rebuild_qtensor", "");
  call("meta-of-nothing", "_rebuild_meta_tensor_no_storage", "");
  call("nested", "_rebuild_nested_tensor", "NNNN");
  call("wrapper-subclass-of-nothing", "_rebuild_wrapper_subclass", "");
}

// ("storage", class, key, location, numel): each of the wrong type once.
void add_persistent_ids(Attacks& attacks) {
  const std::string fine = "S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nK\x06";
  struct Id {
    const char* name;
    std::string program;  // leaves the persistent id on the stack
  };
  for (const Id& id : std::vector<Id>{
           {"id-sound", "(" + fine + "tQ"},
           {"id-a-number", "K\x01Q"},
           {"id-a-text", "S'storage'\nQ"},
           {"id-a-text-line", "Pstorage\n"},
           {"id-an-empty-tuple", ")Q"},
           {"id-a-list", "(" + fine + "lQ"},
           {"id-too-short", "(S'storage'\ntQ"},
           {"id-too-long", "(" + fine + "NNtQ"},
           {"id-other-kind", "(S'module'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nK\x06tQ"},
           {"id-class-a-text", "(S'storage'\nS'torch.FloatStorage'\nS'0'\nS'cpu'\nK\x06tQ"},
           {"id-key-a-number", "(S'storage'\nctorch\nFloatStorage\nK\x01S'cpu'\nK\x06tQ"},
           {"id-location-none", "(S'storage'\nctorch\nFloatStorage\nS'0'\nNK\x06tQ"},
           {"id-numel-a-text", "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nS'6'\ntQ"},
           {"id-numel-true", "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\n\x88tQ"},
           {"id-numel-beyond-64-bits", "(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nL99999999999999999999\ntQ"},
       }) {
    PickleBuilder p;
    const std::string_view tail("K\x00(K\x06t(K\x01t\x89N", 12);
    p.proto().empty_dict().text("w").global("torch._utils", "_rebuild_tensor_v2").mark().raw(id.program).raw(tail);
    attacks.add_pickle(id.name, p.tuple().reduce().setitem());
  }
}

void add_stores(Attacks& attacks) {
  PickleBuilder t;
  const std::string tensor = t.vector("0", 6).bytes();
  attacks.add_pickle("store-setitem", good_dict_with(tensor + "K\x01K\x02s"));
  attacks.add_pickle("store-setitems", good_dict_with(tensor + "(K\x01K\x02u"));
  attacks.add_pickle("store-append", good_dict_with(tensor + "K\x01"
                                                             "a"));
  attacks.add_pickle("store-appends", good_dict_with(tensor + "(K\x01"
                                                              "e"));
  attacks.add_pickle("store-build", good_dict_with(tensor + "}b"));
  attacks.add_pickle("store-additems", good_dict_with(tensor + "(K\x01\x90"));
  attacks.add_pickle("old-tensor-without-state", good_dict_with("ctorch\nFloatTensor\n)R"));
  attacks.add_pickle("old-tensor-short-state", good_dict_with("ctorch\nFloatTensor\n)R(NNtb"));
  attacks.add_pickle("old-tensor-of-other-class",
                     good_dict_with("ctorch\nIntTensor\n)R((S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nK\x06tQ" +
                                    std::string("K\x00(K\x06t(K\x01ttb", 12)));
  attacks.add_pickle("subclass-of-nothing", good_dict_with("ctorch._tensor\n_rebuild_from_type_v2\n)R"));
  attacks.add_pickle("subclass-rebuilt-by-evil",
                     good_dict_with("ctorch._tensor\n_rebuild_from_type_v2\n(cevil\nrebuild\ncevil\nT\n)}tR"));
  attacks.add_pickle("storage-alone", good_dict_with("(S'storage'\nctorch\nFloatStorage\nS'0'\nS'cpu'\nK\x06tQ"));
}

// A tensor of indices that is expanded: a few numbers of the file seen as any number of them.
std::string expanded(std::int64_t count, std::initializer_list<std::int64_t> before = {}) {
  PickleBuilder p;
  p.global("torch._utils", "_rebuild_tensor_v2").mark().storage({"IntStorage", "0", 6}).integer(0).mark();
  for (const std::int64_t size : before) p.integer(size);
  p.integer(count).tuple().mark();
  for (std::size_t i = 0; i < before.size(); ++i) p.integer(0);
  return p.integer(0).tuple().boolean(false).none().tuple().reduce().bytes();
}

void add_sparse(Attacks& attacks) {
  const auto sparse = [&](const char* name, const std::string& layout, const std::string& data, std::int64_t rows) {
    PickleBuilder p;
    p.proto().empty_dict().text("w").global("torch._utils", "_rebuild_sparse_tensor").mark().text(layout);
    p.mark().raw(data).integers({rows, 4}).tuple().tuple().reduce().setitem();
    attacks.add_pickle(name, p);
  };
  const auto values = [](std::int64_t count) {
    PickleBuilder p;
    return p.tensor({"FloatStorage", "1", 6}, 0, {count}, {0}).bytes();
  };
  constexpr std::int64_t kMany = std::int64_t{1} << 40;
  sparse("sparse-sound", "torch.sparse_coo", expanded(3, {2}) + values(3), 4);
  sparse("sparse-of-no-entries", "torch.sparse_coo", expanded(0, {2}) + values(0), 4);
  sparse("sparse-entries-expanded", "torch.sparse_coo", expanded(kMany, {2}) + values(kMany), 4);
  sparse("sparse-entries-and-values-differ", "torch.sparse_coo", expanded(3, {2}) + values(4), 4);
  sparse("sparse-pointers-expanded", "torch.sparse_csr", expanded(kMany + 1) + expanded(3) + values(3), kMany);
  sparse("sparse-indices-expanded", "torch.sparse_csr", expanded(5) + expanded(kMany) + values(kMany), 4);
  sparse("sparse-layout-unknown", "torch.sparse_evil", expanded(5) + expanded(3) + values(3), 4);
  // An array in the pickle: of 65 dimensions, and of more elements than it has bytes.
  const auto array = [&](const char* name, const std::vector<std::int64_t>& shape) {
    PickleBuilder p = good_dict();
    p.text("x").global("torch._utils", "_rebuild_device_tensor_from_numpy").mark();
    p.global("numpy._core.numeric", "_frombuffer")
        .mark()
        .raw(
            "C\x04"
            "abcd")
        .global("numpy", "dtype")
        .mark();
    p.text("f4").boolean(false).boolean(true).tuple().reduce().mark();
    for (const std::int64_t size : shape) p.integer(size);
    p.tuple().text("C").tuple().reduce().global("torch", "float32").text("cpu").boolean(false).tuple().reduce();
    attacks.add_pickle(name, p.setitem());
  };
  array("array-sound", {1});
  array("array-shape-too-large", {2});
  array("array-shape-negative", {-1});
  array("array-shape-overflows", {kHuge, kHuge});
  array("array-shape-overflows-behind-zero", {0, kHuge, kHuge});
  array("array-rank-65", std::vector<std::int64_t>(65, 1));
  array("array-rank-100000", std::vector<std::int64_t>(100'000, 1));
}

// (torch.per_channel_affine, scales, zero points, axis) around integers.
void add_quantized(Attacks& attacks) {
  const auto quantized = [&](const char* name, const std::string& parameters, std::int64_t size = 6) {
    PickleBuilder p;
    p.proto()
        .empty_dict()
        .text("w")
        .global("torch._utils", "_rebuild_qtensor")
        .mark()
        .storage({"QInt32Storage", "0", 6});
    p.integer(0).integers({size}).integers({1}).raw(parameters).boolean(false).none().tuple().reduce();
    attacks.add_pickle(name, p.setitem());
  };
  const std::string scale = "G?\xe0" + std::string(6, '\0'), six = "](K\1K\1K\1K\1K\1K\1e";
  quantized("quantized-sound", "(ctorch\nper_tensor_affine\n" + scale + "K\3t");
  quantized("quantized-scheme-unknown", "(ctorch\nper_evil_affine\n" + scale + "K\3t");
  quantized("quantized-scheme-foreign", "(cevil\nper_tensor_affine\n" + scale + "K\3t");
  quantized("quantized-scheme-a-text", "(S'per_tensor_affine'\n" + scale + "K\3t");
  quantized("quantized-parameters-none", "N");
  quantized("quantized-parameters-too-few", "(ctorch\nper_tensor_affine\n" + scale + "t");
  quantized("quantized-scale-a-text", "(ctorch\nper_tensor_affine\nS'x'\nK\3t");
  quantized("quantized-axis-too-large", "(ctorch\nper_channel_affine\n" + six + six + "K\1t");
  quantized("quantized-axis-negative", "(ctorch\nper_channel_affine\n]]J\xff\xff\xff\xfft");
  quantized("quantized-channels-too-few", "(ctorch\nper_channel_affine\n]]K" + std::string(1, '\0') + "t");
  quantized("quantized-view-too-long", "(ctorch\nper_tensor_affine\n" + scale + "K\3t", 7);
}

}  // namespace

std::vector<Attack> tensor_attacks() {
  Attacks attacks("tensor");
  add_views(attacks);
  add_storages(attacks);
  add_arguments(attacks);
  add_persistent_ids(attacks);
  add_stores(attacks);
  add_sparse(attacks);
  add_quantized(attacks);
  return std::move(attacks).take();
}

}  // namespace mq::attacks
