#pragma once

#include "append_file.h"
#include "logger.h"

namespace sinter::nn {

/// An event file that TensorBoard opens: scalars, histograms (of weights, activations and scales, by `fit`), images as
/// PNG, texts; tables as texts. A run that starts in a directory with older files begins a new one, which tells
/// TensorBoard to forget what they hold; one that is resumed goes on in the newest, which tells it to forget what is
/// behind the step.
class TensorBoard final : public Logger {
 public:
  /// The directory is made where there is none.
  explicit TensorBoard(std::string directory) : directory_(std::move(directory)), file_("") {}
  void scalar(const std::string& name, int64_t step, double value) override;
  void histogram(const std::string& name, int64_t step, const Tensor& values) override;
  void image(const std::string& name, int64_t step, const Tensor& image, const std::string& caption) override;
  void text(const std::string& name, int64_t step, const std::string& text) override;
  void table(const std::string& name, int64_t step, const Tensor& table) override;
  void resume(int64_t step) override;
  bool wants_histograms() const override { return true; }

 private:
  void event(int64_t step, std::string_view field);
  void summary(int64_t step, const std::string& name, std::string_view value);
  void start();

  std::string directory_;
  AppendFile file_;
};

}  // namespace sinter::nn
