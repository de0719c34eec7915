#pragma once
// Private: keeping oneDNN to the calling thread.

#include <omp.h>

namespace sinter::onednn {

/// While alive, oneDNN uses the calling thread alone: in what it makes and in what it runs.
class OneThread {
 public:
  OneThread() { omp_set_num_threads(1); }
  ~OneThread() { omp_set_num_threads(before_); }
  OneThread(const OneThread&) = delete;
  OneThread& operator=(const OneThread&) = delete;

 private:
  int before_ = omp_get_max_threads();
};

}  // namespace sinter::onednn
