#include <filesystem>
#include <map>

#include "../core/autograd.h"
#include "picture_dataset.h"
#include "picture_files.h"

namespace sinter::data {

namespace {

// Classes of a mask's numbers.
Tensor classes_of(const Tensor& mask, const MaskFolderOptions& o, const std::string& path) {
  Tensor result = Tensor::empty(mask.shape(), DType::int64);
  auto* out = detail::Access::write<int64_t>(result);
  std::map<int64_t, int64_t> known;
  for (size_t i = 0; i < o.values.size(); ++i) known[o.values[i]] = static_cast<int64_t>(i);
  const auto count = static_cast<int64_t>(o.classes.size());
  for (int64_t i = 0; i < mask.elements(); ++i) {
    const int64_t value = mask.data<int64_t>()[i];
    if (o.ignored >= 0 && value == o.ignored) {
      out[i] = o.ignore_index;
      continue;
    }
    const auto found = known.find(value);
    out[i] = o.values.empty() ? value : found == known.end() ? -1 : found->second;
    check(out[i] >= 0 && (count == 0 || out[i] < count), path, ": pixel (", i / mask.size(1), ",", i % mask.size(1),
          ") is ", value, ", which is no class");
  }
  return result;
}

}  // namespace

PictureDataset mask_folder(const std::string& pictures, const std::string& masks, const MaskFolderOptions& options) {
  check(options.values.empty() || options.classes.empty() || options.values.size() == options.classes.size(),
        "mask_folder: ", options.values.size(), " values for ", options.classes.size(), " classes");
  const std::vector<std::string> paths = picture_files(pictures, "mask_folder");
  std::vector<std::string> of_masks;
  for (const std::string& path : paths) {
    const auto relative = std::filesystem::path(path).lexically_relative(pictures).replace_extension(".png");
    of_masks.push_back((std::filesystem::path(masks) / relative).string());
    std::error_code error;
    check(std::filesystem::exists(of_masks.back(), error), "mask_folder: ", path, " has no mask ", of_masks.back());
  }
  return {paths,
          [of_masks, options](int64_t index, Sample& sample) {
            const std::string& path = of_masks[static_cast<size_t>(index)];
            const Tensor mask = read_mask(path, options.picture.max_pixels);
            check(mask.size(0) == sample.image.size(1) && mask.size(1) == sample.image.size(2), path, ": is ",
                  mask.size(0), "x", mask.size(1), ", its picture ", sample.image.size(1), "x", sample.image.size(2));
            sample.targets["mask"] = classes_of(mask, options, path);
          },
          options.picture, options.classes, options.fill};
}

}  // namespace sinter::data
