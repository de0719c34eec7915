#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "augment.h"
#include "dataset.h"
#include "picture.h"

namespace sinter::data {

struct PictureDatasetOptions {
  int64_t channels = 3;                    ///< 1: grey, 3: RGB, 4: RGBA
  std::vector<double> mean{0}, std{1};     ///< of the channels, for pixels in 0..1; one value serves all
  std::vector<Augmentation> transforms{};  ///< of every picture, with what belongs to it: `{letterbox({64, 64})}`
  bool skip_broken = false;  ///< leave out files that cannot be decoded (each is decoded once to find out), else they
                             ///< are an Error when they are read
  int64_t max_pixels = PictureOptions{}.max_pixels;
};

/// Pictures in files, PNG or JPEG by their content, which stay on the disk until a loader's thread asks for one:
/// (pixel / 255 - mean) / std, then the transforms, which may draw from `default_random()`. Copies share the list of
/// files. `image_folder`, `mask_folder` and `coco` make such, and so may you:
///
///     PictureDataset(paths, [&](int64_t i, Sample& s) { s.label = labels[i]; }, options)
class PictureDataset final : public Dataset {
 public:
  /// Adds to a picture what belongs to it; called from a loader's threads at once, before the transforms.
  using Annotate = std::function<void(int64_t index, Sample& sample)>;

  /// Throws Error when there is no file, for options that make no sense, and, unless it is skipped, for a first file
  /// that cannot be decoded.
  PictureDataset(std::vector<std::string> paths, Annotate annotate, PictureDatasetOptions options = {},
                 std::vector<std::string> classes = {}, int64_t mask_fill = 0);

  int64_t size() const override { return size_; }
  Shape image_shape() const override { return shape_; }  ///< of the first picture
  int64_t label(int64_t index) const override;           ///< decodes the picture
  Sample sample(int64_t index) const override;
  std::vector<std::string> classes() const override;
  std::vector<float> black() const override { return black_; }
  std::vector<float> white() const override { return white_; }
  int64_t mask_fill() const override;

  const std::string& path(int64_t index) const;
  /// Why files were left out, a line each with the path.
  const std::vector<std::string>& skipped() const;
  /// The first `count` pictures, or all when there are fewer.
  PictureDataset take(int64_t count) const;

 private:
  struct State;
  Sample changed(int64_t index, AugmentContext& context) const;
  AugmentContext context() const;

  std::shared_ptr<const State> state_;
  int64_t size_ = 0;
  Shape shape_;
  std::vector<float> black_, white_;
};

/// A folder with a folder for each class: classes and files in the order of their names, files by the endings .png,
/// .jpg and .jpeg in any case, in folders within folders, too. Throws Error, naming the folder, when there is none, or
/// a class without a picture.
PictureDataset image_folder(const std::string& folder, const PictureDatasetOptions& options = {});

struct MaskFolderOptions {
  PictureDatasetOptions picture{};
  std::vector<std::string> classes{};
  /// The number in a mask that stands for each class; empty: the numbers are the classes.
  std::vector<int64_t> values{};
  int64_t ignored = 255;        ///< the number in a mask of pixels that do not count; -1: there is none
  int64_t ignore_index = -100;  ///< and what becomes of it: the losses' and metrics' default
  int64_t fill = 0;             ///< what is behind a picture's edge
};

/// Pictures of one folder and, of the same names but for the ending, masks of another, PNG of one channel: the target
/// "mask", int64 [H,W]. Throws Error where a picture has no mask, where their sizes differ, and for a number that is
/// no class.
PictureDataset mask_folder(const std::string& pictures, const std::string& masks,
                           const MaskFolderOptions& options = {});

/// Pictures with boxes, from a file in COCO's form (images, annotations, categories): the lists "boxes", float32 [n,4]
/// of x1, y1, x2, y2 in pixels, "classes", int64 [n], in the order of the categories' ids, and "box_crowd", int64 [n].
/// Boxes of no area are left out. Throws Error, naming the file and the entry, for what is no such file, and when a
/// picture has another size than it says.
PictureDataset coco(const std::string& json, const std::string& folder, const PictureDatasetOptions& options = {});

}  // namespace sinter::data
