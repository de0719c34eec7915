#include "../../data/idx.h"

#include <doctest/doctest.h>

#include <bit>

#include "../../core/random.h"
#include "files.h"

using namespace sinter;
using namespace sinter::data;
using namespace sinter::test;

namespace {

const std::string kBytes = idx(0x08, {2, 3}, {"\x00\x01\x7f\x80\xfe\xff", 6});

std::string message_of(const std::string& path) {
  try {
    read_idx(path);
  } catch (const Error& error) {
    return error.what();
  }
  return "no error";
}

}  // namespace

TEST_CASE("read_idx reads bytes, plain, compressed, in two parts, and padded with zeros") {
  const TemporaryDirectory directory;
  const std::string two_parts = gzip(kBytes.substr(0, 7)) + gzip(kBytes.substr(7));
  const std::string zeros(200000, '\0');
  for (const std::string& file : {kBytes, gzip(kBytes), two_parts, gzip(kBytes) + '\0', two_parts + zeros}) {
    const Tensor tensor = read_idx(write_file(directory / "a", file));
    CHECK(tensor.spec() == Spec{DType::uint8, {2, 3}});
    const auto values = tensor.values<uint8_t>();
    CHECK(std::vector<int>(values.begin(), values.end()) == std::vector<int>{0, 1, 127, 128, 254, 255});
  }
}

TEST_CASE("read_idx reads the other types, which are big-endian") {
  const TemporaryDirectory directory;
  CHECK(read_idx(write_file(directory / "a", idx(0x09, {1}, "\x80"))).item<int8_t>() == -128);
  CHECK(read_idx(write_file(directory / "a", idx(0x0b, {1}, {"\xff\x01", 2}))).item<int16_t>() == -255);
  CHECK(read_idx(write_file(directory / "a", idx(0x0c, {1, 1}, {"\x01\x02\x03\x04", 4}))).item<int32_t>() ==
        0x01020304);
  CHECK(read_idx(write_file(directory / "a", idx(0x0d, {1}, {"\xc0\x20\x00\x00", 4}))).item<float>() == -2.5f);
}

TEST_CASE("read_idx accepts an axis without elements and data larger than its first buffer") {
  const TemporaryDirectory directory;
  CHECK(read_idx(write_file(directory / "a", idx(0x08, {0, 28}, ""))).shape() == Shape{0, 28});
  std::string data(3000001, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * 7 >> 3);
  for (const std::string& file : {idx(0x08, {3000001}, data), gzip(idx(0x08, {3000001}, data))}) {
    const Tensor tensor = read_idx(write_file(directory / "a", file));
    CHECK(std::equal(data.begin(), data.end(), tensor.values<uint8_t>().begin(),
                     [](char a, uint8_t b) { return static_cast<uint8_t>(a) == b; }));
  }
}

