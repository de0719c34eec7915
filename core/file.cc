#include "file.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "error.h"
#include "within.h"

namespace sinter {

namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  ~Descriptor() {
    if (valid()) ::close(fd_);
  }
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  int release() { return std::exchange(fd_, -1); }
  bool valid() const { return fd_ >= 0; }

 private:
  int fd_;
};

void check_regular(const std::string& path, const struct stat& status) {
  check(S_ISREG(status.st_mode), path, S_ISDIR(status.st_mode) ? ": is a directory" : ": is no regular file",
        ", expected a file");
}

bool write_all(int fd, std::span<const std::byte> bytes) {
  while (!bytes.empty()) {
    const ssize_t count = ::write(fd, bytes.data(), bytes.size());
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return false;
    bytes = bytes.subspan(static_cast<size_t>(count));
  }
  return true;
}

std::string directory_of(const std::string& path) {
  const size_t slash = path.find_last_of('/');
  return slash == std::string::npos ? "./" : path.substr(0, slash + 1);
}

// Where a link leads in the end, whether something is there or not. A circle was found by stat before.
std::string follow(std::string path) {
  constexpr int kMaxLinks = 40;  // as Linux has it
  char link[PATH_MAX];
  for (int i = 0; i < kMaxLinks; ++i) {
    const ssize_t length = ::readlink(path.c_str(), link, sizeof link);
    if (length < 0) break;
    path = (link[0] == '/' ? "" : directory_of(path)) + std::string(link, static_cast<size_t>(length));
  }
  return path;
}

