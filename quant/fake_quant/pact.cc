#include "pact.h"

#include <algorithm>
#include <cmath>

namespace sinter::quant {

void Pact::validate() const {
  check(std::isfinite(alpha) && alpha >= double{kMinScale}, "pact: keyword 'alpha' is ", alpha,
        ", expected at least 2^-23 and finite");
}

double Pact::start(const LearnedStart& from) const {
  if (from.weights) return std::max(from.max_abs, double{kMinScale});
  return from.reach ? std::max(static_cast<double>(*from.reach), double{kMinScale}) : alpha;
}

float Pact::scale(float learned, const Bounds& bounds) const { return learned / static_cast<float>(bounds.high); }

void Pact::slopes(const float* v, int64_t count, const Bounds& bounds, Rounding, float* out) const {
  const auto low = static_cast<float>(bounds.low), high = static_cast<float>(bounds.high);
  for (int64_t i = 0; i < count; ++i) out[i] = v[i] >= high ? 1.0f : v[i] <= low && low < 0 ? -1.0f : 0.0f;
}

}  // namespace sinter::quant
