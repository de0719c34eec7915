#include "serialize.h"

#include <zlib.h>

#include <array>
#include <bit>
#include <cstring>
#include <type_traits>

#include "autograd.h"
#include "file.h"
#include "within.h"

// The file, all numbers little-endian:
//
//   magic (8 bytes), u32 layout version
//   u32 bytes of kind, i64 version of kind, i64 number of sections, kind, u32 checksum of the file up to here
//   sections in order of their names, each:
//     u8 type, u8 element type, u16 axes, u32 bytes of name, i64 bytes of payload, i64 sizes of the axes, name,
//     u32 checksum of the section up to here
//     payload, u32 checksum of the payload
//
// Checksums are zlib's CRC-32. Nothing is allocated for a length before it is compared with what is left of the file.

namespace sinter {

namespace {

static_assert(std::endian::native == std::endian::little, "archives are copied to and from memory as they are");

// As PNG's: the high bit and the line ends tell when a transfer as text has damaged the file.
constexpr std::array<char, 8> kMagic{'\x89', 'S', 'I', 'N', 'T', '\r', '\n', '\x1a'};
constexpr uint32_t kLayout = 1;

constexpr std::array<std::string_view, 5> kTypes{"a tensor", "text", "bytes", "an integer", "a real number"};

// The alternatives of Archive::Value, in its order; the numbers are part of the format.
enum class Type : uint8_t { tensor, text, bytes, integer, real };

struct SectionHead {
  Type type{};
  uint8_t dtype = 0;
  uint16_t rank = 0;
  uint32_t name_bytes = 0;
  int64_t payload_bytes = 0;
};
static_assert(sizeof(SectionHead) == 16 && std::has_unique_object_representations_v<SectionHead>);

uint32_t checksum(std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

template <class T>
std::span<const std::byte> raw(const T& value) {
  return std::as_bytes(std::span<const T, 1>(&value, 1));
}

std::span<const std::byte> payload_of(const Archive::Value& value) {
  if (const auto* tensor = std::get_if<Tensor>(&value)) {
    const auto size = static_cast<size_t>(tensor->bytes());
    switch (tensor->dtype()) {
      case DType::float32:
        return {reinterpret_cast<const std::byte*>(tensor->data<float>()), size};
      case DType::int8:
        return {reinterpret_cast<const std::byte*>(tensor->data<int8_t>()), size};
      case DType::uint8:
        return {reinterpret_cast<const std::byte*>(tensor->data<uint8_t>()), size};
      case DType::int16:
        return {reinterpret_cast<const std::byte*>(tensor->data<int16_t>()), size};
      case DType::int32:
        return {reinterpret_cast<const std::byte*>(tensor->data<int32_t>()), size};
      case DType::int64:
        return {reinterpret_cast<const std::byte*>(tensor->data<int64_t>()), size};
    }
  }
  if (const auto* words = std::get_if<std::string>(&value)) return std::as_bytes(std::span(*words));
  if (const auto* bytes = std::get_if<Archive::Bytes>(&value)) return *bytes;
  if (const auto* integer = std::get_if<int64_t>(&value)) return raw(*integer);
  return raw(std::get<double>(value));
}

Tensor tensor_from(DType dtype, const Shape& shape, std::span<const std::byte> payload) {
  const auto make = [&]<class T>(T) {
    Tensor tensor = Tensor::empty(shape, dtype);
    if (!payload.empty()) std::memcpy(detail::Access::write<T>(tensor), payload.data(), payload.size());
    return tensor;
  };
  switch (dtype) {
    case DType::float32:
      return make(float{});
    case DType::int8:
      return make(int8_t{});
    case DType::uint8:
      return make(uint8_t{});
    case DType::int16:
      return make(int16_t{});
    case DType::int32:
      return make(int32_t{});
    case DType::int64:
      return make(int64_t{});
  }
  fail("unknown element type");
}

class Writer {
 public:
  void put(std::span<const std::byte> bytes) { out_.insert(out_.end(), bytes.begin(), bytes.end()); }
  void put(std::string_view text) { put(std::as_bytes(std::span(text))); }
  template <class T>
  requires std::is_trivially_copyable_v<T> && std::has_unique_object_representations_v<T>
  void put(const T& value) { put(raw(value)); }
  // The checksum of what was put since the last one.
  void seal() {
    put(checksum(std::span(out_).subspan(sealed_)));
    sealed_ = out_.size();
  }
  void reserve(size_t bytes) { out_.reserve(bytes); }
  Archive::Bytes take() { return std::move(out_); }

 private:
  Archive::Bytes out_;
  size_t sealed_ = 0;
};

class Reader {
 public:
  Reader(std::span<const std::byte> content, const std::string& source) : content_(content), source_(source) {}

  // What is being read, for messages: `section "model/stem.weight"`.
  void enter(std::string what) { what_ = std::move(what); }

  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(source_, ": ", what_, ": ", parts...);
  }

  std::span<const std::byte> take(int64_t bytes) {
    if (bytes < 0) refuse("a length of ", bytes, " bytes: the file was altered");
    const auto left = static_cast<int64_t>(content_.size() - at_);
    if (bytes > left) refuse("needs ", bytes, " bytes where the file has ", left, " left: it was cut or altered");
    const auto part = content_.subspan(at_, static_cast<size_t>(bytes));
    at_ += part.size();
    return part;
  }
  template <class T>
  T take() {
    T value;
    std::memcpy(&value, take(sizeof value).data(), sizeof value);
    return value;
  }
  std::string take_text(int64_t bytes) {
    const auto part = take(bytes);
    return {reinterpret_cast<const char*>(part.data()), part.size()};
  }
  void check_seal() {
    const uint32_t expected = checksum(content_.subspan(sealed_, at_ - sealed_));
    if (take<uint32_t>() != expected) refuse("the checksum differs: the file was altered or damaged");
    sealed_ = at_;
  }
  bool at_end() const { return at_ == content_.size(); }

 private:
  std::span<const std::byte> content_;
  const std::string& source_;
  std::string what_;
  size_t at_ = 0, sealed_ = 0;
};

Archive::Value value_from(const Reader& reader, const SectionHead& head, const std::vector<int64_t>& sizes,
                          std::span<const std::byte> payload) {
  if (head.type != Type::tensor && (head.dtype != 0 || head.rank != 0))
    reader.refuse(kTypes[static_cast<size_t>(head.type)], " with an element type or axes: the file was altered");
  const auto* words = reinterpret_cast<const char*>(payload.data());
  const auto number = [&]<class T>(T value) -> Archive::Value {
    if (payload.size() != sizeof value) reader.refuse("a number of ", payload.size(), " bytes");
    std::memcpy(&value, payload.data(), sizeof value);
    return value;
  };
  switch (head.type) {
    case Type::text:
      return std::string(words, payload.size());
    case Type::bytes:
      return Archive::Bytes(payload.begin(), payload.end());
    case Type::integer:
      return number(int64_t{});
    case Type::real:
      return number(double{});
    case Type::tensor:
      break;
  }
  if (head.dtype > static_cast<uint8_t>(DType::int64))
    reader.refuse("element type ", static_cast<int64_t>(head.dtype), " is unknown");
  const auto dtype = static_cast<DType>(head.dtype);
  Shape shape;
  try {
    shape = Shape(std::span<const int64_t>(sizes));
  } catch (const Error& error) {
    reader.refuse(error.what());
  }
  // The first comparison keeps the multiplication within 64 bits.
  if (shape.elements() > head.payload_bytes || shape.elements() * size_of(dtype) != head.payload_bytes)
    reader.refuse(head.payload_bytes, " bytes for a tensor of ", Spec{dtype, shape});
  return tensor_from(dtype, shape, payload);
}

}  // namespace

Archive::Archive(std::string kind, int64_t version) : kind_(std::move(kind)), version_(version) {}

void Archive::set(const std::string& name, Tensor value) {
  check(value.defined(), "archive: section \"", name, "\" is an undefined tensor");
  put(name, std::move(value));
}

void Archive::put(const std::string& name, Value value) {
  check(!name.empty(), "archive: a section needs a name");
  sections_.insert_or_assign(name, std::move(value));
}

std::vector<std::string> Archive::names(std::string_view prefix) const {
  std::vector<std::string> found;
  for (auto it = sections_.lower_bound(std::string(prefix)); it != sections_.end(); ++it) {
    if (!it->first.starts_with(prefix)) break;
    found.push_back(it->first);
  }
  return found;
}

template <class T>
const T& Archive::get(const std::string& name) const {
  const std::string& file = source_.empty() ? kind_ : source_;
  const auto it = sections_.find(name);
  check(it != sections_.end(), file, ": section \"", name, "\" is missing");
  const T* value = std::get_if<T>(&it->second);
  check(value != nullptr, file, ": section \"", name, "\" is ", kTypes[it->second.index()], ", expected ",
        kTypes[Value(T{}).index()]);
  return *value;
}

const Tensor& Archive::tensor(const std::string& name) const { return get<Tensor>(name); }
const std::string& Archive::text(const std::string& name) const { return get<std::string>(name); }
const Archive::Bytes& Archive::bytes(const std::string& name) const { return get<Bytes>(name); }
int64_t Archive::integer(const std::string& name) const { return get<int64_t>(name); }
double Archive::real(const std::string& name) const { return get<double>(name); }

int64_t Archive::integer(const std::string& name, int64_t low, int64_t high) const {
  const int64_t value = integer(name);
  check(value >= low && value <= high, source_.empty() ? kind_ : source_, ": section \"", name, "\" is ", value,
        ", expected ", low, " to ", high);
  return value;
}

Archive::Bytes Archive::encode() const {
  Writer out;
  size_t size = 64 + kind_.size();
  for (const auto& [name, value] : sections_) size += 96 + name.size() + payload_of(value).size();
  out.reserve(size);
  out.put(std::string_view(kMagic.data(), kMagic.size()));
  out.put(kLayout);
  out.put(static_cast<uint32_t>(kind_.size()));
  out.put(version_);
  out.put(static_cast<int64_t>(sections_.size()));
  out.put(std::string_view(kind_));
  out.seal();
  for (const auto& [name, value] : sections_) {
    const auto payload = payload_of(value);
    const auto* tensor = std::get_if<Tensor>(&value);
    SectionHead head;
    head.type = static_cast<Type>(value.index());
    head.name_bytes = static_cast<uint32_t>(name.size());
    head.payload_bytes = static_cast<int64_t>(payload.size());
    if (tensor != nullptr) {
      head.dtype = static_cast<uint8_t>(tensor->dtype());
      head.rank = static_cast<uint16_t>(tensor->rank());
    }
    out.put(head);
    if (tensor != nullptr)
      for (const int64_t axis : tensor->shape()) out.put(axis);
    out.put(std::string_view(name));
    out.seal();
    out.put(payload);
    out.seal();
  }
  return out.take();
}

Archive Archive::decode(std::span<const std::byte> content, std::string_view kind, int64_t newest,
                        const std::string& source) {
  Reader in(content, source);
  in.enter("the header");
  const std::string magic = in.take_text(kMagic.size());
  check(magic == std::string_view(kMagic.data(), kMagic.size()), source, ": is no sinter file");
  const auto layout = in.take<uint32_t>();
  check(layout <= kLayout, source, ": its layout is version ", layout, ", this library reads up to ", kLayout,
        ": it was written by a newer one, or altered");
  if (layout == 0) in.refuse("layout version 0 does not exist: the file was altered");
  const auto kind_bytes = in.take<uint32_t>();
  const auto version = in.take<int64_t>();
  const auto count = in.take<int64_t>();
  Archive archive(in.take_text(kind_bytes), version);
  archive.source_ = source;
  in.check_seal();
  check(archive.kind_ == kind, source, ": is a \"", archive.kind_, "\" file, expected \"", kind, "\"");
  if (count < 0) in.refuse("a count of ", count, " sections: the file was altered");
  check(version <= newest, source, ": its ", kind, " is version ", version, ", this library reads up to ", newest);

  std::string last;
  for (int64_t i = 0; i < count; ++i) {
    in.enter(sinter::text("section ", i + 1, " of ", count));
    const auto head = in.take<SectionHead>();
    if (head.rank > Shape::kMaxRank) in.refuse(static_cast<int64_t>(head.rank), " axes: the file was altered");
    std::vector<int64_t> sizes(head.rank);
    for (int64_t& axis : sizes) axis = in.take<int64_t>();
    std::string name = in.take_text(head.name_bytes);
    in.check_seal();
    in.enter(sinter::text("section \"", name, "\""));
    if (name <= last) in.refuse(name == last ? "appears twice, or has no name" : "is out of order");
    const auto payload = in.take(head.payload_bytes);
    in.check_seal();
    if (static_cast<size_t>(head.type) >= kTypes.size())
      in.refuse("type ", static_cast<int64_t>(head.type), " is unknown");
    within(sinter::text(source, ": section \"", name, "\""), [&] {
      archive.sections_.emplace_hint(archive.sections_.end(), name, value_from(in, head, sizes, payload));
    });
    last = std::move(name);
  }
  in.enter("the end");
  if (!in.at_end()) in.refuse("more bytes follow than the file should have");
  return archive;
}

void Archive::write(const std::string& path) const {
  within(path, [&] { write_file(path, encode()); });
}

Archive Archive::read(const std::string& path, std::string_view kind, int64_t newest) {
  FileReader file(path);
  check(file.starts_with({kMagic.data(), kMagic.size()}), path, ": is no sinter file");  // before it is read
  return within(path, [&] { return decode(file.read_rest(kMaxFileBytes), kind, newest, path); });
}

}  // namespace sinter
