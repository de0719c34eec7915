#include "confusion_matrix.h"

#include <algorithm>
#include <limits>
#include <numeric>

namespace sinter::nn {

void Confusion::add(const Outputs& outputs, const data::Batch& batch, const char* what) {
  const Tensor& logits = detail::output_of(outputs, options_.output, what);
  const Tensor& target = detail::target_of(batch, options_.target);
  const bool binary = logits.rank() >= 1 && logits.size(-1) == 1;
  const int64_t classes = binary ? 2 : logits.rank() == 0 ? 0 : logits.size(-1);
  if (counts_.empty()) {
    classes_ = classes;
    counts_.assign(static_cast<size_t>(classes * classes), 0);
  }
  check(classes == classes_, what, ": there are ", classes, " classes, there were ", classes_);
  if (binary) {
    check(target.defined() && target.dtype() == DType::int64 && target.elements() == logits.elements(), what,
          ": labels are ", target.spec(), ", expected int64, one for each of the logits ", logits.shape());
    for (int64_t row = 0; row < logits.elements(); ++row) {
      const int64_t label = target.data<int64_t>()[row];
      if (label == options_.ignore_index) continue;
      check(label == 0 || label == 1, what, ": label ", label, " is neither 0 nor 1, but there is one logit");
      ++counts_[static_cast<size_t>(2 * label + (logits.data<float>()[row] > 0 ? 1 : 0))];
    }
    return;
  }
  const detail::Labels labels(logits, target, options_.ignore_index, what);
  for (int64_t row = 0; row < labels.rows(); ++row)
    if (const int64_t label = labels[row]; label >= 0)
      ++counts_[static_cast<size_t>(label * classes_ + labels.predicted(row))];
}

int64_t Confusion::rows() const { return std::accumulate(counts_.begin(), counts_.end(), int64_t{0}); }

Confusion::Of Confusion::of(int64_t cls) const {
  Of of;
  for (int64_t other = 0; other < classes_; ++other) {
    if (other == cls) continue;
    of.wrongly += count(other, cls);
    of.missed += count(cls, other);
  }
  of.right = count(cls, cls);
  return of;
}

void add_per_class(const Confusion& confusion, const std::string& number, const std::string& table,
                   double (*value)(const Confusion::Of&, int64_t rows), Measured& measured) {
  constexpr double kNone = std::numeric_limits<double>::quiet_NaN();
  double sum = 0;
  int64_t occurring = 0;
  std::vector<float> values;
  for (int64_t c = 0; c < (confusion.rows() == 0 ? 0 : confusion.classes()); ++c) {
    const Confusion::Of of = confusion.of(c);
    const double found = of.occurs() ? value(of, confusion.rows()) : kNone;
    values.push_back(static_cast<float>(found));
    if (!of.occurs()) continue;
    sum += found;
    ++occurring;
  }
  measured.numbers[number] = occurring == 0 ? kNone : sum / static_cast<double>(occurring);
  measured.tables[table] = Tensor::from<float>({static_cast<int64_t>(values.size())}, values);
}

Measured ConfusionMatrix::measured() const {
  const int64_t classes = confusion_.rows() == 0 ? 0 : confusion_.classes();
  Tensor table = Tensor::zeros({classes, classes}, DType::int64);
  for (int64_t label = 0; label < classes; ++label)
    for (int64_t predicted = 0; predicted < classes; ++predicted)
      table.mutable_data<int64_t>()[label * classes + predicted] = confusion_.count(label, predicted);
  const std::string& name = confusion_.options().name;
  Measured found;
  found.tables.emplace(name.empty() ? "confusion" : name, std::move(table));
  return found;
}

}  // namespace sinter::nn
