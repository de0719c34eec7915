#include "mean_iou.h"

namespace sinter::nn {

Measured MeanIoU::measured() const {
  Measured found;
  const std::string& own = confusion_.options().name;
  const std::string name = own.empty() ? "miou" : own;
  add_per_class(
      confusion_, name, name + "_per_class",
      [](const Confusion::Of& of, int64_t) {
        return static_cast<double>(of.right) / static_cast<double>(of.right + of.wrongly + of.missed);
      },
      found);
  return found;
}

}  // namespace sinter::nn
