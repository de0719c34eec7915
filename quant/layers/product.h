#pragma once
// Private: layers that multiply what they read, integer by integer, and rescale the product.

#include <algorithm>
#include <string_view>
#include <vector>

#include "../../core/repeated.h"
#include "../integer/strided.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

/// The product of two operands, which may broadcast, of nodes of the operation that it is named after.
class Product : public Layer {
 public:
  explicit Product(std::string_view op) : op_(op) {}
  std::string_view name() const override { return op_; }
  bool reads_constants() const override { return true; }

  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    const double unit = static_cast<double>(from.x[0].scale) * static_cast<double>(from.x[1].scale);
    step.rescale.push_back(from.rescaling([&](const Datapath& d) { return d.accumulator(unit, y); },
                                          from.x[0].bounds.reach() * from.x[1].bounds.reach()));
  }

  void run(const Running& r, Tensor& y) const override {
    const bool by_channel = is_by_channel(r.x[1].shape(), r.shape);
    const Tensor a = expanded(r.x[0], r.shape), b = by_channel ? r.x[1] : expanded(r.x[1], r.shape);
    with_integers(a, [&]<class P>(const P* p) {
      with_integers(b, [&]<class Q>(const Q* q) {
        if (by_channel) return by_channels(r, p, q, y);
        rescale(r, r.step.rescale, Tensor(), y,
                [=](int64_t at, int64_t count, int32_t* sums) { multiply(p + at, q + at, count, sums); });
      });
    });
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    expect_operation(step, 2, {op_});
    expect_broadcast(program, step);
  }

  std::vector<Reach> reaches(const IntegerProgram& program, const Instruction& step) const override {
    return {{reach(program, step, 0) * reach(program, step, 1), 0}};
  }

 private:
  static bool is_by_channel(const Shape& x, const Shape& y) {
    if (x == y || x[-1] != y[-1] || (x[0] != 1 && x[0] != y[0])) return false;
    for (int axis = 1; axis < y.rank() - 1; ++axis)
      if (x[axis] != 1) return false;
    return y.rank() > 1 && y.elements() > 0;
  }

  // p times numbers q, [1 or N,1,...,C].
  template <class P, class Q>
  static void by_channels(const Running& r, const P* p, const Q* q, Tensor& y) {
    const int64_t channels = r.shape[-1], images = r.x[1].size(0), image = y.elements() / images;
    std::vector<Repeated<Q>> rows;
    for (int64_t i = 0; i < images; ++i) rows.emplace_back(q + i * channels, channels);
    rescale(r, r.step.rescale, Tensor(), y, [&, image](int64_t at, int64_t count, int32_t* sums) {
      for (const int64_t end = at + count; at < end;) {
        const int64_t i = at / image, first = i * image, stop = std::min(end, first + image);
        rows[static_cast<size_t>(i)].each(at - first, stop - first, [&](int64_t begin, int64_t some, const Q* numbers) {
          multiply(p + first + begin, numbers, some, sums);
          sums += some;
        });
        at = stop;
      }
    });
  }

  template <class P, class Q>
  static void multiply(const P* p, const Q* q, int64_t count, int32_t* sums) {
    if constexpr (std::is_same_v<P, Q>)
      kernel::integers_of(p).product(p, q, count, sums);
    else
      for (int64_t i = 0; i < count; ++i) sums[i] = p[i] * q[i];
  }

  std::string_view op_;
};

}  // namespace sinter::quant
