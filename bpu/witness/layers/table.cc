#include <algorithm>
#include <cmath>
#include <deque>

#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

// A number and how far the right one may be from it: what bends smoothly depends on the last bits of a library's
// functions. Without doubt, it is a double.
struct Real {
  long double v = 0, doubt = 0;
};

// Eight units in the last place of a double.
constexpr long double kUlps = 0x1p-50L;

// An operation's function of one or two numbers, by name: with `Attributes` below a prefix ("2." of a chain's step).
class Function {
 public:
  Function(std::string_view op, const Attributes& attributes, std::string prefix)
      : op_(op), attributes_(attributes), prefix_(std::move(prefix)) {
    check(known(), "reference: its twin of the layer 'table' does not know the operation '", op,
          "'; compare with the simulator alone");
  }

  Real of(const Real& a, const Real& b = {}) const {
    const long double f = value(a.v, b.v);
    long double doubt = 0;
    if (smooth()) {
      doubt = std::fabs(f) * kUlps;
      // The terms of a difference that cancels are as exact as they were.
      if (op_ == "elu" || op_ == "gelu" || op_ == "mish") doubt += std::fabs(a.v) * kUlps;
    }
    if (a.doubt > 0 || b.doubt > 0) {
      doubt += std::fabs(f) * kUlps;
      for (const long double p : {a.v - a.doubt, a.v + a.doubt})
        for (const long double q : {b.v - b.doubt, b.v + b.doubt}) doubt = std::fmax(doubt, std::fabs(value(p, q) - f));
    }
    return {f, doubt};
  }

 private:
  bool is_one_of(std::initializer_list<std::string_view> names) const {
    return std::find(names.begin(), names.end(), op_) != names.end();
  }
  bool smooth() const {
    return is_one_of(
        {"sigmoid", "silu", "tanh", "exp", "log", "sqrt", "rsqrt", "pow", "elu", "softplus", "mish", "gelu"});
  }
  bool known() const {
    return smooth() || is_one_of({"hardsigmoid", "hardswish", "leaky_relu", "abs", "reciprocal", "softsign", "clamp",
                                  "relu", "relu6", "add", "sub", "mul", "div", "minimum", "maximum"});
  }
  double number(const char* name) const { return attributes_.get<double>(prefix_ + name, 0); }

  long double value(long double w, long double other) const {
    if (op_ == "pow") return std::pow(w, static_cast<long double>(number("exponent")));
    if (std::isnan(w) || std::isnan(other)) return NAN;
    return smooth() ? bent(w) : exactly(static_cast<double>(w), static_cast<double>(other));
  }

  long double bent(long double w) const {
    const long double e = std::exp(-w);
    if (op_ == "sigmoid") return 1 / (1 + e);
    if (op_ == "silu") return w / (1 + e);
    if (op_ == "tanh") return std::tanh(w);
    if (op_ == "exp") return std::exp(w);
    if (op_ == "log") return std::log(w);
    if (op_ == "sqrt") return std::sqrt(w);
    if (op_ == "rsqrt") return 1 / std::sqrt(w);
    if (op_ == "elu") return w > 0 ? w : number("alpha") * (std::exp(w) - 1);
    if (op_ == "mish") return w * std::tanh(std::log1p(std::exp(w)));
    if (op_ == "softplus") {
      const double beta = number("beta");
      return static_cast<double>(w) * beta > number("threshold") ? w : std::log1p(std::exp(w * beta)) / beta;
    }
    if (attributes_.get<std::string>(prefix_ + "approximate", "none") == "tanh")
      return w * (1 + std::tanh(std::sqrt(2 / std::acos(-1.0L)) * (w + 0.044715 * w * w * w))) / 2;
    return w * std::erfc(-w / std::sqrt(2.0L)) / 2;
  }

