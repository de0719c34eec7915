#pragma once

#include "../op.h"
#include "../required.h"

namespace sinter {

/// Height and width of a kernel, a stride, ...; one number is both.
struct Pair {
  int64_t h = 1, w = 1;
  Pair() = default;
  Pair(int64_t both) : h(both), w(both) {}
  Pair(int64_t height, int64_t width) : h(height), w(width) {}
  bool operator==(const Pair&) const = default;
};
/// `2x3`
std::string to_string(const Pair& pair);

namespace detail {
void append_field(std::vector<Field>& out, std::string_view name, const Pair& value);  // as [h,w]
void assign_field(std::span<const Field> fields, std::string_view name, Pair& value);
void assign_field(std::span<const Field> fields, std::string_view name, Required<Pair>& value);
}  // namespace detail

/// Windows along one axis: (size + 2 padding - dilation (kernel - 1) - 1) / stride + 1, rounded down, or up with
/// `ceil_mode`, where the last window must start inside the input or its left padding (as PyTorch). 0 or less where
/// none fits.
int64_t window_output(int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode);

}  // namespace sinter
