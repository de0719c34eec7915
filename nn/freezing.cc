#include "freezing.h"

namespace sinter::nn {

namespace {
thread_local Frozen frozen_now;
}

Freezing::Freezing(const Frozen& frozen) : before_(frozen_now) {
  frozen_now = {.observers = before_.observers || frozen.observers,
                .batch_norm = before_.batch_norm || frozen.batch_norm,
                .scales = before_.scales || frozen.scales};
}

Freezing::~Freezing() { frozen_now = before_; }

const Frozen& Freezing::now() { return frozen_now; }

}  // namespace sinter::nn
