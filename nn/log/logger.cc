#include "logger.h"

#include <algorithm>

namespace sinter::nn {

void Logs::scalar(const std::string& name, int64_t step, double value) {
  for (const AnyLogger& log : all_) log->scalar(name, step, value);
}

void Logs::histogram(const std::string& name, int64_t step, const Tensor& values) {
  for (const AnyLogger& log : all_)
    if (log->wants_histograms()) log->histogram(name, step, values);
}

void Logs::image(const std::string& name, int64_t step, const Tensor& image, const std::string& caption) {
  for (const AnyLogger& log : all_) log->image(name, step, image, caption);
}

void Logs::text(const std::string& name, int64_t step, const std::string& text) {
  for (const AnyLogger& log : all_) log->text(name, step, text);
}

void Logs::table(const std::string& name, int64_t step, const Tensor& table) {
  for (const AnyLogger& log : all_) log->table(name, step, table);
}

void Logs::resume(int64_t step) {
  for (const AnyLogger& log : all_) log->resume(step);
}

void Logs::flush() {
  for (const AnyLogger& log : all_) log->flush();
}

bool Logs::wants_histograms() const {
  return std::any_of(all_.begin(), all_.end(), [](const AnyLogger& log) { return log->wants_histograms(); });
}

namespace {

template <class T>
std::vector<double> doubles(const Tensor& tensor) {
  const auto values = tensor.values<T>();
  return {values.begin(), values.end()};
}

}  // namespace

std::vector<double> to_doubles(const Tensor& tensor) {
  switch (tensor.dtype()) {
    case DType::float32:
      return doubles<float>(tensor);
    case DType::int8:
      return doubles<int8_t>(tensor);
    case DType::uint8:
      return doubles<uint8_t>(tensor);
    case DType::int16:
      return doubles<int16_t>(tensor);
    case DType::int32:
      return doubles<int32_t>(tensor);
    case DType::int64:
      return doubles<int64_t>(tensor);
  }
  return {};
}

}  // namespace sinter::nn
