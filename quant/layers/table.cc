#include "table.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <type_traits>

#include "../../core/error.h"
#include "../../core/kernel/integers.h"
#include "../../core/ops/arithmetic.h"
#include "../../core/ops/chain.h"
#include "../contract_inline.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

TableFunction table_function(const Op& op, std::span<const Tensor> constants) {
  const std::string_view name = op.name();
  if (const auto* function = dynamic_cast<const ops::Pointwise*>(&op)) {
    if (name == "relu" || name == "relu6") return {};
    return [function](double x) { return function->at(x); };
  }
  if (constants.size() != 2 || constants[0].defined() == constants[1].defined()) return {};
  const bool first = constants[0].defined();
  const Tensor& number = constants[first ? 0 : 1];
  if (number.dtype() != DType::float32 || number.elements() != 1) return {};
  const double c = *number.data<float>();
  const auto* arithmetic = dynamic_cast<const ops::Arithmetic*>(&op);
  if (arithmetic == nullptr) return {};
  return [=](double x) { return first ? arithmetic->at(c, x) : arithmetic->at(x, c); };
}

namespace {

template <class T>
void fill(const TableFunction& f, int32_t first, const Grid& x, const Grid& y, Rounding rounding, Tensor& table) {
  T* out = table.mutable_data<T>();
  const double x_scale = x.scale, y_scale = y.scale, low = y.bounds.low, high = y.bounds.high;
  parallel_for(table.elements(), 1 << 10, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const double v = f(static_cast<double>(first + i) * x_scale) / y_scale;
      out[i] = std::isnan(v) ? T{0} : static_cast<T>(inlined::round_as(rounding, std::clamp(v, low, high)));
    }
  });
}

}  // namespace

Tensor make_table(const TableFunction& f, const Grid& x, const Grid& y, Rounding rounding) {
  const bool wide = x.dtype == DType::int16;
  Tensor table = Tensor::empty({wide ? 1 << 16 : 1 << 8}, y.dtype);
  const int32_t first = wide ? -(1 << 15) : -(1 << 7);
  y.dtype == DType::int16 ? fill<int16_t>(f, first, x, y, rounding, table)
                          : fill<int8_t>(f, first, x, y, rounding, table);
  return table;
}

namespace {

// The operands of a node that are numbers, undefined where they are activations; none where all of them are.
std::vector<Tensor> numbers_of(const Graph& graph, const Node& node) {
  std::vector<Tensor> all;
  bool any = false;
  for (const Operand& operand : node.inputs) {
    const bool number = operand.kind == Operand::Kind::constant;
    all.push_back(number ? graph.constants[static_cast<size_t>(operand.index)].clone() : Tensor());
    any = any || number;
  }
  return any ? all : std::vector<Tensor>();
}

bool is_one_of(std::string_view name, std::initializer_list<std::string_view> names) {
  return std::find(names.begin(), names.end(), name) != names.end();
}

// Whether what an operation makes of values that may be negative, or may not, may be so.
bool is_negative(std::string_view op, std::span<const bool> operands) {
  if (is_one_of(op, {"sigmoid", "hardsigmoid", "exp", "abs", "sqrt", "rsqrt", "softplus", "relu", "relu6"}))
    return false;
  const bool keeps_sign = is_one_of(
      op, {"tanh", "silu", "hardswish", "leaky_relu", "gelu", "mish", "elu", "softsign", "reciprocal", "pow"});
  const bool of_two = operands.size() == 2 && is_one_of(op, {"add", "mul", "div", "minimum"});
  const bool any = std::find(operands.begin(), operands.end(), true) != operands.end();
  return any || !(keeps_sign || of_two);
}

/// A function of one value: an entry for each integer that it may be.
class Table final : public Layer {
 public:
  std::string_view name() const override { return "table"; }

  Answer takes(const Graph& graph, const Node& node) const override {
    if (std::none_of(node.inputs.begin(), node.inputs.end(), [](const Operand& o) { return o.is_activation(); }) ||
        std::any_of(node.inputs.begin(), node.inputs.end(),
                    [](const Operand& o) { return o.kind == Operand::Kind::parameter; }))
      return not_mine();
    return table_function(*node.op, numbers_of(graph, node)) ? yes() : not_mine();
  }

  bool may_be_negative(const Graph&, const Node& node, bool inputs) const override {
    const auto* chain = dynamic_cast<const ops::Chain*>(node.op.get());
    if (chain == nullptr) return is_negative(node.op->name(), {&inputs, 1});
    std::vector<bool> steps;
    for (const ops::Chain::Step& step : chain->steps()) {
      std::array<bool, 2> operands{};
      for (size_t i = 0; i < step.operands.size(); ++i) {
        const int64_t operand = step.operands[i];
        operands[i] = operand == ops::Chain::kInput    ? inputs
                      : operand == ops::Chain::kNumber ? step.number < 0
                                                       : steps[static_cast<size_t>(operand)];
      }
      steps.push_back(is_negative(step.op->name(), {operands.data(), step.operands.size()}));
    }
    return steps.back();
  }

  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    step.constants = numbers_of(from.graph, from.node);
    step.table = make_table(table_function(*step.op, step.constants), from.x[0], y, from.march.rounding);
  }

  void run(const Running& r, Tensor& y) const override {
    const Tensor &x = r.x[0], &table = r.step.table;
    with_integers(x, [&]<class X>(const X* in) {
      with_integers(table, [&]<class Entry>(const Entry* entries) {
        const Entry* middle = entries + table.elements() / 2;
        Entry* out = y.mutable_data<Entry>();
        parallel_for(y.elements(), kGrain, [=](int64_t begin, int64_t end) {
          const auto& k = kernel::integer_kernels();
          if constexpr (!std::is_same_v<X, Entry>)
            for (int64_t i = begin; i < end; ++i) out[i] = middle[in[i]];
          else if constexpr (sizeof(X) == 1)
            k.look_up(entries, in + begin, end - begin, out + begin);
          else
            k.look_up_words(entries, in + begin, end - begin, out + begin);
        });
      });
    });
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    sinter::check(step.op != nullptr && table_function(*step.op, step.constants), "has the operation '",
                  step.op == nullptr ? "" : step.op->name(), "'");
    sinter::check(step.constants.empty() || step.constants.size() == 2, "has ", step.constants.size(),
                  " constants, expected the operands of its operation");
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

  std::vector<std::string_view> parts() const override { return {"table", "constants"}; }
};

}  // namespace

const Layer& table_layer() {
  static const Table layer;
  return layer;
}

}  // namespace sinter::quant
