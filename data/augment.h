#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "../core/random.h"

namespace sinter::data {

/// An image to be changed in place: values [height, width, channels].
struct Image {
  float* values;
  int64_t height, width, channels;
  const float* black;  ///< [channels]: what a black pixel is after normalisation
};

/// Changes an image at random. It draws only from `random`, which a loader derives from its seed, the epoch and the
/// image's index, and is called from the loader's threads at once.
using Augmentation = std::function<void(const Image& image, Random& random)>;

/// Pads with black by `padding` pixels on every side and cuts the original size out at a random place: shifts by
/// -padding..padding in both directions.
Augmentation pad_crop(int64_t padding);

/// Mirrors left and right with the given probability.
Augmentation horizontal_flip(double probability = 0.5);

}  // namespace sinter::data
