#include "accuracy.h"

#include <limits>

namespace sinter::nn {

Accuracy::Accuracy(AccuracyOptions options) : options_(std::move(options)) {
  check(options_.k >= 1, "accuracy: k is ", options_.k, ", expected at least 1");
  if (options_.name.empty()) options_.name = options_.k == 1 ? std::string("accuracy") : text("top", options_.k);
}

Accuracy top_k(int64_t k) { return {{.k = k}}; }

void Accuracy::reset() { right_ = rows_ = 0; }

void Accuracy::add(const Outputs& outputs, const data::Batch& batch) {
  const Tensor& logits = detail::output_of(outputs, options_.output, "accuracy");
  const detail::Labels labels(logits, detail::target_of(batch, options_.target), options_.ignore_index, "accuracy");
  for (int64_t row = 0; row < labels.rows(); ++row) {
    const int64_t label = labels[row];
    if (label < 0) continue;
    const float* x = logits.data<float>() + row * labels.classes();
    int64_t larger = 0;
    for (int64_t i = 0; i < labels.classes(); ++i) larger += i < label ? !(x[i] < x[label]) : !(x[i] <= x[label]);
    right_ += larger < options_.k && x[label] == x[label];
    ++rows_;
  }
}

Measured Accuracy::measured() const {
  const double value = rows_ == 0 ? std::numeric_limits<double>::quiet_NaN()
                                  : 100 * static_cast<double>(right_) / static_cast<double>(rows_);
  return {.numbers = {{options_.name, value}}};
}

}  // namespace sinter::nn
