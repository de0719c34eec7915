#include "version.h"

namespace sinter {

std::string_view version() { return SINTER_VERSION; }

}  // namespace sinter
