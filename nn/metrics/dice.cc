#include "dice.h"

namespace sinter::nn {

Measured Dice::measured() const {
  Measured found;
  const std::string& own = confusion_.options().name;
  const std::string name = own.empty() ? "dice" : own;
  add_per_class(
      confusion_, name, name + "_per_class",
      [](const Confusion::Of& of, int64_t) {
        return static_cast<double>(2 * of.right) / static_cast<double>(2 * of.right + of.wrongly + of.missed);
      },
      found);
  return found;
}

}  // namespace sinter::nn
