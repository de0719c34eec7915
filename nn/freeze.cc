#include "freeze.h"

#include "layers/batch_norm2d.h"

namespace sinter::nn {

void freeze(Module& module, bool frozen) {
  for (const NamedParameter& parameter : module.parameters()) {
    Tensor value = parameter.value.tensor();
    value.set_requires_grad(!frozen);
    if (frozen) value.set_grad({});
  }
  for (const auto& [path, inside] : module.modules())  // of a module that is ours to change
    if (auto* bn = dynamic_cast<BatchNorm2d*>(const_cast<Module*>(inside))) bn->attributes.frozen = frozen;
}

}  // namespace sinter::nn
