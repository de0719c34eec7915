#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "../core/tensor.h"
#include "sample.h"

namespace sinter::data {

/// Images with their labels, or whatever else belongs to them. To read another format, derive from it and override
/// `read` and `label` for images of one size with one label each, or else `sample`. Everything here is called from the
/// threads of a loader at once.
class Dataset {
 public:
  virtual ~Dataset() = default;
  virtual int64_t size() const = 0;
  /// Of one image: [H,W,C]. Where images differ in size, of what augmentations or a collate make of them.
  virtual Shape image_shape() const = 0;
  /// Writes an image, normalised, as H*W*C values. The index is in 0..size()-1. Throws Error if not overridden.
  virtual void read(int64_t index, std::span<float> image) const;
  /// The class of an image, where there are classes; 0 otherwise.
  virtual int64_t label(int64_t index) const;
  /// An image with all that belongs to it, which a loader may change: tensors that others have as well are copied
  /// before. The index is in 0..size()-1. If not overridden, what `read` and `label` give.
  virtual Sample sample(int64_t index) const;
  /// Names of the classes by label; empty when they have none.
  virtual std::vector<std::string> classes() const { return {}; }
  /// What a black pixel is after normalisation, [C]: augmentation pads with it.
  virtual std::vector<float> black() const;
  /// What a white one is, [C]; 1 unless overridden.
  virtual std::vector<float> white() const;
  /// What masks are where there is no picture, as behind the edge of one that is turned: 0, the background, unless
  /// overridden.
  virtual int64_t mask_fill() const { return 0; }

  /// `sample(index)`. Throws Error unless the index is in 0..size()-1.
  Sample operator[](int64_t index) const;
};

struct ImageDatasetOptions {
  std::vector<double> mean{};  ///< of the channels, for pixels in 0..1; one value serves all channels; default 0
  std::vector<double> std{};   ///< likewise; default 1
  std::vector<std::string> classes{};
};

/// Images in memory, one byte a channel, normalised as they are read: (pixel / 255 - mean) / std. Copies share the
/// images.
class ImageDataset final : public Dataset {
 public:
  /// Images are uint8 [N,H,W,C], or [N,H,W] when there is one channel; labels are int64 [N]. Both are shared with the
  /// caller, who no longer writes to them. Throws Error when they do not fit together, or a label has no class.
  ImageDataset(const Tensor& images, const Tensor& labels, const ImageDatasetOptions& options = {});

  int64_t size() const override { return size_; }
  Shape image_shape() const override { return image_shape_; }
  void read(int64_t index, std::span<float> image) const override;
  int64_t label(int64_t index) const override { return labels_.data<int64_t>()[index]; }
  std::vector<std::string> classes() const override { return classes_; }
  std::vector<float> black() const override;
  std::vector<float> white() const override;

  /// The first `count` images, or all when there are fewer.
  ImageDataset take(int64_t count) const;

 private:
  Tensor images_, labels_;
  int64_t size_;
  Shape image_shape_;
  std::vector<float> normalized_;  // [C,256]: the value of every possible pixel
  std::vector<std::string> classes_;
};

}  // namespace sinter::data
