#pragma once

#include <string>

#include "../../core/tensor.h"

namespace sinter {

struct DistillationLossOptions {
  double temperature = 1;          ///< above 0: what the logits are divided by
  std::string reduction = "mean";  ///< over the rows; or "sum", or "none": [...]
};
/// temperature^2 KL(softmax(teacher / temperature) || softmax(student / temperature)) of every row (Hinton et al.,
/// 1503.02531): logits float32 [...,C], both of one shape. No gradient flows to the teacher.
Tensor distillation_loss(const Tensor& student_logits, const Tensor& teacher_logits,
                         const DistillationLossOptions& options = {});

}  // namespace sinter
