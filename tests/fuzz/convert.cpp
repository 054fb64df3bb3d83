// The whole way: what can be opened is quantized with a plan of int8, twice. Both outputs must be opened by the strict
// reader and be the same bytes; a conversion that fails leaves nothing behind.
#include <unistd.h>

#include "mq/convert.hpp"
#include "mq/executor.hpp"
#include "mq/plan.hpp"
#include "mq/source.hpp"
#include "tests/fuzz/fuzz.hpp"
#include "tests/fuzz/mutators.hpp"
#include "tests/support/files.hpp"

namespace {

namespace fs = std::filesystem;
using namespace mq;

constexpr std::int64_t kMaxOutputBytes = 1 << 20;

// A folder in memory that vanishes with the process.
const fs::path& output_folder() {
  struct Folder {
    fs::path path = "/dev/shm/mq-fuzz-" + std::to_string(::getpid());
    Folder() { fs::create_directories(path); }
    ~Folder() {
      std::error_code ignored;
      fs::remove_all(path, ignored);
    }
  };
  static const Folder folder;
  return folder.path;
}

void write(const Checkpoint& checkpoint, const Plan& plan, const fs::path& path) {
  const auto writer = create_checkpoint(path, plan.recipe.format, {.overwrite = false, .sync = false});
  convert(checkpoint, plan, *writer, serial_executor());
}

// The bytes of all files below the output folder, which is emptied.
std::string take_output() {
  std::string bytes;
  for (const std::string& name : test::names_in(output_folder())) {
    bytes += name + '\0' + test::read_file(output_folder() / name);
    fs::remove(output_folder() / name);
  }
  return bytes;
}

// Errors of planning and of the data are fine; what they say need not name the file.
bool may_fail(const Error& error) {
  return error.code() != ErrorCode::Internal && error.code() != ErrorCode::Io && error.code() != ErrorCode::Cancelled;
}

Plan plan_of(const Checkpoint& checkpoint) {
  Recipe recipe;
  recipe.scheme = parse_spec("int8");
  recipe.min_numel = 4;
  recipe.allow_unknown = true;
  return make_plan(describe(checkpoint), recipe);
}

void convert_twice(const Checkpoint& checkpoint) {
  const Plan plan = plan_of(checkpoint);
  if (plan.output_bytes > kMaxOutputBytes || plan.input_bytes > kMaxOutputBytes) return;
  const fs::path path = output_folder() / "out.safetensors";
  write(checkpoint, plan, path);
  try {
    const auto output = open_checkpoint(path);
    if (output->format() != "safetensors") fuzz::fail("the output is opened as " + std::string(output->format()));
    describe(*output);
    test::read_within(*output);
  } catch (const Error& error) {
    fuzz::fail(std::string("the output is refused: ") + error.what());
  }
  const std::string first = take_output();
  write(checkpoint, plan, path);
  if (take_output() != first) fuzz::fail("two runs gave different bytes");
}

void run(const fs::path& path) {
  std::unique_ptr<Checkpoint> checkpoint;
  fuzz::expect_verdict(path, [&] { checkpoint = open_checkpoint(path); });
  if (!checkpoint) return;
  try {
    convert_twice(*checkpoint);
  } catch (const Error& error) {
    if (!may_fail(error)) fuzz::fail(error.what());
  } catch (const std::exception& error) {
    fuzz::fail(std::string("an exception that is no mq::Error: ") + error.what());
  }
  if (!take_output().empty()) fuzz::fail("a conversion that failed left an output");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  run(fuzz::input_file(fuzz::text_of(data, size)));
  return 0;
}

MQ_FUZZ_MUTATOR(mq::fuzz::mutate_checkpoint)
