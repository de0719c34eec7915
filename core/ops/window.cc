#include "window.h"

namespace sinter {

std::string to_string(const Pair& pair) { return text(pair.h, "x", pair.w); }

void detail::append_field(std::vector<Field>& out, std::string_view name, const Pair& value) {
  append_field(out, name, std::vector<int64_t>{value.h, value.w});
}

void detail::assign_field(std::span<const Field> fields, std::string_view name, Pair& value) {
  std::vector<int64_t> sizes{value.h, value.w};
  assign_field(fields, name, sizes);
  check(sizes.size() == 2, "attribute ", name, " has ", sizes.size(), " values, expected height and width");
  value = {sizes[0], sizes[1]};
}

void detail::assign_field(std::span<const Field> fields, std::string_view name, Required<Pair>& value) {
  Pair plain = value;
  assign_field(fields, name, plain);
  value = plain;
}

int64_t window_output(int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode) {
  const int64_t room = size + 2 * padding - dilation * (kernel - 1) - 1 + (ceil_mode ? stride - 1 : 0);
  if (room < 0) return 0;
  int64_t windows = room / stride + 1;
  if (ceil_mode && (windows - 1) * stride >= size + padding) --windows;
  return windows;
}

}  // namespace sinter