TEST_CASE("read_idx names the file and the fault") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a";
  const auto message = [&](const std::string& bytes) {
    const std::string what = message_of(write_file(path, bytes));
    CHECK(what.starts_with(path + ": "));
    return what.substr(path.size() + 2);
  };

  CHECK(message("") == "is empty");
  CHECK(message("ab") == "is no IDX file: it has 2 bytes");
  CHECK(message("abcdef") == "is no IDX file: it starts with the bytes 97 98, expected 0 0");
  CHECK(message(gzip("abcdef")) == "is no IDX file: it starts with the bytes 97 98, expected 0 0");
  CHECK(message(idx(0x07, {1}, "a")) == "has the unknown IDX type 7 (known: 8, 9, 11, 12, 13)");
  CHECK(message(idx(0x0e, {1}, "abcdefgh")) == "holds 64-bit floats (IDX type 14), which are not supported");
  CHECK(message(idx(0x08, {}, "")) == "has 0 axes, expected 1 to 6");
  CHECK(message(idx(0x08, {1, 1, 1, 1, 1, 1, 1}, "a")) == "has 7 axes, expected 1 to 6");
  CHECK(message(kBytes.substr(0, 10)) == "is cut short: it ends inside its header, after 10 bytes");
  CHECK(message(kBytes.substr(0, 16)) == "is cut short: its header promises uint8 [2,3], 6 bytes, and there are 4");
  CHECK(message(kBytes + "x") == "is longer than its header says: there is more after uint8 [2,3]");
  CHECK(message(gzip(kBytes + "x")) == "is longer than its header says: there is more after uint8 [2,3]");
  CHECK(message(gzip(kBytes) + "garbage") == "has more after the end of its gzip stream");
  CHECK(message(gzip(kBytes) + std::string(3, '\0') + gzip("more")) == "has more after the end of its gzip stream");
  CHECK(message(std::string("\x1f\x8b", 2)) ==
        "is cut short: it ends inside its gzip stream, after 0 decompressed bytes");

  const std::string compressed = gzip(kBytes);
  CHECK(message(compressed.substr(0, compressed.size() - 1)) ==
        "is cut short: it ends inside its gzip stream, after 18 decompressed bytes");
  std::string wrong_crc = compressed;
  wrong_crc[wrong_crc.size() - 8] ^= 1;
  CHECK(message(wrong_crc) == "is corrupt: gzip says \"incorrect data check\" after 18 decompressed bytes");

  CHECK(message_of(directory / "none") == (directory / "none") + ": cannot be opened: No such file or directory");
  CHECK(message_of(directory.path()) == directory.path() + ": is a directory, expected a file");
  CHECK(message_of("/dev/zero") == "/dev/zero: is no regular file, expected a file");
}

TEST_CASE("read_idx does not allocate what a header promises") {
  const TemporaryDirectory directory;
  constexpr uint32_t k = ~uint32_t{0};
  for (const bool compressed : {false, true}) {
    const auto message = [&](const std::string& bytes) {
      const std::string path = directory / "a";
      return message_of(write_file(path, compressed ? gzip(bytes) : bytes)).substr(path.size() + 2);
    };
    CHECK(
        message(idx(0x08, {k, 1 << 29}, "abc")) ==
        text(
            "is cut short: its header promises uint8 [4294967295,536870912], 2305843008676823040 bytes, and there are ",
            compressed ? "at most 34056" : "3"));
    CHECK(message(idx(0x08, {0, k, k}, "")) == "shape: more than 2^62 elements");
    CHECK(message(idx(0x0c, {k, k}, "abc")) ==
          "is corrupt: its header promises int32 [4294967295,4294967295], which no file can hold");
    CHECK(message(idx(0x08, {k, k, k, 0}, "abc")) ==
          "is corrupt: its header promises uint8 [4294967295,4294967295,4294967295,0], which no file can hold");
  }
}

TEST_CASE("read_idx gives data or an Error for files cut or changed anywhere") {
  const TemporaryDirectory directory;
  const std::string path = directory / "a";
  std::string data(300, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i * i * i % 251);
  const std::string plain = idx(0x08, {3, 10, 10}, data);
  Random random(17);
  for (const bool compressed : {false, true}) {
    const std::string file = compressed ? gzip(plain) : plain;
    for (size_t size = 0; size < file.size(); ++size) {
      write_file(path, file.substr(0, size));
      CHECK_THROWS_AS(read_idx(path), Error);
    }
    int errors = 0, tries = 0;
    for (size_t i = 0; i < file.size(); ++i) {
      for (const int flip : {1, 0x80, 0xff, static_cast<int>(random.below(255)) + 1}) {
        std::string changed = file;
        changed[i] = static_cast<char>(changed[i] ^ flip);
        ++tries;
        try {
          const Tensor tensor = read_idx(write_file(path, changed));
          CHECK(tensor.bytes() == 300);
        } catch (const Error& error) {
          ++errors;
          CHECK(std::string(error.what()).starts_with(path + ": "));
        }
      }
    }
    // Changed pixels of a plain file are valid; gzip notices them, but not changes of its time stamp.
    CHECK(errors > (compressed ? tries * 9 / 10 : 0));
  }
}
