// Pickles that are no programs of the pickle machine.
#include <string>

#include "tests/attacks/attack.hpp"

namespace mq::attacks {
namespace {

using namespace std::string_literals;
using test::PickleBuilder;

struct Program {
  const char* name;
  std::string bytes;  // the whole pickle
};

void add_programs(Attacks& attacks, const std::vector<Program>& programs) {
  for (const Program& program : programs) {
    attacks.add_torch(program.name, {.pickle = program.bytes, .storages = {test::float_bytes(6)}});
  }
}

void add_stack(Attacks& attacks) {
  add_programs(attacks, {{"empty", ""},
                         {"no-stop", "}"},
                         {"stop-alone", "."},
                         {"stop-above-two-values", "NN."},
                         {"stop-above-a-mark", "(N."},
                         {"underflow-pop", "0."},
                         {"underflow-dup", "2."},
                         {"underflow-pop-mark", "1."},
                         {"underflow-reduce", "NR."},
                         {"underflow-build", "Nb."},
                         {"underflow-append", "Na."},
                         {"underflow-setitem", "NNs."},
                         {"underflow-tuple1", "\x85."},
                         {"underflow-tuple3", "NN\x87."},
                         {"underflow-newobj", "N\x81."},
                         {"underflow-newobj-ex", "N}\x92."},
                         {"underflow-persistent-id", "Q."},
                         {"underflow-stack-global", "N\x93."},
                         {"underflow-put", "q\x01."},
                         {"underflow-memoize", "\x94."},
                         {"no-mark-tuple", "Nt."},
                         {"no-mark-list", "l."},
                         {"no-mark-dict", "d."},
                         {"no-mark-appends", "]e."},
                         {"no-mark-setitems", "}u."},
                         {"no-mark-additems", "\x8f\x90."},
                         {"no-mark-frozenset", "\x91."},
                         {"no-mark-inst", "ios\nsystem\n."},
                         {"no-mark-obj", "o."},
                         {"obj-without-a-class", "(o."},
                         {"value-below-the-mark", "](Na."},
                         {"setitems-odd", "}(Nu."},
                         {"dict-odd", "(Nd."}});
}

void add_types(Attacks& attacks) {
  add_programs(attacks, {{"append-to-a-number", "K\x01Na."},
                         {"append-to-a-dict", "}Na."},
                         {"append-to-a-tuple", ")Na."},
                         {"setitem-of-a-list", "]NNs."},
                         {"setitem-of-a-tuple", ")NNs."},
                         {"additems-to-a-list", "](N\x90."},
                         {"build-of-a-number", "K\x01}b."},
                         {"build-of-a-dict", "}}b."},
                         {"build-of-a-class", "cm\nn\n}b."},
                         {"build-twice", "cm\nn\n)R}b}b."},
                         {"arguments-no-tuple", "cm\nn\n]R."},
                         {"newobj-arguments-no-tuple", "cm\nn\nN\x81."},
                         {"newobj-ex-keywords-no-dict", "cm\nn\n)]\x92."},
                         {"stack-global-of-numbers", "K\x01K\x02\x93."},
                         {"memo-never-written", "h\x05."},
                         {"memo-never-written-long", "j\xff\xff\xff\xff."},
                         {"memo-index-negative", "g-1\n."},
                         {"memo-index-no-number", "gx\n."},
                         {"memo-index-huge", "Np99999999999999999999\n."}});
}

void add_operands(Attacks& attacks) {
  const std::string u64_max(8, '\xff');
  add_programs(attacks, {{"length-binunicode",
                          "X\xff\xff\xff\xff"
                          "a."},
                         {"length-binunicode8", "\x8d" + u64_max + "a."},
                         {"length-binunicode8-wraps",
                          "\x8d\xf8\xff\xff\xff\xff\xff\xff\xff"
                          "aaaaaaaaaaaaaaaa."},
                         {"length-short-binunicode",
                          "\x8c\xff"
                          "a."},
                         {"length-binbytes",
                          "B\xff\xff\xff\xff"
                          "a."},
                         {"length-binbytes8", "\x8e" + u64_max + "a."},
                         {"length-bytearray8", "\x96" + u64_max + "a."},
                         {"length-binstring-negative",
                          "T\xff\xff\xff\xff"
                          "a."},
                         {"length-long1", "\x8a\xff\x01."},
                         {"length-long4", "\x8b\xff\xff\xff\x7f\x01."},
                         {"length-long4-negative", "\x8b\xff\xff\xff\xff\x01."},
                         {"length-frame", "\x80\x04\x95" + u64_max + "}."},
                         {"length-frame-one-too-long", "\x80\x04\x95\x03\x00\x00\x00\x00\x00\x00\x00}."s},
                         {"cut-opcode-operand", "K"},
                         {"cut-binint", "J\x01\x02"},
                         {"cut-binfloat", "G\x01\x02."},
                         {"cut-length", "X\x01"},
                         {"line-of-global-open", "cos\nsystem"},
                         {"line-of-int-open", "I1"},
                         {"int-no-number", "I1x\n."},
                         {"int-empty", "I\n."},
                         {"long-no-number", "L\n."},
                         {"float-no-number", "F1.0.0\n."},
                         {"string-open-quote", "S'abc\n."},
                         {"string-wrong-escape", "S'\\q'\n."},
                         {"unicode-cut-escape", "V\\u12\n."},
                         {"unicode-beyond-the-last", "V\\U00110000\n."},
                         {"opcode-zero", "\0."s},
                         {"opcode-ff", "\xff."},
                         {"protocol-6", "\x80\x06}."},
                         {"protocol-255", "\x80\xff}."}});
}

}  // namespace

std::vector<Attack> pickle_attacks() {
  Attacks attacks("pickle");
  add_stack(attacks);
  add_types(attacks);
  add_operands(attacks);
  return std::move(attacks).take();
}

}  // namespace mq::attacks
