#include "../../data/picture.h"

#include <doctest/doctest.h>
#include <png.h>

#include <algorithm>
#include <cmath>
#include <functional>

#include "../../core/file.h"
#include "../../core/random.h"
#include "files.h"
#include "jpeg_files.h"

using namespace sinter;
using namespace sinter::data;
using namespace sinter::test;

namespace {

Tensor noise(const Shape& shape, int64_t below = 256, DType dtype = DType::uint8, uint64_t seed = 1) {
  Random random(seed);
  std::vector<int64_t> values;
  for (int64_t i = 0; i < shape.elements(); ++i) values.push_back(random.below(below));
  return Tensor::from(shape, values).to(dtype);
}

bool same(const Tensor& a, const Tensor& b) {
  return a.spec() == b.spec() && std::ranges::equal(a.values<uint8_t>(), b.values<uint8_t>());
}

// What libpng writes of rows as they are in the file.
std::string png(int width, int height, int depth, int colour, bool interlaced, std::vector<std::string> rows,
                const std::vector<png_color>& palette = {}, const std::vector<png_byte>& alphas = {}) {
  std::string out;
  png_structp file = png_create_write_struct(PNG_LIBPNG_VER_STRING, nullptr, nullptr, nullptr);
  png_infop info = png_create_info_struct(file);
  png_set_write_fn(
      file, &out,
      [](png_structp p, png_bytep bytes, size_t size) {
        static_cast<std::string*>(png_get_io_ptr(p))->append(reinterpret_cast<char*>(bytes), size);
      },
      nullptr);
  png_set_IHDR(file, info, static_cast<png_uint_32>(width), static_cast<png_uint_32>(height), depth, colour,
               interlaced ? PNG_INTERLACE_ADAM7 : PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT,
               PNG_FILTER_TYPE_DEFAULT);
  if (!palette.empty()) png_set_PLTE(file, info, palette.data(), static_cast<int>(palette.size()));
  if (!alphas.empty()) png_set_tRNS(file, info, alphas.data(), static_cast<int>(alphas.size()), nullptr);
  png_write_info(file, info);
  std::vector<png_bytep> pointers;
  for (auto& row : rows) pointers.push_back(reinterpret_cast<png_bytep>(row.data()));
  png_write_image(file, pointers.data());
  png_write_end(file, nullptr);
  png_destroy_write_struct(&file, &info);
  return out;
}

std::string message_of(const std::function<void()>& f) {
  try {
    f();
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("what write_png writes is what read_image and read_mask read") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.png";
  for (const int64_t channels : {1, 2, 3, 4})
    for (const int64_t width : {1, 7, 64}) {
      const Tensor image = noise({5, width, channels});
      write_png(path, image);
      CHECK(same(read_image(path, {.channels = 0}), image));
    }
  const Tensor grey = noise({5, 7});
  write_png(path, grey);
  CHECK(std::ranges::equal(read_mask(path).values<int64_t>(), grey.values<uint8_t>()));
  for (const DType dtype : {DType::int32, DType::int64}) {
    const Tensor deep = noise({5, 7}, 65536, dtype);
    write_png(path, deep);
    CHECK(std::ranges::equal(read_mask(path).values<int64_t>(), deep.to(DType::int64).values<int64_t>()));
    const Tensor bytes = read_image(path, {.channels = 1});
    for (int64_t i = 0; i < 35; ++i)
      CHECK(bytes.data<uint8_t>()[i] == std::lround(static_cast<double>(read_mask(path).data<int64_t>()[i]) / 257));
  }
}

TEST_CASE("read_image makes grey, RGB and RGBA of each other") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a.png";
  const auto read = [&](const std::vector<uint8_t>& pixel, int64_t channels) {
    write_png(path, Tensor::from({1, 1, static_cast<int64_t>(pixel.size())}, pixel));
    const Tensor image = read_image(path, {.channels = channels});
    const auto values = image.values<uint8_t>();
    return std::vector<int>(values.begin(), values.end());
  };
  using Pixel = std::vector<int>;
  CHECK(read({10}, 3) == Pixel{10, 10, 10});
  CHECK(read({10}, 4) == Pixel{10, 10, 10, 255});
  CHECK(read({10, 20}, 1) == Pixel{10});
  CHECK(read({10, 20}, 3) == Pixel{10, 10, 10});
  CHECK(read({10, 20}, 4) == Pixel{10, 10, 10, 20});
  CHECK(read({10, 20, 30}, 1) == Pixel{18});  // 2.99 + 11.74 + 3.42
  CHECK(read({255, 255, 255}, 1) == Pixel{255});
  CHECK(read({10, 20, 30}, 4) == Pixel{10, 20, 30, 255});
  CHECK(read({10, 20, 30, 40}, 1) == Pixel{18});
  CHECK(read({10, 20, 30, 40}, 3) == Pixel{10, 20, 30});
}

TEST_CASE("palettes are colours to read_image and numbers to read_mask, few bits and interlaced too") {
  const TemporaryDirectory directory;
  const std::vector<png_color> palette{{0, 0, 0}, {255, 0, 0}, {0, 255, 0}, {1, 2, 3}};
  for (const bool interlaced : {false, true}) {
    // 2 bits a pixel: 0 1 2 3 / 3 2 1 0
    const std::string file = png(4, 2, 2, PNG_COLOR_TYPE_PALETTE, interlaced, {"\x1b", "\xe4"}, palette);
    const std::string path = write_file(directory / "a.png", file);
    const Tensor numbers = read_mask(path);
    const auto values = numbers.values<int64_t>();
    CHECK(std::vector<int64_t>(values.begin(), values.end()) == std::vector<int64_t>{0, 1, 2, 3, 3, 2, 1, 0});
    const Tensor image = read_image(path);
    CHECK(image.shape() == Shape{2, 4, 3});
    CHECK(image.at<uint8_t>({0, 1, 0}) == 255);
    CHECK(image.at<uint8_t>({1, 0, 2}) == 3);
    CHECK(read_image(path, {.channels = 4}).at<uint8_t>({1, 0, 3}) == 255);
  }
  const std::string transparent =
      write_file(directory / "b.png", png(4, 1, 2, PNG_COLOR_TYPE_PALETTE, false, {"\x1b"}, palette, {0, 100}));
  const Tensor rgba = read_image(transparent, {.channels = 0});
  CHECK(rgba.shape() == Shape{1, 4, 4});
  CHECK(rgba.at<uint8_t>({0, 1, 3}) == 100);
  CHECK(rgba.at<uint8_t>({0, 3, 3}) == 255);
  // Grey of one bit: 0 and 255, or 0 and 1.
  const std::string bits = write_file(directory / "c.png", png(8, 1, 1, PNG_COLOR_TYPE_GRAY, false, {"\x81"}));
  CHECK(read_image(bits, {.channels = 1}).at<uint8_t>({0, 7, 0}) == 255);
  CHECK(read_mask(bits).at<int64_t>({0, 7}) == 1);
  CHECK(read_mask(bits).at<int64_t>({0, 1}) == 0);
}

TEST_CASE("read_image reads JPEG: grey, colours, inks, progressive") {
  const TemporaryDirectory directory;
  const auto near = [](const Tensor& image, const std::vector<uint8_t>& expected, int tolerance) {
    int most = 0;
    for (size_t i = 0; i < expected.size(); ++i)
      most = std::max(most, std::abs(image.data<uint8_t>()[i] - expected[i]));
    return most <= tolerance;
  };
  for (const bool progressive : {false, true}) {
    std::vector<uint8_t> grey, rgb, inks, of_inks;
    for (int y = 0; y < 20; ++y)
      for (int x = 0; x < 30; ++x) {
        grey.push_back(static_cast<uint8_t>(y * 10 + x));
        rgb.insert(rgb.end(), {static_cast<uint8_t>(y * 10), static_cast<uint8_t>(x * 8), 128});
        inks.insert(inks.end(), {static_cast<uint8_t>(y * 10), static_cast<uint8_t>(x * 8), 255, 128});
        of_inks.insert(of_inks.end(), {static_cast<uint8_t>(y * 5), static_cast<uint8_t>(x * 4), 128});
      }
    const std::string path = directory / "a.jpg";
    const Tensor a = read_image(write_file(path, jpeg(grey, 20, 30, 1, 100, progressive)), {.channels = 0});
    CHECK(a.spec() == Spec{DType::uint8, {20, 30, 1}});
    CHECK(near(a, grey, 3));
    CHECK(read_image(path).shape() == Shape{20, 30, 3});
    const Tensor b = read_image(write_file(path, jpeg(rgb, 20, 30, 3, 100, progressive)));
    CHECK(b.shape() == Shape{20, 30, 3});
    CHECK(near(b, rgb, 8));
    CHECK(read_image(path, {.channels = 1}).shape() == Shape{20, 30, 1});
    const Tensor c = read_image(write_file(path, jpeg(inks, 20, 30, 4, 100, progressive)));
    CHECK(c.shape() == Shape{20, 30, 3});
    CHECK(near(c, of_inks, 8));
  }
}

TEST_CASE("a picture that is damaged, cut or none is an Error with its path") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a";
  const auto message = [&](const std::string& bytes) {
    const std::string what = message_of([&] { read_image(write_file(path, bytes)); });
    if (what == "no error") return what;
    CHECK(what.starts_with(path + ": "));
    return what.substr(path.size() + 2);
  };
  CHECK(message("") == "is empty");
  CHECK(message("GIF89a") == "is neither PNG nor JPEG");
  CHECK(message_of([&] { read_image(directory / "none"); }) ==
        directory / "none" + ": cannot be opened: No such file or directory");
  CHECK(message_of([&] { read_mask(write_file(path, jpeg({1}, 1, 1, 1))); }) == path + ": is no PNG");

