#include "observer_state.h"

#include <cstring>

#include "../core/error.h"

namespace sinter::quant {

namespace {

class Saver final : public StateVisitor {
 public:
  Saver(Archive& archive, const std::string& prefix) : archive_(archive), prefix_(prefix) {}
  void visit(const std::string& name, int64_t& value) override { archive_.set(prefix_ + name, value); }
  void visit(const std::string& name, double& value) override { archive_.set(prefix_ + name, value); }
  void visit(const std::string& name, std::vector<int64_t>& values) override { save(name, values); }
  void visit(const std::string& name, std::vector<double>& values) override { save(name, values); }

 private:
  template <class T>
  void save(const std::string& name, const std::vector<T>& values) {
    const auto bytes = std::as_bytes(std::span(values));
    archive_.set(prefix_ + name, Archive::Bytes(bytes.begin(), bytes.end()));
  }

  Archive& archive_;
  const std::string& prefix_;
};

class Loader final : public StateVisitor {
 public:
  Loader(const Archive& archive, const std::string& prefix) : archive_(archive), prefix_(prefix) {}
  void visit(const std::string& name, int64_t& value) override { value = archive_.integer(prefix_ + name); }
  void visit(const std::string& name, double& value) override { value = archive_.real(prefix_ + name); }
  void visit(const std::string& name, std::vector<int64_t>& values) override { load(name, values); }
  void visit(const std::string& name, std::vector<double>& values) override { load(name, values); }

 private:
  template <class T>
  void load(const std::string& name, std::vector<T>& values) {
    const Archive::Bytes& bytes = archive_.bytes(prefix_ + name);
    check(bytes.size() % sizeof(T) == 0, prefix_, name, " has ", bytes.size(), " bytes, expected a multiple of ",
          sizeof(T));
    values.resize(bytes.size() / sizeof(T));
    if (!bytes.empty()) std::memcpy(values.data(), bytes.data(), bytes.size());
  }

  const Archive& archive_;
  const std::string& prefix_;
};

}  // namespace

void save_observer(Observer& observer, Archive& archive, const std::string& prefix) {
  Saver saver(archive, prefix);
  observer.state(saver);
}

void load_observer(Observer& observer, const Archive& archive, const std::string& prefix) {
  Loader loader(archive, prefix);
  observer.state(loader);
  observer.validate();
}

}  // namespace sinter::quant
