#pragma once

#include <concepts>

namespace sinter {

/// A field of an options struct that has no sensible default: leaving it out does not compile. Reads as its value; a
/// real number given for an integer does not compile either.
template <class T>
class Required {
 public:
  Required() = delete;
  template <std::convertible_to<T> U>
  requires(!(std::floating_point<U> && std::integral<T>)) constexpr Required(U value) : value_(value) {}
  template <class... Parts>
  requires(sizeof...(Parts) > 1 && requires(Parts... parts) { T{parts...}; }) constexpr Required(Parts... parts)
      : value_{parts...} {}
  constexpr operator T() const { return value_; }
  constexpr const T& value() const { return value_; }

 private:
  T value_;
};

}  // namespace sinter
