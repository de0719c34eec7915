#include "npz.h"

#include <zip.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cctype>
#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "../core/autograd.h"
#include "../core/file.h"
#include "../core/within.h"

namespace sinter::data {

namespace {

using Bytes = std::vector<std::byte>;

constexpr std::string_view kMagic("\x93NUMPY", 6);
constexpr size_t kMaxHeader = 1 << 16;
constexpr int64_t kMaxEntry = int64_t{1} << 34, kMaxRatio = 1100;  // of deflate: 1032

// The text of a header: {'descr': '<f4', 'fortran_order': False, 'shape': (2, 3), }
class Header {
 public:
  explicit Header(std::string_view text) : rest_(text) {
    expect('{');
    while (!accept('}')) {
      const std::string key = quoted();
      expect(':');
      if (key == "descr") {
        type = quoted();
      } else if (key == "fortran_order") {
        column_major = word() == "True";
      } else if (key == "shape") {
        shape();
      } else {
        fail("its header has the key '", key, "'");
      }
      if (!accept(',')) {
        expect('}');
        break;
      }
    }
    check(!type.empty() && has_shape_, "its header names no type or no shape");
  }

  std::string type;
  bool column_major = false;
  std::vector<int64_t> sizes;

 private:
  void skip() {
    while (!rest_.empty() && (rest_[0] == ' ' || rest_[0] == '\n')) rest_.remove_prefix(1);
  }
  bool accept(char c) {
    skip();
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(char c) { check(accept(c), "its header lacks '", std::string(1, c), "'"); }
  std::string quoted() {
    skip();
    check(!rest_.empty() && (rest_[0] == '\'' || rest_[0] == '"'), "its header has no text where one is expected; ",
          "structured arrays are not read");
    const char quote = rest_[0];
    const size_t end = rest_.find(quote, 1);
    check(end != std::string_view::npos, "its header has a text without an end");
    std::string value(rest_.substr(1, end - 1));
    rest_.remove_prefix(end + 1);
    return value;
  }
  std::string word() {
    skip();
    size_t end = 0;
    while (end < rest_.size() && std::isalpha(static_cast<unsigned char>(rest_[end])) != 0) ++end;
    std::string value(rest_.substr(0, end));
    check(value == "True" || value == "False", "its header says fortran_order: ", value);
    rest_.remove_prefix(end);
    return value;
  }
  void shape() {
    has_shape_ = true;
    expect('(');
    while (!accept(')')) {
      skip();
      int64_t size = 0;
      size_t digits = 0;
      for (; digits < rest_.size() && rest_[digits] >= '0' && rest_[digits] <= '9' && digits < 18; ++digits)
        size = 10 * size + (rest_[digits] - '0');
      check(digits > 0, "its header has no number in its shape");
      rest_.remove_prefix(digits);
      sizes.push_back(size);
      if (!accept(',')) {
        expect(')');
        break;
      }
    }
  }

  std::string_view rest_;
  bool has_shape_ = false;
};

// A number of kind 'f', 'i' or 'u', or 'b' for bool, of so many bytes in this machine's order.
double real_of(const std::byte* p, size_t width) {
  if (width == 8) {
    double v;
    std::memcpy(&v, p, 8);
    return v;
  }
  if (width == 4) {
    float v;
    std::memcpy(&v, p, 4);
    return static_cast<double>(v);
  }
  uint16_t bits;
  std::memcpy(&bits, p, 2);
  const int exponent = bits >> 10 & 31, fraction = bits & 1023;
  double v = exponent == 31  ? (fraction != 0 ? NAN : INFINITY)
             : exponent == 0 ? std::ldexp(fraction, -24)
                             : std::ldexp(1024 + fraction, exponent - 25);
  return bits >> 15 != 0 ? -v : v;
}

int64_t integer_of(const std::byte* p, size_t width, bool is_signed) {
  uint64_t bits = 0;
  std::memcpy(&bits, p, width);  // little-endian machines alone, as everywhere in this library
  if (is_signed && width < 8) {
    const uint64_t sign = uint64_t{1} << (8 * width - 1);
    bits = (bits ^ sign) - sign;
  }
  check(is_signed || bits <= static_cast<uint64_t>(std::numeric_limits<int64_t>::max()), "has the number ", bits,
        ", which int64 does not hold");
  return static_cast<int64_t>(bits);
}

struct Type {
  char kind;
  size_t width;
  bool swapped;
  DType dtype;
};

Type type_of(const std::string& descr) {
  const bool known = descr.size() == 3 && std::string_view("<>|=").find(descr[0]) != std::string_view::npos;
  check(descr.size() < 2 || descr[1] != 'O', "holds Python objects: they are a pickle, which is not executed");
  check(known && descr[2] >= '1' && descr[2] <= '8', "is of type '", descr, "', expected numbers");
  const auto width = static_cast<size_t>(descr[2] - '0');
  Type t{descr[1], width, descr[0] == '>' && width > 1, DType::float32};
  if (t.kind == 'f' && (width == 2 || width == 4 || width == 8)) return t;
  const bool integers = t.kind == 'i' || t.kind == 'u';
  check((integers && std::has_single_bit(width)) || (t.kind == 'b' && width == 1), "is of type '", descr,
        "', expected numbers");
  if (t.kind == 'i')
    t.dtype = width == 1 ? DType::int8 : width == 2 ? DType::int16 : width == 4 ? DType::int32 : DType::int64;
  if (t.kind != 'i') t.dtype = width == 1 ? DType::uint8 : width == 2 ? DType::int32 : DType::int64;
  return t;
}

template <class T>
void convert(const Type& t, const std::vector<int64_t>& sizes, bool column_major, const std::byte* in, T* out,
             int64_t count) {
  std::array<int64_t, Shape::kMaxRank> steps{1}, index{};
  if (column_major)
    for (size_t axis = 1; axis < sizes.size(); ++axis) steps[axis] = steps[axis - 1] * sizes[axis - 1];
  int64_t from = 0;
  for (int64_t i = 0; i < count; ++i) {
    std::array<std::byte, 8> number{};
    const std::byte* p = in + static_cast<size_t>(column_major ? from : i) * t.width;
    if (t.swapped)
      std::reverse_copy(p, p + t.width, number.begin());
    else
      std::copy_n(p, t.width, number.begin());
    out[i] = t.kind == 'f' ? static_cast<T>(real_of(number.data(), t.width))
                           : static_cast<T>(integer_of(number.data(), t.width, t.kind == 'i'));
    for (size_t axis = sizes.size(); column_major && axis-- > 0;) {
      from += steps[axis];
      if (++index[axis] < sizes[axis]) break;
      from -= steps[axis] * sizes[axis];
      index[axis] = 0;
    }
  }
}

Tensor decode(std::span<const std::byte> bytes) {
  const auto text_at = [&](size_t from, size_t count) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()) + from, count);
  };
  check(bytes.size() >= 12 && text_at(0, kMagic.size()) == kMagic, "is no .npy file");
  const auto version = static_cast<int>(bytes[6]);
  check(version >= 1 && version <= 3, "is of version ", version, " of the format, expected 1 to 3");
  const size_t start = version == 1 ? 10 : 12;
  size_t length = 0;
  for (size_t i = start; i-- > 8;) length = length << 8 | static_cast<size_t>(bytes[i]);
  check(length <= kMaxHeader && length <= bytes.size() - start, "is cut within its header");
  const Header header(text_at(start, length));
  const Type type = type_of(header.type);
  check(header.sizes.size() <= static_cast<size_t>(Shape::kMaxRank), "has ", header.sizes.size(),
        " axes, expected at most ", Shape::kMaxRank);
  const size_t data = bytes.size() - start - length;
  uint64_t count = 1;
  for (const int64_t size : header.sizes) {
    // What the file does not have is not asked for.
    const auto more = static_cast<uint64_t>(size);
    check(more == 0 || count <= (uint64_t{1} << 60) / more, "says that it has more elements than can be");
    count *= more;
  }
  check(count <= data / type.width && count * type.width == data, "has ", data, " bytes of data, its header says ",
        count, " elements of ", type.width);
  Tensor result = Tensor::empty(Shape(std::span<const int64_t>(header.sizes)), type.dtype);
  const auto fill = [&]<class T>(T) {
    T* out = detail::Access::write<T>(result);
    convert(type, header.sizes, header.column_major, bytes.data() + start + length, out, static_cast<int64_t>(count));
  };
  switch (type.dtype) {
    case DType::float32:
      fill(float{});
      break;
    case DType::uint8:
      fill(uint8_t{});
      break;
    case DType::int8:
      fill(int8_t{});
      break;
    case DType::int16:
      fill(int16_t{});
      break;
    case DType::int32:
      fill(int32_t{});
      break;
    case DType::int64:
      fill(int64_t{});
      break;
  }
  return result;
}

