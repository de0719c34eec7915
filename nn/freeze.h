#pragma once

#include "module.h"

namespace sinter::nn {

/// A module's layers are trained no longer, as of a backbone that others are fitted to: its parameters ask for no
/// gradient, and its batch normalisations (BatchNorm2d) keep their statistics and normalise with them, in training too.
/// Both is so in copies of it and in what `prepare_qat` makes of it. With `frozen` false, all of it is trained again.
/// (A part of a model: `nn::freeze(net.backbone)`. Of a prepared model, use PreparedModel::freeze_bn for statistics.)
void freeze(Module& module, bool frozen = true);

}  // namespace sinter::nn
