#include "../../core/serialize.h"

#include <doctest/doctest.h>
#include <unistd.h>
#include <zlib.h>

#include <cmath>
#include <filesystem>
#include <limits>

#include "../../core/error.h"
#include "../../core/file.h"

using namespace sinter;

namespace {

Archive example() {
  Archive archive("checkpoint", 2);
  archive.set("model/stem.weight", Tensor::from({2, 3}, {1, -2, 0.5f, -0.0f, 1e-40f, INFINITY}));
  archive.set("model/empty", Tensor::zeros({0, 4}));
  archive.set("model/scalar", Tensor::full({}, -7, DType::int64));
  archive.set("int8", Tensor::from({3}, std::vector<int8_t>{-128, 0, 127}));
  archive.set("options", "{\"lr\": 0.1}");
  archive.set("random", Archive::Bytes{std::byte{0}, std::byte{255}});
  archive.set("epoch", 3);
  archive.set("seed", std::numeric_limits<uint64_t>::max());
  archive.set("loss", -0.1);
  return archive;
}

// A file from scratch, to make the ones that `encode` never would.
struct Forge {
  std::string out;
  size_t sealed = 0;
  template <class T>
  Forge& put(T value) {
    out.append(reinterpret_cast<const char*>(&value), sizeof value);
    return *this;
  }
  Forge& put(const char* text) {
    out += text;
    return *this;
  }
  Forge& seal() {
    const auto crc =
        static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(out.data()) + sealed, out.size() - sealed));
    put(crc);
    sealed = out.size();
    return *this;
  }
  Forge& header(int64_t sections, uint32_t layout = 1, int64_t version = 1) {
    return put("\x89SINT\r\n\x1a").put(layout).put(uint32_t{1}).put(version).put(sections).put("k").seal();
  }
  // Section "x" or another name of one letter.
  Forge& section(uint8_t type, uint8_t dtype, std::initializer_list<int64_t> sizes, int64_t payload,
                 const char* name = "x") {
    put(type).put(dtype).put(static_cast<uint16_t>(sizes.size())).put(uint32_t{1}).put(payload);
    for (const int64_t size : sizes) put(size);
    return put(name).seal();
  }
  Archive decode() const { return Archive::decode(std::as_bytes(std::span(out)), "k", 1, "f"); }
};

std::string refusal(const Forge& forge) {
  try {
    forge.decode();
  } catch (const Error& error) {
    return error.what();
  }
  return "accepted";
}

}  // namespace

TEST_CASE("an archive reads back exactly") {
  const std::string path = (std::filesystem::temp_directory_path() / text("sinter_archive_", getpid())).string();
  example().write(path);
  const Archive archive = Archive::read(path, "checkpoint", 2);
  CHECK(archive.version() == 2);
  const Tensor& weight = archive.tensor("model/stem.weight");
  CHECK(weight.spec() == Spec{DType::float32, {2, 3}});
  CHECK(std::signbit(weight.at({1, 0})));
  CHECK(weight.at({1, 1}) == 1e-40f);
  CHECK(weight.at({1, 2}) == INFINITY);
  CHECK(archive.tensor("model/empty").shape() == Shape{0, 4});
  CHECK(archive.tensor("model/scalar").item<int64_t>() == -7);
  CHECK(archive.tensor("int8").at<int8_t>({0}) == -128);
  CHECK(archive.text("options") == "{\"lr\": 0.1}");
  CHECK(archive.bytes("random") == Archive::Bytes{std::byte{0}, std::byte{255}});
  CHECK(archive.integer("epoch") == 3);
  CHECK(static_cast<uint64_t>(archive.integer("seed")) == std::numeric_limits<uint64_t>::max());
  CHECK(archive.real("loss") == -0.1);
  CHECK(archive.names("model/") == std::vector<std::string>{"model/empty", "model/scalar", "model/stem.weight"});
  CHECK(archive.names().size() == 9);
  CHECK(archive.encode() == example().encode());

  CHECK_THROWS_WITH_AS(archive.tensor("model/head"), (path + ": section \"model/head\" is missing").c_str(), Error);
  CHECK_THROWS_WITH_AS(archive.real("epoch"),
                       (path + ": section \"epoch\" is an integer, expected a real number").c_str(), Error);
  CHECK_THROWS_WITH_AS(Archive::read(path, "program"),
                       (path + ": is a \"checkpoint\" file, expected \"program\"").c_str(), Error);
  CHECK_THROWS_WITH_AS(Archive::read(path, "checkpoint", 1),
                       (path + ": its checkpoint is version 2, this library reads up to 1").c_str(), Error);
  std::filesystem::remove(path);
}

TEST_CASE("the bytes do not depend on the order of the calls") {
  Archive forward("k"), backward("k");
  forward.set("a", 1);
  forward.set("b", 2.5);
  backward.set("b", 0);
  backward.set("b", 2.5);
  backward.set("a", 1);
  CHECK(forward.encode() == backward.encode());
}

