#include "per_class.h"

namespace sinter::nn {

namespace {

// What has nothing to be a share of is 0: a class that occurs, but is never predicted, has a precision of 0.
double share(int64_t part, int64_t whole) {
  return whole == 0 ? 0 : static_cast<double>(part) / static_cast<double>(whole);
}

}  // namespace

Measured PerClass::measured() const {
  Measured found;
  const auto add = [&](const char* what, auto value) {
    const std::string name = confusion_.options().name + what;
    add_per_class(confusion_, name, name + "_per_class", value, found);
  };
  add("precision", [](const Confusion::Of& of, int64_t) { return share(of.right, of.right + of.wrongly); });
  add("recall", [](const Confusion::Of& of, int64_t) { return share(of.right, of.right + of.missed); });
  add("class_accuracy",
      [](const Confusion::Of& of, int64_t rows) { return share(rows - of.wrongly - of.missed, rows); });
  return found;
}

}  // namespace sinter::nn
