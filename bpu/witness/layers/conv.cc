#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

// [N,...,K] as images of one pixel.
Shape image(const Instruction& step, const Shape& shape) {
  if (shape.rank() == 4 && !Attributes(step).get("linear", false)) return shape;
  return {shape.elements() / shape[-1], 1, 1, shape[-1]};
}

Windows windows_of(const Instruction& step) { return {Attributes(step), {step.weight.size(1), step.weight.size(2)}}; }

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
  const Windows windows = windows_of(step);
  const Dot dot(step);
  const Plain pixels{image(step, x.shape), x.values};
  Plain y = made(image(step, shape), [&](const Index& at) {
    int64_t sum = step.bias.data<int32_t>()[at[3]];
    windows.each_inside(pixels.shape, at[1], at[2], [&](int64_t h, int64_t v, int64_t ky, int64_t kx) {
      sum += dot(pixels, {at[0], h, v}, at[3], ky, kx);
    });
    return sum;
  });
  y.shape = shape;
  return y;
}

// Every input value adds its multiple of the kernel to the output, `stride` apart. The program has the kernel turned by
// half.
Plain scattered(const Instruction& step, const Plain& x, const Shape& shape) {
  const Windows windows = windows_of(step);
  const Dot dot(step);
  Plain y = made(shape, [&](const Index& at) { return int64_t{step.bias.data<int32_t>()[at[3]]}; });
  each_index({x.shape[0], x.shape[1], x.shape[2], shape[3]}, [&](const Index& at) {
    for (int64_t ky = 0; ky < dot.height; ++ky)
      for (int64_t kx = 0; kx < dot.width; ++kx) {
        const int64_t h = windows.at(0, at[1], ky), w = windows.at(1, at[2], kx);
        if (h < 0 || h >= shape[1] || w < 0 || w >= shape[2]) continue;
        y.values[static_cast<size_t>(offset(shape, {at[0], h, w, at[3]}))] +=
            dot(x, {at[0], at[1], at[2]}, at[3], dot.height - 1 - ky, dot.width - 1 - kx);
      }
  });
  return y;
}

class Conv final : public Twin {
 public:
  Plain run(const Site& site, const std::vector<const Plain*>& in, const Shape& shape) const override {
    const Instruction& step = site.step;
    const Plain sums =
        Attributes(step).get("transposed", false) ? scattered(step, *in[0], shape) : convolved(step, *in[0], shape);
    if (site.y().dtype == DType::int32) {
      for (const int64_t acc : sums.values)
        check(acc >= INT32_MIN && acc <= INT32_MAX, "reference: ", site.y().name, ": an accumulator is ", acc,
              ", which 32 bits do not hold");
      return sums;
    }
    size_t next = 0;
    return rescaled(site, shape, [&](const Index&) {
      const size_t i = next++;
      return Term{sums.values[i], in.size() == 2 ? in[1]->values[i] : 0, i % step.rescale.size()};
    });
  }
  std::vector<quant::Rescaling> rescalings(const Site& site) const override {
    const Datapath datapath(site.program.march);
    std::vector<quant::Rescaling> all;
    for (const float w : site.step.weight_scales.values<float>()) {
      const Rational unit = exact(site.x().scale) * exact(w);
      all.push_back(site.step.inputs.size() == 2 ? datapath.residual(unit, site.x(1), site.y())
                                                 : datapath.accumulator(unit, site.y()));
    }
    return all;
  }
  void bound(const Site& site, int64_t& low, int64_t& high) const override {
    const auto activation = Attributes(site.step).get<std::string>("activation", "none");
    if (activation != "none") low = 0;
    if (activation == "relu6") high = six(site.y(), low, high, site.half_up());
  }
  const char* place() const override { return "channel"; }
};

}  // namespace

const Twin& conv_twin() {
  static const Conv twin;
  return twin;
}

}  // namespace sinter::bpu::witness
