#include "idx.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <memory>
#include <vector>

namespace sinter::data {

namespace {

constexpr size_t kFirstRead = size_t{1} << 20;

struct Close {
  void operator()(std::FILE* file) const { std::fclose(file); }
};

std::vector<uint8_t> read_file(const std::string& path) {
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rb"));
  check(file != nullptr, path, ": cannot be opened: ", std::strerror(errno));
  std::vector<uint8_t> bytes;
  size_t used = 0;
  do {  // no size is asked for beforehand: the file may be a pipe
    bytes.resize(std::max(kFirstRead, 2 * used));
    used += std::fread(bytes.data() + used, 1, bytes.size() - used, file.get());
  } while (used == bytes.size());
  check(!std::ferror(file.get()), path, ": cannot be read: ", std::strerror(errno));
  bytes.resize(used);
  return bytes;
}

// A file's content from front to back, decompressed where it is gzip.
class Content {
 public:
  explicit Content(const std::string& path) : path_(path), file_(read_file(path)) {
    check(!file_.empty(), path, ": is empty");
    compressed_ = starts_gzip();
    if (compressed_) check(inflateInit2(&stream_, kGzipOnly) == Z_OK, path, ": out of memory for decompression");
  }
  ~Content() {
    if (compressed_) inflateEnd(&stream_);
  }
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;

  // Fills `out` and returns how many bytes there were: fewer than asked for only at the end.
  size_t read(uint8_t* out, size_t count) {
    const size_t got = compressed_ ? read_gzip(out, count) : read_plain(out, count);
    total_ += got;
    return got;
  }

 private:
  static constexpr int kGzipOnly = 15 + 16;             // zlib: the largest window, and a gzip header
  static constexpr size_t kMaxPiece = size_t{1} << 30;  // zlib counts in 32 bits

  bool starts_gzip() const {
    return file_.size() - position_ >= 2 && file_[position_] == 0x1f && file_[position_ + 1] == 0x8b;
  }

  size_t read_plain(uint8_t* out, size_t count) {
    count = std::min(count, file_.size() - position_);
    std::copy_n(file_.data() + position_, count, out);
    position_ += count;
    return count;
  }

  size_t read_gzip(uint8_t* out, size_t count) {
    size_t done = 0;
    while (done < count && !ended_) {
      const size_t input = std::min(file_.size() - position_, kMaxPiece), room = std::min(count - done, kMaxPiece);
      stream_.next_in = file_.data() + position_;
      stream_.avail_in = static_cast<uInt>(input);
      stream_.next_out = out + done;
      stream_.avail_out = static_cast<uInt>(room);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      position_ += input - stream_.avail_in;
      done += room - stream_.avail_out;
      if (status == Z_STREAM_END) {
        ended_ = position_ == file_.size();
        if (ended_) break;
        check(starts_gzip(), path_, ": has ", file_.size() - position_, " bytes after the end of its gzip stream");
        inflateReset(&stream_);  // gzip files may be joined: the next one goes on
      } else if (status == Z_BUF_ERROR) {
        fail(path_, ": is cut short: it ends inside its gzip stream, after ", total_ + done, " decompressed bytes");
      } else if (status != Z_OK) {
        fail(path_, ": is corrupt: gzip says \"", stream_.msg != nullptr ? stream_.msg : zError(status), "\" after ",
             total_ + done, " decompressed bytes");
      }
    }
    return done;
  }

  std::string path_;
  std::vector<uint8_t> file_;
  size_t position_ = 0, total_ = 0;
  bool compressed_ = false, ended_ = false;
  z_stream stream_{};
};

DType dtype_of(int code, const std::string& path) {
  switch (code) {
    case 0x08:
      return DType::uint8;
    case 0x09:
      return DType::int8;
    case 0x0b:
      return DType::int16;
    case 0x0c:
      return DType::int32;
    case 0x0d:
      return DType::float32;
    case 0x0e:
      fail(path, ": holds 64-bit floats (IDX type 14), which are not supported");
    default:
      fail(path, ": has the unknown IDX type ", code, " (known: 8, 9, 11, 12, 13)");
  }
}

std::string header_text(DType dtype, const std::vector<int64_t>& sizes) {
  std::string out = text(dtype, " [");
  for (size_t i = 0; i < sizes.size(); ++i) out += text(i == 0 ? "" : ",", sizes[i]);
  return out + "]";
}

template <class T>
void from_big_endian(const std::vector<uint8_t>& bytes, Tensor& tensor) {
  T* out = tensor.mutable_data<T>();
  for (size_t i = 0; i < bytes.size(); i += sizeof(T)) {
    std::array<uint8_t, sizeof(T)> value{};
    std::reverse_copy(bytes.data() + i, bytes.data() + i + sizeof(T), value.data());
    std::memcpy(out++, value.data(), sizeof(T));
  }
}

}  // namespace

Tensor read_idx(const std::string& path) {
  Content content(path);
  std::array<uint8_t, 4> magic;
  const size_t magic_bytes = content.read(magic.data(), 4);
  check(magic_bytes == 4, path, ": is no IDX file: it has ", magic_bytes, " bytes");
  check(magic[0] == 0 && magic[1] == 0, path, ": is no IDX file: it starts with the bytes ", int{magic[0]}, " ",
        int{magic[1]}, ", expected 0 0");
  const DType dtype = dtype_of(magic[2], path);
  const int rank = magic[3];
  check(rank >= 1 && rank <= Shape::kMaxRank, path, ": has ", rank, " axes, expected 1 to ", Shape::kMaxRank);

  std::vector<int64_t> sizes;
  int64_t bytes = size_of(dtype);
  bool overflow = false;
  for (int axis = 0; axis < rank; ++axis) {
    std::array<uint8_t, 4> size;
    const size_t size_bytes = content.read(size.data(), 4);
    check(size_bytes == 4, path, ": is cut short: it ends inside its header, after ", 4 + 4 * axis + size_bytes,
          " bytes");
    sizes.push_back(int64_t{size[0]} << 24 | size[1] << 16 | size[2] << 8 | size[3]);
    overflow = __builtin_mul_overflow(bytes, sizes.back(), &bytes) || overflow;
  }
  overflow = overflow || bytes > int64_t{1} << 62;
  check(!overflow, path, ": is corrupt: its header promises ", header_text(dtype, sizes), ", which no file can hold");

  // The buffer grows with what the file really holds.
  std::vector<uint8_t> data;
  for (size_t used = 0; used < static_cast<size_t>(bytes);) {
    data.resize(std::min(static_cast<size_t>(bytes), std::max(kFirstRead, 2 * used)));
    used += content.read(data.data() + used, data.size() - used);
    check(used == data.size(), path, ": is cut short: its header promises ", header_text(dtype, sizes), ", ", bytes,
          " bytes, and there are ", used);
  }
  uint8_t extra;
  check(content.read(&extra, 1) == 0, path, ": is longer than its header says: there is more after ",
        header_text(dtype, sizes));

  Tensor tensor = Tensor::empty(Shape(std::span<const int64_t>(sizes)), dtype);
  switch (dtype) {
    case DType::uint8:
      from_big_endian<uint8_t>(data, tensor);
      break;
    case DType::int8:
      from_big_endian<int8_t>(data, tensor);
      break;
    case DType::int16:
      from_big_endian<int16_t>(data, tensor);
      break;
    case DType::int32:
      from_big_endian<int32_t>(data, tensor);
      break;
    default:
      from_big_endian<float>(data, tensor);
      break;
  }
  return tensor;
}

}  // namespace sinter::data
