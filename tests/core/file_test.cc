#include "../../core/file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <string_view>

#include "../../core/error.h"

using namespace sinter;

namespace {

struct Directory {
  std::string path = (std::filesystem::temp_directory_path() / "sinter_file_XXXXXX").string();
  Directory() { REQUIRE(mkdtemp(path.data()) != nullptr); }
  ~Directory() { std::filesystem::remove_all(path); }
  int64_t files() const {
    return std::distance(std::filesystem::directory_iterator(path), std::filesystem::directory_iterator());
  }
};

std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

std::string content_of(const std::string& path) {
  const auto bytes = read_file(path);
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

TEST_CASE("a file reads back as it was written, and is replaced whole") {
  const Directory directory;
  const std::string path = directory.path + "/a";
  write_file(path, bytes_of("first"));
  CHECK(content_of(path) == "first");
  write_file(path, {});
  CHECK(content_of(path).empty());
  write_file(path, bytes_of("second"));
  CHECK(content_of(path) == "second");
  CHECK(directory.files() == 1);
}

TEST_CASE("what is no readable file is refused by name") {
  const Directory directory;
  const std::string missing = directory.path + "/missing", pipe = directory.path + "/pipe";
  CHECK_THROWS_WITH_AS(read_file(missing), (missing + ": cannot be opened: No such file or directory").c_str(), Error);
  CHECK_THROWS_WITH_AS(read_file(directory.path), (directory.path + ": is a directory, expected a file").c_str(),
                       Error);
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  CHECK_THROWS_WITH_AS(read_file(pipe), (pipe + ": is no regular file, expected a file").c_str(), Error);
}

TEST_CASE("a write that fails leaves the old content and nothing else") {
  const Directory directory;
  const std::string path = directory.path + "/a";
  write_file(path, bytes_of("old"));

  // A limit on the size of files stands in for a full disk.
  rlimit before{};
  REQUIRE(getrlimit(RLIMIT_FSIZE, &before) == 0);
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small{4096, before.rlim_max};
  REQUIRE(setrlimit(RLIMIT_FSIZE, &small) == 0);
  CHECK_THROWS_WITH_AS(write_file(path, std::vector<std::byte>(10000)),
                       (path + ": cannot be written: File too large").c_str(), Error);
  REQUIRE(setrlimit(RLIMIT_FSIZE, &before) == 0);
  std::signal(SIGXFSZ, handler);
  CHECK(content_of(path) == "old");
  CHECK(directory.files() == 1);

  const std::string nowhere = directory.path + "/none/a";
  CHECK_THROWS_WITH_AS(write_file(nowhere, {}), (nowhere + ": cannot be written: No such file or directory").c_str(),
                       Error);
  CHECK_THROWS_AS(write_file(directory.path, {}), Error);
}