Bytes encode(const Tensor& tensor) {
  check(tensor.defined(), "npz: a tensor is undefined");
  const char* type = "";
  switch (tensor.dtype()) {
    case DType::float32:
      type = "<f4";
      break;
    case DType::uint8:
      type = "|u1";
      break;
    case DType::int8:
      type = "|i1";
      break;
    case DType::int16:
      type = "<i2";
      break;
    case DType::int32:
      type = "<i4";
      break;
    case DType::int64:
      type = "<i8";
      break;
  }
  std::string header = text("{'descr': '", type, "', 'fortran_order': False, 'shape': (");
  for (const int64_t size : tensor.shape()) header += text(size, ", ");
  if (tensor.rank() > 1) header.resize(header.size() - 2);
  if (tensor.rank() == 1) header.pop_back();
  header += "), }";
  while ((10 + header.size() + 1) % 64 != 0) header += ' ';
  header += '\n';
  std::string bytes(kMagic);
  bytes += '\1';
  bytes += '\0';
  bytes += static_cast<char>(header.size() & 255);
  bytes += static_cast<char>(header.size() >> 8);
  bytes += header;
  const auto* begin = reinterpret_cast<const std::byte*>(bytes.data());
  Bytes all(begin, begin + bytes.size());
  const std::byte* data = detail::Access::storage(tensor)->data();
  all.insert(all.end(), data, data + tensor.bytes());
  return all;
}