  // Products and quotients are the same everywhere.
  double exactly(double v, double other) const {
    const double slope = number("slope"), width = 1 / slope, hinge = v < -3 ? 0 : v > 3 ? 6 : v + 3;
    if (op_ == "hardsigmoid") return std::fmin(std::fmax(v + number("offset") / slope, 0.0), width) / width;
    if (op_ == "hardswish") return v * hinge / 6;
    if (op_ == "leaky_relu") return v < 0 ? v * number("negative_slope") : v;
    if (op_ == "abs") return std::fabs(v);
    if (op_ == "reciprocal") return 1 / v;
    if (op_ == "softsign") return v / (1 + std::fabs(v));
    if (op_ == "clamp") return std::fmin(std::fmax(v, number("min")), number("max"));
    if (op_ == "relu") return std::fmax(v, 0.0);
    if (op_ == "relu6") return std::fmin(std::fmax(v, 0.0), 6.0);
    if (op_ == "add") return v + other;
    if (op_ == "sub") return v - other;
    if (op_ == "mul") return v * other;
    if (op_ == "div") return v / other;
    return op_ == "minimum" ? std::fmin(v, other) : std::fmax(v, other);
  }

  std::string_view op_;
  const Attributes& attributes_;
  std::string prefix_;
};

// The function of one number that an instruction is.
class Functions {
 public:
  explicit Functions(const Instruction& step) : attributes_(step) {
    const std::string_view op = step.op->name();
    const auto text_of = [&](const std::string& name) { return attributes_.get<std::string>(name, ""); };
    if (op != "chain") {
      const bool of_two = !step.constants.empty();
      const bool first = of_two && step.constants[0].defined();
      const double number = of_two ? static_cast<double>(*step.constants[first ? 0 : 1].data<float>()) : 0;
      std::vector<int64_t> operands{first ? -2 : -1};
      if (of_two) operands.push_back(first ? -1 : -2);
      steps_.push_back({Function(op, attributes_, ""), operands, number});
      return;
    }
    for (int64_t i = 0; attributes_.find(std::to_string(i) + ".op") != nullptr; ++i) {
      const std::string prefix = std::to_string(i) + ".";
      names_.push_back(text_of(prefix + "op"));
      steps_.push_back({Function(names_.back(), attributes_, prefix),
                        attributes_.get<std::vector<int64_t>>(prefix + "operands", {}),
                        attributes_.get<double>(prefix + "number", 0)});
    }
  }
  Functions(const Functions&) = delete;
  Functions& operator=(const Functions&) = delete;

  Real at(double x) const {
    std::vector<Real> results;
    for (const Step& step : steps_) {
      const auto operand = [&](size_t i) {
        if (i >= step.operands.size()) return Real();
        const int64_t from = step.operands[i];
        return from == -1 ? Real{x} : from == -2 ? Real{step.number} : results.at(static_cast<size_t>(from));
      };
      results.push_back(step.function.of(operand(0), operand(1)));
    }
    return results.back();
  }

 private:
  struct Step {
    Function function;
    std::vector<int64_t> operands;
    double number;
  };
  Attributes attributes_;
  std::deque<std::string> names_;
  std::vector<Step> steps_;
};

// Every entry, for inputs and outputs on these grids: where two are right, the one that the instruction has. Tables are
// specified in double: near a tie, as where a sigmoid of nearly 1 is 1 in double, either neighbour is right.
std::vector<int64_t> table_of(const Site& site) {
  const Instruction& step = site.step;
  const Value &x = site.x(), &y = site.y();
  const Functions functions(step);
  const auto entry = [&](long double value) {
    return std::isnan(value) ? 0 : rounded(std::clamp<long double>(value, y.low, y.high), site.half_up());
  };
  const int64_t half = x.dtype == DType::int16 ? 1 << 15 : 1 << 7;
  std::vector<int64_t> table;
  for (int64_t q = -half; q < half; ++q) {
    const Real f = functions.at(static_cast<double>(q) * static_cast<double>(x.scale));
    const bool exact = f.doubt == 0;
    const long double real = exact ? static_cast<double>(f.v) / static_cast<double>(y.scale) : f.v / y.scale;
    const long double doubt = f.doubt / y.scale;
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
