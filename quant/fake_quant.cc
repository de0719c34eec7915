#include "fake_quant.h"

#include "fake_quant/lsq.h"
#include "fake_quant/pact.h"

namespace sinter::quant {

namespace {

// "fake_quant": the scale is the observer's, straight-through gradients (SPEC.md, section 1).
struct Plain final : FakeQuantize {};

// The built-in ones are listed here: a linker drops objects of a static library that nobody names.
detail::Registry<FakeQuantize>& registry() {
  static auto& instance = *[] {
    auto* built_in = new detail::Registry<FakeQuantize>("fake-quant");
    built_in->add(detail::make_factory<FakeQuantize, Plain>("fake_quant", {}));
    built_in->add(detail::make_factory<FakeQuantize, Lsq>("lsq", {{"use_grad_scaling", &Lsq::use_grad_scaling}}));
    built_in->add(detail::make_factory<FakeQuantize, Pact>("pact", {{"alpha", &Pact::alpha}}));
    return built_in;
  }();
  return instance;
}

}  // namespace

const FakeQuantFactory& fake_quant_factory(const std::string& name) { return registry().find(name); }

std::vector<std::string> fake_quant_names() { return registry().names(); }

void add_fake_quant(FakeQuantFactory factory) { registry().add(std::move(factory)); }

}  // namespace sinter::quant
