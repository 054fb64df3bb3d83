#include <doctest/doctest.h>

#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>
#include <csignal>

#include <string>

#include "formats/io/atomic_output.hpp"
#include "mq/checkpoint.hpp"
#include "tests/support/checkpoints.hpp"
#include "tests/support/errors.hpp"
#include "tests/support/files.hpp"

using namespace mq;
using test::code_of;
using test::sample;
namespace fs = std::filesystem;

namespace {

const std::vector<test::NamedBytes> kTensors{sample("w", DType::Float32, {64, 64})};

void write_to(const fs::path& path, bool overwrite = false) {
  test::write_checkpoint(path, "safetensors", kTensors, {}, {.overwrite = overwrite});
}

// Limits the size of files that this process writes, without the signal that comes with it.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) : handler_(std::signal(SIGXFSZ, SIG_IGN)) {
    ::getrlimit(RLIMIT_FSIZE, &before_);
    const struct rlimit limit { bytes, before_.rlim_max };
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &before_);
    std::signal(SIGXFSZ, handler_);
  }
  FileSizeLimit(const FileSizeLimit&) = delete;
  FileSizeLimit& operator=(const FileSizeLimit&) = delete;

 private:
  struct rlimit before_ {};
  void (*handler_)(int);
};

}  // namespace

TEST_CASE("output: the final name appears with finish, and an unfinished writer leaves nothing") {
  const test::TempDir dir;
  {
    const auto writer = create_checkpoint(dir / "out", "safetensors");
    CHECK(test::names_in(dir.path()).empty());
    writer->begin(test::layout_of(kTensors));
    CHECK_FALSE(fs::exists(dir / "out"));
  }
  CHECK(test::names_in(dir.path()).empty());
  write_to(dir / "out");
  CHECK(test::names_in(dir.path()) == std::vector<std::string>{"out"});
}

