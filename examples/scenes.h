#pragma once
// Pictures of several things, made of Fashion-MNIST's images: for segmentation and detection.

#include <sinter/sinter.h>

#include <string_view>

namespace sinter::examples {

struct SceneOptions {
  int64_t size = 64;                   ///< pixels, of either side
  int64_t least = 2, most = 4;         ///< things
  double smallest = 24, largest = 36;  ///< pixels of the 28x28 of a thing
  uint64_t seed = 0;
};

/// As many scenes as the set "train" or "test" has images, grey, [size,size,1]: things of ten classes before textures,
/// gradients and clutter. Scene i has image i and some others of the same set; which, where and before what depends on
/// the seed, the set and i alone. Things hide little of each other.
///
/// The target "mask", int64 [size,size], is 0 for the background and 1 + the class else; the lists "boxes", float32
/// [n,4], x1, y1, x2, y2 in pixels, and "classes", int64 [n], have the things from back to front.
class Scenes final : public data::Dataset {
 public:
  Scenes(std::string_view split, const SceneOptions& options = {});

  int64_t size() const override { return count_; }
  Shape image_shape() const override { return {options_.size, options_.size, 1}; }
  data::Sample sample(int64_t index) const override;
  /// Of the things; a mask has the background before them.
  std::vector<std::string> classes() const override { return images_.classes(); }

  /// The first `count` scenes, or all when there are fewer.
  Scenes take(int64_t count) const;

 private:
  data::ImageDataset images_;
  SceneOptions options_;
  uint64_t stream_;
  int64_t count_;
};

}  // namespace sinter::examples
