#include "nll_loss.h"

#include <vector>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/gather.h"
#include "../../core/ops/reduce.h"
#include "../../core/ops/reshape.h"
#include "../../core/ops/where.h"
#include "reduction.h"

namespace sinter {

Tensor nll_loss(const Tensor& log_probabilities, const Tensor& labels, const NllLossOptions& options) {
  const Tensor& x = log_probabilities;
  check(x.dtype() == DType::float32 && x.rank() >= 1 && x.size(-1) > 0, "nll_loss: log-probabilities are ", x.spec(),
        ", expected float32 [...,classes] with at least one class");
  const Shape rows(std::span(x.shape().begin(), x.shape().end() - 1));
  const int64_t classes = x.size(-1), count = rows.elements();
  check(labels.dtype() == DType::int64 && labels.shape() == rows, "nll_loss: labels are ", labels.spec(),
        ", expected int64 ", rows);
  const Tensor& weight = options.weight;
  check(!weight.defined() || weight.spec() == Spec{DType::float32, {classes}}, "nll_loss: weight is ", weight.spec(),
        ", expected float32 [", classes, "], one for each class");

  const auto given = labels.values<int64_t>();
  std::vector<int64_t> index;
  std::vector<float> counted, share;
  double total = 0;
  for (int64_t row = 0; row < count; ++row) {
    const int64_t label = given[row];
    const bool ignored = label == options.ignore_index;
    check(ignored || (label >= 0 && label < classes), "nll_loss: label ", label, " of row ", row, ", expected 0..",
          classes - 1, " (or ignore_index, ", options.ignore_index, ")");
    index.push_back(ignored ? 0 : label);
    counted.push_back(ignored ? 0.0f : 1.0f);
    share.push_back(ignored ? 0.0f : weight.defined() ? weight.data<float>()[label] : 1.0f);
    total += share.back();
  }
  const Tensor chosen = gather(reshape(x, {count, classes}), Tensor::from({count, 1}, index));
  const Tensor weighted = reshape(chosen, {count}) * Tensor::from({count}, share);
  const Tensor losses = -where(Tensor::from({count}, counted), weighted, 0.0);
  if (options.reduction == "mean") return sum(losses) / total;
  return detail::reduced("nll_loss", reshape(losses, {rows.begin(), rows.end()}), options.reduction);
}

}  // namespace sinter
