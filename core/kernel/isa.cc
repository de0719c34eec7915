#include "isa.h"

#include <oneapi/dnnl/dnnl.hpp>

namespace sinter::onednn {

namespace {

bool has(dnnl::cpu_isa wanted) {
  const auto bits = static_cast<int>(wanted);
  return (static_cast<int>(dnnl::get_effective_cpu_isa()) & bits) == bits;
}

}  // namespace

Isa isa() {
  static const Isa chosen = has(dnnl::cpu_isa::avx512_core) ? Isa::avx512
                            : has(dnnl::cpu_isa::avx2)      ? Isa::avx2
                                                            : Isa::baseline;
  return chosen;
}

bool has_vnni() {
  static const bool vnni = has(dnnl::cpu_isa::avx512_core_vnni);
  return vnni;
}

}  // namespace sinter::onednn
