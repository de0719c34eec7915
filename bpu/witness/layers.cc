#include "layers.h"

#include <algorithm>
#include <cmath>
#include <set>

#include "datapaths.h"

namespace sinter::bpu::witness {

namespace {

using Index = std::array<int64_t, Shape::kMaxRank>;

// Where an element lies, on every axis.
int64_t offset(const Shape& shape, const Index& index) {
  int64_t at = 0;
  for (int axis = 0; axis < shape.rank(); ++axis) at = at * shape[axis] + index[axis];
  return at;
}

int64_t value_at(const Plain& x, const Index& index) { return x.values[offset(x.shape, index)]; }

// Calls f with every index of a shape, in order.
template <class F>
void each_index(const Shape& shape, const F& f) {
  Index index{};
  for (int64_t count = shape.elements(); count > 0; --count) {
    f(index);
    for (int axis = shape.rank() - 1; axis >= 0 && ++index[axis] == shape[axis]; --axis) index[axis] = 0;
  }
}

template <class F>
Plain made(const Shape& shape, const F& f) {
  Plain y{shape, {}};
  each_index(shape, [&](const Index& index) { y.values.push_back(f(index)); });
  return y;
}

// Windows over an image.
struct Windows {
  std::array<int64_t, 2> kernel, stride, padding, dilation{1, 1};

  explicit Windows(const Instruction& step) {
    const Attributes a(step);
    kernel = opcode_of(step) == Opcode::conv ? std::array{step.weight.size(1), step.weight.size(2)} : a.pair("kernel");
    stride = a.pair("stride");
    padding = a.pair("padding");
    if (a.find("dilation") != nullptr) dilation = a.pair("dilation");
  }
  // Where position k of the window of output o lies, along one axis.
  int64_t at(int axis, int64_t o, int64_t k) const { return o * stride[axis] - padding[axis] + k * dilation[axis]; }

  // Calls f(height, width, ky, kx) for the positions of a window that are inside of an image.
  template <class F>
  void each_inside(const Shape& x, int64_t row, int64_t column, const F& f) const {
    for (int64_t ky = 0; ky < kernel[0]; ++ky)
      for (int64_t kx = 0; kx < kernel[1]; ++kx) {
        const int64_t h = at(0, row, ky), w = at(1, column, kx);
        if (h >= 0 && h < x[1] && w >= 0 && w < x[2]) f(h, w, ky, kx);
      }
  }
};

Plain images(const Plain& x) {
  if (x.shape.rank() == 4) return x;
  return {{x.shape[0], 1, 1, x.shape[1]}, x.values};
}

// The sum of products of a pixel's channels, those of the group of output channel o, and that channel's weights at a
// position of the kernel.
struct Dot {
  const Instruction& step;
  int64_t outputs, per_group, height, width;

  explicit Dot(const Instruction& s)
      : step(s),
        outputs(s.weight.size(0) / Attributes(s).get<int64_t>("groups", 1)),
        per_group(s.weight.size(3)),
        height(s.weight.size(1)),
        width(s.weight.size(2)) {}

