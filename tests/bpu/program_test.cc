#include "../../bpu/program.h"

#include <unistd.h>

#include <cmath>
#include <filesystem>
#include <fstream>
#include <limits>

#include "../../bpu/compile.h"
#include "../../bpu/simulator.h"
#include "../../core/file.h"
#include "../../core/op_registry.h"
#include "../../core/registered_op.h"
#include "../../core/serialize.h"
#include "../../quant/fused_conv.h"
#include "../quant/prepared.h"
#include "nets.h"

using namespace sinter;

namespace {

struct File {
  std::string path = (std::filesystem::temp_directory_path() / text("program_test.", int64_t{::getpid()})).string();
  ~File() { std::filesystem::remove(path); }
};

// Changes the attributes of the first instruction, a convolution.
template <class F>
void with_attributes(bpu::Program& p, const F& change) {
  FusedConvAttributes attributes = static_cast<const quant::FusedConv&>(*p.instructions[0].op).attributes;
  change(attributes);
  p.instructions[0].op = std::make_shared<quant::FusedConv>(attributes);
}

// Operations of a user's own: registered, not registered, with attributes, and with the name of another.
struct Cube : Op {
  std::string_view name() const override { return "cube"; }
  Specs infer(std::span<const Spec> x) const override {
    check(x.size() == 1, "cube: got ", x.size(), " inputs, expected 1");
    return {x[0]};
  }
  void forward(Inputs x, Outputs y, Context&) const override {
    for (int64_t i = 0; i < x[0].elements(); ++i)
      y[0].mutable_data<float>()[i] = x[0].data<float>()[i] * x[0].data<float>()[i] * x[0].data<float>()[i];
  }
};
const RegisteredOp<Cube> registered_cube;

struct Unknown final : Cube {
  std::string_view name() const override { return "unknown"; }
};
struct Impostor final : Cube {
  std::string_view name() const override { return "sigmoid"; }
};

struct ShiftAttributes {
  Required<double> by;
  bool linear = false;  // as a fused convolution has one
};
inline std::vector<Field> fields_of(const ShiftAttributes& a) { return {{"by", double{a.by}}, {"linear", a.linear}}; }
inline void assign_fields(ShiftAttributes& a, std::span<const Field> fields) {
  double by = a.by;
  sinter::detail::assign_field(fields, "by", by);
  a.by = by;
  sinter::detail::assign_field(fields, "linear", a.linear);
}
struct Shift final : OpWith<ShiftAttributes> {
  Shift(const ShiftAttributes& a) : OpWith(a) {
    check(a.by >= 0, "shift: by is ", double{a.by}, ", expected 0 or more");
  }
  std::string_view name() const override { return "shift"; }
  Specs infer(std::span<const Spec> x) const override {
    check(x.size() == 1, "shift: got ", x.size(), " inputs, expected 1");
    return {x[0]};
  }
  void forward(Inputs x, Outputs y, Context&) const override {
    for (int64_t i = 0; i < x[0].elements(); ++i)
      y[0].mutable_data<float>()[i] = x[0].data<float>()[i] + static_cast<float>(attributes.by);
  }
};
const RegisteredOp<Shift> registered_shift(Shift{{.by = 0}});

// x [1,3] through one operation on the CPU.
bpu::Program on_cpu(std::shared_ptr<const Op> op) {
  bpu::Program p;
  p.march = quant::March::bayes;
  p.values = {{.name = "x", .shape = {1, 3}, .dtype = DType::float32},
              {.name = "mine", .shape = {1, 3}, .dtype = DType::float32}};
  p.inputs = {0};
  p.outputs = {1};
  bpu::Instruction step;
  step.layer = quant::kCpu;
  step.inputs = {0};
  step.output = 1;
  step.op = std::move(op);
  step.constants = {Tensor()};
  p.instructions = {step};
  return p;
}

// A file without these sections: what an earlier version wrote.
Archive without(const Archive& from, const std::string& prefix) {
  Archive to(from.kind(), from.version());
  for (const std::string& name : from.names()) {
    if (name.starts_with(prefix)) continue;
    const auto copied = [&](const auto& read) {
      try {
        to.set(name, read());
        return true;
      } catch (const Error&) {
        return false;  // of another type
      }
    };
    CHECK((copied([&] { return from.tensor(name); }) || copied([&] { return from.text(name); }) ||
           copied([&] { return from.integer(name); }) || copied([&] { return from.real(name); })));
  }
  return to;
}

bpu::Program program() { return bpu::compile(test::every_layer()); }

}  // namespace

