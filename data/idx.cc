#include "idx.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <utility>
#include <vector>

#include "../core/file.h"
#include "../core/within.h"

namespace sinter::data {

namespace {

// A file's content from front to back, decompressed where it is gzip.
class Content {
 public:
  explicit Content(const std::string& path) : file_(path) {
    compressed_ = starts_gzip();
    check(ahead() > 0, "is empty");
    if (compressed_) check(inflateInit2(&stream_, kGzipOnly) == Z_OK, "out of memory for decompression");
  }
  ~Content() {
    if (compressed_) inflateEnd(&stream_);
  }
  Content(const Content&) = delete;
  Content& operator=(const Content&) = delete;

  // Fills `out` and returns how many bytes there were: fewer than asked for only at the end.
  size_t read(std::span<std::byte> out) {
    const size_t got = compressed_ ? read_gzip(out) : read_plain(out);
    total_ += static_cast<int64_t>(got);
    return got;
  }

  // No more than this can follow.
  int64_t most() const { return compressed_ ? file_.size() * kMostPerByte : file_.size() - total_; }
  bool compressed() const { return compressed_; }

 private:
  static constexpr int kGzipOnly = 15 + 16;             // zlib: the largest window, and a gzip header
  static constexpr size_t kMaxPiece = size_t{1} << 30;  // zlib counts in 32 bits
  static constexpr int64_t kMostPerByte = 1032;         // of deflate: 258 bytes in two bits

  size_t ahead() const { return end_ - begin_; }

  // Reads until there are two bytes ahead, if the file has them.
  void fill() {
    if (ahead() >= 2) return;
    std::copy(buffer_.begin() + begin_, buffer_.begin() + end_, buffer_.begin());
    end_ -= std::exchange(begin_, 0);
    end_ += file_.read(std::span(buffer_).subspan(end_));
  }

  bool starts_gzip() {
    fill();
    return ahead() >= 2 && buffer_[begin_] == std::byte{0x1f} && buffer_[begin_ + 1] == std::byte{0x8b};
  }

  size_t read_plain(std::span<std::byte> out) {
    const size_t buffered = std::min(ahead(), out.size());
    std::copy_n(buffer_.begin() + begin_, buffered, out.begin());
    begin_ += buffered;
    return buffered + file_.read(out.subspan(buffered));
  }

  size_t read_gzip(std::span<std::byte> out) {
    size_t done = 0;
    while (done < out.size() && !ended_) {
      fill();
      const size_t input = ahead(), room = std::min(out.size() - done, kMaxPiece);
      stream_.next_in = reinterpret_cast<Bytef*>(buffer_.data() + begin_);
      stream_.avail_in = static_cast<uInt>(input);
      stream_.next_out = reinterpret_cast<Bytef*>(out.data() + done);
      stream_.avail_out = static_cast<uInt>(room);
      const int status = inflate(&stream_, Z_NO_FLUSH);
      begin_ += input - stream_.avail_in;
      done += room - stream_.avail_out;
      const int64_t there = total_ + static_cast<int64_t>(done);
      if (status == Z_STREAM_END)
        end_stream();
      else if (status == Z_BUF_ERROR)
        fail("is cut short: it ends inside its gzip stream, after ", there, " decompressed bytes");
      else if (status == Z_MEM_ERROR)
        fail("out of memory for decompression");
      else if (status != Z_OK)
        fail("is corrupt: gzip says \"", stream_.msg != nullptr ? stream_.msg : zError(status), "\" after ", there,
             " decompressed bytes");
    }
    return done;
  }

  // gzip files may be joined, and padded with zeros: of tapes and blocks.
  void end_stream() {
    if (starts_gzip()) {
      inflateReset(&stream_);
      return;
    }
    ended_ = true;
    for (fill(); ahead() > 0; fill())
      check(buffer_[begin_++] == std::byte{0}, "has more after the end of its gzip stream");
  }

