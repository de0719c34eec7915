#include "tensorboard.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>

#include "../../core/error.h"
#include "../../core/format.h"
#include "../../data/png.h"
#include "utf8.h"

namespace sinter::nn {

namespace {

static_assert(std::endian::native == std::endian::little, "integers are written as they lie in memory");

// CRC-32C (Castagnoli) as TFRecord files have it, masked.
uint32_t masked_crc(std::string_view bytes) {
  static const std::array<uint32_t, 256> table = [] {
    std::array<uint32_t, 256> all{};
    for (uint32_t i = 0; i < 256; ++i) {
      uint32_t crc = i;
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0x82f63b78u : 0);
      all[i] = crc;
    }
    return all;
  }();
  uint32_t crc = ~0u;
  for (const char c : bytes) crc = crc >> 8 ^ table[(crc ^ static_cast<uint8_t>(c)) & 255];
  return std::rotr(~crc, 15) + 0xa282ead8u;
}

template <class T>
std::string little_endian(T value) {
  std::string bytes(sizeof value, '\0');
  std::memcpy(bytes.data(), &value, sizeof value);
  return bytes;
}

std::string record(std::string_view data) {
  const std::string length = little_endian(static_cast<uint64_t>(data.size()));
  std::string all = length + little_endian(masked_crc(length));
  all += data;
  return all + little_endian(masked_crc(data));
}

// Fields of protocol buffers (event.proto, summary.proto and tensor.proto of TensorFlow).
std::string varint(uint64_t value) {
  std::string bytes;
  for (; value >= 128; value >>= 7) bytes += static_cast<char>(value | 128);
  return bytes + static_cast<char>(value);
}
std::string key(int number, int type) { return varint(static_cast<uint64_t>(number << 3 | type)); }
std::string field(int number, int64_t value) { return key(number, 0) + varint(static_cast<uint64_t>(value)); }
std::string field(int number, double value) { return key(number, 1) + little_endian(value); }
std::string field(int number, float value) { return key(number, 5) + little_endian(value); }
std::string field(int number, std::string_view bytes) {
  std::string all = key(number, 2) + varint(bytes.size());
  return all += bytes;
}
std::string packed(int number, const std::vector<double>& values) {
  return field(number, std::string_view(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(double)));
}

constexpr int64_t kStart = 1;  // of a session

double wall_time() {
  return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count();
}

// Summary.Value.metadata of a plugin.
std::string plugin(const char* name) { return field(9, field(1, field(1, std::string_view(name)))); }

// How many bytes of whole records, as they were written, the file starts with.
size_t whole_records(std::string_view file) {
  size_t at = 0;
  while (file.size() - at >= 12) {
    uint64_t length = 0;
    uint32_t crc = 0;
    std::memcpy(&length, file.data() + at, 8);
    std::memcpy(&crc, file.data() + at + 8, 4);
    if (crc != masked_crc(file.substr(at, 8)) || length > file.size() - at - 12 || file.size() - at - 12 - length < 4)
      break;
    std::memcpy(&crc, file.data() + at + 12 + length, 4);
    if (crc != masked_crc(file.substr(at + 12, length))) break;
    at += 16 + length;
  }
  return at;
}

constexpr const char* kPrefix = "events.out.tfevents.";

}  // namespace

void TensorBoard::start() {
  std::error_code fault;
  std::filesystem::create_directories(directory_, fault);
  check(!fault, directory_, ": cannot be made: ", fault.message());
  char host[256] = "localhost";
  gethostname(host, sizeof host - 1);
  const auto seconds = static_cast<int64_t>(wall_time());
  const auto path = [&](int i) {
    std::string number = sinter::text(seconds);
    number.insert(0, 10 - std::min<size_t>(10, number.size()), '0');
    return (std::filesystem::path(directory_) /
            sinter::text(kPrefix, number, ".", host, ".", int64_t{getpid()}, ".", i))
        .string();
  };
  int free = 0;
  while (std::filesystem::exists(path(free))) ++free;
  file_ = AppendFile(path(free));
  file_.append(record(field(1, wall_time()) + field(3, std::string_view("brain.Event:2"))));
  event(0, field(7, field(1, kStart)));
}

void TensorBoard::event(int64_t step, std::string_view what) {
  if (file_.path().empty()) start();
  std::string all = field(1, wall_time()) + field(2, step);
  file_.append(record(all += what));
}

