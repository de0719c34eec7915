#include "../../bpu/simulator.h"

#include <thread>

#include "../../bpu/compare.h"
#include "../../bpu/compile.h"
#include "../../bpu/reference.h"
#include "../../core/ops/reduce.h"
#include "../../core/parallel.h"
#include "nets.h"

using namespace sinter;

namespace {

// FNV-1a over the bytes of every value.
uint64_t hash_of(const bpu::Simulator& simulator, const std::vector<Tensor>& x) {
  uint64_t hash = 0xcbf29ce484222325;
  simulator.inspect(x, [&](const std::string&, const Tensor& integers) {
    const auto mix = [&](int64_t v) { hash = (hash ^ static_cast<uint64_t>(v)) * 0x100000001b3; };
    if (integers.dtype() == DType::int8)
      for (const int8_t v : integers.values<int8_t>()) mix(v);
    else if (integers.dtype() == DType::int16)
      for (const int16_t v : integers.values<int16_t>()) mix(v);
    else
      for (const int32_t v : integers.values<int32_t>()) mix(v);
  });
  return hash;
}

// Ranges by a formula instead of calibration, whose float convolutions depend on the machine.
bpu::Simulator formula_simulator(const nn::Module& net, const quant::March& march, const std::vector<Tensor>& example,
                                 const std::string& dtype = "int8") {
  auto model = quant::prepare_qat(net, example, {.qconfig = test::activations_of(dtype), .march = march});
  int k = 0;
  for (const auto& parameter : model.named_state()) {
    Tensor t = parameter.value.tensor();
    if (parameter.name.ends_with(".range")) {
      t.mutable_data<float>()[0] = -2.0f - 0.125f * static_cast<float>(k);
      t.mutable_data<float>()[1] = 2.0f + 0.25f * static_cast<float>(k++ % 5);
    } else if (parameter.name.ends_with(".seen")) {
      t.mutable_data<int64_t>()[0] = t.mutable_data<int64_t>()[1] = 1;
    }
  }
  return bpu::Simulator(bpu::compile(model));
}

}  // namespace

TEST_CASE("a simulator gives what the model gives in validation, for any batch") {
  for (const auto* march : {&quant::March::bayes, &quant::March::bernoulli}) {
    const auto model = test::every_layer(*march);
    const bpu::Simulator simulator(bpu::compile(model));
    for (const int64_t images : {1, 3, 4}) {
      const Tensor x = test::formula_images({images, 17, 15, 3});
      CHECK_SAME(simulator(x), model(x).detach());
    }
    CHECK(simulator(Tensor::zeros({0, 17, 15, 3})).shape() == Shape{0, 5});
  }
}

TEST_CASE("one simulator serves several threads") {
  const bpu::Simulator simulator(bpu::compile(test::every_layer()));
  const Tensor x = test::formula_images({2, 17, 15, 3});
  const Tensor expected = simulator(x);
  std::vector<Tensor> results(4);
  std::vector<std::thread> threads;
  for (Tensor& result : results) threads.emplace_back([&] { result = simulator(x); });
  for (std::thread& thread : threads) thread.join();
  for (const Tensor& result : results) CHECK_SAME(result, expected);
}

TEST_CASE("a simulator refuses other inputs") {
  const bpu::Simulator simulator(bpu::compile(test::every_layer()));
  CHECK_ERROR(simulator(Tensor::zeros({1, 17, 15, 1})),
              "simulator: input is float32 [1,17,15,1], expected float32 [1,17,15,3] with any first axis");
  CHECK_ERROR(simulator(Tensor::zeros({1, 17, 15, 3}, DType::int8)), "simulator: input is int8");
  CHECK_ERROR(simulator(Tensor()), "simulator: input is undefined");
  CHECK_ERROR(simulator(std::span<const Tensor>()), "simulator: got 0 inputs, expected 1");
  struct Two : nn::Module {
    SINTER_CHILDREN()
    std::vector<Tensor> forward_all(std::span<const Tensor> x) const override { return {x[0] * x[1]}; }
  };
  const Tensor x = test::formula_images({4, 2, 2, 3});
  quant::PreparedModel model = quant::prepare_qat(Two{}, std::vector<Tensor>{x, x});
  quant::set_fake_quantize(model, quant::FakeQuantState::calibration);
  model(std::vector<Tensor>{x, x});
  const bpu::Simulator two(bpu::compile(model));
  CHECK_ERROR(two({x, test::formula_images({2, 2, 2, 3})}),
              "simulator: input1 is 2 images, input0 4, expected as many");
  quant::set_fake_quantize(model, quant::FakeQuantState::validation);
  const NoGrad no_grad;
  const Tensor y = model({x, x})[0];
  CHECK_SAME(two({x, x})[0], y);
  const auto ignore = [](const std::string&, const Tensor&) {};
  CHECK_SAME(two.inspect({x, x}, ignore)[0], y);
  CHECK_SAME(model.inspect({x, x}, ignore)[0], y);
  CHECK_SAME(bpu::Reference(two.program()).inspect({x, x}, ignore)[0], y);
  const data::ImageDataset data(Tensor::zeros({4, 2, 2, 3}, DType::uint8), Tensor::zeros({4}, DType::int64));
  CHECK_ERROR(bpu::compare(model, two, data),
              "compare: the network has 2 inputs, but 1 is read of the dataset (image); name them");
  const bpu::CompareOptions twice{.inputs = {"image", "image"},
                                  .metrics = {{"largest", [](const nn::Outputs& outputs, const data::Batch&) {
                                                 return static_cast<double>(max(outputs[0]).item());
                                               }}}};
  for (const bpu::Comparison& c :
       {bpu::compare(model, two, data, twice), bpu::compare(bpu::Reference(two.program()), two, data, twice)}) {
    CHECK(c.images == 4);
    CHECK(c.compared == 3 * 4 * 12);
    CHECK(c.differing == 0);
    CHECK(c.metrics_a == c.metrics_b);
    CHECK(to_string(c) == "0 of 144 integers differ over 4 images; largest 0 and 0");
  }
}

