#pragma once
// Private: what the options of Conv2d and ConvTranspose2d must fulfil.

#include "../../core/ops/window.h"

namespace sinter::nn {

template <class Options>
void check_conv_options(std::string_view layer, const Options& o) {
  const auto at_least = [layer](const char* what, const Pair& value, int64_t least) {
    check(value.h >= least && value.w >= least, layer, ": ", what, " is ", value, ", expected at least ", least);
  };
  at_least("kernel", o.kernel, 1);
  at_least("stride", o.stride, 1);
  at_least("padding", o.padding, 0);
  at_least("dilation", o.dilation, 1);
  check(o.in >= 1 && o.out >= 1, layer, ": it has ", o.in.value(), " input and ", o.out.value(),
        " output channels, expected at least 1 of each");
  check(o.groups >= 1 && o.in % o.groups == 0 && o.out % o.groups == 0, layer, ": ", o.groups, " groups do not divide ",
        o.in.value(), " input and ", o.out.value(), " output channels");
}

}  // namespace sinter::nn
