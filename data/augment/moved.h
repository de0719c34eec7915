#pragma once
// Private: pictures whose pixels move, and what belongs to them.

#include <array>
#include <string_view>

#include "../augment.h"

namespace sinter::data {

/// From a point (x, y) of the result to the point of the picture that is seen there, both in pixels counted from the
/// edges: pixel (row, column) is around (column + 0.5, row + 0.5).
struct Affine {
  double xx = 1, xy = 0, x0 = 0;
  double yx = 0, yy = 1, y0 = 0;

  std::array<double, 2> at(double x, double y) const { return {xx * x + xy * y + x0, yx * x + yy * y + y0}; }
  Affine inverse() const;
};

/// Sides of a sample's image. Throws Error, starting with the augmentation's name, unless that is float32 [1,H,W,C].
struct Sides {
  int64_t height, width, channels;
};
Sides sides_of(const Sample& sample, std::string_view augmentation);

/// The image's memory, of the sample alone.
float* own_pixels(Sample& sample);

/// All that belongs to a picture of these sides, as it is when it moves into one of height x width: masks from the
/// nearest pixel, boxes clipped or dropped with what belongs to them.
void move_targets(Sample& sample, const AugmentContext& context, const Sides& from, const Affine& seen, int64_t height,
                  int64_t width);
/// And the image, bilinear between pixels, black beyond them: exact where pixels come to lie on pixels.
void move(Sample& sample, const AugmentContext& context, std::string_view augmentation, const Affine& seen,
          int64_t height, int64_t width);

/// Whether a target or list of this name is a mask.
bool is_mask(std::string_view name);
/// Whether a list has a row for every box.
bool is_of_boxes(std::string_view name);

/// Throws Error unless 0 <= probability <= 1.
void check_probability(std::string_view augmentation, double probability);
/// Uniform in low..high.
double between(Random& random, double low, double high);

}  // namespace sinter::data
