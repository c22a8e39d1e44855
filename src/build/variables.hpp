// Variables of a Dockerfile: global ARGs, platform ARGs, and one stage's environment as its instructions see it (spec
// section 2).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.hpp"
#include "dockerfile/dockerfile.hpp"
#include "oci/platform.hpp"

namespace slipway::build {

/// An ordered environment: a later setting of a name replaces it in place.
class Environment {
 public:
  Environment() = default;
  /// From an image's "K=V" texts.
  explicit Environment(const std::vector<std::string>& entries);
  void set(std::string_view name, std::string_view value);
  [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
  [[nodiscard]] const std::vector<std::pair<std::string, std::string>>& entries() const { return entries_; }
  [[nodiscard]] std::vector<std::string> texts() const;  ///< "K=V"
  /// Places in entries(), by when each was last set: the order in which BuildKit has them.
  [[nodiscard]] std::vector<std::uint32_t> order_set() const;
  [[nodiscard]] std::size_t bytes() const { return bytes_; }  ///< of all names and values

 private:
  std::vector<std::pair<std::string, std::string>> entries_;
  std::vector<std::uint32_t> set_;  // by entry: the number of the setting
  std::uint32_t settings_ = 0;
  std::map<std::string, std::size_t, std::less<>> places_;  // of a name in entries_: a file may hold 10,000 ENV lines
  std::size_t bytes_ = 0;
};

/// What is set before the first FROM and what the command line gives.
class GlobalVariables {
 public:
  /// Evaluates the file's global ARGs in order. `build_args` win over defaults.
  static Result<GlobalVariables> evaluate(const dockerfile::File& file,
                                          const std::vector<std::pair<std::string, std::string>>& build_args,
                                          const oci::Platform& target, const oci::Platform& build,
                                          std::string_view target_stage);
  /// In FROM lines: global ARGs and platform ARGs.
  [[nodiscard]] std::optional<std::string> find(std::string_view name) const;
  /// --build-arg NAME=…
  [[nodiscard]] std::optional<std::string> build_arg(std::string_view name) const;

 private:
  Environment values_;
  std::map<std::string, std::string, std::less<>> build_args_;
};

/// Names that RUN gets without a declaration, and that stay out of keys and history unless declared.
[[nodiscard]] bool is_proxy_arg(std::string_view name);

}  // namespace slipway::build
