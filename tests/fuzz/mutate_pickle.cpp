#include <array>
#include <vector>

#include "tests/fuzz/mutators.hpp"

namespace mq::fuzz {
namespace {

using namespace std::string_view_literals;

// How the operand of an opcode is laid out.
enum class Operand { Fixed, Lines, Counted, None };
struct Form {
  Operand operand = Operand::None;
  std::size_t size = 0;  // bytes, lines, or bytes of the count
};

Form form_of(char opcode) {
  switch (static_cast<unsigned char>(opcode)) {
    case 0x80:
    case 'K':
    case 'q':
    case 'h':
    case 0x82:  // clang-format off
      return {Operand::Fixed, 1};
    case 'M': case 0x83:
      return {Operand::Fixed, 2};
    case 'J': case 'r': case 'j': case 0x84:
      return {Operand::Fixed, 4};
    case 'G': case 0x95:
      return {Operand::Fixed, 8};
    case 'I': case 'L': case 'F': case 'V': case 'S': case 'P': case 'p': case 'g':
      return {Operand::Lines, 1};
    case 'c': case 'i':
      return {Operand::Lines, 2};
    case 0x8a: case 0x8c: case 'U': case 'C':
      return {Operand::Counted, 1};
    case 'X': case 'T': case 'B': case 0x8b:
      return {Operand::Counted, 4};
    case 0x8d: case 0x8e: case 0x96:
      return {Operand::Counted, 8};  // clang-format on
    default:
      return {};
  }
}

// Bytes of the opcode at the beginning of a pickle with its operand; all that is left if it is cut.
std::size_t opcode_bytes(std::string_view pickle) {
  const Form form = form_of(pickle[0]);
  std::size_t bytes = 1;
  if (form.operand == Operand::Fixed) bytes += form.size;
  if (form.operand == Operand::Counted) {
    std::uint64_t count = 0;
    std::memcpy(&count, pickle.data() + 1, std::min(form.size, pickle.size() - 1));
    bytes += form.size + static_cast<std::size_t>(std::min<std::uint64_t>(count, pickle.size()));
  }
  if (form.operand == Operand::Lines) {
    for (std::size_t i = 0; i < form.size && bytes < pickle.size(); ++i) bytes = pickle.find('\n', bytes) + 1;
    if (bytes == 0) return pickle.size();
  }
  return std::min(bytes, pickle.size());
}

using Opcodes = std::vector<std::string>;

Opcodes split(std::string_view pickle) {
  Opcodes opcodes;
  while (!pickle.empty()) {
    const std::size_t bytes = opcode_bytes(pickle);
    opcodes.emplace_back(pickle.substr(0, bytes));
    pickle.remove_prefix(bytes);
  }
  return opcodes;
}

// Opcodes and small programs that a reader of tensors knows.
constexpr std::array kSnippets{
    "N"sv,
    "\x88"sv,
    "\x89"sv,
    "("sv,
    "0"sv,
    "1"sv,
    "2"sv,
    ")"sv,
    "]"sv,
    "}"sv,
    "\x8f"sv,
    "t"sv,
    "l"sv,
    "d"sv,
    "a"sv,
    "e"sv,
    "s"sv,
    "u"sv,
    "\x85"sv,
    "\x86"sv,
    "\x87"sv,
    "R"sv,
    "b"sv,
    "o"sv,
    "Q"sv,
    "\x81"sv,
    "\x92"sv,
    "\x90"sv,
    "\x91"sv,
    "\x93"sv,
    "\x94"sv,
    "."sv,
    "K\x00"sv,
    "K\x01"sv,
    "K\x06"sv,
    "J\xff\xff\xff\xff"sv,
    "q\x01"sv,
    "h\x01"sv,
    "\x8a\x08\xff\xff\xff\xff\xff\xff\xff\x7f"sv,
    "\x8a\x09\xff\xff\xff\xff\xff\xff\xff\xff\x00"sv,
    "ctorch._utils\n_rebuild_tensor\n"sv,
    "ctorch._utils\n_rebuild_tensor_v2\n"sv,
    "ctorch._utils\n_rebuild_tensor_v3\n"sv,
    "ctorch._utils\n_rebuild_parameter\n"sv,
    "ctorch._utils\n_rebuild_parameter_with_state\n"sv,
    "ctorch._utils\n_rebuild_qtensor\n"sv,
    "ctorch._utils\n_rebuild_sparse_tensor\n"sv,
    "ctorch._utils\n_rebuild_wrapper_subclass\n"sv,
    "ctorch._utils\n_rebuild_device_tensor_from_numpy\n"sv,
    "ctorch._tensor\n_rebuild_from_type_v2\n"sv,
    "ctorch.nn.parameter\nParameter\n"sv,
    "ctorch\nFloatTensor\n"sv,
    "ctorch\nSize\n"sv,
    "ctorch\nfloat16\n"sv,
    "ctorch\nper_channel_affine\n"sv,
    "ctorch\nFloatStorage\n"sv,
    "ctorch\nQUInt8Storage\n"sv,
    "ctorch.storage\nUntypedStorage\n"sv,
    "ccollections\nOrderedDict\n)R"sv,
    "ccollections\ndefaultdict\n"sv,
    "cargparse\nNamespace\n)\x81"sv,
    "cnumpy.core.multiarray\n_reconstruct\n"sv,
    "cnumpy\ndtype\n"sv,
    "cos\nsystem\n"sv,
    "X\x01\x00\x00\x00w"sv,
    "X\x01\x00\x00\x00"
    "0"sv,
    "X\x07\x00\x00\x00storage"sv,
    "X\x05\x00\x00\x00model"sv,
    "X\x0b\x00\x00\x00_parameters"sv,
    "X\x08\x00\x00\x00_modules"sv,
    "U\x01w"sv,
    "(X\x07\x00\x00\x00storagectorch\nFloatStorage\nX\x01\x00\x00\x00"
    "0X\x03\x00\x00\x00"
    "cpuK\x06tQ"sv,
    "K\x00(K\x06t(K\x01t\x89N"sv,
    "(K\x02K\x03t(K\x03K\x01t"sv,
};

std::string change_operand(std::string opcode, Random& random) {
  const Form form = form_of(opcode[0]);
  if (form.operand == Operand::Fixed && opcode.size() == 1 + form.size) {
    constexpr std::array<std::uint64_t, 12> kNumbers{
        0, 1, 2, 6, 7, 0x7f, 0x80, 0xff, 0x7fffffff, 0x80000000, 0x7fffffffffffffff, 0xffffffffffffffff};
    const std::uint64_t value = one_in(random, 2) ? kNumbers[below(random, kNumbers.size())] : below(random, 32);
    std::memcpy(opcode.data() + 1, &value, form.size);
  } else if (form.operand == Operand::Counted && opcode.size() > form.size) {
    const std::string content = mutate_bytes(opcode.substr(1 + form.size), opcode.size() + 16);
    const std::uint64_t count = content.size();
    opcode.replace(1 + form.size, std::string::npos, content);
    std::memcpy(opcode.data() + 1, &count, form.size);
  } else if (form.operand == Operand::Lines && opcode.size() > 1) {
    opcode.replace(1, opcode.size() - 2, mutate_bytes(opcode.substr(1, opcode.size() - 2), opcode.size() + 8));
  } else {
    opcode = kSnippets[below(random, kSnippets.size())];
  }
  return opcode;
}

void change(Opcodes& opcodes, Random& random) {
  const auto place = [&](std::size_t extra) {
    return opcodes.begin() + static_cast<std::ptrdiff_t>(below(random, opcodes.size() + extra));
  };
  const auto few = [&](Opcodes::iterator at) {
    return std::min<std::ptrdiff_t>(opcodes.end() - at, 1 + static_cast<std::ptrdiff_t>(below(random, 8)));
  };
  if (opcodes.empty() || one_in(random, 4)) {
    opcodes.emplace(place(1), kSnippets[below(random, kSnippets.size())]);
    return;
  }
  const auto at = place(0);
  switch (below(random, 4)) {
    case 0:
      opcodes.erase(at, at + few(at));
      break;
    case 1: {
      const Opcodes copied(at, at + few(at));
      opcodes.insert(place(1), copied.begin(), copied.end());
      break;
    }
    case 2:
      std::iter_swap(at, place(0));
      break;
    default:
      *at = change_operand(*at, random);
  }
}

}  // namespace

std::size_t pickle_bytes(std::string_view text) {
  std::size_t at = 0;
  while (at < text.size()) {
    const bool stop = text[at] == '.';
    at += opcode_bytes(text.substr(at));
    if (stop) break;
  }
  return at;
}

std::string mutate_pickle(std::string_view pickle, std::size_t max_bytes, Random& random) {
  if (one_in(random, 10)) return mutate_bytes(pickle, max_bytes);
  Opcodes opcodes = split(pickle);
  for (std::size_t changes = 1 + below(random, 3); changes > 0; --changes) change(opcodes, random);
  std::string out;
  for (const std::string& opcode : opcodes) out += opcode;
  return out;
}

}  // namespace mq::fuzz
