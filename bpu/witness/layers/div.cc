#include "../layer.h"

namespace sinter::bpu::witness {

// Times the reciprocals, which is what the second operand is.
const Twin& div_twin() {
  static const Product twin;
  return twin;
}

}  // namespace sinter::bpu::witness
