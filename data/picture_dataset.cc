#include "picture_dataset.h"

#include <cmath>
#include <optional>

#include "../core/autograd.h"
#include "../core/parallel.h"

namespace sinter::data {

struct PictureDataset::State {
  std::vector<std::string> paths;
  std::vector<int64_t> places;  // of the paths among those that were given
  Annotate annotate;
  PictureDatasetOptions options;
  std::vector<std::string> classes, skipped;
  int64_t mask_fill;

  float normalized(float level, size_t channel) const {
    const auto of = [&](const std::vector<double>& v) { return v[v.size() == 1 ? 0 : channel]; };
    return static_cast<float>((static_cast<double>(level) - of(options.mean)) / of(options.std));
  }
  Tensor decoded(const std::string& path) const {
    return read_image(path, {.channels = options.channels, .max_pixels = options.max_pixels});
  }
};

PictureDataset::PictureDataset(std::vector<std::string> paths, Annotate annotate, PictureDatasetOptions options,
                               std::vector<std::string> classes, int64_t mask_fill) {
  const int64_t channels = options.channels;
  check(channels == 1 || channels == 3 || channels == 4, "PictureDataset: channels is ", channels,
        ", expected 1, 3 or 4");
  for (const auto* values : {&options.mean, &options.std})
    check(values->size() == 1 || static_cast<int64_t>(values->size()) == channels, "PictureDataset: ", values->size(),
          " values of mean or std for ", channels, " channels");
  for (const double v : options.mean) check(std::isfinite(v), "PictureDataset: mean is ", v);
  for (const double v : options.std)
    check(std::isfinite(v) && v > 0, "PictureDataset: std is ", v, ", expected above 0");
  for (size_t i = 0; i < options.transforms.size(); ++i)
    check(static_cast<bool>(options.transforms[i]), "PictureDataset: transform ", i, " is empty");

  auto state = std::make_shared<State>(
      State{{}, {}, std::move(annotate), std::move(options), std::move(classes), {}, mask_fill});
  std::vector<std::optional<std::string>> faults(paths.size());
  if (state->options.skip_broken)
    parallel_for(static_cast<int64_t>(paths.size()), 1, [&](int64_t begin, int64_t end) {
      for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) try {
          state->decoded(paths[i]);
        } catch (const Error& error) {
          faults[i] = error.what();
        }
    });
  for (size_t i = 0; i < paths.size(); ++i) {
    if (faults[i]) {
      state->skipped.push_back(*faults[i]);
      continue;
    }
    state->paths.push_back(std::move(paths[i]));
    state->places.push_back(static_cast<int64_t>(i));
  }
  check(
      !state->paths.empty(), "PictureDataset: there is no picture",
      state->skipped.empty() ? "" : text("; ", state->skipped.size(), " were skipped, the first: ", state->skipped[0]));
  size_ = static_cast<int64_t>(state->paths.size());
  state_ = std::move(state);
  AugmentContext all = context();
  const Random before = default_random();
  const Tensor image = changed(0, all).image;
  default_random() = before;
  shape_ = {image.size(1), image.size(2), image.size(3)};
  black_ = all.black;
  white_ = all.white;
}

AugmentContext PictureDataset::context() const {
  AugmentContext all{.random = default_random(), .mask_fill = state_->mask_fill, .dataset = this};
  for (size_t c = 0; c < static_cast<size_t>(state_->options.channels); ++c) {
    all.black.push_back(state_->normalized(0, c));
    all.white.push_back(state_->normalized(1, c));
  }
  return all;
}

Sample PictureDataset::changed(int64_t index, AugmentContext& all) const {
  const auto channels = static_cast<size_t>(state_->options.channels);
  const Tensor bytes = state_->decoded(path(index));
  Tensor image = Tensor::empty({1, bytes.size(0), bytes.size(1), bytes.size(2)});
  const uint8_t* in = bytes.data<uint8_t>();
  float* out = detail::Access::write<float>(image);
  std::vector<float> table;  // [C,256]
  for (size_t c = 0; c < channels; ++c)
    for (int v = 0; v < 256; ++v) table.push_back(state_->normalized(static_cast<float>(v) / 255, c));
  for (int64_t i = 0; i < image.elements(); ++i) out[i] = table[static_cast<size_t>(i) % channels * 256 + in[i]];
  Sample sample{.image = image, .index = index};
  if (state_->annotate) state_->annotate(state_->places[static_cast<size_t>(index)], sample);
  all.index = index;
  for (const Augmentation& transform : state_->options.transforms) transform(sample, all);
  return sample;
}

Sample PictureDataset::sample(int64_t index) const {
  AugmentContext all = context();
  return changed(index, all);
}

int64_t PictureDataset::label(int64_t index) const { return sample(index).label; }
std::vector<std::string> PictureDataset::classes() const { return state_->classes; }
int64_t PictureDataset::mask_fill() const { return state_->mask_fill; }
const std::string& PictureDataset::path(int64_t index) const { return state_->paths.at(static_cast<size_t>(index)); }
const std::vector<std::string>& PictureDataset::skipped() const { return state_->skipped; }

PictureDataset PictureDataset::take(int64_t count) const {
  check(count >= 0, "take: ", count, " pictures were asked for");
  PictureDataset first = *this;
  first.size_ = std::min(count, size_);
  return first;
}

}  // namespace sinter::data
