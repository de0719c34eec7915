#include "cross_entropy.h"

#include <algorithm>
#include <cmath>

#include "../parallel.h"
#include "arithmetic.h"
#include "log_softmax.h"
#include "reduce.h"

namespace sinter {

namespace ops {

namespace {

constexpr int64_t kGrain = 1 << 12;  // logits a thread takes at least
int64_t rows_at_once(int64_t classes) { return std::max<int64_t>(1, kGrain / classes); }

// Rows of logits, and what a row's target weighs.
struct Rows {
  int64_t count, classes;
  std::vector<float> weight;
  bool weighted;

  Rows(const Shape& logits, const float* given)
      : count(logits.elements() / logits[-1]),
        classes(logits[-1]),
        weight(static_cast<size_t>(classes), 1.0f),
        weighted(given != nullptr) {
    if (weighted) std::copy_n(given, classes, weight.begin());
  }
  // What the rows that count weigh.
  double total(const int64_t* labels, int64_t ignored) const {
    double sum = 0;
    for (int64_t row = 0; row < count; ++row) sum += labels[row] == ignored ? 0 : weight[labels[row]];
    return sum;
  }
  double mean_weight() const {
    double sum = 0;
    for (const float w : weight) sum += w;
    return sum / static_cast<double>(classes);
  }
};

void check_options(double label_smoothing, const std::string& reduction) {
  check(label_smoothing >= 0 && label_smoothing <= 1, "cross_entropy: label_smoothing is ", label_smoothing,
        ", expected 0..1");
  check(reduction == "mean" || reduction == "sum" || reduction == "none", "cross_entropy: reduction is '", reduction,
        "', expected mean, sum or none");
}

Shape rows_of(const Shape& logits) { return Shape(std::span(logits.begin(), logits.end() - 1)); }

void check_logits(const Spec& logits) {
  check(logits.dtype == DType::float32 && logits.shape.rank() >= 1, "cross_entropy: logits are ", logits,
        ", expected float32 [...,classes]");
  check(logits.shape[-1] > 0, "cross_entropy: logits are ", logits.shape, ", expected at least one class");
}

void check_weight(const Spec& weight, int64_t classes) {
  check(weight.dtype == DType::float32 && weight.shape == Shape({classes}), "cross_entropy: weight is ", weight,
        ", expected float32 [", classes, "], one for each class");
}

}  // namespace

Specs CrossEntropy::infer(std::span<const Spec> x) const {
  check(x.size() == 2 || x.size() == 3, "cross_entropy: got ", x.size(),
        " inputs, expected logits, labels and perhaps the classes' weights");
  const Spec &logits = x[0], &labels = x[1];
  check_logits(logits);
  const Shape rows = rows_of(logits.shape);
  check(labels.dtype == DType::int64 && labels.shape == rows, "cross_entropy: labels are ", labels, ", expected int64 ",
        rows);
  if (x.size() == 3) check_weight(x[2], logits.shape[-1]);
  check_options(attributes.label_smoothing, attributes.reduction);
  return {{DType::float32, attributes.reduction == "none" ? rows : Shape{}}};
}

void CrossEntropy::forward(Inputs x, Outputs y, Context& context) const {
  const Rows rows(x[0].shape(), x.size() == 3 ? x[2].data<float>() : nullptr);
  const int64_t classes = rows.classes, ignored = attributes.ignore_index;
  const float* logits = x[0].data<float>();
  const int64_t* labels = x[1].data<int64_t>();
  for (int64_t row = 0; row < rows.count; ++row)
    check((labels[row] >= 0 && labels[row] < classes) || labels[row] == ignored, "cross_entropy: label ", labels[row],
          " of row ", row, ", expected 0..", classes - 1, " (or ignore_index, ", ignored, ")");
  Tensor softmax = Tensor::empty(x[0].shape());
  float* probabilities = softmax.mutable_data<float>();
  std::vector<double> losses(static_cast<size_t>(rows.count));
  const double smoothing = attributes.label_smoothing, mean_weight = rows.mean_weight();
  const float* weight = rows.weight.data();
  parallel_for(rows.count, rows_at_once(classes), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* v = logits + row * classes;
      float* p = probabilities + row * classes;
      if (labels[row] == ignored) continue;
      const float largest = *std::max_element(v, v + classes);
      double sum = 0, mean = 0;
      for (int64_t c = 0; c < classes; ++c) {
        p[c] = std::exp(v[c] - largest);
        sum += p[c];
        mean += static_cast<double>(weight[c]) * (v[c] - largest);
      }
      mean /= static_cast<double>(classes);
      const auto inverse = static_cast<float>(1 / sum);
      for (int64_t c = 0; c < classes; ++c) p[c] *= inverse;
      const double hit = (1 - smoothing) * weight[labels[row]];
      const double mass = rows.weighted ? hit + smoothing * mean_weight : 1;
      losses[row] = mass * std::log(sum) - hit * (v[labels[row]] - largest);
      if (smoothing > 0) losses[row] -= smoothing * mean;  // -inf where a class is ruled out, and 0 of that is NaN
    }
  });
  float* out = y[0].mutable_data<float>();
  if (attributes.reduction == "none") {
    for (int64_t row = 0; row < rows.count; ++row) out[row] = static_cast<float>(losses[row]);
  } else {
    double total = 0;
    for (const double loss : losses) total += loss;
    *out = static_cast<float>(attributes.reduction == "mean" ? total / rows.total(labels, ignored) : total);
  }
  context.keep(softmax);
  context.keep(x[1]);
  if (rows.weighted) context.keep(x[2]);
}

