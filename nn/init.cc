#include "init.h"

#include <cmath>

#include "../core/random.h"

namespace sinter::nn::init {

namespace {

void normal(Tensor& weight, double std) { weight.copy_from(Tensor::normal(weight.shape(), default_random(), std)); }

double kaiming_std(const Tensor& weight, const KaimingOptions& options) {
  const auto [in, out] = fans(weight.shape());
  return options.gain / std::sqrt(static_cast<double>(options.fan == Fan::in ? in : out));
}

double xavier_std(const Tensor& weight, const XavierOptions& options) {
  const auto [in, out] = fans(weight.shape());
  return options.gain * std::sqrt(2.0 / static_cast<double>(in + out));
}

const double kBoundOfStd = std::sqrt(3.0);  // the standard deviation of [-b, b) is b / sqrt(3)

}  // namespace

Fans fans(const Shape& weight) {
  check(weight.rank() == 2 || weight.rank() == 4, "init: weight is ", weight,
        ", expected [out,in] or [out,kh,kw,in/groups]");
  const int64_t window = weight.rank() == 4 ? weight[1] * weight[2] : 1;
  return {window * weight[-1], window * weight[0]};
}

void kaiming_normal(Tensor weight, const KaimingOptions& options) { normal(weight, kaiming_std(weight, options)); }

void kaiming_uniform(Tensor weight, const KaimingOptions& options) {
  uniform(weight, kBoundOfStd * kaiming_std(weight, options));
}

void xavier_normal(Tensor weight, const XavierOptions& options) { normal(weight, xavier_std(weight, options)); }

void xavier_uniform(Tensor weight, const XavierOptions& options) {
  uniform(weight, kBoundOfStd * xavier_std(weight, options));
}

void uniform(Tensor values, double bound) {
  values.copy_from(Tensor::uniform(values.shape(), default_random(), -bound, bound));
}

void constant(Tensor values, double value) { values.copy_from(Tensor::full(values.shape(), value, values.dtype())); }

}  // namespace sinter::nn::init