  FileReader file_;
  std::vector<std::byte> buffer_ = std::vector<std::byte>(size_t{1} << 16);
  size_t begin_ = 0, end_ = 0;  // of what was read of the file, but not yet of the content
  int64_t total_ = 0;
  bool compressed_ = false, ended_ = false;
  z_stream stream_{};
};

DType dtype_of(int code) {
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
      fail("holds 64-bit floats (IDX type 14), which are not supported");
    default:
      fail("has the unknown IDX type ", code, " (known: 8, 9, 11, 12, 13)");
  }
}

std::string header_text(DType dtype, const std::vector<int64_t>& sizes) {
  std::string out = text(dtype, " [");
  for (size_t i = 0; i < sizes.size(); ++i) out += text(i == 0 ? "" : ",", sizes[i]);
  return out + "]";
}

template <class T>
void read_big_endian(Content& content, Tensor& tensor, const std::string& header) {
  const auto bytes =
      std::as_writable_bytes(std::span(tensor.mutable_data<T>(), static_cast<size_t>(tensor.elements())));
  const size_t there = content.read(bytes);
  check(there == bytes.size(), "is cut short: its header promises ", header, ", ", bytes.size(),
        " bytes, and there are ", there);
  if constexpr (sizeof(T) > 1)
    for (size_t i = 0; i < bytes.size(); i += sizeof(T)) std::reverse(&bytes[i], &bytes[i] + sizeof(T));
}

Tensor read(Content& content) {
  std::array<uint8_t, 4> word;
  const auto next = [&] { return content.read(std::as_writable_bytes(std::span(word))); };
  const size_t magic_bytes = next();
  check(magic_bytes == 4, "is no IDX file: it has ", magic_bytes, " bytes");
  check(word[0] == 0 && word[1] == 0, "is no IDX file: it starts with the bytes ", int{word[0]}, " ", int{word[1]},
        ", expected 0 0");
  const DType dtype = dtype_of(word[2]);
  const int rank = word[3];
  check(rank >= 1 && rank <= Shape::kMaxRank, "has ", rank, " axes, expected 1 to ", Shape::kMaxRank);

  std::vector<int64_t> sizes;
  int64_t bytes = size_of(dtype);
  bool overflow = false;
  for (int axis = 0; axis < rank; ++axis) {
    const size_t size_bytes = next();
    check(size_bytes == 4, "is cut short: it ends inside its header, after ", 4 + 4 * axis + size_bytes, " bytes");
    sizes.push_back(int64_t{word[0]} << 24 | word[1] << 16 | word[2] << 8 | word[3]);
    overflow = __builtin_mul_overflow(bytes, sizes.back(), &bytes) || overflow;
  }
  const std::string header = header_text(dtype, sizes);
  overflow = overflow || bytes > int64_t{1} << 62;
  check(!overflow, "is corrupt: its header promises ", header, ", which no file can hold");
  // Before memory is asked for.
  check(bytes <= content.most(), "is cut short: its header promises ", header, ", ", bytes, " bytes, and there are ",
        content.compressed() ? "at most " : "", content.most());

  Tensor tensor = Tensor::empty(Shape(std::span<const int64_t>(sizes)), dtype);
  switch (dtype) {
    case DType::uint8:
      read_big_endian<uint8_t>(content, tensor, header);
      break;
    case DType::int8:
      read_big_endian<int8_t>(content, tensor, header);
      break;
    case DType::int16:
      read_big_endian<int16_t>(content, tensor, header);
      break;
    case DType::int32:
      read_big_endian<int32_t>(content, tensor, header);
      break;
    default:
      read_big_endian<float>(content, tensor, header);
      break;
  }
  std::byte extra;
  check(content.read({&extra, 1}) == 0, "is longer than its header says: there is more after ", header);
  return tensor;
}

}  // namespace

Tensor read_idx(const std::string& path) {
  return within(path, [&] {
    Content content(path);
    return read(content);
  });
}

ImageDataset idx_images(const std::string& image_path, const std::string& label_path,
                        const ImageDatasetOptions& options) {
  const Tensor images = read_idx(image_path), labels = read_idx(label_path);
  check(images.dtype() == DType::uint8 && (images.rank() == 3 || images.rank() == 4), image_path, ": holds ",
        images.spec(), ", expected uint8 [N,H,W] or [N,H,W,C]");
  check(images.elements() > 0, image_path, ": holds no images");
  check(labels.dtype() != DType::float32 && labels.rank() == 1, label_path, ": holds ", labels.spec(),
        ", expected integers [N]");
  check(labels.size(0) == images.size(0), label_path, ": holds ", labels.size(0), " labels, but ", image_path, " ",
        images.size(0), " images");
  const Tensor wide = labels.to(DType::int64);
  const auto classes = static_cast<int64_t>(options.classes.size());
  for (int64_t i = 0; i < wide.size(0); ++i) {
    const int64_t label = wide.data<int64_t>()[i];
    check(label >= 0 && (classes == 0 || label < classes), label_path, ": label ", label, " of image ", i,
          classes == 0 ? text(" is negative") : text(" is outside 0..", classes - 1));
  }
  return {images, wide, options};
}

}  // namespace sinter::data
