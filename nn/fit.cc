#include "fit.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cmath>
#include <memory>

#include "../core/format.h"
#include "../core/fuse.h"
#include "../core/ops/cross_entropy.h"
#include "../data/data_loader.h"
#include "checkpoint.h"
#include "freeze_options.h"
#include "metrics.h"
#include "optim/clip.h"
#include "progress.h"

namespace sinter::nn {

namespace {

// Requests to stop so far, and those that a run has followed.
std::atomic<uint64_t> requests{0}, followed{0};
static_assert(std::atomic<uint64_t>::is_always_lock_free, "a signal handler counts");

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Sums over the images of one pass. Plain numbers, so that a checkpoint can hold them.
struct Sums {
  double loss = 0;
  int64_t correct = 0, images = 0;

  void add(double mean_loss, const Tensor& logits, const Tensor& labels) {
    const int64_t count = labels.size(0);
    loss += mean_loss * static_cast<double>(count);
    correct += count_correct(logits, labels);
    images += count;
  }
  double mean_loss() const { return images == 0 ? 0 : loss / static_cast<double>(images); }
  double accuracy() const { return images == 0 ? 0 : 100 * static_cast<double>(correct) / static_cast<double>(images); }
};

// Where a run stands.
struct Run {
  int64_t epoch = 0, batch = 0;  // the next
  Sums sums;                     // of this epoch
  double seconds = 0;            // of this epoch
  double lr = 0;
  std::vector<EpochReport> epochs;

  void save(Archive& archive) const;
  void load(const Archive& archive);
};

void save_sums(Archive& archive, const std::string& prefix, double loss, int64_t images, double seconds) {
  archive.set(prefix + "loss", loss);
  archive.set(prefix + "images", images);
  archive.set(prefix + "seconds", seconds);
}

std::string history_prefix(size_t epoch) { return text("history/", epoch, "/"); }

void Run::save(Archive& archive) const {
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
  }
}

void Run::load(const Archive& archive) {
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
    if (archive.contains(prefix + "validation/loss"))
      report.validation = Evaluation{.accuracy = archive.real(prefix + "validation/accuracy"),
                                     .loss = archive.real(prefix + "validation/loss"),
                                     .images = archive.integer(prefix + "validation/images", 0, kMost),
                                     .seconds = archive.real(prefix + "validation/seconds")};
    epochs.push_back(std::move(report));
  }
}

bool requires_grad(const NamedParameter& parameter) { return parameter.value.tensor().requires_grad(); }

using Forward = std::function<Tensor(const Tensor&)>;

Forward untraced(const Module& model) {
  return [&model](const Tensor& x) { return model(x); };
}

// A model runs as its graph, which the trace checks and the fusion makes faster, unless it is one that no trace shows.
Forward forward_of(const Module& model, const Spec& batch) {
  if (!model.traceable()) return untraced(model);
  auto graph = std::make_shared<const Graph>(fuse_batch_norm(trace(model, Specs{batch})));
  check(graph->outputs.size() == 1, model.title(), ": it has ", graph->outputs.size(),
        " outputs, but fit and evaluate expect one, the logits [N,classes]; wrap it in a module that returns them, or "
        "train it in a loop of your own, where model({x}) gives all");
  return [graph = std::move(graph)](const Tensor& x) { return (*graph)(x); };
}

class Training {
 public:
  Training(Module& model, const data::Dataset& dataset, const FitOptions& options);
  History run();

 private:
  void step(const data::Batch& batch);
  int64_t steps_done() const { return run_.epoch * loader_.batches() + run_.batch; }
  void make_forward();
  void end_epoch();
  bool checkpoint_due() const;
  void save();
  void resume();
  bool stopping() const { return requests != followed_; }
  void check_usable() const;
  std::string place() const;
  detail::Settings settings() const;
  ProgressLine::Fields fields() const;

  Module& model_;
  const FitOptions& options_;
  const data::Dataset& dataset_;
  data::DataLoader loader_;
  std::vector<NamedParameter> parameters_;
  std::vector<NamedParameter> finite_;  // parameters and buffers that were so when the run began
  const uint64_t followed_ = followed;
  data::Batch last_;  // that a step was made with
  Frozen frozen_;     // while `forward_` was made
  Forward forward_;
  optim::AnyOptimizer optimizer_;
  ProgressLine progress_;
  Run run_;
  double epoch_began_ = 0;  // in this process, as are the following
  double session_began_ = 0, saved_at_ = 0;
  int64_t session_steps_ = 0, epoch_images_ = 0, unsaved_steps_ = 0;
};

