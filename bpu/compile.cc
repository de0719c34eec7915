#include "compile.h"

#include "../core/version.h"
#include "../quant/lower.h"

namespace sinter::bpu {

Program compile(const quant::PreparedModel& model, const CompileOptions& options) {
  if (options.march && !(*options.march == static_cast<const quant::March&>(model.march()))) {
    const bool named_alike = options.march->name == model.march().name;
    const auto shown = [&](const quant::March& march) { return named_alike ? describe(march) : march.name; };
    fail("compile: the march ", shown(*options.march), " was asked for, but the model was prepared for ",
         shown(model.march()), "; prepare it again and load its parameters");
  }
  model.check_observed("compile");
  Program program;
  try {
    static_cast<quant::IntegerProgram&>(program) = quant::lower(model);
  } catch (const Error& error) {
    fail("compile: ", error.what());
  }
  program.version = sinter::version();
  program.fingerprint = model.fingerprint();
  return program;
}

}  // namespace sinter::bpu
