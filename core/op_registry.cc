#include "op_registry.h"

#include <functional>
#include <map>

#include "ops/arithmetic.h"
#include "ops/avg_pool2d.h"
#include "ops/batch_norm.h"
#include "ops/concat.h"
#include "ops/conv2d.h"
#include "ops/conv_transpose2d.h"
#include "ops/dropout.h"
#include "ops/flatten.h"
#include "ops/hardsigmoid.h"
#include "ops/hardswish.h"
#include "ops/leaky_relu.h"
#include "ops/linear.h"
#include "ops/log_softmax.h"
#include "ops/max_pool2d.h"
#include "ops/pad.h"
#include "ops/pixel_shuffle.h"
#include "ops/prelu.h"
#include "ops/reduce.h"
#include "ops/relu.h"
#include "ops/relu6.h"
#include "ops/reshape.h"
#include "ops/resize.h"
#include "ops/sigmoid.h"
#include "ops/silu.h"
#include "ops/slice.h"
#include "ops/softmax.h"
#include "ops/tanh.h"
#include "serialize.h"

namespace sinter {

namespace {

using Make = std::function<std::shared_ptr<const Op>(std::span<const Field>)>;

template <class O>
Make plain() {
  return [](std::span<const Field> fields) {
    check(fields.empty(), O{}.name(), " has no attributes, but the file names ", fields.size());
    return std::make_shared<const O>();
  };
}

// `attributes` are any that are valid: where some have no default.
template <class O, class Attributes = decltype(O::attributes)>
Make with(Attributes attributes = {}) {
  return [attributes](std::span<const Field> fields) {
    Attributes own = attributes;
    assign_fields(own, fields);
    return std::make_shared<const O>(own);
  };
}

const std::map<std::string, Make>& makers() {
  static const auto& all = *new std::map<std::string, Make>{
      {"add", plain<ops::Add>()},
      {"sub", plain<ops::Sub>()},
      {"mul", plain<ops::Mul>()},
      {"div", plain<ops::Div>()},
      {"avg_pool2d", with<ops::AvgPool2d>(AvgPoolAttributes{.kernel = 1})},
      {"batch_norm", with<ops::BatchNorm>()},
      {"concat", with<ops::Concat>()},
      {"conv2d", with<ops::Conv2d>()},
      {"conv_transpose2d", with<ops::ConvTranspose2d>()},
      {"dropout", with<ops::Dropout>()},
      {"flatten", with<ops::Flatten>()},
      {"hardsigmoid", plain<ops::Hardsigmoid>()},
      {"hardswish", plain<ops::Hardswish>()},
      {"leaky_relu", with<ops::LeakyRelu>()},
      {"linear", plain<ops::Linear>()},
      {"log_softmax", with<ops::LogSoftmax>()},
      {"max", with<ops::Max>()},
      {"max_pool2d", with<ops::MaxPool2d>(MaxPoolAttributes{.kernel = 1})},
      {"mean", with<ops::Mean>()},
      {"pad", with<ops::Pad>()},
      {"pixel_shuffle", with<ops::PixelShuffle>()},
      {"prelu", plain<ops::Prelu>()},
      {"relu", plain<ops::Relu>()},
      {"relu6", plain<ops::Relu6>()},
      {"reshape", with<ops::Reshape>()},
      {"resize", with<ops::Resize>(ResizeAttributes{.scale = 1})},
      {"sigmoid", plain<ops::Sigmoid>()},
      {"silu", plain<ops::Silu>()},
      {"slice", with<ops::Slice>()},
      {"softmax", with<ops::Softmax>()},
      {"sum", with<ops::Sum>()},
      {"tanh", plain<ops::Tanh>()},
  };
  return all;
}

constexpr const char* kTypes = "birtv";  // in the order of Field::Value

}  // namespace

std::shared_ptr<const Op> make_op(const std::string& name, std::span<const Field> fields) {
  const auto found = makers().find(name);
  check(found != makers().end(), "operation '", name, "' is unknown to this version");
  return found->second(fields);
}

void save_op(const Op& op, Archive& archive, const std::string& prefix) {
  archive.set(prefix + "op", std::string(op.name()));
  save_fields(op.fields(), archive, prefix);
}

void save_fields(std::span<const Field> fields, Archive& archive, const std::string& prefix) {
  for (const Field& field : fields) {
    const std::string name = text(prefix, "attribute/", kTypes[field.value.index()], "/", field.name);
    if (const auto* flag = std::get_if<bool>(&field.value))
      archive.set(name, static_cast<int64_t>(*flag));
    else if (const auto* integer = std::get_if<int64_t>(&field.value))
      archive.set(name, *integer);
    else if (const auto* real = std::get_if<double>(&field.value))
      archive.set(name, *real);
    else if (const auto* words = std::get_if<std::string>(&field.value))
      archive.set(name, *words);
    else if (const auto* list = std::get_if<std::vector<int64_t>>(&field.value))
      archive.set(name, Tensor::from({static_cast<int64_t>(list->size())}, *list));
  }
}

std::string load_op_name(const Archive& archive, const std::string& prefix) { return archive.text(prefix + "op"); }

std::vector<Field> load_fields(const Archive& archive, const std::string& prefix) {
  std::vector<Field> fields;
  const std::string attributes = prefix + "attribute/";
  for (const std::string& section : archive.names(attributes)) {
    const std::string rest = section.substr(attributes.size());
    check(rest.size() > 2 && rest[1] == '/', section, ": is no attribute");
    Field field{rest.substr(2), {}};
    switch (rest[0]) {
      case 'b':
        field.value = archive.integer(section) != 0;
        break;
      case 'i':
        field.value = archive.integer(section);
        break;
      case 'r':
        field.value = archive.real(section);
        break;
      case 't':
        field.value = archive.text(section);
        break;
      case 'v': {
        const Tensor& list = archive.tensor(section);
        check(list.dtype() == DType::int64 && list.rank() == 1, section, " is ", list.spec(), ", expected int64 [N]");
        const auto values = list.values<int64_t>();
        field.value = std::vector<int64_t>(values.begin(), values.end());
        break;
      }
      default:
        fail(section, ": is no attribute");
    }
    fields.push_back(std::move(field));
  }
  return fields;
}

}  // namespace sinter
