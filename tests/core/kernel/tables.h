#pragma once

#include <vector>

#include "../../../core/kernel/isa.h"

namespace sinter::test {

/// Those of the tables that this machine, and ONEDNN_MAX_CPU_ISA, can run.
template <class Table>
std::vector<const Table*> runnable(const Table& avx2, const Table& avx512) {
  std::vector<const Table*> tables;
  if (onednn::isa() >= onednn::Isa::avx2) tables.push_back(&avx2);
  if (onednn::isa() >= onednn::Isa::avx512) tables.push_back(&avx512);
  return tables;
}

}  // namespace sinter::test

/// The tables of SINTER_DECLARE_KERNELS(Table, name) besides the baseline's.
#if defined(__x86_64__)
#define RUNNABLE_TABLES(Table, name) ::sinter::test::runnable(name##_avx2, name##_avx512)
#else
#define RUNNABLE_TABLES(Table, name) std::vector<const Table*>()
#endif
