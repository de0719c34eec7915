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
  const Attributes a(step);
  const auto number = [&](const char* name) { return a.get<double>(name, 0); };
  // The operand that is a number, and whether it is the first.
  const bool first = !step.constants.empty() && step.constants[0].defined();
  const double c = step.constants.empty() ? 0 : static_cast<double>(*step.constants[first ? 0 : 1].data<float>());
  const int64_t half = x.dtype == DType::int16 ? 1 << 15 : 1 << 7;
  std::vector<int64_t> table;
  for (int64_t q = -half; q < half; ++q) {
    // Tables are specified in double. What bends smoothly depends on the last bits of a library's functions there: near
    // a tie, as where a sigmoid of nearly 1 is 1 in double, either neighbour is right. The others are products and
    // quotients, the same everywhere.
    const double v = static_cast<double>(q) * static_cast<double>(x.scale);
    const auto w = static_cast<long double>(v);
    const long double e = std::exp(-w);
    const double left = first ? c : v, right = first ? v : c;
    bool known = false, smooth = true;
    const auto is = [&](const char* name) {
      known |= op == name;
      return op == name;
    };
    long double f = 0;
    if (is("sigmoid")) f = 1 / (1 + e);
    if (is("silu")) f = w / (1 + e);
    if (is("tanh")) f = std::tanh(w);
    if (is("exp")) f = std::exp(w);
    if (is("log")) f = std::log(w);
    if (is("sqrt")) f = std::sqrt(w);
    if (is("rsqrt")) f = 1 / std::sqrt(w);
    if (is("pow")) f = std::pow(w, static_cast<long double>(number("exponent")));
    if (is("elu")) f = w > 0 ? w : number("alpha") * (std::exp(w) - 1);
    if (is("softplus")) {
      const double beta = number("beta");
      f = v * beta > number("threshold") ? w : std::log1p(std::exp(w * beta)) / beta;
    }
    if (is("mish")) f = w * std::tanh(std::log1p(std::exp(w)));
    if (is("gelu") && a.get<std::string>("approximate", "none") == "tanh")
      f = w * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0L)) * (w + 0.044715 * w * w * w))) / 2;
    else if (is("gelu"))
      f = w * std::erfc(-w / std::sqrt(2.0L)) / 2;
    const auto exactly = [&](const char* name, double value) {
      if (!is(name)) return;
      f = value;
      smooth = false;
    };
    const double slope = number("slope"), width = 1 / slope, hinge = v < -3 ? 0 : v > 3 ? 6 : v + 3;
    exactly("hardsigmoid", std::fmin(std::fmax(v + number("offset") / slope, 0.0), width) / width);
    exactly("hardswish", v * hinge / 6);
    exactly("leaky_relu", v < 0 ? v * number("negative_slope") : v);
    exactly("abs", std::fabs(v));
    exactly("reciprocal", 1 / v);
    exactly("softsign", v / (1 + std::fabs(v)));
    exactly("clamp", std::fmin(std::fmax(v, number("min")), number("max")));
    exactly("add", left + right);
    exactly("sub", left - right);
    exactly("mul", left * right);
    exactly("div", left / right);
    exactly("minimum", std::fmin(left, right));
    exactly("maximum", std::fmax(left, right));
    check(known, "reference: its twin of the layer 'table' does not know the operation '", op,
          "'; compare with the simulator alone");
    // The terms of a difference that cancels are as exact as they were.
    const bool cancels = op == "elu" || op == "gelu" || op == "mish";
    const long double real = smooth ? f / y.scale : static_cast<double>(f) / static_cast<double>(y.scale);
    const auto entry = [&](long double value) {
      return std::isnan(value) ? 0 : rounded(std::clamp<long double>(value, y.low, y.high), half_up);
    };
    // Eight units in the last place of a double.
    const long double doubt = smooth ? (std::fabs(real) + (cancels ? std::fabs(w) / y.scale : 0)) * 0x1p-50L : 0;
    const auto at = static_cast<size_t>(q + half);
    const int64_t found = y.dtype == DType::int16 ? step.table.values<int16_t>()[at] : step.table.values<int8_t>()[at];
    table.push_back(doubt < 1 && found >= entry(real - doubt) && found <= entry(real + doubt) ? found : entry(real));
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
