#include "loss.h"

#include <algorithm>
#include <map>

#include "../../core/ops/cross_entropy.h"
#include "bce_with_logits.h"
#include "dice_loss.h"
#include "distillation_loss.h"
#include "focal_loss.h"
#include "giou_loss.h"
#include "huber_loss.h"
#include "kl_div.h"
#include "l1_loss.h"
#include "mse_loss.h"
#include "nll_loss.h"
#include "smooth_l1_loss.h"

namespace sinter::nn {

namespace {

struct Maker {
  std::vector<std::string> options;
  detail::MakeLoss make;
};

struct Makers {
  std::map<std::string, Maker> all;
  std::string duplicate;  // an error in a static initialiser could not be caught
};

Makers& registered() {
  static auto& instance = *new Makers;
  return instance;
}

void add_built_in() {
  const RegisteredLoss<CrossEntropyOptions> cross_entropies(  //
      "cross_entropy", cross_entropy,
      {{"label_smoothing", &CrossEntropyOptions::label_smoothing},
       {"ignore_index", &CrossEntropyOptions::ignore_index},
       {"reduction", &CrossEntropyOptions::reduction},
       {"weight", &CrossEntropyOptions::weight}});
  const RegisteredLoss<NllLossOptions> nll("nll", nll_loss,
                                           {{"ignore_index", &NllLossOptions::ignore_index},
                                            {"reduction", &NllLossOptions::reduction},
                                            {"weight", &NllLossOptions::weight}});
  const RegisteredLoss<MseLossOptions> mse("mse", mse_loss, {{"reduction", &MseLossOptions::reduction}});
  const RegisteredLoss<L1LossOptions> l1("l1", l1_loss, {{"reduction", &L1LossOptions::reduction}});
  const RegisteredLoss<SmoothL1LossOptions> smooth_l1(
      "smooth_l1", smooth_l1_loss,
      {{"beta", &SmoothL1LossOptions::beta}, {"reduction", &SmoothL1LossOptions::reduction}});
  const RegisteredLoss<HuberLossOptions> huber(
      "huber", huber_loss, {{"delta", &HuberLossOptions::delta}, {"reduction", &HuberLossOptions::reduction}});
  const RegisteredLoss<BceWithLogitsOptions> bce("bce_with_logits", bce_with_logits,
                                                 {{"reduction", &BceWithLogitsOptions::reduction},
                                                  {"weight", &BceWithLogitsOptions::weight},
                                                  {"pos_weight", &BceWithLogitsOptions::pos_weight}});
  const RegisteredLoss<FocalLossOptions> focal("focal", focal_loss,
                                               {{"alpha", &FocalLossOptions::alpha},
                                                {"gamma", &FocalLossOptions::gamma},
                                                {"reduction", &FocalLossOptions::reduction}});
  const RegisteredLoss<DiceLossOptions> dice("dice", dice_loss,
                                             {{"activation", &DiceLossOptions::activation},
                                              {"smooth", &DiceLossOptions::smooth},
                                              {"ignore_index", &DiceLossOptions::ignore_index},
                                              {"reduction", &DiceLossOptions::reduction}});
  const RegisteredLoss<KlDivOptions> kl(
      "kl_div", kl_div, {{"log_target", &KlDivOptions::log_target}, {"reduction", &KlDivOptions::reduction}});
  const RegisteredLoss<DistillationLossOptions> distillation(
      "distillation", distillation_loss,
      {{"temperature", &DistillationLossOptions::temperature}, {"reduction", &DistillationLossOptions::reduction}});
  const RegisteredLoss<GiouLossOptions> giou(
      "giou", giou_loss, {{"reduction", &GiouLossOptions::reduction}, {"eps", &GiouLossOptions::eps}});
}

const Makers& makers() {
  static const bool once = [] {
    add_built_in();
    return true;
  }();
  static_cast<void>(once);
  return registered();
}

template <class T>
const T& value_of(const LossOption& option, const char* expected) {
  const T* value = std::get_if<T>(&option.value);
  check(value != nullptr, "option ", option.name, " of a loss is of another type, expected ", expected);
  return *value;
}

}  // namespace

void detail::add_loss(const std::string& name, std::vector<std::string> options, MakeLoss make) {
  if (!registered().all.emplace(name, Maker{std::move(options), std::move(make)}).second) registered().duplicate = name;
}

void detail::assign_option(const LossOption& option, bool& member) { member = value_of<bool>(option, "true or false"); }
void detail::assign_option(const LossOption& option, int64_t& member) {
  member = value_of<int64_t>(option, "an integer");
}
void detail::assign_option(const LossOption& option, double& member) {
  const auto* integer = std::get_if<int64_t>(&option.value);
  member = integer != nullptr ? static_cast<double>(*integer) : value_of<double>(option, "a number");
}
void detail::assign_option(const LossOption& option, std::string& member) {
  member = value_of<std::string>(option, "a word");
}
void detail::assign_option(const LossOption& option, Tensor& member) { member = value_of<Tensor>(option, "a tensor"); }

std::vector<std::string> loss_names() {
  std::vector<std::string> names;
  for (const auto& entry : makers().all) names.push_back(entry.first);
  return names;
}

Loss loss(const std::string& name, const std::vector<LossOption>& options) {
  const Makers& known = makers();
  check(known.duplicate.empty(), "loss '", known.duplicate, "' was registered twice");
  const auto found = known.all.find(name);
  check(found != known.all.end(), "loss '", name, "' is unknown, expected one of: ", joined(loss_names()));
  const Maker& maker = found->second;
  for (const LossOption& option : options)
    check(std::find(maker.options.begin(), maker.options.end(), option.name) != maker.options.end(), "loss '", name,
          "' has no option '", option.name, "', expected one of: ", joined(maker.options));
  return maker.make(options);
}

}  // namespace sinter::nn
