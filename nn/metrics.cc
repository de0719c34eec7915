#include "metrics.h"

namespace sinter::nn {

int64_t count_correct(const Tensor& logits, const Tensor& labels, int64_t k) {
  check(logits.defined() && logits.dtype() == DType::float32 && logits.rank() == 2, "accuracy: logits are ",
        logits.spec(), ", expected float32 [N,classes]");
  check(labels.defined() && labels.spec() == Spec{DType::int64, {logits.size(0)}}, "accuracy: labels are ",
        labels.spec(), ", expected int64 [", logits.size(0), "]");
  const int64_t classes = logits.size(1);
  check(k >= 1, "accuracy: k is ", k, ", expected at least 1");
  int64_t correct = 0;
  for (int64_t n = 0; n < logits.size(0); ++n) {
    const float* row = logits.data<float>() + n * classes;
    const int64_t label = labels.data<int64_t>()[n];
    check(label >= 0 && label < classes, "accuracy: label ", label, " of image ", n, " is not in 0..", classes - 1);
    int64_t larger = 0;
    for (int64_t i = 0; i < classes; ++i) larger += i < label ? !(row[i] < row[label]) : !(row[i] <= row[label]);
    correct += larger < k && row[label] == row[label];
  }
  return correct;
}

double top_k_accuracy(const Tensor& logits, const Tensor& labels, int64_t k) {
  const int64_t correct = count_correct(logits, labels, k);
  check(labels.elements() > 0, "accuracy: there are no images");
  return 100 * static_cast<double>(correct) / static_cast<double>(labels.elements());
}

double accuracy(const Tensor& logits, const Tensor& labels) { return top_k_accuracy(logits, labels, 1); }

double Meter::loss() const { return images_ == 0 ? 0 : loss_sum_ / static_cast<double>(images_); }

double Meter::accuracy() const {
  return images_ == 0 ? 0 : 100 * static_cast<double>(correct_) / static_cast<double>(images_);
}

void Meter::add(double loss, const Tensor& logits, const Tensor& labels) {
  correct_ += count_correct(logits, labels);
  images_ += labels.elements();
  loss_sum_ += loss * static_cast<double>(labels.elements());
}

}  // namespace sinter::nn