TEST_CASE("a program is read back as it was written, and equal programs are equal bytes") {
  const File file, other{file.path + ".2"};
  const bpu::Program p = program();
  bpu::save(p, file.path);
  const bpu::Program q = bpu::load_program(file.path);
  CHECK(q.march == p.march);
  CHECK(q.version == p.version);
  CHECK(q.fingerprint == p.fingerprint);
  CHECK(q.values == p.values);
  CHECK(q.inputs == p.inputs);
  CHECK(q.outputs == p.outputs);
  CHECK(to_string(q) == to_string(p));
  REQUIRE(q.instructions.size() == p.instructions.size());
  for (size_t i = 0; i < p.instructions.size(); ++i) {
    CHECK(q.instructions[i].rescale == p.instructions[i].rescale);
    CHECK(q.instructions[i].inputs == p.instructions[i].inputs);
    if (p.instructions[i].layer == "conv") CHECK_SAME(q.instructions[i].weight, p.instructions[i].weight);
  }
  bpu::save(program(), other.path);
  CHECK(read_file(file.path) == read_file(other.path));
}

TEST_CASE("a program carries its rounding and its powers of two, and computes by them") {
  const File file;
  const Tensor x = test::images({3, 8, 8, 3}, 3, 1.2);
  for (const char* march : {"bernoulli", "bernoulli2", "bayes", "bayes_e", "nash"})
    for (const char* rounding : {"half_to_even", "bpu_round"})
      for (const char* power_of_two : {"none", "activations", "all"}) {
        CAPTURE(std::string(march));
        CAPTURE(std::string(rounding));
        CAPTURE(std::string(power_of_two));
        quant::PreparedModel model =
            test::calibrated({.march = march, .rounding = rounding, .power_of_two = power_of_two});
        set_fake_quantize(model, quant::FakeQuantState::validation);
        bpu::save(bpu::compile(model), file.path);
        const bpu::Program p = bpu::load_program(file.path);
        CHECK(p.march == model.march());
        CHECK(to_string(p.march.rounding) == rounding);
        CHECK(to_string(p.march.power_of_two) == power_of_two);
        CHECK_SAME(bpu::Simulator(p)(x), test::run(model, x));
        for (const bpu::Value& value : p.values)
          if (value.is_integer() && power_of_two != std::string("none"))
            CHECK(std::exp2(std::round(std::log2(value.scale))) == value.scale);
      }
  CHECK(to_string(bpu::load_program(file.path))
            .find("program for nash, rounding bpu_round, powers of two as scales of "
                  "all, ") == 0);
}

TEST_CASE("a file of the old contract, or of an arithmetic that is unknown, is refused") {
  const File file;
  bpu::save(program(), file.path);
  const Archive good = Archive::read(file.path, "program");
  const auto refused = [&](const Archive& archive, const std::string& message) {
    archive.write(file.path);
    CHECK_ERROR(bpu::load_program(file.path), file.path + ": " + message);
  };
  without(good, "nothing").write(file.path);
  CHECK_NOTHROW(bpu::load_program(file.path));
  // It had no datapath, but a rounding, multipliers and shifts of its own.
  Archive old = without(good, "march/datapath");
  for (const char* number : {"march/rounding", "march/multiplier_bits", "march/max_shift"}) old.set(number, 15);
  refused(
      old,
      "it was compiled by a version whose integers were other ones than the chips' (powers of two on bernoulli2, one "
      "multiplier everywhere); compile the model again");
  const auto with = [&](const char* name, const auto& value) {
    Archive changed = good;
    changed.set(name, value);
    return changed;
  };
  refused(with("march/datapath", std::string("three_stage")), "datapath 'three_stage' is unknown, expected one of: ");
  refused(with("rounding", std::string("half_up")),
          "rounding 'half_up' is unknown, expected one of: half_to_even, bpu_round");
  refused(with("power_of_two", std::string("weights")),
          "power_of_two 'weights' is unknown, expected one of: none, activations, all");
  refused(with("march/datapath/attribute/i/max_pre", 40), "datapath two_stage: max_pre is 40, expected 0 to 31");
}

TEST_CASE("a damaged, cut or foreign file is refused") {
  const File file;
  bpu::save(program(), file.path);
  auto bytes = read_file(file.path);
  CHECK_ERROR(bpu::load_program(file.path + ".none"), "cannot be opened");
  const auto write = [&](const std::vector<std::byte>& content) {
    std::ofstream(file.path, std::ios::binary)
        .write(reinterpret_cast<const char*>(content.data()), static_cast<std::streamsize>(content.size()));
  };
  for (size_t at = 0; at < bytes.size(); at += bytes.size() / 97 + 1) {
    auto altered = bytes;
    altered[at] ^= std::byte{0x10};
    write(altered);
    CHECK_ERROR(bpu::load_program(file.path), file.path);
    write({bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(at)});
    CHECK_ERROR(bpu::load_program(file.path), file.path);
  }
}