const FitOptions& checked(const FitOptions& options) {
  check(options.epochs >= 0, "fit: epochs is ", options.epochs, ", expected 0 or more");
  check(options.label_smoothing >= 0 && options.label_smoothing < 1, "fit: label_smoothing is ",
        options.label_smoothing, ", expected 0 <= label_smoothing < 1");
  check(options.clip_norm >= 0 && options.clip_value >= 0, "fit: clip_norm is ", options.clip_norm, " and clip_value ",
        options.clip_value, ", expected 0 or more");
  check(options.checkpoint_steps >= 0 && options.checkpoint_seconds >= 0, "fit: checkpoint_steps is ",
        options.checkpoint_steps, " and checkpoint_seconds ", options.checkpoint_seconds, ", expected 0 or more");
  const bool wants_file = options.resume || options.checkpoint_steps > 0 || options.checkpoint_seconds > 0;
  check(!wants_file || !options.checkpoint.empty(), "fit: resume, checkpoint_steps and checkpoint_seconds need a ",
        "checkpoint to name the file");
  return options;
}

Training::Training(Module& model, const data::Dataset& dataset, const FitOptions& options)
    : model_(model),
      options_(checked(options)),
      dataset_(dataset),
      loader_(dataset, {.batch = options.batch,
                        .seed = options.seed,
                        .batches = options.batches,
                        .workers = options.workers,
                        .drop_last = options.drop_last,
                        .augment = options.augment}),
      parameters_(model.parameters()),
      optimizer_(options.optimizer),
      progress_(options.progress) {
  for (const auto& [path, module] : model.modules()) module->check_trainable();
  check(!parameters_.empty(), "fit: the model has no parameters to train");
  check(std::any_of(parameters_.begin(), parameters_.end(), requires_grad),
        "fit: every parameter of the model is frozen (requires_grad is false)");
  check_freeze_options(options, model);
  optimizer_->check_rules(parameters_);
  make_forward();
}

std::string Training::place() const { return text("in epoch ", run_.epoch + 1, ", step ", run_.batch); }

namespace {

// The first of them that has a value that is not finite, or null.
const NamedParameter* not_finite(const std::vector<NamedParameter>& state) {
  const auto found =
      std::find_if(state.begin(), state.end(), [](const NamedParameter& p) { return !all_finite(p.value.tensor()); });
  return found == state.end() ? nullptr : &*found;
}

// Which image of a batch is not finite, or nothing.
std::string bad_image(const data::Batch& batch) {
  if (!batch.images.defined() || all_finite(batch.images)) return "";
  const auto values = batch.images.values<float>();
  const auto bad = std::find_if(values.begin(), values.end(), [](float v) { return !std::isfinite(v); });
  const int64_t each = batch.images.elements() / batch.images.size(0);
  const int64_t image = (bad - values.begin()) / each;
  return text("image ", batch.samples[static_cast<size_t>(image)], " of the dataset has ",
              std::isnan(*bad) ? "NaN" : "an infinity", " among its values, as it is read and augmented");
}

const char* const kAdvice = ": training has diverged; a lower learning rate, a warm-up or clip_norm may help";

}  // namespace

// A run that goes on from here must be able to: what is finite may still be too large for its next loss to be.
void Training::check_usable() const {
  if (const NamedParameter* bad = not_finite(finite_))
    fail("fit: ", bad->name, " is no longer finite ", place(), kAdvice);
  if (const std::string bad = optimizer_->not_finite(); !bad.empty())
    fail("fit: the optimiser's state of ", bad, " is no longer finite ", place(), kAdvice);
  // Without a file, the next step tells.
  const bool last = run_.epoch + 1 == options_.epochs && run_.batch == loader_.batches();
  if (!last_.images.defined() || (options_.checkpoint.empty() && !last)) return;
  const NoGrad no_grad;
  const ModeOverride module_mode(false);
  const TrainingMode graph_mode(false);
  const float loss = cross_entropy(forward_(last_.images), last_.labels).item();
  if (std::isfinite(loss)) return;
  const auto largest = [](const NamedParameter& p) {
    float most = 0;
    for (const float v : p.value.tensor().values<float>()) most = std::max(most, std::abs(v));
    return most;
  };
  const auto worst = std::max_element(parameters_.begin(), parameters_.end(),
                                      [&](const auto& a, const auto& b) { return largest(a) < largest(b); });
  fail("fit: the loss is ", std::abs(loss), " on the batch that was just trained on, ", place(), ", where ",
       worst->name, " has values up to ", largest(*worst), kAdvice);
}

void Training::make_forward() {
  const Shape image = dataset_.image_shape();
  const int64_t batch = std::min(options_.batch, dataset_.size());
  forward_ = forward_of(model_, {DType::float32, {batch, image[0], image[1], image[2]}});
}

