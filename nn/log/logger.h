#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "../../core/tensor.h"

namespace sinter::nn {

/// Where a run's numbers go. `fit` writes to those in `FitOptions::log`, and a loop of one's own may; whatever is not
/// overridden is left out. `step` counts steps of the optimiser and does not fall, but after `resume`.
class Logger {
 public:
  virtual ~Logger() = default;
  virtual void scalar(const std::string& /*name*/, int64_t /*step*/, double /*value*/) {}
  /// How the values of a tensor, of any type, are spread.
  virtual void histogram(const std::string& /*name*/, int64_t /*step*/, const Tensor& /*values*/) {}
  /// uint8 [H,W,C], of 1 or 3 channels.
  virtual void image(const std::string& /*name*/, int64_t /*step*/, const Tensor& /*image*/,
                     const std::string& /*caption*/) {}
  virtual void text(const std::string& /*name*/, int64_t /*step*/, const std::string& /*text*/) {}
  /// Numbers in rows, such as a confusion matrix: [C] or [R,C] of any type.
  virtual void table(const std::string& /*name*/, int64_t /*step*/, const Tensor& /*table*/) {}
  /// A run goes on after this step: what was logged behind it is forgotten, and the same place is used. Called first;
  /// otherwise a run starts, and what an earlier one left there is replaced.
  virtual void resume(int64_t /*step*/) {}
  /// Everything so far is to be on its way to the disk, in whole lines.
  virtual void flush() {}
  /// Whether histograms are worth making.
  virtual bool wants_histograms() const { return false; }
};

/// A logger among others: `.log = {nn::CsvLog("run.csv"), nn::TensorBoard("runs/1")}`. Copies are the same logger.
class AnyLogger {
 public:
  template <std::derived_from<Logger> L>
  AnyLogger(L logger) : held_(std::make_shared<L>(std::move(logger))) {}
  template <std::derived_from<Logger> L>
  AnyLogger(std::shared_ptr<L> logger) : held_(std::move(logger)) {}
  Logger* operator->() const { return held_.get(); }

 private:
  std::shared_ptr<Logger> held_;
};

/// Several loggers as one.
class Logs final : public Logger {
 public:
  Logs() = default;
  Logs(std::initializer_list<AnyLogger> all) : all_(all) {}
  Logs(std::vector<AnyLogger> all) : all_(std::move(all)) {}
  bool empty() const { return all_.empty(); }

  void scalar(const std::string& name, int64_t step, double value) override;
  void histogram(const std::string& name, int64_t step, const Tensor& values) override;
  void image(const std::string& name, int64_t step, const Tensor& image, const std::string& caption) override;
  void text(const std::string& name, int64_t step, const std::string& text) override;
  void table(const std::string& name, int64_t step, const Tensor& table) override;
  void resume(int64_t step) override;
  void flush() override;
  bool wants_histograms() const override;

 private:
  std::vector<AnyLogger> all_;
};

/// The elements of a tensor of any type, as loggers show them.
std::vector<double> to_doubles(const Tensor& tensor);

}  // namespace sinter::nn
