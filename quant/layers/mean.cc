#include "../../core/error.h"
#include "../../core/ops/reduce.h"
#include "../../core/within.h"
#include "../post_training/channels.h"
#include "checks.h"
#include "rescale.h"

namespace sinter::quant {

namespace {

// The sums over H and W of x [N,H,W,C], as int32 [N,C].
template <class T>
Tensor sums_of_images(const Tensor& x, const T* in) {
  const int64_t images = x.size(0), positions = x.size(1) * x.size(2), channels = x.size(3);
  Tensor acc = Tensor::zeros({images, channels}, DType::int32);
  auto* out = acc.mutable_data<int32_t>();
  parallel_for(images, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n)
      for (int64_t p = 0; p < positions; ++p) {
        const T* from = in + (n * positions + p) * channels;
        for (int64_t c = 0; c < channels; ++c) out[n * channels + c] += from[c];
      }
  });
  return acc;
}

/// The mean over the image of [N,H,W,C].
class Mean final : public Layer {
 public:
  std::string_view name() const override { return "mean"; }

  Answer takes(const Graph& graph, const Node& node) const override {
    const auto* a = attributes_of<ops::Mean>(node);
    if (a == nullptr) return not_mine();
    bool height = false, width = false;
    for (const int64_t axis : a->axes) {
      height = height || axis == 1 || axis == -3;
      width = width || axis == 2 || axis == -2;
    }
    if (graph.spec(node.inputs[0]).shape.rank() != 4 || !height || !width || a->axes.size() != 2)
      return refused("only the mean over the image, axes {1,2} of [N,H,W,C], can be quantised");
    return yes();
  }

  void lower(const Lowering& from, Instruction& step, Grid& y) const override {
    const Shape& image = from.graph.spec(from.node.inputs[0]).shape;
    const int64_t count = image[1] * image[2];
    within(from.node.name + ": the mean", [&] { expect_sum(count, from.x[0].dtype); });
    step.rescale.push_back(from.rescaling([&](const Datapath& d) { return d.mean(from.x[0].scale, count, y); },
                                          count * from.x[0].bounds.reach()));
  }

  void run(const Running& r, Tensor& y) const override {
    with_integers(r.x[0], [&](const auto* in) {
      const Tensor acc = sums_of_images(r.x[0], in);
      const auto* sums_of_all = acc.template data<int32_t>();
      rescale(r, r.step.rescale, Tensor(), y,
              [sums_of_all](int64_t at, int64_t count, int32_t* sums) { std::copy_n(sums_of_all + at, count, sums); });
    });
  }

  void check(const IntegerProgram& program, const Instruction& step) const override {
    expect_operation(step, 1, {"mean"});
    const Value& x = input(program, step, 0);
    sinter::check(x.shape.rank() == 4, "reads ", x.shape, ", expected [1,H,W,C]");
    sinter::check(program.values[static_cast<size_t>(step.output)].shape.elements() == x.shape[3],
                  "is no mean over an image");
    expect_sum(x.shape[1] * x.shape[2], x.dtype);
  }

  std::vector<Reach> reaches(const IntegerProgram& program, const Instruction& step) const override {
    const Shape& x = input(program, step, 0).shape;
    return {{x[1] * x[2] * reach(program, step, 0), 0}};
  }

  std::vector<std::vector<size_t>> channels(Channels& channels, const Graph&, const Node& node) const override {
    return {channels.ids(node.inputs[0])};
  }
};

}  // namespace

const Layer& mean_layer() {
  static const Mean layer;
  return layer;
}

}  // namespace sinter::quant
