#include "cifar.h"

#include <filesystem>

#include "../core/autograd.h"
#include "../core/file.h"

namespace sinter::data {

namespace {

constexpr int64_t kSide = 32, kPixels = kSide * kSide, kBytes = 3 * kPixels;
constexpr int64_t kMaxBytes = int64_t{1} << 30;

struct Format {
  int64_t labels, label, classes;  // bytes before an image, which of them, and below what it must be
};

// Records of labels and a picture in planes.
ImageDataset read(const std::vector<std::string>& paths, const Format& format, const ImageDatasetOptions& options) {
  std::vector<std::byte> all;
  const auto record = static_cast<size_t>(format.labels + kBytes);
  std::vector<int64_t> labels;
  for (const std::string& path : paths) {
    const auto bytes = read_file(path, kMaxBytes);
    check(!bytes.empty() && bytes.size() % record == 0, path, ": has ", bytes.size(), " bytes, expected a multiple of ",
          record, ", ", format.labels, " for the label and ", kBytes, " for the image");
    for (size_t i = 0; i < bytes.size(); i += record) {
      const auto label = static_cast<int64_t>(bytes[i + static_cast<size_t>(format.label)]);
      check(label < format.classes, path, ": label ", label, " of image ", i / record, " is outside 0..",
            format.classes - 1);
      labels.push_back(label);
    }
    all.insert(all.end(), bytes.begin(), bytes.end());
  }
  const auto count = static_cast<int64_t>(labels.size());
  Tensor images = Tensor::empty({count, kSide, kSide, 3}, DType::uint8);
  auto* out = detail::Access::write<uint8_t>(images);
  for (int64_t i = 0; i < count; ++i) {
    const std::byte* planes = all.data() + static_cast<size_t>(i) * record + format.labels;
    for (int64_t p = 0; p < kPixels; ++p)
      for (int64_t c = 0; c < 3; ++c) *out++ = static_cast<uint8_t>(planes[c * kPixels + p]);
  }
  return {images, Tensor::from({count}, labels), options};
}

void check_split(const char* what, std::string_view split) {
  check(split == "train" || split == "test", what, ": unknown split \"", split, "\" (known: train, test)");
}

// Lines of a file, where there is one and it has so many.
std::vector<std::string> names(const std::string& path, size_t count) {
  std::error_code error;
  if (!std::filesystem::exists(path, error)) return {};
  std::vector<std::string> lines(1);
  for (const std::byte b : read_file(path, 1 << 20)) {
    if (static_cast<char>(b) == '\n')
      lines.emplace_back();
    else if (static_cast<char>(b) != '\r')
      lines.back() += static_cast<char>(b);
  }
  while (!lines.empty() && lines.back().empty()) lines.pop_back();
  check(lines.size() == count, path, ": names ", lines.size(), " classes, expected ", count);
  return lines;
}

}  // namespace

ImageDataset cifar10(std::string_view split, const std::string& folder, const CifarOptions& options) {
  check_split("cifar10", split);
  std::vector<std::string> paths;
  for (int i = 1; i <= 5 && split == "train"; ++i) paths.push_back(text(folder, "/data_batch_", i, ".bin"));
  if (split == "test") paths.push_back(folder + "/test_batch.bin");
  return read(paths, {1, 0, 10},
              {options.mean,
               options.std,
               {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}});
}

ImageDataset cifar100(std::string_view split, const std::string& folder, const Cifar100Options& options) {
  check_split("cifar100", split);
  const Format format = options.coarse ? Format{2, 0, 20} : Format{2, 1, 100};
  return read({text(folder, "/", split, ".bin")}, format,
              {options.mean, options.std,
               names(folder + (options.coarse ? "/coarse_label_names.txt" : "/fine_label_names.txt"),
                     static_cast<size_t>(format.classes))});
}

}  // namespace sinter::data
