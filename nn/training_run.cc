#include "training_run.h"

#include <cmath>

namespace sinter::nn {

namespace {

void save_sums(Archive& archive, const std::string& prefix, double loss, int64_t images, double seconds) {
  archive.set(prefix + "loss", loss);
  archive.set(prefix + "images", images);
  archive.set(prefix + "seconds", seconds);
}

std::string history_prefix(size_t epoch) { return text("history/", epoch, "/"); }

const std::string kMetrics = "validation/metric/";

}  // namespace

void TrainingRun::save(Archive& archive) const {
  archive.set("run/epoch", epoch);
  archive.set("run/batch", batch);
  archive.set("run/lr", lr);
  archive.set("run/correct", sums.correct);
  save_sums(archive, "run/", sums.loss, sums.images, seconds);
  for (size_t i = 0; i < epochs.size(); ++i) {
    const EpochReport& report = epochs[i];
    const std::string prefix = history_prefix(i);
    save_sums(archive, prefix, report.loss, report.images, report.seconds);
    archive.set(prefix + "accuracy", report.accuracy);
    archive.set(prefix + "lr", report.lr);
    if (!report.validation) continue;
    save_sums(archive, prefix + "validation/", report.validation->loss, report.validation->images,
              report.validation->seconds);
    archive.set(prefix + "validation/accuracy", report.validation->accuracy);
    for (const auto& [name, value] : report.validation->metrics) archive.set(prefix + kMetrics + name, value);
  }
}

void TrainingRun::load(const Archive& archive) {
  constexpr int64_t kMost = int64_t{1} << 53;
  epoch = archive.integer("run/epoch", 0, kMost);
  batch = archive.integer("run/batch", 0, kMost);
  lr = archive.real("run/lr");
  sums = {archive.real("run/loss"), archive.integer("run/correct", 0, kMost), archive.integer("run/images", 0, kMost)};
  seconds = archive.real("run/seconds");
  for (int64_t i = 0; i < epoch; ++i) {
    const std::string prefix = history_prefix(static_cast<size_t>(i));
    EpochReport report{.epoch = i,
                       .loss = archive.real(prefix + "loss"),
                       .accuracy = archive.real(prefix + "accuracy"),
                       .lr = archive.real(prefix + "lr"),
                       .seconds = archive.real(prefix + "seconds"),
                       .images = archive.integer(prefix + "images", 0, kMost)};
    if (archive.contains(prefix + "validation/loss")) {
      report.validation = Evaluation{.accuracy = archive.real(prefix + "validation/accuracy"),
                                     .loss = archive.real(prefix + "validation/loss"),
                                     .images = archive.integer(prefix + "validation/images", 0, kMost),
                                     .seconds = archive.real(prefix + "validation/seconds")};
      for (const std::string& section : archive.names(prefix + kMetrics))
        report.validation->metrics[section.substr(prefix.size() + kMetrics.size())] = archive.real(section);
    }
    epochs.push_back(std::move(report));
  }
}

double monitored(const EpochReport& report, const Monitor& monitor) {
  if (report.validation) return (*report.validation)[monitor.number];
  if (monitor.number == "loss") return report.loss;
  return report.accuracy;
}

Ranking ranked(const std::vector<EpochReport>& epochs, const Monitor& monitor) {
  const double sign = monitor.larger() ? 1 : -1;
  Ranking ranking;
  double best = 0;
  for (const EpochReport& report : epochs) {
    const double value = sign * monitored(report, monitor);
    const bool better = !std::isnan(value) && (ranking.best < 0 || value > best + monitor.min_change);
    if (better) {
      best = value;
      ranking = {report.epoch, 0};
    } else {
      ++ranking.waited;
    }
  }
  return ranking;
}

}  // namespace sinter::nn
