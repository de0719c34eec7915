#include "metric.h"

#include "../../data/inputs.h"

namespace sinter::nn {

namespace {

struct MeanOfFunction final : Metric {
  std::string name;
  AnyMetric::Function function;
  double sum = 0;
  int64_t images = 0;

  MeanOfFunction(std::string n, AnyMetric::Function f) : name(std::move(n)), function(std::move(f)) {}
  void reset() override {
    sum = 0;
    images = 0;
  }
  void add(const Outputs& outputs, const data::Batch& batch) override {
    const int64_t count = data::count_of(batch);
    sum += function(outputs, batch) * static_cast<double>(count);
    images += count;
  }
  Measured measured() const override { return {.numbers = {{name, sum / static_cast<double>(images)}}}; }
};

}  // namespace

AnyMetric::AnyMetric(std::string name, Function function)
    : AnyMetric(MeanOfFunction(std::move(name), std::move(function))) {}

Measured measured(const Metrics& metrics) {
  Measured all;
  for (const AnyMetric& metric : metrics) {
    Measured found = metric->measured();
    for (auto& [name, number] : found.numbers)
      check(all.numbers.emplace(name, number).second, "metrics: two give a number named ", name,
            "; give one of them another `.name`");
    for (auto& [name, table] : found.tables)
      check(all.tables.emplace(name, std::move(table)).second, "metrics: two give a table named ", name,
            "; give one of them another `.name`");
    for (Picture& picture : found.pictures) all.pictures.push_back(std::move(picture));
  }
  return all;
}

const Tensor& detail::output_of(const Outputs& outputs, int64_t index, const char* what) {
  check(index >= 0, what, ": output ", index, " was asked for; the first is 0");
  const Tensor& output = outputs[static_cast<size_t>(index)];
  check(output.defined() && output.dtype() == DType::float32, what, ": output ", index, " is ", output.spec(),
        ", expected float32");
  return output;
}

const Tensor& detail::target_of(const data::Batch& batch, const std::string& target) {
  return target.empty() ? batch.labels : batch[target];
}

detail::Labels::Labels(const Tensor& logits, const Tensor& labels, int64_t ignore_index, const char* what)
    : logits_(logits), labels_(labels), classes_(0), ignore_index_(ignore_index), what_(what) {
  check(logits.rank() >= 2 && logits.size(-1) > 0, what, ": logits are ", logits.spec(), ", expected [...,classes]");
  classes_ = logits.size(-1);
  const Shape rows(std::span(logits.shape().begin(), static_cast<size_t>(logits.rank() - 1)));
  check(labels.defined() && labels.spec() == Spec{DType::int64, rows}, what, ": labels are ", labels.spec(),
        ", expected ", Spec{DType::int64, rows}, " for logits ", logits.shape());
}

int64_t detail::Labels::operator[](int64_t row) const {
  const int64_t label = labels_.data<int64_t>()[row];
  if (label == ignore_index_) return -1;
  check(label >= 0 && label < classes_, what_, ": label ", label, " is not in 0..", classes_ - 1);
  return label;
}

int64_t detail::Labels::predicted(int64_t row) const {
  const float* x = logits_.data<float>() + row * classes_;
  int64_t best = 0;
  for (int64_t i = 1; i < classes_; ++i)
    if (!(x[i] <= x[best]) && x[best] == x[best]) best = i;
  return best;
}

}  // namespace sinter::nn
