#include "../../data/npz.h"

#include <cmath>

#include "../../core/file.h"
#include "../support.h"
#include "files.h"

using namespace sinter;
using namespace sinter::data;
using test::TemporaryDirectory;

namespace {

// A file as NumPy writes it.
std::string npy(const std::string& descr, const std::string& rest, const std::string& data) {
  std::string header = "{'descr': " + descr + ", " + rest + "}";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  return std::string("\x93NUMPY\x01\x00", 8) + static_cast<char>(header.size()) + '\0' + header + data;
}

}  // namespace

TEST_CASE("arrays come back from .npy and .npz as they were") {
  const TemporaryDirectory directory;
  const std::map<std::string, Tensor> all{
      {"weight", test::normal({3, 4, 5})},
      {"layer.0/bias", Tensor::from({2}, std::vector<int64_t>{-5, int64_t{1} << 60})},
      {"flags", Tensor::full({2, 2}, 200, DType::uint8)},
      {"small", Tensor::full({1, 3}, -7, DType::int8)},
      {"words", Tensor::full({3}, -300, DType::int16)},
      {"ints", Tensor::full({}, 70000, DType::int32)},
      {"none", Tensor::zeros({0, 3})}};
  write_npz(directory / "all.npz", all);
  const auto back = read_npz(directory / "all.npz");
  REQUIRE(back.size() == all.size());
  for (const auto& [name, tensor] : all) {
    CHECK_SAME(back.at(name), tensor);
    write_npy(directory / "one.npy", tensor);
    CHECK_SAME(read_npy(directory / "one.npy"), tensor);
  }
  write_npz(directory / "again.npz", all);
  CHECK(read_file(directory / "all.npz") == read_file(directory / "again.npz"));
}

TEST_CASE("every type and order of NumPy's numbers is read") {
  const TemporaryDirectory directory;
  const auto read = [&](const std::string& descr, const std::string& shape, const std::string& data,
                        const char* order = "False") {
    return read_npy(test::write_file(
        directory / "x.npy",
        npy("'" + descr + "'", std::string("'fortran_order': ") + order + ", 'shape': " + shape + ", ", data)));
  };
  CHECK_SAME(read("<f8", "(1,)", std::string("\0\0\0\0\0\0\xf8\x3f", 8)), Tensor::from({1}, {1.5f}));
  CHECK_SAME(read(">f4", "(1,)", std::string("\xc0\x20\0\0", 4)), Tensor::from({1}, {-2.5f}));
  // Halves: 1, -2, the smallest, infinity.
  CHECK_SAME(read("<f2", "(4,)", std::string("\0\x3c\0\xc0\x01\0\0\x7c", 8)),
             Tensor::from({4}, {1, -2, 0x1p-24f, INFINITY}));
  CHECK_SAME(read("|b1", "(2,)", std::string("\1\0", 2)), Tensor::from({2}, std::vector<uint8_t>{1, 0}));
  CHECK_SAME(read("<u2", "(1,)", "\xff\xff"), Tensor::from({1}, std::vector<int32_t>{65535}));
  CHECK_SAME(read(">i2", "(1,)", "\xff\xfe"), Tensor::from({1}, std::vector<int16_t>{-2}));
  CHECK_SAME(read("<u4", "(1,)", "\xff\xff\xff\xff"), Tensor::from({1}, std::vector<int64_t>{4294967295}));
  CHECK_SAME(read("|i1", "()", "\xfe"), Tensor::full({}, -2, DType::int8));
  // [[1,2,3],[4,5,6]] by columns.
  CHECK_SAME(read("|u1", "(2, 3)", "\1\4\2\5\3\6", "True"),
             Tensor::from({2, 3}, std::vector<uint8_t>{1, 2, 3, 4, 5, 6}));
}

TEST_CASE("what is no array is refused, by the file's name and the fault") {
  const TemporaryDirectory directory;
  const std::string path = directory / "x.npy";
  const auto fault = [&](const std::string& bytes, const std::string& expected) {
    test::write_file(path, bytes);
    CHECK_THROWS_WITH_AS(read_npy(path), doctest::Contains(doctest::String((path + ": " + expected).c_str())), Error);
  };
  fault("", "is no .npy file");
  fault("not an array at all", "is no .npy file");
  fault(npy("'|O'", "'fortran_order': False, 'shape': (1,), ", "x"),
        "holds Python objects: they are a pickle, which is not executed");
  fault(npy("[('a', '<f4')]", "'fortran_order': False, 'shape': (1,), ", "xxxx"), "its header has no text");
  fault(npy("'<c8'", "'fortran_order': False, 'shape': (1,), ", "xxxxxxxx"), "is of type '<c8', expected numbers");
  fault(npy("'<f4'", "'fortran_order': False, 'shape': (2,), ", "xxxx"),
        "has 4 bytes of data, its header says 2 elements of 4");
  fault(npy("'<f4'", "'fortran_order': False, 'shape': (1,), ", "xxxxx"),
        "has 5 bytes of data, its header says 1 elements of 4");
  fault(npy("'<f4'", "'fortran_order': False, 'shape': (999999999999999999, 999999999999999999), ", ""),
        "says that it has more elements than can be");
  fault(npy("'<f4'", "'fortran_order': Maybe, 'shape': (1,), ", "xxxx"), "its header says fortran_order: Maybe");
  fault(npy("'<u8'", "'fortran_order': False, 'shape': (1,), ", "\xff\xff\xff\xff\xff\xff\xff\xff"),
        "has the number 18446744073709551615, which int64 does not hold");
  fault(npy("'<f4'", "'shape': (1,1,1,1,1,1,1,1,1), ", "xxxx"), "has 9 axes, expected at most");
  std::string cut = npy("'<f4'", "'fortran_order': False, 'shape': (1,), ", "xxxx");
  for (size_t length = 0; length < cut.size(); length += 3) {
    test::write_file(path, cut.substr(0, length));
    CHECK_THROWS_AS(read_npy(path), Error);
  }
  const std::string archive = directory / "x.npz";
  write_npz(archive, {{"a", test::normal({5})}});
  const std::vector<std::byte> bytes = read_file(archive);
  for (size_t i = 0; i < bytes.size(); i += 5) {
    std::vector<std::byte> damaged = bytes;
    damaged[i] ^= std::byte{0x41};
    write_file(archive, damaged);
    try {
      for (const auto& [name, tensor] : read_npz(archive)) CHECK(tensor.defined());
    } catch (const Error& error) {
      CHECK(std::string(error.what()).starts_with(archive));
    }
  }
}
