#include "against_teacher.h"

#include <algorithm>
#include <cmath>
#include <limits>

namespace sinter::nn {

AgainstTeacher::AgainstTeacher(const Module& teacher, AgainstTeacherOptions options)
    : AgainstTeacher(Teacher([&teacher](std::span<const Tensor> x) -> std::vector<Tensor> {
                       const NoGrad no_grad;
                       const ModeOverride module_mode(false);
                       const TrainingMode graph_mode(false);
                       return teacher(x);
                     }),
                     std::move(options)) {}

AgainstTeacher::AgainstTeacher(Teacher teacher, AgainstTeacherOptions options)
    : teacher_(std::move(teacher)), options_(std::move(options)) {
  check(teacher_ != nullptr, "against teacher: there is no teacher");
}

void AgainstTeacher::reset() {
  signal_ = power_ = product_ = noise_ = 0;
  rows_ = agreeing_ = 0;
}

void AgainstTeacher::add(const Outputs& outputs, const data::Batch& batch) {
  const Outputs expected(teacher_(options_.inputs(batch)));
  check(options_.output >= 0 || expected.size() == outputs.size(), "against teacher: the network has ", outputs.size(),
        " outputs, the teacher ", expected.size(), "; say which `.output` is meant");
  const int64_t first = std::max<int64_t>(options_.output, 0);
  const int64_t end = options_.output < 0 ? std::ssize(outputs) : first + 1;
  for (int64_t i = first; i < end; ++i) {
    const Tensor &x = detail::output_of(expected, i, "against teacher"),
                 &y = detail::output_of(outputs, i, "against teacher");
    check(x.shape() == y.shape(), "against teacher: output ", i, " is ", y.shape(), ", the teacher's ", x.shape());
    const auto a = x.values<float>(), b = y.values<float>();
    for (size_t k = 0; k < a.size(); ++k) {
      const auto u = static_cast<double>(a[k]), v = static_cast<double>(b[k]);
      signal_ += u * u;
      power_ += v * v;
      product_ += u * v;
      noise_ += (v - u) * (v - u);
    }
    const int64_t each = x.rank() == 0 ? 1 : x.size(-1);
    for (int64_t row = 0; each > 0 && row < x.elements() / each; ++row) {
      const auto largest = [&](std::span<const float> values) {
        const auto begin = values.begin() + row * each;
        return std::max_element(begin, begin + each) - begin;
      };
      agreeing_ += largest(a) == largest(b);
      ++rows_;
    }
  }
}

Measured AgainstTeacher::measured() const {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  const double cosine = signal_ == 0 && power_ == 0   ? 1
                        : signal_ == 0 || power_ == 0 ? 0
                                                      : product_ / std::sqrt(signal_ * power_);
  const double sqnr = noise_ == 0 ? std::numeric_limits<double>::infinity() : 10 * std::log10(signal_ / noise_);
  const std::string& name = options_.name;
  return {.numbers = {{name + "sqnr", rows_ == 0 ? kNone : sqnr},
                      {name + "cosine", rows_ == 0 ? kNone : cosine},
                      {name + "agreement",
                       rows_ == 0 ? kNone : 100 * static_cast<double>(agreeing_) / static_cast<double>(rows_)}}};
}

}  // namespace sinter::nn