void TensorBoard::summary(int64_t step, const std::string& name, std::string_view value) {
  std::string all = field(1, std::string_view(valid_utf8(name)));
  event(step, field(5, field(1, std::string_view(all += value))));
}

void TensorBoard::scalar(const std::string& name, int64_t step, double value) {
  summary(step, name, field(2, static_cast<float>(value)));
}

void TensorBoard::histogram(const std::string& name, int64_t step, const Tensor& tensor) {
  constexpr int kBins = 64;
  std::vector<double> values = to_doubles(tensor);
  std::erase_if(values, [](double v) { return !std::isfinite(v); });
  if (values.empty()) return;
  const auto [low, high] = std::minmax_element(values.begin(), values.end());
  const double width = (*high - *low) / kBins;
  // The first bin is empty: it says where the second begins.
  std::vector<double> limits{*low}, counts{0};
  if (width > 0) {
    for (int i = 1; i <= kBins; ++i) limits.push_back(i == kBins ? *high : *low + width * i);
    counts.resize(limits.size());
    for (const double v : values)
      ++counts[static_cast<size_t>(1 + std::min(kBins - 1, static_cast<int>((v - *low) / width)))];
  } else {
    limits.push_back(std::nextafter(*low, std::numeric_limits<double>::infinity()));
    counts.push_back(static_cast<double>(values.size()));
  }
  double sum = 0, squares = 0;
  for (const double v : values) {
    sum += v;
    squares += v * v;
  }
  const std::string histogram = field(1, *low) + field(2, *high) + field(3, static_cast<double>(values.size())) +
                                field(4, sum) + field(5, squares) + packed(6, limits) + packed(7, counts);
  summary(step, name, field(5, std::string_view(histogram)));
}

void TensorBoard::image(const std::string& name, int64_t step, const Tensor& image, const std::string& caption) {
  check(image.defined() && image.dtype() == DType::uint8 && image.rank() == 3 && image.elements() > 0 &&
            (image.size(2) == 1 || image.size(2) == 3),
        "log: an image is ", image.spec(), ", expected uint8 [H,W,C] of 1 or 3 channels");
  const auto png = data::encode_png(image.data<uint8_t>(), image.size(0), image.size(1), image.size(2), 8);
  const std::string fields = field(1, image.size(0)) + field(2, image.size(1)) + field(3, image.size(2)) +
                             field(4, std::string_view(reinterpret_cast<const char*>(png.data()), png.size()));
  // TensorBoard shows a description beside the picture.
  const std::string metadata = caption.empty() ? "" : field(9, field(3, std::string_view(valid_utf8(caption))));
  summary(step, name, field(4, std::string_view(fields)) + metadata);
}

void TensorBoard::text(const std::string& name, int64_t step, const std::string& text) {
  constexpr int64_t kString = 7;
  const std::string shape = field(2, field(1, int64_t{1}));  // [1]
  const std::string tensor =
      field(1, kString) + field(2, std::string_view(shape)) + field(8, std::string_view(valid_utf8(text)));
  summary(step, name, plugin("text") + field(8, std::string_view(tensor)));
}

void TensorBoard::table(const std::string& name, int64_t step, const Tensor& table) {
  // As Markdown, which the text plugin shows as a table.
  const std::vector<double> values = to_doubles(table);
  const auto columns = static_cast<size_t>(table.rank() == 0 ? 1 : table.size(-1));
  std::string rows = "|";
  for (size_t c = 0; c < columns; ++c) rows += sinter::text(" ", c, " |");
  rows += "\n|";
  for (size_t c = 0; c < columns; ++c) rows += "---|";
  for (size_t i = 0; i < values.size(); ++i)
    rows += (i % columns == 0 ? "\n| " : " ") + with_digits(values[i], 4) + " |";
  text(name, step, rows);
}

void TensorBoard::resume(int64_t step) {
  std::string newest;
  std::error_code none;
  for (const auto& entry : std::filesystem::directory_iterator(directory_, none))
    if (entry.path().filename().string().starts_with(kPrefix)) newest = std::max(newest, entry.path().string());
  if (newest.empty()) return;
  file_ = AppendFile(newest);
  file_.keep();
  const std::string content = file_.content();
  const size_t whole = whole_records(content);
  check(whole > 0, newest, ": is no file of events");
  if (whole < content.size()) {
    std::filesystem::resize_file(newest, whole, none);
    check(!none, newest, ": cannot be written: ", none.message());
  }
  event(step + 1, field(7, field(1, kStart)));
}

}  // namespace sinter::nn
