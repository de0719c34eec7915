#include "jpeg.h"

#include <csetjmp>
#include <cstdio>
// It needs <cstdio> before it.
#include <jpeglib.h>

#include <jerror.h>

#include "../core/autograd.h"

namespace sinter::data {

namespace {

// What no encoder makes, but those who want a small file to take minutes.
constexpr int kMostScans = 500;

// libjpeg reports an error by a jump, which ends no C++ object: what has a destructor lives out here, and `guarded`
// runs what has none.
class Jpeg {
 public:
  explicit Jpeg(std::span<const std::byte> bytes) {
    jpeg_.err = jpeg_std_error(&errors_);
    jpeg_.client_data = this;
    errors_.error_exit = on_error;
    errors_.emit_message = on_message;
    guarded([&](j_decompress_ptr jpeg) {
      jpeg_create_decompress(jpeg);
      jpeg_mem_src(jpeg, reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size());
    });
    progress_.progress_monitor = on_progress;
    jpeg_.progress = &progress_;
  }
  ~Jpeg() { jpeg_destroy_decompress(&jpeg_); }
  Jpeg(const Jpeg&) = delete;
  Jpeg& operator=(const Jpeg&) = delete;

  template <class F>
  void guarded(const F& f) {
    if (setjmp(jump_) == 0)
      f(&jpeg_);
    else
      fail("is damaged or cut short: JPEG says \"", message_, "\"");
  }

  j_decompress_ptr operator->() { return &jpeg_; }

 private:
  [[noreturn]] static void on_error(j_common_ptr common) {
    auto* self = static_cast<Jpeg*>(common->client_data);
    common->err->format_message(common, self->message_);
    std::longjmp(self->jump_, 1);
  }
  // Damage is a warning to libjpeg, which goes on with grey; these are none.
  static void on_message(j_common_ptr common, int level) {
    if (level >= 0) return;
    switch (common->err->msg_code) {
      case JWRN_ADOBE_XFORM:
      case JWRN_EXTRANEOUS_DATA:
      case JWRN_JFIF_MAJOR:
      case JWRN_TOO_MUCH_DATA:
        return;
      default:
        on_error(common);
    }
  }
  static void on_progress(j_common_ptr common) {
    auto* self = static_cast<Jpeg*>(common->client_data);
    if (self->jpeg_.input_scan_number <= kMostScans) return;
    std::snprintf(self->message_, sizeof self->message_, "more than %d scans", kMostScans);
    std::longjmp(self->jump_, 1);
  }

  jpeg_decompress_struct jpeg_{};
  jpeg_error_mgr errors_{};
  jpeg_progress_mgr progress_{};
  std::jmp_buf jump_{};
  char message_[JMSG_LENGTH_MAX] = {};
};

// Adobe's inks are stored inverted.
void cmyk_to_rgb(const uint8_t* from, uint8_t* to, int64_t pixels, bool inverted) {
  for (int64_t i = 0; i < pixels; ++i, from += 4, to += 3)
    for (int c = 0; c < 3; ++c) {
      const int ink = inverted ? from[c] : 255 - from[c], black = inverted ? from[3] : 255 - from[3];
      to[c] = static_cast<uint8_t>((ink * black + 127) / 255);
    }
}

}  // namespace

bool is_jpeg(std::span<const std::byte> bytes) {
  return bytes.size() >= 3 && bytes[0] == std::byte{0xff} && bytes[1] == std::byte{0xd8} && bytes[2] == std::byte{0xff};
}

Tensor decode_jpeg(std::span<const std::byte> bytes, int64_t max_pixels) {
  Jpeg jpeg(bytes);
  jpeg.guarded([](j_decompress_ptr j) { jpeg_read_header(j, TRUE); });
  const int64_t height = jpeg->image_height, width = jpeg->image_width;
  check(height * width <= max_pixels, "is ", height, "x", width, ", which is more than ", max_pixels, " pixels");
  const bool grey = jpeg->jpeg_color_space == JCS_GRAYSCALE;
  const bool inks = jpeg->jpeg_color_space == JCS_CMYK || jpeg->jpeg_color_space == JCS_YCCK;
  jpeg->out_color_space = grey ? JCS_GRAYSCALE : inks ? JCS_CMYK : JCS_RGB;
  const int64_t decoded = grey ? 1 : inks ? 4 : 3;
  Tensor image = Tensor::empty({height, width, decoded}, DType::uint8);
  auto* values = sinter::detail::Access::write<uint8_t>(image);
  jpeg.guarded([&](j_decompress_ptr j) {
    jpeg_start_decompress(j);
    while (j->output_scanline < j->output_height) {
      JSAMPROW row = values + j->output_scanline * width * decoded;
      jpeg_read_scanlines(j, &row, 1);
    }
    jpeg_finish_decompress(j);
  });
  if (!inks) return image;
  Tensor colours = Tensor::empty({height, width, 3}, DType::uint8);
  cmyk_to_rgb(values, sinter::detail::Access::write<uint8_t>(colours), height * width, jpeg->saw_Adobe_marker != 0);
  return colours;
}

}  // namespace sinter::data