void Training::step(const data::Batch& batch) {
  const int64_t batches = loader_.batches();
  run_.lr = options_.schedule(options_.optimizer->lr(),
                              {.step = steps_done(), .steps = options_.epochs * batches, .steps_per_epoch = batches});
  // Of this step alone: what a callback runs between steps is as it would be outside.
  const Frozen frozen = frozen_after(steps_done(), options_);
  const Freezing freezing(frozen);
  if (!(frozen == frozen_)) {
    frozen_ = frozen;
    make_forward();
  }
  const Tensor logits = forward_(batch.images);
  const Tensor loss = cross_entropy(logits, batch.labels, {.label_smoothing = options_.label_smoothing});
  if (!std::isfinite(loss.item())) {
    ++run_.batch;  // the step that failed
    if (const std::string bad = bad_image(batch); !bad.empty()) fail("fit: ", bad, " (", place(), ")");
    const NamedParameter* bad = not_finite(finite_);
    fail("fit: the loss is ", std::abs(loss.item()), " ", place(),
         bad == nullptr ? std::string() : text(" and ", bad->name, " is no longer finite"), kAdvice);
  }
  run_.sums.add(loss.item(), logits, batch.labels);
  loss.backward();
  if (options_.clip_value > 0) optim::clip_gradient_value(parameters_, options_.clip_value);
  if (options_.clip_norm > 0) optim::clip_gradient_norm(parameters_, options_.clip_norm);
  optimizer_->set_lr(run_.lr);
  optimizer_->step(parameters_);
  optim::zero_grad(parameters_);
  ++run_.batch;
  last_ = batch;
}

ProgressLine::Fields Training::fields() const {
  const double elapsed = now() - session_began_, epoch_elapsed = now() - epoch_began_;
  const int64_t batches = loader_.batches();
  const int64_t left = options_.epochs * batches - steps_done();
  return {text("epoch ", run_.epoch + 1, "/", options_.epochs),
          text("step ", run_.batch, "/", batches),
          text("loss ", with_decimals(run_.sums.mean_loss(), 4)),
          text("accuracy ", with_decimals(run_.sums.accuracy(), 2), " %"),
          text(with_decimals(static_cast<double>(epoch_images_) / epoch_elapsed, 0), " images/s"),
          "ETA " + to_time(static_cast<double>(left) * elapsed / static_cast<double>(session_steps_))};
}

void Training::end_epoch() {
  check_usable();
  EpochReport report{.epoch = run_.epoch,
                     .loss = run_.sums.mean_loss(),
                     .accuracy = run_.sums.accuracy(),
                     .lr = run_.lr,
                     .seconds = run_.seconds,
                     .images = run_.sums.images};
  if (options_.validation != nullptr)
    report.validation =
        detail::evaluate(options_.validation->image_shape() == dataset_.image_shape() ? forward_ : untraced(model_),
                         *options_.validation, {.workers = options_.workers});
  check(!report.validation || std::isfinite(report.validation->loss), "fit: the validation loss is ",
        report.validation ? std::abs(report.validation->loss) : 0, " after epoch ", run_.epoch + 1,
        ", where that of training is ", report.loss, ": are all values of the validation's images finite?");
  ProgressLine::Fields line{text("epoch ", run_.epoch + 1, "/", options_.epochs),
                            text("loss ", with_decimals(report.loss, 4)),
                            text("accuracy ", with_decimals(report.accuracy, 2), " %")};
  if (report.validation) line.push_back(text("validation ", with_decimals(report.validation->accuracy, 2), " %"));
  line.push_back(text(with_decimals(static_cast<double>(report.images) / report.seconds, 0), " images/s"));
  line.push_back(to_time(report.seconds));
  progress_.finish(line);
  run_.epochs.push_back(report);
  ++run_.epoch;
  run_.batch = 0;
  run_.sums = {};
  run_.seconds = 0;
  if (options_.on_epoch) options_.on_epoch(report);
}

// What the run was started with, as far as it decides about its result.
detail::Settings Training::settings() const {
  detail::Settings all{
      {"epochs", text(options_.epochs)},
      {"batch", text(options_.batch)},
      {"batches", text(options_.batches)},
      {"optimizer", optimizer_->describe()},
      {"schedule", options_.schedule.describe()},
      {"label_smoothing", text(options_.label_smoothing)},
      {"clip_norm", text(options_.clip_norm)},
      {"clip_value", text(options_.clip_value)},
      {"augmentations", text(options_.augment.size())},
      {"seed", text(options_.seed)},
      {"images", text(dataset_.size())},
      {"image shape", to_string(dataset_.image_shape())},
  };
  if (options_.drop_last) all.emplace_back("drop_last", "true");
  for (const FreezeOption& option : freeze_options())
    all.emplace_back(option.name, option.after(options_) ? text(*option.after(options_)) : "never");
  for (const auto& [path, module] : model_.modules()) all.emplace_back("module " + path, module->title());
  for (const NamedParameter& parameter : model_.named_state()) {
    const Spec& spec = parameter.value.tensor().spec();
    if (!parameter.value.trained()) {
      all.emplace_back("buffer " + parameter.name, to_string(spec));
      continue;
    }
    const auto [lr, decay] = options_.optimizer->settings(parameter);
    all.emplace_back("parameter " + parameter.name,
                     text(spec, ", lr ", lr, ", weight decay ", decay, requires_grad(parameter) ? "" : ", frozen"));
  }
  return all;
}

