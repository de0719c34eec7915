#include "op_registry.h"

#include <algorithm>
#include <map>
#include <typeinfo>

#include "ops/abs.h"
#include "ops/argmax.h"
#include "ops/arithmetic.h"
#include "ops/avg_pool2d.h"
#include "ops/batch_norm.h"
#include "ops/chain.h"
#include "ops/clamp.h"
#include "ops/compare.h"
#include "ops/concat.h"
#include "ops/conv2d.h"
#include "ops/conv_transpose2d.h"
#include "ops/dropout.h"
#include "ops/elu.h"
#include "ops/exp.h"
#include "ops/flatten.h"
#include "ops/gather.h"
#include "ops/gelu.h"
#include "ops/group_norm.h"
#include "ops/hardsigmoid.h"
#include "ops/hardswish.h"
#include "ops/index_select.h"
#include "ops/layer_norm.h"
#include "ops/leaky_relu.h"
#include "ops/linear.h"
#include "ops/log.h"
#include "ops/log_softmax.h"
#include "ops/matmul.h"
#include "ops/max_pool2d.h"
#include "ops/mish.h"
#include "ops/one_hot.h"
#include "ops/pad.h"
#include "ops/permute.h"
#include "ops/pixel_shuffle.h"
#include "ops/pow.h"
#include "ops/prelu.h"
#include "ops/reciprocal.h"
#include "ops/reduce.h"
#include "ops/relu.h"
#include "ops/relu6.h"
#include "ops/reshape.h"
#include "ops/resize.h"
#include "ops/rsqrt.h"
#include "ops/sigmoid.h"
#include "ops/silu.h"
#include "ops/slice.h"
#include "ops/softmax.h"
#include "ops/softplus.h"
#include "ops/softsign.h"
#include "ops/sqrt.h"
#include "ops/tanh.h"
#include "ops/topk.h"
#include "ops/variance.h"
#include "ops/where.h"
#include "registered_op.h"
#include "serialize.h"

namespace sinter {

namespace {

// The operations that files may name. Those that the library keeps to itself (fused ones) are not among them, nor are
// those of losses.
struct Makers {
  std::map<std::string, detail::MakeOp> all;
  std::string duplicate;  // an error in a static initialiser could not be caught

  Makers() {
    const auto add = [&](auto op) { all.emplace(op.name(), detail::remake(op)); };
    add(ops::Abs{});
    add(ops::Add{});
    add(ops::Argmax{});
    add(ops::AvgPool2d{{.kernel = 1}});
    add(ops::BatchNorm{});
    all.emplace("chain", ops::Chain::from);
    add(ops::Clamp{});
    add(ops::Compare{});
    add(ops::Concat{});
    add(ops::Conv2d{});
    add(ops::ConvTranspose2d{});
    add(ops::Div{});
    add(ops::Dropout{{}});
    add(ops::Elu{});
    add(ops::Exp{});
    add(ops::Flatten{});
    add(ops::Gather{});
    add(ops::Gelu{});
    add(ops::GroupNorm{});
    add(ops::Hardsigmoid{});
    add(ops::Hardswish{});
    add(ops::IndexSelect{});
    add(ops::LayerNorm{});
    add(ops::LeakyRelu{{}});
    add(ops::Linear{});
    add(ops::LogSoftmax{});
    add(ops::Log{});
    add(ops::Matmul{});
    add(ops::MaxPool2d{{.kernel = 1}});
    add(ops::Maximum{});
    add(ops::Max{});
    add(ops::Mean{});
    add(ops::Minimum{});
    add(ops::Min{});
    add(ops::Mish{});
    add(ops::Mul{});
    add(ops::OneHot{{.classes = 1}});
    add(ops::Pad{});
    add(ops::Permute{});
    add(ops::PixelShuffle{{}});
    add(ops::Pow{});
    add(ops::Prelu{});
    add(ops::Reciprocal{});
    add(ops::Relu6{});
    add(ops::Relu{});
    add(ops::Reshape{});
    add(ops::Resize{{.scale = 1}});
    add(ops::Rsqrt{});
    add(ops::Sigmoid{});
    add(ops::Silu{});
    add(ops::Slice{{}});
    add(ops::Softmax{});
    add(ops::Softplus{});
    add(ops::Softsign{});
    add(ops::Sqrt{});
    add(ops::Sub{});
    add(ops::Sum{});
    add(ops::Tanh{});
    add(ops::TopK{{}});
    add(ops::Variance{});
    add(ops::Where{});
  }
};

Makers& makers() {
  static auto& instance = *new Makers;
  return instance;
}

constexpr const char* kRemedy = "a `static const RegisteredOp<...>` in the program's source makes it known";
constexpr const char* kTypes = "birtv";  // in the order of Field::Value

}  // namespace

void detail::register_op(const std::string& name, MakeOp make) {
  if (!makers().all.emplace(name, std::move(make)).second) makers().duplicate = name;
}

std::shared_ptr<const Op> make_op(const std::string& name, std::span<const Field> fields) {
  const Makers& known = makers();
  check(known.duplicate.empty(), "operation '", known.duplicate, "' was registered twice");
  const auto found = known.all.find(name);
  check(found != known.all.end(), "operation '", name,
        "' is unknown: it is of a newer version, or a program's own: ", kRemedy);
  std::shared_ptr<const Op> op = found->second(fields);
  check_fields(*op, fields);
  return op;
}

void check_fields(const Op& op, std::span<const Field> fields) {
  const std::vector<Field> taken = op.fields();
  for (const Field& field : fields)
    check(std::find(taken.begin(), taken.end(), field) != taken.end(), "operation '", op.name(), "' has no attribute ",
          field);
}

void check_can_be_made(const Op& op) {
  const std::string name(op.name());
  check(makers().all.contains(name), "operation '", name, "' is not registered, and could not be loaded: ", kRemedy);
  const std::vector<Field> fields = op.fields();
  const auto again = make_op(name, fields);
  const Op& made = *again;
  check(typeid(made) == typeid(op), "operation '", name, "' has the name of another one that is registered");
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
