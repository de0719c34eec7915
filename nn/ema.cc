#include "ema.h"

#include <algorithm>
#include <cmath>

#include "../core/autograd.h"
#include "../core/parallel.h"

namespace sinter::nn {

namespace {

constexpr int64_t kGrain = 1 << 14;

// The model's state beside the averages, which have the same names.
std::vector<NamedParameter> matching(const Module& model, const std::vector<NamedParameter>& state) {
  std::vector<NamedParameter> own = model.named_state();
  bool same = own.size() == state.size();
  for (size_t i = 0; same && i < own.size(); ++i)
    same = own[i].name == state[i].name && own[i].value.tensor().spec() == state[i].value.tensor().spec();
  check(same, "ema: the averages are of another model: of ", state.size(), " parameters and buffers, it has ",
        own.size(), " or others");
  return own;
}

}  // namespace

Ema::Ema(const Module& model, double decay) : decay_(decay) {
  check(decay > 0 && decay < 1, "ema: the decay is ", decay, ", expected 0 < decay < 1");
  for (const NamedParameter& own : model.named_state())
    state_.push_back({own.name, Parameter(own.value.tensor().clone(), false)});
}

void Ema::update(const Module& model) {
  const auto own = matching(model, state_);
  const auto done = static_cast<double>(++steps_);
  const auto share = static_cast<float>(1 - std::min(decay_, (1 + done) / (10 + done)));
  for (size_t i = 0; i < own.size(); ++i) {
    const Tensor& value = own[i].value.tensor();
    Tensor& average = state_[i].value.tensor();
    if (value.dtype() != DType::float32) {
      average.copy_from(value);
      continue;
    }
    const float* x = value.data<float>();
    float* a = sinter::detail::Access::write<float>(average);
    parallel_for(value.elements(), kGrain, [&](int64_t begin, int64_t end) {
      for (int64_t k = begin; k < end; ++k) {
        const float next = a[k] + share * (x[k] - a[k]);
        a[k] = std::isfinite(next) ? next : x[k];
      }
    });
  }
}

void Ema::swap(Module& model) {
  auto own = matching(model, state_);
  for (size_t i = 0; i < own.size(); ++i) {
    const Tensor before = own[i].value.tensor().clone();
    own[i].value.tensor().copy_from(state_[i].value.tensor());
    state_[i].value.tensor().copy_from(before);
  }
}

void Ema::restore(const Module& averages, int64_t steps) {
  const auto own = matching(averages, state_);
  for (size_t i = 0; i < own.size(); ++i) state_[i].value.tensor().copy_from(own[i].value.tensor());
  steps_ = steps;
}

}  // namespace sinter::nn
