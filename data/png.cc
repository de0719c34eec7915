#include "png.h"

#include <png.h>

#include <algorithm>
#include <csetjmp>
#include <cstring>
#include <new>
#include <string>

#include "../core/autograd.h"

namespace sinter::data {

namespace {

constexpr size_t kSignature = 8;
// Of deflate: 258 bytes in two bits.
constexpr int64_t kMostPerByte = 1032;

// libpng reports an error by a jump, which ends no C++ object: what has a destructor lives out here, and `guarded` runs
// what has none.
class Png {
 public:
  explicit Png(bool write) : write_(write) {
    png_ = write ? png_create_write_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning)
                 : png_create_read_struct(PNG_LIBPNG_VER_STRING, this, on_error, on_warning);
    info_ = png_ != nullptr ? png_create_info_struct(png_) : nullptr;
    if (info_ == nullptr) {
      end();
      throw std::bad_alloc();
    }
  }
  ~Png() { end(); }
  Png(const Png&) = delete;
  Png& operator=(const Png&) = delete;

  template <class F>
  void guarded(const F& f) {
    if (setjmp(jump_) == 0)
      f(png_, info_);
    else
      fail(write_ ? "PNG: " : "is damaged or cut short: PNG says \"", message_, write_ ? "" : "\"");
  }

  void read_from(std::span<const std::byte> bytes) {
    rest_ = bytes;
    png_set_read_fn(png_, this, on_read);
  }
  void write_to(std::vector<std::byte>& bytes) {
    out_ = &bytes;
    png_set_write_fn(png_, this, on_write, [](png_structp) {});
  }

 private:
  [[noreturn]] static void on_error(png_structp png, png_const_charp message) {
    auto* self = static_cast<Png*>(png_get_error_ptr(png));
    std::strncpy(self->message_, message, sizeof self->message_ - 1);
    std::longjmp(self->jump_, 1);
  }
  static void on_warning(png_structp, png_const_charp) {}
  static void on_read(png_structp png, png_bytep out, size_t count) {
    auto* self = static_cast<Png*>(png_get_io_ptr(png));
    if (count > self->rest_.size()) png_error(png, "the file ends too early");
    std::memcpy(out, self->rest_.data(), count);
    self->rest_ = self->rest_.subspan(count);
  }
  static void on_write(png_structp png, png_bytep bytes, size_t count) {
    auto* self = static_cast<Png*>(png_get_io_ptr(png));
    bool room = true;
    try {
      const auto* first = reinterpret_cast<const std::byte*>(bytes);
      self->out_->insert(self->out_->end(), first, first + count);
    } catch (const std::bad_alloc&) {
      room = false;
    }
    if (!room) png_error(png, "out of memory");
  }
  void end() {
    if (write_)
      png_destroy_write_struct(&png_, &info_);
    else
      png_destroy_read_struct(&png_, &info_, nullptr);
  }

  bool write_;
  png_structp png_ = nullptr;
  png_infop info_ = nullptr;
  std::jmp_buf jump_{};
  char message_[256] = {};
  std::span<const std::byte> rest_;
  std::vector<std::byte>* out_ = nullptr;
};

struct Header {
  png_uint_32 width = 0, height = 0;
  int depth = 0, colour = 0;
  size_t row = 0;  // bytes, as rows are to come out
  int channels = 0;
};

// The header, before memory is asked for, and the rows after `transform`: `out` gives where they go to.
template <class Transform, class Out>
void decode(std::span<const std::byte> bytes, int64_t max_pixels, const Transform& transform, const Out& out) {
  Png file(false);
  Header header;
  file.read_from(bytes);
  file.guarded([&](png_structp png, png_infop info) {
    png_set_user_limits(png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_read_info(png, info);
    png_get_IHDR(png, info, &header.width, &header.height, &header.depth, &header.colour, nullptr, nullptr, nullptr);
  });
  const int64_t pixels = int64_t{header.width} * header.height;
  check(pixels <= max_pixels, "is ", int64_t{header.height}, "x", int64_t{header.width}, ", which is more than ",
        max_pixels, " pixels");
  check(pixels / 8 <= static_cast<int64_t>(bytes.size()) * kMostPerByte, "is cut short: it promises ",
        int64_t{header.height}, "x", int64_t{header.width}, " pixels in ", bytes.size(), " bytes");
  check(transform.allowed(header.colour), "is a PNG in colours, expected numbers: a palette's, or grey");
  file.guarded([&](png_structp png, png_infop info) {
    transform(png, info, header);
    png_set_interlace_handling(png);
    png_read_update_info(png, info);
    header.row = png_get_rowbytes(png, info);
    header.channels = png_get_channels(png, info);
  });
  uint8_t* first = out(header);
  std::vector<png_bytep> rows(header.height);
  for (size_t y = 0; y < rows.size(); ++y) rows[y] = first + y * header.row;
  file.guarded([&](png_structp png, png_infop) {
    png_read_image(png, rows.data());
    png_read_end(png, nullptr);
  });
}

struct AsColours {
  bool allowed(int) const { return true; }
  void operator()(png_structp png, png_infop, const Header& header) const {
    png_set_expand(png);  // palettes, few bits, transparent colours
    if (header.depth == 16) png_set_scale_16(png);
  }
};

struct AsNumbers {
  bool allowed(int colour) const { return colour == PNG_COLOR_TYPE_PALETTE || colour == PNG_COLOR_TYPE_GRAY; }
  void operator()(png_structp png, png_infop, const Header&) const { png_set_packing(png); }
};

}  // namespace

bool is_png(std::span<const std::byte> bytes) {
  return bytes.size() >= kSignature && png_sig_cmp(reinterpret_cast<png_const_bytep>(bytes.data()), 0, kSignature) == 0;
}

Tensor decode_png(std::span<const std::byte> bytes, int64_t max_pixels) {
  Tensor image;
  decode(bytes, max_pixels, AsColours{}, [&](const Header& header) {
    image = Tensor::empty({header.height, header.width, header.channels}, DType::uint8);
    return sinter::detail::Access::write<uint8_t>(image);
  });
  return image;
}

Tensor decode_png_numbers(std::span<const std::byte> bytes, int64_t max_pixels) {
  std::vector<uint8_t> samples;
  Header header;
  decode(bytes, max_pixels, AsNumbers{}, [&](const Header& h) {
    header = h;
    samples.resize(h.row * h.height);
    return samples.data();
  });
  Tensor numbers = Tensor::empty({header.height, header.width}, DType::int64);
  auto* out = sinter::detail::Access::write<int64_t>(numbers);
  const bool wide = header.depth == 16;
  for (size_t i = 0; i < static_cast<size_t>(numbers.elements()); ++i)
    out[i] = wide ? samples[2 * i] << 8 | samples[2 * i + 1] : samples[i];
  return numbers;
}

std::vector<std::byte> encode_png(const uint8_t* samples, int64_t height, int64_t width, int64_t channels, int depth) {
  const int colours[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB, PNG_COLOR_TYPE_RGB_ALPHA};
  const int colour = colours[channels - 1];
  const int64_t row = width * channels * depth / 8;
  std::vector<std::byte> bytes;
  Png file(true);
  file.write_to(bytes);
  file.guarded([&](png_structp png, png_infop info) {
    png_set_IHDR(png, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), depth, colour,
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(png, info);
    for (int64_t y = 0; y < height; ++y) png_write_row(png, samples + y * row);
    png_write_end(png, nullptr);
  });
  return bytes;
}

}  // namespace sinter::data