bool Training::checkpoint_due() const {
  return (options_.checkpoint_steps > 0 && unsaved_steps_ >= options_.checkpoint_steps) ||
         (options_.checkpoint_seconds > 0 && now() - saved_at_ >= options_.checkpoint_seconds);
}

void Training::save() {
  if (options_.checkpoint.empty()) return;
  Archive archive(detail::kCheckpoint);
  detail::save_settings(settings(), archive);
  detail::save_model(model_, archive);
  detail::save_random(archive);
  optimizer_->save(archive, "optimizer");
  run_.save(archive);
  archive.write(options_.checkpoint);
  unsaved_steps_ = 0;
  saved_at_ = now();
}

void Training::resume() {
  if (!options_.resume || access(options_.checkpoint.c_str(), F_OK) != 0) return;
  const Archive archive = Archive::read(options_.checkpoint, detail::kCheckpoint);
  detail::check_settings(settings(), archive, options_.checkpoint);
  Run run;
  run.load(archive);
  check(run.epoch >= 0 && run.batch >= 0 && run.batch <= loader_.batches(), options_.checkpoint, ": stands at epoch ",
        run.epoch, ", batch ", run.batch, ", but an epoch has ", loader_.batches());
  // All is read before anything is changed.
  optim::AnyOptimizer optimizer = optimizer_;
  optimizer->load(archive, "optimizer");
  const Random random = detail::saved_random(archive);
  detail::load_model(model_, archive);
  optimizer_ = std::move(optimizer);
  default_random() = random;
  run_ = std::move(run);
}

History Training::run() {
  const ModeOverride module_mode(true);
  const TrainingMode graph_mode(true);
  resume();
  for (NamedParameter& state : model_.named_state())
    if (all_finite(state.value.tensor())) finite_.push_back(std::move(state));
  session_began_ = saved_at_ = now();
  while (run_.epoch < options_.epochs && !stopping()) {
    epoch_began_ = now();
    epoch_images_ = 0;
    const double seconds_before = run_.seconds;
    for (const auto& batch : loader_.epoch(run_.epoch, run_.batch)) {
      if (stopping()) break;
      step(batch);
      run_.seconds = seconds_before + now() - epoch_began_;
      ++session_steps_;
      ++unsaved_steps_;
      epoch_images_ += batch.labels.size(0);
      progress_.update([this] { return fields(); });
      if (checkpoint_due()) {
        check_usable();
        save();
      }
    }
    if (stopping()) break;
    end_epoch();
    save();
  }
  if (run_.epoch < options_.epochs) {
    check_usable();
    save();
  }
  const bool stopped = stopping();
  if (stopped) followed = requests.load();
  return {std::move(run_.epochs), stopped};
}

}  // namespace

void request_stop(bool stop) noexcept {
  if (stop)
    ++requests;
  else
    requests = followed.load();
}
bool stop_requested() noexcept { return requests != followed; }

History fit(Module& model, const data::Dataset& dataset, const FitOptions& options) {
  return Training(model, dataset, options).run();
}

Evaluation detail::evaluate(const Forward& model, const data::Dataset& dataset, const EvaluateOptions& options) {
  const NoGrad no_grad;
  const ModeOverride module_mode(false);
  const TrainingMode graph_mode(false);
  const double began = now();
  data::DataLoader loader(dataset, {.batch = options.batch, .shuffle = false, .workers = options.workers});
  Sums sums;
  for (const auto& batch : loader) {
    const Tensor logits = model(batch.images);
    sums.add(cross_entropy(logits, batch.labels).item(), logits, batch.labels);
  }
  return {sums.accuracy(), sums.mean_loss(), sums.images, now() - began};
}

Evaluation detail::evaluate(const Module& model, const data::Dataset& dataset, const EvaluateOptions& options) {
  Forward forward = untraced(model);
  try {
    const Shape image = dataset.image_shape();
    forward =
        forward_of(model, {DType::float32, {std::min(options.batch, dataset.size()), image[0], image[1], image[2]}});
  } catch (const Error&) {  // no graph has its control flow: it runs as it is written
  }
  return evaluate(forward, dataset, options);
}

}  // namespace sinter::nn
