#pragma once
// The calibration of earlier versions, in two models instead of one in three states. It will go: new programs use
// FakeQuantState::calibration and load_observer_params (prepare.h), which give the same numbers.
//
//     auto calibrated = quant::prepare_calibration(net, example, quant::get_default_calib_qconfig());
//     for (const auto& batch : loader) calibrated(batch.images);
//     auto qat = quant::prepare_qat(calibrated, example, quant::get_default_qconfig());

#include <memory>
#include <string>
#include <vector>

#include "prepare.h"

namespace sinter::quant {

struct CalibQConfigOptions {
  std::string observer = "percentile";
  Keywords qkwargs{};
};

/// How feature maps are observed, for scales of the default march; weights are left alone. Throws Error as
/// get_default_qconfig does.
QConfig get_default_calib_qconfig(const CalibQConfigOptions& options = {});

/// A float network, with an observer at each input and at what each of its layers gives. It runs in evaluation
/// behaviour, whatever `train()` says, and without gradients; `evaluate` is not observed. Files of it hold what was
/// observed, `<node>.activation.range` and `.seen`; its parameters are those it was made with.
class CalibrationModel : public nn::Module {
 public:
  CalibrationModel(const nn::Module& model, const Specs& inputs, const QConfig& qconfig);
  CalibrationModel(const TracedNetwork& network, const QConfig& qconfig);

  /// Those of inputs and layers, in the graph's order.
  std::vector<const ActivationQuantizer*> quantizers() const;
  /// The network as it was traced, for prepare_qat.
  const TracedNetwork& network() const { return *network_; }

  std::vector<Tensor> forward_all(std::span<const Tensor> x) const override;
  void members(nn::MemberVisitor& visitor) const override;
  std::string title() const override;
  bool traceable() const override { return false; }
  void check_trainable() const override;
  void save_extra(Archive& archive, const std::string& prefix) const override;
  void load_extra(const Archive& archive, const std::string& prefix) override;

 private:
  std::shared_ptr<const TracedNetwork> network_;
  Graph graph_;  // fused
  std::vector<std::string> input_names_;
  std::vector<ActivationQuantizer> inputs_, nodes_;
};

/// Copies the model's parameters: `model` stays as it is. The example is as prepare_qat's. Throws Error for a network
/// that cannot be traced, and for a model that is prepared already.
CalibrationModel prepare_calibration(const nn::Module& model, const Tensor& example,
                                     const QConfig& qconfig = get_default_calib_qconfig());
/// The same for several inputs, one example each; so below.
CalibrationModel prepare_calibration(const nn::Module& model, const std::vector<Tensor>& examples,
                                     const QConfig& qconfig = get_default_calib_qconfig());
/// The same for batches of these shapes, as they are.
CalibrationModel prepare_calibration(const nn::Module& model, const Specs& inputs,
                                     const QConfig& qconfig = get_default_calib_qconfig());

/// The calibrated network, ready for quantisation-aware training: as prepare_qat of the float model with what was
/// observed of the tensors that are quantised; other observers are dropped. Throws Error when nothing was observed, for
/// an example of another shape, and as prepare_qat does.
PreparedModel prepare_qat(const CalibrationModel& calibrated, const Tensor& example,
                          const PrepareOptions& options = {});
PreparedModel prepare_qat(const CalibrationModel& calibrated, const Tensor& example, const QConfig& qconfig);
PreparedModel prepare_qat(const CalibrationModel& calibrated, const std::vector<Tensor>& examples,
                          const PrepareOptions& options = {});
/// For batches of these shapes.
PreparedModel prepare_qat(const CalibrationModel& calibrated, const Specs& inputs, const PrepareOptions& options = {});

}  // namespace sinter::quant
