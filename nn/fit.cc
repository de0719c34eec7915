#include "fit.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <cmath>
#include <cstring>
#include <filesystem>
#include <memory>

#include "../core/format.h"
#include "../core/ops/arithmetic.h"
#include "../data/data_loader.h"
#include "checkpoint.h"
#include "ema.h"
#include "forward.h"
#include "freeze_options.h"
#include "optim/clip.h"
#include "progress.h"
#include "sums.h"
#include "training_log.h"
#include "training_run.h"

namespace sinter::nn {

namespace {

// Requests to stop so far, and those that a run has followed.
std::atomic<uint64_t> requests{0}, followed{0};
static_assert(std::atomic<uint64_t>::is_always_lock_free, "a signal handler counts");

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::atomic<int64_t> running{0};  // fits, in all threads

// What a run knows of requests to stop. One that came while other runs were there was for those.
class Requests {
 public:
  Requests() : followed_(running.fetch_add(1) == 0 ? followed.load() : requests.load()) {}
  ~Requests() {
    if (there()) followed = requests.load();
    --running;
  }
  Requests(const Requests&) = delete;
  Requests& operator=(const Requests&) = delete;
  bool there() const { return requests != followed_; }

 private:
  const uint64_t followed_;
};

bool requires_grad(const NamedParameter& parameter) { return parameter.value.tensor().requires_grad(); }

// Adds to `total` what passes until its end.
class Stopwatch {
 public:
  explicit Stopwatch(double& total) : total_(total), began_(now()) {}
  ~Stopwatch() { total_ += now() - began_; }
  Stopwatch(const Stopwatch&) = delete;
  Stopwatch& operator=(const Stopwatch&) = delete;

 private:
  double& total_;
  double began_;
};

class Training {
 public:
  Training(Module& model, const data::Dataset& dataset, const FitOptions& options);
  ~Training() { optim::zero_grad(parameters_); }
  Training(const Training&) = delete;
  Training& operator=(const Training&) = delete;
  History run();

 private:
  void accumulate(const data::Batch& batch);
  void step(const data::Batch& batch, const Outputs& outputs);
  void train_epoch();
  int64_t steps_an_epoch() const { return (loader_.batches() + options_.accumulate - 1) / options_.accumulate; }
  // Of the optimiser; that under way is not done.
  int64_t steps_done() const {
    return run_.epoch * steps_an_epoch() +
           (run_.batch == loader_.batches() ? steps_an_epoch() : run_.batch / options_.accumulate);
  }
  bool between_steps() const { return run_.batch % options_.accumulate == 0 || run_.batch == loader_.batches(); }
  Ema* ema() { return ema_ ? &*ema_ : nullptr; }
  void validate(EpochReport& report);
  void end_epoch();
  bool checkpoint_due() const;
  void save();
  bool resume();
  bool stopping() const { return requests_.there() || (options_.stop && options_.stop()); }
  bool out_of_patience() const {
    return options_.patience > 0 && ranked(run_.epochs, options_.monitor).waited >= options_.patience;
  }
  void check_usable();
  std::string place() const;
  detail::Settings settings() const;
  ProgressLine::Fields fields() const;

