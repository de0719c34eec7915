#include "../../bpu/program.h"

#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "../../bpu/compile.h"
#include "../../core/file.h"
#include "../../quant/fused_conv.h"
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
    if (p.instructions[i].opcode == bpu::Opcode::conv) CHECK_SAME(q.instructions[i].weight, p.instructions[i].weight);
  }
  bpu::save(program(), other.path);
  CHECK(read_file(file.path) == read_file(other.path));
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
  refused([](auto& p) { p.instructions[0].rescale.pop_back(); }, "has 7 multipliers, expected 8");
  refused([](auto& p) { p.instructions[0].rescale[3].m = 1 << 15; }, "outside what the march computes with");
  refused([](auto& p) { p.instructions[0].rescale.clear(); }, "gives int8 with 0 multipliers");
  refused([](auto& p) { p.values[1].high = 200; }, "the bounds of stem are 0..200");
  refused([](auto& p) { p.values[1].scale = -1; }, "the scale of stem is -1");
  refused([](auto& p) { p.values[1].shape = {2, 3}; }, "expected the shape for one image");
  refused([](auto& p) { p.values[1].shape = {1, int64_t{1} << 40, 1, 1}; }, "expected axes of 1 to 2^24");
  refused([](auto& p) { p.values[1].shape = {1, 1 << 16, 1 << 16, 1}; }, "expected at most 2^31 elements");
}

TEST_CASE("results are dequantised by their scales") {
  bpu::Program p;
  p.values = {{"x", {1, 2}, DType::int8, 0.5f, -128, 127}, {"y", {1, 2}, DType::int32, 1, 0, 0}};
  bpu::Instruction head;
  head.inputs = {0};
  head.output = 1;
  head.weight_scales = Tensor::from({2}, {0.25f, 3});
  p.instructions = {head};
  CHECK_SAME(quant::dequantize(p, 0, Tensor::from({1, 2}, std::vector<int8_t>{-3, 4})),
             Tensor::from({1, 2}, {-1.5f, 2}));
  CHECK_SAME(quant::dequantize(p, 1, Tensor::from({1, 2}, std::vector<int32_t>{8, -2})), Tensor::from({1, 2}, {1, -3}));
}
