#pragma once
// Datapaths: how the hardware of a march turns a layer's sums into its output (SPEC.md, section 4). A layer says what
// it sums and on which grids; which integers stand for the ratios of scales, and how sums are shifted, multiplied,
// rounded and saturated by them, only the datapath knows.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "../../core/op.h"
#include "../grid.h"

namespace sinter::quant {

/// The integers of a rescaling y = sat(finish(first * a + second * b)): a and b are what a layer sums (an accumulator
/// and a residual, two operands), `finish` is the datapath's, by pre, m and post.
struct Rescaling {
  int64_t first = 1, second = 0;
  int32_t pre = 0, m = 1, post = 0;
  bool operator==(const Rescaling&) const = default;
};
/// `(a + 3 b) >> 4 * 20000 >> 12`, leaving out what does nothing.
std::string to_string(const Rescaling& by);

/// Rows of sums to rows of outputs by one layer's integers, which it holds; made once a layer. Const calls may run at
/// the same time.
class Rescaler {
 public:
  virtual ~Rescaler() = default;
  /// `count` rows of values, each of the first `length` channels (0: of all), or, where there is one rescaling for all
  /// channels, of any length. b, the residual's integers (int8 or
  /// int16), may be null.
  struct Rows {
    int64_t count = 0, length = 0;
    const int32_t* acc = nullptr;  ///< without the bias
    const void* b = nullptr;
    DType b_type = DType::int8;
    void* y = nullptr;
    DType y_type = DType::int8;
  };
  virtual void run(const Rows& rows) const = 0;
};

/// What a rescaler is made of, by channel.
struct Rescalings {
  std::vector<int32_t> bias;  ///< added to accumulators; the sum fits 32 bits
  std::vector<Rescaling> by;
  Bounds y;
};

/// How a shift to the right that ends a layer rounds.
enum class ShiftRounding { half_up, half_to_even, down };

/// A datapath, immutable. Units are the real values of an integer 1, in double from float32 scales. What gives integers
/// throws Error, without a name in front, where none reach the ratio.
class Datapath {
 public:
  virtual ~Datapath() = default;
  virtual std::string_view name() const = 0;
  /// Its numbers, for printing, comparing and files.
  virtual std::vector<Field> fields() const = 0;
  /// Throws Error for numbers that no hardware has.
  virtual void validate() const = 0;

  /// An accumulator of 32 bits.
  virtual Rescaling accumulator(double unit, const Grid& y) const = 0;
  /// An accumulator and a residual, the tensor `skip`.
  virtual Rescaling residual(double unit, const Grid& skip, const Grid& y) const = 0;
  /// The smallest unit of an accumulator with which a residual still has integers.
  virtual double least_unit(const Grid& skip) const = 0;
  /// Integers of 8 or 16 bits.
  virtual Rescaling narrow(const Grid& x, const Grid& y) const = 0;
  /// Two integers of `bits` bits with these units, of which one may be negative or 0.
  virtual Rescaling sum(double first, double second, int bits, const Grid& y) const = 0;
  /// A sum that is divided by `count`.
  virtual Rescaling mean(double unit, int64_t count, const Grid& y) const = 0;

  /// One value. |first a + second b| is at most `limit()`.
  virtual int32_t rescale(int64_t a, int64_t b, const Rescaling& by, const Bounds& y) const = 0;
  /// The largest magnitude of first a + second b that is exact.
  virtual int64_t limit() const = 0;
  /// What these integers lose where y has so many bits, for people; null: nothing to speak of.
  virtual const char* loss(const Rescaling& by, int bits) const;
  /// Whether these are integers that the hardware has, where |a| and |b| are at most these. Throws Error.
  void check_rescaling(const Rescaling& by, int64_t a_reach, int64_t b_reach) const;
  virtual ShiftRounding shift_rounding() const = 0;

  /// Value by value; datapaths that are in a hurry have their own.
  virtual std::unique_ptr<const Rescaler> rescaler(Rescalings rescalings) const;

 protected:
  /// Whether pre, m and post are numbers of the hardware; null, or what is wrong.
  virtual const char* fault(const Rescaling& by) const = 0;
};

using DatapathValue = std::shared_ptr<const Datapath>;
bool operator==(const Datapath& a, const Datapath& b);
/// `two_stage (max_pre=17, ...)`
std::string to_string(const Datapath& datapath);

/// The datapath of that name with these numbers; fields that are missing keep their defaults. Throws Error listing the
/// known names, and for numbers that no hardware has.
DatapathValue make_datapath(const std::string& name, std::span<const Field> fields = {});
std::vector<std::string> datapath_names();

/// Its numbers are an aggregate with SINTER_FIELDS.
template <class Fields>
class DatapathWith : public Datapath {
 public:
  DatapathWith() = default;
  DatapathWith(Fields value) : numbers(std::move(value)) {}
  std::vector<Field> fields() const override { return fields_of(numbers); }

  Fields numbers;
};

namespace detail {
using MakeDatapath = DatapathValue (*)(std::span<const Field> fields);
void add_datapath(const std::string& name, MakeDatapath make);
template <class T>
DatapathValue make_datapath_as(std::span<const Field> fields) {
  T datapath;
  assign_fields(datapath.numbers, fields);
  datapath.validate();
  return std::make_shared<const T>(std::move(datapath));
}
}  // namespace detail

/// A datapath of a user's own, a DatapathWith, known by name from then on:
/// `static const quant::RegisteredDatapath<Mine> registered("mine");`
template <class T>
struct RegisteredDatapath {
  explicit RegisteredDatapath(const std::string& name) { detail::add_datapath(name, &detail::make_datapath_as<T>); }
};

}  // namespace sinter::quant