TEST_CASE("an image's extremes saturate and NaN becomes 0") {
  const bpu::Simulator simulator(bpu::compile(test::every_layer()));
  Tensor x = Tensor::zeros({1, 17, 15, 3});
  float* values = x.mutable_data<float>();
  values[0] = 1e30f;
  values[1] = -INFINITY;
  values[2] = INFINITY;
  values[3] = NAN;
  simulator.inspect({&x, 1}, [](const std::string& name, const Tensor& integers) {
    if (name != "input") return;
    const int8_t* q = integers.data<int8_t>();
    CHECK(q[0] == 127);
    CHECK(q[1] == -128);
    CHECK(q[2] == 127);
    CHECK(q[3] == 0);
  });
}

TEST_CASE("a profiler sees a program by its instructions") {
  const bpu::Simulator simulator(bpu::compile(test::every_layer()));
  const Profiler profiler;
  simulator(test::formula_images({2, 17, 15, 3}));
  const auto entries = test::entries_of(profiler);
  CHECK(entries.at("input").forward.calls == 1);
  const bpu::Program& program = simulator.program();
  CHECK(entries.size() == 1 + program.instructions.size());
  for (const bpu::Instruction& instruction : program.instructions) {
    const bpu::Value& value = program.values[instruction.output];
    CAPTURE(value.name);
    const Profiler::Pass& pass = entries.at(value.name).forward;
    CHECK(pass.calls == 1);
    CHECK((pass.flops > 0) == (instruction.layer == "conv"));
    CHECK((pass.bytes > 0) == (instruction.layer != "reshape"));
  }
  CHECK(entries.at("stem").forward.flops == 2 * (2 * 17 * 15 * 8) * (3 * 3 * 3));
  CHECK(entries.at("stem").forward.bytes == 2 * 17 * 15 * (3 + 8) + 8 * 3 * 3 * 3);
}

// Meson runs this suite again under other instruction sets: the same numbers must come out.
TEST_SUITE("exact") {
  TEST_CASE("the integers of a program are the same on every machine and with any number of threads") {
    const int before = threads();
    test::EveryInstruction every;
    test::MoreLayers more;
    test::fill(every);
    test::fill(more);
    const test::AllTogether together = test::all_together();
    for (const int count : {1, 2}) {
      set_threads(count);
      using quant::March;
      const std::vector<Tensor> odd{test::formula_images({5, 17, 15, 3})}, even{test::formula_images({5, 16, 16, 3})},
          two = test::inputs_together(5);
      // By march: every instruction, more layers, and all together.
      const std::vector<std::pair<March, std::array<uint64_t, 3>>> expected{
          {March::bernoulli, {11679376468947222784u, 7868467622887065756u, 5414513741500990127u}},
          {March::bernoulli2, {16809863123085565794u, 16880763897149821981u, 12029144292375231193u}},
          {March::bayes, {4929877180166125094u, 18341076627651258157u, 16570186081720391035u}},
          {March::nash, {1848277703719732243u, 5898324388991814873u, 2677587393585343017u}}};
      for (const auto& [march, hashes] : expected) {
        const std::string name = march.name;
        CAPTURE(name);
        CHECK(hash_of(formula_simulator(every, march, odd), odd) == hashes[0]);
        CHECK(hash_of(formula_simulator(more, march, even), even) == hashes[1]);
        CHECK(hash_of(formula_simulator(together, march, two), two) == hashes[2]);
      }
      CHECK(hash_of(formula_simulator(together, March::bayes, two, "int16"), two) == 8006226458505280269u);
      CHECK(hash_of(formula_simulator(together, March::bayes, two, "int4"), two) == 1050023434231805269u);
      CHECK(hash_of(formula_simulator(together, March::nash, two, "int16"), two) == 14089684635635601782u);
    }
    set_threads(before);
  }
}
