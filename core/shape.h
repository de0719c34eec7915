#pragma once

#include <array>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>

namespace sinter {

/// The sizes of a tensor's axes, outermost first. Images are [N,H,W,C].
class Shape {
 public:
  static constexpr int kMaxRank = 6;

  Shape() = default;
  /// Throws Error for a negative size, more than kMaxRank axes, or more than 2^62 elements.
  Shape(std::initializer_list<int64_t> sizes);
  explicit Shape(std::span<const int64_t> sizes);

  int rank() const { return rank_; }
  /// Size of an axis; negative axes count from the last. Throws Error when there is no such axis.
  int64_t operator[](int axis) const;
  int64_t elements() const;
  const int64_t* begin() const { return sizes_.data(); }
  const int64_t* end() const { return sizes_.data() + rank_; }

  /// This shape with one axis changed.
  Shape with(int axis, int64_t size) const;

  bool operator==(const Shape& other) const;

 private:
  std::array<int64_t, kMaxRank> sizes_{};
  int rank_ = 0;
};

/// `[2,3,4]`
std::string to_string(const Shape& shape);

/// The axis counted from the front; throws Error with `what` when it is outside [-rank, rank).
int normalize_axis(int64_t axis, int rank, const char* what);

}  // namespace sinter