  write_png(path, noise({20, 30, 3}));
  const auto bytes = read_file(path);
  const std::string file(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  CHECK(message_of([&] { read_mask(path); }) == path + ": is a PNG in colours, expected numbers: a palette's, or grey");
  for (size_t size = 1; size < file.size(); size += size < 100 ? 1 : 53)
    CHECK(message(file.substr(0, size)) != "no error");
  std::string changed = file;
  changed[file.size() / 2] ^= 4;
  CHECK(message(changed) == "is damaged or cut short: PNG says \"IDAT: incorrect data check\"");

  std::vector<uint8_t> pixels;
  const Tensor random = noise({40, 50, 3});
  for (const uint8_t v : random.values<uint8_t>()) pixels.push_back(v);
  for (const bool progressive : {false, true}) {
    const std::string photo = jpeg(pixels, 40, 50, 3, 90, progressive);
    CHECK(message(photo) == "no error");
    for (size_t size = 3; size + 2 < photo.size(); size += size < 100 ? 1 : 97)
      CHECK(message(photo.substr(0, size)) != "no error");
    CHECK(message(photo.substr(0, photo.size() / 2)) ==
          "is damaged or cut short: JPEG says \"Premature end of JPEG file\"");
  }
}

TEST_CASE("no picture makes read_image crash") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a";
  write_png(path, noise({9, 8, 3}));
  const auto bytes = read_file(path);
  std::vector<uint8_t> pixels(9 * 8 * 3, 77);
  Random random(5);
  for (const std::string& file : {std::string(reinterpret_cast<const char*>(bytes.data()), bytes.size()),
                                  jpeg(pixels, 9, 8, 3), jpeg(pixels, 9, 8, 3, 50, true)})
    for (int i = 0; i < 3000; ++i) {
      std::string changed = file;
      for (int64_t k = random.below(3); k >= 0; --k)
        changed[static_cast<size_t>(random.below(static_cast<int64_t>(file.size())))] =
            static_cast<char>(random.below(256));
      const std::span<const char> view(changed);
      try {
        const Tensor image = decode_image(std::as_bytes(view), {.max_pixels = 1 << 16});
        CHECK(image.elements() <= 3 << 16);
      } catch (const Error&) {
      }
    }
}

