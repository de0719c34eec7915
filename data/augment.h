#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "../core/random.h"
#include "dataset.h"
#include "resize.h"

namespace sinter::data {

/// An image to be changed in place: values [height, width, channels].
struct Image {
  float* values;
  int64_t height, width, channels;
  const float* black;  ///< [channels]: what a black pixel is after normalisation
};

/// What an augmentation knows of the image that it changes.
struct AugmentContext {
  Random& random;  ///< of the loader's seed, the epoch and the image's index alone
  int64_t index = 0, epoch = 0;
  std::vector<float> black{}, white{};  ///< [C]: what such pixels are, as the image is normalised now
  int64_t mask_fill = 0;                ///< what a mask is where there is no picture
  const Dataset* dataset = nullptr;

  /// Another image of the dataset, drawn at random, as the dataset gives it.
  Sample other() const;
};

/// Changes a sample at random: the image and, where the image's pixels move, what belongs to them:
/// - a target or list named "mask", or whose name ends in "_mask": [H,W] or [H,W,K] of any type, taken from the nearest
///   pixel, and `mask_fill` where there is no picture;
/// - the list "boxes": float32 [n,4] of x1, y1, x2, y2 in pixels, counted from the picture's edges (0, 0, W, H is all
/// of
///   it). Boxes are clipped to the picture; one of which less than a tenth is left is dropped, and with it its row in
///   the list "classes" ([n]) and in lists whose names begin with "box_" ([n,...]).
/// Everything else stays as it is. It draws only from `context.random`, and is called from the loader's threads at
/// once. Made of any function of (Sample&, AugmentContext&), or of (const Image&, Random&) for the pixels alone.
class Augmentation {
 public:
  Augmentation(std::nullptr_t = nullptr) {}
  template <class F>
  requires std::is_invocable_v<F&, Sample&, AugmentContext&> Augmentation(F f) : change_(std::move(f)) {}
  template <class F>
  requires(!std::is_invocable_v<F&, Sample&, AugmentContext&> && std::is_invocable_v<F&, const Image&, Random&>)
      Augmentation(F f)
      : change_([f = std::move(f)](Sample& sample, AugmentContext& context) mutable {
          f(pixels(sample, context), context.random);
        }) {}

  explicit operator bool() const { return change_ != nullptr; }
  void operator()(Sample& sample, AugmentContext& context) const { change_(sample, context); }

 private:
  static Image pixels(Sample& sample, const AugmentContext& context);
  std::function<void(Sample&, AugmentContext&)> change_;
};

/// Pads with black by `padding` pixels on every side and cuts the original size out at a random place: shifts by
/// -padding..padding in both directions.
Augmentation pad_crop(int64_t padding);

/// Mirrors left and right, or top and bottom, with the given probability.
Augmentation horizontal_flip(double probability = 0.5);
Augmentation vertical_flip(double probability = 0.5);

struct CropOptions {
  int64_t height = 0, width = 0;
};
/// Cuts a part of this size out at a random place, or out of the middle; what is smaller is padded with black.
Augmentation random_crop(const CropOptions& options);
Augmentation center_crop(const CropOptions& options);

/// To this size, whatever the proportions (see resize.h for the modes).
Augmentation resize_to(const ResizeImageOptions& options);

struct LetterboxOptions {
  int64_t height = 0, width = 0;
  std::string mode = "bilinear";
  bool centered = true;          ///< else the picture begins at the left and the top
  std::optional<double> fill{};  ///< what the rest is, as the image is normalised; none: black
};
/// To this size in the picture's own proportions; the rest is black.
Augmentation letterbox(const LetterboxOptions& options);

struct AffineOptions {
  double degrees = 0;                      ///< turned by -degrees..degrees, counter-clockwise
  double least_scale = 1, most_scale = 1;  ///< above 1 the picture grows
  double shift = 0;                        ///< by -shift..shift of height and width
  double probability = 1;
};
/// Turns and scales about the middle, and shifts, within the same size: bilinear, black beyond the picture.
Augmentation affine(const AffineOptions& options);
Augmentation rotate(double degrees);
struct ScaleOptions {
  double least = 0.8, most = 1.25;
};
Augmentation random_scale(const ScaleOptions& options = {});

struct ColorJitterOptions {
  double brightness = 0.2, contrast = 0.2;  ///< factors within 1 -+ this; contrast about the image's mean grey
  double saturation = 0.2;                  ///< likewise; of RGB alone
  double hue = 0;                           ///< turned by -+ this, 0 to 0.5 of the circle; of RGB alone
};
/// Changes colours between black and white, which must be the dataset's.
Augmentation color_jitter(const ColorJitterOptions& options = {});

struct CutoutOptions {
  int64_t size = 8, holes = 1;
};
/// Paints squares of size x size about random places black (DeVries & Taylor, 1708.04552); masks and boxes stay.
Augmentation cutout(const CutoutOptions& options = {});

/// (value - mean) / std; one number serves all channels. Black and white are so for the augmentations after it.
struct NormalizeOptions {
  std::vector<double> mean{0}, std{1};
};
Augmentation normalize_image(const NormalizeOptions& options);

struct MixupOptions {
  double alpha = 0.2;
  double probability = 1;
};
/// mix * this + (1 - mix) * another image of the dataset, mix drawn from Beta(alpha, alpha) (Zhang et al., 1710.09412).
/// Targets of float32 are mixed alike, those of integers are an Error; boxes are those of both. The targets "mix"
/// (float32 []) and "mix_label" (int64 [], the other's label) are added, for
/// mix * loss(label) + (1 - mix) * loss(mix_label); mix is 1 with a probability of 1 - probability.
Augmentation mixup(const MixupOptions& options = {});

struct MosaicOptions {
  double probability = 0.5;
  double least_scale = 0.5, most_scale = 1;
};
/// Four images, this and three others of the dataset, about a random place in the middle half of the picture, each
/// scaled (Bochkovskiy et al., 2004.10934). The label stays.
Augmentation mosaic(const MosaicOptions& options = {});

/// The augmentation with this probability.
Augmentation sometimes(double probability, const Augmentation& augmentation);

/// A dataset whose images are changed as they are read, as for evaluation: `Transformed(test, {letterbox(...)})`. What
/// is random draws from `default_random()`. The dataset outlives it.
class Transformed final : public Dataset {
 public:
  /// Throws Error when the dataset is empty.
  Transformed(const Dataset& dataset, std::vector<Augmentation> transforms);
  Transformed(const Dataset&& dataset, std::vector<Augmentation> transforms) = delete;

  int64_t size() const override { return dataset_->size(); }
  Shape image_shape() const override { return image_shape_; }  ///< of the first image
  int64_t label(int64_t index) const override { return dataset_->label(index); }
  Sample sample(int64_t index) const override;
  std::vector<std::string> classes() const override { return dataset_->classes(); }
  std::vector<float> black() const override { return black_; }
  std::vector<float> white() const override { return white_; }
  int64_t mask_fill() const override { return dataset_->mask_fill(); }

 private:
  Sample changed(int64_t index, AugmentContext& context) const;
  const Dataset* dataset_;
  std::vector<Augmentation> transforms_;
  Shape image_shape_;
  std::vector<float> black_, white_;
};

}  // namespace sinter::data