  Module& model_;
  const FitOptions& options_;
  const data::Dataset& dataset_;
  data::DataLoader loader_;
  std::vector<NamedParameter> parameters_;
  std::vector<NamedParameter> finite_;  // parameters and buffers that were so when the run began
  const Requests requests_;
  data::Batch last_;  // that a step was made with
  Frozen frozen_;     // while `forward_` was made
  Forward forward_;
  optim::AnyOptimizer optimizer_;
  std::optional<Ema> ema_;
  Metrics metrics_;
  ProgressLine progress_;
  TrainingLog log_;
  TrainingRun run_;
  double loss_of_step_ = 0, images_of_step_ = 0;  // sums over its batches so far
  double epoch_began_ = 0;                        // in this process, as are the following
  double session_began_ = 0, saved_at_ = 0;
  int64_t session_batches_ = 0, epoch_images_ = 0, unsaved_steps_ = 0;
};

void check_can_be_made(const std::string& path) {
  if (path.empty() || std::filesystem::is_symlink(path)) return;  // a link's target is what is written
  const size_t slash = path.rfind('/');
  const std::string directory = slash == std::string::npos ? "." : path.substr(0, std::max<size_t>(slash, 1));
  check(access(directory.c_str(), W_OK | X_OK) == 0, path, ": cannot be written in ", directory, ": ",
        std::strerror(errno));
}

const FitOptions& checked(const FitOptions& options) {
  check(options.epochs >= 0, "fit: epochs is ", options.epochs, ", expected 0 or more");
  check(options.accumulate >= 1, "fit: accumulate is ", options.accumulate, ", expected at least 1");
  check(options.ema >= 0 && options.ema < 1, "fit: ema is ", options.ema, ", expected 0 (none) to less than 1");
  check(options.patience >= 0, "fit: patience is ", options.patience, ", expected 0 or more");
  check(options.log_steps >= 1, "fit: log_steps is ", options.log_steps, ", expected at least 1");
  check(!options.loss || options.label_smoothing == 0,
        "fit: label_smoothing is of cross-entropy where no other loss is given, but there is one");
  check(options.metrics.empty() || options.validation != nullptr,
        "fit: metrics are of the validation, but there is none; a step's outputs are in on_step");
  check(options.validation == nullptr || options.validation->size() > 0, "fit: the validation has no images");
  // Where there are metrics, they say their names after the first epoch.
  const std::string& number = options.monitor.number;
  check(!options.metrics.empty() || number == "loss" || (number == "accuracy" && !options.loss),
        "fit: the monitor is '", number, "', but ",
        number == "accuracy" ? "with a loss of one's own there is only loss"
                             : "without metrics there are only loss and accuracy");
  check(options.label_smoothing >= 0 && options.label_smoothing < 1, "fit: label_smoothing is ",
        options.label_smoothing, ", expected 0 <= label_smoothing < 1");
  check(options.clip_norm >= 0 && options.clip_value >= 0, "fit: clip_norm is ", options.clip_norm, " and clip_value ",
        options.clip_value, ", expected 0 or more");
  check(options.checkpoint_steps >= 0 && options.checkpoint_seconds >= 0, "fit: checkpoint_steps is ",
        options.checkpoint_steps, " and checkpoint_seconds ", options.checkpoint_seconds, ", expected 0 or more");
  // Known before hours of training.
  for (const std::string& path : {options.checkpoint, options.best}) check_can_be_made(path);
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
                        .sampler = options.sampler,
                        .batches = options.batches,
                        .workers = options.workers,
                        .drop_last = options.drop_last,
                        .augment = options.augment,
                        .collate = options.collate}),
      parameters_(model.parameters()),
      forward_(model, std::min(options.batch, dataset.size()), true),
      optimizer_(options.optimizer),
      metrics_(options.metrics),
      progress_(options.progress),
      log_(options, model) {
  for (const auto& [path, module] : model.modules()) module->check_trainable();
  check(!parameters_.empty(), "fit: the model has no parameters to train");
  check(std::any_of(parameters_.begin(), parameters_.end(), requires_grad),
        "fit: every parameter of the model is frozen (requires_grad is false)");
  check_freeze_options(options, model);
  optimizer_->check_rules(parameters_);
  if (options.ema > 0) ema_.emplace(model, options.ema);
}

std::string Training::place() const { return text("in epoch ", run_.epoch + 1, ", step ", run_.batch); }

namespace {

// The first of them that has a value that is not finite, or null.
const NamedParameter* not_finite(const std::vector<NamedParameter>& state) {
  const auto found =
      std::find_if(state.begin(), state.end(), [](const NamedParameter& p) { return !all_finite(p.value.tensor()); });
  return found == state.end() ? nullptr : &*found;
}

bool has_numbers(const Tensor& output) { return output.dtype() != DType::float32 || all_finite(output); }

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

template <class... Parts>
[[noreturn]] void diverged(const Parts&... parts) {
  throw Diverged(text(parts...));
}

const char* const kAdvice = ": training has diverged; a lower learning rate, a warm-up or clip_norm may help";

}  // namespace

// A run that goes on from here must be able to: what is finite may still be too large for its next loss to be.
void Training::check_usable() {
  if (const NamedParameter* bad = not_finite(finite_))
    diverged("fit: ", bad->name, " is no longer finite ", place(), kAdvice);
  if (const std::string bad = optimizer_->not_finite(); !bad.empty())
    diverged("fit: the optimiser's state of ", bad, " is no longer finite ", place(), kAdvice);
  // Without a file, the next step tells.
  const bool last = run_.epoch + 1 == options_.epochs && run_.batch == loader_.batches();
  if (data::count_of(last_) == 0 || (options_.checkpoint.empty() && !last)) return;
  const NoGrad no_grad;
  const ModeOverride module_mode(false);
  const TrainingMode graph_mode(false);
  const float loss = loss_of(options_.loss, forward_(options_.inputs(last_)), last_).item();
  if (std::isfinite(loss)) return;
  const auto largest = [](const NamedParameter& p) {
    float most = 0;
    for (const float v : p.value.tensor().values<float>()) most = std::max(most, std::abs(v));
    return most;
  };
  const auto worst = std::max_element(parameters_.begin(), parameters_.end(),
                                      [&](const auto& a, const auto& b) { return largest(a) < largest(b); });
  diverged("fit: the loss is ", std::abs(loss), " on the batch that was just trained on, ", place(), ", where ",
           worst->name, " has values up to ", largest(*worst), kAdvice);
}

// A batch's share of a step's gradients; the last one of a step makes it.
void Training::accumulate(const data::Batch& batch) {
  const int64_t batches = loader_.batches();
  const optim::Position position{
      .step = steps_done(), .steps = options_.epochs * steps_an_epoch(), .steps_per_epoch = steps_an_epoch()};
  run_.lr = options_.schedule(options_.optimizer->lr(), position);
  // Of this step alone: what a callback runs between steps is as it would be outside.
  const Frozen frozen = frozen_after(steps_done(), options_);
  const Freezing freezing(frozen);
  if (!(frozen == frozen_)) {
    frozen_ = frozen;
    forward_.forget();
  }
  const int64_t first = run_.batch / options_.accumulate * options_.accumulate;
  const bool alone = std::min(options_.accumulate, batches - first) == 1;
  const auto images = static_cast<double>(data::count_of(batch)), usual = static_cast<double>(options_.batch);
  Outputs outputs({});
  Tensor loss;
  {
    const Stopwatch watch(log_.times().forward);
    outputs = forward_(options_.inputs(batch));
    loss = loss_of(options_.loss, outputs, batch, options_.label_smoothing);
  }
  const float value = loss.item();
  if (!std::isfinite(value)) {
    ++run_.batch;  // the step that failed
    if (const std::string bad = bad_image(batch); !bad.empty()) fail("fit: ", bad, " (", place(), ")");
    const NamedParameter* bad = not_finite(finite_);
    if (std::isnan(value) && bad == nullptr && std::all_of(outputs.begin(), outputs.end(), has_numbers))
      diverged("fit: the loss is nan ", place(),
               ", but all that the model gave is finite: is a target NaN, or is it a ",
               "mean over nothing, as where a whole batch is ignored (\"sum\" over a count of one's own has none)?");
    diverged("fit: the loss is ", std::abs(value), " ", place(),
             bad == nullptr ? std::string() : text(" and ", bad->name, " is no longer finite"), kAdvice);
  }
  add(run_.sums, value, static_cast<bool>(options_.loss), outputs, batch);
  loss_of_step_ += static_cast<double>(value) * images;
  images_of_step_ += images;
  {
    const Stopwatch watch(log_.times().backward);
    if (alone)
      loss.backward();
    else
      (loss * (images / usual)).backward();  // an image counts as much in a batch that is smaller
  }
  ++run_.batch;
  if (between_steps()) {
    if (!alone) optim::scale_gradients(parameters_, usual / images_of_step_);
    loss_of_step_ = alone ? static_cast<double>(value) : loss_of_step_ / images_of_step_;
    step(batch, outputs);
    loss_of_step_ = images_of_step_ = 0;
  }
}

void Training::step(const data::Batch& batch, const Outputs& outputs) {
  {
    const Stopwatch watch(log_.times().optimizer);
    if (options_.clip_value > 0) optim::clip_gradient_value(parameters_, options_.clip_value);
    if (options_.clip_norm > 0) optim::clip_gradient_norm(parameters_, options_.clip_norm);
    optimizer_->set_lr(run_.lr);
    optimizer_->step(parameters_);
    optim::zero_grad(parameters_);
    if (ema_) ema_->update(model_);
  }
  last_ = batch;
  log_.step(steps_done(), loss_of_step_, run_.lr);
  if (!options_.on_step) return;
  const Freezing none({});
  options_.on_step({.epoch = run_.epoch,
                    .step = steps_done(),
                    .loss = loss_of_step_,
                    .lr = run_.lr,
                    .batch = batch,
                    .outputs = outputs});
}

ProgressLine::Fields Training::fields() const {
  const double elapsed = now() - session_began_, epoch_elapsed = now() - epoch_began_;
  const int64_t batches = loader_.batches();
  const int64_t left = (options_.epochs - run_.epoch) * batches - run_.batch;
  ProgressLine::Fields line{text("epoch ", run_.epoch + 1, "/", options_.epochs),
                            text("step ", run_.batch, "/", batches),
                            text("loss ", with_decimals(run_.sums.mean_loss(), 4))};
  if (run_.sums.classifies) line.push_back(text("accuracy ", with_decimals(run_.sums.accuracy(), 2), " %"));
  line.push_back(text(with_decimals(static_cast<double>(epoch_images_) / epoch_elapsed, 0), " images/s"));
  line.push_back("ETA " + to_time(static_cast<double>(left) * elapsed / static_cast<double>(session_batches_)));
  return line;
}

void Training::validate(EpochReport& report) {
  if (options_.validation == nullptr) return;
  const Stopwatch watch(log_.times().validation);
  const EvaluateOptions how{
      .workers = options_.workers, .inputs = options_.inputs, .loss = options_.loss, .collate = options_.collate};
  report.validation =
      evaluate_with([this](std::span<const Tensor> x) { return forward_(x); }, *options_.validation, how, metrics_);
  check(!std::isinf(report.validation->loss) && (!std::isnan(report.validation->loss)), "fit: the validation loss is ",
        std::abs(report.validation->loss), " after epoch ", run_.epoch + 1, ", where that of training is ", report.loss,
        ": are all values of the validation's images finite?");
}

void Training::end_epoch() {
  check_usable();
  EpochReport report{.epoch = run_.epoch,
                     .loss = run_.sums.mean_loss(),
                     .accuracy = run_.sums.accuracy(),
                     .lr = run_.lr,
                     .seconds = run_.seconds,
                     .images = run_.sums.images};
  const int64_t steps = steps_done();
  {
    const WithEma averages(model_, ema());
    validate(report);
    run_.epochs.push_back(report);
    const bool best = ranked(run_.epochs, options_.monitor).best == report.epoch;
    if (best && !options_.best.empty()) nn::save(model_, options_.best);
    log_.epoch(steps, report, [this](const Graph::NodeHook& hook) {
      const NoGrad no_grad;
      const ModeOverride module_mode(false);
      const TrainingMode graph_mode(false);
      const std::vector<Tensor> inputs = options_.inputs(last_);
      forward_(inputs, hook);
      return std::pair(inputs, forward_.graph());
    });
  }
  ProgressLine::Fields line{text("epoch ", run_.epoch + 1, "/", options_.epochs),
                            text("loss ", with_decimals(report.loss, 4))};
  if (run_.sums.classifies) line.push_back(text("accuracy ", with_decimals(report.accuracy, 2), " %"));
  if (report.validation) {
    if (run_.sums.classifies)
      line.push_back(text("validation ", with_decimals(report.validation->accuracy, 2), " %"));
    else
      line.push_back(text("validation loss ", with_decimals(report.validation->loss, 4)));
    for (const auto& [name, value] : report.validation->metrics) line.push_back(text(name, " ", with_digits(value, 4)));
  }
  line.push_back(text(with_decimals(static_cast<double>(report.images) / report.seconds, 0), " images/s"));
  line.push_back(to_time(report.seconds));
  progress_.finish(line);
  ++run_.epoch;
  run_.batch = 0;
  run_.sums = {.classifies = run_.sums.classifies};
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
  if (options_.loss) all.emplace_back("loss", "a function");
  if (options_.inputs.describe() != data::Inputs().describe()) all.emplace_back("inputs", options_.inputs.describe());
  if (options_.collate) all.emplace_back("collate", "a function");
  if (options_.sampler) all.emplace_back("sampler", text("of ", options_.sampler.count, " images"));
  if (options_.accumulate > 1) all.emplace_back("accumulate", text(options_.accumulate));
  if (options_.ema > 0) all.emplace_back("ema", text(options_.ema));
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
  const Stopwatch watch(log_.times().checkpoint);
  Archive archive(detail::kCheckpoint);
  detail::save_settings(settings(), archive);
  detail::save_model(model_, ema(), archive);
  detail::save_random(archive);
  optimizer_->save(archive, "optimizer");
  run_.save(archive);
  log_.flush();
  archive.write(options_.checkpoint);
  unsaved_steps_ = 0;
  saved_at_ = now();
}

bool Training::resume() {
  if (!options_.resume || access(options_.checkpoint.c_str(), F_OK) != 0) return false;
  const Archive archive = Archive::read(options_.checkpoint, detail::kCheckpoint);
  detail::check_settings(settings(), archive, options_.checkpoint);
  TrainingRun run;
  run.load(archive);
  check(run.epoch >= 0 && run.batch >= 0 && run.batch <= loader_.batches(), options_.checkpoint, ": stands at epoch ",
        run.epoch, ", batch ", run.batch, ", but an epoch has ", loader_.batches());
  // All is read before anything is changed.
  optim::AnyOptimizer optimizer = optimizer_;
  optimizer->load(archive, "optimizer");
  const Random random = detail::saved_random(archive);
  detail::load_model(model_, ema(), archive);
  optimizer_ = std::move(optimizer);
  default_random() = random;
  run_ = std::move(run);
  return true;
}

void Training::train_epoch() {
  epoch_began_ = now();
  epoch_images_ = 0;
  const double seconds_before = run_.seconds;
  for (const auto& batch : loader_.epoch(run_.epoch, run_.batch)) {
    if (between_steps() && stopping()) break;
    accumulate(batch);
    run_.seconds = seconds_before + now() - epoch_began_;
    ++session_batches_;
    epoch_images_ += data::count_of(batch);
    progress_.update([this] { return fields(); });
    if (!between_steps()) continue;
    ++unsaved_steps_;
    if (checkpoint_due()) {
      check_usable();
      save();
    }
  }
}

History Training::run() {
  const ModeOverride module_mode(true);
  const TrainingMode graph_mode(true);
  optim::zero_grad(parameters_);  // of a loop that was left
  const bool resumed = resume();
  run_.sums.classifies = !options_.loss;
  if (resumed) log_.resume(steps_done());
  log_.flush();  // a file that cannot be written says so now
  for (NamedParameter& state : model_.named_state())
    if (all_finite(state.value.tensor())) finite_.push_back(std::move(state));
  session_began_ = saved_at_ = now();
  bool stopped = false, early = false;
  while (run_.epoch < options_.epochs && !(early = out_of_patience()) && !(stopped = stopping())) {
    const double waited = loader_.waited();
    train_epoch();
    log_.times().data += loader_.waited() - waited;
    // A step that was asked to stop before the epoch's end; one that was asked after its last step ends it.
    if ((stopped = run_.batch < loader_.batches() || stopping())) break;
    end_epoch();
    save();
  }
  if (run_.epoch < options_.epochs && !early) {
    check_usable();
    save();
  }
  History history{.epochs = {}, .stopped = stopped || requests_.there(), .stopped_early = early};
  history.best_epoch = run_.epochs.empty() ? -1 : ranked(run_.epochs, options_.monitor).best;
  history.epochs = std::move(run_.epochs);
  log_.finish(history);
  if (ema_) ema_->swap(model_);
  return history;
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

}  // namespace sinter::nn
