#pragma once

#include <concepts>
#include <functional>
#include <memory>
#include <span>
#include <string>
#include <utility>

#include "op.h"

namespace sinter {

namespace detail {
using MakeOp = std::function<std::shared_ptr<const Op>(std::span<const Field>)>;
/// Adds an operation to those that files may name; a name that exists is reported at the first look-up.
void register_op(const std::string& name, MakeOp make);
/// An operation like this one, but with these attributes.
template <std::derived_from<Op> O>
MakeOp remake(O like) {
  return [like = std::move(like)](std::span<const Field> fields) {
    auto op = std::make_shared<O>(like);
    if constexpr (requires { assign_fields(op->attributes, fields); }) {
      assign_fields(op->attributes, fields);
      if constexpr (std::constructible_from<O, decltype(op->attributes)&>) *op = O(op->attributes);  // checks them
    }
    return op;
  };
}
}  // namespace detail

/// A user's operation, which programs that have it can be saved and loaded with from then on:
/// `static const RegisteredOp<Cube> registered;`, or, where its attributes have no defaults, with any that are valid:
/// `static const RegisteredOp<Power> registered(Power{{.exponent = 2}});`. Attributes are those of OpWith, or there are
/// none. `infer` is called with whatever a file says: it has to check how many inputs there are.
template <std::derived_from<Op> O>
struct RegisteredOp {
  explicit RegisteredOp(O like = O{}) { detail::register_op(std::string(like.name()), detail::remake(like)); }
};

}  // namespace sinter
