// Collector: takes findings and keeps those that nobody asked to skip.
#pragma once

#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "dockerfile/check.hpp"

namespace slipway::dockerfile {

/// The options of a `check=` comment among those directly above an instruction; what follows a blank is a remark.
[[nodiscard]] CheckOptions comment_options(const std::vector<std::string>& comments);

class Collector {
 public:
  explicit Collector(const CheckOptions& options) : options_(options) {}

  /// A finding about the instruction at `source`, whose comments may skip it. `beside` is another instruction that
  /// may: of two that clash, either. The same finding is kept once.
  void add(RuleId rule, const Source& source, std::string message, const Source* beside = nullptr);
  /// The same for other lines than all of the instruction's.
  void add_at(RuleId rule, const Source& source, SourceRange range, std::string message);

  [[nodiscard]] std::vector<Finding> take();  ///< by line
  [[nodiscard]] std::size_t left_out() const { return left_out_; }

 private:
  [[nodiscard]] bool wanted(const Rule& rule, const Source& source) const;
  void keep(RuleId rule, SourceRange range, std::string message);

  const CheckOptions& options_;
  std::vector<Finding> findings_;
  std::set<std::tuple<int, RuleId, std::string>> seen_;
  std::size_t left_out_ = 0;
};

}  // namespace slipway::dockerfile