TEST_CASE("a program that no compiler made is refused with the instruction at fault") {
  const bpu::Program good = program();
  const auto refused = [&](auto change, const std::string& message) {
    bpu::Program p = good;
    change(p);
    CHECK_ERROR(bpu::check_program(p), message);
  };
  CHECK_NOTHROW(bpu::check_program(good));
  refused([](auto& p) { p.inputs.clear(); }, "program: it has no inputs or no outputs");
  refused([](auto& p) { p.instructions[0].inputs[0] = 99; }, "instruction 0 (conv) reads value 99");
  refused([](auto& p) { p.instructions[0].output = 0; }, "instruction 0 (conv) writes value 0");
  refused([](auto& p) { p.instructions.pop_back(); }, "is never made");
  refused([](auto& p) { with_attributes(p, [](auto& a) { a.stride = {2}; }); },
          "instruction 0 (conv) gives [1,9,8,8], but its value is");
  refused([](auto& p) { with_attributes(p, [](auto& a) { a.stride = {0}; }); }, "window of size 0");
  refused([](auto& p) { p.instructions[0].bias = Tensor::zeros({1}, DType::int32); }, "has bias int32 [1]");
  refused([](auto& p) { p.instructions[0].bias = Tensor::full({8}, (1 << 30) + 1.0, DType::int32); }, "2^30");
  refused([](auto& p) { p.instructions[0].rescale.pop_back(); }, "has 7 rescalings, expected 8");
  refused([](auto& p) { p.instructions[0].rescale[3].m = 1 << 15; }, "its multiplier does not fit 16 bits");
  refused([](auto& p) { p.instructions[0].rescale.clear(); }, "gives int8 with 0 rescalings");
  refused([](auto& p) { p.values[1].high = 200; }, "the bounds of stem are 0..200");
  refused([](auto& p) { p.values[1].scale = -1; }, "the scale of stem is -1");
  refused([](auto& p) { p.values[1].shape = {2, 3}; }, "expected the shape for one image");
  refused([](auto& p) { p.values[1].shape = {1, int64_t{1} << 40, 1, 1}; }, "expected axes of 1 to 2^24");
  refused([](auto& p) { p.values[1].shape = {1, 1 << 16, 1 << 16, 1}; }, "expected at most 2^31 elements");
}

TEST_CASE("parts of a file that nothing checks elsewhere are checked") {
  const bpu::Program good = program();
  const auto refused = [&](auto change, const std::string& message) {
    bpu::Program p = good;
    change(p);
    CHECK_ERROR(bpu::check_program(p), message);
  };
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  for (const float scale : {NAN, kInfinity, -1.0f, 0.0f})
    refused([&](auto& p) { p.instructions[0].weight_scales = Tensor::full({8}, scale); },
            text("instruction 0 (conv) has the scale ", scale, " for weights"));
  refused([](auto& p) { with_attributes(p, [](auto& a) { a.linear = true; }); }, "is a linear layer, and has a window");
  for (const FusedConvAttributes& a : {FusedConvAttributes{.padding = {126, 0}, .linear = true},
                                       FusedConvAttributes{.stride = {3, 1}, .padding = {1, 0}, .linear = true}})
    refused([&](auto& p) { p.instructions.back().op = std::make_shared<quant::FusedConv>(a); },
            "is a linear layer, and has a window");
  refused([](auto& p) { p.instructions[0].table = Tensor::zeros({256}, DType::int8); },
          "has a part that no conv has, table");
  refused([](auto& p) { p.instructions[0].constants = {Tensor()}; }, "has a part that no conv has, constants");
  size_t pool = 0;
  while (good.instructions[pool].layer != "max_pool") ++pool;
  refused([&](auto& p) { p.instructions[pool].weight = p.instructions[0].weight; },
          "has a part that no max_pool has, weight");

  bpu::Program p = on_cpu(std::make_shared<Cube>());
  CHECK_NOTHROW(bpu::check_program(p));
  p.instructions[0].constants.clear();
  CHECK_ERROR(bpu::check_program(p), "instruction 0 (cpu) has 1 inputs, but its operation reads 0 of them");
  p.instructions[0].constants = {Tensor(), Tensor()};
  CHECK_ERROR(bpu::check_program(p), "instruction 0 (cpu) has 1 inputs, fewer than its operation");
  p.instructions[0].constants = {Tensor(), Tensor::zeros({3})};
  CHECK_ERROR(bpu::check_program(p), "cube: got 2 inputs, expected 1");
  CHECK_ERROR(bpu::check_program(on_cpu(std::make_shared<Shift>(ShiftAttributes{.by = kInfinity}))), "has by=inf");
}