TEST_CASE("output: permissions are those of the umask") {
  const test::TempDir dir;
  const mode_t before = ::umask(027);
  write_to(dir / "file");
  test::write_checkpoint(dir / "directory", "hf_safetensors", kTensors);
  ::umask(before);
  struct stat status {};
  REQUIRE(::stat((dir / "file").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
  REQUIRE(::stat((dir / "directory").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0750);
  REQUIRE(::stat((dir / "directory/model.safetensors").c_str(), &status) == 0);
  CHECK((status.st_mode & 0777) == 0640);
}

TEST_CASE("output: what exists is replaced only when asked") {
  const test::TempDir dir;
  test::write_file(dir / "out", "precious");
  CHECK(code_of([&] { write_to(dir / "out"); }) == ErrorCode::Io);
  CHECK(test::read_file(dir / "out") == "precious");
  write_to(dir / "out", true);
  CHECK(open_checkpoint(dir / "out")->tensors().size() == 1);
  write_to(dir / "new", true);
  CHECK(test::names_in(dir.path()) == std::vector<std::string>{"new", "out"});
}

TEST_CASE("output: a file that appears while another is written is not replaced") {
  const test::TempDir dir;
  const auto writer = create_checkpoint(dir / "out", "safetensors");
  writer->begin(test::layout_of(kTensors));
  test::write_all(*writer, kTensors);
  test::write_file(dir / "out", "precious");
  CHECK(code_of([&] { writer->finish(); }) == ErrorCode::Io);
  CHECK(test::read_file(dir / "out") == "precious");
}

TEST_CASE("output: two writers of one target: the first to finish wins, the other is told") {
  const test::TempDir dir;
  const auto first = create_checkpoint(dir / "out", "safetensors");
  const auto second = create_checkpoint(dir / "out", "safetensors");
  for (const auto* writer : {&first, &second}) {
    (*writer)->begin(test::layout_of(kTensors));
    test::write_all(**writer, kTensors);
  }
  first->finish();
  CHECK(code_of([&] { second->finish(); }) == ErrorCode::Io);
  CHECK(open_checkpoint(dir / "out")->tensors().size() == 1);
}

TEST_CASE("output: directories, pipes, sockets and devices are not replaced by a file, whatever was asked") {
  const test::TempDir dir;
  fs::create_directory(dir / "directory");
  REQUIRE(::mkfifo((dir / "pipe").c_str(), 0666) == 0);
  const int socket = ::socket(AF_UNIX, SOCK_STREAM, 0);
  struct sockaddr_un address {};
  address.sun_family = AF_UNIX;
  (dir / "socket").string().copy(address.sun_path, sizeof(address.sun_path) - 1);
  REQUIRE(::bind(socket, reinterpret_cast<const struct sockaddr*>(&address), sizeof(address)) == 0);
  const bool has_device = ::mknod((dir / "device").c_str(), S_IFCHR | 0666, makedev(1, 3)) == 0;  // as root only
  if (!has_device) fs::create_symlink("pipe", dir / "device");
  for (const fs::path& path : {dir / "directory", dir / "pipe", dir / "socket", dir / "device"}) {
    CAPTURE(path);
    CHECK(code_of([&] { write_to(path, true); }) == ErrorCode::Io);
  }
  ::close(socket);
  CHECK(test::names_in(dir.path()) == std::vector<std::string>{"device", "directory", "pipe", "socket"});
}

TEST_CASE("output: a symbolic link stays, and the file it leads to is written") {
  const test::TempDir dir;
  fs::create_directory(dir / "store");
  test::write_file(dir / "store/old", "old");
  fs::create_symlink("store/old", dir / "link");
  fs::create_symlink("store/new", dir / "dangling");
  fs::create_symlink("loop", dir / "loop");
  CHECK(code_of([&] { write_to(dir / "link"); }) == ErrorCode::Io);
  write_to(dir / "link", true);
  write_to(dir / "dangling");
  CHECK(fs::is_symlink(dir / "link"));
  CHECK(fs::is_symlink(dir / "dangling"));
  CHECK(open_checkpoint(dir / "store/old")->tensors().size() == 1);
  CHECK(open_checkpoint(dir / "store/new")->tensors().size() == 1);
  CHECK(code_of([&] { write_to(dir / "loop", true); }) == ErrorCode::Io);
  CHECK(test::names_in(dir / "store") == std::vector<std::string>{"new", "old"});
}

TEST_CASE("output: a folder that is missing or not writable is an error before anything is written") {
  const test::TempDir dir;
  CHECK(test::message_of([&] { write_to(dir / "missing/out"); }).find("no such folder") != std::string::npos);
  CHECK(code_of([] { write_to("/proc/mq-test"); }) == ErrorCode::Io);
  CHECK(code_of([] { write_to(""); }) == ErrorCode::Io);
  CHECK(code_of([] { write_to("/"); }) == ErrorCode::Io);
  CHECK(code_of([&] { write_to(dir / "."); }) == ErrorCode::Io);
  CHECK(code_of([&] { test::write_checkpoint(dir / "..", "hf_safetensors", kTensors); }) == ErrorCode::Io);
  if (::geteuid() == 0) return;  // to whom every folder is writable
  fs::permissions(dir.path(), fs::perms::owner_read | fs::perms::owner_exec);
  CHECK(code_of([&] { write_to(dir / "out"); }) == ErrorCode::Io);
  fs::permissions(dir.path(), fs::perms::owner_all);
}

TEST_CASE("output: a file too large for the process or the disk is refused before the first byte") {
  const test::TempDir dir;
  {
    const FileSizeLimit limit(4096);
    CHECK(test::message_of([&] { write_to(dir / "out"); }).find("file size limit") != std::string::npos);
  }
  const Layout huge{.tensors = {{.name = "w", .dtype = DType::UInt8, .shape = {std::int64_t{1} << 60}}}};
  CHECK(code_of([&] { create_checkpoint(dir / "out", "safetensors")->begin(huge); }) == ErrorCode::Io);
  CHECK(code_of([&] { create_checkpoint(dir / "out", "hf_safetensors")->begin(huge); }) == ErrorCode::Io);
  CHECK(test::names_in(dir.path()).empty());
}

TEST_CASE("output: a write that fails is an error, and leaves neither file nor temporary") {
  const test::TempDir dir;
  for (const char* format : {"safetensors", "hf_safetensors"}) {
    const auto writer = create_checkpoint(dir / "out", format);
    writer->begin(test::layout_of(kTensors));
    {
      const FileSizeLimit limit(4096);
      CHECK(code_of([&] { test::write_all(*writer, kTensors); }) == ErrorCode::Io);
    }
    CHECK(code_of([&] { writer->finish(); }).has_value());
  }
  CHECK(test::names_in(dir.path()).empty());
}

TEST_CASE("output: a long name leaves room for the temporary one") {
  const test::TempDir dir;
  const std::string name(255, 'n');
  write_to(dir / name);
  CHECK(test::names_in(dir.path()) == std::vector<std::string>{name});
}