// Readable, to be listed and flushed, where that is allowed.
Descriptor open_directory(const std::string& path) {
  Descriptor directory(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (directory.valid() || errno != EACCES) return directory;
  return Descriptor(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
}

constexpr std::string_view kMark = ".tmp-", kDigits = "0123456789abcdef";
constexpr size_t kRandomDigits = 16;

// What the names of a target's temporary files start with; as much of its own as a name has room for.
std::string stem_of(int directory, const std::string& name) {
  const long longest = std::max(::fpathconf(directory, _PC_NAME_MAX), 64L);
  size_t length = std::min(name.size(), static_cast<size_t>(longest) - kMark.size() - kRandomDigits);
  while (length < name.size() && length > 0 && (name[length] & 0xc0) == 0x80) --length;  // no part of a character
  return name.substr(0, length) + std::string(kMark);
}

bool is_temporary(std::string_view name, const std::string& stem) {
  return name.size() == stem.size() + kRandomDigits && name.starts_with(stem) &&
         name.find_first_not_of(kDigits, stem.size()) == std::string_view::npos;
}

// Temporary files are locked as long as their process lives: what can be locked is nobody's any more.
void remove_stale(int directory, const std::string& stem) {
  const auto close = [](DIR* open) { ::closedir(open); };
  const int fd = ::openat(directory, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  const std::unique_ptr<DIR, decltype(close)> listing(fd < 0 ? nullptr : ::fdopendir(fd), close);
  if (listing == nullptr) return;
  while (const dirent* entry = ::readdir(listing.get())) {
    if (!is_temporary(entry->d_name, stem)) continue;
    const Descriptor file(::openat(directory, entry->d_name, O_WRONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
    struct stat status {};
    if (file.valid() && ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) &&
        ::flock(file.get(), LOCK_EX | LOCK_NB) == 0)
      ::unlinkat(directory, entry->d_name, 0);
  }
}

// A new file, which this process has locked. Process numbers repeat, in containers at every start; this name does not.
class Temporary {
 public:
  Temporary(int directory, const std::string& stem, mode_t mode) : directory_(directory), file_(-1) {
    constexpr int kAttempts = 64;
    for (int i = 0; i < kAttempts; ++i) {
      unsigned char random[kRandomDigits];
      if (::getrandom(random, sizeof random, 0) != static_cast<ssize_t>(sizeof random)) return;
      name_ = stem;
      for (const unsigned char value : random) name_ += kDigits[value % kDigits.size()];
      Descriptor file(::openat(directory, name_.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode));
      if (!file.valid() && errno != EEXIST) return;
      // Before it was locked, another process may have taken it for one that is left.
      const bool locked = file.valid() && (::flock(file.get(), LOCK_EX | LOCK_NB) == 0 || errno != EWOULDBLOCK);
      struct stat status {};
      if (!locked || ::fstat(file.get(), &status) != 0 || status.st_nlink == 0) continue;
      file_ = std::move(file);
      return;
    }
  }
  ~Temporary() {
    if (file_.valid()) ::unlinkat(directory_, name_.c_str(), 0);  // nothing once it is renamed
  }
  Temporary(const Temporary&) = delete;
  Temporary& operator=(const Temporary&) = delete;

  const Descriptor& file() const { return file_; }
  const char* name() const { return name_.c_str(); }

 private:
  int directory_;
  std::string name_;
  Descriptor file_;
};

}  // namespace

FileReader::FileReader(std::string path) : path_(std::move(path)) {
  // Not blocking: a named pipe would otherwise wait for a writer before it can be refused.
  Descriptor file(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  check(file.valid(), path_, ": cannot be opened: ", std::strerror(errno));
  struct stat status {};
  check(::fstat(file.get(), &status) == 0, path_, ": cannot be examined: ", std::strerror(errno));
  check_regular(path_, status);
  size_ = status.st_size;
  fd_ = file.release();
}

FileReader::~FileReader() { ::close(fd_); }

bool FileReader::starts_with(std::string_view bytes) const {
  std::string start(bytes.size(), '\0');
  return ::pread(fd_, start.data(), start.size(), 0) == static_cast<ssize_t>(start.size()) && start == bytes;
}

size_t FileReader::read(std::span<std::byte> out) {
  size_t done = 0;
  while (done < out.size()) {
    const ssize_t count = ::read(fd_, out.data() + done, out.size() - done);
    if (count < 0 && errno == EINTR) continue;
    check(count >= 0, path_, ": cannot be read: ", std::strerror(errno));
    if (count == 0) break;
    done += static_cast<size_t>(count);
  }
  position_ += static_cast<int64_t>(done);
  return done;
}

std::vector<std::byte> FileReader::read_rest(int64_t limit) {
  check(size_ <= limit, path_, ": has ", size_, " bytes, expected at most ", limit);
  std::vector<std::byte> bytes;
  within(text(path_, ": has ", size_, " bytes"),
         [&] { bytes.resize(static_cast<size_t>(std::max<int64_t>(size_ - position_, 0))); });
  check(read(bytes) == bytes.size(), path_, ": became shorter while it was read");
  return bytes;
}

std::vector<std::byte> read_file(const std::string& path, int64_t limit) { return FileReader(path).read_rest(limit); }

void write_file(const std::string& path, std::span<const std::byte> bytes) {
  const auto expect = [&](bool done) {
    if (!done) fail(path, ": cannot be written: ", std::strerror(errno));
  };
  struct stat old {};
  const bool exists = ::stat(path.c_str(), &old) == 0;
  expect(exists || errno == ENOENT);
  if (exists) check_regular(path, old);
  const std::string target = follow(path), name = target.substr(target.find_last_of('/') + 1);
  check(!name.empty(), path, ": names no file");
  const Descriptor directory = open_directory(directory_of(target));
  expect(directory.valid());
  if (exists) expect(::faccessat(directory.get(), name.c_str(), W_OK, AT_EACCESS) == 0);  // renaming does not ask

  const std::string stem = stem_of(directory.get(), name);
  remove_stale(directory.get(), stem);
  // Again where another machine, which sees no locks of this one, has removed the file.
  constexpr int kAttempts = 4;
  for (int attempt = 1;; ++attempt) {
    const Temporary temporary(directory.get(), stem, exists ? 0600 : 0666);
    const int file = temporary.file().get();
    expect(temporary.file().valid());
    expect(write_all(file, bytes));
    if (exists) {
      // Whoever may not give files away keeps them.
      [[maybe_unused]] const int owned = ::fchown(file, old.st_uid, old.st_gid);
      expect(::fchmod(file, old.st_mode & 07777) == 0);
    }
    expect(::fsync(file) == 0);
    if (::renameat(directory.get(), temporary.name(), directory.get(), name.c_str()) == 0) break;
    expect(errno == ENOENT && attempt < kAttempts);
  }
  // The new name is on the disk once its directory is. The file is whole either way, so a file system that cannot
  // flush directories is no error.
  ::fsync(directory.get());
}

}  // namespace sinter
