#include <set>

#include "kernels/cpu_features.hpp"
#include "tests/kernels/compare.hpp"

using namespace kernel_test;
using namespace mq::kernels;

TEST_CASE("dispatch: the reference table is in every build, last, and needs nothing") {
  REQUIRE(!compiled_kernels().empty());
  CHECK(std::string(compiled_kernels().back()->name) == "reference");
  CHECK(compiled_kernels().back()->required_features == 0);
  REQUIRE(!available_kernels().empty());
  CHECK(available_kernels().back() == compiled_kernels().back());
}

TEST_CASE("dispatch: names are unique and available tables are compiled ones in the same order") {
  std::set<std::string> names;
  for (const KernelTable* table : compiled_kernels()) CHECK(names.insert(table->name).second);
  std::size_t next = 0;
  for (const KernelTable* table : available_kernels()) {
    while (next < compiled_kernels().size() && compiled_kernels()[next] != table) ++next;
    CHECK(next < compiled_kernels().size());
    CHECK((table->required_features & ~detect_cpu_features()) == 0);
  }
}

TEST_CASE("dispatch: without a forced name the best table that the features allow is chosen") {
  CHECK(choose_kernels("", 0).table == compiled_kernels().back());
  CHECK(choose_kernels("", ~0u).table == compiled_kernels().front());
  CHECK(choose_kernels("", detect_cpu_features()).table == available_kernels().front());
}

TEST_CASE("dispatch: every available table can be forced") {
  for (const KernelTable* table : available_kernels()) {
    const KernelChoice choice = choose_kernels(table->name, detect_cpu_features());
    CHECK(choice.table == table);
    CHECK(choice.problem.empty());
  }
}

TEST_CASE("dispatch: a forced name that this build does not know is reported with what it could be") {
  const KernelChoice choice = choose_kernels("avx3", 0);
  CHECK(choice.table == nullptr);
  CHECK(choice.problem == "MQ_FORCE_ISA: avx3 is not in this build, expected one of reference");
}

TEST_CASE("dispatch: a forced table that the machine cannot run is reported, not replaced") {
  for (const KernelTable* table : compiled_kernels()) {
    if (table->required_features == 0) continue;
    const KernelChoice choice = choose_kernels(table->name, 0);
    CHECK(choice.table == nullptr);
    CHECK(choice.problem ==
          "MQ_FORCE_ISA: " + std::string(table->name) + " is not supported by this machine, expected one of reference");
  }
}

TEST_CASE("dispatch: every table has every operation") {
  for (const KernelTable* table : compiled_kernels()) {
    CAPTURE(table->name);
    // Name and features, then pointers to the end.
    const auto* bytes = reinterpret_cast<const unsigned char*>(table);
    for (std::size_t at = offsetof(KernelTable, range); at < sizeof(KernelTable); at += sizeof(void*)) {
      const void* pointer = nullptr;
      std::memcpy(&pointer, bytes + at, sizeof pointer);
      CHECK(pointer != nullptr);
    }
  }
}

TEST_CASE("dispatch: the table in use is available, or there is a problem to report") {
  if (active_kernels() == nullptr) {
    CHECK(!forced_isa_problem().empty());
  } else {
    CHECK(forced_isa_problem().empty());
    CHECK(choose_kernels(active_kernels()->name, detect_cpu_features()).table == active_kernels());
  }
}

TEST_CASE("dispatch: a name that only the products have stands for the best other table within its features") {
  for (const MatmulTable* table : available_matmul_kernels()) {
    CAPTURE(table->name);
    const KernelChoice choice = choose_kernels(table->name, detect_cpu_features());
    CHECK(choice.matmul == table);
    REQUIRE(choice.table != nullptr);
    CHECK((choice.table->required_features & ~table->required_features) == 0);
  }
  CHECK(choose_kernels("", detect_cpu_features()).matmul == available_matmul_kernels().front());
}

TEST_CASE("dispatch: the products have a table under every name, and the reference last") {
  std::set<std::string> names;
  for (const MatmulTable* table : compiled_matmul_kernels()) CHECK(names.insert(table->name).second);
  for (const KernelTable* table : compiled_kernels()) CHECK(names.count(table->name) == 1);
  CHECK(std::string(compiled_matmul_kernels().back()->name) == "reference");
}
