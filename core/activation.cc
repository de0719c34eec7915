#include "activation.h"

#include "error.h"

sinter::Activation sinter::activation_named(const std::string& name) {
  if (name == "none") return Activation::none;
  if (name == "relu") return Activation::relu;
  check(name == "relu6", "activation '", name, "' is unknown, expected none, relu or relu6");
  return Activation::relu6;
}
