#pragma once
// Private: keeping oneDNN to the calling thread.

// OpenMP's, of whichever library runs oneDNN's threads; its header is not every compiler's.
extern "C" int omp_get_max_threads();
extern "C" void omp_set_num_threads(int);

namespace sinter::onednn {

/// While alive, oneDNN uses the calling thread alone: in what it makes and in what it runs. The pool's threads are all
/// the threads that there are; a second team would wait for cores that the first one has.
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