TEST_CASE("a dilation that a kernel of one value has does nothing, however large") {
  bpu::Program p = program();
  const bpu::Simulator plain(p);
  const Tensor x = test::normal(p.values[p.inputs[0]].shape.with(0, 2));
  int changed = 0;
  for (bpu::Instruction& step : p.instructions) {
    if (step.layer != "conv" || step.weight.size(1) != 1 || step.weight.size(2) != 1) continue;
    FusedConvAttributes a = static_cast<const quant::FusedConv&>(*step.op).attributes;
    if (a.linear) continue;
    a.dilation = {1 << 20};
    step.op = std::make_shared<quant::FusedConv>(a);
    ++changed;
  }
  CHECK(changed > 0);
  CHECK_SAME(bpu::Simulator(p)(x), plain(x));
}

TEST_CASE("accumulators that could overflow are refused before they run") {
  bpu::Program p;
  p.march = quant::March::bayes;
  p.values = {{.name = "x", .shape = {1, 70000}, .scale = 1, .low = -128, .high = 127},
              {.name = "y", .shape = {1, 1}, .dtype = DType::int32}};
  p.inputs = {0};
  p.outputs = {1};
  bpu::Instruction head;
  head.layer = "conv";
  head.inputs = {0};
  head.output = 1;
  head.op = std::make_shared<quant::FusedConv>(FusedConvAttributes{.linear = true});
  head.weight = Tensor::full({1, 1, 1, 70000}, 127, DType::int8);
  head.bias = Tensor::zeros({1}, DType::int32);
  head.weight_scales = Tensor::ones({1});
  p.instructions = {head};
  CHECK_ERROR(bpu::check_program(p), "the accumulator of output channel 0 may reach 1137920000");
}

TEST_CASE("operations of a user's own are saved and loaded where they are registered, and not saved else") {
  const File file;
  const Tensor x = Tensor::from({1, 3}, {1, -2, 3});
  bpu::save(on_cpu(std::make_shared<Cube>()), file.path);
  CHECK_SAME(bpu::Simulator(bpu::load_program(file.path))(x), Tensor::from({1, 3}, {1, -8, 27}));
  bpu::save(on_cpu(std::make_shared<Shift>(ShiftAttributes{.by = 0.5, .linear = true})), file.path);
  CHECK_SAME(bpu::Simulator(bpu::load_program(file.path))(x), Tensor::from({1, 3}, {1.5f, -1.5f, 3.5f}));

  const auto before = read_file(file.path);
  CHECK_ERROR(bpu::save(on_cpu(std::make_shared<Unknown>()), file.path),
              "save: mine: operation 'unknown' is not registered, and could not be loaded: a `static "
              "const RegisteredOp<...>` in the program's source makes it known");
  CHECK_ERROR(bpu::save(on_cpu(std::make_shared<Impostor>()), file.path),
              "save: mine: operation 'sigmoid' has the name of another one that is registered");
  CHECK(read_file(file.path) == before);
}

TEST_CASE("attributes of a file that an operation does not have, or refuses, are an error") {
  const std::vector<Field> unknown{{"by", 1.0}, {"how", int64_t{3}}}, negative{{"by", -1.0}};
  CHECK_ERROR(make_op("shift", unknown), "operation 'shift' has no attribute how=3");
  CHECK_ERROR(make_op("shift", negative), "shift: by is -1, expected 0 or more");
  CHECK_ERROR(make_op("relu", unknown), "operation 'relu' has no attribute by=1");
  CHECK_ERROR(make_op("none", {}), "operation 'none' is unknown: it is of a newer version, or a program's own");
}

TEST_CASE("results are dequantised by their scales") {
  bpu::Program p;
  p.values = {{"x", {1, 2}, DType::int8, 0.5f, -128, 127}, {"y", {1, 2}, DType::int32, 1, 0, 0}};
  bpu::Instruction head;
  head.layer = "conv";
  head.inputs = {0};
  head.output = 1;
  head.weight_scales = Tensor::from({2}, {0.25f, 3});
  p.instructions = {head};
  CHECK_SAME(quant::dequantize(p, 0, Tensor::from({1, 2}, std::vector<int8_t>{-3, 4})),
             Tensor::from({1, 2}, {-1.5f, 2}));
  CHECK_SAME(quant::dequantize(p, 1, Tensor::from({1, 2}, std::vector<int32_t>{8, -2})), Tensor::from({1, 2}, {1, -3}));
}