TEST_CASE("every altered byte and every cut is refused") {
  const Archive::Bytes good = example().encode();
  for (size_t i = 0; i < good.size(); ++i) {
    CAPTURE(i);
    for (const int change : {0x01, 0x80, 0xff}) {
      Archive::Bytes bad = good;
      bad[i] ^= static_cast<std::byte>(change);
      CHECK_THROWS_AS(Archive::decode(bad, "checkpoint", 2), Error);
    }
    CHECK_THROWS_AS(Archive::decode(std::span(good).first(i), "checkpoint", 2), Error);
  }
  Archive::Bytes longer = good;
  longer.push_back(std::byte{0});
  CHECK_THROWS_WITH_AS(Archive::decode(longer, "checkpoint", 2, "f"),
                       "f: the end: more bytes follow than the file should have", Error);
}

TEST_CASE("damage is reported with file, section and fault") {
  Archive archive("k");
  archive.set("loss", 1.5);
  Archive::Bytes bytes = archive.encode();
  bytes[bytes.size() - 5] ^= std::byte{1};
  CHECK_THROWS_WITH_AS(Archive::decode(bytes, "k", 1, "run.ckpt"),
                       "run.ckpt: section \"loss\": the checksum differs: the file was altered or damaged", Error);
  CHECK_THROWS_WITH_AS(Archive::decode(std::span(bytes).first(bytes.size() - 6), "k", 1, "run.ckpt"),
                       "run.ckpt: section \"loss\": needs 8 bytes where the file has 6 left: it was cut or altered",
                       Error);
  CHECK_THROWS_WITH_AS(Archive::decode({}, "k", 1, "run.ckpt"),
                       "run.ckpt: the header: needs 8 bytes where the file has 0 left: it was cut or altered", Error);
  CHECK_THROWS_WITH_AS(Archive::decode(std::as_bytes(std::span("PNG or whatever")), "k", 1, "a.png"),
                       "a.png: is no sinter file", Error);
}

TEST_CASE("well-sealed nonsense is refused too") {
  CHECK(Forge().header(0).decode().names().empty());
  CHECK(Forge().header(1).section(3, 0, {}, 8).put(int64_t{5}).seal().decode().integer("x") == 5);

  CHECK(refusal(Forge().header(0, 2)) ==
        "f: its layout is version 2, this library reads up to 1: it was written by a newer one, or altered");
  CHECK(refusal(Forge().header(0, 1, 9)) == "f: its k is version 9, this library reads up to 1");
  CHECK(refusal(Forge().header(int64_t{1} << 60)) ==
        "f: section 1 of 1152921504606846976: needs 16 bytes where the file has 0 left: it was cut or altered");
  CHECK(refusal(Forge().header(-1)) == "f: the header: a count of -1 sections: the file was altered");
  CHECK(refusal(Forge().header(1).section(1, 2, {}, 0).seal()) ==
        "f: section \"x\": text with an element type or axes: the file was altered");
  CHECK(refusal(Forge().header(1).section(3, 0, {1}, 8).put(int64_t{5}).seal()) ==
        "f: section \"x\": an integer with an element type or axes: the file was altered");
  CHECK(refusal(Forge().header(1).section(1, 0, {}, int64_t{1} << 60)) ==
        "f: section \"x\": needs 1152921504606846976 bytes where the file has 0 left: it was cut or altered");
  CHECK(refusal(Forge().header(1).section(1, 0, {}, -1)) ==
        "f: section \"x\": a length of -1 bytes: the file was altered");
  CHECK(refusal(Forge().header(1).section(9, 0, {}, 0).seal()) == "f: section \"x\": type 9 is unknown");
  CHECK(refusal(Forge().header(1).section(3, 0, {}, 4).put(5).seal()) == "f: section \"x\": a number of 4 bytes");
  CHECK(refusal(Forge().header(1).section(0, 6, {1}, 4).put(5).seal()) ==
        "f: section \"x\": element type 6 is unknown");
  CHECK(refusal(Forge().header(1).section(0, 0, {2}, 4).put(5).seal()) ==
        "f: section \"x\": 4 bytes for a tensor of float32 [2]");
  CHECK(refusal(Forge().header(1).section(0, 0, {int64_t{1} << 62}, 0).seal()) ==
        "f: section \"x\": 0 bytes for a tensor of float32 [4611686018427387904]");
  CHECK(
      refusal(Forge().header(1).section(0, 0, {-1, -4}, 16).put(0.0).put(0.0).seal()).starts_with("f: section \"x\""));
  CHECK(refusal(Forge().header(1).section(0, 0, {1 << 30, 1 << 30, 1 << 30, 16}, 0).seal())
            .starts_with("f: section \"x\""));
  CHECK(refusal(Forge().header(1).section(0, 0, {1, 1, 1, 1, 1, 1, 1}, 4).put(5).seal()) ==
        "f: section 1 of 1: 7 axes: the file was altered");
  const auto twice = [](const char* first, const char* second) {
    return refusal(Forge().header(2).section(1, 0, {}, 0, first).seal().section(1, 0, {}, 0, second).seal());
  };
  CHECK(twice("a", "b") == "accepted");
  CHECK(twice("a", "a") == "f: section \"a\": appears twice, or has no name");
  CHECK(twice("b", "a") == "f: section \"a\": is out of order");
}

TEST_CASE("a section needs a value and a name") {
  Archive archive("k");
  CHECK_THROWS_WITH_AS(archive.set("x", Tensor()), "archive: section \"x\" is an undefined tensor", Error);
  CHECK_THROWS_WITH_AS(archive.set("", 1), "archive: a section needs a name", Error);
}
