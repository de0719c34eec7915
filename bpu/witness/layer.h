#pragma once
// Private: the layers of the BPU once more, each a twin in one file of this folder's `layers`, by their definitions and
// one number at a time in 64-bit integers; nothing is shared with quant/layers.

#include <string>
#include <string_view>
#include <vector>

#include "datapaths.h"
#include "numbers.h"

namespace sinter::bpu::witness {

/// A tensor's integers.
struct Plain {
  Shape shape;
  std::vector<int64_t> values;
  Tensor real{};  ///< instead, where a value is float32
};

/// The integers of a tensor of int8 or int16.
Plain plain(const Tensor& integers);
/// How many images these are of: constants are of one.
int64_t images(const std::vector<const Plain*>& in);

/// An instruction among the values of its program.
struct Site {
  const Program& program;
  const Instruction& step;

  const Value& x(size_t i = 0) const { return program.values[static_cast<size_t>(step.inputs[i])]; }
  const Value& y() const { return program.values[static_cast<size_t>(step.output)]; }
  bool half_up() const { return program.march.rounding == quant::Rounding::half_up; }
};

/// The twin of a layer.
class Twin {
 public:
  virtual ~Twin() = default;
  /// The output, before it is held to its bounds; of a head, its accumulators.
  virtual Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const = 0;
  /// The integers that the scales ask for.
  virtual std::vector<quant::Rescaling> rescalings(const Site& site) const;
  /// Whether the output is on the input's grid.
  virtual bool passes() const { return false; }
  /// Narrows, or for what passes widens, the bounds that the type, or the input, gives the output.
  virtual void bound(const Site& site, int64_t& low, int64_t& high) const;
  /// What else is wrong with an instruction, a line each that starts with a line break and two blanks.
  virtual std::string wrong(const Site& site) const;
  /// What a rescaling is of, in messages.
  virtual const char* place() const { return "rescaling"; }
};

/// The twin of an instruction's layer. Throws Error where it has none.
const Twin& twin_of(const Instruction& step);

using Index = std::array<int64_t, Shape::kMaxRank>;

/// Where an element lies, on every axis.
int64_t offset(const Shape& shape, const Index& index);
int64_t value_at(const Plain& x, const Index& index);

/// Calls f with every index of a shape, in order.
template <class F>
void each_index(const Shape& shape, const F& f) {
  Index index{};
  for (int64_t count = shape.elements(); count > 0; --count) {
    f(index);
    for (int axis = shape.rank() - 1; axis >= 0 && ++index[static_cast<size_t>(axis)] == shape[axis]; --axis)
      index[static_cast<size_t>(axis)] = 0;
  }
}

template <class F>
Plain made(const Shape& shape, const F& f) {
  Plain y{shape, {}};
  each_index(shape, [&](const Index& index) { y.values.push_back(f(index)); });
  return y;
}

/// A tensor of a shape whose axes of size 1 have one value for all indices.
Plain broadcast(const Plain& x, const Shape& shape);

/// What one output is before it is rescaled, and by which of the rescalings.
struct Term {
  int64_t first = 0, second = 0;
  size_t by = 0;
};

/// The terms f(index) for every index of a shape, rescaled.
template <class F>
Plain rescaled(const Site& site, const Shape& shape, const F& f) {
  const Datapath datapath(site.program.march);
  return made(shape, [&](const Index& at) {
    const Term term = f(at);
    return datapath.rescaled(term.first, term.second, site.step.rescale.at(term.by));
  });
}

/// Of layers that multiply two operands, which may broadcast.
class Product : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override;
  std::vector<quant::Rescaling> rescalings(const Site& site) const override;
};

/// Windows over an image [N,H,W,C].
struct Windows {
  std::array<int64_t, 2> kernel, stride, padding, dilation{1, 1};

  Windows(const Attributes& a, const std::array<int64_t, 2>& size);
  // Where position k of the window of output o lies, along one axis.
  int64_t at(size_t axis, int64_t o, int64_t k) const { return o * stride[axis] - padding[axis] + k * dilation[axis]; }

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

}  // namespace sinter::bpu::witness
