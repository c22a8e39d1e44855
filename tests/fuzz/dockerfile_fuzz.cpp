// Fuzz target: a Dockerfile of any bytes is parsed, and everything that later code does with its values is done.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string_view>
#include <variant>

#include "dockerfile/dockerfile.hpp"
#include "dockerfile/expand_instruction.hpp"
#include "dockerfile/history.hpp"
#include "dockerfile/port.hpp"
#include "dockerfile/signal.hpp"

namespace {

using namespace slipway;
using namespace slipway::dockerfile;

std::optional<std::string> lookup(std::string_view name) {
  if (name.size() % 3 == 0) return {};
  return std::string(name.size() % 3 == 1 ? "a b" : "");
}

struct Visitor {
  char escape;

  void operator()(const Copy& copy) const {
    if (const auto out = expanded(copy, escape, lookup)) (void)history::copy(*out);
  }
  void operator()(const Expose& expose) const {
    if (const auto out = expanded(expose, escape, lookup)) (void)parse_ports(out->ports);
  }
  void operator()(const StopSignal& signal) const {
    if (const auto out = expanded(signal, escape, lookup)) (void)parse_signal(out->signal);
  }
  void operator()(const Env& env) const { (void)expanded(env, escape, lookup); }
  void operator()(const Run& run) const { (void)script_of(run); }
  void operator()(const Healthcheck& check) const { (void)history::healthcheck(check); }
  void operator()(const OnBuild& onbuild) const { (void)parse_trigger(onbuild.trigger, "base"); }
  template <class Other>
  void operator()(const Other&) const {}
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  const auto file = parse(text, "Dockerfile");
  if (!file) {
    if (file.error().what().empty()) std::abort();
    return 0;
  }
  if (file->stages.empty()) std::abort();
  int last_line = 0;
  for (const auto& stage : file->stages) {
    for (const auto& instruction : stage.instructions) {
      // instructions stand in order and do not overlap
      const auto& range = source_of(instruction).range;
      if (range.first_line <= last_line || range.last_line < range.first_line) std::abort();
      last_line = range.last_line;
      std::visit(Visitor{file->directives.escape}, instruction);
    }
  }
  return 0;
}
