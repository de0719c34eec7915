#include "one_hot.h"

#include <algorithm>

namespace sinter {

namespace ops {

OneHot::OneHot(const OneHotAttributes& a) : OpWith(a) {
  check(a.classes >= 1, "one_hot: classes is ", a.classes, ", expected at least 1");
}

Specs OneHot::infer(std::span<const Spec> x) const {
  check(x.size() == 1, "one_hot: got ", x.size(), " inputs, expected 1");
  check(x[0].dtype == DType::int64, "one_hot: labels are ", x[0], ", expected int64");
  std::vector<int64_t> sizes(x[0].shape.begin(), x[0].shape.end());
  sizes.push_back(attributes.classes);
  return {{DType::float32, Shape(sizes)}};
}

void OneHot::forward(Inputs x, Outputs y, Context&) const {
  const int64_t classes = attributes.classes;
  float* out = y[0].mutable_data<float>();
  std::fill_n(out, y[0].elements(), 0.0f);
  for (const int64_t label : x[0].values<int64_t>()) {
    check(label >= 0 && label < classes, "one_hot: label ", label, ", expected 0..", classes - 1);
    out[label] = 1;
    out += classes;
  }
}

}  // namespace ops

Tensor one_hot(const Tensor& labels, const OneHotAttributes& attributes) {
  return call(ops::OneHot{attributes}, labels);
}

}  // namespace sinter
