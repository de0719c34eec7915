#pragma once
// Private: a row of one value a channel, repeated until loops over it are long.

#include <algorithm>
#include <cstdint>
#include <vector>

namespace sinter {

template <class T>
class Repeated {
 public:
  /// `count` values beside every `count` values of a tensor, which has none where the row has none.
  template <class U>
  Repeated(const U* row, int64_t count) {
    constexpr int64_t kAtLeast = 1 << 10;
    const int64_t times = (kAtLeast + count) / std::max<int64_t>(count, 1);
    values_.reserve(static_cast<size_t>(times * count));
    for (int64_t i = 0; i < times; ++i) values_.insert(values_.end(), row, row + count);
  }

  const T* data() const { return values_.data(); }
  int64_t size() const { return static_cast<int64_t>(values_.size()); }

  /// f(begin, count, values of the row beside those of a tensor from `begin` on) for ranges that cover begin..end-1.
  template <class F>
  void each(int64_t begin, int64_t end, const F& f) const {
    while (begin < end) {
      const int64_t first = begin % size(), count = std::min(size() - first, end - begin);
      f(begin, count, data() + first);
      begin += count;
    }
  }

 private:
  std::vector<T> values_;
};

}  // namespace sinter
