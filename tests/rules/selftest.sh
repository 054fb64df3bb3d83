#!/bin/sh
# Shows that each rule can fail: breaks one rule at a time in a small tree and expects the checker to name it.
# Usage: selftest.sh CXX NM
set -eu
here=$(cd "$(dirname "$0")" && pwd)
cxx=$1
nm=$2
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0

# A tree that keeps all rules.
good_tree() {
  rm -rf "$work/tree"
  mkdir -p "$work/tree/include/mq" "$work/tree/src" "$work/tree/kernels/isa" "$work/tree/formats" "$work/tree/tools"
  cd "$work/tree"
  printf '#pragma once\n#include <string>\n' >include/mq/error.hpp
  printf '#pragma once\n#include "mq/error.hpp"\n' >include/mq/quantize.hpp
  printf '#pragma once\n#include "mq/quantize.hpp"\n' >include/mq/plan.hpp
  printf '#include "mq/plan.hpp"\n' >src/plan.cpp
  printf '#include "src/json.hpp"\n#include <nlohmann/json.hpp>\n' >src/json.cpp
  printf '#pragma once\n#include <vector>\n' >src/json.hpp
  printf '#pragma once\n#include <xxhash.h>\n' >kernels/digest.hpp
  printf '#pragma once\n#include <cstdint>\n' >kernels/table.hpp
  printf '#pragma once\n#include "kernels/table.hpp"\n' >kernels/dispatch.hpp
  printf '#include "kernels/table.hpp"\n#include <xsimd/xsimd.hpp>\n' >kernels/isa/avx2.cpp
  printf '#include "kernels/dispatch.hpp"\n#include "mq/error.hpp"\n' >formats/crc.cpp
  printf '#include "mq/error.hpp"\n#include <unistd.h>\n' >formats/zip.cpp
  printf '#include "mq/plan.hpp"\n#include <CLI/CLI.hpp>\n' >tools/main.cpp
}

# expect_failure NAME TEXT COMMAND...: the command fails and says TEXT.
expect_failure() {
  name=$1
  text=$2
  shift 2
  if output=$("$@" 2>&1); then
    echo "not noticed: $name"
    failures=$((failures + 1))
  elif ! printf '%s\n' "$output" | grep -qF -- "$text"; then
    printf 'noticed for another reason: %s\n%s\n' "$name" "$output"
    failures=$((failures + 1))
  fi
}

expect_success() {
  name=$1
  shift
  if ! output=$("$@" 2>&1); then
    printf 'refused: %s\n%s\n' "$name" "$output"
    failures=$((failures + 1))
  fi
}

# bad_include NAME FILE INCLUDE TEXT: the good tree with one include more.
bad_include() {
  good_tree
  printf '#include %s\n' "$3" >>"$2"
  expect_failure "$1" "$4" sh "$here/includes.sh" .
}

good_tree
expect_success "a tree that keeps the rules" sh "$here/includes.sh" .
expect_success "a tree that keeps the rules" sh "$here/text.sh" .

bad_include "floor 0 includes floor 2" include/mq/error.hpp '"mq/quantize.hpp"' 'is not below floor 0'
bad_include "floor 2 includes floor 3" include/mq/quantize.hpp '"mq/plan.hpp"' 'is not below floor 2'
bad_include "kernels include formats" kernels/table.hpp '"formats/zip.cpp"' 'is not below floor 1'
bad_include "formats include kernels" formats/zip.cpp '"kernels/table.hpp"' 'is not below floor 1'
bad_include "the engine includes a tool" src/plan.cpp '"tools/main.cpp"' 'is not below floor 3'
bad_include "a package in a public header" include/mq/plan.hpp '<nlohmann/json.hpp>' 'does not belong here'
bad_include "CLI11 in the engine" src/plan.cpp '<CLI/CLI.hpp>' 'does not belong here'
bad_include "xsimd outside of kernels" src/plan.cpp '<xsimd/xsimd.hpp>' 'does not belong here'
bad_include "Eigen in kernels" kernels/dispatch.hpp '<Eigen/Dense>' 'does not belong here'
bad_include "doctest in a tool" tools/main.cpp '<doctest/doctest.h>' 'does not belong here'
bad_include "xxhash in a second file" kernels/dispatch.hpp '<xxhash.h>' 'more than one file'
bad_include "a package nobody knows" src/plan.cpp '<boost/any.hpp>' 'is of no package'
bad_include "a header that does not exist" src/plan.cpp '"src/gone.hpp"' 'is not in this tree'
bad_include "a path relative to the file" src/plan.cpp '"../src/json.hpp"' 'written relative'
bad_include "a container in an ISA file" kernels/isa/avx2.cpp '<vector>' 'reaches <vector>'
bad_include "a container through a header" kernels/table.hpp '<map>' 'reaches <map> through kernels/table.hpp'
bad_include "a public header in an ISA file" kernels/table.hpp '"mq/error.hpp"' 'reaches <mq/error.hpp>'
good_tree
mkdir extra src/codecs
touch src/codecs/affine.cpp extra/a.cpp
expect_success "a new file below src is on floor 2" sh "$here/includes.sh" .
touch include/mq/deep.h
expect_failure "a file without a floor" 'has no floor' sh "$here/includes.sh" .

