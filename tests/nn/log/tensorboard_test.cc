#include "../../../nn/log/tensorboard.h"

#include <array>
#include <cmath>
#include <cstring>
#include <map>
#include <vector>

#include "../../../data/picture.h"
#include "../../support.h"
#include "files.h"

using namespace sinter;

namespace {

// A reader of its own: records of TFRecord with bitwise CRC-32C, and fields of protocol buffers by number.
uint32_t crc32c(const std::string& bytes) {
  uint32_t crc = 0xffffffff;
  for (const char c : bytes) {
    crc ^= static_cast<uint8_t>(c);
    for (int k = 0; k < 8; ++k) crc = (crc & 1) != 0 ? (crc >> 1) ^ 0x82f63b78 : crc >> 1;
  }
  return ~crc;
}
uint32_t masked(const std::string& bytes) {
  const uint32_t crc = crc32c(bytes);
  return ((crc >> 15) | (crc << 17)) + 0xa282ead8u;
}
template <class T>
T number(const std::string& bytes, size_t at) {
  T value;
  REQUIRE(at + sizeof value <= bytes.size());
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

std::vector<std::string> records(const std::string& file) {
  std::vector<std::string> all;
  for (size_t at = 0; at < file.size();) {
    const auto length = number<uint64_t>(file, at);
    REQUIRE(number<uint32_t>(file, at + 8) == masked(file.substr(at, 8)));
    all.push_back(file.substr(at + 12, length));
    REQUIRE(number<uint32_t>(file, at + 12 + length) == masked(all.back()));
    at += 16 + length;
  }
  return all;
}

struct Message {
  std::map<int, std::vector<std::string>> bytes;
  std::map<int, double> reals;
  std::map<int, int64_t> integers;

  explicit Message(const std::string& in) {
    size_t at = 0;
    const auto varint = [&] {
      uint64_t value = 0;
      for (int shift = 0;; shift += 7) {
        REQUIRE(at < in.size());
        const auto byte = static_cast<uint8_t>(in[at++]);
        value |= static_cast<uint64_t>(byte & 127) << shift;
        if (byte < 128) return value;
      }
    };
    while (at < in.size()) {
      const uint64_t key = varint();
      const int field = static_cast<int>(key >> 3);
      switch (key & 7) {
        case 0:
          integers[field] = static_cast<int64_t>(varint());
          break;
        case 1:
          reals[field] = number<double>(in, at);
          at += 8;
          break;
        case 5:
          reals[field] = static_cast<double>(number<float>(in, at));
          at += 4;
          break;
        default: {
          REQUIRE((key & 7) == 2);
          const uint64_t length = varint();
          REQUIRE(at + length <= in.size());
          bytes[field].push_back(in.substr(at, length));
          at += length;
        }
      }
    }
  }
  Message inside(int field) const { return Message(bytes.at(field).at(0)); }
};

struct Event {
  int64_t step;
  std::string tag;
  Message value;
};

// What TensorBoard keeps: a session that starts at a step makes it forget those from there on.
std::vector<Event> events(const std::string& file) {
  std::vector<Event> all;
  const auto found = records(file);
  REQUIRE(!found.empty());
  CHECK(Message(found[0]).bytes.at(3).at(0) == "brain.Event:2");
  for (const std::string& one : found) {
    const Message event(one);
    CHECK(event.reals.at(1) > 1.5e9);
    const int64_t step = event.integers.count(2) != 0 ? event.integers.at(2) : 0;
    if (event.bytes.count(7) != 0) {
      CHECK(event.inside(7).integers.at(1) == 1);
      std::erase_if(all, [&](const Event& e) { return e.step >= step; });
    }
    if (event.bytes.count(5) == 0) continue;
    const Message value = event.inside(5).inside(1);
    all.push_back({step, value.bytes.at(1).at(0), value});
  }
  return all;
}

std::string only_file(const test::LogDirectory& directory) {
  std::vector<std::string> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory.path)) files.push_back(entry.path().string());
  REQUIRE(files.size() == 1);
  return files[0];
}

std::vector<double> doubles(const std::string& packed) {
  std::vector<double> all(packed.size() / 8);
  std::memcpy(all.data(), packed.data(), packed.size());
  return all;
}

}  // namespace

TEST_CASE("the reader's checksum is Castagnoli's") { CHECK(crc32c("123456789") == 0xe3069283); }

