#include "dropout.h"

namespace sinter::nn {

Dropout::Dropout(const DropoutAttributes& options) : attributes(ops::Dropout(options).attributes) {}

Tensor Dropout::forward(const Tensor& x) const { return dropout(x, attributes); }

std::string Dropout::title() const { return text("Dropout(p=", attributes.p, ')'); }

}  // namespace sinter::nn
