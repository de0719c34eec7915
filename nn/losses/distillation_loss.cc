#include "distillation_loss.h"

#include <cmath>

#include "../../core/ops/arithmetic.h"
#include "../../core/ops/log_softmax.h"
#include "../../core/ops/reduce.h"
#include "kl_div.h"
#include "reduction.h"

namespace sinter {

Tensor distillation_loss(const Tensor& student_logits, const Tensor& teacher_logits,
                         const DistillationLossOptions& options) {
  detail::check_pair("distillation_loss", student_logits, teacher_logits);
  const double temperature = options.temperature;
  check(std::isfinite(temperature) && temperature > 0, "distillation_loss: temperature is ", temperature,
        ", expected above 0");
  check(student_logits.rank() > 0, "distillation_loss: logits are ", student_logits.shape(),
        ", expected [...,classes]");
  const Tensor student = log_softmax(student_logits / temperature);
  const Tensor teacher = log_softmax(teacher_logits.detach() / temperature);
  const Tensor rows = sum(kl_div(student, teacher, {.log_target = true, .reduction = "none"}), {-1});
  return detail::reduced("distillation_loss", rows * (temperature * temperature), options.reduction);
}

}  // namespace sinter
