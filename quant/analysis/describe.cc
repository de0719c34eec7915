#include "describe.h"

#include <algorithm>

#include "../../core/format.h"
#include "../../core/table.h"
#include "../fused_conv.h"
#include "../layers/list.h"
#include "../scale_source.h"
#include "warnings.h"

namespace sinter::quant {

namespace {

std::string type_name(int bits, const Bounds& type) { return text(type.low < 0 ? "int" : "uint", bits); }

std::string operation_of(const PreparedModel& model, size_t index) {
  const Node& node = model.graph().nodes[index];
  std::string all(node.op->name());
  if (const FusedConv* conv = fused_conv(node)) {
    if (conv->attributes.batch_norm) all += "+batch_norm";
    if (skip_of(node) != nullptr) all += "+add";
    if (conv->activation() != Activation::none) all += "+" + conv->attributes.activation;
  }
  return model.in_float(index) ? all + " in float" : all;
}

// The settings of a kind, without what every kind has: a column of its own.
std::string with_settings(const std::string& name, const std::vector<std::string>& own, const Keywords& keywords) {
  std::map<std::string, Keywords::Value> some;
  for (const auto& [keyword, value] : keywords.values())
    if (std::find(own.begin(), own.end(), keyword) != own.end()) some.emplace(keyword, value);
  return some.empty() ? name : name + to_string(Keywords(some));
}

void configured(TensorDescription& row, const TensorConfig& config, const std::string& source) {
  row.observer = with_settings(config.observer, observer_factory(config.observer).keywords, config.keywords);
  row.fake_quant = with_settings(config.fake_quant, fake_quant_factory(config.fake_quant).keywords, config.keywords);
  row.averaging_constant = config.averaging_constant;
  row.source = source;
}

class Description {
 public:
  explicit Description(const PreparedModel& model) : model_(model), graph_(model.graph()), scales_(scales_of(model)) {}

  std::vector<TensorDescription> run() {
    for (size_t i = 0; i < graph_.inputs.size(); ++i) {
      TensorDescription row{model_.input_name(i), "input", "float32"};
      if (const auto* quantizer = model_.input_quantizer_or_null(i))
        describe(row, *quantizer, scales_.inputs[i], Activation::none);
      inputs_.push_back(row);
      rows_.push_back(std::move(row));
    }
    for (size_t i = 0; i < graph_.nodes.size(); ++i) {
      const Node& node = graph_.nodes[i];
      if (const auto* weights = model_.weight_quantizer(i); weights != nullptr && weights->name() == node.name)
        rows_.push_back(weight(node, *weights));
      nodes_.push_back(output(i));
      rows_.push_back(nodes_.back());
    }
    return std::move(rows_);
  }

 private:
  void describe(TensorDescription& row, const ActivationQuantizer& quantizer, float scale,
                Activation activation) const {
    configured(row, quantizer.config(), quantizer.source());
    row.dtype = type_name(quantizer.config().bits, quantizer.type());
    row.batches = quantizer.batches();
    row.range = quantizer.range();
    row.bounds = quantizer.bounds();
    if (activation != Activation::none) row.bounds.low = 0;
    if (scale == 0) return;
    row.scale_min = row.scale_max = scale;
    row.bounds = output_bounds(activation, scale, model_.march().rounding, quantizer.bounds());
  }

  TensorDescription weight(const Node& node, const WeightQuantizer& quantizer) const {
    TensorDescription row{node.name + ".weight", "weight", text("int", quantizer.config().bits)};
    configured(row, quantizer.config(), quantizer.source());
    row.averaging_constant = 0;  // weights are not averaged
    row.bounds = quantizer.bounds();
    const Tensor values = folded_weights(graph_, node).weight;
    const std::vector<float> scales = quantizer.scales(model_.march(), values);
    row.scale_min = *std::min_element(scales.begin(), scales.end());
    row.scale_max = *std::max_element(scales.begin(), scales.end());
    row.range = Samples(values).range();
    return row;
  }

  TensorDescription output(size_t index) const {
    const Node& node = graph_.nodes[index];
    TensorDescription row{node.name, operation_of(model_, index), "float32"};
    const FusedConv* conv = fused_conv(node);
    if (const auto* quantizer = model_.node_quantizer(index)) {
      // What is float is quantised after its activation, like any value.
      describe(row, *quantizer, scales_.nodes[index],
               conv == nullptr || model_.in_float(index) ? Activation::none : conv->activation());
    } else if (model_.is_head(index)) {
      row.dtype = "int32";
    } else if (!model_.in_float(index)) {  // the scale passes through
      const Operand& from = node.inputs[0];
      const TensorDescription& before = from.kind == Operand::Kind::input ? inputs_[from.index] : nodes_[from.index];
      row.dtype = before.dtype;
      row.scale_min = before.scale_min;
      row.scale_max = before.scale_max;
      row.bounds = before.bounds;
      const ActivationQuantizer& source = *scale_source(model_, from);
      row.source = "scale of " + source.name();
      const std::vector<Grid> grids{{row.scale_min, before.bounds, source.dtype(), source.config().bits}};
      Grid y;
      if (row.scale_min > 0) {
        layer_instruction({graph_, node, grids, model_.march()}, y);
        row.bounds = y.bounds;
      } else if (!layer_of(graph_, node)->may_be_negative(graph_, node, true)) {
        row.bounds.low = std::max(row.bounds.low, 0);
      }
    }
    return row;
  }

  const PreparedModel& model_;
  const Graph& graph_;
  const Scales scales_;
  std::vector<TensorDescription> rows_, inputs_, nodes_;
};

std::vector<std::string> cells(const TensorDescription& row) {
  const bool integer = row.dtype != "float32" && row.dtype != "int32", weight = row.operation == "weight";
  const auto where = [](bool known, const std::string& cell) { return known ? cell : std::string("-"); };
  const std::string scale = row.scale_min == row.scale_max
                                ? with_digits(row.scale_min, 4)
                                : text(with_digits(row.scale_min, 4), "..", with_digits(row.scale_max, 4));
  return {row.name,
          row.operation,
          row.dtype,
          where(!row.observer.empty(), row.observer),
          where(!row.observer.empty(), row.fake_quant),
          where(!row.source.empty(), row.source),
          where(!row.observer.empty() && !weight, with_digits(row.averaging_constant, 4)),
          where(!row.observer.empty() && !weight, text(row.batches)),
          where(row.scale_max > 0, scale),
          where(integer, text(row.bounds.low, "..", row.bounds.high)),
          where(weight || row.batches > 0, text(with_digits(row.range.min, 4), "..", with_digits(row.range.max, 4)))};
}

}  // namespace

ModelDescription description_of(const PreparedModel& model) {
  return {text("prepared for ", brief(model.march()), ", in FakeQuantState::", model.state()), Description(model).run(),
          warnings(model), notes(model)};
}

std::string to_string(const ModelDescription& description) {
  std::vector<std::vector<std::string>> rows{{"tensor", "operation", "dtype", "observer", "fake-quant", "from",
                                              "averaging", "batches", "scale", "integers", "range"}};
  for (const TensorDescription& tensor : description.tensors) rows.push_back(cells(tensor));
  std::string out = description.title + "\n" + sinter::detail::table(rows, 6);
  const auto add = [&](const char* what, const std::vector<std::string>& lines) {
    for (const std::string& line : lines) out += text(what, ": ", line, "\n");
  };
  add("warning", description.warnings);
  add("note", description.notes);
  return out;
}

std::string describe(const PreparedModel& model) { return to_string(description_of(model)); }

}  // namespace sinter::quant