std::string message(zip_error_t& error) {
  std::string text = zip_error_strerror(&error);
  zip_error_fini(&error);
  return text;
}

struct Discard {
  void operator()(zip_t* archive) const { zip_discard(archive); }
};

}  // namespace

Tensor read_npy(const std::string& path) {
  const Bytes bytes = read_file(path);
  return within(path, [&] { return decode(bytes); });
}

std::map<std::string, Tensor> read_npz(const std::string& path) {
  const Bytes bytes = read_file(path);
  return within(path, [&] {
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* source = zip_source_buffer_create(bytes.data(), bytes.size(), 0, &error);
    check(source != nullptr, message(error));
    const std::unique_ptr<zip_t, Discard> archive(zip_open_from_source(source, ZIP_RDONLY | ZIP_CHECKCONS, &error));
    if (archive == nullptr) {
      zip_source_free(source);
      fail("is no .npz file: ", message(error));
    }
    std::map<std::string, Tensor> tensors;
    const zip_int64_t count = zip_get_num_entries(archive.get(), 0);
    for (zip_int64_t i = 0; i < count; ++i) {
      zip_stat_t stat;
      check(zip_stat_index(archive.get(), static_cast<zip_uint64_t>(i), 0, &stat) == 0 && stat.name != nullptr &&
                (stat.valid & ZIP_STAT_SIZE) != 0,
            "its entry ", i, " cannot be read: ", zip_strerror(archive.get()));
      std::string name = stat.name;
      within(name, [&] {
        const auto most = std::min<uint64_t>(kMaxEntry, (bytes.size() + 1) * kMaxRatio);
        check(stat.size <= most, "says that it has ", stat.size, " bytes");
        Bytes content(stat.size);
        zip_file_t* file = zip_fopen_index(archive.get(), static_cast<zip_uint64_t>(i), 0);
        check(file != nullptr, zip_strerror(archive.get()));
        const zip_int64_t got = zip_fread(file, content.data(), content.size());
        std::byte more;
        const zip_int64_t rest = got < 0 ? -1 : zip_fread(file, &more, 1);  // checks the checksum at the end
        zip_fclose(file);
        check(got == static_cast<zip_int64_t>(content.size()) && rest == 0, "is damaged");
        Tensor tensor = decode(content);
        if (name.ends_with(".npy")) name.resize(name.size() - 4);
        check(tensors.emplace(name, tensor).second, "stands twice");
      });
    }
    return tensors;
  });
}

void write_npy(const std::string& path, const Tensor& tensor) { write_file(path, encode(tensor)); }

void write_npz(const std::string& path, const std::map<std::string, Tensor>& tensors) {
  within(path, [&] {
    std::vector<Bytes> contents;
    for (const auto& [name, tensor] : tensors) {
      check(!name.empty() && name.find('\0') == std::string::npos, "\"", name, "\" is no name of an array");
      contents.push_back(encode(tensor));
    }
    zip_error_t error;
    zip_error_init(&error);
    zip_source_t* target = zip_source_buffer_create(nullptr, 0, 0, &error);
    check(target != nullptr, message(error));
    zip_source_keep(target);
    zip_t* archive = zip_open_from_source(target, ZIP_CREATE | ZIP_TRUNCATE, &error);
    check(archive != nullptr, message(error));
    size_t next = 0;
    for (const auto& [name, tensor] : tensors) {
      const Bytes& content = contents[next++];
      zip_source_t* source = zip_source_buffer(archive, content.data(), content.size(), 0);
      const zip_int64_t index = zip_file_add(archive, (name + ".npy").c_str(), source, ZIP_FL_ENC_UTF_8);
      check(index >= 0, zip_strerror(archive));
      zip_set_file_compression(archive, static_cast<zip_uint64_t>(index), ZIP_CM_STORE, 0);
      // Equal arrays give equal bytes: 1980 is where a zip's time begins.
      zip_file_set_dostime(archive, static_cast<zip_uint64_t>(index), 0, 1 << 5 | 1, 0);
    }
    check(zip_close(archive) == 0, zip_strerror(archive));
    zip_source_open(target);
    zip_source_seek(target, 0, SEEK_END);
    Bytes all(static_cast<size_t>(zip_source_tell(target)));
    zip_source_seek(target, 0, SEEK_SET);
    check(zip_source_read(target, all.data(), all.size()) == static_cast<zip_int64_t>(all.size()), "libzip lost bytes");
    zip_source_close(target);
    zip_source_free(target);
    write_file(path, all);
  });
}

}  // namespace sinter::data