  int64_t operator()(const Plain& x, const Index& pixel, int64_t o, int64_t ky, int64_t kx) const {
    const int64_t* from = x.values.data() + offset(x.shape, pixel) + o / outputs * per_group;
    const int8_t* w = step.weight.data<int8_t>() + ((o * height + ky) * width + kx) * per_group;
    int64_t sum = 0;
    for (int64_t i = 0; i < per_group; ++i) sum += from[i] * w[i];
    return sum;
  }
};

Plain convolved(const Instruction& step, const Plain& x, const Shape& shape) {
  const Windows windows(step);
  const Dot dot(step);
  const Plain image = images(x);
  const Shape out = shape.rank() == 4 ? shape : Shape{shape[0], 1, 1, shape[1]};
  Plain y = made(out, [&](const Index& at) {
    int64_t sum = step.bias.data<int32_t>()[at[3]];
    windows.each_inside(image.shape, at[1], at[2], [&](int64_t h, int64_t v, int64_t ky, int64_t kx) {
      sum += dot(image, {at[0], h, v}, at[3], ky, kx);
    });
    return sum;
  });
  y.shape = shape;
  return y;
}

// Every input value adds its multiple of the kernel to the output, `stride` apart. The program has the kernel turned by
// half.
Plain scattered(const Instruction& step, const Plain& x, const Shape& shape) {
  const Windows windows(step);
  const Dot dot(step);
  Plain y = made(shape, [&](const Index& at) { return int64_t{step.bias.data<int32_t>()[at[3]]}; });
  each_index({x.shape[0], x.shape[1], x.shape[2], shape[3]}, [&](const Index& at) {
    for (int64_t ky = 0; ky < dot.height; ++ky)
      for (int64_t kx = 0; kx < dot.width; ++kx) {
        const int64_t h = windows.at(0, at[1], ky), w = windows.at(1, at[2], kx);
        if (h < 0 || h >= shape[1] || w < 0 || w >= shape[2]) continue;
        y.values[offset(shape, {at[0], h, w, at[3]})] +=
            dot(x, {at[0], at[1], at[2]}, at[3], dot.height - 1 - ky, dot.width - 1 - kx);
      }
  });
  return y;
}

Plain sums(const Instruction& step, const Plain& x, const Shape& shape) {
  const Windows windows(step);
  return made(shape, [&](const Index& at) {
    int64_t sum = 0;
    windows.each_inside(x.shape, at[1], at[2], [&](int64_t h, int64_t w, int64_t, int64_t) {
      sum += value_at(x, {at[0], h, w, at[3]});
    });
    return sum;
  });
}

Plain largest(const Instruction& step, const Plain& x, const Shape& shape) {
  const Windows windows(step);
  return made(shape, [&](const Index& at) {
    int64_t best = INT64_MIN;
    windows.each_inside(x.shape, at[1], at[2], [&](int64_t h, int64_t w, int64_t, int64_t) {
      best = std::max(best, value_at(x, {at[0], h, w, at[3]}));
    });
    return best;
  });
}

Plain sums_of_images(const Plain& x, const Shape& shape) {
  Plain y{shape, std::vector<int64_t>(static_cast<size_t>(shape.elements()), 0)};
  each_index(x.shape, [&](const Index& at) { y.values[at[0] * x.shape[3] + at[3]] += value_at(x, at); });
  return y;
}

// An axis of size 1 has one value for all indices.
Plain broadcast(const Plain& x, const Shape& shape) {
  return made(shape, [&](Index at) {
    for (int axis = 0; axis < shape.rank(); ++axis) at[axis] = std::min(at[axis], x.shape[axis] - 1);
    return value_at(x, at);
  });
}

// The values low and high that an output lies between, and the weight of the second, of 2^bits, along one axis.
struct Between {
  int64_t low, high, weight;
};

Between between(const Attributes& a, int axis, int64_t i, int64_t size, int64_t outputs, int bits) {
  if (outputs == size) return {i, i, 0};
  const auto scale = std::get<double>(*a.find(axis == 0 ? "scale_h" : "scale_w"));
  if (a.get<std::string>("mode", "") == "nearest") {
    if (outputs == 2 * size) return {i / 2, i / 2, 0};
    // The step is a float32, and so is the product: exact in double, then rounded.
    const auto n = static_cast<double>(size), step = scale > 0 ? 1 / scale : n / static_cast<double>(outputs);
    const auto at = static_cast<float>(static_cast<double>(i) * static_cast<double>(static_cast<float>(step)));
    const int64_t low = std::min(static_cast<int64_t>(at), size - 1);
    return {low, low, 0};
  }
  const long double step = scale > 0 ? 1 / static_cast<long double>(scale)
                                     : static_cast<long double>(size) / static_cast<long double>(outputs);
  long double u = std::max((static_cast<long double>(i) + 0.5L) * step - 0.5L, 0.0L);
  if (a.get("align_corners", false))
    u = outputs == 1 ? 0 : static_cast<long double>(i * (size - 1)) / static_cast<long double>(outputs - 1);
  const auto low = std::min(static_cast<int64_t>(u), size - 1);
  const long double fraction = std::min(u - static_cast<long double>(low), 1.0L);
  return {low, std::min(low + 1, size - 1), rounded(std::ldexp(fraction, bits), false)};
}

Plain resized(const quant::March& march, const Instruction& step, const Plain& x, const Shape& shape) {
  const Attributes a(step);
  const Datapath datapath(march);
  const int bits = march.resize_bits;
  return made(shape, [&](const Index& at) {
    const Between v = between(a, 0, at[1], x.shape[1], shape[1], bits),
                  h = between(a, 1, at[2], x.shape[2], shape[2], bits);
    const int64_t one = int64_t{1} << bits;
    const int64_t above = value_at(x, {at[0], v.low, h.low, at[3]}) * (one - h.weight) +
                          value_at(x, {at[0], v.low, h.high, at[3]}) * h.weight;
    const int64_t below = value_at(x, {at[0], v.high, h.low, at[3]}) * (one - h.weight) +
                          value_at(x, {at[0], v.high, h.high, at[3]}) * h.weight;
    return datapath.shifted(above * (one - v.weight) + below * v.weight, 2 * bits);
  });
}

Plain moved(const Instruction& step, const Plain& x, const Value& y, const Shape& shape, bool half_up) {
  const Attributes a(step);
  if (step.op->name() == "slice") {
    const int axis = a.axis(shape.rank());
    const auto begin = a.get<int64_t>("begin", 0), by = a.get<int64_t>("step", 1);
    return made(shape, [&](Index at) {
      at[axis] = (begin < 0 ? begin + x.shape[axis] : begin) + at[axis] * by;
      return value_at(x, at);
    });
  }
  if (step.op->name() == "pixel_shuffle") {
    const auto u = a.get<int64_t>("upscale", 1);
    return made(shape, [&](const Index& at) {
      return value_at(x, {at[0], at[1] / u, at[2] / u, (at[3] * u + at[1] % u) * u + at[2] % u});
    });
  }
  const auto before = a.get<std::vector<int64_t>>("before", {});
  const int64_t border = quantized(static_cast<float>(a.get<double>("value", 0)), y, half_up);
  return made(shape, [&](Index at) {
    bool inside = true;
    for (int axis = 0; axis < shape.rank(); ++axis) {
      if (!before.empty()) at[axis] -= before[axis];
      inside = inside && at[axis] >= 0 && at[axis] < x.shape[axis];
    }
    return inside ? value_at(x, at) : border;
  });
}

Plain looked_up(const Program& program, const Instruction& step, const Plain& x, bool half_up) {
  const Value &from = program.values[step.inputs[0]], &to = program.values[step.output];
  const std::vector<int64_t> table = table_of(step, from, to, half_up);
  const auto first = static_cast<int64_t>(table.size() / 2);
  Plain y{x.shape, {}};
  for (const int64_t q : x.values) y.values.push_back(table[q + first]);
  return y;
}

// What one output is before it is rescaled, and by which of the multipliers.
struct Term {
  int64_t first = 0, second = 0;
  size_t by = 0;
};

std::vector<Term> one_by_one(const Plain& first, const Plain& second) {
  std::vector<Term> terms;
  for (size_t i = 0; i < first.values.size(); ++i)
    terms.push_back({first.values[i], second.values.empty() ? 0 : second.values[i], 0});
  return terms;
}

std::vector<Term> terms_of_concat(const Instruction& step, const std::vector<const Plain*>& in, const Shape& shape) {
  const int axis = Attributes(step).axis(shape.rank());
  std::vector<Term> terms;
  each_index(shape, [&](Index at) {
    size_t part = 0;
    for (; at[axis] >= in[part]->shape[axis]; ++part) at[axis] -= in[part]->shape[axis];
    terms.push_back({value_at(*in[part], at), 0, part});
  });
  return terms;
}

std::vector<Term> terms_of(const Instruction& step, const std::vector<const Plain*>& in, const Shape& shape) {
  const Plain none;
  const auto by_channel = [&](std::vector<Term> terms) {
    for (size_t i = 0; i < terms.size(); ++i) terms[i].by = i % step.rescale.size();
    return terms;
  };
  switch (opcode_of(step)) {
    case Opcode::conv: {
      const bool transposed = Attributes(step).get("transposed", false);
      return by_channel(one_by_one(transposed ? scattered(step, *in[0], shape) : convolved(step, *in[0], shape),
                                   in.size() == 2 ? *in[1] : none));
    }
    case Opcode::add:
      return one_by_one(broadcast(*in[0], shape), broadcast(*in[1], shape));
    case Opcode::mul: {
      std::vector<Term> terms = one_by_one(broadcast(*in[0], shape), broadcast(*in[1], shape));
      for (Term& term : terms) term = {term.first * term.second};
      return terms;
    }
    case Opcode::mean:
      return one_by_one(sums_of_images(*in[0], shape), none);
    case Opcode::avg_pool: {
      std::vector<Term> terms = one_by_one(sums(step, *in[0], shape), none);
      const std::vector<int64_t> counts = all_counts(step, in[0]->shape, shape);
      size_t i = 0;
      each_index(shape, [&](const Index& at) {
        const auto found = std::find(counts.begin(), counts.end(), counted(step, in[0]->shape, at[1], at[2]));
        terms[i++].by = static_cast<size_t>(found - counts.begin());
      });
      return terms;
    }
    case Opcode::concat:
      return terms_of_concat(step, in, shape);
    case Opcode::prelu: {
      std::vector<Term> terms = one_by_one(*in[0], none);
      for (Term& term : terms)
        if (term.first < 0) std::swap(term.first, term.second);
      return by_channel(std::move(terms));
    }
    default:
      fail("reference: ", step.layer, " is not rescaled");
  }
}

Plain rescaled(const Program& program, const Instruction& step, const std::vector<const Plain*>& in,
               const Shape& shape) {
  const Value& value = program.values[step.output];
  Plain y{shape, {}};
  const bool head = step.rescale.empty();
  if (head) {
    const bool transposed = Attributes(step).get("transposed", false);
    y = transposed ? scattered(step, *in[0], shape) : convolved(step, *in[0], shape);
    for (const int64_t acc : y.values)
      check(acc >= INT32_MIN && acc <= INT32_MAX, "reference: ", value.name, ": an accumulator is ", acc,
            ", which 32 bits do not hold");
    return y;
  }
  const Datapath datapath(program.march);
  for (const Term& term : terms_of(step, in, shape))
    y.values.push_back(datapath.rescaled(term.first, term.second, step.rescale[term.by]));
  return y;
}

}  // namespace

int64_t counted(const Instruction& step, const Shape& x, int64_t row, int64_t column) {
  const Windows windows(step);
  const bool padded = Attributes(step).get("count_include_pad", true);
  int64_t count = 1;
  for (const int axis : {0, 1}) {
    int64_t along = 0;
    for (int64_t k = 0; k < windows.kernel[axis]; ++k) {
      const int64_t at = windows.at(axis, axis == 0 ? row : column, k);
      const bool inside = at >= 0 && at < x[axis + 1];
      along += inside || (padded && at < x[axis + 1] + windows.padding[axis]);
    }
    count *= along;
  }
  return count;
}

std::vector<int64_t> all_counts(const Instruction& step, const Shape& x, const Shape& y) {
  std::set<int64_t> counts;
  for (int64_t row = 0; row < y[1]; ++row)
    for (int64_t column = 0; column < y[2]; ++column) counts.insert(counted(step, x, row, column));
  return {counts.begin(), counts.end()};
}

std::vector<int64_t> table_of(const Instruction& step, const Value& x, const Value& y, bool half_up) {
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

Plain run_layer(const Program& program, const Instruction& step, const std::vector<const Plain*>& in) {
  const bool half_up = program.march.rounding == quant::Rounding::half_up;
  const Value& value = program.values[step.output];
  const Shape shape = value.shape.with(0, in[0]->shape[0]);
  Plain y;
  switch (opcode_of(step)) {
    case Opcode::max_pool:
      y = largest(step, *in[0], shape);
      break;
    case Opcode::resize:
      y = resized(program.march, step, *in[0], shape);
      break;
    case Opcode::table:
      y = looked_up(program, step, *in[0], half_up);
      break;
    case Opcode::move:
      y = moved(step, *in[0], value, shape, half_up);
      break;
    case Opcode::clamp:
    case Opcode::reshape:
      y = {shape, in[0]->values};
      break;
    default:
      y = rescaled(program, step, in, shape);
  }
  if (value.is_integer())
    for (int64_t& v : y.values) v = std::clamp<int64_t>(v, value.low, value.high);
  return y;
}

}  // namespace sinter::bpu::witness
