#include "dice_loss.h"

#include <cmath>
#include <numeric>
#include <vector>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/sigmoid.h"
#include "../../core/ops/softmax.h"
#include "reduction.h"

namespace sinter {

namespace {

Tensor probabilities(const Tensor& x, const std::string& activation) {
  if (activation == "none") return x;
  if (activation == "sigmoid") return sigmoid(x);
  check(activation == "softmax", "dice_loss: activation is '", activation, "', expected softmax, sigmoid or none");
  check(x.size(-1) > 1, "dice_loss: x is ", x.shape(), ", whose softmax over one class is always 1; ",
        "activation = \"sigmoid\" is for one class");
  return softmax(x);
}

}  // namespace

Tensor dice_loss(const Tensor& x, const Tensor& target, const DiceLossOptions& options) {
  check(x.dtype() == DType::float32 && x.rank() >= 2 && x.elements() > 0, "dice_loss: x is ", x.spec(),
        ", expected float32 [N,...,classes] with no empty axis");
  check(std::isfinite(options.smooth) && options.smooth > 0, "dice_loss: smooth is ", options.smooth,
        ", expected above 0");
  const Shape places(std::span(x.shape().begin(), x.shape().end() - 1));
  const int64_t classes = x.size(-1);
  Tensor p = probabilities(x, options.activation), t = target;
  if (target.dtype() == DType::int64) {
    check(target.shape() == places, "dice_loss: labels are ", target.spec(), ", expected int64 ", places);
    t = Tensor::zeros(x.shape());
    Tensor counted = Tensor::ones(places);
    float *hit = t.mutable_data<float>(), *mask = counted.mutable_data<float>();
    const auto labels = target.values<int64_t>();
    bool all = true;
    for (size_t i = 0; i < labels.size(); ++i) {
      const int64_t label = labels[i];
      if (label == options.ignore_index) {
        mask[i] = 0;
        all = false;
        continue;
      }
      check(label >= 0 && label < classes, "dice_loss: label ", label, " of place ", static_cast<int64_t>(i),
            ", expected 0..", classes - 1, " (or ignore_index, ", options.ignore_index, ")");
      hit[static_cast<int64_t>(i) * classes + label] = 1;
    }
    if (!all)
      p = p * Tensor::from(
                  [&] {  // [N,...,1]
                    std::vector<int64_t> sizes(places.begin(), places.end());
                    sizes.push_back(1);
                    return Shape(sizes);
                  }(),
                  counted.values<float>());
  } else {
    detail::check_pair("dice_loss", x, target);
  }
  const auto over_places = [&](const Tensor& v) {
    std::vector<int64_t> axes(static_cast<size_t>(x.rank() - 2));
    std::iota(axes.begin(), axes.end(), 1);
    return axes.empty() ? v : sum(v, axes);
  };
  const Tensor both = 2 * over_places(p * t) + options.smooth;
  const Tensor each = over_places(p) + over_places(t) + options.smooth;
  return detail::reduced("dice_loss", 1 - both / each, options.reduction);
}

}  // namespace sinter
