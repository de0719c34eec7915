#include "../../../core/ops/window.h"

#include "../../support.h"

using namespace sinter;

namespace {

// Windows counted one by one. Rounding up, one more may hang over the end where the ones before leave something
// unread, if it starts inside the input or its left padding.
int64_t counted(int64_t size, int64_t kernel, int64_t stride, int64_t padding, int64_t dilation, bool ceil_mode) {
  const int64_t end = size + 2 * padding, extent = dilation * (kernel - 1) + 1;
  int64_t windows = 0;
  while (windows * stride + extent <= end) ++windows;
  const int64_t start = windows * stride;
  const bool unread = windows > 0 ? (windows - 1) * stride + extent < end : extent - end < stride;
  if (ceil_mode && unread && start < size + padding) ++windows;
  return windows;
}

}  // namespace

TEST_CASE("windows are as many as one can count") {
  int64_t both = 0;
  for (int64_t size = 1; size <= 9; ++size)
    for (int64_t kernel = 1; kernel <= 4; ++kernel)
      for (int64_t stride = 1; stride <= 4; ++stride)
        for (int64_t dilation = 1; dilation <= 3; ++dilation)
          for (int64_t padding = 0; padding <= kernel / 2; ++padding)
            for (const bool ceil_mode : {false, true}) {
              CAPTURE(size);
              CAPTURE(kernel);
              CAPTURE(stride);
              CAPTURE(dilation);
              CAPTURE(padding);
              CAPTURE(ceil_mode);
              const int64_t expected = counted(size, kernel, stride, padding, dilation, ceil_mode);
              CHECK(window_output(size, kernel, stride, padding, dilation, ceil_mode) == expected);
              both += ceil_mode && expected != counted(size, kernel, stride, padding, dilation, false);
            }
  CHECK(both > 100);
}

TEST_CASE("pairs are one number for both axes, or two") {
  CHECK(Pair(3) == Pair(3, 3));
  CHECK(!(Pair(3) == Pair(3, 2)));
  CHECK(to_string(Pair(2, 3)) == "2x3");
  std::vector<Field> fields;
  detail::append_field(fields, "stride", Pair(2, 3));
  CHECK(to_string(fields.at(0)) == "stride=[2,3]");
}