TEST_CASE("a picture's size is looked at before memory is asked for") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a";
  write_png(path, noise({20, 30, 3}));
  CHECK(message_of([&] { read_image(path, {.max_pixels = 599}); }) ==
        path + ": is 20x30, which is more than 599 pixels");
  CHECK(read_image(path, {.max_pixels = 600}).elements() == 1800);
  CHECK(message_of([&] { read_mask(path, 599); }) == path + ": is 20x30, which is more than 599 pixels");
  write_file(path, jpeg(std::vector<uint8_t>(600, 7), 20, 30, 1));
  CHECK(message_of([&] { read_image(path, {.max_pixels = 599}); }) ==
        path + ": is 20x30, which is more than 599 pixels");
  // A header of 8000 x 8000 with nothing behind it.
  std::string header = png(1, 1, 8, PNG_COLOR_TYPE_GRAY, false, {"a"}).substr(0, 29);
  for (const size_t at : {16, 20}) header.replace(at, 4, std::string("\0\0\x1f\x40", 4));
  uLong crc = crc32(0, reinterpret_cast<const Bytef*>(header.data()) + 12, 17);
  for (const int shift : {24, 16, 8, 0}) header += static_cast<char>(crc >> shift & 0xff);
  const std::string after = png(1, 1, 8, PNG_COLOR_TYPE_GRAY, false, {"a"}).substr(33);
  reset_peak_bytes();
  const int64_t before = allocator_stats().live_bytes;
  CHECK(message_of([&] { read_image(write_file(path, header + after)); }).find("is cut short: it promises 8000x8000") !=
        std::string::npos);
  CHECK(allocator_stats().peak_bytes - before < 1 << 20);
}

TEST_CASE("pictures' options are checked, and so is what is written") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a";
  CHECK_THROWS_WITH_AS(read_image(path, {.channels = 2}),
                       "read_image: channels is 2, expected 0 (as in the file), 1, 3 or 4", Error);
  CHECK_THROWS_WITH_AS(read_image(path, {.max_pixels = 0}), "read_image: max_pixels is 0, expected at least 1", Error);
  CHECK_THROWS_WITH_AS(write_png(path, Tensor()), "write_png: image is undefined, expected [H,W] or [H,W,C]", Error);
  CHECK_THROWS_WITH_AS(write_png(path, Tensor::zeros({2, 2})),
                       "write_png: image is float32 [2,2], expected uint8, or int32 or int64 for 16 bits", Error);
  CHECK_THROWS_WITH_AS(write_png(path, Tensor::full({2, 2}, 65536, DType::int64)),
                       "write_png: a value is 65536, expected 0 to 65535", Error);
  CHECK_THROWS_WITH_AS(write_png(path, Tensor::zeros({2, 2, 5}, DType::uint8)),
                       "write_png: image is uint8 [2,2,5], expected 1 to 4 channels and 1 to 1000000 rows and columns",
                       Error);
  CHECK(!std::filesystem::exists(path));
}
