#include "giou_loss.h"

#include <cmath>
#include <vector>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/relu.h"
#include "../../core/ops/reshape.h"
#include "../../core/ops/slice.h"
#include "reduction.h"

namespace sinter {

Tensor giou_loss(const Tensor& boxes, const Tensor& target, const GiouLossOptions& options) {
  detail::check_pair("giou_loss", boxes, target);
  check(boxes.rank() >= 1 && boxes.size(-1) == 4, "giou_loss: boxes are ", boxes.shape(),
        ", expected [...,4] of x1, y1, x2, y2");
  check(std::isfinite(options.eps) && options.eps >= 0, "giou_loss: eps is ", options.eps, ", expected 0 or more");
  const std::vector<Tensor> a = split(boxes, {.count = 4}), b = split(target, {.count = 4});
  const auto area = [](const Tensor& x1, const Tensor& y1, const Tensor& x2, const Tensor& y2) {
    return (x2 - x1) * (y2 - y1);
  };
  const Tensor overlap = relu(minimum(a[2], b[2]) - maximum(a[0], b[0])) *  //
                         relu(minimum(a[3], b[3]) - maximum(a[1], b[1]));
  const Tensor joint = area(a[0], a[1], a[2], a[3]) + area(b[0], b[1], b[2], b[3]) - overlap;
  const Tensor hull = area(minimum(a[0], b[0]), minimum(a[1], b[1]), maximum(a[2], b[2]), maximum(a[3], b[3]));
  const Tensor losses = 1 - overlap / (joint + options.eps) + (hull - joint) / (hull + options.eps);
  if (losses.elements() == 0 && options.reduction == "mean") return sum(losses);
  return detail::reduced("giou_loss", reshape(losses, {boxes.shape().begin(), boxes.shape().end() - 1}),
                         options.reduction);
}

}  // namespace sinter
