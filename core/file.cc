#include "file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstring>

#include "error.h"

namespace sinter {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool valid() const { return fd_ >= 0; }
  bool close() {
    if (fd_ < 0) return true;
    const bool done = ::close(fd_) == 0;
    fd_ = -1;
    return done;
  }

 private:
  int fd_;
};

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return true;
}

}  // namespace

std::vector<std::byte> read_file(const std::string& path) {
  // Not blocking: a named pipe would otherwise wait for a writer before it can be refused.
  const Descriptor file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  check(file.valid(), path, ": cannot be opened: ", std::strerror(errno));
  struct stat status {};
  check(::fstat(file.get(), &status) == 0, path, ": cannot be examined: ", std::strerror(errno));
  check(S_ISREG(status.st_mode), path, S_ISDIR(status.st_mode) ? ": is a directory" : ": is no regular file",
        ", expected a file");
  std::vector<std::byte> bytes(static_cast<size_t>(status.st_size));
  size_t done = 0;
  while (done < bytes.size()) {
    const ssize_t count = ::read(file.get(), bytes.data() + done, bytes.size() - done);
    if (count < 0 && errno == EINTR) continue;
    check(count >= 0, path, ": cannot be read: ", std::strerror(errno));
    check(count > 0, path, ": became shorter while it was read");
    done += static_cast<size_t>(count);
  }
  return bytes;
}

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  static std::atomic<int64_t> next{0};
  const std::string temporary = text(path, ".tmp", static_cast<int64_t>(::getpid()), ".", next++);
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666));
  check(file.valid(), path, ": cannot be written: ", std::strerror(errno));
  if (!write_all(file.get(), bytes) || ::fsync(file.get()) != 0 || !file.close() ||
      ::rename(temporary.c_str(), path.c_str()) != 0) {
    const int fault = errno;
    ::unlink(temporary.c_str());
    fail(path, ": cannot be written: ", std::strerror(fault));
  }
  // The new name is on the disk once its directory is. The file is whole either way, so a file system that cannot
  // flush directories is no error.
  const size_t slash = path.find_last_of('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor parent(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (parent.valid()) ::fsync(parent.get());
}

}  // namespace sinter
