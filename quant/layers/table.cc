#include "table.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "../../core/error.h"
#include "../../core/kernel/integers.h"
#include "../../core/ops/leaky_relu.h"
#include "../contract_inline.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

bool has_table(std::string_view op) {
  constexpr std::array<std::string_view, 6> kOperations{"sigmoid",     "silu",      "tanh",
                                                        "hardsigmoid", "hardswish", "leaky_relu"};
  return std::find(kOperations.begin(), kOperations.end(), op) != kOperations.end();
}

double table_function(const Op& op, double x) {
  const std::string_view name = op.name();
  const double hinge = std::min(std::max(x + 3, 0.0), 6.0);
  if (name == "sigmoid") return 1 / (1 + std::exp(-x));
  if (name == "silu") return x / (1 + std::exp(-x));
  if (name == "tanh") return std::tanh(x);
  if (name == "hardsigmoid") return hinge / 6;
  if (name == "hardswish") return x * hinge / 6;
  if (const auto* leaky = dynamic_cast<const ops::LeakyRelu*>(&op))
    return x < 0 ? x * leaky->attributes.negative_slope : x;
  fail(name, ": has no table");
}

namespace {

template <class T>
void fill(const Op& op, int32_t first, const Grid& x, const Grid& y, Rounding rounding, Tensor& table) {
  T* out = table.mutable_data<T>();
  const double x_scale = x.scale, y_scale = y.scale, low = y.bounds.low, high = y.bounds.high;
  parallel_for(table.elements(), 1 << 10, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double v = table_function(op, static_cast<double>(first + i) * x_scale) / y_scale;
      out[i] = static_cast<T>(inlined::round_as(rounding, std::clamp(v, low, high)));
    }
  });
}

}  // namespace

Tensor make_table(const Op& op, const Grid& x, const Grid& y, Rounding rounding) {
  const bool wide = x.dtype == DType::int16;
  Tensor table = Tensor::empty({wide ? 1 << 16 : 1 << 8}, y.dtype);
  const int32_t first = wide ? -(1 << 15) : -(1 << 7);
  y.dtype == DType::int16 ? fill<int16_t>(op, first, x, y, rounding, table)
                          : fill<int8_t>(op, first, x, y, rounding, table);
  return table;
}

namespace {

/// A function of one value: an entry for each integer that it may be.
class Table final : public Layer {
 public:
  std::string_view name() const override { return "table"; }

  Answer takes(const Graph&, const Node& node) const override {
    return has_table(node.op->name()) ? yes() : not_mine();
  }

  bool may_be_negative(const Graph&, const Node& node, bool inputs) const override {
    return inputs && node.op->name() != "sigmoid" && node.op->name() != "hardsigmoid";  // none is negative for x >= 0
  }

  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    step.table = make_table(*step.op, from.x[0], y, from.march.rounding);
  }

  void run(const Running& r, Tensor& y) const override {
    const Tensor &x = r.x[0], &table = r.step.table;
    if (x.dtype() == DType::int8 && table.dtype() == DType::int8) {
      const int8_t *in = x.data<int8_t>(), *entries = table.data<int8_t>();
      auto* out = y.mutable_data<int8_t>();
      return parallel_for(x.elements(), kGrain, [&](int64_t begin, int64_t end) {
        kernel::integer_kernels().look_up(entries, in + begin, end - begin, out + begin);
      });
    }
    with_integers(x, [&](const auto* in) {
      with_integers(table, [&]<class Entry>(const Entry* entries) {
        const Entry* middle = entries + table.elements() / 2;
        Entry* out = y.mutable_data<Entry>();
        parallel_for(y.elements(), kGrain, [=](int64_t begin, int64_t end) {
          for (int64_t i = begin; i < end; ++i) out[i] = middle[in[i]];
        });
      });
    });
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    sinter::check(step.op != nullptr && has_table(step.op->name()), "has the operation '",
                  step.op == nullptr ? "" : step.op->name(), "'");
    expect_inputs(step, 1, 1);
    const Value &x = input(program, step, 0), &y = program.values[static_cast<size_t>(step.output)];
    const int64_t entries = x.dtype == DType::int16 ? 1 << 16 : 1 << 8;
    sinter::check(step.table.defined() && step.table.spec() == Spec{y.dtype, {entries}}, "has no table of ", entries,
                  " ", y.dtype);
    with_integers(step.table, [&](const auto* table) {
      for (int64_t i = 0; i < entries; ++i)
        sinter::check(table[i] >= y.low && table[i] <= y.high, "has the entry ", int64_t{table[i]},
                      " in its table, outside of ", y.low, "..", y.high);
    });
  }

  std::vector<std::string_view> parts() const override { return {"table"}; }
};

}  // namespace

const Layer& table_layer() {
  static const Table layer;
  return layer;
}

}  // namespace sinter::quant
