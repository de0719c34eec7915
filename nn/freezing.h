#pragma once

namespace sinter::nn {

/// What may stay as it is while the rest of a model is trained.
struct Frozen {
  bool observers = false;   ///< quantised activations are not observed: their ranges stay
  bool batch_norm = false;  ///< normalises with its running statistics, which stay; its weight and bias are trained
  bool scales = false;      ///< the scales of quantised activations stay, and learned ones of weights
  bool operator==(const Frozen&) const = default;
};

/// (To freeze layers for good: `nn::freeze`.) While alive, what it says is frozen in all modules that this thread runs,
/// besides what is anyway. A copy of a module that is made meanwhile is free of it, as it is the thread's, not the
/// module's.
class Freezing {
 public:
  explicit Freezing(const Frozen& frozen);
  ~Freezing();
  /// What is frozen in the modules that this thread runs; they read it in `forward`.
  static const Frozen& now();
  Freezing(const Freezing&) = delete;
  Freezing& operator=(const Freezing&) = delete;

 private:
  Frozen before_;
};

}  // namespace sinter::nn
