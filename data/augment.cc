#include "augment.h"

#include "augment/moved.h"

namespace sinter::data {

Sample AugmentContext::other() const {
  check(dataset != nullptr, "augment: another image was asked for, but the augmentation knows no dataset");
  const int64_t which = random.below(dataset->size());
  Sample sample = dataset->sample(which);
  sample.index = which;
  return sample;
}

Image Augmentation::pixels(Sample& sample, const AugmentContext& context) {
  const Sides sides = sides_of(sample, "augment");
  check(static_cast<int64_t>(context.black.size()) == sides.channels, "augment: ", context.black.size(),
        " values of black for an image of ", sides.channels, " channels");
  return {own_pixels(sample), sides.height, sides.width, sides.channels, context.black.data()};
}

Augmentation sometimes(double probability, const Augmentation& augmentation) {
  check_probability("sometimes", probability);
  check(static_cast<bool>(augmentation), "sometimes: the augmentation is empty");
  return Augmentation([probability, augmentation](Sample& sample, AugmentContext& context) {
    if (context.random.uniform() < probability) augmentation(sample, context);
  });
}

Transformed::Transformed(const Dataset& dataset, std::vector<Augmentation> transforms)
    : dataset_(&dataset), transforms_(std::move(transforms)) {
  check(dataset.size() > 0, "Transformed: the dataset is empty");
  for (size_t i = 0; i < transforms_.size(); ++i)
    check(static_cast<bool>(transforms_[i]), "Transformed: transform ", i, " is empty");
  AugmentContext context{.random = default_random(), .black = dataset.black(), .white = dataset.white()};
  const Random before = default_random();
  const Shape shape = changed(0, context).image.shape();
  default_random() = before;
  image_shape_ = {shape[1], shape[2], shape[3]};
  black_ = context.black;
  white_ = context.white;
}

Sample Transformed::changed(int64_t index, AugmentContext& context) const {
  Sample sample = dataset_->sample(index);
  sample.index = index;
  context.index = index;
  context.mask_fill = dataset_->mask_fill();
  context.dataset = dataset_;
  for (const Augmentation& transform : transforms_) transform(sample, context);
  return sample;
}

Sample Transformed::sample(int64_t index) const {
  AugmentContext context{.random = default_random(), .black = dataset_->black(), .white = dataset_->white()};
  return changed(index, context);
}

}  // namespace sinter::data