TEST_CASE("event files hold scalars, histograms, images, texts and tables") {
  const test::LogDirectory directory("tensorboard");
  {
    nn::TensorBoard log(directory.path.string());
    log.scalar("train/loss", 300, 0.25);
    log.histogram("weights/conv", 301, Tensor::from({6}, {-1, 0, 0.5, 1, 1, NAN}));
    log.histogram("same", 301, Tensor::full({5}, 2));
    log.histogram("nothing", 301, Tensor::full({5}, NAN));
    log.image("worst", 302, Tensor::from<uint8_t>({1, 2, 3}, {255, 0, 0, 0, 0, 9}), "cat taken for dog");
    log.text("note", 303, "**bold**");
    log.table("confusion", 304, Tensor::from<int64_t>({2, 2}, {9, 1, 0, 10}));
  }
  const auto all = events(test::content(only_file(directory)));
  REQUIRE(all.size() == 6);
  CHECK(all[0].step == 300);
  CHECK(all[0].tag == "train/loss");
  CHECK(all[0].value.reals.at(2) == 0.25);

  const Message histogram = all[1].value.inside(5);
  CHECK(histogram.reals.at(1) == -1);
  CHECK(histogram.reals.at(2) == 1);
  CHECK(histogram.reals.at(3) == 5);
  CHECK(histogram.reals.at(4) == 1.5);
  CHECK(histogram.reals.at(5) == 3.25);
  const auto limits = doubles(histogram.bytes.at(6).at(0)), counts = doubles(histogram.bytes.at(7).at(0));
  REQUIRE(limits.size() == counts.size());
  double before = -1, sum = 0;
  for (size_t i = 0; i < limits.size(); ++i) {
    CHECK(limits[i] >= before);
    before = limits[i];
    sum += counts[i];
  }
  CHECK(sum == 5);
  CHECK(counts[0] == 0);
  CHECK(counts.back() == 2);
  CHECK(limits.back() == 1);
  const Message constant = all[2].value.inside(5);
  CHECK(doubles(constant.bytes.at(7).at(0)) == std::vector<double>{0, 5});

  const Message image = all[3].value.inside(4);
  CHECK(image.integers.at(1) == 1);
  CHECK(image.integers.at(2) == 2);
  CHECK(image.integers.at(3) == 3);
  const std::string& png = image.bytes.at(4).at(0);
  const Tensor decoded = data::decode_image(std::as_bytes(std::span(png.data(), png.size())));
  CHECK_SAME(decoded, Tensor::from<uint8_t>({1, 2, 3}, {255, 0, 0, 0, 0, 9}));
  CHECK(all[3].value.inside(9).bytes.at(3).at(0) == "cat taken for dog");

  CHECK(all[4].value.inside(9).inside(1).bytes.at(1).at(0) == "text");
  const Message tensor = all[4].value.inside(8);
  CHECK(tensor.integers.at(1) == 7);  // DT_STRING
  CHECK(tensor.bytes.at(8).at(0) == "**bold**");
  CHECK(tensor.inside(2).inside(2).integers.at(1) == 1);
  CHECK(all[5].value.inside(8).bytes.at(8).at(0) == "| 0 | 1 |\n|---|---|\n| 9 | 1 |\n| 0 | 10 |");
}

TEST_CASE("a resumed run goes on in the same event file, without what was cut or is behind the step") {
  const test::LogDirectory directory("tensorboard_resume");
  {
    nn::TensorBoard log(directory.path.string());
    for (int64_t step = 1; step <= 5; ++step) log.scalar("loss", step, static_cast<double>(step));
  }
  const std::string path = only_file(directory), whole = test::content(path);
  for (const size_t cut : {size_t{0}, size_t{3}, size_t{20}}) {
    CAPTURE(cut);
    std::filesystem::resize_file(path, whole.size() - cut);
    {
      nn::TensorBoard log(directory.path.string());
      log.resume(3);
      log.scalar("loss", 4, 40);
    }
    const auto all = events(test::content(only_file(directory)));
    REQUIRE(all.size() == 4);
    CHECK(all[2].value.reals.at(2) == 3);
    CHECK(all[3].value.reals.at(2) == 40);
  }
  // Another run begins another file.
  nn::TensorBoard log(directory.path.string());
  log.scalar("loss", 1, 1);
  CHECK(std::distance(std::filesystem::directory_iterator(directory.path), {}) == 2);
  nn::TensorBoard none(directory / "new/deep");
  none.resume(3);
  none.scalar("x", 4, 1);
  CHECK(std::filesystem::exists(directory / "new/deep"));
  CHECK_ERROR(none.image("x", 1, Tensor::zeros({1, 1, 2}, DType::uint8), ""), "log: an image is uint8 [1,1,2]");
}
