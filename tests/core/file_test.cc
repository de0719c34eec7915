#include "../../core/file.h"

#include <doctest/doctest.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string_view>
#include <thread>

#include "../../core/error.h"
#include "../support.h"

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

// A process of its own, which ends with the number that `f` returns.
template <class F>
pid_t start(const F& f) {
  const pid_t pid = fork();
  if (pid == 0) _exit(f());
  REQUIRE(pid > 0);
  return pid;
}
int status_of(pid_t pid) {
  int status = -1;
  REQUIRE(waitpid(pid, &status, 0) == pid);
  return status;
}
template <class F>
int child(const F& f) {
  return status_of(start(f));
}
bool ends_in(int status, int number) { return WIFEXITED(status) && WEXITSTATUS(status) == number; }
bool ends_by(int status, int signal) { return WIFSIGNALED(status) && WTERMSIG(status) == signal; }

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

TEST_CASE("a file is read up to a limit, which is looked at before memory is asked for") {
  const Directory directory;
  const std::string path = directory.path + "/a";
  write_file(path, bytes_of("12345"));
  CHECK(read_file(path, 5).size() == 5);
  CHECK_THROWS_WITH_AS(read_file(path, 4), (path + ": has 5 bytes, expected at most 4").c_str(), Error);
  REQUIRE(truncate(path.c_str(), int64_t{1} << 40) == 0);  // a hole
  CHECK_THROWS_WITH_AS(read_file(path), (path + ": has 1099511627776 bytes, expected at most 17179869184").c_str(),
                       Error);

  if (!test::allocator_caches()) return;  // under AddressSanitizer no limit of memory can be set
  REQUIRE(truncate(path.c_str(), int64_t{2} << 30) == 0);
  CHECK(ends_in(child([&] {
                  const rlimit little{int64_t{1} << 30, RLIM_INFINITY};
                  if (setrlimit(RLIMIT_AS, &little) != 0) return 2;
                  try {
                    read_file(path);
                  } catch (const Error& error) {
                    return error.what() == path + ": has 2147483648 bytes: out of memory" ? 0 : 1;
                  }
                  return 3;
                }),
                0));
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
  CHECK_THROWS_WITH_AS(write_file(path + "/a", {}), (path + "/a: cannot be written: Not a directory").c_str(), Error);
  CHECK_THROWS_WITH_AS(write_file("", {}), ": names no file", Error);
  CHECK_THROWS_WITH_AS(write_file(nowhere.substr(0, nowhere.size() - 1), {}),
                       (directory.path + "/none/: names no file").c_str(), Error);
}

TEST_CASE("what is no regular file is not replaced") {
  const Directory directory;
  const std::string pipe = directory.path + "/pipe", link = directory.path + "/link";
  REQUIRE(mkfifo(pipe.c_str(), 0600) == 0);
  std::filesystem::create_symlink(pipe, link);
  for (const std::string& path : {pipe, link, std::string("/dev/null"), std::string("/dev/full")})
    CHECK_THROWS_WITH_AS(write_file(path, {}), (path + ": is no regular file, expected a file").c_str(), Error);
  CHECK_THROWS_WITH_AS(write_file(directory.path, {}), (directory.path + ": is a directory, expected a file").c_str(),
                       Error);
  CHECK(std::filesystem::is_fifo(pipe));
  CHECK(std::filesystem::is_symlink(link));
  CHECK(directory.files() == 2);
}

TEST_CASE("links are followed, to what is there and to what is not; a circle is an error") {
  const Directory directory;
  std::filesystem::create_directory(directory.path + "/sub");
  const std::string link = directory.path + "/link", target = directory.path + "/sub/target";
  std::filesystem::create_symlink("sub/middle", link);
  std::filesystem::create_symlink("target", directory.path + "/sub/middle");
  for (const char* content : {"first", "second"}) {
    write_file(link, bytes_of(content));
    CHECK(content_of(target) == content);
    CHECK(std::filesystem::is_symlink(link));
    CHECK(std::filesystem::is_symlink(directory.path + "/sub/middle"));
    CHECK_FALSE(std::filesystem::is_symlink(target));
  }
  CHECK(directory.files() == 2);
  const std::string circle = directory.path + "/circle";
  std::filesystem::create_symlink("circle", circle);
  CHECK_THROWS_WITH_AS(write_file(circle, {}),
                       (circle + ": cannot be written: Too many levels of symbolic links").c_str(), Error);
}

