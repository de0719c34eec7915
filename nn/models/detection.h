#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "../../core/tensor.h"

namespace sinter::nn {

/// Something that a detector sees.
struct Detection {
  int64_t image = 0;  ///< of the batch
  int64_t label = 0;
  double score = 0;            ///< 0..1
  std::array<float, 4> box{};  ///< x1, y1, x2, y2 in pixels
};

/// What a Detector's six outputs are trained with, one number: the focal loss of the classes, GIoU of the boxes, and
/// binary cross-entropy of the centres, each over the number of places that belong to a thing (FCOS, equation 2).
/// Places in the middle of a box belong to it, the smallest where several overlap; boxes of at most 28 pixels are for
/// level 0, others for level 1. By image: `boxes` float32 [n,4], x1, y1, x2, y2 in pixels, `labels` int64 [n].
/// Throws Error for other shapes, and for a label that is no class.
Tensor detection_loss(std::span<const Tensor> outputs, const std::vector<Tensor>& boxes,
                      const std::vector<Tensor>& labels);

struct DecodeOptions {
  double score = 0.05;  ///< of a class: what is below is not looked at
  double iou = 0.5;     ///< of two boxes of one class that overlap more, the one of the higher score stays
  int64_t most = 100;   ///< detections of an image
};

/// One level of a detector's results as `decode` reads it: which class logits are high enough, by element of [N,H,W,C],
/// and the real numbers of single elements. So no other needs to be made from an integer.
struct DetectionLevel {
  Shape classes;  ///< [N,H,W,C]
  std::vector<int64_t> survivors;
  std::function<float(int64_t element)> logit, box, centre;
};

/// Detections by image and falling score, sigmoid(logit) sigmoid(centre) under the root. Overlaps are compared in
/// integers, sixteenths of a pixel: the same on every machine.
std::vector<Detection> decode(std::span<const DetectionLevel> levels, const DecodeOptions& options = {});
/// The same of a Detector's six outputs in float32.
std::vector<Detection> decode(std::span<const Tensor> outputs, const DecodeOptions& options = {});

/// The logit of a probability.
double logit(double probability);

}  // namespace sinter::nn
