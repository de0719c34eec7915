#pragma once
// Private: kernels compiled once per instruction set. A kernel source defines one table of function pointers, named
// by SINTER_KERNELS(name); this header's accessor picks the table for this machine.
// Such sources call nothing inline from the standard library: the linker could pick that copy for the whole program.

namespace sinter::onednn {

/// What kernels of our own may use; follows oneDNN's choice, so that ONEDNN_MAX_CPU_ISA switches both.
enum class Isa { baseline, avx2, avx512 };
Isa isa();
/// Whether oneDNN's int8 kernels accumulate u8 x s8 exactly in 32 bits.
bool has_vnni();

}  // namespace sinter::onednn

#define SINTER_JOIN_(a, b) a##_##b
#define SINTER_JOIN(a, b) SINTER_JOIN_(a, b)
/// In a kernel source: the name of its table for the instruction set that it is being compiled for.
#define SINTER_KERNELS(name) SINTER_JOIN(name, SINTER_ISA)

#if defined(__x86_64__)
#define SINTER_DECLARE_KERNELS(Table, name)                       \
  extern const Table name##_baseline, name##_avx2, name##_avx512; \
  inline const Table& name() {                                    \
    switch (::sinter::onednn::isa()) {                            \
      case ::sinter::onednn::Isa::avx512:                         \
        return name##_avx512;                                     \
      case ::sinter::onednn::Isa::avx2:                           \
        return name##_avx2;                                       \
      default:                                                    \
        return name##_baseline;                                   \
    }                                                             \
  }
#else
#define SINTER_DECLARE_KERNELS(Table, name) \
  extern const Table name##_baseline;       \
  inline const Table& name() { return name##_baseline; }
#endif
