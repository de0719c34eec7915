#include "picture.h"

#include <algorithm>
#include <vector>

#include "../core/autograd.h"
#include "../core/file.h"
#include "../core/within.h"
#include "jpeg.h"
#include "png.h"

namespace sinter::data {

namespace {

// What a file of a picture is read whole up to.
constexpr int64_t kMaxPictureBytes = int64_t{1} << 30;

uint8_t grey_of(const uint8_t* rgb) {
  return static_cast<uint8_t>((19595 * rgb[0] + 38470 * rgb[1] + 7471 * rgb[2] + 32768) >> 16);
}

// From and to 1 (grey), 2 (with alpha), 3 (RGB) or 4 (RGBA) channels.
Tensor with_channels(const Tensor& image, int64_t channels) {
  const int64_t from = image.size(2);
  if (channels == 0 || channels == from) return image;
  Tensor out = Tensor::empty(image.shape().with(2, channels), DType::uint8);
  const uint8_t* in = image.data<uint8_t>();
  auto* to = sinter::detail::Access::write<uint8_t>(out);
  const int64_t pixels = image.size(0) * image.size(1);
  for (int64_t i = 0; i < pixels; ++i, in += from, to += channels) {
    if (channels == 1) {
      to[0] = from >= 3 ? grey_of(in) : in[0];
      continue;
    }
    for (int64_t c = 0; c < 3; ++c) to[c] = in[from >= 3 ? c : 0];
    if (channels == 4) to[3] = from == 2 ? in[1] : uint8_t{255};
  }
  return out;
}

void check_options(const char* what, int64_t channels, int64_t max_pixels) {
  check(channels == 0 || channels == 1 || channels == 3 || channels == 4, what, ": channels is ", channels,
        ", expected 0 (as in the file), 1, 3 or 4");
  check(max_pixels >= 1, what, ": max_pixels is ", max_pixels, ", expected at least 1");
}

template <class T>
std::vector<uint8_t> big_endian(const Tensor& image) {
  std::vector<uint8_t> samples;
  samples.reserve(static_cast<size_t>(2 * image.elements()));
  for (const T value : image.values<T>()) {
    check(value >= 0 && value <= 65535, "write_png: a value is ", value, ", expected 0 to 65535");
    samples.push_back(static_cast<uint8_t>(value >> 8));
    samples.push_back(static_cast<uint8_t>(value & 255));
  }
  return samples;
}

}  // namespace

Tensor decode_image(std::span<const std::byte> bytes, const PictureOptions& options) {
  check_options("decode_image", options.channels, options.max_pixels);
  check(!bytes.empty(), "is empty");
  if (is_png(bytes)) return with_channels(decode_png(bytes, options.max_pixels), options.channels);
  if (is_jpeg(bytes)) return with_channels(decode_jpeg(bytes, options.max_pixels), options.channels);
  fail("is neither PNG nor JPEG");
}

Tensor read_image(const std::string& path, const PictureOptions& options) {
  check_options("read_image", options.channels, options.max_pixels);
  return within(path, [&] { return decode_image(read_file(path, kMaxPictureBytes), options); });
}

Tensor read_mask(const std::string& path, int64_t max_pixels) {
  check_options("read_mask", 1, max_pixels);
  return within(path, [&] {
    const auto bytes = read_file(path, kMaxPictureBytes);
    check(is_png(bytes), bytes.empty() ? "is empty" : "is no PNG");
    return decode_png_numbers(bytes, max_pixels);
  });
}

void write_png(const std::string& path, const Tensor& image) {
  check(image.defined() && (image.rank() == 2 || image.rank() == 3), "write_png: image is ",
        image.defined() ? to_string(image.spec()) : "undefined", ", expected [H,W] or [H,W,C]");
  const int64_t height = image.size(0), width = image.size(1), channels = image.rank() == 3 ? image.size(2) : 1;
  constexpr int64_t kMost = 1'000'000;  // libpng's own
  check(height >= 1 && height <= kMost && width >= 1 && width <= kMost && channels >= 1 && channels <= 4,
        "write_png: image is ", image.spec(), ", expected 1 to 4 channels and 1 to ", kMost, " rows and columns");
  std::vector<std::byte> bytes;
  if (image.dtype() == DType::uint8) {
    bytes = encode_png(image.data<uint8_t>(), height, width, channels, 8);
  } else {
    check(image.dtype() == DType::int32 || image.dtype() == DType::int64, "write_png: image is ", image.spec(),
          ", expected uint8, or int32 or int64 for 16 bits");
    const auto samples = image.dtype() == DType::int32 ? big_endian<int32_t>(image) : big_endian<int64_t>(image);
    bytes = encode_png(samples.data(), height, width, channels, 16);
  }
  write_file(path, bytes);
}

}  // namespace sinter::data
