#pragma once

#include <array>
#include <concepts>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "../../core/parameter.h"
#include "../../core/serialize.h"

namespace sinter::optim {

/// Which parameters a rule is for: a pattern of the name, in which `*` stands for any characters (`*.bias`), or a
/// predicate.
class Match {
 public:
  Match(const char* pattern) : Match(std::string(pattern)) {}
  Match(std::string text);
  template <std::predicate<const NamedParameter&> Predicate>
  Match(Predicate predicate) : matches_(std::move(predicate)) {}

  bool operator()(const NamedParameter& parameter) const { return matches_(parameter); }
  /// The pattern; of a predicate, empty.
  const std::string& pattern() const { return pattern_; }

 private:
  std::string pattern_;
  std::function<bool(const NamedParameter&)> matches_;
};

/// Biases and the parameters of batch normalisation: tensors with at most one axis, which are rarely decayed.
bool is_vector(const NamedParameter& parameter);

/// Other settings for some parameters, as in `.rules = {{.match = optim::is_vector, .weight_decay = 0}}`. Of the rules
/// that match a parameter the last one counts. The weight decay is that rule's, else the parameter's own, else the
/// optimiser's.
struct Rule {
  Match match = "*";
  double lr_scale = 1;
  std::optional<double> weight_decay{};
};

/// Part of one parameter for an optimiser to update; all pointers are to `count` elements.
struct Chunk {
  static constexpr size_t kMaxSlots = 4;
  float* value;
  const float* gradient;
  std::array<float*, kMaxSlots> state;  ///< of each slot; zeros before the first step
  int64_t count;
  int64_t steps;  ///< of this parameter before this one
  double lr;
  double weight_decay;
};

/// Updates parameters from their gradients. To write one: derive, name the tensors of state that a parameter needs in
/// `slots`, and update a chunk of elements in `update`, whose result for an element may depend on that element alone,
/// or, where the optimiser is `whole`, on all of the parameter.
/// Copies have state of their own. It holds no parameter; its state belongs to the parameter's name.
class Optimizer {
 public:
  virtual ~Optimizer() = default;

  /// Name and settings except lr and rules, for messages and for recognising checkpoints: `SGD(momentum=0.9)`.
  virtual std::string describe() const = 0;
  /// Names of the state that each parameter has.
  virtual std::vector<std::string> slots() const = 0;
  virtual void update(const Chunk& chunk) const = 0;
  /// True: `update` gets each parameter whole, one after the other, and may use threads itself.
  virtual bool whole() const { return false; }

  /// Updates every trained parameter that has a gradient and is not frozen. Throws Error when a parameter's shape is
  /// not the one that its name had before.
  void step(const std::vector<NamedParameter>& parameters);

  double lr() const { return lr_; }
  void set_lr(double lr);
  const std::vector<Rule>& rules() const { return rules_; }
  /// Throws Error for a rule whose pattern is the name of none of these, with the nearest one; a predicate may match
  /// nothing. The first step checks its parameters.
  void check_rules(const std::vector<NamedParameter>& parameters) const;
  /// The rate and weight decay of one parameter under the rules.
  std::pair<double, double> settings(const NamedParameter& parameter) const;

  /// Writes and reads all state as sections below `prefix`. Loading throws Error when the file holds the state of
  /// other slots; then nothing is changed.
  void save(Archive& archive, const std::string& prefix) const;
  /// A parameter whose state has a value that is not finite, or nothing.
  std::string not_finite() const;
  void load(const Archive& archive, const std::string& prefix);

 protected:
  Optimizer(double lr, double weight_decay, std::vector<Rule> rules);
  Optimizer(const Optimizer&) = default;
  Optimizer(Optimizer&&) = default;
  Optimizer& operator=(const Optimizer&) = default;
  Optimizer& operator=(Optimizer&&) = default;

 private:
  struct State {
    std::vector<Parameter> slots;  // parameters, as these copy their values
    int64_t steps = 0;
    bool resolved = false;  // whether the rules were applied
    double lr_scale = 1;
    double weight_decay = 0;
  };
  struct Item {
    Chunk whole;
    int64_t begin;  // of its elements, counted over all parameters
    Tensor gradient;
    std::optional<float> minimum;
  };
  const Rule* rule_for(const NamedParameter& parameter) const;
  State& state_of(const NamedParameter& parameter);

  double lr_;
  double weight_decay_;
  std::vector<Rule> rules_;
  std::unordered_map<std::string, State> states_;
  std::vector<Item> items_;  // of the running step; kept for its memory
};

/// Any optimiser as a value: copying it copies the optimiser with its state.
class AnyOptimizer {
 public:
  template <std::derived_from<Optimizer> O>
  AnyOptimizer(O optimizer)
      : held_(std::make_unique<O>(std::move(optimizer))), clone_([](const Optimizer& other) {
          return std::unique_ptr<Optimizer>(std::make_unique<O>(static_cast<const O&>(other)));
        }) {}
  AnyOptimizer(const AnyOptimizer& other) : held_(other.clone_(*other.held_)), clone_(other.clone_) {}
  AnyOptimizer(AnyOptimizer&&) noexcept = default;
  AnyOptimizer& operator=(AnyOptimizer other) noexcept {
    held_ = std::move(other.held_);
    clone_ = other.clone_;
    return *this;
  }

  Optimizer& operator*() { return *held_; }
  const Optimizer& operator*() const { return *held_; }
  Optimizer* operator->() { return held_.get(); }
  const Optimizer* operator->() const { return held_.get(); }

 private:
  std::unique_ptr<Optimizer> held_;
  std::unique_ptr<Optimizer> (*clone_)(const Optimizer&);
};

/// Removes the gradients, for the next backward to start from none.
void zero_grad(const std::vector<NamedParameter>& parameters);

}  // namespace sinter::optim
