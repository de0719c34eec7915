#pragma once

#include <array>

#include "../layers/basic_block.h"

namespace sinter::nn {

struct DetectorOptions {
  int64_t in_channels = 1;
  int64_t classes = 10;
  int64_t channels = 16;  ///< of the first stage; the next have 2, 4 and 8 times as many
};

/// What is read at every place of an image: a score for each class, a box, and how near the place is to its middle.
/// Without batch normalisation, as images of several sizes go through the same layers.
struct DetectionHead : Module {
  Conv2d class_tower, box_tower, classes, box, centre;
  SINTER_CHILDREN(class_tower, box_tower, classes, box, centre)

  struct Options {
    Required<int64_t> in;  ///< channels
    Required<int64_t> classes;
  };
  DetectionHead(Options options);
  /// [N,H,W,in] to logits [N,H,W,classes], the logarithms of four distances [N,H,W,4], and one more logit [N,H,W,1].
  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override;
};

/// A small one-stage detector without anchors (Tian et al., FCOS, 1904.01355): residual stages, of which the last two,
/// the smaller one added to the larger, give what one head reads.
struct Detector : Module {
  /// Pixels from one place to the next, of the two levels.
  static constexpr std::array<int64_t, 2> kStrides{4, 8};

  Conv2d stem;
  BatchNorm2d bn;
  std::vector<BasicBlock> body;  ///< halves the image at every second one
  Conv2d large, small;           ///< of the last two stages, to one number of channels
  DetectionHead head;
  SINTER_CHILDREN(stem, bn, body, large, small, head)

  Detector(const DetectorOptions& options = {});
  /// [N,H,W,in_channels], H and W multiples of 8, to what the head says of level 0, then of level 1: six results, class
  /// logits, box, centre, and the same again. Place (y,x) of level l is the pixel ((x + 0.5) kStrides[l], (y + 0.5)
  /// kStrides[l]); from there to the box's left, top, right and bottom it is exp(box) kStrides[l].
  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override;
};

}  // namespace sinter::nn