TEST_CASE("a replaced file keeps its permissions; a new one has the user's") {
  const Directory directory;
  const std::string path = directory.path + "/a";
  const mode_t mask = umask(027);
  write_file(path, {});
  umask(mask);
  const auto mode = [&] { return static_cast<int>(std::filesystem::status(path).permissions()); };
  CHECK(mode() == 0640);
  for (const int wanted : {0600, 0666, 0755}) {
    REQUIRE(chmod(path.c_str(), static_cast<mode_t>(wanted)) == 0);
    write_file(path, bytes_of("x"));
    CHECK(mode() == wanted);
  }
}

TEST_CASE("what must not be written is not replaced") {
  const Directory directory;
  const std::string path = directory.path + "/a";
  write_file(path, bytes_of("old"));
  REQUIRE(chmod(directory.path.c_str(), 0777) == 0);
  const auto refusal = [&] {
    return child([&] {
      if (getuid() == 0 && setuid(65534) != 0) return 2;  // root may do all of it
      try {
        write_file(path, bytes_of("new"));
      } catch (const Error& error) {
        return error.what() == path + ": cannot be written: Permission denied" ? 0 : 1;
      }
      return 3;
    });
  };
  REQUIRE(chmod(path.c_str(), 0444) == 0);
  CHECK(ends_in(refusal(), 0));
  REQUIRE(chmod(path.c_str(), 0666) == 0);
  REQUIRE(chmod(directory.path.c_str(), 0555) == 0);
  CHECK(ends_in(refusal(), 0));
  CHECK(content_of(path) == "old");
  CHECK(directory.files() == 1);
  REQUIRE(chmod(directory.path.c_str(), 0777) == 0);
  CHECK(ends_in(refusal(), 3));
  CHECK(content_of(path) == "new");
}

TEST_CASE("names as long as there are can be written") {
  const Directory directory;
  const std::string path = directory.path + "/" + std::string(255, 'a');
  write_file(path, bytes_of("x"));
  write_file(path, bytes_of("y"));
  CHECK(content_of(path) == "y");
  CHECK(directory.files() == 1);
  CHECK_THROWS_WITH_AS(write_file(path + "a", {}), (path + "a: cannot be written: File name too long").c_str(), Error);
}

TEST_CASE("what a killed run leaves beside a file is removed by the next one, and nothing else") {
  const Directory directory;
  const std::string path = directory.path + "/a", other = directory.path + "/a.tmp-0123456789abcdeg";
  write_file(path, bytes_of("old"));
  write_file(other, bytes_of("the user's"));
  for (int kill = 1; kill <= 3; ++kill) {
    CHECK(ends_by(child([&] {
                    const rlimit small{4096, RLIM_INFINITY};
                    setrlimit(RLIMIT_FSIZE, &small);
                    std::signal(SIGXFSZ, SIG_DFL);  // in the middle of writing
                    write_file(path, std::vector<std::byte>(10000));
                    return 0;
                  }),
                  SIGXFSZ));
    CHECK(content_of(path) == "old");
    CHECK(directory.files() == 3);  // and what it left; what the one before left is gone
  }
  write_file(path, bytes_of("new"));
  CHECK(content_of(path) == "new");
  CHECK(content_of(other) == "the user's");
  CHECK(directory.files() == 2);
}

TEST_CASE("processes and threads may write one file at once: one of their contents is there, whole") {
  const Directory directory;
  const std::string path = directory.path + "/a";
  const auto write = [&](int who) {
    const std::vector<std::byte> content(static_cast<size_t>(20000 + who), static_cast<std::byte>(who));
    try {
      for (int i = 0; i < 50; ++i) write_file(path, content);
    } catch (const Error& error) {
      std::fprintf(stderr, "%s\n", error.what());
      return 1;
    }
    return 0;
  };
  std::vector<pid_t> children;
  for (int who = 1; who <= 3; ++who) children.push_back(start([&] { return write(who); }));
  int wrong = 0;
  std::thread thread([&] { wrong += write(4); });
  int reads = 0;
  for (; reads < 200; ++reads) {
    if (!std::filesystem::exists(path)) continue;
    const auto bytes = read_file(path);
    wrong += bytes.empty() || bytes.size() != 20000 + static_cast<size_t>(bytes[0]) ||
             std::count(bytes.begin(), bytes.end(), bytes[0]) != std::ssize(bytes);
  }
  thread.join();
  for (const pid_t pid : children) CHECK(ends_in(status_of(pid), 0));
  CHECK(wrong == 0);
  CHECK(directory.files() == 1);
}
