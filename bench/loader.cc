// The data loader: images a second, and how much of a training step is waiting for them.

#include <chrono>
#include <memory>
#include <optional>

#include "measure.h"
#include "work.h"

namespace sinter::bench {

namespace {

constexpr int64_t kBatch = 128;

// Fashion-MNIST, or where it is not installed, images of its size.
const data::ImageDataset& images() {
  static const auto dataset = []() -> data::ImageDataset {
    try {
      return data::fashion_mnist("train");
    } catch (const Error&) {
      constexpr int64_t kImages = 10000;
      return {Tensor::full({kImages, 28, 28}, 100, DType::uint8), Tensor::zeros({kImages}, DType::int64)};
    }
  }();
  return dataset;
}

// Epoch after epoch, a batch at a time.
class Endless {
 public:
  explicit Endless(const data::DataLoaderOptions& options) : loader_(images(), options), next_(loader_.begin()) {}
  const data::Batch& operator*() const { return **next_; }
  void advance() {
    if (++*next_; *next_ == loader_.end()) next_.emplace(loader_.begin());
  }
  double waited() const { return loader_.waited(); }

 private:
  data::DataLoader loader_;
  std::optional<data::DataLoader::Iterator> next_;
};

std::vector<data::Augmentation> augmentation() { return {data::pad_crop(4), data::horizontal_flip()}; }

void add_rate(const std::string& row, const std::vector<data::Augmentation>& augment, int64_t workers) {
  add({.section = "loader",
       .row = row,
       .column = text("workers ", workers),
       .baseline = workers == 0,
       .items = kBatch,
       .make = [=]() -> Work {
         const auto data = std::make_shared<Endless>(
             data::DataLoaderOptions{.batch = kBatch, .workers = workers, .augment = augment});
         return [data] { data->advance(); };
       }});
}

// Steps as nn::fit makes them, and the part of their time in which they waited.
class Training {
 public:
  Training(const BatchWork& step, int64_t workers)
      : step_(step), data_({.batch = kBatch, .workers = workers, .augment = augmentation()}) {}

  void step() {
    const auto began = std::chrono::steady_clock::now();
    const double waited = data_.waited();
    step_(*data_);
    data_.advance();
    if (steps_++ == 0) return;  // makes what is made once
    waited_ += data_.waited() - waited;
    elapsed_ += std::chrono::duration<double>(std::chrono::steady_clock::now() - began).count();
  }
  double percent() const { return 100 * waited_ / elapsed_; }

 private:
  BatchWork step_;
  Endless data_;
  int64_t steps_ = 0;
  double waited_ = 0, elapsed_ = 0;
};

void add_waiting(const std::string& row, const std::function<BatchWork(const Model&)>& make, int64_t workers) {
  const auto training = std::make_shared<std::optional<Training>>();
  add({.section = "a step's waiting for data",
       .row = row,
       .column = text("workers ", workers),
       .make = [=]() -> Work {
         training->emplace(make(model("", images().image_shape(), [] { return nn::resnet20({.in_channels = 1}); })),
                           workers);
         return [training] { (*training)->step(); };
       },
       .percent =
           [training] {
             const double percent = (*training)->percent();
             training->reset();  // its threads read the dataset, which does not live as long
             return percent;
           }});
}

}  // namespace

void add_all() {
  for (const int64_t workers : {0, 1, 2}) {
    add_rate("as they are", {}, workers);
    add_rate("shifted and mirrored", augmentation(), workers);
    add_waiting("ResNet-20 float", float_step, workers);
    add_waiting(
        "ResNet-20 QAT", [](const Model& m) { return qat_step(m); }, workers);
  }
}

}  // namespace sinter::bench
