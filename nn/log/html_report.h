#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "logger.h"

namespace sinter::nn {

struct HtmlReportOptions {
  std::string title = "Training";
  std::vector<std::string> classes{};  ///< names for confusion matrices
};

/// One page that needs nothing else: the curves of all numbers (those of one name, "train/loss" and "validation/loss",
/// in one chart), the latest tables, such as confusion matrices, and pictures, such as the worst ones, and where the
/// time went. The file is replaced whole at every `flush`, and a resumed run reads what it shows back from it.
class HtmlReport final : public Logger {
 public:
  explicit HtmlReport(std::string path, HtmlReportOptions options = {})
      : path_(std::move(path)), options_(std::move(options)) {}
  void scalar(const std::string& name, int64_t step, double value) override;
  void image(const std::string& name, int64_t step, const Tensor& image, const std::string& caption) override;
  void text(const std::string& name, int64_t step, const std::string& text) override;
  void table(const std::string& name, int64_t step, const Tensor& table) override;
  void resume(int64_t step) override;
  void flush() override;

 private:
  using Curve = std::vector<std::pair<int64_t, double>>;
  struct Shown {
    int64_t step;
    std::string html;
  };
  static std::string kept(const char* kind, const std::string& name, const Shown& shown);
  std::string charts() const;
  std::string numbers() const;
  std::string times() const;
  std::string page() const;

  std::string path_;
  HtmlReportOptions options_;
  std::map<std::string, Curve> curves_;
  std::map<std::string, Shown> images_, texts_, tables_;
};

}  // namespace sinter::nn
