#include "channel_shuffle.h"

#include "../../core/ops/permute.h"
#include "../../core/ops/reshape.h"

namespace sinter::nn {

ChannelShuffle::ChannelShuffle(int64_t count) : groups(count) {
  check(groups >= 1, "ChannelShuffle: groups is ", groups, ", expected at least 1");
}

Tensor ChannelShuffle::forward(const Tensor& x) const {
  check(x.rank() == 4 && x.size(3) % groups == 0, "ChannelShuffle: input is ", x.shape(),
        ", expected [N,H,W,C] with C a multiple of ", groups);
  const int64_t channels = x.size(3);
  return reshape(permute(reshape(x, {0, 0, 0, groups, channels / groups}), {0, 1, 2, 4, 3}), {0, 0, 0, channels});
}

std::string ChannelShuffle::title() const { return text("ChannelShuffle(groups=", groups, ')'); }

}  // namespace sinter::nn