# bad_text NAME CONTENT TEXT: the good tree with one line more.
bad_text() {
  good_tree
  printf '%b' "$2" >>src/plan.cpp
  expect_failure "$1" "$3" sh "$here/text.sh" .
}
bad_text "a note to oneself" "// TO""DO: later\n" 'note to oneself'
bad_text "a path of one machine" "// see /ho""me/someone\n" 'path of one machine'
bad_text "a blank at the end" 'int x; \n' 'blank at the end'
bad_text "a tab" '\tint x;\n' 'tab: src/plan.cpp'
bad_text "a carriage return" 'int x;\r\n' 'carriage return'
bad_text "a long file" "$(awk 'BEGIN { for (i = 0; i < 501; i++) printf "int x%d;\\n", i }')" 'longer than 500 lines'

# compile NAME CODE
compile() {
  printf '%s\n' "$2" >"$work/$1.cpp"
  "$cxx" -std=c++20 -O1 -fPIC -c "$work/$1.cpp" -o "$work/$1.o"
}
compile one 'namespace mq::kernels { extern const int table; const int table = 1; }'
compile named 'namespace mq::kernels { struct Tag {}; template <class T> int f() { static int x; return x++; }
extern int (*const table)(); int (*const table)() = f<Tag>; }'
compile anonymous 'namespace mq::kernels { namespace { struct Tag {}; } template <class T> int f() { static int x; return x++; }
extern int (*const table)(); int (*const table)() = f<Tag>; }'
compile two 'namespace mq::kernels { extern const int table, other; const int table = 1, other = 2; }'
compile foreign 'namespace std_like { int f() { return 1; } } namespace mq { int g() { return std_like::f(); } }'
compile unique 'template <class T> struct S { static int x; }; template <class T> int S<T>::x = 1;
namespace mq { int g() { return ++S<int>::x; } }'
compile needy 'namespace mq { int elsewhere(); int g() { return elsewhere() + 1; } }'
compile fine 'namespace mq { struct V { virtual ~V(); }; V::~V() {} int g() { return 1; } }'
expect_success "one table" sh "$here/symbols.sh" isa "$nm" "$work/one.o" "$work/anonymous.o"
expect_failure "a named tag" 'expected one table' sh "$here/symbols.sh" isa "$nm" "$work/named.o"
expect_failure "two tables" 'expected one table' sh "$here/symbols.sh" isa "$nm" "$work/two.o"
expect_failure "no objects" 'no objects' sh "$here/symbols.sh" isa "$nm"
expect_success "a sealed library" sh "$here/symbols.sh" library "$nm" "$work/fine.o"
expect_failure "a foreign function" 'not of namespace mq' sh "$here/symbols.sh" library "$nm" "$work/foreign.o"
expect_failure "a foreign variable" 'not of namespace mq' sh "$here/symbols.sh" library "$nm" "$work/unique.o"
expect_failure "a missing function" 'should hold itself' sh "$here/symbols.sh" library "$nm" "$work/needy.o"

[ "$failures" -eq 0 ] || exit 1
echo "every rule can fail"
