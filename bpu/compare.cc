#include "compare.h"

#include <cstring>

#include "../core/format.h"
#include "../data/data_loader.h"
#include "../quant/read_inputs.h"

namespace sinter::bpu {

namespace {

using Show = std::function<void(const std::string& name, const Tensor& integers)>;
using Run = std::function<std::vector<Tensor>(std::span<const Tensor> x, const Show& show)>;

// Of real numbers the bits count.
template <class T>
void count_differences(const std::string& name, const Tensor& a, const Tensor& b, Comparison& result) {
  const T *x = a.data<T>(), *y = b.data<T>();
  const int64_t count = a.elements();
  if (std::memcmp(x, y, static_cast<size_t>(a.bytes())) == 0) return;
  for (int64_t i = 0; i < count; ++i) {
    if (std::memcmp(x + i, y + i, sizeof(T)) == 0) continue;
    if (result.differing++ == 0)
      result.first = text(name, ", image ", result.images + i / (count / a.size(0)), ", element ",
                          i % (count / a.size(0)), ": ", x[i], " and ", y[i]);
  }
}

void count_differences(const std::string& name, const Tensor& a, const Tensor& b, Comparison& result) {
  switch (a.dtype()) {
    case DType::int8:
      return count_differences<int8_t>(name, a, b, result);
    case DType::int16:
      return count_differences<int16_t>(name, a, b, result);
    case DType::int32:
      return count_differences<int32_t>(name, a, b, result);
    default:
      return count_differences<float>(name, a, b, result);
  }
}

Comparison compare_runs(const Run& a, const Run& b, const Program& program, const data::Dataset& dataset,
                        const CompareOptions& options) {
  Comparison result;
  nn::Metrics metrics_a = options.metrics, metrics_b = options.metrics;
  for (nn::Metrics* all : {&metrics_a, &metrics_b})
    for (nn::AnyMetric& metric : *all) metric->reset();
  data::DataLoader loader(
      dataset, {.batch = options.batch, .shuffle = false, .batches = options.batches, .collate = options.collate});
  for (const auto& batch : loader) {
    const std::vector<Tensor> x = quant::read_inputs("compare", options.inputs, batch, program.inputs.size());
    std::vector<std::pair<std::string, Tensor>> first;
    const auto outputs_a =
        a(x, [&](const std::string& name, const Tensor& integers) { first.emplace_back(name, integers); });
    size_t at = 0;
    const auto outputs_b = b(x, [&](const std::string& name, const Tensor& integers) {
      check(at < first.size() && first[at].first == name, "compare: value ", at, " is ", name, " in one and ",
            at < first.size() ? first[at].first : "missing", " in the other");
      const Tensor other = std::exchange(first[at].second, {});
      check(other.spec() == integers.spec(), "compare: ", name, " is ", other.spec(), " in one and ", integers.spec(),
            " in the other");
      result.compared += integers.elements();
      count_differences(name, other, integers, result);
      ++at;
    });
    check(at == first.size(), "compare: value ", at, " is missing in one");
    for (nn::AnyMetric& metric : metrics_a) metric->add(outputs_a, batch);
    for (nn::AnyMetric& metric : metrics_b) metric->add(outputs_b, batch);
    result.images += data::count_of(batch);
    if (options.on_batch) options.on_batch(result.images);
  }
  result.metrics_a = nn::measured(metrics_a).numbers;
  result.metrics_b = nn::measured(metrics_b).numbers;
  return result;
}

Run run_of(const Simulator& simulator) {
  return [&simulator](std::span<const Tensor> x, const Show& show) { return simulator.inspect(x, show); };
}

}  // namespace

std::string to_string(const Comparison& c) {
  std::string line = text(c.differing, " of ", c.compared, " integers differ over ", c.images, " images",
                          c.first.empty() ? "" : "; first: " + c.first);
  for (const auto& [name, value] : c.metrics_a)
    line += text("; ", name, " ", with_digits(value, 4), " and ", with_digits(c.metrics_b.at(name), 4));
  return line;
}

Comparison compare(const quant::PreparedModel& model, const Simulator& simulator, const data::Dataset& dataset,
                   const CompareOptions& options) {
  return compare_runs([&](std::span<const Tensor> x, const Show& show) { return model.inspect(x, show); },
                      run_of(simulator), simulator.program(), dataset, options);
}

Comparison compare(const Reference& reference, const Simulator& simulator, const data::Dataset& dataset,
                   const CompareOptions& options) {
  return compare_runs([&](std::span<const Tensor> x, const Show& show) { return reference.inspect(x, show); },
                      run_of(simulator), simulator.program(), dataset, options);
}

}  // namespace sinter::bpu
