#include "../layer.h"

namespace sinter::bpu::witness {

const Twin& mul_twin() {
  static const Product twin;
  return twin;
}

}  // namespace sinter::bpu::witness
