#pragma once

#include "../op.h"
#include "window.h"

namespace sinter {

struct ConvTransposeAttributes {
  Pair stride{1};
  Pair padding{0};         ///< so much is cut off both sides of the result
  Pair output_padding{0};  ///< so much is added at its bottom and right; less than the stride
  Pair dilation{1};
  int64_t groups = 1;
};
SINTER_FIELDS(ConvTransposeAttributes, stride, padding, output_padding, dilation, groups)

namespace ops {

/// Transposed convolution: every input value adds its multiple of the kernel to the output, `stride` apart. It is the
/// gradient of a convolution of these attributes with respect to that one's input, as PyTorch's conv_transpose2d.
/// x [N,H,W,I], weight [O,KH,KW,I/groups], optional bias [O], float32; y [N,OH,OW,O] with
/// OH = (H - 1) stride - 2 padding + dilation (KH - 1) + output_padding + 1.
/// The weight's first axis is the output channel, as everywhere; PyTorch's is [I,O/groups,KH,KW].
struct ConvTranspose2d final : OpWith<ConvTransposeAttributes> {
  using OpWith::OpWith;
  std::string_view name() const override { return "conv_transpose2d"; }
  Specs infer(std::span<const Spec> x) const override;
  void forward(Inputs x, Outputs y, Context& context) const override;
  void backward(const Context& context, Outputs dy, Gradients& dx) const override;
  int64_t macs(std::span<const Spec> x) const override;
};

}  // namespace ops

/// See ops::ConvTranspose2d; an undefined bias is none.
Tensor conv_transpose2d(const Tensor& x, const Tensor& weight, const Tensor& bias = {},
                        const ConvTransposeAttributes& attributes = {});

}  // namespace sinter
