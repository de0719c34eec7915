#include "../layer.h"

namespace sinter::bpu::witness {

namespace {

class Reshape final : public Twin {
 public:
  Plain run(const Site&, const std::vector<const Plain*>& in, const Shape& shape) const override {
    return {shape, in[0]->values};
  }
  bool passes() const override { return true; }
};

}  // namespace

const Twin& reshape_twin() {
  static const Reshape twin;
  return twin;
}

}  // namespace sinter::bpu::witness
