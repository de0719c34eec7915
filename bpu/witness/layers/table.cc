#include <algorithm>
#include <cmath>

#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

// Every entry, for inputs and outputs on these grids: where two are right, the one that the instruction has.
std::vector<int64_t> table_of(const Site& site) {
  const Instruction& step = site.step;
  const Value &x = site.x(), &y = site.y();
  const bool half_up = site.half_up();
  const std::string_view op = step.op->name();
  const auto slope = Attributes(step).get<double>("negative_slope", 0);
  const int64_t half = x.dtype == DType::int16 ? 1 << 15 : 1 << 7;
  std::vector<int64_t> table;
  for (int64_t q = -half; q < half; ++q) {
    // Tables are specified in double. What bends smoothly depends on the last bits of a library's functions there: near
    // a tie, as where a sigmoid of nearly 1 is 1 in double, either neighbour is right. The others are products and
    // quotients, the same everywhere.
    const double v = static_cast<double>(q) * static_cast<double>(x.scale);
    const long double e = std::exp(-static_cast<long double>(v));
    const double hinge = v < -3 ? 0 : v > 3 ? 6 : v + 3;
    long double f = 0;
    if (op == "sigmoid") f = 1 / (1 + e);
    if (op == "silu") f = v / (1 + e);
    if (op == "tanh") f = std::tanh(static_cast<long double>(v));
    if (op == "hardsigmoid") f = hinge / 6;
    if (op == "hardswish") f = v * hinge / 6;
    if (op == "leaky_relu") f = v < 0 ? v * slope : v;
    const bool smooth = op == "sigmoid" || op == "silu" || op == "tanh";
    const long double real = smooth ? f / y.scale : static_cast<double>(f) / static_cast<double>(y.scale);
    const auto entry = [&](long double value) {
      return rounded(std::clamp<long double>(value, y.low, y.high), half_up);
    };
    const long double doubt = smooth ? std::fabs(real) * 0x1p-50L : 0;  // eight units in the last place of a double
    const auto at = static_cast<size_t>(q + half);
    const int64_t found = y.dtype == DType::int16 ? step.table.values<int16_t>()[at] : step.table.values<int8_t>()[at];
    table.push_back(found >= entry(real - doubt) && found <= entry(real + doubt) ? found : entry(real));
  }
  return table;
}

class Table final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const std::vector<int64_t> table = table_of(site);
    const auto first = static_cast<int64_t>(table.size() / 2);
    Plain y{shape, {}};
    for (const int64_t q : in[0]->values) y.values.push_back(table[static_cast<size_t>(q + first)]);
    return y;
  }
  std::string wrong(const Site& site) const override {
    const std::vector<int64_t> expected = table_of(site);
    const auto first = static_cast<int64_t>(expected.size() / 2);
    const Tensor& table = site.step.table;
    for (size_t i = 0; i < expected.size(); ++i) {
      const int64_t found = site.y().dtype == DType::int16 ? table.values<int16_t>()[i] : table.values<int8_t>()[i];
      if (found != expected[i])
        return text("\n  ", site.y().name, ": its table has ", found, " for ", static_cast<int64_t>(i) - first,
                    ", expected ", expected[i]);
    }
    return {};
  }
};

}  // namespace

const Twin& table_twin() {
  static const Table twin;
  return twin;
}

}  // namespace sinter::bpu::witness
