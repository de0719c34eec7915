#include "../core/error.h"
#include "picture_dataset.h"
#include "picture_files.h"

namespace sinter::data {

PictureDataset image_folder(const std::string& folder, const PictureDatasetOptions& options) {
  const std::vector<std::string> classes = folders_of(folder, "image_folder");
  check(!classes.empty(), "image_folder: ", folder, " has no folders, expected one for each class");
  std::vector<std::string> paths;
  std::vector<int64_t> labels;
  for (size_t i = 0; i < classes.size(); ++i) {
    const auto found = picture_files(folder + "/" + classes[i], "image_folder");
    check(!found.empty(), "image_folder: ", folder, "/", classes[i], " has no picture (.png, .jpg or .jpeg)");
    for (const auto& path : found) {
      paths.push_back(path);
      labels.push_back(static_cast<int64_t>(i));
    }
  }
  return {std::move(paths),
          [labels = std::move(labels)](int64_t index, Sample& sample) {
            sample.label = labels[static_cast<size_t>(index)];
          },
          options, classes};
}

}  // namespace sinter::data