void CrossEntropy::backward(const Context& context, Outputs dy, Gradients& dx) const {
  check(!dx.wanted(1), "cross_entropy: labels have no gradient");
  check(dx.size() < 3 || !dx.wanted(2), "cross_entropy: the classes' weights have no gradient");
  const Tensor softmax = context.kept(0), target = context.kept(1);
  const Tensor given = context.kept_count() == 3 ? context.kept(2) : Tensor();
  const Rows rows(softmax.shape(), given.defined() ? given.data<float>() : nullptr);
  const int64_t classes = rows.classes, ignored = attributes.ignore_index;
  const float* probabilities = softmax.data<float>();
  const int64_t* labels = target.data<int64_t>();
  float* out = dx.create(0).mutable_data<float>();
  const bool each = attributes.reduction == "none";
  const double smoothing = attributes.label_smoothing, mean_weight = rows.mean_weight();
  const float* seed = dy[0].data<float>();
  const float whole = attributes.reduction == "mean" ? *seed / static_cast<float>(rows.total(labels, ignored)) : *seed;
  std::vector<float> everywhere;
  for (const float w : rows.weight)
    everywhere.push_back(static_cast<float>(smoothing * w / static_cast<double>(classes)));
  parallel_for(rows.count, rows_at_once(classes), [&](int64_t begin, int64_t end) {
    for (int64_t row = begin; row < end; ++row) {
      const float* p = probabilities + row * classes;
      float* g = out + row * classes;
      if (labels[row] == ignored) {
        std::fill_n(g, classes, 0.0f);
        continue;
      }
      const float scale = each ? seed[row] : whole;
      const double hit = (1 - smoothing) * rows.weight[labels[row]];
      const auto mass = rows.weighted ? static_cast<float>(hit + smoothing * mean_weight) : 1.0f;
      for (int64_t c = 0; c < classes; ++c) g[c] = (mass * p[c] - everywhere[c]) * scale;
      g[labels[row]] -= static_cast<float>(hit) * scale;
    }
  });
}

}  // namespace ops

namespace {

Tensor of_probabilities(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& o) {
  ops::check_logits(logits.spec());
  ops::check_options(o.label_smoothing, o.reduction);
  const int64_t classes = logits.size(-1);
  Tensor share = target;
  if (o.label_smoothing > 0)
    share = target * (1 - o.label_smoothing) + o.label_smoothing / static_cast<double>(classes);
  if (o.weight.defined()) {
    ops::check_weight(o.weight.spec(), classes);
    share = share * o.weight;
  }
  const Tensor losses = -sum(log_softmax(logits) * share, {-1});
  if (o.reduction == "none") return losses;
  return o.reduction == "sum" ? sum(losses) : mean(losses);
}

}  // namespace

Tensor cross_entropy(const Tensor& logits, const Tensor& target, const CrossEntropyOptions& options) {
  if (target.dtype() == DType::float32 && target.shape() == logits.shape())
    return of_probabilities(logits, target, options);
  const ops::CrossEntropy op{{options.label_smoothing, options.ignore_index, options.reduction}};
  return options.weight.defined() ? call(op, logits, target, options.weight.detach()) : call(op, logits, target);
}

}  // namespace sinter
