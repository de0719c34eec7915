#pragma once

#include "../layers/batch_norm2d.h"
#include "../layers/conv2d.h"
#include "../layers/conv_transpose2d.h"

namespace sinter::nn {

struct UNetOptions {
  int64_t in_channels = 1;
  int64_t classes = 11;                            ///< the background is one
  std::vector<int64_t> channels{16, 32, 64, 128};  ///< of each size of the image, each half as large as the one before
  std::vector<std::string> up{"bilinear", "transposed", "transposed"};  ///< how each size is made from the next smaller
};

/// Two 3x3 convolutions, each with batch normalisation and ReLU.
struct DoubleConv : Module {
  Conv2d conv1;
  BatchNorm2d bn1;
  Conv2d conv2;
  BatchNorm2d bn2;
  SINTER_CHILDREN(conv1, bn1, conv2, bn2)

  struct Options {
    Required<int64_t> in, out;  ///< channels
  };
  DoubleConv(Options options);
  Tensor forward(const Tensor& x) const override;
};

/// Twice the size: a transposed convolution, or bilinear with a 1x1 convolution before it, which leaves as many
/// channels as the larger image has, and then both images together through a DoubleConv.
struct UNetUp : Module {
  std::optional<ConvTranspose2d> transposed;
  std::optional<Conv2d> narrow;
  BatchNorm2d bn;
  DoubleConv body;
  SINTER_CHILDREN(transposed, narrow, bn, body)

  struct Options {
    Required<int64_t> in, out;  ///< channels of the smaller and of the larger image
    std::string up = "transposed";
  };
  /// Throws Error for another way up than "transposed" and "bilinear".
  UNetUp(Options options);
  /// The smaller image, [N,H,W,in], and the larger one, [N,2H,2W,out].
  Tensor operator()(const Tensor& small, const Tensor& large) const;
  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override;
};

/// A class for every pixel (Ronneberger et al., 1505.04597), with padded convolutions and batch normalisation, so that
/// the result has the image's size.
struct UNet : Module {
  std::vector<DoubleConv> down;
  std::vector<UNetUp> up;  ///< the largest image first
  Conv2d head;
  SINTER_CHILDREN(down, up, head)

  /// Throws Error unless there is one way up less than sizes.
  UNet(const UNetOptions& options = {});
  /// [N,H,W,in_channels] to logits [N,H,W,classes]; H and W are multiples of 2^(sizes - 1).
  Tensor forward(const Tensor& x) const override;
};

}  // namespace sinter::nn
