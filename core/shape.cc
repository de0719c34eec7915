#include "shape.h"

#include <algorithm>

#include "error.h"

namespace sinter {

Shape::Shape(std::initializer_list<int64_t> sizes) : Shape(std::span<const int64_t>(sizes.begin(), sizes.size())) {}

Shape::Shape(std::span<const int64_t> sizes) {
  check(sizes.size() <= kMaxRank, "shape: ", sizes.size(), " axes, at most ", kMaxRank, " are supported");
  rank_ = static_cast<int>(sizes.size());
  int64_t product = 1;
  for (size_t i = 0; i < sizes.size(); ++i) {
    check(sizes[i] >= 0, "shape: axis ", i, " has size ", sizes[i], ", expected at least 0");
    sizes_[i] = sizes[i];
    check(!__builtin_mul_overflow(product, std::max<int64_t>(sizes[i], 1), &product) && product <= (int64_t{1} << 62),
          "shape: more than 2^62 elements");
  }
}

int64_t Shape::operator[](int axis) const { return sizes_[normalize_axis(axis, rank_, "shape")]; }

int64_t Shape::elements() const {
  int64_t product = 1;
  for (const int64_t size : *this) product *= size;
  return product;
}

Shape Shape::with(int axis, int64_t size) const {
  Shape changed = *this;
  changed.sizes_[normalize_axis(axis, rank_, "shape")] = size;
  return Shape(std::span<const int64_t>(changed.begin(), changed.end()));
}

bool Shape::operator==(const Shape& other) const { return std::equal(begin(), end(), other.begin(), other.end()); }

std::string to_string(const Shape& shape) {
  std::string out = "[";
  for (const int64_t size : shape) {
    if (out.size() > 1) out += ',';
    out += std::to_string(size);
  }
  return out + ']';
}

int normalize_axis(int64_t axis, int rank, const char* what) {
  check(axis >= -rank && axis < rank, what, ": axis ", axis, " is out of range for ", rank, " axes");
  return static_cast<int>(axis < 0 ? axis + rank : axis);
}

}  // namespace sinter
