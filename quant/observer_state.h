#pragma once
// Private: observers' state in files.

#include <string>

#include "../core/serialize.h"
#include "observer.h"

namespace sinter::quant {

/// The values of the observer's state, as sections whose names start with `prefix`.
void save_observer(Observer& observer, Archive& archive, const std::string& prefix);
/// Throws Error for sections that are missing, of other types or that the observer finds invalid.
void load_observer(Observer& observer, const Archive& archive, const std::string& prefix);

}  // namespace sinter::quant
