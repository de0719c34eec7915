#include "compare.h"

#include <cstring>

#include "../core/parallel.h"
#include "../data/data_loader.h"

namespace sinter::bpu {

namespace {

using Show = std::function<void(const std::string& name, const Tensor& integers)>;
using Run = std::function<void(const Tensor& images, const Show& show)>;

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
  check(program.inputs.size() == 1, "compare: the program has ", program.inputs.size(),
        " inputs, and a dataset one image at a time; call `inspect({x, y}, ...)` of both with the same inputs");
  Comparison result;
  data::DataLoader loader(dataset, {.batch = options.batch, .shuffle = false, .batches = options.batches});
  for (const auto& batch : loader) {
    std::vector<std::pair<std::string, Tensor>> first;
    a(batch.images, [&](const std::string& name, const Tensor& integers) { first.emplace_back(name, integers); });
    size_t at = 0;
    b(batch.images, [&](const std::string& name, const Tensor& integers) {
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
    result.images += batch.images.size(0);
    if (options.on_batch) options.on_batch(result.images);
  }
  return result;
}

Run run_of(const Simulator& simulator) {
  return [&simulator](const Tensor& images, const Show& show) { simulator.inspect({&images, 1}, show); };
}

}  // namespace

std::string to_string(const Comparison& c) {
  return text(c.differing, " of ", c.compared, " integers differ over ", c.images, " images",
              c.first.empty() ? "" : "; first: " + c.first);
}

Comparison compare(const quant::PreparedModel& model, const Simulator& simulator, const data::Dataset& dataset,
                   const CompareOptions& options) {
  return compare_runs([&](const Tensor& images, const Show& show) { model.inspect(images, show); }, run_of(simulator),
                      simulator.program(), dataset, options);
}

Comparison compare(const Reference& reference, const Simulator& simulator, const data::Dataset& dataset,
                   const CompareOptions& options) {
  return compare_runs(
      [&](const Tensor& images, const Show& show) {
        reference.inspect({&images, 1}, show);
      },
      run_of(simulator), simulator.program(), dataset, options);
}

}  // namespace sinter::bpu
