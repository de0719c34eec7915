#pragma once

#include <functional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "../../core/tensor.h"

namespace sinter::nn {

/// What training makes small: of an output and its target.
using Loss = std::function<Tensor(const Tensor& output, const Tensor& target)>;

/// One option of a loss that is named: `{"beta", 0.5}`.
struct LossOption {
  std::string name;
  std::variant<bool, int64_t, double, std::string, Tensor> value;
};

/// A loss by its name, with the options of its function: `nn::loss("smooth_l1", {{"beta", 0.5}})`. There are
/// cross_entropy, nll, mse, l1, smooth_l1, huber, bce_with_logits, focal, dice, kl_div, distillation, giou, and those
/// that the program registers. Throws Error for another name, for an option that the loss has not or of another type
/// (an integer may stand for a number).
Loss loss(const std::string& name, const std::vector<LossOption>& options = {});
/// Names of all losses there are, sorted.
std::vector<std::string> loss_names();

/// The options of a loss: names and members.
template <class Options>
using LossMembers =
    std::vector<std::pair<std::string, std::variant<bool Options::*, int64_t Options::*, double Options::*,
                                                    std::string Options::*, Tensor Options::*>>>;

namespace detail {
using MakeLoss = std::function<Loss(const std::vector<LossOption>&)>;
/// One of a name that exists is reported at the first look-up.
void add_loss(const std::string& name, std::vector<std::string> options, MakeLoss make);
void assign_option(const LossOption& option, bool& member);
void assign_option(const LossOption& option, int64_t& member);
void assign_option(const LossOption& option, double& member);
void assign_option(const LossOption& option, std::string& member);
void assign_option(const LossOption& option, Tensor& member);
}  // namespace detail

/// A user's loss, known by name from then on:
/// `static const nn::RegisteredLoss<PowerOptions> registered("power", power_loss, {{"exponent",
/// &PowerOptions::exponent}});` for `Tensor power_loss(const Tensor& output, const Tensor& target, const PowerOptions&
/// options)`.
template <class Options>
struct RegisteredLoss {
  using Function = Tensor (*)(const Tensor& output, const Tensor& target, const Options& options);
  RegisteredLoss(const std::string& name, Function function, LossMembers<Options> members = {}) {
    std::vector<std::string> names;
    for (const auto& member : members) names.push_back(member.first);
    detail::add_loss(name, names, [function, members = std::move(members)](const std::vector<LossOption>& given) {
      Options options{};
      for (const auto& member : members)
        for (const LossOption& option : given)
          if (option.name == member.first)
            std::visit([&](auto at) { detail::assign_option(option, options.*at); }, member.second);
      return
          [function, options](const Tensor& output, const Tensor& target) { return function(output, target, options); };
    });
  }
};

}  // namespace sinter::nn
