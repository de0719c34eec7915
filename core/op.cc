#include "op.h"

#include <new>

#include "autograd.h"
#include "graph.h"
#include "op_work.h"

namespace sinter {

using detail::Access;

namespace {

std::string to_string(const Field::Value& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::remove_cvref_t<decltype(v)>;
        if constexpr (std::is_same_v<T, std::vector<int64_t>>) {
          std::string out = "[";
          for (const int64_t item : v) out += text(out.size() > 1 ? "," : "", item);
          return out + "]";
        } else {
          return text(v);
        }
      },
      value);
}

}  // namespace

std::string to_string(const Field& field) { return field.name + "=" + to_string(field.value); }

namespace detail {

void append_field(std::vector<Field>& out, std::string_view name, bool value) {
  out.push_back({std::string(name), value});
}
void append_field(std::vector<Field>& out, std::string_view name, int64_t value) {
  out.push_back({std::string(name), value});
}
void append_field(std::vector<Field>& out, std::string_view name, double value) {
  out.push_back({std::string(name), value});
}
void append_field(std::vector<Field>& out, std::string_view name, const std::string& value) {
  out.push_back({std::string(name), value});
}
void append_field(std::vector<Field>& out, std::string_view name, const std::vector<int64_t>& value) {
  out.push_back({std::string(name), value});
}

namespace {
template <class T>
void assign_as(std::span<const Field> fields, std::string_view name, T& value) {
  for (const Field& field : fields) {
    if (field.name != name) continue;
    const T* given = std::get_if<T>(&field.value);
    check(given != nullptr, "attribute ", field, " is of another type than ", name, " has");
    value = *given;
  }
}
}  // namespace

void assign_field(std::span<const Field> fields, std::string_view name, bool& value) { assign_as(fields, name, value); }
void assign_field(std::span<const Field> fields, std::string_view name, int64_t& value) {
  assign_as(fields, name, value);
}
void assign_field(std::span<const Field> fields, std::string_view name, double& value) {
  assign_as(fields, name, value);
}
void assign_field(std::span<const Field> fields, std::string_view name, std::string& value) {
  assign_as(fields, name, value);
}
void assign_field(std::span<const Field> fields, std::string_view name, std::vector<int64_t>& value) {
  assign_as(fields, name, value);
}

std::string_view next_name(std::string_view& names) {
  const size_t comma = names.find(',');
  std::string_view name = names.substr(0, comma);
  names = comma == std::string_view::npos ? std::string_view() : names.substr(comma + 1);
  while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
  while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
  return name;
}

}  // namespace detail

void Context::keep(const Tensor& tensor) {
  if (recording_) kept_.push_back({Access::storage(tensor), tensor.spec(), {}});
}

Tensor Context::kept(size_t i) const {
  const Kept& kept = kept_.at(i);
  check(kept.storage->stamp() == kept.stamp, "backward: ", op_, " needs a ", kept.spec,
        " that was overwritten after the forward pass");
  return Access::make(kept.storage, kept.spec);
}

void Gradients::set(size_t i, Tensor gradient) {
  check(gradient.dtype() == DType::float32 && gradient.shape() == (*inputs_)[i].shape, op_, ": gradient of input ", i,
        " is ", gradient.spec(), ", expected float32 ", (*inputs_)[i].shape);
  values_[i] = std::move(gradient);
}

Tensor& Gradients::create(size_t i) {
  values_[i] = Tensor::empty((*inputs_)[i].shape);
  return values_[i];
}

void Op::backward(const Context&, Outputs, Gradients&) const {
  fail(name(), ": a gradient was asked for, but this operation defines none");
}

Tensor reuse_or_empty(const Tensor& tensor) {
  const bool sole = tensor.dtype() == DType::float32 && Access::storage(tensor).use_count() == 1;
  return sole ? tensor.detach() : Tensor::empty(tensor.shape());
}

void zero_gradients(const Context& context, Gradients& dx) {
  for (size_t i = 0; i < dx.size(); ++i)
    if (dx.wanted(i)) dx.set(i, Tensor::zeros(context.input(i).shape));
}

namespace {

std::vector<Tensor> run(std::shared_ptr<const Op> op, std::vector<Tensor> inputs) {
  Specs specs;
  specs.reserve(inputs.size());
  for (size_t i = 0; i < inputs.size(); ++i) {
    check(inputs[i].defined(), op->name(), ": input ", i, " is an undefined tensor");
    specs.push_back(inputs[i].spec());
  }
  const Specs results = [&] {
    try {
      return op->infer(specs);
    } catch (const NoSuchElement& error) {
      fail(op->name(), ": got ", error.size, error.size == 1 ? " input" : " inputs", ", expected at least ",
           error.index + 1);
    }
  }();
  if (detail::tracing()) return detail::record(std::move(op), inputs, results);

  detail::note_parameters(inputs, op->name());
  bool recording = false;
  if (grad_enabled() && op->differentiable())
    for (const Tensor& x : inputs) recording = recording || x.requires_grad();

  Context context = Access::context(*op, training_mode(), recording, std::move(specs));
  const Profiler::Scope scope([&] { return detail::forward_work(*op, context, results); });
  std::vector<Tensor> outputs(results.size());
  for (size_t i = 0; i < results.size(); ++i) {
    const bool shared = i == 0 && (op->aliasing() == Aliasing::view ||
                                   (op->aliasing() == Aliasing::reuse && inputs[0].spec() == results[0] &&
                                    Access::storage(inputs[0]).use_count() == 1));
    outputs[i] = shared ? Access::make(Access::storage(inputs[0]), results[i])
                        : Tensor::empty(results[i].shape, results[i].dtype);
  }
  {
    const detail::OwnWrites own;
    op->forward(inputs, outputs, context);
  }
  if (recording) detail::record_on_tape(std::move(op), std::move(context), inputs, outputs);
  return outputs;
}

}  // namespace

std::vector<Tensor> call_all(std::shared_ptr<const Op> op, std::vector<Tensor> inputs) {
  try {
    return run(op, std::move(inputs));
  } catch (const std::bad_alloc&) {
    fail(op->name(), ": out of memory");
  }
}

}  // namespace sinter
