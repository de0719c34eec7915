#include "cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "../parallel.h"

namespace sinter {

namespace ops {

namespace {
constexpr int64_t kGrain = 1 << 12;  // logits a thread takes at least
int64_t rows_at_once(int64_t classes) { return std::max<int64_t>(1, kGrain / classes); }
}  // namespace

Specs CrossEntropy::infer(std::span<const Spec> x) const {
  check(x.size() == 2, "cross_entropy: got ", x.size(), " inputs, expected logits and labels");
  const Spec &logits = x[0], &labels = x[1];
  check(logits.dtype == DType::float32 && logits.shape.rank() == 2, "cross_entropy: logits are ", logits,
        ", expected float32 [N,classes]");
  check(logits.shape.elements() > 0, "cross_entropy: logits are ", logits.shape, ", expected no empty axis");
  check(labels.dtype == DType::int64 && labels.shape == Shape({logits.shape[0]}), "cross_entropy: labels are ", labels,
        ", expected int64 [", logits.shape[0], "]");
  check(attributes.label_smoothing >= 0 && attributes.label_smoothing <= 1, "cross_entropy: label_smoothing is ",
        attributes.label_smoothing, ", expected 0..1");
  return {{DType::float32, {}}};
}

void CrossEntropy::forward(Inputs x, Outputs y, Context& context) const {
  const int64_t rows = x[0].size(0), classes = x[0].size(1);
  const float* logits = x[0].data<float>();
  const int64_t* labels = x[1].data<int64_t>();
  for (int64_t row = 0; row < rows; ++row)
    check(labels[row] >= 0 && labels[row] < classes, "cross_entropy: label ", labels[row], " of row ", row,
          ", expected 0..", classes - 1);
  Tensor softmax = Tensor::empty(x[0].shape());
  float* probabilities = softmax.mutable_data<float>();
  std::vector<double> losses(static_cast<size_t>(rows));
  const double smoothing = attributes.label_smoothing;
  parallel_for(rows, rows_at_once(classes), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* v = logits + row * classes;
      float* p = probabilities + row * classes;
      const float largest = *std::max_element(v, v + classes);
      double sum = 0, mean = 0;
      for (int64_t c = 0; c < classes; ++c) {
        p[c] = std::exp(v[c] - largest);
        sum += p[c];
        mean += v[c] - largest;
      }
      mean /= static_cast<double>(classes);
      const auto inverse = static_cast<float>(1 / sum);
      for (int64_t c = 0; c < classes; ++c) p[c] *= inverse;
      losses[row] = std::log(sum) - (1 - smoothing) * (v[labels[row]] - largest);
      if (smoothing > 0) losses[row] -= smoothing * mean;  // -inf where a class is ruled out, and 0 of that is NaN
    }
  });
  double total = 0;
  for (const double loss : losses) total += loss;
  *y[0].mutable_data<float>() = static_cast<float>(total / static_cast<double>(rows));
  context.keep(softmax);
  context.keep(x[1]);
}

void CrossEntropy::backward(const Context& context, Outputs dy, Gradients& dx) const {
  check(!dx.wanted(1), "cross_entropy: labels have no gradient");
  const Tensor softmax = context.kept(0), target = context.kept(1);
  const int64_t rows = softmax.size(0), classes = softmax.size(1);
  const float* probabilities = softmax.data<float>();
  const int64_t* labels = target.data<int64_t>();
  float* out = dx.create(0).mutable_data<float>();
  const float scale = dy[0].item() / static_cast<float>(rows);
  const auto everywhere = static_cast<float>(attributes.label_smoothing / static_cast<double>(classes));
  const auto hit = static_cast<float>(1 - attributes.label_smoothing);
  parallel_for(rows, rows_at_once(classes), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* p = probabilities + row * classes;
      float* g = out + row * classes;
      for (int64_t c = 0; c < classes; ++c) g[c] = (p[c] - everywhere) * scale;
      g[labels[row]] -= hit * scale;
    }
  });
}

}  // namespace ops

Tensor cross_entropy(const Tensor& logits, const Tensor& labels, const CrossEntropyAttributes& attributes) {
  return call(ops::CrossEntropy{attributes}, logits, labels);
}

}  // namespace sinter
